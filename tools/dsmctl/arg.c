// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsmctl.h"

uint64_t arg_number(const char *what, const char *text)
{
	static const char units[] = "KMGT";
	const char *unit = NULL;
	unsigned int shift = 0;
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (*end)
		unit = strchr(units, toupper((unsigned char)*end));
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)*text) || *end || errno || value << shift >> shift != value)
		usage_die("%s: \"%s\" is no number", what, text);
	return value << shift;
}

void human_size(uint64_t bytes, char *text, size_t size)
{
	static const char * const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes;
	int i = 0;

	for (; value >= 1024 && i < 6; i++)
		value /= 1024;
	if (i && value < 10 && value != (uint64_t)value)
		snprintf(text, size, "%.1f %s", value, unit[i]);
	else
		snprintf(text, size, "%.0f %s", value, unit[i]);
}
