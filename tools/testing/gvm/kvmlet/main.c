// SPDX-License-Identifier: GPL-2.0
/*
 * kvmlet: a VMM that shows whether what runs its vCPUs is KVM. Its guest (payload/) tests
 * interrupts of every kind, memory and time; results are TAP on stdout. Every wait has a
 * limit; a test without end is reported with the state of each vCPU.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kvmlet.h"

struct vm vm = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.nr_cpus = 2,
	.limit_ms = 20000,
	.test = -1,
};

static const struct {
	const char *name, *what;
} tests[] = {
#define TEST_ROW(name, what) { #name, what },
	TESTS(TEST_ROW)
};

static uint32_t tests_ended, tests_failed;
static struct timespec test_start;

static void vsay(const char *fmt, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);

	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(1, line, n) != n)
		_exit(4);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("Bail out! %s", text);
	_exit(3);
}

void test_begins(uint32_t nr)
{
	pthread_mutex_lock(&vm.lock);
	if (nr >= NR_TESTS || vm.test >= 0)
		die("the guest begins test %u in test %d", nr, vm.test);
	vm.test = nr;
	vm.tests_begun++;
	clock_gettime(CLOCK_MONOTONIC, &test_start);
	pthread_cond_broadcast(&vm.changed);
	pthread_mutex_unlock(&vm.lock);
}

void test_ends(uint32_t nr, bool ok)
{
	struct timespec now;
	long ms;

	pthread_mutex_lock(&vm.lock);
	if ((int)nr != vm.test)
		die("the guest ends test %u in test %d", nr, vm.test);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - test_start.tv_sec) * 1000 +
	     (now.tv_nsec - test_start.tv_nsec) / 1000000;
	tests_failed += !ok;
	say("%sok %u %s: %s # %ld ms", ok ? "" : "not ", ++tests_ended, tests[nr].name,
	    tests[nr].what, ms);
	vm.test = -1;
	pthread_cond_broadcast(&vm.changed);
	pthread_mutex_unlock(&vm.lock);
}

void all_ended(void)
{
	pthread_mutex_lock(&vm.lock);
	vm.ended = true;
	pthread_cond_broadcast(&vm.changed);
	pthread_mutex_unlock(&vm.lock);
}

static uint64_t parse_tests(char *names)
{
	uint64_t mask = 0;
	const char *name;
	unsigned int i;

	while ((name = strsep(&names, ","))) {
		for (i = 0; i < NR_TESTS && strcmp(name, tests[i].name); i++)
			;
		if (i == NR_TESTS) {
			fprintf(stderr, "kvmlet: no test '%s'\n", name);
			exit(2);
		}
		mask |= 1ull << i;
	}
	return mask;
}

static _Noreturn void usage(void)
{
	unsigned int i;

	fprintf(stderr, "usage: kvmlet [--cpus N] [--mem-file FILE] [--only TEST,TEST] [--skip TEST,TEST]\n"
			"              [--rounds N] [--limit-ms N] [--timeout S]\n"
			"  --mem-file  guest memory is this file, shared; else private and anonymous\n"
			"  --rounds    repetitions in a test (10)\n"
			"  --limit-ms  of a single wait (20000);  --timeout  of a test (300)\ntests:\n");
	for (i = 0; i < NR_TESTS; i++)
		fprintf(stderr, "  %-12s %s\n", tests[i].name, tests[i].what);
	exit(2);
}

/* Until the guest is done; each test, and what is between two, has timeout_s. */
static bool watch(unsigned int timeout_s)
{
	bool in_time = true;

	pthread_mutex_lock(&vm.lock);
	while (!vm.ended && in_time) {
		uint32_t begun = vm.tests_begun;
		int test = vm.test, err = 0;
		struct timespec end;

		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout_s;
		while (!err && !vm.ended && begun == vm.tests_begun && test == vm.test)
			err = pthread_cond_timedwait(&vm.changed, &vm.lock, &end);
		in_time = !err;
	}
	pthread_mutex_unlock(&vm.lock);
	return in_time;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cpus", 1, NULL, 'c' },   { "mem-file", 1, NULL, 'f' }, { "only", 1, NULL, 'o' },
		{ "skip", 1, NULL, 's' },   { "rounds", 1, NULL, 'r' },   { "limit-ms", 1, NULL, 'l' },
		{ "timeout", 1, NULL, 't' }, { 0 },
	};
	uint64_t mask = (1ull << NR_TESTS) - 1;
	uint32_t rounds = 10, timeout_s = 300, i;
	pthread_condattr_t attr;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			vm.nr_cpus = atoi(optarg);
			break;
		case 'f':
			vm.mem_file = optarg;
			break;
		case 'o':
			mask = parse_tests(optarg) | 1ull << TEST_ap_up;
			break;
		case 's':
			mask &= ~parse_tests(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'l':
			vm.limit_ms = atoi(optarg);
			break;
		case 't':
			timeout_s = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind < argc || !vm.nr_cpus || vm.nr_cpus > MAX_CPUS || !rounds || !vm.limit_ms)
		usage();
	if (vm.nr_cpus < 3)
		mask &= ~(1ull << TEST_again_from);	/* nobody else there to send it */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm.changed, &attr);

	say("1..%d", __builtin_popcountll(mask));
	vm_create(mask, rounds);
	vcpu_signals_init();
	device_start();
	for (i = 0; i < vm.nr_cpus; i++)
		vcpu_create(&vm.vcpu[i]);
	for (i = 0; i < vm.nr_cpus; i++)
		if (pthread_create(&vm.vcpu[i].thread, NULL, vcpu_main, &vm.vcpu[i]))
			die("no thread");
	if (!watch(timeout_s)) {
		int test = vm.test;

		say("# no end after %u s: %s", timeout_s, test < 0 ? "between tests" : tests[test].name);
		vcpu_dump_all();
		die("%s hangs", test < 0 ? "the guest" : tests[test].name);
	}
	_exit(tests_failed ? 1 : 0);
}
