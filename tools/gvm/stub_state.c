// SPDX-License-Identifier: GPL-2.0
#include "image.h"
#include "move.h"
#include "stub_state.h"

#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define NR_IRR		8	/* words of 32 vectors */
#define FN_ADDRESSES	0x80000008
#define BITS_DEFAULT	36	/* of a CPU whose CPUID does not say */
#define VECTOR_NMI	2

static bool take_fixed(struct gvm_kvm_mail *m, struct gvm_msg_irq *irq)
{
	unsigned int i, bit;

	for (i = 0; i < NR_IRR && !m->irr[i]; i++)
		;
	if (i == NR_IRR)
		return false;
	bit = __builtin_ctz(m->irr[i]);
	m->irr[i] &= m->irr[i] - 1;
	*irq = (struct gvm_msg_irq) {
		.vector = 32 * i + bit,
		.mode = GVM_MODE_FIXED,
		.level = m->tmr[i] >> bit & 1,
	};
	return true;
}

static bool take_flag(struct gvm_kvm_mail *m, uint32_t flag)
{
	bool set = m->flags & flag;

	m->flags &= ~flag;
	return set;
}

bool gvm_stub_take(struct gvm_kvm_mail *m, bool *in_init, struct gvm_msg_irq *irq)
{
	*irq = (struct gvm_msg_irq) { 0 };
	if (take_flag(m, KVM_X86_APIC_MAILBOX_SMI)) {
		irq->mode = GVM_MODE_SMI;
		return true;
	}
	if (take_fixed(m, irq))
		return true;
	if (m->nr_nmis) {
		m->nr_nmis--;
		irq->mode = GVM_MODE_NMI;
		return true;
	}
	if (take_flag(m, KVM_X86_APIC_MAILBOX_INIT)) {
		*in_init = true;
		irq->mode = GVM_MODE_INIT;
		return true;
	}
	if (take_flag(m, KVM_X86_APIC_MAILBOX_SIPI) && *in_init) {
		*in_init = false;
		irq->mode = GVM_MODE_SIPI;
		irq->vector = m->sipi_vector;
		return true;
	}
	return false;
}

enum gvm_stub_report gvm_stub_report(const struct kvm_run *run, unsigned int *vector)
{
	if (run->exit_reason == KVM_EXIT_IOAPIC_EOI)
		return GVM_STUB_NOTHING;
	if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT)
		return GVM_STUB_BROKEN;
	if (run->io.port == GVM_IMAGE_PORT_IDLE)
		return GVM_STUB_IDLE;
	if (run->io.port != GVM_IMAGE_PORT)
		return GVM_STUB_BROKEN;
	*vector = *((const uint8_t *)run + run->io.data_offset);
	/* The others below are exceptions of the program itself. */
	if (*vector < GVM_VECTOR_MIN && *vector != VECTOR_NMI)
		return GVM_STUB_BROKEN;
	return GVM_STUB_IRQ;
}

bool gvm_stub_pending(const struct kvm_lapic_state *lapic, const struct kvm_vcpu_events *ev)
{
	return gvm_state_any(lapic, APIC_IRR) || ev->nmi.pending || ev->nmi.injected;
}

bool gvm_stub_is_level(const struct kvm_lapic_state *lapic, unsigned int vector)
{
	return gvm_state_reg(lapic, APIC_TMR + vector / 32 * 16) >> (vector % 32) & 1;
}

unsigned int gvm_stub_phys_bits(const struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == FN_ADDRESSES)
			return cpuid->entries[i].eax & 0xff;
	return BITS_DEFAULT;
}

uint64_t gvm_stub_gpa(unsigned int id, unsigned int bits, unsigned int host_bits)
{
	if (bits > host_bits)
		bits = host_bits;
	return (1ull << (bits - 1)) + (uint64_t)id * GVM_IMAGE_ALIGN;
}
