// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that delay, duplicate and break, under the real link machine.
 * Within a connection frames keep their order, between connections nothing does.
 */
#include <string.h>
#include "sim.h"

struct sim_link *sim_link(struct sim *s, u16 a, u16 b)
{
	return &s->link[(u32)a * s->cfg.nodes + b];
}

static u64 delay(struct sim *s, u16 a, u16 b)
{
	u64 d = 1 + sim_below(s, 4);

	if (!sim_below(s, 8))
		d += sim_below(s, 60);
	if (s->node[a].slow || s->node[b].slow)
		d *= 8;
	return d;
}

static void transmit(struct sim *s, u16 a, u16 b, const struct sim_frame *f)
{
	struct sim_link *l = sim_link(s, a, b);
	u64 at = s->now + delay(s, a, b);
	u32 times = 1 + (f->sequenced && sim_fault(s, SIM_F(DUP), 40));

	while (times--) {
		struct sim_frame *copy = malloc(sizeof(*copy));

		*copy = *f;
		if (at < l->last_at)
			at = l->last_at;
		l->last_at = at;
		sim_at(s, at - s->now, SE_FRAME, a, b, l->conn, copy);
		at += sim_below(s, 50);
	}
}

static void connect_soon(struct sim *s, u16 a, u16 b)
{
	if (sim_link(s, a, b)->connecting || sim_link(s, a, b)->active)
		return;
	sim_link(s, a, b)->connecting = true;
	sim_link(s, b, a)->connecting = true;
	sim_at(s, 1 + sim_below(s, 30), SE_CONNECT, a, b, 0, NULL);
}

static void pump(struct sim *s, u16 a, u16 b)
{
	struct sim_link *l = sim_link(s, a, b);

	while (l->l.tx_next - l->l.tx_una < l->nr_kept) {
		struct sim_frame *f = l->kept[l->l.tx_next - l->l.tx_una];

		if (dsm_link_send(&l->l, &f->seq, &f->ack) != DSM_LR_OK)
			break;
		transmit(s, a, b, f);
	}
	if (l->nr_kept && l->l.state == DSM_LS_DOWN)
		connect_soon(s, a, b);
}

void sim_net_send(struct sim *s, u16 from, u16 to, const struct dsm_msg *m,
		  const struct dsm_nodeset *set, u64 value)
{
	struct sim_link *l = sim_link(s, from, to);
	struct sim_frame *f = calloc(1, sizeof(*f));

	f->msg = *m;
	f->value = value;
	f->sequenced = true;
	if (m->type == DSM_MSG_MOVE)
		f->set = *set;
	if (l->nr_kept == l->cap_kept) {
		l->cap_kept = l->cap_kept ? l->cap_kept * 2 : 8;
		l->kept = realloc(l->kept, l->cap_kept * sizeof(*l->kept));
	}
	l->kept[l->nr_kept++] = f;
	pump(s, from, to);
}

static void release(struct sim *s, struct sim_link *l, u32 nr)
{
	if (nr > l->nr_kept) {
		sim_fail(s, "acknowledged what was never sent");
		return;
	}
	for (u32 i = 0; i < nr; i++)
		free(l->kept[i]);
	l->nr_kept -= nr;
	if (nr)
		memmove(l->kept, l->kept + nr, l->nr_kept * sizeof(*l->kept));
}

static void send_ack(struct sim *s, u16 a, u16 b)
{
	struct sim_link *l = sim_link(s, a, b);
	struct sim_frame f = { .sequenced = false };

	if (l->l.state != DSM_LS_UP || !dsm_link_ack_due(&l->l))
		return;
	f.ack = dsm_link_ack(&l->l);
	transmit(s, a, b, &f);
}

static void frame(struct sim *s, u16 from, u16 to, const struct sim_frame *f)
{
	struct sim_link *l = sim_link(s, to, from);
	u32 una = l->l.tx_una;
	u8 r = dsm_link_frame(&l->l, f->sequenced, f->seq, f->ack);

	release(s, l, l->l.tx_una - una);
	if (r == DSM_LR_ERROR)
		sim_fail(s, "link error on a frame");
	if (r == DSM_LR_DROP)
		s->nr_dropped++;
	if (r == DSM_LR_DELIVER) {
		sim_deliver(s, from, to, f);
		if (dsm_link_ack_due(&l->l) >= DSM_LINK_ACK_AFTER)
			send_ack(s, to, from);
		if (dsm_link_ack_due(&l->l) && !l->ack_armed) {
			l->ack_armed = true;
			sim_at(s, 40, SE_ACK, to, from, 0, NULL);
		}
	}
	pump(s, to, from);
}

static void hello_at(struct sim *s, u16 a, u16 b)
{
	struct sim_frame *f = calloc(1, sizeof(*f));

	f->hello = dsm_link_hello(&sim_link(s, b, a)->l, b + 1);
	sim_link(s, b, a)->active = true;
	sim_link(s, b, a)->last_at = s->now + delay(s, b, a);
	sim_at(s, sim_link(s, b, a)->last_at - s->now, SE_HELLO, a, b,
	       sim_link(s, a, b)->conn, f);
}

static void connect_now(struct sim *s, u16 a, u16 b)
{
	u32 conn = ++sim_link(s, a, b)->conn;

	sim_link(s, b, a)->conn = conn;
	sim_link(s, a, b)->connecting = false;
	sim_link(s, b, a)->connecting = false;
	hello_at(s, a, b);
	hello_at(s, b, a);
}

/* Node @a hears the hello of @b; frames of @b come after it. */
static void hello(struct sim *s, u16 a, u16 b, const struct dsm_hello *h)
{
	struct sim_link *l = sim_link(s, a, b);
	u32 una = l->l.tx_una;
	u8 r = dsm_link_connected(&l->l, h, a + 1);

	if (r != DSM_LR_OK) {
		sim_fail(s, r == DSM_LR_RESET ? "link reset, no one restarted" :
						"link error on connecting");
		return;
	}
	release(s, l, l->l.tx_una - una);
	for (u32 i = 0; i < l->l.tx_next - l->l.tx_una && i < l->nr_kept; i++) {
		l->kept[i]->ack = dsm_link_ack(&l->l);
		transmit(s, a, b, l->kept[i]);
	}
	pump(s, a, b);
}

static void break_link(struct sim *s, u16 a, u16 b)
{
	s->nr_lost++;
	sim_link(s, a, b)->connecting = true;
	sim_link(s, b, a)->connecting = true;
	sim_link(s, a, b)->active = false;
	sim_link(s, b, a)->active = false;
	sim_link(s, b, a)->conn = ++sim_link(s, a, b)->conn;
	sim_at(s, sim_below(s, 20), SE_NOTICE, a, b, 0, NULL);
	sim_at(s, sim_below(s, 20), SE_NOTICE, b, a, 0, NULL);
	sim_at(s, 21 + sim_below(s, 100), SE_CONNECT, a, b, 0, NULL);
}

/* One connection, of those that ever were, breaks. */
void sim_net_lose(struct sim *s)
{
	for (u32 tries = 0; tries < 30; tries++) {
		u16 a = sim_below(s, s->cfg.nodes), b = sim_below(s, s->cfg.nodes);

		if (a != b && sim_link(s, a, b)->conn && !sim_link(s, a, b)->connecting) {
			break_link(s, a, b);
			return;
		}
	}
}

bool sim_net_idle(struct sim *s, u16 from)
{
	for (u16 o = 0; o < s->cfg.nodes; o++)
		if (o != from && sim_link(s, from, o)->nr_kept)
			return false;
	return true;
}

/* What was sent on a connection that broke does not arrive. */
static bool arrives(struct sim *s, const struct sim_event *ev)
{
	struct sim_link *l = sim_link(s, ev->b, ev->a);

	return ev->c == l->conn && l->active && l->l.state == DSM_LS_UP;
}

void sim_net_event(struct sim *s, struct sim_event *ev)
{
	struct sim_link *l = sim_link(s, ev->a, ev->b);

	switch ((enum sim_event_type)ev->type) {
	case SE_FRAME:
		if (arrives(s, ev))
			frame(s, ev->a, ev->b, ev->frame);
		break;
	case SE_CONNECT:
		connect_now(s, ev->a, ev->b);
		break;
	case SE_HELLO:
		if (ev->c == l->conn && l->active)
			hello(s, ev->a, ev->b, &ev->frame->hello);
		break;
	case SE_NOTICE:
		dsm_link_lost(&l->l);
		break;
	case SE_ACK:
		l->ack_armed = false;
		send_ack(s, ev->a, ev->b);
		break;
	case SE_REVOKED:
	case SE_TIMER:
	case SE_THREAD:
	case SE_EVICT:
	case SE_FAULT:
	case SE_LEAVE:
	case SE_REHOME:
		break;
	}
	free(ev->frame);
}
