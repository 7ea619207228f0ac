/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A region: the pages of one file, as this node sees them.  region.c keeps the
 * records of the pages, engine.c runs the core over them, fault.c, mmap.c, io.c and
 * evict.c are its users.
 */
#ifndef DSM_REGION_H
#define DSM_REGION_H

#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/refcount.h>

#include "cluster_types.h"
#include "core/place.h"
#include "core/step.h"

struct dsm_ioc_resident;
struct mem_cgroup;

/**
 * struct dsm_entry - record of a page
 * @lock:	protects @core, @dir, @page, @flags; taken with BH disabled
 * @refs:	one for the region, one for each user
 * @flags:	DSM_EF_*
 * @region:	the region, which outlives its entries
 * @index:	the page
 * @core:	the page machine
 * @dir:	the directory entry; NULL if this node never was its home
 * @page:	the copy; set while dsm_page_has_copy(@core), unless ZERO
 * @slot:	in dsm_cluster.pending, or DSM_NO_SLOT
 * @wait:	woken by WAKE
 * @revoke_right: what the revocation under way leaves
 * @revoke_must: it must succeed in the end
 * @revoking:	it is under way
 * @revoke_start: when it began
 * @revoke_warned: the user of the page was reported
 * @revoke_work: the revocation
 * @revoke_node: … or in the list of those done at once; has a reference
 * @user:	whom it was asked for, see hold.h
 * @sent_us:	when the request, or the PUT, went out, low bits
 * @timer:	of the hold time
 * @timer_armed: there is a reference for it
 * @rcu:	frees the entry
 */
struct dsm_entry {
	spinlock_t lock; /* see above */
	refcount_t refs;
	unsigned long flags;
	struct dsm_region *region;
	u64 index;
	struct dsm_page core;
	struct dsm_dir *dir;
	struct page *page;
	u16 slot;
	u8 user;
	u32 sent_us;
	wait_queue_head_t wait;
	u8 revoke_right;
	bool revoke_must;
	bool revoke_warned;
	ktime_t revoke_start;
	bool revoking;
	struct delayed_work revoke_work;
	struct llist_node revoke_node;
	struct hrtimer timer;
	bool timer_armed;
	struct rcu_head rcu;
};

#define DSM_NO_SLOT		0xffffu

#define DSM_EF_PREFETCHED	0	/* fetched ahead and not used yet */
#define DSM_EF_USED		1	/* second chance for eviction */
#define DSM_EF_DEAD		2	/* unhashed; look the page up again */
#define DSM_EF_ZERO		3	/* a copy of zeroes, @page not allocated yet */
#define DSM_EF_UNPAID		4	/* no one here has used @page, see charge.c */
#define DSM_EF_TIMED_OUT	5	/* someone waited in vain, and no one got it since */

/**
 * struct dsm_stream - what a thread read or wrote last, to see what it wants next
 * @last:	page of its last fault
 * @stride:	distance to the one before
 * @ahead:	prefetch was started up to here, exclusive
 * @window:	pages to stay ahead
 */
struct dsm_stream {
	u64 last;
	s64 stride;
	u64 ahead;
	u32 window;
};

#define DSM_NR_STREAMS	16

/**
 * struct dsm_region - a region
 * @cluster:	the cluster
 * @id:		never reused in the life of the cluster, not 0
 * @gen:	generation
 * @refs:	references
 * @dead:	no new accesses; messages are dropped
 * @place_lock:	seqlock for @place: read in any context, written by metadata
 * @place:	which node is home of which page
 * @frozen:	the master may change @place next, until then no page is asked
 *		for; written under dsm_meta.lock
 * @entries:	index -> struct dsm_entry; lookup under RCU
 * @mapping:	of the inode while there is one here, else NULL; see
 *		dsm_region_attach()
 * @mapping_lock: read-locked while @mapping is used
 * @nr_resident: copies here, pages
 * @nr_entries:	records here
 * @evict_cursor: where eviction goes on; lockless
 * @successor:	while this node leaves: the new home of its pages, else NONE
 * @user:	who asked for a page last, see hold.h; lockless
 * @reads:	streams of reads, hashed by thread, racy on purpose
 * @writes:	likewise, of writes
 * @kobj:	/sys/fs/dsm/regions/<name>
 * @rcu:	frees the region
 */
struct dsm_region {
	struct dsm_cluster *cluster;
	u32 id;
	u32 gen;
	refcount_t refs;
	bool dead;
	seqlock_t place_lock;
	struct dsm_place place;
	bool frozen;
	struct xarray entries;
	struct address_space *mapping;
	struct rw_semaphore mapping_lock;
	atomic_long_t nr_resident;
	atomic_long_t nr_entries;
	unsigned long evict_cursor;
	u16 successor;
	u8 user;
	struct dsm_stream reads[DSM_NR_STREAMS];
	struct dsm_stream writes[DSM_NR_STREAMS];
	struct kobject *kobj;
	struct rcu_head rcu;
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
/* If not, none is until it is thawed: 0; else -EBUSY.  For the metadata layer. */
int dsm_region_freeze(struct dsm_region *r);
void dsm_region_thaw(struct dsm_region *r);
/* To be asked once the record of the page is there, with its lock.  Any context. */
bool dsm_region_is_frozen(struct dsm_region *r);
void dsm_region_set_place(struct dsm_region *r, const struct dsm_place *place);
void dsm_region_get_place(struct dsm_region *r, struct dsm_place *place);

/**
 * dsm_region_zap() - make pages zero for everyone (truncate, punch hole)
 * @r:		the region
 * @master:	who wants it
 * @start:	first page
 * @nr:		number of pages, may be huge
 *
 * Does so for the pages whose home this node is; the metadata layer calls it on
 * every node.  The caller made sure that new faults fail (i_size) or may see
 * either content (hole).
 *
 * Return: 0, -ETIMEDOUT, -EINTR; -EREMCHG if another node is the master by now; -EIO if
 * some pages are lost, when all others are zero.
 */
int dsm_region_zap(struct dsm_region *r, u16 master, u64 start, u64 nr);

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
#define DSM_GET_AGAIN		0x2	/* it is got once more before it is used */
#define DSM_GET_RETRY		0x4	/* there was a wait; not another one if that was in vain */

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
 * The first access to a copy pays for it, see charge.h.
 *
 * Return: 0; -EAGAIN (NOWAIT), -EINTR (fatal signal), -ETIMEDOUT, -EIO (lost),
 * -ENOMEM, -ENOSPC (no room anywhere), -ESTALE (the region is gone), -ENOTCONN (not
 * a member any more).
 */
int dsm_page_acquire(struct dsm_region *r, u64 index, u8 right,
		     unsigned int flags, struct page **page);
/* Likewise for a fault, and say in @right what right there is, which may be more. */
int dsm_page_acquire_most(struct dsm_region *r, u64 index, u8 *right,
			  unsigned int flags, struct vm_fault *vmf, struct page **page);

/**
 * dsm_page_wait() - wait for the right to a page, but do not take the page
 * @r:		the region
 * @index:	the page
 * @right:	READ or WRITE
 * @timeout_ms:	how long at most
 *
 * Return: as dsm_page_acquire(); 0 promises nothing, but holds for hold_us.
 */
int dsm_page_wait(struct dsm_region *r, u64 index, u8 right, u32 timeout_ms);

/* Likewise for @us microseconds, then -EAGAIN, and not for memory. */
int dsm_page_wait_soon(struct dsm_region *r, u64 index, u8 right, u32 us);

/*
 * Is there someone left who could answer what the record asked for?  With the lock held.
 * Return: 0, -EIO, -ENOTCONN (not a member any more).
 */
int dsm_entry_check_answerers(const struct dsm_entry *e);

/* Start to fetch pages for reading; waits only while too many requests are out. */
int dsm_page_prefetch(struct dsm_region *r, u64 index, u64 nr);
void dsm_prefetch_write(struct dsm_region *r, u64 index, u8 user);
void dsm_prefetch_untouched(struct dsm_region *r, u64 index);
/* resident.c */
int dsm_region_resident(struct dsm_region *r, u64 start, u64 end,
			struct dsm_ioc_resident *res);
/* Give up the copies in a range; waits: 0, -EINTR, -EBUSY if some stayed. */
int dsm_page_evict_range(struct dsm_region *r, u64 start, u64 nr);

extern const struct vm_operations_struct dsm_vm_ops;
ssize_t dsm_file_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t dsm_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
int dsm_file_mmap(struct file *file, struct vm_area_struct *vma);

/*
 * Provided by the metadata side for write(2): the size grows on every node.
 *
 * dsm_inode_extend(): the file is at least @end bytes long afterwards.
 * dsm_inode_append(): reserve @len bytes at the end; @pos is where they begin.
 *
 * Return: 0, -ENOSPC, -EFBIG, -EIO, -EINTR.  Context: process, inode locked.
 */
int dsm_inode_extend(struct inode *inode, loff_t end);
int dsm_inode_append(struct inode *inode, size_t len, loff_t *pos);

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

/* Likewise for a grant without a head: @m lacks what the requester knows. */
int dsm_engine_rx_compact(struct dsm_cluster *c, struct dsm_msg *m,
			  struct page **page);

/* The view has changed: whoever waits for an answer looks whether one can come. */
void dsm_engine_view_changed(struct dsm_cluster *c);

/* ---- inside the engine ---- */

/**
 * dsm_engine_handle() - a message that waited, again
 * @c:		the cluster
 * @m:		message
 * @page:	its data; NULL afterwards if it was taken
 * @set:	its nodes, may be NULL
 *
 * Context: BH disabled.  Return: 0, -EPROTO, or -EAGAIN, -ENOMEM, -EBUSY (frozen): try
 * again later.
 */
int dsm_engine_handle(struct dsm_cluster *c, const struct dsm_msg *m,
		      struct page **page, const struct dsm_nodeset *set);

/** dsm_engine_refuse() - it has waited too long: count and log it */
void dsm_engine_refuse(struct dsm_cluster *c, const struct dsm_msg *m);

/* The request is over, or the record is: its slot is free again. */
void dsm_entry_release_slot_locked(struct dsm_entry *e);

/* Return: the record with a reference, or NULL if there is none. */
struct dsm_entry *dsm_entry_find(struct dsm_region *r, u64 index);
/* Return: the record with a reference, made if need be; NULL without memory. */
struct dsm_entry *dsm_entry_get(struct dsm_region *r, u64 index, gfp_t gfp);
void dsm_entry_hold(struct dsm_entry *e);
void dsm_entry_put(struct dsm_entry *e);
/* The first record at or after @index with a reference, or NULL. */
struct dsm_entry *dsm_entry_next(struct dsm_region *r, u64 index);
/* Unhash the record if it says nothing; @lock held, caller has a reference. */
void dsm_entry_prune_locked(struct dsm_entry *e);
/* The page of the first record at or after @index, or U64_MAX. */
u64 dsm_region_next(struct dsm_region *r, u64 index);
u16 dsm_region_home(struct dsm_region *r, u64 index);

/* The page of the record is gone from it; the reference is the caller's. */
struct page *dsm_entry_detach_locked(struct dsm_entry *e);
void dsm_entry_attach_locked(struct dsm_entry *e, struct page *page);

/**
 * dsm_entry_event_locked() - a local event of the page machine
 * @e:		the record
 * @local:	enum dsm_page_event, but none of those below
 * @target:	EVICT: a node with room
 *
 * Return: 0; -ENOMEM: nothing happened; -EINVAL: the event was not legal.
 *
 * Context: @lock held; dsm_node_flush() after it is dropped.
 */
int dsm_entry_event_locked(struct dsm_entry *e, u8 local, u16 target);

/**
 * dsm_entry_ask_locked() - ask for the right to a page
 * @e:		the record, in state I or S: no request is out
 * @right:	enum dsm_right
 * @hold_us:	microseconds the page is to be held
 * @grace_us:	microseconds at most until it is used; 0: no one waits for it
 *
 * Return, Context: as of dsm_entry_event_locked().
 */
int dsm_entry_ask_locked(struct dsm_entry *e, u8 right, u32 hold_us, u32 grace_us);

/**
 * dsm_entry_used_locked() - whoever waited for a page has it, and its lock
 * @e:		the record
 *
 * Context: @lock held, and the lock of the page.
 */
void dsm_entry_used_locked(struct dsm_entry *e);
int dsm_entry_handoff_locked(struct dsm_entry *e, u16 successor);

/**
 * dsm_entry_reserve() - get the memory that an event found missing
 * @e:		the record, not locked
 *
 * The next event of the record does not lack it, unless another one comes first.
 *
 * Return: 0 or -ENOMEM.
 *
 * Context: process; sleeps.
 */
int dsm_entry_reserve(struct dsm_entry *e);

/* revoke.c */
void dsm_revoke_init(struct dsm_entry *e);
/* Return: true if the page was free already, and nothing is left to do. */
bool dsm_revoke_start_locked(struct dsm_entry *e, u8 right, bool must);
/* It was done at once, but could not be reported: report it from the worker. */
void dsm_revoke_retry_locked(struct dsm_entry *e);

/* evict.c */
/* May a last copy be pushed here? */
bool dsm_evict_has_room(struct dsm_cluster *c);
/* So much over the limit that a fault has to wait for evictions? */
bool dsm_evict_is_full(struct dsm_cluster *c);
int dsm_evict_start(struct dsm_cluster *c);
void dsm_evict_stop(struct dsm_cluster *c);
/* Wait until there is room for one more page: 0, -ENOSPC, -EINTR. */
int dsm_evict_wait_room(struct dsm_cluster *c);
void dsm_evict_kick(struct dsm_cluster *c);
/* Have up to @want copies leave that are charged to a cgroup. Return: how many will. */
unsigned int dsm_evict_charged(struct dsm_cluster *c, struct mem_cgroup *memcg,
			       unsigned int want, bool force);

/* prefetch.c: a thread wants a page; look ahead. */
void dsm_prefetch_ahead(struct dsm_region *r, u64 index, u8 right, u64 nr_file_pages);
void dsm_prefetch_mapped(struct dsm_region *r, u64 index, u8 right, u64 last);

#endif
