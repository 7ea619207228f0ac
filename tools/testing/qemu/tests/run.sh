#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Test the harness: the gate offline, then live that good is green and bad is red.
set -u
here=$(cd "$(dirname "$0")" && pwd)
for dir in "$here" "$here/../../mm-selftests"; do
	python3 -m unittest discover -q -s "$dir" || exit 1
done
out=$("$here/../cluster.py" run --kernel "${KERNEL:-stock}" --list "$here/live/tests.list")
echo "$out"
good=$(echo "$out" | grep -c '^PASS good_')
bad=$(echo "$out" | grep -c '^FAIL bad_')
want_good=$(grep -c '^good_' "$here/live/tests.list")
want_bad=$(grep -c '^bad_' "$here/live/tests.list")
failed=$((want_good - good + want_bad - bad))
echo "$((good + bad)) passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
