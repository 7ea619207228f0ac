/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control messages: what the cluster layers of two nodes tell each other.
 *
 * Each is one CTRL frame: a head and a body of fixed little-endian layout, at
 * most a page.  What is larger (the metadata for a joiner) is many messages.
 *
 *	MEMBER	the membership machines
 *	OP	a node -> master: change the metadata		(answered)
 *	APPLY	master -> member: make the change		(answered)
 *	ZAP	master -> member: make pages zero; who leaves -> member: none,
 *		to see that all before it has come		(answered)
 *	LAST	master -> member: which was your last change?  Mine is this
 *								(answered)
 *	MISSED	member -> new master: a change that it lacks, before the answer
 *	BEGIN	master -> joiner: forget all, metadata follows
 *	FILE	master -> joiner: a file
 *	END	master -> joiner: that was all			(answered)
 *	REPLY	the answer
 */
#ifndef DSM_CTRL_H
#define DSM_CTRL_H

#include "cluster_types.h"
#include "core/wire.h"
#include "meta.h"

#define DSM_CTRL_MAGIC		0x4344u
#define DSM_CTRL_VERSION	3

enum dsm_ctrl_type {
	DSM_CTRL_MEMBER,
	DSM_CTRL_OP,
	DSM_CTRL_APPLY,
	DSM_CTRL_ZAP,
	DSM_CTRL_LAST,
	DSM_CTRL_MISSED,
	DSM_CTRL_BEGIN,
	DSM_CTRL_FILE,
	DSM_CTRL_END,
	DSM_CTRL_REPLY,
	DSM_NR_CTRL_TYPES,
};

/**
 * struct dsm_ctrl_head - first part of every control message
 * @magic:	DSM_CTRL_MAGIC
 * @version:	DSM_CTRL_VERSION
 * @type:	enum dsm_ctrl_type
 * @len:	bytes of the message, the head included
 * @pad:	0
 * @id:		of the request that a REPLY answers; chosen by who asks, 0: none
 */
struct dsm_ctrl_head {
	__le16 magic;
	u8 version;
	u8 type;
	__le16 len;
	__le16 pad;
	__le32 id;
	__le32 pad2;
};

struct dsm_ctrl_member {
	struct dsm_ctrl_head head;
	u8 type;
	u8 state;
	u8 reason;
	u8 pad[5];
	__le32 round;
	__le32 cluster;
	__le32 number;
	__le32 epoch;
	struct dsm_wire_set members;
	struct dsm_wire_set leaving;
	struct dsm_wire_set lost;
	struct dsm_wire_set linked;
};

/* struct dsm_op; the names follow, without a zero at the end. */
struct dsm_ctrl_op {
	struct dsm_ctrl_head head;
	u8 type;
	u8 name_len;
	u8 name2_len;
	u8 policy;
	__le32 flags;
	__le32 file;
	__le32 op_id;
	__le32 seq;
	__le16 origin;
	__le16 node;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le32 pad;
	__le64 start;
	__le64 nr;
	__le64 unit;
	__le64 value;
	__le64 mtime_ns;
	__le64 ctime_ns;
	struct dsm_wire_set members;
	u8 names[];
};

struct dsm_ctrl_zap {
	struct dsm_ctrl_head head;
	__le32 file;
	__le32 pad;
	__le64 start;
	__le64 nr;
};

/* BEGIN and END: @nr_files is the number of FILE messages in between; LAST: only @seq. */
struct dsm_ctrl_snapshot {
	struct dsm_ctrl_head head;
	__le32 seq;
	__le32 nr_files;
	__le32 max_id;
	__le32 pad;
};

struct dsm_ctrl_range {
	__le64 start;
	__le64 nr;
	__le64 unit;
	__le16 slot;
	u8 policy;
	u8 pad[5];
};

struct dsm_ctrl_file {
	struct dsm_ctrl_head head;
	__le32 id;
	__le32 gen;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le32 nlink;
	__le64 size;
	__le64 mtime_ns;
	__le64 ctime_ns;
	struct dsm_wire_set users;
	__le16 nr_slots;
	__le16 nr_ranges;
	u8 name_len;
	u8 pad[3];
	u8 node[DSM_MAX_NODES];
	struct dsm_ctrl_range range[DSM_PLACE_MAX_RANGES];
	u8 name[];
};

struct dsm_ctrl_reply {
	struct dsm_ctrl_head head;
	__le32 status;
	__le32 pad;
	__le64 value;
};

static_assert(sizeof(struct dsm_ctrl_head) == 16);
static_assert(sizeof(struct dsm_ctrl_member) == 168);
static_assert(sizeof(struct dsm_ctrl_op) == 136);
static_assert(sizeof(struct dsm_ctrl_zap) == 40);
static_assert(sizeof(struct dsm_ctrl_snapshot) == 32);
static_assert(sizeof(struct dsm_ctrl_range) == 32);
static_assert(sizeof(struct dsm_ctrl_file) == 872);
static_assert(sizeof(struct dsm_ctrl_reply) == 32);
static_assert(sizeof(struct dsm_ctrl_op) + 2 * DSM_NAME_MAX <= DSM_PAGE_SIZE);
static_assert(sizeof(struct dsm_ctrl_file) + DSM_NAME_MAX <= DSM_PAGE_SIZE);

#define DSM_CTRL_OP_MAX	(sizeof(struct dsm_ctrl_op) + 2 * DSM_NAME_MAX)
#define DSM_CTRL_FILE_MAX (sizeof(struct dsm_ctrl_file) + DSM_NAME_MAX)

void dsm_ctrl_head_init(struct dsm_ctrl_head *h, u8 type, size_t len);
bool dsm_ctrl_check(const void *buf, size_t len);

void dsm_ctrl_encode_member(struct dsm_ctrl_member *w,
			    const struct dsm_member_packet *p);
bool dsm_ctrl_decode_member(const struct dsm_ctrl_member *w,
			    struct dsm_member_packet *p);
size_t dsm_ctrl_encode_op(struct dsm_ctrl_op *w, u8 type, const struct dsm_op *op);
bool dsm_ctrl_decode_op(const struct dsm_ctrl_op *w, struct dsm_op *op);
size_t dsm_ctrl_encode_file(struct dsm_ctrl_file *w, const struct dsm_file *f);
bool dsm_ctrl_decode_file(const struct dsm_ctrl_file *w, u16 nr_nodes,
			  struct dsm_file *f, struct dsm_place *pl);

#endif
