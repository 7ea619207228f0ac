// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms: one set a CPU, added up when someone looks.
 *
 * A reader adds up while others count, so a sum is never older than the start
 * of the read and counters may be off against each other by what is under way.
 */
#include <linux/cpu.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/smp.h>
#include <linux/string.h>

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

static void dsm_stats_reset_cpu(void *arg)
{
	struct dsm_cluster *c = arg;

	memset(this_cpu_ptr(c->stats), 0, sizeof(*c->stats));
}

/**
 * dsm_stats_reset() - begin to count at 0
 * @c:	the cluster
 *
 * Each CPU clears its own: a remote write could be undone by an increment under
 * way there.
 *
 * Context: Process, sleeps.
 */
void dsm_stats_reset(struct dsm_cluster *c)
{
	int cpu;

	cpus_read_lock();
	on_each_cpu(dsm_stats_reset_cpu, c, 1);
	for_each_possible_cpu(cpu)
		if (!cpu_online(cpu))
			memset(per_cpu_ptr(c->stats, cpu), 0, sizeof(*c->stats));
	cpus_read_unlock();
}

/**
 * dsm_hist_read() - a histogram over all CPUs
 * @c:		the cluster
 * @h:		the histogram
 * @sum:	where to
 *
 * Context: Any.
 */
void dsm_hist_read(struct dsm_cluster *c, enum dsm_hist h,
		   struct dsm_hist_sum *sum)
{
	int cpu;

	*sum = (struct dsm_hist_sum){};
	for_each_possible_cpu(cpu) {
		struct dsm_pcpu_stats *s = per_cpu_ptr(c->stats, cpu);

		sum->sum_ns += READ_ONCE(s->hist_sum_ns[h]);
		for (int i = 0; i < DSM_HIST_BUCKETS; i++) {
			u64 n = READ_ONCE(s->hist[h][i]);

			sum->bucket[i] += n;
			sum->count += n;
		}
	}
}

/* The @nr-th of the @all latencies in a bucket, were they evenly spread. */
static u64 dsm_hist_within(int bucket, u64 nr, u64 all)
{
	u64 low = bucket ? 1ULL << bucket : 0;
	u64 width = bucket ? 1ULL << bucket : 2;

	return low + mul_u64_u64_div_u64(width, nr, all) - 1;
}

/**
 * dsm_hist_percentile() - the latency that this many percent do not exceed
 * @sum:	the histogram
 * @percent:	1 to 100
 *
 * Return: nanoseconds, interpolated within a bucket, 0 if there are none.
 */
u64 dsm_hist_percentile(const struct dsm_hist_sum *sum, unsigned int percent)
{
	u64 rank = DIV64_U64_ROUND_UP(sum->count * percent, 100);
	u64 before = 0;

	for (int i = 0; i < DSM_HIST_BUCKETS; i++) {
		if (sum->bucket[i] && before + sum->bucket[i] >= rank)
			return dsm_hist_within(i, rank - before, sum->bucket[i]);
		before += sum->bucket[i];
	}
	return 0;
}
