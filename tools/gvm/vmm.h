/* SPDX-License-Identifier: GPL-2.0 */
/* Member 0: the VMM, inside which this is. */
#ifndef GVM_VMM_H
#define GVM_VMM_H

#include <errno.h>
#include <linux/kvm.h>
#include <sys/types.h>

#include "abi.h"
#include "conf.h"
#include "member.h"
#include "rpc.h"
#include "slots.h"

struct gvm_remote;

/**
 * struct gvm_vmm - this process
 * @m:		the member
 * @conf:	from the launcher
 * @run_dir:	of the VM, where that came from
 * @lock:	one VM request at a time: members see them in one order. Protects the rest, but @regions
 * @vm_chan:	to the other members
 * @nr_vcpus:	created so far
 * @first_vcpu:	id of the first one: the TSC's reference
 * @regions:	the guest's memory; has a lock in ram.c
 * @nr_told:	regions the members know of
 * @slot_size:	bytes of each slot that is set, by address space and number
 * @reply:	scratch
 */
struct gvm_vmm {
	struct gvm_member m;
	struct gvm_conf conf;
	char run_dir[GVM_TEXT_MAX + 1];
	pthread_mutex_t lock;
	struct gvm_chan *vm_chan[GVM_MEMBERS_MAX];
	unsigned int nr_vcpus;
	unsigned int first_vcpu;
	struct gvm_regions regions;
	unsigned int nr_told;
	uint64_t slot_size[GVM_SPACES][GVM_MEMSLOTS_MAX];
	struct gvm_packet reply;
};

extern struct gvm_vmm vmm;

/*
 * All gvm_vmm_* and gvm_remote_* calls below that stand for an ioctl() return as it does: a
 * result, or -1 and errno.
 */

/** gvm_fail() - so that they return when they fail */
static inline int gvm_fail(int error)
{
	errno = error;
	return -1;
}

/** gvm_vmm_init() - take over the configuration. Context: before main(). */
void gvm_vmm_init(const char *conf);

/** gvm_vmm_active() - is there a VM that is ours? */
bool gvm_vmm_active(void);

/** gvm_vmm_create() - KVM_CREATE_VM: here and on all servers. Context: vmm.lock held. */
int gvm_vmm_create(int kvm_fd, unsigned long type);

/** gvm_vmm_system() - a request on /dev/kvm; see system.c */
int gvm_vmm_system(int fd, unsigned long request, void *arg);

/**
 * gvm_vmm_extension() - KVM_CHECK_EXTENSION: what all servers can do and may span them
 * @fd:		/dev/kvm or the VM
 * @cap:	KVM_CAP_*
 *
 * Context: vmm.lock held; asks the other members, once for each capability.
 */
int gvm_vmm_extension(int fd, long cap);

/** gvm_vmm_ioctl() - a request on the VM */
int gvm_vmm_ioctl(int fd, unsigned long request, void *arg);

/** gvm_vmm_vcpu() - a request on a vCPU, wherever it is */
int gvm_vmm_vcpu(unsigned int id, unsigned long request, void *arg);

/**
 * gvm_vmm_call() - a request to another member, whose failure ends the VM
 * @member:	which
 * @head:	type, vcpu, request
 * @data:	payload
 * @len:	its bytes
 *
 * Context: vmm.lock held. The reply is in vmm.reply.
 * Return: the result, or -errno of the request.
 */
int64_t gvm_vmm_call(unsigned int member, struct gvm_head *head, const void *data, size_t len);

/** gvm_vmm_vcpu_of() - the vCPU whose file descriptor the VMM uses, or -1 */
int gvm_vmm_vcpu_of(int fd);

/* remote.c */

/** gvm_remote_create() - the VMM's side of a vCPU, wherever it is real. Return: fd or -errno. */
int gvm_remote_create(unsigned int id);

/** gvm_remote_fd() - the file the VMM was given for it, -1 if there is no such vCPU */
int gvm_remote_fd(unsigned int id);

/** gvm_remote_file() - the file to map for it now */
int gvm_remote_file(unsigned int id);

/** gvm_remote_mapped() - the VMM mapped it */
void gvm_remote_mapped(unsigned int id, void *addr, size_t len);

/** gvm_remote_unmapped() - the VMM unmapped something */
void gvm_remote_unmapped(void *addr, size_t len);

/** gvm_remote_ioctl() - a request on it */
int gvm_remote_ioctl(unsigned int id, unsigned long request, void *arg);

/* time.c */

/** gvm_time_begin() - measure another member's TSC before there are vCPUs. Return: 0, -ETIMEDOUT. */
int gvm_time_begin(unsigned int member);

/** gvm_time_start() - begin to correct what drifts. Return: 0 or -errno. */
int gvm_time_start(void);

/**
 * gvm_time_ahead() - what a member's counter has more than this one's, as offsets have it built in
 * @member:	which
 *
 * Context: gvm_time_lock() held, if an offset is to be made of it.
 * Return: ticks.
 */
int64_t gvm_time_ahead(unsigned int member);

/** gvm_time_lock() - until gvm_time_unlock() no offset is corrected. Context: vmm.lock not held. */
void gvm_time_lock(void);
void gvm_time_unlock(void);

/**
 * gvm_time_sync() - give all vCPUs the first one's TSC
 *
 * After the VMM wrote the TSC of any vCPU, with the vCPUs out of the guest.
 *
 * Return: 0 or -errno.
 */
int gvm_time_sync(void);

/** gvm_time_is_written() - does KVM_SET_MSRS's argument write the TSC? */
bool gvm_time_is_written(const struct kvm_msrs *msrs);

/** gvm_time_status() - what the operator may want to know. Return: characters. */
size_t gvm_time_status(char *text, size_t size);

/* doorbell.c */

/**
 * gvm_doorbell_request() - KVM_IOEVENTFD, on all members
 * @e:		argument
 *
 * Context: vmm.lock held.
 * Return: 0 or -errno.
 */
int gvm_doorbell_request(const struct kvm_ioeventfd *e);

/** gvm_doorbell_came() - another member's doorbell was rung. Return: 0 or -errno. */
int gvm_doorbell_came(struct gvm_member *m, unsigned int peer, const struct gvm_msg_doorbell *msg);

/* moving.c */

/**
 * gvm_moving_move() - move a vCPU, and wait for it
 * @id:		vCPU
 * @to:		member
 * @text:	out: what came of it, for the operator
 * @size:	of @text
 *
 * Context: one thread, not a vCPU's.
 * Return: 0, -errno.
 */
int gvm_moving_move(unsigned int id, unsigned int to, char *text, size_t size);

/* ctl.c */

/** gvm_ctl_start() - begin to listen to the operator's commands. Return: 0 or -errno. */
int gvm_ctl_start(void);

/* ram.c */

/** gvm_ram_mapped() - note a mapping that the VMM made */
void gvm_ram_mapped(void *addr, size_t len, int prot, int flags, int fd, off_t offset);

/** gvm_ram_unmapped() - note that it is gone */
void gvm_ram_unmapped(void *addr, size_t len);

/**
 * gvm_ram_region() - the region that a slot's memory is in; made if there is none
 * @start:	host address
 * @size:	bytes
 * @offset:	out: of @start in the region
 *
 * Context: vmm.lock held.
 * Return: number, or -errno, which was logged.
 */
int gvm_ram_region(uint64_t start, uint64_t size, uint64_t *offset);

#endif
