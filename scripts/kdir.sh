#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# kdir.sh stock|deb|VARIANT: print the directory to build modules against.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
case ${1:?usage: kdir.sh KERNEL} in
stock)
	release=$(basename "$("$top/scripts/kernel-stock.sh")")
	dir=/usr/src/linux-headers-${release#stock-}
	[ -e "$dir/Makefile" ] || { echo "$dir is missing: run 'make deps'" >&2; exit 1; }
	echo "$dir"
	;;
deb)
	# The package of headers that deb-kernel.sh unpacked.
	set -- "$top"/build/deb/root/usr/src/linux-headers-*
	[ -e "$1/Makefile" ] || { echo "run 'make deb-kernel' first" >&2; exit 1; }
	echo "$1"
	;;
*)	exec "$top/scripts/kernel-build.sh" "$1" ;;
esac
