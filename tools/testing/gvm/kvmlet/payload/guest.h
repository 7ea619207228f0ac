/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's tests share: CPUs that do as CPU 0 says, waits with a limit, the local APIC. */
#ifndef KVMLET_GUEST_H
#define KVMLET_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../proto.h"

/* Vectors. */
enum {
	VEC_NMI = 2,
	VEC_IPI = 0x40,		/* + the sender's number */
	VEC_TIMER = 0x50,
	VEC_SAFETY = 0x51,	/* timer that ends a halt in which nothing came */
	VEC_STOP = 0x52,	/* look at the stop flag */
	VEC_ECHO = 0x58,
	VEC_MSI = 0x60,		/* + the requester's number */
	VEC_LEVEL = 0x70,	/* + pin, below 16 */
	VEC_HIGH = 0x90,
	VEC_SPURIOUS = 0xff,
};

/* The local APIC, x2APIC mode. */
enum {
	APIC_BASE = 0x1b,
	APIC_ID = 0x802,
	APIC_TPR = 0x808,
	APIC_EOI = 0x80b,
	APIC_LDR = 0x80d,
	APIC_SPIV = 0x80f,
	APIC_IRR = 0x820,
	APIC_ICR = 0x830,
	APIC_LVTT = 0x832,
	APIC_TMICT = 0x838,
	APIC_TDCR = 0x83e,
	APIC_SELF = 0x83f,
};

#define ICR_LOWEST	0x100u
#define ICR_NMI		0x400u
#define ICR_INIT	0x500u
#define ICR_SIPI	0x600u
#define ICR_LOGICAL	0x800u
#define ICR_ASSERT	0x4000u
#define ICR_LEVEL	0x8000u
#define ICR_SELF	0x40000u
#define ICR_ALL		0x80000u
#define ICR_OTHERS	0xc0000u

/* What a CPU does while it listens for interrupts. */
enum mode {
	SPIN,			/* runs */
	HALT,			/* hlt */
	IO,			/* is in the VMM most of the time */
	NR_MODES,
	DEAF,			/* hlt, interrupts off */
};

#define CPU_BYTES 16384	/* boot.S shifts by 14 */

/* One CPU; its stack is at the end. Written by others: fn, arg, called, stop. */
struct cpu {
	uint32_t id;
	volatile uint32_t ups;			/* how often it came up */
	void (*volatile fn)(uint64_t arg);
	volatile uint64_t arg;
	volatile uint32_t called, returned;	/* calls of fn */
	volatile uint32_t listening, stop;
	volatile uint32_t beat;			/* moves while it runs */
	volatile uint32_t echo_left, echo_to;
	volatile uint32_t received[256];	/* interrupts */
	struct request lower;			/* of the level handler */
	uint8_t stack[] __attribute__((aligned(4096)));
} __attribute__((aligned(CPU_BYTES)));

_Static_assert(offsetof(struct cpu, stack) == 4096, "data is one page");

/* What a stub in boot.S leaves on the stack. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern const char stubs[], trampoline[], trampoline_end[];
void main(uint32_t id);
void interrupt(const struct frame *f);

extern struct cpu cpus[MAX_CPUS];
extern volatile uint32_t failures;	/* of the current test */
#define info ((const volatile struct info *)INFO)

static inline void outl(uint16_t port, uint32_t v)
{
	asm volatile("outl %0, %1" :: "a" (v), "Nd" (port) : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" :: "c" (msr), "a" ((uint32_t)v), "d" ((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a" (lo), "=d" (hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void irq_on(void)
{
	asm volatile("sti" ::: "memory");
}

static inline void irq_off(void)
{
	asm volatile("cli" ::: "memory");
}

/* x2APIC: a write of ICR is not ordered behind stores. */
static inline void ipi(uint32_t to, uint32_t icr)
{
	asm volatile("mfence; lfence" ::: "memory");
	wrmsr(APIC_ICR, (uint64_t)to << 32 | icr);
}

uint32_t this_cpu(void);
static inline uint32_t nr_cpus(void)
{
	return info->nr_cpus;
}

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_us(void);
void relax(uint32_t *n);
/* What should not come gets a little time to do so. */
void let_pass(uint32_t us);
/* End of a wait that begins now; short once the test has failed. */
uint64_t deadline(void);

/* Wait for a condition; else fail the test with a text. Value: whether it came true. */
#define wait_for(cond, ...)						\
	({								\
		uint64_t end_ = deadline();				\
		uint32_t n_ = 0;					\
		bool ok_;						\
									\
		while (!(ok_ = (cond)) && now_us() < end_)		\
			relax(&n_);					\
		if (!ok_)						\
			fail(__VA_ARGS__);				\
		ok_;							\
	})

void apic_init(void);
/* Use page tables of the CPU's own, or those that all share. */
void tables_load(bool shared);
void timer_oneshot(uint32_t us, uint32_t vector);
void timer_periodic(uint32_t us, uint32_t vector);
void timer_off(void);

/* CPU 0 has another CPU call a function, and waits for its return. */
void start(uint32_t cpu, void (*fn)(uint64_t), uint64_t arg);
bool finish(uint32_t cpu);
/* All CPUs, this one as well, call it at once. */
void all_call(void (*fn)(uint64_t), uint64_t arg);
/* Before start(cpu, listen, mode); the CPU does so until unlisten(). */
void listen_prepare(uint32_t cpu);
void listen(uint64_t mode);
void unlisten(uint32_t cpu);
bool bring_up(uint32_t cpu);

/* Ask the VMM, and wait. Return: its result. */
int ask(struct request *r);

#define TEST_PROTOTYPE(name, what) void test_##name(void);
TESTS(TEST_PROTOTYPE)

#endif
