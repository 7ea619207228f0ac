// SPDX-License-Identifier: GPL-2.0
/*
 * Frames to a peer.
 *
 * Normal operation: a message goes to the end of the queue of its peer: into the
 * last frame there if that takes more, else into a new one.  dsm_node_flush()
 * posts the queues of all peers that have one, as far as there is credit; what
 * was posted stays in the list of unacknowledged frames until the peer's ack
 * comes, which also brings credit for more.  An ack rides on every frame.  When
 * none goes out for DSM_ACK_DELAY_MS, or when DSM_LINK_ACK_AFTER frames came
 * meanwhile, an ACK frame is sent.
 *
 * A page that answers a request goes without a head if it can, see core/wire.h.
 *
 * Recovery: dsm_node_resend() posts the unacknowledged frames again, in order,
 * all with their heads.
 * A frame, and the page in it, is released when it is acknowledged and the
 * transport is done with it: each holds a reference.  Should even the reserve of
 * frames be used up, the peer is given up rather than a message.
 *
 * Locking: everything happens under the node lock, posting included, for frames
 * must be posted in the order of their numbers.  There is no lock of all peers:
 * who wants to flush finds the peers in a bitmap.  A sender sets the bit after
 * it queued, under the node lock; whoever clears it takes that lock next and so
 * sees the frame.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "cluster.h"
#include "node.h"
#include "node_types.h"
#include "trace.h"

#define DSM_TX_RESERVE	256

/* Notifications can wait where they are: beyond that pages go first. */
#define DSM_NOTICES_MAX	64

static struct kmem_cache *dsm_tx_cache;
static mempool_t *dsm_tx_pool;

/**
 * dsm_node_init() - get memory for frames
 *
 * Context: Process, sleeps.
 * Return: 0 or -ENOMEM.
 */
int dsm_node_init(void)
{
	dsm_tx_cache = KMEM_CACHE(dsm_tx, SLAB_HWCACHE_ALIGN);
	if (!dsm_tx_cache)
		return -ENOMEM;
	dsm_tx_pool = mempool_create_slab_pool(DSM_TX_RESERVE, dsm_tx_cache);
	if (!dsm_tx_pool) {
		kmem_cache_destroy(dsm_tx_cache);
		return -ENOMEM;
	}
	return 0;
}

/**
 * dsm_node_exit() - give it back
 *
 * Context: Process, sleeps; no node exists any more.
 */
void dsm_node_exit(void)
{
	mempool_destroy(dsm_tx_pool);
	kmem_cache_destroy(dsm_tx_cache);
}

/* The pool zeroes nothing, and must not: what counts is set here. */
static struct dsm_tx *dsm_tx_alloc(u8 kind, gfp_t gfp)
{
	struct dsm_tx *tx = mempool_alloc(dsm_tx_pool, gfp | __GFP_NOWARN);

	if (!tx)
		return NULL;
	memset(tx, 0, offsetof(struct dsm_tx, head));
	memset(&tx->head, 0, sizeof(tx->head));
	refcount_set(&tx->refs, 1);
	tx->kind = kind;
	return tx;
}

static void dsm_tx_put(struct dsm_tx *tx)
{
	if (!refcount_dec_and_test(&tx->refs))
		return;
	if (tx->page && tx->counted)
		dsm_page_tx_put(tx->page);
	else if (tx->page)
		put_page(tx->page);
	mempool_free(tx, dsm_tx_pool);
}

/**
 * dsm_node_tx_done() - a frame given to post() is no longer touched
 * @n:	the peer
 * @tx:	the frame
 *
 * Context: Process or softirq.
 */
void dsm_node_tx_done(struct dsm_node *n, struct dsm_tx *tx)
{
	dsm_tx_put(tx);
}

/**
 * dsm_node_release() - drop the node's reference to each frame of a list
 * @frames:	the list; invalid afterwards
 *
 * Context: Process or softirq.
 */
void dsm_node_release(struct list_head *frames)
{
	struct dsm_tx *tx, *next;

	list_for_each_entry_safe(tx, next, frames, entry)
		dsm_tx_put(tx);
}

/**
 * dsm_node_take_frames() - empty the queues
 * @n:		the peer
 * @frames:	where to
 *
 * Context: Node lock held.
 */
void dsm_node_take_frames(struct dsm_node *n, struct list_head *frames)
{
	lockdep_assert_held(&n->lock);
	list_splice_tail_init(&n->unacked, frames);
	list_splice_tail_init(&n->queue, frames);
	n->open = NULL;
	n->nr_unacked = 0;
	n->nr_queued = 0;
}

/**
 * dsm_node_take_acked() - take out the frames that the peer has acknowledged
 * @n:		the peer
 * @frames:	where to
 *
 * Context: Node lock held.
 */
void dsm_node_take_acked(struct dsm_node *n, struct list_head *frames)
{
	struct dsm_tx *tx, *next;

	lockdep_assert_held(&n->lock);
	list_for_each_entry_safe(tx, next, &n->unacked, entry) {
		if ((s32)(tx->seq - n->link.tx_una) >= 0)
			break;
		list_move_tail(&tx->entry, frames);
		n->nr_unacked--;
	}
}

static u32 dsm_node_ack(struct dsm_node *n)
{
	u32 ack = dsm_link_ack(&n->link);

	return n->ack_held ? n->held_ack : ack;
}

/* Everything that goes out goes out here. */
static int dsm_node_post(struct dsm_node *n, struct dsm_tx *tx, bool more)
{
	struct dsm_frame f = {
		.kind = tx->kind,
		.nr = tx->nr,
		.len = tx->len,
		.seq = tx->seq,
		.ack = dsm_node_ack(n),
		.incarnation = n->c->incarnation,
	};
	int err;

	tx->compact = tx->may_compact;
	tx->may_compact = false;
	if (tx->compact)
		tx->imm |= (f.ack & DSM_IMM_ACK_MASK) << DSM_IMM_ACK_SHIFT;
	else
		dsm_wire_encode_frame(&tx->head.frame, &f);
	trace_dsm_frame_send(n->c, n->id, f.kind, f.nr, f.len, f.seq);
	dsm_count(n->c, frame_sent);
	n->last_tx = jiffies;
	refcount_inc(&tx->refs);
	err = n->c->ops->post(n, tx, more);
	if (err)
		dsm_tx_put(tx);
	return err;
}

static bool dsm_node_has_credit(const struct dsm_node *n)
{
	return n->link.state == DSM_LS_UP &&
	       n->link.tx_next - n->link.tx_una < DSM_LINK_WINDOW;
}

/**
 * dsm_node_pump() - post what waits, as far as there is credit
 * @n:	the peer
 *
 * An error of post() needs no care: the connection will be reported lost, and
 * the frame is kept.
 *
 * Context: Node lock held.
 */
void dsm_node_pump(struct dsm_node *n)
{
	struct dsm_tx *tx;
	u32 ack;

	lockdep_assert_held(&n->lock);
	while (n->nr_queued) {
		tx = list_first_entry(&n->queue, struct dsm_tx, entry);
		if (dsm_link_send(&n->link, &tx->seq, &ack) != DSM_LR_OK)
			return;
		if (n->open == tx)
			n->open = NULL;
		list_move_tail(&tx->entry, &n->unacked);
		n->nr_queued--;
		n->nr_unacked++;
		if (dsm_node_post(n, tx, n->nr_queued && dsm_node_has_credit(n)))
			return;
	}
}

/**
 * dsm_node_resend() - post the unacknowledged frames over a new connection
 * @n:	the peer
 *
 * Context: Node lock held.
 */
void dsm_node_resend(struct dsm_node *n)
{
	struct dsm_tx *tx;

	lockdep_assert_held(&n->lock);
	list_for_each_entry(tx, &n->unacked, entry) {
		tx->may_compact = false;
		dsm_count(n->c, frame_resent);
		if (dsm_node_post(n, tx, !list_is_last(&tx->entry, &n->unacked)))
			return;
	}
}

/**
 * dsm_node_send_ack() - send an ACK frame
 * @n:	the peer
 *
 * Without memory the timer sees to it later.
 *
 * Context: Node lock held.
 */
void dsm_node_send_ack(struct dsm_node *n)
{
	struct dsm_tx *tx;

	lockdep_assert_held(&n->lock);
	if (n->link.state != DSM_LS_UP)
		return;
	tx = dsm_tx_alloc(DSM_FRAME_ACK, GFP_ATOMIC);
	if (!tx)
		return;
	dsm_node_post(n, tx, false);
	dsm_tx_put(tx);
}

/**
 * dsm_node_ack_timer() - the delay of an ack is over
 * @t:	the timer
 *
 * In a conversation acks ride on frames; then what is due now came after the
 * timer was armed, and gets a delay of its own.
 *
 * Context: Softirq.
 */
void dsm_node_ack_timer(struct timer_list *t)
{
	struct dsm_node *n = from_timer(n, t, ack_timer);

	spin_lock_bh(&n->lock);
	if ((s32)(n->link.rx_acked - n->ack_mark) < 0)
		dsm_node_send_ack(n);
	if (n->link.state == DSM_LS_UP && dsm_link_ack_due(&n->link)) {
		n->ack_mark = n->link.rx_next;
		mod_timer(t, jiffies + msecs_to_jiffies(DSM_ACK_DELAY_MS));
	}
	spin_unlock_bh(&n->lock);
}

/**
 * dsm_node_beat_timer() - give a sign of life if the link is idle
 * @t:	the timer
 *
 * Context: Softirq.
 */
void dsm_node_beat_timer(struct timer_list *t)
{
	struct dsm_node *n = from_timer(n, t, beat_timer);
	unsigned long beat = msecs_to_jiffies(READ_ONCE(n->c->knobs.heartbeat_ms));

	spin_lock_bh(&n->lock);
	if (n->link.state == DSM_LS_UP) {
		if (time_after_eq(jiffies, n->last_tx + beat)) {
			dsm_node_send_ack(n);
			n->last_tx = jiffies;
		}
		mod_timer(t, n->last_tx + beat);
	}
	spin_unlock_bh(&n->lock);
}

/* The last frame of the queue, if the message can share it. */
static struct dsm_tx *dsm_node_open_frame(struct dsm_node *n)
{
	struct dsm_tx *tx = n->open;

	if (!tx || tx->nr > DSM_TX_MSGS)
		return NULL;
	return tx;
}

static void dsm_node_append(struct dsm_node *n, struct dsm_tx *tx)
{
	list_add_tail(&tx->entry, &n->queue);
	n->nr_queued++;
	n->open = NULL;
}

static bool dsm_node_queue_msg(struct dsm_node *n, const struct dsm_msg *m,
			       struct page *page, bool counted,
			       const struct dsm_nodeset *set)
{
	u16 own = dsm_wire_payload(m);
	struct dsm_tx *tx = own ? NULL : dsm_node_open_frame(n);

	if (tx) {
		dsm_wire_encode_msg(&tx->msg[tx->nr - 1], m);
		tx->nr++;
		tx->len += sizeof(struct dsm_wire_msg);
		return true;
	}
	tx = dsm_tx_alloc(DSM_FRAME_PAGE, GFP_ATOMIC);
	if (!tx)
		return false;
	tx->nr = 1;
	tx->len = own;
	tx->page = page;
	tx->counted = counted;
	dsm_wire_encode_msg(&tx->head.msg, m);
	tx->may_compact = page && dsm_wire_compact(m, &tx->imm);
	if (own && !page)
		dsm_wire_encode_set((struct dsm_wire_set *)tx->msg, set);
	dsm_node_append(n, tx);
	if (!own)
		n->open = tx;
	return true;
}

static struct dsm_node *dsm_node_of(struct dsm_cluster *c, u16 to)
{
	return to < DSM_MAX_NODES ? c->node[to] : NULL;
}

static void dsm_node_mark_dirty(struct dsm_node *n)
{
	/* Pairs with the clear in dsm_node_flush(): both before the node lock. */
	if (!test_bit(n->id, n->c->dirty))
		set_bit(n->id, n->c->dirty);
}

/**
 * dsm_node_send_msg() - queue a message of the page protocol
 * @c:		the cluster
 * @to:		the peer
 * @m:		the message
 * @page:	the page if DSM_MF_PAGE, else NULL; the caller's reference goes
 *		to the frame
 * @counted:	the reference is one of dsm_page_tx_get()
 * @set:	the sharers if MOVE, else NULL
 *
 * See node.h.
 *
 * Context: Any but hard interrupt.
 */
void dsm_node_send_msg(struct dsm_cluster *c, u16 to, const struct dsm_msg *m,
		       struct page *page, bool counted,
		       const struct dsm_nodeset *set)
{
	struct dsm_node *n = dsm_node_of(c, to);
	bool queued = false;

	if (n) {
		spin_lock_bh(&n->lock);
		if (n->link.state != DSM_LS_DEAD) {
			queued = dsm_node_queue_msg(n, m, page, counted, set);
			if (queued)
				dsm_node_mark_dirty(n);
			else
				dsm_node_fail_locked(n);
		}
		spin_unlock_bh(&n->lock);
	}
	if (queued || !page)
		return;
	if (counted)
		dsm_page_tx_put(page);
	else
		put_page(page);
}

/**
 * dsm_node_send_notice() - queue a notification
 * @c:		the cluster
 * @to:		the peer
 * @notice:	what to send
 *
 * See node.h.
 *
 * Context: Any but hard interrupt.
 * Return: 0; -EAGAIN if too much waits for the peer, or without memory; -ENOTCONN
 * if it is dead.
 */
int dsm_node_send_notice(struct dsm_cluster *c, u16 to, const struct dsm_notice *notice)
{
	struct dsm_node *n = dsm_node_of(c, to);
	struct dsm_tx *tx = NULL;
	int err = -EAGAIN;

	if (!n)
		return -ENOTCONN;
	spin_lock_bh(&n->lock);
	if (n->link.state == DSM_LS_DEAD)
		err = -ENOTCONN;
	else if (n->nr_queued < DSM_NOTICES_MAX)
		tx = dsm_tx_alloc(DSM_FRAME_NOTIFY, GFP_ATOMIC);
	if (tx) {
		dsm_wire_encode_notice(&tx->head.notice, notice);
		dsm_node_append(n, tx);
		dsm_node_mark_dirty(n);
		err = 0;
	}
	spin_unlock_bh(&n->lock);
	return err;
}

/**
 * dsm_node_flush() - send what was queued on this CPU since the last flush
 * @c:	the cluster
 *
 * Sends what other CPUs queued as well.
 *
 * Context: As dsm_node_send_msg(), no page locked.
 */
void dsm_node_flush(struct dsm_cluster *c)
{
	unsigned int i;

	for_each_set_bit(i, c->dirty, DSM_MAX_NODES) {
		struct dsm_node *n = c->node[i];

		if (!n || !test_and_clear_bit(i, c->dirty))
			continue;
		spin_lock_bh(&n->lock);
		dsm_node_pump(n);
		spin_unlock_bh(&n->lock);
	}
}

/**
 * dsm_node_send_ctrl() - send bytes to the cluster layer of a peer
 * @c:		the cluster
 * @to:		the peer
 * @buf:	what
 * @len:	at most DSM_PAGE_SIZE
 *
 * It does not fail for want of memory: members that got a change and members that
 * did not would have different files.
 *
 * See node.h.
 *
 * Context: Process, sleeps.
 * Return: 0, -EMSGSIZE, -ENOTCONN if the peer is dead.
 */
int dsm_node_send_ctrl(struct dsm_cluster *c, u16 to, const void *buf, size_t len)
{
	struct dsm_node *n = dsm_node_of(c, to);
	struct dsm_tx *tx;

	if (!n)
		return -ENOTCONN;
	if (len > DSM_PAGE_SIZE)
		return -EMSGSIZE;
	tx = kmem_cache_alloc(dsm_tx_cache, GFP_KERNEL | __GFP_NOFAIL);
	memset(tx, 0, sizeof(*tx));
	refcount_set(&tx->refs, 1);
	tx->kind = DSM_FRAME_CTRL;
	tx->len = len;
	if (len <= sizeof(tx->msg)) {
		memcpy(tx->msg, buf, len);
	} else {
		tx->page = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NOFAIL);
		memcpy(page_address(tx->page), buf, len);
	}
	spin_lock_bh(&n->lock);
	if (n->link.state == DSM_LS_DEAD) {
		spin_unlock_bh(&n->lock);
		dsm_tx_put(tx);
		return -ENOTCONN;
	}
	dsm_node_append(n, tx);
	dsm_node_pump(n);
	spin_unlock_bh(&n->lock);
	return 0;
}
