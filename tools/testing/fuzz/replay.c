// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzz target without libFuzzer: replays files, or, without any, a number of
 * made-up inputs, of random bytes and of valid frames with a few bytes changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire.h"

static u64 rng = 1;
static uint8_t buf[DSM_WIRE_HEAD + DSM_PAGE_SIZE];

static u32 rnd(u32 below)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(rng >> 33) % below;
}

static size_t made_up(void)
{
	size_t size = 1 + rnd(1200);

	for (size_t i = 0; i < size; i++)
		buf[i] = rnd(256);
	return size;
}

static size_t nearly_valid(void)
{
	struct dsm_frame f = { .kind = rnd(3), .incarnation = 1 };
	struct dsm_wire_head *head = (struct dsm_wire_head *)buf;
	struct dsm_msg m = { .type = rnd(DSM_NR_MSG_TYPES), .requester = rnd(4),
			     .target = rnd(2) ? DSM_NODE_NONE : rnd(4),
			     .owner = DSM_NODE_NONE, .tid = 1,
			     .flags = 1u << rnd(8) };
	size_t size;

	memset(buf, 0, sizeof(buf));
	f.nr = 1 + rnd(2);
	f.len = dsm_wire_payload(&m) + (f.nr - 1) * sizeof(head->msg);
	dsm_wire_encode_frame(&head->frame, &f);
	dsm_wire_encode_msg(&head->msg, &m);
	memcpy(buf + sizeof(*head), &head->msg, sizeof(head->msg));
	size = sizeof(*head) + f.len;
	if (size > sizeof(buf))
		size = sizeof(buf);
	for (u32 i = rnd(3); i; i--)
		buf[rnd(size)] = rnd(256);
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
		LLVMFuzzerTestOneInput(buf, i & 1 ? made_up() : nearly_valid());
	return bad;
}
