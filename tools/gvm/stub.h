/* SPDX-License-Identifier: GPL-2.0 */
/* Stub vCPUs: the local APIC of a vCPU that lives on another server. */
#ifndef GVM_STUB_H
#define GVM_STUB_H

#include <linux/kvm.h>
#include <stdbool.h>

#include "msg.h"

struct gvm_stub;

/*
 * Environment: "program", "mailbox" or "eventfd", which is a mailbox with lanes (lanes.h), asks for
 * that kind; else it is the best the kernel can do.
 */
#define GVM_STUB_ENV	"GVM_STUB"

/* The signal that ends a KVM_RUN of a thread of gvm's own; it has an empty handler. */
#define GVM_SIGNAL	(SIGRTMAX - 2)

/**
 * struct gvm_stub_ops - what a stub needs of its surroundings
 * @irq:	an interrupt came; called in the stub's thread, in the order KVM gave them
 * @fail:	the stub cannot go on; must not return
 * @context:	passed to both
 */
struct gvm_stub_ops {
	void (*irq)(void *context, unsigned int vcpu, const struct gvm_msg_irq *irq);
	void (*fail)(void *context, unsigned int vcpu, const char *why);
	void *context;
};

/**
 * gvm_stub_create() - what a vCPU needs to be a stub, whether it is one yet or not
 * @kvm_fd:	/dev/kvm
 * @vm_fd:	VM
 * @vcpu_fd:	vCPU
 * @id:		its id
 * @run:	its kvm_run
 * @ops:	must outlive the stub
 * @out:	out
 *
 * Return: 0 or -errno.
 */
int gvm_stub_create(int kvm_fd, int vm_fd, int vcpu_fd, unsigned int id, struct kvm_run *run,
		    const struct gvm_stub_ops *ops, struct gvm_stub **out);

/** gvm_stub_signals() - can a stub of this VM signal an eventfd for a vector? */
bool gvm_stub_signals(int vm_fd);

/**
 * gvm_stub_place() - put the stub's program, if it has one, where the vCPU can address it
 * @s:		stub, not running
 * @cpuid:	the vCPU's
 *
 * Return: 0 or -errno.
 */
int gvm_stub_place(struct gvm_stub *s, const struct kvm_cpuid2 *cpuid);

/**
 * gvm_stub_begin() - the vCPU becomes a stub: its state is lost, what is pending in its APIC is not
 * @s:		stub; its vCPU is new, or out of the guest, in x2APIC mode and with no interrupt in
 *		service
 * @fresh:	it is new
 *
 * Return: 0 or -errno.
 */
int gvm_stub_begin(struct gvm_stub *s, bool fresh);

/**
 * gvm_stub_stop() - the vCPU is a stub no more
 * @s:		stub
 *
 * What came before has been forwarded, or is pending in the APIC still.
 *
 * Return: 0; -EAGAIN if it has forwarded an INIT, and must forward the SIPI: it goes on.
 */
int gvm_stub_stop(struct gvm_stub *s);

/** gvm_stub_active() - does it run? */
bool gvm_stub_active(const struct gvm_stub *s);

#endif
