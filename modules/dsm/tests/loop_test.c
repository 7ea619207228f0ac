// SPDX-License-Identifier: GPL-2.0
/*
 * Three nodes in one kernel: who holds a page and who has to give it up, seen
 * from inside.  What a page goes through must be the same however often the
 * connections break (loop_drop_ppm), as frames arrive once and in order.
 */
#include <linux/pagemap.h>

#include "tests/test.h"

static struct dsm_test_nodes nodes;

static int loop_init(struct kunit_suite *suite)
{
	return dsm_test_nodes_up(&nodes);
}

static void loop_exit(struct kunit_suite *suite)
{
	dsm_test_nodes_down(&nodes);
}

/* What a counter of a node has gone up by. */
struct counter {
	struct dsm_cluster *c;
	enum dsm_stat stat;
	u64 before;
};

static struct counter count_from_now(unsigned int node, enum dsm_stat stat)
{
	struct dsm_cluster *c = nodes.c[node];

	return (struct counter){ c, stat, dsm_stats_sum(c, stat) };
}

static u64 counted(const struct counter *k)
{
	return dsm_stats_sum(k->c, k->stat) - k->before;
}

static u8 state(struct dsm_test_file *f, unsigned int node, u64 index)
{
	return dsm_test_page_state(f->r[node], index);
}

/* The entry at home, when nothing is under way any more. */
static struct dsm_dir directory(struct kunit *test, struct dsm_test_file *f,
				u64 index)
{
	struct dsm_dir d;

	dsm_test_agree(test, f, index);
	dsm_dir_init(&d);
	dsm_test_dir(f->r[dsm_region_home(f->r[0], index)], index, &d);
	return d;
}

/* ---- placement ---- */

static void homes_are_spread(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "homes");

	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		KUNIT_EXPECT_EQ(test, 0, dsm_region_home(f->r[i], 0));
		KUNIT_EXPECT_EQ(test, 0, dsm_region_home(f->r[i], DSM_TEST_UNIT - 1));
		KUNIT_EXPECT_EQ(test, 1, dsm_region_home(f->r[i], DSM_TEST_UNIT));
		KUNIT_EXPECT_EQ(test, 2, dsm_region_home(f->r[i], 2 * DSM_TEST_UNIT));
		KUNIT_EXPECT_EQ(test, 0, dsm_region_home(f->r[i], 3 * DSM_TEST_UNIT));
	}
}

/* ---- what a miss does ---- */

static void read_of_what_was_never_written(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "zero");
	struct counter pages = count_from_now(1, DSM_STAT_page_received);
	struct counter zeroes = count_from_now(1, DSM_STAT_zero_granted);
	struct dsm_dir d;

	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], 3, 0));
	KUNIT_EXPECT_EQ(test, DSM_PS_S, state(f, 1, 3));
	KUNIT_EXPECT_EQ(test, 0, counted(&pages));
	KUNIT_EXPECT_EQ(test, 1, counted(&zeroes));
	d = directory(test, f, 3);
	KUNIT_EXPECT_EQ(test, DSM_DS_ZS, d.state);
	KUNIT_EXPECT_TRUE(test, dsm_nodeset_has(&d.set, 1));
}

static void read_miss(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "read");

	/* The owner is home, someone else, and the reader is home. */
	for (unsigned int home = 0; home < DSM_TEST_NODES; home++) {
		struct counter pages = count_from_now(1, DSM_STAT_page_received);
		struct counter downs = count_from_now(2, DSM_STAT_downgrade);
		u64 index = home * DSM_TEST_UNIT;
		struct dsm_dir d;

		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], index, 5));
		KUNIT_EXPECT_EQ(test, DSM_PS_E, state(f, 2, index));
		d = directory(test, f, index);
		KUNIT_EXPECT_EQ(test, DSM_DS_E, d.state);
		KUNIT_EXPECT_EQ(test, 2, d.owner);
		KUNIT_ASSERT_EQ(test, 0, dsm_test_read(f->r[1], index, 5));
		KUNIT_EXPECT_EQ(test, DSM_PS_S, state(f, 1, index));
		KUNIT_EXPECT_EQ(test, DSM_PS_S, state(f, 2, index));
		KUNIT_EXPECT_EQ(test, 1, counted(&pages));
		/* Not by a message if the owner is home. */
		KUNIT_EXPECT_EQ(test, home == 2 ? 0 : 1, counted(&downs));
		d = directory(test, f, index);
		KUNIT_EXPECT_EQ(test, DSM_DS_S, d.state);
		KUNIT_EXPECT_TRUE(test, dsm_nodeset_has(&d.set, 1));
		KUNIT_EXPECT_TRUE(test, dsm_nodeset_has(&d.set, 2));
		KUNIT_EXPECT_EQ_MSG(test, 0, dsm_test_read(f->r[1], index, 5),
				    "it is there now");
		KUNIT_EXPECT_EQ(test, 1, counted(&pages));
	}
}

static void write_miss_takes_it_from_all(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "write");

	for (unsigned int home = 0; home < DSM_TEST_NODES; home++) {
		u64 index = home * DSM_TEST_UNIT + 7;
		struct dsm_dir d;

		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], index, 5));
		KUNIT_ASSERT_EQ(test, 0, dsm_test_read(f->r[1], index, 5));
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[0], index, 6));
		KUNIT_EXPECT_EQ(test, DSM_PS_E, state(f, 0, index));
		KUNIT_EXPECT_EQ(test, DSM_PS_I, state(f, 1, index));
		KUNIT_EXPECT_EQ(test, DSM_PS_I, state(f, 2, index));
		d = directory(test, f, index);
		KUNIT_EXPECT_EQ(test, DSM_DS_E, d.state);
		KUNIT_EXPECT_EQ(test, 0, d.owner);
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], index, 6));
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[2], index, 6));
		dsm_test_agree(test, f, index);
	}
}

static void upgrade_moves_no_page(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "upgrade");
	struct counter pages, upgrades, invs;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], 1, 5));
	KUNIT_ASSERT_EQ(test, 0, dsm_test_read(f->r[1], 1, 5));
	dsm_test_agree(test, f, 1);
	pages = count_from_now(1, DSM_STAT_page_received);
	upgrades = count_from_now(1, DSM_STAT_fault_upgrade);
	invs = count_from_now(2, DSM_STAT_inv_received);
	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[1], 1, 6));
	KUNIT_EXPECT_EQ(test, DSM_PS_E, state(f, 1, 1));
	KUNIT_EXPECT_EQ(test, DSM_PS_I, state(f, 2, 1));
	KUNIT_EXPECT_EQ(test, 0, counted(&pages));
	KUNIT_EXPECT_EQ(test, 1, counted(&upgrades));
	KUNIT_EXPECT_EQ(test, 1, counted(&invs));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], 1, 6));
	dsm_test_agree(test, f, 1);
}

/* ---- a right lasts as long as it is used ---- */

static void locked_page_is_not_taken_away(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "locked");
	struct dsm_test_worker w;
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], 1, 5));
	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 1, DSM_RIGHT_READ, 0, &page));
	dsm_test_fork(&w, dsm_test_write, f->r[0], 1, 6);
	KUNIT_EXPECT_FALSE(test, dsm_test_is_done(&w, DSM_TEST_NEVER_MS));
	KUNIT_EXPECT_EQ(test, 5, *(u64 *)page_address(page));
	unlock_page(page);
	put_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_join(&w));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], 1, 6));
}

/* What holds a reference may read or write the page, so it is waited for. */
static void pinned_page_is_not_taken_away(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "pinned");
	struct counter waits = count_from_now(1, DSM_STAT_revoke_wait);
	struct dsm_test_worker w;
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 1, DSM_RIGHT_WRITE, 0, &page));
	unlock_page(page);
	dsm_test_fork(&w, dsm_test_read, f->r[0], 1, 8);
	KUNIT_EXPECT_FALSE(test, dsm_test_is_done(&w, DSM_TEST_NEVER_MS));
	KUNIT_EXPECT_GT(test, counted(&waits), 0);
	memset64(page_address(page), 8, PAGE_SIZE / sizeof(u64));
	put_page(page);
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_test_join(&w), "written by DMA, so to say");
}

static void who_waits_too_long_gives_up(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "timeout");
	struct counter timeouts = count_from_now(0, DSM_STAT_fault_timeout);
	u32 *ms = &nodes.c[0]->knobs.fault_timeout_ms;
	struct page *page;
	u32 old = *ms;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[1], 1, 5));
	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 1, DSM_RIGHT_READ, 0, &page));
	unlock_page(page);
	WRITE_ONCE(*ms, DSM_TEST_NEVER_MS);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, dsm_test_write(f->r[0], 1, 6));
	WRITE_ONCE(*ms, old);
	KUNIT_EXPECT_EQ(test, 1, counted(&timeouts));
	put_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], 1, 5));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(f->r[0], 1, 6));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], 1, 6));
	dsm_test_agree(test, f, 1);
}

static int acquire_nowait(struct dsm_region *r, u64 index)
{
	struct page *page;
	int err = dsm_page_acquire(r, index, DSM_RIGHT_READ, DSM_GET_NOWAIT, &page);

	if (err)
		return err;
	unlock_page(page);
	put_page(page);
	return 0;
}

static void nowait_starts_the_fetch(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "nowait");
	struct counter pages = count_from_now(1, DSM_STAT_page_received);

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], 1, 5));
	KUNIT_EXPECT_EQ(test, -EAGAIN, acquire_nowait(f->r[1], 1));
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(!acquire_nowait(f->r[1], 1)));
	KUNIT_EXPECT_EQ(test, 1, counted(&pages));
}

#define SHORT_US	20000

/* Pinned, it comes only later; then the wait was short, and no reason to give up. */
static void a_short_wait(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "soon");
	struct counter timeouts = count_from_now(2, DSM_STAT_fault_timeout);
	u32 long_us = DSM_TEST_WAIT_MS * USEC_PER_MSEC;
	struct page *page;
	ktime_t start;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], 1, 5));
	KUNIT_EXPECT_EQ(test, 0, dsm_page_wait_soon(f->r[1], 1, DSM_RIGHT_READ, long_us));
	KUNIT_EXPECT_EQ(test, DSM_PS_S, state(f, 1, 1));

	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 2, DSM_RIGHT_WRITE, 0, &page));
	start = ktime_get();
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			dsm_page_wait_soon(f->r[2], 2, DSM_RIGHT_WRITE, SHORT_US));
	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), start), SHORT_US);
	unlock_page(page);
	put_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_page_wait_soon(f->r[2], 2, DSM_RIGHT_WRITE, long_us));
	KUNIT_EXPECT_EQ(test, 0, counted(&timeouts));
}

static void prefetch_fetches(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "prefetch");
	struct counter sent = count_from_now(1, DSM_STAT_prefetch_sent);
	struct counter hits = count_from_now(1, DSM_STAT_prefetch_hit);
	struct counter faults = count_from_now(1, DSM_STAT_fault_read);

	for (u64 i = 0; i < 8; i++)
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], i, i + 1));
	dsm_page_prefetch(f->r[1], 0, 8);
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(dsm_region_nr_resident(f->r[1]) == 8));
	for (u64 i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], i, i + 1));
	KUNIT_EXPECT_EQ(test, 8, counted(&sent));
	KUNIT_EXPECT_EQ(test, 8, counted(&hits));
	KUNIT_EXPECT_EQ(test, 0, counted(&faults));
}

/* As a fault does. */
static int write_ahead(struct dsm_region *r, u64 index)
{
	dsm_prefetch_ahead(r, index, DSM_RIGHT_WRITE, 64);
	return dsm_test_write(r, index, index + 1);
}

static void prefetch_follows_a_writer(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "writer");
	struct counter sent = count_from_now(1, DSM_STAT_prefetch_sent);
	struct counter hits = count_from_now(1, DSM_STAT_prefetch_hit);

	nodes.c[1]->knobs.write_ahead_pages = 16;
	for (u64 i = 0; i < 64; i++)
		KUNIT_ASSERT_EQ(test, 0, write_ahead(f->r[1], i));
	nodes.c[1]->knobs.write_ahead_pages = 0;
	/* From the third one, which is the second step, to the end. */
	KUNIT_EXPECT_EQ(test, 62, counted(&sent));
	KUNIT_EXPECT_EQ(test, 62, counted(&hits));
	for (u64 i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[2], i, i + 1));
}

/* What is fetched already is more than the window is now. */
static void prefetch_of_a_lowered_knob(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "lowered");
	struct counter sent = count_from_now(1, DSM_STAT_prefetch_sent);
	u64 i;

	nodes.c[1]->knobs.write_ahead_pages = 32;
	for (i = 0; i < 12; i++)
		KUNIT_ASSERT_EQ(test, 0, write_ahead(f->r[1], i));
	nodes.c[1]->knobs.write_ahead_pages = 2;
	for (; i < 24; i++)
		KUNIT_ASSERT_EQ(test, 0, write_ahead(f->r[1], i));
	nodes.c[1]->knobs.write_ahead_pages = 0;
	KUNIT_EXPECT_LE(test, counted(&sent), 12 + 32);
}

static void prefetch_lets_a_writer_skip(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "skips");
	struct counter sent = count_from_now(1, DSM_STAT_prefetch_sent);

	nodes.c[1]->knobs.write_ahead_pages = 16;
	for (u64 i = 0; i < 64; i += 2)
		KUNIT_ASSERT_EQ(test, 0, write_ahead(f->r[1], i));
	nodes.c[1]->knobs.write_ahead_pages = 0;
	KUNIT_EXPECT_EQ(test, 0, counted(&sent));
}

static void no_one_loses_pages_to_a_writer_ahead(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "loses");
	struct counter sent = count_from_now(1, DSM_STAT_prefetch_sent);

	for (u64 i = 0; i < 8; i++)
		KUNIT_ASSERT_EQ(test, 0, write_ahead(f->r[1], i));
	KUNIT_EXPECT_EQ_MSG(test, 0, counted(&sent), "unless it is asked for");
}

static void untouched_pages_are_the_homes(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "untouched");
	const u64 written = DSM_TEST_UNIT, read = written + 1, untouched = written + 2;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], written, 7));
	KUNIT_ASSERT_EQ(test, 0, dsm_test_read(f->r[2], read, 0));
	dsm_prefetch_untouched(f->r[1], 0);
	for (u64 i = written; i <= untouched; i++)
		dsm_prefetch_untouched(f->r[1], i);
	KUNIT_EXPECT_EQ_MSG(test, DSM_PS_I, dsm_test_page_state(f->r[1], 0), "has another home");
	KUNIT_EXPECT_EQ(test, DSM_PS_I, dsm_test_page_state(f->r[1], written));
	KUNIT_EXPECT_EQ(test, DSM_PS_I, dsm_test_page_state(f->r[1], read));
	KUNIT_EXPECT_EQ(test, DSM_PS_E, dsm_test_page_state(f->r[1], untouched));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], untouched, 0));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], written, 7));
	dsm_test_agree(test, f, untouched + 1);
}

/* ---- everyone at once ---- */

#define ROUNDS	300

static int add_many(struct dsm_region *r, u64 index, u64 rounds)
{
	int err = 0;

	while (!err && rounds--) {
		err = dsm_test_add(r, index);
		cond_resched();
	}
	return err;
}

static void no_increment_is_lost(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "sum");
	struct dsm_test_worker w[DSM_TEST_NODES];
	struct page *page;

	for (unsigned int i = 0; i < DSM_TEST_NODES; i++)
		dsm_test_fork(&w[i], add_many, f->r[i], 1, ROUNDS);
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_join(&w[i]));
	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 1, DSM_RIGHT_READ, 0, &page));
	KUNIT_EXPECT_EQ(test, DSM_TEST_NODES * ROUNDS, *(u64 *)page_address(page));
	unlock_page(page);
	put_page(page);
	dsm_test_agree(test, f, 1);
}

static struct kunit_case loop_cases[] = {
	KUNIT_CASE(homes_are_spread),
	KUNIT_CASE(read_of_what_was_never_written),
	KUNIT_CASE(read_miss),
	KUNIT_CASE(write_miss_takes_it_from_all),
	KUNIT_CASE(upgrade_moves_no_page),
	KUNIT_CASE(locked_page_is_not_taken_away),
	KUNIT_CASE(pinned_page_is_not_taken_away),
	KUNIT_CASE(who_waits_too_long_gives_up),
	KUNIT_CASE(nowait_starts_the_fetch),
	KUNIT_CASE(a_short_wait),
	KUNIT_CASE(prefetch_fetches),
	KUNIT_CASE(prefetch_follows_a_writer),
	KUNIT_CASE(prefetch_of_a_lowered_knob),
	KUNIT_CASE(prefetch_lets_a_writer_skip),
	KUNIT_CASE(no_one_loses_pages_to_a_writer_ahead),
	KUNIT_CASE(untouched_pages_are_the_homes),
	KUNIT_CASE(no_increment_is_lost),
	{}
};

struct kunit_suite dsm_loop_suite = {
	.name = "dsm_loop",
	.suite_init = loop_init,
	.suite_exit = loop_exit,
	.test_cases = loop_cases,
};
