// SPDX-License-Identifier: GPL-2.0
/* A mapping of dsmfs under the calls that move, split, lock and drop mappings. */
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "shared.h"
#include "uapi/dsm.h"

static void fill_all(uint8_t *p, size_t pages, int tag)
{
	for (size_t i = 0; i < pages; i++)
		pattern_fill(p + i * PG, PG, tag * 100 + i);
}

static ssize_t check_all(const uint8_t *p, size_t pages, int tag)
{
	for (size_t i = 0; i < pages; i++) {
		ssize_t at = pattern_check(p + i * PG, PG, tag * 100 + i);

		if (at >= 0)
			return i * PG + at;
	}
	return -1;
}

SHARED_TEST(fork_keeps_sharing)
{
	pid_t pid;

	shared_open(_metadata, self, 4 * PG);
	self->p[dsm_node] = 1;
	pid = fork();
	if (!pid) {
		self->p[PG + dsm_node] = 2;
		_exit(self->p[dsm_node] == 1 ? 0 : 1);
	}
	ASSERT_EQ(0, wait_bounded(pid, 20000));
	SYNC();
	for (int n = 0; n < dsm_nodes; n++) {
		ASSERT_EQ(1, self->p[n]);
		ASSERT_EQ(2, self->p[PG + n]);
	}
	SYNC();
}

SHARED_TEST(fork_private_child_is_isolated)
{
	uint8_t *q;
	pid_t pid;

	shared_open(_metadata, self, PG);
	if (dsm_node == 0)
		self->p[0] = 5;
	SYNC();
	q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	q[1] = 6;
	pid = fork();
	if (!pid) {
		q[1] = 7;
		_exit(q[0] == 5 && q[1] == 7 && self->p[1] == 0 ? 0 : 1);
	}
	ASSERT_EQ(0, wait_bounded(pid, 20000));
	ASSERT_EQ(6, q[1]);
	SYNC();
	ASSERT_EQ(0, self->p[1]);
}

SHARED_TEST(mprotect_holds)
{
	uint8_t v;

	shared_open(_metadata, self, 3 * PG);
	fill_all(self->p, dsm_node == 0 ? 3 : 0, 1);
	SYNC();
	ASSERT_EQ(0, mprotect(self->p + PG, PG, PROT_NONE));
	ASSERT_EQ(SIGSEGV, probe_read(self->p + PG, &v));
	ASSERT_EQ(0, mprotect(self->p + PG, PG, PROT_READ));
	ASSERT_EQ(-1, check_all(self->p, 3, 1));
	ASSERT_EQ(SIGSEGV, probe_write(self->p + PG, 1));
	SYNC();
	/* Made writable, not yet written: the first write must still fault. */
	ASSERT_EQ(0, mprotect(self->p + PG, PG, PROT_READ | PROT_WRITE));
	ASSERT_EQ(-1, check_all(self->p, 3, 1));
	SYNC();
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node)
			fill_all(self->p, 3, 2 + w);
		SYNC();
		ASSERT_EQ(-1, check_all(self->p, 3, 2 + w)) TH_LOG("writer %d", w);
		SYNC();
	}
}

SHARED_TEST(mremap_grow_and_move)
{
	uint8_t *q, *to;

	shared_open(_metadata, self, 8 * PG);
	fill_all(self->p, dsm_node == 0 ? 8 : 0, 3);
	SYNC();
	ASSERT_EQ(0, munmap(self->p, 8 * PG));
	q = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(-1, check_all(q, 2, 3));
	q = mremap(q, 2 * PG, 8 * PG, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, q) TH_LOG("%m");
	ASSERT_EQ(-1, check_all(q, 8, 3));
	to = mmap(NULL, 8 * PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	SYNC();
	ASSERT_EQ(to, mremap(q, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, to)) TH_LOG("%m");
	ASSERT_EQ(-1, check_all(to, 8, 3));
	ASSERT_EQ(SIGSEGV, probe_read(q, NULL));
	SYNC();
	/* Rights moved with the page tables must still be taken away. */
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node)
			fill_all(to, 8, 10 + w);
		SYNC();
		ASSERT_EQ(-1, check_all(to, 8, 10 + w)) TH_LOG("writer %d", w);
		SYNC();
	}
	ASSERT_EQ(to, mremap(to, 8 * PG, 3 * PG, 0));
	ASSERT_EQ(SIGSEGV, probe_read(to + 3 * PG, NULL));
	ASSERT_EQ(-1, check_all(to, 3, 10 + dsm_nodes - 1));
	SYNC();
}

SHARED_TEST(partial_munmap)
{
	shared_open(_metadata, self, 8 * PG);
	fill_all(self->p, dsm_node == 0 ? 8 : 0, 4);
	SYNC();
	ASSERT_EQ(-1, check_all(self->p, 8, 4));
	ASSERT_EQ(0, munmap(self->p + 2 * PG, 3 * PG));
	ASSERT_EQ(SIGSEGV, probe_read(self->p + 2 * PG, NULL));
	ASSERT_EQ(-1, check_all(self->p, 2, 4));
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		self->p[6 * PG] = 0xee;
	SYNC();
	ASSERT_EQ(0xee, self->p[6 * PG]);
	ASSERT_EQ(self->p + 2 * PG, mmap(self->p + 2 * PG, 3 * PG, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED, self->fd, 2 * PG));
	ASSERT_EQ(-1, check_all(self->p, 6, 4));
	SYNC();
}

SHARED_TEST(two_mappings_of_a_page)
{
	uint8_t *q;

	shared_open(_metadata, self, 2 * PG);
	q = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	for (int w = 0; w < 4 * dsm_nodes; w++) {
		if (w % dsm_nodes == dsm_node)
			fill_all(w & 1 ? q : self->p, 2, w);
		SYNC();
		ASSERT_EQ(-1, check_all(q, 2, w));
		ASSERT_EQ(-1, check_all(self->p, 2, w));
		SYNC();
	}
}

SHARED_TEST(madvise_keeps_contents)
{
	static const struct { int advice; const char *name; bool must; } a[] = {
		{ MADV_NORMAL, "NORMAL", true }, { MADV_RANDOM, "RANDOM", true },
		{ MADV_SEQUENTIAL, "SEQUENTIAL", true }, { MADV_WILLNEED, "WILLNEED", true },
		{ MADV_DONTNEED, "DONTNEED", true }, { MADV_COLD, "COLD", false },
		{ MADV_PAGEOUT, "PAGEOUT", false }, { MADV_MERGEABLE, "MERGEABLE", false },
		{ MADV_HUGEPAGE, "HUGEPAGE", false }, { MADV_NOHUGEPAGE, "NOHUGEPAGE", false },
		{ MADV_POPULATE_READ, "POPULATE_READ", true },
		{ MADV_POPULATE_WRITE, "POPULATE_WRITE", true },
		{ MADV_DONTDUMP, "DONTDUMP", true }, { MADV_FREE, "FREE", false },
		{ 25, "COLLAPSE", false },
	};

	shared_open(_metadata, self, 8 * PG);
	for (int i = 0; i < ARRAY_SIZE(a); i++) {
		if (i % dsm_nodes == dsm_node)
			fill_all(self->p, 8, i);
		SYNC();
		if (madvise(self->p, 8 * PG, a[i].advice))
			ASSERT_FALSE(a[i].must) TH_LOG("MADV_%s: %m", a[i].name);
		ASSERT_EQ(-1, check_all(self->p, 8, i)) TH_LOG("MADV_%s", a[i].name);
		SYNC();
	}
	ASSERT_EQ(-1, madvise(self->p, PG, MADV_FREE));
	SYNC();
	if (dsm_node == 0)
		ASSERT_EQ(0, madvise(self->p + PG, 2 * PG, MADV_REMOVE)) TH_LOG("%m");
	SYNC();
	ASSERT_EQ(0, self->p[PG]);
	ASSERT_EQ(0, self->p[3 * PG - 1]);
	ASSERT_NE(0, self->p[3 * PG]);
	SYNC();
}

SHARED_TEST(mlock_does_not_stop_sharing)
{
	shared_open(_metadata, self, 8 * PG);
	if (mlock(self->p, 8 * PG)) {
		ASSERT_TRUE(errno == EPERM || errno == ENOMEM) TH_LOG("mlock: %m");
		TH_LOG("mlock refused: %m");
	}
	for (int w = 0; w < 3 * dsm_nodes; w++) {
		if (w % dsm_nodes == dsm_node)
			fill_all(self->p, 8, w);
		SYNC();
		ASSERT_EQ(-1, check_all(self->p, 8, w));
		SYNC();
	}
	ASSERT_EQ(0, munlock(self->p, 8 * PG));
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE)) TH_LOG("mlockall: %m");
	SYNC();
	if (dsm_node == 0)
		fill_all(self->p, 8, 77);
	SYNC();
	ASSERT_EQ(-1, check_all(self->p, 8, 77));
	ASSERT_EQ(0, munlockall());
	SYNC();
}

SHARED_TEST(populate_and_mincore)
{
	unsigned char vec[8];
	uint8_t *q;

	shared_open(_metadata, self, 8 * PG);
	fill_all(self->p, dsm_node == 0 ? 8 : 0, 6);
	SYNC();
	q = mmap(NULL, 8 * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(-1, check_all(q, 8, 6));
	ASSERT_EQ(0, mincore(q, 8 * PG, vec));
	SYNC();
}

SHARED_TEST(map_flags)
{
	void *q;

	shared_open(_metadata, self, 2 * PG);
	q = mmap(NULL, PG, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, self->fd, 0);
	ASSERT_EQ(MAP_FAILED, q);
	ASSERT_EQ(EOPNOTSUPP, errno);
	/* Beyond the end: maps, and gives SIGBUS until the file is that long. */
	q = mmap(NULL, PG, PROT_READ, MAP_SHARED, self->fd, 4 * PG);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(SIGBUS, probe_read(q, NULL));
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		ASSERT_EQ(0, ftruncate(self->fd, 5 * PG));
	SYNC();
	ASSERT_EQ(0, probe_read(q, NULL));
	SYNC();
}

/* mov $imm32, %eax; ret */
static void emit(uint8_t *p, uint32_t val)
{
	p[0] = 0xb8;
	memcpy(p + 1, &val, 4);
	p[5] = 0xc3;
}

SHARED_TEST(run_code_of_another_node)
{
	int (*f)(void);
	uint8_t *x;

	shared_open(_metadata, self, PG);
	x = mmap(NULL, PG, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, x) TH_LOG("%m");
	f = (void *)x;
	for (unsigned long i = 0; i < dsm_scale(30); i++) {
		if ((int)(i % dsm_nodes) == dsm_node)
			emit(x, 0x1000 + i);
		SYNC();
		ASSERT_EQ(0x1000 + i, f()) TH_LOG("node %d", dsm_node);
		SYNC();
	}
}

static long futex(void *p, int op, uint32_t val, const struct timespec *ts)
{
	return syscall(SYS_futex, p, op, val, ts, NULL, 0);
}

struct waiter {
	_Atomic uint32_t *word;
	int op;
	long ret;
	int err;
};

static void *futex_waiter(void *arg)
{
	const struct timespec ts = { .tv_sec = 10 };
	struct waiter *w = arg;

	do {
		w->ret = futex(w->word, w->op, 0, &ts);
		w->err = errno;
	} while (w->ret == 0 && atomic_load(w->word) == 0);
	return NULL;
}

static void futex_pair(struct __test_metadata *_metadata, _Atomic uint32_t *word,
		       int wait, int wake)
{
	struct waiter w = { .word = word, .op = wait };
	pthread_t t;

	atomic_store(word, 0);
	ASSERT_EQ(0, pthread_create(&t, NULL, futex_waiter, &w));
	pause_us(50000);
	atomic_store(word, 1);
	futex(word, wake, 1, NULL);
	pthread_join(t, NULL);
	ASSERT_TRUE(w.ret == 0 || w.err == EAGAIN) TH_LOG("wait: %s", strerror(w.err));
}

/* Within a node; a futex does not wake another node and is not meant to. */
SHARED_TEST(futex_within_a_node)
{
	_Atomic uint32_t *word;

	shared_open(_metadata, self, PG);
	word = (void *)(self->p + dsm_node * CACHELINE);
	futex_pair(_metadata, word, FUTEX_WAIT_PRIVATE, FUTEX_WAKE_PRIVATE);
	SYNC();
	futex_pair(_metadata, word, FUTEX_WAIT, FUTEX_WAKE);
	SYNC();
}

SHARED_TEST(futex_between_processes)
{
	const struct timespec ts = { .tv_sec = 10 };
	_Atomic uint32_t *word;
	pid_t pid;

	shared_open(_metadata, self, PG);
	word = (void *)(self->p + dsm_node * CACHELINE);
	pid = fork();
	if (!pid) {
		while (atomic_load(word) == 0)
			if (futex(word, FUTEX_WAIT, 0, &ts) && errno == ETIMEDOUT)
				_exit(1);
		_exit(0);
	}
	pause_us(50000);
	atomic_store(word, 1);
	futex(word, FUTEX_WAKE, 1, NULL);
	ASSERT_EQ(0, wait_bounded(pid, 15000));
	SYNC();
}

SHARED_TEST(userfaultfd_is_refused)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	int fd;

	if (!dsm_real)
		SKIP(return, "a tmpfs has it");
	shared_open(_metadata, self, PG);
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	ASSERT_LE(0, fd) TH_LOG("%m");
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	reg = (struct uffdio_register){
		.range = { (uintptr_t)self->p, PG }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	ASSERT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	ASSERT_EQ(EINVAL, errno);
	SYNC();
}

/* The selftests adopt and adopt-mm are about kernels that can. */
SHARED_TEST(adoption_needs_the_patches)
{
	const char *kernel = getenv("DSM_KERNEL");
	struct dsm_ioc_adopt a = { .len = PG, .pidfd = -1 };
	uint8_t *m;

	if (!dsm_real)
		SKIP(return, "not dsmfs");
	shared_open(_metadata, self, PG);
	if (dsm_node == 0) {
		m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, m);
		fill_all(m, 1, 1);
		fill_all(self->p, 1, 2);
		a.addr = (uintptr_t)m;
		if (kernel && strstr(kernel, "-patched")) {
			EXPECT_EQ(0, ioctl(self->fd, DSM_IOC_ADOPT, &a)) TH_LOG("%m");
		} else {
			EXPECT_EQ(-1, ioctl(self->fd, DSM_IOC_ADOPT, &a));
			EXPECT_EQ(EOPNOTSUPP, errno);
			EXPECT_EQ(-1, check_all(self->p, 1, 2));
		}
		EXPECT_EQ(-1, check_all(m, 1, 1));
	}
	SYNC();
}

struct hammer {
	_Atomic uint32_t *word;
	unsigned long n;
};

static void *hammer_thread(void *arg)
{
	struct hammer *h = arg;

	for (unsigned long i = 0; i < h->n; i++)
		atomic_fetch_add(h->word + i % 8 * (PG / 4), 1);
	return NULL;
}

SHARED_TEST(threads_fault_together)
{
	enum { THREADS = 4 };
	struct hammer h = { .n = dsm_scale(400) / 8 * 8 + 8 };
	pthread_t t[THREADS];

	shared_open(_metadata, self, 8 * PG);
	h.word = (void *)self->p;
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, hammer_thread, &h));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	SYNC();
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(h.n / 8 * THREADS * dsm_nodes, atomic_load(h.word + i * (PG / 4)));
	SYNC();
}

SHARED_TEST(unmap_and_map_under_a_writer)
{
	const unsigned long rounds = dsm_scale(100);
	_Atomic uint64_t *c;
	uint64_t last = 0, v;
	uint8_t *q;

	shared_open(_metadata, self, PG);
	c = (void *)self->p;
	for (unsigned long i = 0; i < rounds; i++) {
		if (dsm_node == 0) {
			atomic_fetch_add(c, 1);
			continue;
		}
		q = mmap(NULL, PG, PROT_READ, MAP_SHARED, self->fd, 0);
		ASSERT_NE(MAP_FAILED, q);
		v = READ_ONCE(*(uint64_t *)q);
		ASSERT_LE(last, v);
		last = v;
		ASSERT_EQ(0, munmap(q, PG));
	}
	SYNC();
	ASSERT_EQ(rounds, atomic_load(c));
	SYNC();
}

SHARED_TEST(killed_process_leaves_its_writes)
{
	pid_t pid;

	shared_open(_metadata, self, 4 * PG);
	pid = fork();
	if (!pid) {
		self->p[dsm_node * 64] = 1;
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(SIGKILL, wait_bounded(pid, 20000));
	SYNC();
	for (int n = 0; n < dsm_nodes; n++)
		ASSERT_EQ(1, self->p[n * 64]);
	SYNC();
}

TEST_HARNESS_MAIN
