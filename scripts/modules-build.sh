#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# modules-build.sh KERNEL [MAKE-ARGS...]: build modules/dsm out of tree.
# 6.12's Kbuild has no MO=: it writes beside the sources. So the sources are
# mirrored to build/modules-KERNEL (only what changed, to keep builds incremental).
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
kernel=${1:?usage: modules-build.sh KERNEL}
shift
out=$top/build/modules-$kernel
kdir=$("$top/scripts/kdir.sh" "$kernel")
mkdir -p "$out"
exec 9>"$out.lock"
flock -w 600 9 || { echo "$out.lock is held" >&2; exit 1; }
# A file that vanished from the sources must vanish here; products must stay.
(cd "$out" && find . -type f \( -name '*.[ch]' -o -name 'Makefile*' -o -name Kbuild -o -name Kconfig \) \
	! -name '*.mod.c' -print) | while read -r f; do
	[ -e "$top/modules/dsm/$f" ] || rm -f "$out/$f"
done
rsync -a --exclude=.git "$top/modules/dsm/" "$out/"
tests=
grep -q '^CONFIG_KUNIT=' "$kdir/.config" && tests=CONFIG_DSM_KUNIT_TEST=y
# shellcheck disable=SC2086
exec make -C "$kdir" M="$out" CONFIG_DSM="${CONFIG_DSM:-m}" $tests -j"${JOBS:-2}" "$@" modules
