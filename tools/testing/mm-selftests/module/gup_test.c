// SPDX-License-Identifier: GPL-2.0
/* The kernel's GUP_TEST, which can only be built in, as a module: no kernel of its own for it. */
#include <linux/module.h>
#include <gup_test.c>

MODULE_DESCRIPTION("debugfs file of the gup kselftests");
MODULE_LICENSE("GPL");
