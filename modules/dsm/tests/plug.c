// SPDX-License-Identifier: GPL-2.0
/* A transport that only notes what is posted: see plug.h. */
#include <linux/bottom_half.h>

#include "tests/plug.h"

struct dsm_plug *dsm_plug;

static int wire_connect(struct dsm_node *n)
{
	return -ENOTCONN;
}

static void wire_disconnect(struct dsm_node *n)
{
}

static int wire_post(struct dsm_node *n, struct dsm_tx *tx, bool more)
{
	struct dsm_frame f = {};

	lockdep_assert_held(&n->lock);
	dsm_wire_decode_frame(&tx->head.frame, sizeof(tx->head) + tx->len, &f);
	if (tx->kind == DSM_FRAME_ACK) {
		dsm_plug->nr_acks++;
		dsm_plug->last_ack = f.ack;
		dsm_node_tx_done(n, tx);
		return 0;
	}
	if (dsm_plug->nr == NR_LOG)
		return -ENOSPC;
	dsm_plug->seq[dsm_plug->nr] = tx->compact ? U32_MAX : f.seq;
	dsm_plug->tx[dsm_plug->nr++] = tx;
	return 0;
}

static const struct dsm_transport_ops wire_ops = {
	.name = "wire",
	.connect = wire_connect,
	.disconnect = wire_disconnect,
	.post = wire_post,
};

void dsm_plug_done(unsigned int from)
{
	while (dsm_plug->nr > from)
		dsm_node_tx_done(dsm_plug->n, dsm_plug->tx[--dsm_plug->nr]);
}

int dsm_plug_in(u32 incarnation, u32 rx_next, u32 about)
{
	struct dsm_hello h = {
		.incarnation = incarnation,
		.rx_next = rx_next,
		.peer_incarnation = about,
	};

	dsm_plug->n->killed = true;
	return dsm_node_connected(dsm_plug->n, &h);
}

int dsm_plug_again(u32 rx_next)
{
	return dsm_plug_in(PEER_INCARNATION, rx_next, dsm_plug->c->incarnation);
}

static void node_free(void *arg)
{
	struct dsm_node *n = arg;

	dsm_node_lost(n);
	dsm_plug_done(0);
	n->c->node[PEER] = NULL;
	dsm_node_stop(n);
	dsm_node_destroy(n);
}

int dsm_plug_init(struct kunit *test)
{
	static const struct sockaddr_storage nowhere;
	struct dsm_node *n;

	dsm_plug = kunit_kzalloc(test, sizeof(*dsm_plug), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dsm_plug);
	dsm_plug->c = dsm_test_cluster(test, SELF, 2, &wire_ops);
	dsm_plug->c->knobs.heartbeat_ms = 60000;
	dsm_plug->c->knobs.reconnect_ms = 60000;
	dsm_plug->c->knobs.dead_ms = 3600000;
	n = dsm_node_create(dsm_plug->c, PEER, &nowhere);
	KUNIT_ASSERT_NOT_NULL(test, n);
	dsm_plug->n = n;
	dsm_plug->c->node[PEER] = n;
	KUNIT_ASSERT_EQ(test, 0, dsm_node_start(n));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, node_free, n));
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_in(PEER_INCARNATION, 0, 0));
	return 0;
}

int dsm_plug_rx(const struct dsm_frame *f, const struct dsm_msg *m, struct page **page)
{
	struct dsm_wire_head head = {};
	struct page *none = NULL;
	int err;

	dsm_wire_encode_frame(&head.frame, f);
	if (m)
		dsm_wire_encode_msg(&head.msg, m);
	local_bh_disable();
	err = dsm_node_rx(dsm_plug->n, &head, page ?: &none, sizeof(head) + f->len);
	local_bh_enable();
	return err;
}

int dsm_plug_rx_ack(u32 ack)
{
	struct dsm_frame f = {
		.kind = DSM_FRAME_ACK,
		.ack = ack,
		.incarnation = PEER_INCARNATION,
	};

	return dsm_plug_rx(&f, NULL, NULL);
}
