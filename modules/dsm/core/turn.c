// SPDX-License-Identifier: GPL-2.0
/*
 * Whose turn it is.
 *
 * An instruction may need several pages at once: a guest whose page tables are
 * walked by hardware needs four before it can touch a fifth, and AMD's nested
 * paging needs the right to write all of them. Two users that need the same
 * pages would take them from each other one by one, and neither would ever have
 * all of them.
 *
 * So a user that got a page and waits for the next one keeps the page. Two that
 * wait for each other's pages would both wait: the one whose turn is older keeps
 * its pages, the younger one gives up what it has at once (wound-wait). When it has
 * all of them it keeps them for as long as it had waited for them: so half of the
 * time is work, however slow the network is. Then its turn is over, and whoever
 * waited meanwhile is older. Ages travel with the requests as durations, so clocks
 * need not agree.
 *
 * No user keeps a page for ever: a page has a limit, see struct dsm_page, and a
 * user that reached it starts again as the youngest.
 */
#include "turn.h"

#define UNIT_SHIFT	4

u16 dsm_turn_units(u64 us)
{
	us >>= UNIT_SHIFT;
	return us < DSM_AGE_MAX ? us : DSM_AGE_MAX;
}

u64 dsm_turn_began_us(u64 now_us, u16 age)
{
	u64 us = (u64)age << UNIT_SHIFT;

	return now_us > us ? now_us - us : 0;
}

static u64 end_us(const struct dsm_turn *t, u64 quiet_us)
{
	return t->last_us + (t->waited_us > quiet_us ? t->waited_us : quiet_us);
}

static bool is_over(const struct dsm_turn *t, u64 now_us, u64 quiet_us)
{
	return !t->waiting && now_us >= end_us(t, quiet_us);
}

void dsm_turn_begin(struct dsm_turn *t, u64 now_us, u64 quiet_us)
{
	if (is_over(t, now_us, quiet_us))
		dsm_turn_restart(t, now_us);
	if (!t->waiting++)
		t->begin_us = now_us;
}

void dsm_turn_end(struct dsm_turn *t, u64 page, u64 now_us)
{
	if (!--t->waiting)
		t->waited_us += now_us - t->begin_us;
	t->last_us = now_us;
	t->last_page = page;
}

void dsm_turn_restart(struct dsm_turn *t, u64 now_us)
{
	t->since_us = now_us;
	t->begin_us = now_us;
	t->waited_us = 0;
}

u64 dsm_turn_busy_until(const struct dsm_turn *t, u64 page, u64 now_us, u64 quiet_us)
{
	u64 soon_us = now_us + quiet_us, until_us = end_us(t, quiet_us);

	if (t->waiting)
		return soon_us;
	if (is_over(t, now_us, quiet_us) || t->last_page == page)
		return 0;
	return until_us < soon_us ? until_us : soon_us;
}

u16 dsm_turn_age(const struct dsm_turn *t, u64 now_us, u64 quiet_us)
{
	return is_over(t, now_us, quiet_us) ? 0 : dsm_turn_units(now_us - t->since_us);
}
