#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every check, to the end; the last line is the sum. FULL=1 adds the long ones.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
tally=scripts/tally
part() { name=$1; shift; $tally run "$name" make -s --no-print-directory "$@"; }
$tally start
part deps deps
part lint lint
part harness harness-test
part core-test core-test
part exhaust exhaust
part sim sim-check
part mutate mutate
part modules-stock modules
part tools tools
part selftests-stock selftests
part bench bench ARGS=--quick
if [ -n "${FULL-}" ] || scripts/kernel-build.sh --cached debug; then
	part modules-debug modules KERNEL=debug
	part selftests-debug selftests KERNEL=debug
else
	# 16 minutes of build on two cores: not in CI on a fresh machine.
	$tally skip selftests-debug "no debug kernel in ~/.cache/memos: make kernel KERNEL=debug"
fi
if [ -n "${FULL-}" ]; then
	part fuzz fuzz
	part sim-soak sim-soak
fi
$tally sum
