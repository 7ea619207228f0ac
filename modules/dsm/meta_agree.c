// SPDX-License-Identifier: GPL-2.0
/*
 * The members become alike again after the master was lost in the middle of a change:
 * core/changes.c says how and why.
 *
 * Normal operation: the master does this once for each view, before it changes anything or
 * lets a node in.  It asks all members for their last change at once; what it lacks itself
 * comes on the same link before the answer, and is applied by the same worker, in order.
 * Then it tells who is behind, one change after the other.  Last comes AGREED, a change
 * as any other: a region that an earlier master has frozen (see apply_place()) thaws, as
 * the change of its placement is here by now or does not come.
 *
 * Recovery: whatever fails is begun again, until the view changes or the time is up; then
 * what wanted it fails, and the next op tries again.  A member whose view is older than
 * this one says EREMCHG, one that is not in yet ENOTCONN; both are asked again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "cluster.h"
#include "ctrl.h"
#include "meta.h"
#include "node.h"
#include "rpc.h"

/* Before who was not ready is asked again. */
#define AGAIN_MS	20

/**
 * struct catch_up - the master gets all members alike
 * @c:		the cluster
 * @m:		its metadata
 * @view:	who is to agree
 * @deadline:	in jiffies
 * @last:	number of each member's last change
 * @call:	questions under way
 */
struct catch_up {
	struct dsm_cluster *c;
	struct dsm_meta *m;
	struct dsm_view view;
	unsigned long deadline;
	u32 *last;
	struct dsm_call **call;
};

static u32 left_ms(const struct catch_up *u)
{
	long left = u->deadline - jiffies;

	return left > 0 ? jiffies_to_msecs(left) : 0;
}

/* ---- a member ---- */

/**
 * dsm_meta_say_last() - a master asks for the number of the last change
 * @c:		the cluster
 * @master:	who asks
 * @its:	the number of its own last change; what was made here since is sent to it
 * @last:	the number here
 *
 * Context: process, the worker that applies changes.
 * Return: 0; -EREMCHG if it is not the master, -ENOTCONN.
 */
int dsm_meta_say_last(struct dsm_cluster *c, u16 master, u32 its, u64 *last)
{
	struct dsm_meta *m = c->meta;
	struct dsm_ctrl_op *w;
	int err = 0;
	u32 slot;

	if (!dsm_cluster_is_joined(c))
		return -ENOTCONN;
	if (master != dsm_cluster_master(c))
		return -EREMCHG;
	w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL | __GFP_NOFAIL);
	down_read(&m->lock);
	*last = m->changes.last;
	/* If some are forgotten the others would hide that they lack. */
	if (dsm_changes_standing(&m->changes, its) != DSM_ST_BEHIND)
		goto unlock;
	for (slot = dsm_changes_after(&m->changes, its); slot < DSM_CHANGES_MAX && !err;
	     slot = dsm_changes_after(&m->changes, its)) {
		size_t len = dsm_ctrl_encode_op(w, DSM_CTRL_MISSED, &m->recent[slot]);

		err = dsm_node_send_ctrl(c, master, w, len);
		its = m->changes.number[slot];
	}
unlock:
	up_read(&m->lock);
	kfree(w);
	return err;
}

/**
 * dsm_meta_rx_missed() - a change came that this node, now the master, may lack
 * @c:		the cluster
 * @from:	from whom
 * @op:		the change
 *
 * Context: process, the worker that applies changes.
 * Return: 0, or the errno for which it, and what comes after it, has to be asked for again.
 */
int dsm_meta_rx_missed(struct dsm_cluster *c, u16 from, const struct dsm_op *op)
{
	struct dsm_meta *m = c->meta;
	struct dsm_view view;
	int err = READ_ONCE(m->catch_err);

	dsm_cluster_view(c, &view);
	/* What came late, of one who is lost or for an earlier view, was not counted on. */
	if (err || !view.number || dsm_view_master(&view) != c->self ||
	    READ_ONCE(m->agreed) == view.number || !dsm_nodeset_has(&view.members, from))
		return err;
	if (op->flags & (DSM_OF_CHECK | DSM_OF_ABORT))
		return -EPROTO;
	err = dsm_meta_apply(c, c->self, op);
	WRITE_ONCE(m->catch_err, err);
	return err;
}

/* ---- the master ---- */

static int ask_last(struct catch_up *u)
{
	struct dsm_ctrl_snapshot w = {
		.seq = cpu_to_le32(READ_ONCE(u->m->changes.last)),
	};
	struct dsm_cluster *c = u->c;
	int err = 0;
	u16 n;

	WRITE_ONCE(u->m->catch_err, 0);
	dsm_ctrl_head_init(&w.head, DSM_CTRL_LAST, sizeof(w));
	dsm_nodeset_for_each(n, &u->view.members)
		if (n != c->self)
			u->call[n] = dsm_rpc_start(c, n, &w.head);
	dsm_nodeset_for_each(n, &u->view.members) {
		u64 last = 0;
		int e;

		if (n == c->self)
			continue;
		e = dsm_rpc_finish(c, u->call[n], left_ms(u), &last);
		u->last[n] = last;
		err = err ?: e;
	}
	/* What came before the answers. */
	flush_workqueue(u->m->apply_wq);
	return err ?: READ_ONCE(u->m->catch_err);
}

/* The change in a slot, which only whoever has op_mutex makes others of meanwhile. */
static void encode_recent(struct dsm_meta *m, u32 slot, struct dsm_ctrl_op *w)
{
	down_read(&m->lock);
	dsm_ctrl_encode_op(w, DSM_CTRL_APPLY, &m->recent[slot]);
	up_read(&m->lock);
}

static int tell(struct catch_up *u, u16 node)
{
	struct dsm_ctrl_op *w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL | __GFP_NOFAIL);
	u32 slot, number = u->last[node];
	int err = 0;

	/* One after the other: who could not make one must not make the next. */
	while (!err) {
		slot = dsm_changes_after(&u->m->changes, number);
		if (slot == DSM_CHANGES_MAX)
			break;
		encode_recent(u->m, slot, w);
		err = dsm_rpc_finish(u->c, dsm_rpc_start(u->c, node, &w->head),
				     left_ms(u), NULL);
		number = u->m->changes.number[slot];
	}
	kfree(w);
	return err;
}

static int tell_no_more(const struct catch_up *u, u16 node, u32 first, u32 last)
{
	pr_err_ratelimited("%s: node %u: node %u lacks changes %u to %u of the metadata, which no one remembers: umount and rmmod there, and load again\n",
			   u->c->name, u->c->self, node, first, last);
	return -EIO;
}

static int tell_all(struct catch_up *u)
{
	const struct dsm_changes *own = &u->m->changes;
	int err = 0;
	u16 n;

	dsm_nodeset_for_each(n, &u->view.members) {
		if (n == u->c->self)
			continue;
		switch ((enum dsm_standing)dsm_changes_standing(own, u->last[n])) {
		case DSM_ST_ALIKE:
			break;
		case DSM_ST_BEHIND:
			pr_info("%s: node %u: node %u is told of changes %u to %u of the metadata, which it lacks\n",
				u->c->name, u->c->self, n, u->last[n] + 1, own->last);
			err = tell(u, n);
			break;
		case DSM_ST_FAR_BEHIND:
			err = tell_no_more(u, n, u->last[n] + 1, own->since);
			break;
		case DSM_ST_AHEAD:
			err = tell_no_more(u, u->c->self, own->last + 1, u->last[n]);
			break;
		}
		if (err)
			return err;
	}
	return 0;
}

static int catch_up(struct catch_up *u)
{
	struct dsm_op *agreed, *last;
	int err = ask_last(u);
	u32 slot;

	if (!err)
		err = tell_all(u);
	if (err)
		return err;
	last = kzalloc(sizeof(*last), GFP_KERNEL | __GFP_NOFAIL);
	last->type = DSM_OP_AGREED;
	slot = dsm_changes_after(&u->m->changes, u->m->changes.last - 1);
	if (slot < DSM_CHANGES_MAX)
		*last = u->m->recent[slot];
	agreed = dsm_meta_own_op(u->c, DSM_OP_AGREED, 0);
	err = dsm_meta_apply_at_all(u->c, agreed);
	if (!err) {
		WRITE_ONCE(u->m->agreed, u->view.number);
		dsm_meta_end_cut(u->c, last);
	}
	kfree(agreed);
	kfree(last);
	return err;
}

static bool is_of_view(struct catch_up *u)
{
	struct dsm_view now;

	dsm_cluster_view(u->c, &now);
	return now.number == u->view.number;
}

static int try_to_catch_up(struct catch_up *u)
{
	int err;

	for (;;) {
		err = catch_up(u);
		if (!err || err == -EIO || err == -EINTR)
			return err;
		if (!is_of_view(u))
			return -EREMCHG;
		if (!time_before(jiffies, u->deadline))
			break;
		schedule_timeout_killable(msecs_to_jiffies(AGAIN_MS));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	pr_warn_ratelimited("%s: node %u: not all members of view %u said which changes of the metadata they have made: error %d; files cannot be changed until they do\n",
			    u->c->name, u->c->self, u->view.number, err);
	return -ETIMEDOUT;
}

/**
 * dsm_meta_agree() - have all members made the same changes?  If not, they do
 * @c:	the cluster; this node is the master
 *
 * Context: process, op_mutex held; sleeps, killable, bounded by half of rpc_timeout_ms.
 * Return: 0; -EREMCHG if the view changed meanwhile, -ETIMEDOUT, -EINTR; -EIO if one lacks
 * changes that no one remembers.
 */
int dsm_meta_agree(struct dsm_cluster *c)
{
	struct catch_up u = {
		.c = c,
		.m = c->meta,
		.deadline = jiffies +
			    msecs_to_jiffies(READ_ONCE(c->knobs.rpc_timeout_ms) / 2),
	};
	int err;

	lockdep_assert_held(&c->meta->op_mutex);
	dsm_cluster_view(c, &u.view);
	if (!u.view.number || dsm_view_master(&u.view) != c->self)
		return -EREMCHG;
	if (c->meta->agreed == u.view.number)
		return 0;
	u.last = kcalloc(c->nr_nodes, sizeof(*u.last), GFP_KERNEL);
	u.call = kcalloc(c->nr_nodes, sizeof(*u.call), GFP_KERNEL);
	err = u.last && u.call ? try_to_catch_up(&u) : -ENOMEM;
	kfree(u.call);
	kfree(u.last);
	return err;
}
