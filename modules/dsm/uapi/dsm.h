/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* ioctls on a file of dsmfs. */
#ifndef _UAPI_LINUX_DSM_H
#define _UAPI_LINUX_DSM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* f_type of statfs(2). */
#define DSM_SUPER_MAGIC		0x6d656d73

/* Placement policies, see Documentation/admin-guide/dsm. */
#define DSM_PLACE_BLOCK		0	/* unit pages to a node, then the next */
#define DSM_PLACE_INTERLEAVE	1	/* page by page over the nodes */
#define DSM_PLACE_NODE		2	/* all on one node */

/**
 * struct dsm_ioc_place - home placement of a range of pages
 * @start:	first page
 * @nr:		number of pages; 0: to the end of any file
 * @unit:	DSM_PLACE_BLOCK: pages a block
 * @policy:	DSM_PLACE_*
 * @node:	DSM_PLACE_NODE: the node
 */
struct dsm_ioc_place {
	__u64 start;
	__u64 nr;
	__u64 unit;
	__u32 policy;
	__u32 node;
};

/**
 * struct dsm_ioc_range - a range of pages
 * @start:	first page
 * @nr:		number of pages
 */
struct dsm_ioc_range {
	__u64 start;
	__u64 nr;
};

/**
 * struct dsm_ioc_page - what this node knows of a page
 * @page:	in: the page
 * @home:	its home
 * @right:	0 none, 1 read, 2 write: what this node may do right now
 * @state:	name of the state of the page machine
 * @dir_state:	name of the state of the directory entry, empty if not home
 */
struct dsm_ioc_page {
	__u64 page;
	__u32 home;
	__u32 right;
	char state[16];
	char dir_state[16];
};

/**
 * struct dsm_ioc_resident - where the pages of a range are, as this node knows it
 * @start:	in: first page
 * @nr:		in: number of pages; out: how many of them the file has
 * @exclusive:	here and nowhere else
 * @shared:	here, and others may have it as well
 * @moving:	here, about to go
 * @remote:	not here, but homed here: on others
 * @untouched:	homed here: no one has it, no one wrote it
 * @elsewhere:	neither here nor homed here: its home knows
 */
struct dsm_ioc_resident {
	__u64 start;
	__u64 nr;
	__u64 exclusive;
	__u64 shared;
	__u64 moving;
	__u64 remote;
	__u64 untouched;
	__u64 elsewhere;
};

/**
 * struct dsm_ioc_adopt - memory of a process that is to become pages of the file
 * @addr:	where it is
 * @len:	how much
 * @offset:	where in the file it is to be
 * @pidfd:	the process; -1: the caller
 * @flags:	0
 *
 * @addr, @len and @offset are multiples of the page size.
 */
struct dsm_ioc_adopt {
	__u64 addr;
	__u64 len;
	__u64 offset;
	__s32 pidfd;
	__u32 flags;
};

/**
 * struct dsm_ioc_notify - one end of a remote notification
 * @fd:		an eventfd
 * @node:	DSM_NOTIFY_SEND: the node that is to be notified, which may be this one; else 0
 * @key:	names the listener: one a node, a file and a key
 * @flags:	DSM_NOTIFY_SEND: when @fd is signalled here, who listens there is notified;
 *		0: to listen, @fd is signalled
 * @pad:	0
 */
struct dsm_ioc_notify {
	__s32 fd;
	__u32 node;
	__u64 key;
	__u32 flags;
	__u32 pad;
};

#define DSM_NOTIFY_SEND		(1u << 0)

/*
 * SET_PLACE	choose homes; EBUSY once a page of the file was ever touched
 * GET_PLACE	@start in: any page; out: the range it is in
 * EVICT	give up the local copies in a range (tests, tuning)
 * PAGE		look at a page (tests)
 * PREFETCH	start to fetch a range for reading
 * RESIDENT	count pages by where they are
 * ADOPT	make private anonymous memory of a process a shared mapping of the
 *		file, where it is and as it is, while its threads run; EOPNOTSUPP on
 *		a kernel without patches/linux-6.12; else see
 *		Documentation/admin-guide/dsm/share.rst
 * NOTIFY	connect an eventfd to one on another node; returns a descriptor that ends it
 *		when it is closed.  Sending takes a file open for writing, listening one open
 *		for reading, EBADF; EEXIST if the key has a listener here.  Counts are not
 *		transferred: several signals may become one.  Without a listener, or when the
 *		node is lost, a notification is dropped.  fsync(2) of a sender's descriptor
 *		waits until what was signalled before, by any sender here to the same node, has
 *		arrived there; ETIMEDOUT after 2 s
 */
#define DSM_IOC_MAGIC		0xd5
#define DSM_IOC_SET_PLACE	_IOW(DSM_IOC_MAGIC, 1, struct dsm_ioc_place)
#define DSM_IOC_GET_PLACE	_IOWR(DSM_IOC_MAGIC, 2, struct dsm_ioc_place)
#define DSM_IOC_EVICT		_IOW(DSM_IOC_MAGIC, 3, struct dsm_ioc_range)
#define DSM_IOC_PAGE		_IOWR(DSM_IOC_MAGIC, 4, struct dsm_ioc_page)
#define DSM_IOC_PREFETCH	_IOW(DSM_IOC_MAGIC, 5, struct dsm_ioc_range)
#define DSM_IOC_RESIDENT	_IOWR(DSM_IOC_MAGIC, 6, struct dsm_ioc_resident)
#define DSM_IOC_ADOPT		_IOW(DSM_IOC_MAGIC, 7, struct dsm_ioc_adopt)
#define DSM_IOC_NOTIFY		_IOW(DSM_IOC_MAGIC, 8, struct dsm_ioc_notify)

#endif
