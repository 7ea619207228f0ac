// SPDX-License-Identifier: GPL-2.0
/*
 * read(2) and write(2): page by page through the same right as a fault.
 *
 * The user's buffer may be a mapping of the very page, so it is never faulted
 * in while a page is held: copy with page faults disabled, and if that gets
 * nowhere let go, fault the buffer in, and try again.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

#include "inode.h"
#include "region.h"

/* A buffer that another node keeps taking away does not hold us up for ever. */
#define MAX_TRIES	1000

struct span {
	u64 index;
	unsigned int offset;
	unsigned int len;
};

static struct span span_at(loff_t pos, size_t len)
{
	unsigned int offset = offset_in_page(pos);

	return (struct span){
		.index = pos >> PAGE_SHIFT,
		.offset = offset,
		.len = min_t(size_t, len, PAGE_SIZE - offset),
	};
}

static int io_errno(int err)
{
	return err == -ESTALE ? -EIO : dsm_user_errno(err);
}

static ssize_t copy_out(struct dsm_region *r, struct span s, unsigned int flags,
			struct iov_iter *to)
{
	struct page *page;
	size_t copied;
	int err;

	err = dsm_page_acquire(r, s.index, DSM_RIGHT_READ, flags, &page);
	if (err)
		return io_errno(err);
	pagefault_disable();
	copied = copy_page_to_iter(page, s.offset, s.len, to);
	pagefault_enable();
	unlock_page(page);
	put_page(page);
	return copied;
}

/*
 * The file may have been truncated since it was made long enough.  What is behind its
 * end now is dropped, as if it had been written before.
 */
static ssize_t copy_in(struct inode *inode, struct span s, unsigned int flags,
		       struct iov_iter *from)
{
	loff_t pos = ((loff_t)s.index << PAGE_SHIFT) + s.offset;
	struct page *page;
	size_t copied, len;
	int err;

	err = dsm_page_acquire(dsm_inode_region(inode), s.index, DSM_RIGHT_WRITE, flags, &page);
	if (err)
		return io_errno(err);
	len = clamp_t(loff_t, i_size_read(inode) - pos, 0, s.len);
	copied = copy_page_from_iter_atomic(page, s.offset, len, from);
	flush_dcache_page(page);
	unlock_page(page);
	put_page(page);
	if (copied < len || len == s.len)
		return copied;
	iov_iter_advance(from, s.len - len);
	return s.len;
}

/**
 * dsm_file_read_iter() - read from a file of dsmfs
 * @iocb:	file and position
 * @to:		where to
 *
 * Context: process; sleeps, killable.
 * Return: bytes read; -EIO if a page is lost or did not come in time, -EINTR,
 * -EAGAIN with IOCB_NOWAIT, -EFAULT.
 */
ssize_t dsm_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct dsm_region *r = dsm_inode_region(inode);
	unsigned int flags = iocb->ki_flags & IOCB_NOWAIT ? DSM_GET_NOWAIT : 0;
	unsigned int tries = 0;
	ssize_t done = 0;

	while (iov_iter_count(to)) {
		loff_t size = i_size_read(inode);
		struct span s;
		ssize_t n;

		if (iocb->ki_pos >= size)
			break;
		s = span_at(iocb->ki_pos, min_t(loff_t, iov_iter_count(to),
						size - iocb->ki_pos));
		dsm_prefetch_ahead(r, s.index, DSM_RIGHT_READ,
				   DIV_ROUND_UP(size, PAGE_SIZE));
		n = copy_out(r, s, flags, to);
		if (n < 0)
			return done ?: n;
		iocb->ki_pos += n;
		done += n;
		if (n) {
			tries = 0;
			continue;
		}
		if (fault_in_iov_iter_writeable(to, s.len) == s.len ||
		    ++tries > MAX_TRIES)
			return done ?: -EFAULT;
	}
	file_accessed(iocb->ki_filp);
	return done;
}

static ssize_t write_pages(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct dsm_region *r = dsm_inode_region(inode);
	unsigned int flags = iocb->ki_flags & IOCB_NOWAIT ? DSM_GET_NOWAIT : 0;
	unsigned int tries = 0;
	ssize_t done = 0;

	while (iov_iter_count(from)) {
		struct span s = span_at(iocb->ki_pos, iov_iter_count(from));
		ssize_t n;

		if (fault_in_iov_iter_readable(from, s.len) == s.len)
			return done ?: -EFAULT;
		dsm_prefetch_ahead(r, s.index, DSM_RIGHT_WRITE,
				   DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE));
		n = copy_in(inode, s, flags, from);
		if (n < 0)
			return done ?: n;
		iocb->ki_pos += n;
		done += n;
		tries = n ? 0 : tries + 1;
		if (tries > MAX_TRIES)
			return done ?: -EFAULT;
	}
	return done;
}

static int lock_inode(struct inode *inode, bool nowait)
{
	if (nowait)
		return inode_trylock(inode) ? 0 : -EAGAIN;
	return down_write_killable(&inode->i_rwsem) ? -EINTR : 0;
}

/* Make the file long enough for all nodes. */
static int make_room(struct kiocb *iocb, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	/* Once: who is to try again must not have got room already. */
	if (iocb->ki_flags & IOCB_NOWAIT &&
	    (iocb->ki_flags & IOCB_APPEND || iocb->ki_pos + len > i_size_read(inode)))
		return -EAGAIN;
	if (iocb->ki_flags & IOCB_APPEND)
		return dsm_inode_append(inode, len, &iocb->ki_pos);
	return dsm_inode_extend(inode, iocb->ki_pos + len);
}

/**
 * dsm_file_write_iter() - write to a file of dsmfs
 * @iocb:	file and position
 * @from:	what
 *
 * The file is as long as it is going to be on every node before the first byte
 * is written.  With O_APPEND the range is reserved at the master, so appends
 * of several nodes do not overlap.  With IOCB_NOWAIT a file does not get longer.
 *
 * Context: process; sleeps, killable.
 * Return: bytes written, or as dsm_file_read_iter(), -ENOSPC, -EFBIG.
 */
ssize_t dsm_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n = lock_inode(inode, iocb->ki_flags & IOCB_NOWAIT);

	if (n)
		return n;
	n = generic_write_checks(iocb, from);
	if (n > 0)
		n = kiocb_modified(iocb) ?: n;
	if (n > 0)
		n = make_room(iocb, n) ?: n;
	inode_unlock(inode);
	if (n <= 0)
		return n;
	return write_pages(iocb, from);
}
