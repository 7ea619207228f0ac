/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lanes: interrupts that travel between servers without user space. A lane is for one vector of
 * one vCPU, from a member where the vCPU is a stub to the one where it is real: the stub's APIC
 * signals an eventfd (patch 0008), dsm.ko carries that to the other server, and an eventfd there is
 * an irqfd of the vCPU.
 *
 * Normal operation: interrupts come over the link first. After some of one vector the owner makes
 * its end and says LANE to who sends them, who makes the other end. Without any of what it takes
 * they go on over the link, as do all that are not edge-triggered and fixed.
 *
 * When a vCPU moves, the ends of those who send are dropped as they are told, and are made anew
 * towards the new owner. The old owner keeps its ends: what still comes is pending in its stub
 * then, and is forwarded.
 */
#ifndef GVM_LANES_H
#define GVM_LANES_H

#include <linux/kvm.h>
#include <stdint.h>

#include "msg.h"

#define GVM_LANES_MAX	256	/* ends of a member for its own vCPUs, and GSIs kept for them */
#define GVM_GSIS_MAX	(4096 - GVM_LANES_MAX)	/* the VMM's, KVM has 4096 */

struct gvm_member;

/**
 * gvm_lanes_init() - is there what it takes?
 * @m:		member, with its VM
 *
 * If not, none of the calls below does anything.
 */
void gvm_lanes_init(struct gvm_member *m);

/**
 * gvm_lanes_came() - an edge-triggered interrupt came over a link
 * @m:		member
 * @peer:	sender
 * @vcpu:	for which vCPU
 * @vector:	its vector
 *
 * Context: a link's thread.
 */
void gvm_lanes_came(struct gvm_member *m, unsigned int peer, unsigned int vcpu,
		    unsigned int vector);

/**
 * gvm_lanes_open() - LANE came: make this end
 * @m:		member
 * @peer:	sender
 * @vcpu:	vCPU
 * @msg:	the message
 *
 * Context: a link's thread.
 */
void gvm_lanes_open(struct gvm_member *m, unsigned int peer, unsigned int vcpu,
		    const struct gvm_msg_lane *msg);

/**
 * gvm_lanes_flush() - wait until all that was sent to a vCPU over lanes has arrived
 * @m:		member
 * @vcpu:	vCPU, elsewhere
 *
 * Before an INIT or a SIPI is forwarded: a vCPU does not accept what is sent to it in between, and
 * nothing that was sent before an INIT outlives it. Up to 2 s.
 */
void gvm_lanes_flush(struct gvm_member *m, unsigned int vcpu);

/**
 * gvm_lanes_drop() - a vCPU is real elsewhere: what is sent to it takes the link again
 * @m:		member
 * @vcpu:	vCPU; its owner is the new one
 */
void gvm_lanes_drop(struct gvm_member *m, unsigned int vcpu);

/**
 * gvm_lanes_routing() - KVM_SET_GSI_ROUTING, with the lanes' routes added
 * @m:		member
 * @r:		the VMM's table
 *
 * Return: 0; -EINVAL if it has a GSI from GVM_GSIS_MAX, or KVM does not take it; -ENOMEM.
 */
int gvm_lanes_routing(struct gvm_member *m, const struct kvm_irq_routing *r);

/** gvm_lanes_ino() - inode number of the VM's file for lanes, 0: there is none */
uint64_t gvm_lanes_ino(const struct gvm_member *m);

#endif
