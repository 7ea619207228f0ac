/* SPDX-License-Identifier: GPL-2.0 */
/* A member on a server that is not the VMM's. */
#ifndef GVM_CHILD_H
#define GVM_CHILD_H

#include "abi.h"
#include "member.h"
#include "rpc.h"
#include "slots.h"

/**
 * struct gvm_child_region - a file of dsmfs
 * @base:	where it is mapped
 * @size:	bytes of that
 * @ino:	its inode number, 0: none; another VM's file of the same name has another
 */
struct gvm_child_region {
	char *base;
	uint64_t size;
	uint64_t ino;
};

/**
 * struct gvm_child - this process
 * @m:		the member
 * @has_vmm:	the VM's channel has come; only the listener's thread looks
 * @slot_lock:	protects slots and todo
 * @region:	what is mapped; written by the VM's thread only, before a slot names it
 */
struct gvm_child {
	struct gvm_member m;
	bool has_vmm;
	pthread_mutex_t slot_lock;
	struct gvm_slots slots;
	struct gvm_slot_ops todo;
	struct gvm_child_region region[GVM_REGIONS_MAX];
};

extern struct gvm_child child;

/**
 * gvm_child_main() - be a member until the VM ends
 * @start:	what the VMM asked for
 * @addr:	own IPv4 address, network order
 *
 * Prints the port it listens on, then serves.
 *
 * Return: exit status.
 */
int gvm_child_main(const struct gvm_msg_start *start, uint32_t addr);

/**
 * gvm_child_ioctl() - execute a forwarded request
 * @vcpu:	vCPU, or GVM_NO_VCPU: on the VM
 * @p:		request; its payload becomes the reply's
 * @len:	out: bytes of the reply's payload
 *
 * Return: what ioctl() returned, or -errno.
 */
int64_t gvm_child_ioctl(unsigned int vcpu, struct gvm_packet *p, size_t *len);

/** gvm_child_vcpu() - serve a vCPU that is real here, or will be. Return: 0 or -errno. */
int gvm_child_vcpu(unsigned int id, struct gvm_chan *c);

/** gvm_child_kick() - end a RUN, if it is still the one that runs or is yet to come */
void gvm_child_kick(struct gvm_member *m, unsigned int vcpu, uint32_t seq);

/** gvm_child_tick() - delete slots whose time has come */
void gvm_child_tick(struct gvm_member *m);

/** gvm_child_pause() - bring all vCPUs out of the guest and keep them out */
void gvm_child_pause(void);

/** gvm_child_resume() - undo gvm_child_pause() */
void gvm_child_resume(void);

/**
 * gvm_ringer_set() - assign or deassign a doorbell here
 * @e:		as the VMM gave it, but @fd is the doorbell's number
 *
 * Context: the thread of the VM's requests.
 * Return: 0 if it is assigned; when deassigned, how often it was rung here; -errno.
 */
int64_t gvm_ringer_set(const struct kvm_ioeventfd *e);

/** gvm_child_gate_init() - before any vCPU */
void gvm_child_gate_init(void);

#endif
