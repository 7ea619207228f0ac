// SPDX-License-Identifier: GPL-2.0
/*
 * Stub vCPUs.
 *
 * IDLE: MP_STATE is UNINITIALIZED, in which KVM_RUN blocks and never enters the guest, not in
 * SMM. KVM_RUN returns EAGAIN when INIT (and SIPI) has been accepted, or when an interrupt could
 * be delivered.
 *
 * DRAIN: runnable and in SMM, the stub's program (image.c) reports each vector by a port
 * write, then that it is idle. SMM, because an INIT is then held back instead of acted on, and
 * because SMM's address space has room for the program that the guest does not see. An INIT that
 * comes in the few instructions between IDLE and DRAIN, while there is an interrupt to drain,
 * would be lost: KVM has no way to enter SMM that leaves the latch alone. Nobody sends interrupts
 * to a CPU that he is about to reset.
 *
 * WAIT_SIPI: KVM_RUN would go on into the guest at SIPI, so MP_STATE is polled instead.
 *
 * When a vCPU moves it becomes a stub here and stops being one there. Its APIC's IRR, pending NMI
 * and INIT are never written in doing so: what arrives at any moment stays where it arrived, and
 * is forwarded from the new stub and taken by the new real vCPU.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "raw.h"
#include "state.h"
#include "stub.h"

#define SMM_SPACE	(1u << 16)
#define POLL_FIRST_US	100
#define POLL_LAST_US	2000
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
#define APIC_TMR	0x180
#define MODE_FIXED	0
#define MODE_NMI	4
#define MODE_INIT	5
#define MODE_SIPI	6

struct gvm_stub {
	int vm_fd;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	const struct gvm_stub_ops *ops;
	pthread_t thread;
	atomic_bool stop;
	bool active;		/* the thread runs */
	bool in_init;		/* an INIT was forwarded, its SIPI was not */
	unsigned int host_bits;	/* of physical addresses */
	bool smm;
	void *image;
	size_t size;
	uint64_t gpa;
	uint32_t slot;
};

static void fail(struct gvm_stub *s, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	s->ops->fail(s->ops->context, s->id, text);
	abort();
}

static void forward(struct gvm_stub *s, unsigned int mode, unsigned int vector, bool level)
{
	struct gvm_msg_irq irq = { .vector = vector, .mode = mode, .level = level };

	s->ops->irq(s->ops->context, s->id, &irq);
}

static void set_mp_state(struct gvm_stub *s, uint32_t state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	if (gvm_raw_ioctl(s->fd, KVM_SET_MP_STATE, &mp))
		fail(s, "KVM_SET_MP_STATE");
}

static uint32_t get_mp_state(struct gvm_stub *s)
{
	struct kvm_mp_state mp;

	if (gvm_raw_ioctl(s->fd, KVM_GET_MP_STATE, &mp))
		fail(s, "KVM_GET_MP_STATE");
	return mp.mp_state;
}

static void set_smm(struct gvm_stub *s, bool smm, bool latched_init)
{
	struct kvm_vcpu_events ev = { .flags = KVM_VCPUEVENT_VALID_SMM };

	if (!s->smm)
		return;
	ev.smi.smm = smm;
	ev.smi.latched_init = latched_init;
	if (gvm_raw_ioctl(s->fd, KVM_SET_VCPU_EVENTS, &ev))
		fail(s, "KVM_SET_VCPU_EVENTS");
}

static bool latched_init(struct gvm_stub *s)
{
	struct kvm_vcpu_events ev;

	if (!s->smm)
		return false;
	if (gvm_raw_ioctl(s->fd, KVM_GET_VCPU_EVENTS, &ev))
		fail(s, "KVM_GET_VCPU_EVENTS");
	return ev.smi.latched_init;
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

/* Registers and APIC as the stub's program needs them: after creation, after INIT, after a move. */
static int set_state(struct gvm_stub *s, bool fresh)
{
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (gvm_raw_ioctl(s->fd, KVM_GET_SREGS, &sregs))
		return -errno;
	gvm_image_sregs(s->gpa, &sregs, &regs);
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

static bool is_level(struct gvm_stub *s, unsigned int vector)
{
	struct kvm_lapic_state lapic;
	uint32_t tmr;

	if (gvm_raw_ioctl(s->fd, KVM_GET_LAPIC, &lapic))
		fail(s, "KVM_GET_LAPIC");
	memcpy(&tmr, lapic.regs + APIC_TMR + vector / 32 * 16, sizeof(tmr));
	return tmr >> (vector % 32) & 1;
}

/* One exit of the stub's program. Returns true when it is idle. */
static bool drain_exit(struct gvm_stub *s)
{
	struct kvm_run *run = s->run;
	unsigned int vector;

	if (run->exit_reason == KVM_EXIT_IOAPIC_EOI)
		return false;	/* the owner's counts */
	if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT) {
		char text[64];

		snprintf(text, sizeof(text), "unexpected exit %u", run->exit_reason);
		s->ops->fail(s->ops->context, s->id, text);
		abort();
	}
	if (run->io.port == GVM_IMAGE_PORT_IDLE)
		return true;
	vector = *((uint8_t *)run + run->io.data_offset);
	if (vector == 2)
		forward(s, MODE_NMI, 0, false);
	else
		forward(s, MODE_FIXED, vector, is_level(s, vector));
	return false;
}

static void drain(struct gvm_stub *s)
{
	set_smm(s, true, false);
	set_mp_state(s, KVM_MP_STATE_RUNNABLE);
	for (;;) {
		if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL)) {
			if (drain_exit(s))
				break;
		} else if (errno != EINTR && errno != EAGAIN) {
			fail(s, "KVM_RUN");
		} else {
			s->run->immediate_exit = 0;	/* a stop waits for the end */
		}
	}
	/* The last OUT is done only when KVM_RUN is called again. */
	s->run->immediate_exit = 1;
	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL) || errno != EINTR)
		fail(s, "KVM_RUN that completes");
	s->run->immediate_exit = 0;
	set_smm(s, false, latched_init(s));
	set_mp_state(s, KVM_MP_STATE_UNINITIALIZED);
}

/* EAGAIN without a cause is a SIPI that no INIT preceded. */
static bool anything_to_drain(struct gvm_stub *s)
{
	struct kvm_vcpu_events ev;
	struct kvm_lapic_state lapic;
	uint32_t irr, sum = 0;
	unsigned int i;

	if (gvm_raw_ioctl(s->fd, KVM_GET_VCPU_EVENTS, &ev) ||
	    gvm_raw_ioctl(s->fd, KVM_GET_LAPIC, &lapic))
		fail(s, "KVM_GET_LAPIC");
	for (i = 0; i < 8; i++) {
		memcpy(&irr, lapic.regs + 0x200 + i * 16, sizeof(irr));
		sum |= irr;
	}
	return sum || ev.nmi.pending || ev.nmi.injected;
}

/* Until SIPI, or a stop. */
static void wait_sipi(struct gvm_stub *s)
{
	unsigned int us = POLL_FIRST_US;
	struct kvm_sregs sregs;
	int r;

	while (get_mp_state(s) != KVM_MP_STATE_RUNNABLE) {
		if (s->stop)
			return;
		usleep(us);
		if (us < POLL_LAST_US)
			us += us / 8;
	}
	if (gvm_raw_ioctl(s->fd, KVM_GET_SREGS, &sregs))
		fail(s, "KVM_GET_SREGS");
	set_mp_state(s, KVM_MP_STATE_UNINITIALIZED);
	r = set_state(s, false);
	if (r) {
		errno = -r;
		fail(s, "state after INIT");
	}
	/* Last: the new CPU may be sent interrupts as soon as it runs. */
	forward(s, MODE_SIPI, sregs.cs.base >> 12, false);
	s->in_init = false;
}

/* An INIT that was accepted is forwarded even by a stub that is to stop: it is only here. */
static void once(struct gvm_stub *s)
{
	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL)) {
		errno = EPROTO;
		fail(s, "KVM_RUN of an idle stub");
	}
	if (errno != EAGAIN && errno != EINTR)
		fail(s, "KVM_RUN");
	if (get_mp_state(s) != KVM_MP_STATE_UNINITIALIZED) {
		s->in_init = true;
		forward(s, MODE_INIT, 0, false);
	} else if (anything_to_drain(s)) {
		drain(s);
	}
}

static void *stub_main(void *arg)
{
	struct gvm_stub *s = arg;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, GVM_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	do {
		if (!s->in_init)
			once(s);
		if (s->in_init)
			wait_sipi(s);
	} while (!s->stop);
	return NULL;
}

static unsigned int phys_bits(const struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000008)
			return cpuid->entries[i].eax & 0xff;
	return 36;
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
	s->host_bits = phys_bits(cpuid);
	if (!r && gvm_raw_ioctl(s->fd, KVM_SET_CPUID2, cpuid))
		r = -errno;
	if (!r)
		r = gvm_stub_place(s, cpuid);
	free(cpuid);
	return r;
}

static int set_slot(struct gvm_stub *s, uint64_t size)
{
	struct kvm_userspace_memory_region m = {
		.slot = s->slot,
		.guest_phys_addr = s->gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)s->image,
	};

	return gvm_raw_ioctl(s->vm_fd, KVM_SET_USER_MEMORY_REGION, &m) ? -errno : 0;
}

int gvm_stub_place(struct gvm_stub *s, const struct kvm_cpuid2 *cpuid)
{
	unsigned int bits = phys_bits(cpuid);
	uint64_t gpa;
	int r;

	if (bits > s->host_bits)
		bits = s->host_bits;
	gpa = (1ull << (bits - 1)) + ((uint64_t)s->id << 21);
	if (gpa == s->gpa)
		return 0;
	r = s->gpa ? set_slot(s, 0) : 0;
	if (r)
		return r;
	s->gpa = gpa;
	gvm_image_build(s->image, s->size, gpa);
	return set_slot(s, s->size);
}

static int alloc_image(struct gvm_stub *s)
{
	int slots = gvm_raw_ioctl(s->vm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_NR_MEMSLOTS);

	s->smm = gvm_raw_ioctl(s->vm_fd, KVM_CHECK_EXTENSION,
			       (void *)KVM_CAP_MULTI_ADDRESS_SPACE) > 1;
	s->size = (gvm_image.size + 4095) & ~4095ul;
	s->slot = (slots - 1 - s->id) | (s->smm ? SMM_SPACE : 0);
	s->image = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return s->image == MAP_FAILED ? -errno : 0;
}

int gvm_stub_create(int kvm_fd, int vm_fd, int vcpu_fd, unsigned int id, struct kvm_run *run,
		    const struct gvm_stub_ops *ops, struct gvm_stub **out)
{
	struct gvm_stub *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->vm_fd = vm_fd;
	s->fd = vcpu_fd;
	s->id = id;
	s->run = run;
	s->ops = ops;
	r = alloc_image(s);
	if (r) {
		free(s);
		return r;
	}
	r = set_cpuid(s, kvm_fd);
	if (r) {
		munmap(s->image, s->size);
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
	int r = fresh ? 0 : quiet(s);

	if (!r)
		r = set_state(s, fresh);
	if (r)
		return r;
	set_mp_state(s, KVM_MP_STATE_UNINITIALIZED);
	return start(s);
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
		fail(s, "no thread");
	}
	return -EAGAIN;
}

bool gvm_stub_active(const struct gvm_stub *s)
{
	return s->active;
}
