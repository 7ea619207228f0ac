// SPDX-License-Identifier: GPL-2.0
#include "tap.h"
#include "turn.h"

#define QUIET 100

TEST(a_turn_is_over_when_its_user_is_quiet)
{
	struct dsm_turn t = { 0 };

	CHECK(dsm_turn_age(&t, 1000, QUIET) == 0);
	dsm_turn_begin(&t, 1240, QUIET);
	CHECK(dsm_turn_busy_until(&t, 1, 1240, QUIET) == 1340);
	dsm_turn_end(&t, 1, 1320);
	CHECK(dsm_turn_age(&t, 1320, QUIET) == 5);
	CHECK(dsm_turn_busy_until(&t, 2, 1330, QUIET) == 1420);
	CHECK(dsm_turn_busy_until(&t, 2, 1420, QUIET) <= 1420);
	CHECK(dsm_turn_age(&t, 1420, QUIET) == 0);
	dsm_turn_begin(&t, 1500, QUIET);
	CHECK(dsm_turn_age(&t, 1532, QUIET) == 2);
}

TEST(who_waited_long_keeps_long_what_it_got)
{
	struct dsm_turn t = { 0 };

	dsm_turn_begin(&t, 1000, QUIET);
	dsm_turn_end(&t, 1, 1500);
	dsm_turn_begin(&t, 1600, QUIET);
	dsm_turn_end(&t, 2, 2000);
	CHECK(dsm_turn_busy_until(&t, 1, 2050, QUIET) == 2150);
	CHECK(dsm_turn_busy_until(&t, 1, 2750, QUIET) == 2850);
	CHECK(dsm_turn_busy_until(&t, 1, 2850, QUIET) == 2900);
	CHECK(dsm_turn_busy_until(&t, 1, 2900, QUIET) <= 2900);
	CHECK(dsm_turn_age(&t, 2899, QUIET) && !dsm_turn_age(&t, 2900, QUIET));
	dsm_turn_restart(&t, 2050);
	CHECK(dsm_turn_busy_until(&t, 1, 2050, QUIET) == 2100);
}

TEST(a_turn_goes_on_with_the_next_page)
{
	struct dsm_turn t = { 0 };

	dsm_turn_begin(&t, 1000, QUIET);
	dsm_turn_end(&t, 1, 1200);
	dsm_turn_begin(&t, 1250, QUIET);
	CHECK(dsm_turn_age(&t, 1320, QUIET) == 20);
	dsm_turn_restart(&t, 1320);
	CHECK(dsm_turn_age(&t, 1336, QUIET) == 1);
}

TEST(having_waited_for_a_page_is_no_reason_to_keep_it)
{
	struct dsm_turn t = { 0 };

	dsm_turn_begin(&t, 1150, QUIET);
	dsm_turn_end(&t, 1, 1200);
	CHECK(dsm_turn_busy_until(&t, 1, 1210, QUIET) <= 1210);
	CHECK(dsm_turn_busy_until(&t, 2, 1210, QUIET) == 1300);
}

TEST(ages_do_not_wrap)
{
	struct dsm_turn t = { 0 };

	dsm_turn_begin(&t, 1000, QUIET);
	CHECK(dsm_turn_age(&t, 1ull << 40, QUIET) == DSM_AGE_MAX);
	CHECK(dsm_turn_began_us(5, 10) == 0);
	CHECK(dsm_turn_began_us(1000, 10) == 840);
}
