// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs as the VMM has them. One that is real on this server is KVM's own file and page. One that
 * is elsewhere is a file the VMM can map likewise; each request on it travels over a channel to its
 * owner. When it moves, the page the VMM sees is exchanged, at the same address.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kick.h"
#include "mask.h"
#include "raw.h"
#include "remote.h"

#define NR_FEATURES	256

struct gvm_remote *gvm_remote_of(unsigned int id)
{
	return id < GVM_VCPUS_MAX ? vmm.m.vcpu[id].private : NULL;
}

struct kvm_run *gvm_remote_page(unsigned int id)
{
	return vmm.m.vcpu[id].owner ? gvm_remote_of(id)->page : vmm.m.vcpu[id].run;
}

int gvm_remote_fd(unsigned int id)
{
	struct gvm_remote *r = gvm_remote_of(id);

	return r ? r->fd : -1;
}

int gvm_remote_file(unsigned int id)
{
	return vmm.m.vcpu[id].owner ? gvm_remote_of(id)->file : vmm.m.vcpu[id].fd;
}

void gvm_remote_mapped(unsigned int id, void *addr, size_t len)
{
	gvm_remote_of(id)->seen = addr;
	gvm_remote_of(id)->seen_len = len;
}

void gvm_remote_unmapped(void *addr, size_t len)
{
	unsigned int id;

	for (id = 0; id < GVM_VCPUS_MAX; id++) {
		struct gvm_remote *r = gvm_remote_of(id);

		if (r && (char *)r->seen < (char *)addr + len &&
		    (char *)addr < (char *)r->seen + r->seen_len)
			r->seen = NULL;
	}
}

static void lost(unsigned int id, int error)
{
	gvm_member_end(&vmm.m, "vCPU %u on member %u: %s", id, vmm.m.vcpu[id].owner,
		       strerror(error));
}

static int make_file(struct gvm_remote *r)
{
	int fd = memfd_create("gvm-vcpu", MFD_CLOEXEC);
	void *page;

	if (fd < 0)
		return -errno;
	page = MAP_FAILED;
	if (!ftruncate(fd, vmm.m.run_size))
		page = gvm_raw_mmap(NULL, vmm.m.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	r->file = fd;
	r->page = page;
	return 0;
}

int gvm_remote_prepare(unsigned int id, unsigned int member)
{
	struct gvm_remote *r = gvm_remote_of(id);
	struct gvm_msg_peer *p = &vmm.conf.member[member];
	int ret = 0;

	if (!member)
		return 0;
	if (r->file < 0)
		ret = make_file(r);
	if (!ret && !r->chan[member])
		ret = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_VCPU, 0, id, vmm.conf.vm,
				    &r->chan[member]);
	return ret;
}

int gvm_remote_create(unsigned int id)
{
	unsigned int owner = vmm.m.vcpu[id].owner;
	struct gvm_remote *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int ret;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->move_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	r->file = -1;
	vmm.m.vcpu[id].private = r;
	ret = gvm_remote_prepare(id, owner);
	if (ret) {
		vmm.m.vcpu[id].private = NULL;
		free(r);
		return ret;
	}
	r->fd = owner ? r->file : vmm.m.vcpu[id].fd;
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
		if (!kicked && (ret == -EINTR || r->page->immediate_exit)) {
			gvm_member_say(&vmm.m, vmm.m.vcpu[id].owner, GVM_MSG_KICK, id, seq, NULL,
				       0);
			kicked = true;
		}
		ret = gvm_rpc_recv(r->chan[vmm.m.vcpu[id].owner], &r->packet, -1, mask);
	} while (ret == -EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static int run(unsigned int id, struct gvm_remote *r, enum gvm_msg_type type)
{
	struct gvm_head head = { .type = type, .vcpu = id, .seq = gvm_kick_next(r->seq) };
	struct iovec body = { r->page, GVM_RUN_HEAD };
	ssize_t size = gvm_run_size(r->page);
	struct gvm_packet *p = &r->packet;
	struct kvm_run *page = r->page;
	struct iovec data = { 0 };
	int ret;

	r->seq = head.seq;
	if (size > GVM_RUN_HEAD) {
		data.iov_base = (char *)page + page->io.data_offset;
		data.iov_len = size - GVM_RUN_HEAD;
	}
	ret = gvm_rpc_send(r->chan[vmm.m.vcpu[id].owner], &head, &body, &data);
	if (!ret)
		ret = wait_run(id, r, head.seq);
	if (!ret && (p->head.type != GVM_MSG_REPLY || p->head.seq != head.seq ||
		     gvm_run_check(p->data, p->head.len)))
		ret = -EPROTO;
	if (ret)
		lost(id, -ret);
	/* The first bytes are the VMM's: it may set immediate_exit at any time. */
	memcpy((char *)page + 8, p->data + 8, GVM_RUN_HEAD - 8);
	if (p->head.len > GVM_RUN_HEAD && page->io.data_offset >= GVM_RUN_HEAD &&
	    page->io.data_offset + (p->head.len - GVM_RUN_HEAD) <= vmm.m.run_size)
		memcpy((char *)page + page->io.data_offset, p->data + GVM_RUN_HEAD,
		       p->head.len - GVM_RUN_HEAD);
	return p->head.result < 0 ? gvm_fail(-p->head.result) : (int)p->head.result;
}

/* When it left the guest, with errno as it was. */
static int left(struct gvm_remote *r, int ret)
{
	int saved = errno;

	r->left_us = gvm_now_us();
	errno = saved;
	return ret;
}

int gvm_remote_enter(unsigned int id)
{
	struct gvm_remote *r = gvm_remote_of(id);

	r->kicked_us = INT64_MAX;
	if (vmm.m.vcpu[id].owner)
		return left(r, run(id, r, GVM_MSG_RUN));
	return left(r, gvm_raw_ioctl(vmm.m.vcpu[id].fd, KVM_RUN, NULL));
}

static int complete_here(unsigned int id)
{
	int ret = gvm_member_complete(&vmm.m, id), error = gvm_remote_mask(id, true);

	ret = error ?: ret;
	return ret < 0 ? gvm_fail(-ret) : ret;
}

/* A kick must not end it, or it would never be done: gvm_complete() returns soon. */
static int complete_there(unsigned int id, struct gvm_remote *r)
{
	bool kicked = r->page->immediate_exit;
	int ret;

	r->page->immediate_exit = 0;
	ret = run(id, r, GVM_MSG_COMPLETE);
	if (!ret && kicked)
		r->page->immediate_exit = 1;
	return ret;
}

int gvm_remote_complete(unsigned int id)
{
	struct gvm_remote *r = gvm_remote_of(id);

	r->kicked_us = INT64_MAX;
	return left(r, vmm.m.vcpu[id].owner ? complete_there(id, r) : complete_here(id));
}

int gvm_remote_mask(unsigned int id, bool here)
{
	struct gvm_remote *r = gvm_remote_of(id);
	struct {
		struct kvm_signal_mask head;
		unsigned char set[8];	/* the kernel's sigset_t */
	} m = { .head.len = sizeof(m.set) };
	bool set = here && r->has_mask;

	memcpy(m.head.sigset, &r->mask, sizeof(m.set));
	return gvm_raw_ioctl(vmm.m.vcpu[id].fd, KVM_SET_SIGNAL_MASK, set ? &m : NULL) ? -errno : 0;
}

static int set_mask(unsigned int id, struct gvm_remote *r, const struct kvm_signal_mask *m)
{
	int ret = 0;

	if (m && m->len != 8)
		return gvm_fail(EINVAL);
	r->has_mask = m != NULL;
	sigemptyset(&r->mask);
	if (m)
		memcpy(&r->mask, m->sigset, m->len);
	sigdelset(&r->mask, GVM_SIGNAL);
	if (!vmm.m.vcpu[id].owner)
		ret = gvm_remote_mask(id, true);
	return ret ? gvm_fail(-ret) : 0;
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
		return gvm_fail(-len);
	ret = gvm_rpc_call(r->chan[vmm.m.vcpu[id].owner], &head, p->data, len, p,
			   &(int64_t) { 0 });
	if (!ret && p->head.result >= 0)
		ret = gvm_call_unpack(call, (unsigned long)arg, p->data, p->head.len);
	if (ret)
		lost(id, -ret);
	return p->head.result < 0 ? gvm_fail(-p->head.result) : (int)p->head.result;
}

static int refuse(const struct gvm_call *call, unsigned long request)
{
	if (!call) {
		gvm_log("%s: unknown KVM request %#lx on a vCPU", vmm.conf.vm, request);
		return gvm_fail(ENOTTY);
	}
	gvm_log("%s: %s: %s", vmm.conf.vm, call->name, call->why);
	return gvm_fail(call->error);
}

/* What stubs get as well: on the members that are not the owner. */
static void configure_stubs(unsigned int id, const struct gvm_call *call, void *arg)
{
	unsigned int i, at = 0, owner = vmm.m.vcpu[id].owner;
	struct gvm_packet *p = malloc(sizeof(*p));
	ssize_t len = p ? gvm_call_pack(call, (unsigned long)arg, p->data, sizeof(p->data)) : -ENOMEM;
	int64_t r = len < 0 ? len : 0;

	pthread_mutex_lock(&vmm.lock);
	for (i = 0; i < vmm.m.nr_members && r >= 0; i++) {
		struct gvm_head head = {
			.type = GVM_MSG_IOCTL,
			.vcpu = id,
			.request = call->request,
		};

		if (i == owner)
			continue;
		at = i;
		if (!i)
			r = gvm_member_config(&vmm.m, id, call, arg);
		else
			r = gvm_vmm_call(i, &head, p->data, len);
	}
	pthread_mutex_unlock(&vmm.lock);
	free(p);
	if (r < 0)
		gvm_member_end(&vmm.m, "member %u: %s of vCPU %u: %s", at, call->name, id,
			       strerror(-r));
}

/*
 * MSRs that are features stay what they are once a vCPU has run. A stub gets them when the vCPU does,
 * before either runs, or the vCPU could not be moved to it.
 */
static void features_to_stubs(unsigned int id, const struct gvm_call *call, const struct kvm_msrs *arg,
			      unsigned int nr)
{
	struct {
		struct kvm_msr_list head;
		uint32_t index[NR_FEATURES];
	} list = { .head.nmsrs = NR_FEATURES };
	struct kvm_msrs *m = malloc(sizeof(*m) + nr * sizeof(m->entries[0]));

	if (!m || gvm_raw_ioctl(vmm.m.kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &list))
		gvm_member_end(&vmm.m, "features of vCPU %u: %s", id, strerror(errno));
	m->nmsrs = nr;
	memcpy(m->entries, arg->entries, nr * sizeof(m->entries[0]));
	gvm_mask_features(m, &list.head);
	if (m->nmsrs)
		configure_stubs(id, call, m);
	free(m);
}

/* On this server KVM itself knows what it can do. */
static int local(unsigned int id, const struct gvm_call *call, unsigned long request, void *arg)
{
	int ret;

	if (!call || !call->all)
		return gvm_raw_ioctl(vmm.m.vcpu[id].fd, request, arg);
	ret = gvm_member_config(&vmm.m, id, call, arg);
	return ret < 0 ? gvm_fail(-ret) : ret;
}

static int request_on(unsigned int id, const struct gvm_call *call, unsigned long request,
		      void *arg)
{
	struct gvm_remote *r = gvm_remote_of(id);
	int ret;

	if (call && call->request == KVM_RUN)
		return gvm_moving_run(id);
	if (call && call->request == KVM_SET_SIGNAL_MASK)
		return set_mask(id, r, arg);
	if (vmm.m.vcpu[id].owner && (!call || call->route == GVM_ROUTE_REFUSE))
		return refuse(call, request);
	if (vmm.m.vcpu[id].owner)
		ret = forward(id, r, call, arg);
	else
		ret = local(id, call, request, arg);
	if (ret >= 0 && call && call->all)
		configure_stubs(id, call, arg);
	if (ret > 0 && call && call->request == KVM_SET_MSRS && !r->tid)
		features_to_stubs(id, call, arg, ret);
	return ret;
}

int gvm_remote_ioctl(unsigned int id, unsigned long request, void *arg)
{
	const struct gvm_call *call = gvm_call_find(GVM_SCOPE_VCPU, request);
	struct gvm_remote *r = gvm_remote_of(id);
	int ret, saved;

	pthread_mutex_lock(&r->lock);
	ret = request_on(id, call, request, arg);
	saved = errno;
	pthread_mutex_unlock(&r->lock);
	if (ret >= 0 && call && call->request == KVM_SET_MSRS && gvm_time_is_written(arg)) {
		int error = gvm_time_sync();

		if (error)
			return gvm_fail(-error);
	}
	errno = saved;
	return ret;
}
