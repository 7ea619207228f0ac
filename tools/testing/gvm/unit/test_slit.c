// SPDX-License-Identifier: GPL-2.0
/* NUMA distances of a guest. */
#include "slit.h"
#include "tap.h"

TEST(slit)
{
	CHECK(gvm_slit(0, 0) == 40);
	CHECK(gvm_slit(0, 1000) == 40);
	CHECK(gvm_slit(1000, 1000) == 40);
	CHECK(gvm_slit(1249, 1000) == 40);
	CHECK(gvm_slit(1250, 1000) == 60);
	CHECK(gvm_slit(2000, 1000) == 80);
	CHECK(gvm_slit(5749, 1000) == 220);
	CHECK(gvm_slit(5750, 1000) == 240);
	CHECK(gvm_slit(6000, 1000) == 240);
	CHECK(gvm_slit(UINT64_MAX, 1) == 240);
	for (uint64_t ns = 1; ns < 20000; ns++) {
		unsigned int d = gvm_slit(ns, 1000);

		CHECK(d >= GVM_SLIT_NEAREST && d <= GVM_SLIT_FARTHEST && d % 20 == 0);
		CHECK(d >= gvm_slit(ns - 1, 1000));
	}
}
