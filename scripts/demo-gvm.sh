#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One Linux on two emulated servers, as it boots: gvm's test "boot" with the guest's log shown.
# Needs the patched kernel, which it builds once (8 to 16 minutes); a boot takes 3 to 8 minutes.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
log=build/logs/boot
rm -rf "$log"
tools/testing/qemu/cluster.py run --kernel qemu-patched \
	--list tools/testing/selftests/gvm/tests.list boot &
run=$!
trap 'kill $run 2>/dev/null || true' INT TERM
shown=0
while kill -0 $run 2>/dev/null; do
	guest=$(ls -t build/cluster/run-$run/logs/boot.guest 2>/dev/null || true)
	if [ -n "$guest" ]; then
		lines=$(wc -l <"$guest")
		sed -n "$((shown + 1)),${lines}p" "$guest"
		shown=$lines
	fi
	sleep 1
done
wait $run
echo
echo "What the guest found: a NUMA node on each server."
grep -h "node .*CPUs" "$log"/boot.guest
