#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Is Documentation/ABI/testing/sysfs-fs-dsm what dsm.ko shows, and are its knobs and tracepoints in
# the operator's guide?
#   check-abi.sh               compare it with the source
#   check-abi.sh --live [DIR]  compare it with /sys/fs/dsm (or DIR) of this server,
#                              as far as there are peers and regions to see
# --doc FILE names another document. Prints what is different; 1 if anything is.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
doc=$top/Documentation/ABI/testing/sysfs-fs-dsm
guide=$top/Documentation/admin-guide/dsm
live=
while [ $# -gt 0 ]; do
	case $1 in
	--doc) doc=$2; shift 2 ;;
	--live) live=${2:-/sys/fs/dsm}; shift $(($# > 1 ? 2 : 1)) ;;
	*) sed -n '3,8s/^# //p' "$0" >&2; exit 2 ;;
	esac
done

# The names of an X-macro.
names() {
	awk -v macro="#define $1(X)" '
		index($0, macro) == 1 { on = 1; next }
		on && match($0, /X\([a-z0-9_]+,/) { print substr($0, RSTART + 2, RLENGTH - 3) }
		on && !/\\$/ { exit }' "$2"
}

from_source() {
	cd "$top/modules/dsm"
	for prefix in cluster peer region; do
		case $prefix in
		cluster) dir=cluster ;;
		peer) dir='peers/<n>' ;;
		region) dir='regions/<name>' ;;
		esac
		sed -n "s|^DSM_ATTR_[A-Z]*($prefix, \([a-z0-9_]*\));|$dir/\1|p" sysfs_*.c
	done
	names DSM_STATS stats.h | sed 's|^|cluster/stats/|'
	names DSM_KNOBS cluster_types.h | sed 's|^|knobs/|'
	files=$(sed -n 's/^	*HIST_FILE(\([a-z0-9_]*\), hist).*/\1/p' sysfs_stats.c)
	names DSM_HISTS stats.h | while read -r hist; do
		for file in $files; do echo "cluster/latency/$hist/$file"; done
	done
}

# The names of regions may be anything, newlines aside.
from_live() {
	cd "$live"
	find . -type f | sed 's|^\./||; s|^loop[0-9]*/||; s|^\(peers\)/[0-9]*/|\1/<n>/|
		s|^\(regions\)/.*/\([^/]*\)$|\1/<name>/\2|'
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sed -n 's|^What:[[:space:]]*/sys/fs/dsm/||p' "$doc" >"$tmp/all"
if [ -n "$live" ]; then from_live; else from_source; fi | sort -u >"$tmp/shown"
[ -s "$tmp/shown" ] || { echo "check-abi: nothing to compare with${live:+ in $live}" >&2; exit 1; }
# What this server has none of cannot be missed.
if [ -n "$live" ]; then
	grep -q '^peers/' "$tmp/shown" || sed -i '/^peers\//d' "$tmp/all"
	grep -q '^regions/' "$tmp/shown" || sed -i '/^regions\//d' "$tmp/all"
fi
sort "$tmp/all" >"$tmp/said"
{
	uniq -d "$tmp/said" | sed 's/^/said twice: /'
	comm -23 "$tmp/shown" "$tmp/said" | sed 's/^/not in the document: /'
	comm -13 "$tmp/shown" "$tmp/said" | sed 's/^/not shown: /'
	awk '/^What:/ { what = $2; fields = 0 }
		/^(Date|Contact|Description):/ && NF > 1 { fields++ }
		/^Description:/ && fields != 3 { print "a field is missing: " what }
		/^$/ && what && !fields { print "a field is missing: " what; what = "" }' "$doc"
	names DSM_KNOBS "$top/modules/dsm/cluster_types.h" | while read -r knob; do
		grep -q "^$knob " "$guide/knobs.rst" || echo "not in knobs.rst: $knob"
	done
	cd "$top/modules/dsm"
	sed -nE 's/^TRACE_EVENT\(([a-z_]+),$/\1/p; s/^DEFINE_EVENT\([a-z_]+, ([a-z_]+),$/\1/p' trace.h |
		while read -r event; do
			grep -q "^$event " "$guide/tracing.rst" || echo "not in tracing.rst: $event"
			grep -q "[^_]trace_$event(" ./*.c || echo "never fires: $event"
		done
} >"$tmp/diff"
cat "$tmp/diff"
[ ! -s "$tmp/diff" ] || exit 1
echo "check-abi: $(wc -l <"$tmp/shown") files"
