// SPDX-License-Identifier: GPL-2.0
/*
 * What members have to tell each other when the master was lost in the middle of a change.
 *
 * The master numbers the changes, and sends each to all members. If it is lost, some may have
 * made the last ones and others not, and the one who asked for it may be lost with it, so no
 * one would ask again. So before a new master changes anything it asks every member for the
 * number of its last change: who is ahead sends what the master lacks, and who is behind
 * gets what it lacks. Then all have made what any of them had. This is done once for each
 * view, as a member may have come or gone, and again whenever a member did not make a change,
 * for whatever reason.
 *
 * A member makes a change only if it has made all before it, so its last number says all.
 * And only for the master of its own view: it has left the one before when it tells the new
 * one its number, so what the old one still has on its way is not done behind the new one's
 * back.
 */
#include "changes.h"

void dsm_changes_begin(struct dsm_changes *c, u32 last)
{
	*c = (struct dsm_changes){ .last = last, .since = last };
}

u32 dsm_changes_slot(u32 number)
{
	return number % DSM_CHANGES_MAX;
}

bool dsm_changes_is_next(const struct dsm_changes *c, u32 number)
{
	return number == c->last + 1;
}

u32 dsm_changes_add(struct dsm_changes *c)
{
	c->last++;
	if (c->last - c->since > DSM_CHANGES_MAX)
		c->since++;
	return dsm_changes_slot(c->last);
}

u8 dsm_changes_standing(const struct dsm_changes *c, u32 last)
{
	s32 behind = (s32)(c->last - last);

	if (behind < 0)
		return DSM_ST_AHEAD;
	if (!behind)
		return DSM_ST_ALIKE;
	return (u32)behind > c->last - c->since ? DSM_ST_FAR_BEHIND : DSM_ST_BEHIND;
}
