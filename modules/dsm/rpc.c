// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to another node and their answers.
 *
 * A call is in cluster.calls while it may be answered; whoever takes it out
 * (the answer, the loss of the peer) completes it, so it is completed once.  Who
 * waits takes it out itself when it gives up: an answer that comes later finds
 * nothing and is dropped.  Links deliver once and in order, so nothing is sent
 * twice at this level.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "ctrl.h"
#include "node.h"
#include "rpc.h"

/**
 * struct dsm_call - a request under way
 * @done:	it was answered, or will not be
 * @ended:	likewise; xa_lock of cluster.calls
 * @node:	who is to answer
 * @id:		in cluster.calls
 * @status:	the answer
 * @value:	likewise
 */
struct dsm_call {
	struct completion done;
	bool ended;
	u16 node;
	u32 id;
	int status;
	u64 value;
};

/* Completed under the lock, so the waiter may free the call once it has it. */
static void end_call_locked(struct dsm_cluster *c, struct dsm_call *call,
			    int status, u64 value)
{
	lockdep_assert_held(&c->calls.xa_lock);
	__xa_erase(&c->calls, call->id);
	call->ended = true;
	call->status = status;
	call->value = value;
	complete(&call->done);
}

struct dsm_call *dsm_rpc_start(struct dsm_cluster *c, u16 to,
			       struct dsm_ctrl_head *head)
{
	struct dsm_call *call;
	int err;

	/* As dsm_node_send_ctrl(): what some have been told, all have to be. */
	call = kzalloc(sizeof(*call), GFP_KERNEL | __GFP_NOFAIL);
	init_completion(&call->done);
	call->node = to;
	err = xa_alloc_cyclic(&c->calls, &call->id, call, XA_LIMIT(1, U32_MAX),
			      &c->next_call, GFP_KERNEL | __GFP_NOFAIL);
	if (err < 0)
		goto free;
	head->id = cpu_to_le32(call->id);
	err = dsm_node_send_ctrl(c, to, head, le16_to_cpu(head->len));
	if (!err)
		return call;
	/* The loss of the peer may have ended it meanwhile. */
	xa_erase(&c->calls, call->id);
free:
	kfree(call);
	return ERR_PTR(err);
}

int dsm_rpc_finish(struct dsm_cluster *c, struct dsm_call *call, u32 timeout_ms,
		   u64 *value)
{
	long left;
	int status;

	if (IS_ERR(call))
		return PTR_ERR(call);
	left = wait_for_completion_killable_timeout(&call->done,
						    msecs_to_jiffies(timeout_ms));
	xa_lock(&c->calls);
	if (!call->ended)
		end_call_locked(c, call, left < 0 ? -EINTR : -ETIMEDOUT, 0);
	xa_unlock(&c->calls);
	status = call->status;
	if (value)
		*value = call->value;
	kfree(call);
	return status;
}

/**
 * dsm_rpc_reply() - answer a request
 * @c:		the cluster
 * @to:		who asked
 * @id:		id of the request
 * @status:	0 or an errno
 * @value:	what else to say
 *
 * Context: process.
 */
void dsm_rpc_reply(struct dsm_cluster *c, u16 to, u32 id, int status, u64 value)
{
	struct dsm_ctrl_reply r = { .value = cpu_to_le64(value) };
	int err;

	dsm_ctrl_head_init(&r.head, DSM_CTRL_REPLY, sizeof(r));
	r.head.id = cpu_to_le32(id);
	r.status = cpu_to_le32(-status);
	err = dsm_node_send_ctrl(c, to, &r, sizeof(r));
	if (err && err != -ENOTCONN)
		pr_warn_ratelimited("%s: node %u: an answer to node %u was not sent: error %d\n",
				    c->name, c->self, to, err);
}

/**
 * dsm_rpc_rx_reply() - an answer came
 * @c:		the cluster
 * @from:	from whom
 * @r:		the answer
 *
 * Context: process.
 */
void dsm_rpc_rx_reply(struct dsm_cluster *c, u16 from,
		      const struct dsm_ctrl_reply *r)
{
	u32 status = le32_to_cpu(r->status);
	struct dsm_call *call;

	xa_lock(&c->calls);
	call = xa_load(&c->calls, le32_to_cpu(r->head.id));
	if (call && call->node == from)
		end_call_locked(c, call, status <= MAX_ERRNO ? -(int)status : -EIO,
				le64_to_cpu(r->value));
	xa_unlock(&c->calls);
}

static void fail(struct dsm_cluster *c, u16 node)
{
	struct dsm_call *call;
	unsigned long id;

	xa_lock(&c->calls);
	xa_for_each(&c->calls, id, call) {
		if (node == DSM_NODE_NONE || call->node == node)
			end_call_locked(c, call, -ENOTCONN, 0);
	}
	xa_unlock(&c->calls);
}

/**
 * dsm_rpc_fail_node() - a node will not answer any more
 * @c:		the cluster
 * @node:	the node
 *
 * Context: process.
 */
void dsm_rpc_fail_node(struct dsm_cluster *c, u16 node)
{
	fail(c, node);
}

/**
 * dsm_rpc_fail_all() - no one will answer any more
 * @c:	the cluster
 *
 * Context: process.
 */
void dsm_rpc_fail_all(struct dsm_cluster *c)
{
	fail(c, DSM_NODE_NONE);
}
