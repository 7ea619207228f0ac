/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the node layer (node.c) asks of a transport, and what a transport
 * reports.  rdma_*.c is the transport; loop.c joins several nodes of one kernel
 * for tests.
 */
#ifndef DSM_TRANSPORT_H
#define DSM_TRANSPORT_H

#include <linux/list.h>
#include <linux/types.h>

#include "core/link.h"
#include "core/wire.h"

struct dsm_cluster;
struct dsm_node;
struct dsm_tx;
struct page;

/**
 * struct dsm_transport_ops - a transport
 * @name:	"rdma" or "loop"
 * @start:	get ready to be connected to; process context
 * @stop:	all connections are gone when it returns; process context
 * @connect:	start to connect to a peer; the node layer calls it on the node
 *		with the lower number, again every reconnect_ms until
 *		dsm_node_connected(); process context
 * @disconnect:	drop the connection, if there is one: when it returns the
 *		transport will not call back for it; process context
 * @post:	send a frame; @more: another one follows at once, the doorbell may
 *		wait; atomic context.  Return: 0, or an errno: then the
 *		connection is as good as lost and will be reported so
 *
 * Reports: dsm_node_connected(), dsm_node_lost(), dsm_node_rx(),
 * dsm_node_tx_done(), see node.h.
 */
struct dsm_transport_ops {
	const char *name;
	int (*start)(struct dsm_cluster *c);
	void (*stop)(struct dsm_cluster *c);
	int (*connect)(struct dsm_node *n);
	void (*disconnect)(struct dsm_node *n);
	int (*post)(struct dsm_node *n, struct dsm_tx *tx, bool more);
};

extern const struct dsm_transport_ops dsm_rdma_ops;
extern const struct dsm_transport_ops dsm_loop_ops;

#endif
