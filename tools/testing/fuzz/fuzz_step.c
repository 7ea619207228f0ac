// SPDX-License-Identifier: GPL-2.0
/*
 * A byte stream as events on a small cluster with links in order.  As long as
 * no message is forged, all invariants hold and no message is an error; after
 * that, each record stays consistent in itself and nothing crashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "invariant.h"
#include "step.h"

#define NODES	4
#define QUEUE	64

struct queue {
	unsigned int nr;
	struct dsm_msg m[QUEUE];
	struct dsm_nodeset set[QUEUE];
};

static struct dsm_page page[NODES];
static struct dsm_dir dir[NODES];
static struct dsm_busy *busy[NODES];
static bool revoking[NODES], must[NODES];
static struct queue queue[NODES][NODES];
static bool forged, full;
static u32 tid;
static u64 now;

static void start(void)
{
	for (int n = 0; n < NODES; n++) {
		dsm_page_init(&page[n]);
		dsm_dir_init(&dir[n]);
		if (!busy[n])
			busy[n] = malloc(sizeof(*busy[n]) +
					 NODES * sizeof(busy[n]->q[0]));
		revoking[n] = must[n] = false;
	}
	memset(queue, 0, sizeof(queue));
	forged = full = false;
	tid = 0;
	now = 1;
}

static void die(const char *why)
{
	fprintf(stderr, "broken: %s\n", why);
	abort();
}

static void check(u16 n)
{
	const struct dsm_page *p[NODES];
	const char *broken = dsm_invariant_page(&page[n]);
	const struct dsm_dir *d = NULL;

	if (!broken)
		broken = dsm_invariant_dir(&dir[n], NODES);
	for (int i = 0; i < NODES; i++) {
		p[i] = &page[i];
		if (dir[i].state != DSM_DS_MOVED && dir[i].state != DSM_DS_Z)
			d = &dir[i];
	}
	if (!broken && !forged)
		broken = dsm_invariant_global(p, NODES, d);
	if (broken)
		die(broken);
}

static void post(u16 from, u16 to, const struct dsm_msg *m,
		 const struct dsm_nodeset *set)
{
	struct queue *q = &queue[from][to];

	if (to >= NODES || to == from)
		die("sent to no one");
	if (q->nr == QUEUE) {
		full = true;
		return;
	}
	q->m[q->nr] = *m;
	q->set[q->nr++] = *set;
}

static void act(u16 n, const struct dsm_action *a, const struct dsm_out *out)
{
	u16 to;

	switch ((enum dsm_action_type)a->type) {
	case DSM_A_SEND:
		post(n, a->to, &a->msg, &out->set);
		break;
	case DSM_A_MULTICAST:
		dsm_nodeset_for_each(to, &out->set)
			post(n, to, &a->msg, &out->set);
		break;
	case DSM_A_REVOKE:
		revoking[n] = true;
		must[n] = a->must;
		break;
	case DSM_A_INSTALL:
	case DSM_A_INSTALL_ZERO:
	case DSM_A_DROP:
	case DSM_A_TIMER:
	case DSM_A_WAKE:
		break;
	case DSM_NR_ACTIONS:
		die("no such action");
	}
}

static void step(u16 n, struct dsm_event *ev)
{
	struct dsm_out out;

	ev->self = n;
	ev->nr_nodes = NODES;
	ev->home = 0;
	ev->epoch = 1;
	ev->region = 1;
	ev->gen = 1;
	ev->fresh_tid = ++tid;
	ev->now_us = now;
	if (!dir[n].busy) {
		*busy[n] = (struct dsm_busy){ .cap = dsm_busy_cap(NODES) };
		dir[n].busy = busy[n];
	}
	dsm_step(&page[n], &dir[n], ev, &out);
	if (out.nr >= DSM_MAX_ACTIONS || out.nr_cells >= DSM_MAX_CELLS)
		die("more than the lists hold");
	if (!forged && dsm_verdict_is_error(out.verdict))
		die(dsm_verdict_name(out.verdict));
	for (u8 i = 0; i < out.nr; i++)
		act(n, &out.act[i], &out);
	check(n);
	if (out.more) {
		struct dsm_event more = { .kind = DSM_EK_DIR, .local = DSM_DE_DRAIN };

		step(n, &more);
	}
}

static void deliver(u16 from, u16 to, u8 room)
{
	struct queue *q = &queue[from][to];
	struct dsm_event ev = { .kind = DSM_EK_MSG, .room = room & 1 };

	if (!q->nr)
		return;
	ev.msg = q->m[0];
	ev.set = q->set[0];
	q->nr--;
	memmove(q->m, q->m + 1, q->nr * sizeof(q->m[0]));
	memmove(q->set, q->set + 1, q->nr * sizeof(q->set[0]));
	step(to, &ev);
}

static void local(u16 n, u8 kind, u8 event, u16 target, u8 hold)
{
	struct dsm_event ev = { .kind = kind, .local = event,
				.target = target, .hold_us = hold, .grace_us = hold / 2 };

	step(n, &ev);
}

/* From a byte each, mostly in range, so that it gets past the first checks. */
static void forge(struct bytes *b, u16 to)
{
	struct dsm_event ev = { .kind = DSM_EK_MSG };

	forged = true;
	ev.room = take_byte(b) & 1;
	ev.msg = (struct dsm_msg){
		.type = take_byte(b) % (DSM_NR_MSG_TYPES + 1),
		.flags = take_byte(b),
		.dir_state = take_byte(b),
		.from = take_byte(b) % (NODES + 1),
		.requester = take_byte(b) % (NODES + 1),
		.home = take_byte(b) % NODES,
		.target = take_byte(b) % (NODES + 2),
		.owner = take_byte(b) % (NODES + 2),
		.nr_acks = take_byte(b) % (NODES + 2),
		.tid = take_byte(b),
		.epoch = 1, .region = 1, .gen = 1,
	};
	if (ev.msg.target == NODES + 1)
		ev.msg.target = DSM_NODE_NONE;
	ev.set.w[0] = take_byte(b);
	step(to, &ev);
}

static void one_event(struct bytes *b)
{
	u8 what = take_byte(b), n = take_byte(b) % NODES, arg = take_byte(b);

	switch (what % 16) {
	case 0:
	case 1:
		local(n, DSM_EK_PAGE, DSM_PE_READ + (what & 1), DSM_NODE_NONE, arg);
		return;
	case 2:
		local(n, DSM_EK_PAGE, DSM_PE_EVICT,
		      arg % 5 < NODES ? arg % 5 : DSM_NODE_NONE, 0);
		return;
	case 3:
		local(n, DSM_EK_PAGE, arg & 1 ? DSM_PE_TIMER :
				      arg & 2 ? DSM_PE_USED : DSM_PE_DISCARD,
		      DSM_NODE_NONE, arg >> 2);
		return;
	case 4:
	case 5:
		if (!revoking[n])
			return;
		revoking[n] = false;
		local(n, DSM_EK_PAGE, must[n] || arg & 1 ? DSM_PE_REVOKED :
							   DSM_PE_UNREVOKED,
		      DSM_NODE_NONE, 0);
		return;
	case 6:
		now += arg;
		return;
	case 7:
		if (arg == 0xff)	/* only the home leaves, for node 1 */
			local(0, DSM_EK_DIR, DSM_DE_HANDOFF, 1, 0);
		else if (arg == 0xfe)
			forge(b, n);
		return;
	default:
		deliver(n, what / 16 % NODES, arg);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	start();
	while (b.left && !full)
		one_event(&b);
	return 0;
}
