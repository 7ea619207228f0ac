#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Test the harness: the gate offline, then live that good is green and bad is red, for its reason.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../../../..
for dir in "$here" "$here/../../mm-selftests"; do
	python3 -m unittest discover -q -s "$dir" || exit 1
done
"$here/../cluster.py" run --kernel "${KERNEL:-stock}" --list "$here/live/tests.list" |
	tee "$top/build/harness.out"

reason() {
	case $1 in
	bad_not_ok) echo "not ok 1" ;;
	bad_status) echo "node 1: exit status 1" ;;
	bad_silent) echo "no plan" ;;
	bad_warning) echo "log: .*WARNING" ;;
	bad_hang | bad_hang_host) echo "no end after" ;;
	bad_panic) echo "node 1: .*\(dead\|died\)" ;;
	bad_lost) echo "node 1: dead" ;;
	esac
}
passed=0 failed=0
for name in $(sed -n 's/^\(\(good\|bad\)_[a-z_]*\).*/\1/p' "$here/live/tests.list"); do
	case $name in
	good_*) grep -q "^PASS $name " "$top/build/harness.out" ;;
	bad_*) grep -q "^FAIL $name " "$top/build/harness.out" &&
		grep -q "$(reason "$name")" "$top/build/logs/$name/problems" ;;
	esac
	# shellcheck disable=SC2181 # of either
	if [ $? = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not as it must be: $name"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
