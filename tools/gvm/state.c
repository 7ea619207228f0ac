// SPDX-License-Identifier: GPL-2.0
/*
 * The order of writing is that of QEMU's kvm_arch_put_registers(): segments before registers, CPUID
 * (which all members have) before MSRs, events before the MP state. The APIC is written register by
 * register: KVM_SET_LAPIC would overwrite interrupts that arrive. Its timer is last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mask.h"
#include "member.h"
#include "raw.h"
#include "state.h"

#define MSR_TSC			0x10
#define MSR_MCG_CAP		0x179
#define MSR_MC0			0x400	/* four a bank */
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC		0x800
#define NR_LIST			1024
#define NR_BATCH		255
#define KEEP_EVENTS	(KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_PAYLOAD |	\
			 KVM_VCPUEVENT_VALID_TRIPLE_FAULT)

/* Registers of the APIC that may be written as MSRs, in this order. */
static const unsigned int apic_regs[] = {
	0x0f0,					/* SPIV: without it LVTs stay masked */
	0x080,					/* TPR */
	0x3e0,					/* timer's divisor */
	0x320, 0x330, 0x340, 0x350, 0x360, 0x370,	/* LVTs */
};

#define APIC_TMICT	0x380

/* Those that KVM_GET_MSR_INDEX_LIST leaves out: PAT, MTRRs. */
static const uint32_t more_msrs[] = {
	0x277, 0x2ff, 0x250, 0x258, 0x259,
	0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207,
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
};

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[NR_BATCH];
};

static int get_msr(int fd, uint32_t index, uint64_t *data)
{
	struct msrs m = { .head.nmsrs = 1, .entry[0].index = index };

	if (gvm_raw_ioctl(fd, KVM_GET_MSRS, &m) != 1)
		return -ENOENT;
	*data = m.entry[0].data;
	return 0;
}

int gvm_state_set_msr(int fd, uint32_t index, uint64_t data)
{
	struct msrs m = { .head.nmsrs = 1, .entry[0] = { .index = index, .data = data } };
	int r = gvm_raw_ioctl(fd, KVM_SET_MSRS, &m);

	return r == 1 ? 0 : r < 0 ? -errno : -EIO;
}

/*
 * Read up to NR_BATCH of them. KVM stops at the first it does not have, which is dropped.
 * Returns how many were read, or -errno, and, in *nr, how many are left.
 */
static int read_batch(int fd, struct kvm_msr_entry *e, unsigned int *nr)
{
	unsigned int n = *nr < NR_BATCH ? *nr : NR_BATCH;
	struct msrs m = { .head.nmsrs = n };
	int got;

	memcpy(m.entry, e, n * sizeof(*e));
	got = gvm_raw_ioctl(fd, KVM_GET_MSRS, &m);
	if (got < 0)
		return -errno;
	memcpy(e, m.entry, got * sizeof(*e));
	*nr -= got;
	if ((unsigned int)got < n) {
		(*nr)--;
		memmove(e + got, e + got + 1, *nr * sizeof(*e));
	}
	return got;
}

static bool wanted(uint32_t index)
{
	return index != MSR_TSC && index != MSR_TSC_DEADLINE && gvm_mask_msr_ok(index);
}

static void add_msr(struct gvm_state *s, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < s->nr_msrs; i++)
		if (s->msr[i].index == index)
			return;
	if (s->nr_msrs < GVM_STATE_MSRS && wanted(index))
		s->msr[s->nr_msrs++] = (struct kvm_msr_entry) { .index = index };
}

static int list_msrs(int kvm_fd, int fd, struct gvm_state *s)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + NR_LIST * sizeof(list->indices[0]));
	uint64_t cap = 0;
	unsigned int i;
	int r = 0;

	if (!list)
		return -ENOMEM;
	list->nmsrs = NR_LIST;
	if (gvm_raw_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list))
		r = -errno;
	s->nr_msrs = 0;
	for (i = 0; !r && i < list->nmsrs; i++)
		add_msr(s, list->indices[i]);
	for (i = 0; i < sizeof(more_msrs) / sizeof(more_msrs[0]); i++)
		add_msr(s, more_msrs[i]);
	get_msr(fd, MSR_MCG_CAP, &cap);
	for (i = 0; i < 4 * (cap & 0xff); i++)
		add_msr(s, MSR_MC0 + i);
	free(list);
	return r;
}

/* All of them that are here. Returns how many, or -errno. */
static int read_msrs(int fd, struct kvm_msr_entry *e, unsigned int nr)
{
	int got = 0, r;

	while (nr) {
		r = read_batch(fd, e + got, &nr);
		if (r < 0)
			return r;
		got += r;
	}
	return got;
}

static int save_msrs(int kvm_fd, int fd, struct gvm_state *s)
{
	int r = list_msrs(kvm_fd, fd, s);

	if (!r)
		r = read_msrs(fd, s->msr, s->nr_msrs);
	if (r < 0)
		return r;
	s->nr_msrs = r;
	return 0;
}

int gvm_state_tsc(int fd, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return gvm_raw_ioctl(fd, request, &attr) ? -errno : 0;
}

int gvm_state_save(int kvm_fd, int fd, bool fired, struct gvm_state *s)
{
	struct kvm_mp_state mp;

	memset(s, 0, sizeof(*s));
	/* First: it takes an INIT that has come, which changes the rest. */
	if (gvm_raw_ioctl(fd, KVM_GET_MP_STATE, &mp))
		return -errno;
	s->mp_state = mp.mp_state;
	if (gvm_raw_ioctl(fd, KVM_GET_REGS, &s->regs) ||
	    gvm_raw_ioctl(fd, KVM_GET_SREGS2, &s->sregs) ||
	    gvm_raw_ioctl(fd, KVM_GET_XSAVE, &s->xsave) ||
	    gvm_raw_ioctl(fd, KVM_GET_LAPIC, &s->lapic) ||
	    gvm_raw_ioctl(fd, KVM_GET_VCPU_EVENTS, &s->events) ||
	    gvm_raw_ioctl(fd, KVM_GET_DEBUGREGS, &s->debug))
		return -errno;
	if (gvm_raw_ioctl(fd, KVM_GET_XCRS, &s->xcrs))
		s->xcrs.nr_xcrs = 0;	/* a host without XSAVE */
	if (gvm_state_ran_out(&s->lapic) && !fired)
		gvm_state_fire_again(&s->lapic);
	if (gvm_state_busy(s))
		return -EAGAIN;
	get_msr(fd, MSR_TSC_DEADLINE, &s->tsc_deadline);
	return gvm_state_tsc(fd, KVM_GET_DEVICE_ATTR, &s->tsc_offset) ?: save_msrs(kvm_fd, fd, s);
}

/* Only what differs: some cannot be written, and need not. One that is not here is 0. */
static int load_msrs(int fd, const struct gvm_state *s)
{
	struct kvm_msr_entry *now = calloc(s->nr_msrs + 1, sizeof(*now));
	int got, k = 0, r;
	unsigned int i;

	if (!now)
		return -ENOMEM;
	for (i = 0; i < s->nr_msrs; i++)
		now[i].index = s->msr[i].index;
	got = read_msrs(fd, now, s->nr_msrs);
	r = got < 0 ? got : 0;
	for (i = 0; !r && i < s->nr_msrs; i++) {
		bool here = k < got && now[k].index == s->msr[i].index;

		if ((here ? now[k].data : 0) != s->msr[i].data)
			r = gvm_state_set_msr(fd, s->msr[i].index, s->msr[i].data);
		k += here;
		if (r)
			gvm_log("MSR %#x cannot be set to %#llx here", s->msr[i].index,
				(unsigned long long)s->msr[i].data);
	}
	free(now);
	return r;
}

static int load_apic(int fd, const struct gvm_state *s)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < sizeof(apic_regs) / sizeof(apic_regs[0]) && !r; i++)
		r = gvm_state_set_msr(fd, MSR_X2APIC + (apic_regs[i] >> 4),
			    gvm_state_reg(&s->lapic, apic_regs[i]));
	return r;
}

static int load_timer(int fd, const struct gvm_state *s)
{
	uint32_t count = gvm_state_timer(&s->lapic);

	if (s->tsc_deadline)
		return gvm_state_set_msr(fd, MSR_TSC_DEADLINE, s->tsc_deadline);
	return count ? gvm_state_set_msr(fd, MSR_X2APIC + (APIC_TMICT >> 4), count) : 0;
}

int gvm_state_load(int fd, const struct gvm_state *s)
{
	struct kvm_mp_state mp = { .mp_state = s->mp_state };
	struct kvm_vcpu_events events = s->events;
	uint64_t offset = s->tsc_offset;
	int r;

	events.flags &= KEEP_EVENTS;
	if (gvm_raw_ioctl(fd, KVM_SET_SREGS2, (void *)&s->sregs) ||
	    gvm_raw_ioctl(fd, KVM_SET_REGS, (void *)&s->regs) ||
	    gvm_raw_ioctl(fd, KVM_SET_XSAVE, (void *)&s->xsave) ||
	    (s->xcrs.nr_xcrs && gvm_raw_ioctl(fd, KVM_SET_XCRS, (void *)&s->xcrs)))
		return -errno;
	r = load_msrs(fd, s);
	if (!r)
		r = gvm_state_tsc(fd, KVM_SET_DEVICE_ATTR, &offset);
	if (!r)
		r = load_apic(fd, s);
	if (r)
		return r;
	if (gvm_raw_ioctl(fd, KVM_SET_VCPU_EVENTS, &events) ||
	    gvm_raw_ioctl(fd, KVM_SET_MP_STATE, &mp) ||
	    gvm_raw_ioctl(fd, KVM_SET_DEBUGREGS, (void *)&s->debug))
		return -errno;
	return load_timer(fd, s);
}
