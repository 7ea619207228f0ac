// SPDX-License-Identifier: GPL-2.0
/*
 * Placement of a region.  A policy looks at the number of the page in the
 * region, not in the range: to cut a range in two moves no page that keeps its
 * policy.
 */
#include <linux/string.h>

#include "nodeset.h"
#include "place.h"

#define END	(~0ULL)

static u64 end_of(const struct dsm_place *pl, u16 i)
{
	return i + 1 < pl->nr_ranges ? pl->range[i + 1].start : END;
}

static const struct dsm_range *range_of(const struct dsm_place *pl, u64 page)
{
	u16 lo = 0, hi = pl->nr_ranges;

	/* range[lo].start <= page, and page < range[hi].start */
	while (hi - lo > 1) {
		u16 mid = lo + (hi - lo) / 2;

		if (pl->range[mid].start <= page)
			lo = mid;
		else
			hi = mid;
	}
	return &pl->range[lo];
}

u16 dsm_place_home(const struct dsm_place *pl, u64 page)
{
	const struct dsm_range *r = range_of(pl, page);

	switch ((enum dsm_policy)r->policy) {
	case DSM_POLICY_BLOCK:
		return pl->node[page / r->unit % pl->nr_slots];
	case DSM_POLICY_INTERLEAVE:
		return pl->node[page % pl->nr_slots];
	case DSM_POLICY_NODE:
	case DSM_NR_POLICIES:
		break;
	}
	return pl->node[r->slot];
}

static u16 slot_of(const struct dsm_place *pl, u16 node)
{
	for (u16 i = 0; i < pl->nr_slots; i++)
		if (pl->node[i] == node)
			return i;
	return DSM_NODE_NONE;
}

/* A range with the fields that its policy does not use at 0. */
static bool make_range(const struct dsm_place *pl, struct dsm_range *r,
		       u8 policy, u64 unit, u16 node)
{
	*r = (struct dsm_range){ .policy = policy };
	switch ((enum dsm_policy)policy) {
	case DSM_POLICY_BLOCK:
		r->unit = unit;
		return unit;
	case DSM_POLICY_INTERLEAVE:
		return true;
	case DSM_POLICY_NODE:
		r->slot = slot_of(pl, node);
		return r->slot != DSM_NODE_NONE;
	case DSM_NR_POLICIES:
		break;
	}
	return false;
}

void dsm_place_init(struct dsm_place *pl, const struct dsm_nodeset *members,
		    u8 policy, u64 unit, u16 node)
{
	u16 n;

	*pl = (struct dsm_place){ .nr_ranges = 1 };
	dsm_nodeset_for_each(n, members)
		pl->node[pl->nr_slots++] = n;
	if (!pl->nr_slots)
		pl->nr_slots = 1;
	if (!make_range(pl, &pl->range[0], policy, unit, node))
		make_range(pl, &pl->range[0], DSM_POLICY_INTERLEAVE, 0, 0);
	pl->range[0].nr = END;
}

static bool alike(const struct dsm_range *a, const struct dsm_range *b)
{
	return a->policy == b->policy && a->unit == b->unit && a->slot == b->slot;
}

/* Ranges under construction: a set adds two at most, before it is merged. */
struct ranges {
	u16 nr;
	struct dsm_range r[DSM_PLACE_MAX_RANGES + 2];
};

static void append(struct ranges *to, const struct dsm_range *r, u64 start, u64 end)
{
	struct dsm_range *last = to->nr ? &to->r[to->nr - 1] : NULL;

	if (start >= end)
		return;
	if (last && alike(last, r)) {
		last->nr = end - last->start;
		return;
	}
	last = &to->r[to->nr++];
	*last = *r;
	last->start = start;
	last->nr = end - start;
}

static u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

u8 dsm_place_set(struct dsm_place *pl, u64 start, u64 nr, u8 policy, u64 unit,
		 u16 node)
{
	u64 end = nr > END - start ? END : start + nr;
	struct ranges to = { .nr = 0 };
	struct dsm_range new;

	if (start >= end || !make_range(pl, &new, policy, unit, node))
		return DSM_V_BAD_FIELD;
	for (u16 i = 0; i < pl->nr_ranges; i++) {
		u64 from = pl->range[i].start, until = end_of(pl, i);

		append(&to, &pl->range[i], from, min_u64(until, start));
		append(&to, &new, max_u64(from, start), min_u64(until, end));
		append(&to, &pl->range[i], max_u64(from, end), until);
	}
	if (to.nr > DSM_PLACE_MAX_RANGES)
		return DSM_V_OVERFLOW;
	pl->nr_ranges = to.nr;
	memcpy(pl->range, to.r, to.nr * sizeof(to.r[0]));
	return DSM_V_OK;
}

void dsm_place_rehome(struct dsm_place *pl, u16 leaver, u16 successor)
{
	for (u16 i = 0; i < pl->nr_slots; i++)
		if (pl->node[i] == leaver)
			pl->node[i] = successor;
}

static bool range_ok(const struct dsm_place *pl, u16 i)
{
	const struct dsm_range *r = &pl->range[i];
	bool last = i + 1 == pl->nr_ranges;

	if (!i && r->start)
		return false;
	if (last ? r->start == END : !r->nr || r->nr > END - r->start ||
				      r->start + r->nr != pl->range[i + 1].start)
		return false;
	switch ((enum dsm_policy)r->policy) {
	case DSM_POLICY_BLOCK:
		return r->unit && !r->slot;
	case DSM_POLICY_INTERLEAVE:
		return !r->unit && !r->slot;
	case DSM_POLICY_NODE:
		return r->slot < pl->nr_slots && !r->unit;
	case DSM_NR_POLICIES:
		break;
	}
	return false;
}

u8 dsm_place_check(const struct dsm_place *pl, u16 nr_nodes)
{
	if (!pl->nr_slots || pl->nr_slots > DSM_MAX_NODES ||
	    !pl->nr_ranges || pl->nr_ranges > DSM_PLACE_MAX_RANGES)
		return DSM_V_BAD_FIELD;
	for (u16 i = 0; i < pl->nr_slots; i++)
		if (pl->node[i] >= nr_nodes)
			return DSM_V_BAD_FIELD;
	for (u16 i = 0; i < pl->nr_ranges; i++)
		if (!range_ok(pl, i))
			return DSM_V_BAD_FIELD;
	return DSM_V_OK;
}
