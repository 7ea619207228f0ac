// SPDX-License-Identifier: GPL-2.0
/* Doorbells of all members: numbers, and rings that come after their end. */
#include <errno.h>
#include <string.h>

#include "doors.h"

#define TAKEN_FLAGS	(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO)

_Static_assert((uint64_t)GVM_DOORS_MAX * GVM_DOOR_TURNS == INT32_MAX + 1ull, "numbers");
_Static_assert(GVM_MEMBERS_MAX <= 32, "gvm_door.settled has a bit a member");

static bool may_be(const struct kvm_ioeventfd *e)
{
	bool match = e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	if (e->flags & ~TAKEN_FLAGS || e->addr + e->len < e->addr)
		return false;
	switch (e->len) {
	case 0:
		return !match;
	case 1:
	case 2:
	case 4:
	case 8:
		return true;
	default:
		return false;
	}
}

static uint32_t kind(const struct kvm_ioeventfd *e)
{
	return e->flags & TAKEN_FLAGS;
}

static uint64_t wanted(const struct kvm_ioeventfd *e)
{
	return e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH ? e->datamatch : 0;
}

/* Would a write ring both? KVM allows that for none, whoever's eventfds they are. */
static bool collide(const struct gvm_door *door, const struct kvm_ioeventfd *e)
{
	bool both_match = door->flags & e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	if ((door->flags ^ e->flags) & KVM_IOEVENTFD_FLAG_PIO || door->addr != e->addr)
		return false;
	if (!door->len || !e->len)
		return true;
	return door->len == e->len && (!both_match || door->datamatch == e->datamatch);
}

static bool same(const struct gvm_door *door, const struct kvm_ioeventfd *e)
{
	return door->addr == e->addr && door->len == e->len && door->flags == kind(e) &&
	       door->datamatch == wanted(e);
}

static uint32_t last_turn(const struct gvm_door *door)
{
	return (door->turns - 1) % GVM_DOOR_TURNS;
}

static int number_of(const struct gvm_doors *d, const struct gvm_door *door)
{
	return last_turn(door) * GVM_DOORS_MAX + (door - d->door);
}

int gvm_doors_assign(struct gvm_doors *d, const struct kvm_ioeventfd *e, int fd)
{
	struct gvm_door *place = NULL;

	if (!may_be(e))
		return -EINVAL;
	for (unsigned int i = 0; i < GVM_DOORS_MAX; i++) {
		struct gvm_door *door = &d->door[i];

		if (door->used && collide(door, e))
			return -EEXIST;
		if (!door->used && !place)
			place = door;
	}
	if (!place)
		return -ENOSPC;
	*place = (struct gvm_door) {
		.used = true,
		.addr = e->addr,
		.datamatch = wanted(e),
		.len = e->len,
		.flags = kind(e),
		.fd = fd,
		.turns = place->turns + 1,
	};
	return number_of(d, place);
}

int gvm_doors_find(const struct gvm_doors *d, const struct kvm_ioeventfd *e)
{
	for (unsigned int i = 0; i < GVM_DOORS_MAX; i++)
		if (d->door[i].used && same(&d->door[i], e))
			return number_of(d, &d->door[i]);
	return -ENOENT;
}

/* How many turns ago its place had that number; -1: never. */
static int64_t age(const struct gvm_door *door, uint32_t number)
{
	uint32_t turn = number / GVM_DOORS_MAX, ago;

	if (!door->turns || turn >= GVM_DOOR_TURNS)
		return -1;
	ago = (last_turn(door) - turn) % GVM_DOOR_TURNS;
	return ago < door->turns && ago < GVM_DOOR_TURNS / 2 ? (int64_t)ago : -1;
}

static struct gvm_door *assigned(struct gvm_doors *d, uint32_t number)
{
	struct gvm_door *door = &d->door[gvm_doors_place(number)];

	return door->used && !age(door, number) ? door : NULL;
}

int gvm_doors_ring(struct gvm_doors *d, uint32_t number, unsigned int member, uint64_t count)
{
	struct gvm_door *door = assigned(d, number);

	if (member >= GVM_MEMBERS_MAX)
		return -ENOENT;
	if (!door)
		return age(&d->door[gvm_doors_place(number)], number) < 0 ? -ENOENT : -ESTALE;
	if (door->settled & 1u << member)
		return -ESTALE;
	door->came[member] += count;
	return door->fd;
}

int gvm_doors_settle(struct gvm_doors *d, uint32_t number, unsigned int member, uint64_t total,
		     uint64_t *missing)
{
	struct gvm_door *door = assigned(d, number);

	if (!door || member >= GVM_MEMBERS_MAX)
		return -ENOENT;
	if (door->settled & 1u << member || door->came[member] > total)
		return -EPROTO;
	*missing = total - door->came[member];
	door->came[member] = total;
	door->settled |= 1u << member;
	return door->fd;
}

int gvm_doors_deassign(struct gvm_doors *d, uint32_t number)
{
	struct gvm_door *door = assigned(d, number);

	if (!door)
		return -ENOENT;
	door->used = false;
	return door->fd;
}
