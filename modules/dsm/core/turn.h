/* SPDX-License-Identifier: GPL-2.0 */
/* Whose turn it is: users that need several pages at once. */
#ifndef DSM_CORE_TURN_H
#define DSM_CORE_TURN_H

#include "types.h"

/**
 * struct dsm_turn - the run of faults a user is in
 * @waiting:	faults under way
 * @since_us:	when it began: from here the user's age counts
 * @waited_us:	how long it waited in it
 * @begin_us:	when the first of the faults under way began
 * @last_us:	when the last fault ended
 * @last_page:	which page it was for, any number that tells pages apart
 *
 * All zeroes is a user that never had one. Times are monotonic microseconds. The turn is over
 * when its user did not wait for @quiet_us, and for as long as it had waited before.
 */
struct dsm_turn {
	u32 waiting;
	u64 since_us;
	u64 waited_us;
	u64 begin_us;
	u64 last_us;
	u64 last_page;
};

/**
 * dsm_turn_begin() - the user begins to wait for a page
 * @t:		its turn
 * @now_us:	time
 * @quiet_us:	see struct dsm_turn
 */
void dsm_turn_begin(struct dsm_turn *t, u64 now_us, u64 quiet_us);

/**
 * dsm_turn_end() - it waits no more
 * @t:		its turn
 * @page:	the page it waited for
 * @now_us:	time
 */
void dsm_turn_end(struct dsm_turn *t, u64 page, u64 now_us);

/**
 * dsm_turn_restart() - it kept a page as long as it may: others are older now
 * @t:		its turn
 * @now_us:	time
 */
void dsm_turn_restart(struct dsm_turn *t, u64 now_us);

/**
 * dsm_turn_busy_until() - until when does the user surely need a page?
 * @t:		its turn
 * @page:	the page
 * @now_us:	time
 * @quiet_us:	see struct dsm_turn
 *
 * It does while it waits for another page, and until it has been quiet. That it had to
 * wait for this very page says nothing.
 *
 * Return: a time, @quiet_us from now at most, as a user may fall asleep: then ask again.
 * One that is over if the user does not need the page.
 */
u64 dsm_turn_busy_until(const struct dsm_turn *t, u64 page, u64 now_us, u64 quiet_us);

/**
 * dsm_turn_age() - how old is its turn?
 * @t:		its turn
 * @now_us:	time
 * @quiet_us:	see struct dsm_turn
 *
 * Return: units of dsm_turn_units(), 0 if it has none.
 */
u16 dsm_turn_age(const struct dsm_turn *t, u64 now_us, u64 quiet_us);

/**
 * dsm_turn_units() - a time as the age of a turn
 * @us:		microseconds
 *
 * Return: units of 16 us, DSM_AGE_MAX at most.
 */
u16 dsm_turn_units(u64 us);

/** dsm_turn_began_us() - when a turn of this age began. Return: a time, 0 at the least. */
u64 dsm_turn_began_us(u64 now_us, u16 age);

#define DSM_AGE_MAX	0xffffu

#endif
