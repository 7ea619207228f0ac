/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dsm_pingpong: what kernel verbs themselves cost between two servers.
 *
 * A connection serves one run. Its client tells all parameters in the private
 * data of the connection request, so that both ends post the same buffers.
 *
 *	pingpong	@depth threads; each sends a request, sleeps until its
 *			reply came. The server replies from its completion handler.
 *	stream		one way, at most @depth messages unacknowledged; the
 *			server returns a credit message every pp_credit() ones.
 *
 * Nobody polls without having been woken by a completion event.
 */
#ifndef DSM_PINGPONG_H
#define DSM_PINGPONG_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/socket.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#define PP_MAGIC		0x676e6f70u
#define PP_VERSION		1
#define PP_PORT			7471
#define PP_MSG_MIN		8
#define PP_MSG_MAX		65536
#define PP_HEAD_MAX		1024
#define PP_DEPTH_MAX		256
#define PP_COUNT_MAX		1000000

enum pp_mode { PP_PINGPONG, PP_STREAM, PP_NR_MODES };

/*
 * Who polls the completion queue once the event came: ib_core's softirq, its
 * bound or its unbound workqueue, our own real-time thread, or (client only,
 * its server then uses a thread) the thread that waits for the reply.
 */
enum pp_poll {
	PP_POLL_SOFTIRQ,
	PP_POLL_WORKQUEUE,
	PP_POLL_UNBOUND,
	PP_POLL_THREAD,
	PP_POLL_WAITER,
	PP_NR_POLLS,
};

/* Private data of the connection request. */
struct pp_hello {
	__le32 magic;
	u8 version;
	u8 mode;
	u8 poll;
	u8 imm;
	__le32 req;
	__le32 rep;
	__le16 head;
	__le16 depth;
};

static_assert(sizeof(struct pp_hello) == 20);

/**
 * struct pp_params - what to measure
 * @addr:	where the server listens
 * @mode:	round trips or a stream
 * @poll:	who polls, on both sides
 * @imm:	requests and replies carry immediate data
 * @req:	bytes of a request, of a streamed message
 * @rep:	bytes of a reply
 * @head:	0, or this many bytes of a message are in a first SGE of its own
 * @depth:	threads; in a stream, messages without credit
 * @signal:	every so many sends ask for a completion
 * @count:	samples
 * @warmup:	round trips before the first sample, per thread
 */
struct pp_params {
	struct sockaddr_storage addr;
	enum pp_mode mode;
	enum pp_poll poll;
	bool imm;
	u32 req;
	u32 rep;
	u32 head;
	u32 depth;
	u32 signal;
	u32 count;
	u32 warmup;
};

/* First bytes of every message: which request this is, or is the reply to. */
struct pp_tag {
	__le32 slot;
	__le32 seq;
};

struct pp_conn;

/**
 * struct pp_buf - one message in memory
 * @cqe:	receive completion
 * @conn:	whose
 * @head:	first SGE, if messages have a head
 * @body:	the rest
 * @size:	bytes of @body
 * @dir:	of DMA
 * @sge:	both, mapped
 * @nr_sge:	valid ones; 0: nothing is mapped
 */
struct pp_buf {
	struct ib_cqe cqe;
	struct pp_conn *conn;
	void *head;
	void *body;
	u32 size;
	enum dma_data_direction dir;
	struct ib_sge sge[2];
	int nr_sge;
};

/**
 * struct pp_conn - a connection and its buffers
 * @list:	server: in the list of connections, under its mutex
 * @active:	server: jiffies of the last message
 * @nr_streamed:	server: messages of the stream so far
 * @destroy:	server: ends the connection outside the event handler
 * @id:		rdma_cm's; has the queue pair
 * @pd:		protection domain
 * @cq:		completions of both queues
 * @thread:	polls @cq, for PP_POLL_THREAD
 * @thread_polls: @thread, not a waiter, is woken by the next event
 * @thread_wait: @thread sleeps here
 * @wait:	waiters sleep here
 * @pending:	@cq had an event since it was last polled
 * @polling:	a waiter polls @cq
 * @par:	parameters of the run
 * @recv:	handles a good receive; may not sleep
 * @fail:	told of the first failure; may not sleep
 * @priv:	theirs
 * @rx:		posted receives
 * @tx:		messages to send, one a slot
 * @nr_rx:	number of @rx
 * @nr_tx:	number of @tx
 * @send_cqe:	completion of every send
 * @nr_posted:	sends so far, to pick the signaled ones
 * @event:	client: address, route or connection is there, or failed
 * @error:	first failure, 0: none; set by pp_conn_fail()
 */
struct pp_conn {
	struct list_head list;
	unsigned long active;
	u32 nr_streamed;
	struct work_struct destroy;
	struct rdma_cm_id *id;
	struct ib_pd *pd;
	struct ib_cq *cq;
	struct task_struct *thread;
	bool thread_polls;
	wait_queue_head_t thread_wait;
	wait_queue_head_t wait;
	unsigned long pending;
	unsigned long polling;
	struct pp_params par;
	void (*recv)(struct pp_conn *conn, struct pp_buf *buf, u32 len);
	void (*fail)(struct pp_conn *conn);
	void *priv;
	struct pp_buf *rx;
	struct pp_buf *tx;
	u32 nr_rx;
	u32 nr_tx;
	struct ib_cqe send_cqe;
	atomic_t nr_posted;
	struct completion event;
	int error;
};

/**
 * struct pp_result - what a run found
 * @count:	samples
 * @p50:	ns; for a stream of the distance between credits
 * @p90:	ns
 * @p99:	ns
 * @min:	ns
 * @max:	ns
 * @elapsed_ns:	of the whole run
 * @bytes:	moved, larger direction
 */
struct pp_result {
	u32 count;
	u64 p50;
	u64 p90;
	u64 p99;
	u64 min;
	u64 max;
	u64 elapsed_ns;
	u64 bytes;
};

extern unsigned int pp_timeout_ms;

static inline u32 pp_credit(const struct pp_params *par)
{
	return max(par->depth / 4, 1u);
}

static inline struct pp_tag *pp_buf_tag(struct pp_buf *buf)
{
	return buf->head ?: buf->body;
}

int pp_params_parse(struct pp_params *par, char *line);
int pp_params_check(const struct pp_params *par);
int pp_params_describe(const struct pp_params *par, char *buf, size_t size);
void pp_params_encode(const struct pp_params *par, struct pp_hello *hello);
int pp_params_decode(struct pp_params *par, const void *data, u8 len);

int pp_conn_init(struct pp_conn *conn, u32 nr_rx, u32 rx_size, u32 nr_tx,
		 u32 tx_size);
void pp_conn_exit(struct pp_conn *conn);
int pp_conn_post_recvs(struct pp_conn *conn);
int pp_conn_post_recv(struct pp_conn *conn, struct pp_buf *buf);
int pp_conn_post_send(struct pp_conn *conn, struct pp_buf *buf);
void pp_conn_fail(struct pp_conn *conn, int error);
void pp_conn_poll(struct pp_conn *conn);

int pp_server_init(u16 port);
void pp_server_exit(void);

int pp_client_run(const struct pp_params *par, struct pp_result *res);

void pp_stat(u64 *samples, u32 nr, struct pp_result *res);

#endif
