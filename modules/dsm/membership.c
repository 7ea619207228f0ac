// SPDX-License-Identifier: GPL-2.0
/*
 * The shell of the membership machine (core/member.c).
 *
 * Normal operation: an event takes member_lock, steps the machine, sends what
 * is to be sent in that order, and copies the view.  What sleeps long is left to
 * work items: metadata for a joiner, handing over, cutting off.
 *
 * Who is let in, and when the master itself begins to leave, is decided with
 * op_mutex held: so no change of the metadata falls between the copy that the
 * joiner got and the view that names it, and there are never two masters at work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/printk.h>
#include <linux/sched.h>

#include "cluster.h"
#include "ctrl.h"
#include "membership.h"
#include "meta.h"
#include "node.h"
#include "region.h"
#include "rpc.h"
#include "trace.h"

/* How long a node that is gone stays for what others are to get from it. */
#define GONE_LINGER_MS	1000

/*
 * The hook for recovery.  A lost node has the machine raise view.epoch; once the
 * page layer can resend what was under way and rebuild directories, this is where
 * cluster.epoch follows and that begins, and where it ends with REBUILT.  Until
 * then cluster.epoch stays, so that what survivors have under way with each other
 * goes on, and what needed the lost node ends by its timeout.  REBUILT comes from
 * dsm_meta_reap(): with no file left, nothing refers to the lost node.
 */
static void nodes_lost(struct dsm_cluster *c, const struct dsm_nodeset *lost)
{
	u16 node;

	dsm_nodeset_for_each(node, lost) {
		pr_err("%s: node %u: node %u is lost; pages that it was home of, or held alone, are not available; it is let in again when all files are removed\n",
		       c->name, c->self, node);
		dsm_rpc_fail_node(c, node);
	}
}

static void log_view(struct dsm_cluster *c, const struct dsm_view *v)
{
	DECLARE_BITMAP(bits, DSM_MAX_NODES);

	bitmap_from_arr64(bits, v->members.w, DSM_MAX_NODES);
	pr_info("%s: node %u: view %u: members %*pbl, master %u\n", c->name,
		c->self, v->number, DSM_MAX_NODES, bits, dsm_view_master(v));
}

static void log_gone(struct dsm_cluster *c)
{
	switch ((enum dsm_member_reason)c->member.reason) {
	case DSM_MR_LEFT:
		pr_info("%s: node %u: has left\n", c->name, c->self);
		return;
	case DSM_MR_EXPELLED:
		pr_err("%s: node %u: the others had lost this node and go on without it; its files are not available: umount, rmmod, and load again\n",
		       c->name, c->self);
		return;
	case DSM_MR_MINORITY:
		pr_err("%s: node %u: too many nodes are lost, so this one stops serving: umount, rmmod, and load again where the others are\n",
		       c->name, c->self);
		return;
	case DSM_MR_NONE:
	case DSM_MR_BUSY:
	case DSM_MR_NOT_MASTER:
	case DSM_MR_NOT_LINKED:
	case DSM_MR_NOT_MEMBER:
	case DSM_MR_LOST:
	case DSM_NR_MEMBER_REASONS:
		break;
	}
}

static void publish_locked(struct dsm_cluster *c)
{
	bool in = dsm_member_is_in(&c->member);
	struct dsm_view *v = &c->member.view;
	struct dsm_nodeset lost = v->lost;
	bool was_in;

	lockdep_assert_held(&c->member_lock);
	/* A new cluster has no files, not even those that came for a membership that did not. */
	if (in && v->number == 1 && !c->view.number && dsm_meta_nr_files(c))
		dsm_meta_clear(c);
	spin_lock_bh(&c->view_lock);
	was_in = c->view.number;
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		lost.w[i] &= c->view.members.w[i];
	c->view = in ? *v : (struct dsm_view){ .number = 0 };
	WRITE_ONCE(c->some_lost, !in || !dsm_nodeset_empty(&v->lost));
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		WRITE_ONCE(c->outsiders.w[i], in ? ~v->members.w[i] : 0);
	spin_unlock_bh(&c->view_lock);
	trace_dsm_member(c, &c->view);
	if (in) {
		log_view(c, v);
		nodes_lost(c, &lost);
		dsm_meta_reap_soon(c);
	} else {
		if (was_in)
			log_gone(c);
		dsm_rpc_fail_all(c);
		queue_work(c->ctl_wq, &c->gone_work);
	}
	dsm_engine_view_changed(c);
	wake_up_all(&c->member_wait);
}

static void send_locked(struct dsm_cluster *c, const struct dsm_member_action *a)
{
	struct dsm_ctrl_member w;
	u16 node;
	int err;

	dsm_ctrl_encode_member(&w, &a->packet);
	dsm_nodeset_for_each(node, &a->to) {
		err = dsm_node_send_ctrl(c, node, &w, sizeof(w));
		if (err && err != -ENOTCONN)
			pr_err("%s: node %u: %s for node %u was not sent: error %d\n",
			       c->name, c->self,
			       dsm_member_msg_name(a->packet.type), node, err);
	}
}

static void act_locked(struct dsm_cluster *c, const struct dsm_member_action *a)
{
	switch ((enum dsm_member_action_type)a->type) {
	case DSM_MA_SEND:
		send_locked(c, a);
		break;
	case DSM_MA_VIEW:
		publish_locked(c);
		break;
	case DSM_MA_SNAPSHOT:
		c->snapshot_to = a->node;
		queue_work(c->ctl_wq, &c->snapshot_work);
		break;
	case DSM_MA_HANDOVER:
		c->handover_to = a->node;
		WRITE_ONCE(c->leaving, true);
		queue_work(c->ctl_wq, &c->handover_work);
		break;
	case DSM_MA_KILL:
		for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
			c->kill.w[i] |= a->to.w[i];
		queue_work(c->ctl_wq, &c->kill_work);
		break;
	case DSM_NR_MEMBER_ACTIONS:
		break;
	}
}

static void step(struct dsm_cluster *c, struct dsm_member_event *ev)
{
	struct dsm_member_out *out = &c->member_out;
	u64 at;

	mutex_lock(&c->member_lock);
	/* Another incarnation is not to pay for the one before. */
	if (ev->type == DSM_ME_LINK_UP && ev->reset)
		dsm_nodeset_del(&c->kill, ev->node);
	ev->now_us = ktime_to_us(ktime_get());
	dsm_member_step(&c->member, ev, out);
	for (u8 i = 0; i < out->nr; i++)
		act_locked(c, &out->act[i]);
	at = c->member.deadline_us;
	if (at)
		mod_delayed_work(c->ctl_wq, &c->member_timer,
				 at > ev->now_us ?
				 usecs_to_jiffies(at - ev->now_us) + 1 : 1);
	if (dsm_verdict_is_error(out->verdict))
		pr_warn_ratelimited("%s: node %u: %s %s of node %u: %s\n",
				    c->name, c->self,
				    dsm_member_event_name(ev->type),
				    ev->type == DSM_ME_MSG ?
				    dsm_member_msg_name(ev->packet.type) : "",
				    ev->node, dsm_verdict_name(out->verdict));
	mutex_unlock(&c->member_lock);
}

/**
 * dsm_membership_event() - let something happen to the membership
 * @c:		the cluster
 * @type:	enum dsm_member_event_type, not MSG
 * @node:	see struct dsm_member_event
 * @reset:	likewise
 *
 * Context: process; takes member_lock.
 */
void dsm_membership_event(struct dsm_cluster *c, u8 type, u16 node, bool reset)
{
	struct dsm_member_event ev = {
		.type = type,
		.node = node,
		.reset = reset,
	};

	step(c, &ev);
}

/**
 * dsm_membership_rx() - a message of the membership came
 * @c:		the cluster
 * @from:	from whom
 * @p:		the message
 *
 * Context: process; takes member_lock.
 */
void dsm_membership_rx(struct dsm_cluster *c, u16 from,
		       const struct dsm_member_packet *p)
{
	struct dsm_member_event ev = {
		.type = DSM_ME_MSG,
		.node = from,
		.packet = *p,
	};

	step(c, &ev);
}

static void member_timer_fn(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(to_delayed_work(work),
					     struct dsm_cluster, member_timer);

	dsm_membership_event(c, DSM_ME_TIMER, DSM_NODE_NONE, false);
}

static void snapshot_fn(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(work, struct dsm_cluster,
					     snapshot_work);
	u16 to = READ_ONCE(c->snapshot_to);
	int err;

	mutex_lock(&c->meta->op_mutex);
	err = dsm_meta_send_all(c, to);
	if (err)
		pr_warn("%s: node %u: node %u did not get the metadata: error %d; it will ask again\n",
			c->name, c->self, to, err);
	dsm_membership_event(c, err ? DSM_ME_DENY : DSM_ME_ADMIT, to, false);
	mutex_unlock(&c->meta->op_mutex);
}

static void handover_fn(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(work, struct dsm_cluster,
					     handover_work);
	u16 to = READ_ONCE(c->handover_to);
	int err = 0;

	if (to != DSM_NODE_NONE)
		err = dsm_meta_handover(c, to);
	if (err)
		pr_err("%s: node %u: not everything could be handed over to node %u (error %d): what is left is lost\n",
		       c->name, c->self, to, err);
	dsm_membership_event(c, DSM_ME_HANDED, DSM_NODE_NONE, false);
}

static void kill_fn(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(work, struct dsm_cluster, kill_work);
	struct dsm_nodeset kill;
	u16 node;

	mutex_lock(&c->member_lock);
	kill = c->kill;
	dsm_nodeset_clear(&c->kill);
	mutex_unlock(&c->member_lock);
	dsm_nodeset_for_each(node, &kill) {
		dsm_rpc_fail_node(c, node);
		dsm_node_kill(c->node[node]);
		/* From now on it is as one that was never there: it may come. */
		dsm_node_stop(c->node[node]);
		/* A connection may have been reported after it was to be cut. */
		dsm_membership_event(c, DSM_ME_LINK_DOWN, node, false);
		/* Once this node is gone gone_fn() is the last to stop them. */
		mutex_lock(&c->member_lock);
		if (c->member.state != DSM_MS_GONE)
			dsm_node_start(c->node[node]);
		mutex_unlock(&c->member_lock);
	}
}

static bool all_sent(struct dsm_cluster *c)
{
	for (u16 i = 0; i < c->nr_nodes; i++) {
		struct dsm_node *n = c->node[i];

		if (n && dsm_node_is_up(n) &&
		    (dsm_node_nr_queued(n) || dsm_node_nr_unacked(n)))
			return false;
	}
	return true;
}

static void gone_fn(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(work, struct dsm_cluster, gone_work);
	unsigned long deadline = jiffies + msecs_to_jiffies(GONE_LINGER_MS);

	/* The last view may be on its way to one that left just before. */
	while (!all_sent(c) && time_before(jiffies, deadline))
		schedule_timeout_idle(1);

	for (u16 i = 0; i < c->nr_nodes; i++)
		if (c->node[i])
			dsm_node_stop(c->node[i]);
}

/**
 * dsm_membership_init() - set up what the membership needs
 * @c:	the cluster, with workqueues
 *
 * Context: process.
 */
void dsm_membership_init(struct dsm_cluster *c)
{
	mutex_init(&c->member_lock);
	spin_lock_init(&c->view_lock);
	init_waitqueue_head(&c->member_wait);
	INIT_DELAYED_WORK(&c->member_timer, member_timer_fn);
	INIT_WORK(&c->snapshot_work, snapshot_fn);
	INIT_WORK(&c->handover_work, handover_fn);
	INIT_WORK(&c->kill_work, kill_fn);
	INIT_WORK(&c->gone_work, gone_fn);
	dsm_member_init(&c->member, c->self, c->nr_nodes, c->incarnation);
}

/* If this node could not leave: who wants to change a file need not ask anyone. */
static void forget_view(struct dsm_cluster *c)
{
	spin_lock_bh(&c->view_lock);
	c->view = (struct dsm_view){ .number = 0 };
	WRITE_ONCE(c->some_lost, true);
	spin_unlock_bh(&c->view_lock);
	dsm_engine_view_changed(c);
}

/**
 * dsm_membership_exit() - no step any more
 * @c:	the cluster; its nodes are stopped, so they report nothing
 *
 * Context: process; waits for work under way, which is bounded by
 * rpc_timeout_ms and leave_timeout_ms.
 */
void dsm_membership_exit(struct dsm_cluster *c)
{
	forget_view(c);
	dsm_rpc_fail_all(c);
	disable_delayed_work_sync(&c->member_timer);
	disable_work_sync(&c->snapshot_work);
	disable_work_sync(&c->handover_work);
	disable_work_sync(&c->kill_work);
	disable_work_sync(&c->gone_work);
	/* There may have been another one meanwhile. */
	forget_view(c);
}
