/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small cluster on virtual time for readable traces: one page, any number of
 * nodes, a link in order between each two.  Each message goes through the wire
 * codec.  After each step every invariant is checked, and that whoever may
 * read the page reads what was written last.
 */
#ifndef DSM_TEST_CLUSTER_H
#define DSM_TEST_CLUSTER_H

#include <string.h>

#include "cover.h"
#include "invariant.h"
#include "step.h"
#include "tap.h"

#define NOBODY	DSM_NODE_NONE

struct node {
	struct dsm_page p;
	struct dsm_dir d;
	struct dsm_busy *busy;
	u16 home;		/* as this node believes */
	bool room;		/* for pushed pages */
	bool has;		/* memory is allocated for the page */
	bool revoking;
	bool must;
	u8 to_right;
	u64 data;		/* contents: the number of the last write */
	u64 timer_us;		/* 0 if none */
	u32 tid;
	u32 hold_us;
	u32 hold_max_us;
	u32 grace_us;
	bool user_busy;		/* of the page: it waits for others */
	u16 age;		/* of its turn */
	bool turn_over;
	unsigned int wakes;
};

struct flight {
	u16 from;
	u16 to;
	struct dsm_msg m;
	struct dsm_nodeset set;
	u64 data;
};

struct cluster {
	u16 nr;
	u64 now;
	u32 epoch;
	u32 gen;
	u64 version;		/* number of the last write, 0 if never */
	bool manual;		/* REVOKED is the test's to say */
	bool no_drain;		/* DRAIN is the test's to say */
	bool injected;		/* by a test that breaks the rules: no checks */
	unsigned int nr_flights;
	unsigned int max_actions;
	unsigned int max_cells;
	unsigned long steps;
	u8 verdict;		/* of the last step */
	struct node node[DSM_MAX_NODES];
	struct flight flight[4 * DSM_MAX_NODES];
};

extern struct cluster c;

/* A new cluster, all pages never written, the directory at node home. */
void start(u16 nr, u16 home);

/* Local events. */
void want_read(u16 n);
void want_write(u16 n);
void used(u16 n);
void evict(u16 n, u16 target);
void discard(u16 n);
void revoked(u16 n);
void unrevoked(u16 n);
void timer(u16 n);
void hand_off(u16 n, u16 successor);
void drain(u16 n);
void local(u16 n, u8 kind, u8 event, u16 target);

/* Deliver the oldest message on a link, and say what it is to be. */
void deliver(u16 from, u16 to, u8 type);
void deliver_at(unsigned int i);
/* Everything that is under way, oldest first, timers included. */
void settle(void);
/* A message out of thin air. */
u8 inject(u16 to, const struct dsm_msg *m);
struct dsm_msg forge(u8 type, u16 from, u16 requester, u32 tid);

/* Whole accesses, to the end. */
void do_read(u16 n);
void do_write(u16 n);
/* The access that the right allows now. */
void store(u16 n);

bool under_way(u16 from, u16 to, u8 type);
unsigned int nr_under_way(u8 type);
const struct dsm_msg *message(u16 from, u16 to);

#define PAGE_IS(n, s)	CHECK_STR(dsm_page_state_name(c.node[n].p.state), #s)
#define DIR_IS(n, s)	CHECK_STR(dsm_dir_state_name(c.node[n].d.state), #s)
#define VERDICT(v)	CHECK_STR(dsm_verdict_name(c.verdict), #v)
#define DELIVER(f, t, type) deliver(f, t, DSM_MSG_##type)
#define QUIET()		CHECK(!c.nr_flights)

#endif
