// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel patch series without dsm: what mappings of the simplest owner,
 * modules/coherent-test, do under faults, revocations and pins.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib.h"
#include "../../../../modules/coherent-test/uapi.h"

#define alarm(seconds)	(alarm)(dsm_patient(seconds))
#include <kselftest_harness.h>
#undef alarm

#define DEV	"/dev/coherent-test"
#define LEN	(CT_NR_PAGES * PG)

bool dsm_wanted;	/* false: this test needs no dsmfs */

static int load(const char *verb)
{
	char path[PATH_MAX], cmd[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return -1;
	path[n] = 0;
	if (!strcmp(verb, "rmmod"))
		return system("rmmod coherent_test");
	snprintf(cmd, sizeof(cmd), "insmod %s/../coherent-test/coherent_test.ko", dirname(path));
	return system(cmd);
}

FIXTURE(coherent) {
	int fd;
	uint8_t *p;
	struct ct_stats was;
};

static uint8_t *map(int fd, int prot, int flags)
{
	return mmap(NULL, LEN, prot, flags, fd, 0);
}

FIXTURE_SETUP(coherent)
{
	ASSERT_EQ(0, load("insmod"));
	self->fd = open(DEV, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd) TH_LOG("%m");
	ASSERT_EQ(0, ioctl(self->fd, CT_HOOK, 1));
	self->p = map(self->fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, self->p) TH_LOG("%m");
	ASSERT_EQ(0, ioctl(self->fd, CT_STATS, &self->was));
}

FIXTURE_TEARDOWN(coherent)
{
	munmap(self->p, LEN);
	close(self->fd);
	EXPECT_EQ(0, load("rmmod"));
}

/* What has happened since the start, or the last call. */
static struct ct_stats news(struct _test_data_coherent *self)
{
	struct ct_stats s = {}, d;

	ioctl(self->fd, CT_STATS, &s);
	d = (struct ct_stats){
		.hook = s.hook - self->was.hook,
		.hook_vma = s.hook_vma - self->was.hook_vma,
		.fault = s.fault - self->was.fault,
		.mkwrite = s.mkwrite - self->was.mkwrite,
		.windows = s.windows - self->was.windows,
		.window_pages = s.window_pages - self->was.window_pages,
	};
	self->was = s;
	return d;
}

#define EXPECT_NEWS(nr_hook, nr_fault) do {				\
	struct ct_stats d = news(self);					\
	EXPECT_EQ(nr_hook, d.hook);					\
	EXPECT_EQ(nr_fault, d.fault);					\
	EXPECT_EQ(0, d.mkwrite);					\
} while (0)

static int take_back(struct _test_data_coherent *self, unsigned int first,
		     unsigned int stride, unsigned int nr, bool wrprotect)
{
	struct ct_revoke r = {
		.first = first,
		.stride = stride,
		.nr = nr,
		.wrprotect = wrprotect,
		.batched = 1,
	};

	return ioctl(self->fd, CT_REVOKE, &r);
}

static uint8_t rd(const uint8_t *p)
{
	return READ_ONCE(*p);
}

TEST_F(coherent, a_write_is_one_fault)
{
	struct ct_stats d;

	self->p[0] = 1;
	d = news(self);
	EXPECT_EQ(1, d.hook);
	EXPECT_EQ(0, d.fault + d.mkwrite);
	/* Not sent back to take the mmap lock. */
	EXPECT_EQ(1, d.hook_vma);
	self->p[1] = 1;
	EXPECT_EQ(1, rd(self->p));
	EXPECT_NEWS(0, 0);
}

TEST_F(coherent, a_read_gives_no_right_to_write)
{
	EXPECT_EQ(0, rd(self->p));
	EXPECT_NEWS(1, 0);
	EXPECT_EQ(0, rd(self->p + 8));
	EXPECT_NEWS(0, 0);
	self->p[0] = 1;
	EXPECT_NEWS(1, 0);
}

TEST_F(coherent, a_read_maps_what_right_there_is)
{
	uint8_t *q = map(self->fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, q);
	self->p[0] = 1;
	EXPECT_NEWS(1, 0);
	EXPECT_EQ(1, rd(q));
	EXPECT_NEWS(1, 0);
	q[0] = 2;
	EXPECT_NEWS(0, 0);
	EXPECT_EQ(2, rd(self->p));
	munmap(q, LEN);
}

TEST_F(coherent, a_read_only_mapping_stays_read_only)
{
	int fd = open(DEV, O_RDONLY | O_CLOEXEC);
	uint8_t *q = map(fd, PROT_READ, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, q) TH_LOG("%m");
	self->p[0] = 1;
	EXPECT_EQ(1, rd(q));
	EXPECT_NEWS(2, 0);
	EXPECT_EQ(SIGSEGV, probe_write(q, 2));
	EXPECT_EQ(1, rd(self->p));
	EXPECT_EQ(-1, mprotect(q, PG, PROT_READ | PROT_WRITE));
	munmap(q, LEN);
	close(fd);
}

TEST_F(coherent, mprotect_gives_no_right)
{
	EXPECT_EQ(0, rd(self->p));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ | PROT_WRITE));
	EXPECT_NEWS(1, 0);
	self->p[0] = 1;
	EXPECT_NEWS(1, 0);
	/* Taken back while it is not to be written to anyway. */
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	ASSERT_EQ(0, take_back(self, 0, 1, 1, true));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ | PROT_WRITE));
	self->p[0] = 2;
	EXPECT_NEWS(1, 0);
}

TEST_F(coherent, a_private_mapping_copies)
{
	uint8_t *q = map(self->fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, q) TH_LOG("%m");
	self->p[0] = 1;
	EXPECT_EQ(1, rd(q));
	EXPECT_NEWS(1, 1);
	q[0] = 2;
	EXPECT_NEWS(0, 0);
	ASSERT_EQ(0, take_back(self, 0, 1, 1, false));
	EXPECT_EQ(2, rd(q));
	EXPECT_EQ(1, rd(self->p));
	EXPECT_NEWS(1, 0);
	munmap(q, LEN);
}

TEST_F(coherent, beyond_the_end)
{
	uint8_t *q = mmap(NULL, LEN + PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(SIGBUS, probe_write(q + LEN, 1));
	munmap(q, LEN + PG);
}

TEST_F(coherent, fork_and_revoke)
{
	int to[2], from[2];
	uint8_t c = 0;
	pid_t pid;

	self->p[0] = 1;
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	pid = fork();
	if (!pid) {
		/* A mapping of its own by now, and both are revoked. */
		bool ok = rd(self->p) == 1;

		ok = ok && write(from[1], "", 1) == 1 && read(to[0], &c, 1) == 1;
		ok = ok && rd(self->p) == 3;
		self->p[0] = 4;
		_exit(!ok);
	}
	ASSERT_EQ(1, read(from[0], &c, 1));
	news(self);
	ASSERT_EQ(0, take_back(self, 0, 1, 1, false));
	self->p[0] = 3;
	EXPECT_NEWS(1, 0);
	ASSERT_EQ(1, write(to[1], "", 1));
	ASSERT_EQ(0, wait_bounded(pid, 10000));
	EXPECT_NEWS(1, 0);
	EXPECT_EQ(4, rd(self->p));
}

TEST_F(coherent, mremap_and_revoke)
{
	uint8_t *q;

	for (int i = 0; i < 8; i++)
		self->p[i * PG] = i;
	EXPECT_NEWS(8, 0);
	q = mremap(self->p + 2 * PG, 4 * PG, 4 * PG, MREMAP_MAYMOVE | MREMAP_FIXED,
		   self->p + (CT_NR_PAGES - 4) * PG);
	ASSERT_NE(MAP_FAILED, q) TH_LOG("%m");
	EXPECT_EQ(2, rd(q));
	EXPECT_NEWS(0, 0);
	ASSERT_EQ(0, take_back(self, 0, 1, 8, false));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(i + 2, rd(q + i * PG));
	EXPECT_EQ(7, rd(self->p + 7 * PG));
	EXPECT_NEWS(5, 0);
}

TEST_F(coherent, revoke_scattered_pages)
{
	for (int i = 0; i < CT_NR_PAGES; i++)
		self->p[i * PG] = i;
	EXPECT_NEWS(CT_NR_PAGES, 0);
	ASSERT_EQ(0, take_back(self, 3, 16, 64, true));
	for (int i = 0; i < CT_NR_PAGES; i++)
		EXPECT_EQ((uint8_t)i, rd(self->p + i * PG));
	EXPECT_NEWS(0, 0);
	for (int i = 0; i < CT_NR_PAGES; i++)
		self->p[i * PG] = i + 1;
	EXPECT_NEWS(64, 0);
	ASSERT_EQ(0, take_back(self, 3, 16, 64, false));
	for (int i = 0; i < CT_NR_PAGES; i++)
		EXPECT_EQ((uint8_t)(i + 1), rd(self->p + i * PG));
	EXPECT_NEWS(64, 0);
}

TEST_F(coherent, windows_of_secondary_mmus)
{
	struct ct_stats d;

	memset(self->p, 1, LEN);
	ASSERT_EQ(0, ioctl(self->fd, CT_WATCH)) TH_LOG("%m");
	news(self);
	ASSERT_EQ(0, take_back(self, 0, 1, 64, false));
	d = news(self);
	EXPECT_EQ(1, d.windows);
	EXPECT_EQ(64, d.window_pages);
	ASSERT_EQ(0, take_back(self, 100, 8, 64, true));
	EXPECT_EQ(1, news(self).windows);
	ASSERT_EQ(0, take_back(self, 0, 16, 64, false));
	d = news(self);
	EXPECT_EQ(64, d.windows);
	EXPECT_EQ(64, d.window_pages);
}

TEST_F(coherent, long_term_pins)
{
	struct ct_pin pin = { .addr = (uintptr_t)self->p };
	uint8_t *q = map(self->fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, q);
	/* By the fast path if the page is mapped, by the slow one if not. */
	for (int mapped = 0; mapped < 2; mapped++) {
		for (pin.write = 0; pin.write < 2; pin.write++) {
			pin.longterm = 1;
			EXPECT_EQ(-1, ioctl(self->fd, CT_PIN, &pin));
			EXPECT_EQ(EOPNOTSUPP, errno);
			pin.longterm = 0;
			if (mapped)
				EXPECT_EQ(0, ioctl(self->fd, CT_PIN, &pin)) TH_LOG("%m");
		}
		self->p[0] = 1;
	}
	/* A copy is no one else's. */
	pin = (struct ct_pin){ .addr = (uintptr_t)q, .write = 1, .longterm = 1 };
	EXPECT_EQ(0, ioctl(self->fd, CT_PIN, &pin)) TH_LOG("%m");
	pin.addr += PG;
	pin.write = 0;
	EXPECT_EQ(rd(self->p + PG), rd(q + PG));
	EXPECT_EQ(0, ioctl(self->fd, CT_PIN, &pin)) TH_LOG("%m");
	munmap(q, LEN);
}

/* ---- together ---- */

struct crowd {
	_Atomic bool end;
	uint8_t *p;
	unsigned int mask;	/* which pages */
	bool spin;		/* stay on the CPU, in the mm, and touch nothing */
	pthread_t thread[8];
	int nr;
};

static void *crowd_thread(void *arg)
{
	struct crowd *c = arg;
	uint64_t seed = rnd_seed();

	while (!atomic_load_explicit(&c->end, memory_order_relaxed)) {
		uint8_t *page = c->p + (rnd(&seed) & c->mask) * PG;

		if (!c->spin)
			atomic_fetch_add((_Atomic uint64_t *)page, 1);
	}
	return NULL;
}

/* One on each CPU, as far as there are any. */
static void crowd_start(struct crowd *c)
{
	c->nr = get_nprocs() < 8 ? get_nprocs() : 8;
	for (int i = 0; i < c->nr; i++) {
		cpu_set_t cpus;

		pthread_create(&c->thread[i], NULL, crowd_thread, c);
		CPU_ZERO(&cpus);
		CPU_SET(i, &cpus);
		pthread_setaffinity_np(c->thread[i], sizeof(cpus), &cpus);
	}
}

static void crowd_end(struct crowd *c)
{
	atomic_store(&c->end, true);
	for (int i = 0; i < c->nr; i++)
		pthread_join(c->thread[i], NULL);
}

TEST_F(coherent, no_write_without_the_right)
{
	struct crowd c = { .p = self->p, .mask = 63 };
	uint64_t end = now_us() + 4000000;
	unsigned long rounds = 0, changed = 0;

	crowd_start(&c);
	for (; now_us() < end; rounds++) {
		struct ct_revoke r = {
			.stride = 1,
			.nr = 64,
			.wrprotect = rounds & 1,
			.batched = 1,
			.check_us = 50,
		};

		EXPECT_EQ(0, ioctl(self->fd, CT_REVOKE, &r));
		changed += r.changed;
	}
	crowd_end(&c);
	EXPECT_EQ(0, changed);
	EXPECT_LT(10, rounds);
	ksft_print_msg("%lu rounds, %llu faults\n", rounds, news(self).hook);
}

/* ---- what it costs ---- */

#define ROUNDS	21

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int nr)
{
	qsort(v, nr, sizeof(*v), by_value);
	return v[nr / 2];
}

/* A debug kernel without a reference for its TSC counts ticks of 10 ms. */
static bool clock_is_fine(void)
{
	struct timespec res;

	return !clock_getres(CLOCK_MONOTONIC, &res) && !res.tv_sec && res.tv_nsec < 10000;
}

static void revoke_all(int fd)
{
	for (unsigned int i = 0; i < CT_NR_PAGES; i += CT_MAX_BATCH) {
		struct ct_revoke r = { .first = i, .stride = 1, .nr = CT_MAX_BATCH, .batched = 1 };

		ioctl(fd, CT_REVOKE, &r);
	}
}

static double ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* Nanoseconds a page of a pass over the mapping. */
static double pass(uint8_t *p, bool write)
{
	double start = ns();

	for (uint8_t *q = p; q < p + LEN; q += PG) {
		if (write)
			WRITE_ONCE(*q, 1);
		else
			rd(q);
	}
	return (ns() - start) / CT_NR_PAGES;
}

TEST_F(coherent, time_of_a_fault)
{
	static const char * const what[] = {
		"write, missing", "read, missing", "write, read before",
	};
	double t[3][2][ROUNDS];
	uint8_t *map_of[2];

	for (int hook = 0; hook < 2; hook++) {
		ASSERT_EQ(0, ioctl(self->fd, CT_HOOK, hook));
		map_of[hook] = map(self->fd, PROT_READ | PROT_WRITE, MAP_SHARED);
		ASSERT_NE(MAP_FAILED, map_of[hook]);
		pass(map_of[hook], true);
	}
	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < 2; j++) {
			int hook = (i + j) % 2;

			revoke_all(self->fd);
			t[0][hook][i] = pass(map_of[hook], true);
			revoke_all(self->fd);
			t[1][hook][i] = pass(map_of[hook], false);
			t[2][hook][i] = pass(map_of[hook], true);
		}
	}
	for (int w = 0; w < 3; w++) {
		double off = median(t[w][0], ROUNDS), on = median(t[w][1], ROUNDS);

		ksft_print_msg("fault, %s: off %.0f ns, on %.0f ns, ratio %.2f\n",
			       what[w], off, on, on / off);
	}
	for (int hook = 0; hook < 2; hook++)
		munmap(map_of[hook], LEN);
}

struct pinner {
	int fd;
	struct ct_pin pin;
};

static void *pin_thread(void *arg)
{
	struct pinner *p = arg;

	ioctl(p->fd, CT_PIN, &p->pin);
	return NULL;
}

TEST_F(coherent, time_until_a_pin_is_gone)
{
	struct pinner p = { .fd = self->fd, .pin.addr = (uintptr_t)self->p, .pin.write = 1 };
	uint64_t seed = rnd_seed();
	double t[2][ROUNDS], poll, wake;

	self->p[0] = 1;
	for (int i = 0; i < 2 * ROUNDS; i++) {
		struct ct_wait w = { .poll = i & 1 };
		pthread_t thread;

		p.pin.hold_us = 2000 + rnd(&seed) % 4000;
		ASSERT_EQ(0, pthread_create(&thread, NULL, pin_thread, &p));
		EXPECT_EQ(0, ioctl(self->fd, CT_WAIT, &w)) TH_LOG("%m");
		pthread_join(thread, NULL);
		t[i & 1][i / 2] = w.ns;
	}
	poll = median(t[1], ROUNDS);
	wake = median(t[0], ROUNDS);
	ksft_print_msg("end of a pin noticed: polled %.0f us, woken %.0f us, ratio %.1f\n",
		       poll / 1e3, wake / 1e3, poll / wake);
}

/* Emulated CPUs are slow to answer, which is what it is about. */
TEST_F_TIMEOUT(coherent, time_of_a_revocation, 200)
{
	struct crowd c = { .p = self->p, .spin = true };
	enum { FEW = 7 };
	double t[2][2][FEW];
	static const char * const what[] = { "unmap", "write-protect" };

	crowd_start(&c);
	for (int i = 0; i < FEW; i++) {
		for (int j = 0; j < 4; j++) {
			struct ct_revoke r = {
				.stride = 16, .nr = 64, .wrprotect = j / 2, .batched = (i + j) % 2,
			};

			pass(self->p, true);
			ASSERT_EQ(0, ioctl(self->fd, CT_REVOKE, &r));
			t[r.wrprotect][r.batched][i] = r.ns;
		}
	}
	crowd_end(&c);
	for (int w = 0; w < 2; w++) {
		double one = median(t[w][0], FEW), all = median(t[w][1], FEW);

		ksft_print_msg("revoke 64 scattered pages, %s, %d CPUs: singly %.0f us, at once %.0f us, ratio %.1f\n",
			       what[w], c.nr, one / 1e3, all / 1e3, one / all);
		if (!clock_is_fine()) {
			ksft_print_msg("not judged: the clock is coarse\n");
			continue;
		}
		/* median() has sorted: the least is what no other work of the machine is in. */
		EXPECT_GT(t[w][0][0], t[w][1][0]);
	}
}

TEST_HARNESS_MAIN
