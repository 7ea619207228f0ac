// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc.h"

#define SEND_MS		5000
#define CONNECT_MS	5000

int gvm_rpc_recv(struct gvm_chan *c, struct gvm_packet *p, int timeout_ms, const sigset_t *mask)
{
	ssize_t r = gvm_chan_recv(c, p, sizeof(*p), timeout_ms, mask);

	if (r < 0)
		return r;
	return gvm_msg_check(p, r);
}

int gvm_rpc_send(struct gvm_chan *c, struct gvm_head *head, const struct iovec *a,
		 const struct iovec *b)
{
	struct iovec iov[3] = { { head, sizeof(*head) } };
	unsigned int nr = 1;

	head->magic = GVM_MSG_MAGIC;
	head->len = 0;
	if (a && a->iov_len)
		iov[nr++] = *a;
	if (b && b->iov_len)
		iov[nr++] = *b;
	for (unsigned int i = 1; i < nr; i++)
		head->len += iov[i].iov_len;
	return gvm_chan_send(c, iov, nr, SEND_MS);
}

int gvm_rpc_reply(struct gvm_chan *c, const struct gvm_head *to, int64_t result, const void *data,
		  size_t len)
{
	struct gvm_head head = {
		.type = GVM_MSG_REPLY,
		.vcpu = to->vcpu,
		.seq = to->seq,
		.request = to->request,
		.result = result,
	};
	struct iovec iov = { (void *)data, len };

	return gvm_rpc_send(c, &head, &iov, NULL);
}

static int wait_reply(struct gvm_chan *c, const struct gvm_head *head, struct gvm_packet *p)
{
	int r;

	do {
		r = gvm_rpc_recv(c, p, GVM_RPC_MS, NULL);
	} while (r == -EINTR);
	if (r)
		return r;
	if (p->head.type != GVM_MSG_REPLY || p->head.seq != head->seq)
		return -EPROTO;
	return 0;
}

int gvm_rpc_call(struct gvm_chan *c, struct gvm_head *head, const void *data, size_t len,
		 struct gvm_packet *reply, int64_t *result)
{
	struct iovec iov = { (void *)data, len };
	struct gvm_packet *p = reply;
	int r;

	if (!p) {
		p = malloc(sizeof(*p));
		if (!p)
			return -ENOMEM;
	}
	r = gvm_rpc_send(c, head, &iov, NULL);
	if (!r)
		r = wait_reply(c, head, p);
	if (!r && result)
		*result = p->head.result;
	else if (!r && p->head.result < 0)
		r = p->head.result;
	if (!reply)
		free(p);
	return r;
}

int gvm_rpc_hello(uint32_t addr, uint16_t port, enum gvm_chan_kind kind, unsigned int member,
		  unsigned int vcpu, const char *vm, struct gvm_chan **out)
{
	struct gvm_head head = { .type = GVM_MSG_HELLO, .vcpu = vcpu };
	struct gvm_msg_hello hello = { .kind = kind, .member = member };
	struct gvm_chan *c;
	int r;

	snprintf(hello.vm, sizeof(hello.vm), "%s", vm);
	r = gvm_chan_connect(addr, port, CONNECT_MS, &c);
	if (r)
		return r;
	r = gvm_rpc_call(c, &head, &hello, sizeof(hello), NULL, NULL);
	if (r) {
		gvm_chan_close(c);
		return r;
	}
	*out = c;
	return 0;
}
