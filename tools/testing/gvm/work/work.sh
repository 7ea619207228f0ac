#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# work.sh NAS: programs of Debian's and nas; each does a fixed amount, its result is checked, a line
# says how long it took and on which CPUs. First where Linux puts them, then one on each CPU, bound.
# Status: how many failed.
nas=$1
versions=(/usr/lib/postgresql/*/bin)
postgres=${versions[-1]}
for p in gcc make numactl stress-ng sysbench "$postgres/initdb"; do
	command -v "$p" >/dev/null || { echo "work: no $p: apt-get install it (initdb: postgresql)"; exit 1; }
done
. "${0%/*}/cpus.sh"
cpus=$(nproc)
dir=$(mktemp -d)
failed=0
limit=(timeout 300)

# measure NAME COMMAND...: what it said last is printed if it fails.
measure() {
	local name=$1 status begin c before=() ms=()
	shift
	for ((c = 0; c < cpus; c++)); do
		busy $c
		before[c]=$total
	done
	begin=${EPOCHREALTIME/./}
	"$@" >"$dir/out" 2>&1
	status=$?
	for ((c = 0; c < cpus; c++)); do
		busy $c
		ms[c]=$(((total - before[c]) * 10))
	done
	echo "work $name: $(((${EPOCHREALTIME/./} - begin) / 1000)) ms, status $status, CPUs busy: ${ms[*]} ms"
	[ $status = 0 ] && return
	failed=$((failed + 1))
	tail -n 3 "$dir/out"
}

work() {
	measure "$1" "${limit[@]}" "${@:2}"
}

# each NAME COMMAND...: one on every CPU, with memory of that CPU's node; CPU says to it which.
each() {
	measure "$1-each" on_each "${@:2}"
}

on_each() {
	local c p pids=() status=0
	for ((c = 0; c < cpus; c++)); do
		CPU=$c "${limit[@]}" numactl --physcpubind=$c --localalloc "$@" &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p" || status=1
	done
	return $status
}

# sources DIR FILES: a program of so many files.
sources() {
	local i j objs=
	mkdir "$1"
	for ((i = 1; i <= $2; i++)); do
		for j in {1..40}; do
			echo "int f${i}_$j(int *p, int n) { int s = $j, k; for (k = 0; k < n; k++) s += p[k] * $i; return s; }"
		done >"$1/f$i.c"
		objs+=" f$i.o"
	done
	printf 'all:%s\n\ttest $$(nm $^ | grep -c " T f") = %d\n%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\n' \
		"$objs" $((40 * $2)) >"$1/Makefile"
}

database() {
	chown postgres "$dir"
	as=(setpriv --reuid postgres --regid postgres --clear-groups)
	"${as[@]}" "$postgres/initdb" -A trust -N -D "$dir/db" --wal-segsize=1 >"$dir/out" 2>&1 &&
	"${as[@]}" "$postgres/pg_ctl" -w -D "$dir/db" -l "$dir/log" -o "-k $dir -c listen_addresses= \
		-c shared_buffers=16MB -c fsync=off -c autovacuum=off" start >"$dir/out" 2>&1 &&
	pgbench -q -i -h "$dir" -U postgres postgres >"$dir/out" 2>&1 && return
	echo "work: no database"
	failed=$((failed + 1))
	tail -n 5 "$dir/out"
	return 1
}

echo "work on $cpus CPUs, $(sed -n 's/PRETTY_NAME=//p' /etc/os-release), Linux $(uname -r)"
export OMP_NUM_THREADS=$cpus
"$nas" ep 18 >/dev/null	# its pages are here
sysbench --version >/dev/null
sources "$dir/warm" 1
make -s -C "$dir/warm" >/dev/null

work ep-24 "$nas" ep 24
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
sources "$dir/both" 8
work make-j make -s -C "$dir/both" -j "$cpus"
if database; then
	work pgbench-select pgbench -h "$dir" -U postgres -n -S -c "$cpus" -j "$cpus" -t 500 postgres
	work pgbench pgbench -h "$dir" -U postgres -n -c "$cpus" -j "$cpus" -t 100 postgres
	"${as[@]}" "$postgres/pg_ctl" -w -D "$dir/db" -m fast stop >/dev/null
fi

export OMP_PROC_BIND=true
work ep-24-bound "$nas" ep 24
work ep-28-bound "$nas" ep 28
each stress-ng-cpu stress-ng --cpu 1 --cpu-method int64 --cpu-ops 1000 --verify
each stress-ng-vm stress-ng --vm 1 --vm-bytes 2M --vm-method flip --vm-ops 400 --verify
each sysbench-cpu sysbench cpu --threads=1 --cpu-max-prime=2000 --events=8000 --time=0 run
each sysbench-memory sysbench memory --threads=1 --memory-block-size=64K \
	--memory-total-size=2G --time=0 run
for ((c = 0; c < cpus; c++)); do
	sources "$dir/$c" 1
done
# shellcheck disable=SC2016
each make bash -c 'make -s -C "$0/$CPU"' "$dir"
rm -rf "$dir"
exit $failed
