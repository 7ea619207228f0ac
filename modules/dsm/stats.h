/* SPDX-License-Identifier: GPL-2.0 */
/* Counters and latency histograms, per CPU, shown in sysfs. */
#ifndef DSM_STATS_H
#define DSM_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

/* X(name, what it counts): file /sys/fs/dsm/cluster/stats/<name> */
#define DSM_STATS(X)							\
	X(fault_read, "read faults that had to ask home")		\
	X(fault_write, "write faults that had to ask home")		\
	X(fault_upgrade, "write faults on a page held for reading")	\
	X(fault_local, "faults served by a copy already here")		\
	X(fault_nowait, "faults that started a fetch and did not wait")	\
	X(fault_timeout, "faults given up after fault_timeout_ms")	\
	X(fault_killed, "faults given up because of a fatal signal")	\
	X(fault_lost, "faults given up because they need a lost node")	\
	X(prefetch_sent, "pages asked for before they were needed")	\
	X(prefetch_hit, "prefetched pages that were used")		\
	X(msg_sent, "protocol messages sent")				\
	X(msg_received, "protocol messages received")			\
	X(msg_late, "replies to transactions that were over")		\
	X(msg_stale, "messages of an older epoch or generation")	\
	X(msg_duplicate, "requests that had come before")		\
	X(msg_error, "messages that broke the protocol")		\
	X(msg_backlog, "messages put off for want of memory or metadata") \
	X(page_sent, "pages sent")					\
	X(page_received, "pages received")				\
	X(zero_granted, "pages granted without data")			\
	X(inv_received, "copies taken away by home")			\
	X(downgrade, "exclusive copies shared out by home")		\
	X(hold, "demands put off by hold_us, or before a first use")				\
	X(turn_over, "pages given up while their user needed more, see core/turn.c") \
	X(revoke_wait, "revocations that waited for a user of the page") \
	X(revoke_batched, "revocations done several at once")		\
	X(evict, "copies to be given up: memory, EVICT, leaving")		\
	X(evict_nak, "copies that found no other place")		\
	X(push_received, "last copies taken over from another node")	\
	X(link_lost, "connections lost")				\
	X(link_reset, "peers that came back having forgotten all")	\
	X(notify_sent, "notifications sent")				\
	X(notify_received, "notifications that a listener got")		\
	X(notify_nobody, "notifications for which there was no listener") \
	X(frame_sent, "frames sent")					\
	X(frame_received, "frames received")				\
	X(frame_resent, "frames sent again after a reconnect")		\
	X(frame_duplicate, "frames dropped because they came twice")	\
	X(frame_bad, "frames that did not decode")

enum dsm_stat {
#define X(name, text) DSM_STAT_##name,
	DSM_STATS(X)
#undef X
	DSM_NR_STATS,
};

/* X(name, what it measures): file /sys/fs/dsm/cluster/latency/<name> */
#define DSM_HISTS(X)							\
	X(fault_read, "read fault, until the right is there")		\
	X(fault_write, "write fault without a copy")			\
	X(fault_upgrade, "write fault with a copy")			\
	X(fault_zero, "fault on a page never written")			\
	X(revoke, "unmap or write-protect, and wait for users")		\
	X(evict, "from the offer of a copy until home agreed")

enum dsm_hist {
#define X(name, text) DSM_HIST_##name,
	DSM_HISTS(X)
#undef X
	DSM_NR_HISTS,
};

/* Bucket i counts latencies of 2^i .. 2^(i+1) - 1 ns; the last one the rest. */
#define DSM_HIST_BUCKETS	40

struct dsm_pcpu_stats {
	u64 count[DSM_NR_STATS];
	u64 hist[DSM_NR_HISTS][DSM_HIST_BUCKETS];
	u64 hist_sum_ns[DSM_NR_HISTS];
};

struct dsm_cluster;

/* Any context; @c->stats is set for the life of the cluster. */
#define dsm_count(c, name)	this_cpu_inc((c)->stats->count[DSM_STAT_##name])
#define dsm_count_add(c, name, n) \
	this_cpu_add((c)->stats->count[DSM_STAT_##name], (n))

void dsm_hist_add(struct dsm_cluster *c, enum dsm_hist h, u64 ns);
u64 dsm_stats_sum(struct dsm_cluster *c, enum dsm_stat s);
void dsm_stats_reset(struct dsm_cluster *c);

/**
 * struct dsm_hist_sum - a histogram over all CPUs
 * @count:	latencies counted
 * @sum_ns:	their sum
 * @bucket:	their distribution
 */
struct dsm_hist_sum {
	u64 count;
	u64 sum_ns;
	u64 bucket[DSM_HIST_BUCKETS];
};

void dsm_hist_read(struct dsm_cluster *c, enum dsm_hist h,
		   struct dsm_hist_sum *sum);
u64 dsm_hist_percentile(const struct dsm_hist_sum *sum, unsigned int percent);

#endif
