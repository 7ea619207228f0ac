// SPDX-License-Identifier: GPL-2.0
/*
 * Regions and the records of their pages.
 *
 * Normal operation: a record is made when a page is first asked for, here or by
 * a node whose home this is, and unhashed again when it says nothing: no copy,
 * no request, no directory entry.  Lookup is under RCU; whoever finds a record
 * takes its lock and then checks that it is not DEAD.
 *
 * A record holds a reference to its region, a region is freed last.
 */
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "cluster.h"
#include "node.h"
#include "region.h"

static struct kmem_cache *entry_cache;

int dsm_engine_init(void)
{
	entry_cache = KMEM_CACHE(dsm_entry, SLAB_HWCACHE_ALIGN);
	return entry_cache ? 0 : -ENOMEM;
}

void dsm_engine_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(entry_cache);
}

/* ---- records ---- */

static void entry_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(entry_cache, container_of(rcu, struct dsm_entry, rcu));
}

void dsm_entry_hold(struct dsm_entry *e)
{
	refcount_inc(&e->refs);
}

void dsm_entry_put(struct dsm_entry *e)
{
	struct dsm_region *r = e->region;

	if (!refcount_dec_and_test(&e->refs))
		return;
	if (e->dir)
		kfree(e->dir->busy);
	kfree(e->dir);
	atomic_long_dec(&r->nr_entries);
	call_rcu(&e->rcu, entry_free_rcu);
	dsm_region_put(r);
}

struct dsm_entry *dsm_entry_find(struct dsm_region *r, u64 index)
{
	struct dsm_entry *e;

	rcu_read_lock();
	e = xa_load(&r->entries, index);
	if (e && !refcount_inc_not_zero(&e->refs))
		e = NULL;
	rcu_read_unlock();
	return e;
}

struct dsm_entry *dsm_entry_next(struct dsm_region *r, u64 index)
{
	unsigned long at = index;
	struct dsm_entry *e;

	rcu_read_lock();
	do {
		e = xa_find(&r->entries, &at, ULONG_MAX, XA_PRESENT);
		if (e && refcount_inc_not_zero(&e->refs))
			break;
		at++;
	} while (e && at);
	rcu_read_unlock();
	return e;
}

static struct dsm_entry *entry_create(struct dsm_region *r, u64 index, gfp_t gfp)
{
	struct dsm_entry *e = kmem_cache_zalloc(entry_cache, gfp);

	if (!e)
		return NULL;
	spin_lock_init(&e->lock);
	refcount_set(&e->refs, 2);
	e->region = r;
	e->index = index;
	dsm_page_init(&e->core);
	e->slot = DSM_NO_SLOT;
	init_waitqueue_head(&e->wait);
	dsm_revoke_init(e);
	return e;
}

struct dsm_entry *dsm_entry_get(struct dsm_region *r, u64 index, gfp_t gfp)
{
	struct dsm_entry *e;
	int err;

	for (;;) {
		e = dsm_entry_find(r, index);
		if (e)
			return e;
		e = entry_create(r, index, gfp);
		if (!e)
			return NULL;
		refcount_inc(&r->refs);
		atomic_long_inc(&r->nr_entries);
		err = xa_insert_bh(&r->entries, index, e, gfp);
		if (!err)
			return e;
		refcount_set(&e->refs, 1);
		dsm_entry_put(e);
		if (err != -EBUSY)
			return NULL;
	}
}

void dsm_entry_prune_locked(struct dsm_entry *e)
{
	lockdep_assert_held(&e->lock);
	if (!dsm_page_idle(&e->core) || (e->dir && !dsm_dir_idle(e->dir)) ||
	    refcount_read(&e->refs) != 2 || test_bit(DSM_EF_DEAD, &e->flags))
		return;
	__set_bit(DSM_EF_DEAD, &e->flags);
	xa_erase_bh(&e->region->entries, e->index);
	refcount_dec(&e->refs);
}

struct page *dsm_entry_detach_locked(struct dsm_entry *e)
{
	struct page *page = e->page;

	lockdep_assert_held(&e->lock);
	if (test_bit(DSM_EF_ZERO, &e->flags))
		__clear_bit(DSM_EF_ZERO, &e->flags);
	else if (!page)
		return NULL;
	e->page = NULL;
	__clear_bit(DSM_EF_UNPAID, &e->flags);
	atomic_long_dec(&e->region->nr_resident);
	atomic_long_dec(&e->region->cluster->nr_resident);
	if (page)
		page->mapping = NULL;
	return page;
}

void dsm_entry_attach_locked(struct dsm_entry *e, struct page *page)
{
	lockdep_assert_held(&e->lock);
	e->page = page;
	__set_bit(page ? DSM_EF_UNPAID : DSM_EF_ZERO, &e->flags);
	atomic_long_inc(&e->region->nr_resident);
	atomic_long_inc(&e->region->cluster->nr_resident);
}

/* ---- regions ---- */

struct dsm_region *dsm_region_create(struct dsm_cluster *c, u32 id, u32 gen,
				     const struct dsm_place *place)
{
	struct dsm_region *r = kzalloc(sizeof(*r), GFP_KERNEL);
	int err;

	if (!r)
		return ERR_PTR(-ENOMEM);
	r->cluster = c;
	r->id = id;
	r->gen = gen;
	r->successor = DSM_NODE_NONE;
	refcount_set(&r->refs, 1);
	seqlock_init(&r->place_lock);
	r->place = *place;
	xa_init_flags(&r->entries, XA_FLAGS_LOCK_BH);
	init_rwsem(&r->mapping_lock);
	err = xa_insert_bh(&c->regions, id, r, GFP_KERNEL);
	if (err) {
		kfree(r);
		return ERR_PTR(err);
	}
	if ((s32)(id - READ_ONCE(c->max_region)) > 0)
		WRITE_ONCE(c->max_region, id);
	return r;
}

struct dsm_region *dsm_region_find(struct dsm_cluster *c, u32 id)
{
	struct dsm_region *r;

	rcu_read_lock();
	r = xa_load(&c->regions, id);
	if (r && !refcount_inc_not_zero(&r->refs))
		r = NULL;
	rcu_read_unlock();
	return r;
}

void dsm_region_put(struct dsm_region *r)
{
	if (!refcount_dec_and_test(&r->refs))
		return;
	xa_destroy(&r->entries);
	kfree_rcu(r, rcu);
}

static void entry_kill(struct dsm_entry *e)
{
	struct page *page;

	spin_lock_bh(&e->lock);
	if (test_and_set_bit(DSM_EF_DEAD, &e->flags)) {
		spin_unlock_bh(&e->lock);
		return;
	}
	xa_erase_bh(&e->region->entries, e->index);
	page = dsm_entry_detach_locked(e);
	dsm_entry_release_slot_locked(e);
	dsm_page_init(&e->core);
	wake_up_all(&e->wait);
	spin_unlock_bh(&e->lock);
	hrtimer_cancel(&e->timer);
	if (e->timer_armed)
		dsm_entry_put(e);
	if (cancel_delayed_work_sync(&e->revoke_work))
		dsm_entry_put(e);
	if (page)
		put_page(page);
	dsm_entry_put(e);
}

void dsm_region_destroy(struct dsm_region *r)
{
	struct dsm_entry *e;

	WRITE_ONCE(r->dead, true);
	xa_erase_bh(&r->cluster->regions, r->id);
	/* Whoever found the region before has made its entry after this. */
	synchronize_rcu();
	while ((e = dsm_entry_next(r, 0))) {
		entry_kill(e);
		dsm_entry_put(e);
		cond_resched();
	}
	dsm_region_put(r);
}

void dsm_region_attach(struct dsm_region *r, struct address_space *mapping)
{
	down_write(&r->mapping_lock);
	r->mapping = mapping;
	up_write(&r->mapping_lock);
}

/* No one maps the file here any more: no page may point to the inode. */
void dsm_region_detach(struct dsm_region *r)
{
	struct dsm_entry *e;
	u64 index = 0;

	down_write(&r->mapping_lock);
	r->mapping = NULL;
	up_write(&r->mapping_lock);
	while ((e = dsm_entry_next(r, index))) {
		index = e->index + 1;
		spin_lock_bh(&e->lock);
		if (e->page)
			e->page->mapping = NULL;
		spin_unlock_bh(&e->lock);
		dsm_entry_put(e);
		cond_resched();
		if (!index)
			break;
	}
}

u64 dsm_region_next(struct dsm_region *r, u64 index)
{
	unsigned long at = index;

	/* Not xa_empty(): a record for which there was no memory leaves nodes behind. */
	return xa_find(&r->entries, &at, ULONG_MAX, XA_PRESENT) ? at : U64_MAX;
}

bool dsm_region_touched(struct dsm_region *r)
{
	return dsm_region_next(r, 0) != U64_MAX;
}

int dsm_region_freeze(struct dsm_region *r)
{
	int err = 0;

	/* Who makes a record has had the lock before, and is seen, or has it later, and sees. */
	xa_lock_bh(&r->entries);
	if (dsm_region_touched(r))
		err = -EBUSY;
	else
		WRITE_ONCE(r->frozen, true);
	xa_unlock_bh(&r->entries);
	return err;
}

void dsm_region_thaw(struct dsm_region *r)
{
	/* Pairs with dsm_region_is_frozen(): who sees it sees the placement. */
	smp_store_release(&r->frozen, false);
}

bool dsm_region_is_frozen(struct dsm_region *r)
{
	/* Pairs with dsm_region_thaw(). */
	return smp_load_acquire(&r->frozen);
}

u16 dsm_region_home(struct dsm_region *r, u64 index)
{
	unsigned int seq;
	u16 home;

	do {
		seq = read_seqbegin(&r->place_lock);
		home = dsm_place_home(&r->place, index);
	} while (read_seqretry(&r->place_lock, seq));
	return home;
}

void dsm_region_set_place(struct dsm_region *r, const struct dsm_place *place)
{
	write_seqlock_bh(&r->place_lock);
	r->place = *place;
	write_sequnlock_bh(&r->place_lock);
}

void dsm_region_get_place(struct dsm_region *r, struct dsm_place *place)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&r->place_lock);
		*place = r->place;
	} while (read_seqretry(&r->place_lock, seq));
}

void dsm_region_rehome(struct dsm_region *r, u16 leaver, u16 successor)
{
	write_seqlock_bh(&r->place_lock);
	dsm_place_rehome(&r->place, leaver, successor);
	write_sequnlock_bh(&r->place_lock);
}
