/* SPDX-License-Identifier: GPL-2.0 */
/* What patches 0007 and 0008 of patches/linux-6.12 add to <linux/kvm.h>, for a build without its headers. */
#ifndef GVM_KVM_MAILBOX_H
#define GVM_KVM_MAILBOX_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#ifndef KVM_CAP_X86_APIC_MAILBOX
#define KVM_CAP_X86_APIC_MAILBOX	1000
#define KVM_EXIT_X86_APIC_MAILBOX	1000
#define KVM_MP_STATE_APIC_MAILBOX	1000
#define KVM_X86_APIC_MAILBOX_SMI	(1 << 0)
#define KVM_X86_APIC_MAILBOX_INIT	(1 << 1)
#define KVM_X86_APIC_MAILBOX_SIPI	(1 << 2)
#endif

/* Patch 0008. */
#ifndef KVM_CAP_X86_MAILBOX_EVENTFD
#define KVM_CAP_X86_MAILBOX_EVENTFD	1001
#define KVM_X86_SET_MAILBOX_EVENTFD	_IOW(KVMIO, 0xf0, struct gvm_kvm_mailbox_eventfd)
#endif

/**
 * struct gvm_kvm_mailbox_eventfd - struct kvm_x86_mailbox_eventfd
 * @vcpu_id:	vCPU
 * @vector:	16 to 255
 * @fd:		eventfd, -1: none
 * @flags:	0
 */
struct gvm_kvm_mailbox_eventfd {
	uint32_t vcpu_id;
	uint32_t vector;
	int32_t fd;
	uint32_t flags;
};

/**
 * struct gvm_kvm_mail - kvm_run.apic_mailbox
 * @flags:		KVM_X86_APIC_MAILBOX_*
 * @nr_nmis:		0 to 2
 * @sipi_vector:	page of the start, with KVM_X86_APIC_MAILBOX_SIPI
 * @pad:		0
 * @irr:		fixed interrupts, a bit a vector
 * @tmr:		those of them that are level-triggered
 */
struct gvm_kvm_mail {
	uint32_t flags;
	uint32_t nr_nmis;
	uint32_t sipi_vector;
	uint32_t pad;
	uint32_t irr[8];
	uint32_t tmr[8];
};

/** gvm_kvm_mail() - where a kvm_run has it */
static inline const struct gvm_kvm_mail *gvm_kvm_mail(const struct kvm_run *run)
{
	return (const void *)((const char *)run + offsetof(struct kvm_run, padding));
}

#endif
