// SPDX-License-Identifier: GPL-2.0
/* Three nodes in one kernel, of which some leave: contents and homes stay. */
#include <linux/pagemap.h>

#include "meta.h"
#include "tests/test.h"

static struct dsm_test_nodes nodes;

static void leave_exit(void *arg)
{
	dsm_test_nodes_down(arg);
}

/* An action, and not .exit, so that the files of the test go before. */
static int leave_init(struct kunit *test)
{
	int err = dsm_test_nodes_up(&nodes);

	return err ?: kunit_add_action_or_reset(test, leave_exit, &nodes);
}

#define PER_HOME	6

static u64 index_at(unsigned int home, unsigned int i)
{
	return home * DSM_TEST_UNIT + i;
}

/* Pages of each home, last written by each of the nodes in turn. */
static void fill(struct kunit *test, struct dsm_test_file *f)
{
	for (unsigned int home = 0; home < DSM_TEST_NODES; home++)
		for (unsigned int i = 0; i < PER_HOME; i++) {
			u64 at = index_at(home, i);

			KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[i % DSM_TEST_NODES],
								at, at + 1));
		}
}

static void check(struct kunit *test, struct dsm_test_file *f)
{
	for (unsigned int node = 0; node < DSM_TEST_NODES; node++)
		for (unsigned int home = 0; f->r[node] && home < DSM_TEST_NODES; home++)
			for (unsigned int i = 0; i < PER_HOME; i++) {
				u64 at = index_at(home, i);

				KUNIT_EXPECT_EQ_MSG(test, 0,
						    dsm_test_read(f->r[node], at, at + 1),
						    "node %u, page %llu", node, at);
				dsm_test_agree(test, f, at);
			}
}

static void leave(struct kunit *test, struct dsm_test_file *f, unsigned int node)
{
	struct dsm_nodeset left;

	KUNIT_ASSERT_EQ(test, 0, dsm_cluster_leave(nodes.c[node]));
	KUNIT_EXPECT_FALSE(test, dsm_cluster_is_joined(nodes.c[node]));
	KUNIT_EXPECT_EQ(test, 0, dsm_region_nr_resident(f->r[node]));
	dsm_test_file_forget(f, node);
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		if (!f->r[i])
			continue;
		KUNIT_EXPECT_NE(test, node, dsm_region_home(f->r[i], index_at(node, 0)));
		/* They are told when it has gone. */
		KUNIT_EXPECT_TRUE(test, dsm_test_wait((dsm_cluster_members(nodes.c[i], &left),
						       !dsm_nodeset_has(&left, node))));
	}
}

static void one_leaves(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "one");

	fill(test, f);
	leave(test, f, 2);
	check(test, f);
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(f->r[1], index_at(2, 0), 99));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[0], index_at(2, 0), 99));
}

static void all_leave_but_one(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "all");

	fill(test, f);
	leave(test, f, 0);
	check(test, f);
	leave(test, f, 1);
	check(test, f);
	KUNIT_EXPECT_EQ(test, 2, dsm_cluster_master(nodes.c[2]));
	KUNIT_EXPECT_EQ(test, DSM_TEST_NODES * PER_HOME, dsm_region_nr_resident(f->r[2]));
}

static int add_until(struct dsm_region *r, u64 index, u64 stop)
{
	int nr = 0;

	while (!READ_ONCE(*(bool *)stop)) {
		int err = dsm_test_add(r, index);

		if (err)
			return err;
		nr++;
		cond_resched();
	}
	return nr;
}

static void leave_while_others_write(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "busy");
	u64 at = index_at(2, 1);
	struct dsm_test_worker w[2];
	bool stop = false;
	struct page *page;
	int sum = 0;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[2], at, 0));
	for (int i = 0; i < 2; i++)
		dsm_test_fork(&w[i], add_until, f->r[i], at, (unsigned long)&stop);
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, dsm_cluster_leave(nodes.c[2]));
	msleep(20);
	WRITE_ONCE(stop, true);
	for (int i = 0; i < 2; i++) {
		int nr = dsm_test_join(&w[i]);

		KUNIT_EXPECT_GT(test, nr, 0);
		sum += nr;
	}
	dsm_test_file_forget(f, 2);
	KUNIT_ASSERT_EQ(test, 0, dsm_page_acquire(f->r[0], at, DSM_RIGHT_READ, 0, &page));
	KUNIT_EXPECT_EQ(test, sum, *(u64 *)page_address(page));
	unlock_page(page);
	put_page(page);
	dsm_test_agree(test, f, at);
}

static void no_one_leaves_while_mounted(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "mounted");

	KUNIT_ASSERT_EQ(test, 0, dsm_cluster_mount(nodes.c[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, dsm_cluster_leave(nodes.c[1]));
	KUNIT_EXPECT_TRUE(test, dsm_cluster_is_joined(nodes.c[1]));
	dsm_cluster_umount(nodes.c[1]);
	leave(test, f, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, dsm_cluster_mount(nodes.c[1]));
}

static void who_has_left_changes_nothing(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "left");
	struct dsm_op *op = kunit_kzalloc(test, sizeof(*op), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, op);
	leave(test, f, 1);
	op->type = DSM_OP_CREATE;
	strscpy(op->name, "new");
	KUNIT_EXPECT_EQ(test, -ENOTCONN, dsm_meta_op(nodes.c[1], op));
	KUNIT_EXPECT_EQ(test, 0, dsm_cluster_leave(nodes.c[1]));
}

/* It is tried every few milliseconds, up to the end. */
static void what_waits_is_dropped_at_the_end(struct kunit *test)
{
	struct dsm_msg m = dsm_test_request(1, 0, READ_ONCE(nodes.c[0]->max_region) + 1);
	struct page *page = NULL;
	int err;

	local_bh_disable();
	err = dsm_engine_rx(nodes.c[0], &m, &page, NULL);
	local_bh_enable();
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, 1, dsm_stats_sum(nodes.c[0], DSM_STAT_msg_backlog));
	dsm_cluster_destroy(nodes.c[0]);
	nodes.c[0] = NULL;
}

static struct kunit_case leave_cases[] = {
	KUNIT_CASE_SLOW(one_leaves),
	KUNIT_CASE_SLOW(all_leave_but_one),
	KUNIT_CASE_SLOW(leave_while_others_write),
	KUNIT_CASE_SLOW(no_one_leaves_while_mounted),
	KUNIT_CASE_SLOW(who_has_left_changes_nothing),
	KUNIT_CASE_SLOW(what_waits_is_dropped_at_the_end),
	{}
};

struct kunit_suite dsm_leave_suite = {
	.name = "dsm_leave",
	.init = leave_init,
	.test_cases = leave_cases,
};
