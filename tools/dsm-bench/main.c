// SPDX-License-Identifier: GPL-2.0
/* dsm-bench: arguments, and one kind after the other. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_KINDS 64

struct options {
	const char *json;
	const char *csv;
	const char *only;
	int tcp_samples;
};

static const char usage_text[] =
"usage: dsm-bench --node N --nodes N --peers A,B,... [options]\n"
"  --dir DIR       mount point of dsmfs [/dev/dsm]\n"
"  --count N       samples a kind [500]\n"
"  --rounds N      they are taken in, with raw figures between [4]\n"
"  --timeout S     longest wait, longest time for a kind [120]\n"
"  --poll MODE     completion mode of the raw figures [softirq]\n"
"  --only A,B,...  only these kinds; --list prints them\n"
"  --json FILE     --csv FILE   what to write, on node 0\n"
"  --quick         few samples: does it run?\n"
"  --no-place      DIR is no dsmfs: run anyway\n"
"  --tcp N         only N TCP round trips with node 0; node 0 serves them\n";

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static int number(const char *text, int min, int max)
{
	char *end;
	long v = strtol(text, &end, 0);

	if (*end || end == text || v < min || v > max) {
		fprintf(stderr, "dsm-bench: %s: not a number from %d to %d\n", text, min, max);
		exit(2);
	}
	return v;
}

static void parse_peers(struct bench *b, char *list)
{
	char *peer;
	int i;

	for (i = 0; i < MAX_NODES && (peer = strsep(&list, ",")); i++)
		b->peers[i] = peer;
}

static void list_kinds(void)
{
	size_t i;

	for (i = 0; i < nr_latency_kinds; i++)
		printf("%s %d\n", latency_kinds[i].name, latency_kinds[i].nr_nodes);
	for (i = 0; i < nr_throughput_kinds; i++)
		printf("%s %d\n", throughput_kinds[i].name, throughput_kinds[i].nr_nodes);
	exit(0);
}

static void parse(struct bench *b, struct options *o, int argc, char **argv)
{
	enum { NODE = 1, NODES, PEERS, DIR, COUNT, ROUNDS, TIMEOUT, POLL, ONLY, JSON,
	       CSV, QUICK, NO_PLACE, TCP, LIST };
	static const struct option opts[] = {
		{ "node", 1, NULL, NODE }, { "nodes", 1, NULL, NODES },
		{ "peers", 1, NULL, PEERS }, { "dir", 1, NULL, DIR },
		{ "count", 1, NULL, COUNT }, { "rounds", 1, NULL, ROUNDS },
		{ "timeout", 1, NULL, TIMEOUT }, { "poll", 1, NULL, POLL },
		{ "only", 1, NULL, ONLY }, { "json", 1, NULL, JSON },
		{ "csv", 1, NULL, CSV }, { "quick", 0, NULL, QUICK },
		{ "no-place", 0, NULL, NO_PLACE }, { "tcp", 1, NULL, TCP },
		{ "list", 0, NULL, LIST }, { }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (c) {
		case NODE: b->node = number(optarg, 0, MAX_NODES - 1); break;
		case NODES: b->nr_nodes = number(optarg, 1, MAX_NODES); break;
		case PEERS: parse_peers(b, optarg); break;
		case DIR: b->dir = optarg; break;
		case COUNT: b->count = number(optarg, 4, 1000000); break;
		case ROUNDS: b->rounds = number(optarg, 1, MAX_ROUNDS); break;
		case TIMEOUT: b->timeout_s = number(optarg, 1, 86400); break;
		case POLL: b->poll = optarg; break;
		case ONLY: o->only = optarg; break;
		case JSON: o->json = optarg; break;
		case CSV: o->csv = optarg; break;
		case QUICK: b->count = 24; b->rounds = 1; break;
		case NO_PLACE: b->no_place = true; break;
		case TCP: o->tcp_samples = number(optarg, 1, 1000000); break;
		case LIST: list_kinds(); break;
		default: usage();
		}
	}
	if (optind != argc || b->node < 0 || b->nr_nodes < 1 || b->node >= b->nr_nodes ||
	    !b->peers[b->nr_nodes - 1])
		usage();
	if (b->rounds > b->count)
		b->rounds = b->count;
}

static bool wanted(const struct options *o, const char *name)
{
	size_t len = strlen(name);
	const char *p;

	for (p = o->only; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	return !o->only;
}

/* SIGBUS: the page is lost. SIGALRM: the kind took too long. Both end us. */
static void on_signal(int sig)
{
	static const char bus[] = "dsm-bench: SIGBUS\n", late[] = "dsm-bench: timed out\n";
	ssize_t n;

	if (sig == SIGBUS)
		n = write(2, bus, sizeof(bus) - 1);
	else
		n = write(2, late, sizeof(late) - 1);
	_exit(n < 0 ? 4 : 3);
}

static int run_kind(struct bench *b, const struct kind *kind, struct row *row)
{
	int err;

	*row = (struct row) { .unit = UNIT_NS };
	snprintf(row->name, sizeof(row->name), "%s", kind->name);
	row->nr_nodes = kind->nr_nodes;
	if (kind->nr_nodes > b->nr_nodes) {
		row->error = ENODATA;
		return 0;
	}
	alarm(b->timeout_s);
	err = kind->run(b, kind, row);
	alarm(0);
	if (err) {
		fprintf(stderr, "dsm-bench: node %d: %s: %s\n", b->node, kind->name,
			strerror(-err));
		return err;
	}
	return barrier_row(b, kind->reporter, row);
}

static int run_all(struct bench *b, const struct options *o, struct row *rows, size_t *nr)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < nr_latency_kinds + nr_throughput_kinds; i++) {
		const struct kind *kind = i < nr_latency_kinds ? &latency_kinds[i] :
					  &throughput_kinds[i - nr_latency_kinds];

		if (wanted(o, kind->name))
			err = run_kind(b, kind, &rows[(*nr)++]);
	}
	return err;
}

static int report(struct bench *b, const struct options *o, struct row *rows, size_t nr)
{
	int err = 0;

	if (b->node)
		return 0;
	report_table(rows, nr);
	if (o->json)
		err = report_json(o->json, b, rows, nr);
	if (!err && o->csv)
		err = report_csv(o->csv, rows, nr);
	return err;
}

static int tcp_only(struct bench *b, int nr)
{
	double p50;
	int err = 0;

	if (b->node)
		err = tcp_round_trips(b, 0, nr, &p50);
	if (!err && b->node)
		printf("p50_ns=%.0f\n", p50);
	return err;
}

int main(int argc, char **argv)
{
	struct bench b = { .node = -1, .dir = "/dev/dsm", .count = 500, .rounds = 4,
			   .timeout_s = 120, .poll = "softirq" };
	struct options o = { 0 };
	struct row rows[MAX_KINDS];
	size_t nr = 0;
	int err;

	parse(&b, &o, argc, argv);
	signal(SIGBUS, on_signal);
	signal(SIGALRM, on_signal);
	err = tcp_serve(&b);
	if (!err)
		err = barrier_open(&b);
	if (!err)
		err = o.tcp_samples ? barrier(&b, tcp_only(&b, o.tcp_samples)) :
				      run_all(&b, &o, rows, &nr);
	if (!err)
		err = report(&b, &o, rows, nr);
	barrier_close(&b);
	if (err)
		fprintf(stderr, "dsm-bench: node %d: %s\n", b.node, strerror(-err));
	return err ? 1 : 0;
}
