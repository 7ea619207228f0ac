/* SPDX-License-Identifier: GPL-2.0 */
/* Stub vCPUs: the local APIC of a vCPU that lives on another server. */
#ifndef GVM_STUB_H
#define GVM_STUB_H

#include <linux/kvm.h>

#include "msg.h"

struct gvm_stub;

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
 * gvm_stub_start() - make a fresh vCPU a stub and run it
 * @kvm_fd:	/dev/kvm
 * @vm_fd:	VM
 * @vcpu_fd:	vCPU, just created or paused for good
 * @id:		its id
 * @run:	its kvm_run
 * @ops:	must outlive the stub
 * @out:	out
 *
 * Return: 0 or -errno.
 */
int gvm_stub_start(int kvm_fd, int vm_fd, int vcpu_fd, unsigned int id, struct kvm_run *run,
		   const struct gvm_stub_ops *ops, struct gvm_stub **out);

/**
 * gvm_stub_stop() - end a stub's thread; what came before has been forwarded
 * @s:		stub; freed
 */
void gvm_stub_stop(struct gvm_stub *s);

#endif
