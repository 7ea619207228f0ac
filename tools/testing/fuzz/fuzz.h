/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSM_FUZZ_H
#define DSM_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX	4176	/* bytes of an input; a frame of dsm's is not longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For replay: below a bound; and an input with few mistakes, made up at @buf, FUZZ_MAX bytes. */
uint32_t fuzz_rnd(uint32_t below);
size_t fuzz_nearly_valid(uint8_t *buf);

/* A stream of bytes; zeroes when it is used up. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t take_byte(struct bytes *b)
{
	if (!b->left)
		return 0;
	b->left--;
	return *b->at++;
}

#endif
