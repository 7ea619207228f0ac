// SPDX-License-Identifier: GPL-2.0
/* Which rows of the table, and which messages, have the tests been through? */
#include <stdio.h>

#include "cover.h"
#include "msg.h"
#include "tap.h"

#define ROWS_MAX	256

const char tap_program[] = "gvm";
const char tap_cover_name[] = "every row of the table and every message, taken and refused";

static bool row[ROWS_MAX], type[GVM_MSG_NR][2];

void cover_call(const struct gvm_call *call)
{
	row[call - gvm_call_each(0)] = true;
}

void cover_msg(unsigned int t, int taken)
{
	type[t][!!taken] = true;
}

bool cover_report(bool list)
{
	unsigned int missing = 0, nr = 0;

	for (; gvm_call_each(nr); nr++) {
		missing += !row[nr];
		if (list && !row[nr])
			printf("# %s never\n", gvm_call_each(nr)->name);
	}
	for (unsigned int t = 0; t < GVM_MSG_NR; t++) {
		for (int taken = 0; taken < 2; taken++) {
			missing += !type[t][taken];
			if (list && !type[t][taken])
				printf("# %s never %s\n", gvm_msg_name(t),
				       taken ? "taken" : "refused");
		}
	}
	printf("# coverage: of %u rows and %u messages, %u missing\n", nr, GVM_MSG_NR, missing);
	return !missing;
}
