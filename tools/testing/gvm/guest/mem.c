// SPDX-License-Identifier: GPL-2.0
/* Memory that CPUs share. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "guest.h"

#define PG 4096

/* Meet, twice a round; the same number of CPUs each time. */

static _Atomic unsigned int met;

static void meet(unsigned int nr)
{
	unsigned int n = atomic_fetch_add(&met, 1) / nr + 1, spins = 0;

	while (atomic_load(&met) < n * nr)
		relax(&spins);
}

/*
 * SB and MP: what x86 forbids. A round runs SLOTS instances without waiting, each on lines
 * of its own; the two locations of an instance are in different pages.
 */
#define SLOTS 512
#define ROUNDS 20

struct cell {
	volatile uint32_t v;
	uint32_t pad[15];
};

static struct {
	struct cell x[SLOTS], y[SLOTS];
	uint32_t r[2][SLOTS], s[SLOTS];
} *lit;

static void sb(int cpu, unsigned int i, uint32_t round)
{
	struct cell *mine = cpu ? lit->y : lit->x, *other = cpu ? lit->x : lit->y;

	mine[i].v = round;
	__builtin_ia32_mfence();
	lit->r[cpu][i] = other[i].v;
}

static void mp(int cpu, unsigned int i, uint32_t round)
{
	if (cpu) {
		lit->x[i].v = round;
		asm volatile("" ::: "memory");
		lit->y[i].v = round;
	} else {
		lit->r[0][i] = lit->y[i].v;
		asm volatile("" ::: "memory");
		lit->s[i] = lit->x[i].v;
	}
}

struct litmus {
	void (*run)(int cpu, unsigned int i, uint32_t round);
	bool sb;
};

static void judge(const struct litmus *l, uint32_t round)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (l->sb && lit->r[0][i] != round && lit->r[1][i] != round)
			fail("SB round %u slot %u: both read old values %u %u", round, i,
			     lit->r[0][i], lit->r[1][i]);
		if (!l->sb && lit->r[0][i] == round && lit->s[i] != round)
			fail("MP round %u slot %u: flag new, data old (%u)", round, i, lit->s[i]);
	}
}

static void litmus_cpu(int cpu, void *arg)
{
	const struct litmus *l = arg;
	uint32_t round;
	unsigned int i;

	if (cpu > 1)
		return;
	for (round = 1; round <= ROUNDS; round++) {
		step("%s round %u", l->sb ? "SB" : "MP", round);
		meet(2);
		for (i = 0; i < SLOTS; i++)
			l->run(cpu, l->sb || cpu ? i : SLOTS - 1 - i, round);
		meet(2);
		if (!cpu)
			judge(l, round);
	}
}

static void litmus(void)
{
	struct litmus l[] = { { sb, true }, { mp, false } };
	int i;

	if (nr_cpus() < 2)
		fail("needs two CPUs");
	lit = shared_alloc(sizeof(*lit));
	for (i = 0; i < 2; i++) {
		memset(lit, 0, sizeof(*lit));
		each_cpu(litmus_cpu, &l[i]);
	}
}

/* A counter that all CPUs add to. */

static _Atomic uint64_t *counter;

static void add(int cpu, void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 20000; i++)
		atomic_fetch_add(counter, 1);
	step("CPU %d has added", cpu);
}

static void count(void)
{
	counter = shared_alloc(PG);
	each_cpu(add, NULL);
	if (*counter != 20000ull * nr_cpus())
		fail("the sum is %llu", (unsigned long long)*counter);
}

/* Much memory, written by one CPU and read by the next, each page. */

static uint64_t *big;
static uint64_t big_pages;

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ x >> 29;
}

static void big_fill(int cpu, void *arg)
{
	uint64_t p, seed = *(uint64_t *)arg;
	int n = nr_cpus(), i;

	for (p = cpu; p < big_pages; p += n)
		for (i = 0; i < PG / 8; i += 61)
			big[p * (PG / 8) + i] = mix(p * 512 + i + seed);
}

static void big_check(int cpu, void *arg)
{
	uint64_t p, seed = *(uint64_t *)arg;
	int n = nr_cpus(), i;

	for (p = (cpu + 1) % n; p < big_pages; p += n)
		for (i = 0; i < PG / 8; i += 61)
			if (big[p * (PG / 8) + i] != mix(p * 512 + i + seed))
				fail("CPU %d: page %llu, word %d is wrong", cpu,
				     (unsigned long long)p, i);
}

static void memory(void)
{
	struct sysinfo si;
	uint64_t seed;

	must(!sysinfo(&si));
	big_pages = si.freeram / 2 / PG;
	big = mmap(NULL, big_pages * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(big != MAP_FAILED);
	say("# %llu pages", (unsigned long long)big_pages);
	for (seed = 0; seed < 2; seed++) {
		step("fill, round %d", (int)seed);
		each_cpu(big_fill, &seed);
		step("check, round %d", (int)seed);
		each_cpu(big_check, &seed);
	}
}

/*
 * TLB shootdown: a CPU writes to a page without pause while another puts a second page in
 * its place. Once mmap() has returned, no write reaches the first.
 */
static struct {
	volatile uint64_t *at;		/* either page */
	volatile uint64_t *alias[2];	/* always the same */
	int fd;
	_Atomic bool stop;
} swap;

static void swap_remap(int i)
{
	void *p = mmap((void *)swap.at, PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, swap.fd,
		       (i & 1) * PG);

	must(p == swap.at);
}

static void swap_cpu(int cpu, void *arg)
{
	uint64_t n = 0;
	int i, k;

	(void)arg;
	if (cpu) {
		while (!atomic_load(&swap.stop))
			*swap.at = ++n;
		return;
	}
	for (i = 1; i <= 200; i++) {
		uint64_t before, after;

		step("remap %d", i);
		sleep_us(200);
		swap_remap(i);
		before = *swap.alias[~i & 1];
		for (k = 0; k < 1000; k++)
			__builtin_ia32_pause();
		after = *swap.alias[~i & 1];
		if (after != before)
			fail("remap %d: written through a stale TLB entry", i);
	}
	atomic_store(&swap.stop, true);
}

static void shootdown(void)
{
	void *p;

	if (nr_cpus() < 2)
		fail("needs two CPUs");
	swap.fd = memfd_create("swap", 0);
	must(swap.fd >= 0 && !ftruncate(swap.fd, 2 * PG));
	p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, swap.fd, 0);
	must(p != MAP_FAILED);
	swap.alias[0] = p;
	swap.alias[1] = swap.alias[0] + PG / 8;
	swap.at = shared_alloc(PG);
	swap_remap(0);
	each_cpu(swap_cpu, NULL);
}

const struct test mem_tests[] = {
	{ "litmus", litmus, 180 },
	{ "count", count, 120 },
	{ "memory", memory, 300 },
	{ "shootdown", shootdown, 180 },
	{ 0 },
};
