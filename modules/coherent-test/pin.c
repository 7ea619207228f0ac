// SPDX-License-Identifier: GPL-2.0
/* Pins, and those who wait for them to end. */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm_coherent.h>
#include <linux/wait_bit.h>

#include "coherent_test.h"

/* As dsm.ko waits in its worker. */
#define FIRST_US	50
#define STEPS		8
/* Looks at most until the pin is there. */
#define MAX_START	1000

static ktime_t unpinned_at;

/**
 * ct_pin() - pin a page of the caller's, and let it go
 * @p:	which, and how
 *
 * Context: process, sleeps.
 * Return: 0, or the errno of pin_user_pages_fast().
 */
long ct_pin(const struct ct_pin *p)
{
	unsigned int flags = 0;
	struct page *page;
	int ret;

	if (p->write)
		flags |= FOLL_WRITE;
	if (p->longterm)
		flags |= FOLL_LONGTERM;
	ret = pin_user_pages_fast(p->addr, 1, flags, &page);
	if (ret < 1)
		return ret ?: -EFAULT;
	if (p->hold_us)
		usleep_range(p->hold_us, p->hold_us + 10);
	WRITE_ONCE(unpinned_at, ktime_get());
	unpin_user_page(page);
	return 0;
}

static bool unused(struct folio *folio)
{
	return folio_ref_count(folio) == 1 + folio_mapcount(folio);
}

static void pause_until(struct folio *folio, unsigned int us)
{
	struct wait_queue_head *wq = __var_waitqueue(folio);
	ktime_t timeout = ns_to_ktime((u64)us * NSEC_PER_USEC);
	struct wait_bit_queue_entry wait;

	init_wait_var_entry(&wait, folio, 0);
	prepare_to_wait(wq, &wait.wq_entry, TASK_UNINTERRUPTIBLE);
	if (!unused(folio))
		schedule_hrtimeout_range(&timeout, (u64)us * NSEC_PER_USEC,
					 HRTIMER_MODE_REL);
	finish_wait(wq, &wait.wq_entry);
}

/**
 * ct_wait() - wait for a page that is pinned
 * @w:	which, and how
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL; -EBUSY if it takes too long.
 */
long ct_wait(struct ct_wait *w)
{
	struct folio *folio;

	if (w->page >= CT_NR_PAGES)
		return -EINVAL;
	folio = page_folio(ct.page[w->page]);
	for (int i = 0; i < MAX_START && !folio_maybe_dma_pinned(folio); i++)
		usleep_range(FIRST_US, 2 * FIRST_US);
	for (int i = 0; i < STEPS && !unused(folio); i++) {
		unsigned int us = FIRST_US << i;

		if (w->poll)
			usleep_range(us, 2 * us);
		else
			pause_until(folio, us);
	}
	if (!unused(folio))
		return -EBUSY;
	w->ns = ktime_to_ns(ktime_sub(ktime_get(), READ_ONCE(unpinned_at)));
	return 0;
}
