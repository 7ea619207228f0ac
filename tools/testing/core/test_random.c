// SPDX-License-Identifier: GPL-2.0
/*
 * Random walks: local events and deliveries in any order that the links allow,
 * checked after each step, then everything has to come to rest and every node
 * has to be able to write.
 */
#include "cluster.h"

static u64 rng;

static u32 rnd(u32 below)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(rng >> 33) % below;
}

/* The oldest of a random link. */
static void deliver_random(void)
{
	unsigned int i = rnd(c.nr_flights), j = 0;

	while (c.flight[j].from != c.flight[i].from ||
	       c.flight[j].to != c.flight[i].to)
		j++;
	deliver_at(j);
}

static u16 home_of_all(void)
{
	return c.node[0].home;
}

static void local_random(u16 n)
{
	struct node *node = &c.node[n];

	if (node->revoking && rnd(2)) {
		if (!node->must && rnd(2))
			unrevoked(n);
		else
			revoked(n);
		return;
	}
	if (node->timer_us && rnd(2)) {
		timer(n);
		return;
	}
	node->hold_us = rnd(4) ? 0 : 50;
	node->grace_us = rnd(4) ? 0 : 200;
	node->room = rnd(4);
	switch (rnd(5)) {
	case 0:
		want_read(n);
		return;
	case 1:
		want_write(n);
		return;
	case 2:
		evict(n, rnd(2) ? NOBODY : rnd(c.nr));
		return;
	case 3:
		if (dsm_page_right(&node->p) == DSM_RIGHT_WRITE)
			store(n);
		used(n);
		return;
	case 4:
		c.now += rnd(40);
		if (!rnd(8))
			discard(n);
		return;
	}
}

static void come_to_rest(void)
{
	c.manual = false;
	for (u16 n = 0; n < c.nr; n++) {
		c.node[n].hold_us = 0;
		if (c.node[n].revoking)
			revoked(n);
	}
	settle();
	for (u16 n = 0; n < c.nr; n++)
		do_write(n);
	for (u16 n = 0; n < c.nr; n++)
		do_read(n);
}

static void walk(u64 seed, unsigned int steps, bool leave)
{
	rng = tap_seed = seed;
	start(2 + rnd(5), rnd(2));
	c.manual = true;
	for (unsigned int i = 0; i < steps; i++) {
		u16 home = home_of_all();

		if (c.nr_flights && rnd(3))
			deliver_random();
		else if (leave && !rnd(60) && c.node[home].d.state != DSM_DS_MOVED)
			hand_off(home, (home + 1) % c.nr);
		else
			local_random(rnd(c.nr));
	}
	come_to_rest();
}

TEST(walks_with_a_fixed_home)
{
	for (u64 seed = 1; seed <= 3000; seed++)
		walk(seed, 400, false);
}

TEST(walks_while_the_home_leaves)
{
	for (u64 seed = 1; seed <= 3000; seed++)
		walk(seed, 400, true);
}
