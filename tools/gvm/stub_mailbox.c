// SPDX-License-Identifier: GPL-2.0
/*
 * Stubs on a kernel with KVM_CAP_X86_APIC_MAILBOX: KVM_RUN blocks, and returns all that has come
 * at once. It is forwarded in the order in which one machine would have taken it: an INIT drops
 * what came before it.
 */
#include <errno.h>

#include "kvm_mailbox.h"
#include "raw.h"
#include "stub_types.h"

static void forward_fixed(struct gvm_stub *s, const struct gvm_kvm_mail *m)
{
	unsigned int i, bit;
	uint32_t irr;

	for (i = 0; i < 8; i++) {
		for (irr = m->irr[i]; irr; irr &= irr - 1) {
			bit = __builtin_ctz(irr);
			gvm_stub_forward(s, GVM_MODE_FIXED, 32 * i + bit, m->tmr[i] >> bit & 1);
		}
	}
}

static void forward_all(struct gvm_stub *s, const struct gvm_kvm_mail *m)
{
	unsigned int i;

	if (m->flags & KVM_X86_APIC_MAILBOX_SMI)
		gvm_stub_forward(s, GVM_MODE_SMI, 0, false);
	forward_fixed(s, m);
	for (i = 0; i < m->nr_nmis; i++)
		gvm_stub_forward(s, GVM_MODE_NMI, 0, false);
	if (m->flags & KVM_X86_APIC_MAILBOX_INIT) {
		s->in_init = true;
		gvm_stub_forward(s, GVM_MODE_INIT, 0, false);
	}
	/* One that no INIT preceded is nothing, as the second of two always is. */
	if (m->flags & KVM_X86_APIC_MAILBOX_SIPI && s->in_init) {
		s->in_init = false;
		gvm_stub_forward(s, GVM_MODE_SIPI, m->sipi_vector, false);
	}
}

static void once(struct gvm_stub *s)
{
	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL)) {
		if (s->run->exit_reason != KVM_EXIT_X86_APIC_MAILBOX) {
			errno = EPROTO;
			gvm_stub_fail(s, "KVM_RUN of a mailbox");
		}
		forward_all(s, gvm_kvm_mail(s->run));
	} else if (errno != EINTR) {
		gvm_stub_fail(s, "KVM_RUN");
	}
}

/* KVM wants interrupts on, so that those which hardware posts wake the vCPU. */
static void registers(const struct gvm_stub *s, struct kvm_sregs *sregs, struct kvm_regs *regs)
{
	(void)s;
	(void)sregs;
	*regs = (struct kvm_regs) { .rflags = GVM_RFLAGS_IF };
}

const struct gvm_stub_kind gvm_stub_mailbox = {
	.name = "mailbox",
	.registers = registers,
	.mp_state = KVM_MP_STATE_APIC_MAILBOX,
	.once = once,
};
