/* SPDX-License-Identifier: GPL-2.0 */
/* Channels: messages over RDMA verbs, each wait with a bound. */
#ifndef GVM_CHAN_H
#define GVM_CHAN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct gvm_chan;
struct gvm_listener;

/**
 * gvm_chan_listen() - begin to accept channels
 * @addr:	own IPv4 address, network order
 * @port:	host order; 0: any
 * @l:		out
 *
 * Return: 0 or -errno.
 */
int gvm_chan_listen(uint32_t addr, uint16_t port, struct gvm_listener **l);

/** gvm_chan_port() - the port a listener got, host order */
uint16_t gvm_chan_port(const struct gvm_listener *l);

/**
 * gvm_chan_accept() - take the next channel
 * @l:		listener
 * @timeout_ms:	bound for the wait, and for the handshake
 * @c:		out
 *
 * Return: 0, -ETIMEDOUT, -errno.
 */
int gvm_chan_accept(struct gvm_listener *l, int timeout_ms, struct gvm_chan **c);

/** gvm_chan_listen_end() - stop accepting */
void gvm_chan_listen_end(struct gvm_listener *l);

/**
 * gvm_chan_connect() - open a channel
 * @addr:	IPv4 address, network order
 * @port:	host order
 * @timeout_ms:	bound for all of it; tried again within it while nobody listens
 * @c:		out
 *
 * Return: 0, -ETIMEDOUT, -ECONNREFUSED, -errno.
 */
int gvm_chan_connect(uint32_t addr, uint16_t port, int timeout_ms, struct gvm_chan **c);

/**
 * gvm_chan_send() - send one message
 * @c:		channel
 * @iov:	its parts
 * @nr:		how many
 * @timeout_ms:	bound for the wait for a free buffer
 *
 * Context: any thread; messages of several threads do not mix.
 * Return: 0, -ETIMEDOUT, -ECONNRESET.
 */
int gvm_chan_send(struct gvm_chan *c, const struct iovec *iov, unsigned int nr, int timeout_ms);

/**
 * gvm_chan_recv() - wait for one message
 * @c:		channel
 * @buf:	where to
 * @size:	of @buf
 * @timeout_ms:	bound, -1: none (the channel's end still ends the wait)
 * @mask:	signal mask of the wait as for ppoll(), or NULL
 *
 * Context: one thread at a time.
 * Return: bytes; -ETIMEDOUT, -EINTR (a signal, nothing lost), -ECONNRESET, -EMSGSIZE.
 */
ssize_t gvm_chan_recv(struct gvm_chan *c, void *buf, size_t size, int timeout_ms,
		      const sigset_t *mask);

/** gvm_chan_close() - disconnect and free; nobody may be in it */
void gvm_chan_close(struct gvm_chan *c);

#endif
