// SPDX-License-Identifier: GPL-2.0
/*
 * Member 0: what the VMM asks of its VM.
 *
 * A request that concerns all members is made here first: what KVM refuses here, the others are
 * not asked. If one of them refuses what was accepted here, the VM cannot go on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "lanes.h"
#include "mask.h"
#include "raw.h"
#include "state.h"
#include "vmm.h"

#define X2APIC_BIT	(1u << 21)

struct gvm_vmm vmm = { .m.vm_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_kick(struct gvm_member *m, unsigned int vcpu, uint32_t seq)
{
	(void)m;
	(void)vcpu;
	(void)seq;
}

static void on_end(struct gvm_member *m, const char *reason)
{
	gvm_log("%s ends: %s", m->vm, reason);
	gvm_files_remove(m->dir, m->vm);
	_exit(GVM_EXIT_LOST);
}

static const struct gvm_member_ops ops = {
	.kick = on_kick,
	.doorbell = gvm_doorbell_came,
	.end = on_end,
};

void gvm_vmm_init(const char *conf)
{
	struct gvm_member *m = &vmm.m;
	int r = gvm_conf_read(&vmm.conf, conf);

	if (r) {
		gvm_log("%s: %s", conf, strerror(-r));
		_exit(GVM_EXIT_LOST);
	}
	snprintf(vmm.run_dir, sizeof(vmm.run_dir), "%s", conf);
	*(strrchr(vmm.run_dir, '/') ?: vmm.run_dir) = 0;
	strcpy(m->vm, vmm.conf.vm);
	strcpy(m->dir, vmm.conf.dir);
	m->nr_members = vmm.conf.nr_members;
	m->timeout_ms = vmm.conf.timeout_ms;
}

bool gvm_vmm_active(void)
{
	return vmm.m.vm_fd >= 0;
}

int64_t gvm_vmm_call(unsigned int member, struct gvm_head *head, const void *data, size_t len)
{
	int64_t result;
	int r;

	r = gvm_rpc_call(vmm.vm_chan[member], head, data, len, &vmm.reply, &result);
	if (r)
		gvm_member_end(&vmm.m, "member %u: %s: %s", member, gvm_msg_name(head->type),
			       strerror(-r));
	return result;
}

/* -- the beginning */

static int link_to(unsigned int i, struct gvm_chan *c)
{
	int r = gvm_member_link(&vmm.m, i, c);

	if (r)
		gvm_chan_close(c);
	return r;
}

static int start_member(unsigned int i)
{
	struct gvm_msg_peer *p = &vmm.conf.member[i];
	struct gvm_msg_start start = {
		.member = i,
		.nr_members = vmm.conf.nr_members,
		.timeout_ms = vmm.conf.timeout_ms,
	};
	struct gvm_head head = { .type = GVM_MSG_START, .vcpu = GVM_NO_VCPU };
	struct gvm_chan *agent, *link;
	int64_t port = 0;
	int r;

	strcpy(start.vm, vmm.conf.vm);
	strcpy(start.dir, vmm.conf.dir);
	r = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_AGENT, 0, GVM_NO_VCPU, vmm.conf.vm, &agent);
	if (r)
		return r;
	r = gvm_rpc_call(agent, &head, &start, sizeof(start), &vmm.reply, &port);
	gvm_chan_close(agent);
	if (r || port < 0)
		return r ? r : (int)port;
	p->port = port;
	r = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_VM, 0, GVM_NO_VCPU, vmm.conf.vm,
			  &vmm.vm_chan[i]);
	if (!r)
		r = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_LINK, 0, GVM_NO_VCPU, vmm.conf.vm,
				  &link);
	if (!r)
		r = link_to(i, link);
	return r;
}

/* A member connects to those before it. */
static int join_members(unsigned int i)
{
	struct gvm_head head = { .type = GVM_MSG_PEERS, .vcpu = GVM_NO_VCPU };
	struct gvm_msg_peers peers = { 0 };

	if (i < 2)
		return 0;
	memcpy(peers.member + 1, vmm.conf.member + 1, (i - 1) * sizeof(peers.member[0]));
	return gvm_vmm_call(i, &head, &peers, sizeof(peers));
}

static void log_absent(unsigned int i, int error)
{
	char addr[INET_ADDRSTRLEN];
	const char *why = strerror(error), *hint = "";

	if (error == EEXIST)
		why = "a VM of that name still runs or ends there";
	if (error == ECONNREFUSED || error == ETIMEDOUT)
		hint = " (is gvm serve running there?)";
	inet_ntop(AF_INET, &vmm.conf.member[i].addr, addr, sizeof(addr));
	gvm_log("%s: server %u does not take part: %s: %s%s", vmm.conf.vm, i, addr, why, hint);
}

int gvm_vmm_create(int kvm_fd, unsigned long type)
{
	unsigned int i;
	int fd, r;

	if (gvm_vmm_active()) {
		gvm_log("%s: a second VM in one process is not spread over servers", vmm.conf.vm);
		return gvm_raw_ioctl(kvm_fd, KVM_CREATE_VM, (void *)type);
	}
	r = gvm_member_init(&vmm.m, &ops);
	if (r)
		return gvm_fail(-r);
	fd = gvm_raw_ioctl(kvm_fd, KVM_CREATE_VM, (void *)type);
	if (fd < 0)
		return fd;
	vmm.m.vm_fd = fd;
	gvm_lanes_init(&vmm.m);
	for (i = 1; i < vmm.m.nr_members; i++) {
		r = start_member(i);
		if (!r)
			r = join_members(i);
		if (r) {
			log_absent(i, -r);
			vmm.m.vm_fd = -1;
			close(fd);
			return gvm_fail(-r);
		}
		if (gvm_time_begin(i))
			gvm_member_end(&vmm.m, "member %u does not answer to pings", i);
	}
	r = gvm_time_start();
	if (r)
		gvm_member_end(&vmm.m, "no thread for the TSC: %s", strerror(-r));
	r = gvm_ctl_start();
	if (r)
		gvm_log("%s: %s/ctl: %s: gvm move will not find it", vmm.conf.vm, vmm.run_dir,
			strerror(-r));
	return fd;
}

/* -- the VM */

static int create_vcpu(unsigned int id)
{
	struct gvm_msg_vcpu msg = { .id = id };
	unsigned int i;
	int64_t r;

	if (vmm.nr_vcpus == vmm.conf.nr_vcpus) {
		gvm_log("%s: vCPU %u: only %u were announced to gvm", vmm.conf.vm, id,
			vmm.conf.nr_vcpus);
		return gvm_fail(EINVAL);
	}
	msg.owner = vmm.conf.owner[vmm.nr_vcpus];
	r = gvm_member_vcpu(&vmm.m, id, msg.owner);
	for (i = 1; i < vmm.m.nr_members && r >= 0; i++) {
		struct gvm_head head = { .type = GVM_MSG_VCPU, .vcpu = GVM_NO_VCPU };

		r = gvm_vmm_call(i, &head, &msg, sizeof(msg));
	}
	if (r >= 0)
		r = gvm_remote_create(id);
	if (r < 0) {
		gvm_log("%s: vCPU %u on member %u: %s", vmm.conf.vm, id, msg.owner,
			strerror(-r));
		return gvm_fail(-r);
	}
	if (!vmm.nr_vcpus++)
		vmm.first_vcpu = id;
	return r;
}

/* Of a slot, NULL if it is beyond what KVM_CAP_NR_MEMSLOTS says. */
static uint64_t *size_of(uint32_t slot)
{
	unsigned int space = slot >> 16, nr = slot & 0xffff;

	return space < GVM_SPACES && nr < GVM_MEMSLOTS_MAX ? &vmm.slot_size[space][nr] : NULL;
}

static void tell_slot(const struct gvm_msg_slot *msg)
{
	unsigned int i;
	int64_t r;

	for (i = 1; i < vmm.m.nr_members; i++) {
		struct gvm_head head = { .type = GVM_MSG_SLOT, .vcpu = GVM_NO_VCPU };

		r = gvm_vmm_call(i, &head, msg, sizeof(*msg));
		if (r < 0)
			gvm_member_end(&vmm.m, "member %u: slot %#x at %#llx: %s", i, msg->slot,
				       (unsigned long long)msg->gpa, strerror(-r));
	}
}

static int set_slot(const struct kvm_userspace_memory_region *m)
{
	uint64_t *size = size_of(m->slot);
	struct gvm_msg_slot msg = {
		.slot = m->slot,
		.flags = m->flags,
		.gpa = m->guest_phys_addr,
		.size = m->memory_size,
	};
	int region;

	if (!size) {
		gvm_log("%s: memory slot %#x: at most %d in an address space", vmm.conf.vm, m->slot,
			GVM_MEMSLOTS_MAX);
		return gvm_fail(EINVAL);
	}
	if (m->memory_size) {
		region = gvm_ram_region(m->userspace_addr, m->memory_size, &msg.offset);
		if (region < 0)
			return gvm_fail(-region);
		msg.region = region;
	}
	if (gvm_raw_ioctl(vmm.m.vm_fd, KVM_SET_USER_MEMORY_REGION, (void *)m) < 0)
		return -1;
	*size = m->memory_size;
	tell_slot(&msg);
	return 0;
}

/* Make a request on the other members. */
static int mirror(const struct gvm_call *call, void *arg)
{
	struct gvm_packet *p = malloc(sizeof(*p));
	int64_t r = 0;
	unsigned int i;
	ssize_t len;

	if (!p)
		return gvm_fail(ENOMEM);
	len = gvm_call_pack(call, (unsigned long)arg, p->data, sizeof(p->data));
	for (i = 1; i < vmm.m.nr_members && len >= 0; i++) {
		struct gvm_head head = {
			.type = GVM_MSG_IOCTL,
			.vcpu = GVM_NO_VCPU,
			.request = call->request,
		};

		r = gvm_vmm_call(i, &head, p->data, len);
		if (r < 0)
			gvm_member_end(&vmm.m, "member %u: %s: %s", i, call->name, strerror(-r));
	}
	free(p);
	return len < 0 ? gvm_fail(-len) : 0;
}

/* A page is dirty if any member's vCPUs wrote it. */
static int dirty_log(const struct gvm_call *call, struct kvm_dirty_log *log)
{
	uint64_t *size = size_of(log->slot);
	unsigned int i, at;
	size_t bytes;
	int64_t r;

	if (gvm_raw_ioctl(vmm.m.vm_fd, KVM_GET_DIRTY_LOG, log) < 0)
		return -1;
	bytes = size ? gvm_slots_bitmap(*size) : 0;
	for (i = 1; i < vmm.m.nr_members; i++) {
		struct gvm_head head = {
			.type = GVM_MSG_IOCTL,
			.vcpu = GVM_NO_VCPU,
			.request = call->request,
		};

		r = gvm_vmm_call(i, &head, log, sizeof(*log));
		if (r == -ENOENT)
			continue;	/* deleted there already */
		if (r < 0) {
			gvm_log("%s: member %u: dirty log of slot %#x: %s", vmm.conf.vm, i,
				log->slot, strerror(-r));
			return gvm_fail(-r);
		}
		if (vmm.reply.head.len != bytes)
			gvm_member_end(&vmm.m, "member %u: dirty log of slot %#x: %u bytes, not %zu",
				       i, log->slot, vmm.reply.head.len, bytes);
		for (at = 0; at < bytes; at++)
			((uint8_t *)log->dirty_bitmap)[at] |= vmm.reply.data[at];
	}
	return 0;
}

static int enable_cap_ok(const struct kvm_enable_cap *cap)
{
	if (gvm_mask_extension(cap->cap, 1))
		return 1;
	gvm_log("%s: capability %u cannot span servers", vmm.conf.vm, cap->cap);
	return 0;
}

static int special(const struct gvm_call *call, void *arg)
{
	int r;

	switch (call->request) {
	case KVM_CREATE_VCPU:
		return create_vcpu((uintptr_t)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return set_slot(arg);
	case KVM_GET_DIRTY_LOG:
		return dirty_log(call, arg);
	case KVM_CHECK_EXTENSION:
		return gvm_vmm_extension(vmm.m.vm_fd, (long)arg);
	case KVM_IOEVENTFD:
		r = gvm_doorbell_request(arg);
		return r ? gvm_fail(-r) : 0;
	case KVM_SET_GSI_ROUTING:
		r = gvm_lanes_routing(&vmm.m, arg);
		return r ? gvm_fail(-r) : mirror(call, arg);
	default:
		if (gvm_raw_ioctl(vmm.m.vm_fd, call->request, arg) < 0)
			return -1;
		return mirror(call, arg);
	}
}

static int vm_ioctl(int fd, const struct gvm_call *call, void *arg)
{
	int r;

	switch (call->route) {
	case GVM_ROUTE_SPECIAL:
		return special(call, arg);
	case GVM_ROUTE_MIRROR:
		if (call->request == KVM_ENABLE_CAP && !enable_cap_ok(arg))
			return gvm_fail(EINVAL);
		r = gvm_raw_ioctl(fd, call->request, arg);
		if (r < 0 || mirror(call, arg))
			return -1;
		return r;
	case GVM_ROUTE_REFUSE:
		gvm_log("%s: %s: %s", vmm.conf.vm, call->name, call->why);
		return gvm_fail(call->error);
	case GVM_ROUTE_LOCAL:
	case GVM_ROUTE_FORWARD:
		break;
	}
	return gvm_raw_ioctl(fd, call->request, arg);
}

int gvm_vmm_ioctl(int fd, unsigned long request, void *arg)
{
	const struct gvm_call *call = gvm_call_find(GVM_SCOPE_VM, request);
	int r, saved;

	if (!call) {
		gvm_log("%s: unknown KVM request %#lx on the VM", vmm.conf.vm, request);
		return gvm_fail(ENOTTY);
	}
	if (call->route == GVM_ROUTE_LOCAL)
		return gvm_raw_ioctl(fd, request, arg);
	pthread_mutex_lock(&vmm.lock);
	r = vm_ioctl(fd, call, arg);
	saved = errno;
	pthread_mutex_unlock(&vmm.lock);
	errno = saved;
	return r;
}

/* -- vCPUs */

int gvm_vmm_vcpu_of(int fd)
{
	unsigned int id;

	for (id = 0; fd >= 0 && id < GVM_VCPUS_MAX; id++) {
		if (gvm_remote_fd(id) == fd)
			return id;
	}
	return -1;
}

static bool has_x2apic(const struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			return cpuid->entries[i].ecx & X2APIC_BIT;
	return false;
}

/* Of any vCPU, before it goes to whoever owns it. */
static int check_cpuid(struct kvm_cpuid2 *cpuid)
{
	if (!has_x2apic(cpuid)) {
		gvm_log("%s: gvm needs x2APIC: give the guest's CPU that feature (-cpu …,+x2apic)",
			vmm.conf.vm);
		return gvm_fail(EINVAL);
	}
	return 0;
}

int gvm_vmm_vcpu(unsigned int id, unsigned long request, void *arg)
{
	if ((uint32_t)request == KVM_SET_CPUID2 && check_cpuid(arg))
		return -1;
	return gvm_remote_ioctl(id, request, arg);
}
