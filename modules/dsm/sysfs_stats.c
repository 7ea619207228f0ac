// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/dsm/cluster/stats and /sys/fs/dsm/cluster/latency. */
#include "stats.h"
#include "sysfs_types.h"

static ssize_t stat_show(struct dsm_kobj *k, const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%llu\n", dsm_stats_sum(k->cluster, a->arg));
}

static struct dsm_kattr stat_attr[DSM_NR_STATS] = {
#define X(stat, text)							\
	[DSM_STAT_##stat] = {						\
		.attr = { .name = #stat, .mode = 0444 },		\
		.show = stat_show,					\
		.arg = DSM_STAT_##stat,					\
	},
	DSM_STATS(X)
#undef X
};

static struct attribute *stats_attrs[] = {
#define X(name, text) &stat_attr[DSM_STAT_##name].attr,
	DSM_STATS(X)
#undef X
	NULL,
};

const struct attribute_group dsm_stats_group = {
	.name = "stats",
	.attrs = stats_attrs,
};

static ssize_t hist_count_show(struct dsm_kobj *k, const struct dsm_kattr *a,
			       char *buf)
{
	struct dsm_hist_sum sum;

	dsm_hist_read(k->cluster, a->arg, &sum);
	return sysfs_emit(buf, "%llu\n", sum.count);
}

static ssize_t hist_sum_ns_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	struct dsm_hist_sum sum;

	dsm_hist_read(k->cluster, a->arg, &sum);
	return sysfs_emit(buf, "%llu\n", sum.sum_ns);
}

static ssize_t hist_percentile(struct dsm_kobj *k, const struct dsm_kattr *a,
			       unsigned int percent, char *buf)
{
	struct dsm_hist_sum sum;

	dsm_hist_read(k->cluster, a->arg, &sum);
	return sysfs_emit(buf, "%llu\n", dsm_hist_percentile(&sum, percent));
}

static ssize_t hist_p50_ns_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	return hist_percentile(k, a, 50, buf);
}

static ssize_t hist_p90_ns_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	return hist_percentile(k, a, 90, buf);
}

static ssize_t hist_p99_ns_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	return hist_percentile(k, a, 99, buf);
}

static ssize_t hist_histogram_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				   char *buf)
{
	struct dsm_hist_sum sum;
	int len = 0;

	dsm_hist_read(k->cluster, a->arg, &sum);
	for (int i = 0; i < DSM_HIST_BUCKETS; i++)
		len += sysfs_emit_at(buf, len, "%s%llu", i ? " " : "",
				     sum.bucket[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}

#define HIST_NR_FILES	6

#define HIST_FILE(file, hist) {						\
	.attr = { .name = #file, .mode = 0444 },			\
	.show = hist_##file##_show,					\
	.arg = DSM_HIST_##hist,						\
}

static struct dsm_kattr hist_attr[DSM_NR_HISTS][HIST_NR_FILES] = {
#define X(hist, text)							\
	[DSM_HIST_##hist] = {						\
		HIST_FILE(count, hist),					\
		HIST_FILE(sum_ns, hist),				\
		HIST_FILE(p50_ns, hist),				\
		HIST_FILE(p90_ns, hist),				\
		HIST_FILE(p99_ns, hist),				\
		HIST_FILE(histogram, hist),				\
	},
	DSM_HISTS(X)
#undef X
};

static struct attribute *hist_attrs[DSM_NR_HISTS][HIST_NR_FILES + 1] = {
#define X(hist, text)							\
	[DSM_HIST_##hist] = {						\
		&hist_attr[DSM_HIST_##hist][0].attr,			\
		&hist_attr[DSM_HIST_##hist][1].attr,			\
		&hist_attr[DSM_HIST_##hist][2].attr,			\
		&hist_attr[DSM_HIST_##hist][3].attr,			\
		&hist_attr[DSM_HIST_##hist][4].attr,			\
		&hist_attr[DSM_HIST_##hist][5].attr,			\
	},
	DSM_HISTS(X)
#undef X
};

/* A group is a directory with the name of the histogram. */
static const struct attribute_group hist_group[DSM_NR_HISTS] = {
#define X(hist, text)							\
	[DSM_HIST_##hist] = {						\
		.name = #hist,						\
		.attrs = hist_attrs[DSM_HIST_##hist],			\
	},
	DSM_HISTS(X)
#undef X
};

static const struct attribute_group *latency_groups[] = {
#define X(hist, text) &hist_group[DSM_HIST_##hist],
	DSM_HISTS(X)
#undef X
	NULL,
};

DSM_KTYPE(latency);
