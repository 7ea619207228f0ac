// SPDX-License-Identifier: GPL-2.0
/* Features and capabilities that cannot span servers, or that not all servers have. */
#include <asm/kvm_para.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kvm_mailbox.h"
#include "lanes.h"
#include "mask.h"
#include "slots.h"

/* Younger than the headers of Debian 12. */
#define CAP_DIRTY_LOG_RING_WITH_BITMAP	225
#define CAP_USER_MEMORY2		231
#define CAP_MEMORY_ATTRIBUTES		233
#define CAP_GUEST_MEMFD			234
#define CAP_VM_TYPES			235
#define CAP_PRE_FAULT_MEMORY		236

#define XSAVE_MAX	4096	/* what abi.c says of KVM_GET_XSAVE2 */
#define BIT(n)		(1u << (n))

#define MSR_UCODE_REV		0x8b
#define MSR_ARCH_CAPABILITIES	0x10a
#define MSR_PERF_CAPABILITIES	0x345
#define ARCH_CAP_OPEN_TO	(BIT(2) | BIT(19))	/* RSBA, RRSBA: returns may be mispredicted */
#define PERF_CAP_LBR_FORMAT	0x3full
#define PERF_CAP_PEBS_FORMAT	0x4fc0ull	/* KVM takes all of it or none */

enum reg { EAX, EBX, ECX, EDX };

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, enum reg reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	case EDX:
		break;
	}
	return &e->edx;
}

static void clear_entry(struct kvm_cpuid_entry2 *e)
{
	e->eax = 0;
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
}

/* ---- what no guest gets ---- */

struct gone {
	uint32_t function, index;
	enum reg reg;
	uint32_t bits;
};

static const struct gone gone[] = {
	{ 1, 0, ECX, BIT(5) },				/* VMX */
	{ 0x80000001, 0, ECX, BIT(2) },			/* SVM */
	{ 7, 0, EBX, BIT(2) },				/* SGX */
	{ 7, 0, ECX, BIT(30) },				/* SGX launch control */
	{ 7, 0, EDX, BIT(22) | BIT(24) | BIT(25) },	/* AMX BF16, tiles, INT8 */
	{ 7, 1, EAX, BIT(21) },				/* AMX FP16 */
	{ 7, 1, EDX, BIT(8) },				/* AMX complex */
	{ 0xd, 0, EAX, BIT(17) | BIT(18) },		/* AMX in XCR0 */
};

/* SGX; components 17 and 18 of XSAVE and the leaves of AMX; SVM; memory encryption. */
static bool entry_gone(const struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0xd:
		return e->index == 17 || e->index == 18;
	case 0x12:
	case 0x1d:
	case 0x1e:
	case 0x8000000a:
	case 0x8000001f:
		return true;
	default:
		return false;
	}
}

/* KVM's leaves are at 0x40000000, or behind Hyper-V's at a multiple of 0x100. */
static bool is_signature(const struct kvm_cpuid_entry2 *e)
{
	static const char signature[12] = "KVMKVMKVM\0\0";
	uint32_t regs[3] = { e->ebx, e->ecx, e->edx };

	return e->function >> 16 == 0x4000 && !(e->function & 0xff) &&
	       !memcmp(regs, signature, sizeof(regs));
}

static bool is_features(const struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_entry2 *e)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (is_signature(&cpuid->entries[i]) &&
		    e->function == cpuid->entries[i].function + 1)
			return true;
	return false;
}

void gvm_mask_cpuid(struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		for (size_t g = 0; g < sizeof(gone) / sizeof(gone[0]); g++)
			if (e->function == gone[g].function && e->index == gone[g].index)
				*reg_of(e, gone[g].reg) &= ~gone[g].bits;
		if (entry_gone(e))
			clear_entry(e);
		if (is_features(cpuid, e))
			e->eax &= BIT(KVM_FEATURE_NOP_IO_DELAY);
	}
}

/* ---- what all servers have ---- */

enum how {
	AND,		/* a set of features */
	LOWER,		/* a limit */
	LOWER_BYTES,	/* four limits, one a byte */
	SAME,		/* the whole entry is cleared unless equal */
};

struct meet {
	uint32_t function, index;
	enum reg reg;
	enum how how;
};

#define ANY	UINT32_MAX

static const struct meet meets[] = {
	{ 0, 0, EAX, LOWER },
	{ 1, 0, ECX, AND },
	{ 1, 0, EDX, AND },
	{ 6, 0, EAX, AND },
	{ 7, 0, EAX, LOWER },		/* last index */
	{ 7, 0, EBX, AND },
	{ 7, 0, ECX, AND },
	{ 7, 0, EDX, AND },
	{ 7, 1, EAX, AND },
	{ 7, 1, EBX, AND },
	{ 7, 1, ECX, AND },
	{ 7, 1, EDX, AND },
	{ 7, 2, EDX, AND },
	{ 0xa, ANY, EAX, SAME },	/* PMU */
	{ 0xd, 0, EAX, AND },
	{ 0xd, 0, EBX, LOWER },		/* bytes of the XSAVE area */
	{ 0xd, 0, ECX, LOWER },
	{ 0xd, 0, EDX, AND },
	{ 0xd, 1, EAX, AND },
	{ 0xd, 1, EBX, LOWER },
	{ 0xd, 1, ECX, AND },
	{ 0xd, 1, EDX, AND },
	{ 0xf, ANY, EAX, SAME },	/* cache monitoring */
	{ 0x10, ANY, EAX, SAME },	/* cache allocation */
	{ 0x14, ANY, EAX, SAME },	/* processor trace */
	{ 0x19, ANY, EAX, SAME },	/* key locker */
	{ 0x1c, ANY, EAX, SAME },	/* last branch records */
	{ 0x23, ANY, EAX, SAME },	/* PMU, extended */
	{ 0x24, ANY, EAX, SAME },	/* AVX10 */
	{ 0x40000001, 0, EAX, AND },
	{ 0x40000001, 0, EDX, AND },
	{ 0x80000000, 0, EAX, LOWER },
	{ 0x80000001, 0, ECX, AND },
	{ 0x80000001, 0, EDX, AND },
	{ 0x80000007, 0, EBX, AND },
	{ 0x80000007, 0, EDX, AND },
	{ 0x80000008, 0, EAX, LOWER_BYTES },	/* address widths */
	{ 0x80000008, 0, EBX, AND },
	{ 0x8000000a, 0, EDX, AND },
	{ 0x8000001b, ANY, EAX, SAME },	/* instruction based sampling */
	{ 0x80000021, 0, EAX, AND },
	{ 0x80000022, ANY, EAX, SAME },	/* PMU, AMD */
	{ 0xc0000001, 0, EDX, AND },
};

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid,
					   const struct kvm_cpuid_entry2 *like)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == like->function && e->index == like->index)
			return e;
	}
	return NULL;
}

static bool same(const struct kvm_cpuid_entry2 *a, const struct kvm_cpuid_entry2 *b)
{
	return a->eax == b->eax && a->ebx == b->ebx && a->ecx == b->ecx && a->edx == b->edx;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t lower_bytes(uint32_t a, uint32_t b)
{
	uint32_t r = 0;

	for (unsigned int at = 0; at < 32; at += 8)
		r |= lower(a >> at & 0xff, b >> at & 0xff) << at;
	return r;
}

static void meet_one(struct kvm_cpuid_entry2 *e, struct kvm_cpuid_entry2 other,
		     const struct meet *m)
{
	uint32_t *a = reg_of(e, m->reg), b = *reg_of(&other, m->reg);

	switch (m->how) {
	case AND:
		*a &= b;
		break;
	case LOWER:
		*a = lower(*a, b);
		break;
	case LOWER_BYTES:
		*a = lower_bytes(*a, b);
		break;
	case SAME:
		if (!same(e, &other))
			clear_entry(e);
		break;
	}
}

static void meet_entry(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid_entry2 *other)
{
	for (size_t i = 0; i < sizeof(meets) / sizeof(meets[0]); i++)
		if (meets[i].function == e->function &&
		    (meets[i].index == e->index || meets[i].index == ANY))
			meet_one(e, *other, &meets[i]);
}

/* Component @nr of XSAVE: no bit in XCR0 (index 0) nor in XSS (index 1). */
static void drop_component(struct kvm_cpuid2 *cpuid, uint32_t nr)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
		uint32_t bit = BIT(nr % 32);

		if (e->function != 0xd || e->index > 1)
			continue;
		*reg_of(e, nr < 32 ? (e->index ? ECX : EAX) : EDX) &= ~bit;
	}
}

/* A component of one size at one offset on all servers; the area of one server fits the other. */
static bool component_differs(const struct kvm_cpuid_entry2 *e,
			      const struct kvm_cpuid_entry2 *other)
{
	return e->function == 0xd && e->index > 1 && e->index < 64 && (!other || !same(e, other));
}

void gvm_mask_cpuid_meet(struct kvm_cpuid2 *mine, const struct kvm_cpuid2 *other)
{
	for (uint32_t i = 0; i < mine->nent; i++) {
		struct kvm_cpuid_entry2 *e = &mine->entries[i];
		const struct kvm_cpuid_entry2 *o = find(other, e);

		if (component_differs(e, o)) {
			drop_component(mine, e->index);
			clear_entry(e);
		} else if (!o) {
			clear_entry(e);
		} else {
			meet_entry(e, o);
		}
	}
}

/* ---- capabilities, MSRs ---- */

static int memslots(int value)
{
	int ours = value > GVM_VCPUS_MAX ? value - GVM_VCPUS_MAX : 0;

	return ours > GVM_MEMSLOTS_MAX ? GVM_MEMSLOTS_MAX : ours;
}

int gvm_mask_extension(long cap, int value)
{
	switch (cap) {
	case KVM_CAP_XSAVE2:
		return value > XSAVE_MAX ? XSAVE_MAX : value;
	case KVM_CAP_IRQ_ROUTING:
		return value > GVM_GSIS_MAX ? GVM_GSIS_MAX : value;
	case KVM_CAP_NR_MEMSLOTS:
		return memslots(value);
	case CAP_VM_TYPES:
		return value & 1;	/* the ordinary type */
	/* Logs and statistics of one server. */
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT:
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
	case CAP_DIRTY_LOG_RING_WITH_BITMAP:
	case KVM_CAP_BINARY_STATS_FD:
	/* XCR0's components by one server's word; without it that is CPUID's. */
	case KVM_CAP_SYS_ATTRIBUTES:
	/* Registers in kvm_run beyond the head that travels. */
	case KVM_CAP_SYNC_REGS:
	/* An EOI that one server only sees. */
	case KVM_CAP_IRQFD_RESAMPLE:
	/* Pages that guest and host share. */
	case KVM_CAP_VAPIC:
	case KVM_CAP_KVMCLOCK_CTRL:
	case KVM_CAP_ASYNC_PF:
	case KVM_CAP_ASYNC_PF_INT:
	case KVM_CAP_HYPERV:
	case KVM_CAP_HYPERV_VAPIC:
	case KVM_CAP_HYPERV_SPIN:
	case KVM_CAP_HYPERV_TIME:
	case KVM_CAP_HYPERV_SYNIC:
	case KVM_CAP_HYPERV_SYNIC2:
	case KVM_CAP_HYPERV_VP_INDEX:
	case KVM_CAP_HYPERV_EVENTFD:
	case KVM_CAP_HYPERV_TLBFLUSH:
	case KVM_CAP_HYPERV_SEND_IPI:
	case KVM_CAP_HYPERV_ENLIGHTENED_VMCS:
	case KVM_CAP_HYPERV_CPUID:
	case KVM_CAP_HYPERV_DIRECT_TLBFLUSH:
	case KVM_CAP_HYPERV_ENFORCE_CPUID:
	case KVM_CAP_SYS_HYPERV_CPUID:
	case KVM_CAP_XEN_HVM:
	case KVM_CAP_NESTED_STATE:
	/* Memory of one server. */
	case CAP_USER_MEMORY2:
	case CAP_MEMORY_ATTRIBUTES:
	case CAP_GUEST_MEMFD:
	case CAP_PRE_FAULT_MEMORY:
	case KVM_CAP_SGX_ATTRIBUTE:
	case KVM_CAP_VM_COPY_ENC_CONTEXT_FROM:
	case KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM:
	/* The stubs'. */
	case KVM_CAP_X86_APIC_MAILBOX:
	case KVM_CAP_X86_MAILBOX_EVENTFD:
		return 0;
	default:
		return value;
	}
}

static bool is_flags(long cap)
{
	switch (cap) {
	case KVM_CAP_ADJUST_CLOCK:
	case KVM_CAP_X2APIC_API:
	case KVM_CAP_X86_DISABLE_EXITS:
	case KVM_CAP_X86_BUS_LOCK_EXIT:
	case KVM_CAP_SET_GUEST_DEBUG2:
	case KVM_CAP_EXIT_HYPERCALL:
	case KVM_CAP_PMU_CAPABILITY:
	case KVM_CAP_DISABLE_QUIRKS2:
	case KVM_CAP_X86_NOTIFY_VMEXIT:
	case CAP_VM_TYPES:
		return true;
	default:
		return false;
	}
}

int gvm_mask_extension_meet(long cap, int mine, int other)
{
	if (mine <= 0 || other <= 0)
		return 0;
	if (is_flags(cap))
		return mine & other;
	return mine < other ? mine : other;
}

int gvm_mask_msr_ok(unsigned int index)
{
	if (index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_SYSTEM_TIME)
		return false;
	if (index >> 8 == MSR_KVM_WALL_CLOCK_NEW >> 8)
		return false;
	if (index >= 0x40000000 && index < 0x40000200)	/* Hyper-V */
		return false;
	return index < 0x480 || index > 0x493;		/* VMX */
}

static bool in_list(uint32_t index, const struct kvm_msr_list *list)
{
	for (uint32_t i = 0; i < list->nmsrs; i++)
		if (list->indices[i] == index)
			return true;
	return false;
}

void gvm_mask_msrs_meet(struct kvm_msr_list *mine, const struct kvm_msr_list *other)
{
	uint32_t i, kept = 0;

	for (i = 0; i < mine->nmsrs; i++)
		if (in_list(mine->indices[i], other))
			mine->indices[kept++] = mine->indices[i];
	mine->nmsrs = kept;
}

void gvm_mask_features(struct kvm_msrs *msrs, const struct kvm_msr_list *features)
{
	uint32_t i, kept = 0;

	for (i = 0; i < msrs->nmsrs; i++)
		if (in_list(msrs->entries[i].index, features))
			msrs->entries[kept++] = msrs->entries[i];
	msrs->nmsrs = kept;
}

static uint64_t meet_format(uint64_t met, uint64_t a, uint64_t b, uint64_t format)
{
	return (a & format) == (b & format) ? met : met & ~format;
}

static uint64_t meet_feature(uint32_t index, uint64_t a, uint64_t b)
{
	switch (index) {
	case MSR_UCODE_REV:
		return a < b ? a : b;
	case MSR_ARCH_CAPABILITIES:
		return (a & b) | ((a | b) & ARCH_CAP_OPEN_TO);
	case MSR_PERF_CAPABILITIES:
		return meet_format(meet_format(a & b, a, b, PERF_CAP_LBR_FORMAT), a, b,
				   PERF_CAP_PEBS_FORMAT);
	default:
		return a & b;
	}
}

void gvm_mask_features_meet(struct kvm_msrs *mine, const struct kvm_msrs *other)
{
	for (uint32_t i = 0; i < mine->nmsrs && i < other->nmsrs; i++)
		mine->entries[i].data = meet_feature(mine->entries[i].index, mine->entries[i].data,
						     other->entries[i].data);
}
