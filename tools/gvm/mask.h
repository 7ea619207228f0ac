/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest and the VMM may not see, because it cannot span servers. */
#ifndef GVM_MASK_H
#define GVM_MASK_H

#include <linux/kvm.h>

/**
 * gvm_mask_cpuid() - clear features in a CPUID table, in place
 * @cpuid:	from KVM_GET_SUPPORTED_CPUID
 *
 * Of KVM's paravirtual features only "no I/O delay" stays: all others are a page that guest
 * and host share (clocks, async page faults, steal time, EOI), a hypercall to one server's
 * host (unhalt, TLB flush, IPI, yield), or an interrupt format (extended destination id) that
 * is not forwarded. KVM's signature stays. Also cleared: SVM, VMX; SGX and SEV, whose memory
 * is one server's; AMX, which makes KVM_GET_XSAVE2 larger than abi.c says.
 */
void gvm_mask_cpuid(struct kvm_cpuid2 *cpuid);

/**
 * gvm_mask_cpuid_meet() - keep in @mine only what @other has as well
 * @mine:	changed in place: feature words are ANDed, limits become the lower one, entries
 *		@other lacks are cleared, and so are those of the PMU, trace and the like unless
 *		both are the same; names, topology, caches and frequencies stay
 * @other:	another server's table
 *
 * An XSAVE component whose place in the XSAVE area differs is cleared.
 */
void gvm_mask_cpuid_meet(struct kvm_cpuid2 *mine, const struct kvm_cpuid2 *other);

/**
 * gvm_mask_extension() - what KVM_CHECK_EXTENSION says
 * @cap:	KVM_CAP_*
 * @value:	what KVM said
 *
 * KVM_CAP_NR_VCPUS and the like, which depend on the cluster, pass unchanged. A masked capability
 * must not be enabled either: refuse KVM_ENABLE_CAP if this is 0 for a @value of 1.
 *
 * KVM_CAP_NR_MEMSLOTS is GVM_MEMSLOTS_MAX, as it is of each address space, and an agent keeps the
 * slots of both in one table; and the last GVM_VCPUS_MAX of KVM's are the stubs' (stub_program.c).
 *
 * Return: the value, 0 if the capability is masked, or what stands in its stead.
 */
int gvm_mask_extension(long cap, int value);

/**
 * gvm_mask_extension_meet() - what two servers' KVM_CHECK_EXTENSION say together
 * @cap:	KVM_CAP_*
 * @mine:	what one said
 * @other:	what the other said, -errno as 0
 *
 * Return: the flags that both have if the capability is a set of flags, else the lower number.
 */
int gvm_mask_extension_meet(long cap, int mine, int other);

/**
 * gvm_mask_msrs_meet() - keep in @mine only the MSRs that @other has as well
 * @mine:	from KVM_GET_MSR_INDEX_LIST or KVM_GET_MSR_FEATURE_INDEX_LIST, changed in place
 * @other:	another server's list
 */
void gvm_mask_msrs_meet(struct kvm_msr_list *mine, const struct kvm_msr_list *other);

/**
 * gvm_mask_msr_ok() - may an MSR be in one of KVM's lists of them?
 * @index:	MSR
 *
 * Return: false for the MSRs of masked features (KVM's own, Hyper-V's, VMX').
 */
int gvm_mask_msr_ok(unsigned int index);

/**
 * gvm_mask_features_meet() - make values of MSRs that are features those that both can have
 * @mine:	answer to KVM_GET_MSRS of /dev/kvm, changed in place
 * @other:	another server's answer to the same question
 *
 * Bits are ANDed, but for those of IA32_ARCH_CAPABILITIES that say what a CPU is open to; formats of
 * IA32_PERF_CAPABILITIES are cleared where they differ; of microcode revisions the lower one stays.
 */
void gvm_mask_features_meet(struct kvm_msrs *mine, const struct kvm_msrs *other);

/**
 * gvm_mask_features() - of what KVM_SET_MSRS writes, keep the MSRs that are features
 * @msrs:	its argument, changed in place
 * @features:	KVM_GET_MSR_FEATURE_INDEX_LIST
 */
void gvm_mask_features(struct kvm_msrs *msrs, const struct kvm_msr_list *features);

#endif
