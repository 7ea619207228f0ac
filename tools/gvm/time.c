// SPDX-License-Identifier: GPL-2.0
/*
 * One TSC for all vCPUs: that of the first one, on the VMM's server.
 *
 * A vCPU of another server gets the first one's offset, less what that server's counter is ahead.
 * A thread goes on to measure that, and has the offsets there corrected (clock.c says when), with
 * the vCPUs out of the guest, and for long enough that none sees its TSC go back.
 *
 * Between servers time cannot be seen to go back either as long as the error is below what a page
 * takes from one to the other, of which the bound is about the half round trip that was measured.
 *
 * Locking: time_lock, then vmm.lock, then a link's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "raw.h"
#include "state.h"
#include "vmm.h"

#define MSR_TSC		0x10
#define SAMPLES		40
#define WAIT_MS		3000
#define PERIOD_US	250000

/* Held while a vCPU's offset is on its way from one server to another, and while offsets change. */
static pthread_mutex_t time_lock = PTHREAD_MUTEX_INITIALIZER;

void gvm_time_lock(void)
{
	pthread_mutex_lock(&time_lock);
}

void gvm_time_unlock(void)
{
	pthread_mutex_unlock(&time_lock);
}

int64_t gvm_time_ahead(unsigned int member)
{
	return member ? gvm_member_clock(&vmm.m, member).applied : 0;
}

int gvm_time_begin(unsigned int member)
{
	struct gvm_link *l = &vmm.m.link[member];
	int64_t deadline = gvm_now_ms() + WAIT_MS;
	struct gvm_clock c = gvm_member_clock(&vmm.m, member);
	unsigned int want = c.samples;

	while (c.samples < SAMPLES && gvm_now_ms() < deadline) {
		if (c.samples >= want) {
			gvm_member_ping(&vmm.m, member);
			want = c.samples + 1;
		}
		usleep(50);
		c = gvm_member_clock(&vmm.m, member);
	}
	if (!c.samples)
		return -ETIMEDOUT;
	pthread_mutex_lock(&l->lock);
	gvm_clock_apply(&l->clock, __rdtsc());
	c = l->clock;
	pthread_mutex_unlock(&l->lock);
	gvm_log("%s: member %u's TSC is ahead by %lld, error at most %llu ticks", vmm.conf.vm,
		member, (long long)c.applied, (unsigned long long)gvm_clock_error(&c, c.at));
	return 0;
}

/* Return: 0 or -errno of the member. */
static int correct(unsigned int member, int64_t by)
{
	struct gvm_head head = { .type = GVM_MSG_DRIFT, .vcpu = GVM_NO_VCPU };
	struct gvm_msg_drift msg = { .ticks = -by };
	int r;

	pthread_mutex_lock(&vmm.lock);
	r = gvm_vmm_call(member, &head, &msg, sizeof(msg));
	pthread_mutex_unlock(&vmm.lock);
	return r;
}

static void keep(unsigned int member)
{
	static unsigned int jumps_told[GVM_MEMBERS_MAX];
	struct gvm_link *l = &vmm.m.link[member];
	struct gvm_clock c;
	int64_t by;
	int r;

	gvm_member_ping(&vmm.m, member);
	c = gvm_member_clock(&vmm.m, member);
	/* One of another frequency jumps all the time. */
	if (c.jumps != jumps_told[member] && !(c.jumps & (c.jumps - 1)))
		gvm_log("%s: member %u's TSC jumped, or runs at a rate of its own (%u times)",
			vmm.conf.vm, member, c.jumps);
	jumps_told[member] = c.jumps;
	by = gvm_clock_correction(&c, __rdtsc());
	if (!by || pthread_mutex_trylock(&time_lock))
		return;
	r = correct(member, by);
	if (r)
		gvm_member_end(&vmm.m, "TSC of member %u: %s", member, strerror(-r));
	pthread_mutex_lock(&l->lock);
	gvm_clock_corrected(&l->clock, by);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&time_lock);
}

static void *keeper(void *arg)
{
	(void)arg;
	for (;;) {
		for (unsigned int i = 1; i < vmm.m.nr_members; i++)
			keep(i);
		usleep(PERIOD_US);
	}
	return NULL;
}

int gvm_time_start(void)
{
	pthread_t t;

	return vmm.m.nr_members > 1 ? gvm_member_thread(&t, keeper, NULL) : 0;
}

size_t gvm_time_status(char *text, size_t size)
{
	int khz = gvm_raw_ioctl(vmm.m.vcpu[vmm.first_vcpu].fd, KVM_GET_TSC_KHZ, NULL);
	size_t len = 0;

	for (unsigned int i = 1; i < vmm.m.nr_members && len < size; i++) {
		struct gvm_clock c = gvm_member_clock(&vmm.m, i);
		uint64_t error = gvm_clock_error(&c, __rdtsc());

		len += snprintf(text + len, size - len,
				"%sserver %u: TSC %+lld ticks, error at most %.1f us",
				i > 1 ? "; " : "", i, (long long)c.applied,
				khz > 0 ? error * 1000.0 / khz : 0.0);
		if (len < size)
			len += snprintf(text + len, size - len,
					", rate %+lld to %+lld ppb, %u corrections, %u jumps",
					(long long)c.rate.lo, (long long)c.rate.hi, c.corrections,
					c.jumps);
	}
	return len < size ? len : size - 1;
}

/* -- when the VMM writes a TSC */

bool gvm_time_is_written(const struct kvm_msrs *msrs)
{
	unsigned int i;

	for (i = 0; i < msrs->nmsrs; i++)
		if (msrs->entries[i].index == MSR_TSC)
			return true;
	return false;
}

static int remote_tsc(unsigned int id, uint64_t offset)
{
	unsigned int owner = vmm.m.vcpu[id].owner;
	struct gvm_head head = { .type = GVM_MSG_TSC, .vcpu = id };
	struct gvm_msg_tsc msg = { .offset = offset - gvm_time_ahead(owner) };

	return gvm_vmm_call(owner, &head, &msg, sizeof(msg));
}

int gvm_time_sync(void)
{
	unsigned int i, id;
	uint64_t offset;
	int r;

	pthread_mutex_lock(&time_lock);
	pthread_mutex_lock(&vmm.lock);
	id = vmm.first_vcpu;
	r = gvm_state_tsc(vmm.m.vcpu[id].fd, KVM_GET_DEVICE_ATTR, &offset);
	for (i = 0; i < GVM_VCPUS_MAX && !r; i++) {
		id = i;
		if (vmm.m.vcpu[id].fd < 0 || id == vmm.first_vcpu)
			continue;
		if (vmm.m.vcpu[id].owner)
			r = remote_tsc(id, offset);
		else
			r = gvm_state_tsc(vmm.m.vcpu[id].fd, KVM_SET_DEVICE_ATTR, &offset);
	}
	pthread_mutex_unlock(&vmm.lock);
	pthread_mutex_unlock(&time_lock);
	if (r)
		gvm_log("%s: TSC of vCPU %u: %s", vmm.conf.vm, id, strerror(-r));
	return r;
}
