// SPDX-License-Identifier: GPL-2.0
/* Rows for people, for programs, for spreadsheets. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char * const unit_names[] = {
	[UNIT_NS]	= "ns",
	[UNIT_PER_S]	= "per_s",
	[UNIT_BYTES_S]	= "bytes_s",
};

static void print_ratio(double value, double base)
{
	if (base)
		printf(" %7.2f", value / base);
	else
		printf(" %7s", "-");
}

static void print_row(const struct row *r)
{
	if (r->error) {
		printf("%-18s %s\n", r->name, r->error == ENODATA ?
		       "needs more nodes" : strerror(r->error));
		return;
	}
	if (r->unit == UNIT_NS) {
		printf("%-18s %7llu %9.1f %9.1f %9.1f", r->name,
		       (unsigned long long)r->q.count, r->q.p50 / 1e3,
		       r->q.p90 / 1e3, r->q.p99 / 1e3);
		printf(" %9.1f", r->raw / 1e3);
	} else if (r->unit == UNIT_PER_S) {
		printf("%-18s %7llu %7.0f/s %19s %7.0f/s", r->name,
		       (unsigned long long)r->q.count, r->value, "", r->raw);
	} else {
		printf("%-18s %7llu %5.1fMB/s %18s %5.1fMB/s", r->name,
		       (unsigned long long)r->q.count, r->value / 1e6, "", r->raw / 1e6);
	}
	print_ratio(r->value, r->raw);
	print_ratio(r->value, r->tcp);
	printf("\n");
}

/**
 * report_table() - print rows for people
 * @rows:	rows
 * @nr:		how many
 */
void report_table(const struct row *rows, size_t nr)
{
	size_t i;

	printf("%-18s %7s %9s %9s %9s %9s %7s %7s\n", "us", "count", "p50", "p90",
	       "p99", "raw p50", "x raw", "x tcp");
	for (i = 0; i < nr; i++)
		print_row(&rows[i]);
}

static void json_row(FILE *f, const struct row *r)
{
	fprintf(f, "{\"name\": \"%s\", \"nodes\": %d, \"error\": %d, \"unit\": \"%s\", ", r->name,
		r->nr_nodes, r->error, unit_names[r->unit]);
	fprintf(f, "\"value\": %.1f, \"raw\": %.1f, \"raw_name\": \"%s\", \"tcp\": %.1f, ",
		r->value, r->raw, r->raw_name, r->tcp);
	fprintf(f, "\"count\": %llu, \"min\": %llu, \"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"max\": %llu}",
		(unsigned long long)r->q.count, (unsigned long long)r->q.min,
		(unsigned long long)r->q.p50, (unsigned long long)r->q.p90,
		(unsigned long long)r->q.p99, (unsigned long long)r->q.max);
}

static int finish(FILE *f)
{
	int err = ferror(f) ? -EIO : 0;

	return fclose(f) || err ? -EIO : 0;
}

/**
 * report_json() - write rows for programs
 * @path:	file, created
 * @b:		bench
 * @rows:	rows
 * @nr:		how many
 *
 * Return: 0 or -errno.
 */
int report_json(const char *path, const struct bench *b, const struct row *rows, size_t nr)
{
	FILE *f = fopen(path, "w");
	size_t i;

	if (!f)
		return -errno;
	fprintf(f, "{\"nodes\": %d, \"count\": %d, \"poll\": \"%s\", \"rows\": [\n",
		b->nr_nodes, b->count, b->poll);
	for (i = 0; i < nr; i++) {
		json_row(f, &rows[i]);
		fprintf(f, "%s\n", i + 1 < nr ? "," : "");
	}
	fprintf(f, "]}\n");
	return finish(f);
}

/**
 * report_csv() - write rows for spreadsheets
 * @path:	file, created
 * @rows:	rows
 * @nr:		how many
 *
 * Return: 0 or -errno.
 */
int report_csv(const char *path, const struct row *rows, size_t nr)
{
	FILE *f = fopen(path, "w");
	size_t i;

	if (!f)
		return -errno;
	fprintf(f, "name,error,unit,value,raw,tcp,count,min,p50,p90,p99,max\n");
	for (i = 0; i < nr; i++) {
		const struct row *r = &rows[i];

		fprintf(f, "%s,%d,%s,%.1f,%.1f,%.1f,%llu,%llu,%llu,%llu,%llu,%llu\n",
			r->name, r->error, unit_names[r->unit], r->value, r->raw, r->tcp,
			(unsigned long long)r->q.count, (unsigned long long)r->q.min,
			(unsigned long long)r->q.p50, (unsigned long long)r->q.p90,
			(unsigned long long)r->q.p99, (unsigned long long)r->q.max);
	}
	return finish(f);
}
