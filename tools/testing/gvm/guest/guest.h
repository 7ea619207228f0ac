/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's tests share. Each test runs in a process of its own, under a time limit. */
#ifndef GVM_TEST_GUEST_H
#define GVM_TEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_CPUS 64

struct test {
	const char *name;
	void (*run)(void);
	unsigned int limit_s;
};

extern const struct test cpu_tests[], mem_tests[], numa_tests[], dev_tests[], work_tests[];

/* The log is the kernel's, so lines are whole, in order and have times. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What a test that does not end was last about to do. */
void step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Of the turns of a test those that GVM_TURNS, in percent, asks for; at least one. */
int turns(int n);
int nr_cpus(void);
void pin(int cpu);
bool cpu_pinned_ok(int cpu);
/* Run fn on each CPU at once, in threads pinned there; returns once all have ended. */
void each_cpu(void (*fn)(int cpu, void *arg), void *arg);
uint64_t now_us(void);
void sleep_us(unsigned int us);
/*
 * Let others run; *n counts how often it was called in a row. Sleeps get longer: each is a timer and
 * two switches, in pages that other CPUs want as well.
 */
void relax(unsigned int *n);
void *shared_alloc(uint64_t bytes);
int write_file(const char *path, const char *text);
/* What the tests of work.c start: nas in a program of its own. Return: its exit status. */
int nas_main(const char *what, const char *size);
/* Say what is in which page, if GVM_PAGES is set: pages.c. */
void say_pages(void);
/* Fail unless all is well; the message is the text of the condition. */
#define must(cond)							\
	do {								\
		if (!(cond))						\
			fail("%s:%d: %s: %m", __FILE__, __LINE__, #cond);	\
	} while (0)

#endif
