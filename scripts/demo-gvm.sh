#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One Linux on two emulated servers, as it boots: gvm's test "boot" with the guest's log shown.
# Needs the patched kernel, which it builds once (8 to 16 minutes); the test takes one to four minutes.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
log=build/logs/boot
rm -rf "$log"
tools/testing/qemu/cluster.py run --kernel qemu-patched \
	--list tools/testing/selftests/gvm/tests.list boot &
run=$!
trap 'kill $run' INT TERM
# The guest's console, from when there is one until the test ends; it is moved to $log then, of
# which tail complains. How the test went, wait says.
tail -n +1 -F --pid=$run "build/cluster/run-$run/logs/boot.guest" 2>/dev/null || :
wait $run
echo
echo "What the guest found: a NUMA node on each server."
grep -h "node .*CPUs" "$log"/boot.guest
