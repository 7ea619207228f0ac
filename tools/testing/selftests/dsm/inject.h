/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail: fail_page_alloc and failslab of a kernel with
 * CONFIG_FAULT_INJECTION_STACKTRACE_FILTER.  See fault-injection.rst of the kernel.
 */
#ifndef DSM_SELFTEST_INJECT_H
#define DSM_SELFTEST_INJECT_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib.h"

#define DEBUGFS		"/sys/kernel/debug"
#define INJECT_TIMES	1000000

static const char * const injectors[] = { "failslab", "fail_page_alloc" };

/* Text addresses. */
struct text {
	unsigned long start, end;
};

static inline int inject_set(const char *injector, const char *file, unsigned long val)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", injector, file);
	snprintf(text, sizeof(text), "%lu", val);
	return write_file(path, text);
}

static inline int inject_set_all(const char *file, unsigned long val)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(injectors) && !err; i++)
		err = inject_set(injectors[i], file, val);
	return err;
}

/* @names: a|b|c. What the compiler put elsewhere does not count. */
static inline bool is_one_of(const char *name, const char *names)
{
	for (;; names++) {
		size_t len = strcspn(names, "|");

		if (!strncmp(name, names, len) && !strstr(name, ".cold"))
			return true;
		names += len;
		if (!*names)
			return false;
	}
}

/**
 * text_of() - where functions are that lie side by side: those of an object file
 * @module:	of this module, or NULL: of the kernel itself
 * @names:	how their names begin, with | in between; "" for all
 *
 * Return: from the first one to the end of the last one; empty if there is none.
 */
static inline struct text text_of(const char *module, const char *names)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	struct text t = { -1ul, 0 };
	char line[512], name[256], mod[64], type;
	unsigned long addr, last = 0;

	for (int pass = 0; f && pass < 2; pass++) {
		rewind(f);
		while (fgets(line, sizeof(line), f)) {
			mod[0] = 0;
			if (sscanf(line, "%lx %c %255s [%63[^]]]", &addr, &type, name, mod) < 3 ||
			    (type != 't' && type != 'T') || strcmp(mod, module ?: ""))
				continue;
			/* First where they are, then what comes behind them. */
			if (pass && addr > last && addr < t.end)
				t.end = addr;
			if (pass || !is_one_of(name, names))
				continue;
			if (addr < t.start)
				t.start = addr;
			if (addr > last)
				last = addr;
		}
		if (!pass)
			t.end = last + PG;
	}
	if (f)
		fclose(f);
	return last ? t : (struct text){ 0, 0 };
}

/* Nothing fails any more, and for all that fails from now on a function of @t is to blame. */
static inline int inject_from(struct text t)
{
	int err = inject_set_all("probability", 0);

	err = err ?: inject_set_all("require-start", t.start);
	return err ?: inject_set_all("require-end", t.end);
}

/**
 * inject_setup() - make ready, but let nothing fail
 *
 * kmemleak's own allocations are spared: it would give up.
 *
 * Return: 0 or -errno.
 */
static inline int inject_setup(void)
{
	struct text kmemleak = text_of(NULL, "kmemleak_alloc|kmemleak_free|mem_pool_alloc");
	int err;

	if (!kmemleak.end || kmemleak.end - kmemleak.start > 16 * PG)
		return -ENOENT;

	mount("none", DEBUGFS, "debugfs", 0, NULL);
	err = inject_from((struct text){ 0, -1ul });
	err = err ?: inject_set_all("interval", 1);
	err = err ?: inject_set_all("space", 0);
	err = err ?: inject_set_all("verbose", 0);
	err = err ?: inject_set_all("task-filter", 0);
	err = err ?: inject_set_all("stacktrace-depth", 32);
	err = err ?: inject_set_all("reject-start", kmemleak.start);
	err = err ?: inject_set_all("reject-end", kmemleak.end);
	/* Those that could wait as well, and single pages. */
	err = err ?: inject_set_all("ignore-gfp-wait", 0);
	err = err ?: inject_set("fail_page_alloc", "ignore-gfp-highmem", 0);
	err = err ?: inject_set("fail_page_alloc", "min-order", 0);
	return err ?: inject_set_all("times", INJECT_TIMES);
}

/* As it was when the kernel booted, for whoever uses it next. Return: 0 or -errno. */
static inline int inject_exit(void)
{
	int err = inject_from((struct text){ 0, -1ul });

	err = err ?: inject_set_all("task-filter", 0);
	err = err ?: inject_set_all("reject-start", 0);
	err = err ?: inject_set_all("reject-end", 0);
	err = err ?: inject_set_all("ignore-gfp-wait", 1);
	err = err ?: inject_set("fail_page_alloc", "ignore-gfp-highmem", 1);
	return err ?: inject_set("fail_page_alloc", "min-order", 1);
}

/* Return: allocations that an injector has failed since inject_setup(), or -errno. */
static inline long inject_count(const char *injector)
{
	char path[128], text[32];
	int err;

	snprintf(path, sizeof(path), DEBUGFS "/%s/times", injector);
	err = read_file(path, text, sizeof(text));
	return err ? err : INJECT_TIMES - strtol(text, NULL, 0);
}

static inline long inject_count_all(void)
{
	return inject_count("failslab") + inject_count("fail_page_alloc");
}

/* Allocations of this thread may fail, if the injectors go by task. */
static inline int inject_me(bool on)
{
	return write_file("/proc/thread-self/make-it-fail", on ? "1" : "0");
}

/* Opening it would be among the allocations. */
static inline int inject_nth_fd(void)
{
	static _Thread_local int fd = -1;

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd;
}

/* The @n-th allocation of this thread from now on fails; 0: none. */
static inline int inject_nth(unsigned int n)
{
	int fd = inject_nth_fd();
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return fd < 0 || pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

/* Return: 1 if it has failed, 0 if there were not so many, or -errno. */
static inline int inject_nth_failed(void)
{
	char text[16] = "";

	if (pread(inject_nth_fd(), text, sizeof(text) - 1, 0) < 0)
		return -errno;
	return !strtol(text, NULL, 0);
}

/* ---- accesses that may get SIGBUS, by any thread ---- */

static _Thread_local sigjmp_buf guard_env;
static _Thread_local volatile sig_atomic_t guarded;

static inline void on_signal(int sig)
{
	if (guarded)
		siglongjmp(guard_env, sig);
	signal(sig, SIG_DFL);
	raise(sig);
}

static inline void install_guard(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGBUS, &sa, NULL);
}

/* Return: 0, or the signal. */
static inline int guard(void (*access)(void *), void *arg)
{
	int sig = sigsetjmp(guard_env, 1);

	if (!sig) {
		guarded = 1;
		access(arg);
	}
	guarded = 0;
	return sig;
}

/* What a call may fail with for want of memory, or because others wait for it. */
static inline bool is_clean(int err)
{
	return err == ENOMEM || err == EIO || err == ENOSPC || err == EBUSY ||
	       err == EAGAIN || err == ETIMEDOUT;
}

#endif
