// SPDX-License-Identifier: GPL-2.0
/*
 * The operator's commands to a running VM: one line over a socket in its directory, one line back,
 * "ok …" or "error …".
 *
 *	move VCPU SERVER	SERVER is an address of --servers, or its index
 *	clock			of each other server, separated by "; "
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm.h"

#define LINE_MAX_BYTES	4096
#define CLIENT_S	2

/* An index in the list of servers; nr_members if there is no such. */
static unsigned int server_of(const char *text)
{
	struct in_addr addr;
	unsigned int i;
	char *end;
	unsigned long n;

	if (inet_pton(AF_INET, text, &addr) == 1) {
		for (i = 0; i < vmm.m.nr_members; i++)
			if (vmm.conf.member[i].addr == addr.s_addr)
				return i;
		return vmm.m.nr_members;
	}
	n = strtoul(text, &end, 10);
	return *end || end == text || n > vmm.m.nr_members ? vmm.m.nr_members : n;
}

static void command(const char *line, char *text, size_t size)
{
	char server[INET_ADDRSTRLEN], answer[LINE_MAX_BYTES - 8];
	unsigned int id;
	int r;

	if (!strcmp(line, "clock")) {
		gvm_time_status(answer, sizeof(answer));
		snprintf(text, size, "ok %s\n", answer);
		return;
	}
	if (sscanf(line, "move %u %15s", &id, server) != 2) {
		snprintf(text, size, "error no such command\n");
		return;
	}
	r = gvm_moving_move(id, server_of(server), answer, sizeof(answer));
	snprintf(text, size, "%s %s\n", r ? "error" : "ok", answer);
}

static void talk(int fd)
{
	struct timeval t = { .tv_sec = CLIENT_S };
	char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES];
	ssize_t len;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	len = recv(fd, line, sizeof(line) - 1, 0);
	if (len <= 0)
		return;
	line[len] = 0;
	command(line, text, sizeof(text));
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		gvm_log("%s: an answer was not sent: %s", vmm.conf.vm, strerror(errno));
}

static void *ctl_main(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			gvm_log("%s: a command was not heard: %s", vmm.conf.vm, strerror(errno));
			sleep(1);	/* out of files or memory: poll() would not wait */
			continue;
		}
		talk(fd);
		close(fd);
	}
	return NULL;
}

int gvm_ctl_start(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	pthread_t t;
	int fd, r = 0;

	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ctl", vmm.run_dir) >=
	    (int)sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(sun.sun_path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || chmod(sun.sun_path, 0600) ||
	    listen(fd, 4))
		r = -errno;
	if (!r)
		r = gvm_member_thread(&t, ctl_main, (void *)(intptr_t)fd);
	if (r)
		close(fd);
	return r;
}
