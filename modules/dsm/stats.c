// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms: one set a CPU, added up when someone looks.
 *
 * A reader adds up while others count, so a sum is never older than the start
 * of the read and counters may be off against each other by what is under way.
 */
#include <linux/cpumask.h>
#include <linux/log2.h>
#include <linux/minmax.h>

#include "cluster_types.h"
#include "stats.h"

/**
 * dsm_hist_add() - count a latency
 * @c:	the cluster
 * @h:	the histogram
 * @ns:	the latency
 *
 * Context: Any.
 */
void dsm_hist_add(struct dsm_cluster *c, enum dsm_hist h, u64 ns)
{
	unsigned int bucket = ns ? ilog2(ns) : 0;

	bucket = min(bucket, DSM_HIST_BUCKETS - 1u);
	this_cpu_inc(c->stats->hist[h][bucket]);
	this_cpu_add(c->stats->hist_sum_ns[h], ns);
}

/**
 * dsm_stats_sum() - a counter over all CPUs
 * @c:	the cluster
 * @s:	the counter
 *
 * Context: Any.
 * Return: the sum.
 */
u64 dsm_stats_sum(struct dsm_cluster *c, enum dsm_stat s)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(c->stats, cpu)->count[s]);
	return sum;
}
