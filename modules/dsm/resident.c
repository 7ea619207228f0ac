// SPDX-License-Identifier: GPL-2.0
/* Where the pages of a region are, as this node knows it. */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "cluster.h"
#include "region.h"
#include "uapi/dsm.h"

static void count_absent(struct dsm_ioc_resident *res, bool home_here)
{
	if (home_here)
		res->untouched++;
	else
		res->elsewhere++;
}

static void count_entry(struct dsm_ioc_resident *res, struct dsm_entry *e, bool home_here)
{
	spin_lock_bh(&e->lock);
	if (dsm_page_right(&e->core) == DSM_RIGHT_WRITE)
		res->exclusive++;
	else if (dsm_page_right(&e->core) == DSM_RIGHT_READ)
		res->shared++;
	else if (dsm_page_has_copy(&e->core))
		res->moving++;
	else if (home_here && e->dir && !dsm_dir_idle(e->dir))
		res->remote++;
	else
		count_absent(res, home_here);
	spin_unlock_bh(&e->lock);
}

/**
 * dsm_region_resident() - count the pages of a range by where they are
 * @r:		the region
 * @start:	first page
 * @end:	behind the last one
 * @res:	the counts, added to
 *
 * Context: process; killable.
 * Return: 0, -ENOMEM, -EINTR.
 */
int dsm_region_resident(struct dsm_region *r, u64 start, u64 end,
			struct dsm_ioc_resident *res)
{
	struct dsm_place *pl = kmalloc(sizeof(*pl), GFP_KERNEL);
	u16 self = r->cluster->self;
	u64 index = start;
	int err = 0;

	if (!pl)
		return -ENOMEM;
	dsm_region_get_place(r, pl);
	while (index < end && !err) {
		struct dsm_entry *e = dsm_entry_next(r, index);
		u64 next = e ? min(e->index, end) : end;

		for (; index < next && !err; index++) {
			count_absent(res, dsm_place_home(pl, index) == self);
			cond_resched();
			if (fatal_signal_pending(current))
				err = -EINTR;
		}
		if (e && !err && index < end) {
			count_entry(res, e, dsm_place_home(pl, index) == self);
			index++;
		}
		if (e)
			dsm_entry_put(e);
	}
	kfree(pl);
	return err;
}
