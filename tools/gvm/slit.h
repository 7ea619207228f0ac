/* SPDX-License-Identifier: GPL-2.0 */
/* From round trips to the guest's NUMA distances. */
#ifndef GVM_SLIT_H
#define GVM_SLIT_H

#include <stdint.h>

#define GVM_SLIT_SELF		10	/* a server to itself */
#define GVM_SLIT_NEAREST	40
#define GVM_SLIT_FARTHEST	240

/**
 * gvm_slit() - a round trip as distance in an ACPI SLIT
 * @ns:		round trip of the two servers, 0: not known
 * @nearest:	shortest one of any two servers, or 0
 *
 * The nearest two are 40, others in proportion, in steps of 20: each value is a level of the guest's
 * scheduler domains, so noise must not make one. It is more than 30, Linux's RECLAIM_DISTANCE: the
 * scheduler is not to move a task to another server because it was woken or forked, only because
 * CPUs are idle.
 *
 * Return: GVM_SLIT_NEAREST to GVM_SLIT_FARTHEST.
 */
unsigned int gvm_slit(uint64_t ns, uint64_t nearest);

#endif
