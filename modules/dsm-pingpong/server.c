// SPDX-License-Identifier: GPL-2.0
/*
 * The side that answers, straight from its completion handler.
 *
 * A connection ends by pp_conn_fail(), for whatever reason; that queues its
 * destroy work, once. Taking it off the list is the work's first act, so whoever
 * holds the mutex may fail any connection that is listed.
 */
#include "pingpong.h"

#include <linux/mutex.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <rdma/ib_cm.h>

#define NR_CONNS_MAX	64

static DEFINE_MUTEX(conns_lock);
static LIST_HEAD(conns);	/* under conns_lock */
static u32 nr_conns;		/* under conns_lock */
static struct rdma_cm_id *listener;
static struct workqueue_struct *destroy_wq;

static void reap(struct work_struct *work);
static DECLARE_DELAYED_WORK(reaper, reap);

static void server_fail(struct pp_conn *conn)
{
	queue_work(destroy_wq, &conn->destroy);
}

static void server_destroy(struct work_struct *work)
{
	struct pp_conn *conn = container_of(work, struct pp_conn, destroy);

	mutex_lock(&conns_lock);
	list_del(&conn->list);
	nr_conns--;
	mutex_unlock(&conns_lock);
	pp_conn_exit(conn);
	rdma_destroy_id(conn->id);
	kfree(conn);
}

/* A client that vanished sends no disconnect. */
static void reap(struct work_struct *work)
{
	const unsigned long idle = msecs_to_jiffies(pp_timeout_ms);
	struct pp_conn *conn;

	mutex_lock(&conns_lock);
	list_for_each_entry(conn, &conns, list)
		if (time_after(jiffies, READ_ONCE(conn->active) + 2 * idle))
			pp_conn_fail(conn, -ETIMEDOUT);
	mutex_unlock(&conns_lock);
	schedule_delayed_work(&reaper, idle);
}

static int reply(struct pp_conn *conn, u32 slot, u32 seq)
{
	struct pp_buf *buf = &conn->tx[slot];

	*pp_buf_tag(buf) = (struct pp_tag) {
		.slot = cpu_to_le32(slot), .seq = cpu_to_le32(seq),
	};
	return pp_conn_post_send(conn, buf);
}

static int server_pong(struct pp_conn *conn, struct pp_buf *buf)
{
	struct pp_tag *tag = pp_buf_tag(buf);
	u32 slot = le32_to_cpu(tag->slot);
	int err;

	if (slot >= conn->nr_tx)
		return -EPROTO;
	/* The reply first: more receives are posted than requests can come. */
	err = reply(conn, slot, le32_to_cpu(tag->seq));
	return err ?: pp_conn_post_recv(conn, buf);
}

static int server_credit(struct pp_conn *conn, struct pp_buf *buf)
{
	u32 credit = pp_credit(&conn->par);
	int err;

	/* The receive first: a credit promises it. */
	err = pp_conn_post_recv(conn, buf);
	if (err || ++conn->nr_streamed % credit)
		return err;
	return reply(conn, 0, conn->nr_streamed);
}

static void server_recv(struct pp_conn *conn, struct pp_buf *buf, u32 len)
{
	int err;

	WRITE_ONCE(conn->active, jiffies);
	if (len != conn->par.req)
		err = -EPROTO;
	else if (conn->par.mode == PP_STREAM)
		err = server_credit(conn, buf);
	else
		err = server_pong(conn, buf);
	if (err)
		pp_conn_fail(conn, err);
}

static int conn_setup(struct pp_conn *conn)
{
	const struct pp_params *par = &conn->par;
	int err;

	if (par->mode == PP_STREAM)
		err = pp_conn_init(conn, par->depth + 8, par->req, 8, PP_MSG_MIN);
	else
		err = pp_conn_init(conn, 2 * par->depth + 8, par->req, par->depth,
				   par->rep);
	if (err)
		return err;
	err = pp_conn_post_recvs(conn);
	if (err)
		pp_conn_exit(conn);
	return err;
}

static int conns_add(struct pp_conn *conn)
{
	int err = 0;

	mutex_lock(&conns_lock);
	if (nr_conns < NR_CONNS_MAX) {
		list_add(&conn->list, &conns);
		nr_conns++;
	} else {
		err = -EMFILE;
	}
	mutex_unlock(&conns_lock);
	return err;
}

static int conn_accept(struct rdma_cm_id *id, const struct pp_params *par)
{
	struct rdma_conn_param param = { .rnr_retry_count = 7, .retry_count = 7 };
	struct pp_conn *conn;
	int err;

	conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	if (!conn)
		return -ENOMEM;
	INIT_WORK(&conn->destroy, server_destroy);
	init_waitqueue_head(&conn->wait);
	conn->id = id;
	conn->par = *par;
	conn->recv = server_recv;
	conn->fail = server_fail;
	conn->active = jiffies;
	err = conn_setup(conn);
	if (err)
		goto err_free;
	err = conns_add(conn);
	if (err)
		goto err_conn;
	id->context = conn;
	err = rdma_accept(id, &param);
	/* Listed: only its work may destroy it from here on. */
	if (err)
		pp_conn_fail(conn, err);
	return 0;

err_conn:
	pp_conn_exit(conn);
err_free:
	kfree(conn);
	return err;
}

static int connect_request(struct rdma_cm_id *id, const struct rdma_conn_param *req)
{
	struct pp_params par;
	u8 reason;
	int err;

	err = pp_params_decode(&par, req->private_data, req->private_data_len);
	if (!err)
		err = conn_accept(id, &par);
	if (!err)
		return 0;
	pr_warn_ratelimited("connection from %pISpc refused: %d\n",
			    &id->route.addr.dst_addr, err);
	reason = -err;
	rdma_reject(id, &reason, sizeof(reason), IB_CM_REJ_CONSUMER_DEFINED);
	return err;
}

static int server_event(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		return connect_request(id, &event->param.conn);
	if (id != listener && event->event != RDMA_CM_EVENT_ESTABLISHED)
		pp_conn_fail(id->context, event->status ?: -ECONNRESET);
	return 0;
}

/**
 * pp_server_init() - listen
 * @port:	TCP-like port, on all addresses
 *
 * Context: process, may sleep.
 * Return: 0 or an error.
 */
int pp_server_init(u16 port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = cpu_to_be16(port),
	};
	struct rdma_cm_id *id;
	int err;

	destroy_wq = alloc_workqueue("dsm_pp_destroy", WQ_UNBOUND, 0);
	if (!destroy_wq)
		return -ENOMEM;
	id = rdma_create_id(&init_net, server_event, NULL, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id)) {
		err = PTR_ERR(id);
		goto err_wq;
	}
	listener = id;
	err = rdma_bind_addr(id, (struct sockaddr *)&sin);
	if (!err)
		err = rdma_listen(id, NR_CONNS_MAX);
	if (err)
		goto err_id;
	schedule_delayed_work(&reaper, 0);
	return 0;

err_id:
	rdma_destroy_id(id);
err_wq:
	destroy_workqueue(destroy_wq);
	return err;
}

/**
 * pp_server_exit() - end all connections and listen no more
 *
 * Context: process, may sleep.
 */
void pp_server_exit(void)
{
	struct pp_conn *conn;

	cancel_delayed_work_sync(&reaper);
	rdma_destroy_id(listener);
	mutex_lock(&conns_lock);
	list_for_each_entry(conn, &conns, list)
		pp_conn_fail(conn, -ESHUTDOWN);
	mutex_unlock(&conns_lock);
	destroy_workqueue(destroy_wq);
}
