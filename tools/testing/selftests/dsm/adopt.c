// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that a process has already becomes a file of dsmfs: nothing is lost,
 * other nodes see it, it is all or nothing, and whoever may not is told why.
 */
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "adopt.h"

SHARED_TEST(content_and_address_stay)
{
	enum { NR = 64, AT = 2 };
	uint8_t *m = NULL;

	shared_open(_metadata, self, (AT + NR) * PG);
	if (dsm_node == 0) {
		ASSERT_EQ(0, place_interleaved(self->fd));
		/* What the file had is gone, also where nothing was touched. */
		fill_pages(self->p, AT + NR, 7000);
		m = anon_map(NR);
		ASSERT_NE(MAP_FAILED, m);
		for (int i = 0; i < NR; i += 2)
			pattern_fill(m + i * PG, PG, 1 + i);
		ASSERT_FALSE(is_mapped_at(m, self->path));
		ASSERT_EQ(0, adopt(self->fd, m, NR * PG, AT * PG));
		EXPECT_TRUE(is_mapped_at(m, self->path));
	}
	SYNC();
	EXPECT_EQ(-1, check_pages(self->p, AT, 7000));
	for (int i = 0; i < NR; i++) {
		uint8_t *p = i % 3 || dsm_node ? self->p + (AT + i) * PG : m + i * PG;

		ASSERT_EQ(i % 2 ? 0 : -1, i % 2 ? p[i] : pattern_check(p, PG, 1 + i))
			TH_LOG("page %d", i);
	}
	SYNC();
	if (dsm_node == 1)
		fill_pages(self->p + AT * PG, NR, 1000);
	SYNC();
	if (dsm_node == 0) {
		ASSERT_EQ(-1, check_pages(m, NR, 1000));
		fill_pages(m, NR, 2000);
	}
	SYNC();
	ASSERT_EQ(-1, check_pages(self->p + AT * PG, NR, 2000));
	SYNC();
}

/* ---- writers at the time ---- */

#define THREADS		3
#define WR_PAGES	64

struct writer {
	pthread_t thread;
	uint8_t *base;
	int slot;
	_Atomic bool *stop;
	uint64_t count[WR_PAGES];
};

/* Each thread has a word of its own in each page: plain writes, no atomics. */
static void *write_all_the_time(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; !atomic_load(w->stop); i = (i + 1) % WR_PAGES) {
		volatile uint64_t *word = (void *)(w->base + i * PG + w->slot * CACHELINE);

		++*word;
		w->count[i]++;
	}
	return NULL;
}

static void compare(struct __test_metadata *_metadata, const struct writer *w,
		    const uint8_t *base)
{
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < WR_PAGES; i++) {
			uint64_t word = *(uint64_t *)(base + i * PG + t * CACHELINE);

			ASSERT_EQ(w[t].count[i], word) TH_LOG("thread %d, page %d", t, i);
		}
	}
}

/* Adoptions that fail with writers running, then one that does not. */
static void adopt_under_writers(struct __test_metadata *_metadata,
				struct _test_data_shared *self, off_t offset)
{
	static struct writer w[THREADS];
	_Atomic bool stop = false;
	uint8_t *m = anon_map(WR_PAGES);
	uint64_t before = 0;
	int pin;

	ASSERT_NE(MAP_FAILED, m);
	for (int t = 0; t < THREADS; t++) {
		w[t] = (struct writer){ .base = m, .slot = t, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&w[t].thread, NULL, write_all_the_time, &w[t]));
	}
	pause_us(20000);
	pin = pin_page(m + (WR_PAGES - 1) * PG);
	ASSERT_LE(0, pin) TH_LOG("io_uring: %s", strerror(-pin));
	/* The pinned page is the last: all others were frozen and copied. */
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-EBUSY, adopt(self->fd, m, WR_PAGES * PG, offset));
	EXPECT_FALSE(is_mapped_at(m, self->path));
	unpin_page(pin);
	EXPECT_EQ(0, adopt_patiently(self->fd, m, WR_PAGES * PG, offset));
	EXPECT_TRUE(is_mapped_at(m, self->path));
	for (int t = 0; t < THREADS; t++)
		before += READ_ONCE(w[t].count[0]);
	pause_us(20000);
	/* They must have gone on: a page in each pass. */
	for (uint64_t end = now_us() + 20000000; now_us() < end; pause_us(1000)) {
		uint64_t now = 0;

		for (int t = 0; t < THREADS; t++)
			now += READ_ONCE(w[t].count[0]);
		if (now > before)
			break;
	}
	atomic_store(&stop, true);
	before = -before;
	for (int t = 0; t < THREADS; t++) {
		pthread_join(w[t].thread, NULL);
		before += w[t].count[0];
	}
	EXPECT_LT(0, before);
	compare(_metadata, w, m);
	compare(_metadata, w, self->p + offset);
	/* For the other nodes: the counters of the last round. */
	for (int t = 0; t < THREADS; t++)
		memcpy(self->p + self->len - (t + 1) * PG, w[t].count, sizeof(w[t].count));
	munmap(m, WR_PAGES * PG);
}

SHARED_TEST(no_write_is_lost)
{
	const int rounds = dsm_scale(8);
	struct writer w[THREADS];
	int last;

	shared_open(_metadata, self, (rounds * WR_PAGES + THREADS) * PG);
	last = (rounds - 1) * WR_PAGES;
	if (dsm_node == 0) {
		ASSERT_EQ(0, place_interleaved(self->fd));
		for (int i = 0; i < rounds; i++)
			adopt_under_writers(_metadata, self, i * WR_PAGES * PG);
	}
	ASSERT_EQ(0, shared_sync(_metadata, self, 3 * BARRIER_S));
	for (int t = 0; t < THREADS; t++)
		memcpy(w[t].count, self->p + self->len - (t + 1) * PG, sizeof(w[t].count));
	compare(_metadata, w, self->p + last * PG);
	SYNC();
}

/* ---- all or nothing ---- */

/* What takes too long is given up: nobody waits for the others' memory for ever. */
SHARED_TEST(timeout_leaves_it_private)
{
	enum { NR = 2048 };
	uint64_t start;
	uint8_t *m;
	long ms;

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		ASSERT_EQ(0, place_on(self->fd, 1));
		m = anon_map(NR);
		fill_pages(m, NR, 1);
		ms = knob_get("fault_timeout_ms");
		ASSERT_EQ(0, knob_set("fault_timeout_ms", 100));
		start = now_us();
		EXPECT_EQ(-ETIMEDOUT, adopt(self->fd, m, NR * PG, 0));
		ksft_print_msg("given up after %llu ms\n",
			       (unsigned long long)(now_us() - start) / 1000);
		ASSERT_EQ(0, knob_set("fault_timeout_ms", ms));
		EXPECT_FALSE(is_mapped_at(m, self->path));
		ASSERT_EQ(-1, check_pages(m, NR, 1));
		fill_pages(m, NR, 5000);
		/* It is still private. */
		EXPECT_NE(-1, pattern_check(self->p, PG, 5000));
		start = now_us();
		EXPECT_EQ(0, adopt(self->fd, m, NR / 8 * PG, 0));
		ksft_print_msg("adopted %d pages of another node's in %llu us\n", NR / 8,
			       (unsigned long long)(now_us() - start));
		EXPECT_EQ(-1, check_pages(m, NR, 5000));
	}
	ASSERT_EQ(0, shared_sync(_metadata, self, 3 * BARRIER_S));
	EXPECT_EQ(-1, check_pages(self->p, NR / 8, 5000));
	SYNC();
}

SHARED_TEST(bad_input)
{
	struct dsm_ioc_adopt a;
	int fd, devnull, ro;
	uint8_t *m, *q;
	char here;

	shared_open(_metadata, self, 4 * PG);
	if (dsm_node == 0) {
		fd = self->fd;
		m = anon_map(8);
		ASSERT_NE(MAP_FAILED, m);
		fill_pages(m, 8, 1);
		EXPECT_EQ(-EINVAL, adopt(fd, m + 1, PG, 0));
		EXPECT_EQ(-EINVAL, adopt(fd, m, PG + 1, 0));
		EXPECT_EQ(-EINVAL, adopt(fd, m, PG, 17));
		EXPECT_EQ(-EINVAL, adopt(fd, m, 0, 0));
		EXPECT_EQ(-EINVAL, adopt(fd, m, -PG, 0));
		a = (struct dsm_ioc_adopt){ (uintptr_t)m, PG, 0, -1, 1 };
		EXPECT_EQ(-1, ioctl(fd, DSM_IOC_ADOPT, &a));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, ioctl(fd, DSM_IOC_ADOPT, NULL));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-ENXIO, adopt(fd, m, 5 * PG, 0));
		EXPECT_EQ(-ENXIO, adopt(fd, m, PG, 4 * PG));
		EXPECT_EQ(-ENXIO, adopt(fd, m, PG, -PG));
		EXPECT_EQ(-EINVAL, adopt_of(-2, fd, m, PG, 0));
		EXPECT_EQ(-EBADF, adopt_of(9999, fd, m, PG, 0));
		EXPECT_EQ(-EBADF, adopt_of(fd, fd, m, PG, 0));
		ro = open(self->path, O_RDONLY);
		EXPECT_EQ(-EACCES, adopt(ro, m, PG, 0));
		close(ro);
		devnull = open("/dev/null", O_RDWR);
		EXPECT_EQ(-ENOTTY, adopt(devnull, m, PG, 0));
		close(devnull);
		/* A gap, in the middle and at the end. */
		munmap(m + 2 * PG, PG);
		EXPECT_EQ(-ENOMEM, adopt(fd, m, 4 * PG, 0));
		EXPECT_EQ(-ENOMEM, adopt(fd, m + PG, 2 * PG, 0));
		/* Not private, not anonymous, not plain. */
		EXPECT_EQ(-EINVAL, adopt(fd, self->p, PG, 0));
		q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		EXPECT_EQ(-EINVAL, adopt(fd, q, PG, 0));
		q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		EXPECT_EQ(-EINVAL, adopt(fd, q, PG, 0));
		EXPECT_EQ(-EINVAL, adopt(fd, (void *)((uintptr_t)&here & -PG), PG, 0));
		EXPECT_EQ(-EINVAL, adopt(fd, (void *)((uintptr_t)&adopt_under_writers & -PG),
					 PG, 0));
		EXPECT_EQ(0, mprotect(m + PG, PG, PROT_READ | PROT_EXEC));
		EXPECT_EQ(-EINVAL, adopt(fd, m, 2 * PG, 0));
		EXPECT_EQ(0, mprotect(m + PG, PG, PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, madvise(m + PG, PG, MADV_WIPEONFORK));
		EXPECT_EQ(-EINVAL, adopt(fd, m, 2 * PG, 0));
		EXPECT_EQ(0, madvise(m + PG, PG, MADV_KEEPONFORK));
		/* None of it did anything. */
		EXPECT_FALSE(is_mapped_at(m, self->path));
		EXPECT_EQ(-1, check_pages(m, 2, 1));
		EXPECT_EQ(-1, check_pages(m + 3 * PG, 5, 4));
		EXPECT_EQ(0, adopt(fd, m, 2 * PG, 0));
		/* Once more: what the file has now is the memory, and must not be dropped. */
		EXPECT_EQ(-EINVAL, adopt(fd, m, 2 * PG, 0));
		EXPECT_EQ(-1, check_pages(m, 2, 1));
	}
	SYNC();
}

/* ---- another process ---- */

static void *const fixed = (void *)0x200000000000;

/* The process whose memory is taken: it must see nothing but its content. */
static void be_adopted(struct child *c)
{
	uint8_t *m = mmap(fixed, 16 * PG, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (m != fixed)
		_exit(1);
	fill_pages(m, 16, 1);
	tell(c->from[1]);
	hear(c->to[0]);
	if (check_pages(m, 16, 1) != -1)
		_exit(2);
	fill_pages(m, 16, 100);
	tell(c->from[1]);
	hear(c->to[0]);
	_exit(check_pages(m, 16, 200) == -1 ? 0 : 3);
}

/* All nodes see what it wrote last; it will see what one of them writes. */
static void answered_by_node_1(struct __test_metadata *_metadata,
			       struct _test_data_shared *self)
{
	ASSERT_EQ(-1, check_pages(self->p, 16, 100));
	SYNC();
	if (dsm_node == 1)
		fill_pages(self->p, 16, 200);
	SYNC();
}

SHARED_TEST(of_another_process)
{
	struct child c;
	int pidfd = -1;

	shared_open(_metadata, self, 16 * PG);
	if (dsm_node == 0) {
		if (!child_fork(&c))
			be_adopted(&c);
		hear(c.from[0]);
		pidfd = syscall(SYS_pidfd_open, c.pid, 0);
		ASSERT_LE(0, pidfd);
		ASSERT_EQ(0, adopt_of(pidfd, self->fd, fixed, 16 * PG, 0));
		tell(c.to[1]);
		hear(c.from[0]);
	}
	SYNC();
	answered_by_node_1(_metadata, self);
	if (dsm_node == 0) {
		tell(c.to[1]);
		ASSERT_EQ(0, wait_bounded(c.pid, 20000));
		EXPECT_EQ(-ESRCH, adopt_of(pidfd, self->fd, fixed, 16 * PG, 0));
	}
	SYNC();
}

SHARED_TEST(of_another_user)
{
	uint8_t *m;
	pid_t pid;

	shared_open(_metadata, self, PG);
	if (dsm_node == 0) {
		m = anon_map(1);
		fill_pages(m, 1, 1);
		pid = fork();
		if (!pid) {
			int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

			if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
				_exit(1);
			/* Of its own memory it may. */
			if (adopt_of(pidfd, self->fd, m, PG, 0) != -EPERM)
				_exit(2);
			_exit(adopt(self->fd, m, PG, 0) ? 3 : 0);
		}
		EXPECT_EQ(0, wait_bounded(pid, 20000));
		EXPECT_FALSE(is_mapped_at(m, self->path));
		EXPECT_EQ(-1, check_pages(m, 1, 1));
	}
	SYNC();
}

/* What an operator says. */
static int dsmctl(const char *args)
{
	char path[PATH_MAX], cmd[PATH_MAX + 256];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int status;

	if (n < 0)
		return -1;
	path[n] = 0;
	snprintf(cmd, sizeof(cmd), "%s/../tools/dsmctl %s", dirname(path), args);
	status = system(cmd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

SHARED_TEST(by_dsmctl)
{
	char args[512], name[300];
	struct child c;
	int fd;

	shared_open(_metadata, self, 0);
	shared_name(self, ".shared", name, sizeof(name));
	if (dsm_node == 0) {
		if (!child_fork(&c))
			be_adopted(&c);
		hear(c.from[0]);
		snprintf(args, sizeof(args), "share %d stack %s", c.pid, name);
		EXPECT_EQ(2, dsmctl(args));
		snprintf(args, sizeof(args), "share %d 1000-2000 %s", c.pid, name);
		EXPECT_EQ(1, dsmctl(args));
		/* A file that could not be filled does not stay. */
		EXPECT_NE(0, access(name, F_OK));
		snprintf(args, sizeof(args), "share %d %lx-%lx %s", c.pid, (uintptr_t)fixed,
			 (uintptr_t)fixed + 16 * PG, name);
		EXPECT_EQ(0, dsmctl(args));
		/* The file is there, and no one's memory is to get into it. */
		EXPECT_EQ(1, dsmctl(args));
		tell(c.to[1]);
		hear(c.from[0]);
	}
	SYNC();
	fd = open(name, O_RDWR);
	ASSERT_LE(0, fd) TH_LOG("%s: %m", name);
	self->p = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	answered_by_node_1(_metadata, self);
	if (dsm_node == 0) {
		tell(c.to[1]);
		EXPECT_EQ(0, wait_bounded(c.pid, 20000));
		unlink(name);
	}
	SYNC();
}

TEST_HARNESS_MAIN
