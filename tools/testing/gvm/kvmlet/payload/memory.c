// SPDX-License-Identifier: GPL-2.0
/* Shared memory and time. */
#include "shot.h"

#define PG 4096
#define SLOTS 64

/* A meeting of some CPUs; each makes the same number of calls. */
static volatile uint32_t met;

static bool meet(uint32_t nr, uint32_t *n)
{
	*n += nr;
	__atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST);
	return wait_for((int32_t)(met - *n) >= 0, "CPU %u waits for others", this_cpu());
}

/* A turn goes round, and data with it, in a page of its own or in the turn's. */

static struct {
	volatile uint32_t turn;
	volatile uint64_t near;
	uint8_t pad[PG - 16];
	volatile uint64_t far[PG / 8];
} __attribute__((aligned(PG))) baton;

static void turns(uint64_t arg)
{
	uint32_t me = this_cpu(), i, k;

	(void)arg;
	for (i = me; i < info->rounds * 5 * nr_cpus(); i += nr_cpus()) {
		if (!wait_for(baton.turn == i, "CPU %u: turn %u does not come, it is %u", me, i,
			      baton.turn))
			return;
		for (k = 0; k < PG / 8; k += 64)
			if (baton.far[k] != i || baton.near != i)
				fail("CPU %u: turn %u, but the data is %lu, %lu", me, i, baton.far[k],
				     baton.near);
		for (k = 0; k < PG / 8; k += 64)
			baton.far[k] = i + 1;
		baton.near = i + 1;
		baton.turn = i + 1;
	}
}

void test_turns(void)
{
	uint32_t k;

	baton.turn = 0;
	baton.near = 0;
	for (k = 0; k < PG / 8; k++)
		baton.far[k] = 0;
	all_call(turns, 0);
}

/* Litmus tests between CPUs 0 and arg: locations in two pages, a line an instance. */

struct line {
	volatile uint32_t v;
	uint32_t pad[15];
};

static struct {
	struct line x[SLOTS], y[SLOTS];
	uint32_t r[2][SLOTS], s[SLOTS];
} __attribute__((aligned(PG))) lit;

static void sb(uint32_t who, uint32_t i, uint32_t round)
{
	struct line *mine = who ? lit.y : lit.x, *other = who ? lit.x : lit.y;

	mine[i].v = round;
	asm volatile("mfence" ::: "memory");
	lit.r[who][i] = other[i].v;
}

static void mp(uint32_t who, uint32_t i, uint32_t round)
{
	if (who) {
		lit.x[i].v = round;
		lit.y[i].v = round;
	} else {
		lit.r[0][SLOTS - 1 - i] = lit.y[SLOTS - 1 - i].v;
		lit.s[SLOTS - 1 - i] = lit.x[SLOTS - 1 - i].v;
	}
}

static void (*litmus_run)(uint32_t who, uint32_t i, uint32_t round);

static void litmus_judge(uint32_t round)
{
	uint32_t i;

	for (i = 0; i < SLOTS; i++) {
		if (litmus_run == sb && lit.r[0][i] != round && lit.r[1][i] != round)
			fail("SB: round %u, instance %u: both read old values", round, i);
		if (litmus_run == mp && lit.r[0][i] == round && lit.s[i] != round)
			fail("MP: round %u, instance %u: the flag is new, the data old", round, i);
	}
}

static void litmus_cpu(uint64_t with)
{
	uint32_t me = this_cpu(), round, i, n = 0, spin = 0;

	if (me && me != with)
		return;
	for (round = 1; round <= info->rounds * 4; round++) {
		if (!meet(2, &n))
			return;
		for (i = 0; i < SLOTS; i++) {
			litmus_run(!!me, i, round);
			if (i % 16 == round % 16)
				relax(&spin);
		}
		if (!meet(2, &n))
			return;
		if (!me)
			litmus_judge(round);
	}
}

static void litmus(void (*run)(uint32_t, uint32_t, uint32_t))
{
	uint32_t i;

	litmus_run = run;
	for (i = 1; i < nr_cpus() && !failures; i++) {
		memset(&lit, 0, sizeof(lit));
		met = 0;
		all_call(litmus_cpu, i);
	}
}

void test_sb(void)
{
	litmus(sb);
}

void test_mp(void)
{
	litmus(mp);
}

static volatile uint64_t counter __attribute__((aligned(PG)));

static void count(uint64_t n)
{
	while (n--)
		__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
}

void test_atomics(void)
{
	uint32_t i;

	counter = 0;
	for (i = 0; i < info->rounds; i++)
		all_call(count, 1000);
	if (counter != 1000ul * info->rounds * nr_cpus())
		fail("the counter is %lu, want %lu", (uint64_t)counter,
		     1000ul * info->rounds * nr_cpus());
}

/* Each CPU's timer runs while IPIs go round. */

static void timer_cpu(uint64_t arg)
{
	uint32_t me = this_cpu(), to = (me + 1) % nr_cpus(), i;
	struct cpu *c = &cpus[me];

	(void)arg;
	for (i = 0; i < info->rounds && !failures; i++) {
		uint32_t fired = c->received[VEC_TIMER], n = cpus[to].received[VEC_IPI + me];
		uint64_t begin = now_us(), took;

		timer_oneshot(5000, VEC_TIMER);
		ipi(to, VEC_IPI + me);
		wait_for(c->received[VEC_TIMER] != fired, "CPU %u: timer %u does not fire", me, i);
		took = now_us() - begin;
		if (took < 4990)
			fail("CPU %u: a timer of 5 ms took %lu us", me, took);
		wait_for(cpus[to].received[VEC_IPI + me] == n + 1, "CPU %u: IPI to %u is lost", me, to);
		let_pass(3000);
		if (c->received[VEC_TIMER] != fired + 1)
			fail("CPU %u: one shot, %u interrupts", me, c->received[VEC_TIMER] - fired);
	}
	timer_periodic(2000, VEC_TIMER);
	i = c->received[VEC_TIMER];
	wait_for(c->received[VEC_TIMER] - i >= 5, "CPU %u: the periodic timer stops", me);
	timer_off();
}

void test_timer(void)
{
	all_call(timer_cpu, 0);
}

/* Page tables that all CPUs walk at once, as a kernel's are. */

static volatile uint32_t walked[MAX_CPUS][PG / 4] __attribute__((aligned(PG)));

static void walk(uint64_t rounds)
{
	uint32_t me = this_cpu(), i, n = 0;

	tables_load(true);
	for (i = 0; i < rounds && !failures; i++) {
		/* A write to CR3 flushes: all that follows is walked for. */
		tables_load(true);
		if (++walked[me][i % 64] != i / 64 + 1)
			fail("CPU %u: its counter is %u in round %u", me, walked[me][i % 64], i);
		relax(&n);
	}
	tables_load(false);
}

void test_tables(void)
{
	memset((void *)walked, 0, sizeof(walked));
	all_call(walk, info->rounds * 5);
}

/* More memory than a server may keep: host test sum. A step at a time, as a wait has a limit. */

#define FILL_STEP	32

static uint64_t fill_word(uint32_t page, uint32_t word, uint32_t age)
{
	return ((uint64_t)page << 32 | word << 16 | age) * 0x9e3779b97f4a7c15;
}

static volatile uint64_t *fill_page(uint32_t page)
{
	return (volatile uint64_t *)(uintptr_t)(FILL_AT + page * PG);
}

static void fill_write(uint32_t page, uint32_t age)
{
	volatile uint64_t *p = fill_page(page);

	p[page % 512] = fill_word(page, 0, age);
	p[(page + 256) % 512] = fill_word(page, 1, age);
}

static void fill_read(uint64_t arg)
{
	uint32_t first = arg, age = arg >> 32, page;

	for (page = first; page < first + FILL_STEP && !failures; page++) {
		volatile uint64_t *p = fill_page(page);

		if (p[page % 512] != fill_word(page, 0, age) ||
		    p[(page + 256) % 512] != fill_word(page, 1, age) || p[(page + 128) % 512])
			fail("CPU %u: page %u has %lx %lx %lx at its %u. age", this_cpu(), page,
			     p[page % 512], p[(page + 256) % 512], p[(page + 128) % 512], age);
	}
}

static void fill_change(uint64_t arg)
{
	uint32_t first = arg, age = arg >> 32, page;

	for (page = first + this_cpu(); page < first + FILL_STEP; page += nr_cpus())
		fill_write(page, age);
}

void test_fill(void)
{
	uint32_t most = (RAM_BYTES - FILL_AT) / PG / FILL_STEP, nr = info->rounds, i, page;

	nr = (nr < most ? nr : most) * FILL_STEP;
	for (page = 0; page < nr; page++) {
		for (i = 0; i < 512; i++)
			fill_page(page)[i] = 0;
		fill_write(page, 0);
	}
	for (i = 0; i < 2 && !failures; i++) {
		for (page = 0; page < nr; page += FILL_STEP)
			all_call(fill_read, page | (uint64_t)i << 32);
		for (page = 0; page < nr && !i; page += FILL_STEP)
			all_call(fill_change, page | 1ull << 32);
	}
}

static struct {
	volatile uint32_t turn;
	volatile uint64_t tsc;
} clock __attribute__((aligned(PG)));

static void tsc(uint64_t arg)
{
	uint32_t me = this_cpu(), i;

	(void)arg;
	for (i = me; i < info->rounds * 5 * nr_cpus(); i += nr_cpus()) {
		uint64_t now;

		if (!wait_for(clock.turn == i, "CPU %u: turn %u does not come", me, i))
			return;
		now = rdtsc();
		if (now < clock.tsc)
			fail("CPU %u: TSC %lu after %lu on CPU %u: back by %lu ns", me, now, clock.tsc,
			     (me ? me : nr_cpus()) - 1,
			     (clock.tsc - now) * 1000000 / info->tsc_khz);
		clock.tsc = now;
		clock.turn = i + 1;
	}
}

void test_tsc(void)
{
	clock.turn = 0;
	clock.tsc = 0;
	all_call(tsc, 0);
}

/* All of it at once; each CPU rolls its own dice. */

static struct {
	volatile uint32_t lock;
	volatile uint64_t a, b;
} account __attribute__((aligned(PG)));

static void account_add(void)
{
	uint32_t n = 0;

	while (__atomic_exchange_n(&account.lock, 1, __ATOMIC_ACQUIRE))
		relax(&n);
	if (account.a != account.b)
		fail("CPU %u: %lu and %lu differ under the lock", this_cpu(), account.a, account.b);
	account.a++;
	account.b++;
	__atomic_store_n(&account.lock, 0, __ATOMIC_RELEASE);
}

static struct request mix_request[MAX_CPUS];

static void mix_one(uint32_t me, uint32_t dice)
{
	uint32_t to = dice / 8 % nr_cpus();
	uint32_t vector = (dice & 1 ? VEC_IPI : VEC_MSI) + me;
	uint32_t before = cpus[to].received[vector];

	switch (dice & 7) {
	case 1:
	case 3:
		ipi(to, vector);
		break;
	case 0:
	case 2:
		mix_request[me] = (struct request){ .op = REQ_MSI, .cpu = to, .vector = vector };
		if (ask(&mix_request[me]) < 0)
			fail("CPU %u: MSI failed", me);
		break;
	case 4:
		timer_oneshot(1000, VEC_TIMER);
		return;
	case 5:
		outl(PORT_ECHO + 2 * me, dice);
		return;
	default:
		account_add();
		return;
	}
	wait_for(cpus[to].received[vector] == before + 1, "CPU %u to %u: vector %x came %u times", me,
		 to, vector, cpus[to].received[vector] - before);
}

static void mix(uint64_t arg)
{
	uint32_t me = this_cpu(), i;
	uint64_t dice = arg * 8 + me + 1;

	for (i = 0; i < info->rounds * 20 && !failures; i++) {
		dice = dice * 6364136223846793005ull + 1442695040888963407ull;
		mix_one(me, dice >> 33);
	}
	timer_off();
}

void test_mix(void)
{
	account.a = 0;
	account.b = 0;
	all_call(mix, 42);
}
