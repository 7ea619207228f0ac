// SPDX-License-Identifier: GPL-2.0
/* Taking rights back, one by one or at once; and what secondary MMUs see of it. */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm_coherent.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "coherent_test.h"

static void revoke_one(unsigned int index, bool wrprotect)
{
	struct page *page = ct.page[index];

	lock_page(page);
	if (wrprotect)
		folio_mkclean(page_folio(page));
	else
		unmap_mapping_pages(&ct.mapping, index, 1, false);
	ct.right[index] = wrprotect ? min_t(u8, ct.right[index], CT_READ) : CT_NONE;
	unlock_page(page);
}

static u64 sample(unsigned int index)
{
	return READ_ONCE(*(u64 *)page_address(ct.page[index]));
}

/* Pages that change although no one has the right to write. */
static unsigned int count_changed(const struct ct_revoke *r)
{
	unsigned int i, changed = 0;
	u64 before[CT_MAX_BATCH];

	for (i = 0; i < r->nr; i++)
		before[i] = sample(r->first + i * r->stride);
	udelay(r->check_us);
	for (i = 0; i < r->nr; i++)
		changed += before[i] != sample(r->first + i * r->stride);
	return changed;
}

static void revoke_batch(struct ct_revoke *r)
{
	struct folio *folio[CT_MAX_BATCH];
	ktime_t start = ktime_get();
	unsigned int i, index;

	/* In ascending order, here as everywhere in this module. */
	for (i = 0; i < r->nr; i++) {
		index = r->first + i * r->stride;
		folio[i] = page_folio(ct.page[index]);
		folio_lock(folio[i]);
		folio[i]->index = index;
	}
	mapping_coherent_revoke(&ct.mapping, folio, r->nr, r->wrprotect);
	r->ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	r->changed = r->check_us ? count_changed(r) : 0;
	start = ktime_get();
	for (i = 0; i < r->nr; i++) {
		index = r->first + i * r->stride;
		ct.right[index] = r->wrprotect ? min_t(u8, ct.right[index], CT_READ) : CT_NONE;
		folio_unlock(folio[i]);
	}
	r->ns += ktime_to_ns(ktime_sub(ktime_get(), start));
}

static void revoke_singly(struct ct_revoke *r)
{
	ktime_t start = ktime_get();

	for (unsigned int i = 0; i < r->nr; i++)
		revoke_one(r->first + i * r->stride, r->wrprotect);
	r->ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	r->changed = 0;
}

/**
 * ct_revoke() - take a right back from some pages
 * @r:	which
 *
 * Context: process, sleeps.
 * Return: 0 or -EINVAL.
 */
long ct_revoke(struct ct_revoke *r)
{
	u64 last = (u64)r->first + (u64)r->stride * (r->nr - 1);

	if (!r->nr || r->nr > CT_MAX_BATCH || !r->stride ||
	    last >= CT_NR_PAGES || r->check_us > 1000)
		return -EINVAL;
	if (r->batched)
		revoke_batch(r);
	else
		revoke_singly(r);
	return 0;
}

static int watch_start(struct mmu_notifier *mn,
		       const struct mmu_notifier_range *range)
{
	atomic64_inc(&ct.windows);
	atomic64_add((range->end - range->start) >> PAGE_SHIFT, &ct.window_pages);
	return 0;
}

static const struct mmu_notifier_ops watch_ops = {
	.invalidate_range_start = watch_start,
};

/**
 * ct_watch() - count the mmu notifier windows of the calling process
 * @file:	until it is closed
 *
 * Context: process, sleeps.
 * Return: 0, -EBUSY or -ENOMEM.
 */
long ct_watch(struct file *file)
{
	struct mmu_notifier *mn;
	int err;

	if (file->private_data)
		return -EBUSY;
	mn = kzalloc(sizeof(*mn), GFP_KERNEL);
	if (!mn)
		return -ENOMEM;
	mn->ops = &watch_ops;
	err = mmu_notifier_register(mn, current->mm);
	if (err)
		kfree(mn);
	else
		file->private_data = mn;
	return err;
}

/**
 * ct_unwatch() - do not count them any more
 * @file:	as for ct_watch()
 *
 * Context: process, sleeps.
 */
void ct_unwatch(struct file *file)
{
	struct mmu_notifier *mn = file->private_data;

	if (mn)
		mmu_notifier_unregister(mn, mn->mm);
	kfree(mn);
}
