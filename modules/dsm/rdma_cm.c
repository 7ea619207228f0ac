// SPDX-License-Identifier: GPL-2.0
/*
 * How connections come about, with rdma_cm.
 *
 * Normal operation: every node listens on all its RDMA devices, those included
 * that appear later.  The node with the lower number connects; dsm_rdma_connect()
 * starts an attempt, which goes on from event to event: address, route, queue
 * pair and request, reply.  The other side checks the request, sets its own end
 * up and accepts, all in the handler of the request.  The hellos of the link
 * machines travel in the private data of request and reply.
 *
 * Recovery: an attempt that takes longer than DSM_CONNECT_MS is dropped by the
 * next call of dsm_rdma_connect().  A request for a peer that has a connection
 * means that the peer gave that up: it is taken down, the request is refused
 * (BUSY), and the peer's next attempt finds the way clear.  What makes a
 * connection impossible is logged once an outage by who connects; who refuses
 * logs, rate-limited, unless the reason is ordinary.
 *
 * Locking: rdma_cm calls one handler at a time for an id.  A connection's own
 * handler may use it: the close work waits for the handler before it takes the
 * connection apart, and destroys the id before it frees the connection.  In the
 * request handler this holds from dsm_conn_publish() on; before that the handler
 * owns the connection alone, and a non-zero return makes rdma_cm destroy the id.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <rdma/ib_cm.h>

#include "cluster_types.h"
#include "node.h"
#include "node_types.h"
#include "rdma.h"

static ushort port = 7473;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "port of rdma_cm to listen on and to connect to");

static void dsm_addr_set_port(struct sockaddr_storage *a, u16 p)
{
	if (a->ss_family == AF_INET)
		((struct sockaddr_in *)a)->sin_port = htons(p);
	else
		((struct sockaddr_in6 *)a)->sin6_port = htons(p);
}

static struct sockaddr_storage dsm_addr_any(sa_family_t family)
{
	struct sockaddr_storage a = { .ss_family = family };

	dsm_addr_set_port(&a, port);
	return a;
}

/* Trouble while connecting: once an outage, unless it changes. */
static void dsm_conn_say(struct dsm_conn *conn, int code, const char *what,
			 const char *why)
{
	struct dsm_cluster *c = conn->peer->rdma->c;

	if (!conn->active || READ_ONCE(conn->peer->said) == code)
		return;
	WRITE_ONCE(conn->peer->said, code);
	pr_warn("%s: node %u: cannot connect to node %u (%pISc): %s%s%s; trying on\n",
		c->name, c->self, dsm_node_id(conn->node),
		dsm_node_addr(conn->node), what, why ? ": " : "", why ?: "");
}

static void dsm_conn_param(struct dsm_conn *conn, struct rdma_conn_param *param,
			   struct dsm_rdma_hello *h)
{
	struct dsm_hello link = dsm_node_hello(conn->node);

	dsm_hello_fill(h, conn->peer->rdma->c, dsm_node_id(conn->node));
	dsm_hello_fill_link(h, &link);
	*param = (struct rdma_conn_param){
		.private_data = h,
		.private_data_len = sizeof(*h),
		.retry_count = DSM_RETRY_COUNT,
		.rnr_retry_count = DSM_RNR_RETRY,
	};
}

static void dsm_conn_tune(struct rdma_cm_id *id)
{
	rdma_set_ack_timeout(id, DSM_ACK_TIMEOUT);
	rdma_set_min_rnr_timer(id, DSM_RNR_TIMER);
}

/* ---- the side that connects ---- */

static int dsm_conn_request(struct dsm_conn *conn)
{
	struct rdma_conn_param param;
	struct dsm_rdma_hello h;
	int err;

	err = dsm_conn_setup(conn);
	if (err)
		return err;
	dsm_conn_param(conn, &param, &h);
	return rdma_connect_locked(conn->id, &param);
}

/* A reply has come; the other side believes that all is well. */
static int dsm_conn_replied(struct dsm_conn *conn, struct rdma_cm_event *event)
{
	const struct dsm_rdma_hello *h = event->param.conn.private_data;
	enum dsm_reject why;

	if (!conn->active)
		return dsm_conn_establish(conn);
	why = dsm_hello_check(conn->peer->rdma->c, h,
			      event->param.conn.private_data_len);
	if (why == DSM_REJ_NONE && le16_to_cpu(h->from) != dsm_node_id(conn->node))
		why = DSM_REJ_NODE;
	if (why != DSM_REJ_NONE) {
		dsm_conn_say(conn, why, "bad reply", dsm_reject_text(why));
		return -EPROTO;
	}
	conn->hello = dsm_hello_link(h);
	return dsm_conn_establish(conn);
}

static void dsm_conn_rejected(struct dsm_conn *conn, struct rdma_cm_event *event)
{
	const struct dsm_rdma_hello *h;
	u8 len = 0;

	h = rdma_consumer_reject_data(conn->id, event, &len);
	if (!h || len < sizeof(*h) || h->magic != cpu_to_le32(DSM_RDMA_MAGIC)) {
		dsm_conn_say(conn, 0x100 + event->status, "refused",
			     event->status == IB_CM_REJ_INVALID_SERVICE_ID ?
			     "dsm.ko is not loaded there" :
			     rdma_reject_msg(conn->id, event->status));
		return;
	}
	if (h->reject == DSM_REJ_BUSY)
		return;
	dsm_conn_say(conn, h->reject, "refused", dsm_reject_text(h->reject));
}

static int dsm_conn_handle(struct dsm_conn *conn, struct rdma_cm_event *event)
{
	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		return rdma_resolve_route(conn->id, DSM_RESOLVE_MS);
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		return dsm_conn_request(conn);
	case RDMA_CM_EVENT_ESTABLISHED:
		return dsm_conn_replied(conn, event);
	case RDMA_CM_EVENT_REJECTED:
		dsm_conn_rejected(conn, event);
		return -ECONNREFUSED;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		return event->status ?: -ENETUNREACH;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		return -ENOTCONN;
	default:
		return 0;
	}
}

static int dsm_conn_handler(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct dsm_conn *conn = id->context;
	int err;

	/* Being taken down; pairs with dsm_conn_close(). */
	if (READ_ONCE(conn->dead))
		return 0;
	err = dsm_conn_handle(conn, event);
	if (!err)
		return 0;
	if (err != -ECONNREFUSED && err != -ENOTCONN &&
	    err != -EPROTO && err != -ESHUTDOWN)
		dsm_conn_say(conn, err, rdma_event_msg(event->event),
			     err == -ETIMEDOUT ? "timed out" : NULL);
	dsm_conn_fail(conn);
	return 0;
}

static int dsm_conn_resolve(struct dsm_conn *conn)
{
	struct dsm_cluster *c = conn->peer->rdma->c;
	struct sockaddr_storage dst = *dsm_node_addr(conn->node);
	struct sockaddr_storage src = c->addr;
	int err;

	/* The peer checks where the request comes from. */
	dsm_addr_set_port(&src, 0);
	dsm_addr_set_port(&dst, port);
	err = rdma_resolve_addr(conn->id,
				c->addr.ss_family ? (struct sockaddr *)&src : NULL,
				(struct sockaddr *)&dst, DSM_RESOLVE_MS);
	if (err == -ENODEV || err == -EADDRNOTAVAIL)
		dsm_conn_say(conn, err, "no RDMA device has this node's address",
			     NULL);
	else if (err)
		dsm_conn_say(conn, err, "address cannot be used", NULL);
	return err;
}

static int dsm_rdma_connect(struct dsm_node *n)
{
	struct dsm_rdma *rdma = n->c->transport;
	struct dsm_rdma_peer *peer = &rdma->peer[n->id];
	struct dsm_conn *conn;
	struct rdma_cm_id *id;
	unsigned long late = jiffies - msecs_to_jiffies(DSM_CONNECT_MS);
	bool busy;

	spin_lock_bh(&peer->lock);
	busy = peer->conn;
	if (busy && !peer->conn->up && !test_bit(0, &peer->conn->failed) &&
	    time_before(peer->conn->started, late)) {
		dsm_conn_say(peer->conn, -ETIMEDOUT, "no answer", NULL);
		dsm_conn_fail(peer->conn);
	}
	spin_unlock_bh(&peer->lock);
	if (busy)
		return 0;

	conn = dsm_conn_create(peer, n, true);
	if (!conn)
		return -ENOMEM;
	id = rdma_create_id(&init_net, dsm_conn_handler, conn, RDMA_PS_TCP,
			    IB_QPT_RC);
	if (IS_ERR(id)) {
		dsm_conn_free(conn);
		return PTR_ERR(id);
	}
	conn->id = id;
	dsm_conn_tune(id);
	if (!dsm_conn_publish(conn)) {
		rdma_destroy_id(id);
		dsm_conn_free(conn);
		return 0;
	}
	if (dsm_conn_resolve(conn))
		dsm_conn_fail(conn);
	return 0;
}

/* ---- the side that is connected to ---- */

static void dsm_rdma_refuse(struct dsm_rdma *rdma, struct rdma_cm_id *id,
			    u16 from, enum dsm_reject why)
{
	/* Whoever is refused tries again and again. */
	static DEFINE_RATELIMIT_STATE(limit, 30 * HZ, 5);
	struct dsm_rdma_hello h;

	dsm_hello_fill(&h, rdma->c, from);
	h.reject = why;
	rdma_reject(id, &h, sizeof(h), IB_CM_REJ_CONSUMER_DEFINED);
	if (why == DSM_REJ_BUSY || why == DSM_REJ_UNWANTED || !__ratelimit(&limit))
		return;
	pr_warn("%s: node %u: connection from %pISpc refused: %s\n",
		rdma->c->name, rdma->c->self, &id->route.addr.dst_addr,
		dsm_reject_text(why));
}

static enum dsm_reject dsm_rdma_check(struct dsm_rdma *rdma,
				      struct rdma_cm_id *id,
				      const struct dsm_rdma_hello *h, size_t len)
{
	struct dsm_cluster *c = rdma->c;
	enum dsm_reject why = dsm_hello_check(c, h, len);
	struct dsm_node *n;
	u16 from;

	if (why != DSM_REJ_NONE)
		return why;
	from = le16_to_cpu(h->from);
	n = c->node[from];
	if (!n)
		return DSM_REJ_UNWANTED;
	if (!dsm_addr_same_host(dsm_node_addr(n), &id->route.addr.dst_addr))
		return DSM_REJ_ADDRESS;
	if (from > c->self)
		return DSM_REJ_ORDER;
	return dsm_node_wanted(n) ? DSM_REJ_NONE : DSM_REJ_UNWANTED;
}

/* Return: whether there was one. */
static bool dsm_rdma_drop_old(struct dsm_rdma_peer *peer)
{
	bool found;

	spin_lock_bh(&peer->lock);
	found = peer->conn;
	if (found)
		dsm_conn_fail(peer->conn);
	spin_unlock_bh(&peer->lock);
	return found;
}

static enum dsm_reject dsm_rdma_accept(struct dsm_rdma_peer *peer,
				       struct rdma_cm_id *id,
				       const struct dsm_rdma_hello *h)
{
	struct dsm_node *n = peer->rdma->c->node[le16_to_cpu(h->from)];
	struct rdma_conn_param param;
	struct dsm_rdma_hello reply;
	struct dsm_conn *conn;
	enum dsm_reject why = DSM_REJ_RESOURCES;

	conn = dsm_conn_create(peer, n, false);
	if (!conn)
		return why;
	conn->hello = dsm_hello_link(h);
	conn->id = id;
	dsm_conn_tune(id);
	if (dsm_conn_setup(conn))
		goto undo;
	if (!dsm_conn_publish(conn)) {
		why = DSM_REJ_BUSY;
		goto undo;
	}
	id->context = conn;
	id->event_handler = dsm_conn_handler;
	/* The old connection is gone, so what is told now stays true. */
	dsm_conn_param(conn, &param, &reply);
	if (rdma_accept(id, &param))
		dsm_conn_fail(conn);
	return DSM_REJ_NONE;

undo:
	dsm_conn_teardown(conn);
	dsm_conn_free(conn);
	return why;
}

static int dsm_rdma_listener(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct dsm_rdma *rdma = id->context;
	const struct dsm_rdma_hello *h = event->param.conn.private_data;
	struct dsm_rdma_peer *peer;
	enum dsm_reject why;
	u16 from = DSM_NODE_NONE;

	if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		return 0;
	why = dsm_rdma_check(rdma, id, h, event->param.conn.private_data_len);
	if (why == DSM_REJ_NONE) {
		from = le16_to_cpu(h->from);
		peer = &rdma->peer[from];
		why = dsm_rdma_drop_old(peer) ? DSM_REJ_BUSY :
						dsm_rdma_accept(peer, id, h);
	}
	if (why == DSM_REJ_NONE)
		return 0;
	dsm_rdma_refuse(rdma, id, from, why);
	return -ECONNREFUSED;
}

/* ---- the transport ---- */

static void dsm_rdma_disconnect(struct dsm_node *n)
{
	struct dsm_rdma *rdma = n->c->transport;
	struct dsm_rdma_peer *peer;
	unsigned long nr_closed;

	if (!rdma)
		return;
	peer = &rdma->peer[n->id];
	spin_lock_bh(&peer->lock);
	nr_closed = peer->nr_closed;
	if (peer->conn)
		dsm_conn_fail(peer->conn);
	else
		nr_closed--;
	spin_unlock_bh(&peer->lock);
	/* Local work only: nothing that a peer or the network could delay. */
	wait_event(peer->closed, READ_ONCE(peer->nr_closed) != nr_closed);
}

static int dsm_rdma_listen(struct dsm_rdma *rdma, sa_family_t family)
{
	struct sockaddr_storage any = dsm_addr_any(family);
	struct rdma_cm_id *id;
	int err;

	id = rdma_create_id(&init_net, dsm_rdma_listener, rdma, RDMA_PS_TCP,
			    IB_QPT_RC);
	if (IS_ERR(id))
		return PTR_ERR(id);
	if (family == AF_INET6)
		rdma_set_afonly(id, 1);
	err = rdma_bind_addr(id, (struct sockaddr *)&any);
	if (!err)
		err = rdma_listen(id, 64);
	if (err) {
		pr_err("%s: node %u: cannot listen on port %u of rdma_cm: error %d\n",
		       rdma->c->name, rdma->c->self, port, err);
		rdma_destroy_id(id);
		return err;
	}
	rdma->listen = id;
	return 0;
}

/* Not fatal: the device may come later.  But who waits for it should know. */
static void dsm_rdma_check_own(struct dsm_rdma *rdma)
{
	struct sockaddr_storage own = rdma->c->addr;
	struct rdma_cm_id *id;

	if (!own.ss_family)
		return;
	id = rdma_create_id(&init_net, dsm_rdma_listener, rdma, RDMA_PS_TCP,
			    IB_QPT_RC);
	if (IS_ERR(id))
		return;
	dsm_addr_set_port(&own, 0);
	if (rdma_bind_addr(id, (struct sockaddr *)&own))
		pr_warn("dsm: %s: no RDMA device has %pISc, which node=%u is in peers=; see 'rdma link'\n",
			rdma->c->name, &own, rdma->c->self);
	rdma_destroy_id(id);
}

static int dsm_rdma_start(struct dsm_cluster *c)
{
	struct dsm_rdma *rdma;
	int err;

	rdma = kvzalloc(struct_size(rdma, peer, c->nr_nodes), GFP_KERNEL);
	if (!rdma)
		return -ENOMEM;
	rdma->c = c;
	for (u16 i = 0; i < c->nr_nodes; i++) {
		rdma->peer[i].rdma = rdma;
		spin_lock_init(&rdma->peer[i].lock);
		init_waitqueue_head(&rdma->peer[i].closed);
	}
	rdma->wq = alloc_workqueue("dsm_rdma", WQ_UNBOUND, 0);
	if (!rdma->wq) {
		kvfree(rdma);
		return -ENOMEM;
	}
	c->transport = rdma;
	dsm_rdma_check_own(rdma);
	err = dsm_rdma_listen(rdma, c->addr.ss_family ?: AF_INET);
	if (err) {
		c->transport = NULL;
		destroy_workqueue(rdma->wq);
		kvfree(rdma);
	}
	return err;
}

static void dsm_rdma_stop(struct dsm_cluster *c)
{
	struct dsm_rdma *rdma = c->transport;

	/* Waits for its handler: no new connections after that. */
	rdma_destroy_id(rdma->listen);
	for (u16 i = 0; i < c->nr_nodes; i++)
		if (c->node[i])
			dsm_rdma_disconnect(c->node[i]);
	destroy_workqueue(rdma->wq);
	c->transport = NULL;
	kvfree(rdma);
}

const struct dsm_transport_ops dsm_rdma_ops = {
	.name = "rdma",
	.start = dsm_rdma_start,
	.stop = dsm_rdma_stop,
	.connect = dsm_rdma_connect,
	.disconnect = dsm_rdma_disconnect,
	.post = dsm_rdma_post,
};
