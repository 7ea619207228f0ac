// SPDX-License-Identifier: GPL-2.0
/* Order statistics of the samples of a run. */
#include "pingpong.h"

#include <linux/sort.h>

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 quantile(const u64 *sorted, u32 nr, u32 percent)
{
	return sorted[min_t(u64, (u64)nr * percent / 100, nr - 1)];
}

/**
 * pp_stat() - fill in the quantiles
 * @samples:	in ns; is sorted
 * @nr:		number of samples, not 0
 * @res:	result
 *
 * Context: process, may sleep.
 */
void pp_stat(u64 *samples, u32 nr, struct pp_result *res)
{
	sort(samples, nr, sizeof(*samples), compare, NULL);
	res->count = nr;
	res->min = samples[0];
	res->p50 = quantile(samples, nr, 50);
	res->p90 = quantile(samples, nr, 90);
	res->p99 = quantile(samples, nr, 99);
	res->max = samples[nr - 1];
}
