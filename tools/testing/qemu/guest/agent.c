// SPDX-License-Identifier: GPL-2.0
/*
 * The agent: PID 1 once the server is up. Runs commands for the host's driver,
 * many at once, over one virtio-serial port, and relays barriers. One thread,
 * one poll loop; it also reaps every orphan, being PID 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "barrier.h"
#include "guest.h"

#define NR_JOBS 128
#define NR_WAITERS 64
#define MAX_STRINGS 1024
#define DRAIN_MS 300	/* how long a dead job's pipes may stay open in a daemon it left */

struct job {
	uint32_t id;
	pid_t pid;		/* 0: slot is free */
	int out, err;		/* read ends, -1 once at end of file */
	int exited;
	int32_t status;
	uint64_t drain_until_ms;
};

struct waiter {
	uint32_t id;
	int fd;			/* -1: slot is free */
};

static struct job jobs[NR_JOBS];
static struct waiter waiters[NR_WAITERS];
static uint32_t next_barrier = 1;
static int port;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static void port_write(const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(port, p, len);

		if (n > 0) {
			p += n;
			len -= n;
		} else if (errno != EINTR && errno != EAGAIN) {
			perror("memos-agent: port");
			_exit(1);
		}
	}
}

static void send_frame(uint32_t type, uint32_t id, const void *data, uint32_t len)
{
	struct frame f = { .len = len, .id = id, .type = type };

	port_write(&f, sizeof(f));
	port_write(data, len);
}

static void send_exit(uint32_t id, int32_t status)
{
	send_frame(FRAME_EXIT, id, &status, sizeof(status));
}

static _Noreturn void child(char **env, int nr_env, char **argv, int out, int err)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int i;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &dfl, NULL);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(out, 1);
	dup2(err, 2);
	for (i = 0; i < nr_env; i++)
		putenv(env[i]);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void job_start(uint32_t id, char *data, uint32_t len)
{
	char *strings[MAX_STRINGS + 1], *p = data;
	int n = 0, nr_env, out[2], err[2], i;
	struct job *job = NULL;

	while (p < data + len && n < MAX_STRINGS) {
		strings[n++] = p;
		p += strlen(p) + 1;
	}
	strings[n] = NULL;
	nr_env = n ? atoi(strings[0]) : 0;
	for (i = 0; i < NR_JOBS && !job; i++)
		if (!jobs[i].pid)
			job = &jobs[i];
	if (!job || nr_env < 0 || nr_env + 2 > n || pipe2(out, O_CLOEXEC)) {
		send_exit(id, 126 << 8);
		return;
	}
	if (pipe2(err, O_CLOEXEC)) {
		close(out[0]);
		close(out[1]);
		send_exit(id, 126 << 8);
		return;
	}
	*job = (struct job){ .id = id, .out = out[0], .err = err[0] };
	job->pid = fork();
	if (!job->pid)
		child(strings + 1, nr_env, strings + 1 + nr_env, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	if (job->pid < 0) {
		close(out[0]);
		close(err[0]);
		job->pid = 0;
		send_exit(id, 126 << 8);
	}
}

static void job_kill(uint32_t id, int sig)
{
	int i;

	for (i = 0; i < NR_JOBS; i++)
		if (jobs[i].pid && jobs[i].id == id)
			kill(-jobs[i].pid, sig);
}

static void job_output(struct job *job, int *fd, uint32_t type)
{
	static char buf[65536];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0) {
		send_frame(type, job->id, buf, n);
	} else if (n == 0 || errno != EINTR) {
		close(*fd);
		*fd = -1;
	}
}

static void job_finish_if_done(struct job *job)
{
	int open_pipes = job->out >= 0 || job->err >= 0;

	if (!job->exited || (open_pipes && now_ms() < job->drain_until_ms))
		return;
	if (job->out >= 0)
		close(job->out);
	if (job->err >= 0)
		close(job->err);
	send_exit(job->id, job->status);
	job->pid = 0;
}

static void reap(void)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < NR_JOBS; i++) {
			if (jobs[i].pid != pid || jobs[i].exited)
				continue;
			jobs[i].exited = 1;
			jobs[i].status = status;
			jobs[i].drain_until_ms = now_ms() + DRAIN_MS;
		}
	}
}

static void kmsg_write(const char *text, uint32_t len)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, text, len) < 0)
		perror("memos-agent: kmsg");
	if (fd >= 0)
		close(fd);
}

static void barrier_done(uint32_t id, int32_t err)
{
	int32_t status = -err;
	int i;

	for (i = 0; i < NR_WAITERS; i++) {
		if (waiters[i].fd < 0 || waiters[i].id != id)
			continue;
		send(waiters[i].fd, &status, sizeof(status), MSG_NOSIGNAL | MSG_DONTWAIT);
		close(waiters[i].fd);
		waiters[i].fd = -1;
	}
}

static void barrier_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), i;
	struct timeval tv = { .tv_sec = 1 };
	char msg[256];
	ssize_t n;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	n = recv(fd, msg, sizeof(msg), 0);
	for (i = 0; n > 0 && i < NR_WAITERS; i++) {
		if (waiters[i].fd >= 0)
			continue;
		waiters[i] = (struct waiter){ .id = next_barrier++, .fd = fd };
		send_frame(FRAME_BARRIER, waiters[i].id, msg, n);
		return;
	}
	close(fd);
}

static void dispatch(const struct frame *f, char *data)
{
	int32_t arg = 0;

	if (f->len >= sizeof(arg))
		memcpy(&arg, data, sizeof(arg));
	switch ((enum frame_type)f->type) {
	case FRAME_EXEC:
		job_start(f->id, data, f->len);
		break;
	case FRAME_KILL:
		job_kill(f->id, arg);
		break;
	case FRAME_BARRIER_DONE:
		barrier_done(f->id, arg);
		break;
	case FRAME_KMSG:
		kmsg_write(data, f->len);
		break;
	case FRAME_HELLO:
	case FRAME_STDOUT:
	case FRAME_STDERR:
	case FRAME_EXIT:
	case FRAME_BARRIER:
		break;
	}
}

static void port_read(void)
{
	static char buf[sizeof(struct frame) + FRAME_MAX + 1];
	static size_t have;
	struct frame f;
	ssize_t n = read(port, buf + have, sizeof(buf) - 1 - have);

	if (n <= 0) {
		usleep(10000);	/* the driver is away: QEMU reports end of file */
		return;
	}
	have += n;
	while (have >= sizeof(f)) {
		memcpy(&f, buf, sizeof(f));
		if (f.len > FRAME_MAX) {
			fprintf(stderr, "memos-agent: bad frame\n");
			_exit(1);
		}
		if (have < sizeof(f) + f.len)
			return;
		char saved = buf[sizeof(f) + f.len];

		buf[sizeof(f) + f.len] = 0;
		dispatch(&f, buf + sizeof(f));
		buf[sizeof(f) + f.len] = saved;
		have -= sizeof(f) + f.len;
		memmove(buf, buf + sizeof(f) + f.len, have);
	}
}

static int barrier_listen(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const size_t n = strlen(MEMOS_AGENT_SOCKET);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path + 1, MEMOS_AGENT_SOCKET, n);
	if (fd < 0 || bind(fd, (void *)&sa, offsetof(struct sockaddr_un, sun_path) + 1 + n) ||
	    listen(fd, NR_WAITERS)) {
		perror("memos-agent: barrier socket");
		_exit(1);
	}
	return fd;
}

static void poll_once(int sfd, int listener)
{
	struct pollfd p[3 + 2 * NR_JOBS] = {
		{ .fd = port, .events = POLLIN },
		{ .fd = sfd, .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};
	struct signalfd_siginfo si;
	int i, timeout = -1;

	for (i = 0; i < NR_JOBS; i++) {
		struct job *job = &jobs[i];

		p[3 + 2 * i] = (struct pollfd){ .fd = job->pid ? job->out : -1, .events = POLLIN };
		p[4 + 2 * i] = (struct pollfd){ .fd = job->pid ? job->err : -1, .events = POLLIN };
		if (job->pid && job->exited)
			timeout = 20;
	}
	if (poll(p, 3 + 2 * NR_JOBS, timeout) < 0)
		return;
	if (p[1].revents) {
		while (read(sfd, &si, sizeof(si)) > 0)
			;
		reap();
	}
	for (i = 0; i < NR_JOBS; i++) {
		if (p[3 + 2 * i].revents)
			job_output(&jobs[i], &jobs[i].out, FRAME_STDOUT);
		if (p[4 + 2 * i].revents)
			job_output(&jobs[i], &jobs[i].err, FRAME_STDERR);
		if (jobs[i].pid)
			job_finish_if_done(&jobs[i]);
	}
	if (p[2].revents)
		barrier_accept(listener);
	if (p[0].revents)
		port_read();
}

_Noreturn void agent_main(int fd)
{
	struct utsname uts;
	sigset_t set;
	int sfd, listener, i;

	port = fd;
	for (i = 0; i < NR_WAITERS; i++)
		waiters[i].fd = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	listener = barrier_listen();
	reap();
	uname(&uts);
	send_frame(FRAME_HELLO, 0, uts.release, strlen(uts.release));
	for (;;)
		poll_once(sfd, listener);
}
