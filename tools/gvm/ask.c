// SPDX-License-Identifier: GPL-2.0
/* Commands to a VM that was started on this server; gvm move is one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"
#include "gvm.h"
#include "msg.h"

#define ANSWER_S	20

static int connect_vm(const char *vm)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval t = { .tv_sec = ANSWER_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(sun.sun_path, sizeof(sun.sun_path), GVM_RUN_DIR "/%s/ctl", vm);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		int error = errno;

		close(fd);
		return -error;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return fd;
}

int gvm_ask(const char *vm, const char *line, char *answer, size_t size)
{
	int fd = connect_vm(vm), r = 0;
	ssize_t len;

	if (fd < 0)
		return fd;
	len = send(fd, line, strlen(line), MSG_NOSIGNAL);
	if (len > 0)
		len = recv(fd, answer, size - 1, 0);
	if (len <= 0)
		r = len ? -errno : -ECONNRESET;
	close(fd);
	answer[len > 0 ? len : 0] = 0;
	answer[strcspn(answer, "\n")] = 0;
	return r;
}

int gvm_move(int argc, char **argv)
{
	char line[128], answer[256];
	unsigned long vcpu;
	char *end;
	int r;

	if (argc != 4 || !gvm_name_ok(argv[1]))
		gvm_die("move: which VM, vCPU and server? gvm move VM VCPU SERVER");
	vcpu = strtoul(argv[2], &end, 10);
	if (*end || end == argv[2] || vcpu >= GVM_VCPUS_MAX)
		gvm_die("move: vCPU %s: a number below %d is wanted", argv[2], GVM_VCPUS_MAX);
	if (snprintf(line, sizeof(line), "move %lu %s", vcpu, argv[3]) >= (int)sizeof(line))
		gvm_die("move: %s is no server", argv[3]);
	r = gvm_ask(argv[1], line, answer, sizeof(answer));
	if (r == -ENOENT || r == -ECONNREFUSED)
		gvm_die("%s does not run here (%s)", argv[1], strerror(-r));
	if (r == -EAGAIN)
		gvm_die("%s: no answer within %d s", argv[1], ANSWER_S);
	if (r)
		gvm_die("%s: no answer: %s", argv[1], strerror(-r));
	if (strncmp(answer, "ok ", 3)) {
		fprintf(stderr, "gvm: %s: %s\n", argv[1],
			strncmp(answer, "error ", 6) ? answer : answer + 6);
		return 1;
	}
	printf("%s: %s\n", argv[1], answer + 3);
	return 0;
}
