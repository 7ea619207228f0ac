// SPDX-License-Identifier: GPL-2.0
/*
 * What may be moved, and all interleavings of a move with interrupts.
 *
 * The model is of three members, one vCPU, and links between each two. An interrupt is a number,
 * so that each can be followed: sent to some member's APIC, drained by its stub onto a link, taken
 * off the link into another APIC, delivered when the vCPU runs where it is real. INIT must be
 * delivered before SIPI if they were sent so at one place. In each state every possible event is
 * tried.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "move.h"
#include "tap.h"

static struct gvm_state s;

static void set_reg(unsigned int at, uint32_t v)
{
	memcpy(s.lapic.regs + at, &v, sizeof(v));
}

static void good(void)
{
	memset(&s, 0, sizeof(s));
	s.sregs.apic_base = 0xfee00c00;
}

TEST(what_may_be_moved)
{
	good();
	CHECK(!gvm_state_busy(&s) && gvm_state_ok(&s));
	s.mp_state = KVM_MP_STATE_HALTED;
	CHECK(gvm_state_ok(&s));
	set_reg(0x200, 1);		/* IRR: stays where it is */
	CHECK(gvm_state_ok(&s));
	s.nr_msrs = GVM_STATE_MSRS + 1;
	CHECK(!gvm_state_busy(&s) && !gvm_state_ok(&s));
	for (unsigned int i = 0; i < 8; i++) {
		good();
		set_reg(0x100 + i * 16, 1u << 31);
		CHECK_STR(gvm_state_busy(&s), "it handles interrupts all the time");
	}
#define BUSY(what) do { good(); s.what; CHECK(gvm_state_busy(&s) && !gvm_state_ok(&s)); } while (0)
	BUSY(mp_state = KVM_MP_STATE_UNINITIALIZED);
	BUSY(mp_state = KVM_MP_STATE_INIT_RECEIVED);
	BUSY(sregs.apic_base = 0xfee00800);
	BUSY(sregs.apic_base = 0xfee00000);
	BUSY(events.smi.smm = 1);
	BUSY(events.smi.pending = 1);
	BUSY(events.smi.latched_init = 1);
	BUSY(events.interrupt.shadow = 1);
	BUSY(events.nmi.pending = 1);
}

static uint32_t timer(uint32_t mode, uint32_t initial, uint32_t left)
{
	good();
	set_reg(0x320, mode << 17 | 0x50);
	set_reg(0x380, initial);
	set_reg(0x390, left);
	return gvm_state_timer(&s.lapic);
}

TEST(what_becomes_of_the_timer)
{
	CHECK(timer(0, 0, 0) == 0);
	CHECK(timer(0, 1000, 300) == 300);
	CHECK(timer(0, 1000, 0) == 0);
	CHECK(gvm_state_ran_out(&s.lapic));
	gvm_state_fire_again(&s.lapic);
	CHECK(!gvm_state_ran_out(&s.lapic) && gvm_state_timer(&s.lapic) == 1);
	CHECK(timer(1, 1000, 300) == 1000);
	CHECK(timer(1, 0, 0) == 0);
	CHECK(timer(2, 1000, 0) == 0 && !gvm_state_ran_out(&s.lapic));
	CHECK(timer(1, 1000, 0) == 1000 && !gvm_state_ran_out(&s.lapic));
	CHECK(timer(0, 0, 0) == 0 && !gvm_state_ran_out(&s.lapic));
}

static struct gvm_move m;

static void begin(unsigned int from, unsigned int to, unsigned int nr)
{
	memset(&m, 0, sizeof(m));
	CHECK(!gvm_move_begin(&m, from, to, nr));
}

TEST(a_move_that_cannot_begin)
{
	memset(&m, 0, sizeof(m));
	CHECK(gvm_move_begin(&m, 0, 2, 2) == -EINVAL);
	CHECK(gvm_move_begin(&m, 2, 0, 2) == -EINVAL);
	CHECK(gvm_move_begin(&m, 1, 1, 2) == -EALREADY);
	CHECK(m.step == GVM_MOVE_NONE);
	CHECK(!gvm_move_begin(&m, 1, 0, 2));
	CHECK(gvm_move_begin(&m, 1, 0, 2) == -EBUSY);
}

TEST(the_steps_of_a_move)
{
	begin(1, 2, 4);
	CHECK(m.step == GVM_MOVE_COMPLETE && gvm_move_where(&m) == 1);
	CHECK(!gvm_move_done(&m, 0));			/* an exit: the VMM's first */
	CHECK(!gvm_move_done(&m, -EAGAIN));
	CHECK(m.step == GVM_MOVE_COMPLETE);
	CHECK(gvm_move_done(&m, -EINTR));
	CHECK(m.step == GVM_MOVE_SAVE && gvm_move_where(&m) == 1);
	CHECK(gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_LOAD && gvm_move_where(&m) == 2 && m.owner == 1);
	CHECK(gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_LEAVE && gvm_move_where(&m) == 1 && m.owner == 2);
	CHECK(gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_TELL && gvm_move_where(&m) == 0);
	CHECK(gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_TELL && gvm_move_where(&m) == 3);
	CHECK(!gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_RESUME && gvm_move_where(&m) == 2);
	CHECK(!gvm_move_cancel(&m, -ETIMEDOUT));
	CHECK(!gvm_move_done(&m, 0));
	CHECK(m.step == GVM_MOVE_NONE && !m.error && m.owner == 2 && gvm_move_where(&m) == 2);
	CHECK(!gvm_move_done(&m, 0));
}

TEST(a_move_that_is_given_up)
{
	begin(0, 1, 2);
	CHECK(gvm_move_cancel(&m, -ETIMEDOUT));
	CHECK(m.step == GVM_MOVE_NONE && m.error == -ETIMEDOUT && m.owner == 0);
	begin(0, 1, 2);
	gvm_move_done(&m, -EINTR);
	CHECK(!gvm_move_cancel(&m, -ETIMEDOUT));
	CHECK(!gvm_move_done(&m, -EAGAIN));
	CHECK(m.step == GVM_MOVE_COMPLETE);
	gvm_move_done(&m, -EINTR);
	CHECK(!gvm_move_done(&m, -EIO));
	CHECK(m.step == GVM_MOVE_NONE && m.error == -EIO && m.owner == 0 && !m.broken);
}

TEST(a_move_that_breaks)
{
	begin(0, 1, 3);
	gvm_move_done(&m, -EINTR);
	gvm_move_done(&m, 0);
	gvm_move_done(&m, 0);
	CHECK(!gvm_move_done(&m, -EIO));
	CHECK(m.broken && m.step == GVM_MOVE_NONE && m.owner == 1);
}

/* ---- all interleavings ---- */

#define NR	3
#define QUEUE	6
#define NOBODY	NR
#define INIT	6	/* the last two interrupts, of those that are sent */
#define SIPI	7

struct link {
	uint8_t nr, irq[QUEUE];
};

/*
 * One member's vCPU: owner as it knows it, is it a stub that runs, interrupts pending (a bit each).
 * A stub that has forwarded INIT does nothing but wait for SIPI, which goes to the same member.
 */
struct place {
	uint8_t owner, stub, pending, waits, init_to;
};

struct world {
	struct gvm_move move;
	struct place at[NR];
	struct link link[NR][NR];
	uint8_t sent, delivered, moves, refusals;
	uint8_t waits;		/* the real vCPU has had INIT and waits for SIPI */
};

static struct {
	uint8_t nr_irqs, first_irq, nr_moves;
	uint8_t from, to[2];
} plan;

static uint64_t nr_states, nr_ends;

/* Seen states, by a hash of 64 bits each. */
#define SEEN	(1u << 22)

static uint64_t seen[SEEN];

static bool is_new(const struct world *w)
{
	const uint8_t *p = (const void *)w;
	uint64_t h = 0xcbf29ce484222325ull;
	uint32_t i;

	for (i = 0; i < sizeof(*w); i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	h |= !h;
	for (i = h >> 20 & (SEEN - 1); seen[i]; i = (i + 1) & (SEEN - 1))
		if (seen[i] == h)
			return false;
	seen[i] = h;
	CHECK(++nr_states < SEEN / 2);
	return true;
}

static void explore(const struct world *w);

static void post(struct world *w, unsigned int from, unsigned int to, uint8_t irq)
{
	struct link *l = &w->link[from][to];

	CHECK(l->nr < QUEUE && from != to);
	l->irq[l->nr++] = irq;
}

/* Deliver at the real vCPU. SIPI without INIT is nothing, which would be a loss. */
static void deliver(struct world *w, unsigned int irq)
{
	CHECK(!(w->delivered >> irq & 1));
	if (irq == SIPI)
		CHECK(w->waits);
	w->waits = irq == INIT ? 1 : irq == SIPI ? 0 : w->waits;
	w->delivered |= 1u << irq;
}

/* As KVM takes them: INIT before SIPI. */
static unsigned int next_pending(uint8_t pending, bool waits)
{
	if (waits)
		return pending >> SIPI & 1 ? SIPI : 8;
	if (pending >> INIT & 1)
		return INIT;
	for (unsigned int i = 0; i < 6; i++)
		if (pending >> i & 1)
			return i;
	return pending >> SIPI & 1 ? SIPI : 8;
}

static void stub_acts(const struct world *w, unsigned int i)
{
	struct world n = *w;
	struct place *p = &n.at[i];
	unsigned int irq = next_pending(p->pending, p->waits);

	if (!p->stub || irq == 8)
		return;
	CHECK(irq != SIPI || p->waits);
	p->pending &= ~(1u << irq);
	if (irq == INIT)
		p->init_to = p->owner;
	post(&n, i, irq == SIPI ? p->init_to : p->owner, irq);
	p->waits = irq == INIT ? 1 : irq == SIPI ? 0 : p->waits;
	explore(&n);
}

static void link_acts(const struct world *w, unsigned int from, unsigned int to)
{
	struct world n = *w;
	struct link *l = &n.link[from][to];

	if (!l->nr)
		return;
	n.at[to].pending |= 1u << l->irq[0];
	memmove(l->irq, l->irq + 1, --l->nr);
	l->irq[l->nr] = 0;
	explore(&n);
}

/* The vCPU runs, unless the thread is in the middle of a move's steps. */
static void vcpu_acts(const struct world *w)
{
	unsigned int at = w->move.owner, irq = next_pending(w->at[at].pending, w->waits);
	struct world n = *w;

	if ((w->move.step != GVM_MOVE_NONE && w->move.step != GVM_MOVE_COMPLETE) || irq == 8)
		return;
	CHECK(!w->at[at].stub);
	n.at[at].pending &= ~(1u << irq);
	deliver(&n, irq);
	explore(&n);
}

static int real_step(struct world *n)
{
	const struct gvm_move *mv = &n->move;
	struct place *p = &n->at[gvm_move_where(mv)];

	switch (mv->step) {
	case GVM_MOVE_COMPLETE:
		return -EINTR;
	case GVM_MOVE_SAVE:
		/* KVM_GET_MP_STATE takes an INIT that is pending. */
		if (p->pending >> INIT & 1) {
			p->pending &= ~(1u << INIT);
			deliver(n, INIT);
		}
		return n->waits ? -EAGAIN : 0;
	case GVM_MOVE_LOAD:
		if (p->waits)
			return -EAGAIN;
		CHECK(p->stub);
		p->stub = 0;
		p->owner = mv->to;
		return 0;
	case GVM_MOVE_LEAVE:
		CHECK(!p->stub);
		p->stub = 1;
		p->owner = mv->to;
		return 0;
	case GVM_MOVE_TELL:
		CHECK(p->stub);
		p->owner = mv->to;
		return 0;
	case GVM_MOVE_RESUME:
	case GVM_MOVE_NONE:
		break;
	}
	return 0;
}

static void move_acts(const struct world *w)
{
	struct world n = *w;
	int r;

	if (n.move.step == GVM_MOVE_NONE) {
		if (n.moves == plan.nr_moves)
			return;
		CHECK(!gvm_move_begin(&n.move, n.move.owner, plan.to[n.moves], NR));
		n.moves++;
		explore(&n);
		return;
	}
	/* A failure, where one can be taken back. */
	if ((n.move.step == GVM_MOVE_SAVE || n.move.step == GVM_MOVE_LOAD) && !n.refusals) {
		n.refusals++;
		gvm_move_done(&n.move, n.move.step == GVM_MOVE_SAVE ? -EIO : -EINVAL);
		CHECK(n.move.step == GVM_MOVE_NONE && n.move.owner == w->move.owner);
		n.moves = plan.nr_moves;	/* the plan's next one would be another */
		n.move = (struct gvm_move){ .owner = w->move.owner };
		explore(&n);
		n = *w;
	}
	r = real_step(&n);
	gvm_move_done(&n.move, r);
	CHECK(!n.move.broken);
	if (n.move.step == GVM_MOVE_NONE)
		n.move = (struct gvm_move){ .owner = n.move.owner };
	explore(&n);
}

/* SIPI is sent at the same place after INIT was; all others anywhere. */
static void senders_act(const struct world *w)
{
	for (unsigned int irq = plan.first_irq; irq < plan.first_irq + plan.nr_irqs; irq++) {
		if (w->sent >> irq & 1)
			continue;
		if (irq == SIPI && !(w->sent >> INIT & 1))
			return;
		for (unsigned int i = 0; i < NR; i++) {
			struct world n = *w;

			if (plan.first_irq == INIT && i != 1)
				continue;
			n.sent |= 1u << irq;
			n.at[i].pending |= 1u << irq;
			explore(&n);
		}
		return;
	}
}

static bool quiet(const struct world *w)
{
	for (unsigned int i = 0; i < NR; i++) {
		if (w->at[i].pending)
			return false;
		for (unsigned int k = 0; k < NR; k++)
			if (w->link[i][k].nr)
				return false;
	}
	return w->move.step == GVM_MOVE_NONE && w->moves == plan.nr_moves;
}

static void explore(const struct world *w)
{
	unsigned int i, k, real = 0;

	if (!is_new(w))
		return;
	for (i = 0; i < NR; i++)
		real += !w->at[i].stub;
	CHECK(real == 1 || (real == 2 && w->move.step == GVM_MOVE_LEAVE));
	if (quiet(w)) {
		CHECK(w->delivered == w->sent);
		nr_ends++;
	}
	move_acts(w);
	vcpu_acts(w);
	senders_act(w);
	for (i = 0; i < NR; i++) {
		stub_acts(w, i);
		for (k = 0; k < NR; k++)
			link_acts(w, i, k);
	}
}

static void all(uint8_t from, uint8_t to, uint8_t then, uint8_t first_irq, uint8_t nr_irqs)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	memset(seen, 0, sizeof(seen));
	nr_states = 0;
	nr_ends = 0;
	plan.from = from;
	plan.to[0] = to;
	plan.to[1] = then;
	plan.nr_moves = then == NOBODY ? 1 : 2;
	plan.first_irq = first_irq;
	plan.nr_irqs = nr_irqs;
	w.move.owner = from;
	for (unsigned int i = 0; i < NR; i++) {
		w.at[i].owner = from;
		w.at[i].stub = i != from;
	}
	explore(&w);
	CHECK(nr_ends);
}

TEST(no_interrupt_is_lost_or_doubled_by_a_move)
{
	all(0, 1, NOBODY, 0, 4);
	all(1, 2, NOBODY, 0, 4);
	all(2, 0, NOBODY, 0, 4);
}

TEST(nor_by_two_moves)
{
	all(0, 1, 0, 0, 3);
	all(1, 2, 0, 0, 3);
}

TEST(a_sipi_does_not_overtake_its_init)
{
	all(0, 1, NOBODY, INIT, 2);
	all(1, 2, NOBODY, INIT, 2);
	all(2, 0, NOBODY, INIT, 2);
	all(0, 2, 0, INIT, 2);
	all(2, 0, 1, INIT, 2);
}
