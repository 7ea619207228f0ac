// SPDX-License-Identifier: GPL-2.0
/* Frames of dsm's wire with a few bytes changed. */
#include <string.h>

#include "fuzz.h"
#include "wire.h"

_Static_assert(FUZZ_MAX == DSM_WIRE_HEAD + DSM_PAGE_SIZE, "a frame fits");

size_t fuzz_nearly_valid(uint8_t *buf)
{
	struct dsm_frame f = { .kind = fuzz_rnd(3), .incarnation = 1 };
	struct dsm_wire_head *head = (struct dsm_wire_head *)buf;
	struct dsm_msg m = { .type = fuzz_rnd(DSM_NR_MSG_TYPES), .requester = fuzz_rnd(4),
			     .target = fuzz_rnd(2) ? DSM_NODE_NONE : fuzz_rnd(4),
			     .owner = DSM_NODE_NONE, .tid = 1,
			     .flags = 1u << fuzz_rnd(8) };
	size_t size;

	memset(buf, 0, FUZZ_MAX);
	f.nr = 1 + fuzz_rnd(2);
	f.len = dsm_wire_payload(&m) + (f.nr - 1) * sizeof(head->msg);
	dsm_wire_encode_frame(&head->frame, &f);
	dsm_wire_encode_msg(&head->msg, &m);
	memcpy(buf + sizeof(*head), &head->msg, sizeof(head->msg));
	size = sizeof(*head) + f.len;
	if (size > FUZZ_MAX)
		size = FUZZ_MAX;
	for (u32 i = fuzz_rnd(3); i; i--)
		buf[fuzz_rnd(size)] = fuzz_rnd(256);
	return size;
}
