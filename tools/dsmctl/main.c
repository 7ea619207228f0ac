// SPDX-License-Identifier: GPL-2.0
/* dsmctl: join a cluster, leave it, look at it, place its memory, share that of a process. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "dsmctl.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "status", verb_status },
	{ "join", verb_join },
	{ "leave", verb_leave },
	{ "region", verb_region },
	{ "place", verb_place },
	{ "evict", verb_evict },
	{ "prefetch", verb_prefetch },
	{ "resident", verb_resident },
	{ "page", verb_page },
	{ "share", verb_share },
};

static const char help[] =
"usage: dsmctl [-n CLUSTER] VERB ...\n"
"\n"
"  status [-q]                        members, peers, regions, counters;\n"
"                                     3 if this server is not a member\n"
"  join [-c FILE] [-t SECONDS] [-m|--mount] [NAME]\n"
"                                     load the module and wait until this server,\n"
"                                     NAME in FILE, is a member; mount dsmfs\n"
"  leave [-f]                         unmount, hand over, unload; -f: unload even\n"
"                                     if not all could be handed over\n"
"  region list                        the regions\n"
"  region show NAME                   all that is known of one\n"
"  place NAME block PAGES [START [NR]]    homes: PAGES to a server, then the next\n"
"  place NAME interleave [START [NR]]     homes: page by page\n"
"  place NAME node N [START [NR]]         homes: all on one server\n"
"  evict NAME [START [NR]]            give up the copies on this server\n"
"  prefetch NAME START NR             start to fetch pages\n"
"  resident NAME [START [NR]]         how many pages are on this server, or where else\n"
"  page NAME INDEX                    what this server knows of a page\n"
"  share PID START-END|heap NAME      make memory of a process a new region, where it\n"
"                                     is, while it runs (patched kernel)\n"
"\n"
"NAME of a region: a file on the first mount of dsmfs, or a path. START, NR,\n"
"INDEX: pages of 4 KiB, with K, M, G, T for multiples. Default FILE: " CONFIG_PATH ".\n";

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("dsmctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

void usage_die(const char *format, ...)
{
	va_list args;

	fputs("dsmctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\n\"dsmctl help\" lists the verbs\n", stderr);
	exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
	const char *cluster = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "+n:h")) != -1) {
		if (opt == 'h')
			return fputs(help, stdout) < 0;
		if (opt != 'n')
			return EXIT_USAGE;
		cluster = optarg;
	}
	argc -= optind;
	argv += optind;
	if (!argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[0], "help"))
		return fputs(help, stdout) < 0;
	sysfs_select(cluster);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(argv[0], verbs[i].name)) {
			optind = 0;
			return verbs[i].run(argc, argv);
		}
	usage_die("no verb \"%s\"", argv[0]);
}
