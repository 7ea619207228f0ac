// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that become zero again, and directories that move: what the metadata
 * layer asks of the home of pages.
 *
 * Zap: the home takes the page over as any writer would, so everyone else has
 * given it up, and then forgets it.  It cannot forget a page that the next node
 * waits for already, and where nodes fight for a page one always does: then the
 * page is cleared before it goes there.
 *
 * Handing over: from the moment the successor is set, a request that finds no
 * entry here is passed on as well; then each entry is moved.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "cluster.h"
#include "node.h"
#include "region.h"

#define MAX_TRIES	4
/* … and so often for want of memory, at POLL_MS */
#define MEMORY_TRIES	200
#define POLL_MS		2

static bool is_zero(struct dsm_entry *e)
{
	return !e->dir || dsm_dir_idle(e->dir) || e->dir->state == DSM_DS_MOVED;
}

/*
 * Return: 1 if the page is zero now, 0 if others want it and not @clear; -EREMCHG if
 * @master is not the master any more.
 */
static int zap_once(struct dsm_region *r, u16 master, u64 index, bool clear)
{
	struct dsm_entry *e;
	struct page *page;
	int err;

	err = dsm_page_acquire(r, index, DSM_RIGHT_WRITE, 0, &page);
	if (err)
		return err;
	/* What is written once there is another master comes to the page after this, or before. */
	if (master != dsm_cluster_master(r->cluster)) {
		err = -EREMCHG;
		goto unlock;
	}
	/* No one can map the page while it is locked. */
	down_read(&r->mapping_lock);
	if (r->mapping)
		unmap_mapping_pages(r->mapping, index, 1, false);
	up_read(&r->mapping_lock);
	e = dsm_entry_find(r, index);
	if (e) {
		spin_lock_bh(&e->lock);
		err = dsm_entry_event_locked(e, DSM_PE_DISCARD, DSM_NODE_NONE);
		if (!err)
			err = is_zero(e);
		spin_unlock_bh(&e->lock);
		dsm_entry_put(e);
	}
	/* A revocation waits for the page lock before it gives the page away. */
	if (!err && clear) {
		clear_highpage(page);
		err = 1;
	}
unlock:
	unlock_page(page);
	put_page(page);
	dsm_node_flush(r->cluster);
	return err;
}

static int zap_page(struct dsm_region *r, u16 master, u64 index)
{
	unsigned int hungry = 0;
	int i = 1, ret;

	do {
		ret = zap_once(r, master, index, i >= MAX_TRIES);
		if (ret == 0) {
			i++;
		} else if (ret == -ENOMEM && ++hungry < MEMORY_TRIES) {
			/* What is not zero would be seen when the file grows again. */
			schedule_timeout_killable(msecs_to_jiffies(POLL_MS));
			if (fatal_signal_pending(current))
				return -EINTR;
			ret = 0;
		}
	} while (!ret);
	return ret < 0 ? ret : 0;
}

static bool wants_zap(struct dsm_entry *e)
{
	bool ret;

	spin_lock_bh(&e->lock);
	ret = !test_bit(DSM_EF_DEAD, &e->flags) && !is_zero(e);
	spin_unlock_bh(&e->lock);
	return ret;
}

/* The last one who looks at a record that says nothing any more forgets it. */
static void put_pruned(struct dsm_entry *e)
{
	spin_lock_bh(&e->lock);
	dsm_entry_prune_locked(e);
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
}

int dsm_region_zap(struct dsm_region *r, u16 master, u64 start, u64 nr)
{
	u64 end = nr > U64_MAX - start ? U64_MAX : start + nr;
	struct dsm_entry *e;
	u64 index = start;
	int ret = 0;

	while (index < end && (e = dsm_entry_next(r, index))) {
		int err = 0;

		index = e->index;
		if (index < end && wants_zap(e))
			err = zap_page(r, master, index);
		put_pruned(e);
		ret = ret ?: err;
		/* A page that is lost with a node is no reason to leave others as they are. */
		if (err && err != -EIO)
			break;
		index++;
		cond_resched();
	}
	return ret;
}

/* ---- leaving ---- */

/*
 * What there is no memory for is still to be moved: a directory that stays is lost.
 *
 * Return: 1 if an entry was moved, 2 if one is still to be moved, both, or an errno.
 */
static int handoff_once(struct dsm_region *r, u16 successor)
{
	struct dsm_entry *e;
	u64 index = 0;
	int ret = 0;

	while (ret >= 0 && (e = dsm_entry_next(r, index))) {
		int err = 0;

		index = e->index + 1;
		spin_lock_bh(&e->lock);
		if (e->dir && e->dir->state != DSM_DS_MOVED &&
		    !test_bit(DSM_EF_DEAD, &e->flags)) {
			err = dsm_entry_handoff_locked(e, successor);
			ret |= e->dir->state == DSM_DS_MOVED ? 1 : 2;
		}
		spin_unlock_bh(&e->lock);
		dsm_entry_put(e);
		if (err && err != -ENOMEM)
			ret = err;
		cond_resched();
	}
	dsm_node_flush(r->cluster);
	return ret;
}

/**
 * dsm_region_handoff() - give the directory to the successor
 * @r:		the region
 * @successor:	the new home of the pages whose home this node is
 *
 * When it returns the successor has received every entry, so requests may go
 * there directly.
 *
 * Context: process; sleeps, killable, bounded by leave_timeout_ms.
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int dsm_region_handoff(struct dsm_region *r, u16 successor)
{
	struct dsm_cluster *c = r->cluster;
	unsigned long deadline = jiffies +
		msecs_to_jiffies(READ_ONCE(c->knobs.leave_timeout_ms));
	struct dsm_node *n = c->node[successor];
	bool was_left = true;
	u32 mark = 0;
	int ret;

	WRITE_ONCE(r->successor, successor);
	/* Who does not see this is seen below: pairs with prepare_dir(). */
	smp_mb();
	do {
		ret = handoff_once(r, successor);
		if (ret < 0)
			return ret;
		/* An entry may also have moved by itself, when it was free. */
		if (n && (ret || was_left))
			mark = dsm_node_tx_mark(n);
		was_left = ret & 2;
		/* Traffic goes on: the link to it is never quite empty. */
		if (!was_left && (!n || dsm_node_has_got(n, mark)))
			return 0;
		schedule_timeout_killable(msecs_to_jiffies(POLL_MS));
		if (fatal_signal_pending(current))
			return -EINTR;
	} while (time_before(jiffies, deadline));
	return -ETIMEDOUT;
}
