// SPDX-License-Identifier: GPL-2.0
/*
 * dsmfs on a patched kernel: with the fault hook and without it, in one boot.
 * What is measured is the local part of a fault: the right is here already.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>

#include "shared.h"
#include "uapi/dsm.h"

#define NR	1024	/* pages */
#define ROUNDS	21
#define TRACING	"/sys/kernel/tracing/"

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

static double ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* The rights stay, the page table entries go. */
static void forget(uint8_t *p)
{
	madvise(p, NR * PG, MADV_DONTNEED);
}

static void touch(uint8_t *p, bool write)
{
	for (uint8_t *q = p; q < p + NR * PG; q += PG) {
		if (write)
			WRITE_ONCE(*q, 1);
		else
			(void)READ_ONCE(*q);
	}
}

/* Nanoseconds a page. */
static double timed_touch(uint8_t *p, bool write)
{
	double start = ns();

	touch(p, write);
	return (ns() - start) / NR;
}

static uint8_t *map_with(int fd, size_t len, int hook)
{
	knob_set("fault_hook", hook);
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void time_faults(uint8_t *map_of[2])
{
	static const char * const what[] = {
		"write, missing", "read, missing", "write, read before",
	};
	double t[ARRAY_LEN(what)][2][ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < 2; j++) {
			int hook = (i + j) % 2;

			forget(map_of[hook]);
			t[0][hook][i] = timed_touch(map_of[hook], true);
			forget(map_of[hook]);
			t[1][hook][i] = timed_touch(map_of[hook], false);
			t[2][hook][i] = timed_touch(map_of[hook], true);
		}
	}
	for (int w = 0; w < ARRAY_LEN(what); w++) {
		double off = median(t[w][0]), on = median(t[w][1]);

		ksft_print_msg("local fault, %s: hook off %.0f ns, on %.0f ns, ratio %.2f\n",
			       what[w], off, on, on / off);
	}
}

SHARED_TEST(local_faults)
{
	uint8_t *map_of[2];
	long long count;

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		for (int hook = 0; hook < 2; hook++) {
			map_of[hook] = map_with(self->fd, NR * PG, hook);
			ASSERT_NE(MAP_FAILED, map_of[hook]);
			touch(map_of[hook], true);
		}
		time_faults(map_of);
		/* What is owned is mapped for writing by a read already. */
		forget(map_of[1]);
		touch(map_of[1], false);
		count = stat_get("fault_local");
		touch(map_of[1], true);
		EXPECT_EQ(count, stat_get("fault_local"));
		for (int hook = 0; hook < 2; hook++)
			munmap(map_of[hook], NR * PG);
	}
	SYNC();
}

/* Return: kernel functions called for @nr faults of this task, or -1. */
static long count_calls(uint8_t *p, int nr)
{
	char pid[16], line[512];
	long calls = 0;
	FILE *f;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (write_file(TRACING "set_graph_function", "handle_mm_fault") ||
	    write_file(TRACING "set_ftrace_pid", pid) ||
	    write_file(TRACING "options/funcgraph-irqs", "0") ||
	    write_file(TRACING "current_tracer", "function_graph"))
		return -1;
	for (int i = 0; i < nr; i++)
		WRITE_ONCE(p[i * PG], 1);
	write_file(TRACING "tracing_on", "0");
	f = fopen(TRACING "trace", "r");
	while (f && fgets(line, sizeof(line), f))
		calls += strstr(line, "();") || strstr(line, "() {");
	if (f)
		fclose(f);
	write_file(TRACING "current_tracer", "nop");
	write_file(TRACING "set_ftrace_pid", "");
	write_file(TRACING "tracing_on", "1");
	return calls;
}

SHARED_TEST(functions_of_a_fault)
{
	enum { FAULTS = 64 };
	uint8_t *map_of[2];
	double calls[2];

	shared_open(_metadata, self, NR * PG);
	if (dsm_node == 0) {
		for (int hook = 0; hook < 2; hook++) {
			map_of[hook] = map_with(self->fd, NR * PG, hook);
			ASSERT_NE(MAP_FAILED, map_of[hook]);
			touch(map_of[hook], true);
			forget(map_of[hook]);
			/* Page tables are there afterwards. */
			map_of[hook][NR * PG - 1] = 1;
			calls[hook] = count_calls(map_of[hook], FAULTS);
			ASSERT_LT(0, calls[hook]) TH_LOG("no function_graph tracer");
			munmap(map_of[hook], NR * PG);
		}
		ksft_print_msg("calls a local write fault: hook off %.1f, on %.1f, ratio %.2f\n",
			       calls[0] / FAULTS, calls[1] / FAULTS, calls[1] / calls[0]);
		EXPECT_LT(calls[1], calls[0]);
	}
	/* Turning the tracer on rewrites all functions of the kernel. */
	ASSERT_EQ(0, shared_sync(_metadata, self, 3 * BARRIER_S));
}

/* Mappings of both kinds, on each node, of the same pages. */
SHARED_TEST(both_kinds_count_together)
{
	const unsigned long rounds = dsm_scale(200);
	uint8_t *map_of[2];

	shared_open(_metadata, self, 4 * PG);
	for (int hook = 0; hook < 2; hook++) {
		map_of[hook] = map_with(self->fd, 4 * PG, hook);
		ASSERT_NE(MAP_FAILED, map_of[hook]);
	}
	for (unsigned long i = 0; i < rounds; i++) {
		uint8_t *p = map_of[(i + dsm_node) % 2] + i % 4 * PG;

		/* A read first now and then: the other way to get there. */
		if (i % 3 == 0)
			(void)READ_ONCE(*p);
		atomic_fetch_add((_Atomic uint64_t *)p, 1);
	}
	SYNC();
	for (int hook = 0; hook < 2; hook++) {
		uint64_t sum = 0;

		for (int i = 0; i < 4; i++)
			sum += READ_ONCE(*(uint64_t *)(map_of[hook] + i * PG));
		EXPECT_EQ(rounds * dsm_nodes, sum);
	}
	SYNC();
	knob_set("fault_hook", 1);
}

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt;
}

/* Every third page, so that no one takes it for a sequence. Return: faults it took. */
static long write_thirds(uint8_t *p, int tag)
{
	long before = faults();

	for (int i = 0; i < NR; i += 3)
		pattern_fill(p + i * PG, 64, tag + i);
	return faults() - before;
}

/* A write maps pages behind it that no one ever had, if their home is here, and what is here. */
SHARED_TEST(writes_map_what_is_behind)
{
	struct dsm_ioc_place place = { .policy = DSM_PLACE_NODE, .node = 0 };
	const int thirds = (NR + 2) / 3;
	long one_by_one, around;

	shared_open(_metadata, self, 2 * NR * PG);
	ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_SET_PLACE, &place)) TH_LOG("SET_PLACE: %m");
	SYNC();
	if (dsm_node == 0) {
		one_by_one = write_thirds(self->p, 1000);
		knob_set("write_ahead_pages", 16);
		around = write_thirds(self->p + NR * PG, 5000);
		knob_set("write_ahead_pages", 0);
		ksft_print_msg("%d pages written: %ld faults, with write_ahead_pages=16 %ld\n",
			       thirds, one_by_one, around);
		EXPECT_LE(thirds, one_by_one);
		EXPECT_GE(NR / 8, around);
	}
	SYNC();
	/* Others see what was written, zeroes in between, and can write there. */
	for (int i = 0; i < NR; i++) {
		uint8_t *q = self->p + (NR + i) * PG;

		ASSERT_TRUE(i % 3 ? !READ_ONCE(*(uint64_t *)q) :
				    pattern_check(q, 64, 5000 + i) < 0) TH_LOG("page %d", i);
	}
	SYNC();
	knob_set("write_ahead_pages", 16);
	for (int i = dsm_node; i < NR; i += dsm_nodes)
		WRITE_ONCE(*(uint64_t *)(self->p + (NR + i) * PG), i + 1);
	SYNC();
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(i + 1, READ_ONCE(*(uint64_t *)(self->p + (NR + i) * PG)));
	SYNC();
	knob_set("write_ahead_pages", 0);
}

#define NR_EVICT	256

/* Give all copies up, and check that nothing is lost. Return: ns a page. */
static double give_up(struct __test_metadata *_metadata, struct _test_data_shared *self,
		      int batch, int tag)
{
	struct dsm_ioc_range all = { 0, NR_EVICT };
	double start;

	for (int i = 0; i < NR_EVICT; i++)
		pattern_fill(self->p + i * PG, 64, tag + i);
	knob_set("revoke_batch", batch);
	start = ns();
	EXPECT_EQ(0, evict_patiently(self->fd, &all));
	start = ns() - start;
	for (int i = 0; i < NR_EVICT; i++)
		EXPECT_EQ(-1, pattern_check(self->p + i * PG, 64, tag + i));
	return start / NR_EVICT;
}

SHARED_TEST(evictions_are_batched)
{
	double single, batched;
	long long before;

	shared_open(_metadata, self, NR_EVICT * PG);
	if (dsm_node == 0) {
		single = give_up(_metadata, self, 1, 1000);
		before = stat_get("revoke_batched");
		batched = give_up(_metadata, self, 64, 5000);
		EXPECT_LT(before, stat_get("revoke_batched"));
		ksft_print_msg("evict %d pages: singly %.0f ns a page, batched %.0f, ratio %.2f; %lld in batches\n",
			       NR_EVICT, single, batched, single / batched,
			       stat_get("revoke_batched") - before);
	}
	SYNC();
	if (dsm_node)
		for (int i = 0; i < NR_EVICT; i++)
			ASSERT_EQ(-1, pattern_check(self->p + i * PG, 64, 5000 + i));
	SYNC();
}

TEST_HARNESS_MAIN
