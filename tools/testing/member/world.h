/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world of the membership machine: servers, and links as the node layer
 * makes them.  A link keeps its messages, in order, over any number of
 * connections; an end that was killed, or another incarnation, starts it anew,
 * and then the other end is told so (reset).  A loss is told at most once an
 * outage, at each end for itself.
 *
 * Shared by the explorer (time is each node's own, an event like others), the
 * simulator and the unit tests.
 */
#ifndef MEMBER_WORLD_H
#define MEMBER_WORLD_H

#include <stdbool.h>
#include <stdio.h>
#include "member.h"

#ifndef MW_NODES
#define MW_NODES	32	/* most nodes, at most 32 */
#endif
#ifndef MW_QUEUE
#define MW_QUEUE	64	/* most messages that wait for an end */
#endif
#define MW_NONE		0xff

/* A message, small: sets are words. */
struct mw_packet {
	u8 type, state, reason;
	u32 round, cluster, number, epoch;
	u32 members, leaving, lost, linked;
};

/* One end of a link: what is known of the peer, and what waits for it. */
struct mw_end {
	u32 known;		/* incarnation of the peer, 0: none yet */
	bool up;		/* connected, and LINK_UP told; same at both ends */
	bool lost_told;		/* in this outage */
	bool used;		/* something has come or gone */
	u8 len;
	struct mw_packet tx[MW_QUEUE];
};

struct mw_node {
	struct dsm_member m;
	u32 incarnation;
	bool alive;		/* its server works */
	bool stopped;		/* GONE, and its links are closed for good */
	bool leave;		/* LEAVE is asked for until it is GONE */
	bool handover;		/* HANDED is to come */
	u8 snapshot;		/* ADMIT or DENY of it is to come; MW_NONE */
	struct mw_end end[MW_NODES];
};

struct mworld {
	u16 nr;
	bool lossy;		/* a loss or a restart has happened */
	bool left;		/* a member has left */
	bool split;		/* and so few were the rest that others formed anew */
	bool own_time;		/* each node has its own time: see mw_timer() */
	u64 now;
	u32 next_incarnation;
	struct mw_node n[MW_NODES];
};

extern const char *mw_wrong;	/* set: the invariant that broke */
extern bool mw_trace;
/* Called after each step; @old_state is the state before it. */
extern void (*mw_observe)(struct mworld *w, u16 node, u8 old_state,
			  const struct dsm_member_event *ev,
			  const struct dsm_member_out *out);

void mw_init(struct mworld *w, u16 nr, bool own_time);
void mw_own_time(struct mworld *w);
void mw_start(struct mworld *w, u16 node);
void mw_crash(struct mworld *w, u16 node);
bool mw_can_connect(const struct mworld *w, u16 a, u16 b);
void mw_connect(struct mworld *w, u16 a, u16 b);
void mw_break(struct mworld *w, u16 a, u16 b);
bool mw_can_lose(const struct mworld *w, u16 at, u16 peer);
void mw_lose(struct mworld *w, u16 at, u16 peer);
bool mw_can_deliver(const struct mworld *w, u16 from, u16 to);
void mw_deliver(struct mworld *w, u16 from, u16 to);
void mw_timer(struct mworld *w, u16 node);
void mw_leave(struct mworld *w, u16 node);
void mw_handed(struct mworld *w, u16 node);
void mw_admit(struct mworld *w, u16 node, bool admit);
void mw_stop(struct mworld *w, u16 node);
void mw_rebuilt(struct mworld *w, u16 node, u16 lost);
void mw_event(struct mworld *w, u16 node, struct dsm_member_event *ev);
struct dsm_member_packet mw_unpack(const struct mw_packet *x);
u32 mw_word(const struct dsm_nodeset *s);

/* check.c */
void mw_check(struct mworld *w);
void mw_print(const struct mworld *w);
void mw_heal(struct mworld *w, u32 seconds);
const char *mw_converged(const struct mworld *w);

#endif
