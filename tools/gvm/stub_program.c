// SPDX-License-Identifier: GPL-2.0
/*
 * Stubs on a stock kernel.
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
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"
#include "raw.h"
#include "stub_state.h"
#include "stub_types.h"

#define SMM_SPACE	(1u << 16)
#define POLL_FIRST_US	100
#define POLL_LAST_US	2000

static void set_mp_state(struct gvm_stub *s, uint32_t state)
{
	if (gvm_stub_set_mp_state(s, state))
		gvm_stub_fail(s, "KVM_SET_MP_STATE");
}

static uint32_t get_mp_state(struct gvm_stub *s)
{
	struct kvm_mp_state mp;

	if (gvm_raw_ioctl(s->fd, KVM_GET_MP_STATE, &mp))
		gvm_stub_fail(s, "KVM_GET_MP_STATE");
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
		gvm_stub_fail(s, "KVM_SET_VCPU_EVENTS");
}

static bool latched_init(struct gvm_stub *s)
{
	struct kvm_vcpu_events ev;

	if (!s->smm)
		return false;
	if (gvm_raw_ioctl(s->fd, KVM_GET_VCPU_EVENTS, &ev))
		gvm_stub_fail(s, "KVM_GET_VCPU_EVENTS");
	return ev.smi.latched_init;
}

static void get_lapic(struct gvm_stub *s, struct kvm_lapic_state *lapic)
{
	if (gvm_raw_ioctl(s->fd, KVM_GET_LAPIC, lapic))
		gvm_stub_fail(s, "KVM_GET_LAPIC");
}

static void forward(struct gvm_stub *s, unsigned int mode, unsigned int vector)
{
	struct gvm_msg_irq irq = { .mode = mode, .vector = vector };

	gvm_stub_forward(s, &irq);
}

static void forward_vector(struct gvm_stub *s, unsigned int vector)
{
	struct gvm_msg_irq irq = { .mode = GVM_MODE_NMI };
	struct kvm_lapic_state lapic;

	if (vector >= GVM_VECTOR_MIN) {
		get_lapic(s, &lapic);
		irq.mode = GVM_MODE_FIXED;
		irq.vector = vector;
		irq.level = gvm_stub_is_level(&lapic, vector);
	}
	gvm_stub_forward(s, &irq);
}

/* One exit of the stub's program. Returns true when it is idle. */
static bool drain_exit(struct gvm_stub *s)
{
	unsigned int vector = 0;
	char text[64];

	switch (gvm_stub_report(s->run, &vector)) {
	case GVM_STUB_NOTHING:
		return false;
	case GVM_STUB_IDLE:
		return true;
	case GVM_STUB_IRQ:
		forward_vector(s, vector);
		return false;
	default:
		snprintf(text, sizeof(text), "exit %u, vector %u, of the program of a stub",
			 s->run->exit_reason, vector);
		s->ops->fail(s->ops->context, s->id, text);
		abort();
	}
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
			gvm_stub_fail(s, "KVM_RUN");
		} else {
			s->run->immediate_exit = 0;	/* a stop waits for the end */
		}
	}
	/* The last OUT is done only when KVM_RUN is called again. */
	s->run->immediate_exit = 1;
	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL) || errno != EINTR)
		gvm_stub_fail(s, "KVM_RUN that completes");
	s->run->immediate_exit = 0;
	set_smm(s, false, latched_init(s));
	set_mp_state(s, KVM_MP_STATE_UNINITIALIZED);
}

/* EAGAIN without a cause is a SIPI that no INIT preceded. */
static bool anything_to_drain(struct gvm_stub *s)
{
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events ev;

	if (gvm_raw_ioctl(s->fd, KVM_GET_VCPU_EVENTS, &ev))
		gvm_stub_fail(s, "KVM_GET_VCPU_EVENTS");
	get_lapic(s, &lapic);
	return gvm_stub_pending(&lapic, &ev);
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
		gvm_stub_fail(s, "KVM_GET_SREGS");
	set_mp_state(s, KVM_MP_STATE_UNINITIALIZED);
	r = gvm_stub_set_registers(s, false);
	if (r) {
		errno = -r;
		gvm_stub_fail(s, "state after INIT");
	}
	/* Last: the new CPU may be sent interrupts as soon as it runs. */
	forward(s, GVM_MODE_SIPI, sregs.cs.base >> 12);
	s->in_init = false;
}

/* An INIT that was accepted is forwarded even by a stub that is to stop: it is only here. */
static void idle(struct gvm_stub *s)
{
	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL)) {
		errno = EPROTO;
		gvm_stub_fail(s, "KVM_RUN of an idle stub");
	}
	if (errno != EAGAIN && errno != EINTR)
		gvm_stub_fail(s, "KVM_RUN");
	if (get_mp_state(s) != KVM_MP_STATE_UNINITIALIZED) {
		s->in_init = true;
		forward(s, GVM_MODE_INIT, 0);
	} else if (anything_to_drain(s)) {
		drain(s);
	}
}

static void once(struct gvm_stub *s)
{
	if (!s->in_init)
		idle(s);
	if (s->in_init)
		wait_sipi(s);
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

static int place(struct gvm_stub *s, const struct kvm_cpuid2 *cpuid)
{
	uint64_t gpa = gvm_stub_gpa(s->id, gvm_stub_phys_bits(cpuid), s->host_bits);
	int r;

	if (gpa == s->gpa)
		return 0;
	r = s->gpa ? set_slot(s, 0) : 0;
	if (r)
		return r;
	s->gpa = gpa;
	gvm_image_build(s->image, s->size, gpa);
	return set_slot(s, s->size);
}

static int create(struct gvm_stub *s)
{
	int slots = gvm_raw_ioctl(s->vm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_NR_MEMSLOTS);

	s->smm = gvm_raw_ioctl(s->vm_fd, KVM_CHECK_EXTENSION,
			       (void *)KVM_CAP_MULTI_ADDRESS_SPACE) > 1;
	s->size = (gvm_image.size + 4095) & ~4095ul;
	s->slot = (slots - 1 - s->id) | (s->smm ? SMM_SPACE : 0);
	s->image = gvm_raw_mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
	return s->image == MAP_FAILED ? -errno : 0;
}

static void destroy(struct gvm_stub *s)
{
	gvm_raw_munmap(s->image, s->size);
}

static void registers(const struct gvm_stub *s, struct kvm_sregs *sregs, struct kvm_regs *regs)
{
	gvm_image_sregs(s->gpa, sregs, regs);
}

const struct gvm_stub_kind gvm_stub_program = {
	.name = "program",
	.create = create,
	.destroy = destroy,
	.place = place,
	.registers = registers,
	.mp_state = KVM_MP_STATE_UNINITIALIZED,
	.once = once,
};
