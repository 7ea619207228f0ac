// SPDX-License-Identifier: GPL-2.0
/* The shell of the explorer: what happens, and what must be true after it. */
#include <string.h>
#include "invariant.h"
#include "wire.h"
#include "world.h"

struct xconfig xcfg;
const char *xwrong;
bool xtrace;
u32 xcover[2][16][16];

#define CONST_EPOCH	7
#define CONST_REGION	3
#define CONST_GEN	5
#define NOW		10

static u8 narrow(u16 node)
{
	return node == DSM_NODE_NONE ? 0xff : node;
}

static u16 widen(u8 node)
{
	return node == 0xff ? DSM_NODE_NONE : node;
}

static struct xmsg msg_in(const struct dsm_msg *m, const struct dsm_nodeset *set,
			  u8 fresh)
{
	return (struct xmsg){
		.type = m->type, .flags = m->flags, .dir_state = m->dir_state,
		.requester = narrow(m->requester), .home = narrow(m->home),
		.target = narrow(m->target), .owner = narrow(m->owner),
		.nr_acks = m->nr_acks, .tid = m->tid, .page = m->page,
		.fresh = m->flags & DSM_MF_PAGE ? fresh : 0,
		.set = m->type == DSM_MSG_MOVE ? set->w[0] : 0,
	};
}

static struct dsm_msg msg_out(const struct xmsg *x, u8 from)
{
	return (struct dsm_msg){
		.type = x->type, .flags = x->flags, .dir_state = x->dir_state,
		.from = from, .requester = widen(x->requester),
		.home = widen(x->home), .target = widen(x->target),
		.owner = widen(x->owner), .nr_acks = x->nr_acks, .tid = x->tid,
		.epoch = CONST_EPOCH, .region = CONST_REGION, .gen = CONST_GEN,
		.page = x->page,
	};
}

static void load(const struct xpage *x, struct dsm_page *p)
{
	*p = (struct dsm_page){
		.state = x->state, .parked = x->parked,
		.have_page = x->have_page, .zero = x->zero,
		.target = widen(x->target),
		.acks_got = x->acks_got, .tid = x->tid,
		.hold_us = xcfg.hold ? 1 : 0,
		.grace_us = xcfg.hold ? 1 : 0,
		.held_until = x->held ? NOW + 1 : 0,
		.unused_until = x->unused ? NOW + 1 : 0,
		.demand = {
			.type = x->d_type, .flags = x->d_flags,
			.requester = widen(x->d_requester),
			.home = widen(x->d_home), .nr_acks = x->d_nr_acks,
			.tid = x->d_tid,
		},
	};
}

static void store(struct xpage *x, const struct dsm_page *p)
{
	x->state = p->state;
	x->parked = p->parked;
	x->have_page = p->have_page;
	x->zero = p->zero;
	x->target = narrow(p->target);
	x->acks_got = p->acks_got;
	x->tid = p->tid;
	x->held = p->held_until > NOW;
	x->unused = p->unused_until > NOW;
	x->d_type = p->demand.type;
	x->d_flags = p->demand.flags;
	x->d_requester = narrow(p->demand.requester);
	x->d_home = narrow(p->demand.home);
	x->d_nr_acks = p->demand.nr_acks;
	x->d_tid = p->demand.tid;
}

static void load_dir(const struct xdir *x, struct dsm_dir *d, struct dsm_busy *b)
{
	*d = (struct dsm_dir){
		.state = x->state, .base = x->base, .leaving = x->leaving,
		.owner = widen(x->owner), .successor = widen(x->successor),
		.set.w[0] = x->set, .busy = b,
	};
	b->requester = widen(x->b_requester);
	b->target = widen(x->b_target);
	b->tid = x->b_tid;
	b->head = 0;
	b->len = x->len;
	b->cap = dsm_busy_cap(xcfg.nodes);
	for (u8 i = 0; i < x->len; i++)
		b->q[i] = (struct dsm_waiter){
			.type = x->q[i].type, .tid = x->q[i].tid,
			.requester = x->q[i].requester,
			.target = widen(x->q[i].target),
		};
}

static void store_dir(struct xdir *x, const struct dsm_dir *d,
		      const struct dsm_busy *b)
{
	*x = (struct xdir){
		.state = d->state, .base = d->base, .leaving = d->leaving,
		.owner = narrow(d->owner), .successor = narrow(d->successor),
		.set = d->set.w[0], .b_requester = narrow(b->requester),
		.b_target = narrow(b->target), .b_tid = b->tid, .len = b->len,
	};
	if (!d->busy && b->len)
		xwrong = "busy record given back with requests in it";
	for (u8 i = 0; i < b->len; i++) {
		const struct dsm_waiter *q = &b->q[(b->head + i) % b->cap];

		x->q[i] = (struct xwaiter){
			.type = q->type, .tid = q->tid, .requester = q->requester,
			.target = narrow(q->target),
		};
	}
}

static u32 tids_of(const struct xqueue *q, u8 requester)
{
	u32 tids = 0;

	for (u8 i = 0; i < q->n; i++)
		if (q->m[i].requester == requester)
			tids |= 1u << q->m[i].tid;
	return tids;
}

/* The smallest id that no one remembers of this node's requests for a page. */
static u8 fresh_tid(const struct xworld *w, u8 node, u8 page)
{
	u32 used = 1;

	for (u8 n = 0; n < xcfg.nodes; n++) {
		const struct xpage *p = &w->page[n][page];
		const struct xdir *d = &w->dir[n][page];

		if (n == node)
			used |= 1u << p->tid;
		if (p->d_type != DSM_NR_MSG_TYPES && p->d_requester == node)
			used |= 1u << p->d_tid;
		if (d->b_requester == node)
			used |= 1u << d->b_tid;
		for (u8 i = 0; i < d->len; i++)
			if (d->q[i].requester == node)
				used |= 1u << d->q[i].tid;
		for (u8 o = 0; o < xcfg.nodes; o++) {
			used |= tids_of(&w->wire[n][o], node);
			used |= tids_of(&w->kept[n][o], node);
		}
	}
	for (u8 t = 1; t < 31; t++)
		if (!(used >> t & 1))
			return t;
	xwrong = "explorer: out of ids";
	return 31;
}

static void set_fresh(struct xworld *w, u8 node, u8 page, bool zero)
{
	for (u8 n = 0; n < xcfg.nodes; n++) {
		w->page[n][page].fresh = 0;
		for (u8 o = 0; o < xcfg.nodes; o++) {
			for (u8 i = 0; i < w->wire[n][o].n; i++)
				if (w->wire[n][o].m[i].page == page)
					w->wire[n][o].m[i].fresh = 0;
			for (u8 i = 0; i < w->kept[n][o].n; i++)
				if (w->kept[n][o].m[i].page == page)
					w->kept[n][o].m[i].fresh = 0;
		}
	}
	w->zero_fresh[page] = zero;
	if (!zero)
		w->page[node][page].fresh = 1;
}

struct xstep {
	struct xworld *w;
	u8 node, page;
	const struct dsm_event *ev;
	u8 fresh;
	u8 unused;	/* before the step */
};

static void install(struct xpage *x, bool fresh)
{
	if (x->map)
		xwrong = "page replaced while mapped";
	x->copy = 1;
	x->fresh = fresh;
}

static void drop(struct xstep *s, struct xpage *x)
{
	x->copy = 0;
	if (s->ev->kind == DSM_EK_PAGE && s->ev->local == DSM_PE_DISCARD) {
		x->map = DSM_RIGHT_NONE;
		set_fresh(s->w, s->node, s->page, true);
	}
	if (x->map)
		xwrong = "page dropped while mapped";
}

/* What the machines say must be legal on the wire as well. */
static bool survives_wire(const struct dsm_msg *m, u16 from)
{
	struct dsm_wire_msg w;
	struct dsm_msg back;

	dsm_wire_encode_msg(&w, m);
	if (dsm_wire_decode_msg(&w, from, &back) != DSM_V_OK)
		return false;
	return back.type == m->type && back.flags == m->flags &&
	       back.requester == m->requester && back.home == m->home &&
	       back.target == m->target && back.nr_acks == m->nr_acks &&
	       back.tid == m->tid && back.owner == m->owner;
}

static void send(struct xstep *s, struct xpage *x, const struct dsm_action *a,
		 const struct dsm_nodeset *set)
{
	struct xmsg m = msg_in(&a->msg, set, x->fresh);
	u16 to;

	if (a->msg.flags & DSM_MF_PAGE) {
		if (!x->copy)
			xwrong = "sends a page it does not have";
		if (x->map > (a->give ? DSM_RIGHT_NONE : DSM_RIGHT_READ))
			xwrong = "sends a page that is still mapped";
	}
	if (!survives_wire(&a->msg, s->node))
		xwrong = "message that the codec does not pass";
	if (a->type == DSM_A_SEND) {
		if (a->to >= xcfg.nodes || a->to == s->node)
			xwrong = "sends to no one";
		else
			xnet_send(s->w, s->node, a->to, m);
	} else {
		dsm_nodeset_for_each(to, set)
			xnet_send(s->w, s->node, to, m);
	}
	if (a->give)
		x->copy = 0;
}

static void act(struct xstep *s, const struct dsm_action *a,
		const struct dsm_nodeset *set)
{
	struct xworld *w = s->w;
	struct xpage *x = &w->page[s->node][s->page];

	switch ((enum dsm_action_type)a->type) {
	case DSM_A_SEND:
	case DSM_A_MULTICAST:
		send(s, x, a, set);
		break;
	case DSM_A_INSTALL:
		install(x, s->fresh);
		break;
	case DSM_A_INSTALL_ZERO:
		install(x, w->zero_fresh[s->page]);
		break;
	case DSM_A_DROP:
		drop(s, x);
		break;
	case DSM_A_REVOKE:
		if (x->revoking)
			xwrong = "REVOKE while one is under way";
		if (a->must && s->unused)
			xwrong = "taken away before it was used";
		x->revoking = 1 + a->right;
		x->must = a->must;
		break;
	case DSM_A_TIMER:
		x->armed = 1;
		break;
	case DSM_A_WAKE:
		for (u8 t = 0; t < XT; t++)
			if (w->thread[s->node][t].page == s->page)
				w->thread[s->node][t].asked = 0;
		break;
	case DSM_NR_ACTIONS:
		break;
	}
}

static void step(struct xworld *w, u8 node, u8 page, struct dsm_event *ev, u8 fresh)
{
	union {
		struct dsm_busy b;
		u8 room[sizeof(struct dsm_busy) + XN * sizeof(struct dsm_waiter)];
	} busy = {};
	struct xstep s = { .w = w, .node = node, .page = page, .ev = ev,
			   .fresh = fresh, .unused = w->page[node][page].unused };
	struct dsm_out out;
	struct dsm_page p;
	struct dsm_dir d;

	ev->self = node;
	ev->nr_nodes = xcfg.nodes;
	ev->home = w->home[node][page];
	ev->epoch = CONST_EPOCH;
	ev->region = CONST_REGION;
	ev->gen = CONST_GEN;
	ev->page = page;
	ev->now_us = NOW;
	ev->hold_us = xcfg.hold ? 1 : 0;
	ev->grace_us = ev->hold_us;
	if (ev->kind == DSM_EK_PAGE)
		ev->fresh_tid = fresh_tid(w, node, page);
	load(&w->page[node][page], &p);
	load_dir(&w->dir[node][page], &d, &busy.b);
	dsm_step(&p, &d, ev, &out);
	if (dsm_invariant_page(&p))
		xwrong = dsm_invariant_page(&p);
	else if (dsm_invariant_dir(&d, xcfg.nodes))
		xwrong = dsm_invariant_dir(&d, xcfg.nodes);
	else if (dsm_invariant_awaits(&d, node, &out))
		xwrong = dsm_invariant_awaits(&d, node, &out);
	store(&w->page[node][page], &p);
	store_dir(&w->dir[node][page], &d, &busy.b);
	for (u8 i = 0; i < out.nr_cells; i++)
		xcover[out.cell[i].dir][out.cell[i].state][out.cell[i].event]++;
	if (xtrace)
		for (u8 i = 0; i < out.nr_cells; i++)
			printf("      %s\n", out.cell[i].dir ?
			       dsm_dir_cell_name(out.cell[i].state, out.cell[i].event) :
			       dsm_page_cell_name(out.cell[i].state, out.cell[i].event));
	if (out.verdict != DSM_V_OK) {
		static char text[64];

		snprintf(text, sizeof(text), "verdict %s", dsm_verdict_name(out.verdict));
		xwrong = text;
	}
	if (out.nr >= DSM_MAX_ACTIONS - 1 || out.nr_cells >= DSM_MAX_CELLS)
		xwrong = "bound of actions or cells hit";
	for (u8 i = 0; i < out.nr; i++)
		act(&s, &out.act[i], &out.set);
	if (out.more && !xwrong) {
		struct dsm_event drain = { .kind = DSM_EK_DIR, .local = DSM_DE_DRAIN };

		step(w, node, page, &drain, 0);
	}
}

static void page_event(struct xworld *w, u8 node, u8 page, u8 local, u16 target)
{
	struct dsm_event ev = { .kind = DSM_EK_PAGE, .local = local,
				.target = target };

	step(w, node, page, &ev, 0);
}

/* A thread accesses; if it may not, it faults, and waits for a WAKE. */
static void look(struct xworld *w, u8 node, struct xthread *t)
{
	struct xpage *x = &w->page[node][t->page];
	u8 need = t->op == XO_WRITE ? DSM_RIGHT_WRITE : DSM_RIGHT_READ;
	struct dsm_page p;

	load(x, &p);
	if (x->map < need && dsm_page_right(&p) >= need)
		x->map = need;
	if (x->map < need) {
		u8 page = t->page;

		t->asked = 1;
		page_event(w, node, page, need == DSM_RIGHT_WRITE ?
			   DSM_PE_WRITE : DSM_PE_READ, DSM_NODE_NONE);
		return;
	}
	if (!x->copy || !x->fresh)
		xwrong = t->op == XO_WRITE ? "write onto stale contents" : "stale read";
	if (t->op == XO_WRITE) {
		set_fresh(w, node, t->page, false);
		w->written[t->page] = 1;
	}
	if (x->unused)
		page_event(w, node, t->page, DSM_PE_USED, DSM_NODE_NONE);
	*t = (struct xthread){ };
}

static void issue(struct xworld *w, u8 node, u8 op, u8 page)
{
	struct xthread *t = w->thread[node];

	while (t->op)
		t++;
	*t = (struct xthread){ .op = op, .page = page };
	w->ops[node]--;
	look(w, node, t);
}

static void deliver(struct xworld *w, u8 from, u8 to, bool room)
{
	struct dsm_event ev = { .kind = DSM_EK_MSG, .room = room };
	struct xmsg m;

	if (!xnet_take(w, from, to, &m))
		return;
	ev.msg = msg_out(&m, from);
	ev.set.w[0] = m.set;
	step(w, to, m.page, &ev, m.fresh);
}

static void revoked(struct xworld *w, u8 node, u8 page, bool done)
{
	struct xpage *x = &w->page[node][page];
	u8 right = x->revoking - 1;

	x->revoking = 0;
	if (done && x->map > right)
		x->map = right;
	page_event(w, node, page, done ? DSM_PE_REVOKED : DSM_PE_UNREVOKED,
		   DSM_NODE_NONE);
}

static void expire(struct xworld *w, u8 node, u8 page)
{
	struct xpage *x = &w->page[node][page];

	/* One time after the other; which is the longer one does not matter. */
	if (x->held)
		x->held = 0;
	else
		x->unused = 0;
	if (!x->armed)
		return;
	x->armed = 0;
	page_event(w, node, page, DSM_PE_TIMER, DSM_NODE_NONE);
}

static void dir_event(struct xworld *w, u8 node, u8 page, u8 local, u16 target)
{
	struct dsm_event ev = { .kind = DSM_EK_DIR, .local = local,
				.target = target };

	step(w, node, page, &ev, 0);
}

void xworld_apply(struct xworld *w, const struct xevent *e)
{
	switch ((enum xkind)e->kind) {
	case XK_ISSUE:
		issue(w, e->a, e->b, e->c);
		break;
	case XK_LOOK:
		look(w, e->a, &w->thread[e->a][e->b]);
		break;
	case XK_EVICT:
		w->evicts--;
		page_event(w, e->a, e->b, DSM_PE_EVICT, widen(e->c));
		break;
	case XK_DISCARD:
		w->discards--;
		page_event(w, e->a, e->b, DSM_PE_DISCARD, DSM_NODE_NONE);
		break;
	case XK_REVOKED:
		revoked(w, e->a, e->b, true);
		break;
	case XK_UNREVOKED:
		w->unrevokes--;
		revoked(w, e->a, e->b, false);
		break;
	case XK_EXPIRE:
		expire(w, e->a, e->b);
		break;
	case XK_DELIVER:
		deliver(w, e->a, e->b, e->c);
		break;
	case XK_DUP:
		w->dups--;
		xnet_dup(w, e->a, e->b);
		break;
	case XK_LOSE:
		w->losses--;
		xnet_lose(w, e->a, e->b);
		break;
	case XK_CONNECT:
		xnet_connect(w, e->a, e->b);
		break;
	case XK_HELLO:
		xnet_hello(w, e->a, e->b);
		break;
	case XK_HANDOFF:
		w->handoffs--;
		dir_event(w, e->a, e->b, DSM_DE_HANDOFF, e->c);
		break;
	case XK_REHOME:
		w->home[e->a][e->b] = e->c;
		break;
	}
}

void xworld_init(struct xworld *w)
{
	memset(w, 0, sizeof(*w));
	for (u8 n = 0; n < XN; n++)
		for (u8 p = 0; p < XP; p++) {
			w->page[n][p].d_type = DSM_NR_MSG_TYPES;
			w->page[n][p].target = 0xff;
			w->dir[n][p].owner = 0xff;
			w->dir[n][p].successor = 0xff;
			w->home[n][p] = p % xcfg.nodes;
			w->zero_fresh[p] = 1;
		}
	memset(w->ops, xcfg.ops, sizeof(w->ops));
	w->evicts = xcfg.evicts;
	w->discards = xcfg.discards;
	w->handoffs = xcfg.handoffs;
	w->dups = xcfg.dups;
	w->losses = xcfg.losses;
	w->unrevokes = xcfg.unrevokes;
	xnet_init(w);
	xworld_canonical(w);
}
