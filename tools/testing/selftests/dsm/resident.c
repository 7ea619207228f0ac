// SPDX-License-Identifier: GPL-2.0
/*
 * What memory management says of a file of dsmfs: what is on this server, whose memory
 * it is, and on which NUMA node.
 */
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "shared.h"
#include "uapi/dsm.h"

#define CGROUP	"/sys/fs/cgroup"
#define PRINTK	"/proc/sys/kernel/printk"

/* ---- what the kernel says ---- */

/* Return: kB of a line of smaps for the mapping at @p, or -1. */
static long smaps_kb(const void *p, const char *what)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[512];
	bool here = false;
	long kb = -1;

	while (f && kb < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from == (unsigned long)p;
		else if (here && !strncmp(line, what, strlen(what)))
			sscanf(line + strlen(what), ": %ld", &kb);
	}
	if (f)
		fclose(f);
	return kb;
}

/* Return: pages that numa_maps shows on a NUMA node for the mapping at @p. */
static long numa_pages(const void *p, int node)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	char line[1024], word[16];
	long nr = f ? 0 : -1;

	snprintf(word, sizeof(word), " N%d=", node);
	while (f && fgets(line, sizeof(line), f)) {
		const char *s = strstr(line, word);

		if (strtoul(line, NULL, 16) == (unsigned long)p && s)
			nr = strtol(s + strlen(word), NULL, 10);
	}
	if (f)
		fclose(f);
	return nr;
}

static long incore(void *p, int pages)
{
	unsigned char vec[512];
	long nr = 0;

	if (pages > ARRAY_LEN(vec) || mincore(p, pages * PG, vec))
		return -1;
	for (int i = 0; i < pages; i++)
		nr += vec[i] & 1;
	return nr;
}

/* All of them say the same. */
#define EXPECT_MAPPED(pages)								\
do {											\
	long nr_ = pages;								\
	ASSERT_EQ(nr_ * 4, smaps_kb(self->p, "Rss"));					\
	ASSERT_EQ(nr_, numa_pages(self->p, 0) + numa_pages(self->p, 1));		\
	ASSERT_EQ(nr_, incore(self->p, self->len / PG));				\
} while (0)

static void write_pages(uint8_t *p, int from, int to, int tag)
{
	for (int i = from; i < to; i++)
		pattern_fill(p + i * PG, PG, tag + i);
}

/* Return: the first page that is not as it was written, or -1. */
static int wrong_page(const uint8_t *p, int from, int to, int tag)
{
	for (int i = from; i < to; i++)
		if (pattern_check(p + i * PG, PG, tag + i) >= 0)
			return i;
	return -1;
}

static void place_on(struct __test_metadata *_metadata, int fd, int node)
{
	struct dsm_ioc_place place = { .policy = DSM_PLACE_NODE, .node = node };

	ASSERT_EQ(0, ioctl(fd, DSM_IOC_SET_PLACE, &place)) TH_LOG("SET_PLACE: %m");
}

DSMFS_TEST(what_is_mapped_is_what_is_here)
{
	struct dsm_ioc_range all = { 0, 32 };

	shared_open(_metadata, self, 32 * PG);
	EXPECT_MAPPED(0);
	SYNC();
	if (dsm_node == 0)
		write_pages(self->p, 0, 16, 1);
	SYNC();
	EXPECT_MAPPED(dsm_node == 0 ? 16 : 0);
	SYNC();
	/* What another server takes is gone from here, whatever was mapped. */
	if (dsm_node == 1)
		write_pages(self->p, 4, 12, 100);
	SYNC();
	EXPECT_MAPPED(dsm_node == 0 || dsm_node == 1 ? 8 : 0);
	if (dsm_node == 1)
		ASSERT_EQ(32, smaps_kb(self->p, "Private_Dirty"));
	SYNC();
	/* What left is not shown. */
	if (dsm_node == 1) {
		ASSERT_EQ(0, evict_patiently(self->fd, &all));
		EXPECT_MAPPED(0);
	}
	SYNC();
	ASSERT_EQ(-1, wrong_page(self->p, 4, 12, 100));
	ASSERT_EQ(-1, wrong_page(self->p, 12, 16, 1));
	SYNC();
}

/* ---- residency ---- */

static bool counts_are(struct __test_metadata *_metadata, int fd,
		       struct dsm_ioc_resident want)
{
	uint64_t end = now_us() + dsm_patient(5000000);
	struct dsm_ioc_resident is;

	want.nr = 64;
	do {
		is = (struct dsm_ioc_resident){ .nr = ~0ull };
		if (ioctl(fd, DSM_IOC_RESIDENT, &is))
			return false;
		if (!memcmp(&is, &want, sizeof(is)))
			return true;
		pause_us(1000);
	} while (now_us() < end);
	TH_LOG("exclusive %llu shared %llu moving %llu remote %llu untouched %llu elsewhere %llu",
	       is.exclusive, is.shared, is.moving, is.remote, is.untouched, is.elsewhere);
	return false;
}

/* Return: what dsmctl, which was built beside the tests, says of a state; or -1. */
static long dsmctl_says(const char *path, const char *state)
{
	char exe[256], command[700], line[256], name[32];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	long nr = -1, n;
	FILE *f;

	if (len < 0)
		return -1;
	exe[len] = 0;
	*strrchr(exe, '/') = 0;
	snprintf(command, sizeof(command), "%s/../tools/dsmctl resident %s", exe, path);
	f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %ld", name, &n) == 2 && !strcmp(name, state))
			nr = n;
	return !f || pclose(f) ? -1 : nr;
}

#define COUNTS(...)									\
do {											\
	struct dsm_ioc_resident want_ = { __VA_ARGS__ };				\
											\
	ASSERT_TRUE(counts_are(_metadata, self->fd, want_));				\
} while (0)

DSMFS_TEST(residency)
{
	struct dsm_ioc_resident none = { .start = 1000, .nr = 5 };
	long prefetch = knob_get("prefetch_pages");

	ASSERT_EQ(0, knob_set("prefetch_pages", 0));
	shared_open(_metadata, self, 64 * PG);
	if (dsm_node == 0)
		place_on(_metadata, self->fd, 0);
	SYNC();
	COUNTS(.untouched = dsm_node ? 0 : 64, .elsewhere = dsm_node ? 64 : 0);
	SYNC();
	if (dsm_node == 0)
		write_pages(self->p, 0, 16, 1);
	SYNC();
	if (dsm_node == 1) {
		ASSERT_EQ(-1, wrong_page(self->p, 0, 8, 1));
		write_pages(self->p, 16, 20, 1);
		write_pages(self->p, 15, 16, 1);
	}
	SYNC();
	if (dsm_node == 0) {
		COUNTS(.exclusive = 7, .shared = 8, .remote = 5, .untouched = 44);
		ASSERT_EQ(7, dsmctl_says(self->path, "exclusive"));
		ASSERT_EQ(5, dsmctl_says(self->path, "remote"));
	} else if (dsm_node == 1) {
		COUNTS(.exclusive = 5, .shared = 8, .elsewhere = 51);
		ASSERT_EQ(8, dsmctl_says(self->path, "shared"));
	}
	ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_RESIDENT, &none));
	ASSERT_EQ(0, none.nr);
	ASSERT_EQ(-1, ioctl(self->fd, DSM_IOC_RESIDENT, (void *)8));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, knob_set("prefetch_pages", prefetch));
	SYNC();
}

/* ---- cgroups ---- */

static void cgroup_path(char *path, size_t size, const char *file)
{
	snprintf(path, size, CGROUP "/dsm-resident/%s", file);
}

static long cgroup_get(const char *file, const char *key)
{
	char path[128], text[4096], *s = text;

	cgroup_path(path, sizeof(path), file);
	if (read_file(path, text, sizeof(text)))
		return -1;
	if (key) {
		s = strstr(text, key);
		if (!s)
			return -1;
		s += strlen(key);
	}
	return strtol(s, NULL, 10);
}

static int cgroup_set(const char *file, long val)
{
	char path[128], text[32];

	cgroup_path(path, sizeof(path), file);
	snprintf(text, sizeof(text), "%ld", val);
	return write_file(path, text);
}

static void cgroup_make(struct __test_metadata *_metadata, long max)
{
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	rmdir(CGROUP "/dsm-resident");
	ASSERT_EQ(0, mkdir(CGROUP "/dsm-resident", 0755)) TH_LOG("%m");
	if (max)
		ASSERT_EQ(0, cgroup_set("memory.max", max));
}

static bool cgroup_gone(void)
{
	for (int i = 0; i < 100; i++) {
		if (!rmdir(CGROUP "/dsm-resident"))
			return true;
		pause_us(10000);
	}
	return false;
}

#define CHARGE_PAGES	512

/* Pages of zeroes, pages that were fetched, and pages that were fetched ahead. */
static int touch_all(uint8_t *p, int mode)
{
	if (mode == 0)
		write_pages(p, 0, CHARGE_PAGES, 7);
	return mode && wrong_page(p, 0, CHARGE_PAGES, 7) >= 0;
}

static void charge_once(struct __test_metadata *_metadata, struct _test_data_shared *self,
			int mode)
{
	const long bytes = CHARGE_PAGES * PG;
	long before, after;
	int status;
	pid_t pid;

	/* Its first pages are not what is measured. */
	before = cgroup_get("memory.current", NULL);
	pid = fork();
	if (!pid) {
		if (cgroup_set("cgroup.procs", 0))
			_exit(100);
		_exit(touch_all(self->p, mode));
	}
	status = wait_bounded(pid, 40000);
	ASSERT_EQ(0, status);
	/* It is gone, the copies are not. */
	after = cgroup_get("memory.current", NULL);
	TH_LOG("mode %d: %ld KiB before, %ld KiB after, %ld KiB of copies", mode, before >> 10,
	       after >> 10, bytes >> 10);
	ASSERT_LE(before + bytes * 9 / 10, after);
	ASSERT_GE(before + bytes + (2 << 20), after);
}

DSMFS_TEST(copies_are_charged)
{
	const long bytes = CHARGE_PAGES * PG;
	struct dsm_ioc_range all = { 0, CHARGE_PAGES };
	uint64_t end;

	shared_open(_metadata, self, bytes);
	if (dsm_node == 0)
		place_on(_metadata, self->fd, 1);
	SYNC();
	for (int mode = 0; mode < 2; mode++) {
		if (dsm_node == 0) {
			cgroup_make(_metadata, 0);
			charge_once(_metadata, self, mode);
			/* Whoever uses them next does not pay again; who loses them is paid back. */
			ASSERT_EQ(-1, wrong_page(self->p, 0, CHARGE_PAGES, 7));
			ASSERT_LE(bytes * 9 / 10, cgroup_get("memory.current", NULL));
			ASSERT_EQ(0, evict_patiently(self->fd, &all));
			end = now_us() + dsm_patient(20000000);
			while (cgroup_get("memory.current", NULL) > bytes / 2) {
				ASSERT_GT(end, now_us())
					TH_LOG("%ld bytes are charged still",
					       cgroup_get("memory.current", NULL));
				pause_us(10000);
			}
			ASSERT_TRUE(cgroup_gone());
		}
		SYNC();
	}
	ASSERT_EQ(-1, wrong_page(self->p, 0, CHARGE_PAGES, 7));
	SYNC();
}

/* Of the cgroup, bytes; what the kernel needs for the process itself must fit as well. */
static long limit(void)
{
	long n = dsm_scale(4l << 20);

	return n < 1l << 20 ? 1l << 20 : n;
}

static int limit_pages(void)
{
	return 2 * limit() / PG;
}

static int write_then_check(uint8_t *p, _Atomic int *done)
{
	int nr = limit_pages();

	for (int i = 0; i < nr; i++) {
		write_pages(p, i, i + 1, 9);
		atomic_store(done, i + 1);
	}
	return wrong_page(p, 0, nr, 9) >= 0;
}

#define OVERRUN_S	60

/* Return: wait status of a child in the cgroup that writes twice its limit. */
static int overrun(uint8_t *p, _Atomic int *done)
{
	pid_t pid = fork();

	if (!pid) {
		if (cgroup_set("cgroup.procs", 0))
			_exit(100);
		_exit(write_then_check(p, done));
	}
	return wait_bounded(pid, OVERRUN_S * 1000);
}

static _Atomic int *shared_counter(struct __test_metadata *_metadata)
{
	_Atomic int *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	return p;
}

DSMFS_TEST(a_cgroup_at_its_limit_gives_copies_up)
{
	int status;

	shared_open(_metadata, self, limit_pages() * PG);
	if (dsm_node == 0) {
		_Atomic int *done = shared_counter(_metadata);

		cgroup_make(_metadata, limit());
		status = overrun(self->p, done);
		TH_LOG("status %#x after %d of %d pages, peak %ld KiB, %ld copies evicted", status,
		       *done, limit_pages(), cgroup_get("memory.peak", NULL) >> 10,
		       (long)stat_get("evict"));
		ASSERT_EQ(0, status);
		ASSERT_GE(limit() + 64 * PG, cgroup_get("memory.peak", NULL));
		ASSERT_EQ(0, cgroup_get("memory.events", "oom_kill "));
		ASSERT_TRUE(cgroup_gone());
	}
	SYNC_WITHIN(OVERRUN_S + BARRIER_S);
	ASSERT_EQ(-1, wrong_page(self->p, 0, limit_pages(), 9));
	SYNC();
}

/* No server takes the copies: the OOM killer ends it, soon, and what it wrote is there. */
DSMFS_TEST(a_cgroup_with_no_way_out_is_killed)
{
	long old = knob_get("memory_limit_mb");
	_Atomic int *done = shared_counter(_metadata);
	char path[300];
	int fd;

	shared_open(_metadata, self, limit_pages() * PG);
	if (dsm_node == 0) {
		place_on(_metadata, self->fd, 0);
	} else {
		/* Full of what it may not give up, with its limit above that of eviction. */
		fd = open(shared_name(self, ".full", path, sizeof(path)),
			  O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ftruncate(fd, 300 * PG));
		place_on(_metadata, fd, dsm_node);
		for (int i = 0; i < 300; i++)
			ASSERT_EQ(1, pwrite(fd, "x", 1, i * PG));
		ASSERT_EQ(0, knob_set("memory_limit_mb", 1));
	}
	SYNC();
	if (dsm_node == 0) {
		int status;

		ASSERT_EQ(0, knob_set("memory_limit_mb", 64));
		cgroup_make(_metadata, limit());
		/* The killer shows a call trace, which in the log of a test is a defect. */
		ASSERT_EQ(0, write_file(PRINTK, "4"));
		status = overrun(self->p, done);
		ASSERT_EQ(0, write_file(PRINTK, "7"));
		TH_LOG("status %#x after %d of %d pages", status, *done, limit_pages());
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
		ASSERT_LT(0, cgroup_get("memory.events", "oom_kill "));
		ASSERT_LT(limit() / PG / 2, *done);
		ASSERT_EQ(-1, wrong_page(self->p, 0, *done, 9));
	}
	SYNC_WITHIN(OVERRUN_S + BARRIER_S);
	ASSERT_EQ(0, knob_set("memory_limit_mb", old));
	SYNC();
	if (dsm_node == 1)
		unlink(path);
	ASSERT_EQ(-1, wrong_page(self->p, 0, 64, 9));
	SYNC();
	if (dsm_node == 0)
		ASSERT_TRUE(cgroup_gone());
	SYNC();
}

/* ---- NUMA ---- */

#define NUMA_PAGES	64

static long set_policy(void *p, size_t len, int mode, int node, int flags)
{
	unsigned long mask = node < 0 ? 0 : 1ul << node;

	if (!p)
		return syscall(SYS_set_mempolicy, mode, mask ? &mask : NULL, mask ? 8 : 0);
	return syscall(SYS_mbind, p, len, mode, mask ? &mask : NULL, mask ? 8 : 0, flags);
}

DSMFS_TEST(mbind_places_copies)
{
	shared_open(_metadata, self, 4 * NUMA_PAGES * PG);
	if (dsm_node == 1)
		write_pages(self->p, 0, 2 * NUMA_PAGES, 11);
	SYNC();
	if (dsm_node == 0) {
		for (int node = 0; node < 2; node++) {
			/* Written by another server, and by none. */
			for (int at = node; at < 4; at += 2) {
				size_t len = NUMA_PAGES * PG;
				uint8_t *q = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
						  at * len);

				ASSERT_NE(MAP_FAILED, q);
				ASSERT_EQ(0, set_policy(q, len, MPOL_BIND, node, 0)) TH_LOG("mbind: %m");
				if (at < 2)
					ASSERT_EQ(-1, wrong_page(q, 0, NUMA_PAGES, 11 + at * NUMA_PAGES));
				write_pages(q, 0, NUMA_PAGES, 200 + at);
				ASSERT_EQ(NUMA_PAGES, numa_pages(q, node)) TH_LOG("range %d", at);
				ASSERT_EQ(0, numa_pages(q, !node));
				ASSERT_EQ(-1, wrong_page(q, 0, NUMA_PAGES, 200 + at));
				munmap(q, len);
			}
		}
	}
	SYNC();
	for (int at = 0; at < 4; at++)
		ASSERT_EQ(-1, wrong_page(self->p + at * NUMA_PAGES * PG, 0, NUMA_PAGES, 200 + at));
	SYNC();
}

DSMFS_TEST(set_mempolicy_places_copies)
{
	char buf[PG];
	int node;

	shared_open(_metadata, self, 2 * NUMA_PAGES * PG);
	for (node = 0; node < 2; node++) {
		if (dsm_node == 1)
			write_pages(self->p, 0, 2 * NUMA_PAGES, 300 + node);
		SYNC();
		if (dsm_node == 0) {
			/* By a fault, and by read(2), whose pages are mapped afterwards. */
			ASSERT_EQ(0, set_policy(NULL, 0, MPOL_BIND, node, 0)) TH_LOG("%m");
			ASSERT_EQ(-1, wrong_page(self->p, 0, NUMA_PAGES, 300 + node));
			for (int i = NUMA_PAGES; i < 2 * NUMA_PAGES; i++) {
				ASSERT_EQ(PG, pread(self->fd, buf, PG, i * PG));
				ASSERT_EQ(-1, pattern_check(buf, PG, 300 + node + i));
			}
			ASSERT_EQ(0, set_policy(NULL, 0, MPOL_DEFAULT, -1, 0));
			ASSERT_EQ(-1, wrong_page(self->p, 0, 2 * NUMA_PAGES, 300 + node));
			ASSERT_EQ(2 * NUMA_PAGES, numa_pages(self->p, node));
			ASSERT_EQ(0, numa_pages(self->p, !node));
		}
		SYNC();
	}
}

/* What is here already stays where it is, and is told from what was asked for. */
DSMFS_TEST(copies_do_not_migrate)
{
	size_t len = NUMA_PAGES * PG;

	shared_open(_metadata, self, len);
	if (dsm_node == 0) {
		ASSERT_EQ(0, set_policy(self->p, len, MPOL_BIND, 0, 0));
		write_pages(self->p, 0, NUMA_PAGES, 13);
		ASSERT_EQ(NUMA_PAGES, numa_pages(self->p, 0));
		ASSERT_EQ(-1, set_policy(self->p, len, MPOL_BIND, 1, MPOL_MF_STRICT | MPOL_MF_MOVE));
		ASSERT_EQ(EIO, errno);
		ASSERT_EQ(0, set_policy(self->p, len, MPOL_BIND, 1, MPOL_MF_MOVE)) TH_LOG("%m");
		ASSERT_EQ(NUMA_PAGES, numa_pages(self->p, 0));
		ASSERT_EQ(-1, wrong_page(self->p, 0, NUMA_PAGES, 13));
	}
	SYNC();
	if (dsm_node == 1)
		write_pages(self->p, 0, NUMA_PAGES, 14);
	SYNC();
	ASSERT_EQ(-1, wrong_page(self->p, 0, NUMA_PAGES, 14));
	if (dsm_node == 0)
		ASSERT_EQ(NUMA_PAGES, numa_pages(self->p, 1));
	SYNC();
}

TEST_HARNESS_MAIN
