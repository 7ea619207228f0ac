/* SPDX-License-Identifier: GPL-2.0 */
/* Monotonic time. */
#ifndef GVM_NOW_H
#define GVM_NOW_H

#include <stdint.h>
#include <time.h>

/** gvm_now_ns() - in nanoseconds */
static inline int64_t gvm_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/** gvm_now_us() - in microseconds */
static inline int64_t gvm_now_us(void)
{
	return gvm_now_ns() / 1000;
}

/** gvm_now_ms() - in milliseconds */
static inline int64_t gvm_now_ms(void)
{
	return gvm_now_ns() / 1000000;
}

#endif
