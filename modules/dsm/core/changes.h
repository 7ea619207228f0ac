/* SPDX-License-Identifier: GPL-2.0 */
/* The numbers of the last changes of the metadata that a member has made. */
#ifndef DSM_CORE_CHANGES_H
#define DSM_CORE_CHANGES_H

#include "types.h"

/* So many are remembered, with what they were. */
#define DSM_CHANGES_MAX	16u

/**
 * struct dsm_changes - what was made last
 * @last:	number of the last change made
 * @since:	every change made after this number is remembered
 *
 * All zeroes is a member that has made none. Numbers go up by one, and wrap.
 */
struct dsm_changes {
	u32 last;
	u32 since;
};

/**
 * enum dsm_standing - how far another member is
 * @DSM_ST_ALIKE:	it has made the same changes
 * @DSM_ST_BEHIND:	it lacks some, which are remembered here
 * @DSM_ST_FAR_BEHIND:	it lacks some that are not
 * @DSM_ST_AHEAD:	it has made some that were not made here
 */
enum dsm_standing {
	DSM_ST_ALIKE,
	DSM_ST_BEHIND,
	DSM_ST_FAR_BEHIND,
	DSM_ST_AHEAD,
};

/**
 * dsm_changes_begin() - all up to a number are in the metadata that came, as one
 * @c:		the changes
 * @last:	the number
 */
void dsm_changes_begin(struct dsm_changes *c, u32 last);

/** dsm_changes_slot() - where a change is remembered. Return: below DSM_CHANGES_MAX. */
u32 dsm_changes_slot(u32 number);

/** dsm_changes_is_next() - may it be made now? Return: false if one before it is missing. */
bool dsm_changes_is_next(const struct dsm_changes *c, u32 number);

/**
 * dsm_changes_add() - the next change was made
 * @c:		the changes
 *
 * Return: its slot.
 */
u32 dsm_changes_add(struct dsm_changes *c);

/**
 * dsm_changes_standing() - how far is a member whose last change has this number?
 * @c:		the changes made here
 * @last:	the number
 *
 * Return: enum dsm_standing.
 */
u8 dsm_changes_standing(const struct dsm_changes *c, u32 last);

#endif
