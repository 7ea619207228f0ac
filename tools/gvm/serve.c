// SPDX-License-Identifier: GPL-2.0
/*
 * gvm serve: a server's agent. It begins and ends members, each a process of its own, and says
 * what runs here. One request at a time, each with a bound.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "distance.h"
#include "gvm.h"

#define REQUEST_MS	3000
#define REQUESTS	32	/* of one connection, with its HELLO */
#define BEGIN_MS	5000	/* for a member to say its port */
#define NR_RUNNING	64
#define IDLE_MS		1000

static struct running {
	pid_t pid;
	unsigned int member;
	char vm[GVM_NAME_MAX + 1];
} running[NR_RUNNING];

static void reap(void)
{
	unsigned int i;
	int status;

	for (i = 0; i < NR_RUNNING; i++) {
		if (!running[i].pid || waitpid(running[i].pid, &status, WNOHANG) <= 0)
			continue;
		if (WIFSIGNALED(status))
			gvm_log("%s: member %u was killed by signal %d", running[i].vm,
				running[i].member, WTERMSIG(status));
		running[i].pid = 0;
	}
}

static struct running *find(const char *vm)
{
	unsigned int i;

	for (i = 0; i < NR_RUNNING; i++)
		if (running[i].pid && !strcmp(running[i].vm, vm))
			return &running[i];
	return NULL;
}

/* The member prints its port; nothing comes if it cannot begin. */
static int64_t read_port(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[16];
	ssize_t len;

	if (poll(&p, 1, BEGIN_MS) != 1)
		return -ETIMEDOUT;
	len = read(fd, text, sizeof(text) - 1);
	if (len <= 0)
		return -ENODEV;
	text[len] = 0;
	return atoi(text);
}

static void become_member(const struct gvm_msg_start *s, const char *addr, int out)
{
	char number[3][16];
	const unsigned int value[3] = { s->member, s->nr_members, s->timeout_ms };
	unsigned int i;
	sigset_t none;

	for (i = 0; i < 3; i++)
		snprintf(number[i], sizeof(number[i]), "%u", value[i]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, 1);
	execl("/proc/self/exe", "gvm", "_member", addr, s->vm, s->dir, number[0], number[1],
	      number[2], NULL);
	_exit(127);
}

static int64_t start(const struct gvm_msg_start *s, const char *addr)
{
	struct running *r = NULL;
	unsigned int i;
	int64_t port;
	int fd[2];

	reap();
	if (find(s->vm))
		return -EEXIST;
	for (i = 0; i < NR_RUNNING && !r; i++)
		if (!running[i].pid)
			r = &running[i];
	if (!r)
		return -ENOSPC;
	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	r->pid = fork();
	if (!r->pid)
		become_member(s, addr, fd[1]);
	close(fd[1]);
	if (r->pid < 0) {
		r->pid = 0;
		close(fd[0]);
		return -EAGAIN;
	}
	memcpy(r->vm, s->vm, sizeof(r->vm));
	r->member = s->member;
	port = read_port(fd[0]);
	close(fd[0]);
	if (port < 0)
		kill(r->pid, SIGKILL);
	return port;
}

static size_t status(char *text, size_t size)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < NR_RUNNING && len < size; i++)
		if (running[i].pid)
			len += snprintf(text + len, size - len, "%s member %u pid %d\n",
					running[i].vm, running[i].member, (int)running[i].pid);
	return len < size ? len : size;
}

static int64_t probe(const struct gvm_msg_peer *p)
{
	uint64_t ns;
	int r = gvm_distance_probe(p, &ns);

	return r ?: (int64_t)ns;
}

static int request(struct gvm_chan *c, const char *addr)
{
	static struct gvm_packet p;
	int64_t result = 0;
	size_t len = 0;
	int r;

	r = gvm_rpc_recv(c, &p, REQUEST_MS, NULL);
	if (r)
		return r;
	switch (p.head.type) {
	case GVM_MSG_HELLO:
		result = ((struct gvm_msg_hello *)p.data)->kind == GVM_CHAN_AGENT ? 0 : -EPROTO;
		break;
	case GVM_MSG_START:
		result = start((void *)p.data, addr);
		break;
	case GVM_MSG_STATUS:
		len = status((char *)p.data, sizeof(p.data));
		break;
	case GVM_MSG_PROBE:
		result = probe((void *)p.data);
		break;
	default:
		result = -EPROTO;
	}
	return gvm_rpc_reply(c, &p.head, result, p.data, len) ?: result < 0 ? -EPROTO : 0;
}

/* HELLO, requests, and the end. */
static void talk(struct gvm_chan *c, const char *addr)
{
	for (unsigned int i = 0; i < REQUESTS && !request(c, addr); i++)
		;
	gvm_chan_close(c);
}

int gvm_serve(int argc, char **argv)
{
	const char *addr = gvm_option(&argc, argv, "--listen", "0.0.0.0");
	unsigned int port = gvm_option_number(&argc, argv, "--port", GVM_PORT, 65535);
	struct gvm_listener *l;
	struct gvm_chan *c;
	struct in_addr in;
	int r;

	gvm_option_end(argc, argv);
	if (inet_pton(AF_INET, addr, &in) != 1)
		gvm_die("--listen %s: not an IPv4 address", addr);
	if (access("/dev/kvm", R_OK | W_OK))
		gvm_die("/dev/kvm: %s (load kvm_amd or kvm_intel)", strerror(errno));
	r = gvm_chan_listen(in.s_addr, port, &l);
	if (r)
		gvm_die("listen on %s port %u: %s (is rdma_ucm loaded, is there an RDMA device?)",
			addr, port, strerror(-r));
	gvm_log("agent listens on %s port %u", addr, port);
	for (;;) {
		reap();
		r = gvm_chan_accept(l, IDLE_MS, &c);
		if (!r)
			talk(c, addr);
		else if (r != -ETIMEDOUT)
			gvm_log("a connection failed: %s", strerror(-r));
	}
}

int gvm_member(int argc, char **argv)
{
	struct gvm_msg_start s = { 0 };
	struct in_addr in;

	if (argc != 7 || inet_pton(AF_INET, argv[1], &in) != 1)
		gvm_die("_member is for the agent's use");
	snprintf(s.vm, sizeof(s.vm), "%s", argv[2]);
	snprintf(s.dir, sizeof(s.dir), "%s", argv[3]);
	s.member = atoi(argv[4]);
	s.nr_members = atoi(argv[5]);
	s.timeout_ms = atoi(argv[6]);
	return gvm_child_main(&s, in.s_addr);
}
