/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A peer: the link machine, the queue of frames that wait for credit, the
 * frames that wait for their ack, and the connection under it.
 */
#ifndef DSM_NODE_H
#define DSM_NODE_H

#include <linux/mm.h>
#include <linux/socket.h>

#include "cluster_types.h"
#include "core/wire.h"
#include "transport.h"

/*
 * A page that is both a copy in a region and payload of frames: the frames
 * count themselves in page->private (which is ours: PG_private is not set), so
 * that whoever takes the page away can tell their references from those of
 * strangers.  Conservative under races: a reference is taken before and dropped
 * after it is counted.
 */
static inline void dsm_page_tx_get(struct page *page)
{
	get_page(page);
	atomic_long_inc((atomic_long_t *)&page->private);
}

static inline void dsm_page_tx_put(struct page *page)
{
	atomic_long_dec((atomic_long_t *)&page->private);
	put_page(page);
}

static inline long dsm_page_tx_count(struct page *page)
{
	return atomic_long_read((atomic_long_t *)&page->private);
}

/* ---- for the cluster and the engine ---- */

/* Once for the module: memory for frames. */
int dsm_node_init(void);
void dsm_node_exit(void);

struct dsm_node *dsm_node_create(struct dsm_cluster *c, u16 id,
				 const struct sockaddr_storage *addr);
void dsm_node_destroy(struct dsm_node *n);

/* Begin and end to keep a connection to the peer; sleeps. */
int dsm_node_start(struct dsm_node *n);
void dsm_node_stop(struct dsm_node *n);

/* The peer has left or is lost: its frames are dropped, it is not reconnected. */
void dsm_node_kill(struct dsm_node *n);

/* What came in a CTRL frame makes no sense: a log line, the connection is dropped. */
void dsm_node_break(struct dsm_node *n, const char *what);

u16 dsm_node_id(const struct dsm_node *n);
const struct sockaddr_storage *dsm_node_addr(const struct dsm_node *n);
bool dsm_node_is_up(const struct dsm_node *n);
u32 dsm_node_incarnation(const struct dsm_cluster *c, u16 id);
/* For sysfs: state of the link, frames queued and unacknowledged. */
u8 dsm_node_link_state(const struct dsm_node *n);
unsigned int dsm_node_nr_queued(struct dsm_node *n);
unsigned int dsm_node_nr_unacked(struct dsm_node *n);
/* Has it got all that was queued when the mark was taken? */
u32 dsm_node_tx_mark(struct dsm_node *n);
bool dsm_node_has_got(struct dsm_node *n, u32 mark);

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
 * Keeps the order of calls per peer.  Nothing is sent before dsm_node_flush(),
 * so that messages queued in a row share a frame and a doorbell.  Never fails;
 * a peer that is dead or not configured swallows it.
 *
 * Context: any but hard interrupt; callers may hold spinlocks with BH disabled.
 */
void dsm_node_send_msg(struct dsm_cluster *c, u16 to, const struct dsm_msg *m,
		       struct page *page, bool counted,
		       const struct dsm_nodeset *set);

/**
 * dsm_node_send_notice() - queue a notification
 * @c:		the cluster
 * @to:		the peer
 * @notice:	what to send
 *
 * Nothing is sent before dsm_node_flush().
 *
 * Context: as dsm_node_send_msg().
 * Return: 0; -EAGAIN if too much waits for the peer, or without memory; -ENOTCONN
 * if it is dead.
 */
int dsm_node_send_notice(struct dsm_cluster *c, u16 to, const struct dsm_notice *notice);

/**
 * dsm_node_flush() - send what was queued on this CPU since the last flush
 * @c:	the cluster
 *
 * Context: as dsm_node_send_msg(), no page locked.
 */
void dsm_node_flush(struct dsm_cluster *c);

/**
 * dsm_node_send_ctrl() - send bytes to the cluster layer of a peer
 * @c:		the cluster
 * @to:		the peer
 * @buf:	what
 * @len:	at most DSM_PAGE_SIZE
 *
 * Return: 0, -EMSGSIZE, -ENOTCONN if the peer is dead.  0 means that it arrives
 * unless the peer dies.  In order with other ctrl messages to this peer.
 *
 * Context: process.
 */
int dsm_node_send_ctrl(struct dsm_cluster *c, u16 to, const void *buf, size_t len);

/* ---- for transports ---- */

/* What to tell the peer while connecting. */
struct dsm_hello dsm_node_hello(struct dsm_node *n);

/*
 * The connection is there and hellos were exchanged.
 *
 * Return: 0, or an errno if the peer's hello is not acceptable: the transport
 * drops the connection and reports nothing further.
 */
int dsm_node_connected(struct dsm_node *n, const struct dsm_hello *h);

/* The connection is gone; no other report for it is under way or will come. */
void dsm_node_lost(struct dsm_node *n);

/**
 * dsm_node_rx() - a frame came
 * @n:		from whom
 * @head:	its head
 * @page:	its payload; set to NULL if the node layer keeps the page
 * @nr_bytes:	bytes that came, head and payload
 *
 * Return: 0, or -EPROTO: drop the connection.
 *
 * Context: softirq or process with BH disabled; one call at a time per node.
 */
int dsm_node_rx(struct dsm_node *n, const struct dsm_wire_head *head,
		struct page **page, u32 nr_bytes);

int dsm_node_rx_compact(struct dsm_node *n, u32 imm, struct page **page);

/* A frame given to post() is no longer touched by the transport. */
void dsm_node_tx_done(struct dsm_node *n, struct dsm_tx *tx);

#endif
