// SPDX-License-Identifier: GPL-2.0
/* The yardsticks: verbs by dsm_pingpong.ko, and blocking TCP round trips. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "textfile.h"

#define PINGPONG	"/sys/kernel/debug/dsm_pingpong/"
#define REQUEST		64

static double field(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtod(p + strlen(name), NULL) : 0;
}

/**
 * raw_verbs() - a run of dsm_pingpong
 * @b:		bench
 * @peer:	the other end
 * @line:	its parameters
 * @raw:	filled in
 *
 * Return: 0 or -errno; -ENOENT: the module is not loaded.
 */
int raw_verbs(struct bench *b, int peer, const char *line, struct raw *raw)
{
	char text[512];
	int err;

	snprintf(text, sizeof(text), "addr=%s poll=%s %s", b->peers[peer], b->poll, line);
	err = textfile_write(PINGPONG "run", text);
	if (!err)
		err = textfile_read(PINGPONG "result", text, sizeof(text));
	if (err)
		return err;
	raw->p50 = field(text, " p50_ns=");
	raw->rate = field(text, " rate=");
	raw->bytes_s = field(text, " bytes_s=");
	return 0;
}

/* A request starts with the number of bytes its reply is to have. */
static void *tcp_connection(void *arg)
{
	int fd = (intptr_t)arg;
	static const char page[PAGE];
	char req[REQUEST];
	uint32_t len;

	while (!net_recv(fd, req, sizeof(req))) {
		memcpy(&len, req, sizeof(len));
		if (len > sizeof(page) || net_send(fd, page, len))
			break;
	}
	close(fd);
	return NULL;
}

static void *tcp_server(void *arg)
{
	int listener = (intptr_t)arg, fd;
	pthread_t t;

	for (;;) {
		fd = net_accept(listener, 0);
		if (fd < 0)
			continue;
		if (pthread_create(&t, NULL, tcp_connection, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
	}
	return NULL;
}

/**
 * tcp_serve() - answer round trips until the process ends
 * @b:	bench
 *
 * Return: 0 or -errno.
 */
int tcp_serve(const struct bench *b)
{
	int listener = net_listen(b->peers[b->node], PORT_TCP), err;
	pthread_t t;

	if (listener < 0)
		return listener;
	err = pthread_create(&t, NULL, tcp_server, (void *)(intptr_t)listener);
	if (err) {
		close(listener);
		return -err;
	}
	pthread_detach(t);
	return 0;
}

static int tcp_measure(int fd, int nr, uint64_t *samples)
{
	char req[REQUEST] = { 0 }, page[PAGE];
	const uint32_t len = sizeof(page);
	int i, err = 0;
	uint64_t t0;

	memcpy(req, &len, sizeof(len));
	for (i = 0; !err && i < nr; i++) {
		t0 = now_ns();
		err = net_send(fd, req, sizeof(req));
		if (!err)
			err = net_recv(fd, page, sizeof(page));
		samples[i] = now_ns() - t0;
	}
	return err;
}

/**
 * tcp_round_trips() - 64 bytes there, 4096 back, blocking
 * @b:		bench
 * @peer:	the other end
 * @nr:		samples
 * @p50:	ns
 *
 * Return: 0 or -errno.
 */
int tcp_round_trips(struct bench *b, int peer, int nr, double *p50)
{
	uint64_t *samples = calloc(nr, sizeof(*samples));
	int fd, err;

	if (!samples)
		return -ENOMEM;
	fd = net_connect(b->peers[peer], PORT_TCP, b->timeout_s);
	err = fd < 0 ? fd : tcp_measure(fd, nr, samples);
	if (!err)
		*p50 = quantiles(samples, nr).p50;
	if (fd >= 0)
		close(fd);
	free(samples);
	return err;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/**
 * median() - of a few figures
 * @v:	figures; are sorted
 * @nr:	how many
 *
 * Return: the middle one; 0 if there are none.
 */
double median(double *v, int nr)
{
	if (!nr)
		return 0;
	qsort(v, nr, sizeof(*v), compare);
	return nr % 2 ? v[nr / 2] : (v[nr / 2 - 1] + v[nr / 2]) / 2;
}
