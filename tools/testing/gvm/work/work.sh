#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# work.sh NAS: programs of Debian's and nas on all CPUs; each does a fixed amount, its result is
# checked, a line says how long it took. Status: how many failed.
nas=$1
for p in stress-ng sysbench gcc make; do
	command -v $p >/dev/null || { echo "work: no $p: apt-get install $p"; exit 1; }
done
cpus=$(nproc)
dir=$(mktemp -d)
failed=0

# work NAME COMMAND...: what it said last is printed if it fails.
work() {
	local name=$1 begin=${EPOCHREALTIME/./} status
	shift
	timeout 300 "$@" >"$dir/out" 2>&1
	status=$?
	echo "work $name: $(((${EPOCHREALTIME/./} - begin) / 1000)) ms, status $status"
	[ $status = 0 ] && return
	failed=$((failed + 1))
	tail -n 3 "$dir/out"
}

sources() {
	local i j
	for i in {1..8}; do
		for j in {1..40}; do
			echo "int f${i}_$j(int *p, int n) { int s = $j, k; for (k = 0; k < n; k++) s += p[k] * $i; return s; }"
		done >"$dir/f$i.c"
	done
	printf 'all: %s\n\ttest $$(nm $^ | grep -c " T f") = 320\n%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\n' \
		"$(echo f{1..8}.o)" >"$dir/Makefile"
	gcc -O1 -c -o "$dir/warm.o" "$dir/f1.c"
}

echo "work on $cpus CPUs, $(sed -n 's/PRETTY_NAME=//p' /etc/os-release), Linux $(uname -r)"
export OMP_NUM_THREADS=$cpus
"$nas" ep 18 >/dev/null	# its pages are here
for size in 22 24; do
	work "ep-$size" "$nas" ep $size
done
work is-18 "$nas" is 18
work cg-4096 "$nas" cg 4096
work stress-ng-cpu stress-ng --cpu "$cpus" --cpu-method int64 --cpu-ops 200 --verify
work stress-ng-vm stress-ng --vm "$cpus" --vm-bytes 2M --vm-method flip --vm-ops 40 --verify
work sysbench-cpu sysbench cpu --threads="$cpus" --cpu-max-prime=2000 --events=400 --time=0 run
work sysbench-memory sysbench memory --threads="$cpus" --memory-block-size=64K \
	--memory-total-size=64M --time=0 run
work sysbench-threads sysbench threads --threads="$cpus" --thread-yields=10 --thread-locks=2 \
	--events=200 --time=0 run
work sysbench-mutex sysbench mutex --threads="$cpus" --mutex-num=8 --mutex-locks=200 \
	--mutex-loops=100 run
sources
work make-j make -s -C "$dir" -j "$cpus"
rm -rf "$dir"
exit $failed
