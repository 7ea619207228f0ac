/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A region: the pages of one file, as this node sees them.  region.c keeps the
 * records of the pages, engine.c runs the core over them, fault.c, io.c and
 * evict.c are its users.
 */
#ifndef DSM_REGION_H
#define DSM_REGION_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/refcount.h>

#include "cluster_types.h"
#include "core/place.h"
#include "core/step.h"

/**
 * struct dsm_entry - record of a page
 * @lock:	protects @core, @dir, @page, @flags; taken with BH disabled
 * @refs:	one for the region, one for each user
 * @flags:	DSM_EF_*
 * @region:	the region, which outlives its entries
 * @index:	the page
 * @core:	the page machine
 * @dir:	the directory entry; NULL if this node never was its home
 * @page:	the copy; set exactly while dsm_page_has_copy(@core)
 * @wait:	woken by WAKE
 * @revoke_right: what the revocation under way leaves
 * @revoke_must: it must succeed in the end
 * @revoke_work: the revocation
 * @timer:	of the hold time
 * @rcu:	frees the entry
 */
struct dsm_entry {
	spinlock_t lock;
	refcount_t refs;
	unsigned long flags;
	struct dsm_region *region;
	u64 index;
	struct dsm_page core;
	struct dsm_dir *dir;
	struct page *page;
	wait_queue_head_t wait;
	u8 revoke_right;
	bool revoke_must;
	struct work_struct revoke_work;
	struct hrtimer timer;
	struct rcu_head rcu;
};

#define DSM_EF_PREFETCHED	0	/* fetched ahead and not used yet */
#define DSM_EF_USED		1	/* second chance for eviction */
#define DSM_EF_DEAD		2	/* unhashed; look the page up again */

/**
 * struct dsm_region - a region
 * @cluster:	the cluster
 * @id:		never reused in the life of the cluster, not 0
 * @gen:	generation
 * @refs:	references
 * @dead:	no new accesses; messages are dropped
 * @place_lock:	seqlock for @place: read in any context, written by metadata
 * @place:	which node is home of which page
 * @entries:	index -> struct dsm_entry; lookup under RCU
 * @mapping:	of the inode while there is one here, else NULL; see
 *		dsm_region_attach()
 * @mapping_lock: read-locked while @mapping is used
 * @nr_resident: copies here, pages
 * @nr_entries:	records here
 * @evict_cursor: where eviction goes on
 * @last_fault:	per-region stream detection, racy on purpose
 * @kobj:	/sys/fs/dsm/regions/<name>
 */
struct dsm_region {
	struct dsm_cluster *cluster;
	u32 id;
	u32 gen;
	refcount_t refs;
	bool dead;
	seqlock_t place_lock;
	struct dsm_place place;
	struct xarray entries;
	struct address_space *mapping;
	struct rw_semaphore mapping_lock;
	atomic_long_t nr_resident;
	atomic_long_t nr_entries;
	unsigned long evict_cursor;
	u64 last_fault;
	struct kobject *kobj;
};

/* ---- life, called by the metadata layer; process context ---- */

/* Return: the region with one reference, hashed under @id; ERR_PTR(-ENOMEM). */
struct dsm_region *dsm_region_create(struct dsm_cluster *c, u32 id, u32 gen,
				     const struct dsm_place *place);
/* No node uses it any more: drop all pages without asking; puts the reference. */
void dsm_region_destroy(struct dsm_region *r);
struct dsm_region *dsm_region_find(struct dsm_cluster *c, u32 id);
void dsm_region_put(struct dsm_region *r);

/* The inode of the region appears or goes on this node. */
void dsm_region_attach(struct dsm_region *r, struct address_space *mapping);
void dsm_region_detach(struct dsm_region *r);

/* Was any page of it ever touched here? */
bool dsm_region_touched(struct dsm_region *r);
void dsm_region_set_place(struct dsm_region *r, const struct dsm_place *place);
void dsm_region_get_place(struct dsm_region *r, struct dsm_place *place);

/**
 * dsm_region_zap() - make pages zero for everyone (truncate, punch hole)
 * @r:		the region
 * @start:	first page
 * @nr:		number of pages, may be huge
 *
 * Does so for the pages whose home this node is; the metadata layer calls it on
 * every node.  The caller made sure that new faults fail (i_size) or may see
 * either content (hole).
 *
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int dsm_region_zap(struct dsm_region *r, u64 start, u64 nr);

/* Leaving, in this order: directory to the successor, placement, then pages. */
int dsm_region_handoff(struct dsm_region *r, u16 successor);
void dsm_region_rehome(struct dsm_region *r, u16 leaver, u16 successor);
int dsm_region_evict_all(struct dsm_region *r, unsigned long deadline);

/* Pages of the region whose copy is here, for statfs and sysfs. */
static inline u64 dsm_region_nr_resident(struct dsm_region *r)
{
	return atomic_long_read(&r->nr_resident);
}

/* ---- access; process context ---- */

#define DSM_GET_NOWAIT		0x1	/* -EAGAIN instead of waiting */
#define DSM_GET_PREFETCH	0x2	/* started by prefetch */

/**
 * dsm_page_acquire() - get the right to a page and a reference to it, locked
 * @r:		the region
 * @index:	the page
 * @right:	READ or WRITE
 * @flags:	DSM_GET_*
 * @page:	the page, locked, with a reference
 *
 * While the page is locked the right stays: unlock_page() and put_page() soon.
 *
 * Return: 0; -EAGAIN (NOWAIT), -EINTR (fatal signal), -ETIMEDOUT, -EIO (lost),
 * -ENOMEM, -ESTALE (the region is gone), -ENOTCONN (not a member any more).
 */
int dsm_page_acquire(struct dsm_region *r, u64 index, u8 right,
		     unsigned int flags, struct page **page);

/* Start to fetch pages for reading; never waits. */
void dsm_page_prefetch(struct dsm_region *r, u64 index, unsigned int nr);
/* Give up the copies in a range; waits: 0, -EINTR, -EBUSY if some stayed. */
int dsm_page_evict_range(struct dsm_region *r, u64 start, u64 nr);

extern const struct vm_operations_struct dsm_vm_ops;
ssize_t dsm_file_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t dsm_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
int dsm_file_mmap(struct file *file, struct vm_area_struct *vma);

/* Set by inode.c when the inode is set up, so that the engine needs no inode.h. */
static inline struct dsm_region *dsm_inode_region(struct inode *inode)
{
	return inode->i_private;
}

/* ---- the engine ---- */

int dsm_engine_init(void);
void dsm_engine_exit(void);
/* Per cluster: shrinker, eviction. */
int dsm_engine_start(struct dsm_cluster *c);
void dsm_engine_stop(struct dsm_cluster *c);

/**
 * dsm_engine_rx() - a message of the page protocol came
 * @c:		the cluster
 * @m:		the message, decoded
 * @page:	the page that came with it, or NULL; set to NULL if kept
 * @set:	the sharers if MOVE
 *
 * Return: 0, or -EPROTO if the sender broke the protocol.
 *
 * Context: softirq, or process with BH disabled; per sender in order.  The
 * caller calls dsm_node_flush() after the last message of a batch.
 */
int dsm_engine_rx(struct dsm_cluster *c, const struct dsm_msg *m,
		  struct page **page, const struct dsm_nodeset *set);

#endif
