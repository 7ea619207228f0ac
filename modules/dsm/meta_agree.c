// SPDX-License-Identifier: GPL-2.0
/*
 * The members become alike again after the master was lost in the middle of a change:
 * core/changes.c says how and why.
 *
 * Normal operation: the master does this once for each view, before it changes anything or
 * lets a node in, and again when a member has not made a change.  It asks all members for
 * their last change at once; what it lacks itself comes on the same link before the answer,
 * and is applied by the same worker, in order.  Then it tells who is behind, one change after
 * the other.  Next comes AGREED, a change as any other: who is no member uses no files any
 * more, and a region that is still frozen (see apply_place()) thaws, as the change of its
 * placement is here by now or does not come.  If the last change of an earlier master cut a file off, what was behind the end is made zero.
 *
 * Recovery: whatever fails is begun again, until the view changes or the time is up; then
 * whoever wanted it tries again.  A member whose view is older than this one, or that has
 * none yet, says EREMCHG and is asked again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "cluster.h"
#include "ctrl.h"
#include "membership.h"
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
 */
struct catch_up {
	struct dsm_cluster *c;
	struct dsm_meta *m;
	struct dsm_view view;
	unsigned long deadline;
	u64 *last;
};

static u32 left_ms(const struct catch_up *u)
{
	long left = u->deadline - jiffies;

	return left > 0 ? jiffies_to_msecs(left) : 0;
}

/* ---- a member ---- */

static int send_recent(struct dsm_cluster *c, u16 to, u32 number, struct dsm_ctrl_op *w)
{
	const struct dsm_op *op = &c->meta->recent[dsm_changes_slot(number)];

	lockdep_assert_held(&c->meta->lock);
	return dsm_node_send_ctrl(c, to, w, dsm_ctrl_encode_op(w, DSM_CTRL_MISSED, op));
}

/**
 * dsm_meta_say_last() - a master asks for the number of the last change
 * @c:		the cluster
 * @master:	who asks
 * @its:	the number of its own last change; what was made here since is sent to it
 * @last:	the number here
 *
 * Context: process, the worker that applies changes.
 * Return: 0; -EREMCHG if it is not the master, as far as this node knows; -ENOTCONN.
 */
int dsm_meta_say_last(struct dsm_cluster *c, u16 master, u32 its, u64 *last)
{
	struct dsm_meta *m = c->meta;
	struct dsm_ctrl_op *w;
	int err = 0;

	if (master != dsm_cluster_master(c))
		return -EREMCHG;
	w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL | __GFP_NOFAIL);
	down_read(&m->lock);
	*last = m->changes.last;
	switch ((enum dsm_standing)dsm_changes_standing(&m->changes, its)) {
	case DSM_ST_BEHIND:
		while (its != m->changes.last && !err)
			err = send_recent(c, master, ++its, w);
		break;
	case DSM_ST_FAR_BEHIND:
		pr_err_ratelimited("%s: node %u: master %u lacks changes of the metadata after %u, which are forgotten here: umount and rmmod there, and load again\n",
				   c->name, c->self, master, its);
		break;
	case DSM_ST_ALIKE:
	case DSM_ST_AHEAD:
		break;
	}
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
 * If it cannot be made it will be asked for again.
 *
 * Context: process, the worker that applies changes.
 * Return: 0 or -EPROTO.
 */
int dsm_meta_rx_missed(struct dsm_cluster *c, u16 from, const struct dsm_op *op)
{
	struct dsm_view view;

	if (op->flags & DSM_OF_NO_CHANGE)
		return -EPROTO;
	dsm_cluster_view(c, &view);
	/* What came late, of one who is lost or for an earlier view, was not counted on. */
	if (dsm_nodeset_has(&view.members, from) &&
	    READ_ONCE(c->meta->agreed) != view.number)
		dsm_meta_apply(c, c->self, op);
	return 0;
}

/* ---- the master ---- */

static int ask_last(struct catch_up *u)
{
	struct dsm_ctrl_snapshot w = {
		.seq = cpu_to_le32(READ_ONCE(u->m->changes.last)),
	};
	int err;

	dsm_ctrl_head_init(&w.head, DSM_CTRL_LAST, sizeof(w));
	err = dsm_meta_ask(u->c, &u->view.members, &w.head, left_ms(u), u->last);
	/* What came before the answers. */
	flush_workqueue(u->m->apply_wq);
	return err;
}

/* After the flush no one else changes what is remembered. */
static int tell(struct catch_up *u, u16 node)
{
	struct dsm_ctrl_op *w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL | __GFP_NOFAIL);
	struct dsm_nodeset one = dsm_nodeset_of(node);
	u32 number = u->last[node];
	int err = 0;

	while (number != u->m->changes.last && !err) {
		number++;
		dsm_ctrl_encode_op(w, DSM_CTRL_APPLY,
				   &u->m->recent[dsm_changes_slot(number)]);
		err = dsm_meta_ask(u->c, &one, &w->head, left_ms(u), NULL);
	}
	kfree(w);
	return err;
}

/* It is of no use as a member; there will be a view without it. */
static int give_up(struct catch_up *u, u16 node)
{
	pr_err_ratelimited("%s: node %u: node %u lacks changes of the metadata after %u, and those to %u are forgotten: it cannot stay a member; umount and rmmod there, and load again\n",
			   u->c->name, u->c->self, node, (u32)u->last[node],
			   u->m->changes.since);
	dsm_membership_event(u->c, DSM_ME_LINK_LOST, node, false);
	return -EREMCHG;
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
				u->c->name, u->c->self, n, (u32)u->last[n] + 1, own->last);
			err = tell(u, n);
			break;
		case DSM_ST_FAR_BEHIND:
			err = give_up(u, n);
			break;
		case DSM_ST_AHEAD:
			/* There was no memory for what it sent, or it has forgotten. */
			err = -EAGAIN;
			break;
		}
		if (err)
			return err;
	}
	return 0;
}

/* The last change that is not AGREED, or NULL. */
static const struct dsm_op *last_change(const struct dsm_meta *m)
{
	for (u32 number = m->changes.last; number != m->changes.since; number--) {
		const struct dsm_op *op = &m->recent[dsm_changes_slot(number)];

		if (op->type != DSM_OP_AGREED)
			return op;
	}
	return NULL;
}

/*
 * A master that is gone, or could not reach everyone, has not made zero what it cut off.
 * No one has made the file longer since, as that would be a later change.
 */
static void end_cut(struct catch_up *u)
{
	const struct dsm_op *op = last_change(u->m);

	if (!op || op->type != DSM_OP_SETATTR || op->seq == u->m->ended)
		return;
	if (dsm_meta_follow_up(u->c, op))
		pr_err("%s: node %u: region %u: not all that was cut off could be made zero, as some pages are lost\n",
		       u->c->name, u->c->self, op->file);
	u->m->ended = op->seq;
}

static int catch_up(struct catch_up *u)
{
	struct dsm_op *agreed;
	int err = ask_last(u);

	if (!err)
		err = tell_all(u);
	if (err)
		return err;
	agreed = dsm_meta_own_op(u->c, DSM_OP_AGREED, 0);
	agreed->members = u->view.members;
	err = dsm_meta_apply_at_all(u->c, agreed);
	if (!err) {
		/* Before that a region may be frozen. */
		end_cut(u);
		WRITE_ONCE(u->m->agreed, u->view.number);
	}
	kfree(agreed);
	return err;
}

static bool is_of_view(struct catch_up *u)
{
	struct dsm_view now;

	dsm_cluster_view(u->c, &now);
	return now.number == u->view.number;
}

static int not_alike(const struct catch_up *u, int err)
{
	pr_warn_ratelimited("%s: node %u: not all members of view %u have made the same changes of the metadata (error %d): files cannot be changed until they have; see what the log of the others says\n",
			    u->c->name, u->c->self, u->view.number, err);
	return -ETIMEDOUT;
}

static int try_to_catch_up(struct catch_up *u)
{
	int err;

	while (is_of_view(u)) {
		err = catch_up(u);
		if (!err || err == -EINTR)
			return err;
		if (!time_before(jiffies, u->deadline))
			return not_alike(u, err);
		schedule_timeout_killable(msecs_to_jiffies(AGAIN_MS));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return -EREMCHG;
}

/**
 * dsm_meta_agree() - have all members made the same changes?  If not, they do
 * @c:	the cluster; this node is the master
 *
 * Context: process, op_mutex held; sleeps, killable. Asking again is bounded by half of
 * rpc_timeout_ms; then come one round for AGREED (rpc_timeout_ms) and, if a master was lost in
 * the middle of a cut, making pages zero (fault_timeout_ms and as long as there are pages).
 * Return: 0; -EREMCHG if the view changed meanwhile, -ETIMEDOUT, -EINTR.
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
	if (READ_ONCE(c->meta->agreed) == u.view.number)
		return 0;
	u.last = kcalloc(c->nr_nodes, sizeof(*u.last), GFP_KERNEL | __GFP_NOFAIL);
	err = try_to_catch_up(&u);
	kfree(u.last);
	return err;
}
