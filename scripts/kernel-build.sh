#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build a kernel variant once and print its directory, which serves as KDIR too:
#	kernel-build.sh qemu|debug[-patched]	build if not cached
#	kernel-build.sh --cached VARIANT		succeed if it need not be built
# The directory's name is a hash of base version, compiler, config and patches.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
ask=
[ "${1-}" = --cached ] && { ask=y; shift; }
variant=${1:?usage: kernel-build.sh [--cached] VARIANT}
cache=${MEMOS_CACHE:-$HOME/.cache/memos}
patches=
case ${variant%-patched} in
qemu)	fragments="qemu" ;;
debug)	fragments="qemu debug" ;;
*)	echo "unknown kernel variant '$variant'" >&2; exit 2 ;;
esac
case $variant in *-patched)
	patches=$("$top/scripts/patches.sh" list)
	fragments="$fragments coherent" ;;
esac
configs=
for f in $fragments; do configs="$configs $top/kernel/$f.config"; done
version=$(dpkg-query -W -f '${Version}' "$SOURCE") || {
	echo "$SOURCE is not installed: run 'make deps'" >&2; exit 1; }
# shellcheck disable=SC2086
hash=$( { echo "$version"; gcc --version | head -1; cat $configs $patches; } | sha256sum | cut -c1-16)
dir=$cache/$hash
[ -n "$ask" ] && { [ -e "$dir/.complete" ]; exit; }
[ -e "$dir/.complete" ] && { echo "$dir"; exit; }

mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock -w 7200 9 || { echo "another kernel build holds $cache/build.lock" >&2; exit 1; }
[ -e "$dir/.complete" ] && { echo "$dir"; exit; }
src=$("$top/scripts/kernel-source.sh")
if [ -n "$patches" ]; then
	rm -rf "$dir.src"
	cp -a "$src" "$dir.src"
	"$top/scripts/patches.sh" apply "$dir.src"
	src=$dir.src
fi
mkdir -p "$dir"
echo "$variant" >"$dir/variant"
mk() { nice -n 10 make -C "$src" O="$dir" -j"${JOBS:-2}" "$@" >>"$dir/build.log" 2>&1 9>&-; }
echo "building kernel $variant in $dir (log: $dir/build.log)" >&2
# shellcheck disable=SC2086
{
	mk tinyconfig &&
	(cd "$dir" && "$src/scripts/kconfig/merge_config.sh" -m -O . .config $configs) >>"$dir/build.log" &&
	mk olddefconfig &&
	"$top/scripts/kernel-config-check.sh" "$dir/.config" $configs &&
	mk bzImage modules &&
	mk modules_install INSTALL_MOD_PATH="$dir/install"
} || { echo "kernel build failed:" >&2; tail -n 20 "$dir/build.log" >&2; exit 1; }
touch "$dir/.complete"
echo "$dir"
