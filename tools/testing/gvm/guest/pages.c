// SPDX-License-Identifier: GPL-2.0
/*
 * What is in which page of the guest's RAM, for who watches the pages of its servers
 * (hotpages.py): lines "# pages <what> <page>[-<page>] ...", numbers in hexadecimal. The first line
 * that names a page is right.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "nas.h"

#define PAGE		4096ull
#define PRESENT		(1ull << 63)
#define PFN		((1ull << 55) - 1)
#define KPF_SLAB	(1ull << 7)
#define KPF_PGTABLE	(1ull << 26)
#define LINE		600
#define PAUSE_US	5000000

struct run {
	const char *what;
	uint64_t first, end;	/* none if both are the same */
	char line[LINE];
	size_t len;
};

static void flush(struct run *r)
{
	if (r->len)
		say("# pages %s%s", r->what, r->line);
	r->len = 0;
}

static void end_run(struct run *r)
{
	if (r->first == r->end)
		return;
	if (r->len > LINE - 40)
		flush(r);
	r->len += sprintf(r->line + r->len, r->end > r->first + 1 ? " %" PRIx64 "-%" PRIx64 :
			  " %" PRIx64, r->first, r->end - 1);
	r->first = r->end;
}

static void add(struct run *r, uint64_t pfn)
{
	if (r->first == r->end || pfn != r->end) {
		end_run(r);
		r->first = pfn;
	}
	r->end = pfn + 1;
}

static void say_range(FILE *map, const char *what, uint64_t from, uint64_t to)
{
	struct run r = { .what = what };
	uint64_t at, entry;

	fseek(map, from / PAGE * sizeof(entry), SEEK_SET);
	for (at = from / PAGE * PAGE; at < to && fread(&entry, sizeof(entry), 1, map) == 1; at += PAGE)
		if (entry & PRESENT)
			add(&r, entry & PFN);
	end_run(&r);
	flush(&r);
}

/* Stacks of threads have no name of their own. */
static const char *name_of(const char *path, bool writable)
{
	if (!strncmp(path, "[heap]", 6))
		return "heap";
	if (!strncmp(path, "[stack]", 7))
		return "stack";
	if (path[0] == '/')
		return writable ? "data" : "code";
	return "stacks,malloc";
}

static void say_process(void)
{
	FILE *map = fopen("/proc/self/pagemap", "r"), *maps = fopen("/proc/self/maps", "r");
	const struct nas_array *a;
	uint64_t from, to;
	char line[300];

	must(map && maps);
	for (a = nas_arrays(); a->name; a++)
		say_range(map, a->name, (uintptr_t)a->at, (uintptr_t)a->at + a->bytes);
	while (fgets(line, sizeof(line), maps)) {
		char mode[8] = "", path[200] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %199s", &from, &to, mode,
			   path) >= 3 && strncmp(path, "[v", 2))
			say_range(map, name_of(path, mode[1] == 'w'), from, to);
	}
	fclose(map);
	fclose(maps);
}

static void say_flag(const char *what, uint64_t flag)
{
	FILE *f = fopen("/proc/kpageflags", "r");
	struct run r = { .what = what };
	uint64_t pfn, flags;

	must(f);
	for (pfn = 0; fread(&flags, sizeof(flags), 1, f) == 1; pfn++)
		if (flags & flag)
			add(&r, pfn);
	end_run(&r);
	flush(&r);
	fclose(f);
}

void say_pages(void)
{
	if (!getenv("GVM_PAGES"))
		return;
	say("# pages follow");
	sleep_us(PAUSE_US);	/* in which the servers stop watching */
	say_process();
	say_flag("page-tables", KPF_PGTABLE);
	say_flag("slab", KPF_SLAB);
	say("# pages end");
}
