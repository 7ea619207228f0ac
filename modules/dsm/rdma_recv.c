// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving: the buffers of a connection.
 *
 * Normal operation: a buffer is a page, and a head behind it.  Most frames fit
 * the page, head first.  A whole page fills it, and its head comes behind, or it
 * has none but an immediate.  A page that is payload is unmapped and shown to the
 * node layer; if that does not keep it, the buffer is posted anew, last, when
 * replies are on their way already.  If it keeps it (it becomes the mapped page of
 * the file), the buffer waits in dsm_conn.empty: someone waits for that page, and
 * a new one costs time that is better spent when nobody does.  The refill work
 * serves DSM_REFILL_AFTER of them together.
 *
 * Recovery: if the refill work does not get to run, buffers are refilled in softirq;
 * without memory there they wait for the work, which may sleep for pages, and tries
 * again if it gets none.  If there were no buffer left at all the device would make
 * the peer retry.
 *
 * Locking: one completion handler at a time per connection (the poll context of
 * its completion queue), so the node layer sees frames in order.  rx_lock keeps
 * refill, and the end of the connection, away from posting.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "cluster_types.h"
#include "node.h"
#include "node_types.h"
#include "rdma.h"

#define DSM_HEADS_BYTES	(DSM_RQ_DEPTH * sizeof(struct dsm_wire_head))

static void dsm_rx_unmap(struct dsm_conn *conn, struct dsm_rx *rx)
{
	if (!rx->mapped)
		return;
	ib_dma_unmap_page(conn->id->device, rx->page_dma, DSM_PAGE_SIZE,
			  DMA_FROM_DEVICE);
	rx->mapped = false;
}

/* Make the buffer ready: a page, mapped. */
static int dsm_rx_prepare(struct dsm_conn *conn, struct dsm_rx *rx, gfp_t gfp)
{
	struct ib_device *dev = conn->id->device;

	if (!rx->page) {
		rx->page = alloc_page(gfp | __GFP_NOWARN);
		if (!rx->page)
			return -ENOMEM;
		set_page_private(rx->page, 0);
	}
	if (rx->mapped)
		return 0;
	rx->page_dma = ib_dma_map_page(dev, rx->page, 0, DSM_PAGE_SIZE,
				       DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(dev, rx->page_dma))
		return -ENOMEM;
	rx->mapped = true;
	return 0;
}

static int dsm_rx_post(struct dsm_conn *conn, struct dsm_rx *rx)
{
	struct ib_sge sge[2] = {
		{
			.addr = rx->page_dma,
			.length = DSM_PAGE_SIZE,
			.lkey = conn->pd->local_dma_lkey,
		}, {
			.addr = rx->head_dma,
			.length = DSM_WIRE_HEAD,
			.lkey = conn->pd->local_dma_lkey,
		},
	};
	struct ib_recv_wr wr = {
		.wr_cqe = &rx->cqe,
		.sg_list = sge,
		.num_sge = 2,
	};
	int err = 0;

	spin_lock_bh(&conn->rx_lock);
	if (!conn->dead)
		err = ib_post_recv(conn->id->qp, &wr, NULL);
	spin_unlock_bh(&conn->rx_lock);
	return err;
}

static unsigned int dsm_conn_add_empty(struct dsm_conn *conn, struct dsm_rx *rx)
{
	unsigned int nr;

	spin_lock_bh(&conn->rx_lock);
	list_add_tail(&rx->entry, &conn->empty);
	nr = ++conn->nr_empty;
	spin_unlock_bh(&conn->rx_lock);
	return nr;
}

static struct dsm_rx *dsm_conn_take_empty(struct dsm_conn *conn)
{
	struct dsm_rx *rx;

	spin_lock_bh(&conn->rx_lock);
	rx = list_first_entry_or_null(&conn->empty, struct dsm_rx, entry);
	if (rx) {
		list_del(&rx->entry);
		conn->nr_empty--;
	}
	spin_unlock_bh(&conn->rx_lock);
	return rx;
}

static void dsm_conn_repost(struct dsm_conn *conn, struct dsm_rx *rx)
{
	if (!rx->page) {
		unsigned int nr = dsm_conn_add_empty(conn, rx);

		if (nr < DSM_REFILL_AFTER)
			return;
		queue_delayed_work(conn->peer->rdma->wq, &conn->refill, 0);
		if (nr < 2 * DSM_REFILL_AFTER)
			return;
		rx = dsm_conn_take_empty(conn);
		if (!rx)
			return;
	}
	if (dsm_rx_prepare(conn, rx, GFP_ATOMIC)) {
		dsm_conn_add_empty(conn, rx);
		queue_delayed_work(conn->peer->rdma->wq, &conn->refill, 0);
	} else if (dsm_rx_post(conn, rx)) {
		dsm_conn_fail(conn);
	}
}

/**
 * dsm_conn_refill() - get pages for the buffers that lack one
 * @work:	of the connection
 *
 * Context: Process.
 */
void dsm_conn_refill(struct work_struct *work)
{
	struct dsm_conn *conn = container_of(to_delayed_work(work), struct dsm_conn,
					     refill);
	struct dsm_rx *rx;

	while (!READ_ONCE(conn->dead)) {
		rx = dsm_conn_take_empty(conn);
		if (!rx)
			return;
		/* A new connection would need more of it, all at once. */
		if (dsm_rx_prepare(conn, rx, GFP_KERNEL)) {
			dsm_conn_add_empty(conn, rx);
			queue_delayed_work(conn->peer->rdma->wq, &conn->refill,
					   msecs_to_jiffies(DSM_REFILL_RETRY_MS));
			return;
		}
		if (dsm_rx_post(conn, rx)) {
			dsm_conn_fail(conn);
			return;
		}
	}
}

/* A head and nothing else: the page stays where it is. */
static int dsm_conn_deliver_head(struct dsm_conn *conn, struct dsm_rx *rx,
				 u32 nr_bytes)
{
	struct ib_device *dev = conn->id->device;
	struct page *none = NULL;
	int err;

	ib_dma_sync_single_for_cpu(dev, rx->page_dma, DSM_WIRE_HEAD,
				   DMA_FROM_DEVICE);
	err = dsm_node_rx(conn->node, page_address(rx->page), &none, nr_bytes);
	ib_dma_sync_single_for_device(dev, rx->page_dma, DSM_WIRE_HEAD,
				      DMA_FROM_DEVICE);
	return err;
}

/* The node layer wants payload where a page begins. */
static int dsm_conn_deliver_small(struct dsm_conn *conn, struct dsm_rx *rx,
				  u32 nr_bytes)
{
	void *p = page_address(rx->page);
	struct dsm_wire_head head;

	memcpy(&head, p, sizeof(head));
	memmove(p, p + sizeof(head), nr_bytes - sizeof(head));
	return dsm_node_rx(conn->node, &head, &rx->page, nr_bytes);
}

/* A whole page came first; only the head behind it says how much of it counts. */
static int dsm_conn_deliver_page(struct dsm_conn *conn, struct dsm_rx *rx)
{
	struct ib_device *dev = conn->id->device;
	struct dsm_wire_head head;

	ib_dma_sync_single_for_cpu(dev, rx->head_dma, DSM_WIRE_HEAD,
				   DMA_FROM_DEVICE);
	head = *rx->head;
	ib_dma_sync_single_for_device(dev, rx->head_dma, DSM_WIRE_HEAD,
				      DMA_FROM_DEVICE);
	return dsm_node_rx(conn->node, &head, &rx->page, DSM_WIRE_HEAD +
			   min_t(u32, le16_to_cpu(head.frame.len), DSM_PAGE_SIZE));
}

/* Show a frame to the node layer. */
static int dsm_conn_deliver(struct dsm_conn *conn, struct dsm_rx *rx)
{
	if (!rx->has_imm && rx->nr_bytes <= DSM_WIRE_HEAD)
		return dsm_conn_deliver_head(conn, rx, rx->nr_bytes);
	/* It may be mapped into user space before the call returns. */
	dsm_rx_unmap(conn, rx);
	if (rx->has_imm && rx->nr_bytes == DSM_PAGE_SIZE)
		return dsm_node_rx_compact(conn->node, rx->imm, &rx->page);
	if (!rx->has_imm && rx->nr_bytes <= DSM_PAGE_SIZE)
		return dsm_conn_deliver_small(conn, rx, rx->nr_bytes);
	if (!rx->has_imm && rx->nr_bytes == DSM_PAGE_SIZE + DSM_WIRE_HEAD)
		return dsm_conn_deliver_page(conn, rx);
	pr_warn_ratelimited("dsm: node %u: %u bytes are no frame: connection dropped\n",
			    dsm_node_id(conn->node), rx->nr_bytes);
	return -EPROTO;
}

/* Return: whether the frame waits until the connection is established. */
static bool dsm_conn_stash(struct dsm_conn *conn, struct dsm_rx *rx)
{
	bool stashed;

	spin_lock_bh(&conn->up_lock);
	stashed = !conn->up;
	if (stashed)
		list_add_tail(&rx->entry, &conn->early);
	spin_unlock_bh(&conn->up_lock);
	return stashed;
}

static void dsm_conn_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct dsm_rx *rx = container_of(wc->wr_cqe, struct dsm_rx, cqe);
	struct dsm_conn *conn = cq->cq_context;

	if (wc->status != IB_WC_SUCCESS || test_bit(0, &conn->failed)) {
		if (wc->status == IB_WC_LOC_LEN_ERR)
			pr_warn_ratelimited("dsm: node %u sent more than a frame: connection dropped\n",
					    dsm_node_id(conn->node));
		dsm_conn_fail(conn);
		return;
	}
	rx->nr_bytes = wc->byte_len;
	rx->has_imm = wc->wc_flags & IB_WC_WITH_IMM;
	rx->imm = be32_to_cpu(wc->ex.imm_data);
	/* Pairs with dsm_conn_establish(). */
	if (unlikely(!smp_load_acquire(&conn->up))) {
		/*
		 * No rdma_notify(): if the connection is given up right after
		 * it, ib_cm forgets to cancel its reply, and destroying the id
		 * takes a minute.  The peer repeats its last word anyway.
		 */
		if (conn->active) {
			if (dsm_conn_stash(conn, rx))
				return;
		} else if (dsm_conn_establish(conn)) {
			return;
		}
	}
	if (dsm_conn_deliver(conn, rx))
		dsm_conn_fail(conn);
	else
		dsm_conn_repost(conn, rx);
}

/**
 * dsm_conn_deliver_early() - frames that came before the connection was known
 * @conn:	the connection, about to be established; up_lock is held
 *
 * Context: BH disabled.
 */
void dsm_conn_deliver_early(struct dsm_conn *conn)
{
	struct dsm_rx *rx, *next;

	list_for_each_entry_safe(rx, next, &conn->early, entry) {
		list_del(&rx->entry);
		if (dsm_conn_deliver(conn, rx)) {
			dsm_conn_fail(conn);
			return;
		}
		dsm_conn_repost(conn, rx);
	}
}

/**
 * dsm_conn_create_rx() - get the buffers
 * @conn:	the connection
 *
 * Context: Process, sleeps.
 * Return: 0 or -ENOMEM; dsm_conn_destroy_rx() cleans up.
 */
int dsm_conn_create_rx(struct dsm_conn *conn)
{
	struct ib_device *dev = conn->id->device;

	conn->rx = kcalloc(DSM_RQ_DEPTH, sizeof(*conn->rx), GFP_KERNEL);
	conn->heads = kzalloc(DSM_HEADS_BYTES, GFP_KERNEL);
	if (!conn->rx || !conn->heads)
		return -ENOMEM;
	conn->heads_dma = ib_dma_map_single(dev, conn->heads, DSM_HEADS_BYTES,
					    DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(dev, conn->heads_dma)) {
		kfree(conn->heads);
		conn->heads = NULL;
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < DSM_RQ_DEPTH; i++) {
		struct dsm_rx *rx = &conn->rx[i];

		rx->cqe.done = dsm_conn_received;
		rx->head = &conn->heads[i];
		rx->head_dma = conn->heads_dma + i * sizeof(*conn->heads);
		if (dsm_rx_prepare(conn, rx, GFP_KERNEL))
			return -ENOMEM;
	}
	return 0;
}

/**
 * dsm_conn_destroy_rx() - free the buffers
 * @conn:	the connection; nothing is posted any more
 *
 * Context: Process, sleeps.
 */
void dsm_conn_destroy_rx(struct dsm_conn *conn)
{
	for (unsigned int i = 0; conn->rx && i < DSM_RQ_DEPTH; i++) {
		struct dsm_rx *rx = &conn->rx[i];

		dsm_rx_unmap(conn, rx);
		if (rx->page)
			put_page(rx->page);
	}
	if (conn->heads_dma && conn->heads)
		ib_dma_unmap_single(conn->id->device, conn->heads_dma,
				    DSM_HEADS_BYTES, DMA_FROM_DEVICE);
	kfree(conn->heads);
	kfree(conn->rx);
	conn->heads = NULL;
	conn->rx = NULL;
}

/**
 * dsm_conn_post_all_rx() - post the buffers of a new connection
 * @conn:	the connection
 *
 * Context: Process.
 * Return: 0 or errno.
 */
int dsm_conn_post_all_rx(struct dsm_conn *conn)
{
	int err = 0;

	for (unsigned int i = 0; i < DSM_RQ_DEPTH && !err; i++)
		err = dsm_rx_post(conn, &conn->rx[i]);
	return err;
}
