/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to another node and their answers. */
#ifndef DSM_RPC_H
#define DSM_RPC_H

#include "cluster_types.h"

struct dsm_call;
struct dsm_ctrl_head;
struct dsm_ctrl_reply;

/**
 * dsm_rpc_start() - send a request
 * @c:		the cluster
 * @to:		the peer
 * @head:	the message, complete but for its id
 *
 * Context: process.
 * Return: the call, for dsm_rpc_finish(); ERR_PTR(-ENOTCONN).
 */
struct dsm_call *dsm_rpc_start(struct dsm_cluster *c, u16 to,
			       struct dsm_ctrl_head *head);

/**
 * dsm_rpc_finish() - wait for the answer; ends the call in any case
 * @c:		the cluster
 * @call:	the call, or an ERR_PTR
 * @timeout_ms:	how long at most
 * @value:	what came with the answer, if there was one; or NULL
 *
 * Context: process; sleeps, killable.
 * Return: what the peer said: 0 or an errno; -ETIMEDOUT, -EINTR; -ENOTCONN if
 * the peer is gone.
 */
int dsm_rpc_finish(struct dsm_cluster *c, struct dsm_call *call, u32 timeout_ms,
		   u64 *value);

void dsm_rpc_reply(struct dsm_cluster *c, u16 to, u32 id, int status, u64 value);
void dsm_rpc_rx_reply(struct dsm_cluster *c, u16 from,
		      const struct dsm_ctrl_reply *r);
void dsm_rpc_fail_node(struct dsm_cluster *c, u16 node);
void dsm_rpc_fail_all(struct dsm_cluster *c);

#endif
