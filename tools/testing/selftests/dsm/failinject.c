// SPDX-License-Identifier: GPL-2.0
/*
 * Calls and faults, and in each one allocation after the other fails, of those that
 * dsm.ko makes or has made for it.  The call fails with a clean errno or does what it
 * is for, and works the next time.
 */
#include <sys/ioctl.h>

#include "adopt.h"
#include "inject.h"

#define SWEEP_PAGES	4

struct sweep {
	char path[300], path2[300];
	int fd;
	uint8_t *p;
	unsigned long page;	/* with an odd one, home is another node */
};

static int errno_of(long ret)
{
	return ret < 0 ? -errno : 0;
}

/* What is to be there, or not, before a call. */
static void with_nothing(struct sweep *s)
{
	unlink(s->path);
	unlink(s->path2);
}

static void with_file(struct sweep *s)
{
	close(open(s->path, O_RDWR | O_CREAT, 0600));
}

static void with_length(struct sweep *s)
{
	if (ftruncate(s->fd, SWEEP_PAGES * PG))
		perror("ftruncate");
}

static void with_pages(struct sweep *s)
{
	for (int i = 0; i < SWEEP_PAGES; i++)
		if (pwrite(s->fd, "y", 1, i * PG) != 1)
			perror("pwrite");
}

static void without_pages(struct sweep *s)
{
	struct dsm_ioc_range r = { 0, SWEEP_PAGES };

	ioctl(s->fd, DSM_IOC_EVICT, &r);
}

/* Each call returns 0 or -errno. */
static int call_open(struct sweep *s)
{
	int fd = open(s->path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return -errno;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	return 0;
}

static int call_grow(struct sweep *s)
{
	return errno_of(ftruncate(s->fd, SWEEP_PAGES * PG));
}

static int call_place(struct sweep *s)
{
	return place_interleaved(s->fd);
}

static int call_pwrite(struct sweep *s)
{
	return errno_of(pwrite(s->fd, "x", 1, s->page * PG));
}

static int call_pread(struct sweep *s)
{
	char c;

	return errno_of(pread(s->fd, &c, 1, s->page * PG));
}

static void touch_write(void *arg)
{
	WRITE_ONCE(*(uint8_t *)arg, 1);
}

static void touch_read(void *arg)
{
	(void)READ_ONCE(*(uint8_t *)arg);
}

static int call_fault_write(struct sweep *s)
{
	return guard(touch_write, s->p + s->page * PG) ? -EFAULT : 0;
}

static int call_fault_read(struct sweep *s)
{
	return guard(touch_read, s->p + s->page * PG) ? -EFAULT : 0;
}

static int range_ioctl(struct sweep *s, unsigned long cmd)
{
	struct dsm_ioc_range r = { 0, SWEEP_PAGES };

	return errno_of(ioctl(s->fd, cmd, &r));
}

static int call_prefetch(struct sweep *s)
{
	return range_ioctl(s, DSM_IOC_PREFETCH);
}

static int call_evict(struct sweep *s)
{
	return range_ioctl(s, DSM_IOC_EVICT);
}

static int call_resident(struct sweep *s)
{
	struct dsm_ioc_resident r = { .nr = SWEEP_PAGES };

	return errno_of(ioctl(s->fd, DSM_IOC_RESIDENT, &r));
}

static int call_get_place(struct sweep *s)
{
	struct dsm_ioc_place p = { 0 };

	return errno_of(ioctl(s->fd, DSM_IOC_GET_PLACE, &p));
}

static int call_punch(struct sweep *s)
{
	return errno_of(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  0, SWEEP_PAGES * PG));
}

static int call_fsync(struct sweep *s)
{
	/* So that there is something to tell. */
	return futimens(s->fd, NULL) ? -errno : errno_of(fsync(s->fd));
}

static int call_readdir(struct sweep *)
{
	char buf[4096];
	int fd = open(dsm_mnt, O_RDONLY | O_DIRECTORY), err;

	if (fd < 0)
		return -errno;
	err = errno_of(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	close(fd);
	return err;
}

static int call_rename(struct sweep *s)
{
	return errno_of(rename(s->path, s->path2));
}

static int call_cut(struct sweep *s)
{
	return errno_of(ftruncate(s->fd, 1));
}

static int call_unlink(struct sweep *s)
{
	return errno_of(unlink(s->path));
}

static int call_adopt(struct sweep *s)
{
	uint8_t *m = anon_map(SWEEP_PAGES);
	int err;

	if (m == MAP_FAILED)
		return -errno;
	fill_pages(m, SWEEP_PAGES, 77);
	err = adopt(s->fd, m, SWEEP_PAGES * PG, 0);
	if (check_pages(m, SWEEP_PAGES, 77) >= 0)
		err = -EILSEQ;
	munmap(m, SWEEP_PAGES * PG);
	return err == -EOPNOTSUPP ? 0 : err;
}

static int call_mount(struct sweep *)
{
	char at[] = "/tmp/failinject.XXXXXX";
	int err;

	if (!mkdtemp(at))
		return -errno;
	err = errno_of(mount("none", at, "dsmfs", 0, "mode=0777"));
	umount(at);
	rmdir(at);
	return err;
}

/*
 * @may_fail: for want of memory; the others go on without, or wait for it.  Eviction
 * may be refused whatever there is: EBUSY.
 */
static const struct {
	const char *name;
	void (*with)(struct sweep *s);
	int (*call)(struct sweep *s);
	bool may_fail;
} calls[] = {
	{ "create", with_nothing, call_open, true },
	{ "open", NULL, call_open, true },
	{ "grow", NULL, call_grow, true },
	{ "place", NULL, call_place, true },
	{ "pwrite of nothing", NULL, call_pwrite, true },
	{ "pwrite", without_pages, call_pwrite, true },
	{ "pread", without_pages, call_pread, true },
	{ "read fault", without_pages, call_fault_read, false },
	{ "write fault", without_pages, call_fault_write, false },
	{ "upgrade", NULL, call_fault_write, false },
	{ "prefetch", without_pages, call_prefetch, false },
	{ "evict", with_pages, call_evict, true },
	{ "resident", with_pages, call_resident, true },
	{ "get_place", NULL, call_get_place, true },
	{ "fsync", NULL, call_fsync, true },
	{ "punch", with_pages, call_punch, true },
	{ "zero write fault", NULL, call_fault_write, false },
	{ "adopt", NULL, call_adopt, true },
	{ "readdir", NULL, call_readdir, true },
	{ "rename", with_file, call_rename, true },
	{ "cut", with_length, call_cut, true },
	{ "mount", NULL, call_mount, true },
	{ "unlink", with_file, call_unlink, true },
};

#define MAX_NTH		200

/* Return: how many allocations failed. */
static int sweep_call(struct __test_metadata *_metadata, struct sweep *s, size_t i)
{
	int failed = 0, errors = 0, err, hit;

	do {
		if (calls[i].with)
			calls[i].with(s);
		ASSERT_EQ(0, inject_nth(failed + 1));
		err = calls[i].call(s);
		hit = inject_nth_failed();
		ASSERT_LE(0, hit);
		ASSERT_EQ(0, inject_nth(0));
		errors += err != 0;
		failed += hit;
		if (err && (calls[i].call != call_evict || err != -EBUSY))
			ASSERT_TRUE(calls[i].may_fail && hit && is_clean(-err))
				TH_LOG("%s: allocation %d: error %d", calls[i].name, failed, err);
	} while (hit && failed < MAX_NTH);
	ASSERT_LT(failed, MAX_NTH) TH_LOG("%s", calls[i].name);
	ksft_print_msg("%s: %d allocations failed, %d calls did\n", calls[i].name, failed, errors);
	return failed;
}

SHARED_TEST(each_allocation_of_a_call)
{
	struct sweep s = { .fd = -1 };
	struct text dsm = text_of("dsm", "");
	char suffix[32];
	int failed = 0;
	long ms;

	ASSERT_NE(0, dsm.end);
	ASSERT_EQ(0, inject_setup());
	ASSERT_EQ(0, inject_from(dsm));
	ms = knob_get("evict_timeout_ms");
	ASSERT_EQ(0, knob_set("evict_timeout_ms", 2000));
	install_guard();
	snprintf(suffix, sizeof(suffix), ".%d", dsm_node);
	shared_name(self, suffix, s.path, sizeof(s.path));
	snprintf(suffix, sizeof(suffix), ".%d.moved", dsm_node);
	shared_name(self, suffix, s.path2, sizeof(s.path2));
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		for (s.page = 0; s.page < 2; s.page++)
			failed += sweep_call(_metadata, &s, i);
		if (s.p || strcmp(calls[i].name, "open"))
			continue;
		s.p = mmap(NULL, SWEEP_PAGES * PG, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
		ASSERT_NE(MAP_FAILED, s.p);
	}
	EXPECT_LT((int)ARRAY_LEN(calls), failed);
	ASSERT_EQ(0, inject_exit());
	ASSERT_EQ(0, knob_set("evict_timeout_ms", ms));
	with_nothing(&s);
	/* Nodes go through it at their own pace. */
	ASSERT_EQ(0, shared_sync(_metadata, self, TEST_S));
}

TEST_HARNESS_MAIN
