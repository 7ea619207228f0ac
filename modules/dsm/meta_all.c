// SPDX-License-Identifier: GPL-2.0
/*
 * What the master has all members do, and how it waits for them.
 *
 * All are asked at once, and all answers are waited for together. A member that is lost
 * does not answer; it is not waited for once the loss is known.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/slab.h>

#include "backlog.h"
#include "cluster.h"
#include "ctrl.h"
#include "meta.h"
#include "rpc.h"

/* Who was asked after its loss was told will not answer either. */
static void fail_outsiders(struct dsm_cluster *c, const struct dsm_nodeset *asked)
{
	struct dsm_view now;
	u16 n;

	dsm_cluster_view(c, &now);
	dsm_nodeset_for_each(n, asked)
		if (n != c->self && !dsm_nodeset_has(&now.members, n))
			dsm_rpc_fail_node(c, n);
}

static int collect(struct dsm_cluster *c, struct dsm_call **call, u32 timeout_ms, u64 *got)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(timeout_ms);
	int err = 0;

	for (u16 n = 0; n < c->nr_nodes; n++) {
		long left = max_t(long, deadline - jiffies, 0);
		u64 value = 0;
		int e;

		if (!call[n])
			continue;
		e = dsm_rpc_finish(c, call[n], jiffies_to_msecs(left), &value);
		if (got && (!e || value))
			got[n] = value;
		if (e && e != -EBUSY && e != -EREMCHG && e != -ENOTCONN)
			pr_err_ratelimited("%s: node %u: node %u did not do what was asked about the metadata: error %d\n",
					   c->name, c->self, n, e);
		/* The loss of one hides nothing. */
		if (!err || err == -ENOTCONN)
			err = e ?: err;
	}
	return err;
}

/**
 * dsm_meta_ask() - ask members the same, all at once
 * @c:		the cluster
 * @members:	whom; not this node, which does it itself
 * @head:	the message, complete but for the id
 * @timeout_ms:	how long to wait for all of them
 * @got:	what came with each node's answer, where something did; or NULL
 *
 * Context: process; sleeps, killable.
 * Return: 0 or the first errno of a member; -ENOTCONN, one is lost, only if there is no other.
 */
int dsm_meta_ask(struct dsm_cluster *c, const struct dsm_nodeset *members,
		 struct dsm_ctrl_head *head, u32 timeout_ms, u64 *got)
{
	struct dsm_call **call;
	int err;
	u16 n;

	call = kcalloc(c->nr_nodes, sizeof(*call), GFP_KERNEL | __GFP_NOFAIL);
	dsm_nodeset_for_each(n, members)
		if (n != c->self)
			call[n] = dsm_rpc_start(c, n, head);
	fail_outsiders(c, members);
	err = collect(c, call, timeout_ms, got);
	kfree(call);
	return err;
}

static int ask_all(struct dsm_cluster *c, struct dsm_ctrl_head *head, u64 *got)
{
	struct dsm_view view;

	dsm_cluster_view(c, &view);
	return dsm_meta_ask(c, &view.members, head, READ_ONCE(c->knobs.rpc_timeout_ms), got);
}

/**
 * dsm_meta_ask_all() - ask all other members the same
 * @c:		the cluster
 * @head:	the message, complete but for the id
 * @value:	becomes the least of it and what came with the answers
 *
 * Context: process; sleeps, killable, bounded by rpc_timeout_ms.
 * Return: 0, or the first errno of a member; who is lost is left out.
 */
int dsm_meta_ask_all(struct dsm_cluster *c, struct dsm_ctrl_head *head, u64 *value)
{
	u64 *got = kmalloc_array(c->nr_nodes, sizeof(*got), GFP_KERNEL | __GFP_NOFAIL);
	int err;

	for (u16 n = 0; n < c->nr_nodes; n++)
		got[n] = *value;
	err = ask_all(c, head, got);
	for (u16 n = 0; n < c->nr_nodes; n++)
		*value = min(*value, got[n]);
	kfree(got);
	return err == -ENOTCONN ? 0 : err;
}

/**
 * dsm_meta_settle() - wait until nothing is on the way from or to this node, which leaves
 * @c:		the cluster
 * @deadline:	in jiffies
 *
 * What others have asked by the old placement is to be answered, and what this node has
 * sent to arrive: with it goes what the links would send again once they are back.
 * Messages of a link come in order, so the answer to a question says so: one for nothing.
 *
 * Context: process; sleeps, up to twice rpc_timeout_ms behind the deadline.
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int dsm_meta_settle(struct dsm_cluster *c, unsigned long deadline)
{
	struct dsm_ctrl_zap none = { .file = 0 };
	int err = 0;

	dsm_ctrl_head_init(&none.head, DSM_CTRL_ZAP, sizeof(none));
	/* Twice: what came before the first answer may have got one itself. */
	for (int rounds = 0; rounds < 2 && !err; rounds++) {
		do {
			err = ask_all(c, &none.head, NULL);
			if (err == -ENOTCONN)
				err = 0;
		} while (err == -ETIMEDOUT && time_before(jiffies, deadline));
		for (u16 n = 0; n < c->nr_nodes && !err; n++)
			err = dsm_backlog_wait(c, n, deadline);
	}
	return err;
}

/* What is only good if all members know of it. */
static bool is_of_every_member(const struct dsm_op *op)
{
	return op->flags & DSM_OF_CHECK || op->type == DSM_OP_AGREED;
}

/* Who did not make it is told before the next change, or soon. */
static void to_be_told(struct dsm_cluster *c, const struct dsm_op *op)
{
	WRITE_ONCE(c->meta->agreed, 0);
	/* Who sends AGREED asks again itself. */
	if (op->type != DSM_OP_AGREED)
		dsm_meta_reap_soon(c);
}

/**
 * dsm_meta_apply_at_all() - make a change here, then at all other members
 * @c:	the cluster
 * @op:	the change; it gets the next number
 *
 * Context: process, op_mutex held; sleeps, killable, bounded by rpc_timeout_ms.
 * Return: 0, or an errno: of this node, then no other has been asked, or the first one of
 * a member. Who is lost is left out, but -ENOTCONN if every member must know.
 */
int dsm_meta_apply_at_all(struct dsm_cluster *c, struct dsm_op *op)
{
	struct dsm_ctrl_op *w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL | __GFP_NOFAIL);
	int err;

	lockdep_assert_held(&c->meta->op_mutex);
	op->seq = READ_ONCE(c->meta->changes.last) + 1;
	err = dsm_meta_apply(c, c->self, op);
	if (!err) {
		dsm_ctrl_encode_op(w, DSM_CTRL_APPLY, op);
		err = ask_all(c, &w->head, NULL);
		if (err && !(op->flags & DSM_OF_CHECK && err == -EBUSY))
			to_be_told(c, op);
		if (err == -ENOTCONN && !is_of_every_member(op))
			err = 0;
	}
	kfree(w);
	return err;
}
