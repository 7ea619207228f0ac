// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "cluster.h"
#include "wire.h"

struct cluster c;

void start(u16 nr, u16 home)
{
	for (u16 n = 0; n < DSM_MAX_NODES; n++)
		free(c.node[n].busy);
	memset(&c, 0, sizeof(c));
	c.nr = nr;
	c.now = 1000;
	c.epoch = 7;
	c.gen = 3;
	for (u16 n = 0; n < nr; n++) {
		struct node *node = &c.node[n];

		dsm_page_init(&node->p);
		dsm_dir_init(&node->d);
		node->busy = calloc(1, sizeof(*node->busy) +
				    dsm_busy_cap(nr) * sizeof(node->busy->q[0]));
		node->busy->cap = dsm_busy_cap(nr);
		node->home = home;
		node->room = true;
	}
}

/* ---- checks after each step ---- */

static const struct dsm_dir *directory(void)
{
	const struct dsm_dir *d = NULL;

	for (u16 n = 0; n < c.nr; n++) {
		const struct dsm_dir *e = &c.node[n].d;

		if (e->state == DSM_DS_MOVED || (e->state == DSM_DS_Z &&
						 c.node[n].home != n))
			continue;
		if (d && d->state != DSM_DS_Z)
			continue;
		d = e;
	}
	return nr_under_way(DSM_MSG_MOVE) ? NULL : d;
}

static void check_ok(const char *broken)
{
	if (broken)
		tap_fail(__FILE__, __LINE__, "invariant: %s", broken);
}

static void check_all(u16 stepped)
{
	const struct dsm_page *p[DSM_MAX_NODES];
	const struct node *s = &c.node[stepped];

	check_ok(dsm_invariant_page(&s->p));
	check_ok(dsm_invariant_dir(&s->d, c.nr));
	if (c.injected)
		return;
	for (u16 n = 0; n < c.nr; n++) {
		const struct node *node = &c.node[n];

		p[n] = &node->p;
		if (dsm_page_right(&node->p) && (!node->has ||
						 node->data != c.version))
			tap_fail(__FILE__, __LINE__, "node %u reads %llu, not %llu",
				 n, node->has ? node->data : ~0ULL, c.version);
		if (node->has != dsm_page_has_copy(&node->p))
			tap_fail(__FILE__, __LINE__, "node %u: %s memory in state %s",
				 n, node->has ? "leaks" : "lacks",
				 dsm_page_state_name(node->p.state));
	}
	check_ok(dsm_invariant_global(p, c.nr, directory()));
}

/* ---- carrying out what a step decided ---- */

static void post(u16 from, u16 to, const struct dsm_msg *m,
		 const struct dsm_nodeset *set)
{
	struct flight *f = &c.flight[c.nr_flights++];
	struct dsm_wire_msg w, again;
	struct dsm_wire_set ws;

	CHECK(c.nr_flights < sizeof(c.flight) / sizeof(c.flight[0]));
	CHECK(to < c.nr && to != from);
	*f = (struct flight){ .from = from, .to = to };
	dsm_wire_encode_msg(&w, m);
	if (dsm_wire_decode_msg(&w, from, &f->m) != DSM_V_OK)
		tap_fail(__FILE__, __LINE__, "%s does not pass the decoder",
			 dsm_msg_name(m->type));
	dsm_wire_encode_msg(&again, &f->m);
	CHECK(m->from == from && !memcmp(&w, &again, sizeof(w)));
	if (m->type == DSM_MSG_MOVE) {
		dsm_wire_encode_set(&ws, set);
		dsm_wire_decode_set(&ws, &f->set);
	}
	if (m->flags & DSM_MF_PAGE) {
		CHECK(c.node[from].has);
		f->data = c.node[from].data;
	}
}

static void act(u16 n, const struct dsm_action *a, const struct dsm_out *out,
		const struct flight *in)
{
	struct node *node = &c.node[n];
	u16 to;

	switch ((enum dsm_action_type)a->type) {
	case DSM_A_SEND:
		post(n, a->to, &a->msg, &out->set);
		if (a->give)
			node->has = false;
		break;
	case DSM_A_MULTICAST:
		dsm_nodeset_for_each(to, &out->set)
			post(n, to, &a->msg, NULL);
		break;
	case DSM_A_INSTALL:
		CHECK(in && in->m.flags & DSM_MF_PAGE);
		node->has = true;
		node->data = in->data;
		break;
	case DSM_A_INSTALL_ZERO:
		node->has = true;
		node->data = 0;
		break;
	case DSM_A_DROP:
		CHECK(node->has || c.injected);
		node->has = false;
		break;
	case DSM_A_REVOKE:
		CHECK(!node->revoking || c.injected);
		node->revoking = true;
		node->must = a->must;
		node->to_right = a->right;
		break;
	case DSM_A_TIMER:
		CHECK(a->at_us > c.now);
		node->timer_us = a->at_us;
		break;
	case DSM_A_WAKE:
		node->wakes++;
		break;
	case DSM_NR_ACTIONS:
		CHECK(!"no such action");
	}
}

static void step(u16 n, struct dsm_event *ev, const struct flight *in)
{
	struct node *node = &c.node[n];
	struct dsm_dir *d = &node->d;
	struct dsm_out out;

	ev->self = n;
	ev->nr_nodes = c.nr;
	ev->home = node->home;
	ev->room = node->room;
	ev->epoch = c.epoch;
	ev->region = 1;
	ev->gen = c.gen;
	ev->page = 42;
	ev->fresh_tid = ++node->tid;
	ev->hold_us = node->hold_us;
	ev->hold_max_us = node->hold_max_us;
	ev->grace_us = node->grace_us;
	ev->busy_until_us = node->user_busy ? c.now + 100 : 0;
	ev->age = node->age;
	ev->now_us = c.now;
	if (node->home != n && d->state == DSM_DS_Z &&
	    !(ev->kind == DSM_EK_DIR ||
	      (ev->kind == DSM_EK_MSG && dsm_msg_to_dir(ev->msg.type))))
		d = NULL;
	if (d && !d->busy) {
		node->busy->len = 0;
		node->busy->head = 0;
		d->busy = node->busy;
	}
	dsm_step(&node->p, d, ev, &out);
	c.steps++;
	c.verdict = out.verdict;
	if (out.turn_over)
		node->turn_over = true;
	cover_add(&out, !c.injected);
	if (out.nr > c.max_actions)
		c.max_actions = out.nr;
	if (out.nr_cells > c.max_cells)
		c.max_cells = out.nr_cells;
	CHECK(out.nr < DSM_MAX_ACTIONS - 1 && out.nr_cells < DSM_MAX_CELLS);
	CHECK(!out.idle || out.idle == node->busy);
	CHECK(!d || !d->busy == !dsm_dir_is_busy(d));
	for (unsigned int i = 0; i < out.nr; i++)
		act(n, &out.act[i], &out, in);
	check_all(n);
	if (out.more && !c.no_drain)
		drain(n);
	if (node->revoking && !c.manual)
		revoked(n);
}

/* ---- events ---- */

void local(u16 n, u8 kind, u8 event, u16 target)
{
	struct dsm_event ev = { .kind = kind, .local = event, .target = target };
	u8 verdict;

	step(n, &ev, NULL);
	verdict = c.verdict;
	if (verdict != DSM_V_OK && !c.injected)
		tap_fail(__FILE__, __LINE__, "node %u: event refused: %s", n,
			 dsm_verdict_name(verdict));
}

static void page_event(u16 n, u8 event, u16 target)
{
	local(n, DSM_EK_PAGE, event, target);
}

void want_read(u16 n)
{
	page_event(n, DSM_PE_READ, NOBODY);
}

void want_write(u16 n)
{
	page_event(n, DSM_PE_WRITE, NOBODY);
}

void used(u16 n)
{
	page_event(n, DSM_PE_USED, NOBODY);
}

void evict(u16 n, u16 target)
{
	page_event(n, DSM_PE_EVICT, target);
}

void discard(u16 n)
{
	bool sole = c.node[n].p.state == DSM_PS_E;

	page_event(n, DSM_PE_DISCARD, NOBODY);
	if (sole && c.node[n].p.state == DSM_PS_I)
		c.version = 0;
}

void revoked(u16 n)
{
	CHECK(c.node[n].revoking);
	c.node[n].revoking = false;
	page_event(n, DSM_PE_REVOKED, NOBODY);
}

void unrevoked(u16 n)
{
	CHECK(c.node[n].revoking && !c.node[n].must);
	c.node[n].revoking = false;
	page_event(n, DSM_PE_UNREVOKED, NOBODY);
}

void timer(u16 n)
{
	CHECK(c.node[n].timer_us);
	if (c.now < c.node[n].timer_us)
		c.now = c.node[n].timer_us;
	c.node[n].timer_us = 0;
	page_event(n, DSM_PE_TIMER, NOBODY);
}

void hand_off(u16 n, u16 successor)
{
	local(n, DSM_EK_DIR, DSM_DE_HANDOFF, successor);
}

void drain(u16 n)
{
	local(n, DSM_EK_DIR, DSM_DE_DRAIN, NOBODY);
}

void deliver_at(unsigned int i)
{
	struct flight f = c.flight[i];
	struct dsm_event ev = { .kind = DSM_EK_MSG, .msg = f.m, .set = f.set };

	memmove(&c.flight[i], &c.flight[i + 1],
		(--c.nr_flights - i) * sizeof(f));
	step(f.to, &ev, &f);
	if (dsm_verdict_is_error(c.verdict) && !c.injected)
		tap_fail(__FILE__, __LINE__, "%s from %u to %u: %s",
			 dsm_msg_name(f.m.type), f.from, f.to,
			 dsm_verdict_name(c.verdict));
}

void deliver(u16 from, u16 to, u8 type)
{
	for (unsigned int i = 0; i < c.nr_flights; i++) {
		if (c.flight[i].from != from || c.flight[i].to != to)
			continue;
		if (c.flight[i].m.type != type)
			tap_fail(__FILE__, __LINE__, "%u to %u: %s, not %s", from, to,
				 dsm_msg_name(c.flight[i].m.type),
				 dsm_msg_name(type));
		deliver_at(i);
		return;
	}
	tap_fail(__FILE__, __LINE__, "nothing from %u to %u", from, to);
}

static u16 next_timer(void)
{
	u16 next = NOBODY;

	for (u16 n = 0; n < c.nr; n++)
		if (c.node[n].timer_us &&
		    (next == NOBODY ||
		     c.node[n].timer_us < c.node[next].timer_us))
			next = n;
	return next;
}

void settle(void)
{
	while (c.nr_flights || next_timer() != NOBODY) {
		if (c.nr_flights)
			deliver_at(0);
		else
			timer(next_timer());
	}
}

u8 inject(u16 to, const struct dsm_msg *m)
{
	struct dsm_event ev = { .kind = DSM_EK_MSG, .msg = *m };
	struct flight f = { .m = *m };
	bool before = c.injected;

	c.injected = true;
	step(to, &ev, &f);
	c.injected = before;
	return c.verdict;
}

struct dsm_msg forge(u8 type, u16 from, u16 requester, u32 tid)
{
	return (struct dsm_msg){
		.type = type,
		.from = from,
		.requester = requester,
		.home = c.node[0].home,
		.target = NOBODY,
		.owner = NOBODY,
		.tid = tid,
		.epoch = c.epoch,
		.region = 1,
		.gen = c.gen,
		.page = 42,
	};
}

/* ---- whole accesses ---- */

void store(u16 n)
{
	CHECK(dsm_page_right(&c.node[n].p) == DSM_RIGHT_WRITE);
	c.node[n].data = ++c.version;
}

void do_read(u16 n)
{
	for (int i = 0; dsm_page_right(&c.node[n].p) < DSM_RIGHT_READ; i++) {
		CHECK(i < 4);
		want_read(n);
		settle();
	}
}

void do_write(u16 n)
{
	for (int i = 0; dsm_page_right(&c.node[n].p) < DSM_RIGHT_WRITE; i++) {
		CHECK(i < 4);
		want_write(n);
		settle();
	}
	store(n);
}

/* ---- looking ---- */

bool under_way(u16 from, u16 to, u8 type)
{
	for (unsigned int i = 0; i < c.nr_flights; i++)
		if (c.flight[i].from == from && c.flight[i].to == to &&
		    c.flight[i].m.type == type)
			return true;
	return false;
}

unsigned int nr_under_way(u8 type)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < c.nr_flights; i++)
		nr += c.flight[i].m.type == type;
	return nr;
}

const struct dsm_msg *message(u16 from, u16 to)
{
	for (unsigned int i = 0; i < c.nr_flights; i++)
		if (c.flight[i].from == from && c.flight[i].to == to)
			return &c.flight[i].m;
	tap_fail(__FILE__, __LINE__, "nothing from %u to %u", from, to);
}
