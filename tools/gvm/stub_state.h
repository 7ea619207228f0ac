/* SPDX-License-Identifier: GPL-2.0 */
/* What KVM's answers mean to a stub: which interrupts it forwards, where its program can be. No I/O. */
#ifndef GVM_STUB_STATE_H
#define GVM_STUB_STATE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm_mailbox.h"
#include "msg.h"

/**
 * gvm_stub_take() - the next interrupt of a mail
 * @m:		mail; what is returned is taken out of it
 * @in_init:	an INIT was forwarded, its SIPI was not; kept up
 * @irq:	out
 *
 * They come in the order in which one machine would have taken them: an INIT drops what came
 * before it. A SIPI that no INIT preceded is nothing, as the second of two always is.
 *
 * Return: false if there is none.
 */
bool gvm_stub_take(struct gvm_kvm_mail *m, bool *in_init, struct gvm_msg_irq *irq);

/** enum gvm_stub_report - what the stub's program says by an exit */
enum gvm_stub_report {
	GVM_STUB_BROKEN,	/* nothing that it ever does */
	GVM_STUB_NOTHING,	/* an EOI: the owner's counts */
	GVM_STUB_IRQ,		/* a vector, 2: NMI */
	GVM_STUB_IDLE,		/* no more is pending */
};

/**
 * gvm_stub_report() - read an exit of the stub's program
 * @run:	vCPU's kvm_run, as KVM left it
 * @vector:	out, with GVM_STUB_IRQ; with BROKEN only if it is an exception of the program
 *
 * Return: what it says.
 */
enum gvm_stub_report gvm_stub_report(const struct kvm_run *run, unsigned int *vector);

/** gvm_stub_pending() - is there anything in the APIC that the program would report? */
bool gvm_stub_pending(const struct kvm_lapic_state *lapic, const struct kvm_vcpu_events *ev);

/** gvm_stub_is_level() - did this vector come as a level-triggered one? */
bool gvm_stub_is_level(const struct kvm_lapic_state *lapic, unsigned int vector);

/** gvm_stub_phys_bits() - width of physical addresses, as CPUID has it */
unsigned int gvm_stub_phys_bits(const struct kvm_cpuid2 *cpuid);

/**
 * gvm_stub_gpa() - where the program of a stub is
 * @id:		vCPU's
 * @bits:	width of physical addresses: the guest's
 * @host_bits:	and the host's
 *
 * Return: guest-physical address, in the upper half of what both have.
 */
uint64_t gvm_stub_gpa(unsigned int id, unsigned int bits, unsigned int host_bits);

#endif
