/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program of a stub vCPU (Documentation/dsm/gvm.rst), as bytes of its memory: page tables
 * that map the 2 MiB it is in at GVM_IMAGE_VA, GDT, IDT, a stack, and code that reports each
 * interrupt by an OUT of the vector to a port, and by an OUT to another one that there is none.
 *
 * Entry: sti; nop; 1: out idle; jmp 1b. The handler of each vector saves what it uses, so that an
 * NMI may come in between, writes the vector to GVM_IMAGE_PORT and, from 16 on, signals EOI with the
 * x2APIC's MSR: the local APIC must be in that mode. It returns with IRETQ.
 *
 * Vectors below 16 no APIC delivers: but for 2 (NMI) they are exceptions of the program itself,
 * which is a bug; they are reported without EOI, and their error code is dropped (8, 10 to 14), so
 * that the program goes on, most likely into the same exception: who reads the port should end the
 * VM. From 16 to 31 an interrupt and an exception cannot be told apart; all are
 * taken for interrupts, so one that pushed an error code (17, 21, 29, 30) returns to nowhere.
 */
#ifndef GVM_IMAGE_H
#define GVM_IMAGE_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define GVM_IMAGE_PORT		0xe9	/* the vector is written here */
#define GVM_IMAGE_PORT_IDLE	0xea	/* no interrupt is pending */
#define GVM_IMAGE_ALIGN		(2u << 20)		/* of the guest-physical address */
#define GVM_IMAGE_GPA_MAX	((uint64_t)1 << 52)	/* which must be lower than this */
#define GVM_IMAGE_VA		0x200000ull		/* linear address of the image */
#define GVM_IMAGE_VECTORS	256
#define GVM_IMAGE_STUB		16			/* bytes a vector at stubs */
#define GVM_IMAGE_CS		0x08
#define GVM_IMAGE_DS		0x10

/**
 * struct gvm_image - offsets in the image; those not "in" a page begin one
 * @pml4:	page table of level 4
 * @pdpt:	level 3
 * @pd:		level 2
 * @gdt:	null, 64-bit code, data
 * @gdt_size:	bytes of it
 * @tss:	in the GDT's page; all zero, never used: interrupts come in ring 0 on the same stack
 * @tss_size:	bytes of it
 * @idt:	256 interrupt gates
 * @stubs:	256 entries, GVM_IMAGE_STUB bytes each
 * @handlers:	in the page of @entry: the common part of the handlers
 * @entry:	where the program begins
 * @stack_top:	first byte after the stack, which is the last page
 * @size:	bytes of the image
 */
struct gvm_image {
	uint32_t pml4, pdpt, pd;
	uint32_t gdt, gdt_size;
	uint32_t tss, tss_size;
	uint32_t idt;
	uint32_t stubs;
	uint32_t entry, handlers;
	uint32_t stack_top;
	uint32_t size;
};

extern const struct gvm_image gvm_image;

/**
 * gvm_image_build() - fill memory with the program
 * @buf:	memory
 * @len:	its bytes, at least gvm_image.size
 * @gpa:	guest-physical address it will have, a multiple of GVM_IMAGE_ALIGN below
 *		GVM_IMAGE_GPA_MAX, and in the guest's physical address width (the caller's to see to)
 *
 * Return: bytes filled, 0 if @len or @gpa will not do.
 */
size_t gvm_image_build(void *buf, size_t len, uint64_t gpa);

/**
 * gvm_image_sregs() - registers with which the program begins
 * @gpa:	as given to gvm_image_build()
 * @sregs:	in: from KVM_GET_SREGS; out: all set but apic_base and interrupt_bitmap
 * @regs:	out: all set
 */
void gvm_image_sregs(uint64_t gpa, struct kvm_sregs *sregs, struct kvm_regs *regs);

#endif
