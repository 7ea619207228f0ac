// SPDX-License-Identifier: GPL-2.0
/*
 * The side that asks and measures.
 *
 * A run connects, measures and disconnects within the call of its user, who may
 * be killed at any point. Every wait ends with the answer, with the connection's
 * failure, or after timeout_ms.
 */
#include "pingpong.h"

#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

/**
 * struct pp_slot - a thread with one request at a time
 * @client:	whose
 * @task:	the thread
 * @done:	the reply is there, or the connection failed
 * @index:	of this slot and of its message
 * @seq:	of the request
 * @nr:		samples to take
 * @samples:	where to
 * @start_ns:	when the first sample began
 * @end_ns:	when the last one ended
 */
struct pp_slot {
	struct pp_client *client;
	struct task_struct *task;
	struct completion done;
	u32 index;
	u32 seq;
	u32 nr;
	u64 *samples;
	u64 start_ns;
	u64 end_ns;
};

/**
 * struct pp_client - a run
 * @conn:	its connection
 * @slots:	round trips: the threads
 * @nr_running:	those not at their end
 * @done:	all threads, or the stream, came to their end, or it failed
 * @samples:	in ns
 * @nr_samples:	taken by a stream
 * @lock:	protects @nr_sent, @nr_acked
 * @nr_sent:	streamed messages
 * @nr_acked:	those with credit returned
 * @nr_total:	to be streamed
 * @last_ns:	when the last credit came
 */
struct pp_client {
	struct pp_conn conn;
	struct pp_slot *slots;
	atomic_t nr_running;
	struct completion done;
	u64 *samples;
	u32 nr_samples;
	spinlock_t lock;	/* nr_sent, nr_acked */
	u32 nr_sent;
	u32 nr_acked;
	u32 nr_total;
	u64 last_ns;
};

static unsigned long timeout(void)
{
	return msecs_to_jiffies(pp_timeout_ms);
}

static int wait_bounded(struct completion *c)
{
	long left = wait_for_completion_killable_timeout(c, timeout());

	return left > 0 ? 0 : left ?: -ETIMEDOUT;
}

static void client_fail(struct pp_conn *conn)
{
	struct pp_client *client = conn->priv;
	u32 i;

	for (i = 0; client->slots && i < conn->par.depth; i++)
		complete(&client->slots[i].done);
	complete(&client->done);
}

static int client_event(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct pp_conn *conn = id->context;

	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
	case RDMA_CM_EVENT_ESTABLISHED:
		break;
	case RDMA_CM_EVENT_REJECTED:
		pp_conn_fail(conn, -ECONNREFUSED);
		break;
	default:
		pp_conn_fail(conn, event->status < 0 ? event->status : -ECONNRESET);
		break;
	}
	complete(&conn->event);
	return 0;
}

/* Whether the reply is there; a waiter polls for all if no other one does. */
static bool waiter_done(struct pp_conn *conn, struct pp_slot *slot)
{
	while (!completion_done(&slot->done) && test_bit(0, &conn->pending)) {
		if (test_and_set_bit_lock(0, &conn->polling))
			break;
		pp_conn_poll(conn);
		clear_bit_unlock(0, &conn->polling);
	}
	return completion_done(&slot->done);
}

static int slot_wait(struct pp_conn *conn, struct pp_slot *slot)
{
	long left;

	if (conn->par.poll != PP_POLL_WAITER)
		return wait_bounded(&slot->done);
	left = wait_event_killable_timeout(conn->wait, waiter_done(conn, slot),
					   timeout());
	return left > 0 ? 0 : left ?: -ETIMEDOUT;
}

static int round_trip(struct pp_slot *slot)
{
	struct pp_conn *conn = &slot->client->conn;
	struct pp_buf *buf = &conn->tx[slot->index];
	int err;

	reinit_completion(&slot->done);
	err = READ_ONCE(conn->error);
	if (err)
		return err;
	slot->seq++;
	*pp_buf_tag(buf) = (struct pp_tag) {
		.slot = cpu_to_le32(slot->index), .seq = cpu_to_le32(slot->seq),
	};
	err = pp_conn_post_send(conn, buf);
	if (!err)
		err = slot_wait(conn, slot);
	return err ?: READ_ONCE(conn->error);
}

static int slot_thread(void *data)
{
	struct pp_slot *slot = data;
	struct pp_client *client = slot->client;
	u32 i, warmup = client->conn.par.warmup;
	u64 t0, t1;
	int err = 0;

	for (i = 0; !err && i < warmup + slot->nr; i++) {
		t0 = ktime_get_ns();
		err = round_trip(slot);
		t1 = ktime_get_ns();
		if (i == warmup)
			slot->start_ns = t0;
		if (i >= warmup)
			slot->samples[i - warmup] = t1 - t0;
	}
	slot->end_ns = ktime_get_ns();
	if (err)
		pp_conn_fail(&client->conn, err);
	if (atomic_dec_and_test(&client->nr_running))
		complete(&client->done);
	return err;
}

static void pingpong_recv(struct pp_conn *conn, struct pp_buf *buf, u32 len)
{
	struct pp_client *client = conn->priv;
	struct pp_tag *tag = pp_buf_tag(buf);
	u32 index = le32_to_cpu(tag->slot);
	int err;

	if (len != conn->par.rep || index >= conn->par.depth ||
	    le32_to_cpu(tag->seq) != client->slots[index].seq) {
		pp_conn_fail(conn, -EPROTO);
		return;
	}
	complete(&client->slots[index].done);
	if (conn->par.poll == PP_POLL_WAITER)
		wake_up(&conn->wait);
	err = pp_conn_post_recv(conn, buf);
	if (err)
		pp_conn_fail(conn, err);
}

static void stream_pump(struct pp_client *client)
{
	struct pp_conn *conn = &client->conn;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&client->lock, flags);
	while (!err && client->nr_sent < client->nr_total &&
	       client->nr_sent - client->nr_acked < conn->par.depth)
		err = pp_conn_post_send(conn, &conn->tx[client->nr_sent++ %
							conn->par.depth]);
	spin_unlock_irqrestore(&client->lock, flags);
	if (err)
		pp_conn_fail(conn, err);
}

static void stream_recv(struct pp_conn *conn, struct pp_buf *buf, u32 len)
{
	struct pp_client *client = conn->priv;
	u64 now = ktime_get_ns();
	unsigned long flags;
	bool good;
	int err;

	spin_lock_irqsave(&client->lock, flags);
	client->nr_acked += pp_credit(&conn->par);
	good = len == PP_MSG_MIN && client->nr_acked <= client->nr_sent;
	spin_unlock_irqrestore(&client->lock, flags);
	err = good ? pp_conn_post_recv(conn, buf) : -EPROTO;
	if (err) {
		pp_conn_fail(conn, err);
		return;
	}
	client->samples[client->nr_samples++] = now - client->last_ns;
	client->last_ns = now;
	if (client->nr_acked == client->nr_total)
		complete(&client->done);
	else
		stream_pump(client);
}

static int await_event(struct pp_conn *conn, int err)
{
	if (!err)
		err = wait_bounded(&conn->event);
	return err ?: READ_ONCE(conn->error);
}

static int resolve(struct pp_conn *conn)
{
	struct sockaddr *addr = (struct sockaddr *)&conn->par.addr;
	int err;

	err = await_event(conn, rdma_resolve_addr(conn->id, NULL, addr,
						  pp_timeout_ms));
	return err ?: await_event(conn, rdma_resolve_route(conn->id, pp_timeout_ms));
}

static int connect(struct pp_conn *conn)
{
	struct pp_hello hello;
	struct rdma_conn_param param = {
		.private_data = &hello, .private_data_len = sizeof(hello),
		.retry_count = 7, .rnr_retry_count = 7,
	};
	int err;

	pp_params_encode(&conn->par, &hello);
	err = pp_conn_post_recvs(conn);
	return await_event(conn, err ?: rdma_connect(conn->id, &param));
}

static int threads_start(struct pp_client *client)
{
	const struct pp_params *par = &client->conn.par;
	u64 *samples = client->samples;
	struct task_struct *task;
	u32 i;

	for (i = 0; i < par->depth; i++) {
		struct pp_slot *slot = &client->slots[i];

		slot->nr = par->count / par->depth + (i < par->count % par->depth);
		slot->samples = samples;
		samples += slot->nr;
		task = kthread_create(slot_thread, slot, "dsm_pp/%u", i);
		if (IS_ERR(task))
			return PTR_ERR(task);
		slot->task = get_task_struct(task);
	}
	atomic_set(&client->nr_running, par->depth);
	for (i = 0; i < par->depth; i++)
		wake_up_process(client->slots[i].task);
	return 0;
}

static void threads_stop(struct pp_client *client)
{
	u32 i;

	for (i = 0; i < client->conn.par.depth; i++)
		if (client->slots[i].task)
			kthread_stop_put(client->slots[i].task);
}

static int pingpong_measure(struct pp_client *client, struct pp_result *res)
{
	struct pp_conn *conn = &client->conn;
	u64 start = U64_MAX, end = 0;
	u32 i;
	int err;

	err = threads_start(client);
	/* No bound of its own: each round trip has one. */
	if (!err)
		err = wait_for_completion_killable(&client->done);
	if (err)
		pp_conn_fail(conn, err);
	threads_stop(client);
	err = READ_ONCE(conn->error);
	if (err)
		return err;
	for (i = 0; i < conn->par.depth; i++) {
		if (!client->slots[i].nr)
			continue;
		start = min(start, client->slots[i].start_ns);
		end = max(end, client->slots[i].end_ns);
	}
	res->elapsed_ns = end - start;
	res->bytes = (u64)conn->par.count * max(conn->par.req, conn->par.rep);
	client->nr_samples = conn->par.count;
	return 0;
}

static int stream_measure(struct pp_client *client, struct pp_result *res)
{
	struct pp_conn *conn = &client->conn;
	u64 start = ktime_get_ns();
	u32 before;
	int err;

	client->last_ns = start;
	stream_pump(client);
	do {
		before = READ_ONCE(client->nr_acked);
		err = wait_bounded(&client->done);
	} while (err == -ETIMEDOUT && before != READ_ONCE(client->nr_acked));
	if (err)
		pp_conn_fail(conn, err);
	res->elapsed_ns = client->last_ns - start;
	res->bytes = (u64)client->nr_total * conn->par.req;
	return READ_ONCE(conn->error);
}

static int client_setup(struct pp_client *client)
{
	struct pp_conn *conn = &client->conn;
	const struct pp_params *par = &conn->par;
	u32 i;

	if (par->mode == PP_STREAM) {
		conn->recv = stream_recv;
		client->nr_total = roundup(par->count, pp_credit(par));
		return pp_conn_init(conn, 16, PP_MSG_MIN, par->depth, par->req);
	}
	conn->recv = pingpong_recv;
	client->slots = kcalloc(par->depth, sizeof(*client->slots), GFP_KERNEL);
	if (!client->slots)
		return -ENOMEM;
	for (i = 0; i < par->depth; i++) {
		client->slots[i].client = client;
		client->slots[i].index = i;
		init_completion(&client->slots[i].done);
	}
	return pp_conn_init(conn, 2 * par->depth + 8, par->rep, par->depth, par->req);
}

static int client_measure(struct pp_client *client, struct pp_result *res)
{
	struct pp_conn *conn = &client->conn;
	int err;

	err = resolve(conn);
	if (err)
		return err;
	err = client_setup(client);
	if (err)
		return err;
	err = connect(conn);
	if (!err)
		err = conn->par.mode == PP_STREAM ? stream_measure(client, res) :
						    pingpong_measure(client, res);
	pp_conn_exit(conn);
	if (!err)
		pp_stat(client->samples, client->nr_samples, res);
	return err;
}

static struct pp_client *client_create(const struct pp_params *par)
{
	struct pp_client *client = kzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return NULL;
	client->samples = kvcalloc(par->count + PP_DEPTH_MAX,
				   sizeof(*client->samples), GFP_KERNEL);
	if (!client->samples) {
		kfree(client);
		return NULL;
	}
	spin_lock_init(&client->lock);
	init_completion(&client->done);
	init_completion(&client->conn.event);
	init_waitqueue_head(&client->conn.wait);
	client->conn.par = *par;
	/* Nobody waits for a single message of a stream. */
	if (par->mode == PP_STREAM && par->poll == PP_POLL_WAITER)
		client->conn.par.poll = PP_POLL_THREAD;
	client->conn.priv = client;
	client->conn.fail = client_fail;
	return client;
}

/**
 * pp_client_run() - connect, measure, disconnect
 * @par:	what, and with whom
 * @res:	filled in on success
 *
 * Context: process, may sleep; killable.
 * Return: 0 or an error.
 */
int pp_client_run(const struct pp_params *par, struct pp_result *res)
{
	struct pp_client *client = client_create(par);
	struct rdma_cm_id *id;
	int err;

	if (!client)
		return -ENOMEM;
	id = rdma_create_id(&init_net, client_event, &client->conn, RDMA_PS_TCP,
			    IB_QPT_RC);
	if (IS_ERR(id)) {
		err = PTR_ERR(id);
		goto out;
	}
	client->conn.id = id;
	err = client_measure(client, res);
	rdma_destroy_id(id);
out:
	kfree(client->slots);
	kvfree(client->samples);
	kfree(client);
	return err;
}
