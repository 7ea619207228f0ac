#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# fio, unmodified: written on one node, verified on another, both ways, through
# mmap and through write(2); then both at once on halves of one file.
set -u
. "$(dirname "$0")/meet.sh"
node=${DSM_NODE:?} nodes=${DSM_NODES:?} mnt=${DSM_MNT:?}
tmp=$(mktemp -d /tmp/fio.XXXXXX) || exit 1
nr=0 failed=0
size=${FIO_SIZE:-4m}
cd "$tmp" || exit 1

result() { # STATUS NAME
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then
		echo "ok $nr $2"
	else
		echo "not ok $nr $2"
		sed 's/^/# /' "$tmp/log"
		failed=1
	fi
}
job() { # ENGINE RW FILE OFFSET EXTRA...
	engine=$1 rw=$2 file=$3 offset=$4
	shift 4
	timeout $((60 * ${DSM_PATIENCE:-1})) fio --name=job --ioengine="$engine" --rw="$rw" --filename="$file" --bs=4k \
		--size="$size" --offset="$offset" --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --randseed=42 --fallocate=none --thread \
		--output="$tmp/log" "$@"
}

echo "TAP version 13"
echo "1..5"
step=0
for engine in mmap psync; do
	for writer in 0 1; do
		f=$mnt/fio-$engine-$writer
		status=0
		[ "$node" = 0 ] && { : >"$f" && truncate -s "$size" "$f"; }
		meet "create-$step" || status=1
		if [ "$node" = "$writer" ]; then
			job "$engine" randwrite "$f" 0 --do_verify=0 || status=1
		fi
		meet "written-$step" || status=1
		# Every other node reads back what the writer's fio made up.
		if [ "$node" != "$writer" ] && [ $status = 0 ]; then
			job "$engine" randwrite "$f" 0 --verify_only || status=1
		fi
		meet "verified-$step" || status=1
		[ "$node" = 0 ] && rm -f "$f"
		step=$((step + 1))
		result $status "$engine-written-on-$writer"
	done
done
f=$mnt/fio-both
status=0
[ "$node" = 0 ] && { : >"$f" && truncate -s 64m "$f"; }
meet both || status=1
# Each its own part, and verifies it.  Not mmap: fio 3.33 ignores --offset there.
job psync randrw "$f" $((node * 8))m --do_verify=1 --verify_backlog=64 || status=1
meet both-done || status=1
[ "$node" = 0 ] && rm -f "$f"
result $status both-at-once
rm -rf "$tmp"
exit $failed
