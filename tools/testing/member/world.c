// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "nodeset.h"
#include "world.h"

const char *mw_wrong;
bool mw_trace;
void (*mw_observe)(struct mworld *w, u16 node, u8 old_state,
		   const struct dsm_member_event *ev,
		   const struct dsm_member_out *out);

/* The nodes' own time begins here, so that a difference is never negative. */
#define BASE_US		1000000000ull

u32 mw_word(const struct dsm_nodeset *s)
{
	return s->w[0];
}

static struct dsm_nodeset set_of_word(u32 w)
{
	return (struct dsm_nodeset){ .w = { w } };
}

static struct mw_packet pack(const struct dsm_member_packet *p)
{
	return (struct mw_packet){
		.type = p->type, .state = p->state, .reason = p->reason,
		.round = p->round, .cluster = p->view.cluster,
		.number = p->view.number, .epoch = p->view.epoch,
		.members = mw_word(&p->view.members),
		.leaving = mw_word(&p->view.leaving),
		.lost = mw_word(&p->view.lost), .linked = mw_word(&p->linked),
	};
}

struct dsm_member_packet mw_unpack(const struct mw_packet *x)
{
	return (struct dsm_member_packet){
		.type = x->type, .state = x->state, .reason = x->reason,
		.round = x->round,
		.view = {
			.cluster = x->cluster, .number = x->number,
			.epoch = x->epoch,
			.members = set_of_word(x->members),
			.leaving = set_of_word(x->leaving),
			.lost = set_of_word(x->lost),
		},
		.linked = set_of_word(x->linked),
	};
}

static void fail(const char *what)
{
	if (!mw_wrong)
		mw_wrong = what;
}

/* ---- links ---- */

static void link_event(struct mworld *w, u16 node, u8 type, u16 peer, bool reset)
{
	mw_event(w, node, &(struct dsm_member_event){
		.type = type, .node = peer, .reset = reset });
}

static void hang_up(struct mworld *w, u16 a, u16 b, bool tell_a)
{
	if (!w->n[a].end[b].up)
		return;
	w->n[a].end[b].up = w->n[b].end[a].up = false;
	w->n[a].end[b].lost_told = w->n[b].end[a].lost_told = false;
	if (tell_a)
		link_event(w, a, DSM_ME_LINK_DOWN, b, false);
	link_event(w, b, DSM_ME_LINK_DOWN, a, false);
}

static void clear_end(struct mw_end *e)
{
	memset(e, 0, sizeof(*e));
}

/* As dsm_node_kill(), stop(), start(): nothing is told to the killer. */
static void kill_end(struct mworld *w, u16 a, u16 b)
{
	bool was_up = w->n[a].end[b].up;

	clear_end(&w->n[a].end[b]);
	if (!was_up)
		return;
	w->n[b].end[a].up = false;
	w->n[b].end[a].lost_told = false;
	link_event(w, b, DSM_ME_LINK_DOWN, a, false);
}

static void send(struct mworld *w, u16 from, u16 to, const struct dsm_member_packet *p)
{
	struct mw_end *e = &w->n[from].end[to];

	if (e->len == MW_QUEUE) {
		fail("a queue grows without bound");
		return;
	}
	e->tx[e->len++] = pack(p);
}

bool mw_can_connect(const struct mworld *w, u16 a, u16 b)
{
	return a != b && w->n[a].alive && w->n[b].alive &&
	       !w->n[a].stopped && !w->n[b].stopped && !w->n[a].end[b].up;
}

/* What dsm_link_connected() says at end @a. */
static bool is_reset(const struct mworld *w, u16 a, u16 b)
{
	const struct mw_end *e = &w->n[a].end[b], *peer = &w->n[b].end[a];
	bool knows_us = peer->known == w->n[a].incarnation;

	if (!e->known)
		return false;
	if (e->known == w->n[b].incarnation && !knows_us && !e->used)
		return false;
	return e->known != w->n[b].incarnation || !knows_us;
}

static void greet(struct mworld *w, u16 a, u16 b, bool reset)
{
	struct mw_end *e = &w->n[a].end[b];

	if (reset) {
		clear_end(e);
		w->lossy = true;
	}
	e->known = w->n[b].incarnation;
	e->up = true;
	e->lost_told = false;
}

void mw_connect(struct mworld *w, u16 a, u16 b)
{
	bool reset_a = is_reset(w, a, b), reset_b = is_reset(w, b, a);

	greet(w, a, b, reset_a);
	greet(w, b, a, reset_b);
	link_event(w, a, DSM_ME_LINK_UP, b, reset_a);
	/* The first may have led to the end of the connection. */
	if (w->n[b].end[a].up)
		link_event(w, b, DSM_ME_LINK_UP, a, reset_b);
}

void mw_break(struct mworld *w, u16 a, u16 b)
{
	hang_up(w, a, b, true);
}

bool mw_can_lose(const struct mworld *w, u16 at, u16 peer)
{
	const struct mw_node *n = &w->n[at];

	return at != peer && n->alive && !n->stopped && !n->end[peer].up &&
	       !n->end[peer].lost_told;
}

void mw_lose(struct mworld *w, u16 at, u16 peer)
{
	w->n[at].end[peer].lost_told = true;
	w->lossy = true;
	link_event(w, at, DSM_ME_LINK_LOST, peer, false);
}

bool mw_can_deliver(const struct mworld *w, u16 from, u16 to)
{
	return w->n[from].end[to].up && w->n[from].end[to].len;
}

void mw_deliver(struct mworld *w, u16 from, u16 to)
{
	struct mw_end *e = &w->n[from].end[to];
	struct dsm_member_event ev = { .type = DSM_ME_MSG, .node = from };

	ev.packet = mw_unpack(&e->tx[0]);
	e->len--;
	memmove(e->tx, e->tx + 1, e->len * sizeof(e->tx[0]));
	memset(&e->tx[e->len], 0, sizeof(e->tx[0]));
	e->used = true;
	w->n[to].end[from].used = true;
	mw_event(w, to, &ev);
}

/* ---- servers ---- */

void mw_init(struct mworld *w, u16 nr, bool own_time)
{
	memset(w, 0, sizeof(*w));
	w->nr = nr;
	w->own_time = own_time;
	w->now = BASE_US;
	w->next_incarnation = 1000;
	for (u16 i = 0; i < nr; i++)
		w->n[i].snapshot = MW_NONE;
}

void mw_crash(struct mworld *w, u16 node)
{
	struct mw_node *n = &w->n[node];

	if (!n->alive)
		return;
	n->alive = false;
	w->lossy |= n->m.state != DSM_MS_GONE;
	for (u16 i = 0; i < w->nr; i++)
		if (i != node) {
			hang_up(w, node, i, false);
			clear_end(&n->end[i]);
		}
	memset(&n->m, 0, sizeof(n->m));
	n->leave = n->handover = n->stopped = false;
	n->snapshot = MW_NONE;
}

/* A server starts, or starts anew as another incarnation. */
void mw_start(struct mworld *w, u16 node)
{
	struct mw_node *n = &w->n[node];

	mw_crash(w, node);
	n->alive = true;
	n->incarnation = ++w->next_incarnation;
	dsm_member_init(&n->m, node, w->nr, n->incarnation);
	mw_event(w, node, &(struct dsm_member_event){ .type = DSM_ME_TIMER });
}

/* What gone_fn() does, a while after the node is GONE. */
void mw_stop(struct mworld *w, u16 node)
{
	struct mw_node *n = &w->n[node];

	n->stopped = true;
	for (u16 i = 0; i < w->nr; i++)
		if (i != node) {
			hang_up(w, node, i, false);
			clear_end(&n->end[i]);
		}
}

void mw_leave(struct mworld *w, u16 node)
{
	w->n[node].leave = true;
	mw_event(w, node, &(struct dsm_member_event){ .type = DSM_ME_LEAVE });
}

void mw_handed(struct mworld *w, u16 node)
{
	w->n[node].handover = false;
	mw_event(w, node, &(struct dsm_member_event){ .type = DSM_ME_HANDED });
}

void mw_admit(struct mworld *w, u16 node, bool admit)
{
	u16 joiner = w->n[node].snapshot;

	w->n[node].snapshot = MW_NONE;
	link_event(w, node, admit ? DSM_ME_ADMIT : DSM_ME_DENY, joiner, false);
}

void mw_rebuilt(struct mworld *w, u16 node, u16 lost)
{
	link_event(w, node, DSM_ME_REBUILT, lost, false);
}

/* ---- steps ---- */

static void act(struct mworld *w, u16 node, const struct dsm_member_action *a)
{
	u16 to;

	switch ((enum dsm_member_action_type)a->type) {
	case DSM_MA_SEND:
		if (dsm_nodeset_has(&a->to, node))
			fail("a node sends to itself");
		if (dsm_nodeset_empty(&a->to))
			fail("a node sends to no one");
		dsm_nodeset_for_each(to, &a->to) {
			if (to >= w->nr)
				fail("a node sends to a node that is not configured");
			else
				send(w, node, to, &a->packet);
		}
		break;
	case DSM_MA_SNAPSHOT:
		w->n[node].snapshot = a->node;
		break;
	case DSM_MA_HANDOVER:
		w->n[node].handover = true;
		break;
	case DSM_MA_KILL:
		dsm_nodeset_for_each(to, &a->to)
			kill_end(w, node, to);
		break;
	case DSM_MA_VIEW:
	case DSM_NR_MEMBER_ACTIONS:
		break;
	}
}

static void print_step(const struct mworld *w, u16 node,
		       const struct dsm_member_event *ev,
		       const struct dsm_member_out *out)
{
	const struct dsm_member *m = &w->n[node].m;

	printf("  %u: %s %s", node, dsm_member_event_name(ev->type),
	       ev->type == DSM_ME_MSG ? dsm_member_msg_name(ev->packet.type) : "");
	if (ev->type != DSM_ME_TIMER && ev->type != DSM_ME_LEAVE &&
	    ev->type != DSM_ME_HANDED)
		printf(" of %u%s", ev->node, ev->reset ? " (reset)" : "");
	printf(": %s -> %s view %u:%u {%x}", dsm_verdict_name(out->verdict),
	       dsm_member_state_name(m->state), m->view.cluster, m->view.number,
	       mw_word(&m->view.members));
	for (u8 i = 0; i < out->nr; i++) {
		const struct dsm_member_action *a = &out->act[i];

		printf("; %s", dsm_member_action_name(a->type));
		if (a->type == DSM_MA_SEND)
			printf(" %s", dsm_member_msg_name(a->packet.type));
		if (a->type == DSM_MA_SEND || a->type == DSM_MA_KILL)
			printf(" to {%x}", mw_word(&a->to));
		if (a->type == DSM_MA_SEND && a->packet.view.number)
			printf(" %u:%u {%x}", a->packet.view.cluster,
			       a->packet.view.number,
			       mw_word(&a->packet.view.members));
	}
	printf("\n");
}

/* Of whom is no longer named, and not as lost, nothing is looked for any more. */
static void check_departed(struct mworld *w, const struct dsm_member *old,
			   const struct dsm_member *m)
{
	struct dsm_nodeset left = dsm_nodeset_minus(old->view.members, &m->view.members);
	u16 node;

	left = dsm_nodeset_minus(left, &m->view.lost);
	dsm_nodeset_for_each(node, &left) {
		const struct dsm_member *o = &w->n[node].m;

		if (node != m->self && w->n[node].alive && dsm_member_is_in(o) &&
		    o->state != DSM_MS_DONE && o->view.cluster == m->view.cluster)
			fail("a member that has not handed over is taken for one that left");
	}
}

static void check_step(struct mworld *w, const struct dsm_member *old,
		       const struct dsm_member *m, const struct dsm_member_out *out)
{
	if (dsm_verdict_is_error(out->verdict))
		fail("a protocol error between correct nodes");
	if (out->nr >= DSM_MEMBER_MAX_ACTIONS)
		fail("too many actions in one step");
	if (dsm_view_check(&m->view, w->nr) != DSM_V_OK)
		fail("a view that is not well-formed");
	if (old->state == DSM_MS_GONE && m->state != DSM_MS_GONE)
		fail("a node that was gone came back as the same incarnation");
	if (dsm_member_is_in(old) && dsm_member_is_in(m) &&
	    (m->view.number < old->view.number ||
	     m->view.cluster != old->view.cluster))
		fail("a view's number has shrunk");
	if (dsm_member_is_in(old) && !dsm_member_is_in(m) &&
	    m->state != DSM_MS_GONE)
		fail("a member that neither left nor was lost is out");
	if (m->state == DSM_MS_GONE && old->state != DSM_MS_GONE &&
	    m->reason != DSM_MR_LEFT && !w->lossy)
		fail("a node is gone though nothing was lost");
	w->left |= dsm_member_is_in(old) && m->state == DSM_MS_GONE &&
		   m->reason == DSM_MR_LEFT;
	if (dsm_member_is_in(m) && !dsm_nodeset_has(&m->view.members, m->self))
		fail("a member that its own view does not name");
	if (dsm_member_is_in(old) && dsm_member_is_in(m))
		check_departed(w, old, m);
}

/*
 * With times of their own, @now is always the base: what lies ahead is kept as
 * it is, what has passed is the past, however long.
 */
static u64 rebased(u64 t, u64 now, u64 keep)
{
	if (!t || t > now)
		return t ? t - now + BASE_US : 0;
	return BASE_US - (now - t < keep ? now - t : keep);
}

static void rebase(struct dsm_member *m, u64 now)
{
	m->until_us = rebased(m->until_us, now, 0);
	m->deadline_us = rebased(m->deadline_us, now, 0);
	m->linger_us = rebased(m->linger_us, now, 0);
	m->offer_us = rebased(m->offer_us, now, 0);
	m->majority_us = rebased(m->majority_us, now, DSM_MEMBER_GRACE_US);
	m->retry_us = m->retry_us > now ? m->retry_us - now + BASE_US : 0;
}

void mw_event(struct mworld *w, u16 node, struct dsm_member_event *ev)
{
	struct mw_node *n = &w->n[node];
	struct dsm_member_out out;
	struct dsm_member old = n->m;

	if (!n->alive || n->stopped)
		return;
	if (!ev->now_us)
		ev->now_us = w->now;
	dsm_member_step(&n->m, ev, &out);
	check_step(w, &old, &n->m, &out);
	if (mw_trace)
		print_step(w, node, ev, &out);
	if (mw_observe)
		mw_observe(w, node, old.state, ev, &out);
	if (w->own_time)
		rebase(&n->m, ev->now_us);
	for (u8 i = 0; i < out.nr; i++)
		act(w, node, &out.act[i]);
}

void mw_timer(struct mworld *w, u16 node)
{
	struct dsm_member_event ev = { .type = DSM_ME_TIMER };

	if (w->own_time)
		ev.now_us = w->n[node].m.deadline_us;
	mw_event(w, node, &ev);
}

/* From here on each node has its own time. */
void mw_own_time(struct mworld *w)
{
	w->own_time = true;
	w->now = BASE_US;
}
