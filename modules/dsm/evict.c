// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: what this node keeps has a limit.
 *
 * Above memory_limit_mb a worker goes round the regions and gives copies up,
 * those not used since it last came by first.  A shared copy is dropped; a last
 * copy goes to its home, or, if it is home's, to the next member that takes it.
 * A fault that finds the node a quarter above its limit waits for the worker,
 * and fails as on a full tmpfs if that gets nowhere: the cluster is full.
 */
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "charge.h"
#include "cluster.h"
#include "node.h"
#include "region.h"
#include "trace.h"

#define SCAN_BATCH	128
#define WAIT_STEP_MS	50
#define WAIT_STEPS	40

static long limit(struct dsm_cluster *c)
{
	u32 mb = READ_ONCE(c->knobs.memory_limit_mb);

	if (!mb)
		return totalram_pages() / 2;
	return (long)mb << (20 - PAGE_SHIFT);
}

bool dsm_evict_has_room(struct dsm_cluster *c)
{
	return !READ_ONCE(c->leaving) &&
	       atomic_long_read(&c->nr_resident) < limit(c);
}

bool dsm_evict_is_full(struct dsm_cluster *c)
{
	long max = limit(c);
	long nr = atomic_long_read(&c->nr_resident);

	if (nr >= max)
		dsm_evict_kick(c);
	return nr >= max + max / 4;
}

void dsm_evict_kick(struct dsm_cluster *c)
{
	queue_work(c->page_wq, &c->evict_work);
}

int dsm_evict_wait_room(struct dsm_cluster *c)
{
	long best = LONG_MAX;

	/* As long as it gets better, it is worth waiting. */
	for (int i = 0; i < WAIT_STEPS; i++) {
		long nr;

		if (!dsm_evict_is_full(c))
			return 0;
		if (wait_event_killable_timeout(c->evict_wait,
						!dsm_evict_is_full(c),
						msecs_to_jiffies(WAIT_STEP_MS)) < 0)
			return -EINTR;
		nr = atomic_long_read(&c->nr_resident);
		if (nr < best) {
			best = nr;
			i = 0;
		}
	}
	pr_warn_ratelimited("dsm: node %u: %ld pages here, limit %ld, and no node takes more: raise memory_limit_mb, or add a node\n",
			    c->self, atomic_long_read(&c->nr_resident), limit(c));
	return -ENOSPC;
}

/* A member to push a last copy to, another one each time. */
static u16 pick_target(struct dsm_cluster *c, const struct dsm_nodeset *members,
		       u32 salt)
{
	u16 from = (c->self + 1 + salt % c->nr_nodes) % c->nr_nodes;
	u16 node = dsm_nodeset_next(members, from);

	if (node == DSM_NODE_NONE)
		node = dsm_nodeset_next(members, 0);
	return node;
}

/* Return: whether it was asked to leave; @memcg: only if charged to it. */
static bool evict_one(struct dsm_entry *e, const struct dsm_nodeset *others,
		      struct mem_cgroup *memcg, bool force)
{
	struct dsm_cluster *c = e->region->cluster;
	bool asked = false;
	u8 state;

	spin_lock_bh(&e->lock);
	state = e->core.state;
	if (!test_bit(DSM_EF_DEAD, &e->flags) &&
	    (state == DSM_PS_S || state == DSM_PS_E) &&
	    dsm_page_is_charged(e->page, memcg) &&
	    (!__test_and_clear_bit(DSM_EF_USED, &e->flags) || force)) {
		asked = !dsm_entry_event_locked(e, DSM_PE_EVICT,
						pick_target(c, others, e->index +
							    atomic_read(&c->tid)));
		trace_dsm_evict(c, e->region->id, e->index, state, e->core.state);
		if (asked)
			dsm_count(c, evict);
	}
	dsm_entry_prune_locked(e);
	spin_unlock_bh(&e->lock);
	return asked;
}

static void other_members(struct dsm_cluster *c, struct dsm_nodeset *others)
{
	dsm_cluster_members(c, others);
	dsm_nodeset_del(others, c->self);
}

/* Return: records looked at. */
static unsigned int scan_region(struct dsm_region *r, unsigned int nr,
				const struct dsm_nodeset *others, bool force)
{
	unsigned int seen = 0;
	struct dsm_entry *e;

	while (seen < nr) {
		e = dsm_entry_next(r, READ_ONCE(r->evict_cursor));
		if (!e) {
			WRITE_ONCE(r->evict_cursor, 0);
			break;
		}
		WRITE_ONCE(r->evict_cursor, e->index + 1);
		evict_one(e, others, NULL, force);
		dsm_entry_put(e);
		seen++;
	}
	dsm_node_flush(r->cluster);
	return seen;
}

static struct dsm_region *next_region(struct dsm_cluster *c, unsigned long *id)
{
	struct dsm_region *r;

	rcu_read_lock();
	do {
		r = xa_find(&c->regions, id, ULONG_MAX, XA_PRESENT);
		(*id)++;
	} while (r && !refcount_inc_not_zero(&r->refs));
	rcu_read_unlock();
	return r;
}

/* One round over all regions, until @want copies were given up. */
static void evict_round(struct dsm_cluster *c, long want, bool force)
{
	long goal = atomic_long_read(&c->nr_resident) - want;
	struct dsm_nodeset others;
	struct dsm_region *r;
	unsigned long id = 0;

	other_members(c, &others);
	while ((r = next_region(c, &id))) {
		long left = atomic_long_read(&r->nr_entries);

		while (left > 0 && atomic_long_read(&c->nr_resident) > goal) {
			unsigned int seen = scan_region(r, SCAN_BATCH, &others,
							force);

			left -= seen ?: SCAN_BATCH;
			/* What was parked needs home's word to be gone. */
			wait_event_timeout(c->evict_wait,
					   atomic_long_read(&c->nr_resident) <= goal,
					   1);
			cond_resched();
		}
		dsm_region_put(r);
	}
}

static unsigned int evict_charged_in(struct dsm_region *r, struct mem_cgroup *memcg,
				     unsigned int want, const struct dsm_nodeset *others,
				     bool force)
{
	long left = atomic_long_read(&r->nr_entries);
	unsigned int nr = 0;
	struct dsm_entry *e;

	while (left-- > 0 && nr < want) {
		e = dsm_entry_next(r, READ_ONCE(r->evict_cursor));
		if (!e) {
			WRITE_ONCE(r->evict_cursor, 0);
			continue;
		}
		WRITE_ONCE(r->evict_cursor, e->index + 1);
		nr += evict_one(e, others, memcg, force);
		dsm_entry_put(e);
		cond_resched();
	}
	return nr;
}

unsigned int dsm_evict_charged(struct dsm_cluster *c, struct mem_cgroup *memcg,
			       unsigned int want, bool force)
{
	struct dsm_nodeset others;
	struct dsm_region *r;
	unsigned long id = 0;
	unsigned int nr = 0;

	other_members(c, &others);
	while (nr < want && (r = next_region(c, &id))) {
		nr += evict_charged_in(r, memcg, want - nr, &others, force);
		dsm_region_put(r);
	}
	dsm_node_flush(c);
	return nr;
}

static void evict_work(struct work_struct *work)
{
	struct dsm_cluster *c = container_of(work, struct dsm_cluster, evict_work);
	long max = limit(c);
	long want = atomic_long_xchg(&c->evict_scan, 0);
	long over = atomic_long_read(&c->nr_resident) - (max - max / 16);

	want = max(want, over);
	for (int round = 0; round < 3 && want > 0; round++) {
		long before = atomic_long_read(&c->nr_resident);

		evict_round(c, want, round == 2);
		want -= before - atomic_long_read(&c->nr_resident);
		wake_up_all(&c->evict_wait);
	}
	wake_up_all(&c->evict_wait);
}

static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	struct dsm_cluster *c = s->private_data;

	return atomic_long_read(&c->nr_resident) ?: SHRINK_EMPTY;
}

/*
 * Copies go through the network, so the shrinker only asks for it: reclaim must
 * not wait for another server.
 */
static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct dsm_cluster *c = s->private_data;

	atomic_long_add(sc->nr_to_scan, &c->evict_scan);
	dsm_evict_kick(c);
	return SHRINK_STOP;
}

int dsm_evict_start(struct dsm_cluster *c)
{
	struct shrinker *s;

	INIT_WORK(&c->evict_work, evict_work);
	init_waitqueue_head(&c->evict_wait);
	s = shrinker_alloc(0, "dsm-%s", c->name);
	if (!s)
		return -ENOMEM;
	s->count_objects = shrink_count;
	s->scan_objects = shrink_scan;
	s->private_data = c;
	c->shrinker = s;
	shrinker_register(s);
	return 0;
}

void dsm_evict_stop(struct dsm_cluster *c)
{
	if (c->shrinker)
		shrinker_free(c->shrinker);
	c->shrinker = NULL;
	cancel_work_sync(&c->evict_work);
}

/* Is there a copy, or, on a node that leaves, a request that may still bring one? */
static bool is_left(struct dsm_entry *e)
{
	bool ret;

	spin_lock_bh(&e->lock);
	ret = dsm_page_has_copy(&e->core) ||
	      (READ_ONCE(e->region->cluster->leaving) && e->core.state != DSM_PS_I &&
	       !dsm_entry_check_answerers(e));
	spin_unlock_bh(&e->lock);
	return ret;
}

/**
 * dsm_page_evict_range() - give up the copies in a range
 * @r:		the region
 * @start:	first page
 * @nr:		number of pages
 *
 * Context: process; waits for home, evict_timeout_ms and a little more.
 * Return: 0; -EBUSY if some copies stayed (in use, or the last ones, with no
 * place elsewhere); -EINTR.
 */
int dsm_page_evict_range(struct dsm_region *r, u64 start, u64 nr)
{
	struct dsm_cluster *c = r->cluster;
	u64 end = nr > U64_MAX - start ? U64_MAX : start + nr;
	unsigned long deadline = jiffies +
		msecs_to_jiffies(4 * READ_ONCE(c->knobs.evict_timeout_ms));
	struct dsm_nodeset others;
	struct dsm_entry *e;
	bool left;

	do {
		u64 index = start;

		other_members(c, &others);
		left = false;
		while (index < end && (e = dsm_entry_next(r, index))) {
			index = e->index + 1;
			if (e->index < end) {
				evict_one(e, &others, NULL, true);
				left |= is_left(e);
			}
			dsm_entry_put(e);
			cond_resched();
		}
		dsm_node_flush(c);
		if (!left)
			return 0;
		if (schedule_timeout_killable(1) && fatal_signal_pending(current))
			return -EINTR;
	} while (time_before(jiffies, deadline));
	return -EBUSY;
}

/**
 * dsm_region_evict_all() - give up every copy, and wait for requests; this node leaves
 * @r:		the region
 * @deadline:	in jiffies
 *
 * Context: process; sleeps.
 * Return: 0; -ETIMEDOUT if some stayed.
 */
int dsm_region_evict_all(struct dsm_region *r, unsigned long deadline)
{
	int err;

	do {
		err = dsm_page_evict_range(r, 0, U64_MAX);
	} while (err == -EBUSY && time_before(jiffies, deadline));
	return err == -EBUSY ? -ETIMEDOUT : err;
}
