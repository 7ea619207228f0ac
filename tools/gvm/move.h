/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Moving a vCPU: what a state is, when it can be moved, and in which order it is done. No I/O.
 *
 *	COMPLETE	at the old owner: KVM_RUN that runs no guest code
 *	SAVE		at the old owner: its state, if it can be moved just now
 *	LOAD		at the new owner: its stub becomes the real vCPU
 *	LEAVE		at the old owner: the real vCPU becomes a stub that forwards to the new owner
 *	TELL		every other member, one after the other: whom to forward to
 *	RESUME		KVM_RUN, at the new owner
 *
 * An interrupt is in just one place at each moment: pending in the APIC it arrived at, or on a
 * link. A state that moves holds none. So up to LOAD all of it can be given up, and nothing was
 * lost; after LOAD what arrives at the old owner stays pending there until the new stub forwards
 * it.
 */
#ifndef GVM_MOVE_H
#define GVM_MOVE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define GVM_STATE_MSRS		400

/**
 * struct gvm_state - a vCPU that does not run
 * @nr_msrs:	entries of @msr
 * @mp_state:	RUNNABLE or HALTED
 * @tsc_offset:	to the counter of the server it was read on
 * @tsc_deadline: of the APIC's timer, 0: none
 * @lapic:	in xAPIC's format; IRR does not count
 * @msr:	all others
 */
struct gvm_state {
	uint32_t nr_msrs;
	uint32_t mp_state;
	uint64_t tsc_offset;
	uint64_t tsc_deadline;
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_msr_entry msr[GVM_STATE_MSRS];
};

/** gvm_state_ok() - is a state off the wire one that gvm_state_busy() lets through? */
bool gvm_state_ok(const struct gvm_state *s);

/**
 * gvm_state_busy() - why can this vCPU not be moved just now?
 * @s:		its state
 *
 * An interrupt in service cannot be set without overwriting those that arrive meanwhile; a vCPU
 * that waits for SIPI, or is in SMM, has INITs latched. All that passes when the guest goes on.
 *
 * Return: NULL: it can; else what is in the way.
 */
const char *gvm_state_busy(const struct gvm_state *s);

/**
 * gvm_state_timer() - the APIC timer's initial count at the new place
 * @lapic:	state
 *
 * What is left of a one-shot timer; a periodic one begins a period anew. In TSC-deadline mode it
 * does not count.
 *
 * Return: count.
 */
uint32_t gvm_state_timer(const struct kvm_lapic_state *lapic);

/** gvm_state_ran_out() - is it a one-shot timer that has run out, now or long ago? */
bool gvm_state_ran_out(const struct kvm_lapic_state *lapic);

/** gvm_state_fire_again() - it has run out, but has not interrupted: it does so once it is loaded */
void gvm_state_fire_again(struct kvm_lapic_state *lapic);

/** gvm_state_reg() - a register of the APIC, by its offset */
uint32_t gvm_state_reg(const struct kvm_lapic_state *lapic, unsigned int at);

/** gvm_state_any() - is any vector's bit set? @first: offset of the first of IRR's registers, or ISR's */
bool gvm_state_any(const struct kvm_lapic_state *lapic, unsigned int first);

enum gvm_move_step {
	GVM_MOVE_NONE,		/* no move is under way */
	GVM_MOVE_COMPLETE,
	GVM_MOVE_SAVE,
	GVM_MOVE_LOAD,
	GVM_MOVE_LEAVE,
	GVM_MOVE_TELL,
	GVM_MOVE_RESUME,
};

/**
 * struct gvm_move - one vCPU's move
 * @step:	what is to be done next
 * @from:	old owner
 * @to:		new owner
 * @told:	TELL: member to be told
 * @nr_members:	of the VM
 * @owner:	where the vCPU is real
 * @error:	of the last move: 0, or why it was given up, negative
 * @broken:	a step failed that cannot be taken back: the VM must end
 */
struct gvm_move {
	enum gvm_move_step step;
	unsigned int from, to, told, nr_members, owner;
	int error;
	bool broken;
};

/**
 * gvm_move_begin() - a move is wanted
 * @m:		move, NONE before
 * @owner:	where the vCPU is
 * @to:		where to
 * @nr_members:	of the VM
 *
 * Return: 0; -EBUSY: one is under way; -EINVAL: no such member; -EALREADY: it is there.
 */
int gvm_move_begin(struct gvm_move *m, unsigned int owner, unsigned int to,
		   unsigned int nr_members);

/**
 * gvm_move_where() - which member does the next step?
 * @m:		move
 *
 * Return: member.
 */
unsigned int gvm_move_where(const struct gvm_move *m);

/**
 * gvm_move_done() - the step was done
 * @m:		move
 * @result:	COMPLETE: of gvm_complete(); others: 0, -EAGAIN (later) or -errno
 *
 * Return: true if the next step is to be done at once; false: the vCPU is the VMM's again.
 */
bool gvm_move_done(struct gvm_move *m, int result);

/**
 * gvm_move_cancel() - it takes too long
 * @m:		move
 * @error:	negative
 *
 * Return: true if it was given up; false: too late, it will end soon.
 */
bool gvm_move_cancel(struct gvm_move *m, int error);

#endif
