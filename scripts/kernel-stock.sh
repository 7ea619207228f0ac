#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print a directory with Debian's stock kernel as its package unpacks it
# (boot/vmlinuz-R, lib/modules/R), filling the cache at need. R is that of the
# installed headers, so that what is built for it can be loaded.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
cache=${MEMOS_CACHE:-$HOME/.cache/memos}
real() { sed -n "s/.*\(linux-[a-z]*-[0-9.]*[^ ,]*-amd64\).*/\1/p" | head -1; }
pkg=$(dpkg-query -W -f '${Depends}' "$HEADERS" 2>/dev/null | real | sed 's/headers/image/')
[ -n "$pkg" ] || pkg=$(apt-cache depends "$IMAGE" 2>/dev/null | sed -n '2,$p' | real)
[ -n "$pkg" ] || { echo "cannot resolve $IMAGE: run 'make deps'" >&2; exit 1; }
release=${pkg#linux-image-}
dir=$cache/stock-$release
[ -e "$dir/.complete" ] && { echo "$dir"; exit; }

mkdir -p "$cache"
exec 9>"$cache/stock.lock"
flock -w 600 9 || { echo "$cache/stock.lock is held" >&2; exit 1; }
[ -e "$dir/.complete" ] && { echo "$dir"; exit; }
rm -rf "$dir.tmp" "$dir"
mkdir -p "$dir.tmp/boot" "$dir.tmp/lib/modules"
if [ -r "/boot/vmlinuz-$release" ] && [ -e "/lib/modules/$release/modules.dep" ]; then
	cp -a "/boot/vmlinuz-$release" "/boot/config-$release" "$dir.tmp/boot/"
	cp -a "/lib/modules/$release" "$dir.tmp/lib/modules/"
else
	echo "fetching $pkg" >&2
	(cd "$dir.tmp" && { apt-get -q download "$pkg" || { apt-get -q update && apt-get -q download "$pkg"; }; } >&2)
	dpkg -x "$dir.tmp/$pkg"_*.deb "$dir.tmp"
	rm -f "$dir.tmp/$pkg"_*.deb
	if [ -d "$dir.tmp/usr/lib/modules" ]; then
		mv "$dir.tmp/usr/lib/modules/$release" "$dir.tmp/lib/modules/"
	fi
	depmod -b "$dir.tmp" "$release"
fi
touch "$dir.tmp/.complete"
mv "$dir.tmp" "$dir"
echo "$dir"
