// SPDX-License-Identifier: GPL-2.0
#include "samples.h"

#include <stdlib.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t quantile(const uint64_t *sorted, size_t nr, unsigned int percent)
{
	size_t i = nr * percent / 100;

	return sorted[i < nr ? i : nr - 1];
}

struct quantiles quantiles(uint64_t *samples, size_t nr)
{
	if (!nr)
		return (struct quantiles) { 0 };
	qsort(samples, nr, sizeof(*samples), compare);
	return (struct quantiles) {
		.count = nr,
		.min = samples[0],
		.p50 = quantile(samples, nr, 50),
		.p90 = quantile(samples, nr, 90),
		.p99 = quantile(samples, nr, 99),
		.max = samples[nr - 1],
	};
}
