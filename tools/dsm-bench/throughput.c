// SPDX-License-Identifier: GPL-2.0
/* Kinds that time many faults at once, in a row, or against each other. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_US	50000
#define SEQ_FACTOR	4	/* pages of a sequential read, in counts */

static int raw_if_loaded(struct bench *b, int peer, const char *line, struct raw *raw)
{
	int err = raw_verbs(b, peer, line, raw);

	return err == -ENOENT ? 0 : err;
}

/* The yardstick of node 1, taken before and after what it is compared with. */
static int raw_at_node1(struct bench *b, const char *line, struct raw *raw)
{
	*raw = (struct raw) { 0 };
	return barrier(b, b->node == 1 ? raw_if_loaded(b, 0, line, raw) : 0);
}

/* -- faults a second, by threads */

struct worker {
	pthread_t thread;
	struct area *a;
	const uint32_t *order;
	size_t nr;
	pthread_barrier_t *start;
	uint64_t t0;
	uint64_t t1;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	size_t i;

	pthread_barrier_wait(w->start);
	w->t0 = now_ns();
	for (i = 0; i < w->nr; i++)
		area_touch(w->a, w->order[i], OP_READ);
	w->t1 = now_ns();
	return NULL;
}

static int workers_run(struct area *a, const uint32_t *order, int nr, double *rate)
{
	struct worker *w = calloc(nr, sizeof(*w));
	uint64_t t0 = UINT64_MAX, t1 = 0;
	pthread_barrier_t start;
	int i;

	if (!w)
		return -ENOMEM;
	pthread_barrier_init(&start, NULL, nr);
	for (i = 0; i < nr; i++) {
		w[i].a = a;
		w[i].nr = a->nr / nr;
		w[i].order = order + i * w[i].nr;
		w[i].start = &start;
		/* A thread short, the others would wait for ever. */
		if (pthread_create(&w[i].thread, NULL, worker_main, &w[i])) {
			fprintf(stderr, "dsm-bench: cannot start %d threads\n", nr);
			exit(1);
		}
	}
	for (i = 0; i < nr; i++) {
		pthread_join(w[i].thread, NULL);
		t0 = w[i].t0 < t0 ? w[i].t0 : t0;
		t1 = w[i].t1 > t1 ? w[i].t1 : t1;
	}
	*rate = (double)(a->nr / nr) * nr * 1e9 / (t1 - t0);
	pthread_barrier_destroy(&start);
	free(w);
	return 0;
}

static int rate_run(struct bench *b, const struct kind *kind, struct row *row)
{
	const int nr_threads = *(const int *)kind->arg;
	uint32_t *order = permutation(b->count);
	struct raw before, after;
	char line[96], old[32] = "";
	struct area a;
	int err;

	snprintf(line, sizeof(line), "req=64 rep=4096 depth=%d count=%d warmup=5",
		 nr_threads, b->count);
	err = area_open(b, &a, kind->name, b->count, 0);
	if (err)
		goto out;
	knob_swap("prefetch_pages", "0", old);
	err = area_step(b, &a, 0, OP_WRITE);
	usleep(SETTLE_US);
	if (!err)
		err = raw_at_node1(b, line, &before);
	if (!err)
		err = barrier(b, !order ? -ENOMEM : b->node == 1 ?
			      workers_run(&a, order, nr_threads, &row->value) : 0);
	if (!err)
		err = raw_at_node1(b, line, &after);
	if (!err)
		row->raw = (before.rate + after.rate) / 2;
	row->unit = UNIT_PER_S;
	row->q.count = b->count;
	snprintf(row->raw_name, sizeof(row->raw_name), "64->4096 depth %d", nr_threads);
	if (*old)
		knob_swap("prefetch_pages", old, (char[32]) { 0 });
	area_close(b, &a, kind->name);
out:
	free(order);
	return err;
}

/* -- sequential */

static double seq_read(struct area *a)
{
	uint64_t t0 = now_ns();
	size_t i;

	for (i = 0; i < a->nr; i++)
		area_touch(a, i, OP_READ);
	return (double)a->nr * PAGE * 1e9 / (now_ns() - t0);
}

static int seq_run(struct bench *b, const struct kind *kind, struct row *row)
{
	const char *prefetch = kind->arg;
	struct raw before, after;
	char line[96], old[32] = "";
	struct area a;
	int err;

	snprintf(line, sizeof(line), "req=4096 mode=stream depth=16 count=%d",
		 b->count * SEQ_FACTOR);
	err = area_open(b, &a, kind->name, b->count * SEQ_FACTOR, 0);
	if (err)
		return err;
	if (prefetch)
		knob_swap("prefetch_pages", prefetch, old);
	err = area_step(b, &a, 0, OP_WRITE);
	usleep(SETTLE_US);
	if (!err)
		err = raw_at_node1(b, line, &before);
	if (!err && b->node == 1)
		row->value = seq_read(&a);
	err = barrier(b, err);
	if (!err)
		err = raw_at_node1(b, line, &after);
	if (!err)
		row->raw = (before.bytes_s + after.bytes_s) / 2;
	row->unit = UNIT_BYTES_S;
	row->q.count = a.nr;
	snprintf(row->raw_name, sizeof(row->raw_name), "stream of 4096, window 16");
	if (*old)
		knob_swap("prefetch_pages", old, (char[32]) { 0 });
	area_close(b, &a, kind->name);
	return err;
}

/* -- both directions */

static void time_range(struct area *a, const uint32_t *order, int from, int to,
		       uint64_t *samples)
{
	int i;

	for (i = from; i < to; i++)
		samples[i] = area_time(a, order[i], OP_READ);
}

/* One way first, then both nodes at each other's pages: the ratio is of these two. */
static int both_measure(struct bench *b, struct area *a, const uint32_t *order,
			uint64_t *samples, struct row *row)
{
	struct area *mine = b->node == 1 ? &a[0] : &a[1];
	int err;

	err = area_step(b, &a[0], 0, OP_WRITE);
	if (!err)
		err = area_step(b, &a[1], 1, OP_WRITE);
	usleep(SETTLE_US);
	err = barrier(b, err);
	if (err)
		return err;
	if (b->node == 1)
		time_range(mine, order, 0, b->count, samples);
	err = barrier(b, 0);
	if (err)
		return err;
	if (b->node < 2)
		time_range(mine, order, b->count, 2 * b->count, samples);
	err = barrier(b, 0);
	if (b->node == 1) {
		row->raw = quantiles(samples, b->count).p50;
		row->q = quantiles(samples + b->count, b->count);
		row->value = row->q.p50;
	}
	snprintf(row->raw_name, sizeof(row->raw_name), "dsm, one direction");
	return err;
}

static int both_run(struct bench *b, const struct kind *kind, struct row *row)
{
	const size_t nr = 2 * b->count;
	uint64_t *samples = calloc(nr, sizeof(*samples));
	uint32_t *order = permutation(nr);
	char old[32] = "";
	struct area a[2];
	int err;

	err = barrier(b, samples && order ? 0 : -ENOMEM);
	if (!err)
		err = area_open(b, &a[0], "both-0", nr, 0);
	if (err)
		goto out;
	err = area_open(b, &a[1], "both-1", nr, 1);
	if (err)
		goto out_close;
	knob_swap("prefetch_pages", "0", old);
	err = both_measure(b, a, order, samples, row);
	if (*old)
		knob_swap("prefetch_pages", old, (char[32]) { 0 });
	area_close(b, &a[1], "both-1");
out_close:
	area_close(b, &a[0], "both-0");
out:
	free(order);
	free(samples);
	(void)kind;
	return err;
}

/* -- one page, two writers */

/* Nodes 0 and 1 count it up in turns; a sample is from our store to the next turn. */
static void pingpong_play(struct bench *b, struct area *a, uint64_t *samples)
{
	uint32_t *word = (uint32_t *)a->p, i;
	uint64_t t0 = now_ns();

	for (i = 0; i < (uint32_t)b->count; i++) {
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != 2 * i + b->node)
			sched_yield();
		samples[i] = now_ns() - t0;
		t0 = now_ns();
		__atomic_store_n(word, 2 * i + b->node + 1, __ATOMIC_RELEASE);
	}
}

static int pingpong_run(struct bench *b, const struct kind *kind, struct row *row)
{
	uint64_t *samples = calloc(b->count, sizeof(*samples));
	struct area a;
	int err;

	err = barrier(b, samples ? 0 : -ENOMEM);
	if (!err)
		err = area_open(b, &a, kind->name, 1, 0);
	if (err) {
		free(samples);
		return err;
	}
	if (b->node < 2)
		pingpong_play(b, &a, samples);
	err = barrier(b, 0);
	row->q = quantiles(samples, b->count);
	row->value = row->q.p50;
	area_close(b, &a, kind->name);
	free(samples);
	return err;
}

static const int one = 1, two = 2, four = 4;

const struct kind throughput_kinds[] = {
	{ .name = "seq-prefetch", .nr_nodes = 2, .reporter = 1, .run = seq_run },
	{ .name = "seq-no-prefetch", .nr_nodes = 2, .reporter = 1, .run = seq_run,
	  .arg = "0" },
	{ .name = "rate-1-thread", .nr_nodes = 2, .reporter = 1, .run = rate_run,
	  .arg = &one },
	{ .name = "rate-2-threads", .nr_nodes = 2, .reporter = 1, .run = rate_run,
	  .arg = &two },
	{ .name = "rate-4-threads", .nr_nodes = 2, .reporter = 1, .run = rate_run,
	  .arg = &four },
	{ .name = "both-directions", .nr_nodes = 2, .reporter = 1, .run = both_run },
	{ .name = "pingpong-page", .nr_nodes = 2, .reporter = 1, .run = pingpong_run },
};

const size_t nr_throughput_kinds = sizeof(throughput_kinds) / sizeof(throughput_kinds[0]);
