/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goes over a link: frames.
 *
 * A frame is one SEND: a head of DSM_WIRE_HEAD bytes and up to one page of
 * payload.  The receiver's buffers are a page with room for a head behind it.
 * Payload that fits the page behind the head goes there; a whole page goes first,
 * so that it arrives page-aligned in memory the receiver chose, and then the head.
 *
 *	PAGE	head { frame, message 0 }, payload: the page if message 0 has
 *		DSM_MF_PAGE (then it is the only message), the sharers if
 *		message 0 is a MOVE (likewise), else messages 1 .. nr - 1
 *	CTRL	head { frame }, payload: len bytes for the cluster layer
 *	ACK	head { frame }: acknowledgement and heartbeat; not sequenced
 *	NOTIFY	head { frame, notice }: an eventfd was signalled
 */
#ifndef DSM_CORE_WIRE_H
#define DSM_CORE_WIRE_H

#include "types.h"

/*
 * A grant of a page is what everyone waits for, and head and page together are
 * two packets where the network carries 4096 bytes in one.  So a page that answers
 * a request may travel alone, with an immediate of 32 bits beside it:
 *
 *	bits 0-15	low bits of the transaction id
 *	bits 16-22	low bits of the ack
 *	bits 23-24	nr_acks
 *	bit 25, 26	WRITE, DONE
 *	bits 27-31	home, if DONE
 *
 * Its sequence number is the next one: such a frame is sent once, on a connection
 * that keeps order; sent again, it has a head.  The requester knows the rest.
 */
#define DSM_IMM_TID_MASK	0xffffu
#define DSM_IMM_ACK_SHIFT	16
#define DSM_IMM_ACK_MASK	0x7fu
#define DSM_IMM_NR_ACKS_SHIFT	23
#define DSM_IMM_NR_ACKS_MASK	0x3u
#define DSM_IMM_WRITE		(1u << 25)
#define DSM_IMM_DONE		(1u << 26)
#define DSM_IMM_HOME_SHIFT	27
#define DSM_IMM_HOME_MAX	31u

/* A transaction id with this bit cannot be told by its low bits. */
#define DSM_TID_WIDE		(1u << 31)

#define DSM_WIRE_MAGIC		0x6d53u
#define DSM_WIRE_VERSION	2

enum dsm_frame_kind {
	DSM_FRAME_PAGE,
	DSM_FRAME_CTRL,
	DSM_FRAME_ACK,
	DSM_FRAME_NOTIFY,
	DSM_NR_FRAME_KINDS,
};

/**
 * struct dsm_wire_frame - first part of the head
 * @magic:	DSM_WIRE_MAGIC
 * @version:	DSM_WIRE_VERSION
 * @kind:	enum dsm_frame_kind
 * @nr:		PAGE: number of messages, 1 .. DSM_WIRE_MAX_MSGS
 * @len:	bytes of payload, 0 .. DSM_PAGE_SIZE
 * @seq:	sequence number on this link; ACK: 0
 * @ack:	all frames with sequence numbers before this have arrived
 * @incarnation: of the sender, chosen at its start
 * @pad:	0
 */
struct dsm_wire_frame {
	__le16 magic;
	u8 version;
	u8 kind;
	__le16 nr;
	__le16 len;
	__le32 seq;
	__le32 ack;
	__le32 incarnation;
	__le32 pad[3];
};

/* struct dsm_msg on the wire; the sender is known from the link. */
struct dsm_wire_msg {
	u8 type;
	u8 flags;
	u8 dir_state;
	u8 pad;
	__le16 requester;
	__le16 home;
	__le16 target;
	__le16 owner;
	__le16 nr_acks;
	__le16 age;
	__le32 tid;
	__le32 epoch;
	__le32 region;
	__le32 gen;
	__le64 page;
	__le64 pad2;
};

/* struct dsm_notice on the wire. */
struct dsm_wire_notice {
	__le32 region;
	__le32 gen;
	__le64 key;
	__le64 pad[4];
};

struct dsm_wire_head {
	struct dsm_wire_frame frame;
	union {
		struct dsm_wire_msg msg;
		struct dsm_wire_notice notice;
	};
};

struct dsm_wire_set {
	__le64 w[DSM_MAX_NODES / 64];
};

#define DSM_WIRE_HEAD		(sizeof(struct dsm_wire_head))
#define DSM_WIRE_MAX_MSGS	(1 + DSM_PAGE_SIZE / sizeof(struct dsm_wire_msg))

/**
 * struct dsm_frame - the head of a frame, in host form
 * @kind:	enum dsm_frame_kind
 * @nr:		PAGE: number of messages
 * @len:	bytes of payload
 * @seq:	sequence number
 * @ack:	acknowledgement
 * @incarnation: of the sender
 */
struct dsm_frame {
	u8 kind;
	u16 nr;
	u16 len;
	u32 seq;
	u32 ack;
	u32 incarnation;
};

/**
 * struct dsm_notice - for whom a notification is
 * @region:	of the file
 * @gen:	generation of that
 * @key:	of the listener
 */
struct dsm_notice {
	u32 region;
	u32 gen;
	u64 key;
};

/**
 * dsm_wire_encode_frame() - write the frame part of a head
 * @w:	where to
 * @f:	the frame
 */
void dsm_wire_encode_frame(struct dsm_wire_frame *w, const struct dsm_frame *f);

/**
 * dsm_wire_decode_frame() - read and check the frame part of a head
 * @w:		what came
 * @nr_bytes:	bytes that came, head included
 * @f:		the frame
 *
 * Return: enum dsm_verdict; OK means that kind, number of messages and length
 * fit together and the payload is all there.
 */
u8 dsm_wire_decode_frame(const struct dsm_wire_frame *w, u32 nr_bytes,
			 struct dsm_frame *f);

/**
 * dsm_wire_encode_msg() - write a message
 * @w:	where to
 * @m:	the message
 */
void dsm_wire_encode_msg(struct dsm_wire_msg *w, const struct dsm_msg *m);

/**
 * dsm_wire_decode_msg() - read and check a message
 * @w:		what came
 * @from:	the node at the other end of the link
 * @m:		the message
 *
 * Checks what can be checked without state: the type, the flags that go with
 * it, node numbers, unused fields 0.
 *
 * Return: enum dsm_verdict.
 */
u8 dsm_wire_decode_msg(const struct dsm_wire_msg *w, u16 from, struct dsm_msg *m);

/**
 * dsm_wire_payload() - how many bytes of payload are a message's own?
 * @m:	the message
 *
 * A message with payload of its own travels alone: messages 1 .. nr - 1 of a
 * frame must have none, on either side.
 *
 * Return: DSM_PAGE_SIZE, the size of a set, or 0.
 */
u16 dsm_wire_payload(const struct dsm_msg *m);

/**
 * dsm_wire_check_payload() - does the payload fit the messages?
 * @f:		the frame
 * @m:		its message 0
 *
 * Return: enum dsm_verdict; BAD_FIELD unless message 0 with a page or a set has
 * exactly that payload, and messages 1 .. nr - 1 fill it exactly otherwise.
 */
u8 dsm_wire_check_payload(const struct dsm_frame *f, const struct dsm_msg *m);

/**
 * dsm_wire_compact() - can this message travel as an immediate?
 * @m:		the message
 * @imm:	the immediate, but for the ack
 */
bool dsm_wire_compact(const struct dsm_msg *m, u32 *imm);

/**
 * dsm_wire_expand() - a message from an immediate
 * @imm:	the immediate
 * @from:	the node at the other end of the link
 * @self:	this node
 * @m:		the message; the requester fills in tid (low bits are there),
 *		epoch, region, gen and page
 */
void dsm_wire_expand(u32 imm, u16 from, u16 self, struct dsm_msg *m);

/**
 * dsm_wire_encode_notice() - write a notification
 * @w:	where to
 * @n:	the notification
 */
void dsm_wire_encode_notice(struct dsm_wire_notice *w, const struct dsm_notice *n);

/**
 * dsm_wire_decode_notice() - read a notification
 * @w:	what came
 * @n:	the notification
 *
 * Return: enum dsm_verdict; BAD_FIELD unless unused fields are 0.
 */
u8 dsm_wire_decode_notice(const struct dsm_wire_notice *w, struct dsm_notice *n);

void dsm_wire_encode_set(struct dsm_wire_set *w, const struct dsm_nodeset *s);
void dsm_wire_decode_set(const struct dsm_wire_set *w, struct dsm_nodeset *s);

#endif
