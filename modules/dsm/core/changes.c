// SPDX-License-Identifier: GPL-2.0
/*
 * What members have to tell each other when the master was lost in the middle of a change.
 *
 * The master numbers the changes, and begins one when all members have made the one before,
 * or have it before them on a link that delivers in order. If it is lost, some may have made
 * the last ones and others not, and the one who asked for it may be lost with it, so no one
 * would ask again. So before a new master changes anything it asks every member for the
 * number of its last change: who is ahead sends what the master lacks, and who is behind
 * gets what it lacks. Then all have made what any of them had. This is done once for each
 * view, as a member may have come or gone.
 *
 * A member does nothing for a master that is not that of its own view, and has left the one
 * before when it tells the new one its number: so what the old master still has on its way
 * comes too late, and is not done behind the new one's back.
 */
#include "changes.h"

static s32 distance(u32 from, u32 to)
{
	return (s32)(to - from);
}

void dsm_changes_begin(struct dsm_changes *c, u32 last)
{
	*c = (struct dsm_changes){ .last = last, .since = last };
}

u32 dsm_changes_add(struct dsm_changes *c, u32 number)
{
	u32 slot = c->next;

	if (distance(c->last, number) <= 0)
		return DSM_CHANGES_MAX;
	if (c->nr == DSM_CHANGES_MAX)
		c->since = c->number[slot];
	else
		c->nr++;
	c->number[slot] = number;
	c->next = (slot + 1) % DSM_CHANGES_MAX;
	c->last = number;
	return slot;
}

u8 dsm_changes_standing(const struct dsm_changes *c, u32 last)
{
	s32 ahead = distance(c->last, last);

	if (ahead > 0)
		return DSM_ST_AHEAD;
	if (!ahead)
		return DSM_ST_ALIKE;
	return distance(c->since, last) < 0 ? DSM_ST_FAR_BEHIND : DSM_ST_BEHIND;
}

u32 dsm_changes_after(const struct dsm_changes *c, u32 number)
{
	for (u32 i = 0; i < c->nr; i++) {
		u32 slot = (c->next + DSM_CHANGES_MAX - c->nr + i) % DSM_CHANGES_MAX;

		if (distance(number, c->number[slot]) > 0)
			return slot;
	}
	return DSM_CHANGES_MAX;
}
