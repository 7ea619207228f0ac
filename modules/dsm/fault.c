// SPDX-License-Identifier: GPL-2.0
/*
 * Getting a right: from a missing right to a page that is here and locked.
 *
 * Normal operation: whoever wants to access a page asks for the right and waits,
 * killable and bounded, until it is there.  The page is returned locked: a
 * revocation takes the page lock, so the right stays until the page is unlocked.
 * mmap.c and io.c are the users.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "charge.h"
#include "cluster.h"
#include "hold.h"
#include "node.h"
#include "region.h"
#include "trace.h"

/* ---- waiting for the right ---- */

/* sparse cannot follow a lock that a function returns with only if it succeeds. */
static void entry_lock(struct dsm_entry *e)
{
	spin_lock_bh(&e->lock);
	__release(&e->lock);
}

static void entry_unlock(struct dsm_entry *e)
{
	__acquire(&e->lock);
	spin_unlock_bh(&e->lock);
}

static struct dsm_entry *get_live(struct dsm_region *r, u64 index)
{
	struct dsm_entry *e;

	for (;;) {
		if (READ_ONCE(r->dead))
			return ERR_PTR(-ESTALE);
		e = dsm_entry_get(r, index, GFP_KERNEL);
		if (!e)
			return ERR_PTR(-ENOMEM);
		entry_lock(e);
		if (!test_bit(DSM_EF_DEAD, &e->flags))
			return e;
		entry_unlock(e);
		dsm_entry_put(e);
	}
}

static void put_locked(struct dsm_entry *e)
{
	dsm_entry_prune_locked(e);
	entry_unlock(e);
	dsm_entry_put(e);
}

/* How long a woken thread may take to run. */
#define GRACE_US	20000

/* In all other states a request is out, or the access has to wait first. */
static int ask(struct dsm_entry *e, u8 right, u8 user)
{
	struct dsm_cluster *c = e->region->cluster;
	u32 hold_us = READ_ONCE(c->knobs.hold_us);

	if (e->core.state != DSM_PS_I && e->core.state != DSM_PS_S)
		return 0;
	e->user = user;
	return dsm_entry_ask_locked(e, right, hold_us, GRACE_US);
}

struct fault_wait {
	struct dsm_region *r;
	u64 index;
	u8 right;
	unsigned long deadline;
	ktime_t soon;		/* -EAGAIN then, 0: no such limit */
	ktime_t start;
	bool asked;		/* the first look found no right */
	bool was_shared;	/* … but a copy for reading */
	u8 user;
};

static void fault_start(struct fault_wait *w, const struct dsm_entry *e)
{
	struct dsm_cluster *c = w->r->cluster;

	if (w->asked)
		return;
	w->asked = true;
	w->start = ktime_get();
	w->was_shared = dsm_page_right(&e->core) == DSM_RIGHT_READ;
	trace_dsm_fault_start(c, w->r->id, w->index, w->right, e->core.state);
}

static void fault_end(struct fault_wait *w, bool zero, int err)
{
	struct dsm_cluster *c = w->r->cluster;
	u64 ns;

	if (!w->asked)
		return;
	ns = ktime_to_ns(ktime_sub(ktime_get(), w->start));
	trace_dsm_fault_end(c, w->r->id, w->index, w->right, err, ns);
	if (err == -ETIMEDOUT) {
		dsm_count(c, fault_timeout);
		pr_warn_ratelimited("dsm: node %u: region %u page %llu: no answer in %llu ms; is node %u alive, or the page pinned somewhere?\n",
				    c->self, w->r->id, w->index,
				    div_u64(ns, NSEC_PER_MSEC),
				    dsm_region_home(w->r, w->index));
	} else if (err == -EINTR) {
		dsm_count(c, fault_killed);
	} else if (err == -EIO) {
		dsm_count(c, fault_lost);
	}
	if (err)
		return;
	if (zero) {
		dsm_hist_add(c, DSM_HIST_fault_zero, ns);
	} else if (w->right == DSM_RIGHT_READ) {
		dsm_count(c, fault_read);
		dsm_hist_add(c, DSM_HIST_fault_read, ns);
	} else if (w->was_shared) {
		dsm_count(c, fault_upgrade);
		dsm_hist_add(c, DSM_HIST_fault_upgrade, ns);
	} else {
		dsm_count(c, fault_write);
		dsm_hist_add(c, DSM_HIST_fault_write, ns);
	}
}

/*
 * Is there no one left who could answer?  This is what this node knows: it has no
 * idea whom a home elsewhere waits for.
 */
int dsm_entry_check_answerers(const struct dsm_entry *e)
{
	struct dsm_cluster *c = e->region->cluster;
	struct dsm_nodeset need = { .w = { 0 } };
	struct dsm_view view;

	if (likely(!READ_ONCE(c->some_lost)))
		return 0;
	dsm_cluster_view(c, &view);
	if (!view.number)
		return -ENOTCONN;
	dsm_nodeset_add(&need, dsm_region_home(e->region, e->index));
	if (e->dir)
		need = dsm_nodeset_or(dsm_dir_awaits(e->dir, c->self), &need);
	need = dsm_nodeset_and(need, &view.lost);
	return dsm_nodeset_empty(&need) ? 0 : -EIO;
}

/*
 * Wait with e->lock held on entry, not held on return; the record may be
 * another one afterwards.
 */
static int wait_change(struct dsm_entry *e, const struct fault_wait *w)
{
	long left = w->deadline - jiffies;
	ktime_t soon = w->soon;
	DEFINE_WAIT(wait);
	int err;

	if (soon && !ktime_before(ktime_get(), soon)) {
		put_locked(e);
		return -EAGAIN;
	}
	if (left <= 0) {
		__set_bit(DSM_EF_TIMED_OUT, &e->flags);
		put_locked(e);
		return -ETIMEDOUT;
	}
	/* In this order: dsm_engine_view_changed() comes after the view. */
	prepare_to_wait(&e->wait, &wait, TASK_KILLABLE);
	err = dsm_entry_check_answerers(e);
	if (err) {
		finish_wait(&e->wait, &wait);
		put_locked(e);
		return err;
	}
	/* Without a slot no new view wakes it: it looks itself. */
	if (e->slot == DSM_NO_SLOT)
		left = min_t(long, left, HZ);
	entry_unlock(e);
	dsm_hold_regain(w->r, w->user, w->index);
	dsm_node_flush(e->region->cluster);
	if (soon)
		schedule_hrtimeout(&soon, HRTIMER_MODE_ABS);
	else
		schedule_timeout(left);
	finish_wait(&e->wait, &wait);
	dsm_entry_put(e);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * The step that asks found no memory, and could not wait for it: e->lock is held on
 * entry, not held on return.
 *
 * Return: 0: there is some now: ask again; or what wait_right() returns.
 */
static int get_memory(struct dsm_entry *e, const struct fault_wait *w,
		      unsigned int flags)
{
	int err;

	if (flags & DSM_GET_NOWAIT) {
		put_locked(e);
		return -EAGAIN;
	}
	entry_unlock(e);
	err = time_after(jiffies, w->deadline) ? -ENOMEM : dsm_entry_reserve(e);
	if (err) {
		entry_lock(e);
		put_locked(e);
	} else {
		/* Not pruned: that would be the end of it. */
		dsm_entry_put(e);
	}
	return err;
}

/*
 * The master asks the members whether the placement may change: it takes no longer; or, if
 * it is lost, until the next one has all agree.
 */
static int wait_thaw(const struct fault_wait *w, unsigned int flags)
{
	if (flags & DSM_GET_NOWAIT)
		return -EAGAIN;
	if (!dsm_cluster_is_joined(w->r->cluster))
		return -ENOTCONN;
	if (time_after(jiffies, w->deadline))
		return -ETIMEDOUT;
	schedule_timeout_killable(1);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Return: the record, locked, with the right there; ERR_PTR(): not locked, and
 * -EAGAIN if NOWAIT.
 */
static struct dsm_entry *wait_right(struct fault_wait *w, unsigned int flags)
{
	struct dsm_cluster *c = w->r->cluster;
	struct dsm_entry *e;
	int err;

	for (;;) {
		e = get_live(w->r, w->index);
		if (IS_ERR(e))
			return e;
		if (dsm_page_right(&e->core) >= w->right) {
			__clear_bit(DSM_EF_TIMED_OUT, &e->flags);
			e->user = w->user;
			return e;
		}
		if (!dsm_page_has_copy(&e->core) && dsm_evict_is_full(c)) {
			put_locked(e);
			if (flags & DSM_GET_NOWAIT)
				return ERR_PTR(-EAGAIN);
			err = dsm_evict_wait_room(c);
			if (err)
				return ERR_PTR(err);
			continue;
		}
		if (dsm_region_is_frozen(w->r)) {
			fault_start(w, e);
			put_locked(e);
			err = wait_thaw(w, flags);
			if (err)
				return ERR_PTR(err);
			continue;
		}
		/* The fault that waited in vain has been reported. */
		if (flags & DSM_GET_RETRY) {
			err = -ETIMEDOUT;
			if (!test_bit(DSM_EF_TIMED_OUT, &e->flags))
				err = dsm_entry_check_answerers(e);
			if (err) {
				put_locked(e);
				return ERR_PTR(err);
			}
		}
		fault_start(w, e);
		dsm_hold_begin(w->r, w->user);
		err = ask(e, w->right, w->user);
		if (dsm_page_right(&e->core) >= w->right) {
			dsm_hold_end(w->r, w->user, w->index);
			return e;
		}
		if (err == -ENOMEM) {
			err = get_memory(e, w, flags);
		} else if ((flags & DSM_GET_NOWAIT && !w->soon) || err) {
			put_locked(e);
			dsm_hold_regain(w->r, w->user, w->index);
			dsm_node_flush(c);
			err = err ?: -EAGAIN;
		} else {
			err = wait_change(e, w);
		}
		dsm_hold_end(w->r, w->user, w->index);
		if (err)
			return ERR_PTR(err);
	}
}

static void wait_init(struct fault_wait *w, struct dsm_region *r, u64 index,
		      u8 right, u32 timeout_ms)
{
	*w = (struct fault_wait){
		.r = r,
		.index = index,
		.right = right,
		.user = dsm_hold_user(r),
		.deadline = jiffies + msecs_to_jiffies(timeout_ms),
	};
}

static int wait_and_leave(struct fault_wait *w, unsigned int flags)
{
	struct dsm_entry *e = wait_right(w, flags);
	bool zero = false;
	int err = 0;

	if (IS_ERR(e)) {
		err = PTR_ERR(e);
	} else {
		zero = test_bit(DSM_EF_ZERO, &e->flags);
		entry_unlock(e);
		dsm_node_flush(w->r->cluster);
		dsm_entry_put(e);
	}
	fault_end(w, zero, err);
	return err;
}

int dsm_page_wait(struct dsm_region *r, u64 index, u8 right, u32 timeout_ms)
{
	struct fault_wait w;

	wait_init(&w, r, index, right, timeout_ms);
	return wait_and_leave(&w, 0);
}

int dsm_page_wait_soon(struct dsm_region *r, u64 index, u8 right, u32 us)
{
	struct fault_wait w;

	wait_init(&w, r, index, right, READ_ONCE(r->cluster->knobs.fault_timeout_ms));
	w.soon = ktime_add_us(ktime_get(), us);
	return wait_and_leave(&w, DSM_GET_NOWAIT);
}

/*
 * Return: 0 if the page of the record, which is locked, is still the one; then
 * @right is what there is, which may be more than what was asked for, and @pagep
 * where the copy is now.
 */
static int lock_and_check(struct dsm_entry *e, struct page **pagep, u8 *right,
			  unsigned int flags, struct dsm_payer *payer)
{
	struct page *page = *pagep;
	u8 asked = *right;
	bool same;

	if (!trylock_page(page)) {
		if (flags & DSM_GET_NOWAIT)
			return -EAGAIN;
		if (folio_lock_killable(page_folio(page)))
			return -EINTR;
	}
	entry_lock(e);
	*right = dsm_page_right(&e->core);
	same = e->page == page && *right >= asked;
	if (same)
		*pagep = dsm_payer_take_locked(payer, e, page);
	if (same && !(flags & DSM_GET_AGAIN))
		dsm_entry_used_locked(e);
	entry_unlock(e);
	if (same)
		return 0;
	*right = asked;
	unlock_page(page);
	return -ESTALE;
}

int dsm_page_acquire_most(struct dsm_region *r, u64 index, u8 *right,
			  unsigned int flags, struct vm_fault *vmf, struct page **pagep)
{
	struct dsm_cluster *c = r->cluster;
	struct dsm_payer payer;
	struct fault_wait w;
	struct dsm_entry *e;
	struct page *page;
	bool zero = false;
	int err;

	dsm_payer_init(&payer, vmf);
	wait_init(&w, r, index, *right, READ_ONCE(c->knobs.fault_timeout_ms));
	for (;;) {
		e = wait_right(&w, flags);
		if (IS_ERR(e)) {
			err = PTR_ERR(e);
			break;
		}
		zero |= test_bit(DSM_EF_ZERO, &e->flags);
		if (dsm_payer_lacks_locked(&payer, e)) {
			entry_unlock(e);
			dsm_node_flush(c);
			dsm_entry_put(e);
			err = dsm_payer_alloc(&payer, c, flags & DSM_GET_NOWAIT);
			if (err)
				break;
			continue;
		}
		if (test_bit(DSM_EF_ZERO, &e->flags))
			dsm_payer_fill_locked(&payer, e);
		page = e->page;
		get_page(page);
		__set_bit(DSM_EF_USED, &e->flags);
		if (__test_and_clear_bit(DSM_EF_PREFETCHED, &e->flags))
			dsm_count(c, prefetch_hit);
		entry_unlock(e);
		dsm_node_flush(c);
		err = lock_and_check(e, &page, right, flags, &payer);
		dsm_entry_put(e);
		if (!err) {
			*pagep = page;
			break;
		}
		put_page(page);
		if (err != -ESTALE)
			break;
	}
	if (!w.asked && !err)
		dsm_count(c, fault_local);
	/* Whoever could not wait comes back: that is the fault to be timed. */
	if (err != -EAGAIN)
		fault_end(&w, zero, err);
	dsm_payer_exit(&payer);
	return err;
}

int dsm_page_acquire(struct dsm_region *r, u64 index, u8 right,
		     unsigned int flags, struct page **page)
{
	return dsm_page_acquire_most(r, index, &right, flags, NULL, page);
}
