// SPDX-License-Identifier: GPL-2.0
/* Stubs: what is in a mail and in which order it is forwarded, what the program's exits say. */
#include <string.h>

#include "image.h"
#include "stub_state.h"
#include "tap.h"

static struct gvm_kvm_mail mail;
static bool in_init;

static void begin(void)
{
	memset(&mail, 0, sizeof(mail));
	in_init = false;
}

static bool took(unsigned int mode, unsigned int vector, unsigned int level)
{
	struct gvm_msg_irq irq;

	return gvm_stub_take(&mail, &in_init, &irq) && irq.mode == mode && irq.vector == vector &&
	       irq.level == level;
}

static bool empty(void)
{
	struct gvm_msg_irq irq;

	return !gvm_stub_take(&mail, &in_init, &irq);
}

TEST(an_empty_mail_has_nothing)
{
	begin();
	CHECK(empty());
	CHECK(empty());
}

TEST(a_mail_is_taken_in_the_order_of_one_machine)
{
	begin();
	mail.flags = KVM_X86_APIC_MAILBOX_SIPI | KVM_X86_APIC_MAILBOX_INIT |
		     KVM_X86_APIC_MAILBOX_SMI;
	mail.sipi_vector = 0x9a;
	mail.nr_nmis = 2;
	mail.irr[0] = 1u << 31;
	mail.irr[7] = 1u << 31 | 1;
	mail.tmr[7] = 1;
	mail.tmr[3] = ~0u;	/* of nothing that came */
	CHECK(took(GVM_MODE_SMI, 0, 0));
	CHECK(took(GVM_MODE_FIXED, 31, 0));
	CHECK(took(GVM_MODE_FIXED, 224, 1));
	CHECK(took(GVM_MODE_FIXED, 255, 0));
	CHECK(took(GVM_MODE_NMI, 0, 0));
	CHECK(took(GVM_MODE_NMI, 0, 0));
	CHECK(!in_init);
	CHECK(took(GVM_MODE_INIT, 0, 0));
	CHECK(in_init);
	CHECK(took(GVM_MODE_SIPI, 0x9a, 0));
	CHECK(!in_init);
	CHECK(empty());
}

TEST(init_lasts_over_mails_until_its_sipi)
{
	begin();
	mail.flags = KVM_X86_APIC_MAILBOX_INIT;
	CHECK(took(GVM_MODE_INIT, 0, 0));
	CHECK(empty() && in_init);
	mail.irr[1] = 1;
	CHECK(took(GVM_MODE_FIXED, 32, 0));
	CHECK(empty() && in_init);
	mail.flags = KVM_X86_APIC_MAILBOX_SIPI;
	mail.sipi_vector = 8;
	CHECK(took(GVM_MODE_SIPI, 8, 0));
	CHECK(empty() && !in_init);
}

TEST(a_sipi_without_init_is_nothing)
{
	begin();
	mail.flags = KVM_X86_APIC_MAILBOX_SIPI;
	mail.sipi_vector = 8;
	CHECK(empty());
	CHECK(!mail.flags);	/* nor is it kept for a later INIT */
	mail.flags = KVM_X86_APIC_MAILBOX_INIT;
	CHECK(took(GVM_MODE_INIT, 0, 0));
	CHECK(empty() && in_init);
}

TEST(a_mail_of_all_vectors_is_taken_whole)
{
	unsigned int v;

	begin();
	memset(mail.irr, 0xff, sizeof(mail.irr));
	for (v = 0; v < 256; v++)
		CHECK(took(GVM_MODE_FIXED, v, 0));
	CHECK(empty());
}

static struct {
	struct kvm_run run;
	unsigned char data;
} page;

static enum gvm_stub_report exit_of(unsigned int reason, unsigned int direction, unsigned int port,
				    unsigned int data, unsigned int *vector)
{
	memset(&page, 0, sizeof(page));
	page.run.exit_reason = reason;
	page.run.io.direction = direction;
	page.run.io.port = port;
	page.run.io.data_offset = (char *)&page.data - (char *)&page.run;
	page.data = data;
	return gvm_stub_report(&page.run, vector);
}

TEST(the_program_reports_by_its_ports)
{
	unsigned int v = 0;

	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT_IDLE, 0, &v) == GVM_STUB_IDLE);
	CHECK(exit_of(KVM_EXIT_IOAPIC_EOI, 0, 0, 0, &v) == GVM_STUB_NOTHING);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT, 16, &v) == GVM_STUB_IRQ);
	CHECK(v == 16);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT, 255, &v) == GVM_STUB_IRQ);
	CHECK(v == 255);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT, 2, &v) == GVM_STUB_IRQ);
	CHECK(v == 2);
}

TEST(whatever_else_the_program_does_is_broken)
{
	unsigned int v = 0;

	CHECK(exit_of(KVM_EXIT_SHUTDOWN, 0, 0, 0, &v) == GVM_STUB_BROKEN);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_IN, GVM_IMAGE_PORT, 16, &v) == GVM_STUB_BROKEN);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, 0x80, 16, &v) == GVM_STUB_BROKEN);
	CHECK(!v);
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT, 14, &v) == GVM_STUB_BROKEN);
	CHECK(v == 14);		/* its own page fault: the message says so */
	CHECK(exit_of(KVM_EXIT_IO, KVM_EXIT_IO_OUT, GVM_IMAGE_PORT, 15, &v) == GVM_STUB_BROKEN);
}

TEST(what_is_pending_is_in_irr_or_an_nmi)
{
	static struct kvm_lapic_state lapic;
	struct kvm_vcpu_events ev = { 0 };
	unsigned int v;

	CHECK(!gvm_stub_pending(&lapic, &ev));
	for (v = 16; v < 256; v++) {
		lapic.regs[0x200 + v / 32 * 16 + v % 32 / 8] = 1 << v % 8;
		CHECK(gvm_stub_pending(&lapic, &ev));
		lapic.regs[0x200 + v / 32 * 16 + v % 32 / 8] = 0;
	}
	memset(lapic.regs + 0x100, 0xff, 0x100);	/* ISR, TMR */
	CHECK(!gvm_stub_pending(&lapic, &ev));
	ev.nmi.pending = 1;
	CHECK(gvm_stub_pending(&lapic, &ev));
	ev.nmi.pending = 0;
	ev.nmi.injected = 1;
	CHECK(gvm_stub_pending(&lapic, &ev));
}

TEST(level_is_in_tmr)
{
	static struct kvm_lapic_state lapic;

	CHECK(!gvm_stub_is_level(&lapic, 0x31));
	lapic.regs[0x180 + 0x10 + 2] = 2;	/* 0x31: the second register's bit 17 */
	CHECK(gvm_stub_is_level(&lapic, 0x31));
	CHECK(!gvm_stub_is_level(&lapic, 0x30));
	CHECK(!gvm_stub_is_level(&lapic, 0x32));
	CHECK(!gvm_stub_is_level(&lapic, 0x51));
}

TEST(the_program_is_where_guest_and_host_can_address_it)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[2];
	} cpuid = { .head.nent = 1, .entry[1] = { .function = 0x80000008, .eax = 0x3028 } };

	CHECK(gvm_stub_phys_bits(&cpuid.head) == 36);
	cpuid.head.nent = 2;
	CHECK(gvm_stub_phys_bits(&cpuid.head) == 40);
	CHECK(gvm_stub_gpa(0, 40, 48) == 1ull << 39);
	CHECK(gvm_stub_gpa(0, 48, 40) == 1ull << 39);
	CHECK(gvm_stub_gpa(3, 40, 40) == (1ull << 39) + 3 * (2ull << 20));
	CHECK(gvm_stub_gpa(GVM_VCPUS_MAX - 1, 36, 52) + GVM_IMAGE_ALIGN <= 1ull << 36);
}
