// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static struct test *first, **last = &first;
static unsigned int nr_tests;
static jmp_buf out_of_test;
unsigned long long tap_seed;

void tap_register(struct test *t)
{
	*last = t;
	last = &t->next;
	nr_tests++;
}

void tap_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	if (tap_seed)
		printf(" (seed %llu)", tap_seed);
	printf("\n");
	longjmp(out_of_test, 1);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool run_one(const struct test *t)
{
	tap_seed = 0;
	if (setjmp(out_of_test))
		return false;
	t->run();
	return true;
}

/* [-c] [name]: -c prints what was not reached */
int main(int argc, char **argv)
{
	bool list = argc > 1 && !strcmp(argv[1], "-c");
	const char *only = argc > 1 + list ? argv[1 + list] : NULL;
	unsigned int i = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	if (!only)
		printf("1..%u\n", nr_tests + 1);
	for (struct test *t = first; t; t = t->next) {
		bool ok;

		if (only && !strstr(t->name, only))
			continue;
		ok = run_one(t);
		failed += !ok;
		printf("%sok %u - %s: %s\n", ok ? "" : "not ", ++i,
		       base_name(t->suite), t->name);
	}
	if (!only) {
		bool ok = cover_report(list);

		failed += !ok;
		printf("%sok %u - %s\n", ok ? "" : "not ", ++i, tap_cover_name);
	}
	printf("%s: %u passed, %u failed\n", tap_program, i - failed, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
