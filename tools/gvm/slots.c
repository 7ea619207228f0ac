// SPDX-License-Identifier: GPL-2.0
/* Regions of the VMM's memory, and slots whose deletion is held back. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "slots.h"

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a_size && b_size && a < b + b_size && b < a + a_size;
}

int gvm_regions_add(struct gvm_regions *rs, const char *name, uint64_t start, uint64_t size,
		    uint64_t offset)
{
	struct gvm_region *r;

	if (!gvm_name_ok(name) || !size || !gvm_range_ok(start, size) ||
	    !gvm_range_ok(offset, size))
		return -EINVAL;
	for (unsigned int i = 0; i < rs->nr; i++)
		if (overlap(start, size, rs->region[i].start, rs->region[i].size))
			return -EEXIST;
	if (rs->nr == GVM_REGIONS_MAX)
		return -ENOSPC;
	r = &rs->region[rs->nr];
	memset(r, 0, sizeof(*r));
	for (unsigned int i = 0; name[i]; i++)
		r->name[i] = name[i];
	r->start = start;
	r->size = size;
	r->offset = offset;
	return rs->nr++;
}

int gvm_regions_find(const struct gvm_regions *rs, uint64_t start, uint64_t size)
{
	int found = -ENOENT;

	if (!size || start + size < start)
		return -EINVAL;
	for (unsigned int i = 0; i < rs->nr; i++) {
		const struct gvm_region *r = &rs->region[i];

		if (!overlap(start, size, r->start, r->size))
			continue;
		if (start >= r->start && start + size <= r->start + r->size)
			return i;
		found = -ERANGE;
	}
	return found;
}

void gvm_regions_forget(struct gvm_regions *rs, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < rs->nr; i++) {
		struct gvm_region *r = &rs->region[i];
		uint64_t r_end = r->start + r->size, kept = end < r_end ? r_end - end : 0;

		if (start >= end || !overlap(start, end - start, r->start, r->size))
			continue;
		if (start <= r->start) {
			r->offset += r->size - kept;
			r->start = r_end - kept;
			r->size = kept;
		} else if (!kept) {
			r->size = start - r->start;
		}
	}
}

size_t gvm_slots_bitmap(uint64_t size)
{
	return (size / GVM_PAGE + 63) / 64 * 8;
}

static struct gvm_msg_slot *set_find(struct gvm_slots *s, uint32_t slot)
{
	for (unsigned int i = 0; i < s->nr; i++)
		if (s->set[i].slot == slot)
			return &s->set[i];
	return NULL;
}

static bool is_held(const struct gvm_slots *s, uint32_t slot)
{
	for (unsigned int i = 0; i < s->nr_held; i++)
		if (s->held[i] == slot)
			return true;
	return false;
}

static bool set_overlaps(const struct gvm_slots *s, const struct gvm_msg_slot *m)
{
	for (unsigned int i = 0; i < s->nr; i++) {
		const struct gvm_msg_slot *o = &s->set[i];

		if (o->slot != m->slot && o->slot >> 16 == m->slot >> 16 &&
		    overlap(o->gpa, o->size, m->gpa, m->size) && !is_held(s, o->slot))
			return true;
	}
	return false;
}

static void delete_held(struct gvm_slots *s, struct gvm_slot_ops *ops)
{
	for (unsigned int i = 0; i < s->nr_held; i++) {
		struct gvm_msg_slot *o = set_find(s, s->held[i]);

		ops->op[ops->nr++] = (struct gvm_msg_slot){ .slot = s->held[i] };
		*o = s->set[--s->nr];
	}
	s->nr_held = 0;
}

static int hold(struct gvm_slots *s, uint32_t slot, uint64_t now_ms)
{
	if (!set_find(s, slot) || is_held(s, slot))
		return -EINVAL;
	if (!s->nr_held)
		s->held_since_ms = now_ms;
	s->held[s->nr_held++] = slot;
	return 0;
}

/* What KVM lets a slot that is set change: its flags but one, and its place in the guest. */
static bool may_become(const struct gvm_msg_slot *old, const struct gvm_msg_slot *new)
{
	return old->size == new->size && old->region == new->region && old->offset == new->offset &&
	       !((old->flags ^ new->flags) & KVM_MEM_READONLY);
}

int gvm_slots_change(struct gvm_slots *s, const struct gvm_msg_slot *m, uint64_t now_ms,
		     struct gvm_slot_ops *ops)
{
	struct gvm_msg_slot *old = is_held(s, m->slot) ? NULL : set_find(s, m->slot);

	ops->nr = 0;
	if (!m->size)
		return hold(s, m->slot, now_ms);
	if (!gvm_range_ok(m->gpa, m->size) || !gvm_range_ok(m->offset, m->size))
		return -EINVAL;
	if (old && !may_become(old, m))
		return -EINVAL;
	if (set_overlaps(s, m))
		return -EEXIST;
	if (!old && s->nr - s->nr_held == GVM_SLOTS_MAX)
		return -ENOSPC;
	delete_held(s, ops);
	old = set_find(s, m->slot);
	*(old ? old : &s->set[s->nr++]) = *m;
	ops->op[ops->nr++] = *m;
	return 0;
}

int gvm_slots_expire(struct gvm_slots *s, uint64_t now_ms, unsigned int hold_ms,
		     struct gvm_slot_ops *ops)
{
	uint64_t waited = now_ms - s->held_since_ms;

	ops->nr = 0;
	if (!s->nr_held)
		return -1;
	if (waited < hold_ms)
		return hold_ms - waited;
	delete_held(s, ops);
	return -1;
}
