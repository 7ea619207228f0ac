// SPDX-License-Identifier: GPL-2.0
/* Frames from a peer: order, acks, and what costs the connection. */
#include <linux/bottom_half.h>

#include "tests/plug.h"

static struct dsm_frame frame(u8 kind, u32 seq)
{
	return (struct dsm_frame){
		.kind = kind,
		.nr = kind == DSM_FRAME_PAGE,
		.seq = seq,
		.incarnation = PEER_INCARNATION,
	};
}

/* A request for a page of a region that was here once: counted, and dropped. */
static struct dsm_msg stale_request(void)
{
	return dsm_test_request(PEER, SELF, 1);
}

static int rx_request(u32 seq)
{
	struct dsm_frame f = frame(DSM_FRAME_PAGE, seq);
	struct dsm_msg m = stale_request();

	return dsm_plug_rx(&f, &m, NULL);
}

static u64 count(enum dsm_stat s)
{
	return dsm_stats_sum(dsm_plug->c, s);
}

static int rx_init(struct kunit *test)
{
	int err = dsm_plug_init(test);

	dsm_plug->c->max_region = 10;
	return err;
}

static void in_order_and_once(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, rx_request(0));
	KUNIT_EXPECT_EQ(test, 0, rx_request(1));
	KUNIT_EXPECT_EQ(test, 0, rx_request(0));
	KUNIT_EXPECT_EQ(test, 0, rx_request(1));
	KUNIT_EXPECT_EQ(test, 2, count(DSM_STAT_frame_duplicate));
	KUNIT_EXPECT_EQ(test, 2, count(DSM_STAT_msg_received));
	KUNIT_EXPECT_EQ(test, 2, count(DSM_STAT_msg_stale));
	KUNIT_EXPECT_EQ_MSG(test, -EPROTO, rx_request(3), "frame 2 is missing");
	KUNIT_EXPECT_EQ(test, 1, count(DSM_STAT_frame_bad));
	KUNIT_EXPECT_EQ(test, 0, rx_request(2));
}

static void what_is_no_frame_is_refused(struct kunit *test)
{
	struct dsm_msg m = stale_request();
	struct dsm_frame f;
	u64 bad = 0;

	f = frame(DSM_NR_FRAME_KINDS, 0);
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	f = frame(DSM_FRAME_PAGE, 0);
	f.incarnation++;
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	f = frame(DSM_FRAME_PAGE, 0);
	f.nr = DSM_WIRE_MAX_MSGS + 1;
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	f = frame(DSM_FRAME_PAGE, 0);
	f.ack = 1;
	KUNIT_EXPECT_EQ_MSG(test, -EPROTO, dsm_plug_rx(&f, &m, NULL),
			    "an ack for what was never sent");
	bad = count(DSM_STAT_frame_bad);
	KUNIT_EXPECT_EQ(test, 4, bad);
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_msg_received));
	KUNIT_EXPECT_EQ_MSG(test, 0, rx_request(0), "none of them counted");
}

static void what_is_no_message_is_refused(struct kunit *test)
{
	struct dsm_frame f = frame(DSM_FRAME_PAGE, 0);
	struct dsm_msg m = stale_request();

	m.type = DSM_NR_MSG_TYPES;
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	f.seq++;
	m = stale_request();
	m.tid = 0;
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	f.seq++;
	m = stale_request();
	m.type = DSM_MSG_PUSH;
	m.target = SELF;
	m.flags = DSM_MF_PAGE;
	KUNIT_EXPECT_EQ_MSG(test, -EPROTO, dsm_plug_rx(&f, &m, NULL),
			    "a page that did not come");
	f.seq++;
	f.len = DSM_PAGE_SIZE;
	KUNIT_EXPECT_EQ_MSG(test, -EPROTO, dsm_plug_rx(&f, &m, NULL),
			    "nor with a length that says so");
	f.seq++;
	f.len = 0;
	m = stale_request();
	m.flags = DSM_MF_PAGE;
	KUNIT_EXPECT_EQ_MSG(test, -EPROTO, dsm_plug_rx(&f, &m, NULL),
			    "a request with a page");
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_msg_received));
	KUNIT_EXPECT_EQ(test, 5, count(DSM_STAT_frame_bad));
}

/* The message's fields in its place, so those that it has not are not 0. */
static void what_is_no_notification_is_refused(struct kunit *test)
{
	struct dsm_frame f = frame(DSM_FRAME_NOTIFY, 0);
	struct dsm_msg m = stale_request();

	m.page = 1;
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx(&f, &m, NULL));
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_notify_nobody));
	f.seq++;
	KUNIT_EXPECT_EQ(test, 0, dsm_plug_rx(&f, NULL, NULL));
	KUNIT_EXPECT_EQ(test, 1, count(DSM_STAT_notify_nobody));
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_plug_rx(&f, NULL, NULL), "twice is once");
	KUNIT_EXPECT_EQ(test, 1, count(DSM_STAT_notify_nobody));
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_notify_received));
}

static void acks_after_many_frames(struct kunit *test)
{
	u32 seq;

	for (seq = 0; seq < DSM_LINK_ACK_AFTER - 1; seq++)
		KUNIT_ASSERT_EQ(test, 0, rx_request(seq));
	/* The delay may be over before they all have come. */
	timer_delete_sync(&dsm_plug->n->ack_timer);
	if (!dsm_plug->nr_acks) {
		KUNIT_ASSERT_EQ(test, 0, rx_request(seq));
		KUNIT_EXPECT_EQ(test, 1, dsm_plug->nr_acks);
		KUNIT_EXPECT_EQ(test, DSM_LINK_ACK_AFTER, dsm_plug->last_ack);
	}
}

static void acks_after_a_while(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, rx_request(0));
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(READ_ONCE(dsm_plug->nr_acks)));
	KUNIT_EXPECT_EQ(test, 1, dsm_plug->last_ack);
	msleep(DSM_ACK_DELAY_MS * 3);
	KUNIT_EXPECT_EQ_MSG(test, 1, dsm_plug->nr_acks, "once");
}

static void ack_rides_on_a_frame(struct kunit *test)
{
	static const char hello[] = "hello";

	KUNIT_ASSERT_EQ(test, 0, rx_request(0));
	timer_delete_sync(&dsm_plug->n->ack_timer);
	KUNIT_ASSERT_EQ(test, 0, dsm_node_send_ctrl(dsm_plug->c, PEER, hello, sizeof(hello)));
	KUNIT_ASSERT_EQ(test, 1, dsm_plug->nr);
	KUNIT_EXPECT_EQ(test, 1, le32_to_cpu(dsm_plug->tx[0]->head.frame.ack));
	KUNIT_EXPECT_EQ(test, sizeof(hello), dsm_plug->tx[0]->len);
	KUNIT_EXPECT_STREQ(test, hello, (char *)dsm_plug->tx[0]->msg);
	KUNIT_EXPECT_EQ(test, 0, dsm_link_ack_due(&dsm_plug->n->link));
}

static int rx_ctrl(u32 seq)
{
	struct dsm_frame f = frame(DSM_FRAME_CTRL, seq);
	struct page *page = alloc_page(GFP_KERNEL);
	int err;

	f.len = 1;
	err = page ? dsm_plug_rx(&f, NULL, &page) : -ENOMEM;
	if (page)
		put_page(page);
	return err;
}

/* No one takes them: beyond a bound the peer gets no more credit. */
static void ctrl_frames_are_bounded(struct kunit *test)
{
	u32 seq;

	for (seq = 0; seq < DSM_CTRL_MAX + DSM_LINK_WINDOW; seq++)
		KUNIT_ASSERT_EQ(test, 0, rx_ctrl(seq));
	KUNIT_EXPECT_EQ(test, seq, dsm_plug->n->nr_ctrl);
	KUNIT_EXPECT_TRUE(test, dsm_plug->n->ack_held);
	KUNIT_EXPECT_EQ(test, DSM_CTRL_MAX, dsm_plug->last_ack);
	dsm_node_lost(dsm_plug->n);
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_in(PEER_INCARNATION + 1, 0, 0));
	KUNIT_EXPECT_EQ_MSG(test, 0, dsm_plug->n->nr_ctrl,
			    "another incarnation has said none of it");
	KUNIT_EXPECT_FALSE(test, dsm_plug->n->ack_held);
}

static void unasked_for_page_is_late(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, page);
	local_bh_disable();
	err = dsm_node_rx_compact(dsm_plug->n, 4321, &page);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, 1, count(DSM_STAT_msg_late));
	KUNIT_EXPECT_EQ_MSG(test, 1, dsm_plug->n->link.rx_next, "it has a number");
	KUNIT_ASSERT_NOT_NULL_MSG(test, page, "it is not kept");
	put_page(page);
}

static void nothing_from_who_is_gone(struct kunit *test)
{
	dsm_node_kill(dsm_plug->n);
	KUNIT_EXPECT_EQ(test, -EPROTO, rx_request(0));
	KUNIT_EXPECT_EQ(test, -EPROTO, dsm_plug_rx_ack(0));
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_frame_received));
}

static void who_is_no_member_waits(struct kunit *test)
{
	dsm_nodeset_add(&dsm_plug->c->outsiders, PEER);
	KUNIT_ASSERT_EQ(test, 0, rx_request(0));
	KUNIT_ASSERT_EQ(test, 0, rx_request(1));
	KUNIT_EXPECT_EQ(test, 2, count(DSM_STAT_msg_backlog));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_msg_stale));
	dsm_nodeset_del(&dsm_plug->c->outsiders, PEER);
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(count(DSM_STAT_msg_stale) == 2));
}

static void what_a_former_life_asked_is_dropped(struct kunit *test)
{
	dsm_nodeset_add(&dsm_plug->c->outsiders, PEER);
	KUNIT_ASSERT_EQ(test, 0, rx_request(0));
	KUNIT_ASSERT_EQ(test, 0, rx_request(1));
	dsm_node_lost(dsm_plug->n);
	KUNIT_ASSERT_EQ(test, 0, dsm_plug_in(PEER_INCARNATION + 1, 0, 0));
	KUNIT_EXPECT_TRUE(test, dsm_test_wait(count(DSM_STAT_msg_stale) == 2));
	KUNIT_EXPECT_EQ(test, 0, count(DSM_STAT_msg_error));
}

static struct kunit_case node_rx_cases[] = {
	KUNIT_CASE(in_order_and_once),
	KUNIT_CASE(what_is_no_frame_is_refused),
	KUNIT_CASE(what_is_no_message_is_refused),
	KUNIT_CASE(what_is_no_notification_is_refused),
	KUNIT_CASE(acks_after_many_frames),
	KUNIT_CASE(acks_after_a_while),
	KUNIT_CASE(ack_rides_on_a_frame),
	KUNIT_CASE(ctrl_frames_are_bounded),
	KUNIT_CASE(unasked_for_page_is_late),
	KUNIT_CASE(nothing_from_who_is_gone),
	KUNIT_CASE(who_is_no_member_waits),
	KUNIT_CASE(what_a_former_life_asked_is_dropped),
	{}
};

struct kunit_suite dsm_node_rx_suite = {
	.name = "dsm_node_rx",
	.init = rx_init,
	.test_cases = node_rx_cases,
};
