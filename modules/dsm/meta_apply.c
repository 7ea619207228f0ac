// SPDX-License-Identifier: GPL-2.0
/*
 * What every member does with a change that the master has decided on.
 *
 * The master checked it against the same tables, so it does not fail for a
 * reason that only one node has, but for want of memory.  It is applied once,
 * however often it comes (see the ring of results).
 *
 * VFS inode locks are not taken here: their holder may be waiting for the very
 * master that waits for this node.  dsm_meta.lock is what serialises the writers
 * of i_size.  A reference to an inode is dropped after the lock, as evicting an
 * inode takes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "backlog.h"
#include "cluster.h"
#include "ctrl.h"
#include "inode.h"
#include "meta.h"
#include "region.h"
#include "sysfs.h"

/* How a new file is spread: blocks of 2 MiB over the members. */
#define DEFAULT_UNIT	512

/**
 * struct apply - a change being applied
 * @c:		the cluster
 * @m:		its metadata
 * @from:	the master that says so
 * @op:		the change
 * @dead:	files that no one uses any more
 * @inode:	of the file here, with a reference; or NULL
 * @gone:	likewise, of the file whose name was taken away
 * @unmap:	pages beyond the end must not stay mapped
 */
struct apply {
	struct dsm_cluster *c;
	struct dsm_meta *m;
	u16 from;
	const struct dsm_op *op;
	struct list_head dead;
	struct inode *inode;
	struct inode *gone;
	bool unmap;
};

static struct inode *refresh_inode(struct dsm_file *f)
{
	struct inode *inode = f->inode ? igrab(f->inode) : NULL;

	if (inode)
		dsm_inode_refresh(inode, f);
	return inode;
}

static void free_file(struct dsm_file *f)
{
	if (!IS_ERR_OR_NULL(f->region))
		dsm_region_destroy(f->region);
	kfree(f);
}

static int add_file(struct apply *a, struct dsm_file *f, const char *name,
		    const struct dsm_place *pl)
{
	int err;

	f->region = dsm_region_create(a->c, f->id, 1, pl);
	if (IS_ERR(f->region)) {
		err = PTR_ERR(f->region);
		free_file(f);
		return err;
	}
	err = dsm_meta_insert_locked(a->m, f);
	if (err) {
		free_file(f);
		return err;
	}
	if (!name[0])
		return 0;
	dsm_meta_link_locked(a->m, f, name);
	/* Not being shown is no reason not to work. */
	dsm_sysfs_region_add(f->region, f->name);
	dsm_sysfs_region_resize(f->region, f->size);
	return 0;
}

static int apply_create(struct apply *a)
{
	const struct dsm_op *op = a->op;
	struct dsm_place *pl;
	struct dsm_file *f;
	int err;

	if (dsm_meta_find_name_locked(a->m, op->name))
		return -EEXIST;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	pl = kmalloc(sizeof(*pl), GFP_KERNEL);
	if (!f || !pl) {
		kfree(f);
		kfree(pl);
		return -ENOMEM;
	}
	f->id = op->file;
	f->mode = S_IFREG | (op->mode & S_IALLUGO);
	f->uid = op->uid;
	f->gid = op->gid;
	f->mtime_ns = op->mtime_ns;
	f->ctime_ns = op->ctime_ns;
	dsm_place_init(pl, &op->members, DSM_POLICY_BLOCK, DEFAULT_UNIT, 0);
	err = add_file(a, f, op->name, pl);
	kfree(pl);
	return err;
}

static void take_name(struct apply *a, struct dsm_file *f)
{
	dsm_sysfs_region_del(f->region);
	dsm_meta_unlink_locked(a->m, f);
	f->ctime_ns = a->op->ctime_ns;
	a->gone = refresh_inode(f);
	dsm_meta_close_unused_locked(a->m, f);
}

static int apply_unlink(struct apply *a)
{
	struct dsm_file *f = dsm_meta_find_name_locked(a->m, a->op->name);

	if (!f || f->id != a->op->file)
		return -ENOENT;
	take_name(a, f);
	return 0;
}

static int apply_rename(struct apply *a)
{
	struct dsm_file *f = dsm_meta_find_name_locked(a->m, a->op->name);
	struct dsm_file *old = dsm_meta_find_name_locked(a->m, a->op->name2);

	if (!f || f->id != a->op->file)
		return -ENOENT;
	if (f == old)
		return 0;
	if (old)
		take_name(a, old);
	dsm_meta_unlink_locked(a->m, f);
	dsm_meta_link_locked(a->m, f, a->op->name2);
	dsm_sysfs_region_rename(f->region, f->name);
	f->ctime_ns = a->op->ctime_ns;
	a->inode = refresh_inode(f);
	return 0;
}

static int apply_attr(struct apply *a, struct dsm_file *f)
{
	const struct dsm_op *op = a->op;

	if (op->flags & DSM_OF_MODE)
		f->mode = S_IFREG | (op->mode & S_IALLUGO);
	if (op->flags & DSM_OF_UID)
		f->uid = op->uid;
	if (op->flags & DSM_OF_GID)
		f->gid = op->gid;
	if (op->flags & DSM_OF_MTIME)
		f->mtime_ns = op->mtime_ns;
	if (op->flags & DSM_OF_CTIME)
		f->ctime_ns = op->ctime_ns;
	if (op->flags & DSM_OF_SIZE) {
		a->unmap = op->start < f->size;
		f->size = op->start;
		dsm_sysfs_region_resize(f->region, f->size);
	}
	a->inode = refresh_inode(f);
	return 0;
}

/* CHECK: only look whether it would be possible. */
static int change_place(struct dsm_region *r, const struct dsm_op *op)
{
	struct dsm_place *pl = kmalloc(sizeof(*pl), GFP_KERNEL | __GFP_NOFAIL);
	u8 v;

	dsm_region_get_place(r, pl);
	v = dsm_place_set(pl, op->start, op->nr ? op->nr : U64_MAX - op->start,
			  op->policy, op->unit, op->node);
	if (v == DSM_V_OK && !(op->flags & DSM_OF_CHECK))
		dsm_region_set_place(r, pl);
	kfree(pl);
	if (v == DSM_V_OVERFLOW)
		return -ENOSPC;
	return v == DSM_V_OK ? 0 : -EINVAL;
}

/*
 * Nodes that do not agree on the home of a page would each be it: none is asked for
 * from CHECK until the change is here, or is not to come.
 */
static int apply_place(struct apply *a, struct dsm_file *f)
{
	const struct dsm_op *op = a->op;
	struct dsm_region *r = f->region;
	int err = 0;

	if (!(op->flags & DSM_OF_ABORT)) {
		if (op->flags & DSM_OF_CHECK || !dsm_region_is_frozen(r))
			err = dsm_region_freeze(r);
		if (err)
			return err;
		err = change_place(r, op);
	}
	if (err || !(op->flags & DSM_OF_CHECK))
		dsm_region_thaw(r);
	return err;
}

static int apply_users(struct apply *a, struct dsm_file *f)
{
	if (a->op->type == DSM_OP_OPEN)
		dsm_nodeset_add(&f->users, a->op->origin);
	else
		dsm_nodeset_del(&f->users, a->op->origin);
	return 0;
}

static int apply_destroy(struct apply *a, struct dsm_file *f)
{
	if (f->nlink)
		take_name(a, f);
	dsm_meta_remove_locked(a->m, f, &a->dead);
	return 0;
}

static int apply_rehome(struct apply *a)
{
	struct dsm_file *f;
	unsigned long id;

	xa_for_each(&a->m->files, id, f)
		dsm_region_rehome(f->region, a->op->origin, a->op->node);
	return 0;
}

/*
 * What came of each change before is known: there is nothing to wait for, and what could
 * not be said before can be now.
 */
static int apply_agreed(struct apply *a)
{
	struct dsm_file *f;
	unsigned long id;

	xa_for_each(&a->m->files, id, f) {
		f->users = dsm_nodeset_and(f->users, &a->op->members);
		dsm_region_thaw(f->region);
		dsm_meta_close_unused_locked(a->m, f);
	}
	return 0;
}

static int apply_to_file(struct apply *a)
{
	struct dsm_file *f = dsm_meta_find_locked(a->m, a->op->file);

	if (!f)
		return -ESTALE;
	switch ((enum dsm_op_type)a->op->type) {
	case DSM_OP_SETATTR:
	case DSM_OP_EXTEND:
	case DSM_OP_PUNCH:
		return apply_attr(a, f);
	case DSM_OP_PLACE:
		return apply_place(a, f);
	case DSM_OP_OPEN:
	case DSM_OP_CLOSE:
		return apply_users(a, f);
	case DSM_OP_DESTROY:
		return apply_destroy(a, f);
	case DSM_OP_CREATE:
	case DSM_OP_UNLINK:
	case DSM_OP_RENAME:
	case DSM_OP_REHOME:
	case DSM_OP_BARRIER:
	case DSM_OP_AGREED:
	case DSM_NR_OPS:
		break;
	}
	return -EINVAL;
}

static int apply_locked(struct apply *a)
{
	switch ((enum dsm_op_type)a->op->type) {
	case DSM_OP_CREATE:
		return apply_create(a);
	case DSM_OP_UNLINK:
		return apply_unlink(a);
	case DSM_OP_RENAME:
		return apply_rename(a);
	case DSM_OP_REHOME:
		return apply_rehome(a);
	case DSM_OP_BARRIER:
		return 0;
	case DSM_OP_AGREED:
		return apply_agreed(a);
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
	return apply_to_file(a);
}

/**
 * dsm_meta_is_done() - was this op applied already?
 * @m:		the metadata
 * @op:		the op
 * @value:	its result then
 *
 * Context: process, lock held.
 * Return: true if it was.
 */
bool dsm_meta_is_done(struct dsm_meta *m, const struct dsm_op *op, u64 *value)
{
	lockdep_assert_held(&m->lock);
	for (unsigned int i = 0; i < DSM_META_HISTORY; i++) {
		struct dsm_op_done *d = &m->done[i];

		if (d->op_id == op->op_id && d->origin == op->origin &&
		    d->type == op->type && d->op_id) {
			*value = d->value;
			return true;
		}
	}
	return false;
}

/* What was taken back is not done, if whoever asked for it asks again. */
static void forget_locked(struct dsm_meta *m, u16 origin, u32 op_id)
{
	for (unsigned int i = 0; i < DSM_META_HISTORY; i++)
		if (m->done[i].origin == origin && m->done[i].op_id == op_id)
			m->done[i].op_id = 0;
}

static void record_locked(struct dsm_meta *m, const struct dsm_op *op)
{
	m->recent[dsm_changes_add(&m->changes)] = *op;
	if (op->flags & DSM_OF_UNDO)
		forget_locked(m, op->node, op->nr);
	m->done[m->next_done++ % DSM_META_HISTORY] = (struct dsm_op_done){
		.op_id = op->op_id,
		.origin = op->origin,
		.type = op->type,
		.value = op->value,
	};
}

/*
 * The successor of a node that leaves: a directory entry that came may wait for memory, and
 * whoever asks for the page meanwhile would find that no one ever had it.
 */
static void wait_for_moves(struct dsm_cluster *c, u16 leaver)
{
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(c->knobs.rpc_timeout_ms) / 2);

	dsm_backlog_wait(c, leaver, deadline);
}

int dsm_meta_apply(struct dsm_cluster *c, u16 from, const struct dsm_op *op)
{
	struct apply a = { .c = c, .m = c->meta, .from = from, .op = op };
	int err = 0;
	u64 value;

	if (op->type == DSM_OP_REHOME && op->node == c->self && from == dsm_cluster_master(c))
		wait_for_moves(c, op->origin);
	INIT_LIST_HEAD(&a.dead);
	down_write(&a.m->lock);
	/* The master has gone meanwhile, or its view is yet to come: see core/changes.c. */
	if (from != dsm_cluster_master(c)) {
		err = -EREMCHG;
	} else if (!dsm_meta_is_done(a.m, op, &value)) {
		if (dsm_changes_is_next(&a.m->changes, op->seq))
			err = apply_locked(&a);
		else
			err = -EREMCHG;
		if (!err && !(op->flags & DSM_OF_NO_CHANGE))
			record_locked(a.m, op);
	}
	up_write(&a.m->lock);
	if (a.unmap && a.inode)
		unmap_mapping_range(a.inode->i_mapping,
				    round_up(op->start, PAGE_SIZE), 0, 1);
	iput(a.inode);
	iput(a.gone);
	if (!list_empty(&a.dead) && !dsm_meta_nr_files(c))
		dsm_meta_reap_soon(c);
	dsm_meta_bury(&a.dead);
	return err;
}

/* ---- the metadata that a joiner gets ---- */

static int rx_file(struct dsm_cluster *c, const void *buf)
{
	struct apply a = { .c = c, .m = c->meta };
	struct dsm_file *f = kzalloc(sizeof(*f), GFP_KERNEL);
	struct dsm_place *pl = kmalloc(sizeof(*pl), GFP_KERNEL);
	char name[DSM_NAME_MAX + 1];
	int err = -ENOMEM;

	if (f && pl) {
		err = -EPROTO;
		if (dsm_ctrl_decode_file(buf, c->nr_nodes, f, pl)) {
			strscpy(name, f->name);
			f->name[0] = 0;
			f->nlink = 0;
			down_write(&a.m->lock);
			err = add_file(&a, f, name, pl);
			up_write(&a.m->lock);
			f = NULL;
		}
	}
	kfree(f);
	kfree(pl);
	return err;
}

static int rx_end(struct dsm_cluster *c, const struct dsm_ctrl_snapshot *w)
{
	u32 max_id = le32_to_cpu(w->max_id);

	/* For want of memory here, as a rule: the joiner asks again. */
	if (dsm_meta_nr_files(c) != le32_to_cpu(w->nr_files))
		return -EAGAIN;
	down_write(&c->meta->lock);
	dsm_changes_begin(&c->meta->changes, le32_to_cpu(w->seq));
	if (max_id > READ_ONCE(c->max_region))
		WRITE_ONCE(c->max_region, max_id);
	up_write(&c->meta->lock);
	return 0;
}

/**
 * dsm_meta_rx_snapshot() - a part of the metadata came
 * @c:		the cluster
 * @buf:	BEGIN, FILE or END, checked by dsm_ctrl_check()
 *
 * Context: process, in order.
 * Return: 0; an errno makes the END fail as files are missing then.
 */
int dsm_meta_rx_snapshot(struct dsm_cluster *c, const void *buf)
{
	const struct dsm_ctrl_head *h = buf;

	if (dsm_cluster_is_joined(c))
		return -EISCONN;
	if (h->type == DSM_CTRL_BEGIN) {
		dsm_meta_clear(c);
		return 0;
	}
	if (h->type == DSM_CTRL_FILE)
		return rx_file(c, buf);
	return rx_end(c, buf);
}
