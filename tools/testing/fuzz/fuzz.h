/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSM_FUZZ_H
#define DSM_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A stream of bytes; zeroes when it is used up. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

static inline u8 take_byte(struct bytes *b)
{
	if (!b->left)
		return 0;
	b->left--;
	return *b->at++;
}

#endif
