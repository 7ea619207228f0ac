/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world of the explorer: a few nodes and pages around the real core, small
 * enough that all of its states can be visited.
 *
 * Contents are one bit: a copy is fresh, it is what was last written, or it is
 * not.  Transaction ids are the smallest that nobody remembers.  Time is one bit
 * a copy: held or not.  Sequence numbers are relative.  With these, two worlds
 * that cannot be told apart by anything the core does are the same bytes.
 */
#ifndef EXHAUST_WORLD_H
#define EXHAUST_WORLD_H

#include <stdbool.h>
#include <stdio.h>
#include "step.h"
#include "link.h"

#define XN	4	/* most nodes */
#define XP	2	/* most pages */
#define XT	2	/* most threads a node */
#define XQ	16	/* most frames in flight or kept on a link */
#define XPACK	4096

enum xop { XO_NONE, XO_READ, XO_WRITE };

struct xmsg {
	u8 type, flags, dir_state, requester, home, target, owner, nr_acks;
	u8 tid, page, fresh, set;
	s8 seq, ack;
};

struct xpage {
	u8 state, parked, have_page, zero, acks_got, tid, held, unused, armed, target;
	u8 map, copy, fresh, revoking, must;
	u8 d_type, d_flags, d_requester, d_home, d_nr_acks, d_tid;
};

struct xwaiter {
	u8 type, requester, target, tid;
};

struct xdir {
	u8 state, base, leaving, owner, successor, set;
	u8 b_requester, b_target, b_tid, len;
	struct xwaiter q[XN];
};

struct xthread {
	u8 op, page, asked;
};

struct xqueue {
	u8 n;
	struct xmsg m[XQ];
};

struct xworld {
	struct xpage page[XN][XP];
	struct xdir dir[XN][XP];
	u8 home[XN][XP];		/* where each node believes the home is */
	u8 zero_fresh[XP];		/* the contents are all zeroes */
	u8 written[XP];
	struct xthread thread[XN][XT];
	u8 ops[XN];
	u8 reads_only;
	u8 evicts, discards, handoffs, dups, losses, unrevokes;
	struct dsm_link link[XN][XN];
	u8 hello[XN][XN];		/* 1, 2: sent, and not knowing, knowing the peer */
	struct xqueue wire[XN][XN];	/* in flight */
	struct xqueue kept[XN][XN];	/* sent or to be sent, not acknowledged */
};

struct xconfig {
	const char *name;
	u8 nodes, pages, ops, threads;
	u8 evicts, discards, handoffs, dups, losses, unrevokes;
	bool hold, links, lazy_ack, cold;
	u8 readers;			/* the nodes from this one only read; 0: none */
};

enum xkind {
	XK_ISSUE, XK_LOOK, XK_EVICT, XK_DISCARD, XK_REVOKED, XK_UNREVOKED,
	XK_EXPIRE, XK_DELIVER, XK_DUP, XK_LOSE, XK_CONNECT, XK_HELLO,
	XK_HANDOFF, XK_REHOME,
};

/* What happens next: who, and two more numbers whose meaning is the kind's. */
struct xevent {
	u8 kind, a, b, c;
};

extern struct xconfig xcfg;
extern const char *xwrong;	/* set: the invariant that broke */
extern bool xtrace;
extern u32 xcover[2][16][16];

void xworld_init(struct xworld *w);
/* Events possible in a world; those that start something new come last. */
unsigned int xworld_events(const struct xworld *w, struct xevent *ev,
			   unsigned int *nr_progress);
void xworld_apply(struct xworld *w, const struct xevent *ev);
void xworld_check(const struct xworld *w);
bool xworld_quiet(const struct xworld *w);
void xworld_canonical(struct xworld *w);
unsigned int xworld_pack(const struct xworld *w, u8 *buf);
void xworld_unpack(struct xworld *w, const u8 *buf);
void xworld_print(const struct xworld *w);
void xevent_print(const struct xevent *ev);

/* net.c: messages on links */
void xnet_send(struct xworld *w, u8 from, u8 to, struct xmsg m);
bool xnet_take(struct xworld *w, u8 from, u8 to, struct xmsg *m);
void xnet_lose(struct xworld *w, u8 a, u8 b);
void xnet_connect(struct xworld *w, u8 a, u8 b);
void xnet_hello(struct xworld *w, u8 a, u8 b);
void xnet_dup(struct xworld *w, u8 a, u8 b);
void xnet_init(struct xworld *w);

#endif
