// SPDX-License-Identifier: GPL-2.0
#include "cluster.h"
#include "nodeset.h"
#include "place.h"

static struct dsm_place pl;

static void make(u16 nr, u8 policy, u64 unit, u16 node)
{
	struct dsm_nodeset set;

	dsm_nodeset_clear(&set);
	for (u16 i = 0; i < nr; i++)
		dsm_nodeset_add(&set, 10 + i);
	dsm_place_init(&pl, &set, policy, unit, node);
	CHECK(dsm_place_check(&pl, 256) == DSM_V_OK);
}

#define HOME(page, n)	CHECK(dsm_place_home(&pl, page) == (n))

TEST(policies)
{
	make(3, DSM_POLICY_INTERLEAVE, 0, 0);
	HOME(0, 10);
	HOME(4, 11);
	make(3, DSM_POLICY_BLOCK, 100, 0);
	HOME(99, 10);
	HOME(100, 11);
	HOME(299, 12);
	HOME(300, 10);
	make(3, DSM_POLICY_NODE, 0, 12);
	HOME(0, 12);
	HOME(~0ULL - 1, 12);
	CHECK_STR(dsm_policy_name(DSM_POLICY_BLOCK), "BLOCK");
	CHECK_STR(dsm_policy_name(99), "?");
}

TEST(a_range_of_its_own_moves_no_other_page)
{
	make(3, DSM_POLICY_BLOCK, 7, 0);
	CHECK(dsm_place_set(&pl, 100, 50, DSM_POLICY_NODE, 0, 11) == DSM_V_OK);
	CHECK(dsm_place_check(&pl, 256) == DSM_V_OK);
	CHECK(pl.nr_ranges == 3);
	for (u64 p = 0; p < 400; p++)
		HOME(p, p >= 100 && p < 150 ? 11 : 10 + p / 7 % 3);
	/* across two borders, and back to one range */
	CHECK(dsm_place_set(&pl, 90, 100, DSM_POLICY_BLOCK, 7, 0) == DSM_V_OK);
	CHECK(pl.nr_ranges == 1);
	CHECK(dsm_place_set(&pl, 1000, ~0ULL, DSM_POLICY_INTERLEAVE, 0, 0) == DSM_V_OK);
	CHECK(pl.nr_ranges == 2);
	HOME(1000, 11);
}

TEST(placements_that_make_no_sense)
{
	struct dsm_place before;

	make(2, DSM_POLICY_INTERLEAVE, 0, 0);
	before = pl;
	CHECK(dsm_place_set(&pl, 0, 0, DSM_POLICY_INTERLEAVE, 0, 0) == DSM_V_BAD_FIELD);
	CHECK(dsm_place_set(&pl, 0, 1, DSM_POLICY_BLOCK, 0, 0) == DSM_V_BAD_FIELD);
	CHECK(dsm_place_set(&pl, 0, 1, DSM_POLICY_NODE, 0, 9) == DSM_V_BAD_FIELD);
	CHECK(dsm_place_set(&pl, 0, 1, DSM_NR_POLICIES, 0, 9) == DSM_V_BAD_FIELD);
	CHECK(!memcmp(&before, &pl, sizeof(pl)));
	for (u64 i = 0; i < 7; i++)
		CHECK(dsm_place_set(&pl, 10 + 10 * i, 5, DSM_POLICY_NODE, 0, 10) ==
		      DSM_V_OK);
	CHECK(pl.nr_ranges == 15);
	CHECK(dsm_place_set(&pl, 3, 1, DSM_POLICY_NODE, 0, 11) == DSM_V_OVERFLOW);
	CHECK(dsm_place_check(&pl, 256) == DSM_V_OK);
	HOME(72, 10);
}

TEST(a_successor_takes_the_slots)
{
	make(3, DSM_POLICY_INTERLEAVE, 0, 0);
	dsm_place_rehome(&pl, 11, 12);
	HOME(0, 10);
	HOME(1, 12);
	HOME(2, 12);
}

TEST(placements_from_the_wire_are_checked)
{
	make(2, DSM_POLICY_INTERLEAVE, 0, 0);
	CHECK(dsm_place_set(&pl, 10, 5, DSM_POLICY_BLOCK, 4, 0) == DSM_V_OK);
	CHECK(dsm_place_check(&pl, 11) == DSM_V_BAD_FIELD);
#define BROKEN(change)							\
	do {								\
		struct dsm_place good = pl;				\
									\
		change;							\
		CHECK(dsm_place_check(&pl, 256) == DSM_V_BAD_FIELD);	\
		pl = good;						\
	} while (0)
	BROKEN(pl.nr_slots = 0);
	BROKEN(pl.nr_slots = 257);
	BROKEN(pl.nr_ranges = 0);
	BROKEN(pl.nr_ranges = 17);
	BROKEN(pl.range[0].start = 1);
	BROKEN(pl.range[1].start = 11);
	BROKEN(pl.range[0].nr = 0);
	BROKEN(pl.range[1].nr = ~0ULL);
	BROKEN(pl.range[1].unit = 0);
	BROKEN(pl.range[1].policy = DSM_NR_POLICIES);
	BROKEN(pl.range[1].policy = DSM_POLICY_NODE; pl.range[1].slot = 2);
	BROKEN(pl.range[2].start = ~0ULL);
}
