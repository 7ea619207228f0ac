#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deps.sh STAMP: install what builds and tests need, once per version of this file.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
stamp=${1:-$top/build/deps.stamp}
[ "$stamp" -nt "$0" ] && [ "$stamp" -nt "$top/kernel/base" ] && exit 0
packages="$SOURCE $HEADERS
	bc bison busybox-static clang cpio debhelper dpkg-dev e2fsprogs fio flex gcc hwloc-nox ibverbs-providers ibverbs-utils
	iproute2 iputils-ping kmod libc6-dev libcap-dev libck-dev libclang-rt-14-dev libelf-dev libibverbs-dev
	libnuma-dev librdmacm-dev libssl-dev liburing-dev
	llvm make mmdebstrap numactl patch perftest perl python3 python3-docutils qemu-system-x86 rdma-core rdmacm-utils
	rsync socat sparse stress-ng trace-cmd xz-utils"
missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
	[ "$(id -u)" = 0 ] || { echo "as root: apt-get install$missing" >&2; exit 1; }
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=120 update
	# shellcheck disable=SC2086
	apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing
fi
mkdir -p "$(dirname "$stamp")"
touch "$stamp"
