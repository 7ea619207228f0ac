#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# stress-ng, unmodified, on all nodes at once. Most of its stressors make a
# directory first, which dsmfs refuses; POSIX shared memory lives in /dev/shm, so
# dsmfs is put there, for this process only.
set -u
. "$(dirname "$0")/meet.sh"
mnt=${DSM_MNT:?} node=${DSM_NODE:?}
if [ -z "${STRESS_NS-}" ]; then
	STRESS_NS=1 exec unshare -m -- "$0"
fi
log=$(mktemp /tmp/stress-ng.XXXXXX) || exit 1
nr=0 failed=0
echo "TAP version 13"
echo "1..2"
mount --make-rprivate / && mount --bind "$mnt" /dev/shm || { echo "Bail out! no bind mount"; exit 1; }
stress() { # NAME ARGS...
	name=$1
	shift
	nr=$((nr + 1))
	meet "$name"
	if (cd /tmp && timeout $((60 * ${DSM_PATIENCE:-1})) stress-ng --verify --metrics-brief --timeout 6 --"$name" 1 "$@") >"$log" 2>&1 &&
	   ! grep -qiE 'fail:|skipped|corrupt' "$log"; then
		echo "ok $nr $name"
	else
		echo "not ok $nr $name"
		failed=1
	fi
	sed 's/^/# /' "$log"
}
stress shm --shm-bytes 1M --shm-objs 4
stress dev-shm --dev-shm-ops 8
meet end
# Each node removed what it made.
if [ "$node" = 0 ] && ls /dev/shm | grep stress; then echo "# left behind"; fi
rm -f "$log"
exit $failed
