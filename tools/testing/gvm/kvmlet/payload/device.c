// SPDX-License-Identifier: GPL-2.0
/* What the VMM does: I/O, interrupts from devices, kicks, memory slots. */
#include "shot.h"

static struct request requests[MAX_CPUS];

/* A VMM that answers, whatever the CPU asks. */
static int ask_for(struct request r)
{
	struct request *mine = &requests[this_cpu()];
	int ret;

	*mine = r;
	ret = ask(mine);
	if (ret < 0)
		fail("CPU %u: request %u failed", this_cpu(), r.op);
	return ret;
}

/* I/O: what was written is read, inverted. Each CPU has ports of its own: two. */

static void pio_strings(uint16_t port)
{
	uint32_t out[16], in[16], i;
	void *p = out;
	uint64_t n = 16;

	for (i = 0; i < 16; i++)
		out[i] = 0x01010101 * i + port;
	asm volatile("rep outsl" : "+S" (p), "+c" (n) : "d" (port) : "memory");
	p = in;
	n = 16;
	asm volatile("rep insl" : "+D" (p), "+c" (n) : "d" (port) : "memory");
	for (i = 0; i < 16; i++)
		if (in[i] != ~out[15])
			fail("CPU %u: insl %u gave %x, want %x", this_cpu(), i, in[i], ~out[15]);
}

static void pio_cpu(uint64_t arg)
{
	uint16_t port = PORT_ECHO + 2 * this_cpu();
	uint32_t i;

	(void)arg;
	for (i = 0; i < info->rounds && !failures; i++) {
		uint32_t l = 0x12345678 * (i + 1);
		uint16_t w = l;
		uint8_t b = l;

		asm volatile("outl %0, %w1; inl %w1, %0" : "+a" (l) : "d" (port));
		asm volatile("outw %0, %w1; inw %w1, %0" : "+a" (w) : "d" (port));
		asm volatile("outb %0, %w1; inb %w1, %0" : "+a" (b) : "d" (port));
		if (~l != 0x12345678 * (i + 1) || (uint16_t)~w != (uint16_t)~l ||
		    (uint8_t)~b != (uint8_t)~l)
			fail("CPU %u: read %x %x %x in round %u", this_cpu(), l, w, b, i);
		pio_strings(port);
	}
}

void test_pio(void)
{
	all_call(pio_cpu, 0);
}

static void mmio_cpu(uint64_t arg)
{
	volatile uint64_t *q = (void *)(uintptr_t)(MMIO_AT + 16 * this_cpu());
	uint32_t i;

	(void)arg;
	for (i = 0; i < info->rounds && !failures; i++) {
		uint64_t v = 0x0123456789abcdefull * (i + 1);
		uint64_t q_read, l_read, b_read;

		*q = v;
		q_read = *q;
		l_read = *(volatile uint32_t *)q;
		*(volatile uint8_t *)q = i;
		b_read = *(volatile uint8_t *)q;
		if (q_read != v || l_read != (uint32_t)v || b_read != (uint8_t)i)
			fail("CPU %u: MMIO read %lx, %lx, %lx; want %lx", this_cpu(), q_read, l_read,
			     b_read, v);
	}
}

void test_mmio(void)
{
	all_call(mmio_cpu, 0);
}

/* MSI */

static bool send_msi(const struct shot *s)
{
	return ask_for((struct request){ .op = REQ_MSI, .cpu = s->to, .vector = s->vector }) >= 0;
}

void test_msi(void)
{
	shoot_matrix(&(struct shot){ .send = send_msi, .what = "MSI", .vector = VEC_MSI,
				     .each = 1 }, true);
}

static bool send_msi_logical(const struct shot *s)
{
	return ask_for((struct request){ .op = REQ_MSI, .cpu = s->mask, .vector = s->vector,
					 .mode = MODE_LOGICAL }) >= 0;
}

static bool send_msi_lowest(const struct shot *s)
{
	return ask_for((struct request){ .op = REQ_MSI, .cpu = s->mask, .vector = s->vector,
					 .mode = MODE_LOGICAL | 1 }) >= 0;
}

static bool send_msi_nmi(const struct shot *s)
{
	return ask_for((struct request){ .op = REQ_MSI, .cpu = s->to, .mode = 4 }) >= 0;
}

void test_msi_modes(void)
{
	struct shot s = { .send = send_msi_nmi, .what = "NMI by MSI", .vector = VEC_NMI, .each = 1 };
	enum mode mode;

	shoot_matrix(&s, true);
	for (mode = SPIN; mode < NR_MODES; mode++) {
		for (s.from = 0; s.from < nr_cpus() && !failures; s.from++) {
			s.to = 0;
			s.mask = all_mask();
			s.any = false;
			s.send = send_msi_logical;
			s.what = "logical MSI to all";
			s.vector = VEC_MSI + 1;
			shoot(&s, mode);
			s.any = true;
			s.send = send_msi_lowest;
			s.what = "lowest priority MSI";
			s.vector = VEC_MSI + 2;
			shoot(&s, mode);
		}
	}
}

static bool send_irqfd(const struct shot *s)
{
	return ask_for((struct request){ .op = REQ_IRQFD, .cpu = s->to, .vector = s->vector,
					 .count = 1 }) >= 0;
}

void test_irqfd(void)
{
	shoot_matrix(&(struct shot){ .send = send_irqfd, .what = "MSI by irqfd",
				     .vector = VEC_MSI + 3, .each = 1 }, true);
}

/* The handler lets the line go at its second run: two interrupts and two EOI exits each time. */

static uint32_t pin_of(uint32_t vector)
{
	return vector - VEC_LEVEL;
}

static bool send_level(const struct shot *s)
{
	struct request eois = { .op = REQ_LEVEL_EOIS, .pin = pin_of(s->vector) };
	uint32_t before = cpus[s->to].received[s->vector];

	/* The handler counts first: the line may still be up for the last time. */
	if (!wait_for(ask_for(eois) == (int)before, "pin %u, CPU %u: %u EOI exits, not %u",
		      eois.pin, s->to, ask_for(eois), before))
		return false;
	return ask_for((struct request){ .op = REQ_LEVEL_SET, .pin = pin_of(s->vector),
					 .count = 1 }) >= 0;
}

static void level_matrix(uint32_t pin, enum mode mode)
{
	struct shot s = { .send = send_level, .what = "level-triggered line",
			  .vector = VEC_LEVEL + pin, .each = 2 };
	struct request ask_eois = { .op = REQ_LEVEL_EOIS, .pin = pin };
	int eois = 0;

	for (s.from = 0; s.from < nr_cpus(); s.from++) {
		for (s.to = 0; s.to < nr_cpus() && !failures; s.to++) {
			s.mask = 1u << s.to;
			cpus[s.to].received[s.vector] = 0;
			ask_for((struct request){ .op = REQ_LEVEL_ROUTE, .pin = pin, .cpu = s.to,
						  .vector = s.vector });
			shoot(&s, mode);
			wait_for((eois = ask_for(ask_eois)) == (int)(2 * info->rounds),
				 "pin %u, CPU %u: %u EOI exits of %u", pin, s.to, eois,
				 2 * info->rounds);
		}
	}
}

void test_level(void)
{
	enum mode mode;

	for (mode = SPIN; mode < NR_MODES; mode++) {
		level_matrix(5, mode);
		level_matrix(11, mode);
	}
}

/* Kicks and state: the VMM judges. The target adds up numbers meanwhile. */

static volatile bool adding;

static void add(uint64_t cpu)
{
	uint64_t sum = 0, n = 0;

	while (adding) {
		sum += ++n;
		cpus[cpu].beat++;
	}
	if (sum != n * (n + 1) / 2)
		fail("CPU %lu adds wrongly", cpu);
}

static void disturb(uint32_t cpu, enum request_op op)
{
	uint32_t beat = cpus[cpu].beat;

	ask_for((struct request){ .op = op, .cpu = cpu, .count = info->rounds });
	if (cpu)
		wait_for(cpus[cpu].beat != beat, "CPU %u runs no more", cpu);
}

static void disturb_each(enum request_op op)
{
	uint32_t cpu;
	enum mode mode;

	for (cpu = 0; cpu < nr_cpus() && !failures; cpu++) {
		adding = true;
		if (cpu)
			start(cpu, add, cpu);
		disturb(cpu, op);
		adding = false;
		if (cpu)
			finish(cpu);
	}
	for (mode = HALT; mode < NR_MODES; mode++) {
		for (cpu = 1; cpu < nr_cpus() && !failures; cpu++) {
			listen_prepare(cpu);
			start(cpu, listen, mode);
			wait_for(cpus[cpu].listening, "CPU %u does not listen", cpu);
			ask_for((struct request){ .op = op, .cpu = cpu, .count = info->rounds });
			unlisten(cpu);
			finish(cpu);
		}
	}
}

void test_kick(void)
{
	disturb_each(REQ_KICK);
}

void test_regs(void)
{
	disturb_each(REQ_REGS);
}

/* Memory that is deleted and set again at the same place is always what was written. */

static volatile bool slot_done;

static void slot_use(uint64_t arg)
{
	uint32_t me = this_cpu(), i = 0, n = 0;
	volatile uint64_t *own = (void *)(uintptr_t)(SLOT_AT + 64 * me);

	(void)arg;
	while (!slot_done) {
		volatile uint64_t *p = own + i % 16 * (SLOT_BYTES / 16 / 8);
		uint64_t v = (uint64_t)(me + 1) << 32 | i++;

		*p = v;
		if (*p != v) {
			fail("CPU %u: read %lx where %lx was written", me, *p, v);
			return;
		}
		relax(&n);
	}
}

void test_slot(void)
{
	struct request *r = &requests[0];
	uint32_t i;

	slot_done = false;
	*r = (struct request){ .op = REQ_SLOT, .count = info->rounds * 5 };
	for (i = 1; i < nr_cpus(); i++)
		start(i, slot_use, 0);
	if (ask(r) < 0)
		fail("the VMM cannot set the slot");
	slot_done = true;
	for (i = 1; i < nr_cpus(); i++)
		finish(i);
}
