/* SPDX-License-Identifier: GPL-2.0 */
/* The shell of the membership machine. */
#ifndef DSM_MEMBERSHIP_H
#define DSM_MEMBERSHIP_H

#include "cluster_types.h"

void dsm_membership_init(struct dsm_cluster *c);
/* No step after this. */
void dsm_membership_exit(struct dsm_cluster *c);
void dsm_membership_event(struct dsm_cluster *c, u8 type, u16 node, bool reset);
void dsm_membership_rx(struct dsm_cluster *c, u16 from,
		       const struct dsm_member_packet *p);

#endif
