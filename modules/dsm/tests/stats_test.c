// SPDX-License-Identifier: GPL-2.0
/* Counters and histograms. */
#include "stats.h"
#include "tests/test.h"

static struct dsm_cluster *counted(struct kunit *test)
{
	return dsm_test_cluster(test, 0, 1, &dsm_loop_ops);
}

static void sum_is_over_all_cpus(struct kunit *test)
{
	struct dsm_cluster *c = counted(test);
	u64 want = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		per_cpu_ptr(c->stats, cpu)->count[DSM_STAT_evict] = cpu + 1;
		want += cpu + 1;
	}
	KUNIT_EXPECT_EQ(test, want, dsm_stats_sum(c, DSM_STAT_evict));
	dsm_count(c, evict);
	dsm_count_add(c, evict, 9);
	KUNIT_EXPECT_EQ(test, want + 10, dsm_stats_sum(c, DSM_STAT_evict));
	KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(c, DSM_STAT_evict_nak));
}

static void reset_begins_at_0(struct kunit *test)
{
	struct dsm_cluster *c = counted(test);
	struct dsm_hist_sum h;
	int cpu;

	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(c->stats, cpu), 0x55, sizeof(*c->stats));
	dsm_stats_reset(c);
	for (int i = 0; i < DSM_NR_STATS; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(c, i));
	for (int i = 0; i < DSM_NR_HISTS; i++) {
		dsm_hist_read(c, i, &h);
		KUNIT_EXPECT_EQ(test, 0, h.count);
		KUNIT_EXPECT_EQ(test, 0, h.sum_ns);
	}
}

static void bucket_is_the_power_of_2(struct kunit *test)
{
	static const struct {
		u64 ns;
		int bucket;
	} cases[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 1023, 9 },
		{ 1024, 10 }, { 1ULL << 39, 39 }, { 1ULL << 40, 39 }, { U64_MAX, 39 },
	};

	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsm_cluster *c = counted(test);
		struct dsm_hist_sum h;

		dsm_hist_add(c, DSM_HIST_revoke, cases[i].ns);
		dsm_hist_read(c, DSM_HIST_revoke, &h);
		KUNIT_EXPECT_EQ(test, 1, h.count);
		KUNIT_EXPECT_EQ(test, cases[i].ns, h.sum_ns);
		KUNIT_EXPECT_EQ_MSG(test, 1, h.bucket[cases[i].bucket], "%llu ns",
				    cases[i].ns);
		dsm_hist_read(c, DSM_HIST_evict, &h);
		KUNIT_EXPECT_EQ(test, 0, h.count);
	}
}

static void percentile_of_nothing_is_0(struct kunit *test)
{
	struct dsm_hist_sum h = {};

	KUNIT_EXPECT_EQ(test, 0, dsm_hist_percentile(&h, 1));
	KUNIT_EXPECT_EQ(test, 0, dsm_hist_percentile(&h, 100));
}

static void percentile_is_in_its_bucket(struct kunit *test)
{
	struct dsm_hist_sum h = { .count = 100, .bucket = { [10] = 90, [20] = 9, [30] = 1 } };

	KUNIT_EXPECT_GE(test, dsm_hist_percentile(&h, 1), 1ULL << 10);
	KUNIT_EXPECT_EQ(test, dsm_hist_percentile(&h, 90), (1ULL << 11) - 1);
	KUNIT_EXPECT_GE(test, dsm_hist_percentile(&h, 91), 1ULL << 20);
	KUNIT_EXPECT_EQ(test, dsm_hist_percentile(&h, 99), (1ULL << 21) - 1);
	KUNIT_EXPECT_EQ(test, dsm_hist_percentile(&h, 100), (1ULL << 31) - 1);
	for (unsigned int p = 2; p <= 100; p++)
		KUNIT_EXPECT_GE(test, dsm_hist_percentile(&h, p),
				dsm_hist_percentile(&h, p - 1));
}

static void percentile_of_many(struct kunit *test)
{
	struct dsm_hist_sum h = {
		.count = 1ULL << 50,
		.bucket = { [0] = 1ULL << 49, [39] = 1ULL << 49 },
	};

	KUNIT_EXPECT_EQ(test, 1, dsm_hist_percentile(&h, 50));
	KUNIT_EXPECT_EQ(test, (1ULL << 40) - 1, dsm_hist_percentile(&h, 100));
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(sum_is_over_all_cpus),
	KUNIT_CASE(reset_begins_at_0),
	KUNIT_CASE(bucket_is_the_power_of_2),
	KUNIT_CASE(percentile_of_nothing_is_0),
	KUNIT_CASE(percentile_is_in_its_bucket),
	KUNIT_CASE(percentile_of_many),
	{}
};

struct kunit_suite dsm_stats_suite = {
	.name = "dsm_stats",
	.test_cases = stats_cases,
};
