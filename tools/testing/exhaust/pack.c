// SPDX-License-Identifier: GPL-2.0
/* Worlds as bytes: what cannot matter is cleared, what is empty takes no room. */
#include <string.h>
#include "world.h"

static bool asking(u8 s)
{
	return s == DSM_PS_IS || s == DSM_PS_IX || s == DSM_PS_SX ||
	       s == DSM_PS_SX_AWAY || s == DSM_PS_PS || s == DSM_PS_PE ||
	       s == DSM_PS_PI || s == DSM_PS_PX;
}

static void clean_page(struct xpage *p)
{
	if (!asking(p->state)) {
		p->tid = 0;
		p->acks_got = 0;
		p->have_page = 0;
		p->zero = 0;
	}
	if (p->state != DSM_PS_S_PARK && p->state != DSM_PS_E_PARK)
		p->target = 0xff;
	if (p->state != DSM_PS_PX)
		p->parked = 0;
	if (p->d_type == DSM_NR_MSG_TYPES) {
		p->d_flags = 0;
		p->d_requester = 0;
		p->d_home = 0;
		p->d_nr_acks = 0;
		p->d_tid = 0;
	}
	if (!p->copy)
		p->fresh = 0;
	if (p->state != DSM_PS_S && p->state != DSM_PS_SX &&
	    p->state != DSM_PS_E && p->state != DSM_PS_S_PARK &&
	    p->state != DSM_PS_E_PARK)
		p->held = p->unused = 0;
}

static void clean_dir(struct xdir *d)
{
	bool busy = d->state == DSM_DS_BR || d->state == DSM_DS_BW ||
		    d->state == DSM_DS_BP;

	if (!busy) {
		d->b_requester = 0;
		d->b_target = 0;
		d->b_tid = 0;
		if (d->state != DSM_DS_BQ)
			d->base = 0;
	}
	memset(d->q + d->len, 0, (XN - d->len) * sizeof(d->q[0]));
}

/* What is old is old: a duplicate may be in flight for ever. */
static void shift(s8 *number, u8 base)
{
	*number -= base;
	if (*number < -1)
		*number = -1;
}

static void rebase(struct xworld *w, u8 a, u8 b)
{
	u8 base = w->link[a][b].tx_una;

	w->link[a][b].tx_una = 0;
	w->link[a][b].tx_next -= base;
	w->link[b][a].rx_next -= base;
	w->link[b][a].rx_acked -= base;
	for (u8 i = 0; i < w->wire[a][b].n; i++)
		shift(&w->wire[a][b].m[i].seq, base);
	for (u8 i = 0; i < w->kept[a][b].n; i++)
		w->kept[a][b].m[i].seq -= base;
	for (u8 i = 0; i < w->wire[b][a].n; i++)
		shift(&w->wire[b][a].m[i].ack, base);
	for (u8 i = 0; i < w->kept[b][a].n; i++)
		w->kept[b][a].m[i].ack = 0;
}

void xworld_canonical(struct xworld *w)
{
	for (u8 n = 0; n < xcfg.nodes; n++) {
		struct xthread *t = w->thread[n];

		for (u8 p = 0; p < xcfg.pages; p++) {
			clean_page(&w->page[n][p]);
			clean_dir(&w->dir[n][p]);
		}
		if (memcmp(&t[0], &t[1], sizeof(t[0])) < 0) {
			struct xthread swap = t[0];

			t[0] = t[1];
			t[1] = swap;
		}
		for (u8 o = 0; o < xcfg.nodes; o++)
			if (o != n && xcfg.links)
				rebase(w, n, o);
	}
}

struct cursor {
	u8 *at;
	bool load;
};

static void bytes(struct cursor *c, void *p, unsigned int n)
{
	if (c->load)
		memcpy(p, c->at, n);
	else
		memcpy(c->at, p, n);
	c->at += n;
}

static void queue(struct cursor *c, struct xqueue *q)
{
	bytes(c, &q->n, 1);
	bytes(c, q->m, q->n * sizeof(q->m[0]));
}

static void word(struct cursor *c, u32 *v)
{
	u8 b = *v;

	bytes(c, &b, 1);
	if (c->load)
		*v = (s8)b;	/* sequence numbers may be just below 0 */
}

static void link_end(struct cursor *c, struct dsm_link *l)
{
	bytes(c, &l->state, 1);
	word(c, &l->tx_next);
	word(c, &l->tx_una);
	word(c, &l->rx_next);
	word(c, &l->rx_acked);
	word(c, &l->peer_incarnation);
}

static void links(struct cursor *c, struct xworld *w, u8 a, u8 b)
{
	queue(c, &w->wire[a][b]);
	if (!xcfg.links)
		return;
	queue(c, &w->kept[a][b]);
	bytes(c, &w->hello[a][b], 1);
	link_end(c, &w->link[a][b]);
}

static void page(struct cursor *c, struct xpage *p)
{
	unsigned int head = offsetof(struct xpage, tid);

	bytes(c, &p->state, 1);
	if (p->state == DSM_PS_I)
		return;
	bytes(c, (u8 *)p + 1, head - 1);
	bytes(c, &p->tid, offsetof(struct xpage, d_flags) - head);
	if (p->d_type != DSM_NR_MSG_TYPES)
		bytes(c, &p->d_flags, sizeof(*p) - offsetof(struct xpage, d_flags));
}

static void dir(struct cursor *c, struct xdir *d)
{
	bytes(c, &d->state, 1);
	bytes(c, &d->leaving, 1);
	if (d->state == DSM_DS_Z && !d->leaving)
		return;
	bytes(c, d, offsetof(struct xdir, q));
	bytes(c, d->q, d->len * sizeof(d->q[0]));
}

static void world(struct cursor *c, struct xworld *w)
{
	for (u8 n = 0; n < xcfg.nodes; n++) {
		for (u8 p = 0; p < xcfg.pages; p++) {
			page(c, &w->page[n][p]);
			dir(c, &w->dir[n][p]);
			bytes(c, &w->home[n][p], 1);
		}
		bytes(c, w->thread[n], sizeof(w->thread[n]));
		bytes(c, &w->ops[n], 1);
		for (u8 o = 0; o < xcfg.nodes; o++)
			if (o != n)
				links(c, w, n, o);
	}
	bytes(c, w->zero_fresh, xcfg.pages);
	bytes(c, w->written, xcfg.pages);
	bytes(c, &w->evicts, 6);
}

unsigned int xworld_pack(const struct xworld *w, u8 *buf)
{
	struct cursor c = { .at = buf };

	world(&c, (struct xworld *)w);
	return c.at - buf;
}

void xworld_unpack(struct xworld *w, const u8 *buf)
{
	struct cursor c = { .at = (u8 *)buf, .load = true };

	memset(w, 0, sizeof(*w));
	for (u8 n = 0; n < XN; n++)
		for (u8 p = 0; p < XP; p++) {
			w->page[n][p].d_type = DSM_NR_MSG_TYPES;
			w->page[n][p].target = 0xff;
			w->dir[n][p].owner = 0xff;
			w->dir[n][p].successor = 0xff;
		}
	world(&c, w);
}
