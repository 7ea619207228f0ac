/* SPDX-License-Identifier: GPL-2.0 */
/* The range of addresses that "dsmctl share" is given. */
#ifndef DSMCTL_RANGE_H
#define DSMCTL_RANGE_H

#include <stdint.h>
#include <stdio.h>

struct range {
	uint64_t start;
	uint64_t end;
};

/**
 * range_parse() - which addresses are meant?
 * @text:	START-END in hexadecimal as in /proc/PID/maps, or "heap"
 * @maps:	/proc/PID/maps of the process
 * @r:		the range
 *
 * Return: NULL, or what is wrong.
 */
const char *range_parse(const char *text, FILE *maps, struct range *r);

#endif
