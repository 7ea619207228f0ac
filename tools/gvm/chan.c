// SPDX-License-Identifier: GPL-2.0
/*
 * Channels over an RC queue pair.
 *
 * A message is cut into SENDs of at most FRAG bytes; the immediate of each says whether more
 * follow. The receiver keeps NR_RECV buffers posted; a sender that is ahead of it waits in the
 * fabric (RNR), which the owner of the channel bounds: a dead peer is found by the links' pings.
 * Sends are copied into a ring of registered buffers, so a message may be on the stack.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "now.h"

#define FRAG		8192u
#define NR_RECV		16u
#define NR_SEND		16u
#define IMM_MORE	1u
#define TICK_MS		500	/* how late an end may be seen */
#define BACKLOG		64
#define CLOSE_MS	1000	/* for the last message to be acknowledged */

struct gvm_chan {
	struct rdma_event_channel *events;
	struct rdma_cm_id *id;
	struct ibv_comp_channel *comp;
	struct ibv_cq *recv_cq;
	struct ibv_cq *send_cq;
	struct ibv_mr *mr;
	char *mem;			/* NR_RECV, then NR_SEND buffers of FRAG bytes */
	pthread_mutex_t send_lock;	/* protects the three below */
	unsigned int send_next;
	unsigned int send_busy;
	int send_error;
	size_t have;			/* bytes of a message begun by gvm_chan_recv() */
	unsigned int unacked;		/* completion events */
	atomic_bool dead;
	bool has_qp;
};

struct gvm_listener {
	struct rdma_event_channel *events;
	struct rdma_cm_id *id;
};

static int remaining(int64_t deadline)
{
	int64_t left = deadline - gvm_now_ms();

	return left > 0 ? (int)left : 0;
}

static void set_nonblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Wait for one event of a connection manager's channel. */
static int next_event(struct rdma_event_channel *ch, int64_t deadline,
		      struct rdma_cm_event **event)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN };
	int r;

	for (;;) {
		if (!rdma_get_cm_event(ch, event))
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = poll(&p, 1, remaining(deadline));
		if (!r)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int expect(struct rdma_event_channel *ch, enum rdma_cm_event_type type, int64_t deadline)
{
	struct rdma_cm_event *event;
	int r;

	r = next_event(ch, deadline, &event);
	if (r)
		return r;
	if (event->event != type) {
		if (event->event == RDMA_CM_EVENT_REJECTED)
			r = -ECONNREFUSED;
		else
			r = event->status < 0 ? event->status : -ENETUNREACH;
	}
	rdma_ack_cm_event(event);
	return r;
}

static int post_recv(struct gvm_chan *c, unsigned int i)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)(c->mem + i * FRAG),
		.length = FRAG,
		.lkey = c->mr->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return -ibv_post_recv(c->id->qp, &wr, &bad);
}

static struct gvm_chan *chan_alloc(void)
{
	struct gvm_chan *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->send_lock, NULL);
	c->events = rdma_create_event_channel();
	if (c->events) {
		set_nonblock(c->events->fd);
		return c;
	}
	free(c);
	return NULL;
}

/* Queues, buffers, queue pair: what an id with a device needs to carry messages. */
static int chan_setup(struct gvm_chan *c)
{
	struct ibv_qp_init_attr attr = {
		.cap = {
			.max_send_wr = NR_SEND,
			.max_recv_wr = NR_RECV,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
	size_t size = (NR_RECV + NR_SEND) * FRAG;
	unsigned int i;
	int r;

	c->comp = ibv_create_comp_channel(c->id->verbs);
	if (!c->comp)
		return -errno;
	set_nonblock(c->comp->fd);
	c->recv_cq = ibv_create_cq(c->id->verbs, NR_RECV, NULL, c->comp, 0);
	c->send_cq = ibv_create_cq(c->id->verbs, NR_SEND, NULL, NULL, 0);
	if (!c->recv_cq || !c->send_cq)
		return -ENOMEM;
	attr.recv_cq = c->recv_cq;
	attr.send_cq = c->send_cq;
	if (rdma_create_qp(c->id, NULL, &attr))
		return -errno;
	c->has_qp = true;
	c->mem = aligned_alloc(4096, size);
	if (!c->mem)
		return -ENOMEM;
	memset(c->mem, 0, size);
	c->mr = ibv_reg_mr(c->id->qp->pd, c->mem, size, IBV_ACCESS_LOCAL_WRITE);
	if (!c->mr)
		return -errno;
	for (i = 0; i < NR_RECV; i++) {
		r = post_recv(c, i);
		if (r)
			return r;
	}
	return 0;
}

static struct rdma_conn_param conn_param(void)
{
	return (struct rdma_conn_param) {
		.retry_count = 7,
		.rnr_retry_count = 7,
	};
}

int gvm_chan_listen(uint32_t addr, uint16_t port, struct gvm_listener **out)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = addr,
	};
	struct gvm_listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->events = rdma_create_event_channel();
	if (!l->events) {
		r = -errno;
		free(l);
		return r;
	}
	set_nonblock(l->events->fd);
	if (rdma_create_id(l->events, &l->id, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(l->id, (struct sockaddr *)&sin) || rdma_listen(l->id, BACKLOG)) {
		r = -errno;
		gvm_chan_listen_end(l);
		return r;
	}
	*out = l;
	return 0;
}

uint16_t gvm_chan_port(const struct gvm_listener *l)
{
	return ntohs(rdma_get_src_port(l->id));
}

void gvm_chan_listen_end(struct gvm_listener *l)
{
	if (l->id)
		rdma_destroy_id(l->id);
	rdma_destroy_event_channel(l->events);
	free(l);
}

static int finish_accept(struct gvm_chan *c, int timeout_ms)
{
	struct rdma_conn_param param = conn_param();
	int r;

	/* The event of the listener is acknowledged by now, as migration wants it. */
	if (rdma_migrate_id(c->id, c->events))
		return -errno;
	r = chan_setup(c);
	if (r)
		return r;
	if (rdma_accept(c->id, &param))
		return -errno;
	return expect(c->events, RDMA_CM_EVENT_ESTABLISHED, gvm_now_ms() + timeout_ms);
}

int gvm_chan_accept(struct gvm_listener *l, int timeout_ms, struct gvm_chan **out)
{
	int64_t deadline = gvm_now_ms() + timeout_ms;
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;
	struct gvm_chan *c;
	int r;

	for (;;) {
		r = next_event(l->events, deadline, &event);
		if (r)
			return r;
		id = event->event == RDMA_CM_EVENT_CONNECT_REQUEST ? event->id : NULL;
		rdma_ack_cm_event(event);
		if (id)
			break;
	}
	c = chan_alloc();
	if (!c) {
		rdma_reject(id, NULL, 0);
		rdma_destroy_id(id);
		return -ENOMEM;
	}
	c->id = id;
	r = finish_accept(c, timeout_ms);
	if (r) {
		gvm_chan_close(c);
		return r;
	}
	*out = c;
	return 0;
}

static int try_connect(struct gvm_chan *c, uint32_t addr, uint16_t port, int64_t deadline)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = addr,
	};
	struct rdma_conn_param param = conn_param();
	int r;

	if (rdma_create_id(c->events, &c->id, NULL, RDMA_PS_TCP))
		return -errno;
	if (rdma_resolve_addr(c->id, NULL, (struct sockaddr *)&sin, remaining(deadline)))
		return -errno;
	r = expect(c->events, RDMA_CM_EVENT_ADDR_RESOLVED, deadline);
	if (r)
		return r;
	if (rdma_resolve_route(c->id, remaining(deadline)))
		return -errno;
	r = expect(c->events, RDMA_CM_EVENT_ROUTE_RESOLVED, deadline);
	if (r)
		return r;
	r = chan_setup(c);
	if (r)
		return r;
	if (rdma_connect(c->id, &param))
		return -errno;
	return expect(c->events, RDMA_CM_EVENT_ESTABLISHED, deadline);
}

int gvm_chan_connect(uint32_t addr, uint16_t port, int timeout_ms, struct gvm_chan **out)
{
	int64_t deadline = gvm_now_ms() + timeout_ms;
	struct gvm_chan *c;
	int r;

	do {
		c = chan_alloc();
		if (!c)
			return -ENOMEM;
		r = try_connect(c, addr, port, deadline);
		if (!r) {
			*out = c;
			return 0;
		}
		gvm_chan_close(c);
		usleep(20000);
	} while (r == -ECONNREFUSED && remaining(deadline));
	return r;
}

/* Take back the buffers of completed sends. Called with send_lock held. */
static void reap(struct gvm_chan *c)
{
	struct ibv_wc wc;

	while (c->send_busy && ibv_poll_cq(c->send_cq, 1, &wc) > 0) {
		c->send_busy--;
		if (wc.status != IBV_WC_SUCCESS)
			c->send_error = -ECONNRESET;
	}
}

static int send_slot(struct gvm_chan *c, int64_t deadline)
{
	reap(c);
	while (c->send_busy == NR_SEND && !c->send_error && !c->dead) {
		if (!remaining(deadline))
			return -ETIMEDOUT;
		usleep(20);
		reap(c);
	}
	return c->dead ? -ECONNRESET : c->send_error;
}

static int post_frag(struct gvm_chan *c, size_t len, bool more)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)(c->mem + (NR_RECV + c->send_next) * FRAG),
		.length = len,
		.lkey = c->mr->lkey,
	};
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND_WITH_IMM,
		.imm_data = htonl(more ? IMM_MORE : 0),
	};
	struct ibv_send_wr *bad;
	int r;

	r = -ibv_post_send(c->id->qp, &wr, &bad);
	if (r)
		return -ECONNRESET;
	c->send_next = (c->send_next + 1) % NR_SEND;
	c->send_busy++;
	return 0;
}

/* Fill one fragment from where the last one ended. */
static size_t gather(char *to, const struct iovec *iov, unsigned int nr, unsigned int *i,
		     size_t *at)
{
	size_t len = 0, n;

	while (*i < nr && len < FRAG) {
		n = iov[*i].iov_len - *at;
		if (n > FRAG - len)
			n = FRAG - len;
		if (n)
			memcpy(to + len, (const char *)iov[*i].iov_base + *at, n);
		len += n;
		*at += n;
		if (*at == iov[*i].iov_len) {
			(*i)++;
			*at = 0;
		}
	}
	return len;
}

int gvm_chan_send(struct gvm_chan *c, const struct iovec *iov, unsigned int nr, int timeout_ms)
{
	int64_t deadline = gvm_now_ms() + timeout_ms;
	size_t at = 0, len, left = 0;
	unsigned int i;
	int r;

	for (i = 0; i < nr; i++)
		left += iov[i].iov_len;
	i = 0;
	pthread_mutex_lock(&c->send_lock);
	do {
		r = send_slot(c, deadline);
		if (r)
			break;
		len = gather(c->mem + (NR_RECV + c->send_next) * FRAG, iov, nr, &i, &at);
		left -= len;
		r = post_frag(c, len, left > 0);
	} while (!r && left);
	/* A message cut short would take the next one's head for its rest. */
	if (r)
		c->send_error = r == -ETIMEDOUT ? -ECONNRESET : r;
	pthread_mutex_unlock(&c->send_lock);
	return r;
}

/* Has the connection manager anything to say? Only ends are said after the beginning. */
static void look_at_events(struct gvm_chan *c)
{
	struct rdma_cm_event *event;

	while (!rdma_get_cm_event(c->events, &event)) {
		if (event->event != RDMA_CM_EVENT_ESTABLISHED)
			c->dead = true;
		rdma_ack_cm_event(event);
	}
}

static int wait_recv(struct gvm_chan *c, int64_t deadline, const sigset_t *mask)
{
	struct pollfd p[2] = {
		{ .fd = c->comp->fd, .events = POLLIN },
		{ .fd = c->events->fd, .events = POLLIN },
	};
	int ms = deadline < 0 ? TICK_MS : remaining(deadline);
	struct timespec ts;
	struct ibv_cq *cq;
	void *context;
	int r;

	if (ms > TICK_MS)
		ms = TICK_MS;
	ts = (struct timespec) { .tv_nsec = ms * 1000000l };
	r = ppoll(p, 2, &ts, mask);
	if (r < 0)
		return -errno;
	if (!r)
		return deadline >= 0 && !remaining(deadline) ? -ETIMEDOUT : 0;
	if (p[0].revents && !ibv_get_cq_event(c->comp, &cq, &context)) {
		/* Acknowledging takes a mutex: in bunches, the rest at the end. */
		if (++c->unacked == 64) {
			ibv_ack_cq_events(c->recv_cq, c->unacked);
			c->unacked = 0;
		}
	}
	if (p[1].revents)
		look_at_events(c);
	return 0;
}

/* Append a completed fragment. Returns 1 when the message is complete. */
static int take(struct gvm_chan *c, const struct ibv_wc *wc, char *buf, size_t size)
{
	bool more = ntohl(wc->imm_data) & IMM_MORE;
	int r;

	if (wc->status != IBV_WC_SUCCESS || !(wc->wc_flags & IBV_WC_WITH_IMM))
		return -ECONNRESET;
	if (wc->byte_len > size - c->have)
		return -EMSGSIZE;
	memcpy(buf + c->have, c->mem + wc->wr_id * FRAG, wc->byte_len);
	c->have += wc->byte_len;
	r = post_recv(c, wc->wr_id);
	return r ? -ECONNRESET : !more;
}

ssize_t gvm_chan_recv(struct gvm_chan *c, void *buf, size_t size, int timeout_ms,
		      const sigset_t *mask)
{
	int64_t deadline = timeout_ms < 0 ? -1 : gvm_now_ms() + timeout_ms;
	bool armed = false;
	struct ibv_wc wc;
	size_t len;
	int r;

	for (;;) {
		r = ibv_poll_cq(c->recv_cq, 1, &wc);
		if (r > 0) {
			r = take(c, &wc, buf, size);
			if (r < 0) {
				c->dead = true;
				return r;
			}
			if (r) {
				len = c->have;
				c->have = 0;
				return len;
			}
			continue;
		}
		if (r < 0 || c->dead)
			return -ECONNRESET;
		if (!armed) {
			/* Look once more: what came before arming gives no event. */
			if (ibv_req_notify_cq(c->recv_cq, 0))
				return -ECONNRESET;
			armed = true;
			continue;
		}
		r = wait_recv(c, deadline, mask);
		if (r)
			return r;
		armed = false;
	}
}

/* Disconnecting flushes what was not sent yet: the last reply would be lost. */
static void drain(struct gvm_chan *c)
{
	int64_t deadline = gvm_now_ms() + CLOSE_MS;

	pthread_mutex_lock(&c->send_lock);
	for (reap(c); c->send_busy && !c->send_error && !c->dead && remaining(deadline); reap(c))
		usleep(100);
	pthread_mutex_unlock(&c->send_lock);
}

void gvm_chan_close(struct gvm_chan *c)
{
	if (c->has_qp) {
		drain(c);
		rdma_disconnect(c->id);
		rdma_destroy_qp(c->id);
	}
	if (c->mr)
		ibv_dereg_mr(c->mr);
	free(c->mem);
	if (c->unacked)
		ibv_ack_cq_events(c->recv_cq, c->unacked);
	if (c->recv_cq)
		ibv_destroy_cq(c->recv_cq);
	if (c->send_cq)
		ibv_destroy_cq(c->send_cq);
	if (c->comp)
		ibv_destroy_comp_channel(c->comp);
	if (c->id)
		rdma_destroy_id(c->id);
	rdma_destroy_event_channel(c->events);
	pthread_mutex_destroy(&c->send_lock);
	free(c);
}
