// SPDX-License-Identifier: GPL-2.0
/* Random traffic with an oracle; contention with a minimum for everyone. */
#include <sched.h>
#include <sys/ioctl.h>

#include "shared.h"
#include "uapi/dsm.h"

/*
 * The oracle: a page is LINES lines, a line belongs to one writer, which knows
 * what it wrote.  A line is a version and words made from it, so that a reader
 * sees a torn line, a lost one, one from elsewhere, and, since it remembers,
 * one that went back in time.
 */
#define LINES	16
#define WORDS	(PG / LINES / 8)

struct line {
	atomic_uint_least64_t lock;		/* odd: being written */
	atomic_uint_least64_t word[WORDS - 1];
};

static uint64_t word_of(uint64_t version, unsigned long page, int line, int i)
{
	return version ? (version ^ page << 20 ^ line << 8 ^ i) * 0x9e3779b97f4a7c15ull : 0;
}

static void line_write(struct line *l, unsigned long page, int line, uint64_t version)
{
	atomic_store(&l->lock, version * 2 - 1);
	for (int i = 0; i < WORDS - 1; i++)
		atomic_store_explicit(&l->word[i], word_of(version, page, line, i), memory_order_relaxed);
	atomic_store(&l->lock, version * 2);
}

/* Return: 0; 1 if it is being written; -1 if it is wrong. */
static int line_read(struct line *l, unsigned long page, int line, uint64_t *version)
{
	uint64_t v = atomic_load(&l->lock), w[WORDS - 1];

	if (v & 1)
		return 1;
	for (int i = 0; i < WORDS - 1; i++)
		w[i] = atomic_load_explicit(&l->word[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&l->lock) != v)
		return 1;
	*version = v / 2;
	for (int i = 0; i < WORDS - 1; i++)
		if (w[i] != word_of(v / 2, page, line, i))
			return -1;
	return 0;
}

struct oracle {
	unsigned long pages;
	uint64_t *seen;			/* of every line: version last seen, or written */
	unsigned long writes, reads, skipped;
};

/* Lines are dealt to the nodes round robin. */
static bool line_is_mine(unsigned long page, int line)
{
	return (int)((page + line) % dsm_nodes) == dsm_node;
}

static void oracle_step(struct __test_metadata *_metadata, struct oracle *o, uint8_t *base,
			unsigned long page, int line)
{
	struct line *l = (void *)(base + page * PG + line * (PG / LINES));
	uint64_t *seen = &o->seen[page * LINES + line], v = 0;
	int ret;

	if (line_is_mine(page, line)) {
		ASSERT_EQ(0, line_read(l, page, line, &v)) TH_LOG("own line %lu:%d", page, line);
		ASSERT_EQ(*seen, v) TH_LOG("own write of line %lu:%d lost", page, line);
		line_write(l, page, line, ++*seen);
		o->writes++;
		return;
	}
	ret = line_read(l, page, line, &v);
	if (ret > 0) {
		o->skipped++;
		return;
	}
	ASSERT_EQ(0, ret) TH_LOG("line %lu:%d of version %lu is wrong", page, line, v);
	ASSERT_LE(*seen, v) TH_LOG("line %lu:%d went back in time", page, line);
	*seen = v;
	o->reads++;
}

static void evict(struct _test_data_shared *self, unsigned long page, unsigned long nr)
{
	struct dsm_ioc_range r = { page, nr };

	if (dsm_real)
		ioctl(self->fd, DSM_IOC_EVICT, &r);
}

static void oracle_run(struct __test_metadata *_metadata, struct _test_data_shared *self,
		       unsigned long pages, unsigned long ms, unsigned int evict_one_in)
{
	struct oracle o = { .pages = pages };
	uint64_t rng = rnd_seed(), end, seed = rng;
	unsigned long page = 0;

	o.seen = calloc(pages * LINES, sizeof(*o.seen));
	ASSERT_NE(NULL, o.seen);
	shared_open(_metadata, self, pages * PG);
	end = now_us() + dsm_scale(ms) * 1000;
	while (now_us() < end) {
		uint64_t r = rnd(&rng);

		/* Runs of neighbours and jumps, hot pages and cold ones. */
		if (r % 8 == 0)
			page = (r >> 8) % pages;
		else if (r % 8 == 1)
			page = (r >> 8) % (pages < 4 ? pages : 4);
		else if (r % 8 < 4)
			page = (page + 1) % pages;
		oracle_step(_metadata, &o, self->p, page, (r >> 40) % LINES);
		if (evict_one_in && (r >> 48) % evict_one_in == 0)
			evict(self, page, 1 + (r >> 44) % 4);
	}
	SYNC();
	for (page = 0; page < pages; page++) {
		for (int line = 0; line < LINES; line++) {
			struct line *l = (void *)(self->p + page * PG + line * (PG / LINES));
			uint64_t v = 0, *seen = &o.seen[page * LINES + line];

			ASSERT_EQ(0, line_read(l, page, line, &v)) TH_LOG("line %lu:%d at the end", page, line);
			ASSERT_TRUE(line_is_mine(page, line) ? *seen == v : *seen <= v)
				TH_LOG("line %lu:%d at the end: %lu, was %lu", page, line, v, *seen);
		}
	}
	TH_LOG("node %d: seed %#lx, %lu writes, %lu reads, %lu in flight", dsm_node, seed,
	       o.writes, o.reads, o.skipped);
	free(o.seen);
	SYNC();
}

SHARED_TEST(oracle_few_pages)
{
	oracle_run(_metadata, self, 4, 6000, 0);
}

SHARED_TEST(oracle_many_pages)
{
	oracle_run(_metadata, self, 512, 8000, 0);
}

SHARED_TEST(oracle_with_evictions)
{
	oracle_run(_metadata, self, 64, 8000, 4);
}

/* A region larger than what a node may keep: pages are pushed around. */
SHARED_TEST(oracle_over_the_memory_limit)
{
	long old = knob_get("memory_limit_mb");

	if (dsm_real)
		ASSERT_EQ(0, knob_set("memory_limit_mb", 2));
	oracle_run(_metadata, self, 768, 8000, 0);
	if (dsm_real)
		ASSERT_EQ(0, knob_set("memory_limit_mb", old));
}

struct pingpong {
	atomic_uint_least64_t total __aligned(PG);
	atomic_uint_least64_t own[16];
	struct mem_barrier b __aligned(PG);
};

static void pingpong_run(struct __test_metadata *_metadata, struct _test_data_shared *self,
			 unsigned long ms)
{
	struct pingpong *p;
	uint64_t end, mine = 0, sum = 0, total;

	shared_open(_metadata, self, (sizeof(*p) + PG - 1) & ~(PG - 1));
	p = (void *)self->p;
	ASSERT_EQ(0, mem_barrier_wait(&p->b, dsm_nodes, 20000));
	/* Fair in the long run, which is not the shorter for a slow kernel. */
	end = now_us() + dsm_patient(ms) * 1000;
	while (now_us() < end) {
		atomic_fetch_add(&p->total, 1);
		atomic_fetch_add(&p->own[dsm_node], 1);
		mine++;
	}
	SYNC();
	total = atomic_load(&p->total);
	for (int i = 0; i < dsm_nodes; i++)
		sum += atomic_load(&p->own[i]);
	ASSERT_EQ(sum, total);
	ASSERT_EQ(mine, atomic_load(&p->own[dsm_node]));
	if (dsm_node == 0)
		for (int i = 0; i < dsm_nodes; i++)
			TH_LOG("node %d: %lu of %lu", i, atomic_load(&p->own[i]), total);
	/* Nobody starves: a twentieth of a fair share. */
	ASSERT_LT(total / dsm_nodes / 20, mine);
	SYNC();
}

SHARED_TEST(ping_pong_is_fair)
{
	pingpong_run(_metadata, self, 3000);
}

SHARED_TEST(ping_pong_with_hold_times)
{
	static const unsigned long hold[] = { 0, 1000, 20000 };
	long old = knob_get("hold_us");

	if (!dsm_real)
		SKIP(return, "no knobs");
	for (int i = 0; i < ARRAY_SIZE(hold); i++) {
		SYNC();
		ASSERT_EQ(0, knob_set("hold_us", hold[i]));
		ASSERT_EQ(hold[i], knob_get("hold_us"));
		SYNC();
		pingpong_run(_metadata, self, 1500);
		close(self->fd);
		munmap(self->p, self->len);
	}
	ASSERT_EQ(0, knob_set("hold_us", old));
}

static int prefetch_read(uint8_t *base, unsigned long page, uint64_t *v)
{
	int ret;

	do {
		ret = line_read((void *)(base + page * PG), page, 0, v);
	} while (ret > 0);
	return ret;
}

/* A reader streams over pages that a writer keeps rewriting behind and ahead. */
static void prefetch_run(struct __test_metadata *_metadata, struct _test_data_shared *self)
{
	const unsigned long pages = 128, rounds = dsm_scale(8);
	uint64_t last, v;

	shared_open(_metadata, self, pages * PG);
	for (unsigned long round = 1; round <= rounds; round++) {
		for (unsigned long i = 0; dsm_node == 0 && i < pages; i++)
			line_write((void *)(self->p + i * PG), i, 0, round);
		/* Upwards: the stream that prefetch sees. */
		for (unsigned long i = 0; dsm_node && i < pages; i++) {
			ASSERT_LE(0, prefetch_read(self->p, i, &v)) TH_LOG("page %lu", i);
			ASSERT_TRUE(v == round || v == round - 1) TH_LOG("page %lu: %lu", i, v);
		}
		/* Downwards: what the writer wrote before is never older. */
		last = 0;
		for (unsigned long i = pages; dsm_node && i--;) {
			ASSERT_LE(0, prefetch_read(self->p, i, &v)) TH_LOG("page %lu", i);
			ASSERT_LE(last, v) TH_LOG("page %lu", i);
			last = v;
		}
		SYNC();
		for (unsigned long i = 0; i < pages; i++) {
			ASSERT_EQ(0, line_read((void *)(self->p + i * PG), i, 0, &v)) TH_LOG("page %lu", i);
			ASSERT_EQ(round, v) TH_LOG("page %lu", i);
		}
		SYNC();
	}
}

SHARED_TEST(prefetch_0)
{
	if (dsm_real)
		ASSERT_EQ(0, knob_set("prefetch_pages", 0));
	prefetch_run(_metadata, self);
	if (dsm_real)
		ASSERT_EQ(0, knob_set("prefetch_pages", 16));
}

SHARED_TEST(prefetch_16)
{
	prefetch_run(_metadata, self);
}

SHARED_TEST(prefetch_64)
{
	if (dsm_real)
		ASSERT_EQ(0, knob_set("prefetch_pages", 64));
	prefetch_run(_metadata, self);
	if (dsm_real)
		ASSERT_EQ(0, knob_set("prefetch_pages", 16));
}

/* Truncate and punch holes under readers and writers: zero, a value, or SIGBUS. */
SHARED_TEST(truncate_under_traffic)
{
	const unsigned long pages = 16;
	uint64_t rng = rnd_seed(), end;
	uint8_t v;

	shared_open(_metadata, self, pages * PG);
	end = now_us() + dsm_scale(4000) * 1000;
	while (now_us() < end) {
		unsigned long i = rnd(&rng) % pages, r = rnd(&rng) >> 32;
		int sig;

		if (r % 64 == 0) {
			ASSERT_EQ(0, ftruncate(self->fd, i * PG)) TH_LOG("%m");
			ASSERT_EQ(0, ftruncate(self->fd, pages * PG)) TH_LOG("%m");
		} else if (r % 64 == 1) {
			ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       i * PG, 2 * PG)) TH_LOG("%m");
		} else if (r % 2) {
			sig = probe_write(self->p + i * PG + dsm_node * 100, 0x40 + dsm_node);
			ASSERT_TRUE(sig == 0 || sig == SIGBUS) TH_LOG("signal %d", sig);
		} else {
			int n = r / 2 % dsm_nodes;

			sig = probe_read(self->p + i * PG + n * 100, &v);
			ASSERT_TRUE(sig == 0 || sig == SIGBUS) TH_LOG("signal %d", sig);
			if (!sig)
				ASSERT_TRUE(v == 0 || v == 0x40 + n) TH_LOG("read %#x", v);
		}
	}
	SYNC();
	if (dsm_node == 0) {
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		ASSERT_EQ(0, ftruncate(self->fd, pages * PG));
	}
	SYNC();
	for (unsigned long i = 0; i < pages * PG; i++)
		ASSERT_EQ(0, self->p[i]);
	SYNC();
}

TEST_HARNESS_MAIN
