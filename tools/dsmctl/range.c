// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "range.h"

#define PAGE_BYTES	4096

/* strtoull() would take a sign and spaces. */
static const char *hex(const char *s, uint64_t *value)
{
	char *end;

	if (!isxdigit((unsigned char)*s))
		return NULL;
	errno = 0;
	*value = strtoull(s, &end, 16);
	return errno ? NULL : end;
}

/* The heap may be several mappings, one behind the other. */
static const char *heap(FILE *maps, struct range *r)
{
	char *line = NULL;
	size_t size = 0;
	struct range m;

	*r = (struct range){ 0 };
	while (getline(&line, &size, maps) > 0) {
		if (!strstr(line, " [heap]\n") ||
		    sscanf(line, "%lx-%lx ", &m.start, &m.end) != 2)
			continue;
		if (!r->end)
			r->start = m.start;
		r->end = m.end;
	}
	free(line);
	return r->end ? NULL : "the process has no heap: it may use mmap for all it allocates";
}

const char *range_parse(const char *text, FILE *maps, struct range *r)
{
	const char *s;

	if (!strcmp(text, "heap"))
		return heap(maps, r);
	if (!strcmp(text, "stack"))
		return "a stack grows, which a file cannot";
	s = hex(text, &r->start);
	if (!s || *s != '-')
		return "not START-END in hexadecimal, nor \"heap\"";
	s = hex(s + 1, &r->end);
	if (!s || *s)
		return "not START-END in hexadecimal, nor \"heap\"";
	if (r->start >= r->end)
		return "the end is not behind the start";
	if ((r->start | r->end) % PAGE_BYTES)
		return "not a multiple of the page size";
	return NULL;
}
