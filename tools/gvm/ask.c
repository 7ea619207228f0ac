// SPDX-License-Identifier: GPL-2.0
/* gvm move: a command to a VM that was started on this server. */
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

	snprintf(sun.sun_path, sizeof(sun.sun_path), GVM_RUN_DIR "/%s/ctl", vm);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		gvm_die("%s does not run here (%s)", vm, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return fd;
}

int gvm_move(int argc, char **argv)
{
	char line[128], answer[256];
	unsigned long vcpu;
	ssize_t len;
	char *end;
	int fd;

	if (argc != 4 || !gvm_name_ok(argv[1]))
		gvm_die("move: which VM, vCPU and server? gvm move VM VCPU SERVER");
	vcpu = strtoul(argv[2], &end, 10);
	if (*end || end == argv[2] || vcpu >= GVM_VCPUS_MAX)
		gvm_die("move: vCPU %s: a number below %d is wanted", argv[2], GVM_VCPUS_MAX);
	if (snprintf(line, sizeof(line), "move %lu %s", vcpu, argv[3]) >= (int)sizeof(line))
		gvm_die("move: %s is no server", argv[3]);
	fd = connect_vm(argv[1]);
	len = send(fd, line, strlen(line), MSG_NOSIGNAL);
	if (len > 0)
		len = recv(fd, answer, sizeof(answer) - 1, 0);
	if (len <= 0)
		gvm_die("%s: no answer: %s", argv[1], len ? strerror(errno) : "it ended");
	answer[len] = 0;
	answer[strcspn(answer, "\n")] = 0;
	close(fd);
	if (strncmp(answer, "ok ", 3)) {
		fprintf(stderr, "gvm: %s: %s\n", argv[1],
			strncmp(answer, "error ", 6) ? answer : answer + 6);
		return 1;
	}
	printf("%s: %s\n", argv[1], answer + 3);
	return 0;
}
