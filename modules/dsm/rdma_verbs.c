// SPDX-License-Identifier: GPL-2.0
/*
 * Sending.
 *
 * Normal operation: a frame is one SEND.  What fits a page buffer goes head
 * first and lands there, small ones inline.  A whole page goes first, and its
 * head behind it, or, if it travels alone, goes with an immediate.  Frames that the node
 * layer announces to be followed by others are chained and handed to the device
 * together.  Only every DSM_SIGNAL_EVERYth frame, or the first one in a timer
 * tick, asks for a completion; that one stands for all frames before it, for
 * sends complete in order.
 *
 * Recovery: an error takes the connection down; frames that have no completion
 * by then are released when the queue pair is gone.
 *
 * Locking: dsm_rdma_post() is called with the node lock held, so one at a time;
 * tx_lock keeps completions, and the end of the connection, away.
 */
#include "cluster_types.h"
#include "node.h"
#include "node_types.h"
#include "rdma.h"

/* Does it not fit a page buffer behind its head? */
static bool dsm_tx_page_first(const struct dsm_tx *tx)
{
	return tx->page && tx->len > DSM_PAGE_SIZE - DSM_WIRE_HEAD;
}

static u32 dsm_tx_head_len(const struct dsm_tx *tx)
{
	return DSM_WIRE_HEAD + (tx->page ? 0 : tx->len);
}

static void dsm_tx_unmap(struct ib_device *dev, struct dsm_tx *tx)
{
	if (tx->inlined)
		return;
	if (tx->page)
		ib_dma_unmap_page(dev, tx->page_dma, DSM_PAGE_SIZE, DMA_TO_DEVICE);
	if (!tx->compact)
		ib_dma_unmap_single(dev, tx->head_dma, dsm_tx_head_len(tx),
				    DMA_TO_DEVICE);
}

static int dsm_tx_map_head(struct dsm_conn *conn, struct dsm_tx *tx,
			   struct ib_sge *sge)
{
	struct ib_device *dev = conn->id->device;

	sge->length = dsm_tx_head_len(tx);
	sge->lkey = conn->pd->local_dma_lkey;
	tx->inlined = !tx->page && sge->length <= conn->max_inline;
	if (tx->inlined) {
		sge->addr = (uintptr_t)&tx->head;
		return 0;
	}
	tx->head_dma = ib_dma_map_single(dev, &tx->head, sge->length,
					 DMA_TO_DEVICE);
	sge->addr = tx->head_dma;
	return ib_dma_mapping_error(dev, tx->head_dma) ? -ENOMEM : 0;
}

static int dsm_tx_map_page(struct dsm_conn *conn, struct dsm_tx *tx,
			   struct ib_sge *sge)
{
	struct ib_device *dev = conn->id->device;

	sge->length = dsm_tx_page_first(tx) ? DSM_PAGE_SIZE : tx->len;
	sge->lkey = conn->pd->local_dma_lkey;
	tx->page_dma = ib_dma_map_page(dev, tx->page, 0, DSM_PAGE_SIZE,
				       DMA_TO_DEVICE);
	sge->addr = tx->page_dma;
	return ib_dma_mapping_error(dev, tx->page_dma) ? -ENOMEM : 0;
}

static int dsm_tx_map(struct dsm_conn *conn, struct dsm_tx *tx)
{
	struct ib_sge *page = &tx->sge[dsm_tx_page_first(tx) ? 0 : 1];
	struct ib_sge *head = &tx->sge[dsm_tx_page_first(tx) ? 1 : 0];
	int err;

	tx->inlined = false;
	if (tx->page) {
		err = dsm_tx_map_page(conn, tx, page);
		if (err || tx->compact)
			return err;
	}
	err = dsm_tx_map_head(conn, tx, head);
	if (err && tx->page)
		ib_dma_unmap_page(conn->id->device, tx->page_dma, DSM_PAGE_SIZE,
				  DMA_TO_DEVICE);
	return err;
}

static void dsm_conn_finish_tx(struct dsm_conn *conn, struct list_head *done)
{
	struct dsm_tx *tx, *next;

	list_for_each_entry_safe(tx, next, done, posted) {
		dsm_tx_unmap(conn->id->device, tx);
		dsm_node_tx_done(conn->node, tx);
	}
}

static void dsm_conn_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct dsm_tx *tx = container_of(wc->wr_cqe, struct dsm_tx, cqe);
	struct dsm_conn *conn = cq->cq_context;
	LIST_HEAD(done);

	if (wc->status != IB_WC_SUCCESS) {
		if (wc->status != IB_WC_WR_FLUSH_ERR)
			pr_info_ratelimited("dsm: connection to node %u: send failed: %s\n",
					    dsm_node_id(conn->node),
					    ib_wc_status_msg(wc->status));
		dsm_conn_fail(conn);
		return;
	}
	spin_lock(&conn->tx_lock);
	list_cut_position(&done, &conn->posted, &tx->posted);
	conn->nr_posted -= list_count_nodes(&done);
	spin_unlock(&conn->tx_lock);
	dsm_conn_finish_tx(conn, &done);
}

/**
 * dsm_conn_release_tx() - give back the frames that have no completion
 * @conn:	the connection; its queue pair is destroyed
 *
 * Context: Process.
 */
void dsm_conn_release_tx(struct dsm_conn *conn)
{
	dsm_conn_finish_tx(conn, &conn->posted);
	INIT_LIST_HEAD(&conn->posted);
}

static bool dsm_conn_wants_signal(struct dsm_conn *conn)
{
	if (++conn->nr_silent < DSM_SIGNAL_EVERY && !time_after(jiffies, conn->signalled))
		return false;
	conn->nr_silent = 0;
	conn->signalled = jiffies;
	return true;
}

static void dsm_conn_chain(struct dsm_conn *conn, struct dsm_tx *tx)
{
	tx->cqe.done = dsm_conn_sent;
	tx->wr = (struct ib_send_wr){
		.wr_cqe = &tx->cqe,
		.sg_list = tx->sge,
		.num_sge = tx->page && !tx->compact ? 2 : 1,
		.opcode = tx->compact ? IB_WR_SEND_WITH_IMM : IB_WR_SEND,
		.ex.imm_data = cpu_to_be32(tx->imm),
		.send_flags = tx->inlined ? IB_SEND_INLINE : 0,
	};
	if (dsm_conn_wants_signal(conn))
		tx->wr.send_flags |= IB_SEND_SIGNALED;
	*conn->chain_end = &tx->wr;
	conn->chain_end = &tx->wr.next;
	list_add_tail(&tx->posted, &conn->posted);
	conn->nr_posted++;
}

static int dsm_conn_ring(struct dsm_conn *conn)
{
	struct ib_send_wr *chain = conn->chain;

	conn->chain = NULL;
	conn->chain_end = &conn->chain;
	return ib_post_send(conn->id->qp, chain, NULL);
}

/**
 * dsm_rdma_post() - send a frame
 * @n:		to whom
 * @tx:		the frame
 * @more:	another one follows at once
 *
 * Once a frame is chained, an error is the connection's, not the frame's: it is
 * given back with the others.
 *
 * Context: Softirq or process with BH disabled, node lock held.
 * Return: 0 or errno.
 */
int dsm_rdma_post(struct dsm_node *n, struct dsm_tx *tx, bool more)
{
	struct dsm_conn *conn = n->transport;
	int err;

	spin_lock(&conn->tx_lock);
	err = conn->dead ? -ENOTCONN : 0;
	if (!err && conn->nr_posted >= DSM_SQ_DEPTH)
		err = -ENOBUFS;
	if (!err)
		err = dsm_tx_map(conn, tx);
	if (!err) {
		dsm_conn_chain(conn, tx);
		if (!more && dsm_conn_ring(conn))
			dsm_conn_fail(conn);
	}
	spin_unlock(&conn->tx_lock);
	if (err)
		dsm_conn_fail(conn);
	return err;
}
