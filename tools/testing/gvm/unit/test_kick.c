// SPDX-License-Identifier: GPL-2.0
/*
 * Kicks: each in itself, then all orders in which the threads of a vCPU, of its link and of who
 * changes slots can come. No kick is lost, none ends another RUN, and slots can always be changed,
 * though the guest never leaves by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kick.h"
#include "tap.h"

TEST(numbers_go_round_without_0)
{
	CHECK(gvm_kick_next(0) == 1);
	CHECK(gvm_kick_next(1) == 2);
	CHECK(gvm_kick_next(UINT32_MAX) == 1);
}

TEST(a_kick_ends_the_run_that_runs)
{
	struct gvm_kick k = { 0 };

	CHECK(!gvm_kick_enter(&k, 1));
	CHECK(gvm_kick_came(&k, 1));
	CHECK(!gvm_kick_leave(&k, true));
	CHECK(!k.inside);
}

TEST(a_kick_before_its_run_is_remembered)
{
	struct gvm_kick k = { 0 };

	CHECK(!gvm_kick_came(&k, 1));
	CHECK(gvm_kick_enter(&k, 1));
	CHECK(!gvm_kick_leave(&k, true));
}

TEST(a_late_kick_ends_no_other_run)
{
	struct gvm_kick k = { 0 };

	CHECK(!gvm_kick_enter(&k, 1));
	CHECK(!gvm_kick_leave(&k, false));
	CHECK(!gvm_kick_came(&k, 1));
	CHECK(!gvm_kick_enter(&k, 2));
	CHECK(!gvm_kick_came(&k, 1));
	CHECK(gvm_kick_leave(&k, true));
}

TEST(a_push_ends_no_run_but_a_kick_between_does)
{
	struct gvm_kick k = { 0 };

	CHECK(!gvm_kick_enter(&k, 1));
	CHECK(gvm_kick_leave(&k, true));
	CHECK(!gvm_kick_came(&k, 1));	/* outside: the next KVM_RUN sees it */
	CHECK(gvm_kick_enter(&k, 1));
	CHECK(!gvm_kick_leave(&k, true));
}

/* ---- all orders ---- */

#define NR_RUNS		2
#define NR_PAUSES	2
#define NR_STATES	(1u << 14)
#define SETTLE_STEPS	200

enum { AT_VMM_SEND, AT_VMM_WAIT, AT_VMM_DONE };
enum { AT_RECV, AT_GATE, AT_ENTER, AT_CALL, AT_GUEST, AT_LEAVE, AT_OUT };
enum { AT_IDLE, AT_PUSH };

enum move {
	VMM_SEND, VMM_REPLY, LINK_KICK, TAKE_SIGNAL, VCPU, SLOTS_PUSH, SLOTS_DONE,
	NR_FAIR,
	/* What nobody may count on. */
	VMM_KICK = NR_FAIR, GUEST_EXIT, SLOTS_CHANGE,
	NR_MOVES,
};

/* All bytes are compared. */
struct world {
	struct gvm_kick k;
	unsigned char vmm, run, kicked;		/* the VMM: where, its RUN's number, has it kicked? */
	unsigned char sent, replied, eintr;	/* the vCPU's channel: numbers, 0: none */
	unsigned char kicks[NR_RUNS], nr_kicks;	/* the link */
	unsigned char vcpu, again;
	unsigned char immediate_exit, signal, result;
	unsigned char slots, inside, pauses;	/* the gate is closed while slots are at PUSH */
};

static void push_out(struct world *w)
{
	w->immediate_exit = 1;
	w->signal = 1;
}

/* The thread that serves the vCPU, as in vcpu.c. */
static bool vcpu(struct world *w)
{
	switch (w->vcpu) {
	case AT_RECV:
		if (!w->sent)
			return false;
		w->vcpu = AT_GATE;
		return true;
	case AT_GATE:
		if (w->slots == AT_PUSH)
			return false;
		w->inside = 1;
		w->vcpu = AT_ENTER;
		return true;
	case AT_ENTER:
		w->immediate_exit = gvm_kick_enter(&w->k, w->sent);
		w->vcpu = AT_CALL;
		return true;
	case AT_CALL:
		w->vcpu = AT_GUEST;
		return true;
	case AT_GUEST:
		if (!w->immediate_exit && !w->signal)
			return false;
		w->result = 1;
		w->vcpu = AT_LEAVE;
		return true;
	case AT_LEAVE:
		w->again = gvm_kick_leave(&w->k, w->result);
		w->vcpu = AT_OUT;
		return true;
	default:
		w->inside = 0;
		w->vcpu = AT_GATE;
		if (!w->again) {
			w->vcpu = AT_RECV;
			w->replied = w->sent;
			w->eintr = w->result;
			w->sent = 0;
		}
		w->result = 0;
		w->again = 0;
		return true;
	}
}

static bool reply(struct world *w)
{
	if (!w->replied)
		return false;
	CHECK(w->replied == w->run);
	CHECK(!w->eintr || w->kicked);	/* none ends another RUN */
	w->replied = 0;
	w->eintr = 0;
	w->vmm = w->run == NR_RUNS ? AT_VMM_DONE : AT_VMM_SEND;
	return true;
}

static bool step(struct world *w, enum move move)
{
	switch (move) {
	case VMM_SEND:
		if (w->vmm != AT_VMM_SEND)
			return false;
		w->sent = ++w->run;
		w->kicked = 0;
		w->vmm = AT_VMM_WAIT;
		return true;
	case VMM_REPLY:
		return reply(w);
	case VMM_KICK:
		if (w->vmm != AT_VMM_WAIT || w->kicked)
			return false;
		w->kicked = 1;
		w->kicks[w->nr_kicks++] = w->run;
		return true;
	case LINK_KICK:
		if (!w->nr_kicks)
			return false;
		if (gvm_kick_came(&w->k, w->kicks[0]))
			push_out(w);
		w->kicks[0] = w->kicks[1];
		w->kicks[1] = 0;
		w->nr_kicks--;
		return true;
	case TAKE_SIGNAL:		/* outside of KVM_RUN its handler does nothing */
		if (!w->signal || w->vcpu == AT_GUEST)
			return false;
		w->signal = 0;
		return true;
	case VCPU:
		return vcpu(w);
	case GUEST_EXIT:
		if (w->vcpu != AT_GUEST || w->immediate_exit)
			return false;
		w->vcpu = AT_LEAVE;
		return true;
	case SLOTS_CHANGE:
		if (w->slots != AT_IDLE || w->pauses == NR_PAUSES)
			return false;
		w->pauses++;
		w->slots = AT_PUSH;
		return true;
	case SLOTS_PUSH:		/* every two milliseconds */
		if (w->slots != AT_PUSH || !w->inside || !w->k.inside || w->signal)
			return false;
		push_out(w);
		return true;
	case SLOTS_DONE:
		if (w->slots != AT_PUSH || w->inside)
			return false;
		w->slots = AT_IDLE;
		return true;
	default:
		return false;
	}
}

/* The guest runs on for ever: what was asked for must be done nevertheless. */
static void settle(struct world w)
{
	bool any = true;
	int i, n;

	for (n = 0; any && n < SETTLE_STEPS; n++)
		for (any = false, i = 0; i < NR_FAIR; i++)
			any |= step(&w, i);
	CHECK(!any);
	CHECK(w.slots == AT_IDLE);
	CHECK(w.vmm == AT_VMM_DONE || (w.vmm == AT_VMM_WAIT && !w.kicked && w.vcpu == AT_GUEST));
}

static struct world *seen, *todo;
static unsigned int nr_seen, nr_todo;

static void meet(const struct world *w)
{
	const unsigned char *byte = (const void *)w;
	unsigned int at = 2166136261u, i;

	for (i = 0; i < sizeof(*w); i++)
		at = (at ^ byte[i]) * 16777619u;
	for (at %= NR_STATES; seen[at].pauses != 0xff; at = (at + 1) % NR_STATES)
		if (!memcmp(&seen[at], w, sizeof(*w)))
			return;
	CHECK(++nr_seen < NR_STATES / 2);
	seen[at] = *w;
	todo[nr_todo++] = *w;
}

TEST(no_kick_is_lost_in_any_order)
{
	bool eintr_seen = false, again_seen = false;
	struct world w, next;
	int i;

	seen = malloc(NR_STATES * sizeof(*seen));
	todo = malloc(NR_STATES / 2 * sizeof(*todo));
	CHECK(seen && todo);
	memset(seen, 0xff, NR_STATES * sizeof(*seen));
	memset(&w, 0, sizeof(w));
	nr_seen = 0;
	nr_todo = 0;
	meet(&w);
	while (nr_todo) {
		w = todo[--nr_todo];
		eintr_seen |= w.eintr;
		again_seen |= w.again;
		settle(w);
		for (i = 0; i < NR_MOVES; i++) {
			next = w;
			if (step(&next, i))
				meet(&next);
		}
	}
	printf("# %u states\n", nr_seen);
	CHECK(eintr_seen && again_seen);
	free(seen);
	free(todo);
}
