/* SPDX-License-Identifier: GPL-2.0 */
/* Entry of CPU 0 in 64-bit mode, trampoline of the others, interrupt stubs. */
#define TRAMPOLINE	0x8000
#define PAGE_TABLES	0x1000
#define CPU_SHIFT	14		/* sizeof(struct cpu), see guest.h */
#define MSR_EFER	0xc0000080

	.section .text.start, "ax"
	.code64
	.globl _start
_start:
	xorl %edi, %edi
	jmp enter

/* edi: the CPU's number. Its stack is the end of its struct cpu. */
enter:
	lgdt gdtr(%rip)
	leaq 1f(%rip), %rax
	movl $boot_stack + 64, %esp
	pushq $8
	pushq %rax
	lretq
1:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %edi, %eax
	incl %eax
	shll $CPU_SHIFT, %eax
	addl $cpus, %eax
	movl %eax, %esp
	call main
2:	cli
	hlt
	jmp 2b

	.text
/*
 * Copied to TRAMPOLINE; addresses below are of the copy. Descriptors are marked as accessed
 * already, so that nobody writes to these tables.
 */
#define AT(x) ((x) - trampoline + TRAMPOLINE)
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl AT(tgdtr)
	movl $1, %eax
	movl %eax, %cr0
	ljmpl $24, $AT(protected)
	.code32
protected:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $0x20, %eax		/* PAE */
	movl %eax, %cr4
	movl $PAGE_TABLES, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	movl $0x100, %eax		/* LME */
	xorl %edx, %edx
	wrmsr
	movl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	ljmpl $8, $AT(long_mode)
	.code64
long_mode:
	movl $1, %eax
	cpuid
	movl %ebx, %edi
	shrl $24, %edi			/* APIC id */
	movl $enter_ap, %eax
	jmp *%rax
	.balign 8
tgdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 8: 64-bit code */
	.quad 0x00cf93000000ffff	/* 16: data */
	.quad 0x00cf9b000000ffff	/* 24: 32-bit code */
tgdtr:
	.word . - tgdt - 1
	.long AT(tgdt)
trampoline_end:

/* Several CPUs may come at once: no stack before the own one. */
enter_ap:
	movl %edi, %eax
	incl %eax
	shll $CPU_SHIFT, %eax
	addl $cpus, %eax
	movl %eax, %esp
	call main
	jmp 2b

	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdtr:
	.word . - gdt - 1
	.quad gdt

/* One stub a vector; exceptions without an error code get a 0. */
	.balign 16
	.globl stubs
stubs:
	vector = 0
	.rept 256
	.balign 16
	.if (vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21)
	pushq $0
	.endif
	pushq $vector
	jmp common
	vector = vector + 1
	.endr

common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call interrupt
	movq %rbp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.bss
	.balign 16
boot_stack:
	.skip 128

	.section .note.GNU-stack, "", @progbits
