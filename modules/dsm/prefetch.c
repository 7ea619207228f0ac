// SPDX-License-Identifier: GPL-2.0
/*
 * Prefetch: sequential and strided readers get their pages before they ask, and
 * sequential writers.
 *
 * A stream belongs to a thread (hashed; a clash costs a prefetch, not
 * correctness), one to read and one to write.  Two steps of the same stride open
 * it; the window doubles up to prefetch_pages, write_ahead_pages; as soon as less
 * than half of it is left, the next half is asked for, in one frame.
 *
 * What is fetched for writing others lose, whether it is used or not.  So a writer
 * that skips pages gets none, and one that does not if write_ahead_pages says so:
 * where memory is mostly empty, as a guest's is.  Then any writer gets pages that no
 * one loses, mapped (dsm_fault_around()).
 */
#include <linux/hash.h>
#include <linux/sched/signal.h>

#include "cluster.h"
#include "hold.h"
#include "node.h"
#include "region.h"

#define MAX_STRIDE	64
#define FIRST_WINDOW	4u
#define BATCH		256u

/*
 * @untouched: by the home, and only if no one has the page, nor has anyone had it.
 * Return: false if so many requests are out that it is better to wait with more.
 */
static bool prefetch_one(struct dsm_region *r, u64 index, u8 right, u8 user, u32 hold_us,
			 bool untouched)
{
	struct dsm_cluster *c = r->cluster;
	struct dsm_entry *e;
	bool more = true;

	e = dsm_entry_get(r, index, GFP_NOWAIT | __GFP_NOWARN);
	if (!e)
		return false;
	spin_lock_bh(&e->lock);
	if (!test_bit(DSM_EF_DEAD, &e->flags) && e->core.state == DSM_PS_I &&
	    !dsm_region_is_frozen(r) && dsm_evict_has_room(c) &&
	    (!untouched || !e->dir || dsm_dir_idle(e->dir))) {
		/* Before the answer, which may be here when the call returns. */
		__set_bit(DSM_EF_PREFETCHED, &e->flags);
		e->user = user;
		if (dsm_entry_ask_locked(e, right, hold_us, 0))
			__clear_bit(DSM_EF_PREFETCHED, &e->flags);
		else
			dsm_count(c, prefetch_sent);
		more = e->slot != DSM_NO_SLOT || dsm_page_right(&e->core) >= right;
	}
	dsm_entry_prune_locked(e);
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	return more;
}

/* Return: how many were asked for. */
static unsigned int prefetch_stride(struct dsm_region *r, u64 from, s64 stride,
				    unsigned int nr, u8 right, u64 end)
{
	unsigned int done = 0;
	u64 index = from;

	for (; done < nr && index < end; index += stride) {
		done++;
		if (!prefetch_one(r, index, right, DSM_HOLD_NOBODY, 0, false))
			break;
	}
	dsm_node_flush(r->cluster);
	return done;
}

static struct dsm_stream *stream_of_current(struct dsm_region *r, u8 right)
{
	struct dsm_stream *s = right == DSM_RIGHT_WRITE ? r->writes : r->reads;

	return &s[hash_ptr(current, ilog2(DSM_NR_STREAMS))];
}

/**
 * dsm_page_prefetch() - start to fetch pages for reading
 * @r:		the region
 * @index:	the first page
 * @nr:		how many
 *
 * Ends where there is no more room here.  Context: process; does not wait for the
 * last answers, but for earlier ones if there are many requests out; killable, and
 * fault_timeout_ms at most.
 * Return: 0 or -EINTR.
 */
int dsm_page_prefetch(struct dsm_region *r, u64 index, u64 nr)
{
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(r->cluster->knobs.fault_timeout_ms));

	while (nr && dsm_evict_has_room(r->cluster) && time_before(jiffies, deadline)) {
		unsigned int want = min(nr, BATCH);
		unsigned int done = prefetch_stride(r, index, 1, want, DSM_RIGHT_READ, U64_MAX);

		index += done;
		nr -= done;
		if (done < want)
			schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * dsm_prefetch_write() - start to fetch a page for writing
 * @r:		the region
 * @index:	the page
 * @user:	for whom, see hold.h
 *
 * The caller flushes what was sent. Context: process; does not wait for the network.
 */
void dsm_prefetch_write(struct dsm_region *r, u64 index, u8 user)
{
	prefetch_one(r, index, DSM_RIGHT_WRITE, user, READ_ONCE(r->cluster->knobs.hold_us), false);
}

/**
 * dsm_prefetch_untouched() - take a page for writing if that costs no one anything
 * @r:		the region
 * @index:	the page: nothing happens if its home is elsewhere, or if it was ever written or
 *		someone has it
 *
 * It is there when this returns: the home need not ask. Context: process; does not wait.
 */
void dsm_prefetch_untouched(struct dsm_region *r, u64 index)
{
	if (dsm_region_home(r, index) == r->cluster->self)
		prefetch_one(r, index, DSM_RIGHT_WRITE, DSM_HOLD_NOBODY, 0, true);
}

/**
 * dsm_prefetch_ahead() - a thread wants a page: look ahead
 * @r:		the region
 * @index:	the page
 * @right:	enum dsm_right, to read or to write
 * @end:	pages of the file
 *
 * Called before the page itself is asked for, so that it is the first of the
 * frame.  Context: process; does not wait for the network.
 */
void dsm_prefetch_ahead(struct dsm_region *r, u64 index, u8 right, u64 end)
{
	const struct dsm_knobs *knobs = &r->cluster->knobs;
	bool write = right == DSM_RIGHT_WRITE;
	u32 max = write ? READ_ONCE(knobs->write_ahead_pages) :
			  READ_ONCE(knobs->prefetch_pages);
	s64 far = write ? 1 : MAX_STRIDE;
	struct dsm_stream *s;
	s64 stride, left;

	if (!max)
		return;
	s = stream_of_current(r, right);
	stride = index - s->last;
	if (!stride)
		return;
	s->last = index;
	if (stride != s->stride || stride < 1 || stride > far) {
		s->stride = stride;
		s->window = 0;
		s->ahead = index + stride;
		return;
	}
	if (!s->window || s->ahead <= index)
		s->ahead = index;
	left = div64_s64(s->ahead - index, stride);
	if (s->window && left > s->window / 2)
		return;
	s->window = clamp(s->window * 2, min(FIRST_WINDOW, max), max);
	/* The knob may have been lowered. */
	if (left >= s->window)
		return;
	prefetch_stride(r, s->ahead, stride, s->window - left, right, end);
	s->ahead += (s->window - left) * stride;
}

/**
 * dsm_prefetch_mapped() - a fault mapped more than its page
 * @r:		the region
 * @index:	the page of the fault
 * @right:	enum dsm_right, what the fault wanted
 * @last:	the last page that was mapped
 *
 * The thread will not fault on those, so the stream goes on behind them.
 */
void dsm_prefetch_mapped(struct dsm_region *r, u64 index, u8 right, u64 last)
{
	struct dsm_stream *s = stream_of_current(r, right);

	if (s->last == index && s->stride == 1)
		s->last = last;
}
