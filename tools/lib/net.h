/* SPDX-License-Identifier: GPL-2.0 */
/* Blocking TCP in which every wait has a bound. */
#ifndef TOOLS_LIB_NET_H
#define TOOLS_LIB_NET_H

#include <stddef.h>

/**
 * net_listen() - listen
 * @host:	own IPv4 address
 * @port:	TCP port
 *
 * Return: a socket, or -errno.
 */
int net_listen(const char *host, int port);

/**
 * net_accept() - wait for a connection
 * @listener:	from net_listen()
 * @timeout_s:	for this wait, then for each later one on the connection; 0: no bound
 *
 * Return: a socket, or -errno.
 */
int net_accept(int listener, int timeout_s);

/**
 * net_connect() - connect, trying again while nobody listens
 * @host:	IPv4 address
 * @port:	TCP port
 * @timeout_s:	for all tries, then for each later wait on the connection
 *
 * Return: a socket, or -errno.
 */
int net_connect(const char *host, int port, int timeout_s);

/**
 * net_send() - send all of a buffer
 * @fd:		socket
 * @buf:	data
 * @len:	bytes
 *
 * Return: 0 or -errno.
 */
int net_send(int fd, const void *buf, size_t len);

/**
 * net_recv() - receive exactly so many bytes
 * @fd:		socket
 * @buf:	where to
 * @len:	bytes
 *
 * Return: 0 or -errno; -ECONNRESET if the other end closed first.
 */
int net_recv(int fd, void *buf, size_t len);

#endif
