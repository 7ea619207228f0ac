/* SPDX-License-Identifier: GPL-2.0 */
/* The state of a vCPU, read from KVM and written to it. */
#ifndef GVM_STATE_H
#define GVM_STATE_H

#include "move.h"

/**
 * gvm_state_save() - read the state of a vCPU that is out of KVM_RUN, with its I/O completed
 * @kvm_fd:	/dev/kvm
 * @fd:		vCPU
 * @fired:	what gvm_complete() has said, with no KVM_RUN since
 * @s:		out
 *
 * Return: 0; -EAGAIN: not just now, see gvm_state_busy(); -errno.
 */
int gvm_state_save(int kvm_fd, int fd, bool fired, struct gvm_state *s);

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

/**
 * gvm_state_tsc() - get or set the offset of a vCPU's TSC
 * @fd:		vCPU
 * @request:	KVM_GET_DEVICE_ATTR or KVM_SET_DEVICE_ATTR
 * @offset:	to the counter of this server
 *
 * Return: 0 or -errno.
 */
int gvm_state_tsc(int fd, unsigned long request, uint64_t *offset);

/** gvm_state_set_msr() - write one MSR of a vCPU. Return: 0; -EIO: KVM does not take it; -errno. */
int gvm_state_set_msr(int fd, uint32_t index, uint64_t data);

#endif
