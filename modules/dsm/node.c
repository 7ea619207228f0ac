// SPDX-License-Identifier: GPL-2.0
/*
 * A peer: its life, and that of the connections under it.
 *
 * Normal operation: of two nodes the one with the lower number connects; it
 * tries every reconnect_ms, more slowly if it has many to try, for as long as
 * the peer is wanted.  Frames flow as node_tx.c and node_rx.c say.  An idle link
 * carries an ACK frame every heartbeat_ms.
 *
 * Recovery: a connection without a sign of life for dead_ms is dropped, and a
 * peer without a connection for dead_ms is reported lost, once an outage.  What
 * was not acknowledged is sent again over the next connection.  If the peer has
 * another incarnation by then all frames are dropped, and the cluster is told.
 *
 * Locking: node lock inside the locks of pages, outside those of the transport
 * (post() is called with it held, and must not call back).  The transport
 * serialises connected(), rx() and lost() of one node, and reports every
 * tx_done() of a connection before its lost(); so a frame that is sent again is
 * never under way twice.  tick() is the only caller of connect(), and of
 * disconnect() apart from stop().  report() is a single work item: its calls of
 * the cluster are in order, and stop() must not be called from them (kill() may).
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "cluster.h"
#include "node.h"
#include "node_types.h"
#include "trace.h"

/**
 * dsm_node_id() - number of a peer
 * @n:	the peer
 *
 * Context: Any.
 * Return: the number.
 */
u16 dsm_node_id(const struct dsm_node *n)
{
	return n->id;
}

/**
 * dsm_node_addr() - address of a peer
 * @n:	the peer
 *
 * Context: Any.
 * Return: the address, valid as long as the peer is.
 */
const struct sockaddr_storage *dsm_node_addr(const struct dsm_node *n)
{
	return &n->addr;
}

/**
 * dsm_node_is_up() - is there a connection?
 * @n:	the peer
 *
 * Context: Any; the answer may be out of date at once.
 * Return: whether frames flow.
 */
bool dsm_node_is_up(const struct dsm_node *n)
{
	return dsm_node_link_state(n) == DSM_LS_UP;
}

/**
 * dsm_node_link_state() - state of the link machine
 * @n:	the peer
 *
 * Context: Any; the answer may be out of date at once.
 * Return: enum dsm_link_state.
 */
u8 dsm_node_link_state(const struct dsm_node *n)
{
	return READ_ONCE(n->link.state);
}

/**
 * dsm_node_incarnation() - which of its lives the peer is in
 * @c:	the cluster
 * @id:	the peer
 *
 * Context: Any; the answer may be out of date at once.
 * Return: the incarnation its last hello named, 0: it was never connected.
 */
u32 dsm_node_incarnation(const struct dsm_cluster *c, u16 id)
{
	return READ_ONCE(c->node[id]->link.peer_incarnation);
}

/**
 * dsm_node_nr_queued() - frames that wait for credit or for a connection
 * @n:	the peer
 *
 * Context: Any.
 * Return: their number.
 */
unsigned int dsm_node_nr_queued(struct dsm_node *n)
{
	return READ_ONCE(n->nr_queued);
}

/**
 * dsm_node_nr_unacked() - frames sent that the peer has not acknowledged
 * @n:	the peer
 *
 * Context: Any.
 * Return: their number.
 */
unsigned int dsm_node_nr_unacked(struct dsm_node *n)
{
	return READ_ONCE(n->nr_unacked);
}

/**
 * dsm_node_tx_mark() - where the stream of frames to the peer is now
 * @n:	the peer
 *
 * Context: Any.
 * Return: the place behind all that was queued so far.
 */
u32 dsm_node_tx_mark(struct dsm_node *n)
{
	u32 mark;

	spin_lock_bh(&n->lock);
	mark = n->link.tx_next + n->nr_queued;
	spin_unlock_bh(&n->lock);
	return mark;
}

/**
 * dsm_node_has_got() - has the peer received all up to a place?
 * @n:		the peer
 * @mark:	the place, of dsm_node_tx_mark()
 *
 * Context: Any.
 * Return: whether it has; true if nothing will be sent any more.
 */
bool dsm_node_has_got(struct dsm_node *n, u32 mark)
{
	bool got;

	spin_lock_bh(&n->lock);
	got = n->link.state == DSM_LS_DEAD ||
	      (s32)(n->link.tx_una - mark) >= 0;
	spin_unlock_bh(&n->lock);
	return got;
}

/**
 * dsm_node_hello() - what to tell the peer while connecting
 * @n:	the peer
 *
 * Context: Process or softirq.
 * Return: the hello.
 */
struct dsm_hello dsm_node_hello(struct dsm_node *n)
{
	struct dsm_hello h;

	spin_lock_bh(&n->lock);
	h = dsm_link_hello(&n->link, n->c->incarnation);
	spin_unlock_bh(&n->lock);
	return h;
}

/**
 * dsm_node_wanted() - may a connection to the peer be set up?
 * @n:	the peer
 *
 * Context: Process or softirq.
 * Return: whether it was started, and is neither stopped nor killed.
 */
bool dsm_node_wanted(struct dsm_node *n)
{
	bool wanted;

	spin_lock_bh(&n->lock);
	wanted = n->running && n->link.state != DSM_LS_DEAD;
	spin_unlock_bh(&n->lock);
	return wanted;
}

/**
 * dsm_node_connected() - the connection is there and hellos were exchanged
 * @n:	the peer
 * @h:	what it told
 *
 * Context: Process or softirq.  Posts frames.
 * Return: 0; -EPROTO if the hello is not acceptable, -ESHUTDOWN if the peer is
 * not wanted.
 */
int dsm_node_connected(struct dsm_node *n, const struct dsm_hello *h)
{
	LIST_HEAD(frames);
	u8 r;

	spin_lock_bh(&n->lock);
	if (!n->running || n->link.state == DSM_LS_DEAD) {
		spin_unlock_bh(&n->lock);
		return -ESHUTDOWN;
	}
	r = dsm_link_connected(&n->link, h, n->c->incarnation);
	if (r == DSM_LR_ERROR) {
		dsm_link_lost(&n->link);
		spin_unlock_bh(&n->lock);
		pr_info_ratelimited("%s: node %u: node %u remembers another conversation: trying again\n",
				    n->c->name, n->c->self, n->id);
		return -EPROTO;
	}
	if (r == DSM_LR_RESET) {
		dsm_count(n->c, link_reset);
		dsm_node_take_frames(n, &frames);
		dsm_node_drop_ctrl(n);
		n->reset = true;
	}
	n->connected = true;
	n->broken = false;
	n->conn_no++;
	n->lost_told = false;
	n->last_rx = jiffies;
	dsm_node_take_acked(n, &frames);
	dsm_node_resend(n);
	dsm_node_pump(n);
	mod_timer(&n->beat_timer,
		  jiffies + msecs_to_jiffies(READ_ONCE(n->c->knobs.heartbeat_ms)));
	queue_work(n->c->ctl_wq, &n->report);
	spin_unlock_bh(&n->lock);
	dsm_node_release(&frames);
	pr_info("%s: node %u: connected to node %u%s\n", n->c->name, n->c->self, n->id,
		r == DSM_LR_RESET ? ", it was restarted" : "");
	return 0;
}

/**
 * dsm_node_lost() - the connection is gone
 * @n:	the peer
 *
 * No other report for the connection is under way or will come.
 *
 * Context: Process.
 */
void dsm_node_lost(struct dsm_node *n)
{
	bool wanted;

	spin_lock_bh(&n->lock);
	dsm_link_lost(&n->link);
	n->connected = false;
	n->down_since = jiffies;
	list_splice_tail_init(&n->ctrl, &n->ctrl_old);
	wanted = n->running && n->link.state != DSM_LS_DEAD;
	if (n->running) {
		dsm_count(n->c, link_lost);
		queue_work(n->c->ctl_wq, &n->report);
		mod_delayed_work(n->c->ctl_wq, &n->tick, 0);
	}
	spin_unlock_bh(&n->lock);
	if (wanted)
		pr_warn_ratelimited("%s: node %u: connection to node %u lost\n",
				    n->c->name, n->c->self, n->id);
}

/* The peer is not coming back: forget its frames, hang up soon. */
static void dsm_node_bury_locked(struct dsm_node *n, struct list_head *frames)
{
	lockdep_assert_held(&n->lock);
	dsm_link_kill(&n->link);
	dsm_node_take_frames(n, frames);
	dsm_node_drop_ctrl(n);
	if (n->running)
		mod_delayed_work(n->c->ctl_wq, &n->tick, 0);
}

/**
 * dsm_node_fail_locked() - a message cannot even be queued: give the peer up
 * @n:	the peer
 *
 * A message must not be lost silently; so the peer is.
 *
 * Context: As dsm_node_send_msg(), node lock held.
 */
void dsm_node_fail_locked(struct dsm_node *n)
{
	LIST_HEAD(frames);

	if (n->link.state == DSM_LS_DEAD)
		return;
	pr_err_ratelimited("%s: node %u: no memory for a message to node %u, which is given up\n",
			   n->c->name, n->c->self, n->id);
	dsm_node_bury_locked(n, &frames);
	n->lost = true;
	if (n->running)
		queue_work(n->c->ctl_wq, &n->report);
	dsm_node_release(&frames);
}

/**
 * dsm_node_kill() - the peer has left or is lost
 * @n:	the peer
 *
 * Its frames are dropped, it is not reconnected, and nothing more is reported
 * of it (a report under way is not waited for).
 *
 * Context: Process or softirq.
 */
void dsm_node_kill(struct dsm_node *n)
{
	LIST_HEAD(frames);

	spin_lock_bh(&n->lock);
	n->killed = true;
	dsm_node_bury_locked(n, &frames);
	spin_unlock_bh(&n->lock);
	dsm_node_release(&frames);
}

/**
 * dsm_node_break() - the peer broke the protocol above that of frames
 * @n:		the peer
 * @what:	it sent, that makes no sense
 *
 * It was received in softirq and looked at later: the connection that it came on
 * may be another one by now, which then pays for it.
 *
 * Context: Process.
 */
void dsm_node_break(struct dsm_node *n, const char *what)
{
	dsm_count(n->c, frame_bad);
	pr_warn_ratelimited("%s: node %u: node %u sent a bad %s: connection dropped; do the nodes run the same version?\n",
			    n->c->name, n->c->self, n->id, what);
	spin_lock_bh(&n->lock);
	n->broken = n->connected;
	if (n->running && n->broken)
		mod_delayed_work(n->c->ctl_wq, &n->tick, 0);
	spin_unlock_bh(&n->lock);
}

enum tick_action { TICK_NONE, TICK_CONNECT, TICK_DROP, TICK_HANG_UP };

static enum tick_action dsm_node_tick_locked(struct dsm_node *n)
{
	unsigned long dead = msecs_to_jiffies(READ_ONCE(n->c->knobs.dead_ms));

	lockdep_assert_held(&n->lock);
	if (n->link.state == DSM_LS_DEAD)
		return TICK_HANG_UP;
	if (n->connected && n->broken)
		return TICK_HANG_UP;
	if (n->connected)
		return time_after(jiffies, n->last_rx + dead) ? TICK_DROP :
								TICK_NONE;
	if (!n->lost_told && time_after(jiffies, n->down_since + dead)) {
		n->lost_told = true;
		n->lost = true;
		queue_work(n->c->ctl_wq, &n->report);
	}
	return n->c->self < n->id ? TICK_CONNECT : TICK_NONE;
}

/* So many peers are tried in reconnect_ms; if more are missing, each waits longer. */
#define DSM_NODE_TRIES	16

/* Peers that this node has to connect to. */
static u32 dsm_node_missing(const struct dsm_cluster *c)
{
	u32 nr = 0;

	for (u16 id = c->self + 1; id < c->nr_nodes; id++)
		nr += c->node[id] && !READ_ONCE(c->node[id]->connected) &&
		      dsm_node_wanted(c->node[id]);
	return nr;
}

static unsigned long dsm_node_tick_delay(struct dsm_node *n)
{
	u32 ms = READ_ONCE(n->c->knobs.reconnect_ms);
	u32 dead = READ_ONCE(n->c->knobs.dead_ms);
	u32 late;

	if (READ_ONCE(n->connected)) {
		ms = max(dead / 4, 1u);
	} else if (n->c->self < n->id) {
		late = ms * DIV_ROUND_UP(dsm_node_missing(n->c), DSM_NODE_TRIES);
		/* The tick tells a loss as well. */
		ms = max(ms, min(late, dead / 2));
	}
	return msecs_to_jiffies(ms);
}

static void dsm_node_tick(struct work_struct *work)
{
	struct dsm_node *n = container_of(to_delayed_work(work),
					  struct dsm_node, tick);
	enum tick_action action;
	unsigned long delay;

	spin_lock_bh(&n->lock);
	action = dsm_node_tick_locked(n);
	spin_unlock_bh(&n->lock);

	switch (action) {
	case TICK_CONNECT:
		/* What went wrong is told by the transport; the next tick retries. */
		n->c->ops->connect(n);
		break;
	case TICK_DROP:
		pr_warn("%s: node %u: no sign of life of node %u for %u ms: connection dropped\n",
			n->c->name, n->c->self, n->id,
			READ_ONCE(n->c->knobs.dead_ms));
		fallthrough;
	case TICK_HANG_UP:
		n->c->ops->disconnect(n);
		break;
	case TICK_NONE:
		break;
	}

	delay = dsm_node_tick_delay(n);
	spin_lock_bh(&n->lock);
	if (n->running && n->link.state != DSM_LS_DEAD)
		queue_delayed_work(n->c->ctl_wq, &n->tick, delay);
	spin_unlock_bh(&n->lock);
}

/**
 * dsm_node_create() - a peer that is not connected
 * @c:		the cluster
 * @id:		its number
 * @addr:	its address
 *
 * Context: Process, sleeps.
 * Return: the peer, or NULL.
 */
struct dsm_node *dsm_node_create(struct dsm_cluster *c, u16 id,
				 const struct sockaddr_storage *addr)
{
	struct dsm_node *n = kzalloc(sizeof(*n), GFP_KERNEL);

	if (!n)
		return NULL;
	n->c = c;
	n->id = id;
	n->addr = *addr;
	spin_lock_init(&n->lock);
	dsm_link_init(&n->link);
	INIT_LIST_HEAD(&n->queue);
	INIT_LIST_HEAD(&n->unacked);
	INIT_LIST_HEAD(&n->ctrl);
	INIT_LIST_HEAD(&n->ctrl_old);
	timer_setup(&n->ack_timer, dsm_node_ack_timer, 0);
	timer_setup(&n->beat_timer, dsm_node_beat_timer, 0);
	INIT_DELAYED_WORK(&n->tick, dsm_node_tick);
	INIT_WORK(&n->report, dsm_node_report);
	return n;
}

/**
 * dsm_node_destroy() - free a peer
 * @n:	the peer, stopped; or NULL
 *
 * Context: Process, sleeps.
 */
void dsm_node_destroy(struct dsm_node *n)
{
	if (!n)
		return;
	WARN_ON(n->running);
	dsm_node_stop(n);
	kfree(n);
}

/**
 * dsm_node_start() - begin to keep a connection to the peer
 * @n:	the peer
 *
 * A peer that was killed starts anew.
 *
 * Context: Process, sleeps.
 * Return: 0.
 */
int dsm_node_start(struct dsm_node *n)
{
	spin_lock_bh(&n->lock);
	if (!n->running || n->link.state == DSM_LS_DEAD) {
		if (n->link.state == DSM_LS_DEAD)
			dsm_link_init(&n->link);
		n->killed = false;
		n->lost = false;
		n->lost_told = false;
		n->told_up = false;
		n->down_since = jiffies;
		n->running = true;
		queue_delayed_work(n->c->ctl_wq, &n->tick, 0);
	}
	spin_unlock_bh(&n->lock);
	return 0;
}

/**
 * dsm_node_stop() - hang up and forget what was to be sent
 * @n:	the peer
 *
 * When it returns the peer is reported no more.
 *
 * Context: Process, sleeps; not from a report.
 */
void dsm_node_stop(struct dsm_node *n)
{
	LIST_HEAD(frames);

	spin_lock_bh(&n->lock);
	n->running = false;
	n->killed = true;
	dsm_link_kill(&n->link);
	spin_unlock_bh(&n->lock);

	cancel_delayed_work_sync(&n->tick);
	n->c->ops->disconnect(n);
	timer_delete_sync(&n->ack_timer);
	timer_delete_sync(&n->beat_timer);
	cancel_work_sync(&n->report);

	spin_lock_bh(&n->lock);
	dsm_node_take_frames(n, &frames);
	dsm_node_drop_ctrl(n);
	spin_unlock_bh(&n->lock);
	dsm_node_release(&frames);
}
