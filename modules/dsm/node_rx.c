// SPDX-License-Identifier: GPL-2.0
/*
 * Frames from a peer, and what the cluster layer is told of it.
 *
 * Normal operation: in softirq a frame is decoded and passes the link machine;
 * its messages go to the engine one after the other, then what they gave rise
 * to is posted, and so the ack rides on the reply.  Payload of CTRL frames is
 * for process context: the page is kept and handed to the cluster by report().
 *
 * CTRL frames that wait are bounded by credit: beyond DSM_CTRL_MAX acks go on
 * to say what they said, and the sender runs dry.  It is credit, and not the
 * connection, because nobody did anything wrong; it is not the plain window,
 * because page messages on the same link shall not wait for a slow reader.
 *
 * Recovery: a frame that does not decode, is out of order or breaks the protocol
 * costs the sender its connection, one rate-limited line and nothing else.  It
 * cannot come again: the link machine has counted it, or it had no number.
 *
 * Locking: the transport calls dsm_node_rx() once at a time for a node, so the
 * engine sees the messages of a node in order although no lock is held.
 */
#include <linux/mm.h>

#include "backlog.h"
#include "cluster.h"
#include "node.h"
#include "node_types.h"
#include "notify.h"
#include "region.h"
#include "trace.h"

static int dsm_node_rx_bad(struct dsm_node *n, const char *what, u8 verdict)
{
	dsm_count(n->c, frame_bad);
	pr_warn_ratelimited("%s: node %u: node %u sent a bad %s (%s): connection dropped\n",
			    n->c->name, n->c->self, n->id, what,
			    dsm_verdict_name(verdict));
	return -EPROTO;
}

/* Not acknowledged, so it comes again, over the next connection. */
static int dsm_node_rx_no_memory(struct dsm_node *n)
{
	pr_warn_ratelimited("%s: node %u: no memory for what node %u sends: connection dropped\n",
			    n->c->name, n->c->self, n->id);
	return -ENOMEM;
}

static int dsm_node_rx_msg(struct dsm_node *n, const struct dsm_msg *m,
			   struct page **page, const struct dsm_nodeset *set)
{
	struct page *none = NULL;

	if (!dsm_engine_rx(n->c, m, page ?: &none, set))
		return 0;
	return dsm_node_rx_bad(n, dsm_msg_name(m->type), DSM_V_BAD_STATE);
}

/* Messages 1 .. nr - 1, which have no payload of their own. */
static int dsm_node_rx_more(struct dsm_node *n, const struct dsm_frame *f,
			    struct page *page)
{
	const struct dsm_wire_msg *w = page_address(page);
	struct dsm_msg m;
	int err = 0;
	u8 v;

	for (u16 i = 1; i < f->nr && !err; i++, w++) {
		v = dsm_wire_decode_msg(w, n->id, &m);
		if (v == DSM_V_OK && dsm_wire_payload(&m))
			v = DSM_V_BAD_FIELD;
		if (v != DSM_V_OK)
			return dsm_node_rx_bad(n, "message", v);
		err = dsm_node_rx_msg(n, &m, NULL, NULL);
	}
	return err;
}

static int dsm_node_rx_page(struct dsm_node *n, const struct dsm_frame *f,
			    const struct dsm_wire_head *head, struct page **page)
{
	struct dsm_nodeset set;
	struct dsm_msg m;
	int err;
	u8 v;

	v = dsm_wire_decode_msg(&head->msg, n->id, &m);
	if (v == DSM_V_OK)
		v = dsm_wire_check_payload(f, &m);
	if (v == DSM_V_OK && f->len && !*page)
		v = DSM_V_BAD_FIELD;
	if (v != DSM_V_OK)
		return dsm_node_rx_bad(n, "message", v);
	if (m.flags & DSM_MF_PAGE)
		return dsm_node_rx_msg(n, &m, page, NULL);
	if (m.type == DSM_MSG_MOVE) {
		dsm_wire_decode_set(page_address(*page), &set);
		return dsm_node_rx_msg(n, &m, NULL, &set);
	}
	err = dsm_node_rx_msg(n, &m, NULL, NULL);
	if (!err && f->nr > 1)
		err = dsm_node_rx_more(n, f, *page);
	return err;
}

static int dsm_node_rx_ctrl(struct dsm_node *n, const struct dsm_frame *f,
			    struct page **page)
{
	if (!f->len || !*page)
		return dsm_node_rx_bad(n, "control frame", DSM_V_BAD_FIELD);
	spin_lock_bh(&n->lock);
	set_page_private(*page, f->len);
	list_add_tail(&(*page)->lru, &n->ctrl);
	*page = NULL;
	if (++n->nr_ctrl >= DSM_CTRL_MAX && !n->ack_held) {
		n->ack_held = true;
		n->held_ack = n->link.rx_next;
	}
	queue_work(n->c->ctl_wq, &n->report);
	spin_unlock_bh(&n->lock);
	return 0;
}

static int dsm_node_rx_notice(struct dsm_node *n, const struct dsm_wire_head *head)
{
	struct dsm_notice notice;
	u8 v = dsm_wire_decode_notice(&head->notice, &notice);

	if (v != DSM_V_OK)
		return dsm_node_rx_bad(n, "notification", v);
	dsm_notify_rx(n->c, &notice);
	return 0;
}

static u8 dsm_node_rx_link(struct dsm_node *n, const struct dsm_frame *f)
{
	LIST_HEAD(frames);
	u8 r = DSM_LR_ERROR;

	spin_lock_bh(&n->lock);
	if (f->incarnation == n->link.peer_incarnation)
		r = dsm_link_frame(&n->link, f->kind != DSM_FRAME_ACK, f->seq,
				   f->ack);
	if (r != DSM_LR_ERROR) {
		n->last_rx = jiffies;
		dsm_node_take_acked(n, &frames);
		dsm_node_pump(n);
	}
	spin_unlock_bh(&n->lock);
	dsm_node_release(&frames);
	return r;
}

/* Nothing to do if the ack rode on a reply, as it mostly does. */
static void dsm_node_rx_ack(struct dsm_node *n)
{
	if (!dsm_link_ack_due(&n->link))
		return;
	spin_lock_bh(&n->lock);
	if (dsm_link_ack_due(&n->link) >= DSM_LINK_ACK_AFTER)
		dsm_node_send_ack(n);
	/* Also if there was no memory for it. */
	if (dsm_link_ack_due(&n->link) && n->link.state == DSM_LS_UP &&
	    !timer_pending(&n->ack_timer)) {
		n->ack_mark = n->link.rx_next;
		mod_timer(&n->ack_timer,
			  jiffies + msecs_to_jiffies(DSM_ACK_DELAY_MS));
	}
	spin_unlock_bh(&n->lock);
}

/**
 * dsm_node_rx() - a frame came
 * @n:		from whom
 * @head:	its head
 * @page:	its payload; set to NULL if the node layer keeps the page
 * @nr_bytes:	bytes that came, head and payload
 *
 * Context: Softirq, or process with BH disabled; one call at a time per node.
 * Return: 0, or -EPROTO, -ENOMEM: drop the connection.
 */
int dsm_node_rx(struct dsm_node *n, const struct dsm_wire_head *head,
		struct page **page, u32 nr_bytes)
{
	struct dsm_frame f;
	int err;
	u8 v;

	/* Killed or stopped; the connection is on its way out already. */
	if (READ_ONCE(n->link.state) != DSM_LS_UP)
		return -EPROTO;
	v = dsm_wire_decode_frame(&head->frame, nr_bytes, &f);
	if (v != DSM_V_OK)
		return dsm_node_rx_bad(n, "frame", v);
	if (f.kind == DSM_FRAME_PAGE && !dsm_backlog_has_reserve(n->c))
		return dsm_node_rx_no_memory(n);
	dsm_count(n->c, frame_received);
	trace_dsm_frame_recv(n->c, n->id, f.kind, f.nr, f.len, f.seq);

	switch ((enum dsm_link_result)dsm_node_rx_link(n, &f)) {
	case DSM_LR_DELIVER:
		break;
	case DSM_LR_DROP:
		dsm_count(n->c, frame_duplicate);
		return 0;
	case DSM_LR_OK:
		return 0;
	case DSM_LR_RESET:
	case DSM_LR_WAIT:
	case DSM_LR_ERROR:
		return dsm_node_rx_bad(n, "frame number", DSM_V_BAD_STATE);
	}
	if (f.kind == DSM_FRAME_CTRL)
		err = dsm_node_rx_ctrl(n, &f, page);
	else if (f.kind == DSM_FRAME_NOTIFY)
		err = dsm_node_rx_notice(n, head);
	else
		err = dsm_node_rx_page(n, &f, head, page);
	dsm_node_flush(n->c);
	dsm_node_rx_ack(n);
	return err;
}

/**
 * dsm_node_rx_compact() - a page came, with an immediate instead of a head
 * @n:		from whom
 * @imm:	the immediate
 * @page:	the page; set to NULL if it is kept
 *
 * Context: As dsm_node_rx().
 * Return: 0, or -EPROTO, -ENOMEM: drop the connection.
 */
int dsm_node_rx_compact(struct dsm_node *n, u32 imm, struct page **page)
{
	struct dsm_frame f = {
		.kind = DSM_FRAME_PAGE,
		.nr = 1,
		.len = DSM_PAGE_SIZE,
		.incarnation = n->link.peer_incarnation,
	};
	struct dsm_msg m;
	int err;

	if (READ_ONCE(n->link.state) != DSM_LS_UP)
		return -EPROTO;
	if (!dsm_backlog_has_reserve(n->c))
		return dsm_node_rx_no_memory(n);
	spin_lock_bh(&n->lock);
	f.seq = n->link.rx_next;
	f.ack = dsm_link_wide_ack(&n->link, imm >> DSM_IMM_ACK_SHIFT,
				  DSM_IMM_ACK_MASK);
	spin_unlock_bh(&n->lock);
	dsm_count(n->c, frame_received);
	trace_dsm_frame_recv(n->c, n->id, f.kind, f.nr, f.len, f.seq);
	if (dsm_node_rx_link(n, &f) != DSM_LR_DELIVER)
		return dsm_node_rx_bad(n, "frame number", DSM_V_BAD_STATE);
	dsm_wire_expand(imm, n->id, n->c->self, &m);
	err = dsm_engine_rx_compact(n->c, &m, page);
	if (err)
		err = dsm_node_rx_bad(n, "compact grant", DSM_V_BAD_STATE);
	dsm_node_flush(n->c);
	dsm_node_rx_ack(n);
	return err;
}

static void dsm_ctrl_free(struct page *page)
{
	set_page_private(page, 0);
	put_page(page);
}

/**
 * dsm_node_drop_ctrl() - forget the CTRL frames that wait
 * @n:	the peer
 *
 * Context: Node lock held.
 */
void dsm_node_drop_ctrl(struct dsm_node *n)
{
	struct page *page, *next;

	lockdep_assert_held(&n->lock);
	list_splice_tail_init(&n->ctrl, &n->ctrl_old);
	list_for_each_entry_safe(page, next, &n->ctrl_old, lru) {
		list_del(&page->lru);
		dsm_ctrl_free(page);
	}
	n->nr_ctrl = 0;
	n->ack_held = false;
}

enum report { REPORT_NONE, REPORT_CTRL, REPORT_UP, REPORT_DOWN, REPORT_LOST };

static struct page *dsm_node_take_ctrl(struct dsm_node *n, struct list_head *list)
{
	struct page *page = list_first_entry(list, struct page, lru);

	list_del(&page->lru);
	n->nr_ctrl--;
	if (n->ack_held && n->nr_ctrl <= DSM_CTRL_MAX / 2) {
		n->ack_held = false;
		dsm_node_send_ack(n);
	}
	return page;
}

/*
 * What comes next: what the last connections brought, their end, the beginning
 * of this one, what it brings.  A loss is told before the peer is back.
 */
static enum report dsm_node_next_report(struct dsm_node *n, struct page **page,
					bool *reset)
{
	bool other = n->told_conn != n->conn_no;

	lockdep_assert_held(&n->lock);
	if (n->killed)
		return REPORT_NONE;
	if (!list_empty(&n->ctrl_old)) {
		*page = dsm_node_take_ctrl(n, &n->ctrl_old);
		return REPORT_CTRL;
	}
	if (n->told_up && (!n->connected || other)) {
		n->told_up = false;
		return REPORT_DOWN;
	}
	if (n->lost) {
		n->lost = false;
		return REPORT_LOST;
	}
	if (!n->connected)
		return REPORT_NONE;
	if (!n->told_up) {
		n->told_up = true;
		n->told_conn = n->conn_no;
		*reset = n->reset;
		n->reset = false;
		return REPORT_UP;
	}
	if (!list_empty(&n->ctrl)) {
		*page = dsm_node_take_ctrl(n, &n->ctrl);
		return REPORT_CTRL;
	}
	return REPORT_NONE;
}

/**
 * dsm_node_report() - tell the cluster what happened to a peer, in order
 * @work:	of the peer
 *
 * Context: Process; a work item, so never twice at a time.
 */
void dsm_node_report(struct work_struct *work)
{
	struct dsm_node *n = container_of(work, struct dsm_node, report);
	struct page *page = NULL;
	bool reset = false;
	enum report r;

	for (;;) {
		spin_lock_bh(&n->lock);
		r = dsm_node_next_report(n, &page, &reset);
		spin_unlock_bh(&n->lock);

		switch (r) {
		case REPORT_NONE:
			return;
		case REPORT_CTRL:
			dsm_cluster_rx_ctrl(n->c, n->id, page_address(page),
					    page_private(page));
			dsm_ctrl_free(page);
			break;
		case REPORT_UP:
			dsm_cluster_node_up(n->c, n->id, reset);
			break;
		case REPORT_DOWN:
			dsm_cluster_node_down(n->c, n->id);
			break;
		case REPORT_LOST:
			dsm_cluster_node_lost(n->c, n->id);
			break;
		}
	}
}
