/* SPDX-License-Identifier: GPL-2.0 */
/* Time, and order statistics of samples of it. */
#ifndef TOOLS_LIB_SAMPLES_H
#define TOOLS_LIB_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct quantiles - of samples in ns
 * @count:	samples; 0: no figure is valid
 * @min:	ns
 * @p50:	ns
 * @p90:	ns
 * @p99:	ns
 * @max:	ns
 */
struct quantiles {
	uint64_t count;
	uint64_t min;
	uint64_t p50;
	uint64_t p90;
	uint64_t p99;
	uint64_t max;
};

/**
 * now_ns() - CLOCK_MONOTONIC
 *
 * Return: ns.
 */
uint64_t now_ns(void);

/**
 * quantiles() - describe samples
 * @samples:	ns; are sorted
 * @nr:		number of samples
 *
 * Return: the quantiles.
 */
struct quantiles quantiles(uint64_t *samples, size_t nr);

#endif
