#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The protocol core calls nothing: built alone, its only undefined symbols are memory
# functions a compiler emits, and symbols of the core itself.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
core=$top/modules/dsm/core
out=$top/build/purity
allowed='memcpy|memset|memmove|memcmp'
rm -rf "$out"
mkdir -p "$out"
for c in "$core"/*.c; do
	gcc -std=gnu11 -O2 -ffreestanding -fno-stack-protector -c -I"$core" -I"$top/modules/dsm" \
		-I"$top/tools/testing/core/include" -o "$out/$(basename "$c" .c).o" "$c"
done
ld -r -o "$out/core.all" "$out"/*.o
if nm -u "$out/core.all" | awk '{ print $2 }' | grep -vE "^($allowed)$"; then
	echo "the core calls out: see above" >&2
	exit 1
fi
