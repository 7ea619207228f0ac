// SPDX-License-Identifier: GPL-2.0
/* TAP: ranges of addresses, good and bad. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../compiler.h"
#include "../range.h"

static const char maps[] =
	"00400000-00401000 r-xp 00000000 08:01 12   /bin/x\n"
	"01000000-01002000 rw-p 00000000 00:00 0                                  [heap]\n"
	"01002000-01004000 rw-s 00000000 00:20 7    /dev/dsm/a [heap]x\n"
	"01004000-01009000 rw-p 00000000 00:00 0                                  [heap]\n"
	"7ffc0000-7ffd0000 rw-p 00000000 00:00 0                                  [stack]\n";

static const struct {
	const char *text;
	const char *maps;
	struct range r;
	const char *message;	/* a part of it, NULL if the text is good */
} cases[] = {
	{ "1000-2000", maps, { 0x1000, 0x2000 }, NULL },
	{ "7f0012340000-7F0012ABC000", "", { 0x7f0012340000, 0x7f0012abc000 }, NULL },
	{ "0x1000-0x3000", maps, { 0x1000, 0x3000 }, NULL },
	{ "heap", maps, { 0x1000000, 0x1009000 }, NULL },
	{ "heap", "", { 0 }, "no heap" },
	{ "heap", "00400000-00401000 r-xp 00000000 08:01 12   /x\n", { 0 }, "no heap" },
	{ "stack", maps, { 0 }, "grows" },
	{ "", maps, { 0 }, "START-END" },
	{ "1000", maps, { 0 }, "START-END" },
	{ "1000-", maps, { 0 }, "START-END" },
	{ "-1000", maps, { 0 }, "START-END" },
	{ "1000--2000", maps, { 0 }, "START-END" },
	{ "1000- 2000", maps, { 0 }, "START-END" },
	{ "1000-2000x", maps, { 0 }, "START-END" },
	{ "1000-10000000000000000", maps, { 0 }, "START-END" },
	{ "g000-2000", maps, { 0 }, "START-END" },
	{ "2000-1000", maps, { 0 }, "behind the start" },
	{ "1000-1000", maps, { 0 }, "behind the start" },
	{ "1001-2000", maps, { 0 }, "page size" },
	{ "1000-2001", maps, { 0 }, "page size" },
};

int main(void)
{
	int bad = 0;

	printf("1..%zu\n", ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		FILE *f = fmemopen((void *)cases[i].maps, strlen(cases[i].maps) + 1, "r");
		struct range r = { 0 };
		const char *message = range_parse(cases[i].text, f, &r);
		int good;

		fclose(f);
		if (cases[i].message)
			good = message && strstr(message, cases[i].message);
		else
			good = !message && r.start == cases[i].r.start &&
			       r.end == cases[i].r.end;
		printf("%s %zu %s\n", good ? "ok" : "not ok", i + 1, cases[i].text);
		if (!good)
			printf("# %s %" PRIx64 "-%" PRIx64 "\n", message ?: "good", r.start, r.end);
		bad += !good;
	}
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
