// SPDX-License-Identifier: GPL-2.0
/*
 * A connection: what it owns, how it begins and how it ends.
 *
 * Normal operation: a connection has a protection domain, a completion queue and
 * a queue pair of its own, receive queue included.  So peers are served on
 * different CPUs without a common lock, one that ignores its credit starves
 * nobody else, devices without shared receive queues will do, and destroying the
 * queue pair proves that no buffer is under way.  No memory is ever registered
 * for remote access: no rkey exists.
 *
 * Recovery: whoever sees something wrong, in whatever context, calls
 * dsm_conn_fail(): the first call queues the close work.  That one stops all
 * posting, destroys the queue pair and then the completion queue (which waits
 * for the handler), gives all frames and buffers back, reports the loss, and
 * makes way for the next connection.  No completion is waited for, so there is
 * nothing a dead device could withhold.
 *
 * Locking: up_lock > node lock > tx_lock, rx_lock.  dsm_conn.dead is set without
 * a lock, and then each lock is taken and dropped once: who holds one of them
 * and sees it clear is done before anything is destroyed.  The peer's lock makes
 * sure that a connection found there is not freed; it is the innermost.
 */
#include <linux/delay.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "cluster_types.h"
#include "node.h"
#include "node_types.h"
#include "rdma.h"

/**
 * dsm_conn_fail() - the connection is of no more use: take it down
 * @conn:	the connection, published
 *
 * Context: Any; the peer's lock may be held.
 */
void dsm_conn_fail(struct dsm_conn *conn)
{
	if (!test_and_set_bit(0, &conn->failed))
		queue_work(conn->peer->rdma->wq, &conn->close);
}

static void dsm_conn_event(struct ib_event *event, void *context)
{
	struct dsm_conn *conn = context;

	switch (event->event) {
	case IB_EVENT_QP_FATAL:
	case IB_EVENT_QP_REQ_ERR:
	case IB_EVENT_QP_ACCESS_ERR:
	case IB_EVENT_DEVICE_FATAL:
		pr_warn_ratelimited("dsm: connection to node %u: RDMA device says: %s\n",
				    dsm_node_id(conn->node),
				    ib_event_msg(event->event));
		dsm_conn_fail(conn);
		break;
	default:
		break;
	}
}

static int dsm_conn_create_qp(struct dsm_conn *conn, u32 max_inline)
{
	struct ib_qp_init_attr attr = {
		.event_handler = dsm_conn_event,
		.qp_context = conn,
		.send_cq = conn->cq,
		.recv_cq = conn->cq,
		.cap = {
			.max_send_wr = DSM_SQ_DEPTH,
			.max_recv_wr = DSM_RQ_DEPTH,
			.max_send_sge = 2,
			.max_recv_sge = 2,
			.max_inline_data = max_inline,
		},
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
	};
	int err;

	err = rdma_create_qp(conn->id, conn->pd, &attr);
	/* Some drivers report no inline size: what they granted they can do. */
	conn->max_inline = err ? 0 : max_inline;
	return err;
}

static int dsm_conn_check_device(struct ib_device *dev)
{
	const struct ib_device_attr *a = &dev->attrs;

	if (a->max_qp_wr < DSM_SQ_DEPTH || a->max_send_sge < 2 ||
	    a->max_recv_sge < 2 || a->max_cqe < DSM_SQ_DEPTH + DSM_RQ_DEPTH) {
		pr_err_ratelimited("dsm: device %s is too small: %d work requests, %d/%d SGEs, %d completions; %u, 2/2, %u are needed\n",
				   dev_name(&dev->dev), a->max_qp_wr,
				   a->max_send_sge, a->max_recv_sge, a->max_cqe,
				   DSM_SQ_DEPTH, DSM_SQ_DEPTH + DSM_RQ_DEPTH);
		return -EOPNOTSUPP;
	}
	return 0;
}

static void dsm_conn_poll(struct irq_work *irq)
{
	struct dsm_conn *conn = container_of(irq, struct dsm_conn, irq);

	conn->poll(conn->cq, conn);
}

/*
 * soft-RoCE completes in a kworker, with interrupts off: the softirq that is raised
 * there would wait for ksoftirqd to be scheduled.  An interrupt ends in softirqs.
 */
static void dsm_conn_completed(struct ib_cq *cq, void *context)
{
	struct dsm_conn *conn = context;

	if (in_interrupt())
		conn->poll(cq, context);
	else
		irq_work_queue(&conn->irq);
}

/**
 * dsm_conn_setup() - get everything the connection needs from its device
 * @conn:	the connection; its id is bound to a device
 *
 * Context: Process, sleeps.
 * Return: 0 or errno; what was done is undone by dsm_conn_teardown() in any case.
 */
int dsm_conn_setup(struct dsm_conn *conn)
{
	struct ib_device *dev = conn->id->device;
	struct ib_pd *pd;
	struct ib_cq *cq;
	int err;

	err = dsm_conn_check_device(dev);
	if (err)
		return err;
	pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(pd))
		return PTR_ERR(pd);
	conn->pd = pd;
	cq = ib_alloc_cq_any(dev, conn, DSM_SQ_DEPTH + DSM_RQ_DEPTH,
			     IB_POLL_SOFTIRQ);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	conn->cq = cq;
	init_irq_work(&conn->irq, dsm_conn_poll);
	conn->poll = cq->comp_handler;
	cq->comp_handler = dsm_conn_completed;
	err = dsm_conn_create_qp(conn, DSM_MAX_INLINE);
	if (err)
		err = dsm_conn_create_qp(conn, 0);
	if (err)
		return err;
	err = dsm_conn_create_rx(conn);
	return err ?: dsm_conn_post_all_rx(conn);
}

/* Nobody posts or reports any more when it returns; see top of file. */
static void dsm_conn_shut(struct dsm_conn *conn)
{
	WRITE_ONCE(conn->dead, true);
	spin_lock_bh(&conn->up_lock);
	spin_unlock_bh(&conn->up_lock);
	spin_lock_bh(&conn->tx_lock);
	spin_unlock_bh(&conn->tx_lock);
	spin_lock_bh(&conn->rx_lock);
	spin_unlock_bh(&conn->rx_lock);
}

/**
 * dsm_conn_teardown() - give everything back, except for the id
 * @conn:	the connection, set up, or partly so
 *
 * Context: Process, sleeps.
 */
void dsm_conn_teardown(struct dsm_conn *conn)
{
	dsm_conn_shut(conn);
	if (conn->id && conn->id->qp)
		rdma_destroy_qp(conn->id);
	irq_work_sync(&conn->irq);
	if (conn->cq)
		ib_free_cq(conn->cq);
	cancel_delayed_work_sync(&conn->refill);
	dsm_conn_release_tx(conn);
	dsm_conn_destroy_rx(conn);
	if (conn->pd)
		ib_dealloc_pd(conn->pd);
	conn->cq = NULL;
	conn->pd = NULL;
}

/*
 * While the queue of a network device that lost its carrier is taken down, a packet
 * that is sent is an error, and a message of ib_cm that meets one makes soft-RoCE
 * stop its queue pair 1 for good: no connection comes about any more, whatever the
 * carrier.  So nothing is to be said until that is over, and then no one listens.
 */
#define CARRIER_LOSS_MS	1000

static bool dsm_conn_has_carrier(const struct dsm_conn *conn)
{
	const struct rdma_dev_addr *addr = &conn->id->route.addr.dev_addr;
	struct net_device *dev;
	bool ok = true;

	rcu_read_lock();
	dev = addr->net ? dev_get_by_index_rcu(addr->net, addr->bound_dev_if) : NULL;
	if (dev)
		ok = netif_carrier_ok(dev);
	rcu_read_unlock();
	return ok;
}

/*
 * The device may be gone as soon as the id is, so that comes last.  It may take
 * its time (ib_cm waits for its own messages); a new connection need not wait.
 */
static void dsm_conn_close(struct work_struct *work)
{
	struct dsm_conn *conn = container_of(work, struct dsm_conn, close);
	struct dsm_rdma_peer *peer = conn->peer;
	bool carrier = dsm_conn_has_carrier(conn);

	dsm_conn_shut(conn);
	/* A handler that did not see it has ended; setting up is done there. */
	rdma_lock_handler(conn->id);
	rdma_unlock_handler(conn->id);
	/* The peer shall not have to find out; an error means it knows. */
	if (carrier)
		rdma_disconnect(conn->id);
	dsm_conn_teardown(conn);
	if (conn->up)
		dsm_node_lost(conn->node);

	spin_lock_bh(&peer->lock);
	peer->conn = NULL;
	peer->nr_closed++;
	wake_up_all(&peer->closed);
	spin_unlock_bh(&peer->lock);
	/* It says goodbye as well. */
	if (!carrier)
		msleep(CARRIER_LOSS_MS);
	rdma_destroy_id(conn->id);
	dsm_conn_free(conn);
}

/**
 * dsm_conn_create() - a connection that has nothing yet
 * @peer:	to whom
 * @n:		likewise
 * @active:	this side connects
 *
 * Context: Process, sleeps.
 * Return: the connection, or NULL.
 */
struct dsm_conn *dsm_conn_create(struct dsm_rdma_peer *peer, struct dsm_node *n,
				 bool active)
{
	struct dsm_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);

	if (!conn)
		return NULL;
	conn->peer = peer;
	conn->node = n;
	conn->active = active;
	conn->started = jiffies;
	spin_lock_init(&conn->up_lock);
	spin_lock_init(&conn->tx_lock);
	spin_lock_init(&conn->rx_lock);
	INIT_LIST_HEAD(&conn->posted);
	INIT_LIST_HEAD(&conn->empty);
	INIT_LIST_HEAD(&conn->early);
	conn->chain_end = &conn->chain;
	INIT_WORK(&conn->close, dsm_conn_close);
	INIT_DELAYED_WORK(&conn->refill, dsm_conn_refill);
	return conn;
}

/**
 * dsm_conn_free() - free a connection that was torn down or never set up
 * @conn:	the connection
 *
 * Context: Process.
 */
void dsm_conn_free(struct dsm_conn *conn)
{
	kfree(conn);
}

/**
 * dsm_conn_publish() - make it the connection of its peer
 * @conn:	the connection; has an id
 *
 * From now on dsm_conn_fail() ends it, and nothing else.
 *
 * Context: Process.
 * Return: false if the peer has one.
 */
bool dsm_conn_publish(struct dsm_conn *conn)
{
	struct dsm_rdma_peer *peer = conn->peer;
	bool first;

	spin_lock_bh(&peer->lock);
	first = !peer->conn;
	if (first)
		peer->conn = conn;
	spin_unlock_bh(&peer->lock);
	return first;
}

/**
 * dsm_conn_establish() - both ends are ready: let frames flow
 * @conn:	the connection; the hello of the peer is known
 *
 * The first frame may come before rdma_cm says that the connection is there.
 * On the passive side it is proof enough, and this is called from its
 * completion; on the active side, where the hello is still to come, it waits in
 * dsm_conn.early.  Calls after the first one do nothing.
 *
 * Context: Process or softirq.
 * Return: 0, or an errno: the connection has failed.
 */
int dsm_conn_establish(struct dsm_conn *conn)
{
	int err = 0;

	spin_lock_bh(&conn->up_lock);
	if (conn->dead) {
		err = -ENOTCONN;
	} else if (!conn->up) {
		conn->node->transport = conn;
		err = dsm_node_connected(conn->node, &conn->hello);
		if (!err) {
			dsm_conn_deliver_early(conn);
			/* Pairs with the test in dsm_conn_received(). */
			smp_store_release(&conn->up, true);
		}
	}
	spin_unlock_bh(&conn->up_lock);
	if (err)
		dsm_conn_fail(conn);
	else
		WRITE_ONCE(conn->peer->said, 0);
	return err;
}
