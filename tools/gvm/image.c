// SPDX-License-Identifier: GPL-2.0
/* A stub vCPU's program, byte by byte. */
#include <stdbool.h>
#include <string.h>

#include "image.h"
#include "msg.h"

#define PAGE		4096
#define PTE_TABLE	0x023	/* present, writable, accessed */
#define PTE_HUGE	0x0e3	/* and dirty, 2 MiB */
#define GDT_CODE	0x00af9b000000ffffull	/* 64-bit, accessed */
#define GDT_DATA	0x00cf93000000ffffull
#define GATE		0x8e00	/* present, ring 0, interrupt gate, no IST */

#define CR0		0x80010033u	/* PG WP NE ET MP PE */
#define CR4_PAE		0x20u
#define EFER		0x500u		/* LMA LME */
#define X2APIC_EOI	0x80b

const struct gvm_image gvm_image = {
	.pml4 = 0x0000,
	.pdpt = 0x1000,
	.pd = 0x2000,
	.gdt = 0x3000,
	.gdt_size = 3 * 8,
	.tss = 0x3100,
	.tss_size = 104,
	.idt = 0x4000,
	.stubs = 0x5000,
	.entry = 0x6000,
	.handlers = 0x6010,
	.stack_top = 0x8000,
	.size = 0x8000,
};

static const uint8_t entry_code[] = {
	0xfb,			/* sti */
	0x90,			/* nop: interrupts come after it */
	0xe6, GVM_IMAGE_PORT_IDLE,	/* 1: out al, port */
	0xeb, 0xfc,		/* jmp 1b */
};

/* The handlers begin with al = vector and the old rax on the stack. */
static const uint8_t handler_plain[] = {
	0xe6, GVM_IMAGE_PORT,	/* out al, port */
	0x58,			/* pop rax */
	0x48, 0xcf,		/* iretq */
};

static const uint8_t handler_error[] = {
	0xe6, GVM_IMAGE_PORT,	/* out al, port */
	0x58,			/* pop rax */
	0x48, 0x83, 0xc4, 0x08,	/* add rsp, 8 */
	0x48, 0xcf,		/* iretq */
};

static const uint8_t handler_eoi[] = {
	0xe6, GVM_IMAGE_PORT,	/* out al, port */
	0x51,			/* push rcx */
	0x52,			/* push rdx */
	0x31, 0xc0,		/* xor eax, eax */
	0x31, 0xd2,		/* xor edx, edx */
	0xb9, X2APIC_EOI & 0xff, X2APIC_EOI >> 8, 0, 0,	/* mov ecx, 0x80b */
	0x0f, 0x30,		/* wrmsr */
	0x5a,			/* pop rdx */
	0x59,			/* pop rcx */
	0x58,			/* pop rax */
	0x48, 0xcf,		/* iretq */
};

enum { AT_PLAIN = 0, AT_ERROR = 16, AT_EOI = 32 };	/* from gvm_image.handlers */

_Static_assert(sizeof(entry_code) <= 16 && sizeof(handler_plain) <= AT_ERROR &&
	       sizeof(handler_error) <= AT_EOI - AT_ERROR, "handlers overlap");

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void build_tables(uint8_t *image, uint64_t gpa)
{
	const uint64_t va = GVM_IMAGE_VA;

	put64(image + gvm_image.pml4 + (va >> 39 & 511) * 8, (gpa + gvm_image.pdpt) | PTE_TABLE);
	put64(image + gvm_image.pdpt + (va >> 30 & 511) * 8, (gpa + gvm_image.pd) | PTE_TABLE);
	put64(image + gvm_image.pd + (va >> 21 & 511) * 8, gpa | PTE_HUGE);
	put64(image + gvm_image.gdt + GVM_IMAGE_CS, GDT_CODE);
	put64(image + gvm_image.gdt + GVM_IMAGE_DS, GDT_DATA);
}

static void build_gate(uint8_t *image, unsigned int vector)
{
	uint64_t to = GVM_IMAGE_VA + gvm_image.stubs + vector * GVM_IMAGE_STUB;
	uint8_t *gate = image + gvm_image.idt + vector * 16;

	put64(gate, (to & 0xffff) | GVM_IMAGE_CS << 16 | (uint64_t)GATE << 32 |
		    (to >> 16 & 0xffff) << 48);
	put64(gate + 8, to >> 32);
}

static uint32_t handler_of(unsigned int vector)
{
	if (vector >= GVM_VECTOR_MIN)
		return AT_EOI;
	return vector == 8 || (vector >= 10 && vector <= 14) ? AT_ERROR : AT_PLAIN;
}

static void build_stub(uint8_t *image, unsigned int vector)
{
	uint32_t at = gvm_image.stubs + vector * GVM_IMAGE_STUB;
	uint32_t rel = gvm_image.handlers + handler_of(vector) - (at + 8);
	uint8_t *stub = image + at;

	stub[0] = 0x50;			/* push rax */
	stub[1] = 0xb0;			/* mov al, vector */
	stub[2] = vector;
	stub[3] = 0xe9;			/* jmp handler */
	memcpy(stub + 4, &rel, sizeof(rel));
}

size_t gvm_image_build(void *buf, size_t len, uint64_t gpa)
{
	uint8_t *image = buf;

	if (len < gvm_image.size || gpa % GVM_IMAGE_ALIGN || gpa >= GVM_IMAGE_GPA_MAX)
		return 0;
	memset(image, 0, gvm_image.size);
	build_tables(image, gpa);
	for (unsigned int v = 0; v < GVM_IMAGE_VECTORS; v++) {
		build_gate(image, v);
		build_stub(image, v);
	}
	memcpy(image + gvm_image.entry, entry_code, sizeof(entry_code));
	memcpy(image + gvm_image.handlers + AT_PLAIN, handler_plain, sizeof(handler_plain));
	memcpy(image + gvm_image.handlers + AT_ERROR, handler_error, sizeof(handler_error));
	memcpy(image + gvm_image.handlers + AT_EOI, handler_eoi, sizeof(handler_eoi));
	return gvm_image.size;
}

void gvm_image_sregs(uint64_t gpa, struct kvm_sregs *sregs, struct kvm_regs *regs)
{
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = GVM_IMAGE_DS, .type = 3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};

	sregs->cs = (struct kvm_segment){
		.limit = 0xffffffff, .selector = GVM_IMAGE_CS, .type = 11,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	/* VMX enters 64-bit mode only with a busy 64-bit TSS. */
	sregs->tr = (struct kvm_segment){
		.base = GVM_IMAGE_VA + gvm_image.tss, .limit = gvm_image.tss_size - 1,
		.type = 11, .present = 1,
	};
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
	sregs->gdt = (struct kvm_dtable){
		.base = GVM_IMAGE_VA + gvm_image.gdt, .limit = gvm_image.gdt_size - 1,
	};
	sregs->idt = (struct kvm_dtable){
		.base = GVM_IMAGE_VA + gvm_image.idt, .limit = GVM_IMAGE_VECTORS * 16 - 1,
	};
	sregs->cr0 = CR0;
	sregs->cr2 = 0;
	sregs->cr3 = gpa + gvm_image.pml4;
	sregs->cr4 = CR4_PAE;
	sregs->cr8 = 0;
	sregs->efer = EFER;
	*regs = (struct kvm_regs){
		.rip = GVM_IMAGE_VA + gvm_image.entry, .rsp = GVM_IMAGE_VA + gvm_image.stack_top,
		.rflags = 0x202,
	};
}
