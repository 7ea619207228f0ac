/* SPDX-License-Identifier: GPL-2.0 */
/* The state of a vCPU, read from KVM and written to it. */
#ifndef GVM_STATE_H
#define GVM_STATE_H

#include "move.h"

/**
 * gvm_state_save() - read the state of a vCPU that is out of KVM_RUN, with its I/O completed
 * @kvm_fd:	/dev/kvm
 * @fd:		vCPU
 * @s:		out
 *
 * Return: 0 or -errno.
 */
int gvm_state_save(int kvm_fd, int fd, struct gvm_state *s);

/**
 * gvm_state_load() - write it to a vCPU that was a stub
 * @fd:		vCPU
 * @s:		state
 *
 * What is pending in the vCPU's APIC, NMI and INIT too, stays.
 *
 * Return: 0 or -errno; then gvm_stub_begin() makes it a stub again.
 */
int gvm_state_load(int fd, const struct gvm_state *s);

#endif
