// SPDX-License-Identifier: GPL-2.0
/*
 * Stubs on a kernel with KVM_CAP_X86_APIC_MAILBOX: KVM_RUN blocks, and returns all that has come
 * at once.
 */
#include <errno.h>

#include "kvm_mailbox.h"
#include "raw.h"
#include "stub_state.h"
#include "stub_types.h"

static void once(struct gvm_stub *s)
{
	struct gvm_msg_irq irq;
	struct gvm_kvm_mail m;

	if (!gvm_raw_ioctl(s->fd, KVM_RUN, NULL)) {
		if (s->run->exit_reason != KVM_EXIT_X86_APIC_MAILBOX) {
			errno = EPROTO;
			gvm_stub_fail(s, "KVM_RUN of a mailbox");
		}
		m = *gvm_kvm_mail(s->run);
		while (gvm_stub_take(&m, &s->in_init, &irq))
			gvm_stub_forward(s, &irq);
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
