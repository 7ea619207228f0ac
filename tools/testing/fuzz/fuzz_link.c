// SPDX-License-Identifier: GPL-2.0
/* One end of a link, and a peer that says anything. */
#include <stdlib.h>

#include "fuzz.h"
#include "link.h"

static u32 take_number(struct bytes *b, u32 near)
{
	u8 kind = take_byte(b);

	if (kind < 0xf0)
		return near + (s8)kind;
	return (u32)take_byte(b) << 24 | take_byte(b) << 16 | kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };
	struct dsm_hello h;
	struct dsm_link l;
	u32 seq, ack, before;
	u8 r;

	dsm_link_init(&l);
	while (b.left) {
		before = l.rx_next;
		switch (take_byte(&b) % 6) {
		case 0:
			h.incarnation = take_byte(&b) % 4;
			h.peer_incarnation = take_byte(&b) % 4;
			h.rx_next = take_number(&b, l.tx_next);
			dsm_link_connected(&l, &h, 3);
			break;
		case 1:
			dsm_link_lost(&l);
			break;
		case 2:
			seq = take_number(&b, l.rx_next);
			ack = take_number(&b, l.tx_next);
			r = dsm_link_frame(&l, take_byte(&b) & 1, seq, ack);
			if ((r == DSM_LR_DELIVER) != (l.rx_next != before) ||
			    (r == DSM_LR_DELIVER && seq != before))
				abort();
			break;
		case 3:
		case 4:
			if (dsm_link_send(&l, &seq, &ack) == DSM_LR_OK &&
			    (seq + 1 != l.tx_next || ack != l.rx_next))
				abort();
			break;
		case 5:
			dsm_link_ack(&l);
			break;
		}
		if (l.tx_next - l.tx_una > DSM_LINK_WINDOW)
			abort();
	}
	return 0;
}
