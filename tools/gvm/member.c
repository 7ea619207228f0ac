// SPDX-License-Identifier: GPL-2.0
/*
 * What all members do alike: links, interrupts that come over them, stubs, the end.
 *
 * An interrupt for a vCPU is always given to the VM here. If the vCPU has moved away meanwhile,
 * it is a stub here by then, which sends it on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "complete.h"
#include "lanes.h"
#include "member.h"
#include "raw.h"
#include "state.h"

#define SEND_MS		5000
#define BYE_MS		100
#define PING_MS		1000
#define TICK_MS		10
#define MSI_LEVEL	0xc000

void gvm_log(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(2, "gvm: %s\n", text);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void on_stub_irq(void *context, unsigned int vcpu, const struct gvm_msg_irq *irq)
{
	struct gvm_member *m = context;
	struct gvm_vcpu *v = &m->vcpu[vcpu];
	unsigned int to = irq->mode == GVM_MODE_SIPI ? v->init_to : v->owner;

	if (irq->mode == GVM_MODE_INIT)
		v->init_to = to;
	if (irq->mode == GVM_MODE_INIT || irq->mode == GVM_MODE_SIPI)
		gvm_lanes_flush(m, vcpu);
	gvm_member_say(m, to, GVM_MSG_IRQ, vcpu, 0, irq, sizeof(*irq));
}

static void on_stub_fail(void *context, unsigned int vcpu, const char *why)
{
	gvm_member_end(context, "stub of vCPU %u: %s", vcpu, why);
}

int gvm_member_init(struct gvm_member *m, const struct gvm_member_ops *ops)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	unsigned int i;
	int r;

	m->ops = ops;
	m->vm_fd = -1;
	m->stub_ops = (struct gvm_stub_ops) {
		.irq = on_stub_irq,
		.fail = on_stub_fail,
		.context = m,
	};
	for (i = 0; i < GVM_VCPUS_MAX; i++)
		m->vcpu[i].fd = -1;
	for (i = 0; i < GVM_MEMBERS_MAX; i++)
		pthread_mutex_init(&m->link[i].lock, NULL);
	sigaction(GVM_SIGNAL, &sa, NULL);
	m->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm_fd < 0)
		return -errno;
	r = gvm_raw_ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (r < 0)
		return -errno;
	m->run_size = r;
	return 0;
}

static int say(struct gvm_link *l, unsigned int type, unsigned int vcpu, uint32_t seq,
	       const void *data, size_t len, int timeout_ms)
{
	struct gvm_head head = {
		.magic = GVM_MSG_MAGIC,
		.type = type,
		.vcpu = vcpu,
		.len = len,
		.seq = seq,
	};
	struct iovec iov[2] = {
		{ &head, sizeof(head) },
		{ (void *)data, len },
	};

	return gvm_chan_send(l->chan, iov, 2, timeout_ms);
}

void gvm_member_say(struct gvm_member *m, unsigned int peer, unsigned int type, unsigned int vcpu,
		    uint32_t seq, const void *data, size_t len)
{
	struct gvm_link *l = &m->link[peer];
	int r = -ENOTCONN;

	if (peer < m->nr_members && l->chan)
		r = say(l, type, vcpu, seq, data, len, SEND_MS);
	if (r)
		gvm_member_end(m, "member %u: %s not sent: %s", peer, gvm_msg_name(type),
			       strerror(-r));
}

void gvm_member_end(struct gvm_member *m, const char *fmt, ...)
{
	char reason[GVM_TEXT_MAX];
	unsigned int i;
	va_list ap;

	if (atomic_exchange(&m->ending, true))
		for (;;)
			pause();	/* another thread is at it, and exits */
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	for (i = 0; i < m->nr_members; i++)
		if (m->link[i].chan)
			say(&m->link[i], GVM_MSG_BYE, GVM_NO_VCPU, 0, reason, strlen(reason),
			    BYE_MS);
	m->ops->end(m, reason);
	_exit(GVM_EXIT_LOST);
}

struct kvm_msi gvm_member_msi(unsigned int vcpu, unsigned int vector)
{
	return (struct kvm_msi) {
		.address_lo = 0xfee00000u | (vcpu & 0xff) << 12,
		.address_hi = vcpu & ~0xffu,
		.data = vector,
	};
}

static void inject(struct gvm_link *l, unsigned int vcpu, const struct gvm_msg_irq *irq)
{
	struct kvm_msi msi = gvm_member_msi(vcpu, irq->vector);

	msi.data |= irq->mode << 8 | (irq->level ? MSI_LEVEL : 0);
	if (gvm_raw_ioctl(l->m->vm_fd, KVM_SIGNAL_MSI, &msi) < 0)
		gvm_member_end(l->m, "interrupt %#x for vCPU %u: %s", msi.data, vcpu,
			       strerror(errno));
	if (irq->mode == GVM_MODE_FIXED && !irq->level)
		gvm_lanes_came(l->m, l->peer, vcpu, irq->vector);
}

static void take_pong(struct gvm_link *l, const struct gvm_msg_ping *p)
{
	uint64_t now = __rdtsc();

	pthread_mutex_lock(&l->lock);
	gvm_clock_sample(&l->clock, p->tsc, p->peer_tsc, now);
	pthread_mutex_unlock(&l->lock);
}

void gvm_member_ping(struct gvm_member *m, unsigned int peer)
{
	struct gvm_msg_ping p = { .tsc = __rdtsc() };

	gvm_member_say(m, peer, GVM_MSG_PING, GVM_NO_VCPU, 0, &p, sizeof(p));
}

struct gvm_clock gvm_member_clock(struct gvm_member *m, unsigned int peer)
{
	struct gvm_link *l = &m->link[peer];
	struct gvm_clock c;

	pthread_mutex_lock(&l->lock);
	c = l->clock;
	pthread_mutex_unlock(&l->lock);
	return c;
}

static void take_doorbell(struct gvm_link *l, const struct gvm_msg_doorbell *msg)
{
	const struct gvm_member_ops *ops = l->m->ops;
	int r = ops->doorbell ? ops->doorbell(l->m, l->peer, msg) : -EPROTO;

	if (r)
		gvm_member_end(l->m, "member %u: doorbell %u: %s", l->peer, msg->number,
			       strerror(-r));
}

static void dispatch(struct gvm_link *l, const struct gvm_head *h)
{
	const void *data = h + 1;
	struct gvm_msg_ping ping;

	switch (h->type) {
	case GVM_MSG_IRQ:
		inject(l, h->vcpu, data);
		break;
	case GVM_MSG_LANE:
		gvm_lanes_open(l->m, l->peer, h->vcpu, data);
		break;
	case GVM_MSG_KICK:
		l->m->ops->kick(l->m, h->vcpu, h->seq);
		break;
	case GVM_MSG_DOORBELL:
		take_doorbell(l, data);
		break;
	case GVM_MSG_PING:
		ping = *(const struct gvm_msg_ping *)data;
		ping.peer_tsc = __rdtsc();
		gvm_member_say(l->m, l->peer, GVM_MSG_PONG, GVM_NO_VCPU, 0, &ping, sizeof(ping));
		break;
	case GVM_MSG_PONG:
		take_pong(l, data);
		break;
	case GVM_MSG_BYE:
		gvm_member_end(l->m, "member %u ended: %.*s", l->peer, (int)h->len,
			       (const char *)data);
	default:
		gvm_member_end(l->m, "member %u: unexpected %s", l->peer, gvm_msg_name(h->type));
	}
}

/* Some pings within the time in which a silent member is taken for dead. */
static int ping_ms(const struct gvm_member *m)
{
	int ms = m->timeout_ms / 4;

	if (ms > PING_MS)
		ms = PING_MS;
	return ms ?: 1;
}

static void *link_main(void *arg)
{
	char buf[sizeof(struct gvm_head) + 1024] __attribute__((aligned(8)));
	struct gvm_link *l = arg;
	struct gvm_member *m = l->m;
	bool ticks = m->ops->tick && !l->peer;
	int period = ping_ms(m), wait = ticks && period > TICK_MS ? TICK_MS : (period + 1) / 2;
	int64_t now, pinged = 0;
	ssize_t r;

	l->heard_ms = gvm_now_ms();
	for (;;) {
		r = gvm_chan_recv(l->chan, buf, sizeof(buf), wait, NULL);
		now = gvm_now_ms();
		if (r > 0) {
			if (gvm_msg_check(buf, r))
				gvm_member_end(m, "member %u: malformed message", l->peer);
			l->heard_ms = now;
			dispatch(l, (void *)buf);
		} else if (r != -ETIMEDOUT && r != -EINTR) {
			gvm_member_end(m, "member %u is gone: %s", l->peer, strerror(-r));
		}
		if (now - l->heard_ms > m->timeout_ms)
			gvm_member_end(m, "member %u is silent for %d ms (timeout_ms)", l->peer,
				       m->timeout_ms);
		if (now - pinged >= period) {
			gvm_member_ping(m, l->peer);
			pinged = now;
		}
		if (ticks)
			m->ops->tick(m);
	}
	return NULL;
}

int gvm_member_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int gvm_member_link(struct gvm_member *m, unsigned int peer, struct gvm_chan *c)
{
	struct gvm_link *l = &m->link[peer];
	int r;

	if (peer >= m->nr_members || peer == m->self)
		return -EINVAL;
	if (l->chan)
		return -EEXIST;
	l->m = m;
	l->peer = peer;
	l->chan = c;
	r = gvm_member_thread(&l->thread, link_main, l);
	if (r)
		l->chan = NULL;
	return r;
}

int gvm_member_vcpu(struct gvm_member *m, unsigned int id, unsigned int owner)
{
	struct gvm_vcpu *v;
	int fd, r;

	if (id >= GVM_VCPUS_MAX || owner >= m->nr_members)
		return -EINVAL;
	v = &m->vcpu[id];
	if (v->fd >= 0)
		return -EEXIST;
	fd = gvm_raw_ioctl(m->vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
	if (fd < 0)
		return -errno;
	v->run = gvm_raw_mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (v->run == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	r = gvm_stub_create(m->kvm_fd, m->vm_fd, fd, id, v->run, &m->stub_ops, &v->stub);
	if (r) {
		gvm_raw_munmap(v->run, m->run_size);
		close(fd);
		return r;
	}
	v->fd = fd;
	v->owner = owner;
	return owner == m->self ? 0 : gvm_stub_begin(v->stub, true);
}

static struct gvm_vcpu *vcpu_of(struct gvm_member *m, unsigned int id)
{
	return id < GVM_VCPUS_MAX && m->vcpu[id].fd >= 0 ? &m->vcpu[id] : NULL;
}

int gvm_member_config(struct gvm_member *m, unsigned int id, const struct gvm_call *call, void *arg)
{
	struct gvm_vcpu *v = vcpu_of(m, id);
	bool stub = v && gvm_stub_active(v->stub);
	int ret, r;

	if (!v)
		return -ENOENT;
	r = stub ? gvm_stub_stop(v->stub) : 0;
	if (r)
		return r;
	ret = gvm_raw_ioctl(v->fd, call->request, arg);
	if (ret < 0)
		ret = -errno;
	else if (call->request == KVM_SET_CPUID2)
		r = gvm_stub_place(v->stub, arg);
	if (stub && !r)
		r = gvm_stub_begin(v->stub, false);
	return r ? r : ret;
}

int gvm_member_complete(struct gvm_member *m, unsigned int id)
{
	struct gvm_vcpu *v = vcpu_of(m, id);

	return v && v->owner == m->self ? gvm_complete(v->fd, v->run, &v->fired) : -ENOENT;
}

int gvm_member_save(struct gvm_member *m, unsigned int id, struct gvm_state *s)
{
	struct gvm_vcpu *v = vcpu_of(m, id);

	return v && v->owner == m->self ? gvm_state_save(m->kvm_fd, v->fd, v->fired, s) : -ENOENT;
}

int gvm_member_load(struct gvm_member *m, unsigned int id, const struct gvm_state *s)
{
	struct gvm_vcpu *v = vcpu_of(m, id);
	int r;

	if (!v || v->owner == m->self)
		return -ENOENT;
	r = gvm_stub_stop(v->stub);
	if (r)
		return r;
	r = gvm_state_load(v->fd, s);
	if (r) {
		if (gvm_stub_begin(v->stub, false))
			gvm_member_end(m, "vCPU %u can be neither moved here nor left a stub", id);
		return r;
	}
	v->run->exit_reason = KVM_EXIT_INTR;	/* no I/O that waits for an answer */
	v->owner = m->self;
	gvm_lanes_drop(m, id);
	return 0;
}

int gvm_member_role(struct gvm_member *m, unsigned int id, unsigned int owner)
{
	struct gvm_vcpu *v = vcpu_of(m, id);
	bool real = v && v->owner == m->self;

	if (!v || owner >= m->nr_members || owner == m->self)
		return -EINVAL;
	v->owner = owner;	/* first: the stub forwards at once */
	gvm_lanes_drop(m, id);
	return real ? gvm_stub_begin(v->stub, false) : 0;
}
