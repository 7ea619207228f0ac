/* SPDX-License-Identifier: GPL-2.0 */
/* One CPU sends, others listen; each interrupt must come before the next is sent. */
#ifndef KVMLET_SHOT_H
#define KVMLET_SHOT_H

#include "guest.h"

/**
 * struct shot - a series of interrupts of one kind
 * @send:	sends one
 * @what:	for messages
 * @vector:	what arrives
 * @from:	CPU that sends
 * @to:		CPU, argument for @send
 * @mask:	CPUs at which each one must arrive
 * @each:	how often each one arrives
 * @any:	it arrives at just one CPU of @mask instead
 */
struct shot {
	bool (*send)(const struct shot *s);
	const char *what;
	uint32_t vector;
	uint32_t from;
	uint32_t to;
	uint32_t mask;
	uint32_t each;
	bool any;
};

static inline uint32_t all_mask(void)
{
	return (1u << nr_cpus()) - 1;
}

/* All but the sender listen, in one mode. Fails the test if a count is not what it must be. */
void shoot(const struct shot *s, enum mode mode);
/* From each CPU to each other (to itself as well), in each mode. */
void shoot_matrix(const struct shot *s, bool self);

#endif
