// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzz target without libFuzzer: replays files, or, without any, a number of
 * made-up inputs, of random bytes and of valid ones (seed_*.c) with a few bytes changed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static uint64_t rng = 1;
static uint8_t buf[FUZZ_MAX];

uint32_t fuzz_rnd(uint32_t below)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % below;
}

static size_t made_up(void)
{
	size_t size = 1 + fuzz_rnd(1200);

	for (size_t i = 0; i < size; i++)
		buf[i] = fuzz_rnd(256);
	return size;
}

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f) {
		perror(path);
		return 1;
	}
	size = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	LLVMFuzzerTestOneInput(buf, size);
	return 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	for (int i = 0; argc == 1 && i < 20000; i++)
		LLVMFuzzerTestOneInput(buf, i & 1 ? made_up() : fuzz_nearly_valid(buf));
	return bad;
}
