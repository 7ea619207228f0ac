// SPDX-License-Identifier: GPL-2.0
/*
 * Member 0: what the VMM asks of /dev/kvm.
 *
 * What KVM can do is what it can do on all servers. Before there is a VM no other server is known,
 * and the answer is this one's.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "mask.h"
#include "raw.h"
#include "vmm.h"

#define CAPS_MAX	1024

/* What the other members said, met: asked for once. Under vmm.lock. */
static struct {
	bool known;
	int value;
} others[CAPS_MAX];

static int64_t ask(unsigned int member, const struct gvm_call *call, const void *payload, size_t len)
{
	struct gvm_head head = {
		.type = GVM_MSG_IOCTL,
		.vcpu = GVM_NO_VCPU,
		.request = call->request,
	};

	return gvm_vmm_call(member, &head, payload, len);
}

static void meet(uint32_t request, void *mine, const void *other)
{
	switch (request) {
	case KVM_GET_SUPPORTED_CPUID:
		gvm_mask_cpuid_meet(mine, other);
		break;
	case KVM_GET_MSRS:
		gvm_mask_features_meet(mine, other);
		break;
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		*(uint64_t *)mine &= *(const uint64_t *)other;
		break;
	default:
		gvm_mask_msrs_meet(mine, other);
	}
}

/*
 * What the others answer to @question, met with what this server did: @mine and @result. Returns
 * what the request returns: -errno, or the lowest of all results. The lock is held.
 */
static int meet_others(uint32_t request, const void *question, void *mine, int result)
{
	const struct gvm_call *call = gvm_call_find(GVM_SCOPE_SYSTEM, request);
	ssize_t size = gvm_call_size(call, question);
	void *other = size < 0 ? NULL : malloc(size);
	int64_t r;

	if (!other)
		return size < 0 ? size : -ENOMEM;
	for (unsigned int i = 1; i < vmm.m.nr_members && result >= 0; i++) {
		memcpy(other, question, size);
		r = ask(i, call, other, call->in ? size : 0);
		if (r >= 0 && (!vmm.reply.head.len ||
			       gvm_call_unpack(call, (unsigned long)other, vmm.reply.data,
					       vmm.reply.head.len)))
			gvm_member_end(&vmm.m, "member %u: malformed answer to %s", i, call->name);
		if (r >= 0)
			meet(request, mine, other);
		if (r < result)
			result = r;
	}
	free(other);
	return result;
}

/* A list that is asked for with the room there is and begins with that, as a uint32_t. */
static int meet_list(uint32_t request, void *mine)
{
	uint32_t *question = calloc(1, GVM_ABI_PAYLOAD_MAX);
	int r;

	if (!question)
		return -ENOMEM;
	question[0] = gvm_call_find(GVM_SCOPE_SYSTEM, request)->elem_max;
	r = meet_others(request, question, mine, 0);
	free(question);
	return r;
}

/* The lock is held. */
static int meet_extension(long cap, int mine)
{
	const struct gvm_call *call = gvm_call_find(GVM_SCOPE_VM, KVM_CHECK_EXTENSION);
	uint64_t payload = cap;
	int64_t r;

	if (cap < 0 || cap >= CAPS_MAX)
		return mine;
	if (!others[cap].known) {
		others[cap].value = INT_MAX;
		for (unsigned int i = 1; i < vmm.m.nr_members; i++) {
			r = ask(i, call, &payload, sizeof(payload));
			others[cap].value = gvm_mask_extension_meet(cap, others[cap].value, r);
		}
		others[cap].known = true;
	}
	return gvm_mask_extension_meet(cap, mine, others[cap].value);
}

int gvm_vmm_extension(int fd, long cap)
{
	int value = gvm_raw_ioctl(fd, KVM_CHECK_EXTENSION, (void *)cap);

	if (value < 0)
		return value;
	if (value && gvm_vmm_active())
		value = meet_extension(cap, value);
	if ((cap == KVM_CAP_NR_VCPUS || cap == KVM_CAP_MAX_VCPUS) && value < GVM_VCPUS_MAX)
		return GVM_VCPUS_MAX;
	return gvm_mask_extension(cap, value);
}

static int supported_cpuid(int fd, struct kvm_cpuid2 *arg)
{
	int r = gvm_raw_ioctl(fd, KVM_GET_SUPPORTED_CPUID, arg);

	if (r < 0)
		return r;
	gvm_mask_cpuid(arg);
	r = gvm_vmm_active() ? meet_list(KVM_GET_SUPPORTED_CPUID, arg) : 0;
	return r < 0 ? gvm_fail(-r) : 0;
}

static int msr_list(int fd, uint32_t request, struct kvm_msr_list *list)
{
	unsigned int i, nr = 0;
	int r = gvm_raw_ioctl(fd, request, list);

	if (r < 0)
		return r;
	for (i = 0; i < list->nmsrs; i++)
		if (gvm_mask_msr_ok(list->indices[i]))
			list->indices[nr++] = list->indices[i];
	list->nmsrs = nr;
	r = gvm_vmm_active() ? meet_list(request, list) : 0;
	return r < 0 ? gvm_fail(-r) : 0;
}

/* Values that are features. KVM_GET_MSRS is a request to vCPUs as well, of a second VM. */
static int features(int fd, uint32_t request, void *arg)
{
	int r = gvm_raw_ioctl(fd, request, arg);

	if (r < 0 || !gvm_vmm_active() ||
	    gvm_raw_ioctl(fd, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
		return r;
	r = meet_others(request, arg, arg, r);
	return r < 0 ? gvm_fail(-r) : r;
}

static int system_request(int fd, unsigned long request, void *arg)
{
	switch ((uint32_t)request) {
	case KVM_CREATE_VM:
		return gvm_vmm_create(fd, (unsigned long)arg);
	case KVM_CHECK_EXTENSION:
		return gvm_vmm_extension(fd, (long)arg);
	case KVM_GET_SUPPORTED_CPUID:
		return supported_cpuid(fd, arg);
	case KVM_GET_MSR_INDEX_LIST:
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return msr_list(fd, request, arg);
	case KVM_GET_MSRS:
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		return features(fd, request, arg);
	default:
		return gvm_raw_ioctl(fd, request, arg);
	}
}

int gvm_vmm_system(int fd, unsigned long request, void *arg)
{
	int r, saved;

	pthread_mutex_lock(&vmm.lock);
	r = system_request(fd, request, arg);
	saved = errno;
	pthread_mutex_unlock(&vmm.lock);
	errno = saved;
	return r;
}
