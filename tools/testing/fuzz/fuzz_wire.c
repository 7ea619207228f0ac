// SPDX-License-Identifier: GPL-2.0
/* A buffer as it came from the network, through every check of the receiver. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nodeset.h"
#include "wire.h"

static void messages(const u8 *payload, const struct dsm_frame *f)
{
	for (u16 i = 1; i < f->nr; i++) {
		struct dsm_wire_msg w, again;
		struct dsm_msg m;

		memcpy(&w, payload + (i - 1) * sizeof(w), sizeof(w));
		if (dsm_wire_decode_msg(&w, 1, &m) != DSM_V_OK)
			return;
		dsm_wire_encode_msg(&again, &m);
		if (memcmp(&w, &again, sizeof(w)))
			abort();
	}
}

static void notice(const struct dsm_wire_notice *w)
{
	struct dsm_wire_notice again;
	struct dsm_notice n;

	if (dsm_wire_decode_notice(w, &n) != DSM_V_OK)
		return;
	dsm_wire_encode_notice(&again, &n);
	if (memcmp(w, &again, sizeof(again)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dsm_wire_head head;
	struct dsm_wire_set set;
	struct dsm_nodeset sharers;
	struct dsm_frame f;
	struct dsm_msg m;

	memset(&head, 0, sizeof(head));
	memcpy(&head, data, size < sizeof(head) ? size : sizeof(head));
	if (dsm_wire_decode_frame(&head.frame, size, &f) != DSM_V_OK)
		return 0;
	if (f.kind == DSM_FRAME_NOTIFY)
		notice(&head.notice);
	if (f.kind != DSM_FRAME_PAGE ||
	    dsm_wire_decode_msg(&head.msg, 1, &m) != DSM_V_OK ||
	    dsm_wire_check_payload(&f, &m) != DSM_V_OK)
		return 0;
	if (m.type >= DSM_NR_MSG_TYPES || m.requester >= DSM_MAX_NODES ||
	    m.home >= DSM_MAX_NODES || size != DSM_WIRE_HEAD + f.len)
		abort();
	if (m.type == DSM_MSG_MOVE) {
		memcpy(&set, data + DSM_WIRE_HEAD, sizeof(set));
		dsm_wire_decode_set(&set, &sharers);
	} else if (!(m.flags & DSM_MF_PAGE)) {
		messages(data + DSM_WIRE_HEAD, &f);
	}
	return 0;
}
