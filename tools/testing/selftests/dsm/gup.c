// SPDX-License-Identifier: GPL-2.0
/* Other users of the pages of a mapping: the kernel on behalf of a process. */
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "shared.h"

SHARED_TEST(read_and_write_system_calls)
{
	int fd = memfd_create("f", 0);
	uint8_t buf[4 * PG];

	/* copy_to_user and copy_from_user fault on the mapping. */
	shared_open(_metadata, self, 8 * PG);
	ASSERT_LE(0, fd);
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node) {
			pattern_fill(buf, sizeof(buf), w);
			ASSERT_EQ(sizeof(buf), pwrite(fd, buf, sizeof(buf), 0));
			ASSERT_EQ(sizeof(buf), pread(fd, self->p + 100, sizeof(buf), 0));
		}
		SYNC();
		ASSERT_EQ(4 * PG, pwrite(fd, self->p + 100, 4 * PG, 0));
		ASSERT_EQ(-1, pattern_check(self->p + 100, 4 * PG, w));
		SYNC();
	}
}

/* The file's own pages as the buffer of the file's own read and write. */
SHARED_TEST(file_to_itself)
{
	shared_open(_metadata, self, 8 * PG);
	if (dsm_node == 0)
		pattern_fill(self->p, PG, 1);
	SYNC();
	if (dsm_node == dsm_nodes - 1) {
		ASSERT_EQ(PG, pwrite(self->fd, self->p, PG, 4 * PG)) TH_LOG("%m");
		ASSERT_EQ(PG, pread(self->fd, self->p + 5 * PG, PG, 0)) TH_LOG("%m");
		/* One page onto itself must not deadlock. */
		ASSERT_EQ(PG, pwrite(self->fd, self->p, PG, 0)) TH_LOG("%m");
		ASSERT_EQ(PG, pread(self->fd, self->p, PG, 0)) TH_LOG("%m");
	}
	SYNC();
	ASSERT_EQ(-1, pattern_check(self->p, PG, 1));
	ASSERT_EQ(-1, pattern_check(self->p + 4 * PG, PG, 1));
	ASSERT_EQ(-1, pattern_check(self->p + 5 * PG, PG, 1));
	SYNC();
}

/* Return: a loop device over @file, opened with O_DIRECT, or -errno. */
static int loop_open(int file)
{
	struct loop_config cfg = { .fd = file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl, nr, fd, tries;
	char dev[32];

	if (access("/dev/loop-control", F_OK) && system("modprobe -q loop"))
		return -ENODEV;
	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return -errno;
	/* Others may take the free one first. */
	for (tries = 0; tries < 50; tries++) {
		nr = ioctl(ctl, LOOP_CTL_GET_FREE);
		snprintf(dev, sizeof(dev), "/dev/loop%d", nr);
		fd = nr < 0 ? -1 : open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &cfg))
			break;
		nr = -errno;
		if (fd >= 0)
			close(fd);
		fd = nr;
		pause_us(20000);
	}
	close(ctl);
	return fd;
}

SHARED_TEST(o_direct_through_a_block_device)
{
	int back, fd;

	back = memfd_create("disk", 0);
	ASSERT_LE(0, back);
	ASSERT_EQ(0, ftruncate(back, 1 << 20));
	fd = loop_open(back);
	if (fd < 0 && !dsm_real)
		SKIP(return, "no loop device: %s", strerror(-fd));
	ASSERT_LE(0, fd) TH_LOG("loop: %s", strerror(-fd));
	shared_open(_metadata, self, 16 * PG);
	for (int w = 0; w < 4 * dsm_nodes; w++) {
		const size_t len = 8 * PG, at = w % 8 * PG;

		if (w % dsm_nodes == dsm_node) {
			/* Memory -> device -> other memory, both by DMA. */
			pattern_fill(self->p + at, len, w);
			ASSERT_EQ(len, pwrite(fd, self->p + at, len, 0)) TH_LOG("%m");
			memset(self->p + at, 0, len);
		}
		SYNC();
		ASSERT_EQ(0, self->p[at]);
		SYNC();
		if (w % dsm_nodes == dsm_node)
			ASSERT_EQ(len, pread(fd, self->p + at, len, 0)) TH_LOG("%m");
		SYNC();
		ASSERT_EQ(-1, pattern_check(self->p + at, len, w)) TH_LOG("round %d", w);
		SYNC();
	}
	close(fd);
}

/* DMA into half a page while other nodes write the other half. */
SHARED_TEST(o_direct_beside_writers)
{
	const unsigned long rounds = dsm_scale(150);
	uint8_t buf[512], *p;
	uint32_t *count;
	int back, fd;

	back = memfd_create("disk", 0);
	ASSERT_EQ(0, ftruncate(back, 1 << 20));
	fd = loop_open(back);
	if (fd < 0 && !dsm_real)
		SKIP(return, "no loop device: %s", strerror(-fd));
	ASSERT_LE(0, fd) TH_LOG("loop: %s", strerror(-fd));
	shared_open(_metadata, self, PG);
	p = self->p + dsm_node * 512;
	count = (void *)(self->p + 3072);
	for (unsigned long i = 0; i < rounds; i++) {
		pattern_fill(buf, sizeof(buf), i);
		ASSERT_EQ(512, pwrite(back, buf, 512, 0));
		ASSERT_EQ(512, pread(fd, p, 512, 0)) TH_LOG("%m");
		__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
		ASSERT_EQ(-1, pattern_check(p, 512, i)) TH_LOG("round %lu", i);
		memset(p, 0, 512);
		pattern_fill(p, 512, i + 1);
		ASSERT_EQ(512, pwrite(fd, p, 512, 0)) TH_LOG("%m");
		ASSERT_EQ(512, pread(back, buf, 512, 0));
		ASSERT_EQ(-1, pattern_check(buf, 512, i + 1)) TH_LOG("round %lu", i);
	}
	SYNC();
	ASSERT_EQ(rounds * dsm_nodes, READ_ONCE(*count));
	close(fd);
	SYNC();
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	return pid;
}

SHARED_TEST(process_vm)
{
	uint8_t buf[2 * PG];
	struct iovec here = { buf, sizeof(buf) }, there;
	pid_t pid;

	shared_open(_metadata, self, 4 * PG);
	there = (struct iovec){ self->p + 5, sizeof(buf) };
	pid = sleeper();
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node) {
			pattern_fill(buf, sizeof(buf), w);
			ASSERT_EQ(sizeof(buf), process_vm_writev(pid, &here, 1, &there, 1, 0)) TH_LOG("%m");
		}
		SYNC();
		memset(buf, 0, sizeof(buf));
		ASSERT_EQ(sizeof(buf), process_vm_readv(pid, &here, 1, &there, 1, 0)) TH_LOG("%m");
		ASSERT_EQ(-1, pattern_check(buf, sizeof(buf), w));
		ASSERT_EQ(-1, pattern_check(self->p + 5, sizeof(buf), w));
		SYNC();
	}
	kill(pid, SIGKILL);
	wait_bounded(pid, 5000);
}

SHARED_TEST(ptrace_peek_and_poke)
{
	long *word;
	int status;
	pid_t pid;

	shared_open(_metadata, self, PG);
	word = (long *)self->p + 8;
	pid = sleeper();
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, 0)) TH_LOG("%m");
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node)
			ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, pid, word, 0x1234567800l + w)) TH_LOG("%m");
		SYNC();
		ASSERT_EQ(0x1234567800l + w, ptrace(PTRACE_PEEKDATA, pid, word, 0));
		ASSERT_EQ(0x1234567800l + w, *word);
		SYNC();
	}
	kill(pid, SIGKILL);
	wait_bounded(pid, 5000);
}

SHARED_TEST(proc_self_mem)
{
	uint8_t buf[PG];
	int fd = open("/proc/self/mem", O_RDWR);

	shared_open(_metadata, self, 2 * PG);
	ASSERT_LE(0, fd);
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node) {
			pattern_fill(buf, PG, w);
			ASSERT_EQ(PG, pwrite(fd, buf, PG, (off_t)(uintptr_t)self->p + 50)) TH_LOG("%m");
		}
		SYNC();
		ASSERT_EQ(PG, pread(fd, buf, PG, (off_t)(uintptr_t)self->p + 50)) TH_LOG("%m");
		ASSERT_EQ(-1, pattern_check(buf, PG, w));
		SYNC();
	}
}

/*
 * A page in a pipe is referenced by the kernel.  The other node's write may
 * wait for it but not for ever, and what the pipe gives is one of the two.
 */
SHARED_TEST(vmsplice_holds_a_page)
{
	uint8_t buf[PG];
	struct iovec iov;
	int pipefd[2];

	shared_open(_metadata, self, PG);
	ASSERT_EQ(0, pipe(pipefd));
	if (dsm_node == 0)
		pattern_fill(self->p, PG, 1);
	SYNC();
	if (dsm_node == 0) {
		iov = (struct iovec){ self->p, PG };
		ASSERT_EQ(PG, vmsplice(pipefd[1], &iov, 1, 0)) TH_LOG("%m");
	}
	SYNC();
	if (dsm_node == 0) {
		pause_us(300000);
		ASSERT_EQ(PG, read(pipefd[0], buf, PG));
		ASSERT_TRUE(pattern_check(buf, PG, 1) < 0 || pattern_check(buf, PG, 2) < 0);
	} else if (dsm_node == 1) {
		pattern_fill(self->p, PG, 2);
	}
	SYNC();
	ASSERT_EQ(-1, pattern_check(self->p, PG, 2));
	SYNC();
}

/*
 * A pin without an end would keep the page here for ever: the kernel allows
 * that on shmem and hugetlb only, and dsmfs must not be taken for one.
 */
SHARED_TEST(long_term_pin_is_refused)
{
	struct io_uring_params params = { 0 };
	struct iovec iov;
	int fd, ret;

	shared_open(_metadata, self, PG);
	self->p[dsm_node] = 1;
	fd = syscall(SYS_io_uring_setup, 4, &params);
	if (fd < 0 && (!dsm_real || access("/proc/sys/kernel/io_uring_disabled", F_OK)))
		SKIP(return, "no io_uring: %s", strerror(errno));
	ASSERT_LE(0, fd) TH_LOG("%m");
	iov = (struct iovec){ self->p, PG };
	ret = syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1);
	if (dsm_real) {
		ASSERT_EQ(-1, ret);
		ASSERT_TRUE(errno == EFAULT || errno == EOPNOTSUPP) TH_LOG("%m");
	}
	close(fd);
	SYNC();
	for (int n = 0; n < dsm_nodes; n++)
		ASSERT_EQ(1, self->p[n]);
	SYNC();
}

/* Does the file hold @len bytes that match the pattern, at page granularity? */
static bool core_has_pattern(const char *path, uint64_t tag)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	bool found = false;
	uint8_t *p;

	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		return false;
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	for (off_t i = 0; i + PG <= st.st_size && !found; i += 512)
		found = pattern_check(p + i, PG, tag) < 0;
	munmap(p, st.st_size);
	return found;
}

SHARED_TEST(core_dump)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[128] = "", path[300];
	int status;
	pid_t pid;

	read_file("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
	if (!dsm_real && strcmp(pattern, "/tmp/core.%e.%p\n"))
		SKIP(return, "core_pattern is %s", pattern);
	shared_open(_metadata, self, 4 * PG);
	if (dsm_node == 0)
		pattern_fill(self->p + PG, PG, 42);
	SYNC();
	pid = fork();
	if (!pid) {
		write_file("/proc/self/coredump_filter", "0x7f\n");
		setrlimit(RLIMIT_CORE, &lim);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	status = wait_bounded(pid, 40000);
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ASSERT_TRUE(WCOREDUMP(status)) TH_LOG("no core");
	snprintf(path, sizeof(path), "/tmp/core.%.15s.%d", program_invocation_short_name, pid);
	ASSERT_TRUE(core_has_pattern(path, 42)) TH_LOG("%s lacks the page", path);
	unlink(path);
	SYNC();
}

TEST_HARNESS_MAIN
