// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds that time single faults: every sample a page nobody measured before.
 * The home of all pages is node 0; node 1 measures; node 2 is the third party.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_STEPS	3
#define SETTLE_US	50000	/* longer than any hold_us: no grant is held any more */

struct step {
	int node;
	enum op op;
};

/**
 * struct latency - a kind of fault
 * @prepare:	who does what to all pages before, in this order
 * @node:	measures
 * @op:		what it does
 * @raw:	yardstick, parameters of dsm_pingpong; NULL: none
 */
struct latency {
	struct step prepare[NR_STEPS];
	int node;
	enum op op;
	const char *raw;
};

#define RAW_PAGE	"req=64 rep=4096"
#define RAW_SMALL	"req=64 rep=64"

static const struct latency read_home_clean = {
	{ { 0, OP_WRITE }, { 0, OP_UNMAP } }, 1, OP_READ, RAW_PAGE };
static const struct latency read_home_dirty = {
	{ { 0, OP_WRITE } }, 1, OP_READ, RAW_PAGE };
static const struct latency read_3hop = {
	{ { 2, OP_WRITE } }, 1, OP_READ, RAW_PAGE };
static const struct latency write_home_clean = {
	{ { 0, OP_WRITE }, { 0, OP_UNMAP } }, 1, OP_WRITE, RAW_PAGE };
static const struct latency write_home_dirty = {
	{ { 0, OP_WRITE } }, 1, OP_WRITE, RAW_PAGE };
static const struct latency write_1_sharer = {
	{ { 0, OP_WRITE }, { 0, OP_UNMAP }, { 2, OP_READ } }, 1, OP_WRITE, RAW_PAGE };
static const struct latency write_3hop = {
	{ { 2, OP_WRITE } }, 1, OP_WRITE, RAW_PAGE };
static const struct latency upgrade_1_sharer = {
	{ { 0, OP_WRITE }, { 1, OP_READ } }, 1, OP_WRITE, RAW_SMALL };
static const struct latency upgrade_2_sharers = {
	{ { 0, OP_WRITE }, { 1, OP_READ }, { 2, OP_READ } }, 1, OP_WRITE, RAW_SMALL };
static const struct latency zero_read = { { }, 1, OP_READ, RAW_SMALL };
static const struct latency zero_write = { { }, 1, OP_WRITE, RAW_SMALL };
static const struct latency zero_home = { { }, 0, OP_WRITE, NULL };

/* Yardsticks as they are taken, before the first and after every round. */
struct yardstick {
	double raw[MAX_ROUNDS + 1];
	double tcp[MAX_ROUNDS + 1];
	int nr_raw;
	int nr_tcp;
};

static int yardstick_take(struct bench *b, const struct latency *l, struct yardstick *y)
{
	int nr = b->count / b->rounds, peer = !l->node, err;
	char line[96];
	struct raw raw;

	if (!l->raw || b->node != l->node)
		return 0;
	if (nr < 20)
		nr = 20;
	snprintf(line, sizeof(line), "%s count=%d warmup=5", l->raw, nr);
	err = raw_verbs(b, peer, line, &raw);
	if (!err)
		y->raw[y->nr_raw++] = raw.p50;
	else if (err != -ENOENT)
		return err;
	err = tcp_round_trips(b, peer, nr, &y->tcp[y->nr_tcp]);
	if (!err)
		y->nr_tcp++;
	return err;
}

static int rounds(struct bench *b, const struct latency *l, struct area *a,
		  const uint32_t *order, uint64_t *samples, struct yardstick *y)
{
	int i, r, at = 0, err;

	err = barrier(b, yardstick_take(b, l, y));
	for (r = 0; !err && r < b->rounds; r++) {
		for (i = b->count * r / b->rounds; i < b->count * (r + 1) / b->rounds; i++)
			if (b->node == l->node)
				samples[at++] = area_time(a, order[i], l->op);
		err = barrier(b, yardstick_take(b, l, y));
	}
	return err;
}

static int prepare(struct bench *b, const struct latency *l, struct area *a)
{
	int i, err = 0;

	for (i = 0; !err && i < NR_STEPS && l->prepare[i].op; i++)
		err = area_step(b, a, l->prepare[i].node, l->prepare[i].op);
	usleep(SETTLE_US);
	return err;
}

static int latency_measure(struct bench *b, const struct kind *kind, struct row *row,
			   const uint32_t *order, uint64_t *samples)
{
	const struct latency *l = kind->arg;
	struct yardstick y = { .nr_raw = 0 };
	struct area a;
	int err;

	err = area_open(b, &a, kind->name, b->count, 0);
	if (err)
		return err;
	err = prepare(b, l, &a);
	if (!err)
		err = rounds(b, l, &a, order, samples, &y);
	area_close(b, &a, kind->name);
	if (err || b->node != l->node)
		return err;
	row->q = quantiles(samples, b->count);
	row->value = row->q.p50;
	row->raw = median(y.raw, y.nr_raw);
	row->tcp = median(y.tcp, y.nr_tcp);
	snprintf(row->raw_name, sizeof(row->raw_name), "%s", l->raw ? l->raw : "");
	return 0;
}

static int latency_run(struct bench *b, const struct kind *kind, struct row *row)
{
	uint64_t *samples = calloc(b->count, sizeof(*samples));
	uint32_t *order = permutation(b->count);
	char prefetch[32] = "";
	int err;

	knob_swap("prefetch_pages", "0", prefetch);
	err = barrier(b, samples && order ? 0 : -ENOMEM);
	if (!err)
		err = latency_measure(b, kind, row, order, samples);
	if (*prefetch)
		knob_swap("prefetch_pages", prefetch, (char[32]) { 0 });
	free(order);
	free(samples);
	return err;
}

/* What a fault costs when no other server has a part in it. */
static int local_run(struct bench *b, const struct kind *kind, struct row *row)
{
	int fd = memfd_create(kind->name, MFD_CLOEXEC), i;
	uint64_t *samples = calloc(b->count, sizeof(*samples));
	struct area a = { .fd = fd, .nr = b->count };
	void *p = MAP_FAILED;

	if (fd >= 0 && samples && !ftruncate(fd, a.nr * PAGE) &&
	    !posix_fallocate(fd, 0, a.nr * PAGE))
		p = mmap(NULL, a.nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		a.p = p;
		for (i = 0; i < b->count; i++)
			samples[i] = area_time(&a, i, OP_WRITE);
		row->q = quantiles(samples, b->count);
		row->value = row->q.p50;
		munmap(p, a.nr * PAGE);
	}
	if (fd >= 0)
		close(fd);
	free(samples);
	return barrier(b, p == MAP_FAILED ? -ENOMEM : 0);
}

const struct kind latency_kinds[] = {
	{ .name = "local-minor", .nr_nodes = 1, .reporter = 0, .run = local_run },
	{ .name = "zero-home", .nr_nodes = 1, .reporter = 0, .run = latency_run,
	  .arg = &zero_home },
	{ .name = "zero-read", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &zero_read },
	{ .name = "zero-write", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &zero_write },
	{ .name = "read-home-clean", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &read_home_clean },
	{ .name = "read-home-dirty", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &read_home_dirty },
	{ .name = "write-home-clean", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &write_home_clean },
	{ .name = "write-home-dirty", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &write_home_dirty },
	{ .name = "upgrade-1-sharer", .nr_nodes = 2, .reporter = 1, .run = latency_run,
	  .arg = &upgrade_1_sharer },
	{ .name = "upgrade-2-sharers", .nr_nodes = 3, .reporter = 1, .run = latency_run,
	  .arg = &upgrade_2_sharers },
	{ .name = "read-3hop", .nr_nodes = 3, .reporter = 1, .run = latency_run,
	  .arg = &read_3hop },
	{ .name = "write-3hop", .nr_nodes = 3, .reporter = 1, .run = latency_run,
	  .arg = &write_3hop },
	{ .name = "write-1-sharer", .nr_nodes = 3, .reporter = 1, .run = latency_run,
	  .arg = &write_1_sharer },
};

const size_t nr_latency_kinds = sizeof(latency_kinds) / sizeof(latency_kinds[0]);
