// SPDX-License-Identifier: GPL-2.0
/* Three nodes in one kernel: copies given up, pages made zero, names that go. */
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "meta.h"
#include "tests/test.h"

static struct dsm_test_nodes nodes;

static int evict_init(struct kunit_suite *suite)
{
	return dsm_test_nodes_up(&nodes);
}

static void evict_exit(struct kunit_suite *suite)
{
	dsm_test_nodes_down(&nodes);
}

static struct dsm_op *new_op(struct kunit *test, u8 type, u32 file)
{
	struct dsm_op *op = kunit_kzalloc(test, sizeof(*op), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, op);
	op->type = type;
	op->file = file;
	return op;
}

/* ---- eviction ---- */

static void one_of_many_copies(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "shared");

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], 1, 5));
	KUNIT_ASSERT_EQ(test, 0, dsm_test_read(f->r[1], 1, 5));
	KUNIT_EXPECT_EQ(test, 0, dsm_page_evict_range(f->r[1], 0, 2));
	KUNIT_EXPECT_EQ(test, DSM_PS_I, dsm_test_page_state(f->r[1], 1));
	KUNIT_EXPECT_EQ(test, 0, dsm_region_nr_resident(f->r[1]));
	KUNIT_EXPECT_EQ(test, DSM_PS_S, dsm_test_page_state(f->r[2], 1));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], 1, 5));
	dsm_test_agree(test, f, 1);
}

/* Whoever holds it, wherever its home is, the contents are somewhere. */
static void last_copy_goes_elsewhere(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "last");

	for (unsigned int home = 0; home < DSM_TEST_NODES; home++) {
		for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
			u64 index = home * DSM_TEST_UNIT + i;
			unsigned int reader = (i + 1) % DSM_TEST_NODES;

			KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[i], index, index + 1));
			KUNIT_EXPECT_TRUE_MSG(test, dsm_test_wait(!dsm_page_evict_range(f->r[i], index, 1)),
					      "home %u, owner %u", home, i);
			KUNIT_EXPECT_EQ(test, DSM_PS_I, dsm_test_page_state(f->r[i], index));
			dsm_test_agree(test, f, index);
			KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[reader], index, index + 1));
			dsm_test_agree(test, f, index);
		}
	}
}

static void page_in_use_stays(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "used");
	u32 *ms = &nodes.c[1]->knobs.evict_timeout_ms;
	struct page *page;
	u32 old = *ms;

	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[1], 1, DSM_RIGHT_WRITE, 0, &page));
	unlock_page(page);
	WRITE_ONCE(*ms, 20);
	KUNIT_EXPECT_EQ(test, -EBUSY, dsm_page_evict_range(f->r[1], 1, 1));
	WRITE_ONCE(*ms, old);
	memset64(page_address(page), 9, PAGE_SIZE / sizeof(u64));
	put_page(page);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[1], 1, 9));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], 1, 9));
	dsm_test_agree(test, f, 1);
}

#define LIMIT	256

static void memory_has_a_limit(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "limit");
	struct dsm_cluster *c = nodes.c[1];
	u64 nr = 3 * LIMIT;

	WRITE_ONCE(c->knobs.memory_limit_mb, LIMIT * PAGE_SIZE >> 20);
	for (u64 i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[1], i, i + 1));
		KUNIT_ASSERT_LE(test, atomic_long_read(&c->nr_resident),
				LIMIT + LIMIT / 4 + 1);
	}
	KUNIT_EXPECT_GT(test, dsm_stats_sum(c, DSM_STAT_evict), nr - LIMIT - LIMIT / 4 - 1);
	for (u64 i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[i % DSM_TEST_NODES], i, i + 1));
	WRITE_ONCE(c->knobs.memory_limit_mb, 0);
	for (u64 i = 0; i < nr; i += 17)
		dsm_test_agree(test, f, i);
}

/* ---- zero again ---- */

static u8 byte_at(struct dsm_region *r, u64 pos)
{
	struct page *page;
	u8 byte;

	if (dsm_page_acquire(r, pos >> PAGE_SHIFT, DSM_RIGHT_READ, 0, &page))
		return 0xee;
	byte = *((u8 *)page_address(page) + offset_in_page(pos));
	unlock_page(page);
	put_page(page);
	return byte;
}

static void punched_hole_is_zero_everywhere(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "hole");
	/* Across the pages of two homes, and not along pages. */
	u64 from = (DSM_TEST_UNIT - 2) * PAGE_SIZE + 100;
	u64 to = (DSM_TEST_UNIT + 3) * PAGE_SIZE - 100;
	struct dsm_op *op = new_op(test, DSM_OP_PUNCH, f->id);
	u64 first = (from >> PAGE_SHIFT) - 1, last = (to >> PAGE_SHIFT) + 1;

	for (u64 i = first; i <= last; i++)
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[i % DSM_TEST_NODES], i,
							0x0101010101010101));
	op->start = from;
	op->nr = to - from;
	KUNIT_ASSERT_EQ(test, 0, dsm_meta_op(nodes.c[2], op));
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		KUNIT_EXPECT_EQ(test, 1, byte_at(f->r[i], from - 1));
		for (u64 pos = from; pos < to; pos += 333)
			KUNIT_EXPECT_EQ(test, 0, byte_at(f->r[i], pos));
		KUNIT_EXPECT_EQ(test, 0, byte_at(f->r[i], to - 1));
		KUNIT_EXPECT_EQ(test, 1, byte_at(f->r[i], to));
	}
	for (u64 i = first; i <= last; i++)
		dsm_test_agree(test, f, i);
}

static int write_many(struct dsm_region *r, u64 index, u64 rounds)
{
	int err = 0;

	while (!err && rounds--)
		err = dsm_test_write(r, index, 7);
	return err;
}

/* Whoever fights for the page gets one or the other, never a part of both. */
static void zap_of_a_page_that_is_fought_for(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "fight");
	struct dsm_test_worker w[2];
	u64 tag;

	for (int i = 0; i < 2; i++)
		dsm_test_fork(&w[i], write_many, f->r[i + 1], 1, 200);
	for (int i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(f->r[0], 1, 1));
		KUNIT_EXPECT_EQ(test, 0, dsm_test_tag(f->r[0], 1, &tag));
		KUNIT_EXPECT_TRUE(test, tag == 0 || tag == 7);
	}
	for (int i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_join(&w[i]));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_zap(f->r[0], 1, 1));
	for (int i = 0; i < DSM_TEST_NODES; i++)
		KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[i], 1, 0));
	dsm_test_agree(test, f, 1);
}

/* ---- names ---- */

static void names_are_everywhere_when_a_call_returns(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "name");
	struct dsm_attr *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	struct dsm_op *op = new_op(test, DSM_OP_RENAME, f->id);

	KUNIT_ASSERT_NOT_NULL(test, a);
	strscpy(op->name, "name");
	strscpy(op->name2, "other");
	KUNIT_ASSERT_EQ(test, 0, dsm_meta_op(nodes.c[2], op));
	f->name = "other";
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		KUNIT_EXPECT_EQ(test, -ENOENT, dsm_meta_lookup(nodes.c[i], "name", 4, a));
		KUNIT_EXPECT_EQ(test, 0, dsm_meta_lookup(nodes.c[i], "other", 5, a));
		KUNIT_EXPECT_EQ(test, f->id, a->id);
	}
	op = new_op(test, DSM_OP_CREATE, 0);
	strscpy(op->name, "other");
	KUNIT_EXPECT_EQ(test, -EEXIST, dsm_meta_op(nodes.c[1], op));
	op = new_op(test, DSM_OP_EXTEND, f->id);
	op->nr = 4097;
	KUNIT_ASSERT_EQ(test, 0, dsm_meta_op(nodes.c[1], op));
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		KUNIT_EXPECT_EQ(test, 0, dsm_meta_get(nodes.c[i], f->id, a));
		KUNIT_EXPECT_EQ(test, 4097, a->size);
	}
}

static void unlinked_file_is_freed(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "gone");
	struct dsm_op *op = new_op(test, DSM_OP_UNLINK, f->id);

	for (unsigned int i = 0; i < DSM_TEST_NODES; i++)
		KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[i], i, 1));
	strscpy(op->name, "gone");
	KUNIT_ASSERT_EQ(test, 0, dsm_meta_op(nodes.c[2], op));
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		KUNIT_EXPECT_NULL(test, dsm_region_find(nodes.c[i], f->id));
		KUNIT_EXPECT_EQ(test, 0, dsm_region_nr_resident(f->r[i]));
		KUNIT_EXPECT_EQ(test, -ESTALE, dsm_test_read(f->r[i], i, 1));
	}
}

static struct kunit_case evict_cases[] = {
	KUNIT_CASE(one_of_many_copies),
	KUNIT_CASE(last_copy_goes_elsewhere),
	KUNIT_CASE(page_in_use_stays),
	KUNIT_CASE_SLOW(memory_has_a_limit),
	KUNIT_CASE(punched_hole_is_zero_everywhere),
	KUNIT_CASE(zap_of_a_page_that_is_fought_for),
	KUNIT_CASE(names_are_everywhere_when_a_call_returns),
	KUNIT_CASE(unlinked_file_is_freed),
	{}
};

struct kunit_suite dsm_evict_suite = {
	.name = "dsm_evict",
	.suite_init = evict_init,
	.suite_exit = evict_exit,
	.test_cases = evict_cases,
};
