// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests of the memory model over nodes: what x86-TSO forbids must not be
 * seen, whatever node a thread runs on and wherever the locations live.
 *
 * A round runs INSTANCES independent instances.  Locations are never reset: a
 * write of value v in round r stores r << 2 | v, and whatever is from an older
 * round counts as 0.  The slots of a page are visited in an order of each
 * thread's own with pauses about as long as a page needs to travel, so that
 * pages change hands in the middle of instances.
 *
 * DSM_LITMUS_WEAK=1 puts a broken memory between the threads and the file
 * (store buffers that drain in any order, stale copies); then each test must
 * see what it forbids, or it is no test.  "make check" does that.
 */
#include <pthread.h>
#include <sys/ioctl.h>

#include "shared.h"
#include "uapi/dsm.h"

#define GROUPS		8
#define SLOTS		64
#define INSTANCES	(GROUPS * SLOTS)
#define MAX_LOCS	2
#define MAX_THREADS	4
#define MAX_REGS	4
#define CTL_PAGE	(GROUPS * MAX_LOCS)
#define RES_PAGE	(CTL_PAGE + 1)
#define ALL_PAGES	(RES_PAGE + MAX_REGS)
#define WEAK_BUF	32

enum layout { SAME_PAGE, PAGES_ONE_HOME, PAGES_TWO_HOMES };

struct weak_store {
	uint32_t *loc;
	uint32_t val;
};

struct thread {
	uint8_t *base;
	enum layout layout;
	const struct litmus *test;
	int nr;
	uint32_t round;
	int inst;
	unsigned int own_regs;
	uint64_t rng;
	uint32_t reg[MAX_REGS][INSTANCES];
	struct weak_store buf[WEAK_BUF];
	int nr_buf;
	uint8_t stale[GROUPS * MAX_LOCS * PG];
	pthread_t thread;
};

struct litmus {
	const char *name;
	int threads;
	int regs;
	int finals;		/* locations read after all is over */
	void (*run)(struct thread *t, int nr);
	bool (*forbidden)(const uint8_t *o);
	void (*late)(struct thread *t, int nr);	/* broken memory only: after a page */
};

static bool weak;

static uint32_t *loc(const struct thread *t, uint8_t *base, int inst, int l)
{
	int group = inst / SLOTS, slot = inst % SLOTS;

	if (t->layout == SAME_PAGE)
		return (void *)(base + group * PG + slot * 64 + l * 16);
	return (void *)(base + (group * MAX_LOCS + l) * PG + slot * 64);
}

static void spin_us(uint64_t us)
{
	uint64_t end = now_us() + us;

	while (now_us() < end)
		;
}

/* Before every access: the page may well go away right here. */
static void dawdle(struct thread *t)
{
	uint32_t dice = rnd(&t->rng) >> 32;

	if (dice % 64 == 0)
		pause_us(dice / 64 % 300);
	else if (dice % 64 == 1)
		spin_us(dice / 64 % 100);
}

static void weak_drain(struct thread *t, int keep)
{
	while (t->nr_buf > keep) {
		int i = rnd(&t->rng) % t->nr_buf;

		WRITE_ONCE(*t->buf[i].loc, t->buf[i].val);
		t->buf[i] = t->buf[--t->nr_buf];
	}
}

static void st(struct thread *t, int l, uint32_t v)
{
	uint32_t *p = loc(t, t->base, t->inst, l);

	v |= t->round << 2;
	dawdle(t);
	if (!weak) {
		asm volatile("movl %1, %0" : "=m" (*p) : "r" (v) : "memory");
		return;
	}
	/* The others' buffers are short: some outcomes want one thread late. */
	weak_drain(t, t->nr ? 1 : WEAK_BUF - 1);
	t->buf[t->nr_buf++] = (struct weak_store){ p, v };
	if (rnd(&t->rng) % 32 == 0)
		weak_drain(t, rnd(&t->rng) % WEAK_BUF);
}

static void ld(struct thread *t, int l, int reg)
{
	uint32_t *p = loc(t, t->base, t->inst, l), v;

	dawdle(t);
	if (weak && rnd(&t->rng) % 2)
		p = loc(t, t->stale, t->inst, l);
	asm volatile("movl %1, %0" : "=r" (v) : "m" (*p) : "memory");
	t->reg[reg][t->inst] = v;
	t->own_regs |= 1u << reg;
}

static void fence(void)
{
	/* Between the store and the load of SB, in both threads. */
	if (!weak)
		asm volatile("mfence" : : : "memory");
}

/* Registers are numbered over all threads: a thread owns its own. */
static void sb_run(struct thread *t, int nr)
{
	st(t, nr, 1);
	ld(t, !nr, nr);
}

static void sb_mb_run(struct thread *t, int nr)
{
	st(t, nr, 1);
	fence();
	ld(t, !nr, nr);
}

static void mp_run(struct thread *t, int nr)
{
	if (nr == 0) {
		st(t, 0, 1);
		st(t, 1, 1);
	} else {
		ld(t, 1, 0);
		ld(t, 0, 1);
	}
}

static void lb_run(struct thread *t, int nr)
{
	if (!weak)	/* else lb_late() loads */
		ld(t, nr, nr);
	st(t, !nr, 1);
}

static void lb_late(struct thread *t, int nr)
{
	ld(t, nr, nr);
}

static void iriw_run(struct thread *t, int nr)
{
	if (nr < 2) {
		st(t, nr, 1);
	} else {
		ld(t, nr - 2, (nr - 2) * 2);
		ld(t, 3 - nr, (nr - 2) * 2 + 1);
	}
}

static void wrc_run(struct thread *t, int nr)
{
	if (nr == 0) {
		st(t, 0, 1);
	} else if (nr == 1) {
		ld(t, 0, 0);
		if (t->reg[0][t->inst] == (t->round << 2 | 1))
			st(t, 1, 1);
	} else {
		ld(t, 1, 1);
		ld(t, 0, 2);
	}
}

static void corr_run(struct thread *t, int nr)
{
	if (nr == 0) {
		st(t, 0, 1);
		st(t, 0, 2);
	} else {
		ld(t, 0, 0);
		ld(t, 0, 1);
		ld(t, 0, 2);
	}
}

static void two_two_w_run(struct thread *t, int nr)
{
	st(t, nr, 1);
	st(t, !nr, 2);
}

static void s_run(struct thread *t, int nr)
{
	if (nr == 0) {
		st(t, 0, 2);
		st(t, 1, 1);
	} else {
		ld(t, 1, 0);
		if (t->reg[0][t->inst] == (t->round << 2 | 1))
			st(t, 0, 1);
	}
}

static bool never(const uint8_t *o)
{
	(void)o;
	return false;
}

static bool both_0(const uint8_t *o) { return !o[0] && !o[1]; }
static bool both_1(const uint8_t *o) { return o[0] == 1 && o[1] == 1; }
static bool one_zero(const uint8_t *o) { return o[0] == 1 && !o[1]; }
static bool iriw_bad(const uint8_t *o) { return o[0] == 1 && !o[1] && o[2] == 1 && !o[3]; }
static bool wrc_bad(const uint8_t *o) { return o[0] == 1 && o[1] == 1 && !o[2]; }
static bool corr_bad(const uint8_t *o) { return o[0] > o[1] || o[1] > o[2]; }
static bool s_bad(const uint8_t *o) { return o[0] == 1 && o[1] == 2; }

static const struct litmus sb = { "SB", 2, 2, 0, sb_run, never, NULL };
static const struct litmus sb_mb = { "SB+mfence", 2, 2, 0, sb_mb_run, both_0, NULL };
static const struct litmus mp = { "MP", 2, 2, 0, mp_run, one_zero, NULL };
static const struct litmus lb = { "LB", 2, 2, 0, lb_run, both_1, lb_late };
static const struct litmus iriw = { "IRIW", 4, 4, 0, iriw_run, iriw_bad, NULL };
static const struct litmus wrc = { "WRC", 3, 3, 0, wrc_run, wrc_bad, NULL };
static const struct litmus corr = { "CoRR", 2, 3, 0, corr_run, corr_bad, NULL };
static const struct litmus two_two_w = { "2+2W", 2, 0, 2, two_two_w_run, both_1, NULL };
static const struct litmus s = { "S", 2, 1, 1, s_run, s_bad, NULL };

static void *sweep(void *arg)
{
	struct thread *t = arg;
	uint32_t mul = 1, off = 0, same = t->round * 2654435761u;
	int first = 0, step = 1;

	/* Mostly all threads go the same way; sometimes they cross. */
	if (rnd(&t->rng) % 4 == 0) {
		first = rnd(&t->rng) % GROUPS;
		step = GROUPS - 1;
	}
	if (weak)
		memcpy(t->stale, t->base, sizeof(t->stale));
	for (int g = 0; g < GROUPS; g++) {
		int group = (first + g * step) % GROUPS;
		bool alone = rnd(&t->rng) % 4 == 0;

		mul = (alone ? rnd(&t->rng) : same >> 8) | 1;
		off = alone ? rnd(&t->rng) : same >> 16;
		for (uint32_t k = 0; k < SLOTS; k++) {
			t->inst = group * SLOTS + ((k * mul + off) & (SLOTS - 1));
			t->test->run(t, t->nr);
		}
		if (!weak || !t->test->late)
			continue;
		weak_drain(t, 0);
		for (t->inst = group * SLOTS; t->inst < (group + 1) * SLOTS; t->inst++)
			t->test->late(t, t->nr);
	}
	weak_drain(t, 0);
	return NULL;
}

static uint8_t decode(struct __test_metadata *_metadata, const struct thread *t, uint32_t v)
{
	if (v >> 2 == t->round)
		return v & 3;
	EXPECT_LT(v >> 2, t->round) TH_LOG("a value of the future: %#x", v);
	return 0;
}

static void judge(struct __test_metadata *_metadata, const struct thread *t,
		  unsigned long *hist, unsigned long *bad)
{
	const struct litmus *test = t->test;

	for (int i = 0; i < INSTANCES; i++) {
		uint8_t o[MAX_REGS] = { 0 };
		int key = 0;

		for (int r = 0; r < test->regs; r++) {
			uint32_t *res = (void *)(t->base + (RES_PAGE + r) * PG);

			/* The owner of the register tags it with the round as well. */
			EXPECT_EQ(t->round, res[INSTANCES]) TH_LOG("stale results");
			o[r] = decode(_metadata, t, res[i]);
		}
		for (int f = 0; f < test->finals; f++)
			o[test->regs + f] = decode(_metadata, t, *loc(t, t->base, i, f));
		for (int r = 0; r < test->regs + test->finals; r++)
			key = key * 4 + o[r];
		hist[key]++;
		*bad += test->forbidden(o);
	}
}

static void set_place(struct __test_metadata *_metadata, int fd, enum layout layout)
{
	struct dsm_ioc_place p = {
		.policy = layout == PAGES_ONE_HOME ? DSM_PLACE_NODE : DSM_PLACE_INTERLEAVE,
		.node = dsm_nodes - 1,
	};

	if (dsm_real && dsm_node == 0)
		ASSERT_EQ(0, ioctl(fd, DSM_IOC_SET_PLACE, &p)) TH_LOG("SET_PLACE: %m");
}

static void publish(struct thread *t)
{
	for (int r = 0; r < t->test->regs; r++) {
		uint32_t *res = (void *)(t->base + (RES_PAGE + r) * PG);

		if (!(t->own_regs & 1u << r))
			continue;
		memcpy(res, t->reg[r], INSTANCES * sizeof(*res));
		res[INSTANCES] = t->round;
	}
}

static void run_litmus(struct __test_metadata *_metadata, struct _test_data_shared *self,
		       const struct litmus *test, enum layout layout, unsigned long rounds)
{
	static const char *const name[] = { "same page", "pages of one home", "pages of two homes" };
	unsigned long hist[256] = { 0 }, bad = 0;
	struct thread *t = calloc(test->threads, sizeof(*t));
	struct mem_barrier *b;
	char line[512];
	int n = 0;

	ASSERT_NE(NULL, t);
	shared_open(_metadata, self, 0);
	set_place(_metadata, self->fd, layout);
	SYNC();
	if (dsm_node == 0)
		ASSERT_EQ(0, ftruncate(self->fd, ALL_PAGES * PG));
	SYNC();
	self->p = mmap(NULL, ALL_PAGES * PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	b = (void *)(self->p + CTL_PAGE * PG);
	for (int i = 0; i < test->threads; i++) {
		t[i].base = self->p;
		t[i].layout = layout;
		t[i].test = test;
		t[i].nr = i;
		t[i].rng = rnd_seed() + 2 * i;
	}
	SYNC();
	for (unsigned long round = 1; round <= rounds; round++) {
		ASSERT_EQ(0, mem_barrier_wait(b, dsm_nodes, 20000)) TH_LOG("round %lu", round);
		for (int i = 0; i < test->threads; i++) {
			if ((i + (int)round) % dsm_nodes != dsm_node)
				continue;
			t[i].round = round;
			ASSERT_EQ(0, pthread_create(&t[i].thread, NULL, sweep, &t[i]));
		}
		for (int i = 0; i < test->threads; i++) {
			if ((i + (int)round) % dsm_nodes != dsm_node)
				continue;
			pthread_join(t[i].thread, NULL);
			publish(&t[i]);
		}
		ASSERT_EQ(0, mem_barrier_wait(b, dsm_nodes, 20000)) TH_LOG("round %lu", round);
		if (dsm_node == 0) {
			t[0].round = round;
			judge(_metadata, &t[0], hist, &bad);
		}
	}
	free(t);
	if (dsm_node)
		return;
	for (int key = 0; key < 256; key++) {
		char digits[MAX_REGS + 1] = "";
		int nr = test->regs + test->finals;

		for (int r = 0; r < nr; r++)
			digits[r] = '0' + (key >> 2 * (nr - 1 - r) & 3);
		if (hist[key])
			n += snprintf(line + n, sizeof(line) - n, " %s:%lu", digits, hist[key]);
	}
	TH_LOG("%s, %s:%s forbidden:%lu", test->name, name[layout], line, bad);
	ASSERT_EQ(weak && test->forbidden != never, bad != 0)
		TH_LOG("%s%s", test->name, weak ? " cannot see a broken memory" : "");
}

/* 3 layouts of 7168 instances make 21504. */
#define LITMUS(test)								\
	SHARED_TEST(test##_same_page) {						\
		run_litmus(_metadata, self, &test, SAME_PAGE, dsm_scale(14)); }	\
	SHARED_TEST(test##_one_home) {						\
		run_litmus(_metadata, self, &test, PAGES_ONE_HOME, dsm_scale(14)); } \
	SHARED_TEST(test##_two_homes) {						\
		run_litmus(_metadata, self, &test, PAGES_TWO_HOMES, dsm_scale(14)); }

LITMUS(sb)
LITMUS(sb_mb)
LITMUS(mp)
LITMUS(lb)
LITMUS(corr)
LITMUS(two_two_w)
LITMUS(s)
LITMUS(wrc)
LITMUS(iriw)

int main(int argc, char **argv)
{
	weak = getenv("DSM_LITMUS_WEAK");
	return test_harness_run(argc, argv);
}
