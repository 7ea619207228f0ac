/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kicks: which RUN one ends. No I/O.
 *
 * RUN and KICK come on different channels, in any order. A kick is remembered by its number: it
 * ends the RUN of that number, whether that runs or is yet to come, and no other. Whoever wants a
 * vCPU out of the guest for a moment (slots that change) pushes it out likewise, and no RUN ends by
 * that: it begins again.
 *
 * All of one struct gvm_kick is called with the same lock held; it is not held in KVM_RUN.
 */
#ifndef GVM_KICK_H
#define GVM_KICK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct gvm_kick - one vCPU's
 * @run:	number of the RUN under way, or of the last one, 0: none yet
 * @kick:	number of the last KICK, 0: none yet
 * @inside:	KVM_RUN is, or is about to be, called
 */
struct gvm_kick {
	uint32_t run;
	uint32_t kick;
	bool inside;
};

/** gvm_kick_next() - the number of a RUN, from that of what was asked before it; never 0 */
uint32_t gvm_kick_next(uint32_t seq);

/**
 * gvm_kick_enter() - KVM_RUN is about to be called
 * @k:		vCPU's
 * @seq:	number of the RUN
 *
 * Return: true if it is to return at once (immediate_exit).
 */
bool gvm_kick_enter(struct gvm_kick *k, uint32_t seq);

/**
 * gvm_kick_leave() - KVM_RUN returned
 * @k:		vCPU's
 * @pushed:	with EINTR, which whoever asked for this RUN did not want when he did
 *
 * Return: true if it is to be called again: the RUN goes on.
 */
bool gvm_kick_leave(struct gvm_kick *k, bool pushed);

/**
 * gvm_kick_came() - a KICK came
 * @k:		vCPU's
 * @seq:	its number
 *
 * Return: true if the vCPU is to be pushed out now: immediate_exit is set, then its thread signalled.
 */
bool gvm_kick_came(struct gvm_kick *k, uint32_t seq);

#endif
