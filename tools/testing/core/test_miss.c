// SPDX-License-Identifier: GPL-2.0
/* Misses, invalidation, the queue of a busy home, holding. */
#include "cluster.h"

TEST(first_read_is_zero)
{
	start(3, 0);
	want_read(1);
	PAGE_IS(1, IS);
	DELIVER(1, 0, GETS);
	DIR_IS(0, ZS);
	CHECK(message(0, 1)->flags == DSM_MF_ZERO);
	DELIVER(0, 1, GRANT);
	PAGE_IS(1, S);
	CHECK(c.node[1].wakes == 1);
	QUIET();
}

TEST(first_write_is_zero)
{
	start(3, 0);
	want_write(1);
	DELIVER(1, 0, GETX);
	DIR_IS(0, E);
	DELIVER(0, 1, GRANT);
	PAGE_IS(1, E);
	store(1);
	QUIET();
}

TEST(home_serves_itself_without_messages)
{
	start(2, 0);
	want_read(0);
	PAGE_IS(0, S);
	want_write(0);
	PAGE_IS(0, E);
	store(0);
	QUIET();
}

TEST(read_of_an_owned_page_takes_three_hops)
{
	start(3, 0);
	do_write(1);
	want_read(2);
	DELIVER(2, 0, GETS);
	DIR_IS(0, BR);
	DELIVER(0, 1, FWDS);
	PAGE_IS(1, S);
	DELIVER(1, 2, GRANT);
	PAGE_IS(2, S);
	DIR_IS(0, BR);
	DELIVER(2, 0, DONE);
	DIR_IS(0, S);
	CHECK(dsm_nodeset_weight(&c.node[0].d.set) == 2);
	QUIET();
}

TEST(read_from_home_takes_two_hops_and_no_done)
{
	start(2, 0);
	do_write(0);
	want_read(1);
	DELIVER(1, 0, GETS);
	DIR_IS(0, S);
	CHECK(message(0, 1)->flags == DSM_MF_PAGE);
	DELIVER(0, 1, GRANT);
	QUIET();
}

TEST(home_is_busy_while_its_own_copy_is_unmapped)
{
	start(3, 0);
	do_write(0);
	c.manual = true;
	want_write(1);
	DELIVER(1, 0, GETX);
	PAGE_IS(0, E_AWAY);
	DIR_IS(0, BW);
	want_read(2);
	DELIVER(2, 0, GETS);
	QUIET();
	revoked(0);
	PAGE_IS(0, I);
	DIR_IS(0, BR);		/* the queue went on */
	DELIVER(0, 1, GRANT);
	store(1);
	DELIVER(0, 1, FWDS);
	revoked(1);
	settle();
	PAGE_IS(2, S);
}

TEST(upgrade_carries_no_page)
{
	start(3, 0);
	do_write(0);
	do_read(1);
	do_read(2);
	want_write(1);
	PAGE_IS(1, SX);
	DELIVER(1, 0, GETX);
	PAGE_IS(0, I);
	CHECK(message(0, 1)->type == DSM_MSG_ACK);
	DELIVER(0, 1, ACK);
	PAGE_IS(1, SX);
	DELIVER(0, 2, INV);
	CHECK(message(2, 1)->type == DSM_MSG_ACK);
	DELIVER(2, 1, ACK);
	PAGE_IS(1, E);
	DELIVER(1, 0, DONE);
	DIR_IS(0, E);
	store(1);
	QUIET();
}

TEST(upgrade_of_the_only_sharer_is_two_hops)
{
	start(2, 0);
	do_read(1);
	want_write(1);
	DELIVER(1, 0, GETX);
	DIR_IS(0, E);
	DELIVER(0, 1, GRANT);
	PAGE_IS(1, E);
	QUIET();
}

TEST(two_upgrades_race_and_one_gets_the_data)
{
	start(3, 0);
	do_write(1);
	do_read(2);
	want_write(1);
	want_write(2);
	DELIVER(1, 0, GETX);
	DELIVER(2, 0, GETX);
	c.manual = true;
	DELIVER(0, 2, INV);
	PAGE_IS(2, SX_AWAY);
	revoked(2);
	PAGE_IS(2, IX);
	DELIVER(2, 1, ACK);
	PAGE_IS(1, E);
	store(1);
	DELIVER(1, 0, DONE);
	DELIVER(0, 1, INV);
	revoked(1);
	DELIVER(1, 2, GRANT);
	PAGE_IS(2, E);
	DELIVER(2, 0, DONE);
	QUIET();
}

TEST(many_sharers_are_invalidated_in_one_round)
{
	start(DSM_MAX_NODES, 3);
	do_write(0);
	for (u16 n = 0; n < c.nr - 1; n++)
		do_read(n);
	want_write(255);
	DELIVER(255, 3, GETX);
	CHECK(nr_under_way(DSM_MSG_INV) == 254);
	settle();
	PAGE_IS(255, E);
	store(255);
}

TEST(sharers_of_a_zero_page_answer_without_it)
{
	start(4, 0);
	do_read(1);
	do_read(2);
	want_write(3);
	DELIVER(3, 0, GETX);
	DELIVER(0, 1, INV);
	DELIVER(0, 2, INV);
	CHECK(message(1, 3)->flags == (DSM_MF_DONE | DSM_MF_ZERO));
	settle();
	PAGE_IS(3, E);
	store(3);
}

TEST(a_page_waits_for_the_acks)
{
	start(4, 0);
	do_write(1);
	do_read(2);
	want_write(3);
	DELIVER(3, 0, GETX);
	DELIVER(0, 1, INV);
	DELIVER(1, 3, GRANT);
	PAGE_IS(3, IX);
	CHECK(c.node[3].has);
	evict(3, NOBODY);
	discard(3);
	want_read(3);
	PAGE_IS(3, IX);
	DELIVER(0, 2, INV);
	DELIVER(2, 3, ACK);
	PAGE_IS(3, E);
	DELIVER(3, 0, DONE);
	QUIET();
}

TEST(everyone_queues_at_a_busy_home)
{
	start(DSM_MAX_NODES, 0);
	do_write(1);
	want_write(2);
	DELIVER(2, 0, GETX);
	for (u16 n = 3; n < c.nr; n++) {
		want_read(n);
		deliver(n, 0, DSM_MSG_GETS);
	}
	CHECK(c.node[0].busy->len == c.nr - 3);
	settle();
	for (u16 n = 2; n < c.nr; n++)
		CHECK(dsm_page_right(&c.node[n].p) == DSM_RIGHT_READ);
	for (u16 n = 0; n < c.nr; n++)
		do_write(n);
}

TEST(a_long_queue_is_drained_in_steps)
{
	start(DSM_MAX_NODES, 0);
	do_write(1);
	want_read(0);			/* home will have a copy: FIN and FIN */
	c.manual = true;
	for (u16 n = 2; n < c.nr; n++) {
		want_read(n);
		deliver(n, 0, DSM_MSG_GETS);
	}
	c.manual = false;
	settle();
	for (u16 n = 0; n < c.nr; n++)
		PAGE_IS(n, S);
	printf("# at most %u actions and %u cells in a step\n",
	       c.max_actions, c.max_cells);
}

TEST(zero_pages_are_drained_in_steps)
{
	start(100, 0);
	do_write(0);
	c.manual = true;
	want_write(1);
	DELIVER(1, 0, GETX);
	for (u16 n = 2; n < c.nr; n++) {
		evict(n, NOBODY);
		want_read(n);
		deliver(n, 0, DSM_MSG_GETS);
	}
	revoked(0);
	c.manual = false;
	settle();
	PAGE_IS(99, S);
}

/* Home's own copy answers one queued reader after another: DRAIN is wanted. */
static void fill_queue(u16 nr)
{
	start(nr, 0);
	do_write(0);
	c.manual = true;
	for (u16 n = 1; n < c.nr - 3; n++) {
		want_read(n);
		deliver(n, 0, DSM_MSG_GETS);
	}
	c.no_drain = true;
	revoked(0);
	c.manual = false;
	DIR_IS(0, BQ);
}

TEST(requests_that_come_before_the_drain_wait)
{
	fill_queue(100);
	want_read(97);
	want_write(98);
	DELIVER(97, 0, GETS);
	DELIVER(98, 0, GETX);
	DELIVER(0, 1, GRANT);
	evict(1, NOBODY);
	DELIVER(1, 0, PUT);
	DIR_IS(0, BQ);
	c.no_drain = false;
	drain(0);
	settle();
	for (u16 n = 0; n < c.nr; n++)
		do_write(n);
}

TEST(the_home_leaves_before_the_drain)
{
	fill_queue(100);
	hand_off(0, 99);
	DIR_IS(0, BQ);
	drain(0);
	while (c.node[0].d.state == DSM_DS_BQ)
		drain(0);
	DIR_IS(0, MOVED);
	drain(0);
	c.no_drain = false;
	settle();
	for (u16 n = 0; n < c.nr; n++)
		do_write(n);
}

TEST(a_granted_page_is_held)
{
	start(3, 0);
	c.node[1].hold_us = 100;
	do_write(1);
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	PAGE_IS(1, E);
	store(1);
	evict(1, NOBODY);
	PAGE_IS(1, E);
	c.now += 50;
	local(1, DSM_EK_PAGE, DSM_PE_TIMER, NOBODY);	/* too early */
	PAGE_IS(1, E);
	timer(1);
	PAGE_IS(1, I);
	settle();
	store(2);
}

/* Home gets the page while others queue for it: they are served at once. */
static void home_gets_what_others_want(void)
{
	start(3, 0);
	do_write(1);
	c.node[0].grace_us = 1000;
	want_write(0);
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	DELIVER(1, 0, GRANT);
}

static void home_gives_it_away(void)
{
	timer(0);
	PAGE_IS(0, I);
	settle();
	store(2);
}

TEST(a_granted_page_is_kept_until_it_is_used)
{
	home_gets_what_others_want();
	PAGE_IS(0, E);
	evict(0, NOBODY);
	PAGE_IS(0, E);
	store(0);
	c.now += 10;
	c.node[0].hold_us = 50;
	used(0);
	PAGE_IS(0, E);
	CHECK(c.node[0].timer_us == c.now + 50);
	home_gives_it_away();
}

TEST(a_page_that_no_one_uses_is_given_away)
{
	home_gets_what_others_want();
	CHECK(c.node[0].timer_us == c.now + 1000);
	home_gives_it_away();
}

TEST(use_does_not_shorten_the_hold)
{
	u64 until;

	start(3, 0);
	c.node[1].hold_us = 100;
	c.node[1].grace_us = 1000;
	do_write(1);
	until = c.node[1].p.held_until;
	c.node[1].hold_us = 50;
	used(1);
	CHECK(c.node[1].p.held_until == until);
	used(1);
	want_write(2);
	settle();
	store(2);
}

/* A node has the page and its user waits for others; another wants to write to it. */
static u64 wanted_from_busy(u16 holder, u16 age, u16 other, u16 others_age)
{
	u64 began;

	start(3, 0);
	c.node[holder].hold_us = 100;
	c.node[holder].hold_max_us = 1600;
	c.node[holder].user_busy = true;
	c.node[holder].age = age;
	c.node[other].age = others_age;
	began = c.now;
	do_write(holder);
	want_write(other);
	DELIVER(other, 0, GETX);
	DELIVER(0, holder, INV);
	PAGE_IS(holder, E);
	return began;
}

static void taken_from_1(void)
{
	PAGE_IS(1, I);
	settle();
	store(2);
}

TEST(a_page_is_held_while_its_user_waits_for_others)
{
	u64 began = wanted_from_busy(1, 20, 2, 10);

	c.now += 100;
	timer(1);
	PAGE_IS(1, E);
	c.node[1].user_busy = false;
	timer(1);		/* looked at again, long before the limit */
	CHECK(c.now < began + 1000 && !c.node[1].turn_over);
	taken_from_1();
}

TEST(a_busy_user_keeps_a_page_within_the_limit)
{
	u64 began = wanted_from_busy(1, 2000, 2, 10);

	for (int looks = 0; c.node[1].p.state == DSM_PS_E; looks++) {
		CHECK(looks < 20 && !c.node[1].turn_over);
		timer(1);
	}
	CHECK(c.now >= began + 1600 && c.now < began + 2000);
	CHECK(c.node[1].turn_over);
	taken_from_1();
}

TEST(an_older_user_gets_the_page_of_a_busy_one)
{
	u64 began = wanted_from_busy(1, 10, 2, 20);

	timer(1);
	CHECK(c.now == began + 100 && !c.node[1].turn_over);
	taken_from_1();
}

TEST(who_waits_for_a_busy_user_becomes_older)
{
	u64 began = wanted_from_busy(1, 20, 2, 10);

	c.node[1].age = 10;	/* it goes on, and was quiet in between */
	for (int looks = 0; c.node[1].p.state == DSM_PS_E; looks++) {
		CHECK(looks < 20);
		timer(1);
	}
	CHECK(c.now < began + 1000 && !c.node[1].turn_over);
	taken_from_1();
}

TEST(of_two_users_of_one_age_the_lower_node_wins)
{
	u64 began = wanted_from_busy(2, 0, 1, 0);

	timer(2);
	CHECK(c.now == began + 100);
	PAGE_IS(2, I);
	settle();
	store(1);
}

TEST(a_page_that_was_pushed_here_is_kept_for_no_one)
{
	wanted_from_busy(1, 2000, 2, 10);
	c.node[1].user_busy = false;
	settle();
	do_write(0);
	evict(0, 1);
	settle();
	PAGE_IS(1, E);
	c.node[1].user_busy = true;
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	PAGE_IS(1, I);
	CHECK(!c.node[1].turn_over);
	settle();
	store(2);
}

TEST(the_age_of_a_request_survives_the_queue)
{
	start(4, 0);
	do_write(3);
	c.node[1].age = 7;
	c.node[2].age = 9;
	want_write(1);
	want_write(2);
	DELIVER(1, 0, GETX);
	DELIVER(2, 0, GETX);
	CHECK(c.flight[0].m.type == DSM_MSG_INV && c.flight[0].m.age == 7);
	CHECK(c.node[0].d.busy->q[c.node[0].d.busy->head].age == 9);
	settle();
	store(2);
}

TEST(a_held_sharer_upgrades_and_loses)
{
	start(3, 0);
	do_write(2);
	c.node[1].hold_us = 100;
	do_read(1);
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	PAGE_IS(1, S);
	want_write(1);
	PAGE_IS(1, SX);
	timer(1);
	PAGE_IS(1, IX);
	settle();
	PAGE_IS(1, E);
	store(1);
}

TEST(a_held_sharer_gives_up)
{
	start(3, 0);
	do_write(2);
	c.node[1].hold_us = 100;
	do_read(1);
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	timer(1);
	PAGE_IS(1, I);
	settle();
	store(2);
}

TEST(readers_do_not_wait_for_the_hold_of_a_sharer)
{
	start(3, 0);
	c.node[1].hold_us = 1000;
	do_write(2);
	do_read(1);
	evict(2, NOBODY);
	settle();
	want_read(0);
	DELIVER(0, 1, FWDS);
	DELIVER(1, 0, GRANT);
	PAGE_IS(0, S);
	CHECK(c.now < c.node[1].p.held_until);
}

TEST(an_upgrading_sharer_still_shares)
{
	start(4, 0);
	do_write(1);
	do_read(2);
	want_write(1);
	want_read(3);
	DELIVER(3, 0, GETS);
	DELIVER(1, 0, GETX);
	if (under_way(0, 1, DSM_MSG_FWDS)) {
		DELIVER(0, 1, FWDS);
		PAGE_IS(1, SX);
	}
	settle();
	store(1);
}

TEST(discard_makes_zero_again_at_home)
{
	start(2, 0);
	do_write(0);
	discard(0);
	PAGE_IS(0, I);
	DIR_IS(0, Z);
	do_read(1);
	CHECK(c.node[1].data == 0);
	do_write(1);
	discard(1);		/* not the home's: nothing happens */
	PAGE_IS(1, E);
}

static bool awaits(u16 node)
{
	struct dsm_nodeset set = dsm_dir_awaits(&c.node[0].d, 0);

	return dsm_nodeset_has(&set, node);
}

TEST(a_busy_home_says_whom_it_awaits)
{
	start(4, 0);
	do_write(1);
	CHECK(!awaits(1));

	want_read(2);		/* the owner, then the requester */
	DELIVER(2, 0, GETS);
	CHECK(!awaits(0) && awaits(1) && awaits(2) && !awaits(3));
	settle();
	CHECK(!awaits(1) && !awaits(2));

	want_read(3);		/* one of two that could serve it */
	DELIVER(3, 0, GETS);
	DIR_IS(0, BR);
	CHECK(awaits(1) != awaits(2) && awaits(3));
	CHECK(under_way(0, awaits(1) ? 1 : 2, DSM_MSG_FWDS));
	settle();

	want_write(0);		/* all that share it */
	DIR_IS(0, BW);
	CHECK(awaits(0) && awaits(1) && awaits(2) && awaits(3));
	settle();
	store(0);
	CHECK(!awaits(0) && !awaits(1));
}
