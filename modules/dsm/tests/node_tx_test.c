// SPDX-License-Identifier: GPL-2.0
/* Frames to a peer: batches, credit, and what happens as connections come and go. */
#include "tests/plug.h"

/* ---- what goes out ---- */

static struct dsm_msg some_msg(u8 type)
{
	return (struct dsm_msg){
		.type = type,
		.requester = SELF,
		.home = PEER,
		.target = DSM_NODE_NONE,
		.owner = DSM_NODE_NONE,
		.tid = 9 | DSM_TID_WIDE,
		.epoch = 1,
		.region = 1,
		.gen = 1,
	};
}

static void send(u8 type, struct page *page, bool counted)
{
	struct dsm_msg m = some_msg(type);

	if (page)
		m.flags = DSM_MF_PAGE;
	dsm_node_send_msg(dsm_plug->c, PEER, &m, page, counted, NULL);
}

static void send_frames(unsigned int nr)
{
	while (nr--) {
		send(DSM_MSG_GETS, NULL, false);
		/* An open frame ends when it is posted, or when a page follows. */
		dsm_plug->n->open = NULL;
	}
	dsm_node_flush(dsm_plug->c);
}

static struct page *some_page(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	page->private = 0;
	return page;
}

static void messages_share_a_frame(struct kunit *test)
{
	for (int i = 0; i < DSM_TX_MSGS + 3; i++)
		send(DSM_MSG_GETS, NULL, false);
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_plug->nr, "nothing goes before the flush");
	dsm_node_flush(dsm_plug->c);
	KUNIT_ASSERT_EQ(test, 2, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, DSM_TX_MSGS + 1, dsm_plug->tx[0]->nr);
	KUNIT_EXPECT_EQ(test, DSM_TX_MSGS * sizeof(struct dsm_wire_msg),
			dsm_plug->tx[0]->len);
	KUNIT_EXPECT_EQ(test, 2, dsm_plug->tx[1]->nr);
	dsm_node_flush(dsm_plug->c);
	KUNIT_EXPECT_EQ(test, 2, dsm_plug->nr);
}

static void page_travels_alone_and_in_order(struct kunit *test)
{
	struct page *page = some_page(test);

	send(DSM_MSG_GETS, NULL, false);
	dsm_page_tx_get(page);
	send(DSM_MSG_GRANT, page, true);
	send(DSM_MSG_GETX, NULL, false);
	dsm_node_flush(dsm_plug->c);
	KUNIT_ASSERT_EQ(test, 3, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, DSM_MSG_GETS, dsm_plug->tx[0]->head.msg.type);
	KUNIT_EXPECT_EQ(test, DSM_MSG_GRANT, dsm_plug->tx[1]->head.msg.type);
	KUNIT_EXPECT_EQ(test, DSM_PAGE_SIZE, dsm_plug->tx[1]->len);
	KUNIT_EXPECT_PTR_EQ(test, page, dsm_plug->tx[1]->page);
	KUNIT_EXPECT_EQ(test, DSM_MSG_GETX, dsm_plug->tx[2]->head.msg.type);
	for (u32 i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, i, dsm_plug->seq[i]);
	put_page(page);
}

static void page_is_kept_until_acked_and_sent(struct kunit *test)
{
	for (int order = 0; order < 2; order++) {
		struct page *page = some_page(test);
		u32 seq = dsm_plug->n->link.tx_next;

		dsm_page_tx_get(page);
		send(DSM_MSG_GRANT, page, true);
		dsm_node_flush(dsm_plug->c);
		KUNIT_ASSERT_EQ(test, 1, dsm_plug->nr);
		if (order)
			KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx_ack(seq + 1));
		else
			dsm_plug_done(0);
		KUNIT_EXPECT_EQ(test, 1, dsm_page_tx_count(page));
		KUNIT_EXPECT_EQ(test, 2, page_ref_count(page));
		if (order)
			dsm_plug_done(0);
		else
			KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx_ack(seq + 1));
		KUNIT_EXPECT_EQ(test, 0, dsm_page_tx_count(page));
		KUNIT_EXPECT_EQ(test, 1, page_ref_count(page));
		put_page(page);
	}
}

static void no_more_than_the_window(struct kunit *test)
{
	send_frames(DSM_LINK_WINDOW + 10);
	KUNIT_EXPECT_EQ(test, DSM_LINK_WINDOW, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, 10, dsm_node_nr_queued(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, DSM_LINK_WINDOW, dsm_node_nr_unacked(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx_ack(7));
	KUNIT_EXPECT_EQ(test, DSM_LINK_WINDOW + 7, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, 3, dsm_node_nr_queued(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx_ack(DSM_LINK_WINDOW + 7));
	KUNIT_EXPECT_EQ(test, DSM_LINK_WINDOW + 10, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, 3, dsm_node_nr_unacked(dsm_plug->n));
	for (u32 i = 0; i < dsm_plug->nr; i++)
		KUNIT_EXPECT_EQ(test, i, dsm_plug->seq[i]);
}

/* ---- connections ---- */

static void what_was_not_acked_is_sent_again(struct kunit *test)
{
	send_frames(10);
	KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx_ack(3));
	dsm_node_lost(dsm_plug->n);
	dsm_plug_done(0);
	send_frames(2);
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_plug->nr, "there is no connection");
	KUNIT_EXPECT_EQ(test, 2, dsm_node_nr_queued(dsm_plug->n));
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_again(5));
	KUNIT_ASSERT_EQ(test, 7, dsm_plug->nr);
	for (u32 i = 0; i < 7; i++)
		KUNIT_EXPECT_EQ(test, i + 5, dsm_plug->seq[i]);
	KUNIT_EXPECT_EQ(test, 5, dsm_stats_sum(dsm_plug->c, DSM_STAT_frame_resent));
	KUNIT_EXPECT_EQ(test, 0, dsm_stats_sum(dsm_plug->c, DSM_STAT_link_reset));
}

static void compact_but_once(struct kunit *test)
{
	struct dsm_msg m = some_msg(DSM_MSG_GRANT);
	struct page *page = some_page(test);

	m.flags = DSM_MF_PAGE;
	m.tid = 77;
	m.requester = PEER;
	m.home = SELF;
	get_page(page);
	dsm_node_send_msg(dsm_plug->c, PEER, &m, page, false, NULL);
	dsm_node_flush(dsm_plug->c);
	KUNIT_ASSERT_EQ(test, 1, dsm_plug->nr);
	KUNIT_EXPECT_TRUE(test, dsm_plug->tx[0]->compact);
	KUNIT_EXPECT_EQ(test, 77, dsm_plug->tx[0]->imm & DSM_IMM_TID_MASK);
	dsm_node_lost(dsm_plug->n);
	dsm_plug_done(0);
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_again(0));
	KUNIT_ASSERT_EQ(test, 1, dsm_plug->nr);
	KUNIT_EXPECT_FALSE(test, dsm_plug->tx[0]->compact);
	KUNIT_EXPECT_EQ(test, 0, dsm_plug->seq[0]);
	put_page(page);
}

static void another_incarnation_gets_nothing_old(struct kunit *test)
{
	struct page *page = some_page(test);

	dsm_page_tx_get(page);
	send(DSM_MSG_GRANT, page, true);
	send_frames(DSM_LINK_WINDOW + 1);
	dsm_node_lost(dsm_plug->n);
	dsm_plug_done(0);
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_in(PEER_INCARNATION + 1, 0, 0));
	KUNIT_EXPECT_EQ(test, 0, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, 0, dsm_node_nr_queued(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, 0, dsm_node_nr_unacked(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, 1, dsm_stats_sum(dsm_plug->c, DSM_STAT_link_reset));
	KUNIT_EXPECT_EQ(test, 1, page_ref_count(page));
	put_page(page);
	send_frames(1);
	KUNIT_EXPECT_EQ(test, 0, dsm_plug->seq[0]);
}

static void who_expects_the_impossible_is_refused(struct kunit *test)
{
	send_frames(3);
	dsm_node_lost(dsm_plug->n);
	dsm_plug_done(0);
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_again(4));
	KUNIT_EXPECT_FALSE(test, dsm_node_is_up(dsm_plug->n));
	KUNIT_EXPECT_EQ(test, 0, dsm_plug_again(3));
	KUNIT_EXPECT_TRUE(test, dsm_node_is_up(dsm_plug->n));
}

static void notifications_leave_room_for_pages(struct kunit *test)
{
	struct dsm_notice n = { .region = 1, .gen = 1, .key = 7 };
	unsigned int nr = 0;

	KUNIT_EXPECT_EQ(test, -ENOTCONN, dsm_node_send_notice(dsm_plug->c, 200, &n));
	while (nr < 1000 && !dsm_node_send_notice(dsm_plug->c, PEER, &n))
		nr++;
	KUNIT_EXPECT_EQ(test, 64, nr);
	KUNIT_EXPECT_EQ(test, -EAGAIN, dsm_node_send_notice(dsm_plug->c, PEER, &n));
	send(DSM_MSG_GETS, NULL, false);
	KUNIT_EXPECT_EQ(test, 65, dsm_node_nr_queued(dsm_plug->n));
	dsm_node_flush(dsm_plug->c);
	KUNIT_ASSERT_LE(test, 2, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, DSM_FRAME_NOTIFY, dsm_plug->tx[0]->kind);
	KUNIT_EXPECT_EQ(test, 0, dsm_plug->tx[0]->len);
	KUNIT_EXPECT_EQ(test, 7, le64_to_cpu(dsm_plug->tx[0]->head.notice.key));
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_node_send_notice(dsm_plug->c, PEER, &n),
			    "there is room again");
	dsm_node_kill(dsm_plug->n);
	KUNIT_EXPECT_EQ(test, -ENOTCONN, dsm_node_send_notice(dsm_plug->c, PEER, &n));
}

static void dead_peer_swallows(struct kunit *test)
{
	struct page *page = some_page(test);
	char byte = 0;

	dsm_page_tx_get(page);
	send(DSM_MSG_GRANT, page, true);
	dsm_node_kill(dsm_plug->n);
	KUNIT_EXPECT_EQ_MSG(test, 1, page_ref_count(page), "what was queued");
	dsm_page_tx_get(page);
	send(DSM_MSG_GRANT, page, true);
	KUNIT_EXPECT_EQ_MSG(test, 1, page_ref_count(page), "what comes later");
	KUNIT_EXPECT_EQ(test, 0, dsm_page_tx_count(page));
	get_page(page);
	dsm_node_send_msg(dsm_plug->c, 200, &(struct dsm_msg){}, page, false, NULL);
	KUNIT_EXPECT_EQ_MSG(test, 1, page_ref_count(page), "to a node that is none");
	put_page(page);
	KUNIT_EXPECT_EQ(test, -ENOTCONN, dsm_node_send_ctrl(dsm_plug->c, PEER, &byte, 1));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, dsm_plug_again(0));
	KUNIT_EXPECT_EQ(test, 0, dsm_plug->nr);
}

static struct kunit_case node_tx_cases[] = {
	KUNIT_CASE(messages_share_a_frame),
	KUNIT_CASE(page_travels_alone_and_in_order),
	KUNIT_CASE(page_is_kept_until_acked_and_sent),
	KUNIT_CASE(no_more_than_the_window),
	KUNIT_CASE(what_was_not_acked_is_sent_again),
	KUNIT_CASE(compact_but_once),
	KUNIT_CASE(another_incarnation_gets_nothing_old),
	KUNIT_CASE(who_expects_the_impossible_is_refused),
	KUNIT_CASE(notifications_leave_room_for_pages),
	KUNIT_CASE(dead_peer_swallows),
	{}
};

struct kunit_suite dsm_node_tx_suite = {
	.name = "dsm_node_tx",
	.init = dsm_plug_init,
	.test_cases = node_tx_cases,
};
