/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Doorbells: the VMM's ioeventfds, which all members have. Which there are, what they are called
 * on the wire, and which rings count. No I/O.
 *
 * A member counts rings in an eventfd of its own and sends the count over its link. A doorbell is
 * deassigned over another channel, which may be ahead of the link; so the member answers with the
 * number of all rings there were. What of that has not come is added then, and what comes after
 * it is dropped: no ring is lost, none counts twice.
 */
#ifndef GVM_DOORS_H
#define GVM_DOORS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "msg.h"

#define GVM_DOORS_MAX		1024	/* KVM takes 1000 devices on a bus */
#define GVM_DOOR_TURNS		(1u << 21)	/* a number is 31 bits: kvm_ioeventfd.fd carries it */

/**
 * struct gvm_door - a doorbell, or the place of one
 * @used:	it is assigned
 * @addr:	as in struct kvm_ioeventfd, like the three below
 * @datamatch:	0 without the flag
 * @len:	0: any length
 * @flags:	DATAMATCH and PIO only
 * @fd:		the caller's, of the VMM's eventfd
 * @turns:	how often this place was assigned: a number has the last one, so that it is told
 *		from its predecessors
 * @settled:	a bit a member: all its rings have been counted
 * @came:	rings of each member so far
 */
struct gvm_door {
	bool used;
	uint64_t addr;
	uint64_t datamatch;
	uint32_t len;
	uint32_t flags;
	int fd;
	uint64_t turns;
	uint32_t settled;
	uint64_t came[GVM_MEMBERS_MAX];
};

struct gvm_doors {
	struct gvm_door door[GVM_DOORS_MAX];
};

/** gvm_doors_place() - index of the place a number names */
static inline unsigned int gvm_doors_place(uint32_t number)
{
	return number % GVM_DOORS_MAX;
}

/**
 * gvm_doors_assign() - a new doorbell
 * @d:		doorbells
 * @e:		as the VMM gave it
 * @fd:		what gvm_doors_ring() and gvm_doors_deassign() return
 *
 * Return: its number, up to INT32_MAX; -EINVAL and -EEXIST as KVM's; -EINVAL for VIRTIO_CCW, which
 * no guest of ours can ring; -ENOSPC.
 */
int gvm_doors_assign(struct gvm_doors *d, const struct kvm_ioeventfd *e, int fd);

/**
 * gvm_doors_find() - the doorbell that a request to deassign means
 * @d:		doorbells
 * @e:		as the VMM gave it; that the eventfd is the right one is for KVM to see
 *
 * Return: number, or -ENOENT.
 */
int gvm_doors_find(const struct gvm_doors *d, const struct kvm_ioeventfd *e);

/**
 * gvm_doors_ring() - a member's doorbell was rung
 * @d:		doorbells
 * @number:	off the wire
 * @member:	sender
 * @count:	how often
 *
 * Return: the fd to add @count to; -ESTALE if it is or was deassigned: nothing is to be done;
 * -ENOENT if there never was such a number.
 */
int gvm_doors_ring(struct gvm_doors *d, uint32_t number, unsigned int member, uint64_t count);

/**
 * gvm_doors_settle() - a member has deassigned a doorbell
 * @d:		doorbells
 * @number:	assigned still
 * @member:	which
 * @total:	how often it was rung there, off the wire
 * @missing:	out: how many of these have not come, and are to be added to the fd now
 *
 * Return: the fd; -ENOENT if it is not assigned, -EPROTO if more came than @total.
 */
int gvm_doors_settle(struct gvm_doors *d, uint32_t number, unsigned int member, uint64_t total,
		     uint64_t *missing);

/**
 * gvm_doors_deassign() - a doorbell is gone
 * @d:		doorbells
 * @number:	which
 *
 * Return: its fd, to be closed; -ENOENT if it is not assigned.
 */
int gvm_doors_deassign(struct gvm_doors *d, uint32_t number);

#endif
