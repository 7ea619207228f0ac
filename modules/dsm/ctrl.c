// SPDX-License-Identifier: GPL-2.0
/*
 * Control messages to the wire and back.  Decoding trusts no byte: lengths, the
 * ranges of numbers, names; what the fields mean for the state is up to the
 * layers above.
 */
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "ctrl.h"
#include "region.h"

/**
 * dsm_ctrl_head_init() - begin a control message
 * @h:		its head
 * @type:	enum dsm_ctrl_type
 * @len:	bytes of the message
 *
 * Context: Any.
 */
void dsm_ctrl_head_init(struct dsm_ctrl_head *h, u8 type, size_t len)
{
	*h = (struct dsm_ctrl_head){
		.magic = cpu_to_le16(DSM_CTRL_MAGIC),
		.version = DSM_CTRL_VERSION,
		.type = type,
		.len = cpu_to_le16(len),
	};
}

static bool op_len_ok(const struct dsm_ctrl_op *w, size_t len)
{
	return len >= sizeof(*w) &&
	       len == sizeof(*w) + w->name_len + w->name2_len;
}

static bool file_len_ok(const struct dsm_ctrl_file *w, size_t len)
{
	return len >= sizeof(*w) && len == sizeof(*w) + w->name_len;
}

/**
 * dsm_ctrl_check() - is it a control message of this version, and all there?
 * @buf:	what came
 * @len:	bytes that came
 *
 * Context: Any.
 * Return: true if its body can be read.
 */
bool dsm_ctrl_check(const void *buf, size_t len)
{
	const struct dsm_ctrl_head *h = buf;

	if (len < sizeof(*h) || len > DSM_PAGE_SIZE ||
	    le16_to_cpu(h->magic) != DSM_CTRL_MAGIC ||
	    h->version != DSM_CTRL_VERSION || le16_to_cpu(h->len) != len)
		return false;
	switch ((enum dsm_ctrl_type)h->type) {
	case DSM_CTRL_MEMBER:
		return len == sizeof(struct dsm_ctrl_member);
	case DSM_CTRL_OP:
	case DSM_CTRL_APPLY:
	case DSM_CTRL_MISSED:
		return op_len_ok(buf, len);
	case DSM_CTRL_ZAP:
		return len == sizeof(struct dsm_ctrl_zap);
	case DSM_CTRL_LAST:
	case DSM_CTRL_BEGIN:
	case DSM_CTRL_END:
		return len == sizeof(struct dsm_ctrl_snapshot);
	case DSM_CTRL_FILE:
		return file_len_ok(buf, len);
	case DSM_CTRL_REPLY:
		return len == sizeof(struct dsm_ctrl_reply);
	case DSM_NR_CTRL_TYPES:
		break;
	}
	return false;
}

/**
 * dsm_ctrl_encode_member() - write a message of the membership
 * @w:	where to
 * @p:	the message
 *
 * Context: Any.
 */
void dsm_ctrl_encode_member(struct dsm_ctrl_member *w,
			    const struct dsm_member_packet *p)
{
	memset(w, 0, sizeof(*w));
	dsm_ctrl_head_init(&w->head, DSM_CTRL_MEMBER, sizeof(*w));
	w->type = p->type;
	w->state = p->state;
	w->reason = p->reason;
	w->round = cpu_to_le32(p->round);
	w->cluster = cpu_to_le32(p->view.cluster);
	w->number = cpu_to_le32(p->view.number);
	w->epoch = cpu_to_le32(p->view.epoch);
	dsm_wire_encode_set(&w->members, &p->view.members);
	dsm_wire_encode_set(&w->leaving, &p->view.leaving);
	dsm_wire_encode_set(&w->lost, &p->view.lost);
	dsm_wire_encode_set(&w->linked, &p->linked);
}

/**
 * dsm_ctrl_decode_member() - read a message of the membership
 * @w:	what came, checked by dsm_ctrl_check()
 * @p:	the message; the machine checks the view
 *
 * Context: Any.
 * Return: false if it makes no sense.
 */
bool dsm_ctrl_decode_member(const struct dsm_ctrl_member *w,
			    struct dsm_member_packet *p)
{
	*p = (struct dsm_member_packet){
		.type = w->type,
		.state = w->state,
		.reason = w->reason,
		.round = le32_to_cpu(w->round),
		.view.cluster = le32_to_cpu(w->cluster),
		.view.number = le32_to_cpu(w->number),
		.view.epoch = le32_to_cpu(w->epoch),
	};
	dsm_wire_decode_set(&w->members, &p->view.members);
	dsm_wire_decode_set(&w->leaving, &p->view.leaving);
	dsm_wire_decode_set(&w->lost, &p->view.lost);
	dsm_wire_decode_set(&w->linked, &p->linked);
	return p->type < DSM_NR_MEMBER_MSGS && p->state < DSM_NR_MEMBER_STATES &&
	       p->reason < DSM_NR_MEMBER_REASONS;
}

/**
 * dsm_ctrl_encode_op() - write an op
 * @w:		where to, DSM_CTRL_OP_MAX bytes
 * @type:	OP, APPLY or MISSED
 * @op:		the op
 *
 * Context: Any.
 * Return: bytes of the message.
 */
size_t dsm_ctrl_encode_op(struct dsm_ctrl_op *w, u8 type, const struct dsm_op *op)
{
	size_t n = strlen(op->name), n2 = strlen(op->name2);
	size_t len = sizeof(*w) + n + n2;

	memset(w, 0, sizeof(*w));
	dsm_ctrl_head_init(&w->head, type, len);
	w->type = op->type;
	w->name_len = n;
	w->name2_len = n2;
	w->policy = op->policy;
	w->flags = cpu_to_le32(op->flags);
	w->file = cpu_to_le32(op->file);
	w->op_id = cpu_to_le32(op->op_id);
	w->seq = cpu_to_le32(op->seq);
	w->origin = cpu_to_le16(op->origin);
	w->node = cpu_to_le16(op->node);
	w->mode = cpu_to_le32(op->mode);
	w->uid = cpu_to_le32(op->uid);
	w->gid = cpu_to_le32(op->gid);
	w->start = cpu_to_le64(op->start);
	w->nr = cpu_to_le64(op->nr);
	w->unit = cpu_to_le64(op->unit);
	w->value = cpu_to_le64(op->value);
	w->mtime_ns = cpu_to_le64(op->mtime_ns);
	w->ctime_ns = cpu_to_le64(op->ctime_ns);
	dsm_wire_encode_set(&w->members, &op->members);
	memcpy(w->names, op->name, n);
	memcpy(w->names + n, op->name2, n2);
	return len;
}

static bool name_ok(const char *name, size_t len)
{
	if (strlen(name) != len || strchr(name, '/'))
		return false;
	return strcmp(name, ".") && strcmp(name, "..");
}

/**
 * dsm_ctrl_decode_op() - read an op
 * @w:	what came, checked by dsm_ctrl_check()
 * @op:	the op
 *
 * Context: Any.
 * Return: false if it makes no sense.
 */
bool dsm_ctrl_decode_op(const struct dsm_ctrl_op *w, struct dsm_op *op)
{
	*op = (struct dsm_op){
		.type = w->type,
		.policy = w->policy,
		.origin = le16_to_cpu(w->origin),
		.node = le16_to_cpu(w->node),
		.flags = le32_to_cpu(w->flags),
		.file = le32_to_cpu(w->file),
		.op_id = le32_to_cpu(w->op_id),
		.seq = le32_to_cpu(w->seq),
		.mode = le32_to_cpu(w->mode),
		.uid = le32_to_cpu(w->uid),
		.gid = le32_to_cpu(w->gid),
		.start = le64_to_cpu(w->start),
		.nr = le64_to_cpu(w->nr),
		.unit = le64_to_cpu(w->unit),
		.value = le64_to_cpu(w->value),
		.mtime_ns = le64_to_cpu(w->mtime_ns),
		.ctime_ns = le64_to_cpu(w->ctime_ns),
	};
	dsm_wire_decode_set(&w->members, &op->members);
	memcpy(op->name, w->names, w->name_len);
	memcpy(op->name2, w->names + w->name_len, w->name2_len);
	return op->type < DSM_NR_OPS && !(op->flags & ~DSM_OF_ALL) &&
	       op->origin < DSM_MAX_NODES && op->start <= S64_MAX &&
	       op->nr <= S64_MAX && name_ok(op->name, w->name_len) &&
	       name_ok(op->name2, w->name2_len);
}

/**
 * dsm_ctrl_encode_file() - write a file for a joiner
 * @w:	where to, DSM_CTRL_FILE_MAX bytes
 * @f:	the file
 *
 * Context: process, dsm_meta.lock held.
 * Return: bytes of the message.
 */
size_t dsm_ctrl_encode_file(struct dsm_ctrl_file *w, const struct dsm_file *f)
{
	size_t n = strlen(f->name), len = sizeof(*w) + n;
	struct dsm_place pl;

	dsm_region_get_place(f->region, &pl);
	memset(w, 0, sizeof(*w));
	dsm_ctrl_head_init(&w->head, DSM_CTRL_FILE, len);
	w->id = cpu_to_le32(f->id);
	w->gen = cpu_to_le32(f->region->gen);
	w->mode = cpu_to_le32(f->mode);
	w->uid = cpu_to_le32(f->uid);
	w->gid = cpu_to_le32(f->gid);
	w->nlink = cpu_to_le32(f->nlink);
	w->size = cpu_to_le64(f->size);
	w->mtime_ns = cpu_to_le64(f->mtime_ns);
	w->ctime_ns = cpu_to_le64(f->ctime_ns);
	dsm_wire_encode_set(&w->users, &f->users);
	w->nr_slots = cpu_to_le16(pl.nr_slots);
	w->nr_ranges = cpu_to_le16(pl.nr_ranges);
	w->name_len = n;
	memcpy(w->node, pl.node, sizeof(w->node));
	for (u16 i = 0; i < pl.nr_ranges; i++) {
		w->range[i].start = cpu_to_le64(pl.range[i].start);
		w->range[i].nr = cpu_to_le64(pl.range[i].nr);
		w->range[i].unit = cpu_to_le64(pl.range[i].unit);
		w->range[i].slot = cpu_to_le16(pl.range[i].slot);
		w->range[i].policy = pl.range[i].policy;
	}
	memcpy(w->name, f->name, n);
	return len;
}

/**
 * dsm_ctrl_decode_file() - read a file
 * @w:		what came, checked by dsm_ctrl_check()
 * @nr_nodes:	configured nodes
 * @f:		the file, without its region
 * @pl:		its placement
 *
 * Context: Any.
 * Return: false if it makes no sense.
 */
bool dsm_ctrl_decode_file(const struct dsm_ctrl_file *w, u16 nr_nodes,
			  struct dsm_file *f, struct dsm_place *pl)
{
	f->id = le32_to_cpu(w->id);
	f->mode = le32_to_cpu(w->mode);
	f->uid = le32_to_cpu(w->uid);
	f->gid = le32_to_cpu(w->gid);
	f->nlink = le32_to_cpu(w->nlink);
	f->size = le64_to_cpu(w->size);
	f->mtime_ns = le64_to_cpu(w->mtime_ns);
	f->ctime_ns = le64_to_cpu(w->ctime_ns);
	dsm_wire_decode_set(&w->users, &f->users);
	memcpy(f->name, w->name, w->name_len);
	f->name[w->name_len] = 0;
	*pl = (struct dsm_place){
		.nr_slots = le16_to_cpu(w->nr_slots),
		.nr_ranges = le16_to_cpu(w->nr_ranges),
	};
	memcpy(pl->node, w->node, sizeof(pl->node));
	for (u16 i = 0; i < DSM_PLACE_MAX_RANGES; i++) {
		pl->range[i].start = le64_to_cpu(w->range[i].start);
		pl->range[i].nr = le64_to_cpu(w->range[i].nr);
		pl->range[i].unit = le64_to_cpu(w->range[i].unit);
		pl->range[i].slot = le16_to_cpu(w->range[i].slot);
		pl->range[i].policy = w->range[i].policy;
	}
	return f->id && S_ISREG(f->mode) && f->size <= S64_MAX &&
	       f->nlink == !!w->name_len && name_ok(f->name, w->name_len) &&
	       dsm_place_check(pl, nr_nodes) == DSM_V_OK;
}
