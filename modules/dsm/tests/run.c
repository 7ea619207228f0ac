// SPDX-License-Identifier: GPL-2.0
/*
 * The KUnit tests of dsm.ko: everything but the core, which is tested in user
 * space (tools/testing/core).
 *
 *	insmod dsm.ko kunit=1 [loop_drop_ppm=] [loop_dup_ppm=] [loop_delay_us=]
 *
 * They do not run by themselves when the module is loaded, because it is loaded
 * by everyone who wants to use it.  Results: dmesg, and until rmmod
 * /sys/kernel/debug/kunit/<suite>/results.
 */
#include <kunit/test.h>

#include "tests/kunit.h"
#include "tests/test.h"

static struct kunit_suite *suites[] = {
	&dsm_params_suite,
	&dsm_stats_suite,
	&dsm_ctrl_suite,
	&dsm_region_suite,
	&dsm_memory_suite,
	&dsm_node_tx_suite,
	&dsm_node_rx_suite,
	&dsm_loop_suite,
	&dsm_evict_suite,
	&dsm_leave_suite,
	&dsm_loss_suite,
};

/**
 * dsm_kunit_start() - run the tests
 *
 * Context: process; takes a while.
 * Return: 0 if they ran, whatever came out.
 */
int dsm_kunit_start(void)
{
	pr_info("KTAP version 1\n");
	pr_info("1..%zu\n", ARRAY_SIZE(suites));
	return __kunit_test_suites_init(suites, ARRAY_SIZE(suites));
}

/**
 * dsm_kunit_stop() - forget the results
 *
 * Context: process.
 */
void dsm_kunit_stop(void)
{
	__kunit_test_suites_exit(suites, ARRAY_SIZE(suites));
}
