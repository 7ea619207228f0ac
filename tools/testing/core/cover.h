/* SPDX-License-Identifier: GPL-2.0 */
/* Which cells of the transition tables have the tests been through? */
#ifndef DSM_TEST_COVER_H
#define DSM_TEST_COVER_H

#include "step.h"

/* From a trace, where correct nodes talk; or from an injected event. */
void cover_add(const struct dsm_out *out, bool trace);

#endif
