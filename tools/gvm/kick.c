// SPDX-License-Identifier: GPL-2.0
#include "kick.h"

uint32_t gvm_kick_next(uint32_t seq)
{
	return seq + 1 ?: 1;
}

bool gvm_kick_enter(struct gvm_kick *k, uint32_t seq)
{
	k->run = seq;
	k->inside = true;
	return k->kick == seq;
}

bool gvm_kick_leave(struct gvm_kick *k, bool pushed)
{
	k->inside = false;
	return pushed && k->kick != k->run;
}

bool gvm_kick_came(struct gvm_kick *k, uint32_t seq)
{
	k->kick = seq;
	return k->inside && k->run == seq;
}
