// SPDX-License-Identifier: GPL-2.0
/*
 * Both ends of a connection: buffers, queues, completions.
 *
 * rdma_cm's events and identifiers are the business of server.c and client.c.
 * pp_conn_exit() returns when no completion handler can run any more, so they
 * may free afterwards what their handlers use.
 */
#include "pingpong.h"

#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/slab.h>

#define POLL_BUDGET	64

static bool poll_is_ours(const struct pp_conn *conn)
{
	return conn->par.poll == PP_POLL_THREAD || conn->par.poll == PP_POLL_WAITER;
}

static void buf_exit(struct pp_buf *buf)
{
	struct ib_device *dev = buf->conn ? buf->conn->id->device : NULL;

	while (buf->nr_sge) {
		struct ib_sge *sge = &buf->sge[--buf->nr_sge];

		ib_dma_unmap_single(dev, sge->addr, sge->length, buf->dir);
	}
	kfree(buf->head);
	if (buf->body)
		free_pages_exact(buf->body, buf->size);
}

static int buf_map(struct pp_buf *buf, void *p, u32 len)
{
	struct ib_device *dev = buf->conn->id->device;
	u64 addr = ib_dma_map_single(dev, p, len, buf->dir);

	if (ib_dma_mapping_error(dev, addr))
		return -ENOMEM;
	buf->sge[buf->nr_sge++] = (struct ib_sge) {
		.addr = addr, .length = len,
		.lkey = buf->conn->pd->local_dma_lkey,
	};
	return 0;
}

static int buf_init(struct pp_buf *buf, struct pp_conn *conn, u32 size,
		    enum dma_data_direction dir)
{
	u32 head = conn->par.head, body;
	int err;

	buf->conn = conn;
	buf->size = size;
	buf->dir = dir;
	if (head && dir == DMA_TO_DEVICE)
		head = min(head, size);
	body = size > head ? size - head : 0;
	/* As in DSM: a receive takes a page even if only a head may come. */
	if (head && dir == DMA_FROM_DEVICE)
		body = max_t(u32, body, PAGE_SIZE);
	if (head) {
		buf->head = kzalloc(head, GFP_KERNEL);
		if (!buf->head)
			return -ENOMEM;
		err = buf_map(buf, buf->head, head);
		if (err)
			return err;
	}
	if (!body)
		return 0;
	buf->size = body;
	buf->body = alloc_pages_exact(body, GFP_KERNEL | __GFP_ZERO);
	if (!buf->body)
		return -ENOMEM;
	return buf_map(buf, buf->body, body);
}

static int bufs_init(struct pp_conn *conn, struct pp_buf **bufs, u32 *nr_bufs,
		     u32 nr, u32 size, enum dma_data_direction dir)
{
	u32 i;
	int err;

	*bufs = kvcalloc(nr, sizeof(**bufs), GFP_KERNEL);
	if (!*bufs)
		return -ENOMEM;
	*nr_bufs = nr;
	for (i = 0; i < nr; i++) {
		err = buf_init(&(*bufs)[i], conn, size, dir);
		if (err)
			return err;
	}
	return 0;
}

static void bufs_exit(struct pp_buf **bufs, u32 *nr_bufs)
{
	while (*nr_bufs)
		buf_exit(&(*bufs)[--*nr_bufs]);
	kvfree(*bufs);
	*bufs = NULL;
}

/**
 * pp_conn_fail() - the connection is of no more use
 * @conn:	connection
 * @error:	why; the first one counts
 *
 * Context: any.
 */
void pp_conn_fail(struct pp_conn *conn, int error)
{
	if (cmpxchg(&conn->error, 0, error))
		return;
	conn->fail(conn);
	wake_up_all(&conn->wait);
}

static void recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct pp_buf *buf = container_of(wc->wr_cqe, struct pp_buf, cqe);
	struct pp_conn *conn = buf->conn;

	if (wc->status != IB_WC_SUCCESS) {
		if (wc->status != IB_WC_WR_FLUSH_ERR)
			pr_warn_ratelimited("receive: %s\n",
					    ib_wc_status_msg(wc->status));
		pp_conn_fail(conn, -EIO);
		return;
	}
	ib_dma_sync_single_for_cpu(conn->id->device, buf->sge[0].addr,
				   buf->sge[0].length, buf->dir);
	conn->recv(conn, buf, wc->byte_len);
}

static void send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct pp_conn *conn = container_of(wc->wr_cqe, struct pp_conn, send_cqe);

	if (wc->status == IB_WC_SUCCESS)
		return;
	if (wc->status != IB_WC_WR_FLUSH_ERR)
		pr_warn_ratelimited("send: %s\n", ib_wc_status_msg(wc->status));
	pp_conn_fail(conn, -EIO);
}

/* Often under the provider's lock, with interrupts off: only wakes. */
static void cq_event(struct ib_cq *cq, void *context)
{
	struct pp_conn *conn = context;

	set_bit(0, &conn->pending);
	/* Pairs with the barrier of wait_event(), before it looks at pending. */
	smp_mb__after_atomic();
	wake_up(READ_ONCE(conn->thread_polls) ? &conn->thread_wait : &conn->wait);
}

static void cq_async_event(struct ib_event *event, void *context)
{
	pr_warn_ratelimited("completion queue: %s\n", ib_event_msg(event->event));
	pp_conn_fail(context, -EIO);
}

static void qp_async_event(struct ib_event *event, void *context)
{
	if (event->event == IB_EVENT_COMM_EST)
		return;
	pr_debug("queue pair: %s\n", ib_event_msg(event->event));
}

/**
 * pp_conn_poll() - handle all completions there are and ask for the next event
 * @conn:	connection whose queue is polled by us, not by ib_core
 *
 * Context: any but hard interrupt; one caller at a time.
 */
void pp_conn_poll(struct pp_conn *conn)
{
	do {
		clear_bit(0, &conn->pending);
		while (ib_process_cq_direct(conn->cq, POLL_BUDGET) == POLL_BUDGET)
			;
	} while (ib_req_notify_cq(conn->cq, IB_CQ_NEXT_COMP |
				  IB_CQ_REPORT_MISSED_EVENTS) > 0);
}

static int poll_thread(void *data)
{
	struct pp_conn *conn = data;

	while (!kthread_should_stop()) {
		wait_event_interruptible(conn->thread_wait, kthread_should_stop() ||
					 (READ_ONCE(conn->thread_polls) &&
					  test_bit(0, &conn->pending)));
		if (READ_ONCE(conn->thread_polls))
			pp_conn_poll(conn);
	}
	return 0;
}

static int own_cq_init(struct pp_conn *conn, u32 nr_cqe)
{
	struct ib_cq_init_attr attr = { .cqe = nr_cqe };
	struct task_struct *thread;

	conn->cq = ib_create_cq(conn->id->device, cq_event, cq_async_event, conn,
				&attr);
	if (IS_ERR(conn->cq))
		return PTR_ERR(conn->cq);
	thread = kthread_create(poll_thread, conn, "dsm_pp_cq");
	if (IS_ERR(thread)) {
		ib_destroy_cq(conn->cq);
		return PTR_ERR(thread);
	}
	conn->thread = thread;
	conn->thread_polls = conn->par.poll == PP_POLL_THREAD;
	sched_set_fifo_low(thread);
	wake_up_process(thread);
	return ib_req_notify_cq(conn->cq, IB_CQ_NEXT_COMP);
}

static int cq_init(struct pp_conn *conn, u32 nr_cqe)
{
	static const enum ib_poll_context ctx[PP_NR_POLLS] = {
		[PP_POLL_SOFTIRQ]	= IB_POLL_SOFTIRQ,
		[PP_POLL_WORKQUEUE]	= IB_POLL_WORKQUEUE,
		[PP_POLL_UNBOUND]	= IB_POLL_UNBOUND_WORKQUEUE,
	};

	if (poll_is_ours(conn))
		return own_cq_init(conn, nr_cqe);
	conn->cq = ib_alloc_cq_any(conn->id->device, conn, nr_cqe,
				   ctx[conn->par.poll]);
	return PTR_ERR_OR_ZERO(conn->cq);
}

static void cq_exit(struct pp_conn *conn)
{
	if (!poll_is_ours(conn)) {
		ib_free_cq(conn->cq);
		return;
	}
	kthread_stop(conn->thread);
	ib_destroy_cq(conn->cq);
}

static int qp_init(struct pp_conn *conn)
{
	/* Sends without a completion of their own leave with the next that has. */
	struct ib_qp_init_attr attr = {
		.event_handler = qp_async_event,
		.qp_context = conn,
		.send_cq = conn->cq,
		.recv_cq = conn->cq,
		.cap = {
			.max_send_wr = 2 * (conn->nr_tx + conn->par.signal),
			.max_recv_wr = conn->nr_rx + 1,
			.max_send_sge = 2,
			.max_recv_sge = 2,
		},
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
	};

	return rdma_create_qp(conn->id, conn->pd, &attr);
}

/**
 * pp_conn_init() - make queues and buffers
 * @conn:	connection; @id, @par, @recv, @fail and @wait are set, all else is 0
 * @nr_rx:	receives to have posted
 * @rx_size:	bytes of each
 * @nr_tx:	messages to send from
 * @tx_size:	bytes of each
 *
 * Context: process, may sleep.
 * Return: 0, or an error after which nothing is left.
 */
int pp_conn_init(struct pp_conn *conn, u32 nr_rx, u32 rx_size, u32 nr_tx,
		 u32 tx_size)
{
	int err;

	init_waitqueue_head(&conn->thread_wait);
	conn->send_cqe.done = send_done;
	conn->pd = ib_alloc_pd(conn->id->device, 0);
	if (IS_ERR(conn->pd))
		return PTR_ERR(conn->pd);
	err = bufs_init(conn, &conn->rx, &conn->nr_rx, nr_rx, rx_size,
			DMA_FROM_DEVICE);
	if (err)
		goto err_bufs;
	err = bufs_init(conn, &conn->tx, &conn->nr_tx, nr_tx, tx_size,
			DMA_TO_DEVICE);
	if (err)
		goto err_bufs;
	err = cq_init(conn, 2 * (nr_tx + conn->par.signal) + nr_rx + 2);
	if (err)
		goto err_bufs;
	err = qp_init(conn);
	if (err)
		goto err_cq;
	return 0;

err_cq:
	cq_exit(conn);
err_bufs:
	bufs_exit(&conn->tx, &conn->nr_tx);
	bufs_exit(&conn->rx, &conn->nr_rx);
	ib_dealloc_pd(conn->pd);
	return err;
}

/**
 * pp_conn_exit() - disconnect and free what pp_conn_init() made
 * @conn:	connection; its @id stays
 *
 * Context: process, may sleep.
 */
void pp_conn_exit(struct pp_conn *conn)
{
	rdma_disconnect(conn->id);
	/* Waiters may be gone: flushed completions are the thread's. */
	if (conn->thread) {
		WRITE_ONCE(conn->thread_polls, true);
		set_bit(0, &conn->pending);
		wake_up(&conn->thread_wait);
	}
	ib_drain_qp(conn->id->qp);
	rdma_destroy_qp(conn->id);
	cq_exit(conn);
	bufs_exit(&conn->tx, &conn->nr_tx);
	bufs_exit(&conn->rx, &conn->nr_rx);
	ib_dealloc_pd(conn->pd);
}

/**
 * pp_conn_post_recv() - give a buffer to the receive queue
 * @conn:	connection
 * @buf:	one of its @rx
 *
 * Context: any.
 * Return: 0 or an error.
 */
int pp_conn_post_recv(struct pp_conn *conn, struct pp_buf *buf)
{
	struct ib_recv_wr wr = {
		.wr_cqe = &buf->cqe,
		.sg_list = buf->sge,
		.num_sge = buf->nr_sge,
	};

	buf->cqe.done = recv_done;
	ib_dma_sync_single_for_device(conn->id->device, buf->sge[0].addr,
				      buf->sge[0].length, buf->dir);
	return ib_post_recv(conn->id->qp, &wr, NULL);
}

/**
 * pp_conn_post_recvs() - give all receive buffers to the receive queue
 * @conn:	connection, not connected yet
 *
 * Context: any.
 * Return: 0 or an error.
 */
int pp_conn_post_recvs(struct pp_conn *conn)
{
	u32 i;
	int err;

	for (i = 0; i < conn->nr_rx; i++) {
		err = pp_conn_post_recv(conn, &conn->rx[i]);
		if (err)
			return err;
	}
	return 0;
}

/**
 * pp_conn_post_send() - send a message
 * @conn:	connection
 * @buf:	one of its @tx
 *
 * Context: any.
 * Return: 0 or an error.
 */
int pp_conn_post_send(struct pp_conn *conn, struct pp_buf *buf)
{
	struct ib_send_wr wr = {
		.wr_cqe = &conn->send_cqe,
		.sg_list = buf->sge,
		.num_sge = buf->nr_sge,
		.opcode = conn->par.imm ? IB_WR_SEND_WITH_IMM : IB_WR_SEND,
	};

	if (conn->par.imm)
		wr.ex.imm_data = cpu_to_be32(buf - conn->tx);
	if ((u32)atomic_inc_return(&conn->nr_posted) % conn->par.signal == 0)
		wr.send_flags = IB_SEND_SIGNALED;
	ib_dma_sync_single_for_device(conn->id->device, buf->sge[0].addr,
				      buf->sge[0].length, buf->dir);
	return ib_post_send(conn->id->qp, &wr, NULL);
}
