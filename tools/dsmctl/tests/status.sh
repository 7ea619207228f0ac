#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# status.sh DSMCTL: does it say the right thing, and fail in the right way,
# over a sysfs made of plain files? Prints only what is wrong.
set -u
dsmctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export DSM_SYSFS="$dir/dsm"
bad=0

put() { mkdir -p "$DSM_SYSFS/$(dirname "$1")"; printf '%s\n' "$2" >"$DSM_SYSFS/$1"; }

# expect CODE TEXT COMMAND...: exit code, and a part of what is printed
expect() {
	code=$1 text=$2
	shift 2
	out=$("$@" 2>&1)
	ret=$?
	case $out in
	*"$text"*) [ "$ret" = "$code" ] && return ;;
	esac
	echo "FAIL ($ret, wanted $code \"$text\"): $*"
	echo "$out" | sed 's/^/  /'
	bad=1
}

expect 3 "shows no cluster" "$dsmctl" status
put loop0/cluster/name loop0
put loop1/cluster/name loop1
expect 3 "which cluster? dsmctl -n loop0 loop1" "$dsmctl" status
expect 1 "which cluster?" "$dsmctl" region list
for f in name=dsm transport=rdma node=0 nr_nodes=3 epoch=4 joined=1 state=in reason=none \
	members=0-1 master=0 nr_mounts=1 nr_resident_pages=512 stats/fault_read=42 stats/hold=0 \
	latency/evict/count=7 latency/evict/p50_ns=1500 latency/evict/p99_ns=9000; do
	put "cluster/${f%%=*}" "${f#*=}"
done
put peers/10/link down
put peers/2/link up
put peers/2/address 10.0.0.3
put "regions/a b/size" 8388608
put "regions/a b/id" 5
put "regions/a b/place" "0-9 node:1
10- block:4"
expect 0 "this node    0 of 3, in" "$dsmctl" status
expect 0 "512 pages (2 MiB)" "$dsmctl" status
expect 0 "fault_read                       42" "$dsmctl" status
expect 0 "a b                           8 MiB" "$dsmctl" region list
expect 0 "0-9 node:1,10- block:4" "$dsmctl" region list
expect 0 "             10- block:4" "$dsmctl" region show "a b"
expect 1 "there is no region" "$dsmctl" region show none
expect 1 "there is no region" "$dsmctl" region show ../cluster
case $("$dsmctl" status) in *"
2    10.0.0.3"*"
10   "*) ;; *) echo "FAIL: peers are not in order"; bad=1 ;; esac
put cluster/joined 0
put cluster/state gone
put cluster/reason minority
expect 3 "gone (minority)" "$dsmctl" status
expect 3 "" "$dsmctl" status -q
expect 2 "no verb" "$dsmctl" nonsense
expect 2 "is no policy" "$dsmctl" place f nowhere
expect 2 "is no number" "$dsmctl" place f node x
expect 2 "is no number" "$dsmctl" page f 99999999999999999999
expect 2 "at least one page" "$dsmctl" place f block 0
expect 2 "share PID START-END|heap NAME" "$dsmctl" share 1 heap
expect 2 "is no number" "$dsmctl" share x heap f
expect 2 "there is no process" "$dsmctl" share 0 heap f
expect 2 "a stack grows" "$dsmctl" share $$ stack f
expect 2 "is not behind" "$dsmctl" share $$ 2000-1000 f
expect 1 "process 2147483647: " "$dsmctl" share 2147483647 heap f
expect 1 "not on dsmfs" "$dsmctl" share $$ 1000-2000 "$dir/f"
[ ! -e "$dir/f" ] || { echo "FAIL: $dir/f was left"; bad=1; }
expect 1 "is not a file of dsmfs" "$dsmctl" page "$dir/dsm/cluster/name" 0
printf 'node a 10.0.0\n' >"$dir/conf"
expect 1 "conf:1: \"10.0.0\" is no address" "$dsmctl" join -c "$dir/conf" a
printf 'node a 10.0.0.1\nnode b 10.0.0.2\n' >"$dir/conf"
expect 1 "it has: a b" "$dsmctl" join -c "$dir/conf" c
expect 1 "node alpha 10.0.0.1" "$dsmctl" join -c "$dir/none" a
printf 'node a 10.0.0.1\nmodule /none/dsm.ko\n' >"$dir/conf"
[ -e /sys/module/dsm ] || expect 1 "/none/dsm.ko cannot be opened" "$dsmctl" join -c "$dir/conf" a
exit $bad
