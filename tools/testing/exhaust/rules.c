// SPDX-License-Identifier: GPL-2.0
/* Which events are possible, what must hold, and how it is shown. */
#include <string.h>
#include "world.h"

struct list {
	struct xevent *ev;
	unsigned int n;
};

static void add(struct list *l, u8 kind, u8 a, u8 b, u8 c)
{
	l->ev[l->n++] = (struct xevent){ kind, a, b, c };
}

static bool move_in_flight(const struct xworld *w, u8 page)
{
	for (u8 a = 0; a < xcfg.nodes; a++)
		for (u8 b = 0; b < xcfg.nodes; b++) {
			for (u8 i = 0; i < w->wire[a][b].n; i++)
				if (w->wire[a][b].m[i].type == DSM_MSG_MOVE &&
				    w->wire[a][b].m[i].page == page)
					return true;
			for (u8 i = 0; i < w->kept[a][b].n; i++)
				if (w->kept[a][b].m[i].type == DSM_MSG_MOVE &&
				    w->kept[a][b].m[i].page == page)
					return true;
		}
	return false;
}

static void link_events(const struct xworld *w, struct list *l, u8 a, u8 b)
{
	const struct xqueue *q = &w->wire[a][b];

	if (q->n && (!xcfg.links || w->link[b][a].state == DSM_LS_UP)) {
		add(l, XK_DELIVER, a, b, 1);
		if (q->m[0].type == DSM_MSG_PUSH)
			add(l, XK_DELIVER, a, b, 0);
	}
	if (w->hello[b][a])
		add(l, XK_HELLO, a, b, 0);
	if (xcfg.links && a < b && w->link[a][b].state == DSM_LS_DOWN &&
	    w->link[b][a].state == DSM_LS_DOWN && !w->hello[a][b] && !w->hello[b][a])
		add(l, XK_CONNECT, a, b, 0);
}

static void node_events(const struct xworld *w, struct list *l, u8 n)
{
	for (u8 t = 0; t < XT; t++)
		if (w->thread[n][t].op && !w->thread[n][t].asked)
			add(l, XK_LOOK, n, t, 0);
	for (u8 p = 0; p < xcfg.pages; p++) {
		const struct xpage *x = &w->page[n][p];
		u8 home = w->home[n][p];

		if (x->revoking)
			add(l, XK_REVOKED, n, p, 0);
		if (x->held || x->unused || x->armed)
			add(l, XK_EXPIRE, n, p, 0);
		if (w->dir[home][p].state == DSM_DS_MOVED &&
		    !move_in_flight(w, p))
			add(l, XK_REHOME, n, p, w->dir[home][p].successor);
	}
}

static void new_accesses(const struct xworld *w, struct list *l, u8 n)
{
	if (!w->ops[n] || (w->thread[n][0].op && w->thread[n][xcfg.threads - 1].op))
		return;
	for (u8 p = 0; p < xcfg.pages; p++) {
		add(l, XK_ISSUE, n, XO_READ, p);
		if (!xcfg.readers || n < xcfg.readers)
			add(l, XK_ISSUE, n, XO_WRITE, p);
	}
}

static void new_evictions(const struct xworld *w, struct list *l, u8 n, u8 p)
{
	u8 s = w->page[n][p].state;

	if (!w->evicts || (s != DSM_PS_S && s != DSM_PS_E))
		return;
	if (w->home[n][p] != n) {
		add(l, XK_EVICT, n, p, 0xff);
		return;
	}
	for (u8 t = 0; t < xcfg.nodes; t++)
		if (t != n)
			add(l, XK_EVICT, n, p, t);
	add(l, XK_EVICT, n, p, 0xff);
}

static void new_events(const struct xworld *w, struct list *l, u8 n)
{
	new_accesses(w, l, n);
	for (u8 p = 0; p < xcfg.pages; p++) {
		const struct xpage *x = &w->page[n][p];

		new_evictions(w, l, n, p);
		if (w->discards && x->state == DSM_PS_E && w->home[n][p] == n)
			add(l, XK_DISCARD, n, p, 0);
		if (w->unrevokes && x->revoking && !x->must)
			add(l, XK_UNREVOKED, n, p, 0);
		if (w->handoffs && w->home[n][p] == n && !w->dir[n][p].leaving &&
		    !move_in_flight(w, p))
			for (u8 t = 0; t < xcfg.nodes; t++)
				if (!w->dir[t][p].leaving && t != n)
					add(l, XK_HANDOFF, n, p, t);
	}
	for (u8 o = 0; o < xcfg.nodes && xcfg.links; o++) {
		if (w->dups && w->wire[n][o].n)
			add(l, XK_DUP, n, o, 0);
		if (w->losses && n < o && (w->link[n][o].state == DSM_LS_UP ||
					   w->link[o][n].state == DSM_LS_UP))
			add(l, XK_LOSE, n, o, 0);
	}
}

unsigned int xworld_events(const struct xworld *w, struct xevent *ev,
			   unsigned int *nr_progress)
{
	struct list l = { .ev = ev };

	for (u8 a = 0; a < xcfg.nodes; a++)
		for (u8 b = 0; b < xcfg.nodes; b++)
			if (a != b)
				link_events(w, &l, a, b);
	for (u8 n = 0; n < xcfg.nodes; n++)
		node_events(w, &l, n);
	*nr_progress = l.n;
	for (u8 n = 0; n < xcfg.nodes; n++)
		new_events(w, &l, n);
	return l.n;
}

static void check_copies(const struct xworld *w, u8 p)
{
	u8 readers = 0, writers = 0;

	for (u8 n = 0; n < xcfg.nodes; n++) {
		const struct xpage *x = &w->page[n][p];

		if (x->map == DSM_RIGHT_WRITE)
			writers++;
		else if (x->map == DSM_RIGHT_READ)
			readers++;
		if (x->map && (!x->copy || !x->fresh))
			xwrong = "stale or missing contents are mapped";
		if (x->map == DSM_RIGHT_WRITE && x->state != DSM_PS_E &&
		    x->state != DSM_PS_E_AWAY && x->state != DSM_PS_E_DOWN &&
		    x->state != DSM_PS_E_PARK)
			xwrong = "mapped for writing in a state that cannot be";
	}
	if (writers > 1 || (writers && readers))
		xwrong = "not a single writer";
}

static bool holds(const struct xpage *x)
{
	switch ((enum dsm_page_state)x->state) {
	case DSM_PS_S: case DSM_PS_SX: case DSM_PS_E: case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY: case DSM_PS_E_AWAY: case DSM_PS_E_DOWN:
	case DSM_PS_S_PARK: case DSM_PS_E_PARK:
		return true;
	case DSM_PS_I: case DSM_PS_IS: case DSM_PS_IX: case DSM_PS_PS:
	case DSM_PS_PE: case DSM_PS_PI: case DSM_PS_PX: case DSM_NR_PAGE_STATES:
		break;
	}
	return false;
}

static void check_dir(const struct xworld *w, u8 p)
{
	const struct xdir *d = NULL;

	for (u8 n = 0; n < xcfg.nodes; n++)
		if (w->dir[n][p].state != DSM_DS_Z &&
		    w->dir[n][p].state != DSM_DS_MOVED) {
			if (d)
				xwrong = "two directories";
			d = &w->dir[n][p];
		}
	if (move_in_flight(w, p))
		return;
	for (u8 n = 0; n < xcfg.nodes; n++) {
		if (!holds(&w->page[n][p]))
			continue;
		if (!d)
			xwrong = "a holder and no directory entry";
		else if (!(d->set >> n & 1) && d->owner != n &&
			 !((d->state == DSM_DS_BR || d->state == DSM_DS_BW) &&
			   d->b_requester == n) &&
			 !(d->state == DSM_DS_BP && d->b_target == n))
			xwrong = "a holder that the directory does not know";
	}
}

void xworld_check(const struct xworld *w)
{
	for (u8 p = 0; p < xcfg.pages; p++) {
		check_copies(w, p);
		check_dir(w, p);
	}
}

bool xworld_quiet(const struct xworld *w)
{
	for (u8 n = 0; n < xcfg.nodes; n++) {
		for (u8 t = 0; t < XT; t++)
			if (w->thread[n][t].op)
				return false;
		for (u8 o = 0; o < xcfg.nodes; o++)
			if (w->wire[n][o].n || (w->kept[n][o].n && !xcfg.lazy_ack))
				return false;
		for (u8 p = 0; p < xcfg.pages; p++) {
			const struct xpage *x = &w->page[n][p];
			const struct xdir *d = &w->dir[n][p];

			if (x->state != DSM_PS_I && x->state != DSM_PS_S &&
			    x->state != DSM_PS_E)
				return false;
			if (x->revoking || x->armed || x->held || x->unused ||
			    x->d_type != DSM_NR_MSG_TYPES ||
			    x->copy != (x->state != DSM_PS_I))
				return false;
			if (d->state > DSM_DS_E && d->state != DSM_DS_MOVED)
				return false;
			if (d->len || (d->leaving && d->state != DSM_DS_MOVED))
				return false;
		}
	}
	return true;
}

void xevent_print(const struct xevent *e)
{
	static const char * const names[] = {
		"issue", "look", "EVICT", "DISCARD", "REVOKED", "UNREVOKED",
		"hold ends", "deliver", "duplicate", "connection lost",
		"connected", "hello heard", "HANDOFF", "rehome",
	};

	switch ((enum xkind)e->kind) {
	case XK_ISSUE:
		printf("node %u: access to page %u: %s\n", e->a, e->c,
		       e->b == XO_WRITE ? "WRITE" : "READ");
		break;
	case XK_DELIVER:
		printf("link %u -> %u: deliver%s\n", e->a, e->b, e->c ? "" : " (no room)");
		break;
	case XK_DUP: case XK_LOSE: case XK_CONNECT: case XK_HELLO:
		printf("link %u -> %u: %s\n", e->a, e->b, names[e->kind]);
		break;
	case XK_LOOK:
		printf("node %u: thread %u looks again\n", e->a, e->b);
		break;
	case XK_EVICT: case XK_DISCARD: case XK_REVOKED: case XK_UNREVOKED:
	case XK_EXPIRE: case XK_HANDOFF: case XK_REHOME:
		printf("node %u: page %u: %s (%d)\n", e->a, e->b, names[e->kind],
		       e->c == 0xff ? -1 : e->c);
		break;
	}
}

static void print_queue(const char *what, u8 a, u8 b, const struct xqueue *q)
{
	if (!q->n)
		return;
	printf("    %s %u -> %u:", what, a, b);
	for (u8 i = 0; i < q->n; i++)
		printf(" %s(p%u r%u t%u f%02x h%u a%u%s)", dsm_msg_name(q->m[i].type),
		       q->m[i].page, q->m[i].requester, q->m[i].tid,
		       q->m[i].flags, q->m[i].home, q->m[i].nr_acks,
		       q->m[i].flags & DSM_MF_PAGE && !q->m[i].fresh ? " STALE" : "");
	printf("\n");
}

void xworld_print(const struct xworld *w)
{
	for (u8 n = 0; n < xcfg.nodes; n++) {
		for (u8 p = 0; p < xcfg.pages; p++) {
			const struct xpage *x = &w->page[n][p];
			const struct xdir *d = &w->dir[n][p];

			printf("    n%u p%u %s map %u%s%s", n, p,
			       dsm_page_state_name(x->state), x->map,
			       x->copy ? x->fresh ? " fresh" : " STALE" : "",
			       x->held ? " held" : "");
			if (x->unused)
				printf(" unused");
			if (x->d_type != DSM_NR_MSG_TYPES)
				printf(" demand %s", dsm_msg_name(x->d_type));
			if (d->state != DSM_DS_Z)
				printf(" | dir %s base %s set %x owner %d queue %u",
				       dsm_dir_state_name(d->state),
				       dsm_dir_state_name(d->base), d->set,
				       (s8)d->owner, d->len);
			printf("\n");
		}
		for (u8 o = 0; o < xcfg.nodes; o++) {
			print_queue("wire", n, o, &w->wire[n][o]);
			print_queue("kept", n, o, &w->kept[n][o]);
		}
	}
}
