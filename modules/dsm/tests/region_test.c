// SPDX-License-Identifier: GPL-2.0
/* Regions, their records and pages, on a node that is home of everything. */
#include <linux/pagemap.h>

#include "node.h"
#include "tests/test.h"

static struct dsm_cluster *alone(struct kunit *test)
{
	return dsm_test_cluster(test, 0, 1, &dsm_loop_ops);
}

/* ---- finding ---- */

static void found_by_id(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 5, 0), *found;

	found = dsm_region_find(c, 5);
	KUNIT_ASSERT_PTR_EQ(test, r, found);
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&r->refs));
	dsm_region_put(found);
	KUNIT_EXPECT_NULL(test, dsm_region_find(c, 6));
	KUNIT_EXPECT_EQ(test, 5, c->max_region);
	dsm_test_region(test, c, 4, 0);
	KUNIT_EXPECT_EQ(test, 5, c->max_region);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			PTR_ERR(dsm_region_create(c, 5, 1, &r->place)));
}

static void gone_when_destroyed(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 5, 0), *gone;
	struct dsm_place *pl = kunit_kzalloc(test, sizeof(*pl), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pl);
	dsm_region_get_place(r, pl);
	gone = dsm_region_create(c, 6, 1, pl);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gone);
	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(gone, 3, 1));
	KUNIT_ASSERT_PTR_EQ(test, gone, dsm_region_find(c, 6));
	dsm_region_destroy(gone);
	KUNIT_EXPECT_NULL(test, dsm_region_find(c, 6));
	KUNIT_EXPECT_EQ_MSG(test, 0, atomic_long_read(&c->nr_resident),
			    "its pages are freed at once");
	KUNIT_EXPECT_EQ(test, -ESTALE, dsm_test_read(gone, 3, 1));
	dsm_region_put(gone);
}

/* ---- placement ---- */

static void home_follows_the_place(struct kunit *test)
{
	struct dsm_cluster *c = dsm_test_cluster(test, 0, 8, &dsm_loop_ops);
	struct dsm_region *r = dsm_test_region(test, c, 1, 3);
	struct dsm_place *pl = kunit_kzalloc(test, sizeof(*pl), GFP_KERNEL);
	struct dsm_place *got = kunit_kzalloc(test, sizeof(*got), GFP_KERNEL);

	KUNIT_ASSERT_TRUE(test, pl && got);
	KUNIT_EXPECT_EQ(test, 3, dsm_region_home(r, 0));
	KUNIT_EXPECT_EQ(test, 3, dsm_region_home(r, U64_MAX));
	dsm_region_get_place(r, pl);
	KUNIT_ASSERT_EQ(test, DSM_V_OK,
			dsm_place_set(pl, 16, 16, DSM_POLICY_BLOCK, 4, 0));
	KUNIT_ASSERT_EQ(test, DSM_V_OK,
			dsm_place_set(pl, 32, 16, DSM_POLICY_INTERLEAVE, 0, 0));
	dsm_region_set_place(r, pl);
	KUNIT_EXPECT_EQ(test, 3, dsm_region_home(r, 15));
	KUNIT_EXPECT_EQ(test, 16 / 4 % 8, dsm_region_home(r, 16));
	KUNIT_EXPECT_EQ(test, 31 / 4 % 8, dsm_region_home(r, 31));
	KUNIT_EXPECT_EQ(test, 33 % 8, dsm_region_home(r, 33));
	KUNIT_EXPECT_EQ(test, 3, dsm_region_home(r, 48));
	dsm_region_rehome(r, 3, 6);
	KUNIT_EXPECT_EQ(test, 6, dsm_region_home(r, 0));
	KUNIT_EXPECT_EQ(test, 6, dsm_region_home(r, 35));
	KUNIT_EXPECT_EQ(test, 4, dsm_region_home(r, 36));
	dsm_region_get_place(r, got);
	for (u64 i = 0; i < 64; i++) {
		KUNIT_EXPECT_NE(test, 3, dsm_region_home(r, i));
		KUNIT_EXPECT_EQ(test, dsm_place_home(got, i), dsm_region_home(r, i));
	}
}

static int flip_homes(struct dsm_region *r, u64 index, u64 rounds)
{
	while (rounds--) {
		dsm_region_rehome(r, 3, 6);
		dsm_region_rehome(r, 6, 3);
		cond_resched();
	}
	return 0;
}

static void home_while_the_place_changes(struct kunit *test)
{
	struct dsm_cluster *c = dsm_test_cluster(test, 0, 8, &dsm_loop_ops);
	struct dsm_region *r = dsm_test_region(test, c, 1, 3);
	struct dsm_test_worker w;
	u64 index = 0;

	dsm_test_fork(&w, flip_homes, r, 0, 2000);
	while (!dsm_test_is_done(&w, 0)) {
		u16 home = dsm_region_home(r, index++);

		KUNIT_EXPECT_TRUE(test, home == 3 || home == 6);
		cond_resched();
	}
	dsm_test_join(&w);
}

/* ---- records ---- */

static void records_are_found_again(struct kunit *test)
{
	struct dsm_region *r = dsm_test_region(test, alone(test), 1, 0);
	static const u64 index[] = { 0, 7, 63, 64, 1ULL << 40, U64_MAX };
	struct dsm_entry *e[ARRAY_SIZE(index)], *next;
	u64 at = 0;

	KUNIT_EXPECT_FALSE(test, dsm_region_touched(r));
	KUNIT_EXPECT_NULL(test, dsm_entry_next(r, 0));
	for (int i = 0; i < ARRAY_SIZE(index); i++) {
		KUNIT_EXPECT_NULL(test, dsm_entry_find(r, index[i]));
		e[i] = dsm_entry_get(r, index[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, e[i]);
		KUNIT_EXPECT_EQ(test, index[i], e[i]->index);
		next = dsm_entry_get(r, index[i], GFP_KERNEL);
		KUNIT_EXPECT_PTR_EQ(test, e[i], next);
		dsm_entry_put(next);
	}
	KUNIT_EXPECT_TRUE(test, dsm_region_touched(r));
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(index), atomic_long_read(&r->nr_entries));
	for (int i = 0; i < ARRAY_SIZE(index); i++) {
		next = dsm_entry_next(r, at);
		KUNIT_EXPECT_PTR_EQ(test, e[i], next);
		at = next->index + 1;
		dsm_entry_put(next);
	}
	for (int i = 0; i < ARRAY_SIZE(index); i++)
		dsm_entry_put(e[i]);
}

static void prune(struct dsm_entry *e)
{
	spin_lock_bh(&e->lock);
	dsm_entry_prune_locked(e);
	spin_unlock_bh(&e->lock);
}

static void records_that_say_nothing_go(struct kunit *test)
{
	struct dsm_region *r = dsm_test_region(test, alone(test), 1, 0);
	struct dsm_entry *e = dsm_entry_get(r, 9, GFP_KERNEL), *other;

	KUNIT_ASSERT_NOT_NULL(test, e);
	other = dsm_entry_find(r, 9);
	KUNIT_ASSERT_PTR_EQ(test, e, other);
	prune(e);
	KUNIT_EXPECT_FALSE_MSG(test, test_bit(DSM_EF_DEAD, &e->flags),
			       "someone else uses it");
	dsm_entry_put(other);
	prune(e);
	KUNIT_EXPECT_TRUE(test, test_bit(DSM_EF_DEAD, &e->flags));
	KUNIT_EXPECT_NULL(test, dsm_entry_find(r, 9));
	dsm_entry_put(e);
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&r->nr_entries));

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, 9, 1));
	e = dsm_entry_find(r, 9);
	KUNIT_ASSERT_NOT_NULL(test, e);
	prune(e);
	KUNIT_EXPECT_FALSE_MSG(test, test_bit(DSM_EF_DEAD, &e->flags),
			       "it has a copy");
	dsm_entry_put(e);
}

/* ---- pages ---- */

static void frames_are_counted_in_the_page(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	page->private = 0;
	KUNIT_EXPECT_EQ(test, 0, dsm_page_tx_count(page));
	dsm_page_tx_get(page);
	dsm_page_tx_get(page);
	KUNIT_EXPECT_EQ(test, 2, dsm_page_tx_count(page));
	KUNIT_EXPECT_EQ(test, 3, page_ref_count(page));
	dsm_page_tx_put(page);
	KUNIT_EXPECT_EQ(test, 1, dsm_page_tx_count(page));
	KUNIT_EXPECT_EQ(test, 2, page_ref_count(page));
	dsm_page_tx_put(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_page_tx_count(page));
	put_page(page);
}

static void what_was_never_written_is_zero(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 1, 0);

	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, 123, 0));
	KUNIT_EXPECT_EQ(test, DSM_PS_S, dsm_test_page_state(r, 123));
	KUNIT_EXPECT_EQ(test, 1, dsm_region_nr_resident(r));
	KUNIT_EXPECT_EQ(test, 1, dsm_stats_sum(c, DSM_STAT_zero_granted));
	KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(c, DSM_STAT_msg_sent));
}

static void what_was_written_stays(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 1, 0);

	for (u64 i = 0; i < 100; i++)
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, i * i, i + 1));
	for (u64 i = 0; i < 100; i++) {
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, i * i, i + 1));
		KUNIT_EXPECT_EQ(test, DSM_PS_E, dsm_test_page_state(r, i * i));
	}
	KUNIT_EXPECT_EQ(test, 100, dsm_region_nr_resident(r));
	KUNIT_EXPECT_EQ(test, 100, atomic_long_read(&c->nr_resident));
}

static void nowait_does_not_wait(struct kunit *test)
{
	struct dsm_region *r = dsm_test_region(test, alone(test), 1, 0);
	struct page *page, *again;

	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(r, 0, DSM_RIGHT_WRITE, 0, &page));
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			dsm_page_acquire(r, 0, DSM_RIGHT_READ, DSM_GET_NOWAIT, &again));
	unlock_page(page);
	KUNIT_EXPECT_EQ(test, 0,
			dsm_page_acquire(r, 0, DSM_RIGHT_READ, DSM_GET_NOWAIT, &again));
	KUNIT_EXPECT_PTR_EQ(test, page, again);
	KUNIT_EXPECT_TRUE(test, PageLocked(again));
	unlock_page(again);
	put_page(again);
	put_page(page);
}

static void zap_makes_zero(struct kunit *test)
{
	struct dsm_region *r = dsm_test_region(test, alone(test), 1, 0);

	for (u64 i = 0; i < 10; i++)
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, i, i + 1));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(r, 3, 4));
	KUNIT_EXPECT_EQ(test, 6, dsm_region_nr_resident(r));
	for (u64 i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, 0,
				dsm_test_read(r, i, i < 3 || i > 6 ? i + 1 : 0));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(r, 9, U64_MAX));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, 9, 0));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(r, 0, U64_MAX));
	KUNIT_EXPECT_EQ(test, 0, dsm_region_nr_resident(r));
	KUNIT_EXPECT_FALSE(test, dsm_region_touched(r));
}

static void zap_takes_the_page_from_nobody_who_uses_it(struct kunit *test)
{
	struct dsm_region *r = dsm_test_region(test, alone(test), 1, 0);
	struct page *page;
	u64 *word;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, 0, 7));
	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(r, 0, DSM_RIGHT_READ, 0, &page));
	unlock_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(r, 0, 1));
	word = page_address(page);
	KUNIT_EXPECT_EQ_MSG(test, 7, *word, "it is another page now");
	KUNIT_EXPECT_NULL(test, page->mapping);
	put_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, 0, 0));
}

/* ---- memory ---- */

static void last_copies_stay(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 1, 0);

	c->knobs.evict_timeout_ms = 10;
	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(r, 1, 11));
	KUNIT_ASSERT_EQ(test, 0, dsm_test_read(r, 2, 0));
	KUNIT_EXPECT_EQ(test, -EBUSY, dsm_page_evict_range(r, 0, 10));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, 1, 11));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, 2, 0));
	KUNIT_EXPECT_EQ(test, 0, dsm_page_evict_range(r, 3, U64_MAX));
}

static void full_is_full(struct kunit *test)
{
	struct dsm_cluster *c = alone(test);
	struct dsm_region *r = dsm_test_region(test, c, 1, 0);
	u64 nr = 0;
	int err;

	c->knobs.memory_limit_mb = 1;
	do {
		err = dsm_test_write(r, nr, nr + 1);
	} while (!err && ++nr < 1000);
	KUNIT_EXPECT_EQ(test, -ENOSPC, err);
	KUNIT_EXPECT_EQ_MSG(test, 320, nr, "a quarter above its limit");
	while (nr--)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(r, nr, nr + 1));
	/* What was given back is there to be used. */
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(r, 0, 100));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(r, 1000, 5));
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE(found_by_id),
	KUNIT_CASE(gone_when_destroyed),
	KUNIT_CASE(home_follows_the_place),
	KUNIT_CASE(home_while_the_place_changes),
	KUNIT_CASE(records_are_found_again),
	KUNIT_CASE(records_that_say_nothing_go),
	KUNIT_CASE(frames_are_counted_in_the_page),
	KUNIT_CASE(what_was_never_written_is_zero),
	KUNIT_CASE(what_was_written_stays),
	KUNIT_CASE(nowait_does_not_wait),
	KUNIT_CASE(zap_makes_zero),
	KUNIT_CASE(zap_takes_the_page_from_nobody_who_uses_it),
	KUNIT_CASE_SLOW(last_copies_stay),
	KUNIT_CASE_SLOW(full_is_full),
	{}
};

struct kunit_suite dsm_region_suite = {
	.name = "dsm_region",
	.test_cases = region_cases,
};
