// SPDX-License-Identifier: GPL-2.0
/*
 * Revocation: take the page out of the page tables, and wait until no one uses
 * it.
 *
 * Normal operation: under the page lock, which whoever maps the page holds as
 * well, unmap or write-protect through the file's rmap.  Secondary MMUs (KVM)
 * follow through the mmu notifiers of that.  Then the references that are left
 * must be known ones: the record's, ours, those of frames (dsm_page_tx_get()).
 * Any other is someone's pin: it may read or write the page behind the page
 * tables' back, so we wait for it to end, with a report after revoke_warn_ms.
 *
 * A page that is mapped nowhere and used by no one needs no worker.  Where core
 * mm can take many pages out of the page tables at once, coherent.c does so, and
 * leaves to the worker here what is in use.
 *
 * The core lets no local access in from REVOKE to REVOKED, and the requester's
 * wait has a bound of its own, so a page pinned for ever costs the requester a
 * SIGBUS and the worker a look now and then.
 */
#include <linux/delay.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "cluster.h"
#include "coherent.h"
#include "node.h"
#include "region.h"
#include "revoke.h"
#include "trace.h"

#define POLL_FIRST_US	50
#define POLL_SLEEP_MS	2
#define POLL_IN_WORKER	8

/* References of ours, of frames on their way, and of mappings if @mapped. */
static long known_users(struct page *page, int ours, bool mapped)
{
	return ours + dsm_page_tx_count(page) + (mapped ? folio_mapcount(page_folio(page)) : 0);
}

/*
 * Do only those hold the page that we know of?  They come and go meanwhile, each a
 * reference and a count, which cannot be read at once: what is counted must be the
 * same before and after, or a stranger would pass for one that has just gone.
 */
static bool unused(struct page *page, int ours, bool mapped)
{
	long known = known_users(page, ours, mapped);
	bool same;

	smp_rmb(); /* counted before */
	same = page_ref_count(page) == known;
	smp_rmb(); /* … and after */
	return same && known == known_users(page, ours, mapped);
}

static void unmap(struct dsm_entry *e, struct page *page, u8 right)
{
	struct dsm_region *r = e->region;

	if (!folio_mapped(page_folio(page)))
		return;
	down_read(&r->mapping_lock);
	if (!r->mapping)
		goto out;
	if (right == DSM_RIGHT_READ)
		folio_mkclean(page_folio(page));
	else
		unmap_mapping_pages(r->mapping, e->index, 1, false);
out:
	up_read(&r->mapping_lock);
}

bool dsm_revoke_is_unused(struct page *page, u8 right)
{
	/*
	 * A writer through get_user_pages() may be among strangers, so a
	 * downgrade waits for them as well; mappings may stay then.
	 */
	return unused(page, 2, right == DSM_RIGHT_READ);
}

static bool wait_unused(struct page *page, u8 right)
{
	for (int i = 0; i < POLL_IN_WORKER; i++) {
		if (dsm_revoke_is_unused(page, right))
			return true;
		dsm_coherent_pause(page, right, POLL_FIRST_US << i);
	}
	return false;
}

static void report_user(struct dsm_entry *e, struct page *page)
{
	struct dsm_cluster *c = e->region->cluster;
	s64 ms = ktime_ms_delta(ktime_get(), e->revoke_start);

	if (e->revoke_warned || ms < READ_ONCE(c->knobs.revoke_warn_ms))
		return;
	e->revoke_warned = true;
	pr_warn("dsm: node %u: region %u page %llu is in use here (%d references%s) and held up another node for %lld ms; end the long-term pin or O_DIRECT to it\n",
		c->self, e->region->id, e->index, page_ref_count(page),
		folio_maybe_dma_pinned(page_folio(page)) ? ", pinned" : "", ms);
}

/* Queue the worker; it holds a reference to the record while it is pending. */
static void kick(struct dsm_entry *e, unsigned int delay_ms)
{
	dsm_entry_hold(e);
	if (!queue_delayed_work(e->region->cluster->page_wq, &e->revoke_work,
				msecs_to_jiffies(delay_ms)))
		dsm_entry_put(e);
}

static void report(struct dsm_entry *e, bool done)
{
	struct dsm_cluster *c = e->region->cluster;
	u64 ns = ktime_to_ns(ktime_sub(ktime_get(), e->revoke_start));

	lockdep_assert_held(&e->lock);
	trace_dsm_revoke(c, e->region->id, e->index, e->revoke_right, ns, done);
	dsm_hist_add(c, DSM_HIST_revoke, ns);
	e->revoking = false;
	if (dsm_entry_event_locked(e, done ? DSM_PE_REVOKED : DSM_PE_UNREVOKED,
				   DSM_NODE_NONE) == -ENOMEM) {
		e->revoking = true;
		kick(e, POLL_SLEEP_MS);
	}
}

bool dsm_revoke_begin(struct dsm_entry *e, struct dsm_revocation *v)
{
	bool ret;

	spin_lock_bh(&e->lock);
	ret = !test_bit(DSM_EF_DEAD, &e->flags) && e->revoking;
	if (ret) {
		*v = (struct dsm_revocation){
			.e = e,
			.page = e->page,
			.right = e->revoke_right,
			.must = e->revoke_must,
		};
		dsm_entry_hold(e);
		if (v->page)
			get_page(v->page);
	}
	spin_unlock_bh(&e->lock);
	return ret;
}

void dsm_revoke_put(struct dsm_revocation *v)
{
	if (v->page)
		put_page(v->page);
	dsm_entry_put(v->e);
}

void dsm_revoke_end(struct dsm_revocation *v, bool done)
{
	struct dsm_entry *e = v->e;
	struct dsm_cluster *c = e->region->cluster;

	spin_lock_bh(&e->lock);
	if (!test_bit(DSM_EF_DEAD, &e->flags)) {
		s64 ms = ktime_ms_delta(ktime_get(), e->revoke_start);

		if (done || (!v->must && ms >= READ_ONCE(c->knobs.evict_timeout_ms)))
			report(e, done);
		else
			kick(e, POLL_SLEEP_MS);
	}
	spin_unlock_bh(&e->lock);
	if (v->page)
		unlock_page(v->page);
	dsm_revoke_put(v);
}

void dsm_revoke_alone(struct dsm_entry *e)
{
	kick(e, 0);
}

static void revoke_work(struct work_struct *work)
{
	struct dsm_entry *e = container_of(work, struct dsm_entry, revoke_work.work);
	struct dsm_cluster *c = e->region->cluster;
	struct dsm_revocation v;
	bool done = true;

	if (!dsm_revoke_begin(e, &v))
		goto out;
	if (v.page) {
		/* Held by a fault for as long as it takes to map the page. */
		lock_page(v.page);
		unmap(e, v.page, v.right);
		done = wait_unused(v.page, v.right);
		if (!done) {
			dsm_count(c, revoke_wait);
			report_user(e, v.page);
		}
	}
	dsm_revoke_end(&v, done);
	dsm_node_flush(c);
out:
	dsm_entry_put(e);
}

static bool free_already(struct dsm_entry *e)
{
	struct page *page = e->page;
	bool ok;

	if (!page)
		return true;
	if (folio_mapped(page_folio(page)) || !trylock_page(page))
		return false;
	ok = !folio_mapped(page_folio(page)) && unused(page, 1, false);
	unlock_page(page);
	return ok;
}

bool dsm_revoke_start_locked(struct dsm_entry *e, u8 right, bool must)
{
	lockdep_assert_held(&e->lock);
	e->revoke_right = right;
	e->revoke_must = must;
	e->revoke_warned = false;
	e->revoke_start = ktime_get();
	if (free_already(e))
		return true;
	e->revoking = true;
	if (!dsm_coherent_revoke(e))
		kick(e, 0);
	return false;
}

void dsm_revoke_retry_locked(struct dsm_entry *e)
{
	lockdep_assert_held(&e->lock);
	e->revoking = true;
	kick(e, POLL_SLEEP_MS);
}

static enum hrtimer_restart hold_over(struct hrtimer *timer)
{
	struct dsm_entry *e = container_of(timer, struct dsm_entry, timer);
	struct dsm_cluster *c = e->region->cluster;
	bool done = false;

	spin_lock_bh(&e->lock);
	/*
	 * Started anew while this waited for the lock, the timer keeps the reference; that
	 * of a dead record is put by who killed it.
	 */
	if (!hrtimer_is_queued(timer) && !test_bit(DSM_EF_DEAD, &e->flags)) {
		e->timer_armed = false;	/* the step may start it */
		done = dsm_entry_event_locked(e, DSM_PE_TIMER, DSM_NODE_NONE) != -ENOMEM;
		if (!done) {
			e->timer_armed = true;
			hrtimer_start(timer, ktime_add_ms(ktime_get(), POLL_SLEEP_MS),
				      HRTIMER_MODE_ABS_SOFT);
		}
	}
	spin_unlock_bh(&e->lock);
	dsm_node_flush(c);
	if (done)
		dsm_entry_put(e);
	return HRTIMER_NORESTART;
}

void dsm_revoke_init(struct dsm_entry *e)
{
	INIT_DELAYED_WORK(&e->revoke_work, revoke_work);
	hrtimer_init(&e->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
	e->timer.function = hold_over;
}
