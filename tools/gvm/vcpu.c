// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs that are real on this server, or once were, and whose VMM is on another.
 *
 * Which RUN a KICK ends is decided in kick.c.
 *
 * The gate keeps vCPUs out of the guest while slots change: who closes it sets immediate_exit
 * and signals until the last one is out. A RUN that was interrupted for that begins again here.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "kick.h"
#include "raw.h"

struct served {
	unsigned int id;
	struct gvm_vcpu *v;
	struct gvm_chan *chan;
	pthread_t thread;
	pthread_mutex_t lock;
	struct gvm_kick kick;	/* protected by it */
	struct gvm_packet packet;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int closed;
	unsigned int inside;
} gate;

void gvm_child_gate_init(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&gate.lock, NULL);
	pthread_cond_init(&gate.changed, &attr);
}

static void gate_enter(void)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.closed)
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.inside++;
	pthread_mutex_unlock(&gate.lock);
}

static void gate_leave(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.inside--;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Called with s->lock held. */
static void push_out(struct served *s)
{
	s->v->run->immediate_exit = 1;
	pthread_kill(s->thread, GVM_SIGNAL);
}

static void push_all_out(void)
{
	struct served *s;
	unsigned int i;

	for (i = 0; i < GVM_VCPUS_MAX; i++) {
		s = child.m.vcpu[i].private;
		if (!s)
			continue;
		pthread_mutex_lock(&s->lock);
		if (s->kick.inside)
			push_out(s);
		pthread_mutex_unlock(&s->lock);
	}
}

void gvm_child_pause(void)
{
	struct timespec until;

	pthread_mutex_lock(&gate.lock);
	gate.closed++;
	while (gate.inside) {
		pthread_mutex_unlock(&gate.lock);
		push_all_out();
		pthread_mutex_lock(&gate.lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 2000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (gate.inside)
			pthread_cond_timedwait(&gate.changed, &gate.lock, &until);
	}
	pthread_mutex_unlock(&gate.lock);
}

void gvm_child_resume(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed--;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

void gvm_child_kick(struct gvm_member *m, unsigned int vcpu, uint32_t seq)
{
	struct served *s = vcpu < GVM_VCPUS_MAX ? m->vcpu[vcpu].private : NULL;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	if (gvm_kick_came(&s->kick, seq))
		push_out(s);
	pthread_mutex_unlock(&s->lock);
}

/* One KVM_RUN. Returns true if it is to be called again: nobody but the gate ended it. */
static bool run_once(struct served *s, uint32_t seq, bool complete, bool immediate, int *result)
{
	bool again;

	gate_enter();
	pthread_mutex_lock(&s->lock);
	s->v->run->immediate_exit = gvm_kick_enter(&s->kick, seq) || immediate;
	pthread_mutex_unlock(&s->lock);

	if (complete)
		*result = gvm_member_complete(&child.m, s->id);
	else
		*result = gvm_raw_ioctl(s->v->fd, KVM_RUN, NULL) ? -errno : 0;

	pthread_mutex_lock(&s->lock);
	again = gvm_kick_leave(&s->kick, *result == -EINTR && !complete && !immediate);
	pthread_mutex_unlock(&s->lock);
	gate_leave();
	return again;
}

static int serve_run(struct served *s)
{
	struct gvm_packet *p = &s->packet;
	struct gvm_head head = {
		.type = GVM_MSG_REPLY,
		.vcpu = s->id,
		.seq = p->head.seq,
	};
	struct kvm_run *in = (void *)p->data, *run = s->v->run;
	struct iovec body = { run, GVM_RUN_HEAD };
	struct iovec data = { 0 };
	bool complete = p->head.type == GVM_MSG_COMPLETE;
	int result;
	size_t len;

	if (gvm_run_check(p->data, p->head.len) || s->v->owner != child.m.self)
		return -EPROTO;
	/* What the VMM answers to the last exit; where its data goes is this side's to say. */
	len = gvm_run_size(run) - GVM_RUN_HEAD;
	if (p->head.len - GVM_RUN_HEAD != len)
		return -EPROTO;
	if (len)
		memcpy((char *)run + run->io.data_offset, p->data + GVM_RUN_HEAD, len);
	if (run->exit_reason == KVM_EXIT_MMIO)
		memcpy(run->mmio.data, in->mmio.data, sizeof(run->mmio.data));
	else if (run->exit_reason == KVM_EXIT_X86_RDMSR || run->exit_reason == KVM_EXIT_X86_WRMSR)
		memcpy(&run->msr, &in->msr, sizeof(run->msr));
	else if (run->exit_reason == KVM_EXIT_HYPERCALL)
		memcpy(&run->hypercall, &in->hypercall, sizeof(run->hypercall));
	run->request_interrupt_window = in->request_interrupt_window;
	run->cr8 = in->cr8;

	while (run_once(s, p->head.seq, complete, in->immediate_exit, &result))
		;
	head.result = result;
	data.iov_len = gvm_run_size(run) - GVM_RUN_HEAD;
	if (data.iov_len)
		data.iov_base = (char *)run + run->io.data_offset;
	return gvm_rpc_send(s->chan, &head, &body, &data);
}

static int serve(struct served *s)
{
	struct gvm_packet *p = &s->packet;
	int64_t result;
	size_t len;

	switch (p->head.type) {
	case GVM_MSG_RUN:
	case GVM_MSG_COMPLETE:
		return serve_run(s);
	case GVM_MSG_IOCTL:
		result = gvm_child_ioctl(s->id, p, &len);
		return gvm_rpc_reply(s->chan, &p->head, result, p->data, len);
	case GVM_MSG_SAVE:
		result = gvm_member_save(&child.m, s->id, (void *)p->data);
		len = result && result != -EAGAIN ? 0 : sizeof(struct gvm_state);
		return gvm_rpc_reply(s->chan, &p->head, result, p->data, len);
	case GVM_MSG_LOAD:
		result = gvm_member_load(&child.m, s->id, (void *)p->data);
		return gvm_rpc_reply(s->chan, &p->head, result, NULL, 0);
	default:
		return -EPROTO;
	}
}

static void *served_main(void *arg)
{
	struct served *s = arg;
	int r;

	for (;;) {
		r = gvm_rpc_recv(s->chan, &s->packet, -1, NULL);
		if (r == -EINTR)
			continue;
		if (!r)
			r = serve(s);
		if (r)
			gvm_member_end(&child.m, "vCPU %u: %s", s->id, strerror(-r));
	}
	return NULL;
}

int gvm_child_vcpu(unsigned int id, struct gvm_chan *c)
{
	struct gvm_vcpu *v = id < GVM_VCPUS_MAX ? &child.m.vcpu[id] : NULL;
	struct served *s;

	if (!v || v->fd < 0 || v->private)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->id = id;
	s->v = v;
	s->chan = c;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_lock(&s->lock);
	v->private = s;
	if (pthread_create(&s->thread, NULL, served_main, s))
		gvm_member_end(&child.m, "no thread for vCPU %u", id);
	pthread_mutex_unlock(&s->lock);
	return 0;
}
