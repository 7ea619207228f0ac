// SPDX-License-Identifier: GPL-2.0
/*
 * Adopted memory and the rest of memory management: what state it may be in
 * before, and what the calls that change mappings do to it afterwards.
 */
#include <linux/loop.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/swap.h>

#include "adopt.h"

/* All nodes: the file has the pattern. */
#define EXPECT_FILE(pages, tag)					\
	do {							\
		SYNC();						\
		EXPECT_EQ(-1, check_pages(self->p, pages, tag));	\
		SYNC();						\
	} while (0)

SHARED_TEST(fork_before_stays_private)
{
	struct child c;
	uint8_t *m;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		if (!child_fork(&c)) {
			hear(c.to[0]);
			if (check_pages(m, 8, 1) != -1)
				_exit(1);
			fill_pages(m, 8, 300);
			_exit(is_mapped_at(m, self->path) ? 2 : 0);
		}
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		fill_pages(m, 8, 200);
		tell(c.to[1]);
		EXPECT_EQ(0, wait_bounded(c.pid, 20000));
	}
	EXPECT_FILE(8, 200);
}

SHARED_TEST(fork_after_shares)
{
	pid_t pid;
	uint8_t *m;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		pid = fork();
		if (!pid) {
			if (check_pages(m, 8, 1) != -1)
				_exit(1);
			fill_pages(m, 8, 300);
			_exit(0);
		}
		EXPECT_EQ(0, wait_bounded(pid, 20000));
		EXPECT_EQ(-1, check_pages(m, 8, 300));
	}
	EXPECT_FILE(8, 300);
}

SHARED_TEST(exec_and_exit)
{
	pid_t pid;

	shared_open(_metadata, self, 16 * PG);
	for (int i = 0; i < 2 && dsm_node == 0; i++) {
		pid = fork();
		if (!pid) {
			uint8_t *m = anon_map(8);

			fill_pages(m, 8, 1 + i * 8);
			if (adopt(self->fd, m, 8 * PG, i * 8 * PG))
				_exit(1);
			if (i)
				execl("/bin/true", "true", NULL);
			_exit(i);
		}
		EXPECT_EQ(0, wait_bounded(pid, 20000));
	}
	/* What it wrote outlives the process and its program. */
	EXPECT_FILE(16, 1);
}

SHARED_TEST(mremap_munmap_madvise)
{
	uint8_t *m, *q, *to;

	shared_open(_metadata, self, 16 * PG);
	if (dsm_node == 0) {
		/* The middle of a mapping: what is beside it stays private. */
		m = anon_map(16);
		fill_pages(m, 16, 1);
		ASSERT_EQ(0, adopt(self->fd, m + 4 * PG, 8 * PG, 0));
		EXPECT_FALSE(is_mapped_at(m + 3 * PG, self->path));
		EXPECT_TRUE(is_mapped_at(m + 4 * PG, self->path));
		EXPECT_TRUE(is_mapped_at(m + 11 * PG, self->path));
		EXPECT_FALSE(is_mapped_at(m + 12 * PG, self->path));
		ASSERT_EQ(-1, check_pages(m, 16, 1));
		/* Grown, the mapping shows more of the file. */
		to = anon_map(16);
		q = mremap(m + 4 * PG, 8 * PG, 16 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		ASSERT_EQ(to, q) TH_LOG("%m");
		EXPECT_EQ(SIGSEGV, probe_read(m + 4 * PG, NULL));
		ASSERT_EQ(-1, check_pages(q, 8, 5));
		fill_pages(q, 16, 100);
		ASSERT_EQ(0, madvise(q, 16 * PG, MADV_DONTNEED));
		ASSERT_EQ(-1, check_pages(q, 16, 100));
		ASSERT_EQ(0, munmap(q + 4 * PG, 4 * PG));
		EXPECT_EQ(SIGSEGV, probe_read(q + 4 * PG, NULL));
		ASSERT_EQ(-1, check_pages(q + 8 * PG, 8, 108));
		/* What was never part of it. */
		EXPECT_EQ(-1, check_pages(m, 4, 1));
		EXPECT_EQ(-1, check_pages(m + 12 * PG, 4, 13));
	}
	EXPECT_FILE(16, 100);
}

SHARED_TEST(protection_stays)
{
	uint8_t *m;

	shared_open(_metadata, self, 4 * PG);
	if (dsm_node == 0) {
		m = anon_map(4);
		fill_pages(m, 4, 1);
		ASSERT_EQ(0, mprotect(m + PG, PG, PROT_READ));
		ASSERT_EQ(0, mprotect(m + 2 * PG, PG, PROT_NONE));
		ASSERT_EQ(0, adopt(self->fd, m, 4 * PG, 0));
		EXPECT_EQ(0, probe_read(m + PG, NULL));
		EXPECT_EQ(SIGSEGV, probe_write(m + PG, 1));
		EXPECT_EQ(SIGSEGV, probe_read(m + 2 * PG, NULL));
		EXPECT_EQ(-1, check_pages(self->p, 4, 1));
		ASSERT_EQ(0, mprotect(m, 4 * PG, PROT_READ | PROT_WRITE));
		EXPECT_EQ(-1, check_pages(m, 4, 1));
		fill_pages(m, 4, 50);
	}
	EXPECT_FILE(4, 50);
}

SHARED_TEST(heap_goes_on)
{
	uint8_t *m, *more;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = sbrk(0);
		ASSERT_EQ(m, sbrk(-(uintptr_t)m % PG));
		m = sbrk(8 * PG);
		fill_pages(m, 8, 1);
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		more = sbrk(4 * PG);
		ASSERT_EQ(m + 8 * PG, more);
		EXPECT_FALSE(is_mapped_at(more, self->path));
		fill_pages(more, 4, 70);
		EXPECT_EQ(-1, check_pages(m, 8, 1));
		EXPECT_EQ(-1, check_pages(more, 4, 70));
		/* Into what was adopted. */
		EXPECT_EQ(more + 4 * PG, sbrk(-6 * PG));
		EXPECT_EQ(SIGSEGV, probe_read(m + 6 * PG, NULL));
		EXPECT_EQ(-1, check_pages(m, 6, 1));
	}
	EXPECT_FILE(8, 1);
}

/* ---- before ---- */

#define SWAP_PAGES	2048

static int swap_on(int *loop)
{
	char head[PG] = { 0 };
	int fd = memfd_create("swap", MFD_CLOEXEC);

	((uint32_t *)(head + 1024))[0] = 1;
	((uint32_t *)(head + 1024))[1] = SWAP_PAGES - 1;
	memcpy(head + PG - 10, "SWAPSPACE2", 10);
	if (ftruncate(fd, SWAP_PAGES * PG) || write(fd, head, PG) != PG)
		return -errno;
	*loop = open("/dev/loop0", O_RDWR | O_CLOEXEC);
	if (*loop < 0 || ioctl(*loop, LOOP_SET_FD, fd) || swapon("/dev/loop0", 0))
		return -errno;
	close(fd);
	return 0;
}

/* How many of the pages are in swap? */
static int count_swapped(const uint8_t *p, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY), nr = 0;
	uint64_t e;

	for (size_t i = 0; i < pages; i++)
		if (pread(fd, &e, 8, ((uintptr_t)p / PG + i) * 8) == 8)
			nr += e >> 62 & 1;
	close(fd);
	return nr;
}

/* Until @want of them are. Return: how many. */
static int swap_out(uint8_t *p, size_t pages, int want)
{
	int nr = 0;

	for (int i = 0; i < 50 && nr < want; i++) {
		if (madvise(p, pages * PG, MADV_PAGEOUT))
			return -errno;
		pause_us(20000);
		nr = count_swapped(p, pages);
	}
	return nr;
}

static int swap_off(int loop)
{
	int err = swapoff("/dev/loop0") || ioctl(loop, LOOP_CLR_FD, 0) ? -errno : 0;

	close(loop);
	return err;
}

SHARED_TEST(swapped)
{
	enum { NR = 128 };
	int loop, nr;
	uint8_t *m;

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		ASSERT_EQ(0, swap_on(&loop)) TH_LOG("%m");
		m = anon_map(NR);
		fill_pages(m, NR, 1);
		nr = swap_out(m, NR, NR / 2);
		ksft_print_msg("%d of %d pages in swap\n", nr, NR);
		EXPECT_LT(0, nr);
		ASSERT_EQ(0, adopt(self->fd, m, NR * PG, 0));
		EXPECT_EQ(0, count_swapped(m, NR));
		EXPECT_EQ(-1, check_pages(m, NR, 1));
		/* It is not swapped, whatever is asked for. */
		madvise(m, NR * PG, MADV_PAGEOUT);
		EXPECT_EQ(0, count_swapped(m, NR));
		EXPECT_EQ(0, swap_off(loop));
	}
	EXPECT_FILE(NR, 1);
}

enum { WRITTEN = 8 };

/* To pages that were copied a while ago, in the middle of the adoption. */
static void *write_late(void *m)
{
	pause_us(100000);
	for (int i = 0; i < WRITTEN; i++)
		((volatile uint8_t *)m)[i * PG] = 0xee;
	return NULL;
}

/* A page that comes in from swap for the copy must not be written to behind it. */
SHARED_TEST(swapped_and_written)
{
	enum { NR = 256 };
	pthread_t t;
	uint64_t us;
	uint8_t *m;
	int loop;

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		ASSERT_EQ(0, place_on(self->fd, 1));
		ASSERT_EQ(0, swap_on(&loop)) TH_LOG("%m");
		m = anon_map(NR);
		fill_pages(m, NR, 1);
		swap_out(m, NR, NR);
		ASSERT_EQ(WRITTEN, count_swapped(m, WRITTEN));
		ASSERT_EQ(0, pthread_create(&t, NULL, write_late, m));
		us = now_us();
		ASSERT_EQ(0, adopt(self->fd, m, NR * PG, 0));
		us = now_us() - us;
		ASSERT_EQ(0, pthread_join(t, NULL));
		ksft_print_msg("adopted in %lu us, written to after 100000\n", us);
		EXPECT_LT(100000, us);
		for (int i = 0; i < WRITTEN; i++) {
			EXPECT_EQ(0xee, m[i * PG])
				TH_LOG("page %d: a write is lost", i);
		}
		EXPECT_EQ(-1, check_pages(m + WRITTEN * PG, NR - WRITTEN, 1 + WRITTEN));
		EXPECT_EQ(0, swap_off(loop));
	}
	SYNC();
}

SHARED_TEST(huge_pages)
{
	enum { HUGE = 512, NR = 3 * HUGE };
	char kb[SMAPS_SIZE];
	uint8_t *m;

	shared_open(_metadata, self, HUGE * PG);
	if (dsm_node == 0) {
		m = anon_map(NR);
		ASSERT_NE(MAP_FAILED, m);
		m += -(uintptr_t)m % (HUGE * PG);
		ASSERT_EQ(0, madvise(m, 2 * HUGE * PG, MADV_HUGEPAGE));
		fill_pages(m, 2 * HUGE, 1);
		smaps_get(m, "AnonHugePages:", kb);
		EXPECT_LT(0, atoi(kb)) TH_LOG("no huge page");
		/* The second half of the first, the first half of the second. */
		ASSERT_EQ(0, adopt(self->fd, m + HUGE / 2 * PG, HUGE * PG, 0));
		EXPECT_EQ(-1, check_pages(m, 2 * HUGE, 1));
		smaps_get(m + HUGE / 2 * PG, "AnonHugePages:", kb);
		EXPECT_EQ(0, atoi(kb));
	}
	EXPECT_FILE(HUGE, 1 + HUGE / 2);
}

#define KSM "/sys/kernel/mm/ksm/"

static long ksm_get(const char *file)
{
	char buf[32], path[64];

	snprintf(path, sizeof(path), KSM "%s", file);
	return read_file(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

SHARED_TEST(merged_pages)
{
	enum { NR = 32 };
	uint8_t *m, *q;

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		m = anon_map(NR);
		q = anon_map(NR);
		fill_pages(m, NR, 1);
		fill_pages(q, NR, 1);
		ASSERT_EQ(0, madvise(m, NR * PG, MADV_MERGEABLE)) TH_LOG("%m");
		ASSERT_EQ(0, madvise(q, NR * PG, MADV_MERGEABLE));
		ASSERT_EQ(0, write_file(KSM "pages_to_scan", "1000"));
		ASSERT_EQ(0, write_file(KSM "sleep_millisecs", "10"));
		ASSERT_EQ(0, write_file(KSM "run", "1"));
		for (int i = 0; i < 1500 && ksm_get("pages_sharing") < NR; i++)
			pause_us(10000);
		EXPECT_LE(NR, ksm_get("pages_sharing"));
		ASSERT_EQ(0, adopt(self->fd, m, NR * PG, 0));
		EXPECT_EQ(-1, check_pages(m, NR, 1));
		fill_pages(m, NR, 500);
		EXPECT_EQ(-1, check_pages(q, NR, 1));
		EXPECT_EQ(0, write_file(KSM "run", "2"));
		EXPECT_EQ(-1, check_pages(m, NR, 500));
		EXPECT_EQ(-1, check_pages(q, NR, 1));
		EXPECT_EQ(0, write_file(KSM "run", "0"));
	}
	EXPECT_FILE(NR, 500);
}

SHARED_TEST(numa_policy)
{
	unsigned long mask = 1;
	char flags[SMAPS_SIZE];
	uint8_t *m;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		ASSERT_EQ(0, syscall(SYS_mbind, m, 4 * PG, MPOL_BIND, &mask, 8, 0));
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		/* Mixed map: NUMA balancing passes it by, so do KSM and khugepaged. */
		smaps_get(m, "VmFlags:", flags);
		EXPECT_TRUE(strstr(flags, " mm ")) TH_LOG("%s", flags);
		EXPECT_FALSE(strstr(flags, " ac ")) TH_LOG("%s", flags);
		EXPECT_EQ(0, syscall(SYS_mbind, m, 8 * PG, MPOL_BIND, &mask, 8, MPOL_MF_MOVE));
		EXPECT_EQ(-1, check_pages(m, 8, 1));
	}
	EXPECT_FILE(8, 1);
}

SHARED_TEST(locked)
{
	char flags[SMAPS_SIZE];
	uint8_t *m;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		ASSERT_EQ(0, mlock(m + 7 * PG, PG));
		EXPECT_EQ(-EBUSY, adopt(self->fd, m, 8 * PG, 0));
		EXPECT_FALSE(is_mapped_at(m, self->path));
		ASSERT_EQ(0, munlock(m + 7 * PG, PG));
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		/* As with any mapping of dsmfs: accepted, and without effect. */
		EXPECT_EQ(0, mlock(m, 8 * PG));
		smaps_get(m, "VmFlags:", flags);
		EXPECT_FALSE(strstr(flags, " lo ")) TH_LOG("%s", flags);
		EXPECT_EQ(-1, check_pages(m, 8, 1));
	}
	EXPECT_FILE(8, 1);
}

SHARED_TEST(userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	uint8_t *m;
	int fd;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		fd = syscall(SYS_userfaultfd, O_CLOEXEC);
		ASSERT_LE(0, fd) TH_LOG("%m");
		ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
		reg = (struct uffdio_register){
			.range = { (uintptr_t)m, PG }, .mode = UFFDIO_REGISTER_MODE_MISSING,
		};
		ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));
		EXPECT_EQ(-EBUSY, adopt(self->fd, m, 8 * PG, 0));
		ASSERT_EQ(0, ioctl(fd, UFFDIO_UNREGISTER, &reg.range));
		ASSERT_EQ(0, adopt(self->fd, m, 8 * PG, 0));
		EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
		EXPECT_EQ(EINVAL, errno);
		close(fd);
	}
	EXPECT_FILE(8, 1);
}

SHARED_TEST(pinned)
{
	uint8_t *m;
	int pin;

	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0) {
		m = anon_map(8);
		fill_pages(m, 8, 1);
		pin = pin_page(m + 5 * PG);
		ASSERT_LE(0, pin) TH_LOG("io_uring: %s", strerror(-pin));
		EXPECT_EQ(-EBUSY, adopt(self->fd, m, 8 * PG, 0));
		unpin_page(pin);
		EXPECT_EQ(0, adopt_patiently(self->fd, m, 8 * PG, 0));
		EXPECT_GT(0, pin_page(m));
	}
	EXPECT_FILE(8, 1);
}

TEST_HARNESS_MAIN
