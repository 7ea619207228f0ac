// SPDX-License-Identifier: GPL-2.0
/*
 * Lanes, see lanes.h.
 *
 * A dsmfs file of the VM's own names them, with vCPU and vector for a key; member 0 makes it. The
 * routes of the lanes are behind the VMM's, and so are their GSIs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsm.h"
#include "files.h"
#include "kvm_mailbox.h"
#include "lanes.h"
#include "member.h"
#include "raw.h"

#define AFTER		16	/* interrupts of a vector over a link */
#define NR_VECTORS	256
#define GSI(i)		(GVM_GSIS_MAX + (i))

/**
 * struct gvm_lanes - a member's ends
 * @lock:	protects all; links' threads take it
 * @file:	the VM's, of dsmfs
 * @node:	this server's, of dsm
 * @vmm:	the VMM's routes
 * @in:		vCPU and vector of each end for a vCPU that is, or was, real here
 * @nr_in:	how many
 * @came:	over links since the peer was told last, by vCPU and vector
 * @out:	ends towards owners, by vCPU and vector: descriptor + 1, 0: none, -1: cannot be made
 */
struct gvm_lanes {
	pthread_mutex_t lock;
	int file;
	int node;
	struct kvm_irq_routing *vmm;
	struct {
		uint8_t vcpu;
		uint8_t vector;
	} in[GVM_LANES_MAX];
	unsigned int nr_in;
	uint8_t came[GVM_VCPUS_MAX][NR_VECTORS];
	int out[GVM_VCPUS_MAX][NR_VECTORS];
};

static int open_file(const struct gvm_member *m)
{
	char name[GVM_NAME_MAX + 8], path[GVM_TEXT_MAX + sizeof(name) + 2];

	snprintf(name, sizeof(name), "%s.irq", m->vm);
	if (!m->self)
		return gvm_files_create(m->dir, name, 4096, -1);
	snprintf(path, sizeof(path), "%s/%s", m->dir, name);
	return open(path, O_RDWR | O_CLOEXEC);
}

void gvm_lanes_init(struct gvm_member *m)
{
	static const struct kvm_irq_routing none;
	struct gvm_lanes *l;

	if (!gvm_stub_signals(m->vm_fd))
		return;
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	pthread_mutex_init(&l->lock, NULL);
	l->node = gvm_files_own_node();
	l->file = l->node < 0 ? -1 : open_file(m);
	l->vmm = l->file < 0 ? NULL : malloc(sizeof(none));
	if (!l->vmm) {
		gvm_log("%s: no file of dsmfs for interrupts: they take the links", m->vm);
		free(l);
		return;
	}
	*l->vmm = none;
	m->lanes = l;
}

uint64_t gvm_lanes_ino(const struct gvm_member *m)
{
	struct stat st;

	return m->lanes && !fstat(m->lanes->file, &st) ? st.st_ino : 0;
}

/* -- routes */

static struct kvm_irq_routing_entry route(unsigned int gsi, unsigned int vcpu, unsigned int vector)
{
	struct kvm_msi msi = gvm_member_msi(vcpu, vector);

	return (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = msi.address_lo,
			.address_hi = msi.address_hi,
			.data = msi.data,
		},
	};
}

static int set_routes(struct gvm_member *m, const struct gvm_lanes *l,
		      const struct kvm_irq_routing *vmm)
{
	size_t size = sizeof(vmm->entries[0]);
	struct kvm_irq_routing *all;
	unsigned int i;
	int r = 0;

	all = calloc(1, sizeof(*all) + (vmm->nr + l->nr_in) * size);
	if (!all)
		return -ENOMEM;
	all->nr = vmm->nr + l->nr_in;
	memcpy(all->entries, vmm->entries, vmm->nr * size);
	for (i = 0; i < l->nr_in; i++)
		all->entries[vmm->nr + i] = route(GSI(i), l->in[i].vcpu, l->in[i].vector);
	if (gvm_raw_ioctl(m->vm_fd, KVM_SET_GSI_ROUTING, all))
		r = -errno;
	free(all);
	return r;
}

static bool routes_ok(const struct kvm_irq_routing *r)
{
	unsigned int i;

	for (i = 0; i < r->nr && r->nr <= GVM_GSIS_MAX; i++)
		if (r->entries[i].gsi >= GVM_GSIS_MAX)
			return false;
	return r->nr <= GVM_GSIS_MAX;
}

int gvm_lanes_routing(struct gvm_member *m, const struct kvm_irq_routing *r)
{
	size_t size = sizeof(*r) + r->nr * sizeof(r->entries[0]);
	struct gvm_lanes *l = m->lanes;
	struct kvm_irq_routing *mine;
	int ret;

	if (!routes_ok(r))
		return -EINVAL;
	if (!l)
		return gvm_raw_ioctl(m->vm_fd, KVM_SET_GSI_ROUTING, (void *)r) ? -errno : 0;
	mine = malloc(size);
	if (!mine)
		return -ENOMEM;
	memcpy(mine, r, size);
	pthread_mutex_lock(&l->lock);
	ret = set_routes(m, l, mine);
	if (!ret) {
		free(l->vmm);
		l->vmm = mine;
	}
	pthread_mutex_unlock(&l->lock);
	if (ret)
		free(mine);
	return ret;
}

/* -- ends */

static int notify(const struct gvm_lanes *l, int event, unsigned int vcpu, unsigned int vector,
		  unsigned int node, unsigned int flags)
{
	struct dsm_ioc_notify n = {
		.fd = event,
		.node = node,
		.key = vcpu << 8 | vector,
		.flags = flags,
	};
	int fd = gvm_raw_ioctl(l->file, DSM_IOC_NOTIFY, &n);

	return fd < 0 ? -errno : fd;
}

static int find_in(const struct gvm_lanes *l, unsigned int vcpu, unsigned int vector)
{
	unsigned int i;

	for (i = 0; i < l->nr_in; i++)
		if (l->in[i].vcpu == vcpu && l->in[i].vector == vector)
			return i;
	return -1;
}

/* The eventfd and the listener are the VM's for good. */
static int make_in(struct gvm_member *m, struct gvm_lanes *l, unsigned int vcpu,
		   unsigned int vector)
{
	struct kvm_irqfd irqfd = { .gsi = GSI(l->nr_in) };
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

	if (event < 0)
		return -errno;
	irqfd.fd = event;
	l->in[l->nr_in].vcpu = vcpu;
	l->in[l->nr_in].vector = vector;
	l->nr_in++;
	r = set_routes(m, l, l->vmm);
	if (!r && gvm_raw_ioctl(m->vm_fd, KVM_IRQFD, &irqfd))
		r = -errno;
	if (!r)
		r = notify(l, event, vcpu, vector, 0, 0);
	if (r >= 0)
		return 0;
	l->nr_in--;
	close(event);	/* which takes it out of KVM */
	return r;
}

static void give_up(struct gvm_member *m, struct gvm_lanes *l, unsigned int vcpu,
		    unsigned int vector, int error)
{
	gvm_log("%s: interrupt %#x of vCPU %u takes the link: %s", m->vm, vector, vcpu,
		strerror(-error));
	l->came[vcpu][vector] = UINT8_MAX;
}

void gvm_lanes_came(struct gvm_member *m, unsigned int peer, unsigned int vcpu,
		    unsigned int vector)
{
	struct gvm_msg_lane msg = { .vector = vector };
	struct gvm_lanes *l = m->lanes;
	bool say = false;
	int r = 0;

	if (!l || vcpu >= GVM_VCPUS_MAX || vector >= NR_VECTORS)
		return;
	pthread_mutex_lock(&l->lock);
	if (m->vcpu[vcpu].owner == m->self && l->came[vcpu][vector] != UINT8_MAX)
		say = ++l->came[vcpu][vector] == AFTER;
	if (say) {
		l->came[vcpu][vector] = 0;
		if (find_in(l, vcpu, vector) < 0)
			r = l->nr_in < GVM_LANES_MAX ? make_in(m, l, vcpu, vector) : -ENOSPC;
		if (r)
			give_up(m, l, vcpu, vector, r);
	}
	msg.node = l->node;
	pthread_mutex_unlock(&l->lock);
	if (say && !r)
		gvm_member_say(m, peer, GVM_MSG_LANE, vcpu, 0, &msg, sizeof(msg));
}

static int set_eventfd(struct gvm_member *m, unsigned int vcpu, unsigned int vector, int fd)
{
	struct gvm_kvm_mailbox_eventfd e = { .vcpu_id = vcpu, .vector = vector, .fd = fd };

	return gvm_raw_ioctl(m->vm_fd, KVM_X86_SET_MAILBOX_EVENTFD, &e) ? -errno : 0;
}

static int make_out(struct gvm_member *m, struct gvm_lanes *l, unsigned int vcpu,
		    const struct gvm_msg_lane *msg)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd, r;

	if (event < 0)
		return -errno;
	fd = notify(l, event, vcpu, msg->vector, msg->node, DSM_NOTIFY_SEND);
	r = fd < 0 ? fd : set_eventfd(m, vcpu, msg->vector, event);
	close(event);	/* KVM and dsm have it */
	if (!r)
		l->out[vcpu][msg->vector] = fd + 1;
	else if (fd >= 0)
		close(fd);
	return r;
}

void gvm_lanes_open(struct gvm_member *m, unsigned int peer, unsigned int vcpu,
		    const struct gvm_msg_lane *msg)
{
	struct gvm_lanes *l = m->lanes;
	int r = 0;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	/* It may have moved since. */
	if (m->vcpu[vcpu].owner == peer && !l->out[vcpu][msg->vector])
		r = make_out(m, l, vcpu, msg);
	if (r) {
		gvm_log("%s: interrupt %#x of vCPU %u takes the link: %s", m->vm, msg->vector,
			vcpu, strerror(-r));
		l->out[vcpu][msg->vector] = -1;	/* the owner will say LANE again */
	}
	pthread_mutex_unlock(&l->lock);
}

/* All lanes of a vCPU end on one server, so one end speaks for them. */
void gvm_lanes_flush(struct gvm_member *m, unsigned int vcpu)
{
	struct gvm_lanes *l = m->lanes;
	unsigned int v;
	int fd = -1;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	for (v = 0; v < NR_VECTORS && fd < 0; v++)
		if (l->out[vcpu][v] > 0)
			fd = fcntl(l->out[vcpu][v] - 1, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&l->lock);
	if (fd < 0)
		return;
	if (fsync(fd))
		gvm_log("%s: interrupts for vCPU %u that took lanes: %s", m->vm, vcpu,
			strerror(errno));
	close(fd);
}

void gvm_lanes_drop(struct gvm_member *m, unsigned int vcpu)
{
	struct gvm_lanes *l = m->lanes;
	unsigned int v;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	for (v = 0; v < NR_VECTORS; v++) {
		int fd = l->out[vcpu][v] - 1;

		l->out[vcpu][v] = 0;
		if (fd < 0)
			continue;
		if (set_eventfd(m, vcpu, v, -1))
			gvm_member_end(m, "interrupt %#x of vCPU %u: %s", v, vcpu,
				       strerror(errno));
		close(fd);	/* what was signalled is sent */
	}
	pthread_mutex_unlock(&l->lock);
}
