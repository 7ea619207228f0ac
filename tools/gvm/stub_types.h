/* SPDX-License-Identifier: GPL-2.0 */
/* What the two kinds of stubs share: stub.c begins and ends both, stub_*.c is one each. */
#ifndef GVM_STUB_TYPES_H
#define GVM_STUB_TYPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stub.h"

#define GVM_RFLAGS_IF	0x202

/**
 * struct gvm_stub_kind - how a stub comes by its interrupts
 * @name:	value of GVM_STUB_ENV that asks for it
 * @create:	allocate what it needs, 0 or -errno; may be NULL
 * @destroy:	undo; may be NULL
 * @place:	the vCPU's CPUID is known, 0 or -errno; may be NULL
 * @registers:	set those that it runs with. Return: 0 or -errno.
 * @mp_state:	of a stub that waits
 * @once:	KVM_RUN, until something came or a signal; forward it. In the stub's thread.
 */
struct gvm_stub_kind {
	const char *name;
	int (*create)(struct gvm_stub *s);
	void (*destroy)(struct gvm_stub *s);
	int (*place)(struct gvm_stub *s, const struct kvm_cpuid2 *cpuid);
	void (*registers)(const struct gvm_stub *s, struct kvm_sregs *sregs, struct kvm_regs *regs);
	uint32_t mp_state;
	void (*once)(struct gvm_stub *s);
};

extern const struct gvm_stub_kind gvm_stub_mailbox, gvm_stub_program;

/**
 * struct gvm_stub - one stub
 * @kind:	of the two
 * @vm_fd:	VM
 * @fd:		vCPU
 * @id:		vCPU's
 * @run:	its kvm_run
 * @ops:	what it needs of its surroundings
 * @thread:	that runs it
 * @stop:	the thread is to end
 * @active:	there is one
 * @in_init:	an INIT was forwarded, its SIPI was not; the thread's, while it runs
 * @host_bits:	of physical addresses
 * @smm:	the program runs in SMM; this and what follows is the program's
 * @image:	its memory
 * @size:	bytes of that
 * @gpa:	where the vCPU sees it, 0: nowhere yet
 * @slot:	of that
 */
struct gvm_stub {
	const struct gvm_stub_kind *kind;
	int vm_fd;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	const struct gvm_stub_ops *ops;
	pthread_t thread;
	atomic_bool stop;
	bool active;
	bool in_init;
	unsigned int host_bits;
	bool smm;
	void *image;
	size_t size;
	uint64_t gpa;
	uint32_t slot;
};

/** gvm_stub_fail() - the stub cannot go on, as errno says; does not return */
void gvm_stub_fail(struct gvm_stub *s, const char *what) __attribute__((noreturn));

/** gvm_stub_forward() - tell the surroundings of an interrupt */
void gvm_stub_forward(struct gvm_stub *s, const struct gvm_msg_irq *irq);

/** gvm_stub_set_mp_state() - KVM_SET_MP_STATE. Return: 0 or -errno. */
int gvm_stub_set_mp_state(struct gvm_stub *s, uint32_t state);

/** gvm_stub_set_registers() - registers and APIC of a stub that waits. Return: 0 or -errno. */
int gvm_stub_set_registers(struct gvm_stub *s, bool fresh);

#endif
