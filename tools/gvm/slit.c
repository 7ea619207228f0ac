// SPDX-License-Identifier: GPL-2.0
#include "slit.h"

#define STEP	20

unsigned int gvm_slit(uint64_t ns, uint64_t nearest)
{
	uint64_t steps;

	if (!nearest || ns <= nearest)
		return GVM_SLIT_NEAREST;
	if (ns / nearest >= GVM_SLIT_FARTHEST / GVM_SLIT_NEAREST)
		return GVM_SLIT_FARTHEST;
	steps = (GVM_SLIT_NEAREST / STEP * ns + nearest / 2) / nearest;
	return STEP * steps;
}
