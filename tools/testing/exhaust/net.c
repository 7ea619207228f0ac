// SPDX-License-Identifier: GPL-2.0
/* Links of the explorer: a plain FIFO, or the real link machine with faults. */
#include <string.h>
#include "world.h"

static void put(struct xqueue *q, const struct xmsg *m)
{
	if (q->n == XQ) {
		xwrong = "explorer: queue too short";
		return;
	}
	q->m[q->n++] = *m;
}

static void pop(struct xqueue *q, unsigned int n)
{
	q->n -= n;
	memmove(q->m, q->m + n, q->n * sizeof(q->m[0]));
	memset(q->m + q->n, 0, n * sizeof(q->m[0]));
}

/* Sends what may be sent of what is kept; frames before tx_next were. */
static void pump(struct xworld *w, u8 from, u8 to)
{
	struct dsm_link *l = &w->link[from][to];
	struct xqueue *kept = &w->kept[from][to];

	while (l->tx_next - l->tx_una < kept->n) {
		u32 nth = l->tx_next - l->tx_una, seq, ack;

		if (dsm_link_send(l, &seq, &ack) != DSM_LR_OK)
			return;
		kept->m[nth].seq = seq;
		kept->m[nth].ack = ack;
		put(&w->wire[from][to], &kept->m[nth]);
	}
}

void xnet_send(struct xworld *w, u8 from, u8 to, struct xmsg m)
{
	if (!xcfg.links) {
		put(&w->wire[from][to], &m);
		return;
	}
	put(&w->kept[from][to], &m);
	pump(w, from, to);
}

/* A link event at @at about its peer: releases what was acknowledged. */
static u8 frame(struct xworld *w, u8 at, u8 peer, bool sequenced, u32 seq, u32 ack)
{
	struct dsm_link *l = &w->link[at][peer];
	u32 una = l->tx_una;
	u8 r = dsm_link_frame(l, sequenced, seq, ack);

	if (l->tx_una - una > w->kept[at][peer].n) {
		xwrong = "link acknowledged what was never sent";
		return r;
	}
	pop(&w->kept[at][peer], l->tx_una - una);
	if (r == DSM_LR_ERROR)
		xwrong = "link error on a frame";
	return r;
}

bool xnet_take(struct xworld *w, u8 from, u8 to, struct xmsg *m)
{
	u8 r;

	*m = w->wire[from][to].m[0];
	pop(&w->wire[from][to], 1);
	if (!xcfg.links)
		return true;
	r = frame(w, to, from, true, m->seq, m->ack);
	if (r == DSM_LR_DELIVER && !xcfg.lazy_ack)
		frame(w, from, to, false, 0, dsm_link_ack(&w->link[to][from]));
	return r == DSM_LR_DELIVER;
}

void xnet_dup(struct xworld *w, u8 a, u8 b)
{
	struct xqueue *q = &w->wire[a][b];

	put(q, &q->m[0]);
	memmove(q->m + 1, q->m, (q->n - 1u) * sizeof(q->m[0]));
}

void xnet_lose(struct xworld *w, u8 a, u8 b)
{
	dsm_link_lost(&w->link[a][b]);
	dsm_link_lost(&w->link[b][a]);
	memset(&w->wire[a][b], 0, sizeof(w->wire[a][b]));
	memset(&w->wire[b][a], 0, sizeof(w->wire[b][a]));
	w->hello[a][b] = 0;
	w->hello[b][a] = 0;
}

/* A connection is there; both have said hello and neither has heard it. */
void xnet_connect(struct xworld *w, u8 a, u8 b)
{
	w->hello[a][b] = w->link[a][b].peer_incarnation ? 2 : 1;
	w->hello[b][a] = w->link[b][a].peer_incarnation ? 2 : 1;
}

/* Node @a hears the hello of @b. */
void xnet_hello(struct xworld *w, u8 a, u8 b)
{
	struct dsm_link *l = &w->link[a][b];
	struct dsm_hello h = dsm_link_hello(&w->link[b][a], b + 1);
	u32 una = l->tx_una;
	u8 r;

	h.peer_incarnation = w->hello[b][a] == 2 ? a + 1 : 0;
	w->hello[b][a] = 0;
	r = dsm_link_connected(l, &h, a + 1);
	if (r != DSM_LR_OK) {
		xwrong = r == DSM_LR_RESET ? "link reset though no one restarted" :
					     "link error on connecting";
		return;
	}
	if (l->tx_una - una > w->kept[a][b].n) {
		xwrong = "hello acknowledged what was never sent";
		return;
	}
	pop(&w->kept[a][b], l->tx_una - una);
	for (u32 i = 0; i < l->tx_next - l->tx_una; i++) {
		w->kept[a][b].m[i].ack = dsm_link_ack(l);
		put(&w->wire[a][b], &w->kept[a][b].m[i]);
	}
	pump(w, a, b);
}

void xnet_init(struct xworld *w)
{
	for (u8 a = 0; a < xcfg.nodes; a++)
		for (u8 b = 0; b < xcfg.nodes; b++)
			dsm_link_init(&w->link[a][b]);
	if (xcfg.cold || !xcfg.links)
		return;
	for (u8 a = 0; a < xcfg.nodes; a++)
		for (u8 b = 0; b < a; b++) {
			xnet_connect(w, a, b);
			xnet_hello(w, a, b);
			xnet_hello(w, b, a);
		}
}
