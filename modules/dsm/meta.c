// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of files that every member holds, and what reads them.
 *
 * Only meta_apply.c changes them, with dsm_meta.lock held for writing, apart
 * from what is this node's own affair: the inode and the number of open files.
 *
 * A node that opens a file for the first time tells the master (OPEN) and is a
 * user of it from then on, so opening it again costs nothing.  When the file is
 * unlinked, each user that has it open no more says so (CLOSE); with the last
 * one the file is destroyed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "cluster.h"
#include "inode.h"
#include "meta.h"
#include "region.h"
#include "sysfs.h"

/* ---- tables ---- */

/**
 * dsm_meta_find_locked() - a file by its id
 * @m:	the metadata
 * @id:	the id
 *
 * Context: process, lock held.
 * Return: the file or NULL.
 */
struct dsm_file *dsm_meta_find_locked(struct dsm_meta *m, u32 id)
{
	lockdep_assert_held(&m->lock);
	return xa_load(&m->files, id);
}

/**
 * dsm_meta_find_name_locked() - a file by its name
 * @m:		the metadata
 * @name:	the name
 *
 * Context: process, lock held.
 * Return: the file or NULL.
 */
struct dsm_file *dsm_meta_find_name_locked(struct dsm_meta *m, const char *name)
{
	struct rb_node *at = m->names.rb_node;

	lockdep_assert_held(&m->lock);
	while (at) {
		struct dsm_file *f = rb_entry(at, struct dsm_file, rb);
		int order = strcmp(name, f->name);

		if (!order)
			return f;
		at = order < 0 ? at->rb_left : at->rb_right;
	}
	return NULL;
}

/**
 * dsm_meta_link_locked() - give a file a name that no other has
 * @m:		the metadata
 * @f:		the file, without a name
 * @name:	the name
 *
 * Context: process, lock held for writing.
 */
void dsm_meta_link_locked(struct dsm_meta *m, struct dsm_file *f,
			  const char *name)
{
	struct rb_node **at = &m->names.rb_node, *parent = NULL;

	lockdep_assert_held_write(&m->lock);
	strscpy(f->name, name);
	while (*at) {
		parent = *at;
		at = strcmp(name, rb_entry(parent, struct dsm_file, rb)->name) < 0 ?
			&parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&f->rb, parent, at);
	rb_insert_color(&f->rb, &m->names);
	f->nlink = 1;
}

/**
 * dsm_meta_unlink_locked() - take the name of a file away
 * @m:	the metadata
 * @f:	the file
 *
 * Context: process, lock held for writing.
 */
void dsm_meta_unlink_locked(struct dsm_meta *m, struct dsm_file *f)
{
	lockdep_assert_held_write(&m->lock);
	if (!f->nlink)
		return;
	rb_erase(&f->rb, &m->names);
	f->name[0] = 0;
	f->nlink = 0;
}

/**
 * dsm_meta_insert_locked() - a new file
 * @m:	the metadata
 * @f:	the file, without a name
 *
 * Context: process, lock held for writing.
 * Return: 0, -ENOMEM.
 */
int dsm_meta_insert_locked(struct dsm_meta *m, struct dsm_file *f)
{
	int err = xa_insert(&m->files, f->id, f, GFP_KERNEL);

	lockdep_assert_held_write(&m->lock);
	if (!err)
		m->nr_files++;
	return err;
}

/**
 * dsm_meta_remove_locked() - take a file out of the tables
 * @m:		the metadata
 * @f:		the file
 * @dead:	list for dsm_meta_bury()
 *
 * Context: process, lock held for writing.
 */
void dsm_meta_remove_locked(struct dsm_meta *m, struct dsm_file *f,
			    struct list_head *dead)
{
	if (f->nlink)
		dsm_sysfs_region_del(f->region);
	dsm_meta_unlink_locked(m, f);
	xa_erase(&m->files, f->id);
	m->nr_files--;
	list_add_tail(&f->dead, dead);
}

/**
 * dsm_meta_bury() - free files
 * @dead:	files that were removed
 *
 * Context: process, sleeps; no locks held.
 */
void dsm_meta_bury(struct list_head *dead)
{
	struct dsm_file *f, *next;

	list_for_each_entry_safe(f, next, dead, dead) {
		dsm_region_destroy(f->region);
		kfree(f);
	}
}

/* ---- reading ---- */

static int attr_of(const struct dsm_file *f, struct dsm_attr *a)
{
	if (!f)
		return -ENOENT;
	*a = (struct dsm_attr){
		.id = f->id,
		.mode = f->mode,
		.uid = f->uid,
		.gid = f->gid,
		.nlink = f->nlink,
		.size = f->size,
		.mtime_ns = f->mtime_ns,
		.ctime_ns = f->ctime_ns,
	};
	strscpy(a->name, f->name);
	return 0;
}

int dsm_meta_lookup(struct dsm_cluster *c, const char *name, u32 len,
		    struct dsm_attr *a)
{
	char key[DSM_NAME_MAX + 1];
	int err;

	if (len > DSM_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(key, name, len);
	key[len] = 0;
	down_read(&c->meta->lock);
	err = attr_of(dsm_meta_find_name_locked(c->meta, key), a);
	up_read(&c->meta->lock);
	return err;
}

int dsm_meta_get(struct dsm_cluster *c, u32 id, struct dsm_attr *a)
{
	int err;

	down_read(&c->meta->lock);
	err = attr_of(dsm_meta_find_locked(c->meta, id), a);
	up_read(&c->meta->lock);
	return err;
}

int dsm_meta_next(struct dsm_cluster *c, u32 id, struct dsm_attr *a)
{
	unsigned long at = id;
	struct dsm_file *f;
	int err;

	down_read(&c->meta->lock);
	do {
		f = xa_find_after(&c->meta->files, &at, ULONG_MAX, XA_PRESENT);
	} while (f && !f->nlink);
	err = attr_of(f, a);
	up_read(&c->meta->lock);
	return err;
}

u32 dsm_meta_nr_files(struct dsm_cluster *c)
{
	return READ_ONCE(c->meta->nr_files);
}

/* ---- inodes and open files of this node ---- */

struct dsm_region *dsm_meta_attach(struct dsm_cluster *c, u32 id,
				   struct inode *inode)
{
	struct dsm_region *r = NULL;
	struct dsm_file *f;

	down_write(&c->meta->lock);
	f = dsm_meta_find_locked(c->meta, id);
	if (f)
		r = dsm_region_find(c, id);
	if (r) {
		f->inode = inode;
		inode->i_private = r;
		f->shown_ns = ~f->mtime_ns;
		dsm_inode_refresh(inode, f);
		dsm_region_attach(r, inode->i_mapping);
	}
	up_write(&c->meta->lock);
	return r;
}

void dsm_meta_detach(struct dsm_cluster *c, u32 id, struct inode *inode)
{
	struct dsm_region *r = inode->i_private;
	struct dsm_file *f;

	down_write(&c->meta->lock);
	f = dsm_meta_find_locked(c->meta, id);
	if (f && f->inode == inode)
		f->inode = NULL;
	dsm_region_detach(r);
	up_write(&c->meta->lock);
	dsm_region_put(r);
}

struct close_work {
	struct work_struct work;
	struct dsm_cluster *c;
	u32 id;
};

static void close_again_later(struct dsm_meta *m, u32 id)
{
	struct dsm_file *f;

	down_write(&m->lock);
	f = dsm_meta_find_locked(m, id);
	if (f)
		f->unsaid = true;
	up_write(&m->lock);
}

static void close_fn(struct work_struct *work)
{
	struct close_work *w = container_of(work, struct close_work, work);
	struct dsm_op *op = kzalloc(sizeof(*op), GFP_KERNEL | __GFP_NOFAIL);
	int err;

	op->type = DSM_OP_CLOSE;
	op->file = w->id;
	err = dsm_meta_op_patiently(w->c, op);
	if (err && err != -ENOTCONN)
		pr_warn_ratelimited("%s: node %u: unlinked region %u stays for now: error %d\n",
				    w->c->name, w->c->self, w->id, err);
	if (err)
		close_again_later(w->c->meta, w->id);
	kfree(op);
	kfree(w);
}

/**
 * dsm_meta_close_unused_locked() - tell the master of a file not used here
 * @m:	the metadata
 * @f:	the file; nothing happens unless it is unlinked and not open here
 *
 * Context: process, lock held for writing.
 */
void dsm_meta_close_unused_locked(struct dsm_meta *m, struct dsm_file *f)
{
	struct dsm_cluster *c = m->c;
	struct close_work *w;

	lockdep_assert_held_write(&m->lock);
	if (f->nlink || f->nr_open || (f->closing && !f->unsaid) ||
	    !dsm_nodeset_has(&f->users, c->self))
		return;
	w = kzalloc(sizeof(*w), GFP_KERNEL | __GFP_NOFAIL);
	f->closing = true;
	f->unsaid = false;
	INIT_WORK(&w->work, close_fn);
	w->c = c;
	w->id = f->id;
	queue_work(m->close_wq, &w->work);
}

/* Return: 0, -ESTALE, or -EAGAIN if the master has to be told first. */
static int open_here(struct dsm_cluster *c, u32 id)
{
	struct dsm_meta *m = c->meta;
	struct dsm_file *f;
	int err = 0;

	down_write(&m->lock);
	f = dsm_meta_find_locked(m, id);
	if (!f || f->closing)
		err = -ESTALE;
	else if (!dsm_nodeset_has(&f->users, c->self))
		err = -EAGAIN;
	else
		f->nr_open++;
	up_write(&m->lock);
	return err;
}

/**
 * dsm_meta_open() - a file is opened here
 * @c:	the cluster
 * @id:	the file
 *
 * Context: process; sleeps, killable.
 * Return: 0; -ESTALE if the file is gone; as dsm_meta_op().
 */
int dsm_meta_open(struct dsm_cluster *c, u32 id)
{
	struct dsm_op *op;
	int err = open_here(c, id);

	if (err != -EAGAIN)
		return err;
	op = kzalloc(sizeof(*op), GFP_KERNEL);
	if (!op)
		return -ENOMEM;
	op->type = DSM_OP_OPEN;
	op->file = id;
	err = dsm_meta_op(c, op);
	kfree(op);
	if (!err)
		err = open_here(c, id);
	return err == -ENOENT || err == -EAGAIN ? -ESTALE : err;
}

/**
 * dsm_meta_release() - an open file is closed
 * @c:	the cluster
 * @id:	the file
 *
 * Context: process.
 */
void dsm_meta_release(struct dsm_cluster *c, u32 id)
{
	struct dsm_meta *m = c->meta;
	struct dsm_file *f;

	down_write(&m->lock);
	f = dsm_meta_find_locked(m, id);
	if (f && !WARN_ON_ONCE(!f->nr_open)) {
		f->nr_open--;
		dsm_meta_close_unused_locked(m, f);
	}
	up_write(&m->lock);
}

/**
 * dsm_meta_reap_soon() - have a worker do what dsm_meta_reap() does
 * @c:	the cluster
 *
 * Context: any; member_lock may be held.
 */
void dsm_meta_reap_soon(struct dsm_cluster *c)
{
	mod_delayed_work(c->meta->op_wq, &c->meta->reap_work, 0);
}

/* ---- life ---- */

/**
 * dsm_meta_clear() - forget all files
 * @c:	the cluster
 *
 * Context: process; sleeps.
 */
void dsm_meta_clear(struct dsm_cluster *c)
{
	struct dsm_meta *m = c->meta;
	unsigned long id;
	struct dsm_file *f;
	LIST_HEAD(dead);

	down_write(&m->lock);
	xa_for_each(&m->files, id, f)
		dsm_meta_remove_locked(m, f, &dead);
	dsm_changes_begin(&m->changes, 0);
	WRITE_ONCE(m->agreed, 0);
	m->ended = 0;
	up_write(&m->lock);
	dsm_meta_bury(&dead);
}

static void reap_fn(struct work_struct *work)
{
	struct dsm_meta *m = container_of(to_delayed_work(work), struct dsm_meta,
					  reap_work);

	dsm_meta_reap(m->c);
}

static void destroy_queues(struct dsm_meta *m)
{
	if (m->close_wq)
		destroy_workqueue(m->close_wq);
	if (m->op_wq)
		destroy_workqueue(m->op_wq);
	if (m->apply_wq)
		destroy_workqueue(m->apply_wq);
}

/**
 * dsm_meta_create() - metadata without files
 * @c:	the cluster
 *
 * Context: process.
 * Return: 0, -ENOMEM.
 */
int dsm_meta_create(struct dsm_cluster *c)
{
	struct dsm_meta *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return -ENOMEM;
	m->recent = kvcalloc(DSM_CHANGES_MAX, sizeof(*m->recent), GFP_KERNEL);
	if (!m->recent) {
		kfree(m);
		return -ENOMEM;
	}
	m->c = c;
	init_rwsem(&m->lock);
	m->names = RB_ROOT;
	xa_init(&m->files);
	mutex_init(&m->op_mutex);
	INIT_DELAYED_WORK(&m->reap_work, reap_fn);
	/* The others may remember ops of this node from before it came back. */
	atomic_set(&m->op_id, get_random_u32());
	m->apply_wq = alloc_ordered_workqueue("dsm_apply", 0);
	m->op_wq = alloc_workqueue("dsm_op", WQ_UNBOUND, 0);
	m->close_wq = alloc_workqueue("dsm_close", WQ_UNBOUND, 0);
	if (!m->apply_wq || !m->op_wq || !m->close_wq) {
		destroy_queues(m);
		kvfree(m->recent);
		kfree(m);
		return -ENOMEM;
	}
	c->meta = m;
	return 0;
}

/**
 * dsm_meta_drain() - no op of this node or for another is under way any more
 * @c:	the cluster, which is not a member any more
 *
 * Context: process; sleeps, bounded by rpc_timeout_ms.
 */
void dsm_meta_drain(struct dsm_cluster *c)
{
	struct dsm_meta *m = c->meta;

	disable_delayed_work_sync(&m->reap_work);
	flush_workqueue(m->close_wq);
	flush_workqueue(m->op_wq);
	flush_workqueue(m->apply_wq);
}

/**
 * dsm_meta_destroy() - free the metadata and all regions
 * @c:	the cluster, without mounts and peers
 *
 * Context: process; sleeps.
 */
void dsm_meta_destroy(struct dsm_cluster *c)
{
	if (!c->meta)
		return;
	destroy_queues(c->meta);
	dsm_meta_clear(c);
	xa_destroy(&c->meta->files);
	kvfree(c->meta->recent);
	kfree(c->meta);
	c->meta = NULL;
}
