// SPDX-License-Identifier: GPL-2.0
/* The stub's program: its tables walked, its handlers interpreted. */
#include <stdint.h>
#include <string.h>

#include "image.h"
#include "tap.h"

#define STACK_WORDS	16

static uint8_t mem[0x9000];
static uint64_t gpa;

static const uint64_t places[] = {
	0, 2ull << 20, 0xfee00000ull + (4ull << 20), 1ull << 39, 1ull << 47, (1ull << 51) + (6ull << 20),
	(1ull << 52) - (2ull << 20),
};

#define for_each_place() for (unsigned int i_ = 0; build(i_); i_++)

static bool build(unsigned int i)
{
	if (i == sizeof(places) / sizeof(places[0]))
		return false;
	gpa = places[i] & ~(uint64_t)(GVM_IMAGE_ALIGN - 1);
	memset(mem, 0xcc, sizeof(mem));
	CHECK(gvm_image_build(mem, sizeof(mem), gpa) == gvm_image.size);
	return true;
}

static uint64_t word(uint64_t at)
{
	uint64_t v;

	CHECK(at + 8 <= gvm_image.size);
	memcpy(&v, mem + at, 8);
	return v;
}

/* A page table's entry, where the table is in the image. */
static uint64_t walk(uint64_t table, uint64_t va, unsigned int shift)
{
	uint64_t e = word((table & 0xffffffffff000ull) - gpa + (va >> shift & 511) * 8);

	CHECK((e & 3) == 3);
	return e;
}

/* Virtual address to offset in the image. */
static uint64_t translate(uint64_t cr3, uint64_t va)
{
	uint64_t e = walk(walk(walk(cr3, va, 39), va, 30), va, 21);

	CHECK(e & 0x80);
	return (e & 0xfffffffe00000ull) + (va & 0x1fffff) - gpa;
}

TEST(what_cannot_be_built)
{
	CHECK(!gvm_image_build(mem, gvm_image.size - 1, 0));
	CHECK(!gvm_image_build(mem, sizeof(mem), 0x100000));
	CHECK(!gvm_image_build(mem, sizeof(mem), 1ull << 52));
	CHECK(gvm_image.size <= GVM_IMAGE_ALIGN);
}

TEST(nothing_is_written_beyond_the_image)
{
	for_each_place()
		for (size_t at = gvm_image.size; at < sizeof(mem); at++)
			CHECK(mem[at] == 0xcc);
}

TEST(the_image_is_mapped)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	for_each_place() {
		memset(&sregs, 0, sizeof(sregs));
		gvm_image_sregs(gpa, &sregs, &regs);
		for (uint64_t at = 0; at < gvm_image.size; at += 4096)
			CHECK(translate(sregs.cr3, GVM_IMAGE_VA + at) == at);
		CHECK(translate(sregs.cr3, regs.rip) == gvm_image.entry);
		CHECK(translate(sregs.cr3, regs.rsp - 1) == gvm_image.stack_top - 1);
		CHECK(translate(sregs.cr3, sregs.gdt.base) == gvm_image.gdt);
		CHECK(translate(sregs.cr3, sregs.idt.base) == gvm_image.idt);
		CHECK(translate(sregs.cr3, sregs.tr.base) == gvm_image.tss);
	}
}

static void check_segment(const struct kvm_segment *seg, uint64_t d)
{
	CHECK(seg->base == 0 && seg->limit == 0xffffffff);
	CHECK(seg->type == (d >> 40 & 15));
	CHECK(seg->s == (d >> 44 & 1) && seg->dpl == (d >> 45 & 3) && seg->present == (d >> 47 & 1));
	CHECK(seg->l == (d >> 53 & 1) && seg->db == (d >> 54 & 1) && seg->g == (d >> 55 & 1));
	CHECK((d & 0xffff) == 0xffff && (d >> 48 & 15) == 15);
}

TEST(registers_agree_with_the_tables)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	build(1);
	memset(&sregs, 0x5a, sizeof(sregs));
	gvm_image_sregs(gpa, &sregs, &regs);
	check_segment(&sregs.cs, word(gvm_image.gdt + sregs.cs.selector));
	check_segment(&sregs.ss, word(gvm_image.gdt + sregs.ss.selector));
	CHECK(!memcmp(&sregs.ss, &sregs.ds, sizeof(sregs.ss)));
	CHECK(sregs.cs.l && !sregs.cs.db && sregs.cs.type == 11);
	CHECK(!word(gvm_image.gdt));
	CHECK(sregs.gdt.limit == gvm_image.gdt_size - 1 && sregs.idt.limit == 4095);
	CHECK(sregs.tr.type == 11 && sregs.tr.present && !sregs.tr.s && !sregs.tr.unusable);
	CHECK(sregs.ldt.unusable);
	CHECK(sregs.cr0 == 0x80010033 && sregs.cr4 == 0x20 && sregs.efer == 0x500);
	CHECK(!sregs.cr8);
	CHECK(sregs.apic_base == 0x5a5a5a5a5a5a5a5a);
	CHECK(sregs.interrupt_bitmap[3] == 0x5a5a5a5a5a5a5a5a);
	CHECK(regs.rflags == 0x202 && !regs.rax);
}

TEST(gates_lead_to_the_stubs)
{
	for_each_place() {
		for (unsigned int v = 0; v < GVM_IMAGE_VECTORS; v++) {
			uint64_t lo = word(gvm_image.idt + v * 16);
			uint64_t hi = word(gvm_image.idt + v * 16 + 8);
			uint64_t to = (lo & 0xffff) | (lo >> 32 & 0xffff0000) | hi << 32;

			CHECK(to == GVM_IMAGE_VA + gvm_image.stubs + v * GVM_IMAGE_STUB);
			CHECK((lo >> 16 & 0xffff) == GVM_IMAGE_CS);
			CHECK((lo >> 32 & 0xffff) == 0x8e00);
			CHECK(!(hi >> 32));
		}
	}
}

/* The few instructions that handlers are made of. */
struct cpu {
	uint32_t at;		/* offset in the image */
	uint64_t rax, rcx, rdx;
	uint64_t stack[STACK_WORDS];
	unsigned int sp;	/* words used */
	unsigned int nr_out, nr_eoi, nr_idle;
	uint8_t out;
	bool interrupts, done;
};

static void push(struct cpu *c, uint64_t v)
{
	CHECK(c->sp < STACK_WORDS);
	c->stack[c->sp++] = v;
}

static uint64_t pop(struct cpu *c)
{
	CHECK(c->sp);
	return c->stack[--c->sp];
}

static int32_t immediate(const struct cpu *c, unsigned int at)
{
	int32_t v;

	memcpy(&v, mem + c->at + at, sizeof(v));
	return v;
}

static void wrmsr(struct cpu *c)
{
	CHECK(c->rcx == 0x80b && !c->rax && !c->rdx);
	CHECK(c->nr_out == 1);		/* first the report, then EOI */
	c->nr_eoi++;
	c->at += 2;
}

static void xor_self(struct cpu *c, uint8_t modrm)
{
	CHECK(modrm == 0xc0 || modrm == 0xd2);
	*(modrm == 0xc0 ? &c->rax : &c->rdx) = 0;
	c->at += 2;
}

static void rex_w(struct cpu *c)
{
	const uint8_t *i = mem + c->at;

	if (i[1] == 0xcf) {
		c->done = true;
		return;
	}
	CHECK(i[1] == 0x83 && i[2] == 0xc4 && i[3] == 8);
	pop(c);
	c->at += 4;
}

static void out(struct cpu *c, uint8_t port)
{
	CHECK(port == GVM_IMAGE_PORT || port == GVM_IMAGE_PORT_IDLE);
	if (port == GVM_IMAGE_PORT_IDLE) {
		c->nr_idle++;
	} else {
		c->out = c->rax;
		c->nr_out++;
	}
	c->at += 2;
}

static void step(struct cpu *c)
{
	const uint8_t *i = mem + c->at;

	CHECK(c->at >= gvm_image.stubs && c->at < gvm_image.stack_top - 4096);
	switch (i[0]) {
	case 0x50:
	case 0x51:
	case 0x52:
		push(c, i[0] == 0x50 ? c->rax : i[0] == 0x51 ? c->rcx : c->rdx);
		c->at++;
		return;
	case 0x58:
	case 0x59:
	case 0x5a:
		*(i[0] == 0x58 ? &c->rax : i[0] == 0x59 ? &c->rcx : &c->rdx) = pop(c);
		c->at++;
		return;
	case 0xb0:
		c->rax = (c->rax & ~0xffull) | i[1];
		c->at += 2;
		return;
	case 0xb9:
		c->rcx = (uint32_t)immediate(c, 1);
		c->at += 5;
		return;
	case 0xe6:
		out(c, i[1]);
		return;
	case 0x90:
		c->at++;
		return;
	case 0xfb:
		c->interrupts = true;
		c->at++;
		return;
	case 0xeb:
		c->at += 2 + (int8_t)i[1];
		return;
	case 0xe9:
		c->at += 5 + immediate(c, 1);
		return;
	case 0x31:
		xor_self(c, i[1]);
		return;
	case 0x0f:
		CHECK(i[1] == 0x30);
		wrmsr(c);
		return;
	case 0x48:
		rex_w(c);
		return;
	default:
		tap_fail(__FILE__, __LINE__, "no such instruction at %#x: %#x", c->at, i[0]);
	}
}

static bool has_error(unsigned int v)
{
	return v == 8 || (v >= 10 && v <= 14);
}

TEST(each_handler_reports_its_vector_and_returns)
{
	build(1);
	for (unsigned int v = 0; v < GVM_IMAGE_VECTORS; v++) {
		struct cpu c = { .at = gvm_image.stubs + v * GVM_IMAGE_STUB,
				 .rax = 0x1111111111111111, .rcx = 2, .rdx = 3 };

		push(&c, 0xf7a3e);		/* the frame that IRETQ takes */
		if (has_error(v))
			push(&c, 0xe77);
		for (int n = 0; n < 32 && !c.done; n++)
			step(&c);
		CHECK(c.done);
		CHECK(c.nr_out == 1 && c.out == v && !c.nr_idle);
		CHECK(c.nr_eoi == (v >= 16));
		CHECK(c.sp == 1 && c.stack[0] == 0xf7a3e);
		CHECK(c.rax == 0x1111111111111111 && c.rcx == 2 && c.rdx == 3);
	}
}

TEST(the_entry_says_that_it_is_idle_again_and_again)
{
	struct cpu c = { .at = gvm_image.entry };

	build(1);
	for (int n = 0; n < 64; n++) {
		step(&c);
		CHECK(c.interrupts);
	}
	CHECK(c.nr_idle > 16);
	CHECK(!c.nr_out && !c.nr_eoi && !c.sp && !c.done);
}
