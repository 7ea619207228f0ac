/* SPDX-License-Identifier: GPL-2.0 */
/* Requests and replies over a channel. */
#ifndef GVM_RPC_H
#define GVM_RPC_H

#include "chan.h"
#include "msg.h"

#define GVM_RPC_MS	20000	/* bound for requests that do not run the guest */

/* A message as received; the payload follows the head. */
struct gvm_packet {
	struct gvm_head head;	/* 32 bytes: data is aligned as it is */
	unsigned char data[GVM_PAYLOAD_MAX];
} __attribute__((aligned(16)));

/**
 * gvm_rpc_recv() - receive and check a message
 * @c:		channel
 * @p:		out
 * @timeout_ms:	as gvm_chan_recv()
 * @mask:	as gvm_chan_recv()
 *
 * Return: 0, -EPROTO, or what gvm_chan_recv() returns.
 */
int gvm_rpc_recv(struct gvm_chan *c, struct gvm_packet *p, int timeout_ms, const sigset_t *mask);

/**
 * gvm_rpc_send() - send a message made of a head and one or two pieces
 * @c:		channel
 * @head:	magic and len are set here
 * @a:		first piece, may be NULL
 * @b:		second piece, may be NULL
 *
 * Return: 0 or -errno.
 */
int gvm_rpc_send(struct gvm_chan *c, struct gvm_head *head, const struct iovec *a,
		 const struct iovec *b);

/**
 * gvm_rpc_reply() - answer a request
 * @c:		channel
 * @to:		head of the request
 * @result:	result or -errno
 * @data:	payload
 * @len:	its bytes
 *
 * Return: 0 or -errno of sending.
 */
int gvm_rpc_reply(struct gvm_chan *c, const struct gvm_head *to, int64_t result, const void *data,
		  size_t len);

/**
 * gvm_rpc_call() - make a request and wait for its reply
 * @c:		channel; one request at a time
 * @head:	request; type, vcpu, request are the caller's
 * @data:	payload
 * @len:	its bytes
 * @reply:	out: the reply, or NULL
 * @result:	out: its result, or NULL: then a negative one is returned
 *
 * Return: 0, -errno of the channel, or of the request if @result is NULL.
 */
int gvm_rpc_call(struct gvm_chan *c, struct gvm_head *head, const void *data, size_t len,
		 struct gvm_packet *reply, int64_t *result);

/**
 * gvm_rpc_hello() - connect, say what the channel is for, wait for consent
 * @addr:	IPv4, network order
 * @port:	host order
 * @kind:	enum gvm_chan_kind
 * @member:	own number
 * @vcpu:	GVM_CHAN_VCPU: which, else GVM_NO_VCPU
 * @vm:		name
 * @out:	out
 *
 * Return: 0 or -errno.
 */
int gvm_rpc_hello(uint32_t addr, uint16_t port, enum gvm_chan_kind kind, unsigned int member,
		  unsigned int vcpu, const char *vm, struct gvm_chan **out);

#endif
