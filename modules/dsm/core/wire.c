// SPDX-License-Identifier: GPL-2.0
/*
 * Encoding and decoding of frames.  The decoder trusts no byte: whatever it
 * accepts, some correct sender can have sent, as far as one message can tell.
 */
#include <asm/byteorder.h>
#include <linux/string.h>

#include "wire.h"

_Static_assert(sizeof(struct dsm_wire_frame) == 32, "frame on the wire");
_Static_assert(sizeof(struct dsm_wire_msg) == 48, "message on the wire");
_Static_assert(sizeof(struct dsm_wire_notice) == 48, "notification on the wire");
_Static_assert(sizeof(struct dsm_wire_head) == 80, "head on the wire");
_Static_assert(sizeof(struct dsm_wire_set) == DSM_MAX_NODES / 8, "set on the wire");
_Static_assert(DSM_PAGE_SIZE <= 0xffff, "length of payload in 16 bits");

/* What a field that only some messages use has to be. */
enum use {
	UNUSED,
	MAY,
	MUST,
};

/**
 * struct shape - what a message of a type looks like
 * @must:	flags that are set
 * @may:	flags that can be set
 * @target:	DSM_NODE_NONE, or that or a node, or a node
 * @acks:	nr_acks is 0, or anything, or not 0
 * @moves:	dir_state and owner are used, tid is not
 * @ages:	age is used
 */
struct shape {
	u8 must;
	u8 may;
	u8 target;
	u8 acks;
	bool moves;
	bool ages;
};

/*
 * FIN never travels: it is for the home's own copy.  An INV or FWDS from
 * elsewhere always owes a DONE.
 */
static const struct shape shapes[DSM_NR_MSG_TYPES] = {
	[DSM_MSG_GETS] =	{ .may = DSM_MF_FWDED, .ages = true },
	[DSM_MSG_GETX] =	{ .may = DSM_MF_FWDED, .ages = true },
	[DSM_MSG_PUT] =		{ .may = DSM_MF_FWDED, .target = MAY },
	[DSM_MSG_DONE] =	{ },
	[DSM_MSG_PUSHED] =	{ .may = DSM_MF_REFUSED, .target = MUST },
	[DSM_MSG_MOVE] =	{ .moves = true },
	[DSM_MSG_GRANT] =	{ .may = DSM_MF_PAGE | DSM_MF_ZERO |
					 DSM_MF_WRITE | DSM_MF_DONE,
				  .acks = MAY },
	[DSM_MSG_ACK] =		{ .may = DSM_MF_ZERO | DSM_MF_DONE, .acks = MUST },
	[DSM_MSG_INV] =		{ .must = DSM_MF_DONE,
				  .may = DSM_MF_DATA | DSM_MF_ZERO | DSM_MF_WRITE,
				  .acks = MUST, .ages = true },
	[DSM_MSG_FWDS] =	{ .must = DSM_MF_DONE, .may = DSM_MF_WRITE,
				  .ages = true },
	[DSM_MSG_PULL] =	{ .target = MUST },
	[DSM_MSG_PUSH] =	{ .must = DSM_MF_PAGE, .target = MUST },
	[DSM_MSG_PUT_ACK] =	{ },
	[DSM_MSG_PUT_NAK] =	{ },
};

void dsm_wire_encode_frame(struct dsm_wire_frame *w, const struct dsm_frame *f)
{
	*w = (struct dsm_wire_frame){
		.magic = cpu_to_le16(DSM_WIRE_MAGIC),
		.version = DSM_WIRE_VERSION,
		.kind = f->kind,
		.nr = cpu_to_le16(f->nr),
		.len = cpu_to_le16(f->len),
		.seq = cpu_to_le32(f->seq),
		.ack = cpu_to_le32(f->ack),
		.incarnation = cpu_to_le32(f->incarnation),
	};
}

static bool frame_shape_ok(const struct dsm_frame *f)
{
	switch ((enum dsm_frame_kind)f->kind) {
	case DSM_FRAME_PAGE:
		return f->nr && f->nr <= DSM_WIRE_MAX_MSGS;
	case DSM_FRAME_CTRL:
		return !f->nr;
	case DSM_FRAME_ACK:
		return !f->nr && !f->len && !f->seq;
	case DSM_FRAME_NOTIFY:
		return !f->nr && !f->len;
	case DSM_NR_FRAME_KINDS:
		break;
	}
	return false;
}

u8 dsm_wire_decode_frame(const struct dsm_wire_frame *w, u32 nr_bytes,
			 struct dsm_frame *f)
{
	if (nr_bytes < DSM_WIRE_HEAD)
		return DSM_V_BAD_FIELD;
	if (w->magic != cpu_to_le16(DSM_WIRE_MAGIC) ||
	    w->version != DSM_WIRE_VERSION ||
	    w->pad[0] || w->pad[1] || w->pad[2])
		return DSM_V_BAD_FIELD;
	*f = (struct dsm_frame){
		.kind = w->kind,
		.nr = le16_to_cpu(w->nr),
		.len = le16_to_cpu(w->len),
		.seq = le32_to_cpu(w->seq),
		.ack = le32_to_cpu(w->ack),
		.incarnation = le32_to_cpu(w->incarnation),
	};
	if (f->len > DSM_PAGE_SIZE || nr_bytes != DSM_WIRE_HEAD + f->len ||
	    !f->incarnation || !frame_shape_ok(f))
		return DSM_V_BAD_FIELD;
	return DSM_V_OK;
}

void dsm_wire_encode_msg(struct dsm_wire_msg *w, const struct dsm_msg *m)
{
	*w = (struct dsm_wire_msg){
		.type = m->type,
		.flags = m->flags,
		.dir_state = m->dir_state,
		.requester = cpu_to_le16(m->requester),
		.home = cpu_to_le16(m->home),
		.target = cpu_to_le16(m->target),
		.owner = cpu_to_le16(m->owner),
		.nr_acks = cpu_to_le16(m->nr_acks),
		.age = cpu_to_le16(m->age),
		.tid = cpu_to_le32(m->tid),
		.epoch = cpu_to_le32(m->epoch),
		.region = cpu_to_le32(m->region),
		.gen = cpu_to_le32(m->gen),
		.page = cpu_to_le64(m->page),
	};
}

static bool node_ok(u16 node, u8 use)
{
	if (node == DSM_NODE_NONE)
		return use != MUST;
	return use != UNUSED && node < DSM_MAX_NODES;
}

static bool acks_ok(u16 nr, u8 use)
{
	if (!nr)
		return use != MUST;
	return use != UNUSED && nr <= DSM_MAX_NODES;
}

/* Flags that are legal one by one, but not with each other. */
static bool flags_agree(const struct dsm_msg *m)
{
	switch ((enum dsm_msg_type)m->type) {
	case DSM_MSG_GRANT:
		/* One source of the contents, or none if it is an upgrade. */
		if (m->flags & DSM_MF_PAGE && m->flags & DSM_MF_ZERO)
			return false;
		if (m->flags & DSM_MF_WRITE)
			return true;
		return m->flags & (DSM_MF_PAGE | DSM_MF_ZERO) && !m->nr_acks;
	case DSM_MSG_INV:
		return !(m->flags & DSM_MF_DATA && m->flags & DSM_MF_ZERO);
	case DSM_MSG_GETS:
	case DSM_MSG_GETX:
	case DSM_MSG_PUT:
	case DSM_MSG_DONE:
	case DSM_MSG_PUSHED:
	case DSM_MSG_MOVE:
	case DSM_MSG_ACK:
	case DSM_MSG_FWDS:
	case DSM_MSG_PULL:
	case DSM_MSG_PUSH:
	case DSM_MSG_PUT_ACK:
	case DSM_MSG_PUT_NAK:
	case DSM_NR_MSG_TYPES:
		break;
	}
	return true;
}

static bool entry_ok(const struct dsm_msg *m)
{
	switch (m->dir_state) {
	case DSM_DS_ZS:
	case DSM_DS_S:
		return m->owner == DSM_NODE_NONE;
	case DSM_DS_E:
		return m->owner < DSM_MAX_NODES;
	}
	return false;
}

static bool msg_shape_ok(const struct dsm_msg *m)
{
	const struct shape *s = &shapes[m->type];

	if ((m->flags & s->must) != s->must || m->flags & ~(s->must | s->may))
		return false;
	if (!node_ok(m->requester, MUST) || !node_ok(m->home, MUST) ||
	    !node_ok(m->target, s->target) || !acks_ok(m->nr_acks, s->acks) ||
	    (m->age && !s->ages))
		return false;
	if (s->moves)
		return !m->tid && entry_ok(m);
	return m->tid && !m->dir_state && m->owner == DSM_NODE_NONE &&
	       flags_agree(m);
}

u8 dsm_wire_decode_msg(const struct dsm_wire_msg *w, u16 from, struct dsm_msg *m)
{
	if (w->type >= DSM_NR_MSG_TYPES || w->pad || w->pad2)
		return DSM_V_BAD_FIELD;
	*m = (struct dsm_msg){
		.type = w->type,
		.flags = w->flags,
		.dir_state = w->dir_state,
		.from = from,
		.requester = le16_to_cpu(w->requester),
		.home = le16_to_cpu(w->home),
		.target = le16_to_cpu(w->target),
		.owner = le16_to_cpu(w->owner),
		.nr_acks = le16_to_cpu(w->nr_acks),
		.age = le16_to_cpu(w->age),
		.tid = le32_to_cpu(w->tid),
		.epoch = le32_to_cpu(w->epoch),
		.region = le32_to_cpu(w->region),
		.gen = le32_to_cpu(w->gen),
		.page = le64_to_cpu(w->page),
	};
	return msg_shape_ok(m) ? DSM_V_OK : DSM_V_BAD_FIELD;
}

u16 dsm_wire_payload(const struct dsm_msg *m)
{
	if (m->flags & DSM_MF_PAGE)
		return DSM_PAGE_SIZE;
	if (m->type == DSM_MSG_MOVE)
		return sizeof(struct dsm_wire_set);
	return 0;
}

u8 dsm_wire_check_payload(const struct dsm_frame *f, const struct dsm_msg *m)
{
	u16 own = dsm_wire_payload(m);

	if (f->kind != DSM_FRAME_PAGE || !f->nr || (own && f->nr != 1))
		return DSM_V_BAD_FIELD;
	if (!own)
		own = (f->nr - 1) * sizeof(struct dsm_wire_msg);
	return f->len == own ? DSM_V_OK : DSM_V_BAD_FIELD;
}

bool dsm_wire_compact(const struct dsm_msg *m, u32 *imm)
{
	bool done = m->flags & DSM_MF_DONE;

	if (m->type != DSM_MSG_GRANT || !(m->flags & DSM_MF_PAGE) ||
	    m->flags & ~(DSM_MF_PAGE | DSM_MF_WRITE | DSM_MF_DONE) ||
	    m->nr_acks > DSM_IMM_NR_ACKS_MASK || m->tid & DSM_TID_WIDE ||
	    (done ? m->home > DSM_IMM_HOME_MAX : m->home != m->from))
		return false;
	*imm = (m->tid & DSM_IMM_TID_MASK) |
	       (u32)m->nr_acks << DSM_IMM_NR_ACKS_SHIFT |
	       (m->flags & DSM_MF_WRITE ? DSM_IMM_WRITE : 0) |
	       (done ? DSM_IMM_DONE | (u32)m->home << DSM_IMM_HOME_SHIFT : 0);
	return true;
}

void dsm_wire_expand(u32 imm, u16 from, u16 self, struct dsm_msg *m)
{
	*m = (struct dsm_msg){
		.type = DSM_MSG_GRANT,
		.flags = DSM_MF_PAGE | (imm & DSM_IMM_WRITE ? DSM_MF_WRITE : 0) |
			 (imm & DSM_IMM_DONE ? DSM_MF_DONE : 0),
		.from = from,
		.requester = self,
		.home = imm & DSM_IMM_DONE ? imm >> DSM_IMM_HOME_SHIFT : from,
		.target = DSM_NODE_NONE,
		.owner = DSM_NODE_NONE,
		.nr_acks = imm >> DSM_IMM_NR_ACKS_SHIFT & DSM_IMM_NR_ACKS_MASK,
		.tid = imm & DSM_IMM_TID_MASK,
	};
}

void dsm_wire_encode_notice(struct dsm_wire_notice *w, const struct dsm_notice *n)
{
	*w = (struct dsm_wire_notice){
		.region = cpu_to_le32(n->region),
		.gen = cpu_to_le32(n->gen),
		.key = cpu_to_le64(n->key),
	};
}

u8 dsm_wire_decode_notice(const struct dsm_wire_notice *w, struct dsm_notice *n)
{
	if (w->pad[0] || w->pad[1] || w->pad[2] || w->pad[3])
		return DSM_V_BAD_FIELD;
	*n = (struct dsm_notice){
		.region = le32_to_cpu(w->region),
		.gen = le32_to_cpu(w->gen),
		.key = le64_to_cpu(w->key),
	};
	return DSM_V_OK;
}

void dsm_wire_encode_set(struct dsm_wire_set *w, const struct dsm_nodeset *s)
{
	for (unsigned int i = 0; i < DSM_MAX_NODES / 64; i++)
		w->w[i] = cpu_to_le64(s->w[i]);
}

void dsm_wire_decode_set(const struct dsm_wire_set *w, struct dsm_nodeset *s)
{
	for (unsigned int i = 0; i < DSM_MAX_NODES / 64; i++)
		s->w[i] = le64_to_cpu(w->w[i]);
}
