// SPDX-License-Identifier: GPL-2.0
/*
 * hostile MODE ADDRESS FROM TO NR_NODES COUNT: a peer that does not mean well.
 *
 *	hello	private data of all kinds of wrong: every one must be refused
 *	silent	a good hello, then nothing until it is dropped, or 3 s
 *	frames	a good hello, then a bad frame of kind COUNT % NR_KINDS: the
 *		connection must be dropped
 *	asks	a good hello, then requests for pages, which only a member may send
 *	flips	a good hello, then valid frames with random bits flipped: nothing
 *		is expected but that the other side survives
 *
 * Last line: "MODE: N tried, M refused, K dropped, L alive".
 */
#include <errno.h>
#include <infiniband/verbs.h>
#include <netdb.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

#define WIRE_VERSION 2	/* DSM_WIRE_VERSION */
#define CTRL_VERSION 3	/* DSM_CTRL_VERSION */
#define HEAD		80
#define STEP_MS		4000

/* As in modules/dsm/rdma.h and core/wire.h, which user space cannot include. */
struct hello {
	uint32_t magic;
	uint8_t version, reject;
	uint16_t from, to, nr_nodes;
	uint32_t incarnation, rx_next, peer_incarnation;
};

struct head {
	uint16_t magic;
	uint8_t version, kind;
	uint16_t nr, len;
	uint32_t seq, ack, incarnation, pad[3];
	uint8_t type, flags, dir_state, pad1;
	uint16_t requester, home, target, owner, nr_acks, age;
	uint32_t tid, epoch, region, gen;
	uint64_t page, pad2;
};

/* As in modules/dsm/ctrl.h. */
struct ctrl {
	uint16_t magic;
	uint8_t version, type;
	uint16_t len, pad;
	uint32_t id, pad2;
	uint8_t body[160];
};

_Static_assert(sizeof(struct hello) == 24, "struct dsm_rdma_hello");
_Static_assert(sizeof(struct head) == HEAD, "struct dsm_wire_head");

enum outcome { FAILED, REFUSED, DROPPED, ALIVE, NR_OUTCOMES };

struct peer {
	struct rdma_event_channel *ch;
	struct rdma_cm_id *id;
	struct ibv_mr *mr;
};

static _Alignas(4096) uint8_t buf[64 << 10];
static const char *address;
static uint16_t from, to, nr_nodes;
static uint64_t rng;

/* Return: the event, or -1 in case of none in @ms. */
static int next_event(struct peer *p, int ms)
{
	struct pollfd pfd = { .fd = p->ch->fd, .events = POLLIN };
	struct rdma_cm_event *e;
	int ret;

	if (poll(&pfd, 1, ms) != 1 || rdma_get_cm_event(p->ch, &e))
		return -1;
	ret = e->event;
	rdma_ack_cm_event(e);
	return ret;
}

static void peer_close(struct peer *p)
{
	if (p->mr)
		ibv_dereg_mr(p->mr);
	if (p->id) {
		if (p->id->qp)
			rdma_destroy_qp(p->id);
		rdma_destroy_id(p->id);
	}
	if (p->ch)
		rdma_destroy_event_channel(p->ch);
	*p = (struct peer){ 0 };
}

static enum outcome peer_open(struct peer *p, const void *data, size_t len)
{
	struct ibv_qp_init_attr qp = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 64, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct rdma_conn_param param = {
		.private_data = data, .private_data_len = len,
		.retry_count = 3, .rnr_retry_count = 3,
	};
	const char *port = getenv("DSM_PORT");
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP }, *ai = NULL;
	enum outcome ret = FAILED;
	int event;

	p->ch = rdma_create_event_channel();
	if (!p->ch || rdma_create_id(p->ch, &p->id, NULL, RDMA_PS_TCP) ||
	    rdma_getaddrinfo(address, port ?: "7473", &hints, &ai))
		goto out;
	if (rdma_resolve_addr(p->id, NULL, ai->ai_dst_addr, 2000) ||
	    next_event(p, STEP_MS) != RDMA_CM_EVENT_ADDR_RESOLVED ||
	    rdma_resolve_route(p->id, 2000) ||
	    next_event(p, STEP_MS) != RDMA_CM_EVENT_ROUTE_RESOLVED ||
	    rdma_create_qp(p->id, NULL, &qp))
		goto out;
	p->mr = ibv_reg_mr(p->id->pd, buf, sizeof(buf), IBV_ACCESS_LOCAL_WRITE);
	if (!p->mr || rdma_connect(p->id, &param))
		goto out;
	event = next_event(p, STEP_MS);
	if (event == RDMA_CM_EVENT_ESTABLISHED)
		ret = ALIVE;
	else if (event == RDMA_CM_EVENT_REJECTED)
		ret = REFUSED;
out:
	if (ret == FAILED)
		printf("# no connection: %s\n", strerror(errno));
	if (ai)
		rdma_freeaddrinfo(ai);
	if (ret != ALIVE)
		peer_close(p);
	return ret;
}

static struct hello good_hello(void)
{
	return (struct hello){
		.magic = 0x4d4f5344, .version = WIRE_VERSION, .from = from, .to = to,
		.nr_nodes = nr_nodes, .incarnation = 1 + rnd(&rng) % 0x7fffffff,
	};
}

static int post(struct peer *p, size_t len)
{
	struct ibv_sge sge = { (uintptr_t)buf, len, p->mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
				  .send_flags = IBV_SEND_SIGNALED }, *bad;
	uint64_t end = now_us() + 2000000;
	struct ibv_wc wc;

	if (ibv_post_send(p->id->qp, &wr, &bad))
		return -1;
	while (now_us() < end)
		if (ibv_poll_cq(p->id->qp->send_cq, 1, &wc) > 0)
			return wc.status == IBV_WC_SUCCESS ? 0 : 1;
	return -1;
}

/* The other end owes us a farewell within @ms. */
static bool dropped(struct peer *p, int ms)
{
	uint64_t end = now_us() + ms * 1000ull;

	while (now_us() < end)
		if (next_event(p, 100) == RDMA_CM_EVENT_DISCONNECTED)
			return true;
	/* A queue pair in error tells the same. */
	memset(buf, 0, HEAD);
	return post(p, HEAD) != 0;
}

static struct head *good_head(int kind)
{
	struct head *h = (void *)buf;

	memset(buf, 0, sizeof(buf));
	*h = (struct head){
		.magic = 0x6d53, .version = WIRE_VERSION, .kind = kind, .nr = kind == 0,
		.incarnation = 1,
	};
	if (kind == 0) {	/* GETS of a page that is not ours to ask for */
		h->type = 0;
		h->requester = from;
		h->home = to;
		h->target = h->owner = 0xffff;
		h->tid = 1;
		h->epoch = 1;
		h->region = rnd(&rng) % 4;
		h->gen = 1;
		h->page = rnd(&rng) % 64;
	}
	return h;
}

static void fill_random(size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = rnd(&rng) >> 32;
}

/* A control message whose head is right. Return: the length of the frame. */
static size_t ctrl_frame(uint8_t type, uint16_t len, uint8_t first_byte)
{
	struct head *h = good_head(1);
	struct ctrl *c = (void *)(buf + HEAD);

	h->len = len;
	*c = (struct ctrl){
		.magic = 0x4344, .version = CTRL_VERSION, .type = type, .len = len, .id = 1,
	};
	c->body[0] = first_byte;
	return HEAD + len;
}

/* Frames that a right-minded node drops its connection for. Return: its length. */
static size_t bad_frame(unsigned int kind)
{
	struct head *h = good_head(kind % 2);
	size_t len;

	switch (kind) {
	case 0:	/* noise */
		fill_random(HEAD + 4096);
		return HEAD + rnd(&rng) % 4096;
	case 1:	/* half a head */
		return 40;
	case 2:	/* one byte */
		return 1;
	case 3:	/* more than a frame */
		fill_random(sizeof(buf));
		return 3 * 4096;
	case 4:	/* claims more payload than comes */
		h->len = 4096;
		return HEAD;
	case 5:	/* claims less */
		h->len = 16;
		return HEAD + 4096;
	case 6:	/* too many messages */
		h->nr = 0xffff;
		return HEAD;
	case 7:	/* no such kind */
		h->kind = 77;
		return HEAD;
	case 8:	/* no such message */
		h->type = 200;
		return HEAD;
	case 9:	/* another protocol */
		h->version = 9;
		return HEAD;
	case 10: /* nodes out of range */
		h = good_head(0);
		h->requester = h->home = 0x1234;
		return HEAD;
	case 11: /* acknowledges what was never sent */
		h = good_head(2);
		h->ack = 0x40000000;
		return HEAD;
	case 12: /* far ahead */
		h = good_head(1);
		h->seq = 0x1000;
		h->len = 64;
		return HEAD + 64;
	case 13: /* nonsense for the cluster layer, well wrapped */
		h = good_head(1);
		h->len = 512;
		for (int i = 0; i < 512; i++)
			buf[HEAD + i] = rnd(&rng) >> 32;
		return HEAD + 512;
	case 14: /* a grant that no one asked for */
		h = good_head(0);
		h->type = 6;
		h->flags = 0x04 | 0x01;
		h->len = 4096;
		return HEAD + 4096;
	case 16: /* control messages: no such type */
		return ctrl_frame(77, 32, 0);
	case 17: /* no such message of the membership */
		return ctrl_frame(0, 168, 250);
	case 18: /* no such change of the metadata */
		return ctrl_frame(1, 136, 250);
	case 19: /* pages beyond the end of the world to be made zero */
		len = ctrl_frame(3, 40, 0);
		memset(buf + HEAD + 24, 0xff, 16);
		return len;
	case 20: /* half of a question for the last change */
		return ctrl_frame(4, 20, 0);
	case 21: /* no such change that was missed */
		return ctrl_frame(5, 136, 250);
	default: /* the region of nobody, an absurd page */
		h = good_head(0);
		h->region = 0xfffffff0;
		h->page = ~0ull >> 1;
		return HEAD;
	}
}

#define NR_KINDS 22

static enum outcome try_frame(unsigned int kind)
{
	struct peer p = { 0 };
	struct hello h = good_hello();
	enum outcome ret;
	size_t len;
	int tries;

	/* The other side may still be taking the last connection down. */
	for (tries = 0; tries < 40; tries++) {
		ret = peer_open(&p, &h, sizeof(h));
		if (ret == ALIVE)
			break;
		pause_us(50000);
	}
	if (ret != ALIVE)
		return ret;
	len = bad_frame(kind);
	((struct head *)buf)->incarnation = h.incarnation;
	ret = post(&p, len) || dropped(&p, 1500) ? DROPPED : ALIVE;
	printf("# kind %u: %s\n", kind, ret == DROPPED ? "dropped" : "alive");
	peer_close(&p);
	return ret;
}

/* The last connection may not be forgotten yet. */
static enum outcome open_patiently(struct peer *p, const struct hello *h)
{
	enum outcome ret = FAILED;

	for (int tries = 0; tries < 40 && ret != ALIVE; tries++) {
		ret = peer_open(p, h, sizeof(*h));
		if (ret != ALIVE)
			pause_us(50000);
	}
	return ret;
}

static enum outcome try_asks(void)
{
	struct peer p = { 0 };
	struct hello h = good_hello();
	enum outcome ret = open_patiently(&p, &h);

	for (int n = 0; n < 8 && ret == ALIVE; n++) {
		struct head *w = good_head(0);

		w->incarnation = h.incarnation;
		w->seq = n;
		w->type = n % 2;	/* GETS, GETX */
		w->region = 1;
		if (post(&p, HEAD))
			ret = DROPPED;
	}
	if (ret == ALIVE && dropped(&p, 300))
		ret = DROPPED;
	peer_close(&p);
	return ret;
}

static enum outcome try_flips(void)
{
	struct peer p = { 0 };
	struct hello h = good_hello();
	enum outcome ret = open_patiently(&p, &h);
	int n, bits;

	if (ret != ALIVE)
		return ret;
	for (n = 1; n <= 8; n++) {
		struct head *w = good_head(rnd(&rng) % 3);
		size_t len = HEAD;

		w->incarnation = h.incarnation;
		if (w->kind != 2)
			w->seq = n - 1;
		if (w->kind == 1) {
			len += w->len = 32;
		} else if (w->kind == 0) {
			w->type = rnd(&rng) % 14;
			w->flags = rnd(&rng) % 4 ? 0 : rnd(&rng);
			if (w->flags & 1)
				len += w->len = 4096;
		}
		for (bits = rnd(&rng) % 3; bits; bits--)
			buf[rnd(&rng) % len] ^= 1 << rnd(&rng) % 8;
		if (post(&p, len)) {
			ret = DROPPED;
			break;
		}
	}
	if (ret == ALIVE && dropped(&p, 300))
		ret = DROPPED;
	peer_close(&p);
	return ret;
}

static enum outcome try_hello(unsigned int nr)
{
	struct hello h = good_hello();
	uint8_t raw[56];
	struct peer p = { 0 };
	enum outcome ret;
	size_t len = sizeof(h);

	for (int i = 0; i < sizeof(raw); i++)
		raw[i] = rnd(&rng) >> 32;
	switch (nr % 10) {
	case 0:
		h.magic ^= 1;
		break;
	case 1:
		h.version = 0;
		break;
	case 2:
		h.version = 255;
		break;
	case 3:
		h.nr_nodes++;
		break;
	case 4:
		h.from = 0xffff;
		break;
	case 5:
		h.from = to;
		break;
	case 6:
		h.to = from;
		break;
	case 7:
		len = sizeof(h) - 1;
		break;
	case 8:
		h.incarnation = 0;
		break;
	default:
		len = rnd(&rng) % sizeof(raw);
	}
	/* rdma_cm pads private data with zeroes: a short one just lacks fields. */
	if (nr % 10 == 7)
		h.incarnation = 0;
	memcpy(raw, &h, nr % 10 == 9 ? 0 : sizeof(h));
	ret = peer_open(&p, raw, len);
	peer_close(&p);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned int count, n[NR_OUTCOMES] = { 0 };
	struct peer p = { 0 };
	struct hello h;

	if (argc != 7)
		return 2;
	alarm(150);
	rng = rnd_seed();
	printf("# seed %#lx\n", rng);
	address = argv[2];
	from = atoi(argv[3]);
	to = atoi(argv[4]);
	nr_nodes = atoi(argv[5]);
	count = atoi(argv[6]);
	for (unsigned int i = 0; i < count; i++) {
		if (!strcmp(argv[1], "hello")) {
			n[try_hello(i)]++;
		} else if (!strcmp(argv[1], "frames")) {
			n[try_frame(i % NR_KINDS)]++;
		} else if (!strcmp(argv[1], "asks")) {
			n[try_asks()]++;
		} else if (!strcmp(argv[1], "flips")) {
			n[try_flips()]++;
		} else {
			h = good_hello();
			n[peer_open(&p, &h, sizeof(h)) == ALIVE && dropped(&p, 3000) ? DROPPED : ALIVE]++;
			peer_close(&p);
		}
	}
	printf("%s: %u tried, %u refused, %u dropped, %u alive, %u failed\n", argv[1], count,
	       n[REFUSED], n[DROPPED], n[ALIVE], n[FAILED]);
	return 0;
}
