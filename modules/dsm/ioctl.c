// SPDX-License-Identifier: GPL-2.0
/* ioctls on a file of dsmfs, see uapi/dsm.h. */
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "cluster.h"
#include "coherent.h"
#include "inode.h"
#include "notify.h"
#include "region.h"
#include "uapi/dsm.h"

static_assert((int)DSM_PLACE_BLOCK == DSM_POLICY_BLOCK);
static_assert((int)DSM_PLACE_INTERLEAVE == DSM_POLICY_INTERLEAVE);
static_assert((int)DSM_PLACE_NODE == DSM_POLICY_NODE);

static bool may_write(struct file *file)
{
	return file->f_mode & FMODE_WRITE;
}

static long set_place(struct file *file, void __user *arg)
{
	struct inode *inode = file_inode(file);
	struct dsm_ioc_place p;
	struct dsm_op *op;
	int err;

	if (!may_write(file))
		return -EBADF;
	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	if (p.policy >= DSM_NR_POLICIES || p.node >= DSM_MAX_NODES ||
	    p.start > S64_MAX || p.nr > S64_MAX)
		return -EINVAL;
	op = kzalloc(sizeof(*op), GFP_KERNEL);
	if (!op)
		return -ENOMEM;
	op->type = DSM_OP_PLACE;
	op->file = inode->i_ino;
	op->start = p.start;
	op->nr = p.nr;
	op->unit = p.unit;
	op->policy = p.policy;
	op->node = p.node;
	err = dsm_meta_op(dsm_cluster_of(inode), op);
	kfree(op);
	return dsm_user_errno(err);
}

static long get_place(struct file *file, void __user *arg)
{
	struct dsm_region *r = dsm_inode_region(file_inode(file));
	struct dsm_ioc_place p;
	struct dsm_range *range;
	struct dsm_place *pl;
	u16 i = 0;

	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	pl = kmalloc(sizeof(*pl), GFP_KERNEL);
	if (!pl)
		return -ENOMEM;
	dsm_region_get_place(r, pl);
	while (i + 1 < pl->nr_ranges && pl->range[i + 1].start <= p.start)
		i++;
	range = &pl->range[i];
	p = (struct dsm_ioc_place){
		.start = range->start,
		.nr = i + 1 < pl->nr_ranges ? range->nr : 0,
		.unit = range->unit,
		.policy = range->policy,
		.node = range->policy == DSM_POLICY_NODE ?
			pl->node[range->slot] : 0,
	};
	kfree(pl);
	return copy_to_user(arg, &p, sizeof(p)) ? -EFAULT : 0;
}

static long give_up(struct file *file, void __user *arg)
{
	struct dsm_ioc_range range;

	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	return dsm_page_evict_range(dsm_inode_region(file_inode(file)),
				    range.start, range.nr);
}

static long fetch(struct file *file, void __user *arg)
{
	struct dsm_region *r = dsm_inode_region(file_inode(file));
	u64 nr_pages = DIV_ROUND_UP(i_size_read(file_inode(file)), PAGE_SIZE);
	struct dsm_ioc_range range;

	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	if (range.start >= nr_pages)
		return 0;
	range.nr = min(range.nr, nr_pages - range.start);
	return dsm_page_prefetch(r, range.start, range.nr);
}

static long look(struct file *file, void __user *arg)
{
	struct dsm_region *r = dsm_inode_region(file_inode(file));
	struct dsm_ioc_page p;
	struct dsm_page none;
	struct dsm_entry *e;
	u64 index;

	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	index = p.page;
	p = (struct dsm_ioc_page){
		.page = index,
		.home = dsm_region_home(r, index),
	};
	dsm_page_init(&none);
	strscpy(p.state, dsm_page_state_name(none.state));
	e = dsm_entry_find(r, index);
	if (e) {
		spin_lock_bh(&e->lock);
		p.right = dsm_page_right(&e->core);
		strscpy(p.state, dsm_page_state_name(e->core.state));
		if (e->dir)
			strscpy(p.dir_state, dsm_dir_state_name(e->dir->state));
		spin_unlock_bh(&e->lock);
		dsm_entry_put(e);
	}
	return copy_to_user(arg, &p, sizeof(p)) ? -EFAULT : 0;
}

static long resident(struct file *file, void __user *arg)
{
	struct inode *inode = file_inode(file);
	u64 nr_pages = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	struct dsm_ioc_resident in, res = { 0 };
	int err;

	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	res.start = in.start;
	if (in.start < nr_pages)
		res.nr = min(in.nr, nr_pages - in.start);
	err = dsm_region_resident(dsm_inode_region(inode), res.start, res.start + res.nr, &res);
	if (err)
		return err;
	return copy_to_user(arg, &res, sizeof(res)) ? -EFAULT : 0;
}

static long adopt(struct file *file, void __user *arg)
{
	struct dsm_ioc_adopt a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags || !a.len || !PAGE_ALIGNED(a.addr | a.len | a.offset) ||
	    a.addr + a.len < a.addr || a.pidfd < -1)
		return -EINVAL;
	if (a.offset + a.len < a.offset ||
	    a.offset + a.len > i_size_read(file_inode(file)))
		return -ENXIO;
	if (!(file->f_mode & FMODE_READ) || !may_write(file))
		return -EACCES;
	return dsm_coherent_adopt(file, &a);
}

/**
 * dsm_file_ioctl() - ioctls on a file of dsmfs
 * @file:	the file
 * @cmd:	DSM_IOC_*
 * @arg:	user pointer
 *
 * Context: process; sleeps, killable.
 * Return: 0 or an errno.
 */
long dsm_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case DSM_IOC_SET_PLACE:
		return set_place(file, p);
	case DSM_IOC_GET_PLACE:
		return get_place(file, p);
	case DSM_IOC_EVICT:
		return give_up(file, p);
	case DSM_IOC_PAGE:
		return look(file, p);
	case DSM_IOC_PREFETCH:
		return fetch(file, p);
	case DSM_IOC_RESIDENT:
		return resident(file, p);
	case DSM_IOC_ADOPT:
		return adopt(file, p);
	case DSM_IOC_NOTIFY:
		return dsm_notify_open(file, p);
	}
	return -ENOTTY;
}
