// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells of a member that is not the VMM's. Each has an eventfd, which KVM counts in when a
 * vCPU here writes; one thread waits for all of them and sends what was counted to member 0, one
 * way. Rings that come while it sends go with the next message.
 *
 * The thread may take rings and send them after the doorbell was deassigned: member 0 had the
 * number of all in the reply by then, and drops the message (doors.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "doors.h"
#include "raw.h"

#define NR_EVENTS	32

struct bell {
	bool used;
	uint32_t number;
	int fd;
	uint64_t rung;		/* taken out of fd */
};

static struct {
	bool begun;		/* of the thread of VM requests */
	int epoll;
	pthread_mutex_t lock;	/* protects bell */
	struct bell bell[GVM_DOORS_MAX];
} ringer = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Called with the lock held. */
static uint64_t take(struct bell *b)
{
	uint64_t count;

	if (read(b->fd, &count, sizeof(count)) != sizeof(count))
		count = 0;
	b->rung += count;
	return count;
}

static void ring(uint32_t number)
{
	struct gvm_msg_doorbell msg = { .number = number };
	struct bell *b = &ringer.bell[gvm_doors_place(number)];

	pthread_mutex_lock(&ringer.lock);
	if (b->used && b->number == number)
		msg.count = take(b);
	pthread_mutex_unlock(&ringer.lock);
	if (msg.count)
		gvm_member_say(&child.m, 0, GVM_MSG_DOORBELL, GVM_NO_VCPU, 0, &msg, sizeof(msg));
}

static void *ringer_main(void *arg)
{
	struct epoll_event events[NR_EVENTS];
	int i, nr;

	for (;;) {
		nr = epoll_wait(ringer.epoll, events, NR_EVENTS, -1);
		if (nr < 0 && errno != EINTR)
			gvm_member_end(&child.m, "doorbells: %s", strerror(errno));
		for (i = 0; i < nr; i++)
			ring(events[i].data.u32);
	}
	return arg;
}

/* An eventfd each: more files than the usual soft limit allows. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int begin(void)
{
	pthread_t t;
	int r;

	if (ringer.begun)
		return 0;
	raise_limit();
	ringer.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ringer.epoll < 0)
		return -errno;
	r = gvm_member_thread(&t, ringer_main, NULL);
	if (r)
		close(ringer.epoll);
	else
		ringer.begun = true;
	return r;
}

static int set_kvm(const struct kvm_ioeventfd *e, int fd)
{
	struct kvm_ioeventfd mine = *e;

	mine.fd = fd;
	return gvm_raw_ioctl(child.m.vm_fd, KVM_IOEVENTFD, &mine) < 0 ? -errno : 0;
}

static void publish(struct bell *b, uint32_t number, int fd)
{
	pthread_mutex_lock(&ringer.lock);
	*b = (struct bell) { .used = true, .number = number, .fd = fd };
	pthread_mutex_unlock(&ringer.lock);
}

/* Return: how often it was rung. */
static uint64_t withdraw(struct bell *b)
{
	uint64_t rung;

	pthread_mutex_lock(&ringer.lock);
	take(b);
	rung = b->rung;
	b->used = false;
	pthread_mutex_unlock(&ringer.lock);
	close(b->fd);	/* which takes it out of epoll */
	return rung;
}

static int assign(struct bell *b, const struct kvm_ioeventfd *e)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = e->fd };
	int fd, r;

	r = begin();
	if (r)
		return r;
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	publish(b, e->fd, fd);
	r = epoll_ctl(ringer.epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
	if (!r)
		r = set_kvm(e, fd);
	if (r)
		withdraw(b);
	return r;
}

int64_t gvm_ringer_set(const struct kvm_ioeventfd *e)
{
	bool on = !(e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
	struct bell *b = &ringer.bell[gvm_doors_place(e->fd)];
	int r;

	if (e->fd < 0)
		return -EINVAL;
	if (on)
		return b->used ? -EEXIST : assign(b, e);
	if (!b->used || b->number != (uint32_t)e->fd)
		return -ENOENT;
	r = set_kvm(e, b->fd);
	return r ? r : (int64_t)withdraw(b);
}
