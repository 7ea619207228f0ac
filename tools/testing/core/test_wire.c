// SPDX-License-Identifier: GPL-2.0
/* The codec: round trips, and every byte that must not be trusted. */
#include "cluster.h"
#include "wire.h"

static struct dsm_msg good(u8 type)
{
	struct dsm_msg m = {
		.type = type, .from = 3, .requester = 4, .home = 5,
		.target = NOBODY, .owner = NOBODY, .tid = 6, .epoch = 7,
		.region = 8, .gen = 9, .page = 0x123456789abcULL,
	};

	switch ((enum dsm_msg_type)type) {
	case DSM_MSG_PUSH:
		m.flags = DSM_MF_PAGE;
		m.target = 255;
		break;
	case DSM_MSG_PULL:
	case DSM_MSG_PUSHED:
		m.target = 0;
		break;
	case DSM_MSG_MOVE:
		m.tid = 0;
		m.dir_state = DSM_DS_E;
		m.owner = 1;
		break;
	case DSM_MSG_GRANT:
		m.flags = DSM_MF_PAGE | DSM_MF_DONE;
		break;
	case DSM_MSG_INV:
	case DSM_MSG_ACK:
		m.flags = DSM_MF_DONE;
		m.nr_acks = 256;
		break;
	case DSM_MSG_FWDS:
		m.flags = DSM_MF_DONE;
		break;
	case DSM_MSG_GETS:
	case DSM_MSG_GETX:
	case DSM_MSG_PUT:
	case DSM_MSG_DONE:
	case DSM_MSG_PUT_ACK:
	case DSM_MSG_PUT_NAK:
	case DSM_NR_MSG_TYPES:
		break;
	}
	return m;
}

static u8 decode(const struct dsm_msg *m)
{
	struct dsm_wire_msg w;
	struct dsm_msg back;

	dsm_wire_encode_msg(&w, m);
	return dsm_wire_decode_msg(&w, m->from, &back);
}

TEST(each_message_survives_the_wire)
{
	for (u8 t = 0; t < DSM_NR_MSG_TYPES; t++) {
		struct dsm_msg m = good(t), back;
		struct dsm_wire_msg w, again;

		dsm_wire_encode_msg(&w, &m);
		CHECK(dsm_wire_decode_msg(&w, 3, &back) == DSM_V_OK);
		dsm_wire_encode_msg(&again, &back);
		CHECK(back.from == 3 && !memcmp(&w, &again, sizeof(w)));
	}
}

#define BAD(t, change)							\
	do {								\
		struct dsm_msg m = good(DSM_MSG_##t);			\
									\
		CHECK(decode(&m) == DSM_V_OK);				\
		change;							\
		CHECK(decode(&m) == DSM_V_BAD_FIELD);			\
	} while (0)

TEST(messages_that_no_one_sends)
{
	BAD(GETS, m.type = DSM_NR_MSG_TYPES);
	BAD(GETS, m.flags = DSM_MF_PAGE);
	BAD(GETS, m.requester = 256);
	BAD(GETS, m.requester = NOBODY);
	BAD(GETS, m.home = NOBODY);
	BAD(GETS, m.target = 1);
	BAD(GETS, m.owner = 1);
	BAD(GETS, m.nr_acks = 1);
	BAD(GETS, m.dir_state = 1);
	BAD(GETS, m.tid = 0);
	BAD(PUT, m.target = 256);
	BAD(PULL, m.target = NOBODY);
	BAD(PUSH, m.flags = 0);
	BAD(PUSHED, m.flags = DSM_MF_FWDED);
	BAD(MOVE, m.tid = 1);
	BAD(MOVE, m.dir_state = DSM_DS_Z);
	BAD(MOVE, m.dir_state = DSM_DS_S);	/* with an owner */
	BAD(MOVE, m.owner = NOBODY);
	BAD(MOVE, m.owner = 256);
	BAD(GRANT, m.flags = 0);		/* the right to nothing */
	BAD(GRANT, m.flags |= DSM_MF_ZERO);
	BAD(GRANT, m.nr_acks = 1);		/* of a read */
	BAD(INV, m.flags |= DSM_MF_FIN);
	BAD(INV, m.flags = 0);
	BAD(INV, m.flags |= DSM_MF_DATA | DSM_MF_ZERO);
	BAD(INV, m.nr_acks = 0);
	BAD(INV, m.nr_acks = 257);
	BAD(FWDS, m.flags |= DSM_MF_DATA);
	BAD(ACK, m.nr_acks = 0);
	BAD(ACK, m.age = 1);
	BAD(PUT, m.age = 1);
	BAD(ACK, m.flags |= DSM_MF_PAGE);
}

TEST(unused_bytes_are_zero)
{
	struct dsm_msg m = good(DSM_MSG_GETS), back;
	struct dsm_wire_msg w;

	dsm_wire_encode_msg(&w, &m);
	w.pad = 1;
	CHECK(dsm_wire_decode_msg(&w, 3, &back) == DSM_V_BAD_FIELD);
	w.pad = 0;
	((u8 *)&w.pad2)[7] = 1;
	CHECK(dsm_wire_decode_msg(&w, 3, &back) == DSM_V_BAD_FIELD);
}

static u8 frame(u8 kind, u16 nr, u16 len, u32 bytes)
{
	struct dsm_frame f = { .kind = kind, .nr = nr, .len = len,
			       .incarnation = 1 }, back;
	struct dsm_wire_frame w;

	dsm_wire_encode_frame(&w, &f);
	return dsm_wire_decode_frame(&w, bytes, &back);
}

TEST(frames)
{
	CHECK(frame(DSM_FRAME_PAGE, 1, 0, 80) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 1, 4096, 4176) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 86, 4080, 4160) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_CTRL, 0, 100, 180) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_ACK, 0, 0, 80) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 0, 0, 80) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 87, 0, 80) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 1, 4097, 4177) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 1, 32, 80) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 1, 0, 79) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_PAGE, 1, 0, 0) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_CTRL, 1, 0, 80) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_ACK, 0, 1, 81) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_NOTIFY, 0, 0, 80) == DSM_V_OK);
	CHECK(frame(DSM_FRAME_NOTIFY, 1, 0, 80) != DSM_V_OK);
	CHECK(frame(DSM_FRAME_NOTIFY, 0, 1, 81) != DSM_V_OK);
	CHECK(frame(DSM_NR_FRAME_KINDS, 0, 0, 80) != DSM_V_OK);
}

TEST(notices)
{
	struct dsm_notice n = { .region = 7, .gen = 0x80000001, .key = 1ull << 63 | 5 }, back;
	struct dsm_wire_notice w;

	dsm_wire_encode_notice(&w, &n);
	CHECK(dsm_wire_decode_notice(&w, &back) == DSM_V_OK);
	CHECK(back.region == n.region && back.gen == n.gen && back.key == n.key);
	for (unsigned int i = 0; i < 4; i++) {
		dsm_wire_encode_notice(&w, &n);
		w.pad[i] = 1;
		CHECK(dsm_wire_decode_notice(&w, &back) == DSM_V_BAD_FIELD);
	}
}

TEST(frame_fields_survive_and_garbage_does_not)
{
	struct dsm_frame f = { .kind = DSM_FRAME_PAGE, .nr = 2, .len = 48,
			       .seq = 0xfffffffe, .ack = 77, .incarnation = 5 };
	struct dsm_frame back;
	struct dsm_wire_frame w, good_w;

	dsm_wire_encode_frame(&good_w, &f);
	CHECK(dsm_wire_decode_frame(&good_w, 128, &back) == DSM_V_OK);
	dsm_wire_encode_frame(&w, &back);
	CHECK(!memcmp(&w, &good_w, sizeof(w)));
	for (unsigned int i = 0; i < 3; i++) {		/* magic, version */
		w = good_w;
		((u8 *)&w)[i] ^= 0x40;
		CHECK(dsm_wire_decode_frame(&w, 128, &back) != DSM_V_OK);
	}
	for (unsigned int i = 20; i < 32; i++) {	/* pad */
		w = good_w;
		((u8 *)&w)[i] ^= 1;
		CHECK(dsm_wire_decode_frame(&w, 128, &back) != DSM_V_OK);
	}
	f.incarnation = 0;
	dsm_wire_encode_frame(&w, &f);
	CHECK(dsm_wire_decode_frame(&w, 128, &back) != DSM_V_OK);
}

TEST(payload_fits_the_messages)
{
	struct dsm_frame f = { .kind = DSM_FRAME_PAGE, .nr = 1, .len = 4096 };
	struct dsm_msg page = good(DSM_MSG_PUSH), move = good(DSM_MSG_MOVE);
	struct dsm_msg plain = good(DSM_MSG_GETS);

	CHECK(dsm_wire_check_payload(&f, &page) == DSM_V_OK);
	CHECK(dsm_wire_check_payload(&f, &move) != DSM_V_OK);
	CHECK(dsm_wire_check_payload(&f, &plain) != DSM_V_OK);
	f.len = 32;
	CHECK(dsm_wire_check_payload(&f, &page) != DSM_V_OK);
	CHECK(dsm_wire_check_payload(&f, &move) == DSM_V_OK);
	f.nr = 2;
	CHECK(dsm_wire_check_payload(&f, &move) != DSM_V_OK);
	f.len = 48;
	CHECK(dsm_wire_check_payload(&f, &plain) == DSM_V_OK);
	f.nr = 0;
	CHECK(dsm_wire_check_payload(&f, &plain) != DSM_V_OK);
}

/* What of a grant the immediate carries; the requester knows the rest. */
TEST(compact_grant_round_trip)
{
	struct dsm_msg m = { .type = DSM_MSG_GRANT, .from = 3, .requester = 1, .home = 3,
			     .target = DSM_NODE_NONE, .owner = DSM_NODE_NONE,
			     .tid = 0x12345678 };
	struct dsm_msg back;
	u32 imm;

	for (unsigned int i = 0; i < 16; i++) {
		m.flags = DSM_MF_PAGE | (i & 1 ? DSM_MF_WRITE : 0) | (i & 2 ? DSM_MF_DONE : 0);
		m.home = i & 2 ? 2 : 3;
		m.nr_acks = i >> 2;
		CHECK(dsm_wire_compact(&m, &imm));
		CHECK(!(imm >> DSM_IMM_ACK_SHIFT & DSM_IMM_ACK_MASK));
		dsm_wire_expand(imm | 0x55 << DSM_IMM_ACK_SHIFT, 3, 1, &back);
		CHECK(back.type == m.type && back.flags == m.flags && back.from == 3);
		CHECK(back.requester == 1 && back.home == m.home);
		CHECK(back.nr_acks == m.nr_acks && back.tid == 0x5678);
	}
}

TEST(compact_grant_only_if_it_fits)
{
	const struct dsm_msg good = { .type = DSM_MSG_GRANT, .flags = DSM_MF_PAGE,
				      .from = 3, .requester = 1, .home = 3, .tid = 7 };
	struct dsm_msg m;
	u32 imm;

	CHECK(dsm_wire_compact(&good, &imm));
	m = good;
	m.type = DSM_MSG_PUSH;
	CHECK(!dsm_wire_compact(&m, &imm));
	m = good;
	m.flags = DSM_MF_ZERO;
	CHECK(!dsm_wire_compact(&m, &imm));
	m = good;
	m.nr_acks = 4;
	CHECK(!dsm_wire_compact(&m, &imm));
	m = good;
	m.tid |= DSM_TID_WIDE;
	CHECK(!dsm_wire_compact(&m, &imm));
	m = good;
	m.home = 4;			/* not the sender, and no DONE to say which */
	CHECK(!dsm_wire_compact(&m, &imm));
	m.flags |= DSM_MF_DONE;
	CHECK(dsm_wire_compact(&m, &imm));
	m.home = 32;			/* five bits */
	CHECK(!dsm_wire_compact(&m, &imm));
}
