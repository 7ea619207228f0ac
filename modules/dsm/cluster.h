/* SPDX-License-Identifier: GPL-2.0 */
/* The cluster object and its membership. */
#ifndef DSM_CLUSTER_H
#define DSM_CLUSTER_H

#include "cluster_types.h"

/**
 * struct dsm_config - how to create a cluster
 * @name:	see struct dsm_cluster
 * @self:	this node
 * @nr_nodes:	configured nodes
 * @addr:	their addresses, by node
 * @ops:	the transport
 */
struct dsm_config {
	const char *name;
	u16 self;
	u16 nr_nodes;
	const struct sockaddr_storage *addr;
	const struct dsm_transport_ops *ops;
};

/* What new clusters begin with: the module parameters. */
extern struct dsm_knobs dsm_default_knobs;

/* Return: the cluster, which looks for its peers from now on, or ERR_PTR(). */
struct dsm_cluster *dsm_cluster_create(const struct dsm_config *cfg);
/* Leaves first if it has not; bounded by leave_timeout_ms; sleeps. */
void dsm_cluster_destroy(struct dsm_cluster *c);

/* Wait until this node is a member: 0, -ETIMEDOUT, -EINTR. */
int dsm_cluster_wait_joined(struct dsm_cluster *c, u32 timeout_ms);
bool dsm_cluster_is_joined(struct dsm_cluster *c);
/* Hand everything over and leave: 0, -EBUSY while mounted, -ETIMEDOUT, -EINTR. */
int dsm_cluster_leave(struct dsm_cluster *c);
/* The members that do not leave; a copy. */
void dsm_cluster_members(struct dsm_cluster *c, struct dsm_nodeset *members);
/* The lowest member: serialises metadata; DSM_NODE_NONE if not joined. */
u16 dsm_cluster_master(struct dsm_cluster *c);

/* The view, all 0 if not a member; a copy. */
void dsm_cluster_view(struct dsm_cluster *c, struct dsm_view *view);

/* The clusters of this module: one, or one a node with the loop transport. */
struct dsm_cluster *dsm_cluster_find(const char *name);
/* A superblock begins and ends to use it: 0, -EBUSY if it leaves. */
int dsm_cluster_mount(struct dsm_cluster *c);
void dsm_cluster_umount(struct dsm_cluster *c);

/* ---- reports of the node layer; process context, per peer in order ---- */

void dsm_cluster_node_up(struct dsm_cluster *c, u16 node, bool reset);
void dsm_cluster_node_down(struct dsm_cluster *c, u16 node);
/* No connection for dead_ms. */
void dsm_cluster_node_lost(struct dsm_cluster *c, u16 node);
void dsm_cluster_rx_ctrl(struct dsm_cluster *c, u16 from, const void *buf,
			 size_t len);

#endif
