// SPDX-License-Identifier: GPL-2.0
/* The shell of the simulator: does what the core decides, as the kernel would. */
#include "invariant.h"
#include "wire.h"
#include "sim.h"

u16 sim_home(struct sim *s, u16 node, u32 page)
{
	return dsm_place_home(&s->node[node].place, page);
}

static struct sim_page *page_of(struct sim *s, u16 node, u32 page)
{
	return &s->node[node].page[page];
}

static void set_copy(struct sim *s, u16 node, struct sim_page *x, bool copy)
{
	s->node[node].copies += copy - x->copy;
	x->copy = copy;
}

static void install(struct sim *s, u16 node, struct sim_page *x, u64 value)
{
	if (x->map)
		sim_fail(s, "page replaced while mapped");
	set_copy(s, node, x, true);
	x->value = value;
	if (s->cfg.faults & SIM_F(EVICT) && s->node[node].copies > s->cfg.limit)
		sim_at(s, 1 + sim_below(s, 20), SE_EVICT, node, 0, 0, NULL);
}

static bool legal(const struct dsm_msg *m, u16 from)
{
	struct dsm_wire_msg w;
	struct dsm_msg back;

	dsm_wire_encode_msg(&w, m);
	return dsm_wire_decode_msg(&w, from, &back) == DSM_V_OK;
}

static void send(struct sim *s, u16 node, struct sim_page *x,
		 const struct dsm_action *a, const struct dsm_out *out)
{
	bool page = a->msg.flags & DSM_MF_PAGE;
	u16 to;

	if (!legal(&a->msg, node))
		sim_fail(s, "message that the codec does not pass");
	if (page && (!x->copy || x->map > (a->give ? DSM_RIGHT_NONE : DSM_RIGHT_READ)))
		sim_fail(s, "sends a page that it has not, or that is mapped");
	if (a->msg.type == DSM_MSG_MOVE)
		s->nr_moves++;
	if (a->type == DSM_A_MULTICAST) {
		dsm_nodeset_for_each(to, &out->set)
			sim_net_send(s, node, to, &a->msg, &out->set, 0);
	} else if (a->to >= s->cfg.nodes || a->to == node) {
		sim_fail(s, "sends to no one");
	} else {
		sim_net_send(s, node, a->to, &a->msg, &out->set, page ? x->value : 0);
	}
	if (a->give)
		set_copy(s, node, x, false);
}

static void wake(struct sim *s, u16 node, u32 page)
{
	for (u32 t = 0; t < s->cfg.threads; t++) {
		struct sim_thread *th = &s->node[node].thread[t];

		if (th->active && th->waiting && th->page == page) {
			th->waiting = false;
			sim_at(s, sim_below(s, 3), SE_THREAD, node, t, 0, NULL);
		}
	}
}

static void contents_are_zero(struct sim *s, u32 page)
{
	s->last[page] = s->next_value++;
	s->is_zero[page] = true;
	sim_history_add(s->history, page, s->now, s->now, 0, s->last[page]);
}

static void drop(struct sim *s, u16 node, u32 page, const struct dsm_event *ev)
{
	struct sim_page *x = page_of(s, node, page);

	if (ev->kind == DSM_EK_PAGE && ev->local == DSM_PE_DISCARD) {
		x->map = DSM_RIGHT_NONE;
		contents_are_zero(s, page);
	}
	if (x->map)
		sim_fail(s, "page dropped while mapped");
	set_copy(s, node, x, false);
}

static void act(struct sim *s, u16 node, u32 page, const struct dsm_event *ev,
		const struct dsm_out *out, const struct dsm_action *a, u64 value)
{
	struct sim_page *x = page_of(s, node, page);

	switch ((enum dsm_action_type)a->type) {
	case DSM_A_SEND:
	case DSM_A_MULTICAST:
		send(s, node, x, a, out);
		break;
	case DSM_A_INSTALL:
		install(s, node, x, value);
		break;
	case DSM_A_INSTALL_ZERO:
		install(s, node, x, s->is_zero[page] ? s->last[page] : 0);
		break;
	case DSM_A_DROP:
		drop(s, node, page, ev);
		break;
	case DSM_A_REVOKE:
		if (x->revoking)
			sim_fail(s, "REVOKE while one is under way");
		x->revoking = 1 + a->right;
		x->must = a->must;
		sim_at(s, 1 + sim_below(s, s->node[node].slow ? 200 : 10),
		       SE_REVOKED, node, 0, page, NULL);
		break;
	case DSM_A_TIMER:
		sim_at(s, a->at_us - s->now, SE_TIMER, node, 0, page, NULL);
		break;
	case DSM_A_WAKE:
		wake(s, node, page);
		break;
	case DSM_NR_ACTIONS:
		break;
	}
}

static void check(struct sim *s, u16 node, const struct sim_page *x,
		  const struct dsm_out *out)
{
	const char *broken = dsm_invariant_page(&x->p);

	if (!broken)
		broken = dsm_invariant_dir(&x->d, s->cfg.nodes);
	if (!broken)
		broken = dsm_invariant_awaits(&x->d, node, out);
	if (broken)
		sim_fail(s, broken);
	if (out->nr >= DSM_MAX_ACTIONS - 1 || out->nr_cells >= DSM_MAX_CELLS)
		sim_fail(s, "bound of actions or cells hit");
	if (x->d.busy && !dsm_dir_is_busy(&x->d))
		sim_fail(s, "idle entry keeps its busy record");
}

static void hang_busy(struct sim *s, struct dsm_dir *d)
{
	u16 cap = dsm_busy_cap(s->cfg.nodes);

	if (d->busy)
		return;
	d->busy = calloc(1, sizeof(*d->busy) + cap * sizeof(d->busy->q[0]));
	d->busy->cap = cap;
}

static void step(struct sim *s, u16 node, u32 page, struct dsm_event *ev, u64 value)
{
	struct sim_page *x = page_of(s, node, page);
	struct dsm_out out;

	ev->self = node;
	ev->nr_nodes = s->cfg.nodes;
	ev->home = sim_home(s, node, page);
	ev->epoch = SIM_EPOCH;
	ev->region = SIM_REGION;
	ev->gen = SIM_GEN;
	ev->page = page;
	ev->now_us = s->now;
	ev->hold_us = s->cfg.faults & SIM_F(HOLD) ? s->cfg.hold_us : 0;
	/* As if the page's user waited for others now and then, its turn of any age. */
	ev->hold_max_us = 16 * ev->hold_us;
	ev->grace_us = 4 * ev->hold_us;
	ev->busy_until_us = (s->now ^ page) % 3 ? s->now + ev->hold_us : 0;
	ev->age = (s->now * 31 + node) % 64;
	if (ev->kind == DSM_EK_PAGE)
		ev->fresh_tid = s->node[node].next_tid++;
	hang_busy(s, &x->d);
	dsm_step(&x->p, &x->d, ev, &out);
	if (out.idle && out.idle->len)
		sim_fail(s, "busy record given back with requests in it");
	free(out.idle);
	s->nr_steps++;
	sim_note(s, (u64)out.verdict << 32 | x->p.state << 16 | x->d.state << 8 | out.nr);
	if (out.verdict != DSM_V_OK) {
		static char text[64];

		snprintf(text, sizeof(text), "verdict %s", dsm_verdict_name(out.verdict));
		sim_fail(s, text);
	}
	check(s, node, x, &out);
	for (u8 i = 0; i < out.nr; i++)
		act(s, node, page, ev, &out, &out.act[i], value);
	if (out.more && !s->wrong)
		sim_local(s, node, page, DSM_EK_DIR, DSM_DE_DRAIN, DSM_NODE_NONE);
}

void sim_local(struct sim *s, u16 node, u32 page, u8 kind, u8 local, u16 target)
{
	struct dsm_event ev = { .kind = kind, .local = local, .target = target };

	step(s, node, page, &ev, 0);
}

static void remember(struct sim *s, u16 to, const struct sim_frame *f)
{
	if (!(s->cfg.faults & SIM_F(GHOST)) || sim_below(s, 16))
		return;
	s->ghost[s->nr_ghosts++ % SIM_GHOSTS] = (struct sim_ghost){
		.msg = f->msg, .set = f->set, .to = to,
	};
}

void sim_deliver(struct sim *s, u16 from, u16 to, const struct sim_frame *f)
{
	struct dsm_event ev = { .kind = DSM_EK_MSG, .msg = f->msg, .set = f->set };

	ev.msg.from = from;
	if (s->cfg.trace)
		printf("%8llu %u -> %u %s page %llu requester %u tid %u flags %02x acks %u\n",
		       s->now, from, to, dsm_msg_name(f->msg.type), f->msg.page,
		       f->msg.requester, f->msg.tid, f->msg.flags, f->msg.nr_acks);
	sim_note(s, (u64)from << 48 | (u64)to << 32 | f->msg.type << 16 | f->msg.flags);
	sim_note(s, f->msg.page << 32 | f->msg.tid);
	remember(s, to, f);
	ev.room = !(s->cfg.faults & SIM_F(REFUSE)) ||
		  (sim_below(s, 3) && s->node[to].copies <= s->cfg.limit);
	if (f->msg.type == DSM_MSG_PUSH) {
		s->nr_pushes++;
		s->nr_refused += !ev.room;
	}
	step(s, to, f->msg.page, &ev, f->value);
}

/* A reply to a request that is over? */
static bool is_late(const struct sim_page *x, const struct dsm_msg *m)
{
	const struct dsm_busy *b = x->d.busy;

	switch ((enum dsm_msg_type)m->type) {
	case DSM_MSG_GRANT:
	case DSM_MSG_ACK:
	case DSM_MSG_PULL:
	case DSM_MSG_PUT_ACK:
	case DSM_MSG_PUT_NAK:
		return m->tid != x->p.tid;
	case DSM_MSG_DONE:
	case DSM_MSG_PUSHED:
		return !b || m->requester != b->requester || m->tid != b->tid;
	case DSM_MSG_GETS:
	case DSM_MSG_GETX:
	case DSM_MSG_PUT:
	case DSM_MSG_MOVE:
	case DSM_MSG_INV:
	case DSM_MSG_FWDS:
	case DSM_MSG_PUSH:
	case DSM_NR_MSG_TYPES:
		break;
	}
	return false;
}

static bool ghost_unheard(bool late, bool newer, u8 verdict)
{
	if (late)
		return verdict != DSM_V_OK;
	return verdict == (newer ? DSM_V_AHEAD : DSM_V_STALE);
}

/*
 * An old message of another epoch or generation, or a reply of this one to a
 * request that is over: nothing may come of it.
 */
static void ghost(struct sim *s)
{
	struct dsm_event ev = { .kind = DSM_EK_MSG };
	u32 nr = s->nr_ghosts < SIM_GHOSTS ? s->nr_ghosts : SIM_GHOSTS;
	const struct sim_ghost *g;
	struct sim_page *x, before;
	struct dsm_out out;
	bool newer, late;

	if (!nr)
		return;
	g = &s->ghost[sim_below(s, nr)];
	x = page_of(s, g->to, g->msg.page);
	hang_busy(s, &x->d);
	before = *x;
	ev.msg = g->msg;
	ev.set = g->set;
	newer = !sim_below(s, 4);
	late = sim_below(s, 2) && is_late(x, &g->msg);
	if (late)
		newer = false;
	else if (sim_below(s, 2))
		ev.msg.epoch += newer ? 1 : -1;
	else
		ev.msg.gen += newer ? 1 : -1;
	ev.self = g->to;
	ev.nr_nodes = s->cfg.nodes;
	ev.home = sim_home(s, g->to, g->msg.page);
	ev.epoch = SIM_EPOCH;
	ev.region = SIM_REGION;
	ev.gen = SIM_GEN;
	ev.page = g->msg.page;
	ev.now_us = s->now;
	dsm_step(&x->p, &x->d, &ev, &out);
	s->nr_stale++;
	if (!ghost_unheard(late, newer, out.verdict) || out.nr ||
	    before.p.state != x->p.state || before.d.state != x->d.state)
		sim_fail(s, "a ghost was heard");
	free(out.idle);
}

static void access_page(struct sim *s, u16 node, struct sim_thread *t)
{
	struct sim_page *x = page_of(s, node, t->page);
	u64 read = t->op == SO_WRITE ? 0 : x->value, written = 0;

	if (!x->copy || x->value != s->last[t->page])
		sim_fail(s, t->op == SO_READ ? "stale read" : "write onto stale contents");
	if (t->op != SO_READ) {
		written = s->next_value++;
		x->value = written;
		s->last[t->page] = written;
		s->is_zero[t->page] = false;
	}
	sim_history_add(s->history, t->page, t->since, s->now, read, written);
	t->active = false;
	sim_at(s, sim_below(s, 40), SE_THREAD, node, t - s->node[node].thread, 0, NULL);
}

static bool choose(struct sim *s, u16 node, struct sim_thread *t)
{
	static const u8 ops[8] = { SO_READ, SO_READ, SO_READ, SO_READ,
				   SO_WRITE, SO_WRITE, SO_RMW, SO_RMW };

	if (!t->left) {
		s->threads_left--;
		return false;
	}
	t->left--;
	t->active = true;
	t->op = ops[sim_below(s, 8)];
	t->page = sim_below(s, 3) ? sim_below(s, s->cfg.pages) : 0;
	t->since = s->now;
	return true;
}

void sim_look(struct sim *s, u16 node, u32 thread)
{
	struct sim_thread *t = &s->node[node].thread[thread];
	struct sim_page *x;
	u8 need;

	if (!t->active && !choose(s, node, t))
		return;
	x = page_of(s, node, t->page);
	need = t->op == SO_READ ? DSM_RIGHT_READ : DSM_RIGHT_WRITE;
	if (x->map < need && dsm_page_right(&x->p) >= need)
		x->map = need;
	if (x->map >= need) {
		if (x->p.unused_until)
			sim_local(s, node, t->page, DSM_EK_PAGE, DSM_PE_USED, DSM_NODE_NONE);
		access_page(s, node, t);
		return;
	}
	t->waiting = true;
	sim_local(s, node, t->page, DSM_EK_PAGE,
		  need == DSM_RIGHT_WRITE ? DSM_PE_WRITE : DSM_PE_READ, DSM_NODE_NONE);
}

static void revoked(struct sim *s, u16 node, u32 page)
{
	struct sim_page *x = page_of(s, node, page);
	bool done = x->must || sim_below(s, 4);
	u8 right = x->revoking - 1;

	x->revoking = 0;
	if (done && x->map > right)
		x->map = right;
	sim_local(s, node, page, DSM_EK_PAGE,
		  done ? DSM_PE_REVOKED : DSM_PE_UNREVOKED, DSM_NODE_NONE);
}

static void evict(struct sim *s, u16 node)
{
	u32 page = sim_below(s, s->cfg.pages);
	u16 target = sim_below(s, s->cfg.nodes);

	if (s->healed || s->node[node].copies <= s->cfg.limit)
		return;
	if (target == node || !sim_below(s, 5))
		target = DSM_NODE_NONE;
	sim_local(s, node, page, DSM_EK_PAGE, DSM_PE_EVICT, target);
	sim_at(s, 20 + sim_below(s, 100), SE_EVICT, node, 0, 0, NULL);
}

static void leave(struct sim *s)
{
	bool moved = true;

	for (u32 p = 0; p < s->cfg.pages; p++) {
		struct dsm_dir *d = &page_of(s, s->leaver, p)->d;

		if (dsm_place_home(&s->node[s->successor].place, p) != s->leaver)
			continue;
		if (!s->leaving)
			sim_local(s, s->leaver, p, DSM_EK_DIR, DSM_DE_HANDOFF,
				  s->successor);
		moved &= d->state == DSM_DS_MOVED;
	}
	s->leaving = true;
	/* The successor must have the entries before anyone asks it. */
	if (!moved || sim_link(s, s->leaver, s->successor)->nr_kept) {
		sim_at(s, 50, SE_LEAVE, 0, 0, 0, NULL);
		return;
	}
	for (u16 n = 0; n < s->cfg.nodes; n++)
		sim_at(s, 1 + sim_below(s, 200), SE_REHOME, n, 0, 0, NULL);
}

static void fault(struct sim *s)
{
	u32 page = sim_below(s, s->cfg.pages);
	u16 home = sim_home(s, 0, page);

	if (s->healed)
		return;
	if (sim_fault(s, SIM_F(LOSS), 3))
		sim_net_lose(s);
	if (sim_fault(s, SIM_F(GHOST), 2))
		ghost(s);
	if (sim_fault(s, SIM_F(DISCARD), 2) &&
	    page_of(s, home, page)->p.state == DSM_PS_E)
		sim_local(s, home, page, DSM_EK_PAGE, DSM_PE_DISCARD, DSM_NODE_NONE);
	sim_at(s, 10 + sim_below(s, 60), SE_FAULT, 0, 0, 0, NULL);
}

void sim_shell_event(struct sim *s, const struct sim_event *ev)
{
	switch ((enum sim_event_type)ev->type) {
	case SE_REVOKED:
		revoked(s, ev->a, ev->c);
		break;
	case SE_TIMER:
		sim_local(s, ev->a, ev->c, DSM_EK_PAGE, DSM_PE_TIMER, DSM_NODE_NONE);
		break;
	case SE_THREAD:
		sim_look(s, ev->a, ev->b);
		break;
	case SE_EVICT:
		evict(s, ev->a);
		break;
	case SE_FAULT:
		fault(s);
		break;
	case SE_LEAVE:
		leave(s);
		break;
	case SE_REHOME:
		dsm_place_rehome(&s->node[ev->a].place, s->leaver, s->successor);
		break;
	case SE_FRAME:
	case SE_CONNECT:
	case SE_HELLO:
	case SE_NOTICE:
	case SE_ACK:
		break;
	}
}
