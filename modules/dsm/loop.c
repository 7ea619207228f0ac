// SPDX-License-Identifier: GPL-2.0
/*
 * Transport between several nodes of one kernel, for tests.
 *
 * Normal operation: two nodes share a pair of pipes, one a direction.  A frame
 * is delivered by a timer in softirq, as completions of RDMA are, loop_delay_us
 * after it was posted, and not before both nodes know of the connection, with
 * its payload copied to a fresh page, as if it had come over a wire.
 *
 * Recovery: loop_drop_ppm of the frames break the connection: the frame and all
 * behind it are gone, as with a reliable connection over RDMA.  loop_dup_ppm of
 * them arrive twice.  What breaks in softirq is taken down by a work item.
 *
 * Locking: dsm_loop_mutex serialises connect(), disconnect(), start(), stop()
 * and break; reports of connection and loss are made with it held.  A pipe's
 * lock is the innermost: inside the node lock.  The node layer does not post
 * before dsm_node_connected() or after dsm_node_lost(), so dsm_node.transport
 * needs no lock.
 */
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "cluster.h"
#include "node.h"
#include "node_types.h"

static uint loop_delay_us;
module_param(loop_delay_us, uint, 0644);
MODULE_PARM_DESC(loop_delay_us, "loop transport: microseconds a frame takes");

static uint loop_drop_ppm;
module_param(loop_drop_ppm, uint, 0644);
MODULE_PARM_DESC(loop_drop_ppm, "loop transport: frames in a million that break the connection");

static uint loop_dup_ppm;
module_param(loop_dup_ppm, uint, 0644);
MODULE_PARM_DESC(loop_dup_ppm, "loop transport: frames in a million that arrive twice");

/* Frames delivered before others get a turn. */
#define DSM_LOOP_BUDGET	64

struct dsm_loop_pair;

/**
 * struct dsm_loop_pipe - frames from one node to another
 * @pair:	both directions
 * @from:	the receiver, as the sender knows it
 * @to:		the sender, as the receiver knows it
 * @lock:	protects @frames
 * @frames:	under way, in order
 * @timer:	delivers the first one
 */
struct dsm_loop_pipe {
	struct dsm_loop_pair *pair;
	struct dsm_node *from;
	struct dsm_node *to;
	spinlock_t lock;	/* protects frames */
	struct list_head frames;
	struct hrtimer timer;
};

/**
 * struct dsm_loop_pair - two nodes
 * @pipe:	0: from the lower one to the higher one
 * @up:		both nodes know of the connection: frames are delivered;
 *		written under dsm_loop_mutex
 * @broken:	no frame passes any more
 * @break_work:	takes it down
 */
struct dsm_loop_pair {
	struct dsm_loop_pipe pipe[2];
	bool up;
	bool broken;
	struct work_struct break_work;
};

/**
 * struct dsm_loop - a node of this kernel
 * @c:		its cluster object
 * @pair:	with the nodes of higher number
 */
struct dsm_loop {
	struct dsm_cluster *c;
	struct dsm_loop_pair *pair[DSM_MAX_NODES];
};

static DEFINE_MUTEX(dsm_loop_mutex);
static struct dsm_loop *dsm_loops[DSM_MAX_NODES];

static bool dsm_loop_chance(uint ppm)
{
	return ppm && get_random_u32_below(1000000) < ppm;
}

static void dsm_loop_break(struct dsm_loop_pair *pair)
{
	WRITE_ONCE(pair->broken, true);
	queue_work(system_unbound_wq, &pair->break_work);
}

/* Return: 0, or an errno that costs the connection. */
static int dsm_loop_deliver(struct dsm_node *to, struct dsm_tx *tx)
{
	struct dsm_wire_head head = tx->head;
	struct page *page = NULL;
	int err;

	if (tx->len) {
		page = alloc_page(GFP_ATOMIC | __GFP_NOWARN);
		if (!page)
			return -ENOMEM;
		set_page_private(page, 0);
		memcpy(page_address(page),
		       tx->page ? page_address(tx->page) : (void *)tx->msg,
		       tx->len);
	}
	if (tx->compact)
		err = dsm_node_rx_compact(to, tx->imm, &page);
	else
		err = dsm_node_rx(to, &head, &page, sizeof(head) + tx->len);
	if (page)
		put_page(page);
	return err;
}

/* The first frame, if it is due; else @later says when to look again, or never. */
static struct dsm_tx *dsm_loop_next(struct dsm_loop_pipe *pipe,
				    enum hrtimer_restart *later)
{
	struct dsm_tx *tx;

	*later = HRTIMER_NORESTART;
	spin_lock(&pipe->lock);
	tx = list_first_entry_or_null(&pipe->frames, struct dsm_tx, posted);
	if (tx && ktime_after(tx->due, ktime_get())) {
		hrtimer_set_expires(&pipe->timer, tx->due);
		*later = HRTIMER_RESTART;
		tx = NULL;
	}
	spin_unlock(&pipe->lock);
	return tx;
}

/* Who posts starts the timer if there was no frame: decide under the lock. */
static bool dsm_loop_pop(struct dsm_loop_pipe *pipe, struct dsm_tx *tx)
{
	bool last;

	spin_lock(&pipe->lock);
	list_del(&tx->posted);
	last = list_empty(&pipe->frames);
	spin_unlock(&pipe->lock);
	return last;
}

static enum hrtimer_restart dsm_loop_timer(struct hrtimer *timer)
{
	struct dsm_loop_pipe *pipe = container_of(timer, struct dsm_loop_pipe,
						  timer);
	enum hrtimer_restart later;
	struct dsm_tx *tx;
	bool last;
	int err = 0;

	for (int i = 0; i < DSM_LOOP_BUDGET; i++) {
		if (READ_ONCE(pipe->pair->broken))
			return HRTIMER_NORESTART;
		tx = dsm_loop_next(pipe, &later);
		if (!tx)
			return later;
		if (dsm_loop_chance(READ_ONCE(loop_drop_ppm)))
			err = -EPIPE;
		if (!err)
			err = dsm_loop_deliver(pipe->to, tx);
		/* What has no number of its own is never sent twice on a connection. */
		if (!err && !tx->compact &&
		    dsm_loop_chance(READ_ONCE(loop_dup_ppm)))
			err = dsm_loop_deliver(pipe->to, tx);
		if (err) {
			dsm_loop_break(pipe->pair);
			return HRTIMER_NORESTART;
		}
		last = dsm_loop_pop(pipe, tx);
		dsm_node_tx_done(pipe->from, tx);
		if (last)
			return HRTIMER_NORESTART;
	}
	hrtimer_set_expires(timer, ktime_get());
	return HRTIMER_RESTART;
}

static int dsm_loop_post(struct dsm_node *n, struct dsm_tx *tx, bool more)
{
	struct dsm_loop_pipe *pipe = n->transport;
	bool first;

	if (READ_ONCE(pipe->pair->broken))
		return -EPIPE;
	tx->due = ktime_add_us(ktime_get(), READ_ONCE(loop_delay_us));
	spin_lock_bh(&pipe->lock);
	first = list_empty(&pipe->frames);
	list_add_tail(&tx->posted, &pipe->frames);
	if (first && READ_ONCE(pipe->pair->up))
		hrtimer_start(&pipe->timer, tx->due, HRTIMER_MODE_ABS_SOFT);
	spin_unlock_bh(&pipe->lock);
	return 0;
}

/* Frames that were posted before the pair was up; later ones start the timer. */
static void dsm_loop_begin(struct dsm_loop_pipe *pipe)
{
	struct dsm_tx *tx;

	spin_lock_bh(&pipe->lock);
	tx = list_first_entry_or_null(&pipe->frames, struct dsm_tx, posted);
	if (tx)
		hrtimer_start(&pipe->timer, tx->due, HRTIMER_MODE_ABS_SOFT);
	spin_unlock_bh(&pipe->lock);
}

static void dsm_loop_purge(struct dsm_loop_pipe *pipe)
{
	struct dsm_tx *tx, *next;

	hrtimer_cancel(&pipe->timer);
	list_for_each_entry_safe(tx, next, &pipe->frames, posted) {
		list_del(&tx->posted);
		dsm_node_tx_done(pipe->from, tx);
	}
}

static void dsm_loop_down(struct dsm_loop_pair *pair)
{
	lockdep_assert_held(&dsm_loop_mutex);
	if (!pair || !pair->up)
		return;
	/*
	 * No delivery after the timers are cancelled, no post() after the
	 * losses are told; a post() in between starts a timer that does nothing.
	 */
	WRITE_ONCE(pair->broken, true);
	WRITE_ONCE(pair->up, false);
	hrtimer_cancel(&pair->pipe[0].timer);
	hrtimer_cancel(&pair->pipe[1].timer);
	dsm_node_lost(pair->pipe[0].from);
	dsm_node_lost(pair->pipe[1].from);
	dsm_loop_purge(&pair->pipe[0]);
	dsm_loop_purge(&pair->pipe[1]);
}

static void dsm_loop_break_work(struct work_struct *work)
{
	struct dsm_loop_pair *pair = container_of(work, struct dsm_loop_pair,
						  break_work);

	mutex_lock(&dsm_loop_mutex);
	/* It may have been taken down and set up again meanwhile. */
	if (pair->broken)
		dsm_loop_down(pair);
	mutex_unlock(&dsm_loop_mutex);
}

static void dsm_loop_pipe_init(struct dsm_loop_pair *pair, int i)
{
	struct dsm_loop_pipe *pipe = &pair->pipe[i];

	pipe->pair = pair;
	spin_lock_init(&pipe->lock);
	INIT_LIST_HEAD(&pipe->frames);
	hrtimer_init(&pipe->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	pipe->timer.function = dsm_loop_timer;
}

static struct dsm_loop_pair *dsm_loop_pair_get(struct dsm_loop *lo, u16 hi)
{
	struct dsm_loop_pair *pair = lo->pair[hi];

	if (pair)
		return pair;
	pair = kzalloc(sizeof(*pair), GFP_KERNEL);
	if (!pair)
		return NULL;
	dsm_loop_pipe_init(pair, 0);
	dsm_loop_pipe_init(pair, 1);
	INIT_WORK(&pair->break_work, dsm_loop_break_work);
	lo->pair[hi] = pair;
	return pair;
}

/* @n: the higher node as the lower one knows it, @m: the other way round. */
static int dsm_loop_up(struct dsm_loop_pair *pair, struct dsm_node *n,
		       struct dsm_node *m)
{
	struct dsm_hello of_lo = dsm_node_hello(n);
	struct dsm_hello of_hi = dsm_node_hello(m);
	int err;

	pair->pipe[0].from = n;
	pair->pipe[0].to = m;
	pair->pipe[1].from = m;
	pair->pipe[1].to = n;
	n->transport = &pair->pipe[0];
	m->transport = &pair->pipe[1];
	WRITE_ONCE(pair->broken, false);

	err = dsm_node_connected(m, &of_lo);
	if (err)
		return err;
	err = dsm_node_connected(n, &of_hi);
	if (!err) {
		WRITE_ONCE(pair->up, true);
		dsm_loop_begin(&pair->pipe[0]);
		dsm_loop_begin(&pair->pipe[1]);
		return 0;
	}
	WRITE_ONCE(pair->broken, true);
	dsm_node_lost(m);
	dsm_loop_purge(&pair->pipe[1]);
	return err;
}

static int dsm_loop_connect(struct dsm_node *n)
{
	struct dsm_loop *lo = n->c->transport;
	struct dsm_loop_pair *pair;
	struct dsm_node *m;
	int err = -ENOTCONN;

	mutex_lock(&dsm_loop_mutex);
	if (!dsm_loops[n->id])
		goto out;
	m = dsm_loops[n->id]->c->node[n->c->self];
	if (!m || !dsm_node_wanted(m) || !dsm_node_wanted(n))
		goto out;
	err = -ENOMEM;
	pair = dsm_loop_pair_get(lo, n->id);
	if (!pair)
		goto out;
	err = pair->up ? 0 : dsm_loop_up(pair, n, m);
out:
	mutex_unlock(&dsm_loop_mutex);
	return err;
}

static void dsm_loop_disconnect(struct dsm_node *n)
{
	u16 lo = min(n->id, n->c->self);
	u16 hi = max(n->id, n->c->self);

	if (!n->c->transport)
		return;
	mutex_lock(&dsm_loop_mutex);
	if (dsm_loops[lo])
		dsm_loop_down(dsm_loops[lo]->pair[hi]);
	mutex_unlock(&dsm_loop_mutex);
}

static int dsm_loop_start(struct dsm_cluster *c)
{
	struct dsm_loop *loop = kzalloc(sizeof(*loop), GFP_KERNEL);
	int err = 0;

	if (!loop)
		return -ENOMEM;
	loop->c = c;
	mutex_lock(&dsm_loop_mutex);
	if (dsm_loops[c->self])
		err = -EADDRINUSE;
	else
		dsm_loops[c->self] = loop;
	mutex_unlock(&dsm_loop_mutex);
	if (err)
		kfree(loop);
	else
		c->transport = loop;
	return err;
}

static void dsm_loop_stop(struct dsm_cluster *c)
{
	struct dsm_loop *loop = c->transport;

	mutex_lock(&dsm_loop_mutex);
	for (int i = 0; i < DSM_MAX_NODES; i++) {
		dsm_loop_down(loop->pair[i]);
		if (dsm_loops[i])
			dsm_loop_down(dsm_loops[i]->pair[c->self]);
	}
	dsm_loops[c->self] = NULL;
	mutex_unlock(&dsm_loop_mutex);

	for (int i = 0; i < DSM_MAX_NODES; i++) {
		if (!loop->pair[i])
			continue;
		cancel_work_sync(&loop->pair[i]->break_work);
		kfree(loop->pair[i]);
	}
	c->transport = NULL;
	kfree(loop);
}

const struct dsm_transport_ops dsm_loop_ops = {
	.name = "loop",
	.start = dsm_loop_start,
	.stop = dsm_loop_stop,
	.connect = dsm_loop_connect,
	.disconnect = dsm_loop_disconnect,
	.post = dsm_loop_post,
};
