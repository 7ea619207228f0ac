/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dsm-bench: the same program on every server, in step by a TCP barrier, so that
 * what it says to itself is no traffic of what it measures.
 *
 * A kind prepares pages (some nodes store, load or unmap, one after another),
 * then one node touches each once and takes the time. Raw verbs and TCP round
 * trips between the same two nodes come before, between and after the rounds of
 * samples. Kinds are in latency.c and throughput.c; a kind's run() is called on
 * every node, with or without a role in it.
 */
#ifndef DSM_BENCH_H
#define DSM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "samples.h"

#define PAGE		4096u
#define MAX_NODES	256
#define MAX_ROUNDS	16
#define PORT_BARRIER	7472
#define PORT_TCP	7473

/**
 * struct bench - this process
 * @node:	number of this server
 * @nr_nodes:	servers that take part
 * @dir:	where dsmfs is mounted
 * @peers:	addresses, by node
 * @count:	samples a kind
 * @rounds:	they are taken in, raw figures between them
 * @timeout_s:	longest wait, and longest time for a kind
 * @poll:	completion mode of raw verbs
 * @no_place:	the directory knows no placement: run anyway
 * @conn:	barrier: node 0: a connection a node; else [0] to node 0
 */
struct bench {
	int node;
	int nr_nodes;
	const char *dir;
	const char *peers[MAX_NODES];
	int count;
	int rounds;
	int timeout_s;
	const char *poll;
	bool no_place;
	int conn[MAX_NODES];
};

enum unit { UNIT_NS, UNIT_PER_S, UNIT_BYTES_S };

/**
 * struct row - one line of the report
 * @name:	of the kind
 * @raw_name:	what the raw figure is of
 * @unit:	of @value and @raw
 * @nr_nodes:	that the kind takes
 * @error:	0, or why there are no figures (errno); ENODATA: not run
 * @value:	the figure: the median, or the rate
 * @q:		latencies
 * @raw:	verbs, 0: not measured
 * @tcp:	ns, 0: not measured
 */
struct row {
	char name[32];
	char raw_name[32];
	enum unit unit;
	int nr_nodes;
	int error;
	double value;
	struct quantiles q;
	double raw;
	double tcp;
};

/**
 * struct area - a file of dsmfs, mapped
 * @fd:		file
 * @p:		first byte
 * @nr:		pages
 */
struct area {
	int fd;
	volatile uint8_t *p;
	size_t nr;
};

enum op { OP_NONE, OP_READ, OP_WRITE, OP_UNMAP };

/**
 * struct kind - something to measure
 * @name:	of the row
 * @nr_nodes:	it takes at least
 * @reporter:	node that fills in the row
 * @run:	called on all nodes; returns 0 or -errno, the same everywhere
 *		unless this node has to stop
 * @arg:	for @run
 */
struct kind {
	const char *name;
	int nr_nodes;
	int reporter;
	int (*run)(struct bench *b, const struct kind *kind, struct row *row);
	const void *arg;
};

extern const struct kind latency_kinds[], throughput_kinds[];
extern const size_t nr_latency_kinds, nr_throughput_kinds;

/* barrier.c: every function here ends on all nodes together. */
int barrier_open(struct bench *b);
void barrier_close(struct bench *b);
int barrier(struct bench *b, int err);
int barrier_row(struct bench *b, int from, struct row *row);

/* area.c */
int area_open(struct bench *b, struct area *a, const char *name, size_t nr, int home);
void area_close(struct bench *b, struct area *a, const char *name);
int area_step(struct bench *b, struct area *a, int node, enum op op);
void area_touch(struct area *a, size_t page, enum op op);
uint64_t area_time(struct area *a, size_t page, enum op op);
uint32_t *permutation(size_t nr);
int knob_swap(const char *name, const char *value, char old[32]);

/* raw.c */
struct raw {
	double p50;
	double rate;
	double bytes_s;
};

int raw_verbs(struct bench *b, int peer, const char *line, struct raw *raw);
int tcp_serve(const struct bench *b);
int tcp_round_trips(struct bench *b, int peer, int nr, double *p50);
double median(double *v, int nr);

/* report.c */
void report_table(const struct row *rows, size_t nr);
int report_json(const char *path, const struct bench *b, const struct row *rows, size_t nr);
int report_csv(const char *path, const struct row *rows, size_t nr);

#endif
