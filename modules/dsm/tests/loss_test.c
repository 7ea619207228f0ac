// SPDX-License-Identifier: GPL-2.0
/*
 * Three nodes in one kernel; the master is lost in the middle of a change, which some have
 * made and others not: what it would have sent is applied by hand.
 */
#include <linux/slab.h>

#include "cluster.h"
#include "meta.h"
#include "tests/test.h"

#define MASTER	0
#define NEXT	1
#define OTHER	2

static struct dsm_test_nodes nodes;

static void loss_exit(void *arg)
{
	dsm_test_nodes_down(arg);
}

static bool agree(unsigned int master)
{
	struct dsm_view view;
	u32 last;

	dsm_cluster_view(nodes.c[master], &view);
	if (READ_ONCE(nodes.c[master]->meta->agreed) != view.number)
		return false;
	last = READ_ONCE(nodes.c[master]->meta->changes.last);
	for (unsigned int i = master; i < DSM_TEST_NODES; i++)
		if (!dsm_nodeset_has(&view.members, i) ||
		    READ_ONCE(nodes.c[i]->meta->changes.last) != last)
			return false;
	return true;
}

/* An action, and not .exit, so that the files of the test go before. */
static int loss_init(struct kunit *test)
{
	int err = dsm_test_nodes_up(&nodes);

	if (!err)
		err = kunit_add_action_or_reset(test, loss_exit, &nodes);
	if (!err && !dsm_test_wait(agree(MASTER)))
		err = -ETIMEDOUT;
	return err;
}

static struct dsm_op *masters_op(struct kunit *test, u8 type, u32 file)
{
	struct dsm_meta *m = nodes.c[MASTER]->meta;
	struct dsm_op *op = kunit_kzalloc(test, sizeof(*op), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, op);
	op->type = type;
	op->file = file;
	op->origin = MASTER;
	op->op_id = dsm_meta_new_id(m);
	op->seq = m->changes.last + 1;
	return op;
}

static int apply(unsigned int node, const struct dsm_op *op)
{
	return dsm_meta_apply(nodes.c[node], MASTER, op);
}

static void lose_master(struct kunit *test)
{
	dsm_cluster_node_lost(nodes.c[NEXT], MASTER);
	dsm_cluster_node_lost(nodes.c[OTHER], MASTER);
	KUNIT_ASSERT_TRUE(test, dsm_test_wait(dsm_cluster_master(nodes.c[NEXT]) == NEXT &&
					      dsm_cluster_master(nodes.c[OTHER]) == NEXT));
	KUNIT_ASSERT_TRUE(test, dsm_test_wait(agree(NEXT)));
}

/* ---- files ---- */

static struct dsm_op *masters_create(struct kunit *test, const char *name)
{
	struct dsm_op *op = masters_op(test, DSM_OP_CREATE,
				       READ_ONCE(nodes.c[MASTER]->max_region) + 1);

	op->mode = 0600;
	op->value = op->file;
	dsm_nodeset_add(&op->members, NEXT);
	dsm_nodeset_add(&op->members, OTHER);
	strscpy(op->name, name);
	return op;
}

static void destroy(struct kunit *test, u32 file, const char *name)
{
	struct dsm_op *op = masters_op(test, DSM_OP_UNLINK, file);

	strscpy(op->name, name);
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_op(nodes.c[OTHER], op));
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_nr_files(nodes.c[NEXT]));
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_nr_files(nodes.c[OTHER]));
}

static void one_of_them_made_it(struct kunit *test, unsigned int node)
{
	struct dsm_op *op = masters_create(test, "half"), *next;

	KUNIT_ASSERT_EQ(test, 0, apply(node, op));
	lose_master(test);
	for (int n = NEXT; n <= OTHER; n++) {
		struct dsm_attr *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, a);
		KUNIT_ASSERT_EQ(test, 0, dsm_meta_lookup(nodes.c[n], "half", 4, a));
		KUNIT_EXPECT_EQ(test, op->file, a->id);
	}
	/* The next one gets a number of its own. */
	next = masters_op(test, DSM_OP_CREATE, 0);
	strscpy(next->name, "next");
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_op(nodes.c[OTHER], next));
	KUNIT_EXPECT_EQ(test, op->file + 1, next->value);
	strscpy(next->name2, "half");
	next->type = DSM_OP_RENAME;
	next->file = next->value;
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_op(nodes.c[NEXT], next));
	destroy(test, next->file, "half");
}

static void the_new_master_had_made_it(struct kunit *test)
{
	one_of_them_made_it(test, NEXT);
}

static void the_new_master_had_not(struct kunit *test)
{
	one_of_them_made_it(test, OTHER);
}

static void several_come_in_their_order(struct kunit *test)
{
	struct dsm_op *op = masters_create(test, "a"), *rename;

	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, op));
	rename = masters_op(test, DSM_OP_RENAME, op->file);
	rename->seq++;
	strscpy(rename->name, "a");
	strscpy(rename->name2, "b");
	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, rename));
	lose_master(test);
	destroy(test, op->file, "b");
}

static void what_comes_too_late_is_refused(struct kunit *test)
{
	struct dsm_op *op = masters_create(test, "late");

	lose_master(test);
	KUNIT_EXPECT_EQ(test, -EREMCHG, apply(NEXT, op));
	KUNIT_EXPECT_EQ(test, -EREMCHG, apply(OTHER, op));
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_nr_files(nodes.c[NEXT]));
}

static void what_comes_before_its_time_is_refused(struct kunit *test)
{
	struct dsm_op *op = masters_create(test, "early");

	op->seq++;
	KUNIT_EXPECT_EQ(test, -EREMCHG, apply(NEXT, op));
	op->seq--;
	KUNIT_EXPECT_EQ(test, 0, apply(NEXT, op));
	KUNIT_EXPECT_EQ(test, 0, apply(NEXT, op));
	KUNIT_EXPECT_EQ(test, 1, dsm_meta_nr_files(nodes.c[NEXT]));
	lose_master(test);
	destroy(test, op->file, "early");
}

/* It lost nothing but some changes, which the master has forgotten. */
static void who_is_far_behind_is_put_out(struct kunit *test)
{
	struct dsm_op *op = masters_op(test, DSM_OP_CREATE, 0);
	struct dsm_meta *m = nodes.c[MASTER]->meta, *other = nodes.c[OTHER]->meta;

	mutex_lock(&m->op_mutex);
	dsm_changes_begin(&other->changes, m->changes.last - 1);
	dsm_changes_begin(&m->changes, m->changes.last);
	WRITE_ONCE(m->agreed, 0);
	mutex_unlock(&m->op_mutex);
	strscpy(op->name, "without");
	KUNIT_EXPECT_EQ(test, 0, dsm_meta_op(nodes.c[NEXT], op));
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(!dsm_cluster_is_joined(nodes.c[OTHER])));
	KUNIT_EXPECT_EQ(test, 1, dsm_meta_nr_files(nodes.c[MASTER]));
	KUNIT_EXPECT_EQ(test, 1, dsm_meta_nr_files(nodes.c[NEXT]));
}

/* ---- placement ---- */

static struct dsm_op *masters_place(struct kunit *test, struct dsm_test_file *f, u16 home)
{
	struct dsm_op *op = masters_op(test, DSM_OP_PLACE, f->id);

	op->policy = DSM_POLICY_NODE;
	op->node = home;
	op->flags = DSM_OF_CHECK;
	KUNIT_ASSERT_EQ(test, 0, apply(NEXT, op));
	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, op));
	KUNIT_EXPECT_TRUE(test, dsm_region_is_frozen(f->r[NEXT]));
	op->flags = 0;
	return op;
}

static void check_placed(struct kunit *test, struct dsm_test_file *f, u16 home)
{
	for (int n = NEXT; n <= OTHER; n++) {
		KUNIT_EXPECT_FALSE(test, dsm_region_is_frozen(f->r[n]));
		KUNIT_EXPECT_EQ(test, home, dsm_region_home(f->r[n], DSM_TEST_UNIT));
	}
	KUNIT_EXPECT_EQ(test, 0, dsm_test_write(f->r[OTHER], DSM_TEST_UNIT, 7));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[NEXT], DSM_TEST_UNIT, 7));
}

static void a_placement_that_one_made(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "placed");
	struct dsm_op *op = masters_place(test, f, OTHER);

	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, op));
	KUNIT_EXPECT_FALSE(test, dsm_region_is_frozen(f->r[OTHER]));
	KUNIT_EXPECT_TRUE(test, dsm_region_is_frozen(f->r[NEXT]));
	lose_master(test);
	check_placed(test, f, OTHER);
}

static void a_placement_that_no_one_made(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "not placed");

	masters_place(test, f, OTHER);
	lose_master(test);
	check_placed(test, f, NEXT);
}

/* ---- contents ---- */

static void what_was_cut_off_is_zero(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "cut");
	struct dsm_op *op;

	KUNIT_ASSERT_EQ(test, 0, dsm_test_write(f->r[OTHER], DSM_TEST_UNIT, 9));
	op = masters_op(test, DSM_OP_SETATTR, f->id);
	op->flags = DSM_OF_SIZE;
	op->value = (DSM_TEST_UNIT + 1) * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, op));
	lose_master(test);
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(!dsm_test_read(f->r[NEXT], DSM_TEST_UNIT, 0)));
	KUNIT_EXPECT_EQ(test, 0, dsm_test_read(f->r[OTHER], DSM_TEST_UNIT, 0));
}

static bool is_done(unsigned int node, const struct dsm_op *op)
{
	struct dsm_meta *m = nodes.c[node]->meta;
	u64 value;
	bool ret;

	down_read(&m->lock);
	ret = dsm_meta_is_done(m, op, &value);
	up_read(&m->lock);
	return ret;
}

static void what_was_taken_back_is_not_done(struct kunit *test)
{
	struct dsm_test_file *f = dsm_test_file(test, &nodes, "long");
	struct dsm_op *op = masters_op(test, DSM_OP_SETATTR, f->id), *undo;

	op->flags = DSM_OF_SIZE;
	op->value = PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, op));
	KUNIT_EXPECT_TRUE(test, is_done(OTHER, op));
	undo = masters_op(test, DSM_OP_SETATTR, f->id);
	undo->seq++;
	undo->flags = DSM_OF_SIZE | DSM_OF_UNDO;
	undo->start = PAGE_SIZE;
	undo->node = op->origin;
	undo->nr = op->op_id;
	KUNIT_ASSERT_EQ(test, 0, apply(OTHER, undo));
	lose_master(test);
	KUNIT_EXPECT_FALSE(test, is_done(OTHER, op));
	KUNIT_EXPECT_FALSE(test, is_done(NEXT, op));
}

static struct kunit_case loss_cases[] = {
	KUNIT_CASE_SLOW(the_new_master_had_made_it),
	KUNIT_CASE_SLOW(the_new_master_had_not),
	KUNIT_CASE_SLOW(several_come_in_their_order),
	KUNIT_CASE_SLOW(what_comes_too_late_is_refused),
	KUNIT_CASE_SLOW(what_comes_before_its_time_is_refused),
	KUNIT_CASE_SLOW(who_is_far_behind_is_put_out),
	KUNIT_CASE_SLOW(a_placement_that_one_made),
	KUNIT_CASE_SLOW(a_placement_that_no_one_made),
	KUNIT_CASE_SLOW(what_was_cut_off_is_zero),
	KUNIT_CASE_SLOW(what_was_taken_back_is_not_done),
	{}
};

struct kunit_suite dsm_loss_suite = {
	.name = "dsm_loss",
	.init = loss_init,
	.test_cases = loss_cases,
};
