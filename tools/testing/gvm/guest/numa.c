// SPDX-License-Identifier: GPL-2.0
/* NUMA nodes: one for each server, with its CPUs, its memory and the distances to the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define NODES		16
#define REMOTE		30	/* Linux's RECLAIM_DISTANCE: what is farther is not simply near */

static FILE *open_of(unsigned int node, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/%s", node, file);
	return fopen(path, "re");
}

static unsigned int distances(unsigned int node, unsigned int dist[NODES])
{
	FILE *f = open_of(node, "distance");
	unsigned int n = 0;

	while (f && n < NODES && fscanf(f, "%u", &dist[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

static unsigned long mib(unsigned int node)
{
	FILE *f = open_of(node, "meminfo");
	unsigned long kib = 0;

	if (f && fscanf(f, "Node %*u MemTotal: %lu", &kib) != 1)
		kib = 0;
	if (f)
		fclose(f);
	return kib >> 10;
}

static void cpus(unsigned int node, char *text, int size)
{
	FILE *f = open_of(node, "cpulist");

	if (!f || !fgets(text, size, f))
		*text = 0;
	text[strcspn(text, "\n")] = 0;
	if (f)
		fclose(f);
}

static void numa(void)
{
	const char *want = getenv("GVM_NODES");
	unsigned int nr = want ? atoi(want) : 1, dist[NODES][NODES] = { 0 }, i, j;
	char list[64], row[4 * NODES + 1];
	FILE *beyond = open_of(nr, "distance");

	if (nr > NODES || beyond)
		fail("other than %u nodes", nr);
	for (i = 0; i < nr; i++) {
		unsigned int n = distances(i, dist[i]);

		if (n != nr)
			fail("node %u knows the distances of %u nodes of %u", i, n, nr);
		for (*row = 0, j = 0; j < nr; j++)
			sprintf(row + strlen(row), " %u", dist[i][j]);
		cpus(i, list, sizeof(list));
		say("# node %u: CPUs %s, %lu MiB, distances%s", i, list, mib(i), row);
		if (!*list)
			fail("node %u has no CPU", i);
		if (!mib(i))
			fail("node %u has no memory", i);
	}
	for (i = 0; i < nr; i++)
		for (j = 0; j < nr; j++)
			if (dist[i][j] != dist[j][i] ||
			    (i == j ? dist[i][j] != 10 : dist[i][j] <= REMOTE))
				fail("distance of %u and %u: %u, back %u", i, j, dist[i][j],
				     dist[j][i]);
}

const struct test numa_tests[] = {
	{ "numa", numa, 60 },
	{ 0 },
};
