// SPDX-License-Identifier: GPL-2.0
/*
 * Want of memory where a step finds it, with the lock of a record held: one allocation
 * of this thread is made to fail.  The selftests failinject and failstorm do it at large.
 */
#include <linux/sched.h>

#include "node.h"
#include "tests/test.h"

#ifdef CONFIG_FAILSLAB

/* A step at home allocates the directory entry and its busy record. */
#define STEP_ALLOCS	2

static void fail(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

static bool has_failed(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	fail(0);
	return failed;
}

/* A record that says nothing, with a reference, on a node that is home of it. */
static struct dsm_entry *empty_record(struct kunit *test, u16 nr_nodes)
{
	struct dsm_cluster *c = dsm_test_cluster(test, 0, nr_nodes, &dsm_loop_ops);
	struct dsm_entry *e = dsm_entry_get(dsm_test_region(test, c, 1, 0), 3, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, e);
	return e;
}

static void a_fault_waits_for_memory(struct kunit *test)
{
	for (unsigned int nth = 1; nth <= STEP_ALLOCS; nth++) {
		struct dsm_entry *e = empty_record(test, 1);
		int err;

		fail(nth);
		err = dsm_test_write(e->region, e->index, 7);
		KUNIT_EXPECT_TRUE(test, has_failed());
		KUNIT_EXPECT_EQ_MSG(test, 0, err, "allocation %u", nth);
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(e->region, e->index, 7));
		dsm_entry_put(e);
	}
}

static void who_may_not_wait_comes_back(struct kunit *test)
{
	struct dsm_entry *e = empty_record(test, 1);
	struct page *page;
	int err;

	fail(1);
	err = dsm_page_acquire(e->region, e->index, DSM_RIGHT_WRITE, DSM_GET_NOWAIT, &page);
	KUNIT_EXPECT_TRUE(test, has_failed());
	KUNIT_EXPECT_EQ(test, -EAGAIN, err);
	KUNIT_EXPECT_EQ(test, DSM_PS_I, dsm_test_page_state(e->region, e->index));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(e->region, e->index, 7));
	dsm_entry_put(e);
}

static void a_reserve_is_the_next_step_s(struct kunit *test)
{
	struct dsm_entry *e = empty_record(test, 1);
	int err;

	KUNIT_ASSERT_EQ(test, 0, dsm_entry_reserve(e));
	spin_lock_bh(&e->lock);
	fail(1);
	err = dsm_entry_ask_locked(e, DSM_RIGHT_WRITE, 0, 0);
	KUNIT_EXPECT_FALSE(test, has_failed());
	spin_unlock_bh(&e->lock);
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(e->region, e->index, 7));
	dsm_entry_put(e);
}

static void no_directory_where_home_is_not(struct kunit *test)
{
	struct dsm_cluster *c = dsm_test_cluster(test, 0, 2, &dsm_loop_ops);
	struct dsm_entry *e = dsm_entry_get(dsm_test_region(test, c, 1, 1), 3, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, e);
	KUNIT_EXPECT_EQ(test, 0, dsm_entry_reserve(e));
	KUNIT_EXPECT_NULL(test, e->dir);
	dsm_entry_put(e);
}

static void a_prefetch_not_sent_is_none(struct kunit *test)
{
	struct dsm_entry *e = empty_record(test, 1);
	struct dsm_cluster *c = e->region->cluster;

	fail(1);
	dsm_page_prefetch(e->region, e->index, 1);
	KUNIT_EXPECT_TRUE(test, has_failed());
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(e->region, e->index, 7));
	KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(c, DSM_STAT_prefetch_sent));
	KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(c, DSM_STAT_prefetch_hit));
	dsm_entry_put(e);
}

static void no_directory_is_left_behind(struct kunit *test)
{
	struct dsm_entry *e = empty_record(test, 2);
	struct dsm_region *r = e->region;
	struct dsm_dir dir;
	int err;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, e->index, 7));
	fail(1);
	err = dsm_region_handoff(r, 1);
	KUNIT_EXPECT_TRUE(test, has_failed());
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_ASSERT_TRUE(test, dsm_test_dir(r, e->index, &dir));
	KUNIT_EXPECT_EQ(test, DSM_DS_MOVED, dir.state);
	dsm_entry_put(e);
}

static struct kunit_case memory_cases[] = {
	KUNIT_CASE(a_fault_waits_for_memory),
	KUNIT_CASE(who_may_not_wait_comes_back),
	KUNIT_CASE(a_reserve_is_the_next_step_s),
	KUNIT_CASE(no_directory_where_home_is_not),
	KUNIT_CASE(a_prefetch_not_sent_is_none),
	KUNIT_CASE(no_directory_is_left_behind),
	{}
};

#else

static void no_allocation_can_fail(struct kunit *test)
{
	kunit_skip(test, "CONFIG_FAILSLAB is off");
}

static struct kunit_case memory_cases[] = {
	KUNIT_CASE(no_allocation_can_fail),
	{}
};

#endif

struct kunit_suite dsm_memory_suite = {
	.name = "dsm_memory",
	.test_cases = memory_cases,
};
