/* SPDX-License-Identifier: GPL-2.0 */
/* How main.c runs the tests: insmod dsm.ko kunit=1, see run.c. */
#ifndef DSM_TESTS_KUNIT_H
#define DSM_TESTS_KUNIT_H

#include <linux/errno.h>

#ifdef CONFIG_DSM_KUNIT_TEST
int dsm_kunit_start(void);
void dsm_kunit_stop(void);
#else
static inline int dsm_kunit_start(void)
{
	return -EINVAL;
}

static inline void dsm_kunit_stop(void)
{
}
#endif

#endif
