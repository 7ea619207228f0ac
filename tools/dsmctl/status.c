// SPDX-License-Identifier: GPL-2.0
/* dsmctl status. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsmctl.h"

static void show_cluster(void)
{
	char name[VALUE_SIZE], transport[VALUE_SIZE], state[VALUE_SIZE], reason[VALUE_SIZE];
	char members[VALUE_SIZE], master[VALUE_SIZE], size[32];
	uint64_t pages = sysfs_number("cluster/nr_resident_pages");

	sysfs_get("cluster/name", name);
	sysfs_get("cluster/transport", transport);
	sysfs_get("cluster/state", state);
	sysfs_get("cluster/reason", reason);
	sysfs_get("cluster/members", members);
	sysfs_get("cluster/master", master);
	human_size(pages * 4096, size, sizeof(size));
	printf("cluster      %s (%s), epoch %llu\n", name, transport,
	       (unsigned long long)sysfs_number("cluster/epoch"));
	printf("this node    %llu of %llu, %s", (unsigned long long)sysfs_number("cluster/node"),
	       (unsigned long long)sysfs_number("cluster/nr_nodes"), state);
	/* Of a member it is only why it once had to ask again. */
	printf(strcmp(reason, "none") && strcmp(state, "in") ? " (%s)\n" : "\n", reason);
	printf("members      %s, master %s\n", *members ? members : "none", master);
	printf("resident     %llu pages (%s), %llu mounts\n", (unsigned long long)pages, size,
	       (unsigned long long)sysfs_number("cluster/nr_mounts"));
}

static void show_peers(void)
{
	static const char * const files[] = { "address", "link", "queued", "unacked" };
	static const int width[] = { -24, -6, 8, 8 };
	char **peer, file[PATH_SIZE], value[VALUE_SIZE];
	int nr = sysfs_list("peers", &peer);

	if (!nr)
		return;
	printf("\n%-5s%-24s %-6s %8s %8s\n", "PEER", "ADDRESS", "LINK", "QUEUED", "UNACKED");
	for (int i = 0; i < nr; i++) {
		printf("%-4s", peer[i]);
		for (int f = 0; f < 4; f++) {
			snprintf(file, sizeof(file), "peers/%.16s/%s", peer[i], files[f]);
			sysfs_get(file, value);
			printf(" %*s", width[f], value);
		}
		putchar('\n');
	}
}

static void show_counters(void)
{
	char **name, file[PATH_SIZE];
	int nr = sysfs_list("cluster/stats", &name);
	bool title = false;

	for (int i = 0; i < nr; i++) {
		uint64_t value;

		snprintf(file, sizeof(file), "cluster/stats/%.64s", name[i]);
		value = sysfs_number(file);
		if (!value)
			continue;
		if (!title)
			puts("\nCOUNTER");
		title = true;
		printf("%-20s %14llu\n", name[i], (unsigned long long)value);
	}
}

static void show_latencies(void)
{
	static const char * const files[] = { "p50_ns", "p90_ns", "p99_ns" };
	char **name, file[PATH_SIZE];
	int nr = sysfs_list("cluster/latency", &name);
	bool title = false;

	for (int i = 0; i < nr; i++) {
		uint64_t count;

		snprintf(file, sizeof(file), "cluster/latency/%.64s/count", name[i]);
		count = sysfs_number(file);
		if (!count)
			continue;
		if (!title)
			printf("\n%-20s %14s %10s %10s %10s\n", "LATENCY", "COUNT", "P50 us", "P90 us",
			       "P99 us");
		title = true;
		printf("%-20s %14llu", name[i], (unsigned long long)count);
		for (int f = 0; f < 3; f++) {
			snprintf(file, sizeof(file), "cluster/latency/%.64s/%s", name[i], files[f]);
			printf(" %10.1f", sysfs_number(file) / 1000.0);
		}
		putchar('\n');
	}
}

int verb_status(int argc, char **argv)
{
	bool quiet = false;
	char *list[3] = { "region", "list" };
	int opt;

	while ((opt = getopt(argc, argv, "q")) != -1) {
		if (opt != 'q')
			return EXIT_USAGE;
		quiet = true;
	}
	if (argc != optind)
		usage_die("status: \"%s\" is too much", argv[optind]);
	if (!sysfs_present()) {
		if (!quiet)
			sysfs_say_absent();
		return EXIT_OUT;
	}
	if (!quiet) {
		show_cluster();
		show_peers();
		putchar('\n');
		verb_region(2, list);
		show_counters();
		show_latencies();
	}
	return sysfs_number("cluster/joined") ? EXIT_SUCCESS : EXIT_OUT;
}
