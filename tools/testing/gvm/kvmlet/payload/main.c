// SPDX-License-Identifier: GPL-2.0
/* The guest's runtime, and the loop over its tests. */
#include "guest.h"

struct cpu cpus[MAX_CPUS];
volatile uint32_t failures;

struct gate {
	uint16_t offset0, selector, type, offset1;
	uint32_t offset2, zero;
};

static struct gate idt[256];
void *memcpy(void *to, const void *from, size_t n)
{
	void *p = to;

	asm volatile("rep movsb" : "+D" (p), "+S" (from), "+c" (n) :: "memory");
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *p = to;

	asm volatile("rep stosb" : "+D" (p), "+c" (n) : "a" (c) : "memory");
	return to;
}

uint32_t this_cpu(void)
{
	return rdmsr(APIC_ID);
}

/* Text: %s, %u, %x, %lu, %lx. */

static char *put_number(char *p, uint64_t v, unsigned int base)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		*p++ = digits[--n];
	return p;
}

static void format(char *p, char *end, const char *fmt, va_list ap)
{
	for (; *fmt && p < end - 24; fmt++) {
		bool wide;

		if (*fmt != '%') {
			*p++ = *fmt;
			continue;
		}
		wide = *++fmt == 'l';
		fmt += wide;
		if (*fmt == 's') {
			const char *s = va_arg(ap, const char *);

			while (*s && p < end - 24)
				*p++ = *s++;
		} else {
			uint64_t v = wide ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t);

			p = put_number(p, v, *fmt == 'x' ? 16 : 10);
		}
	}
	*p = 0;
}

#define send_text(port, fmt)							\
	do {									\
		char text_[200];						\
		va_list ap_;							\
										\
		va_start(ap_, fmt);						\
		format(text_, text_ + sizeof(text_), fmt, ap_);			\
		va_end(ap_);							\
		outl(port, (uintptr_t)text_);					\
	} while (0)

void say(const char *fmt, ...)
{
	send_text(PORT_TEXT, fmt);
}

void fail(const char *fmt, ...)
{
	if (__atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST) <= 8)
		send_text(PORT_TEXT, fmt);
}

void give_up(const char *fmt, ...)
{
	send_text(PORT_ABORT, fmt);
	for (;;)
		asm volatile("cli; hlt");
}

/* Time */

uint64_t now_us(void)
{
	return rdtsc() * 1000 / info->tsc_khz;
}

uint64_t deadline(void)
{
	return now_us() + info->limit_ms * (failures ? 50 : 1000);
}

void relax(uint32_t *n)
{
	asm volatile("pause");
	if (++*n % 1024 == 0)
		outl(PORT_YIELD, 0);
}

void let_pass(uint32_t us)
{
	uint64_t end = now_us() + us;
	uint32_t n = 0;

	while (now_us() < end)
		relax(&n);
}

/* Interrupts */

static void idt_init(void)
{
	int i;

	for (i = 0; i < 256; i++) {
		uint32_t at = (uintptr_t)stubs + i * 16;

		idt[i] = (struct gate){ at, 8, 0x8e00, at >> 16, 0, 0 };
	}
}

static void idt_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uintptr_t)idt };

	asm volatile("lidt %0" :: "m" (idtr));
}

void apic_init(void)
{
	wrmsr(APIC_BASE, rdmsr(APIC_BASE) | 0xc00);
	wrmsr(APIC_SPIV, 0x100 | VEC_SPURIOUS);
	wrmsr(APIC_TPR, 0);
	timer_off();
}

static void timer_set(uint32_t us, uint32_t lvtt)
{
	wrmsr(APIC_TDCR, 0xb);		/* divide by 1 */
	wrmsr(APIC_LVTT, lvtt);
	wrmsr(APIC_TMICT, us * 1000);	/* KVM's APIC bus has 1 GHz */
}

void timer_oneshot(uint32_t us, uint32_t vector)
{
	timer_set(us, vector);
}

void timer_periodic(uint32_t us, uint32_t vector)
{
	timer_set(us, 1 << 17 | vector);
}

void timer_off(void)
{
	timer_set(0, 1 << 16);
}

/* The line stays up over the first EOI, so it must interrupt again. Then it goes down. */
static void level_interrupt(struct cpu *c, uint32_t pin)
{
	if (c->received[VEC_LEVEL + pin] % 2)
		return;
	c->lower = (struct request){ .op = REQ_LEVEL_SET, .pin = pin };
	if (ask(&c->lower))
		fail("CPU %u: pin %u does not go down", c->id, pin);
}

void interrupt(const struct frame *f)
{
	struct cpu *c = &cpus[this_cpu()];

	c->received[f->vector]++;
	if (f->vector < 32) {
		if (f->vector != VEC_NMI)
			give_up("CPU %u: exception %lu, error %lx, at %lx, rsp %lx", c->id,
				f->vector, f->error, f->rip, f->rsp);
		return;
	}
	if (f->vector == VEC_ECHO && c->echo_left) {
		c->echo_left--;
		ipi(c->echo_to, VEC_ECHO);
	} else if (f->vector >= VEC_LEVEL && f->vector < VEC_LEVEL + 16) {
		level_interrupt(c, f->vector - VEC_LEVEL);
	}
	if (f->vector != VEC_SPURIOUS)
		wrmsr(APIC_EOI, 0);
}

/*
 * Page tables of each CPU's own. A walk counts as a write for nested paging (on AMD always, on
 * Intel with EPT's accessed bits), so CPUs on several servers that share tables take them from
 * each other at every TLB miss. Test tables does that on purpose.
 *
 * They are not written while they are in use, half an entry maps anything: one's own are made
 * with the shared ones loaded.
 */

#define TABLE_PAGES 6

static uint64_t tables[MAX_CPUS][TABLE_PAGES][512] __attribute__((aligned(4096)));

void tables_load(bool shared)
{
	uint64_t (*t)[512] = tables[this_cpu()];
	uint32_t i;

	if (!shared) {
		memcpy(t, (void *)PAGE_TABLES, sizeof(tables[0]));
		t[0][0] = (uintptr_t)t[1] | 3;
		for (i = 0; i < 4; i++)
			t[1][i] = (uintptr_t)t[2 + i] | 3;
	}
	asm volatile("mov %0, %%cr3" :: "r" (shared ? PAGE_TABLES : (uintptr_t)t) : "memory");
}

/* CPUs */

void start(uint32_t cpu, void (*fn)(uint64_t), uint64_t arg)
{
	struct cpu *c = &cpus[cpu];

	c->fn = fn;
	c->arg = arg;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	c->called++;
}

bool finish(uint32_t cpu)
{
	struct cpu *c = &cpus[cpu];

	return wait_for(c->returned == c->called, "CPU %u does not end what it was told", cpu);
}

void all_call(void (*fn)(uint64_t), uint64_t arg)
{
	uint32_t i;

	for (i = 1; i < nr_cpus(); i++)
		start(i, fn, arg);
	fn(arg);
	for (i = 1; i < nr_cpus(); i++)
		finish(i);
}

static void serve(struct cpu *c)
{
	for (;;) {
		uint32_t n = 0;

		while (c->returned == c->called) {
			asm volatile("pause");
			if (++n % 256 == 0)
				outl(PORT_YIELD, 200);
		}
		c->fn(c->arg);
		c->returned++;
	}
}

void listen_prepare(uint32_t cpu)
{
	cpus[cpu].listening = 0;
	cpus[cpu].stop = 0;
}

void listen(uint64_t mode)
{
	struct cpu *c = &cpus[this_cpu()];

	if (mode == HALT)
		timer_periodic(200000, VEC_SAFETY);
	irq_off();
	c->listening = 1;
	while (!c->stop) {
		c->beat++;
		if (mode == HALT) {
			asm volatile("sti; hlt; cli" ::: "memory");
		} else if (mode == DEAF) {
			asm volatile("hlt" ::: "memory");
		} else {
			if (mode == IO)
				outl(PORT_YIELD, 0);
			/* Not pause: QEMU 7.2's TCG extends the shadow of sti over it. */
			asm volatile("sti; nop; nop; cli" ::: "memory");
		}
	}
	irq_on();
	if (mode == HALT)
		timer_off();
}

void unlisten(uint32_t cpu)
{
	cpus[cpu].stop = 1;
	ipi(cpu, VEC_STOP);
}

int ask(struct request *r)
{
	r->done = 0;
	outl(PORT_REQUEST, (uintptr_t)r);
	if (!wait_for(r->done, "request %u: no answer from the VMM", r->op))
		return -1;
	return r->result;
}

/* Tests */

static const struct {
	void (*run)(void);
	const char *name;
} tests[] = {
#define TEST_ROW(name, what) [TEST_##name] = { test_##name, #name },
	TESTS(TEST_ROW)
};

static void run_tests(void)
{
	uint32_t i, k;

	for (i = 0; i < NR_TESTS; i++) {
		if (!(info->tests >> i & 1))
			continue;
		failures = 0;
		outl(PORT_TEST, i);
		tests[i].run();
		outl(failures ? PORT_FAIL : PORT_OK, i);
		failures = 0;
		for (k = 1; k < nr_cpus(); k++)
			if (cpus[k].ups && cpus[k].returned != cpus[k].called && !finish(k))
				give_up("CPU %u is lost in %s", k, tests[i].name);
		if (i == TEST_ap_up)
			for (k = 1; k < nr_cpus(); k++)
				if (!cpus[k].ups)
					give_up("not all CPUs are up");
	}
	outl(PORT_END, 0);
}

void main(uint32_t id)
{
	struct cpu *c = &cpus[id];

	if (!id)
		idt_init();
	idt_load();
	apic_init();
	tables_load(false);
	c->id = id;
	c->returned = c->called;
	irq_on();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	c->ups++;
	if (id)
		serve(c);
	run_tests();
}
