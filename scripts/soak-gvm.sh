#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Cycles of a guest over two servers, N of them, five a boot of the servers; GVM_SOAK=linux: of a
# Linux guest, else kvmlet.
# What failed keeps its logs in build/logs/soak-<round>.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
n=${N:-200} kernel=${KERNEL:-stock} each=5
cd "$top" || exit 1
done=0 failed=0 round=0
begin=$(date +%s)
while [ "$done" -lt "$n" ]; do
	round=$((round + 1))
	if ! tools/testing/qemu/cluster.py run --kernel "$kernel" \
		--list tools/testing/selftests/gvm/tests.list soak; then
		failed=$((failed + 1))
		rm -rf "build/logs/soak-$round"
		cp -r build/logs/soak "build/logs/soak-$round"
	fi
	done=$((done + each))
done
echo "$done cycles of ${GVM_SOAK:-kvmlet} on $kernel, $round rounds, $failed failed, $(($(date +%s) - begin)) s"
[ "$failed" = 0 ]
