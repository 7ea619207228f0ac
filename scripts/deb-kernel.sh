#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deb-kernel.sh [VARIANT]: Debian packages of the patched kernel, into build/deb.
# The kernel's own bindeb-pkg does it, in a copy of what kernel-build.sh has built, where
# only what shows the version is compiled again. Nothing comes from the network.
# build/deb/root has the packages unpacked, for KERNEL=deb.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
variant=${1:-qemu-patched}
dir=$("$top/scripts/kernel-build.sh" "$variant")
src=$(readlink -f "$dir/source")
out=$top/build/deb
tree=$out/tree
log=$out/build.log
rm -rf "$out"
mkdir -p "$out"
# The copy is changed, the original serves others.
cp -a "$dir" "$tree"
rm -rf "$tree/install"
# The few recorded commands that name their directory (objtool's; not that of the
# source, DIR.src) would differ, and whatever is older than objtool be compiled again.
grep -rlIZ --include='.*.cmd' "$dir[^.]" "$tree" | xargs -0r sed -i "s#$dir\([^.]\)#$tree\1#g"

# What is packed: Debian's base, and when patches or configuration last changed; 0
# outside a git checkout.
date=
if git -C "$top" rev-parse -q --verify HEAD >/dev/null 2>&1; then
	date=$(git -C "$top" log -1 --format=%cd --date=format:%Y%m%d -- "$PATCHES" kernel)
fi
base=$(dpkg-query -W -f '${Version}' "$SOURCE" | tr - +)
version=$base-memos${date:-0}
echo "packing kernel $variant as $version (log: $log)" >&2
# linux-libc-dev would replace Debian's own; there is no way not to have it built.
nice -n 10 make -C "$src" O="$tree" -j"${JOBS:-2}" bindeb-pkg \
	KDEB_PKGVERSION="$version" KDEB_SOURCENAME=linux-memos KDEB_CHANGELOG_DIST=bookworm \
	DEB_BUILD_PROFILES=pkg.linux-memos.nokerneldbg >"$log" 2>&1 || {
	echo "bindeb-pkg failed:" >&2; tail -n 20 "$log" >&2; exit 1; }
rm -f "$out"/linux-libc-dev_*.deb
for deb in "$out"/linux-image-*.deb "$out"/linux-headers-*.deb; do
	dpkg-deb -x "$deb" "$out/root"
	ls -s --block-size=1K "$deb"
done
