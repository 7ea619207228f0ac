/* SPDX-License-Identifier: GPL-2.0 */
/* What node_*.c and the transports know of a peer and of a frame. */
#ifndef DSM_NODE_TYPES_H
#define DSM_NODE_TYPES_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>

#include "core/link.h"
#include "core/wire.h"

/* Further messages a frame can take without a payload page. */
#define DSM_TX_MSGS	8

/*
 * A received frame waits at most this long for an ack.  An ack only gives the
 * sender memory and credit back, so there is no hurry: in a conversation it
 * rides on a later frame, and costs nothing.
 */
#define DSM_ACK_DELAY_MS	40

/*
 * So many CTRL frames wait for the cluster layer at most: beyond that the peer
 * gets no acks, hence no credit, until half of them are handled.
 */
#define DSM_CTRL_MAX	1024u

/**
 * struct dsm_tx - a frame on its way to a peer
 * @entry:	in dsm_node.queue or .unacked; node lock
 * @refs:	one while in a list of the node, one while the transport has it
 * @page:	payload, a reference is held; NULL if it is in @msg
 * @len:	bytes of payload
 * @nr:		messages
 * @kind:	enum dsm_frame_kind
 * @counted:	@page is also a copy in a region: see dsm_page_tx_get()
 * @compact:	the page travels alone, with @imm
 * @may_compact: it may, the first time it is sent
 * @imm:	immediate, but for the ack
 * @seq:	sequence number, once sent
 * @posted:	for the transport: in its list of frames under way
 * @due:	loop: when it arrives
 * @wr:		rdma: the work request
 * @sge:	rdma: head with @msg, page
 * @cqe:	rdma: completion, if it was asked for
 * @head_dma:	rdma: where the device finds head and page
 * @page_dma:	likewise
 * @inlined:	rdma: nothing is mapped
 * @head:	as it goes over the wire
 * @msg:	payload that follows: messages 1 .. nr - 1, or a set
 */
struct dsm_tx {
	struct list_head entry;
	refcount_t refs;
	struct page *page;
	u16 len;
	u16 nr;
	u8 kind;
	bool counted;
	bool compact;
	bool may_compact;
	u32 imm;
	u32 seq;
	struct list_head posted;
	union {
		ktime_t due;
		struct {
			struct ib_send_wr wr;
			struct ib_sge sge[2];
			struct ib_cqe cqe;
			u64 head_dma;
			u64 page_dma;
			bool inlined;
		};
	};
	struct dsm_wire_head head;
	struct dsm_wire_msg msg[DSM_TX_MSGS];
};

static_assert(offsetof(struct dsm_tx, msg) ==
	      offsetof(struct dsm_tx, head) + DSM_WIRE_HEAD);
static_assert(sizeof(struct dsm_wire_set) <= DSM_TX_MSGS * sizeof(struct dsm_wire_msg));

/**
 * struct dsm_node - a peer
 * @c:		the cluster
 * @id:		its number
 * @addr:	its address
 * @transport:	of the transport; set before dsm_node_connected(), valid until
 *		dsm_node_lost() returns
 * @lock:	protects what follows; taken with BH disabled, inside the locks
 *		of pages, outside those of the transport
 * @link:	the link machine
 * @running:	between start and stop
 * @killed:	the cluster wants to hear nothing more of it
 * @connected:	between dsm_node_connected() and dsm_node_lost()
 * @broken:	this connection is to be dropped, see dsm_node_break()
 * @queue:	frames not sent yet, in order
 * @unacked:	frames sent, in order
 * @open:	last frame of @queue, if it takes further messages, else NULL
 * @nr_queued:	length of @queue
 * @nr_unacked:	length of @unacked
 * @ack_mark:	rx_next when @ack_timer was armed
 * @last_rx:	jiffies of the last sign of life
 * @last_tx:	jiffies of the last frame posted
 * @down_since:	jiffies, while not connected
 * @lost_told:	loss was reported for this outage
 * @told_up:	dsm_cluster_node_up() was the last report
 * @told_conn:	the connection it was about
 * @conn_no:	counts connections
 * @reset:	for the next dsm_cluster_node_up()
 * @lost:	dsm_cluster_node_lost() is to be called
 * @ctrl_old:	CTRL payloads of connections that are gone: pages, linked by
 *		lru, length in private
 * @ctrl:	those of this connection
 * @nr_ctrl:	in both
 * @ack_held:	too many of them: acks say @held_ack
 * @held_ack:	see there
 * @ack_timer:	delayed ack
 * @beat_timer:	sign of life on an idle link
 * @tick:	connects, watches over signs of life
 * @report:	reports to the cluster, in order
 */
struct dsm_node {
	struct dsm_cluster *c;
	u16 id;
	struct sockaddr_storage addr;
	void *transport;

	spinlock_t lock ____cacheline_aligned;
	struct dsm_link link;
	bool running;
	bool killed;
	bool connected;
	bool broken;
	struct list_head queue;
	struct list_head unacked;
	struct dsm_tx *open;
	unsigned int nr_queued;
	unsigned int nr_unacked;
	u32 ack_mark;
	unsigned long last_rx;
	unsigned long last_tx;
	unsigned long down_since;
	bool lost_told;
	bool told_up;
	u32 told_conn;
	u32 conn_no;
	bool reset;
	bool lost;
	struct list_head ctrl_old;
	struct list_head ctrl;
	unsigned int nr_ctrl;
	bool ack_held;
	u32 held_ack;

	struct timer_list ack_timer;
	struct timer_list beat_timer;
	struct delayed_work tick;
	struct work_struct report;
};

/* Does the node want to be connected?  For transports, before they accept. */
bool dsm_node_wanted(struct dsm_node *n);

/* ---- between node.c, node_tx.c, node_rx.c ---- */

void dsm_node_fail_locked(struct dsm_node *n);
void dsm_node_take_frames(struct dsm_node *n, struct list_head *frames);
void dsm_node_release(struct list_head *frames);
void dsm_node_take_acked(struct dsm_node *n, struct list_head *frames);
void dsm_node_resend(struct dsm_node *n);
void dsm_node_pump(struct dsm_node *n);
void dsm_node_send_ack(struct dsm_node *n);
void dsm_node_ack_timer(struct timer_list *t);
void dsm_node_beat_timer(struct timer_list *t);

void dsm_node_report(struct work_struct *work);
void dsm_node_drop_ctrl(struct dsm_node *n);

#endif
