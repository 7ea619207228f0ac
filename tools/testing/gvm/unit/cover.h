/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GVM_TEST_COVER_H
#define GVM_TEST_COVER_H

#include "abi.h"

/* A payload of this row was packed and checked, or it is one that does not travel. */
void cover_call(const struct gvm_call *call);

/* A message of this type was taken, or refused for its payload. */
void cover_msg(unsigned int type, int taken);

#endif
