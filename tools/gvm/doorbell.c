// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's side of doorbells (KVM_IOEVENTFD): each one is assigned on every member, and what is
 * rung on the others comes over the links (ringer.c) and is added to the VMM's own eventfd.
 *
 * A duplicate of that is kept until the end: the VMM may close its own, and KVM would go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "doors.h"
#include "raw.h"
#include "vmm.h"

static struct {
	pthread_mutex_t lock;	/* protects all; links' threads take it: never over a request */
	struct gvm_doors doors;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* An eventfd that is full stays so, as it would with KVM. */
static int add(int fd, uint64_t count)
{
	if (count && write(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

int gvm_doorbell_came(struct gvm_member *m, unsigned int peer, const struct gvm_msg_doorbell *msg)
{
	int r;

	(void)m;
	pthread_mutex_lock(&table.lock);
	r = gvm_doors_ring(&table.doors, msg->number, peer, msg->count);
	if (r >= 0)
		r = add(r, msg->count);
	pthread_mutex_unlock(&table.lock);
	return r == -ESTALE ? 0 : r;
}

static int64_t tell(unsigned int member, const struct kvm_ioeventfd *e, int number)
{
	struct gvm_head head = {
		.type = GVM_MSG_IOCTL,
		.vcpu = GVM_NO_VCPU,
		.request = KVM_IOEVENTFD,
	};
	struct kvm_ioeventfd msg = *e;

	msg.fd = number;
	return gvm_vmm_call(member, &head, &msg, sizeof(msg));
}

static int settle(unsigned int member, int number, uint64_t total)
{
	uint64_t missing = 0;
	int r;

	pthread_mutex_lock(&table.lock);
	r = gvm_doors_settle(&table.doors, number, member, total, &missing);
	if (r >= 0)
		r = add(r, missing);
	pthread_mutex_unlock(&table.lock);
	return r;
}

static int forget(int number)
{
	int fd;

	pthread_mutex_lock(&table.lock);
	fd = gvm_doors_deassign(&table.doors, number);
	pthread_mutex_unlock(&table.lock);
	return fd < 0 ? fd : close(fd);
}

/* Members from 1 to before @end have it. With that it cannot be refused. */
static void take_back(const struct kvm_ioeventfd *e, int number, unsigned int end)
{
	struct kvm_ioeventfd off = *e;
	unsigned int i;
	int64_t r;

	off.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	for (i = 1; i < end; i++) {
		r = tell(i, &off, number);
		if (r >= 0)
			r = settle(i, number, r);
		if (r < 0)
			gvm_member_end(&vmm.m, "member %u: KVM_IOEVENTFD, deassign: %s", i,
				       strerror(-r));
	}
	forget(number);
}

static int set_here(const struct kvm_ioeventfd *e, uint32_t flags)
{
	struct kvm_ioeventfd here = *e;

	here.flags |= flags;
	return gvm_raw_ioctl(vmm.m.vm_fd, KVM_IOEVENTFD, &here) < 0 ? -errno : 0;
}

static int set_there(const struct kvm_ioeventfd *e, int number)
{
	unsigned int i;
	int64_t r = 0;

	for (i = 1; i < vmm.m.nr_members; i++) {
		r = tell(i, e, number);
		if (r < 0)
			break;
	}
	if (r >= 0)
		return 0;
	gvm_log("%s: member %u: KVM_IOEVENTFD at %#llx: %s", vmm.conf.vm, i,
		(unsigned long long)e->addr, strerror(-r));
	set_here(e, KVM_IOEVENTFD_FLAG_DEASSIGN);
	take_back(e, number, i);
	return r;
}

static int take_number(const struct kvm_ioeventfd *e)
{
	int fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0);
	int number;

	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&table.lock);
	number = gvm_doors_assign(&table.doors, e, fd);
	pthread_mutex_unlock(&table.lock);
	if (number < 0)
		close(fd);
	if (number == -ENOSPC)
		gvm_log("%s: KVM_IOEVENTFD: at most %d", vmm.conf.vm, GVM_DOORS_MAX);
	return number;
}

static int assign(const struct kvm_ioeventfd *e)
{
	int number, r;

	if (e->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY) {
		gvm_log("%s: KVM_IOEVENTFD: VIRTIO_CCW_NOTIFY is for s390", vmm.conf.vm);
		return -EINVAL;
	}
	number = take_number(e);
	if (number < 0)
		return number;
	r = set_here(e, 0);
	if (r) {
		forget(number);
		return r;
	}
	return set_there(e, number);
}

/* What KVM does not know here was assigned nowhere. */
static int deassign(const struct kvm_ioeventfd *e)
{
	int r = set_here(e, 0);
	int number;

	if (r)
		return r;
	pthread_mutex_lock(&table.lock);
	number = gvm_doors_find(&table.doors, e);
	pthread_mutex_unlock(&table.lock);
	if (number < 0)
		return number;
	take_back(e, number, vmm.m.nr_members);
	return 0;
}

int gvm_doorbell_request(const struct kvm_ioeventfd *e)
{
	return e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? deassign(e) : assign(e);
}
