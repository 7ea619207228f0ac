/* SPDX-License-Identifier: GPL-2.0 */
/* A member: a process that holds a KVM VM for the guest. The VMM's is number 0. */
#ifndef GVM_MEMBER_H
#define GVM_MEMBER_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "chan.h"
#include "clock.h"
#include "move.h"
#include "msg.h"
#include "now.h"
#include "stub.h"

#define GVM_EXIT_LOST	70	/* exit status of a member that could not go on */

struct gvm_lanes;
struct gvm_member;

/**
 * struct gvm_vcpu - a vCPU of the guest, as this member holds it
 * @owner:	member it is real on, as far as this one knows: it was there, or is
 * @init_to:	where its last INIT was forwarded; the SIPI must not overtake it
 * @fd:		KVM's file here, -1: not created
 * @run:	its kvm_run here
 * @fired:	its APIC timer, as gvm_member_complete() found it
 * @stub:	what it needs to be a stub here
 * @private:	of vcpu.c or remote.c
 */
struct gvm_vcpu {
	atomic_uint owner;
	unsigned int init_to;
	int fd;
	struct kvm_run *run;
	bool fired;
	struct gvm_stub *stub;
	void *private;
};

/**
 * struct gvm_link - one-way messages with another member
 * @m:		this member
 * @peer:	the other one's number
 * @chan:	NULL: not connected
 * @thread:	receives
 * @heard_ms:	when something came last
 * @lock:	protects clock
 * @clock:	what its answers to pings say
 */
struct gvm_link {
	struct gvm_member *m;
	unsigned int peer;
	struct gvm_chan *chan;
	pthread_t thread;
	int64_t heard_ms;
	pthread_mutex_t lock;
	struct gvm_clock clock;
};

/**
 * struct gvm_member_ops - what differs between the VMM's member and an agent's
 * @kick:	KICK came; in a link's thread
 * @doorbell:	DOORBELL came, returns 0 or -errno, which ends the member; in a link's thread; may be
 *		NULL: nobody may send one
 * @tick:	about every 10 ms on agents, in link 0's thread; may be NULL
 * @end:	the member ends: does not return
 */
struct gvm_member_ops {
	void (*kick)(struct gvm_member *m, unsigned int vcpu, uint32_t seq);
	int (*doorbell)(struct gvm_member *m, unsigned int peer,
			const struct gvm_msg_doorbell *msg);
	void (*tick)(struct gvm_member *m);
	void (*end)(struct gvm_member *m, const char *reason);
};

/**
 * struct gvm_member - all that is known of the VM here
 * @vm:		its name
 * @dir:	where dsmfs is mounted
 * @self:	own number
 * @lanes:	see lanes.h, NULL: none
 */
struct gvm_member {
	char vm[GVM_NAME_MAX + 1];
	char dir[GVM_TEXT_MAX + 1];
	unsigned int self;
	unsigned int nr_members;
	int timeout_ms;
	int kvm_fd;
	int vm_fd;
	size_t run_size;
	const struct gvm_member_ops *ops;
	struct gvm_stub_ops stub_ops;
	struct gvm_vcpu vcpu[GVM_VCPUS_MAX];
	struct gvm_link link[GVM_MEMBERS_MAX];
	struct gvm_lanes *lanes;
	atomic_bool ending;
};

/** gvm_member_init() - set up an empty member; opens /dev/kvm. Return: 0 or -errno. */
int gvm_member_init(struct gvm_member *m, const struct gvm_member_ops *ops);

/**
 * gvm_member_link() - begin to use a link
 * @m:		member
 * @peer:	other member
 * @c:		its channel, taken over unless it fails
 *
 * Return: 0, -EEXIST, -errno.
 */
int gvm_member_link(struct gvm_member *m, unsigned int peer, struct gvm_chan *c);

/**
 * gvm_member_vcpu() - create KVM's vCPU here, real or as a stub
 * @m:		member
 * @id:		vCPU
 * @owner:	where it is real
 *
 * Return: 0 or -errno.
 */
int gvm_member_vcpu(struct gvm_member *m, unsigned int id, unsigned int owner);

/**
 * gvm_member_config() - a request that each member's vCPU gets, be it real or a stub
 * @m:		member
 * @id:		vCPU
 * @call:	its row, with @all set
 * @arg:	argument
 *
 * Return: what ioctl() returns, or -errno.
 */
int gvm_member_config(struct gvm_member *m, unsigned int id, const struct gvm_call *call,
		      void *arg);

/** gvm_member_complete() - gvm_complete() of a vCPU that is real here */
int gvm_member_complete(struct gvm_member *m, unsigned int id);

/**
 * gvm_member_save() - the state of a vCPU that is real here, and out of the guest
 * @m:		member
 * @id:		vCPU, completed
 * @s:		out
 *
 * Return: 0; -EAGAIN if it cannot be moved just now; -errno.
 */
int gvm_member_save(struct gvm_member *m, unsigned int id, struct gvm_state *s);

/**
 * gvm_member_load() - a stub becomes the real vCPU
 * @m:		member
 * @id:		vCPU
 * @s:		its state
 *
 * Return: 0; -EAGAIN if it cannot just now; -errno. It is a stub still if it fails.
 */
int gvm_member_load(struct gvm_member *m, unsigned int id, const struct gvm_state *s);

/**
 * gvm_member_role() - a vCPU is real elsewhere: if it was so here, it becomes a stub
 * @m:		member
 * @id:		vCPU
 * @owner:	where
 *
 * Return: 0 or -errno.
 */
int gvm_member_role(struct gvm_member *m, unsigned int id, unsigned int owner);

/**
 * gvm_member_say() - send a one-way message
 * @m:		member
 * @peer:	to whom
 * @type:	enum gvm_msg_type
 * @vcpu:	id or GVM_NO_VCPU
 * @seq:	as the type wants it
 * @data:	payload
 * @len:	its bytes
 *
 * A failure ends the member.
 */
void gvm_member_say(struct gvm_member *m, unsigned int peer, unsigned int type, unsigned int vcpu,
		    uint32_t seq, const void *data, size_t len);

/**
 * gvm_member_end() - end: tell the others and the operator why
 * @m:		member
 * @fmt:	the reason
 *
 * Context: any thread. Does not return.
 */
void gvm_member_end(struct gvm_member *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/** gvm_member_msi() - a fixed, edge-triggered interrupt for a vCPU */
struct kvm_msi gvm_member_msi(unsigned int vcpu, unsigned int vector);

/** gvm_member_ping() - ask another member for its counter; the answer goes to the link's clock */
void gvm_member_ping(struct gvm_member *m, unsigned int peer);

/** gvm_member_clock() - what is known of another member's counter now */
struct gvm_clock gvm_member_clock(struct gvm_member *m, unsigned int peer);

/** gvm_member_thread() - start one without signals. Return: 0 or -errno. */
int gvm_member_thread(pthread_t *t, void *(*fn)(void *), void *arg);

/** gvm_log() - a line to the operator, on stderr */
void gvm_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
