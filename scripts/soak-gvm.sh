#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Cycles of a guest over two servers until N in a row are on record without a failure, several a boot
# of the servers; GVM_SOAK=kvmlet: of kvmlet, else of Linux. What is on record counts: a run that
# was ended goes on where it was (remove build/soak to begin anew). It gives up after N cycles.
# What failed keeps its logs in build/logs/failed.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
n=${N:-200} kernel=${KERNEL:-qemu-patched}
export GVM_SOAK="${GVM_SOAK:-linux}"
guest=$GVM_SOAK
each=5 # of host test soak
cd "$top" || exit 1
record=build/soak/$guest-$kernel
mkdir -p build/soak
[ -s "$record" ] || echo "# time commit cycles seconds result" >"$record"

in_a_row() {
	awk '$5 == "ok" { n += $3; s += $4 } $5 == "failed" { n = s = 0 } END { print n + 0, s + 0 }' "$record"
}

tried=0
# shellcheck disable=SC2046 # two words
while set -- $(in_a_row); [ "$1" -lt "$n" ] && [ "$tried" -lt "$n" ]; do
	begin=$(date +%s) result=ok
	tools/testing/qemu/cluster.py run --kernel "$kernel" \
		--list tools/testing/selftests/gvm/tests.list soak
	rc=$?
	[ "$rc" -lt 128 ] || exit "$rc" # ended, not failed
	[ "$rc" = 0 ] || result=failed
	echo "$begin $(git describe --always --dirty) $each $(($(date +%s) - begin)) $result" >>"$record"
	tried=$((tried + each))
done
echo "$1 cycles of $guest on $kernel in a row without a failure, $2 s; $tried of them now; all: $record"
grep failed "$record"
[ "$1" -ge "$n" ]
