// SPDX-License-Identifier: GPL-2.0
/*
 * The demonstration: several servers paint one picture in one memory.
 *
 * Run on every server with the same file of dsmfs. Rows are taken from a shared
 * counter with an atomic instruction, painted, and stored, all by plain loads
 * and stores to the mapping: there is no other communication.
 *
 *	dsm-mandel paint FILE NODE	take rows and paint them, until none is left
 *	dsm-mandel show FILE		print the picture, and who painted what
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS		40
#define COLS		100
#define SAMPLES		24
#define MAX_NODES	8

struct canvas {
	_Atomic int next_row;
	_Atomic int done;
	_Atomic int rows_of[MAX_NODES];
	char pad[4096 - (2 + MAX_NODES) * sizeof(int)];
	struct {
		int node;
		char text[COLS];
	} row[ROWS];
};

static struct canvas *map(const char *file)
{
	struct canvas *c;
	int fd = open(file, O_RDWR | O_CREAT, 0644);

	if (fd < 0 || ftruncate(fd, sizeof(*c))) {
		fprintf(stderr, "dsm-mandel: %s: %s\n", file, strerror(errno));
		exit(1);
	}
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED) {
		fprintf(stderr, "dsm-mandel: mmap: %s\n", strerror(errno));
		exit(1);
	}
	close(fd);
	return c;
}

static int escape(double cr, double ci)
{
	double r = 0, i = 0;
	int n;

	for (n = 0; n < 200 && r * r + i * i < 4; n++) {
		double t = r * r - i * i + cr;

		i = 2 * r * i + ci;
		r = t;
	}
	return n;
}

static char shade(int y, int x)
{
	static const char ramp[] = " .:-=+*%@#";
	double sum = 0;

	for (int s = 0; s < SAMPLES; s++)
		sum += escape(-2.1 + 3.0 * (x + s / (double)SAMPLES) / COLS,
			      -1.2 + 2.4 * (y + (s * 7 % SAMPLES) / (double)SAMPLES) / ROWS);
	sum = log1p(sum / SAMPLES) / log(201);
	return ramp[(int)fmin(sum * (sizeof(ramp) - 1), sizeof(ramp) - 2)];
}

static int paint(struct canvas *c, int node)
{
	int y;

	if (node < 0 || node >= MAX_NODES) {
		fprintf(stderr, "dsm-mandel: node %d: 0 .. %d\n", node, MAX_NODES - 1);
		return 1;
	}
	while ((y = atomic_fetch_add(&c->next_row, 1)) < ROWS) {
		for (int x = 0; x < COLS; x++)
			c->row[y].text[x] = shade(y, x);
		c->row[y].node = node;
		atomic_fetch_add(&c->rows_of[node], 1);
		atomic_fetch_add(&c->done, 1);
	}
	return 0;
}

static int show(struct canvas *c)
{
	static const int colour[MAX_NODES] = { 36, 33, 35, 32, 31, 34, 37, 96 };
	int sum = 0;

	for (int y = 0; y < ROWS; y++) {
		printf("\033[%dm%.*s\033[0m\n",
		       colour[(unsigned int)c->row[y].node % MAX_NODES], COLS, c->row[y].text);
	}
	for (int n = 0; n < MAX_NODES; n++) {
		if (c->rows_of[n])
			printf("\033[%dmserver %d painted %d rows\033[0m\n", colour[n], n,
			       c->rows_of[n]);
		sum += c->rows_of[n];
	}
	if (sum != ROWS || c->done != ROWS) {
		fprintf(stderr, "dsm-mandel: %d rows were painted, %d expected\n", sum, ROWS);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "paint"))
		return paint(map(argv[2]), atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "show"))
		return show(map(argv[2]));
	fprintf(stderr, "usage: dsm-mandel paint FILE NODE | show FILE\n");
	return 2;
}
