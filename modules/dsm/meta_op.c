// SPDX-License-Identifier: GPL-2.0
/*
 * Changing the metadata: the node that wants a change, and the master.
 *
 * Normal operation: dsm_meta_op() sends the op to the master, or hands it to a
 * worker if this node is the master.  The worker takes op_mutex, checks the op
 * against the tables, applies it here, then at all other members at once, and
 * answers when all have answered.  What a cut-off tail or a hole needs (pages
 * made zero at their homes) is done before that, under the same mutex: so nobody
 * extends the file meanwhile and has new contents zeroed.
 *
 * Recovery: if the master is gone or is no master any more, the same op, with
 * the same number, is sent to the new one.  That one has first made up for what the
 * old one left half done (meta_agree.c), and knows from the ring of results whether
 * the op was.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "backlog.h"
#include "cluster.h"
#include "ctrl.h"
#include "membership.h"
#include "meta.h"
#include "region.h"
#include "rpc.h"

/* Between two attempts to find the master. */
#define RETRY_MS	20
/* Before members that did not agree are asked again though no one wants a change. */
#define REAP_AGAIN_MS	2000
/* Cutting a file off takes as long as it has pages. */
#define ZAP_FACTOR	10
/* Pages between two looks at the clock. */
#define ZAP_PIECE	64

/* ---- the master: checks ---- */

/* check_*(): 0: apply it; 1: there is nothing to do; or an errno. */
static int check_create(struct dsm_cluster *c, struct dsm_op *op)
{
	if (!op->name[0])
		return -EINVAL;
	if (dsm_meta_find_name_locked(c->meta, op->name))
		return -EEXIST;
	op->file = READ_ONCE(c->max_region) + 1;
	/* The last one is the number of the root directory. */
	if (op->file == U32_MAX)
		return -ENOSPC;
	op->value = op->file;
	dsm_cluster_members(c, &op->members);
	return 0;
}

static int check_unlink(struct dsm_meta *m, struct dsm_op *op)
{
	struct dsm_file *f = dsm_meta_find_name_locked(m, op->name);

	return f && f->id == op->file ? 0 : -ENOENT;
}

static int check_rename(struct dsm_meta *m, struct dsm_op *op)
{
	struct dsm_file *f = dsm_meta_find_name_locked(m, op->name);
	struct dsm_file *old = dsm_meta_find_name_locked(m, op->name2);

	if (!f || f->id != op->file || !op->name2[0])
		return -ENOENT;
	if (old && op->flags & DSM_OF_NOREPLACE)
		return -EEXIST;
	if (old == f)
		return 1;
	op->value = old ? old->id : 0;
	return 0;
}

static int check_extend(struct dsm_file *f, struct dsm_op *op)
{
	if (op->flags & DSM_OF_APPEND)
		op->start = f->size;
	op->value = op->start;
	if (op->nr > MAX_LFS_FILESIZE || op->start > MAX_LFS_FILESIZE - op->nr)
		return -EFBIG;
	op->start += op->nr;
	op->nr = 0;
	if (op->start <= f->size)
		return 1;
	op->flags = (op->flags & ~DSM_OF_APPEND) | DSM_OF_SIZE;
	return 0;
}

static int check_file(struct dsm_cluster *c, struct dsm_op *op)
{
	struct dsm_file *f = dsm_meta_find_locked(c->meta, op->file);
	bool is_user;

	if (!f)
		return -ESTALE;
	is_user = dsm_nodeset_has(&f->users, op->origin);
	switch ((enum dsm_op_type)op->type) {
	case DSM_OP_SETATTR:
		/* What the file was long, to see whether it gets shorter. */
		op->value = f->size;
		return 0;
	case DSM_OP_EXTEND:
		return check_extend(f, op);
	case DSM_OP_OPEN:
		if (!f->nlink && dsm_nodeset_empty(&f->users))
			return -ESTALE;
		return is_user;
	case DSM_OP_CLOSE:
		return !is_user;
	case DSM_OP_DESTROY:
		return f->nlink || !dsm_nodeset_empty(&f->users);
	case DSM_OP_PUNCH:
	case DSM_OP_PLACE:
	case DSM_OP_CREATE:
	case DSM_OP_UNLINK:
	case DSM_OP_RENAME:
	case DSM_OP_REHOME:
	case DSM_OP_BARRIER:
	case DSM_OP_AGREED:
	case DSM_NR_OPS:
		break;
	}
	return 0;
}

static int check_rehome(struct dsm_cluster *c, struct dsm_op *op)
{
	struct dsm_nodeset members;

	dsm_cluster_members(c, &members);
	return dsm_nodeset_has(&members, op->node) ? 0 : -EINVAL;
}

static int check(struct dsm_cluster *c, struct dsm_op *op)
{
	struct dsm_meta *m = c->meta;

	switch ((enum dsm_op_type)op->type) {
	case DSM_OP_CREATE:
		return check_create(c, op);
	case DSM_OP_UNLINK:
		return check_unlink(m, op);
	case DSM_OP_RENAME:
		return check_rename(m, op);
	case DSM_OP_REHOME:
		return check_rehome(c, op);
	case DSM_OP_BARRIER:
		return 1;
	case DSM_OP_AGREED:
		return -EPERM;
	case DSM_OP_SETATTR:
	case DSM_OP_EXTEND:
	case DSM_OP_PUNCH:
	case DSM_OP_PLACE:
	case DSM_OP_OPEN:
	case DSM_OP_CLOSE:
	case DSM_OP_DESTROY:
	case DSM_NR_OPS:
		break;
	}
	return check_file(c, op);
}

/* ---- the master: contents ---- */

/**
 * dsm_meta_zap() - make pages zero whose home this node is, for a while
 * @c:		the cluster
 * @master:	who wants it; once another one is the master no more is done
 * @id:		the file
 * @start:	first page
 * @end:	behind the last page
 * @at:		where to go on, @end when done
 *
 * Context: process; sleeps, bounded.
 * Return: 0 or an errno: -EREMCHG if it is not the master; -EIO if pages before @at are lost,
 * and to be gone on with nevertheless.
 */
int dsm_meta_zap(struct dsm_cluster *c, u16 master, u32 id, u64 start, u64 end, u64 *at)
{
	unsigned long stop = jiffies +
		msecs_to_jiffies(READ_ONCE(c->knobs.rpc_timeout_ms) / 4);
	struct dsm_region *r = dsm_region_find(c, id);
	int ret = 0;

	*at = end;
	if (!r)
		return 0;
	while ((!ret || ret == -EIO) && start < end && time_before(jiffies, stop)) {
		int err;
		u64 nr;

		/* Files may be sparse, and as long as there are numbers. */
		start = min(dsm_region_next(r, start), end);
		nr = min_t(u64, end - start, ZAP_PIECE);
		err = dsm_region_zap(r, master, start, nr);
		ret = err && err != -EIO ? err : ret ?: err;
		start += nr;
		cond_resched();
	}
	dsm_region_put(r);
	*at = start;
	return ret;
}

static int zap_at_all(struct dsm_cluster *c, u32 id, u64 start, u64 end)
{
	struct dsm_ctrl_zap w = { .file = cpu_to_le32(id) };
	int ret = 0;

	while (start < end) {
		u64 next = end, own;
		int err, own_err;

		dsm_ctrl_head_init(&w.head, DSM_CTRL_ZAP, sizeof(w));
		w.start = cpu_to_le64(start);
		w.nr = cpu_to_le64(end - start);
		own_err = dsm_meta_zap(c, c->self, id, start, end, &own);
		if (own_err && own_err != -EIO)
			return own_err;
		err = dsm_meta_ask_all(c, &w.head, &next);
		if (err && err != -EIO)
			return err;
		ret = ret ?: own_err ?: err;
		start = min(own, next);
	}
	return ret;
}

static int zero_part(struct dsm_region *r, u64 from, u64 to)
{
	u64 index = from >> PAGE_SHIFT;
	unsigned int at = offset_in_page(from), n = to - from;
	struct page *page;
	bool is_zero;
	int err;

	/* What is zero need not be taken from its readers. */
	err = dsm_page_acquire(r, index, DSM_RIGHT_READ, 0, &page);
	if (err)
		return err;
	is_zero = !memchr_inv(page_address(page) + at, 0, n);
	unlock_page(page);
	put_page(page);
	if (is_zero)
		return 0;
	err = dsm_page_acquire(r, index, DSM_RIGHT_WRITE, 0, &page);
	if (err)
		return err;
	memset(page_address(page) + at, 0, n);
	unlock_page(page);
	put_page(page);
	return 0;
}

/*
 * Make bytes zero: whole pages at their homes, the edges here.  What is lost keeps nothing
 * else from it.
 */
static int zero_range(struct dsm_cluster *c, u32 id, u64 from, u64 to)
{
	u64 first = round_up(from, PAGE_SIZE), last = round_down(to, PAGE_SIZE);
	struct dsm_region *r = dsm_region_find(c, id);
	int ret = 0, err;

	if (!r)
		return 0;
	if (from >= to)
		goto put;
	if (first > last) {
		ret = zero_part(r, from, to);
		goto put;
	}
	if (from < first)
		ret = zero_part(r, from, first);
	if (last < to) {
		err = zero_part(r, last, to);
		ret = ret ?: err;
	}
	err = zap_at_all(c, id, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
	ret = ret ?: err;
put:
	dsm_region_put(r);
	return ret;
}

/* ---- the master: an op ---- */

/**
 * dsm_meta_own_op() - an op of the master's own accord, which no one would ask for again
 * @c:		the cluster
 * @type:	enum dsm_op_type
 * @id:		the file, or 0
 *
 * Context: process; sleeps.
 * Return: the op; to be freed.
 */
struct dsm_op *dsm_meta_own_op(struct dsm_cluster *c, u8 type, u32 id)
{
	struct dsm_op *op = kzalloc(sizeof(*op), GFP_KERNEL | __GFP_NOFAIL);

	op->type = type;
	op->file = id;
	op->origin = c->self;
	op->op_id = dsm_meta_new_id(c->meta);
	return op;
}

static int destroy_if_unused(struct dsm_cluster *c, u32 id)
{
	struct dsm_op *op;
	int err;

	if (!id)
		return 0;
	op = dsm_meta_own_op(c, DSM_OP_DESTROY, id);
	down_read(&c->meta->lock);
	err = check(c, op);
	up_read(&c->meta->lock);
	if (!err)
		err = dsm_meta_apply_at_all(c, op);
	kfree(op);
	return err < 0 ? err : 0;
}

static bool is_frozen(struct dsm_cluster *c, u32 id)
{
	struct dsm_region *r = dsm_region_find(c, id);
	bool ret = r && dsm_region_is_frozen(r);

	if (r)
		dsm_region_put(r);
	return ret;
}

/* All look, and keep it possible, before any of them does it. */
static int do_place(struct dsm_cluster *c, struct dsm_op *op)
{
	u32 flags = op->flags;
	int err;

	op->flags = flags | DSM_OF_CHECK;
	err = dsm_meta_apply_at_all(c, op);
	/* If it is not frozen here the others have not been asked. */
	if (err && is_frozen(c, op->file)) {
		op->flags = flags | DSM_OF_ABORT;
		dsm_meta_apply_at_all(c, op);
	}
	op->flags = flags;
	return err ? err : dsm_meta_apply_at_all(c, op);
}

/* Whoever asks for it again is to get it done again. */
static struct dsm_op *undo_op(struct dsm_cluster *c, u8 type, const struct dsm_op *what)
{
	struct dsm_op *op = dsm_meta_own_op(c, type, what->file);

	op->flags = DSM_OF_UNDO;
	op->node = what->origin;
	op->nr = what->op_id;
	return op;
}

static void undo_create(struct dsm_cluster *c, const struct dsm_op *create)
{
	struct dsm_op *op = undo_op(c, DSM_OP_DESTROY, create);

	dsm_meta_apply_at_all(c, op);
	kfree(op);
}

/**
 * dsm_meta_follow_up() - what a change makes necessary once all members have made it
 * @c:	the cluster
 * @op:	the change
 *
 * Context: process, op_mutex held; sleeps.
 * Return: 0; or an errno, then some of what was cut off or punched out is not zero.
 */
int dsm_meta_follow_up(struct dsm_cluster *c, const struct dsm_op *op)
{
	switch ((enum dsm_op_type)op->type) {
	case DSM_OP_SETATTR:
		if (!(op->flags & DSM_OF_SIZE) || op->start >= op->value)
			return 0;
		return zero_range(c, op->file, op->start,
				  round_up(op->value, PAGE_SIZE));
	case DSM_OP_PUNCH:
		return zero_range(c, op->file, op->start, op->start + op->nr);
	case DSM_OP_UNLINK:
	case DSM_OP_CLOSE:
		destroy_if_unused(c, op->file);
		return 0;
	case DSM_OP_RENAME:
		destroy_if_unused(c, op->value);
		return 0;
	case DSM_OP_CREATE:
	case DSM_OP_EXTEND:
	case DSM_OP_PLACE:
	case DSM_OP_OPEN:
	case DSM_OP_DESTROY:
	case DSM_OP_REHOME:
	case DSM_OP_BARRIER:
	case DSM_OP_AGREED:
	case DSM_NR_OPS:
		break;
	}
	return 0;
}

/*
 * What is behind the new end could not be made zero, and would be seen when the file
 * grows: it is as long as before.
 */
static void undo_cut(struct dsm_cluster *c, const struct dsm_op *cut)
{
	struct dsm_op *op = undo_op(c, DSM_OP_SETATTR, cut);

	op->flags |= DSM_OF_SIZE;
	op->start = cut->value;
	dsm_meta_apply_at_all(c, op);
	kfree(op);
}

static int serve_locked(struct dsm_cluster *c, struct dsm_op *op)
{
	bool done;
	int err;

	lockdep_assert_held(&c->meta->op_mutex);
	if (!dsm_cluster_is_joined(c))
		return -ENOTCONN;
	err = dsm_meta_agree(c);
	/* Nothing was done: whoever asks may go on asking as long as it wants to wait. */
	if (err)
		return err == -ETIMEDOUT ? -EREMCHG : err;
	down_read(&c->meta->lock);
	done = dsm_meta_is_done(c->meta, op, &op->value);
	if (!done)
		err = check(c, op);
	up_read(&c->meta->lock);
	/* The master before may not have come to its end, and who asked still waits. */
	if (done && op->type == DSM_OP_PUNCH)
		return dsm_meta_follow_up(c, op);
	if (done || err)
		return err < 0 ? err : 0;
	err = op->type == DSM_OP_PLACE ? do_place(c, op) : dsm_meta_apply_at_all(c, op);
	if (err && op->type == DSM_OP_CREATE)
		undo_create(c, op);
	if (err)
		return err;
	err = dsm_meta_follow_up(c, op);
	if (err && op->type == DSM_OP_SETATTR)
		undo_cut(c, op);
	else if (!err && READ_ONCE(c->meta->agreed))
		c->meta->ended = op->seq;
	return err;
}

/**
 * dsm_meta_serve() - do an op, as the master
 * @c:	the cluster
 * @op:	the op; @value is set
 *
 * Context: process, a worker: once begun it is not given up half way.
 * Return: 0 or an errno; -EREMCHG if this node is not the master.
 */
int dsm_meta_serve(struct dsm_cluster *c, struct dsm_op *op)
{
	int err;

	/* Killable, although no one kills a worker: a long wait is not a hang. */
	if (mutex_lock_killable(&c->meta->op_mutex))
		return -EINTR;
	err = serve_locked(c, op);
	mutex_unlock(&c->meta->op_mutex);
	return err;
}

/* With no file left nothing refers to a lost node: it may come again. */
static void readmit_lost(struct dsm_cluster *c, const struct dsm_view *view)
{
	u16 node;

	lockdep_assert_held(&c->meta->op_mutex);
	if (dsm_meta_nr_files(c))
		return;
	dsm_nodeset_for_each(node, &view->lost)
		dsm_membership_event(c, DSM_ME_REBUILT, node, false);
}

/**
 * dsm_meta_reap() - there is a new view, or a member lacks a change, or the last files have gone
 * @c:	the cluster
 *
 * The master has all members agree, and destroys the files that no one uses then.
 *
 * Context: process; sleeps.
 */
void dsm_meta_reap(struct dsm_cluster *c)
{
	struct dsm_meta *m = c->meta;
	unsigned long id;
	struct dsm_file *f;
	struct dsm_view view;
	int err;

	if (mutex_lock_killable(&m->op_mutex))
		return;
	err = dsm_meta_agree(c);
	if (err == -ETIMEDOUT)
		queue_delayed_work(m->op_wq, &m->reap_work, msecs_to_jiffies(REAP_AGAIN_MS));
	dsm_cluster_view(c, &view);
	if (!err && READ_ONCE(m->agreed) == view.number) {
		/* Under RCU in between; ids are not used again. */
		xa_for_each(&m->files, id, f) {
			destroy_if_unused(c, id);
			if (READ_ONCE(m->agreed) != view.number)
				break;
		}
		readmit_lost(c, &view);
	}
	mutex_unlock(&m->op_mutex);
}

/* ---- the node that wants a change ---- */

/**
 * struct local_op - an op of the master's own
 * @work:	does it
 * @c:		the cluster
 * @refs:	the worker and who waits, if it still does
 * @done:	it is done
 * @err:	with this result
 * @op:		the op
 */
struct local_op {
	struct work_struct work;
	struct dsm_cluster *c;
	refcount_t refs;
	struct completion done;
	int err;
	struct dsm_op op;
};

static void put_local(struct local_op *l)
{
	if (refcount_dec_and_test(&l->refs))
		kfree(l);
}

static void local_fn(struct work_struct *work)
{
	struct local_op *l = container_of(work, struct local_op, work);

	l->err = dsm_meta_serve(l->c, &l->op);
	complete(&l->done);
	put_local(l);
}

static int op_here(struct dsm_cluster *c, struct dsm_op *op, u32 timeout_ms)
{
	struct local_op *l = kzalloc(sizeof(*l), GFP_KERNEL);
	long left;
	int err;

	if (!l)
		return -ENOMEM;
	INIT_WORK(&l->work, local_fn);
	l->c = c;
	refcount_set(&l->refs, 2);
	init_completion(&l->done);
	l->op = *op;
	queue_work(c->meta->op_wq, &l->work);
	left = wait_for_completion_killable_timeout(&l->done,
						    msecs_to_jiffies(timeout_ms));
	if (left > 0) {
		err = l->err;
		op->value = l->op.value;
	} else {
		err = left ? -EINTR : -ETIMEDOUT;
	}
	put_local(l);
	return err;
}

static int op_there(struct dsm_cluster *c, u16 master, struct dsm_op *op,
		    u32 timeout_ms)
{
	struct dsm_ctrl_op *w = kmalloc(DSM_CTRL_OP_MAX, GFP_KERNEL);
	struct dsm_call *call;
	int err;

	if (!w)
		return -ENOMEM;
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	call = dsm_rpc_start(c, master, &w->head);
	kfree(w);
	err = dsm_rpc_finish(c, call, timeout_ms, &op->value);
	return err;
}

static u32 op_timeout_ms(struct dsm_cluster *c, const struct dsm_op *op)
{
	u32 ms = READ_ONCE(c->knobs.rpc_timeout_ms);

	if (op->type == DSM_OP_PUNCH || op->flags & DSM_OF_SIZE)
		return ms * ZAP_FACTOR;
	return ms;
}

/**
 * dsm_meta_new_id() - a number for an op of this node
 * @m:	the metadata
 *
 * Context: Any.
 * Return: the number, not 0.
 */
u32 dsm_meta_new_id(struct dsm_meta *m)
{
	u32 id;

	do {
		id = atomic_inc_return(&m->op_id);
	} while (!id);
	return id;
}

/* How often an op for which there was no memory is tried again. */
#define MEMORY_TRIES	50

/**
 * dsm_meta_op_patiently() - as dsm_meta_op(), but want of memory is no answer
 * @c:	the cluster
 * @op:	the op
 *
 * For ops of no user who could try again.
 *
 * Context: process; sleeps, killable.
 * Return: as dsm_meta_op(); -ENOMEM only if there is none for a long time.
 */
int dsm_meta_op_patiently(struct dsm_cluster *c, struct dsm_op *op)
{
	int err = dsm_meta_op(c, op);

	for (int i = 0; i < MEMORY_TRIES && err == -ENOMEM; i++) {
		if (schedule_timeout_killable(msecs_to_jiffies(RETRY_MS)) &&
		    fatal_signal_pending(current))
			break;
		err = dsm_meta_op(c, op);
	}
	return err;
}

int dsm_meta_op(struct dsm_cluster *c, struct dsm_op *op)
{
	u32 ms = op_timeout_ms(c, op);
	unsigned long deadline = jiffies + msecs_to_jiffies(ms);
	struct dsm_op *try;
	int err;

	try = kmalloc(sizeof(*try), GFP_KERNEL);
	if (!try)
		return -ENOMEM;
	op->origin = c->self;
	op->op_id = dsm_meta_new_id(c->meta);
	for (;;) {
		u16 master = dsm_cluster_master(c);

		err = -ENOTCONN;
		if (master == DSM_NODE_NONE)
			break;
		*try = *op;
		err = master == c->self ? op_here(c, try, ms) :
					  op_there(c, master, try, ms);
		if (err != -EREMCHG && err != -ENOTCONN)
			break;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		if (time_after(jiffies, deadline)) {
			err = -ETIMEDOUT;
			break;
		}
		schedule_timeout_killable(msecs_to_jiffies(RETRY_MS));
	}
	op->value = try->value;
	kfree(try);
	return err;
}
