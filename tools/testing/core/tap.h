/* SPDX-License-Identifier: GPL-2.0 */
/* Tests that register themselves, and TAP. */
#ifndef DSM_TEST_TAP_H
#define DSM_TEST_TAP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>

struct test {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct test *next;
};

void tap_register(struct test *t);
_Noreturn void tap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Of each program: its name, and the last test's, which asks what the others reached. */
extern const char tap_program[], tap_cover_name[];

bool cover_report(bool list);

/* Of the walk under way, for the report of a failure; 0 if none. */
extern unsigned long long tap_seed;

#define TEST(fn)						\
	static void fn(void);					\
	static struct test test_##fn = { __FILE__, #fn, fn, NULL }; \
	static void __attribute__((constructor)) register_##fn(void) \
	{							\
		tap_register(&test_##fn);			\
	}							\
	static void fn(void)

#define CHECK(cond)						\
	do {							\
		if (!(cond))					\
			tap_fail(__FILE__, __LINE__, "%s", #cond); \
	} while (0)

#define CHECK_STR(got, want)					\
	do {							\
		const char *got_ = (got), *want_ = (want);	\
								\
		if (strcmp(got_, want_))			\
			tap_fail(__FILE__, __LINE__, "%s: is %s, not %s", \
				 #got, got_, want_);		\
	} while (0)

#endif
