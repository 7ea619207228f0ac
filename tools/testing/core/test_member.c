// SPDX-License-Identifier: GPL-2.0
/* The membership of a few nodes: random walks over links, leaves and restarts. */
#include <string.h>

#include "member.h"
#include "tap.h"

#define MAX	5
#define QUEUE	256
#define STEP_US	40000

struct queue {
	struct dsm_member_packet p[QUEUE];
	unsigned int head, len;
};

struct peer {
	bool up;		/* same in both directions */
	u32 known;		/* incarnation this end was connected to, or 0 */
	u32 killed;		/* incarnation this end cut off, or 0 */
	struct queue tx;
};

struct server {
	struct dsm_member m;
	u32 incarnation;
	bool leave, handover;
	u16 joiner;
	struct peer peer[MAX];
};

static struct server s[MAX];
static u16 nr;
static u64 now;
static unsigned long long rng;

static unsigned int pick(unsigned int n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (rng >> 33) % n;
}

static void happen(u16 i, struct dsm_member_event ev);

static void cut_off(u16 i, u16 j)
{
	struct peer *p = &s[i].peer[j];

	p->killed = s[j].incarnation;
	p->known = 0;
	p->tx.len = 0;
	if (!p->up)
		return;
	p->up = s[j].peer[i].up = false;
	happen(i, (struct dsm_member_event){ .type = DSM_ME_LINK_DOWN, .node = j });
	happen(j, (struct dsm_member_event){ .type = DSM_ME_LINK_DOWN, .node = i });
}

static void act(u16 i, const struct dsm_member_action *a)
{
	u16 j;

	switch ((enum dsm_member_action_type)a->type) {
	case DSM_MA_SEND:
		CHECK(!dsm_nodeset_has(&a->to, i));
		dsm_nodeset_for_each(j, &a->to) {
			struct queue *q = &s[i].peer[j].tx;

			CHECK(j < nr);
			if (!s[i].peer[j].known)
				continue;
			CHECK(q->len < QUEUE);
			q->p[(q->head + q->len++) % QUEUE] = a->packet;
		}
		break;
	case DSM_MA_SNAPSHOT:
		s[i].joiner = a->node;
		break;
	case DSM_MA_HANDOVER:
		s[i].handover = true;
		break;
	case DSM_MA_KILL:
		dsm_nodeset_for_each(j, &a->to)
			cut_off(i, j);
		break;
	case DSM_MA_VIEW:
	case DSM_NR_MEMBER_ACTIONS:
		break;
	}
}

static void happen(u16 i, struct dsm_member_event ev)
{
	struct dsm_member_out out;

	ev.now_us = now;
	dsm_member_step(&s[i].m, &ev, &out);
	CHECK(!dsm_verdict_is_error(out.verdict));
	CHECK(out.nr < DSM_MEMBER_MAX_ACTIONS);
	CHECK(dsm_view_check(&s[i].m.view, nr) == DSM_V_OK);
	for (u8 n = 0; n < out.nr; n++)
		act(i, &out.act[n]);
}

static void link_up(u16 i, u16 j)
{
	struct peer *p = &s[i].peer[j];
	bool reset = p->known && p->known != s[j].incarnation;

	if (reset)
		p->tx.len = 0;
	p->known = s[j].incarnation;
	p->killed = 0;
	happen(i, (struct dsm_member_event){ .type = DSM_ME_LINK_UP, .node = j,
					     .reset = reset });
}

static bool refuses(u16 i, u16 j)
{
	return s[i].peer[j].killed == s[j].incarnation;
}

static void join_link(u16 i, u16 j)
{
	if (s[i].peer[j].up || s[i].m.state == DSM_MS_GONE ||
	    s[j].m.state == DSM_MS_GONE)
		return;
	/* Who is refused for ever finds the other one lost. */
	if (refuses(i, j))
		happen(j, (struct dsm_member_event){ .type = DSM_ME_LINK_LOST, .node = i });
	if (refuses(j, i))
		happen(i, (struct dsm_member_event){ .type = DSM_ME_LINK_LOST, .node = j });
	if (refuses(i, j) || refuses(j, i))
		return;
	s[i].peer[j].up = s[j].peer[i].up = true;
	link_up(i, j);
	link_up(j, i);
}

static void break_link(u16 i, u16 j)
{
	if (!s[i].peer[j].up)
		return;
	s[i].peer[j].up = s[j].peer[i].up = false;
	happen(i, (struct dsm_member_event){ .type = DSM_ME_LINK_DOWN, .node = j });
	happen(j, (struct dsm_member_event){ .type = DSM_ME_LINK_DOWN, .node = i });
}

static void start(u16 i)
{
	static u32 incarnation;

	for (u16 j = 0; j < nr; j++)
		if (j != i)
			break_link(i, j);
	memset(&s[i], 0, sizeof(s[i]));
	s[i].incarnation = ++incarnation;
	s[i].joiner = DSM_NODE_NONE;
	dsm_member_init(&s[i].m, i, nr, s[i].incarnation);
	happen(i, (struct dsm_member_event){ .type = DSM_ME_TIMER });
}

static void connect_all(void)
{
	for (u16 i = 0; i < nr; i++)
		for (u16 j = 0; j < i; j++)
			join_link(i, j);
}

static void deliver(u16 i, u16 j)
{
	struct queue *q = &s[i].peer[j].tx;
	struct dsm_member_event ev = { .type = DSM_ME_MSG, .node = i };

	if (!s[i].peer[j].up || !q->len)
		return;
	ev.packet = q->p[q->head++ % QUEUE];
	q->len--;
	happen(j, ev);
}

static void work(u16 i)
{
	struct server *v = &s[i];

	if (v->m.deadline_us && v->m.deadline_us <= now)
		happen(i, (struct dsm_member_event){ .type = DSM_ME_TIMER });
	if (v->joiner != DSM_NODE_NONE && !pick(3)) {
		u16 joiner = v->joiner;

		v->joiner = DSM_NODE_NONE;
		happen(i, (struct dsm_member_event){
			.type = pick(8) ? DSM_ME_ADMIT : DSM_ME_DENY,
			.node = joiner });
	}
	if (v->handover && !pick(5)) {
		v->handover = false;
		happen(i, (struct dsm_member_event){ .type = DSM_ME_HANDED });
	}
	if (v->leave && v->m.state != DSM_MS_GONE && !pick(8))
		happen(i, (struct dsm_member_event){ .type = DSM_ME_LEAVE });
}

static void run(unsigned int steps)
{
	while (steps--) {
		now += pick(STEP_US);
		for (u16 i = 0; i < nr; i++) {
			work(i);
			for (u16 j = 0; j < nr; j++)
				for (unsigned int k = pick(8); k; k--)
					if (i != j)
						deliver(i, j);
		}
	}
}

/* One cluster, of all: each says the same. */
static void check_all_in(void)
{
	for (u16 i = 0; i < nr; i++) {
		CHECK(s[i].m.state == DSM_MS_IN);
		CHECK(!memcmp(&s[i].m.view, &s[0].m.view, sizeof(s[0].m.view)));
	}
	CHECK(dsm_nodeset_weight(&s[0].m.view.members) == nr);
	CHECK(dsm_nodeset_empty(&s[0].m.view.leaving));
}

static void check_one_text(void)
{
	for (u16 i = 0; i < nr; i++)
		for (u16 j = 0; j < i; j++)
			if (dsm_member_is_in(&s[i].m) && dsm_member_is_in(&s[j].m) &&
			    s[i].m.view.number == s[j].m.view.number)
				CHECK(!memcmp(&s[i].m.view, &s[j].m.view,
					      sizeof(s[i].m.view)));
}

static void begin(u16 nodes, unsigned long long seed)
{
	tap_seed = rng = seed;
	nr = nodes;
	now = 1;
	memset(s, 0, sizeof(s));
	for (u16 i = 0; i < nr; i++)
		start(i);
}

TEST(one_node_forms_at_once)
{
	begin(1, 1);
	CHECK(s[0].m.state == DSM_MS_IN);
	happen(0, (struct dsm_member_event){ .type = DSM_ME_LEAVE });
	CHECK(s[0].m.state == DSM_MS_GONE && s[0].m.reason == DSM_MR_LEFT);
}

TEST(a_minority_does_not_form)
{
	begin(4, 1);
	join_link(0, 1);
	join_link(2, 3);
	run(300);
	for (u16 i = 0; i < nr; i++)
		CHECK(s[i].m.state == DSM_MS_OUT);
	connect_all();
	run(300);
	check_all_in();
}

TEST(the_master_is_lost_and_the_rest_goes_on)
{
	begin(3, 1);
	connect_all();
	run(200);
	check_all_in();
	break_link(0, 1);
	break_link(0, 2);
	for (u16 i = 1; i < 3; i++)
		happen(i, (struct dsm_member_event){ .type = DSM_ME_LINK_LOST });
	happen(0, (struct dsm_member_event){ .type = DSM_ME_LINK_LOST, .node = 1 });
	happen(0, (struct dsm_member_event){ .type = DSM_ME_LINK_LOST, .node = 2 });
	run(100);
	CHECK(s[0].m.state == DSM_MS_GONE && s[0].m.reason == DSM_MR_MINORITY);
	CHECK(s[1].m.state == DSM_MS_IN && s[2].m.state == DSM_MS_IN);
	CHECK(s[1].m.view.number == s[2].m.view.number);
	CHECK(dsm_nodeset_has(&s[2].m.view.lost, 0) && s[2].m.view.epoch == 2);
	start(0);
	connect_all();
	run(300);
	CHECK(s[0].m.state == DSM_MS_OUT && s[0].m.reason == DSM_MR_LOST);
	happen(1, (struct dsm_member_event){ .type = DSM_ME_REBUILT });
	run(600);
	check_all_in();
}

/* Links come and go, nodes leave and come again: in the end all are in. */
TEST(walk_without_losses)
{
	for (unsigned int seed = 1; seed <= 300; seed++) {
		begin(2 + seed % 4, seed);
		connect_all();
		for (unsigned int n = 0; n < 120; n++) {
			u16 i = pick(nr), j = pick(nr);

			switch (pick(5)) {
			case 0:
				if (i != j)
					break_link(i, j);
				break;
			case 1:
				if (s[i].m.state == DSM_MS_IN)
					s[i].leave = true;
				break;
			case 2:
				if (s[i].m.state == DSM_MS_GONE)
					start(i);
				connect_all();
				break;
			default:
				connect_all();
			}
			run(1 + pick(6));
			check_one_text();
			connect_all();
		}
		for (u16 i = 0; i < nr; i++)
			s[i].leave = false;
		run(400);
		/* A leave under way goes on; then that node comes again too. */
		for (unsigned int n = 0; n < 2; n++) {
			for (u16 i = 0; i < nr; i++)
				if (s[i].m.state == DSM_MS_GONE)
					start(i);
			connect_all();
			run(1200);
		}
		check_all_in();
	}
	tap_seed = 0;
}

static void give_up(void)
{
	for (u16 i = 0; i < nr; i++)
		for (u16 j = 0; j < nr; j++)
			if (i != j && s[i].m.state == DSM_MS_GONE)
				break_link(i, j);
	for (u16 i = 0; i < nr; i++)
		for (u16 j = 0; j < nr; j++)
			if (i != j && !s[i].peer[j].up)
				happen(i, (struct dsm_member_event){
					.type = DSM_ME_LINK_LOST, .node = j });
}

/* Anything may be lost: what is left is one cluster, or none. */
TEST(walk_with_losses)
{
	for (unsigned int seed = 1; seed <= 300; seed++) {
		begin(2 + seed % 4, seed);
		connect_all();
		run(200);
		for (unsigned int n = 0; n < 10; n++) {
			u16 i = pick(nr), j = pick(nr);

			if (i != j)
				break_link(i, j);
			if (!pick(4))
				start(i);
			run(pick(4));
		}
		/* All that is not connected, or is cut off then, is given up. */
		for (unsigned int n = 0; n < 5; n++) {
			give_up();
			run(100);
		}
		for (u16 i = 0; i < nr; i++)
			for (u16 j = 0; j < i; j++) {
				if (!dsm_member_is_in(&s[i].m) ||
				    !dsm_member_is_in(&s[j].m))
					continue;
				CHECK(s[i].m.view.cluster == s[j].m.view.cluster);
				CHECK(!memcmp(&s[i].m.view, &s[j].m.view,
					      sizeof(s[i].m.view)));
			}
	}
	tap_seed = 0;
}
