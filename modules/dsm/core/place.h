/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Placement: which node is the home of a page.
 *
 * A region is cut into ranges, each with a policy that maps a page to a slot;
 * slots map to nodes.  A node that leaves hands its slots to a successor, and
 * nothing else of the placement changes.
 */
#ifndef DSM_CORE_PLACE_H
#define DSM_CORE_PLACE_H

#include "types.h"

#define DSM_PLACE_MAX_RANGES	16

#define DSM_POLICIES(X)	\
	X(BLOCK)	\
	X(INTERLEAVE)	\
	X(NODE)

/**
 * enum dsm_policy - how a range is spread
 * @DSM_POLICY_BLOCK:		unit consecutive pages to a slot, then the next
 *				unit to the next slot, wrapping around
 * @DSM_POLICY_INTERLEAVE:	page by page over the slots
 * @DSM_POLICY_NODE:		all on one slot
 */
enum dsm_policy {
#define X(name) DSM_POLICY_##name,
	DSM_POLICIES(X)
#undef X
	DSM_NR_POLICIES,
};

/**
 * struct dsm_range - a part of a region with one policy
 * @start:	first page
 * @nr:		number of pages; the last range goes on for ever
 * @unit:	BLOCK: pages a block, not 0
 * @slot:	NODE: the slot
 * @policy:	enum dsm_policy
 */
struct dsm_range {
	u64 start;
	u64 nr;
	u64 unit;
	u16 slot;
	u8 policy;
};

/**
 * struct dsm_place - placement of a region
 * @nr_slots:	used entries of @node, not 0
 * @nr_ranges:	used entries of @range, not 0; sorted, without gaps, from page 0
 * @node:	the node of each slot
 * @range:	the ranges
 */
struct dsm_place {
	u16 nr_slots;
	u16 nr_ranges;
	u8 node[DSM_MAX_NODES];
	struct dsm_range range[DSM_PLACE_MAX_RANGES];
};

/** dsm_place_home() - the home of a page; O(log ranges) */
u16 dsm_place_home(const struct dsm_place *pl, u64 page);

/** dsm_place_init() - one range with one policy over the members, in order */
void dsm_place_init(struct dsm_place *pl, const struct dsm_nodeset *members,
		    u8 policy, u64 unit, u16 node);

/**
 * dsm_place_set() - give a range of pages a policy of its own
 *
 * Return: enum dsm_verdict; OVERFLOW if there would be too many ranges,
 * BAD_FIELD if the policy, unit or node makes no sense.  Unless OK, the
 * placement is as before.
 */
u8 dsm_place_set(struct dsm_place *pl, u64 start, u64 nr, u8 policy, u64 unit,
		 u16 node);

/** dsm_place_rehome() - the slots of a node that leaves go to its successor */
void dsm_place_rehome(struct dsm_place *pl, u16 leaver, u16 successor);

/** dsm_place_check() - is a placement that came over the wire well-formed? */
u8 dsm_place_check(const struct dsm_place *pl, u16 nr_nodes);

const char *dsm_policy_name(u8 policy);

#endif
