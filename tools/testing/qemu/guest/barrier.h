/* SPDX-License-Identifier: GPL-2.0 */
/* Barrier over the servers of an emulated cluster, provided by the host's driver. */
#ifndef MEMOS_BARRIER_H
#define MEMOS_BARRIER_H

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MEMOS_AGENT_SOCKET "memos-agent"	/* abstract, SOCK_SEQPACKET */

/*
 * Wait until @count callers, on whatever servers, have come to barrier @name.
 * Return: 0, or -errno (-ETIMEDOUT after @timeout_s seconds, times $DSM_PATIENCE).
 */
static inline int dsm_barrier(const char *name, int count, int timeout_s)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const size_t n = strlen(MEMOS_AGENT_SOCKET);
	const char *patience = getenv("DSM_PATIENCE");
	struct pollfd pfd = { .events = POLLIN };
	int32_t status = -EIO;
	char msg[256];
	int len, ret;

	len = snprintf(msg, sizeof(msg), "%d %d %s", count, timeout_s, name);
	if (len >= (int)sizeof(msg))
		return -ENAMETOOLONG;
	pfd.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (pfd.fd < 0)
		return -errno;
	memcpy(sa.sun_path + 1, MEMOS_AGENT_SOCKET, n);
	if (connect(pfd.fd, (void *)&sa, offsetof(struct sockaddr_un, sun_path) + 1 + n) ||
	    send(pfd.fd, msg, len, MSG_NOSIGNAL) != len) {
		status = -errno;
		goto out;
	}
	/* The host keeps the time; the slack only covers a driver that died. */
	do {
		ret = poll(&pfd, 1, (timeout_s * (patience ? atoi(patience) : 1) + 10) * 1000);
	} while (ret < 0 && errno == EINTR);
	if (ret == 0)
		status = -ETIMEDOUT;
	else if (recv(pfd.fd, &status, sizeof(status), 0) != sizeof(status))
		status = -EIO;
out:
	close(pfd.fd);
	return status;
}

#endif
