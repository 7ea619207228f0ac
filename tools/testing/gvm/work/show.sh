#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# show.sh NAS SIZE: what machine the guest takes itself for, then nas ep on all its CPUs beside a
# picture of how busy each of them is.
nas=$1 size=$2
bar='####################'
dir=$(mktemp -d)
mkfifo "$dir/never"
exec 3<>"$dir/never"

. "${0%/*}/cpus.sh"
lscpu | grep -E '^(CPU\(s\)|On-line|Model name|Socket|NUMA node)'
numactl -H
lstopo-no-graphics --no-io --no-caches --no-legend --of ascii
cpus=$(nproc)
export OMP_NUM_THREADS=$cpus OMP_PROC_BIND=true
"$nas" ep "$size" >"$dir/out" 2>&1 &
echo "nas ep $size begins"
for ((c = 0; c < cpus; c++)); do
	busy $c
	total0[c]=$total all0[c]=$all
done
while [ -d /proc/$! ] && read -r _ _ state _ </proc/$!/stat && [ "$state" != Z ]; do
	read -rt 2 -u 3
	line=
	for ((c = 0; c < cpus; c++)); do
		busy $c
		part=$((all > all0[c] ? (total - total0[c]) * 100 / (all - all0[c]) : 0))
		printf -v one 'CPU %d %-20s %3d %%   ' $c "${bar:0:part / 5}" $part
		line+=$one
		total0[c]=$total all0[c]=$all
	done
	echo "$line"
done
wait $!
status=$?
echo "$(<"$dir/out")"
exit $status
