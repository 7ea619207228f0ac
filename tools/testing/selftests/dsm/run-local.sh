#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# run-local.sh BUILD [PROGRAM [NODES]]: run the tests without a cluster, NODES (3)
# processes over one tmpfs directory: this tests the tests.
set -u
build=${1:?usage: run-local.sh BUILD [PROGRAM [NODES]]}
failed=0

one() {
	dir=$(mktemp -d /dev/shm/dsm-local.XXXXXX)
	mkdir "$dir/mnt" "$dir/ctl"
	chmod 755 "$dir"
	chmod 1777 "$dir/mnt"
	i=0
	pids=
	while [ $i -lt "$2" ]; do
		DSM_NODE=$i DSM_NODES=$2 DSM_MNT=$dir/mnt DSM_LOCAL=$dir/ctl \
			timeout 300 "$1" >"$dir/out$i" 2>&1 &
		pids="$pids $!"
		i=$((i + 1))
	done
	i=0
	for pid in $pids; do
		if ! wait "$pid"; then
			failed=1
			echo "FAIL $(basename "$1") node $i of $2:"
			grep -v " RUN \|  OK " "$dir/out$i" | tail -n 60
		elif [ -n "${V-}" ]; then
			cat "$dir/out$i"
		fi
		i=$((i + 1))
	done
	skips=$(grep -ch '# SKIP' "$dir/out0")
	echo "$(basename "$1"), $2 nodes: $(grep -c '^ok' "$dir/out0") ok, $skips of them skipped"
	rm -rf "$dir"
}

# The others need dsm.ko, or a kernel with the patches, or would set knobs of this one.
programs=${2-fs fs-names gup litmus locks mm stress}
for p in $programs; do
	for n in ${3-3}; do
		one "$build/$(basename "$p")" "$n"
	done
done
exit $failed
