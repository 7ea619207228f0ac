// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's side of vCPUs that are real on other servers. For the VMM such a vCPU is a file it can
 * map, as KVM's is; each request on it travels over the vCPU's own channel.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"
#include "vmm.h"

struct gvm_remote {
	int fd;			/* the VMM's */
	struct kvm_run *run;	/* what the VMM maps */
	struct gvm_chan *chan;
	pthread_mutex_t lock;	/* one request at a time; protects the rest */
	uint32_t seq;
	bool has_mask;		/* KVM_SET_SIGNAL_MASK was made */
	sigset_t mask;
	struct gvm_packet packet;
};

static struct gvm_remote *remote_of(unsigned int id)
{
	return vmm.m.vcpu[id].private;
}

int gvm_remote_fd(unsigned int id)
{
	struct gvm_remote *r = remote_of(id);

	return r ? r->fd : -1;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static void lost(unsigned int id, int error)
{
	gvm_member_end(&vmm.m, "vCPU %u on member %u: %s", id, vmm.m.vcpu[id].owner,
		       strerror(error));
}

int gvm_remote_create(unsigned int id)
{
	struct gvm_remote *r = calloc(1, sizeof(*r));
	unsigned int owner = vmm.m.vcpu[id].owner;
	int ret;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->fd = memfd_create("gvm-vcpu", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, vmm.m.run_size))
		return -errno;
	r->run = gvm_raw_mmap(NULL, vmm.m.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->run == MAP_FAILED)
		return -ENOMEM;
	ret = gvm_rpc_hello(vmm.conf.member[owner].addr, vmm.conf.member[owner].port,
			    GVM_CHAN_VCPU, 0, id, vmm.conf.vm, &r->chan);
	if (ret)
		return ret;
	vmm.m.vcpu[id].private = r;
	return r->fd;
}

/* Wait for the end of a RUN; the VMM's wish to end it becomes a KICK. */
static int wait_run(unsigned int id, struct gvm_remote *r, uint32_t seq)
{
	sigset_t all, old, *mask = &old;
	bool kicked = false;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r->has_mask)
		mask = &r->mask;
	do {
		/* Looked at with signals blocked: one that comes now ends the wait. */
		if (!kicked && (ret == -EINTR || r->run->immediate_exit)) {
			gvm_member_say(&vmm.m, vmm.m.vcpu[id].owner, GVM_MSG_KICK, id, seq, NULL,
				       0);
			kicked = true;
		}
		ret = gvm_rpc_recv(r->chan, &r->packet, -1, mask);
	} while (ret == -EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static int run(unsigned int id, struct gvm_remote *r)
{
	struct gvm_head head = { .type = GVM_MSG_RUN, .vcpu = id, .seq = ++r->seq };
	struct iovec body = { r->run, GVM_RUN_HEAD };
	ssize_t size = gvm_run_size(r->run);
	struct gvm_packet *p = &r->packet;
	struct iovec data = { 0 };
	int ret;

	if (!head.seq)
		head.seq = ++r->seq;	/* 0 is no RUN */
	if (size > GVM_RUN_HEAD) {
		data.iov_base = (char *)r->run + r->run->io.data_offset;
		data.iov_len = size - GVM_RUN_HEAD;
	}
	ret = gvm_rpc_send(r->chan, &head, &body, &data);
	if (!ret)
		ret = wait_run(id, r, head.seq);
	if (!ret && (p->head.type != GVM_MSG_REPLY || p->head.seq != head.seq ||
		     gvm_run_check(p->data, p->head.len)))
		ret = -EPROTO;
	if (ret)
		lost(id, -ret);
	/* The first bytes are the VMM's: it may set immediate_exit at any time. */
	memcpy((char *)r->run + 8, p->data + 8, GVM_RUN_HEAD - 8);
	if (p->head.len > GVM_RUN_HEAD && r->run->io.data_offset >= GVM_RUN_HEAD &&
	    r->run->io.data_offset + (p->head.len - GVM_RUN_HEAD) <= vmm.m.run_size)
		memcpy((char *)r->run + r->run->io.data_offset, p->data + GVM_RUN_HEAD,
		       p->head.len - GVM_RUN_HEAD);
	return p->head.result < 0 ? fail(-p->head.result) : (int)p->head.result;
}

static int set_mask(struct gvm_remote *r, const struct kvm_signal_mask *m)
{
	r->has_mask = m != NULL;
	if (!m)
		return 0;
	if (m->len > sizeof(r->mask))
		return fail(EINVAL);
	sigemptyset(&r->mask);
	memcpy(&r->mask, m->sigset, m->len);
	return 0;
}

static int forward(unsigned int id, struct gvm_remote *r, const struct gvm_call *call, void *arg)
{
	struct gvm_head head = {
		.type = GVM_MSG_IOCTL,
		.vcpu = id,
		.seq = ++r->seq,
		.request = call->request,
	};
	struct gvm_packet *p = &r->packet;
	ssize_t len;
	int ret;

	len = gvm_call_pack(call, (unsigned long)arg, p->data, sizeof(p->data));
	if (len < 0)
		return fail(-len);
	ret = gvm_rpc_call(r->chan, &head, p->data, len, p, &(int64_t) { 0 });
	if (!ret && p->head.result >= 0)
		ret = gvm_call_unpack(call, (unsigned long)arg, p->data, p->head.len);
	if (ret)
		lost(id, -ret);
	return p->head.result < 0 ? fail(-p->head.result) : (int)p->head.result;
}

static int refuse(const struct gvm_call *call, unsigned long request)
{
	if (!call) {
		gvm_log("%s: unknown KVM request %#lx on a vCPU", vmm.conf.vm, request);
		return fail(ENOTTY);
	}
	gvm_log("%s: %s: %s", vmm.conf.vm, call->name, call->why);
	return fail(call->error);
}

int gvm_remote_ioctl(unsigned int id, unsigned long request, void *arg)
{
	const struct gvm_call *call = gvm_call_find(GVM_SCOPE_VCPU, request);
	struct gvm_remote *r = remote_of(id);
	int ret, saved;

	if (!call || call->route == GVM_ROUTE_REFUSE)
		return refuse(call, request);
	pthread_mutex_lock(&r->lock);
	if (call->request == KVM_RUN)
		ret = run(id, r);
	else if (call->request == KVM_SET_SIGNAL_MASK)
		ret = set_mask(r, arg);
	else
		ret = forward(id, r, call, arg);
	saved = errno;
	pthread_mutex_unlock(&r->lock);
	if (ret >= 0 && call->request == KVM_SET_MSRS && gvm_vmm_has_tsc(arg)) {
		int error = gvm_vmm_sync_tsc();

		if (error)
			return fail(-error);
	}
	errno = saved;
	return ret;
}
