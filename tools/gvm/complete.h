/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU is brought to where its state is all that there is to it. */
#ifndef GVM_COMPLETE_H
#define GVM_COMPLETE_H

#include <linux/kvm.h>
#include <stdbool.h>

/**
 * gvm_complete() - KVM_RUN that runs no guest code
 * @fd:		vCPU
 * @run:	its kvm_run; immediate_exit is cleared, and set again for an exit that came first
 * @fired:	out: its APIC's one-shot timer has run out, and has interrupted
 *
 * The I/O that the VMM has answered is completed, and what KVM holds for the vCPU outside of its
 * registers becomes an exit or is in the APIC. A timer that had not run out by then has not
 * interrupted, and does not before the next KVM_RUN.
 *
 * Whoever has set KVM's signal mask of the vCPU has to set it again. Context: the thread that runs
 * the vCPU.
 *
 * Return: -EINTR: done; 0: an exit, for the VMM; -EAGAIN: it was kicked meanwhile; -errno.
 */
int gvm_complete(int fd, struct kvm_run *run, bool *fired);

#endif
