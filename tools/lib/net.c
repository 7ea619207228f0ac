// SPDX-License-Identifier: GPL-2.0
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "samples.h"

#define RETRY_US 50000

static int setup(int fd, int timeout_s)
{
	struct timeval tv = { .tv_sec = timeout_s };
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)))
		return -errno;
	return 0;
}

static int parse_addr(const char *host, int port, struct sockaddr_in *sin)
{
	*sin = (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons(port) };
	return inet_pton(AF_INET, host, &sin->sin_addr) == 1 ? 0 : -EINVAL;
}

int net_listen(const char *host, int port)
{
	struct sockaddr_in sin;
	int fd, one = 1, err = parse_addr(host, port, &sin);

	if (err)
		return err;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 64)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int net_accept(int listener, int timeout_s)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int n, fd, err;

	do {
		n = poll(&p, 1, timeout_s ? timeout_s * 1000 : -1);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = setup(fd, timeout_s);
	if (err)
		close(fd);
	return err ? err : fd;
}

static int connect_once(const struct sockaddr_in *sin, int timeout_s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = setup(fd, timeout_s);
	if (!err && connect(fd, (const struct sockaddr *)sin, sizeof(*sin)))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

int net_connect(const char *host, int port, int timeout_s)
{
	uint64_t until = now_ns() + timeout_s * 1000000000ull;
	struct sockaddr_in sin;
	int fd, err = parse_addr(host, port, &sin);

	if (err)
		return err;
	for (;;) {
		fd = connect_once(&sin, timeout_s);
		if (fd >= 0 || now_ns() > until)
			return fd;
		usleep(RETRY_US);
	}
}

int net_send(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
	return 0;
}

int net_recv(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	while (len) {
		n = recv(fd, p, len, MSG_WAITALL);
		if (!n)
			return -ECONNRESET;
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
	return 0;
}
