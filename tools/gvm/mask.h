/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest and the VMM may not see, because it cannot span servers. */
#ifndef GVM_MASK_H
#define GVM_MASK_H

#include <linux/kvm.h>

/**
 * gvm_mask_cpuid() - clear features in a CPUID table, in place
 * @cpuid:	from KVM_GET_SUPPORTED_CPUID or for KVM_SET_CPUID2
 *
 * Clears the paravirtual features that write shared pages (list in facts: kvmclock, kvmclock2,
 * stable bit, asyncpf, steal time, PV EOI, PV unhalt, PV TLB flush, PV IPI, poll control, PV sched yield,
 * async PF by interrupt, extended MSI destination), SVM and VMX; keeps the KVM signature.
 */
void gvm_mask_cpuid(struct kvm_cpuid2 *cpuid);

/**
 * gvm_mask_cpuid_meet() - keep in @mine only what @other has as well
 * @mine:	changed in place: feature words are ANDed, entries @other lacks are cleared
 * @other:	another server's table
 */
void gvm_mask_cpuid_meet(struct kvm_cpuid2 *mine, const struct kvm_cpuid2 *other);

/**
 * gvm_mask_extension() - what KVM_CHECK_EXTENSION says
 * @cap:	KVM_CAP_*
 * @value:	what KVM said
 *
 * Return: the value, 0 if the capability is masked, or what stands in its stead.
 */
int gvm_mask_extension(long cap, int value);

/**
 * gvm_mask_msr_ok() - may an MSR be in KVM_GET_MSR_INDEX_LIST?
 * @index:	MSR
 *
 * Return: false for the MSRs of masked features (kvmclock, asyncpf, steal time, PV EOI, poll control).
 */
int gvm_mask_msr_ok(unsigned int index);

#endif
