// SPDX-License-Identifier: GPL-2.0
/*
 * Three kernels after the NAS Parallel Benchmarks, written for OpenMP: how threads that share
 * nothing (ep), much once (is), or a little all the time (cg) do. Each checks its result.
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nas.h"

/* NPB's generator: x = a x mod 2^46, a = 5^13. */
#define A	1220703125ull
#define SEED	271828183ull
#define MASK46	((1ull << 46) - 1)

#define ARRAYS_MAX	8

static struct nas_array arrays[ARRAYS_MAX + 1];

static void note(const char *name, const void *at, size_t bytes)
{
	unsigned int i;

	for (i = 0; arrays[i].name; i++)
		;
	if (i < ARRAYS_MAX)
		arrays[i] = (struct nas_array) { name, at, bytes };
}

const struct nas_array *nas_arrays(void)
{
	return arrays;
}

static double uniform(uint64_t *x)
{
	*x = *x * A & MASK46;
	return *x * 0x1p-46;
}

/* The generator after n steps. */
static uint64_t jump(uint64_t x, uint64_t n)
{
	uint64_t a = A;

	for (; n; n >>= 1, a = a * a & MASK46)
		if (n & 1)
			x = x * a & MASK46;
	return x;
}

/* -- ep: sums of pairs of Gaussian deviates */

#define CHUNK_LOG2	12
#define CHUNK		(1u << CHUNK_LOG2)

/* Sums that NPB 3.4 gives for class S (24), and that this program finds otherwise. */
static const struct {
	int size;
	double x, y;
} ep_sums[] = {
	{ 18, 1.873198969612174e2, -3.797408336054116e2 },
	{ 20, 6.741650709778492e2, -1.508139842420412e2 },
	{ 22, 2.955203522467221e1, -1.959796076774197e3 },
	{ 24, -3.247834652034740e3, -6.958407078382297e3 },	/* NPB, class S */
	{ 25, -2.863319731645753e3, -6.320053679109499e3 },	/* class W */
	{ 28, -4.295875165629892e3, -1.580732573678431e4 },	/* class A */
};

static void ep_chunk(int64_t i, double *x, double *y)
{
	uint64_t s = jump(SEED, 2ull * CHUNK * i);
	unsigned int j;

	for (j = 0; j < CHUNK; j++) {
		double u = 2 * uniform(&s) - 1, v = 2 * uniform(&s) - 1, t = u * u + v * v;

		if (t > 1)
			continue;
		t = sqrt(-2 * log(t) / t);
		*x += u * t;
		*y += v * t;
	}
}

static int ep(int size)
{
	int64_t chunks = (1ll << size) / CHUNK, i;
	double x = 0, y = 0;
	unsigned int k;

#pragma omp parallel
	{
		double my_x = 0, my_y = 0;

#pragma omp for schedule(static) nowait
		for (i = 0; i < chunks; i++)
			ep_chunk(i, &my_x, &my_y);
#pragma omp critical
		{
			x += my_x;
			y += my_y;
		}
	}
	for (k = 0; k < sizeof(ep_sums) / sizeof(ep_sums[0]); k++)
		if (ep_sums[k].size == size)
			return fabs(x / ep_sums[k].x - 1) < 1e-8 && fabs(y / ep_sums[k].y - 1) < 1e-8;
	fprintf(stderr, "ep %d: sums %.15e %.15e, not known\n", size, x, y);
	return 0;
}

/* -- is: keys sorted by counting */

static int is(int size)
{
	int n = 1 << size, max = 1 << (size - 4), threads = omp_get_max_threads(), i;
	uint32_t *key = malloc(n * sizeof(*key)), *out = malloc(n * sizeof(*out));
	uint32_t *count = calloc((size_t)threads * max, sizeof(*count)), at = 0;
	uint64_t sum_in = 0, sum_out = 0;
	int k, t, ok = 1;

	if (!key || !out || !count)
		return 0;
	note("keys", key, n * sizeof(*key));
	note("sorted", out, n * sizeof(*out));
	note("counts", count, (size_t)threads * max * sizeof(*count));
#pragma omp parallel private(i)
	{
		uint64_t my_sum = 0;
		int me = omp_get_thread_num(), nr = omp_get_num_threads();
		int from = (int64_t)n * me / nr, to = (int64_t)n * (me + 1) / nr;
		uint64_t s = jump(SEED, 4ull * from);

		for (i = from; i < to; i++) {
			double r = uniform(&s) + uniform(&s) + uniform(&s) + uniform(&s);

			key[i] = r * max / 4;
			count[(size_t)me * max + key[i]]++;
			my_sum += key[i] * 2654435761u;
		}
#pragma omp atomic
		sum_in += my_sum;
#pragma omp barrier
#pragma omp single
		for (k = 0; k < max; k++) {
			for (t = 0; t < nr; t++) {
				uint32_t c = count[(size_t)t * max + k];

				count[(size_t)t * max + k] = at;
				at += c;
			}
		}
		for (i = from; i < to; i++)
			out[count[(size_t)me * max + key[i]]++] = key[i];
	}
	for (i = 0; i < n; i++) {
		ok &= !i || out[i - 1] <= out[i];
		sum_out += out[i] * 2654435761u;
	}
	return ok && sum_in == sum_out;
}

/* -- cg: conjugate gradients on a sparse symmetric matrix whose diagonal dominates */

#define PER_ROW	8	/* entries above the diagonal that a row adds */
#define ROUNDS	25

struct sparse {
	int n, *start, *col;
	double *val;
};

/* Rows get the entries they add and, mirrored, those that others do. */
static int make_sparse(struct sparse *m, int n)
{
	int nr = n * PER_ROW, *row = malloc(nr * sizeof(int)), *col = malloc(nr * sizeof(int));
	double *val = malloc(nr * sizeof(double));
	uint64_t s = SEED;
	int i, k, *next;

	m->n = n;
	m->start = calloc(n + 1, sizeof(int));
	m->col = malloc((2 * nr + n) * sizeof(int));
	m->val = malloc((2 * nr + n) * sizeof(double));
	next = malloc(n * sizeof(int));
	if (!row || !col || !val || !m->start || !m->col || !m->val || !next)
		return 0;
	for (i = 0; i < n; i++)
		m->start[i + 1] = 1;
	for (k = 0; k < nr; k++) {
		row[k] = k / PER_ROW;
		col[k] = uniform(&s) * n;
		val[k] = uniform(&s) - 0.5;
		m->start[row[k] + 1]++;
		m->start[col[k] + 1]++;
	}
	for (i = 0; i < n; i++) {
		m->start[i + 1] += m->start[i];
		next[i] = m->start[i];
		m->col[next[i]] = i;
		m->val[next[i]++] = 4 * PER_ROW;
	}
	for (k = 0; k < nr; k++) {
		m->col[next[row[k]]] = col[k];
		m->val[next[row[k]]++] = val[k];
		m->col[next[col[k]]] = row[k];
		m->val[next[col[k]]++] = val[k];
	}
	free(next);
	free(row);
	free(col);
	free(val);
	return 1;
}

static void multiply(const struct sparse *m, const double *x, double *y)
{
	int i, k;

#pragma omp parallel for private(k) schedule(static)
	for (i = 0; i < m->n; i++) {
		double sum = 0;

		for (k = m->start[i]; k < m->start[i + 1]; k++)
			sum += m->val[k] * x[m->col[k]];
		y[i] = sum;
	}
}

static double dot(int n, const double *x, const double *y)
{
	double sum = 0;
	int i;

#pragma omp parallel
	{
		double mine = 0;

#pragma omp for schedule(static) nowait
		for (i = 0; i < n; i++)
			mine += x[i] * y[i];
#pragma omp atomic
		sum += mine;
	}
	return sum;
}

static int cg(int n)
{
	double *x = calloc(n, sizeof(*x)), *r = malloc(n * sizeof(*r));
	double *p = malloc(n * sizeof(*p)), *q = malloc(n * sizeof(*q)), rho, rho0, error = 0;
	struct sparse m;
	int i, round;

	if (!x || !r || !p || !q || !make_sparse(&m, n))
		return 0;
	note("x", x, n * sizeof(*x));
	note("r", r, n * sizeof(*r));
	note("p", p, n * sizeof(*p));
	note("q", q, n * sizeof(*q));
	note("matrix", m.start, (n + 1) * sizeof(*m.start));
	note("matrix", m.col, m.start[n] * sizeof(*m.col));
	note("matrix", m.val, m.start[n] * sizeof(*m.val));
	for (i = 0; i < n; i++)
		r[i] = p[i] = 1;
	rho = n;
	for (round = 0; round < ROUNDS; round++) {
		double alpha;

		multiply(&m, p, q);
		alpha = rho / dot(n, p, q);
#pragma omp parallel for schedule(static)
		for (i = 0; i < n; i++) {
			x[i] += alpha * p[i];
			r[i] -= alpha * q[i];
		}
		rho0 = rho;
		rho = dot(n, r, r);
#pragma omp parallel for schedule(static)
		for (i = 0; i < n; i++)
			p[i] = r[i] + rho / rho0 * p[i];
	}
	multiply(&m, x, q);
	for (i = 0; i < n; i++)
		error = fmax(error, fabs(q[i] - 1));
	return error < 1e-9;
}

int nas(const char *what, int size)
{
	static const struct {
		const char *name;
		int (*run)(int size);
		int least, most, usual;
	} all[] = {
		{ "ep", ep, CHUNK_LOG2, 40, 20 },
		{ "is", is, 4, 28, 20 },
		{ "cg", cg, 2, 1 << 20, 4096 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(what, all[i].name))
			continue;
		size = size ?: all[i].usual;
		return size < all[i].least || size > all[i].most ? -1 : all[i].run(size);
	}
	return -1;
}
