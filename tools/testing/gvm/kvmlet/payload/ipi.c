// SPDX-License-Identifier: GPL-2.0
/* Interrupts that CPUs send. */
#include "shot.h"

static bool send_fixed(const struct shot *s)
{
	ipi(s->to, s->vector);
	return true;
}

void test_ipi_fixed(void)
{
	shoot_matrix(&(struct shot){ .send = send_fixed, .what = "fixed IPI", .vector = VEC_IPI,
				     .each = 1 }, false);
}

/* x2APIC logical IDs: cluster << 16 | bit; CPUs below 16 are one cluster. */
static bool send_logical(const struct shot *s)
{
	ipi(s->mask, ICR_LOGICAL | s->vector);
	return true;
}

static void from_each(struct shot *s, bool self)
{
	enum mode mode;

	for (mode = SPIN; mode < NR_MODES; mode++) {
		for (s->from = 0; s->from < nr_cpus(); s->from++) {
			s->mask = all_mask() & ~(self ? 0 : 1u << s->from);
			s->to = s->mask;
			shoot(s, mode);
			if (failures)
				return;
		}
	}
}

void test_ipi_logical(void)
{
	struct shot s = { .send = send_logical, .what = "logical IPI", .vector = VEC_IPI + 1,
			  .each = 1 };
	uint32_t i;

	for (i = 0; i < nr_cpus(); i++)
		if ((1u << i) != rdmsr(APIC_LDR) && i == this_cpu())
			fail("CPU %u has logical id %lx", i, rdmsr(APIC_LDR));
	shoot_matrix(&s, true);
	s.what = "logical IPI to several";
	from_each(&s, false);
	from_each(&s, true);
}

static bool send_others(const struct shot *s)
{
	ipi(0, ICR_OTHERS | s->vector);
	return true;
}

void test_ipi_others(void)
{
	from_each(&(struct shot){ .send = send_others, .what = "IPI to others",
				  .vector = VEC_IPI + 2, .each = 1 }, false);
}

static bool send_all(const struct shot *s)
{
	ipi(0, ICR_ALL | s->vector);
	return true;
}

static bool send_broadcast(const struct shot *s)
{
	ipi(0xffffffff, s->vector);
	return true;
}

void test_ipi_all(void)
{
	struct shot s = { .send = send_all, .what = "IPI to all", .vector = VEC_IPI + 3,
			  .each = 1 };

	from_each(&s, true);
	s.send = send_broadcast;
	s.what = "broadcast IPI";
	from_each(&s, true);
}

static bool send_lowest(const struct shot *s)
{
	ipi(s->mask, ICR_LOGICAL | ICR_LOWEST | s->vector);
	return true;
}

void test_ipi_lowest(void)
{
	struct shot s = { .send = send_lowest, .what = "lowest priority IPI",
			  .vector = VEC_IPI + 4, .each = 1, .any = true };

	from_each(&s, true);
	from_each(&s, false);
}

static bool send_self(const struct shot *s)
{
	wrmsr(APIC_SELF, s->vector);
	return true;
}

static bool send_self_shorthand(const struct shot *s)
{
	ipi(0, ICR_SELF | s->vector);
	return true;
}

void test_ipi_self(void)
{
	struct shot s = { .send = send_self, .what = "self IPI", .vector = VEC_IPI + 5, .each = 1 };

	for (s.from = 0; s.from < nr_cpus(); s.from++) {
		s.to = s.from;
		s.mask = 1u << s.to;
		s.send = send_self;
		shoot(&s, HALT);
		s.send = send_self_shorthand;
		shoot(&s, SPIN);
		s.send = send_fixed;
		shoot(&s, IO);
	}
}

/* Interrupts off at the receiver: two vectors, one of them sent twice, and an NMI. */

static struct {
	volatile uint32_t from, to, ready, sent;
} masked;

static bool pending(uint32_t vector)
{
	return rdmsr(APIC_IRR + vector / 32) >> vector % 32 & 1;
}

static void masked_receive(uint64_t arg)
{
	struct cpu *c = &cpus[this_cpu()];
	uint32_t low = c->received[VEC_IPI], high = c->received[VEC_HIGH];
	uint32_t nmis = c->received[VEC_NMI];

	(void)arg;
	irq_off();
	masked.ready = 1;
	if (wait_for(masked.sent, "CPU %u: nothing is sent", c->id)) {
		wait_for(pending(VEC_IPI), "CPU %u: vector %x is not pending", c->id, VEC_IPI);
		wait_for(pending(VEC_HIGH), "CPU %u: vector %x is not pending", c->id, VEC_HIGH);
		wait_for(c->received[VEC_NMI] != nmis, "CPU %u: no NMI", c->id);
	}
	if (c->received[VEC_IPI] != low || c->received[VEC_HIGH] != high)
		fail("CPU %u: interrupted with interrupts off", c->id);
	irq_on();
	wait_for(c->received[VEC_IPI] == low + 1 && c->received[VEC_HIGH] == high + 1,
		 "CPU %u: %u and %u interrupts, want 1 and 1", c->id, c->received[VEC_IPI] - low,
		 c->received[VEC_HIGH] - high);
}

static void masked_send(uint64_t arg)
{
	(void)arg;
	wait_for(masked.ready, "CPU %u is not ready", masked.to);
	ipi(masked.to, VEC_IPI);
	ipi(masked.to, VEC_HIGH);
	ipi(masked.to, ICR_NMI);
	ipi(masked.to, VEC_IPI);
	masked.sent = 1;
}

static void masked_call(uint64_t arg)
{
	if (this_cpu() == masked.to)
		masked_receive(arg);
	else if (this_cpu() == masked.from)
		masked_send(arg);
}

void test_ipi_masked(void)
{
	uint32_t from, to, i;

	for (from = 0; from < nr_cpus(); from++) {
		for (to = 0; to < nr_cpus(); to++) {
			if (from == to)
				continue;
			for (i = 0; i < info->rounds && !failures; i++) {
				masked.ready = 0;
				masked.sent = 0;
				masked.from = from;
				masked.to = to;
				all_call(masked_call, 0);
			}
		}
	}
}

static bool send_nmi(const struct shot *s)
{
	if (s->to < MAX_CPUS)
		ipi(s->to, ICR_NMI);
	else
		ipi(0, ICR_OTHERS | ICR_NMI);
	return true;
}

void test_nmi(void)
{
	struct shot s = { .send = send_nmi, .what = "NMI", .vector = VEC_NMI, .each = 1 };
	enum mode mode;

	shoot_matrix(&s, false);
	s.what = "NMI to others";
	for (mode = SPIN; mode < NR_MODES; mode++) {
		for (s.from = 0; s.from < nr_cpus() && !failures; s.from++) {
			s.mask = all_mask() & ~(1u << s.from);
			s.to = MAX_CPUS;
			shoot(&s, mode);
		}
	}
}

/* From each CPU at once. */

static void storm(uint64_t arg)
{
	uint32_t me = this_cpu(), to, i;
	uint32_t vector = VEC_IPI + me;

	(void)arg;
	for (i = 0; i < info->rounds * 5; i++) {
		for (to = 0; to < nr_cpus(); to++) {
			uint32_t before = cpus[to].received[vector];

			if (to == me)
				continue;
			ipi(to, vector);
			if (!wait_for(cpus[to].received[vector] == before + 1,
				      "IPI %u from CPU %u to %u: %u arrived instead of 1", i, me, to,
				      cpus[to].received[vector] - before))
				return;
		}
	}
}

void test_storm(void)
{
	all_call(storm, 0);
}

/* Handlers answer each other, until each has sent what it may. */

static volatile uint32_t echo_a, echo_b;

static void echo_listen(uint64_t arg)
{
	uint32_t me = this_cpu(), other = me == echo_a ? echo_b : echo_a;
	struct cpu *c = &cpus[me];
	uint32_t want = c->received[VEC_ECHO] + info->rounds * 5;
	uint64_t end;

	(void)arg;
	if (me != echo_a && me != echo_b)
		return;
	c->echo_to = other;
	c->echo_left = info->rounds * 5 - (me == echo_a);
	irq_off();
	c->listening = 1;
	irq_on();
	wait_for(cpus[other].listening, "CPU %u does not listen", other);
	timer_periodic(200000, VEC_SAFETY);
	if (me == echo_a)
		ipi(other, VEC_ECHO);
	end = deadline();
	irq_off();
	while (c->received[VEC_ECHO] != want && now_us() < end)
		asm volatile("sti; hlt; cli" ::: "memory");
	irq_on();
	timer_off();
	if (c->received[VEC_ECHO] != want)
		fail("CPU %u: %u echoes from CPU %u are missing", me,
		     want - c->received[VEC_ECHO], other);
}

void test_echo(void)
{
	uint32_t a, b;

	for (a = 0; a < nr_cpus(); a++) {
		for (b = 0; b < nr_cpus(); b++) {
			if (a == b || failures)
				continue;
			echo_a = a;
			echo_b = b;
			listen_prepare(a);
			listen_prepare(b);
			all_call(echo_listen, 0);
		}
	}
}

/*
 * How long from an IPI to the answer that its handler sends. Each CPU writes memory of its own only,
 * so that nothing but interrupts crosses servers.
 */

#define MAX_TRIPS 2000

static uint32_t trip_ns[MAX_TRIPS] __attribute__((aligned(4096)));
static uint32_t nr_trips;

static bool trip(struct cpu *c, uint32_t to, enum mode mode, uint32_t *ns)
{
	uint32_t before = c->received[VEC_ECHO];
	uint64_t begin = rdtsc(), end = deadline();

	ipi(to, VEC_ECHO);
	while (c->received[VEC_ECHO] == before) {
		if (mode == HALT)
			asm volatile("sti; hlt; cli" ::: "memory");
		else
			asm volatile("sti; nop; nop; cli" ::: "memory");
		if (now_us() > end)
			return false;
	}
	*ns = (rdtsc() - begin) * 1000000 / info->tsc_khz;
	return true;
}

static void sort(uint32_t *v, uint32_t n)
{
	uint32_t i, k, x;

	for (i = 1; i < n; i++) {
		x = v[i];
		for (k = i; k && v[k - 1] > x; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

static void trips(uint32_t to, enum mode mode)
{
	struct cpu *c = &cpus[this_cpu()];
	uint32_t i;

	listen_prepare(to);
	cpus[to].echo_to = c->id;
	cpus[to].echo_left = nr_trips;
	start(to, listen, mode);
	if (!wait_for(cpus[to].listening, "CPU %u does not listen", to))
		return;
	c->echo_left = 0;
	if (mode == HALT)
		timer_periodic(200000, VEC_SAFETY);
	irq_off();
	for (i = 0; i < nr_trips && trip(c, to, mode, &trip_ns[i]); i++)
		;
	irq_on();
	timer_off();
	if (i < nr_trips)
		fail("CPU %u: no answer to IPI %u", to, i);
	unlisten(to);
	finish(to);
	sort(trip_ns, i);
	if (i == nr_trips)
		say("rtt CPU %u %s: %u trips, p50 %u p90 %u p99 %u ns", to,
		    mode == HALT ? "halted" : "spinning", i, trip_ns[i / 2], trip_ns[i * 9 / 10],
		    trip_ns[i * 99 / 100]);
}

static void all_trips(enum mode mode)
{
	uint32_t to;

	nr_trips = info->rounds * 10;
	if (nr_trips > MAX_TRIPS)
		nr_trips = MAX_TRIPS;
	for (to = 1; to < nr_cpus() && !failures; to++)
		trips(to, mode);
}

void test_rtt_halted(void)
{
	all_trips(HALT);
}

void test_rtt_spinning(void)
{
	all_trips(SPIN);
}
