// SPDX-License-Identifier: GPL-2.0
/* Giving copies up under pressure, and the races with home's demands. */
#include "cluster.h"

TEST(a_shared_copy_is_dropped)
{
	start(3, 0);
	do_write(0);
	do_read(1);
	c.manual = true;
	evict(1, NOBODY);
	PAGE_IS(1, S_PARK);
	revoked(1);
	PAGE_IS(1, PS);
	DELIVER(1, 0, PUT);
	DELIVER(0, 1, PUT_ACK);
	PAGE_IS(1, I);
	QUIET();
}

TEST(a_zero_copy_is_dropped_and_forgotten)
{
	start(3, 0);
	do_read(1);
	evict(1, NOBODY);
	settle();
	PAGE_IS(1, I);
	DIR_IS(0, Z);
}

TEST(a_page_in_use_stays)
{
	start(3, 0);
	do_write(1);
	c.manual = true;
	evict(1, NOBODY);
	unrevoked(1);
	PAGE_IS(1, E);
	want_read(2);
	evict(1, NOBODY);
	DELIVER(2, 0, GETS);
	DELIVER(0, 1, FWDS);
	PAGE_IS(1, E_PARK);
	unrevoked(1);
	PAGE_IS(1, E_DOWN);
	revoked(1);
	PAGE_IS(1, S);
	settle();
	evict(1, NOBODY);
	unrevoked(1);
	PAGE_IS(1, S);
	QUIET();
}

TEST(the_last_copy_goes_home)
{
	start(3, 0);
	do_write(1);
	evict(1, NOBODY);
	PAGE_IS(1, PE);
	DELIVER(1, 0, PUT);
	DIR_IS(0, BP);
	DELIVER(0, 1, PULL);
	PAGE_IS(1, PX);
	DELIVER(1, 0, PUSH);
	PAGE_IS(0, E);
	DIR_IS(0, E);
	DELIVER(0, 1, PUT_ACK);
	PAGE_IS(1, I);
	QUIET();
	do_read(2);
}

TEST(homes_last_copy_goes_to_a_target)
{
	start(3, 0);
	do_write(0);
	evict(0, 2);
	PAGE_IS(0, PX);
	DELIVER(0, 2, PUSH);
	PAGE_IS(2, E);
	DELIVER(2, 0, PUSHED);
	PAGE_IS(0, I);
	CHECK(c.node[0].d.owner == 2);
	QUIET();
}

TEST(no_target_no_push)
{
	start(3, 0);
	do_write(0);
	evict(0, NOBODY);
	PAGE_IS(0, E);
	QUIET();
}

TEST(a_target_without_room_refuses)
{
	start(3, 0);
	c.node[2].room = false;
	do_write(0);
	evict(0, 2);
	DELIVER(0, 2, PUSH);
	PAGE_IS(2, I);
	CHECK(message(2, 0)->flags == DSM_MF_REFUSED);
	DELIVER(2, 0, PUSHED);
	PAGE_IS(0, E);
	QUIET();
}

TEST(a_target_that_asks_refuses)
{
	start(4, 0);
	for (int write = 0; write < 2; write++) {
		do_write(0);
		if (write)
			want_write(2);
		else
			want_read(2);
		evict(0, 2);
		DELIVER(0, 2, PUSH);
		settle();
		CHECK(dsm_page_right(&c.node[2].p));
	}
}

TEST(a_last_shared_copy_goes_home_as_the_owners)
{
	start(3, 0);
	do_write(1);
	do_read(2);
	evict(1, NOBODY);
	settle();
	evict(2, NOBODY);
	PAGE_IS(2, PS);
	settle();
	PAGE_IS(2, I);
	PAGE_IS(0, E);
}

TEST(a_parked_copy_is_taken_away)
{
	start(3, 0);
	for (int shared = 0; shared < 2; shared++) {
		do_write(1);
		if (shared)
			do_read(2);
		evict(1, NOBODY);
		want_write(2);
		DELIVER(2, 0, GETX);
		DELIVER(0, 1, INV);
		PAGE_IS(1, PI);
		CHECK(!c.node[1].has);
		want_read(1);
		evict(1, NOBODY);
		PAGE_IS(1, PI);
		settle();
		PAGE_IS(1, I);
		store(2);
	}
}

TEST(a_parked_copy_is_shared)
{
	start(3, 0);
	do_write(1);
	evict(1, NOBODY);
	want_read(2);
	DELIVER(2, 0, GETS);
	DELIVER(0, 1, FWDS);
	PAGE_IS(1, PS);
	want_write(0);			/* and shared once more, then refused */
	settle();
	store(0);
	do_write(1);
	do_read(2);
	evict(1, NOBODY);
	want_read(0);
	DELIVER(1, 0, PUT);
	settle();
}

TEST(demands_meet_a_page_being_parked)
{
	start(4, 0);
	for (int write = 0; write < 2; write++)
		for (int sole = 0; sole < 2; sole++) {
			do_write(1);
			if (!sole)
				do_read(2);
			c.manual = true;
			evict(1, NOBODY);
			if (write)
				want_write(3);
			else
				want_read(3);
			deliver(3, 0, write ? DSM_MSG_GETX : DSM_MSG_GETS);
			deliver(0, 1, write ? DSM_MSG_INV : DSM_MSG_FWDS);
			revoked(1);
			c.manual = false;
			for (u16 n = 0; n < c.nr; n++)
				if (c.node[n].revoking)
					revoked(n);
			settle();
			CHECK(dsm_page_right(&c.node[3].p));
		}
}

TEST(a_node_forgets_before_it_is_pushed_to)
{
	start(3, 0);
	do_write(1);
	evict(1, NOBODY);
	want_write(0);
	DELIVER(0, 1, INV);
	PAGE_IS(1, PI);
	DELIVER(1, 0, PUT);
	DELIVER(1, 0, GRANT);		/* and PUT_ACK, behind the queue */
	store(0);
	evict(0, 1);
	DELIVER(0, 1, PUT_ACK);
	DELIVER(0, 1, PUSH);
	settle();
	PAGE_IS(0, I);
	PAGE_IS(1, E);
}

TEST(a_put_meets_an_entry_that_was_discarded)
{
	start(3, 0);
	do_write(1);
	evict(1, NOBODY);
	want_write(2);
	DELIVER(2, 0, GETX);
	DELIVER(0, 1, INV);
	DELIVER(1, 2, GRANT);
	store(2);
	DELIVER(2, 0, DONE);
	want_write(0);
	DELIVER(0, 2, INV);
	DELIVER(2, 0, GRANT);
	discard(0);
	DIR_IS(0, Z);
	DELIVER(1, 0, PUT);
	DELIVER(0, 1, PUT_ACK);
	PAGE_IS(1, I);
	QUIET();
}

TEST(requests_wait_for_a_push)
{
	start(4, 0);
	do_write(1);
	evict(1, NOBODY);
	DELIVER(1, 0, PUT);
	want_read(2);
	want_write(3);
	DELIVER(2, 0, GETS);
	DELIVER(3, 0, GETX);
	DIR_IS(0, BP);
	settle();
	store(3);
}

TEST(a_node_whose_put_is_under_way_refuses_a_push)
{
	start(3, 0);
	do_write(1);
	want_write(2);
	DELIVER(2, 0, GETX);
	evict(1, NOBODY);
	DELIVER(0, 1, INV);
	PAGE_IS(1, PI);
	DELIVER(1, 2, GRANT);
	store(2);
	DELIVER(2, 0, DONE);
	evict(2, NOBODY);
	DELIVER(2, 0, PUT);
	DELIVER(0, 2, PULL);
	DELIVER(2, 0, PUSH);
	evict(0, 1);
	DELIVER(0, 1, PUSH);
	PAGE_IS(1, PI);
	CHECK(message(1, 0)->type == DSM_MSG_PUT);
	settle();
	PAGE_IS(0, E);
	PAGE_IS(1, I);
}
