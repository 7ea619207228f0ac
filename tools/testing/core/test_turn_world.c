// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes whose users need the same few pages at once, all to write: a CPU of a guest
 * that walks page tables. Virtual time, links with delay that keep order.
 */
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "tap.h"
#include "turn.h"

#define NODES_MAX	8
#define PAGES		5
#define EVENTS_MAX	4096
#define QUIET_US	400
#define NONE		0xffff

enum kind { RUN, MSG, TIMER, REVOKED };

struct event {
	u64 at;
	u64 order;
	enum kind kind;
	u16 node, page;
	struct dsm_msg msg;
};

struct user {
	struct dsm_turn turn;
	u16 waits;		/* for this page */
	u64 began;		/* the instruction it is at */
	u64 longest;
	unsigned int done;
};

static struct {
	u64 now, order, random, last[NODES_MAX][NODES_MAX];
	u16 nr;
	bool turns;
	u32 tid;
	unsigned int nr_events;
	struct event event[EVENTS_MAX];
	struct dsm_page page[NODES_MAX][PAGES];
	struct dsm_dir dir[PAGES];
	struct dsm_busy *busy[PAGES];
	struct user user[NODES_MAX];
} w;

static u64 below(u64 n)
{
	w.random = w.random * 6364136223846793005ull + 1442695040888963407ull;
	return (w.random >> 33) % n;
}

static struct event *post(u64 at, enum kind kind, u16 node, u16 page)
{
	struct event *e = &w.event[w.nr_events++];

	CHECK(w.nr_events < EVENTS_MAX);
	*e = (struct event){ .at = at, .order = w.order++, .kind = kind,
			     .node = node, .page = page };
	return e;
}

static void send(u16 from, u16 to, u16 page, const struct dsm_msg *m)
{
	u64 at = w.now + 80 + below(80);

	if (at <= w.last[from][to])
		at = w.last[from][to] + 1;
	w.last[from][to] = at;
	post(at, MSG, to, page)->msg = *m;
}

static void step(u16 node, u16 page, struct dsm_event *ev);
static void run(u16 node);

static void act(u16 node, u16 page, const struct dsm_out *out)
{
	struct dsm_page *p = &w.page[node][page];
	struct user *u = &w.user[node];
	u16 to;

	for (unsigned int i = 0; i < out->nr; i++) {
		const struct dsm_action *a = &out->act[i];

		if (a->type == DSM_A_SEND)
			send(node, a->to, page, &a->msg);
		if (a->type == DSM_A_MULTICAST)
			dsm_nodeset_for_each(to, &out->set)
				send(node, to, page, &a->msg);
		if (a->type == DSM_A_TIMER)
			post(a->at_us, TIMER, node, page);
		if (a->type == DSM_A_REVOKE)
			post(w.now + 10 + below(20), REVOKED, node, page);
	}
	if (u->waits == page && dsm_page_right(p) == DSM_RIGHT_WRITE) {
		u->waits = NONE;
		dsm_turn_end(&u->turn, page, w.now);
		post(w.now + 5, RUN, node, page);
	}
}

static void step(u16 node, u16 page, struct dsm_event *ev)
{
	struct dsm_dir *d = node ? NULL : &w.dir[page];
	struct user *u = &w.user[node];
	struct dsm_out out;

	ev->self = node;
	ev->nr_nodes = w.nr;
	ev->room = true;
	ev->epoch = 1;
	ev->region = 1;
	ev->page = page;
	ev->fresh_tid = ++w.tid;
	ev->hold_us = 50;
	ev->now_us = w.now;
	if (w.turns) {
		ev->hold_max_us = 128 * 200;
		ev->busy_until_us = dsm_turn_busy_until(&u->turn, page, w.now, QUIET_US);
		ev->age = dsm_turn_age(&u->turn, w.now, QUIET_US);
	}
	if (d && !d->busy)
		d->busy = w.busy[page];
	dsm_step(&w.page[node][page], d, ev, &out);
	CHECK(!dsm_verdict_is_error(out.verdict) && !out.more);
	if (out.turn_over)
		dsm_turn_restart(&u->turn, w.now);
	act(node, page, &out);
}

static void local(u16 node, u16 page, u8 event)
{
	struct dsm_event ev = { .kind = DSM_EK_PAGE, .local = event, .target = DSM_NODE_NONE };

	step(node, page, &ev);
}

/* One instruction: done if all pages are here, else ask for one. */
static void run(u16 node)
{
	struct user *u = &w.user[node];

	for (u16 p = 0; p < PAGES; p++) {
		if (dsm_page_right(&w.page[node][p]) == DSM_RIGHT_WRITE)
			continue;
		u->waits = p;
		dsm_turn_begin(&u->turn, w.now, QUIET_US);
		local(node, p, DSM_PE_WRITE);
		return;
	}
	u->done++;
	if (w.now - u->began > u->longest)
		u->longest = w.now - u->began;
	u->began = w.now;
	post(w.now + 20, RUN, node, 0);
}

static struct event next(void)
{
	unsigned int first = 0;
	struct event e;

	for (unsigned int i = 1; i < w.nr_events; i++)
		if (w.event[i].at < w.event[first].at ||
		    (w.event[i].at == w.event[first].at &&
		     w.event[i].order < w.event[first].order))
			first = i;
	e = w.event[first];
	w.event[first] = w.event[--w.nr_events];
	return e;
}

/* An access that was woken without the right asks again. */
static void ask_again(u16 node, u16 page)
{
	u8 state = w.page[node][page].state;

	if (w.user[node].waits == page && (state == DSM_PS_I || state == DSM_PS_S))
		local(node, page, DSM_PE_WRITE);
}

static void live(u16 nr, bool turns, u64 seed, u64 until)
{
	for (u16 p = 0; p < PAGES; p++)
		free(w.busy[p]);
	memset(&w, 0, sizeof(w));
	w.nr = nr;
	w.turns = turns;
	w.random = seed;
	for (u16 p = 0; p < PAGES; p++) {
		dsm_dir_init(&w.dir[p]);
		w.busy[p] = calloc(1, sizeof(*w.busy[p]) +
				   dsm_busy_cap(nr) * sizeof(w.busy[p]->q[0]));
		w.busy[p]->cap = dsm_busy_cap(nr);
	}
	for (u16 n = 0; n < nr; n++) {
		for (u16 p = 0; p < PAGES; p++)
			dsm_page_init(&w.page[n][p]);
		w.user[n].waits = NONE;
		post(n, RUN, n, 0);
	}
	while (w.now < until) {
		struct event e = next();

		w.now = e.at;
		if (e.kind == RUN) {
			run(e.node);
		} else if (e.kind == MSG) {
			struct dsm_event ev = { .kind = DSM_EK_MSG, .msg = e.msg };

			step(e.node, e.page, &ev);
		} else {
			local(e.node, e.page, e.kind == TIMER ? DSM_PE_TIMER : DSM_PE_REVOKED);
		}
		ask_again(e.node, e.page);
	}
}

static unsigned int least(void)
{
	unsigned int min = w.user[0].done;

	for (u16 n = 1; n < w.nr; n++)
		if (w.user[n].done < min)
			min = w.user[n].done;
	return min;
}

TEST(users_of_the_same_pages_all_get_on)
{
	for (u16 nr = 2; nr <= NODES_MAX; nr++) {
		for (u64 seed = 1; seed <= 20; seed++) {
			tap_seed = seed;
			live(nr, true, seed, 1000000);
			CHECK(least() > 1000u / nr);
			for (u16 n = 0; n < nr; n++)
				CHECK(w.user[n].longest < nr * 50000u);
		}
	}
	tap_seed = 0;
}

TEST(without_turns_they_do_not)
{
	unsigned int stuck = 0;

	for (u64 seed = 1; seed <= 20; seed++) {
		live(2, false, seed, 1000000);
		stuck += least() < 10;
	}
	CHECK(stuck > 10);
}
