/* SPDX-License-Identifier: GPL-2.0 */
/* The VM of test mailbox: what its guest runs, how interrupts are sent, and what came of them. */
#ifndef DSM_SELFTEST_MAILBOX_H
#define DSM_SELFTEST_MAILBOX_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../../../gvm/kvm_mailbox.h"

#define RAM		0x10000
#define SEND		0x1000	/* guest code: write the ICR, tell the VMM, again */
#define WAIT		0x1100	/* guest code: take interrupts, tell the VMM if there is none */
#define HANDLERS	0x2000	/* one each HANDLER bytes: tell the VMM the vector, EOI */
#define HANDLER		32
#define PORT_SENT	0x80
#define PORT_VECTOR	0x81
#define PORT_IDLE	0x82
#define MSR_SPIV	0x80f
#define MSR_ICR		0x830
#define X2APIC		0xc00
#define NR_CPUID	256
#define FIRST		16	/* vectors */
#define NR_VECTORS	256

/* The ICR's, and in bits 8 to 15 a message's. */
#define LOWEST		0x100u
#define SMI		0x200u
#define NMI		0x400u
#define INIT		0x500u
#define SIPI		0x600u
#define LOGICAL		0x800u
#define ASSERT_		0x4000u
#define LEVEL		0x8000u
#define ALL		0x80000u
#define OTHERS		0xc0000u

#define MAILBOX		KVM_MP_STATE_APIC_MAILBOX
#define M_SMI		KVM_X86_APIC_MAILBOX_SMI
#define M_INIT		KVM_X86_APIC_MAILBOX_INIT
#define M_SIPI		KVM_X86_APIC_MAILBOX_SIPI

struct vcpu {
	int fd;
	struct kvm_run *run;
};

static void build_guest(uint8_t *ram)
{
	static const uint8_t send[] = { 0x0f, 0x30, 0xe6, PORT_SENT, 0xeb, 0xfa };
	static const uint8_t wait[] = { 0xfb, 0x90, 0x90, 0xe6, PORT_IDLE, 0xeb, 0xf9 };
	/* mov al, vector; out; mov ecx, 0x80b; xor eax, eax; xor edx, edx; wrmsr; iret */
	static const uint8_t handler[] = {
		0xb0, 0, 0xe6, PORT_VECTOR, 0x66, 0xb9, 0x0b, 0x08, 0, 0,
		0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30, 0xcf,
	};
	unsigned int v;

	memcpy(ram + SEND, send, sizeof(send));
	memcpy(ram + WAIT, wait, sizeof(wait));
	for (v = 0; v < NR_VECTORS; v++) {
		uint16_t at = HANDLERS + v * HANDLER;

		memcpy(ram + at, handler, sizeof(handler));
		ram[at + 1] = v;
		memcpy(ram + v * 4, &at, sizeof(at));	/* segment 0 */
	}
}

static int set_mp_state(struct vcpu *c, uint32_t state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return ioctl(c->fd, KVM_SET_MP_STATE, &mp);
}

static uint32_t mp_state(struct vcpu *c)
{
	struct kvm_mp_state mp = { .mp_state = ~0u };

	ioctl(c->fd, KVM_GET_MP_STATE, &mp);
	return mp.mp_state;
}

static int set_regs(struct vcpu *c, uint64_t rip, uint64_t rflags)
{
	struct kvm_regs r = { .rip = rip, .rsp = 0xf000, .rflags = rflags };

	return ioctl(c->fd, KVM_SET_REGS, &r);
}

/* Real mode, the APIC in x2APIC mode and enabled. */
static int setup_vcpu(struct vcpu *c, const struct kvm_cpuid2 *cpuid)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} spiv = { .head.nmsrs = 1, .e = { .index = MSR_SPIV, .data = 0x1ff } };
	struct kvm_sregs s;

	if (ioctl(c->fd, KVM_SET_CPUID2, cpuid) || ioctl(c->fd, KVM_GET_SREGS, &s))
		return -1;
	s.cs.base = 0;
	s.cs.selector = 0;
	s.apic_base |= X2APIC;
	if (ioctl(c->fd, KVM_SET_SREGS, &s) || ioctl(c->fd, KVM_SET_MSRS, &spiv) != 1)
		return -1;
	return set_regs(c, WAIT, 0x202);
}

static struct kvm_cpuid2 *host_cpuid(int kvm)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + NR_CPUID * sizeof(c->entries[0]));
	unsigned int i;

	c->nent = NR_CPUID;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c))
		c->nent = 0;
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			c->entries[i].ecx |= 1u << 21;	/* x2APIC */
	return c;
}

static int create_vcpu(int kvm, int vm, unsigned int id, struct vcpu *c)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	c->fd = ioctl(vm, KVM_CREATE_VCPU, id);
	if (c->fd < 0)
		return -1;
	c->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	return c->run == MAP_FAILED ? -1 : 0;
}

static int split_irqchip(int vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* KVM_SIGNAL_MSI; what: vector, mode, LOGICAL. Return: how many vCPUs took it. */
static int msi(int vm, uint32_t to, uint32_t what)
{
	struct kvm_msi m = {
		.address_lo = 0xfee00000u | to << 12 | (what & LOGICAL ? 1 << 2 : 0),
		.data = what & ~LOGICAL,
	};

	return ioctl(vm, KVM_SIGNAL_MSI, &m);
}

/* vCPU 0 writes its ICR. */
static int ipi(struct vcpu *c, uint32_t to, uint32_t icr)
{
	struct kvm_regs r = {
		.rip = SEND, .rsp = 0xf000, .rflags = 2, .rcx = MSR_ICR, .rdx = to, .rax = icr,
	};

	if (ioctl(c->fd, KVM_SET_REGS, &r) || ioctl(c->fd, KVM_RUN, 0))
		return -errno;
	return c->run->exit_reason == KVM_EXIT_IO && c->run->io.port == PORT_SENT ? 0 : -EPROTO;
}

/* What is there now. If there is nothing, the test's limit of time ends it. */
static struct gvm_kvm_mail collect(struct vcpu *c)
{
	struct gvm_kvm_mail m;

	memset(&m, 0xff, sizeof(m));
	if (!ioctl(c->fd, KVM_RUN, 0) && c->run->exit_reason == KVM_EXIT_X86_APIC_MAILBOX)
		m = *gvm_kvm_mail(c->run);
	return m;
}

static struct gvm_kvm_mail nothing;

#define EMPTY(c)								\
	do {									\
		(c)->run->immediate_exit = 1;					\
		EXPECT_EQ(-1, ioctl((c)->fd, KVM_RUN, 0));			\
		EXPECT_EQ(EINTR, errno);					\
		(c)->run->immediate_exit = 0;					\
		EXPECT_FALSE(pending(c));					\
	} while (0)

/* Would KVM_RUN return at once? */
static bool pending(struct vcpu *c)
{
	struct kvm_lapic_state l;
	struct kvm_vcpu_events ev;
	uint32_t irr, sum = 0;

	if (ioctl(c->fd, KVM_GET_LAPIC, &l) || ioctl(c->fd, KVM_GET_VCPU_EVENTS, &ev))
		return true;
	for (int i = 0; i < 8; i++) {
		memcpy(&irr, l.regs + 0x200 + i * 16, sizeof(irr));
		sum |= irr;
	}
	return sum || ev.nmi.pending || ev.nmi.injected || ev.interrupt.injected ||
	       ev.smi.latched_init || ev.smi.pending;
}

static struct gvm_kvm_mail fixed(unsigned int vector, bool level)
{
	struct gvm_kvm_mail m = { 0 };

	m.irr[vector / 32] = 1u << (vector % 32);
	if (level)
		m.tmr[vector / 32] = m.irr[vector / 32];
	return m;
}

static void show(const char *what, const struct gvm_kvm_mail *m)
{
	ksft_print_msg("%s: flags %x nmis %u sipi %x irr %08x %08x %08x %08x %08x %08x %08x %08x\n", what,
		       m->flags, m->nr_nmis, m->sipi_vector, m->irr[7], m->irr[6], m->irr[5], m->irr[4],
		       m->irr[3], m->irr[2], m->irr[1], m->irr[0]);
}

#define COLLECTS(c, ...)							\
	do {									\
		struct gvm_kvm_mail want_ = __VA_ARGS__, got_ = collect(c);	\
										\
		EXPECT_EQ(0, memcmp(&want_, &got_, sizeof(want_))) {		\
			show("want", &want_);					\
			show("got ", &got_);					\
		}								\
		EMPTY(c);							\
	} while (0)

#endif
