/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory as the members see it: which host range of the VMM belongs to which region, and
 * which slots are set. No I/O; the caller does what the calls return.
 */
#ifndef GVM_SLOTS_H
#define GVM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg.h"

#define GVM_SLOTS_MAX		512
#define GVM_MEMSLOTS_MAX	(GVM_SLOTS_MAX / GVM_SPACES)	/* of one of them */

/**
 * struct gvm_region - a dsmfs file the guest's memory is in
 * @name:	file name
 * @start:	address it is mapped at
 * @size:	bytes, 0: it is gone
 * @offset:	of @start in the file (VMM may map a part)
 */
struct gvm_region {
	char name[GVM_NAME_MAX + 1];
	uint64_t start;
	uint64_t size;
	uint64_t offset;
};

/* The VMM's host ranges. Numbers are not used again: members know them. */
struct gvm_regions {
	struct gvm_region region[GVM_REGIONS_MAX];
	unsigned int nr;
};

/**
 * gvm_regions_add() - record a mapping of a dsmfs file
 * @rs:		regions
 * @name:	file
 * @start:	host address, page aligned
 * @size:	bytes, page aligned
 * @offset:	in the file
 *
 * Return: its number; -EINVAL, -EEXIST if it overlaps another one, -ENOSPC.
 */
int gvm_regions_add(struct gvm_regions *rs, const char *name, uint64_t start, uint64_t size,
		    uint64_t offset);

/**
 * gvm_regions_find() - which region holds a host range?
 * @rs:		regions
 * @start:	host address
 * @size:	bytes
 *
 * Return: the number; -ENOENT if no part of it is in any; -ERANGE if only a part is, or two
 * regions hold it; -EINVAL if it is empty or wraps.
 */
int gvm_regions_find(const struct gvm_regions *rs, uint64_t start, uint64_t size);

/**
 * gvm_regions_forget() - what was mapped in a host range is not there any more
 * @rs:		regions
 * @start:	host address, page aligned
 * @end:	where it ends, page aligned
 *
 * A region that is in it is empty then, one that is partly in it is cut. One that has it in the
 * middle stays as it is.
 */
void gvm_regions_forget(struct gvm_regions *rs, uint64_t start, uint64_t end);

/** gvm_slots_bitmap() - bytes of the dirty bitmap of a slot of @size bytes, as KVM has it */
size_t gvm_slots_bitmap(uint64_t size);

/* The slots of a member that is not the VMM, with deletions held back. */
struct gvm_slots {
	struct gvm_msg_slot set[GVM_SLOTS_MAX];		/* as KVM has them */
	unsigned int nr;
	uint32_t held[GVM_SLOTS_MAX];			/* slot numbers to delete */
	unsigned int nr_held;
	uint64_t held_since_ms;
};

/* What to do now, in this order, with all vCPUs out of the guest if @nr > 1 or a deletion is in it. */
struct gvm_slot_ops {
	struct gvm_msg_slot op[GVM_SLOTS_MAX + 1];
	unsigned int nr;
};

/**
 * gvm_slots_change() - the VMM sets or deletes a slot
 * @s:		slots
 * @m:		the change; a set of an existing slot with the same place changes its flags
 * @now_ms:	monotonic
 * @ops:	out: what to do now; a deletion alone gives nothing: it is held back
 *
 * A set gives all held deletions, then the set itself. A deletion of what does not exist is EINVAL,
 * as in KVM; so is deleting twice, and changing size, place in the file or KVM_MEM_READONLY of a
 * slot that is set (another @gpa moves it). Slots of different address spaces do not overlap.
 * What fails changes nothing, and @ops is empty.
 *
 * Return: 0, -EINVAL, -EEXIST (overlap with a slot that is set and not held), -ENOSPC.
 */
int gvm_slots_change(struct gvm_slots *s, const struct gvm_msg_slot *m, uint64_t now_ms,
		     struct gvm_slot_ops *ops);

/**
 * gvm_slots_expire() - apply deletions that have waited long enough
 * @s:		slots
 * @now_ms:	monotonic
 * @hold_ms:	how long a deletion is held back; 0: apply all
 * @ops:	out: what to do now
 *
 * Return: milliseconds until it needs to be called again, or -1 if nothing is held.
 */
int gvm_slots_expire(struct gvm_slots *s, uint64_t now_ms, unsigned int hold_ms,
		     struct gvm_slot_ops *ops);

#endif
