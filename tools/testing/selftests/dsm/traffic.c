// SPDX-License-Identifier: GPL-2.0
/*
 * traffic FILE PAGES SECONDS [EXPECTED-SUM]: verified traffic for the host-driven
 * tests.  Each node has a counter in every page, which it alone increments and
 * always finds as it left it; those of others never go back.  Nodes may come and
 * go.  Last line: "sum S ops N max_us M", S the sum of the own counters.
 * SIGUSR1: stop now.  Exit status 1: wrong data, 3: SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"

static _Atomic sig_atomic_t stop;

static void on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void on_bus(int sig)
{
	static const char text[] = "SIGBUS\n";

	(void)sig;
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(4);
	_exit(3);
}

static _Atomic uint64_t *counter(uint8_t *base, unsigned long page, int node)
{
	return (void *)(base + page * PG + node * CACHELINE);
}

static int wrong(const char *what, unsigned long page, int node, uint64_t want, uint64_t got)
{
	printf("%s: page %lu, counter of node %d: want %lu, got %lu\n", what, page, node, want, got);
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t rng = rnd_seed(), end, t, max_us = 0, ops = 0, sum = 0;
	unsigned long pages;
	uint64_t *seen;
	uint8_t *base;
	int fd;

	if (argc < 4)
		return 2;
	pages = strtoul(argv[2], NULL, 0);
	signal(SIGUSR1, on_stop);
	signal(SIGBUS, on_bus);
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	/* Not ftruncate(): it would shrink what another one, with more pages, has just extended. */
	if (fd < 0 || fallocate(fd, 0, 0, pages * PG)) {
		printf("%s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	base = mmap(NULL, pages * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	seen = calloc(pages * dsm_nodes, sizeof(*seen));
	if (base == MAP_FAILED || !seen)
		return 2;
	for (unsigned long i = 0; i < pages; i++) {
		seen[i * dsm_nodes + dsm_node] = atomic_load(counter(base, i, dsm_node));
		sum += seen[i * dsm_nodes + dsm_node];
	}
	if (argc > 4 && sum != strtoull(argv[4], NULL, 0))
		return wrong("start", 0, dsm_node, strtoull(argv[4], NULL, 0), sum);
	printf("start %lu\n", sum);
	fflush(stdout);
	end = now_us() + strtoul(argv[3], NULL, 0) * 1000000;
	while (!stop && (t = now_us()) < end) {
		unsigned long page = rnd(&rng) % pages;
		int node = (rnd(&rng) >> 32) % dsm_nodes;
		uint64_t *s = &seen[page * dsm_nodes + node], v;

		v = atomic_load(counter(base, page, node));
		if (v < *s || (node == dsm_node && v != *s))
			return wrong("traffic", page, node, *s, v);
		*s = v;
		if (node == dsm_node) {
			atomic_store(counter(base, page, node), ++*s);
			sum++;
		}
		ops++;
		t = now_us() - t;
		if (t > max_us)
			max_us = t;
	}
	printf("sum %lu ops %lu max_us %lu\n", sum, ops, max_us);
	return 0;
}
