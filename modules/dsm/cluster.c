// SPDX-License-Identifier: GPL-2.0
/*
 * The cluster object: its life, and what the node layer reports.
 *
 * Order of life: metadata and engine, then the peers, then the transport; last
 * the first TIMER event starts the membership machine.  It ends in reverse:
 * leave, stop the peers (so nothing is reported any more), let the workers run
 * out, free the regions, free the rest.
 *
 * Lock order of the cluster and metadata layers, outermost first:
 *
 *	1. inode->i_rwsem	VFS; its holder may wait for the master
 *	2. dsm_meta.op_mutex	the master does one op at a time; held while the
 *				members answer
 *	3. dsm_meta.lock	the tables; held for no wait on the network
 *	4. dsm_region.mapping_lock
 *	5. inode->i_lock	igrab()
 *
 *	2. before member_lock	letting a node in; the master's own leaving
 *	   member_lock		held while messages of the membership are queued
 *	   before view_lock	a leaf
 *	   before 3.		a node of a new cluster forgets what files it had
 *
 * Applying a change takes 3 to 5 but never 1, so a node whose inode locks are
 * held by those who wait for the master still answers the master.  iput() is
 * called outside 3, as evicting an inode takes it.  xa_lock of cluster.calls is
 * a leaf.  The worker that applies changes is waited for with 2 held (meta_agree.c),
 * so it takes neither 1 nor 2.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "cluster.h"
#include "ctrl.h"
#include "membership.h"
#include "meta.h"
#include "node.h"
#include "notify.h"
#include "region.h"
#include "rpc.h"
#include "sysfs.h"
#include "transport.h"

/* How often a node that leaves asks again. */
#define LEAVE_STEP_MS	200

static LIST_HEAD(clusters);
static DEFINE_MUTEX(clusters_lock);

/* ---- life ---- */

static void destroy_nodes(struct dsm_cluster *c)
{
	for (u16 i = 0; i < c->nr_nodes; i++) {
		dsm_node_destroy(c->node[i]);
		c->node[i] = NULL;
	}
}

static void stop_nodes(struct dsm_cluster *c)
{
	for (u16 i = 0; i < c->nr_nodes; i++)
		if (c->node[i])
			dsm_node_stop(c->node[i]);
}

static int create_nodes(struct dsm_cluster *c, const struct dsm_config *cfg)
{
	for (u16 i = 0; i < c->nr_nodes; i++) {
		int err;

		if (i == c->self)
			continue;
		c->node[i] = dsm_node_create(c, i, &cfg->addr[i]);
		if (!c->node[i])
			return -ENOMEM;
		err = dsm_sysfs_node_add(c, i);
		if (err)
			return err;
	}
	return 0;
}

static int start_nodes(struct dsm_cluster *c)
{
	for (u16 i = 0; i < c->nr_nodes; i++) {
		int err = c->node[i] ? dsm_node_start(c->node[i]) : 0;

		if (err)
			return err;
	}
	return 0;
}

static int create_queues(struct dsm_cluster *c)
{
	c->ctl_wq = alloc_workqueue("%s_ctl", WQ_UNBOUND, 0, c->name);
	c->page_wq = alloc_workqueue("%s_page", WQ_UNBOUND | WQ_HIGHPRI, 0,
				     c->name);
	return c->ctl_wq && c->page_wq ? 0 : -ENOMEM;
}

static void destroy_queues(struct dsm_cluster *c)
{
	if (c->page_wq)
		destroy_workqueue(c->page_wq);
	if (c->ctl_wq)
		destroy_workqueue(c->ctl_wq);
}

static struct dsm_cluster *alloc_cluster(const struct dsm_config *cfg)
{
	struct dsm_cluster *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->self = cfg->self;
	c->nr_nodes = cfg->nr_nodes;
	c->addr = cfg->addr[cfg->self];
	c->ops = cfg->ops;
	c->epoch = 1;
	c->knobs = dsm_default_knobs;
	strscpy(c->name, cfg->name);
	do {
		c->incarnation = get_random_u32();
	} while (!c->incarnation);
	xa_init_flags(&c->regions, XA_FLAGS_LOCK_BH);
	xa_init_flags(&c->calls, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&c->list);
	dsm_membership_init(c);
	return c;
}

static void free_cluster(struct dsm_cluster *c)
{
	free_percpu(c->stats);
	xa_destroy(&c->calls);
	xa_destroy(&c->regions);
	kfree(c);
}

struct dsm_cluster *dsm_cluster_create(const struct dsm_config *cfg)
{
	struct dsm_cluster *c = alloc_cluster(cfg);
	int err = -ENOMEM;

	if (!c)
		return ERR_PTR(-ENOMEM);
	c->stats = alloc_percpu(struct dsm_pcpu_stats);
	if (!c->stats)
		goto free;
	err = create_queues(c);
	if (err)
		goto queues;
	err = dsm_meta_create(c);
	if (err)
		goto queues;
	err = dsm_engine_start(c);
	if (err)
		goto meta;
	err = dsm_notify_start(c);
	if (err)
		goto engine;
	err = dsm_sysfs_cluster_add(c);
	if (err)
		goto notify;
	err = create_nodes(c, cfg);
	if (err)
		goto nodes;
	err = c->ops->start(c);
	if (err)
		goto nodes;
	err = start_nodes(c);
	if (err)
		goto transport;
	mutex_lock(&clusters_lock);
	list_add_tail(&c->list, &clusters);
	mutex_unlock(&clusters_lock);
	dsm_membership_event(c, DSM_ME_TIMER, DSM_NODE_NONE, false);
	return c;

transport:
	stop_nodes(c);
	c->ops->stop(c);
nodes:
	dsm_membership_exit(c);
	dsm_sysfs_cluster_del(c);
notify:
	dsm_notify_stop(c);
engine:
	dsm_engine_stop(c);
	destroy_nodes(c);
meta:
	dsm_meta_destroy(c);
queues:
	destroy_queues(c);
free:
	free_cluster(c);
	return ERR_PTR(err);
}

void dsm_cluster_destroy(struct dsm_cluster *c)
{
	int err = dsm_cluster_leave(c);

	if (err)
		pr_err("%s: node %u: did not leave in good order (error %d): goes anyway, the others will find it lost\n",
		       c->name, c->self, err);
	mutex_lock(&clusters_lock);
	list_del(&c->list);
	mutex_unlock(&clusters_lock);
	flush_work(&c->gone_work);
	/* It starts nodes again. */
	disable_work_sync(&c->kill_work);
	stop_nodes(c);
	c->ops->stop(c);
	dsm_membership_exit(c);
	dsm_meta_drain(c);
	dsm_meta_clear(c);
	dsm_sysfs_cluster_del(c);
	/* The workers of both look at the nodes, and send to them. */
	dsm_notify_stop(c);
	dsm_engine_stop(c);
	destroy_nodes(c);
	dsm_meta_destroy(c);
	destroy_queues(c);
	free_cluster(c);
}

/**
 * dsm_cluster_find() - a cluster of this module
 * @name:	its name, or NULL for the first one
 *
 * Context: process.
 * Return: the cluster, which lives as long as the module, or NULL.
 */
struct dsm_cluster *dsm_cluster_find(const char *name)
{
	struct dsm_cluster *c, *found = NULL;

	mutex_lock(&clusters_lock);
	list_for_each_entry(c, &clusters, list) {
		if (name && strcmp(name, c->name))
			continue;
		found = c;
		break;
	}
	mutex_unlock(&clusters_lock);
	return found;
}

/* ---- membership, for the rest of the module ---- */

bool dsm_cluster_is_joined(struct dsm_cluster *c)
{
	u8 state = READ_ONCE(c->member.state);

	return state == DSM_MS_IN || state == DSM_MS_ASKED ||
	       state == DSM_MS_LEAVING || state == DSM_MS_DONE;
}

static bool is_settled(struct dsm_cluster *c)
{
	return dsm_cluster_is_joined(c) ||
	       READ_ONCE(c->member.state) == DSM_MS_GONE;
}

int dsm_cluster_wait_joined(struct dsm_cluster *c, u32 timeout_ms)
{
	long left;

	left = wait_event_killable_timeout(c->member_wait, is_settled(c),
					   msecs_to_jiffies(timeout_ms));
	if (left < 0)
		return -EINTR;
	if (!left && !is_settled(c))
		return -ETIMEDOUT;
	return dsm_cluster_is_joined(c) ? 0 : -ENOTCONN;
}

void dsm_cluster_view(struct dsm_cluster *c, struct dsm_view *view)
{
	spin_lock_bh(&c->view_lock);
	*view = c->view;
	spin_unlock_bh(&c->view_lock);
}

void dsm_cluster_members(struct dsm_cluster *c, struct dsm_nodeset *members)
{
	struct dsm_view view;

	dsm_cluster_view(c, &view);
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		members->w[i] = view.members.w[i] & ~view.leaving.w[i];
}

u16 dsm_cluster_master(struct dsm_cluster *c)
{
	struct dsm_view view;

	dsm_cluster_view(c, &view);
	return dsm_view_master(&view);
}

/* ---- leaving ---- */

/* A request to leave that its caller has given up goes on, or is taken back. */
static bool wants_out(struct dsm_cluster *c)
{
	bool ret;

	mutex_lock(&c->member_lock);
	ret = dsm_member_wants_out(&c->member);
	mutex_unlock(&c->member_lock);
	return ret;
}

int dsm_cluster_mount(struct dsm_cluster *c)
{
	atomic_inc(&c->nr_mounts);
	/* Pairs with the barrier in begin_leave(): one of the two sees the other. */
	smp_mb__after_atomic();
	if (!READ_ONCE(c->closing) && !wants_out(c))
		return 0;
	dsm_cluster_umount(c);
	return -EBUSY;
}

void dsm_cluster_umount(struct dsm_cluster *c)
{
	atomic_dec(&c->nr_mounts);
}

static int begin_leave(struct dsm_cluster *c)
{
	WRITE_ONCE(c->closing, true);
	/* Pairs with the barrier in dsm_cluster_mount(). */
	smp_mb();
	if (!atomic_read(&c->nr_mounts))
		return 0;
	WRITE_ONCE(c->closing, false);
	return -EBUSY;
}

static bool is_gone(struct dsm_cluster *c)
{
	return READ_ONCE(c->member.state) == DSM_MS_GONE;
}

static int ask_to_leave(struct dsm_cluster *c)
{
	if (mutex_lock_killable(&c->meta->op_mutex))
		return -EINTR;
	dsm_membership_event(c, DSM_ME_LEAVE, DSM_NODE_NONE, false);
	mutex_unlock(&c->meta->op_mutex);
	return 0;
}

int dsm_cluster_leave(struct dsm_cluster *c)
{
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(c->knobs.leave_timeout_ms));
	int err = begin_leave(c);

	while (!err && !is_gone(c)) {
		long left;

		err = time_after(jiffies, deadline) ? -ETIMEDOUT : ask_to_leave(c);
		if (err)
			break;
		left = wait_event_killable_timeout(c->member_wait, is_gone(c),
						   msecs_to_jiffies(LEAVE_STEP_MS));
		if (left < 0)
			err = -EINTR;
	}
	if (err)
		WRITE_ONCE(c->closing, false);
	return err;
}

/* ---- reports of the node layer ---- */

void dsm_cluster_node_up(struct dsm_cluster *c, u16 node, bool reset)
{
	if (reset)
		dsm_rpc_fail_node(c, node);
	dsm_membership_event(c, DSM_ME_LINK_UP, node, reset);
}

void dsm_cluster_node_down(struct dsm_cluster *c, u16 node)
{
	dsm_membership_event(c, DSM_ME_LINK_DOWN, node, false);
}

void dsm_cluster_node_lost(struct dsm_cluster *c, u16 node)
{
	dsm_rpc_fail_node(c, node);
	dsm_membership_event(c, DSM_ME_LINK_LOST, node, false);
}

void dsm_cluster_rx_ctrl(struct dsm_cluster *c, u16 from, const void *buf,
			 size_t len)
{
	const struct dsm_ctrl_head *h = buf;
	struct dsm_member_packet p;

	if (!dsm_ctrl_check(buf, len)) {
		dsm_node_break(c->node[from], "control message");
		return;
	}
	if (h->type == DSM_CTRL_REPLY) {
		dsm_rpc_rx_reply(c, from, buf);
	} else if (h->type == DSM_CTRL_MEMBER) {
		if (dsm_ctrl_decode_member(buf, &p))
			dsm_membership_rx(c, from, &p);
		else
			dsm_node_break(c->node[from], "message of the membership");
	} else {
		dsm_meta_rx(c, from, buf, len);
	}
}
