/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the counter (TSC) of another server stands to this one's, as an interval that it is certainly
 * in. No I/O.
 *
 * An exchange says: when the answer came, the peer's counter was ahead of ours by no less than
 * what it read minus our counter at the answer, and by no more than that minus our counter at the
 * question, however the round trip divides. Between exchanges the interval widens by what is
 * not known of the rates, which also is an interval: at first what crystals are allowed, then
 * what exchanges far apart left of it.
 *
 * The guest's TSC is a server's counter plus an offset. The offsets there have an assumed
 * difference built in, which is corrected when it is not near the middle any more.
 */
#ifndef GVM_CLOCK_H
#define GVM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define GVM_CLOCK_PPB_MAX	200000	/* two crystals differ by no more */
#define GVM_CLOCK_PPB_WANDER	500	/* and in ANCHOR ticks by no more than so much */
#define GVM_CLOCK_ANCHOR	(1ull << 36)	/* ticks: about half a minute */
#define GVM_CLOCK_STEP		(1ll << 24)	/* ticks a correction has at most: some ms */

/* Bounds: of a difference in ticks, or of a rate in parts per 1000 million. */
struct gvm_clock_range {
	int64_t lo;
	int64_t hi;
};

/**
 * struct gvm_clock - what is known of a peer's counter
 * @ahead:	peer's minus ours, at @at
 * @at:		our counter
 * @rate:	growth of @ahead
 * @anchor:	@ahead some time ago, for @rate
 * @anchor_at:	when
 * @applied:	what the offsets there have built in
 * @samples:	exchanges, 0: nothing is known
 * @jumps:	exchanges that contradicted all before
 * @corrections: of @applied
 */
struct gvm_clock {
	struct gvm_clock_range ahead;
	uint64_t at;
	struct gvm_clock_range rate;
	struct gvm_clock_range anchor;
	uint64_t anchor_at;
	int64_t applied;
	unsigned int samples;
	unsigned int jumps;
	unsigned int corrections;
};

/**
 * gvm_clock_sample() - an exchange
 * @c:		clock
 * @asked:	our counter when the question was sent
 * @peer:	the peer's when it was answered
 * @now:	ours when the answer came
 */
void gvm_clock_sample(struct gvm_clock *c, uint64_t asked, uint64_t peer, uint64_t now);

/** gvm_clock_range_at() - what is known of the difference at @now, a little later than the last exchange */
struct gvm_clock_range gvm_clock_range_at(const struct gvm_clock *c, uint64_t now);

/**
 * gvm_clock_error() - how far off @applied is at most
 * @c:		clock
 * @now:	our counter
 *
 * Return: ticks.
 */
uint64_t gvm_clock_error(const struct gvm_clock *c, uint64_t now);

/**
 * gvm_clock_correction() - what @applied should grow by
 * @c:		clock
 * @now:	our counter
 *
 * 0 as long as @applied is in the middle half of what is possible: a correction costs a pause.
 * Once it is done, say gvm_clock_corrected().
 *
 * Return: ticks, no more than GVM_CLOCK_STEP either way.
 */
int64_t gvm_clock_correction(const struct gvm_clock *c, uint64_t now);

/** gvm_clock_corrected() - the offsets there were changed: @applied grew by @by */
void gvm_clock_corrected(struct gvm_clock *c, int64_t by);

/** gvm_clock_apply() - take the middle as @applied, before there are offsets */
void gvm_clock_apply(struct gvm_clock *c, uint64_t now);

#endif
