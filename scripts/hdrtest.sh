#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Each header of dsm.ko compiles alone: one generated .c a header, built by Kbuild.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
src=$top/modules/dsm
out=$top/build/hdrtest
kdir=$("$top/scripts/kdir.sh" stock)
rm -rf "$out"
mkdir -p "$out"
rsync -a --include='*/' --include='*.h' --exclude='*' "$src/" "$out/"
cd "$out"
flags=
[ -f "$src/Kbuild" ] && flags=$(sed -n 's/^\(ccflags-y.*\)/\1/p' "$src/Kbuild")
[ -f "$src/Makefile" ] && flags="$flags
$(sed -n 's/^\(ccflags-y.*\)/\1/p' "$src/Makefile")"
{
	echo "$flags"
	find . -name '*.h' ! -name trace.h | sort | while read -r h; do
		n=hdr_$(echo "$h" | tr -c 'a-zA-Z0-9\n' _)
		printf '#include <linux/module.h>\n#include "%s"\n#include "%s"\nMODULE_LICENSE("GPL");\n' \
			"$h" "$h" >"$n.c"
		echo "obj-m += $n.o"
	done
} >Kbuild
make -s -C "$kdir" M="$out" -k KBUILD_MODPOST_NOFINAL=1 KBUILD_MODPOST_WARN=1 modules
