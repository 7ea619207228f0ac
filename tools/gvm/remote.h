/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU as the VMM has it: remote.c makes requests on it, moving.c moves it. */
#ifndef GVM_REMOTE_H
#define GVM_REMOTE_H

#include <signal.h>

#include "vmm.h"

/**
 * struct gvm_remote - one vCPU
 * @fd:		the file the VMM was given: KVM's, or @file
 * @file:	what the VMM maps while the vCPU is elsewhere, -1: none yet
 * @page:	@file, mapped here
 * @seen:	where the VMM mapped it
 * @seen_len:	bytes of that
 * @chan:	requests, by member
 * @lock:	one request at a time; protects what is above, and the three below
 * @seq:	of the last request
 * @has_mask:	KVM_SET_SIGNAL_MASK was made
 * @mask:	its argument, without GVM_SIGNAL
 * @packet:	scratch
 * @state:	scratch of a move
 * @move_lock:	protects the rest
 * @changed:	@move has changed
 * @move:	the one under way
 * @busy:	why it has not come about yet
 * @wanted:	the next KVM_RUN is to try it
 * @trying:	that is under way: it need not be kicked
 * @kicked:	immediate_exit is set for it; a KVM_RUN that ends with EINTR clears both
 * @tries:	how often it was tried
 * @tried_us:	when last
 * @tid:	thread that runs the vCPU, 0: none so far
 * @left_us:	when KVM_RUN last ended
 * @kicked_us:	when it was first told to, since it began; INT64_MAX: it was not
 * @stop_us:	when the guest stopped for @move
 * @pause_us:	how long the last move took, 0: unknown
 */
struct gvm_remote {
	int fd;
	int file;
	struct kvm_run *page;
	void *seen;
	size_t seen_len;
	struct gvm_chan *chan[GVM_MEMBERS_MAX];
	pthread_mutex_t lock;
	uint32_t seq;
	bool has_mask;
	sigset_t mask;
	struct gvm_packet packet;
	struct gvm_state state;
	pthread_mutex_t move_lock;
	pthread_cond_t changed;
	struct gvm_move move;
	const char *busy;
	bool trying;
	atomic_bool wanted, kicked;
	unsigned int tries;
	int64_t tried_us;
	pid_t tid;
	int64_t left_us;
	atomic_llong kicked_us;
	int64_t stop_us;
	int64_t pause_us;
};

/** gvm_remote_of() - by its id, NULL if there is none */
struct gvm_remote *gvm_remote_of(unsigned int id);

/** gvm_remote_page() - the kvm_run that counts now */
struct kvm_run *gvm_remote_page(unsigned int id);

/** gvm_remote_prepare() - before the vCPU can be on a member. Return: 0 or -errno. */
int gvm_remote_prepare(unsigned int id, unsigned int member);

/** gvm_remote_mask() - KVM's signal mask as the vCPU comes to this server, or leaves it */
int gvm_remote_mask(unsigned int id, bool here);

/** gvm_remote_enter() - KVM_RUN, at the vCPU's owner. Return: 0, or -1 and errno. */
int gvm_remote_enter(unsigned int id);

/** gvm_remote_complete() - gvm_complete(), likewise */
int gvm_remote_complete(unsigned int id);

/** gvm_moving_run() - KVM_RUN, and the move that is under way. Context: r->lock held. */
int gvm_moving_run(unsigned int id);

#endif
