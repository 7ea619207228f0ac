// SPDX-License-Identifier: GPL-2.0
/*
 * A star of TCP connections with node 0 in the middle. A message is an error, 0
 * for "go on"; the answer is the first error anyone had, so all stop together.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

static int accept_node(struct bench *b, int listener)
{
	int32_t node;
	int fd, err;

	fd = net_accept(listener, b->timeout_s);
	if (fd < 0)
		return fd;
	err = net_recv(fd, &node, sizeof(node));
	if (!err && (node < 1 || node >= b->nr_nodes || b->conn[node] >= 0))
		err = -EPROTO;
	if (err) {
		close(fd);
		return err;
	}
	b->conn[node] = fd;
	return 0;
}

/**
 * barrier_open() - connect all nodes
 * @b:	bench
 *
 * Return: 0 or -errno.
 */
int barrier_open(struct bench *b)
{
	int32_t node = b->node;
	int i, listener, err = 0;

	for (i = 0; i < MAX_NODES; i++)
		b->conn[i] = -1;
	if (b->node) {
		b->conn[0] = net_connect(b->peers[0], PORT_BARRIER, b->timeout_s);
		return b->conn[0] < 0 ? b->conn[0] :
		       net_send(b->conn[0], &node, sizeof(node));
	}
	if (b->nr_nodes == 1)
		return 0;
	listener = net_listen(b->peers[0], PORT_BARRIER);
	if (listener < 0)
		return listener;
	for (i = 1; !err && i < b->nr_nodes; i++)
		err = accept_node(b, listener);
	close(listener);
	return err;
}

/**
 * barrier_close() - leave
 * @b:	bench
 */
void barrier_close(struct bench *b)
{
	int i;

	for (i = 0; i < MAX_NODES; i++)
		if (b->conn[i] >= 0)
			close(b->conn[i]);
}

static int32_t collect(struct bench *b, int32_t err)
{
	int32_t theirs;
	int i, ret;

	for (i = 1; i < b->nr_nodes; i++) {
		ret = net_recv(b->conn[i], &theirs, sizeof(theirs));
		if (!err)
			err = ret ? ret : theirs;
	}
	for (i = 1; i < b->nr_nodes; i++) {
		ret = net_send(b->conn[i], &err, sizeof(err));
		if (!err)
			err = ret;
	}
	return err;
}

/**
 * barrier() - wait for all nodes
 * @b:		bench
 * @err:	0, or why this one cannot go on
 *
 * Return: 0, or the first error anywhere.
 */
int barrier(struct bench *b, int err)
{
	int32_t word = err;
	int ret;

	if (!b->node)
		return collect(b, err);
	ret = net_send(b->conn[0], &word, sizeof(word));
	if (!ret)
		ret = net_recv(b->conn[0], &word, sizeof(word));
	return ret ? ret : word;
}

/**
 * barrier_row() - bring a row to node 0
 * @b:		bench
 * @from:	who filled it in
 * @row:	the row; node 0: where to
 *
 * Return: 0 or -errno.
 */
int barrier_row(struct bench *b, int from, struct row *row)
{
	int err = 0;

	if (from && b->node == from)
		err = net_send(b->conn[0], row, sizeof(*row));
	else if (from && !b->node)
		err = net_recv(b->conn[from], row, sizeof(*row));
	return barrier(b, err);
}
