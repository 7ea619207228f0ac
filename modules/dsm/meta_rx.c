// SPDX-License-Identifier: GPL-2.0
/*
 * Requests about metadata that come from other nodes, the copy for a joiner, and
 * handing over.
 *
 * Nothing is done where a message is received, as that holds up all that comes
 * behind it on the same link: what the master sends is applied by one worker, in
 * order; what others ask of the master, and zaps, have a worker each.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/slab.h>

#include "cluster.h"
#include "ctrl.h"
#include "meta.h"
#include "node.h"
#include "region.h"
#include "rpc.h"

/**
 * struct rx - a message that waits for its worker
 * @work:	the worker
 * @c:		the cluster
 * @from:	from whom
 * @buf:	the message, checked by dsm_ctrl_check()
 */
struct rx {
	struct work_struct work;
	struct dsm_cluster *c;
	u16 from;
	u8 buf[] __aligned(8);
};

static int rx_op(struct rx *rx, u64 *value)
{
	struct dsm_ctrl_op *w = (struct dsm_ctrl_op *)rx->buf;
	struct dsm_op *op = kmalloc(sizeof(*op), GFP_KERNEL | __GFP_NOFAIL);
	int err;

	if (!dsm_ctrl_decode_op(w, op)) {
		err = -EPROTO;
	} else if (w->head.type == DSM_CTRL_APPLY) {
		err = dsm_cluster_is_joined(rx->c) ? dsm_meta_apply(rx->c, rx->from, op) :
						     -ENOTCONN;
	} else if (w->head.type == DSM_CTRL_MISSED) {
		err = dsm_meta_rx_missed(rx->c, rx->from, op);
	} else if (op->type == DSM_OP_DESTROY || op->type == DSM_OP_AGREED ||
		   op->flags & DSM_OF_MASTER) {
		/* The master's own. */
		err = -EPERM;
	} else {
		op->origin = rx->from;
		err = dsm_meta_serve(rx->c, op);
		*value = op->value;
	}
	kfree(op);
	return err;
}

static int rx_zap(struct rx *rx, u64 *value)
{
	struct dsm_ctrl_zap *w = (struct dsm_ctrl_zap *)rx->buf;
	u64 start = le64_to_cpu(w->start), nr = le64_to_cpu(w->nr);

	if (start > S64_MAX || nr > S64_MAX - start)
		return -EPROTO;
	return dsm_meta_zap(rx->c, rx->from, le32_to_cpu(w->file), start, start + nr, value);
}

static int rx_last(struct rx *rx, u64 *value)
{
	struct dsm_ctrl_snapshot *w = (struct dsm_ctrl_snapshot *)rx->buf;

	return dsm_meta_say_last(rx->c, rx->from, le32_to_cpu(w->seq), value);
}

static void rx_fn(struct work_struct *work)
{
	struct rx *rx = container_of(work, struct rx, work);
	struct dsm_ctrl_head *h = (struct dsm_ctrl_head *)rx->buf;
	u64 value = 0;
	int err;

	switch ((enum dsm_ctrl_type)h->type) {
	case DSM_CTRL_OP:
	case DSM_CTRL_APPLY:
	case DSM_CTRL_MISSED:
		err = rx_op(rx, &value);
		break;
	case DSM_CTRL_LAST:
		err = rx_last(rx, &value);
		break;
	case DSM_CTRL_ZAP:
		err = rx_zap(rx, &value);
		break;
	case DSM_CTRL_BEGIN:
	case DSM_CTRL_FILE:
	case DSM_CTRL_END:
		err = dsm_meta_rx_snapshot(rx->c, rx->buf);
		break;
	case DSM_CTRL_MEMBER:
	case DSM_CTRL_REPLY:
	case DSM_NR_CTRL_TYPES:
	default:
		err = -EPROTO;
		break;
	}
	if (err == -EPROTO)
		dsm_node_break(rx->c->node[rx->from], "message about metadata");
	else if (h->id)
		dsm_rpc_reply(rx->c, rx->from, le32_to_cpu(h->id), err, value);
	kfree(rx);
}

/**
 * dsm_meta_rx() - a message about metadata came
 * @c:		the cluster
 * @from:	from whom
 * @buf:	the message, checked by dsm_ctrl_check()
 * @len:	its length
 *
 * Context: process.
 */
void dsm_meta_rx(struct dsm_cluster *c, u16 from, const void *buf, size_t len)
{
	const struct dsm_ctrl_head *h = buf;
	bool in_order = h->type != DSM_CTRL_OP && h->type != DSM_CTRL_ZAP;
	struct rx *rx;

	/* What the others apply has to be applied here. */
	rx = kmalloc(struct_size(rx, buf, len), GFP_KERNEL | __GFP_NOFAIL);
	rx->c = c;
	rx->from = from;
	memcpy(rx->buf, buf, len);
	/* To lockdep two kinds of work: one waits for the other (meta_agree.c). */
	if (in_order) {
		INIT_WORK(&rx->work, rx_fn);
		queue_work(c->meta->apply_wq, &rx->work);
	} else {
		INIT_WORK(&rx->work, rx_fn);
		queue_work(c->meta->op_wq, &rx->work);
	}
}

/* ---- the copy for a joiner ---- */

static int send_mark(struct dsm_cluster *c, u16 to, u8 type)
{
	struct dsm_ctrl_snapshot w = {
		.seq = cpu_to_le32(c->meta->changes.last),
		.nr_files = cpu_to_le32(c->meta->nr_files),
		.max_id = cpu_to_le32(READ_ONCE(c->max_region)),
	};

	dsm_ctrl_head_init(&w.head, type, sizeof(w));
	if (type == DSM_CTRL_BEGIN)
		return dsm_node_send_ctrl(c, to, &w, sizeof(w));
	return dsm_rpc_finish(c, dsm_rpc_start(c, to, &w.head),
			      READ_ONCE(c->knobs.rpc_timeout_ms), NULL);
}

static int send_files(struct dsm_cluster *c, u16 to)
{
	struct dsm_ctrl_file *w = kmalloc(DSM_CTRL_FILE_MAX, GFP_KERNEL);
	struct dsm_meta *m = c->meta;
	unsigned long id;
	struct dsm_file *f;
	int err = 0;

	if (!w)
		return -ENOMEM;
	down_read(&m->lock);
	xa_for_each(&m->files, id, f) {
		size_t len = dsm_ctrl_encode_file(w, f);

		err = dsm_node_send_ctrl(c, to, w, len);
		if (err)
			break;
	}
	up_read(&m->lock);
	kfree(w);
	return err;
}

/**
 * dsm_meta_send_all() - send the metadata to a joiner
 * @c:	the cluster
 * @to:	the joiner
 *
 * Context: process; op_mutex held; sleeps, bounded by rpc_timeout_ms.
 * Return: 0 when it has everything, or an errno.
 */
int dsm_meta_send_all(struct dsm_cluster *c, u16 to)
{
	int err;

	lockdep_assert_held(&c->meta->op_mutex);
	err = dsm_meta_agree(c);
	if (!err)
		err = send_mark(c, to, DSM_CTRL_BEGIN);
	if (!err)
		err = send_files(c, to);
	if (!err)
		err = send_mark(c, to, DSM_CTRL_END);
	return err;
}

/* ---- handing over ---- */

static int simple_op(struct dsm_cluster *c, u8 type, u16 node, unsigned long deadline)
{
	struct dsm_op *op = kzalloc(sizeof(*op), GFP_KERNEL | __GFP_NOFAIL);
	int err;

	op->type = type;
	op->node = node;
	do {
		err = dsm_meta_op_patiently(c, op);
	} while (err == -ETIMEDOUT && time_before(jiffies, deadline));
	kfree(op);
	return err;
}

static struct dsm_region *next_region(struct dsm_cluster *c, unsigned long *id)
{
	struct dsm_region *r = NULL;
	struct dsm_file *f;

	down_read(&c->meta->lock);
	f = xa_find_after(&c->meta->files, id, ULONG_MAX, XA_PRESENT);
	if (f)
		r = dsm_region_find(c, f->id);
	up_read(&c->meta->lock);
	return r;
}

static int hand_directories_over(struct dsm_cluster *c, u16 successor)
{
	unsigned long id = 0;
	struct dsm_region *r;
	int err = 0;

	while (!err && (r = next_region(c, &id))) {
		err = dsm_region_handoff(r, successor);
		dsm_region_put(r);
	}
	return err;
}

static int hand_pages_over(struct dsm_cluster *c, unsigned long deadline)
{
	unsigned long id = 0;
	struct dsm_region *r;
	int err = 0;

	while ((r = next_region(c, &id))) {
		int e = dsm_region_evict_all(r, deadline);

		err = err ?: e;
		dsm_region_put(r);
	}
	return err;
}

int dsm_meta_handover(struct dsm_cluster *c, u16 successor)
{
	u32 ms = READ_ONCE(c->knobs.leave_timeout_ms);
	unsigned long deadline = jiffies + msecs_to_jiffies(ms);
	int err;

	/* Files created before the view that says "leaving" have come by then. */
	err = simple_op(c, DSM_OP_BARRIER, 0, deadline);
	if (!err)
		err = hand_directories_over(c, successor);
	if (!err)
		err = simple_op(c, DSM_OP_REHOME, successor, deadline);
	if (!err)
		err = hand_pages_over(c, deadline);
	return err ?: dsm_meta_settle(c, deadline);
}
