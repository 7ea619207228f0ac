/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GVM_WORK_NAS_H
#define GVM_WORK_NAS_H

#include <stddef.h>

/**
 * nas() - run a kernel on all threads of OpenMP
 * @what:	ep, is, cg
 * @size:	ep, is: log2 of pairs, of keys; cg: rows; 0: a small one
 *
 * Return: 1: the result is right; 0: wrong, or no memory; -1: no such kernel, or size.
 */
int nas(const char *what, int size);

struct nas_array {
	const char *name;
	const void *at;
	size_t bytes;
};

/** nas_arrays() - the memory that a kernel worked on, there still. Return: the last has no name. */
const struct nas_array *nas_arrays(void);

#endif
