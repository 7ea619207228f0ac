// SPDX-License-Identifier: GPL-2.0
/*
 * switch NR_PORTS: a learning Ethernet switch for QEMU's "-netdev stream" over
 * unix sockets ./sw0, ./sw1, … (each frame behind its length, big endian).
 * A server that is down loses frames, a full queue drops from its tail; every
 * (source port, destination port) pair can be cut, delayed and made lossy.
 *
 * Commands on stdin, one answer line each; end of file ends the switch:
 *	link SRC DST 0|1	delay SRC DST MICROSECONDS
 *	loss SRC DST PERMILLE	stats
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 16
#define MAX_FRAME 65536
#define QUEUE_BYTES (4u << 20)	/* a port's backlog, and a pair's delayed frames */
#define NR_MACS 256

struct frame {
	struct frame *next;
	uint64_t due_ns;
	uint32_t len;
	uint8_t data[];
};

/* Directed path between two ports. */
struct path {
	int up;
	unsigned int loss_permille;
	uint64_t delay_ns;
	struct frame *head, **tail;
	uint32_t delayed_bytes;
};

struct port {
	int listener, fd;
	uint8_t in[4 + MAX_FRAME];
	size_t in_len;
	uint8_t *out;		/* QUEUE_BYTES; [out_start, out_end) is to be sent */
	size_t out_start, out_end;
	uint64_t nr_rx, nr_tx, nr_dropped;
};

static struct { uint8_t mac[6]; uint8_t port; uint8_t used; } macs[NR_MACS];
static struct path paths[MAX_PORTS][MAX_PORTS];
static struct port ports[MAX_PORTS];
static int nr_ports;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* xorshift64 from a fixed seed: a run's losses repeat if its traffic does. */
static uint64_t rnd(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	return s ^= s << 17;
}

static void port_close(struct port *p)
{
	close(p->fd);
	p->fd = -1;
	p->in_len = p->out_start = p->out_end = 0;
}

static void port_flush(struct port *p)
{
	while (p->fd >= 0 && p->out_start < p->out_end) {
		ssize_t n = send(p->fd, p->out + p->out_start, p->out_end - p->out_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				port_close(p);
			return;
		}
		p->out_start += n;
	}
	p->out_start = p->out_end = 0;
}

static void port_send(struct port *p, const uint8_t *data, uint32_t len)
{
	uint32_t be = htonl(len);

	if (p->fd < 0) {
		p->nr_dropped++;
		return;
	}
	if (p->out_end + 4 + len > QUEUE_BYTES && p->out_start) {
		memmove(p->out, p->out + p->out_start, p->out_end - p->out_start);
		p->out_end -= p->out_start;
		p->out_start = 0;
	}
	if (p->out_end + 4 + len > QUEUE_BYTES) {
		p->nr_dropped++;
		return;
	}
	memcpy(p->out + p->out_end, &be, 4);
	memcpy(p->out + p->out_end + 4, data, len);
	p->out_end += 4 + len;
	p->nr_tx++;
}

static void path_send(int src, int dst, const uint8_t *data, uint32_t len)
{
	struct path *path = &paths[src][dst];
	struct frame *f;

	if (!path->up || (path->loss_permille && rnd() % 1000 < path->loss_permille) ||
	    path->delayed_bytes + len > QUEUE_BYTES) {
		ports[dst].nr_dropped++;
		return;
	}
	/* A path whose delay was just lowered keeps its order. */
	if (!path->delay_ns && !path->head) {
		port_send(&ports[dst], data, len);
		return;
	}
	f = malloc(sizeof(*f) + len);
	if (!f)
		return;
	f->next = NULL;
	f->due_ns = now_ns() + path->delay_ns;
	f->len = len;
	memcpy(f->data, data, len);
	*path->tail = f;
	path->tail = &f->next;
	path->delayed_bytes += len;
}

/* Send what is due; return the time of the next frame, 0 for none. */
static uint64_t paths_run(void)
{
	uint64_t now = now_ns(), next = 0;
	int s, d;

	for (s = 0; s < nr_ports; s++) {
		for (d = 0; d < nr_ports; d++) {
			struct path *path = &paths[s][d];
			struct frame *f;

			while ((f = path->head) && f->due_ns <= now) {
				path->head = f->next;
				if (!path->head)
					path->tail = &path->head;
				path->delayed_bytes -= f->len;
				port_send(&ports[d], f->data, f->len);
				free(f);
			}
			if (f && (!next || f->due_ns < next))
				next = f->due_ns;
		}
	}
	return next;
}

static int mac_slot(const uint8_t *mac)
{
	int i = (mac[3] ^ mac[4] ^ mac[5]) % NR_MACS, n;

	for (n = 0; n < NR_MACS; n++, i = (i + 1) % NR_MACS)
		if (!macs[i].used || !memcmp(macs[i].mac, mac, 6))
			return i;
	return -1;
}

static void forward(int src, const uint8_t *data, uint32_t len)
{
	int slot, d;

	if (len < 14)
		return;
	ports[src].nr_rx++;
	slot = mac_slot(data + 6);
	if (slot >= 0 && !(data[6] & 1)) {
		memcpy(macs[slot].mac, data + 6, 6);
		macs[slot].port = src;
		macs[slot].used = 1;
	}
	slot = data[0] & 1 ? -1 : mac_slot(data);
	if (slot >= 0 && macs[slot].used) {
		if (macs[slot].port != src)
			path_send(src, macs[slot].port, data, len);
		return;
	}
	for (d = 0; d < nr_ports; d++)
		if (d != src)
			path_send(src, d, data, len);
}

static void port_read(int i)
{
	struct port *p = &ports[i];
	ssize_t n = recv(p->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, MSG_DONTWAIT);
	size_t at = 0;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			port_close(p);
		return;
	}
	p->in_len += n;
	while (p->in_len - at >= 4) {
		uint32_t len;

		memcpy(&len, p->in + at, 4);
		len = ntohl(len);
		if (len > MAX_FRAME) {
			port_close(p);
			return;
		}
		if (p->in_len - at < 4 + len)
			break;
		forward(i, p->in + at + 4, len);
		at += 4 + len;
	}
	p->in_len -= at;
	memmove(p->in, p->in + at, p->in_len);
}

static void run_command(const char *line)
{
	unsigned int src, dst, value;
	char verb[16];
	int i, n = sscanf(line, "%15s %u %u %u", verb, &src, &dst, &value);

	if (n == 1 && !strcmp(verb, "stats")) {
		for (i = 0; i < nr_ports; i++)
			printf("%d:rx=%llu,tx=%llu,dropped=%llu ", i,
			       (unsigned long long)ports[i].nr_rx, (unsigned long long)ports[i].nr_tx,
			       (unsigned long long)ports[i].nr_dropped);
		printf("\n");
	} else if (n != 4 || src >= (unsigned int)nr_ports || dst >= (unsigned int)nr_ports) {
		printf("error: bad command\n");
	} else if (!strcmp(verb, "link")) {
		paths[src][dst].up = !!value;
		printf("ok\n");
	} else if (!strcmp(verb, "delay")) {
		paths[src][dst].delay_ns = value * 1000ull;
		printf("ok\n");
	} else if (!strcmp(verb, "loss")) {
		paths[src][dst].loss_permille = value;
		printf("ok\n");
	} else {
		printf("error: unknown verb\n");
	}
	fflush(stdout);
}

static void read_commands(void)
{
	static char buf[1024];
	static size_t have;
	ssize_t n = read(0, buf + have, sizeof(buf) - 1 - have);
	char *nl;

	if (n <= 0)
		exit(0);
	have += n;
	buf[have] = 0;
	while ((nl = strchr(buf, '\n'))) {
		*nl++ = 0;
		run_command(buf);
		have -= nl - buf;
		memmove(buf, nl, have + 1);
	}
	if (have == sizeof(buf) - 1)
		have = 0;
}

static void port_open(int i)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct port *p = &ports[i];
	int d;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "sw%d", i);
	unlink(sa.sun_path);
	p->fd = -1;
	p->out = malloc(QUEUE_BYTES);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!p->out || p->listener < 0 || bind(p->listener, (void *)&sa, sizeof(sa)) ||
	    listen(p->listener, 1)) {
		perror("switch");
		exit(1);
	}
	for (d = 0; d < nr_ports; d++) {
		paths[i][d].up = 1;
		paths[i][d].tail = &paths[i][d].head;
	}
}

static void port_accept(struct port *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (p->fd >= 0)
		port_close(p);	/* the server was restarted */
	p->fd = fd;
}

int main(int argc, char **argv)
{
	struct pollfd pfd[1 + 2 * MAX_PORTS];
	struct timespec ts;
	int i;

	nr_ports = argc == 2 ? atoi(argv[1]) : 0;
	if (nr_ports < 1 || nr_ports > MAX_PORTS) {
		fprintf(stderr, "usage: switch NR_PORTS (at most %d)\n", MAX_PORTS);
		return 2;
	}
	signal(SIGINT, SIG_IGN);	/* the driver decides when to end */
	for (i = 0; i < nr_ports; i++)
		port_open(i);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		uint64_t next = paths_run(), now = now_ns();
		uint64_t wait = next > now ? next - now : 0;

		for (i = 0; i < nr_ports; i++)
			port_flush(&ports[i]);
		pfd[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		for (i = 0; i < nr_ports; i++) {
			struct port *p = &ports[i];

			pfd[1 + 2 * i] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
			pfd[2 + 2 * i] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
			if (p->out_start < p->out_end)
				pfd[2 + 2 * i].events |= POLLOUT;
		}
		ts.tv_sec = wait / 1000000000;
		ts.tv_nsec = wait % 1000000000;
		if (ppoll(pfd, 1 + 2 * nr_ports, next ? &ts : NULL, NULL) < 0)
			continue;
		for (i = 0; i < nr_ports; i++) {
			if (pfd[2 + 2 * i].revents && ports[i].fd == pfd[2 + 2 * i].fd)
				port_read(i);
			if (pfd[1 + 2 * i].revents)
				port_accept(&ports[i]);
		}
		if (pfd[0].revents)
			read_commands();
	}
}
