// SPDX-License-Identifier: GPL-2.0
/*
 * Each event and each message in each state of the membership machine, as an
 * injected one: what is refused changes nothing, and nothing that anyone may send
 * makes a node forget that it is gone, or take a view that is not for it.
 */
#include <string.h>

#include "nodeset.h"
#include "member.h"
#include "tap.h"

#define NR	4
#define SELF	1
#define OTHER	0
#define NOW	5000000000ull
#define CLUSTER	77

static struct dsm_member m;
static struct dsm_member_out out;

static struct dsm_nodeset set(u64 w)
{
	return (struct dsm_nodeset){ .w = { w } };
}

static struct dsm_view view(u32 number, u64 members, u64 leaving, u64 lost)
{
	return (struct dsm_view){
		.cluster = CLUSTER, .number = number, .epoch = 1,
		.members = set(members), .leaving = set(leaving), .lost = set(lost),
	};
}

/* As if it had come there. */
static void put_in(u8 state)
{
	dsm_member_init(&m, SELF, NR, 1001);
	m.state = state;
	m.linked = set(0xd);
	m.retry_us = state < DSM_MS_IN ? NOW * 2 : 0;
	if (state == DSM_MS_VOTED) {
		m.candidate = OTHER;
		m.vote_round = 3;
		m.vote_cluster = CLUSTER;
	}
	if (state == DSM_MS_PROPOSING) {
		m.round = 3;
		m.voters = set(7);
		m.accepted = set(2);
		m.until_us = NOW + DSM_MEMBER_VOTE_US;
	}
	if (state == DSM_MS_JOINING) {
		m.asked = OTHER;
		m.until_us = NOW + DSM_MEMBER_JOIN_US;
	}
	if (dsm_member_is_in(&m) || state == DSM_MS_GONE) {
		m.view = view(5, 7, state >= DSM_MS_LEAVING ? 2 : 0, 0);
		m.widest = m.view.members;
		m.common = m.view.members;
	}
	if (state == DSM_MS_ASKED || state == DSM_MS_DONE)
		m.until_us = NOW + DSM_MEMBER_LEAVE_US;
}

static struct dsm_member_packet packet(u8 type)
{
	struct dsm_member_packet p = {
		.type = type, .round = 3,
		.state = DSM_MS_OUT,
	};

	if (type == DSM_MM_OFFER || type == DSM_MM_VIEW)
		p.view = view(6, 7, 0, 0);
	if (type == DSM_MM_OFFER || type == DSM_MM_SUSPECT)
		p.round = 5;		/* has the same view */
	if (type == DSM_MM_REFUSE)
		p.reason = DSM_MR_BUSY;
	if (type == DSM_MM_SUSPECT)
		p.linked = set(4);
	if (type == DSM_MM_JOIN) {
		p.round = 2001;
		p.linked = set(7);
	}
	return p;
}

static void step(struct dsm_member_event ev)
{
	if (!ev.now_us)
		ev.now_us = NOW;
	dsm_member_step(&m, &ev, &out);
	CHECK(out.nr < DSM_MEMBER_MAX_ACTIONS);
	CHECK(dsm_view_check(&m.view, NR) == DSM_V_OK);
}

static void event(u8 type, u16 node, bool reset)
{
	step((struct dsm_member_event){ .type = type, .node = node, .reset = reset });
}

static void message(u16 from, struct dsm_member_packet p)
{
	step((struct dsm_member_event){ .type = DSM_ME_MSG, .node = from, .packet = p });
}

static bool same(struct dsm_member a, struct dsm_member b)
{
	a.deadline_us = 0;
	b.deadline_us = 0;
	a.majority_us = 0;
	b.majority_us = 0;
	return !memcmp(&a, &b, sizeof(a));
}

static void check_cell(u8 state, const struct dsm_member *before)
{
	if (out.verdict != DSM_V_OK)
		CHECK(same(*before, m));
	if (out.verdict != DSM_V_OK)
		CHECK(!out.nr);
	if (state == DSM_MS_GONE)
		CHECK(m.state == DSM_MS_GONE);
	if (m.state == DSM_MS_GONE && state != DSM_MS_GONE)
		CHECK(m.reason != DSM_MR_NONE);
	if (dsm_member_is_in(&m))
		CHECK(dsm_nodeset_has(&m.view.members, SELF));
}

TEST(every_message_in_every_state)
{
	for (u8 s = 0; s < DSM_NR_MEMBER_STATES; s++)
		for (u8 t = 0; t < DSM_NR_MEMBER_MSGS; t++)
			for (u16 from = 0; from < NR; from++) {
				struct dsm_member before;

				if (from == SELF)
					continue;
				put_in(s);
				before = m;
				message(from, packet(t));
				check_cell(s, &before);
			}
}

TEST(every_event_in_every_state)
{
	for (u8 s = 0; s < DSM_NR_MEMBER_STATES; s++)
		for (u8 e = 0; e < DSM_NR_MEMBER_EVENTS; e++)
			for (u8 reset = 0; reset < 2; reset++) {
				struct dsm_member before;

				if (e == DSM_ME_MSG)
					continue;
				put_in(s);
				before = m;
				event(e, OTHER, reset);
				check_cell(s, &before);
			}
}

TEST(every_timeout)
{
	static const u8 then[DSM_NR_MEMBER_STATES] = {
		[DSM_MS_OUT] = DSM_MS_OUT, [DSM_MS_VOTED] = DSM_MS_VOTED,
		[DSM_MS_PROPOSING] = DSM_MS_OUT, [DSM_MS_JOINING] = DSM_MS_OUT,
		[DSM_MS_IN] = DSM_MS_IN, [DSM_MS_ASKED] = DSM_MS_IN,
		[DSM_MS_LEAVING] = DSM_MS_LEAVING, [DSM_MS_DONE] = DSM_MS_DONE,
		[DSM_MS_GONE] = DSM_MS_GONE,
	};

	for (u8 s = 0; s < DSM_NR_MEMBER_STATES; s++) {
		put_in(s);
		step((struct dsm_member_event){ .type = DSM_ME_TIMER,
			.now_us = NOW + DSM_MEMBER_JOIN_US });
		CHECK(m.state == then[s]);
	}
	put_in(DSM_MS_DONE);
	step((struct dsm_member_event){ .type = DSM_ME_TIMER,
		.now_us = NOW + DSM_MEMBER_LEAVE_US });
	CHECK(out.nr == 1 && out.act[0].packet.type == DSM_MM_LEFT);
}

#define REFUSED(v, from, p)	do { message(from, p); CHECK(out.verdict == DSM_V_##v); } while (0)

TEST(messages_that_make_no_sense)
{
	struct dsm_member_packet p = packet(DSM_MM_STATUS);

	put_in(DSM_MS_IN);
	p.type = DSM_NR_MEMBER_MSGS;
	REFUSED(BAD_FIELD, 0, p);
	p = packet(DSM_MM_VIEW);
	p.view.members = set(1u << NR);		/* not configured */
	REFUSED(BAD_FIELD, 0, p);
	p.view = view(6, 7, 8, 0);		/* leaves and is no member */
	REFUSED(BAD_FIELD, 0, p);
	p.view = view(6, 7, 0, 1);		/* lost and a member */
	REFUSED(BAD_FIELD, 0, p);
	p.view = view(0, 7, 0, 0);		/* of no number */
	REFUSED(BAD_FIELD, 0, p);
	p.view = view(0, 0, 0, 0);
	REFUSED(BAD_FIELD, 0, p);
	p = packet(DSM_MM_OFFER);
	p.view = view(6, 5, 0, 0);		/* without us */
	REFUSED(BAD_FIELD, 0, p);
	p.view = view(6, 6, 0, 0);		/* without the sender */
	REFUSED(BAD_FIELD, 0, p);
	p = packet(DSM_MM_SUSPECT);
	p.linked = set(1);			/* itself */
	REFUSED(BAD_FIELD, 0, p);
	p.linked = set(1u << NR);
	REFUSED(BAD_FIELD, 0, p);
	p = packet(DSM_MM_VIEW);
	REFUSED(BAD_SENDER, 3, p);
	p = packet(DSM_MM_LEAVE);
	REFUSED(BAD_SENDER, 3, p);
	event(DSM_NR_MEMBER_EVENTS, OTHER, false);
	CHECK(out.verdict == DSM_V_BAD_FIELD);
	event(DSM_ME_LINK_UP, SELF, false);
	CHECK(out.verdict == DSM_V_BAD_SENDER);
	event(DSM_ME_LINK_UP, NR, false);
	CHECK(out.verdict == DSM_V_BAD_SENDER);
	put_in(DSM_MS_PROPOSING);
	REFUSED(BAD_SENDER, 3, packet(DSM_MM_ACCEPT));
}

/* ---- agreeing ---- */

static void agreed_to(u16 node, u32 number)
{
	CHECK(out.verdict == DSM_V_OK && out.nr >= 1);
	CHECK(out.act[out.nr - 1].packet.type == DSM_MM_AGREE);
	CHECK(out.act[out.nr - 1].packet.round == number);
	CHECK(dsm_nodeset_has(&out.act[out.nr - 1].to, node));
}

TEST(a_number_is_agreed_to_once)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	message(0, p);
	agreed_to(0, 6);
	message(0, p);			/* asked again */
	agreed_to(0, 6);
	message(2, p);			/* another: a higher one, please */
	agreed_to(2, 7);
	p.view.number = 7;
	message(2, p);
	agreed_to(2, 7);
	p.view.number = 6;
	message(0, p);
	agreed_to(0, 8);
	CHECK(m.view.number == 5);
}

static void told_view_5(u16 node)
{
	CHECK(out.verdict == DSM_V_OK && out.nr == 1);
	CHECK(dsm_nodeset_has(&out.act[0].to, node) && dsm_nodeset_weight(&out.act[0].to) == 1);
	CHECK(out.act[0].packet.type == DSM_MM_VIEW && out.act[0].packet.view.number == 5);
}

TEST(a_view_that_another_has_missed_is_told)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	p.round = 4;
	message(2, p);			/* not agreed to */
	told_view_5(2);
	CHECK(!m.next.number);
	p = packet(DSM_MM_SUSPECT);
	p.round = 4;			/* whom it takes for the master is none */
	p.linked = set(8);
	m.view.members = set(0xf);
	m.view.leaving = set(2);
	m.state = DSM_MS_LEAVING;
	message(2, p);
	told_view_5(2);
}

/* Node 0 joins by view 6, which says that it is the master. */
TEST(an_offer_ends_with_a_view_of_another)
{
	struct dsm_member_packet p = packet(DSM_MM_VIEW);

	put_in(DSM_MS_IN);
	m.view = view(5, 0xe, 0, 0);
	message(3, packet(DSM_MM_LEAVE));
	CHECK(m.offering && m.next.number == 6);
	m.next.number = 7;		/* 6 was used up */
	p.view = view(6, 0xf, 0, 0);
	message(2, p);
	CHECK(m.view.number == 6 && !m.offering);
}

/* Node 3 was offered as a member, then another offer came that left it out. */
TEST(who_may_be_a_member_may_offer)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	p.view = view(6, 0xf, 0, 0);
	message(0, p);
	agreed_to(0, 6);
	p.view = view(7, 6, 0, 1);
	message(2, p);
	agreed_to(2, 7);
	p.view = view(8, 0xe, 0, 1);
	message(3, p);
	agreed_to(3, 8);
}

/* What it has offered itself it has not agreed to with another. */
TEST(an_own_offer_is_nobody_elses)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	message(0, p);
	agreed_to(0, 6);
	event(DSM_ME_LINK_LOST, 0, false);
	CHECK(m.offering && m.offerer == SELF && m.next.number == 7);
}

TEST(who_is_a_member_by_a_view_to_come_may_ask_to_leave)
{
	struct dsm_member_packet p = packet(DSM_MM_LEAVE);

	put_in(DSM_MS_IN);
	m.widest = set(0xf);
	message(3, p);
	CHECK(out.verdict == DSM_V_OK && out.act[0].packet.type == DSM_MM_REFUSE);
	m.widest = set(7);
	REFUSED(BAD_SENDER, 3, p);
}

TEST(not_with_a_node_that_is_lost)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	event(DSM_ME_LINK_LOST, 0, false);
	CHECK(dsm_nodeset_has(&m.suspects, 0));
	REFUSED(LATE, 0, p);
	p.view.cluster++;
	REFUSED(LATE, 2, p);
	p = packet(DSM_MM_SUSPECT);
	REFUSED(LATE, 0, p);
}

TEST(who_has_not_voted_for_it_does_not_enter)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_OUT);
	message(0, p);
	CHECK(m.state == DSM_MS_OUT);
	CHECK(out.nr == 1 && out.act[0].packet.type == DSM_MM_REFUSE &&
	      out.act[0].packet.reason == DSM_MR_NOT_MEMBER);
	m.vote_cluster = CLUSTER;
	message(0, p);
	agreed_to(0, 6);
	CHECK(m.state == DSM_MS_VOTED);
	p = packet(DSM_MM_VIEW);
	REFUSED(LATE, 2, p);
	message(0, p);
	CHECK(m.state == DSM_MS_IN && m.view.number == 6);
}

/* One of three gets no answer; the other answers that the number is used up. */
TEST(an_offer_above_the_number_that_was_told)
{
	struct dsm_member_packet p = packet(DSM_MM_AGREE);

	put_in(DSM_MS_IN);
	m.nr_nodes = 4;
	event(DSM_ME_LINK_LOST, 0, false);
	CHECK(m.offering && m.next.number == 6 && m.next.epoch == 2);
	p.round = 9;
	message(2, p);
	CHECK(m.offering && m.next.number == 10);
	CHECK(out.nr == 1 && out.act[0].packet.type == DSM_MM_OFFER);
	p.round = 6;
	REFUSED(LATE, 2, p);
	p.round = 10;
	REFUSED(LATE, 0, p);
	message(2, p);
	CHECK(!m.offering && m.view.number == 10 && dsm_nodeset_weight(&m.view.members) == 2);
	p.round = 11;
	REFUSED(LATE, 2, p);
}

TEST(of_two_who_offer_at_once_one_yields)
{
	struct dsm_member_packet p = packet(DSM_MM_OFFER);

	put_in(DSM_MS_IN);
	event(DSM_ME_LINK_LOST, 0, false);
	CHECK(m.offering && m.next.number == 6);
	p.view = view(6, 6, 0, 1);
	message(2, p);			/* a higher one: it is to ask above */
	agreed_to(2, 7);
	CHECK(m.offering);
	p.view.number = 7;
	message(2, p);
	agreed_to(2, 7);
	CHECK(!m.offering);
}

TEST(expelled_by_what_another_says)
{
	struct dsm_member_packet p = packet(DSM_MM_STATUS);

	put_in(DSM_MS_IN);
	p.state = DSM_MS_IN;
	p.view = view(6, 5, 0, 2);
	message(2, p);
	CHECK(m.state == DSM_MS_GONE && m.reason == DSM_MR_EXPELLED);
	put_in(DSM_MS_DONE);
	message(2, p);
	CHECK(m.state == DSM_MS_GONE && m.reason == DSM_MR_LEFT);
	put_in(DSM_MS_IN);
	p.view = view(6, 5, 0, 0);
	p.view.cluster++;		/* it has become a member elsewhere */
	message(2, p);
	CHECK(dsm_nodeset_has(&m.suspects, 2));
}

TEST(let_in_while_it_proposes)
{
	struct dsm_member_packet p = packet(DSM_MM_VIEW);

	put_in(DSM_MS_PROPOSING);
	p.round = 1001;
	p.view = view(6, 5, 0, 0);
	REFUSED(BAD_FIELD, 0, p);
	CHECK(m.state == DSM_MS_PROPOSING && !out.nr);
	p.view = view(6, 7, 0, 0);
	message(0, p);
	CHECK(m.state == DSM_MS_IN && out.act[0].packet.type == DSM_MM_RELEASE);
}

/* Node 0 is not a member; the master is told twice that it wants in. */
TEST(a_joiner_that_asks_twice)
{
	struct dsm_member_packet join = packet(DSM_MM_JOIN);
	struct dsm_member_packet p = packet(DSM_MM_AGREE);

	put_in(DSM_MS_IN);
	m.view = view(5, 6, 0, 0);
	m.widest = m.view.members;
	m.common = m.view.members;
	join.linked = set(4);			/* not linked to all */
	message(0, join);
	CHECK(out.act[0].packet.reason == DSM_MR_NOT_LINKED);
	join.linked = set(6);
	message(0, join);
	CHECK(m.offering && m.pending == 0 && out.act[0].packet.type == DSM_MM_OFFER);
	join.round = 2002;
	message(0, join);
	CHECK(!out.nr && m.pending_round == 2002);
	event(DSM_ME_ADMIT, 0, false);		/* not agreed to yet */
	CHECK(out.verdict == DSM_V_LATE);
	p.round = 6;
	message(2, p);
	CHECK(out.nr == 1 && out.act[0].type == DSM_MA_SNAPSHOT);
	event(DSM_ME_ADMIT, 0, false);
	CHECK(m.view.number == 6 && dsm_nodeset_has(&m.view.members, 0));
	CHECK(out.act[0].packet.round == 2002);
	REFUSED(LATE, 0, join);			/* the view is on its way */
}

TEST(the_last_one_has_nobody_to_hand_over_to)
{
	put_in(DSM_MS_LEAVING);
	m.view = view(5, 2, 2, 0);
	event(DSM_ME_HANDED, DSM_NODE_NONE, false);
	CHECK(m.state == DSM_MS_GONE && m.reason == DSM_MR_LEFT);
}

TEST(a_refusal_of_who_was_not_asked)
{
	struct dsm_member_packet p = packet(DSM_MM_REFUSE);

	put_in(DSM_MS_IN);
	p.reason = DSM_MR_NOT_MEMBER;
	REFUSED(LATE, 2, p);
	event(DSM_ME_LINK_LOST, 0, false);
	message(2, p);			/* asked, and no member after all */
	CHECK(m.state == DSM_MS_GONE && m.reason == DSM_MR_MINORITY);
}

TEST(names_of_the_membership_are_never_null)
{
	for (unsigned int i = 0; i < 256; i++)
		CHECK(dsm_member_state_name(i) && dsm_member_msg_name(i) &&
		      dsm_member_event_name(i) && dsm_member_action_name(i) &&
		      dsm_member_reason_name(i));
	CHECK_STR(dsm_member_msg_name(DSM_MM_OFFER), "OFFER");
	CHECK_STR(dsm_member_msg_name(DSM_NR_MEMBER_MSGS), "?");
}
