/* SPDX-License-Identifier: GPL-2.0 */
/* How far servers are from each other, for the guest's NUMA distances. */
#ifndef GVM_DISTANCE_H
#define GVM_DISTANCE_H

#include "msg.h"

/**
 * gvm_distance_probe() - round trip to an agent
 * @p:	the agent
 * @ns:	out: the shortest of some round trips, in nanoseconds
 *
 * Return: 0 or -errno of the channel.
 */
int gvm_distance_probe(const struct gvm_msg_peer *p, uint64_t *ns);

/**
 * gvm_distances() - measure between all pairs of servers
 * @member:	the agents; the first is this server's
 * @nr:		how many
 * @dist:	out: distance of each two
 *
 * Each server measures to those behind it in the list. What could not be measured is logged, and
 * counts as near.
 */
void gvm_distances(const struct gvm_msg_peer *member, unsigned int nr,
		   uint8_t dist[GVM_MEMBERS_MAX][GVM_MEMBERS_MAX]);

#endif
