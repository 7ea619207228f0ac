// SPDX-License-Identifier: GPL-2.0
/*
 * A member on a server that is not the VMM's: one process a VM, started by the agent.
 *
 * Threads: this file's listener; one for the VM's requests; one for each vCPU that is real here
 * (vcpu.c); one a link and one a stub; one for all doorbells (ringer.c). Any of them ends the
 * process when it cannot go on, and the kernel takes the VM, its memory and its connections along.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#include "abi.h"
#include "child.h"
#include "files.h"
#include "lanes.h"
#include "raw.h"
#include "state.h"

#define FIRST_MS	15000	/* for the VMM to come */
#define HANDSHAKE_MS	3000
#define SLOT_HOLD_MS	20

struct gvm_child child;

static void end(struct gvm_member *m, const char *reason)
{
	uint64_t ino[GVM_REGIONS_MAX + 1];
	unsigned int i, nr = 0;

	gvm_log("%s: member %u ends: %s", m->vm, m->self, reason);
	/* Not by name: the next VM of that name may have begun. */
	for (i = 0; i < GVM_REGIONS_MAX; i++)
		if (child.region[i].ino)
			ino[nr++] = child.region[i].ino;
	ino[nr++] = gvm_lanes_ino(m);
	gvm_files_remove_own(m->dir, m->vm, ino, nr);
	_exit(GVM_EXIT_LOST);
}

static const struct gvm_member_ops ops = {
	.kick = gvm_child_kick,
	.tick = gvm_child_tick,
	.end = end,
};

/* -- memory */

static int map_region(const struct gvm_msg_region *r)
{
	char path[GVM_TEXT_MAX + GVM_NAME_MAX + 3];
	struct stat st;
	void *base;
	int fd;

	if (r->region >= GVM_REGIONS_MAX || child.region[r->region].base)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s", child.m.dir, r->name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!fstat(fd, &st))
		child.region[r->region].ino = st.st_ino;
	close(fd);
	if (base == MAP_FAILED)
		return -errno;
	child.region[r->region].base = base;
	child.region[r->region].size = r->size;
	return 0;
}

static int apply_slot(const struct gvm_msg_slot *s)
{
	struct kvm_userspace_memory_region m = {
		.slot = s->slot,
		.flags = s->flags,
		.guest_phys_addr = s->gpa,
		.memory_size = s->size,
	};

	if (s->size) {
		struct gvm_child_region *r = &child.region[s->region];

		if (s->region >= GVM_REGIONS_MAX || !r->base || s->offset > r->size ||
		    s->size > r->size - s->offset)
			return -EINVAL;
		m.userspace_addr = (uintptr_t)r->base + s->offset;
	}
	return gvm_raw_ioctl(child.m.vm_fd, KVM_SET_USER_MEMORY_REGION, &m) ? -errno : 0;
}

/* Do what the slot map says, with no vCPU in the guest if it is more than one new slot. */
static int apply_slots(const struct gvm_slot_ops *todo)
{
	bool stop = todo->nr > 1 || (todo->nr && !todo->op[0].size);
	unsigned int i;
	int r = 0;

	if (stop)
		gvm_child_pause();
	for (i = 0; i < todo->nr && !r; i++)
		r = apply_slot(&todo->op[i]);
	if (stop)
		gvm_child_resume();
	return r;
}

static int change_slot(const struct gvm_msg_slot *m)
{
	int r;

	pthread_mutex_lock(&child.slot_lock);
	r = gvm_slots_change(&child.slots, m, gvm_now_ms(), &child.todo);
	if (!r)
		r = apply_slots(&child.todo);
	pthread_mutex_unlock(&child.slot_lock);
	return r;
}

void gvm_child_tick(struct gvm_member *m)
{
	int r = 0;

	pthread_mutex_lock(&child.slot_lock);
	if (child.slots.nr_held) {
		gvm_slots_expire(&child.slots, gvm_now_ms(), SLOT_HOLD_MS, &child.todo);
		r = apply_slots(&child.todo);
	}
	pthread_mutex_unlock(&child.slot_lock);
	if (r)
		gvm_member_end(m, "memory slot: %s", strerror(-r));
}

/* -- requests of the VM */

static int connect_peers(const struct gvm_msg_peers *peers)
{
	struct gvm_member *m = &child.m;
	struct gvm_chan *c;
	unsigned int i;
	int r;

	for (i = 1; i < m->nr_members; i++) {
		const struct gvm_msg_peer *p = &peers->member[i];

		if (i == m->self || !p->port)
			continue;
		r = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_LINK, m->self, GVM_NO_VCPU, m->vm, &c);
		if (r)
			return r;
		r = gvm_member_link(m, i, c);
		if (r) {
			gvm_chan_close(c);
			return r;
		}
	}
	return 0;
}

/* Called with slot_lock held. */
static size_t dirty_bytes(uint32_t slot)
{
	unsigned int i;

	for (i = 0; i < child.slots.nr; i++)
		if (child.slots.set[i].slot == slot)
			return gvm_slots_bitmap(child.slots.set[i].size);
	return 0;
}

/* The reply is the bitmap. */
static int64_t dirty_log(struct gvm_packet *p, size_t *len)
{
	struct kvm_dirty_log log;
	size_t bytes;
	int r = 0;

	memcpy(&log, p->data, sizeof(log));
	log.dirty_bitmap = p->data;
	pthread_mutex_lock(&child.slot_lock);
	bytes = dirty_bytes(log.slot);
	if (!bytes)
		r = -ENOENT;
	else if (bytes > sizeof(p->data))
		r = -EMSGSIZE;
	else if (gvm_raw_ioctl(child.m.vm_fd, KVM_GET_DIRTY_LOG, &log))
		r = -errno;
	pthread_mutex_unlock(&child.slot_lock);
	if (!r)
		*len = bytes;
	return r;
}

int64_t gvm_child_ioctl(unsigned int vcpu, struct gvm_packet *p, size_t *len)
{
	bool for_vcpu = vcpu != GVM_NO_VCPU;
	bool for_stub = for_vcpu && child.m.vcpu[vcpu].owner != child.m.self;
	const struct gvm_call *call = gvm_call_find_wire(for_vcpu, p->head.request);
	int fd = for_vcpu ? child.m.vcpu[vcpu].fd : child.m.vm_fd;
	int r;

	*len = 0;
	if (!call)
		return -ENOTTY;
	if (gvm_call_check(call, p->data, p->head.len))
		return -EINVAL;
	if (call->request == KVM_GET_DIRTY_LOG)
		return dirty_log(p, len);
	if (call->request == KVM_IOEVENTFD)
		return gvm_ringer_set((void *)p->data);
	if (call->request == KVM_SET_GSI_ROUTING)
		return gvm_lanes_routing(&child.m, (void *)gvm_call_arg(call, p->data));
	if (call->all || for_stub)
		return gvm_member_config(&child.m, vcpu, call,
					 (void *)gvm_call_arg(call, p->data));
	if (call->scope == GVM_SCOPE_SYSTEM)
		fd = child.m.kvm_fd;
	r = gvm_raw_ioctl(fd, call->request, (void *)gvm_call_arg(call, p->data));
	if (r < 0)
		return -errno;
	*len = gvm_call_reply_size(call, p->data);
	return r;
}

static int64_t set_tsc(unsigned int vcpu, const struct gvm_msg_tsc *msg)
{
	uint64_t offset = msg->offset;

	if (vcpu >= GVM_VCPUS_MAX || child.m.vcpu[vcpu].fd < 0)
		return -ENOENT;
	return gvm_state_tsc(child.m.vcpu[vcpu].fd, KVM_SET_DEVICE_ATTR, &offset);
}

/* No vCPU sees its TSC go back: it is out of the guest for as long as it is set back. */
static int64_t correct_tsc(const struct gvm_msg_drift *msg)
{
	uint64_t out, offset;
	unsigned int i;
	int r = 0;

	gvm_child_pause();
	out = __rdtsc();
	while (msg->ticks < 0 && (int64_t)(__rdtsc() - out) < -msg->ticks)
		_mm_pause();
	for (i = 0; i < GVM_VCPUS_MAX && !r; i++) {
		const struct gvm_vcpu *v = &child.m.vcpu[i];

		if (v->fd < 0 || v->owner != child.m.self)
			continue;
		r = gvm_state_tsc(v->fd, KVM_GET_DEVICE_ATTR, &offset);
		offset += msg->ticks;
		if (!r)
			r = gvm_state_tsc(v->fd, KVM_SET_DEVICE_ATTR, &offset);
	}
	gvm_child_resume();
	return r;
}

static int64_t vm_request(struct gvm_packet *p, size_t *len)
{
	*len = 0;
	switch (p->head.type) {
	case GVM_MSG_IOCTL:
		return gvm_child_ioctl(p->head.vcpu, p, len);
	case GVM_MSG_PEERS:
		return connect_peers((void *)p->data);
	case GVM_MSG_VCPU: {
		struct gvm_msg_vcpu *v = (void *)p->data;

		return gvm_member_vcpu(&child.m, v->id, v->owner);
	}
	case GVM_MSG_REGION:
		return map_region((void *)p->data);
	case GVM_MSG_SLOT:
		return change_slot((void *)p->data);
	case GVM_MSG_ROLE: {
		struct gvm_msg_vcpu *v = (void *)p->data;

		return gvm_member_role(&child.m, v->id, v->owner);
	}
	case GVM_MSG_TSC:
		return set_tsc(p->head.vcpu, (void *)p->data);
	case GVM_MSG_DRIFT:
		return correct_tsc((void *)p->data);
	default:
		return -EPROTO;
	}
}

static void *vm_main(void *arg)
{
	static struct gvm_packet p;
	struct gvm_chan *c = arg;
	int64_t result;
	size_t len;
	int r;

	for (;;) {
		r = gvm_rpc_recv(c, &p, -1, NULL);
		if (r == -EINTR)
			continue;
		if (r)
			gvm_member_end(&child.m, "the VMM is gone: %s", strerror(-r));
		result = vm_request(&p, &len);
		r = gvm_rpc_reply(c, &p.head, result, p.data, len);
		if (r)
			gvm_member_end(&child.m, "reply: %s", strerror(-r));
	}
	return NULL;
}

/* -- channels that come in */

static int begin(struct gvm_chan *c, const struct gvm_packet *p)
{
	const struct gvm_msg_hello *h = (const void *)p->data;
	pthread_t t;

	if (p->head.type != GVM_MSG_HELLO || strcmp(h->vm, child.m.vm))
		return -EPROTO;
	switch (h->kind) {
	case GVM_CHAN_VM:
		if (child.has_vmm)
			return -EEXIST;
		child.has_vmm = true;
		return -pthread_create(&t, NULL, vm_main, c);
	case GVM_CHAN_VCPU:
		return gvm_child_vcpu(p->head.vcpu, c);
	case GVM_CHAN_LINK:
		return gvm_member_link(&child.m, h->member, c);
	default:
		return -EPROTO;
	}
}

static void log_refused(const struct gvm_packet *p, int error)
{
	const struct gvm_msg_hello *h = (const void *)p->data;

	if (p->head.type != GVM_MSG_HELLO)
		gvm_log("%s: channel refused: it began with %s", child.m.vm,
			gvm_msg_name(p->head.type));
	else if (p->head.vcpu != GVM_NO_VCPU)
		gvm_log("%s: channel of vCPU %u refused: %s", child.m.vm, p->head.vcpu,
			strerror(-error));
	else
		gvm_log("%s: channel of kind %u, from member %u, refused: %s", child.m.vm, h->kind,
			h->member, strerror(-error));
}

static void welcome(struct gvm_chan *c)
{
	static struct gvm_packet p;
	int r;

	r = gvm_rpc_recv(c, &p, HANDSHAKE_MS, NULL);
	if (r) {
		gvm_log("%s: a stranger connected: %s", child.m.vm, strerror(-r));
		gvm_chan_close(c);
		return;
	}
	/* Consent first: once its thread runs, the channel is not ours. */
	r = gvm_rpc_reply(c, &p.head, 0, NULL, 0) ?: begin(c, &p);
	if (r) {
		log_refused(&p, r);
		gvm_chan_close(c);
	}
}

static void accept_all(struct gvm_listener *l)
{
	struct gvm_chan *c;
	int r;

	for (;;) {
		r = gvm_chan_accept(l, FIRST_MS, &c);
		if (!r)
			welcome(c);
		else if (!child.has_vmm)
			gvm_member_end(&child.m, "no VMM came: %s", strerror(-r));
	}
}

int gvm_child_main(const struct gvm_msg_start *start, uint32_t addr)
{
	struct gvm_listener *l;
	struct gvm_member *m = &child.m;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memcpy(m->vm, start->vm, sizeof(m->vm));
	memcpy(m->dir, start->dir, sizeof(m->dir));
	m->self = start->member;
	m->nr_members = start->nr_members;
	m->timeout_ms = start->timeout_ms;
	pthread_mutex_init(&child.slot_lock, NULL);
	gvm_child_gate_init();
	r = gvm_member_init(m, &ops);
	if (!r) {
		m->vm_fd = gvm_raw_ioctl(m->kvm_fd, KVM_CREATE_VM, NULL);
		r = m->vm_fd < 0 ? -errno : 0;
	}
	if (!r)
		gvm_lanes_init(m);
	if (!r)
		r = gvm_chan_listen(addr, 0, &l);
	if (r) {
		gvm_log("%s: %s", m->vm, strerror(-r));
		return 1;
	}
	printf("%u\n", gvm_chan_port(l));
	fflush(stdout);
	accept_all(l);
	return 0;
}
