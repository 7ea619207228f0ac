// SPDX-License-Identifier: GPL-2.0
/*
 * Stub vCPUs: how they begin and end. What they do in between is one of two: stub_mailbox.c where
 * the kernel can do that, else stub_program.c; what KVM's answers mean to them is in stub_state.c.
 *
 * When a vCPU moves it becomes a stub here and stops being one there. Its APIC's IRR, pending NMI
 * and INIT are never written in doing so: what arrives at any moment stays where it arrived, and
 * is forwarded from the new stub and taken by the new real vCPU.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm_mailbox.h"
#include "member.h"
#include "raw.h"
#include "state.h"
#include "stub_state.h"
#include "stub_types.h"

#define MSR_X2APIC_SPIV	0x80f
#define MSR_X2APIC_TMICT	0x838
#define MSR_X2APIC_LVTT	0x832	/* to LVTERR, 0x837 */
#define MSR_TSC_DEADLINE	0x6e0
#define NR_LVT		6
#define LVT_MASKED	(1u << 16)
#define NR_CPUID	256
#define APIC_BASE	0xfee00000ull
#define APIC_ENABLED	(1u << 11)
#define APIC_X2APIC	(1u << 10)

void gvm_stub_fail(struct gvm_stub *s, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	s->ops->fail(s->ops->context, s->id, text);
	abort();
}

void gvm_stub_forward(struct gvm_stub *s, const struct gvm_msg_irq *irq)
{
	s->ops->irq(s->ops->context, s->id, irq);
}

int gvm_stub_set_mp_state(struct gvm_stub *s, uint32_t state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return gvm_raw_ioctl(s->fd, KVM_SET_MP_STATE, &mp) ? -errno : 0;
}

/* Nothing of the real vCPU goes on: its timer, its counters, what it was about to take. */
static int quiet(struct gvm_stub *s)
{
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_vcpu_events ev = { 0 };
	unsigned int i;
	int r;

	gvm_state_set_msr(s->fd, MSR_TSC_DEADLINE, 0);	/* not all CPUs have it */
	r = gvm_state_set_msr(s->fd, MSR_X2APIC_TMICT, 0);
	for (i = 0; i < NR_LVT && !r; i++)
		r = gvm_state_set_msr(s->fd, MSR_X2APIC_LVTT + i, LVT_MASKED);
	if (!r && (gvm_raw_ioctl(s->fd, KVM_SET_VCPU_EVENTS, &ev) ||
		   gvm_raw_ioctl(s->fd, KVM_SET_DEBUGREGS, &debug)))
		r = -errno;
	return r;
}

/* After creation, after INIT, after a move. */
int gvm_stub_set_registers(struct gvm_stub *s, bool fresh)
{
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (gvm_raw_ioctl(s->fd, KVM_GET_SREGS, &sregs))
		return -errno;
	s->kind->registers(s, &sregs, &regs);
	memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
	sregs.apic_base = APIC_BASE | APIC_ENABLED | APIC_X2APIC;
	if (gvm_raw_ioctl(s->fd, KVM_SET_SREGS, &sregs) ||
	    gvm_raw_ioctl(s->fd, KVM_SET_REGS, &regs))
		return -errno;
	if (gvm_state_set_msr(s->fd, MSR_X2APIC_SPIV, 0x1ff))
		return -EIO;
	/* A new vCPU gets known to senders by that; later, what has come would be overwritten. */
	if (fresh && (gvm_raw_ioctl(s->fd, KVM_GET_LAPIC, &lapic) ||
		      gvm_raw_ioctl(s->fd, KVM_SET_LAPIC, &lapic)))
		return -errno;
	return 0;
}

static void *stub_main(void *arg)
{
	struct gvm_stub *s = arg;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, GVM_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	do {
		s->kind->once(s);
	} while (!s->stop);
	return NULL;
}

/* What the host can do, which holds x2APIC, until the vCPU's own is known. */
static int set_cpuid(struct gvm_stub *s, int kvm_fd)
{
	struct kvm_cpuid2 *cpuid;
	unsigned int i;
	int r = 0;

	cpuid = calloc(1, sizeof(*cpuid) + NR_CPUID * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = NR_CPUID;
	if (gvm_raw_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
		r = -errno;
	for (i = 0; !r && i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1u << 21;	/* x2APIC */
	s->host_bits = gvm_stub_phys_bits(cpuid);
	if (!r && gvm_raw_ioctl(s->fd, KVM_SET_CPUID2, cpuid))
		r = -errno;
	if (!r)
		r = gvm_stub_place(s, cpuid);
	free(cpuid);
	return r;
}

int gvm_stub_place(struct gvm_stub *s, const struct kvm_cpuid2 *cpuid)
{
	return s->kind->place ? s->kind->place(s, cpuid) : 0;
}

static bool has(int vm_fd, long cap)
{
	return gvm_raw_ioctl(vm_fd, KVM_CHECK_EXTENSION, (void *)cap) > 0;
}

static bool wanted(const char *kind)
{
	const char *want = getenv(GVM_STUB_ENV);

	return !want || !strcmp(want, kind);
}

bool gvm_stub_signals(int vm_fd)
{
	return wanted("eventfd") && has(vm_fd, KVM_CAP_X86_APIC_MAILBOX) &&
	       has(vm_fd, KVM_CAP_X86_MAILBOX_EVENTFD);
}

static const struct gvm_stub_kind *choose(int vm_fd)
{
	bool mailbox = has(vm_fd, KVM_CAP_X86_APIC_MAILBOX), signals = gvm_stub_signals(vm_fd);
	const struct gvm_stub_kind *kind = NULL;
	static atomic_bool said;

	if (signals || (mailbox && wanted(gvm_stub_mailbox.name)))
		kind = &gvm_stub_mailbox;
	else if (wanted(gvm_stub_program.name))
		kind = &gvm_stub_program;
	if (kind && !atomic_exchange(&said, true))
		gvm_log("stubs: %s", signals ? "eventfd" : kind->name);
	return kind;
}

static void log_lacking(void)
{
	const char *want = getenv(GVM_STUB_ENV);
	const char *why = "program, mailbox or eventfd is wanted";

	if (!strcmp(want, gvm_stub_mailbox.name))
		why = "this kernel's KVM has no KVM_CAP_X86_APIC_MAILBOX (patch 0007)";
	else if (!strcmp(want, "eventfd"))
		why = "this kernel's KVM has no KVM_CAP_X86_MAILBOX_EVENTFD (patches 0007, 0008)";
	gvm_log(GVM_STUB_ENV "=%s: %s", want, why);
}

int gvm_stub_create(int kvm_fd, int vm_fd, int vcpu_fd, unsigned int id, struct kvm_run *run,
		    const struct gvm_stub_ops *ops, struct gvm_stub **out)
{
	const struct gvm_stub_kind *kind = choose(vm_fd);
	struct gvm_stub *s;
	int r = 0;

	if (!kind) {
		log_lacking();
		return -EOPNOTSUPP;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct gvm_stub) {
		.kind = kind,
		.vm_fd = vm_fd,
		.fd = vcpu_fd,
		.id = id,
		.run = run,
		.ops = ops,
	};
	if (kind->create)
		r = kind->create(s);
	if (r) {
		free(s);
		return r;
	}
	r = set_cpuid(s, kvm_fd);
	if (r) {
		if (kind->destroy)
			kind->destroy(s);
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

static int start(struct gvm_stub *s)
{
	int r;

	s->stop = false;
	s->run->immediate_exit = 0;
	r = -pthread_create(&s->thread, NULL, stub_main, s);
	s->active = !r;
	return r;
}

int gvm_stub_begin(struct gvm_stub *s, bool fresh)
{
	int r = gvm_stub_set_registers(s, fresh);

	if (!r)
		r = gvm_stub_set_mp_state(s, s->kind->mp_state);
	/* A mailbox first: writing events would hand a pending NMI to the hardware of a vCPU. */
	if (!r && !fresh)
		r = quiet(s);
	return r ? r : start(s);
}

int gvm_stub_stop(struct gvm_stub *s)
{
	s->stop = true;
	s->run->immediate_exit = 1;
	pthread_kill(s->thread, GVM_SIGNAL);
	pthread_join(s->thread, NULL);
	s->active = false;
	s->run->immediate_exit = 0;
	if (!s->in_init)
		return 0;
	if (start(s)) {
		errno = EAGAIN;
		gvm_stub_fail(s, "no thread");
	}
	return -EAGAIN;
}

bool gvm_stub_active(const struct gvm_stub *s)
{
	return s->active;
}
