// SPDX-License-Identifier: GPL-2.0
/*
 * Files of dsmfs: what is not the page engine's.
 *
 * The pages are not in the page cache: the address space is there for rmap and
 * for unmap_mapping_range() only.  So O_DIRECT on a file of dsmfs is the same
 * copy as without, and fsync has nothing to do but to tell the others when the
 * file was written.
 *
 * fcntl and flock locks are EOPNOTSUPP: they would be this node's own, and a
 * lock that another node does not see is worse than none.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "cluster.h"
#include "inode.h"
#include "region.h"

static int file_open(struct inode *inode, struct file *file)
{
	int err = generic_file_open(inode, file);

	if (err)
		return err;
	file->f_mode |= FMODE_CAN_ODIRECT | FMODE_NOWAIT;
	return dsm_user_errno(dsm_meta_open(dsm_cluster_of(inode), inode->i_ino));
}

static int file_release(struct inode *inode, struct file *file)
{
	/* A writer that is being killed does not wait for it, and nobody is told. */
	if (file->f_mode & FMODE_WRITE)
		dsm_inode_send_times(inode);
	dsm_meta_release(dsm_cluster_of(inode), inode->i_ino);
	return 0;
}

static int file_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return datasync ? 0 : dsm_inode_send_times(file_inode(file));
}

static int file_lock(struct file *file, int cmd, struct file_lock *lock)
{
	return -EOPNOTSUPP;
}

static int punch(struct inode *inode, loff_t from, loff_t len)
{
	loff_t size = i_size_read(inode);
	struct dsm_op *op;
	int err;

	if (from >= size)
		return 0;
	op = kzalloc(sizeof(*op), GFP_KERNEL);
	if (!op)
		return -ENOMEM;
	op->type = DSM_OP_PUNCH;
	op->file = inode->i_ino;
	op->start = from;
	op->nr = min(len, round_up(size, PAGE_SIZE) - from);
	op->flags = DSM_OF_MTIME | DSM_OF_CTIME;
	op->mtime_ns = ktime_get_real_ns();
	op->ctime_ns = op->mtime_ns;
	err = dsm_meta_op(dsm_cluster_of(inode), op);
	kfree(op);
	return dsm_user_errno(err);
}

/* Nothing is allocated ahead: a page takes memory where it is first touched. */
static int extend_to(struct inode *inode, loff_t end)
{
	int err = inode_newsize_ok(inode, end);

	return err ?: dsm_inode_extend(inode, end);
}

static long file_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int err;

	if (mode && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;
	err = file_modified(file);
	if (!err)
		err = mode ? punch(inode, offset, len) :
			     extend_to(inode, offset + len);
	inode_unlock(inode);
	return err;
}

static loff_t file_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);

	/* Data all over, and the hole at the end: true, if not very clever. */
	return generic_file_llseek_size(file, offset, whence,
					inode->i_sb->s_maxbytes,
					i_size_read(inode));
}

const struct file_operations dsm_file_ops = {
	.open = file_open,
	.release = file_release,
	.llseek = file_llseek,
	.read_iter = dsm_file_read_iter,
	.write_iter = dsm_file_write_iter,
	.mmap = dsm_file_mmap,
	.fsync = file_fsync,
	.lock = file_lock,
	.flock = file_lock,
	.splice_read = copy_splice_read,
	.splice_write = iter_file_splice_write,
	.fallocate = file_fallocate,
	.unlocked_ioctl = dsm_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

const struct inode_operations dsm_file_inode_ops = {
	.setattr = dsm_inode_setattr,
	.getattr = dsm_inode_getattr,
};

const struct address_space_operations dsm_aops = {
	.dirty_folio = noop_dirty_folio,
};
