// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of a machine whose time stamp counter counts instructions: what does a fault
 * of a mapping cost that has nothing to do with coherent ones?
 *
 * Prints "faultcost: <name> <count> <p50> <p90> <p99>", then powers off.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PG	4096ul
#define PAGES	1024ul
#define ROUNDS	4
/* A read of a file maps the pages around as well (fault_around_bytes). */
#define AROUND	16ul

static uint64_t cost[PAGES * ROUNDS];
static unsigned long nr;

static _Noreturn void die(const char *what)
{
	perror(what);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static char *map(int fd, int flags)
{
	char *p = mmap(NULL, PAGES * PG, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	if (madvise(p, PAGES * PG, MADV_NOHUGEPAGE) < 0 && flags & MAP_ANONYMOUS)
		die("MADV_NOHUGEPAGE");
	return p;
}

static int file(void)
{
	int fd = memfd_create("faultcost", 0);
	char *p;

	if (fd < 0 || ftruncate(fd, PAGES * PG) < 0)
		die("memfd");
	p = map(fd, MAP_SHARED);
	memset(p, 1, PAGES * PG);
	munmap(p, PAGES * PG);
	return fd;
}

static void touch(volatile char *p, int write, unsigned long step)
{
	for (unsigned long i = 0; i < PAGES; i += step) {
		volatile char *at = p + i * PG;
		uint64_t begin = __rdtsc();

		if (write)
			*at = 1;
		else
			(void)*at;
		cost[nr++] = __rdtsc() - begin;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print(const char *name)
{
	unsigned long n = nr;

	nr = 0;
	qsort(cost, n, sizeof(cost[0]), compare);
	printf("faultcost: %s %lu %lu %lu %lu\n", name, n, cost[n / 2], cost[n * 9 / 10],
	       cost[n * 99 / 100]);
	fflush(stdout);
}

static void anon(const char *name, int write)
{
	for (int i = 0; i < ROUNDS; i++) {
		char *p = map(-1, MAP_PRIVATE | MAP_ANONYMOUS);

		touch(p, write, 1);
		munmap(p, PAGES * PG);
	}
	print(name);
}

static void mapped_file(const char *name, int flags, int write)
{
	int fd = file();

	for (int i = 0; i < ROUNDS; i++) {
		char *p = map(fd, flags);

		touch(p, write, write ? 1 : AROUND);
		munmap(p, PAGES * PG);
	}
	close(fd);
	print(name);
}

/* Pages that a child holds, so that each write has to copy; or held, until it ended. */
static void after_fork(const char *name, int copy)
{
	char *p = map(-1, MAP_PRIVATE | MAP_ANONYMOUS);

	memset(p, 1, PAGES * PG);
	for (int i = 0; i < ROUNDS; i++) {
		int fds[2], status;
		pid_t pid;

		if (pipe(fds) < 0)
			die("pipe");
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid) {
			char c;

			close(fds[1]);
			_exit(read(fds[0], &c, 1) != 0);
		}
		close(fds[0]);
		if (copy)
			touch(p, 1, 1);
		close(fds[1]);
		waitpid(pid, &status, 0);
		if (!copy)
			touch(p, 1, 1);
	}
	munmap(p, PAGES * PG);
	print(name);
}

int main(void)
{
	anon("anon_read", 0);
	anon("anon_write", 1);
	mapped_file("shared_file_read", MAP_SHARED, 0);
	mapped_file("shared_file_write", MAP_SHARED, 1);
	mapped_file("private_file_read", MAP_PRIVATE, 0);
	mapped_file("private_file_copy", MAP_PRIVATE, 1);
	after_fork("copy_after_fork", 1);
	after_fork("reuse_after_fork", 0);
	printf("faultcost: end\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 1;
}
