/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The simulator: many nodes around the real core on virtual time.  A run is its
 * seed: no clock, no address and no order of the host gets in.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "link.h"
#include "place.h"
#include "step.h"

#define SIM_EPOCH	5
#define SIM_REGION	3
#define SIM_GEN		9
#define SIM_GHOSTS	64

/* Faults, one bit each, so that a failing run can be shrunk. */
#define SIM_FAULTS(X)	\
	X(DUP)		\
	X(LOSS)		\
	X(GHOST)	\
	X(EVICT)	\
	X(REFUSE)	\
	X(LEAVE)	\
	X(SLOW)		\
	X(HOLD)		\
	X(DISCARD)

enum sim_fault_bit {
#define X(name) SIM_BIT_##name,
	SIM_FAULTS(X)
#undef X
	SIM_NR_FAULTS,
};
#define SIM_F(name)	(1u << SIM_BIT_##name)

struct sim_config {
	u64 seed;
	u32 nodes, pages, threads, ops, faults;
	u32 limit;		/* pages a node may hold */
	u32 hold_us;
	bool trace;
};

enum sim_event_type {
	SE_FRAME, SE_REVOKED, SE_TIMER, SE_THREAD, SE_CONNECT, SE_HELLO,
	SE_NOTICE, SE_ACK, SE_EVICT, SE_FAULT, SE_LEAVE, SE_REHOME,
};

struct sim_frame {
	struct dsm_msg msg;
	struct dsm_nodeset set;
	struct dsm_hello hello;
	u64 value;
	u32 seq, ack;
	bool sequenced;
};

struct sim_event {
	u64 at, nr;
	u8 type;
	u16 a, b;
	u32 c;
	struct sim_frame *frame;
};

/* One end of a link. */
struct sim_link {
	struct dsm_link l;
	struct sim_frame **kept;	/* from tx_una on */
	u32 nr_kept, cap_kept;
	u32 conn;			/* number of the connection, of both ends */
	bool connecting, active, ack_armed;
	u64 last_at;
};

struct sim_page {
	struct dsm_page p;
	struct dsm_dir d;
	u64 value;
	u8 map, revoking;
	bool copy, must;
};

enum sim_op { SO_READ, SO_WRITE, SO_RMW };

struct sim_thread {
	u8 op;
	bool active, waiting;
	u32 page, left;
	u64 since;
};

struct sim_node {
	struct sim_page *page;
	struct sim_thread *thread;
	struct dsm_place place;
	u32 next_tid, copies;
	bool slow;
};

struct sim_ghost {
	struct dsm_msg msg;
	struct dsm_nodeset set;
	u16 to;
};

struct sim {
	struct sim_config cfg;
	u64 rng, now, hash, next_nr, nr_events, next_value, nr_steps;
	struct sim_event *heap;
	u32 nr_heap, cap_heap;
	struct sim_node *node;
	struct sim_link *link;
	u64 *last;		/* what each page contains, by the shell's order */
	bool *is_zero;
	u32 threads_left, nr_ghosts;
	struct sim_ghost ghost[SIM_GHOSTS];
	u16 leaver, successor;
	bool healed, leaving;
	const char *wrong;
	struct sim_history *history;
	u64 nr_lost, nr_dropped, nr_stale, nr_moves, nr_pushes, nr_refused;
};

static inline u64 sim_random(struct sim *s)
{
	u64 z = s->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline u32 sim_below(struct sim *s, u32 n)
{
	return sim_random(s) % n;
}

static inline bool sim_fault(struct sim *s, u32 fault, u32 one_in)
{
	return s->cfg.faults & fault && !s->healed && !sim_below(s, one_in);
}

void sim_fail(struct sim *s, const char *what);
void sim_note(struct sim *s, u64 v);

/* queue.c */
void sim_at(struct sim *s, u64 delay, u8 type, u16 a, u16 b, u32 c,
	    struct sim_frame *f);
bool sim_next(struct sim *s, struct sim_event *ev);

/* net.c */
struct sim_link *sim_link(struct sim *s, u16 a, u16 b);
void sim_net_send(struct sim *s, u16 from, u16 to, const struct dsm_msg *m,
		  const struct dsm_nodeset *set, u64 value);
void sim_net_event(struct sim *s, struct sim_event *ev);
void sim_net_lose(struct sim *s);
bool sim_net_idle(struct sim *s, u16 from);

/* shell.c */
void sim_deliver(struct sim *s, u16 from, u16 to, const struct sim_frame *f);
void sim_shell_event(struct sim *s, const struct sim_event *ev);
void sim_local(struct sim *s, u16 node, u32 page, u8 kind, u8 local, u16 target);
void sim_look(struct sim *s, u16 node, u32 thread);
u16 sim_home(struct sim *s, u16 node, u32 page);

/* history.c */
struct sim_history *sim_history_create(void);
void sim_history_free(struct sim_history *h);
void sim_history_add(struct sim_history *h, u32 page, u64 from, u64 to,
		     u64 read, u64 written);
const char *sim_history_check(struct sim_history *h, u32 nr_pages);

/* run.c */
bool sim_run(const struct sim_config *cfg, bool quiet, u64 *hash);
void sim_config_of_seed(struct sim_config *cfg, u64 seed);

#endif
