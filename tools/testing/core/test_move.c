// SPDX-License-Identifier: GPL-2.0
/* A home that leaves: entries move, requests are passed on behind them. */
#include "cluster.h"

static void everyone_writes(void)
{
	c.manual = false;
	settle();
	for (u16 n = 0; n < c.nr; n++)
		do_write(n);
}

TEST(an_entry_moves)
{
	for (int state = 0; state < 4; state++) {
		start(4, 0);
		if (state == 1)
			do_read(2);
		if (state >= 2)
			do_write(2);
		if (state == 3)
			do_read(3);
		hand_off(0, 1);
		DIR_IS(0, MOVED);
		if (state)
			DELIVER(0, 1, MOVE);
		QUIET();
		hand_off(0, 1);		/* nothing to hand off any more */
		want_read(2);
		want_write(3);
		everyone_writes();
	}
}

/* What the shell makes where there is no entry is what HANDOFF makes of an empty one. */
TEST(an_entry_of_a_node_that_leaves_has_moved)
{
	struct dsm_dir d;

	dsm_dir_init_moved(&d, 1);
	start(3, 0);
	hand_off(0, 1);
	c.node[0].d.busy = NULL;
	CHECK(!memcmp(&d, &c.node[0].d, sizeof(d)));
}

TEST(an_entry_moves_on)
{
	start(4, 0);
	do_write(3);
	hand_off(1, 2);			/* successor leaves first */
	DIR_IS(1, MOVED);
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	DELIVER(1, 2, MOVE);
	DIR_IS(2, E);
	evict(3, NOBODY);
	everyone_writes();
}

TEST(a_busy_entry_moves_when_it_is_free)
{
	start(5, 0);
	do_write(2);
	want_write(3);
	DELIVER(3, 0, GETX);
	want_read(4);
	DELIVER(4, 0, GETS);
	hand_off(0, 1);
	DIR_IS(0, BW);
	DELIVER(0, 2, INV);
	DELIVER(2, 3, GRANT);
	DELIVER(3, 0, DONE);
	DIR_IS(0, MOVED);
	DELIVER(0, 1, MOVE);
	CHECK(message(0, 1)->flags & DSM_MF_FWDED);
	DELIVER(0, 1, GETS);
	everyone_writes();
}

TEST(reads_and_pushes_finish_before_the_entry_moves)
{
	start(4, 0);
	do_write(2);
	want_read(3);
	DELIVER(3, 0, GETS);
	hand_off(0, 1);
	DIR_IS(0, BR);
	everyone_writes();
	start(4, 0);
	do_write(2);
	evict(2, NOBODY);
	DELIVER(2, 0, PUT);
	hand_off(0, 1);
	DIR_IS(0, BP);
	everyone_writes();
}

/* The new home demands what the old home's grant has not brought yet. */
static void demand_before_grant(u8 want, u8 demand, bool hold)
{
	start(4, 0);
	if (want == DSM_MSG_GETS)
		do_write(0);
	c.node[2].hold_us = hold ? 100 : 0;
	if (want == DSM_MSG_GETS)
		want_read(2);
	else
		want_write(2);
	deliver(2, 0, want);
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	c.node[3].home = 1;
	if (want == DSM_MSG_GETS) {	/* node 2 is to be the one that is asked */
		evict(0, NOBODY);
		DELIVER(0, 1, PUT);
	}
	if (demand == DSM_MSG_FWDS)
		want_read(3);
	else
		want_write(3);
	deliver(3, 1, demand == DSM_MSG_FWDS ? DSM_MSG_GETS : DSM_MSG_GETX);
	deliver(1, 2, demand);
	CHECK(c.node[2].p.demand.type == demand);
	DELIVER(0, 2, GRANT);
	everyone_writes();
}

TEST(a_demand_overtakes_the_old_homes_grant)
{
	demand_before_grant(DSM_MSG_GETS, DSM_MSG_FWDS, false);
	demand_before_grant(DSM_MSG_GETS, DSM_MSG_INV, false);
	demand_before_grant(DSM_MSG_GETX, DSM_MSG_FWDS, false);
	demand_before_grant(DSM_MSG_GETX, DSM_MSG_INV, false);
	demand_before_grant(DSM_MSG_GETX, DSM_MSG_INV, true);
}

/* The upgrade is granted, the grant is under way, and home shares it out. */
static void demand_before_upgrade(bool write)
{
	start(4, 0);
	do_read(2);
	want_write(2);
	DELIVER(2, 0, GETX);
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	c.node[3].home = 1;
	if (write)
		want_write(3);
	else
		want_read(3);
	deliver(3, 1, write ? DSM_MSG_GETX : DSM_MSG_GETS);
	deliver(1, 2, write ? DSM_MSG_INV : DSM_MSG_FWDS);
	PAGE_IS(2, SX);
	c.manual = true;
	local(2, DSM_EK_PAGE, DSM_PE_TIMER, NOBODY);
	PAGE_IS(2, SX);
	DELIVER(0, 2, GRANT);
	CHECK(c.node[2].revoking);
	revoked(2);
	everyone_writes();
}

TEST(a_demand_overtakes_the_old_homes_upgrade)
{
	demand_before_upgrade(false);
	demand_before_upgrade(true);
}

/* The last copy was refused at the old home, the refusal is under way. */
static void demand_before_refusal(bool write)
{
	start(4, 0);
	c.node[0].room = false;
	do_write(2);
	evict(2, NOBODY);
	DELIVER(2, 0, PUT);
	DELIVER(0, 2, PULL);
	DELIVER(2, 0, PUSH);
	PAGE_IS(2, PX);
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	c.node[3].home = 1;
	if (write)
		want_write(3);
	else
		want_read(3);
	deliver(3, 1, write ? DSM_MSG_GETX : DSM_MSG_GETS);
	deliver(1, 2, write ? DSM_MSG_INV : DSM_MSG_FWDS);
	DELIVER(0, 2, PUT_NAK);
	everyone_writes();
}

TEST(a_demand_overtakes_the_old_homes_refusal)
{
	demand_before_refusal(false);
	demand_before_refusal(true);
}

/* The new home pushes its last copy to whom the old one let go. */
TEST(a_push_overtakes_the_old_homes_put_ack)
{
	start(4, 0);
	do_write(1);
	do_read(2);
	evict(2, NOBODY);
	DELIVER(2, 0, PUT);
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	c.node[1].home = 1;
	evict(1, 2);
	DELIVER(1, 2, PUSH);
	PAGE_IS(2, PS);
	DELIVER(2, 1, PUSHED);
	DELIVER(0, 2, PUT_ACK);
	PAGE_IS(2, I);
	everyone_writes();

	start(4, 0);
	do_write(2);
	evict(2, NOBODY);
	DELIVER(2, 0, PUT);
	DELIVER(0, 2, PULL);
	DELIVER(2, 0, PUSH);		/* accepted by 0, which leaves */
	hand_off(0, 1);
	DELIVER(0, 1, MOVE);
	c.node[1].home = 1;
	want_write(1);
	DELIVER(1, 0, INV);
	DELIVER(0, 1, GRANT);
	store(1);
	evict(1, 2);
	DELIVER(1, 2, PUSH);
	PAGE_IS(2, PX);
	everyone_writes();
}

TEST(a_long_queue_is_passed_on)
{
	start(200, 0);
	do_write(2);
	want_write(3);
	DELIVER(3, 0, GETX);
	for (u16 n = 4; n < c.nr; n++) {
		want_read(n);
		deliver(n, 0, DSM_MSG_GETS);
	}
	hand_off(0, 1);
	settle();
	DIR_IS(0, MOVED);
	PAGE_IS(199, S);
}

/* Found by fuzz_step: home's own push is refused while others wait. */
TEST(a_refused_push_lets_a_leaving_home_go)
{
	start(4, 0);
	do_write(0);
	c.node[2].room = false;
	evict(0, 2);
	want_read(3);
	DELIVER(3, 0, GETS);
	hand_off(0, 1);
	DELIVER(0, 2, PUSH);
	c.no_drain = true;
	DELIVER(2, 0, PUSHED);
	PAGE_IS(0, E);
	DIR_IS(0, BQ);
	DELIVER(0, 1, MOVE);
	c.no_drain = false;
	drain(0);
	DIR_IS(0, MOVED);
	everyone_writes();
}
