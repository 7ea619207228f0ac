/* SPDX-License-Identifier: GPL-2.0 */
/* Private to the RDMA transport. */
#ifndef DSM_RDMA_H
#define DSM_RDMA_H

#include <linux/irq_work.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include "core/link.h"
#include "core/wire.h"

struct dsm_cluster;
struct dsm_node;
struct dsm_tx;

/*
 * Sizes of the queues of a connection.  At most DSM_LINK_WINDOW frames are on
 * their way, but a frame that was acknowledged may lack its send completion, and
 * ACK frames need no credit: hence the slack.  Should it not suffice, the sender
 * drops the connection (and loses nothing), the receiver makes the sender retry.
 */
#define DSM_SQ_DEPTH		(4 * DSM_LINK_WINDOW)
#define DSM_RQ_DEPTH		(DSM_LINK_WINDOW + 32 + DSM_REFILL_AFTER)
/* Buffers whose page was kept that get new ones together, off the path of a fault. */
#define DSM_REFILL_AFTER	16
#define DSM_REFILL_RETRY_MS	10
#define DSM_SIGNAL_EVERY	16
/* A head with one message behind it. */
#define DSM_MAX_INLINE		(DSM_WIRE_HEAD + sizeof(struct dsm_wire_msg))

/*
 * 4.096 us * 2^15 = 134 ms, and six times more: a dead peer is noticed in a
 * second.  Not 7, which soft-RoCE takes for ever.
 */
#define DSM_ACK_TIMEOUT		15
#define DSM_RETRY_COUNT		6
/* For ever, 0.64 ms apart: credit makes it rare. */
#define DSM_RNR_RETRY		7
#define DSM_RNR_TIMER		12

#define DSM_RESOLVE_MS		1000
#define DSM_CONNECT_MS		2000

/**
 * struct dsm_rx - a buffer for a frame
 * @cqe:	its completion
 * @entry:	in @empty or @early of the connection
 * @head:	where the head of a whole page goes
 * @head_dma:	likewise, for the device
 * @page:	where all else goes; NULL if it was kept by the node layer
 * @page_dma:	likewise, if @mapped
 * @mapped:	the device may write to @page
 * @nr_bytes:	what came
 * @has_imm:	with an immediate
 * @imm:	the immediate
 */
struct dsm_rx {
	struct ib_cqe cqe;
	struct list_head entry;
	struct dsm_wire_head *head;
	u64 head_dma;
	struct page *page;
	u64 page_dma;
	bool mapped;
	bool has_imm;
	u32 nr_bytes;
	u32 imm;
};

/**
 * struct dsm_conn - a connection, or an attempt
 * @peer:	to whom
 * @node:	likewise
 * @id:		of rdma_cm
 * @active:	this side connects
 * @started:	jiffies
 * @failed:	bit 0: @close is queued
 * @close:	takes the connection down and frees it
 * @dead:	set once, see dsm_conn_shut(): nothing is posted or reported
 * @hello:	what the peer told
 * @up_lock:	serialises establishing, outside all other locks
 * @up:		dsm_node_connected() was called and agreed
 * @pd:		protection domain
 * @cq:		completions of both queues
 * @poll:	what the core of RDMA does at a completion
 * @irq:	calls it
 * @max_inline:	bytes that can be sent inline
 * @tx_lock:	protects the following, and posting
 * @posted:	frames given to the device
 * @nr_posted:	their number
 * @nr_silent:	sends since one asked for a completion
 * @signalled:	jiffies when that was
 * @chain:	frames that wait for the doorbell
 * @chain_end:	where the next one is linked in
 * @rx:		all buffers, DSM_RQ_DEPTH
 * @heads:	their heads
 * @heads_dma:	likewise, for the device
 * @rx_lock:	protects @empty, @nr_empty, and posting of buffers
 * @empty:	buffers that lack a page
 * @nr_empty:	their number
 * @refill:	gets pages for them
 * @early:	frames that came before the connection was established; @up_lock
 */
struct dsm_conn {
	struct dsm_rdma_peer *peer;
	struct dsm_node *node;
	struct rdma_cm_id *id;
	bool active;
	unsigned long started;
	unsigned long failed;
	struct work_struct close;
	bool dead;
	struct dsm_hello hello;
	spinlock_t up_lock;	/* protects up, early */
	bool up;
	struct ib_pd *pd;
	struct ib_cq *cq;
	ib_comp_handler poll;
	struct irq_work irq;
	u32 max_inline;

	spinlock_t tx_lock ____cacheline_aligned;
	struct list_head posted;
	unsigned int nr_posted;
	unsigned int nr_silent;
	unsigned long signalled;
	struct ib_send_wr *chain;
	struct ib_send_wr **chain_end;

	struct dsm_rx *rx ____cacheline_aligned;
	struct dsm_wire_head *heads;
	u64 heads_dma;
	spinlock_t rx_lock;	/* protects empty, nr_empty, posting buffers */
	struct list_head empty;
	unsigned int nr_empty;
	struct delayed_work refill;
	struct list_head early;
};

/**
 * struct dsm_rdma_peer - what outlives the connections to a peer
 * @rdma:	the transport
 * @lock:	protects the following; softirq
 * @conn:	the connection or attempt, at most one
 * @nr_closed:	connections taken down
 * @closed:	woken when one is
 * @said:	last trouble logged in this outage, so that it is logged once
 */
struct dsm_rdma_peer {
	struct dsm_rdma *rdma;
	spinlock_t lock;	/* protects conn, nr_closed */
	struct dsm_conn *conn;
	unsigned long nr_closed;
	wait_queue_head_t closed;
	int said;
};

/**
 * struct dsm_rdma - the transport of a cluster
 * @c:		the cluster
 * @listen:	accepts connections
 * @wq:		takes them down
 * @peer:	by node
 */
struct dsm_rdma {
	struct dsm_cluster *c;
	struct rdma_cm_id *listen;
	struct workqueue_struct *wq;
	struct dsm_rdma_peer peer[];
};

/*
 * Why a connection is refused: X(name, what the log says, on both sides).
 */
#define DSM_REJECTS(X)							\
	X(NONE, "no reason")						\
	X(BUSY, "the old connection is still being taken down")		\
	X(UNWANTED, "it is not wanted (starting, leaving, or given up)") \
	X(MAGIC, "the caller does not speak this protocol")		\
	X(VERSION, "the protocol versions differ")			\
	X(NR_NODES, "the numbers of nodes in peers= differ")		\
	X(NODE, "no such node number")					\
	X(MEANT, "it was meant for another node number")		\
	X(DUPLICATE, "both ends have the same node number")		\
	X(ADDRESS, "the address is not the one in peers=")		\
	X(ORDER, "only the lower node number connects")			\
	X(RESOURCES, "the RDMA device or memory is exhausted")

enum dsm_reject {
#define X(name, text) DSM_REJ_##name,
	DSM_REJECTS(X)
#undef X
	DSM_NR_REJECTS,
};

/**
 * struct dsm_rdma_hello - private data of request and reply
 * @magic:	DSM_RDMA_MAGIC
 * @version:	DSM_WIRE_VERSION
 * @reject:	reject: enum dsm_reject, else 0
 * @from:	node number of the sender
 * @to:		node number it takes the receiver for
 * @nr_nodes:	configured nodes
 * @incarnation: see struct dsm_hello
 * @rx_next:	likewise
 * @peer_incarnation: likewise
 */
struct dsm_rdma_hello {
	__le32 magic;
	u8 version;
	u8 reject;
	__le16 from;
	__le16 to;
	__le16 nr_nodes;
	__le32 incarnation;
	__le32 rx_next;
	__le32 peer_incarnation;
};

/* What rdma_cm leaves of the private data of a request. */
#define DSM_RDMA_PRIVATE_MAX	56
static_assert(sizeof(struct dsm_rdma_hello) <= DSM_RDMA_PRIVATE_MAX);

#define DSM_RDMA_MAGIC		0x4d4f5344u

/* rdma_hello.c */
void dsm_hello_fill(struct dsm_rdma_hello *h, struct dsm_cluster *c, u16 to);
void dsm_hello_fill_link(struct dsm_rdma_hello *h, const struct dsm_hello *l);
struct dsm_hello dsm_hello_link(const struct dsm_rdma_hello *h);
enum dsm_reject dsm_hello_check(struct dsm_cluster *c,
				const struct dsm_rdma_hello *h, size_t len);
const char *dsm_reject_text(u8 reason);
bool dsm_addr_same_host(const struct sockaddr_storage *a,
			const struct sockaddr_storage *b);

/* rdma_conn.c */
struct dsm_conn *dsm_conn_create(struct dsm_rdma_peer *peer, struct dsm_node *n,
				 bool active);
void dsm_conn_free(struct dsm_conn *conn);
bool dsm_conn_publish(struct dsm_conn *conn);
int dsm_conn_setup(struct dsm_conn *conn);
void dsm_conn_teardown(struct dsm_conn *conn);
void dsm_conn_fail(struct dsm_conn *conn);
int dsm_conn_establish(struct dsm_conn *conn);

/* rdma_verbs.c */
int dsm_rdma_post(struct dsm_node *n, struct dsm_tx *tx, bool more);
void dsm_conn_release_tx(struct dsm_conn *conn);

/* rdma_recv.c */
int dsm_conn_create_rx(struct dsm_conn *conn);
void dsm_conn_refill(struct work_struct *work);
void dsm_conn_destroy_rx(struct dsm_conn *conn);
int dsm_conn_post_all_rx(struct dsm_conn *conn);
void dsm_conn_deliver_early(struct dsm_conn *conn);

#endif
