/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests of DSM_IOC_ADOPT. Node 0 adopts, the others look at the file. */
#ifndef DSM_SELFTEST_ADOPT_H
#define DSM_SELFTEST_ADOPT_H

#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "shared.h"
#include "uapi/dsm.h"

/* Return: 0 or -errno. */
static inline int adopt_of(int pidfd, int fd, const void *p, size_t len, off_t offset)
{
	struct dsm_ioc_adopt a = {
		.addr = (uintptr_t)p, .len = len, .offset = offset, .pidfd = pidfd,
	};

	return ioctl(fd, DSM_IOC_ADOPT, &a) ? -errno : 0;
}

static inline int adopt(int fd, const void *p, size_t len, off_t offset)
{
	return adopt_of(-1, fd, p, len, offset);
}

static inline uint8_t *anon_map(size_t pages)
{
	return mmap(NULL, pages * PG, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Before anyone touches the file: half of it is at home elsewhere. */
static inline int place_interleaved(int fd)
{
	struct dsm_ioc_place p = { .policy = DSM_PLACE_INTERLEAVE };

	return ioctl(fd, DSM_IOC_SET_PLACE, &p) ? -errno : 0;
}

/* Likewise: all of it is at home on that node. */
static inline int place_on(int fd, int node)
{
	struct dsm_ioc_place p = { .policy = DSM_PLACE_NODE, .node = node };

	return ioctl(fd, DSM_IOC_SET_PLACE, &p) ? -errno : 0;
}

static inline void fill_pages(uint8_t *p, size_t pages, uint64_t tag)
{
	for (size_t i = 0; i < pages; i++)
		pattern_fill(p + i * PG, PG, tag + i);
}

/* Return: the first page that is wrong, or -1. */
static inline long check_pages(const uint8_t *p, size_t pages, uint64_t tag)
{
	for (size_t i = 0; i < pages; i++)
		if (pattern_check(p + i * PG, PG, tag + i) >= 0)
			return i;
	return -1;
}

#define SMAPS_SIZE	512

/* What smaps says in @field of the mapping of @p, as text; "" if there is none. */
static inline const char *smaps_get(const void *p, const char *field, char buf[SMAPS_SIZE])
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end, addr = (uintptr_t)p;
	bool here = false;
	char line[SMAPS_SIZE];

	*buf = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			here = addr >= start && addr < end;
			if (here && !*field)
				strcpy(buf, line);
		} else if (here && *field && !strncmp(line, field, strlen(field))) {
			strcpy(buf, line + strlen(field));
		}
	}
	if (f)
		fclose(f);
	return buf;
}

/* Is the file at @path mapped at @p? */
static inline bool is_mapped_at(const void *p, const char *path)
{
	char line[SMAPS_SIZE];

	return strstr(smaps_get(p, "", line), path);
}

/* Pin a page for as long as the file that is returned lives; -errno. */
static inline int pin_page(void *p)
{
	struct io_uring_params params = { 0 };
	struct iovec iov = { p, PG };
	int fd = syscall(SYS_io_uring_setup, 4, &params);

	if (fd < 0)
		return -errno;
	if (!syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1))
		return fd;
	close(fd);
	return -EFAULT;
}

static inline void unpin_page(int fd)
{
	syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
	close(fd);
}

/* The pin may end a little later than the call that ends it. */
static inline int adopt_patiently(int fd, const void *p, size_t len, off_t offset)
{
	uint64_t end = now_us() + 10000000;
	int err;

	do {
		err = adopt(fd, p, len, offset);
	} while (err == -EBUSY && now_us() < end);
	return err;
}

/* A child of this process, and two pipes to talk to it. */
struct child {
	pid_t pid;
	int to[2], from[2];
};

static inline void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		abort();
}

static inline void hear(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(99);
}

static inline pid_t child_fork(struct child *c)
{
	if (pipe(c->to) || pipe(c->from))
		return -1;
	c->pid = fork();
	return c->pid;
}

#endif
