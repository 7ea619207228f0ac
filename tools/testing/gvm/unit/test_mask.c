// SPDX-License-Identifier: GPL-2.0
/* What guests do not get to see. */
#include <asm/kvm_para.h>
#include <stdint.h>
#include <string.h>

#include "mask.h"
#include "slots.h"
#include "tap.h"

#define NR	16

static struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 e[NR];
} a, b;

static struct kvm_cpuid_entry2 *add(struct table *t, uint32_t function, uint32_t index,
				    uint32_t regs)
{
	struct kvm_cpuid_entry2 *e = &t->e[t->head.nent++];

	*e = (struct kvm_cpuid_entry2){
		.function = function, .index = index, .eax = regs, .ebx = regs, .ecx = regs,
		.edx = regs,
	};
	return e;
}

static struct kvm_cpuid_entry2 *add_signature(struct table *t, uint32_t function)
{
	struct kvm_cpuid_entry2 *e = add(t, function, 0, 0);

	e->ebx = 0x4b4d564b;
	e->ecx = 0x564b4d56;
	e->edx = 0x4d;
	return e;
}

static void begin(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
}

TEST(paravirtual_features_go_the_signature_stays)
{
	struct kvm_cpuid_entry2 *s, *f, *hv;

	begin();
	s = add_signature(&a, 0x40000000);
	f = add(&a, 0x40000001, 0, ~0u);
	gvm_mask_cpuid(&a.head);
	CHECK(s->ebx == 0x4b4d564b && s->edx == 0x4d);
	CHECK(f->eax == 1 << KVM_FEATURE_NOP_IO_DELAY);
	CHECK(f->edx == ~0u);
	/* behind Hyper-V's leaves, whose own features are not KVM's */
	begin();
	hv = add(&a, 0x40000001, 0, ~0u);
	add_signature(&a, 0x40000100);
	f = add(&a, 0x40000101, 0, ~0u);
	gvm_mask_cpuid(&a.head);
	CHECK(hv->eax == ~0u);
	CHECK(f->eax == 1 << KVM_FEATURE_NOP_IO_DELAY);
}

TEST(svm_vmx_sgx_sev_and_amx_go)
{
	struct kvm_cpuid_entry2 *one, *seven, *seven1, *x, *tile, *ext, *svm, *sev, *sgx;

	begin();
	one = add(&a, 1, 0, ~0u);
	seven = add(&a, 7, 0, ~0u);
	seven1 = add(&a, 7, 1, ~0u);
	x = add(&a, 0xd, 0, ~0u);
	tile = add(&a, 0xd, 18, ~0u);
	ext = add(&a, 0x80000001, 0, ~0u);
	svm = add(&a, 0x8000000a, 0, ~0u);
	sev = add(&a, 0x8000001f, 0, ~0u);
	sgx = add(&a, 0x12, 2, ~0u);
	gvm_mask_cpuid(&a.head);
	CHECK(one->ecx == ~(1u << 5) && one->edx == ~0u && one->eax == ~0u);
	CHECK(seven->ebx == ~(1u << 2) && seven->ecx == ~(1u << 30));
	CHECK(seven->edx == ~(1u << 22 | 1u << 24 | 1u << 25));
	CHECK(seven1->eax == ~(1u << 21) && seven1->edx == ~(1u << 8));
	CHECK(x->eax == ~(3u << 17));
	CHECK(!tile->eax && !tile->ecx);
	CHECK(ext->ecx == ~(1u << 2) && ext->edx == ~0u);
	CHECK(!svm->eax && !svm->edx && !sev->eax && !sgx->ebx);
}

TEST(a_meeting_keeps_what_both_have)
{
	struct kvm_cpuid_entry2 *one, *max, *width, *name, *alone, *pmu, *pmu2;

	begin();
	max = add(&a, 0, 0, 0x16);
	add(&b, 0, 0, 0xd)->ebx = 1;
	one = add(&a, 1, 0, 0xf0);
	add(&b, 1, 0, 0x3c);
	width = add(&a, 0x80000008, 0, 0x3030);
	add(&b, 0x80000008, 0, 0x3930)->eax = 0x392e;
	name = add(&a, 0x80000002, 0, 0x11);
	add(&b, 0x80000002, 0, 0x22);
	alone = add(&a, 0x16, 0, 5);
	pmu = add(&a, 0xa, 0, 5);
	add(&b, 0xa, 0, 5)->edx = 4;
	pmu2 = add(&a, 0x23, 1, 5);
	add(&b, 0x23, 1, 5);
	gvm_mask_cpuid_meet(&a.head, &b.head);
	CHECK(max->eax == 0xd && max->ebx == 0x16);
	CHECK(one->ecx == 0x30 && one->edx == 0x30 && one->eax == 0xf0 && one->ebx == 0xf0);
	CHECK(width->eax == 0x302e && width->ecx == 0x3030);
	CHECK(name->eax == 0x11);
	CHECK(!alone->eax);
	CHECK(!pmu->eax && !pmu->ebx && !pmu->edx);
	CHECK(pmu2->eax == 5);
}

TEST(an_xsave_component_elsewhere_is_dropped)
{
	struct kvm_cpuid_entry2 *x, *xs, *avx, *pkru, *none;

	begin();
	x = add(&a, 0xd, 0, 0x207);
	xs = add(&a, 0xd, 1, 0x1800);
	avx = add(&a, 0xd, 2, 256);
	pkru = add(&a, 0xd, 9, 8);
	none = add(&a, 0xd, 11, 8);
	add(&b, 0xd, 0, 0x207);
	add(&b, 0xd, 1, 0x1800);
	add(&b, 0xd, 2, 256);
	add(&b, 0xd, 9, 8)->ebx = 2688;
	gvm_mask_cpuid_meet(&a.head, &b.head);
	CHECK(x->eax == 7);
	CHECK(xs->ecx == 0x1000);
	CHECK(avx->eax == 256);
	CHECK(!pkru->eax && !none->eax);
}

TEST(meeting_oneself_changes_nothing)
{
	begin();
	add(&a, 1, 0, 0x1234567);
	add(&a, 0xd, 0, 7);
	add(&a, 0xd, 2, 256);
	add(&a, 0xa, 0, 77);
	b = a;
	gvm_mask_cpuid_meet(&a.head, &b.head);
	CHECK(!memcmp(&a, &b, sizeof(a)));
}

TEST(capabilities)
{
	static const int gone[] = {
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING,
		KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_BINARY_STATS_FD, KVM_CAP_SYNC_REGS,
		KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_HYPERV, KVM_CAP_HYPERV_CPUID, KVM_CAP_XEN_HVM,
		KVM_CAP_NESTED_STATE, KVM_CAP_VAPIC, 233, 234,
	};
	static const int kept[] = {
		KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_IRQFD,
		KVM_CAP_IOEVENTFD, KVM_CAP_X86_SMM, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_SIGNAL_MSI,
	};

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		CHECK(gvm_mask_extension(gone[i], 3) == 0);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		CHECK(gvm_mask_extension(kept[i], 3) == 3);
	CHECK(gvm_mask_extension(KVM_CAP_XSAVE2, 2696) == 2696);
	CHECK(gvm_mask_extension(KVM_CAP_XSAVE2, 11008) == 4096);
	CHECK(gvm_mask_extension(235, 0x1f) == 1);
	CHECK(gvm_mask_extension(KVM_CAP_IRQ_ROUTING, 4096) == 4096 - 256);
	CHECK(gvm_mask_extension(KVM_CAP_IRQ_ROUTING, 1024) == 1024);
	CHECK(gvm_mask_extension(KVM_CAP_NR_MEMSLOTS, 32764) == GVM_SLOTS_MAX / 2);
	CHECK(gvm_mask_extension(KVM_CAP_NR_MEMSLOTS, 256) == 256 - GVM_VCPUS_MAX);
	CHECK(gvm_mask_extension(KVM_CAP_NR_MEMSLOTS, 32) == 0);
	CHECK(gvm_mask_extension(1000, 1) == 0);	/* KVM_CAP_X86_APIC_MAILBOX */
	CHECK(gvm_mask_extension(1001, 1) == 0);	/* KVM_CAP_X86_MAILBOX_EVENTFD */
}

TEST(msrs)
{
	static const unsigned int gone[] = {
		0x11, 0x12, 0x4b564d00, 0x4b564d08, 0x40000000, 0x400000b0, 0x480, 0x491,
	};
	static const unsigned int kept[] = { 0x10, 0x1b, 0x174, 0x3a, 0xc0000080, 0x802, 0x6e0 };

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		CHECK(!gvm_mask_msr_ok(gone[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		CHECK(gvm_mask_msr_ok(kept[i]));
}

TEST(features)
{
	struct {
		struct kvm_msr_list head;
		uint32_t index[2];
	} list = { .head.nmsrs = 2, .index = { 0x10a, 0xc0011029 } };
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[4];
	} m = { .head.nmsrs = 4, .e = { { .index = 0x10, .data = 1 }, { .index = 0xc0011029, .data = 2 },
					{ .index = 0x1b, .data = 3 }, { .index = 0x10a, .data = 4 } } };

	gvm_mask_features(&m.head, &list.head);
	CHECK(m.head.nmsrs == 2);
	CHECK(m.e[0].index == 0xc0011029 && m.e[0].data == 2);
	CHECK(m.e[1].index == 0x10a && m.e[1].data == 4);
	list.head.nmsrs = 0;
	gvm_mask_features(&m.head, &list.head);
	CHECK(m.head.nmsrs == 0);
}

TEST(capabilities_of_two_servers)
{
	CHECK(gvm_mask_extension_meet(KVM_CAP_NR_MEMSLOTS, 500, 300) == 300);
	CHECK(gvm_mask_extension_meet(KVM_CAP_NR_MEMSLOTS, 300, 500) == 300);
	CHECK(gvm_mask_extension_meet(KVM_CAP_X86_DISABLE_EXITS, 0xd, 0x6) == 0x4);
	CHECK(gvm_mask_extension_meet(KVM_CAP_X86_DISABLE_EXITS, 0x1, 0x2) == 0);
	CHECK(gvm_mask_extension_meet(KVM_CAP_SPLIT_IRQCHIP, 1, 1) == 1);
	CHECK(gvm_mask_extension_meet(KVM_CAP_SPLIT_IRQCHIP, 1, 0) == 0);
	CHECK(gvm_mask_extension_meet(KVM_CAP_SPLIT_IRQCHIP, 1, -22) == 0);
	CHECK(gvm_mask_extension_meet(KVM_CAP_EXIT_HYPERCALL, -1, 1) == 0);
}

TEST(msrs_of_two_servers)
{
	struct {
		struct kvm_msr_list head;
		uint32_t index[3];
	} mine = { .head.nmsrs = 3, .index = { 0x10, 0x174, 0xc0000080 } },
	  other = { .head.nmsrs = 2, .index = { 0xc0000080, 0x10 } };

	gvm_mask_msrs_meet(&mine.head, &other.head);
	CHECK(mine.head.nmsrs == 2);
	CHECK(mine.index[0] == 0x10 && mine.index[1] == 0xc0000080);
	other.head.nmsrs = 0;
	gvm_mask_msrs_meet(&mine.head, &other.head);
	CHECK(mine.head.nmsrs == 0);
}

static uint64_t met(uint32_t index, uint64_t a, uint64_t b)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[2];
	} mine = { .head.nmsrs = 2, .e = { { .index = 0xc0011029, .data = 2 },
					   { .index = index, .data = a } } },
	  other = { .head.nmsrs = 2, .e = { { .index = 0xc0011029, .data = 6 },
					    { .index = index, .data = b } } };

	gvm_mask_features_meet(&mine.head, &other.head);
	CHECK(mine.head.nmsrs == 2 && mine.e[0].data == 2 && mine.e[1].index == index);
	return mine.e[1].data;
}

TEST(features_of_two_servers)
{
	uint64_t rsba = 1 << 2, rrsba = 1 << 19, rdcl_no = 1, mds_no = 1 << 5;

	/* What a CPU is safe from both must be; what it is open to, one. */
	CHECK(met(0x10a, rdcl_no | mds_no, rdcl_no) == rdcl_no);
	CHECK(met(0x10a, rdcl_no | rsba, rdcl_no | rrsba) == (rdcl_no | rsba | rrsba));
	CHECK(met(0x10a, rdcl_no, rdcl_no | rsba) == (rdcl_no | rsba));
	CHECK(met(0x8b, 5ull << 32, 3ull << 32) == 3ull << 32);
	CHECK(met(0x8b, 3ull << 32, 5ull << 32) == 3ull << 32);
	CHECK(met(0x345, 0x2345, 0x2345) == 0x2345);
	CHECK(met(0x345, 0x2345, 0x2347) == 0x2340);		/* LBR */
	CHECK(met(0x345, 0x2345, 0x2745) == 0x2005);		/* PEBS */
	CHECK(met(0x345, 0x2345, 0x2305) == 0x2005);
	CHECK(met(0x345, 0x6345, 0x2345) == 0x2005);
	CHECK(met(0x345, 0x2345, 0) == 0);
}

TEST(an_answer_that_is_shorter_meets_what_it_has)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[2];
	} mine = { .head.nmsrs = 2, .e = { { .data = 3 }, { .data = 3 } } },
	  other = { .head.nmsrs = 1, .e = { { .data = 1 }, { .data = 1 } } };

	gvm_mask_features_meet(&mine.head, &other.head);
	CHECK(mine.e[0].data == 1 && mine.e[1].data == 3);
}
