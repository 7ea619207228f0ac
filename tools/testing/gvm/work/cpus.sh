# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# How busy the CPUs are; sourced. Builtins only: a new process would be work too.

# busy CPU: $total is the time that it was busy so far, $all all the time, in ticks of 10 ms.
busy() {
	local name user nice system idle iowait irq softirq rest
	while read -r name user nice system idle iowait irq softirq rest; do
		[ "$name" = "cpu$1" ] || continue
		total=$((user + nice + system + irq + softirq))
		all=$((total + idle + iowait))
		return
	done </proc/stat
}
