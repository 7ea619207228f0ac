#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print a directory that holds the pristine base source, unpacking it at need.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
cache=${MEMOS_CACHE:-$HOME/.cache/memos}
version=$(dpkg-query -W -f '${Version}' "$SOURCE" 2>/dev/null) || {
	echo "$SOURCE is not installed: run 'make deps'" >&2
	exit 1
}
dir=$cache/src-$version
if [ ! -e "$dir/.complete" ]; then
	rm -rf "$dir.tmp" "$dir"
	mkdir -p "$dir.tmp"
	tar -xJf "/usr/src/$SOURCE.tar.xz" -C "$dir.tmp" --strip-components=1
	touch "$dir.tmp/.complete"
	mv "$dir.tmp" "$dir"
fi
echo "$dir"
