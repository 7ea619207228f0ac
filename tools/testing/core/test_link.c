// SPDX-License-Identifier: GPL-2.0
/* Two ends of a link over connections that break. */
#include "cluster.h"
#include "link.h"

#define FRAMES	4096

struct packet {
	bool hello;
	bool sequenced;
	struct dsm_hello h;
	u32 seq;
	u32 ack;
	u32 body;
};

/* One end: what it wants to send is 1, 2, 3 …, kept until acknowledged. */
struct end {
	struct dsm_link l;
	u32 incarnation;
	u32 next_body;
	u32 kept[DSM_LINK_WINDOW];	/* by number */
	u32 got;		/* the last body delivered from this peer */
	bool heard;
	unsigned int resets;
	struct packet in[FRAMES];	/* arriving on this connection */
	unsigned int nr_in, at;
};

static struct end e[2];

static void begin_link(void)
{
	memset(e, 0, sizeof(e));
	for (int i = 0; i < 2; i++) {
		dsm_link_init(&e[i].l);
		e[i].incarnation = 100 + i;
	}
}

static void push_packet(int to, struct packet p)
{
	CHECK(e[to].nr_in < FRAMES);
	e[to].in[e[to].nr_in++] = p;
}

static void break_connection(void)
{
	for (int i = 0; i < 2; i++) {
		dsm_link_lost(&e[i].l);
		e[i].nr_in = e[i].at = 0;
		e[i].heard = false;
	}
}

static void connect_ends(void)
{
	break_connection();
	for (int i = 0; i < 2; i++)
		push_packet(!i, (struct packet){ .hello = true,
			.h = dsm_link_hello(&e[i].l, e[i].incarnation) });
}

static void resend(int i)
{
	for (u32 s = e[i].l.tx_una; s != e[i].l.tx_next; s++)
		push_packet(!i, (struct packet){ .sequenced = true, .seq = s,
			.ack = dsm_link_ack(&e[i].l),
			.body = e[i].kept[s % DSM_LINK_WINDOW] });
}

static u8 send_one(int i)
{
	struct packet p = { .sequenced = true };
	u8 r = dsm_link_send(&e[i].l, &p.seq, &p.ack);

	if (r != DSM_LR_OK)
		return r;
	p.body = ++e[i].next_body;
	e[i].kept[p.seq % DSM_LINK_WINDOW] = p.body;
	push_packet(!i, p);
	return r;
}

static void send_ack(int i)
{
	push_packet(!i, (struct packet){ .ack = dsm_link_ack(&e[i].l) });
}

static u8 hear_hello(int i, const struct dsm_hello *h)
{
	u8 r = dsm_link_connected(&e[i].l, h, e[i].incarnation);

	e[i].heard = true;
	if (r == DSM_LR_RESET) {
		e[i].resets++;
		e[i].next_body = 0;
		e[i].got = 0;
	} else if (r == DSM_LR_OK) {
		resend(i);
	}
	return r;
}

/* The next packet for an end; each body comes once and in order. */
static u8 receive(int i)
{
	struct packet p;
	u8 r;

	if (e[i].at == e[i].nr_in)
		return DSM_LR_WAIT;
	p = e[i].in[e[i].at++];
	if (p.hello)
		return hear_hello(i, &p.h);
	r = dsm_link_frame(&e[i].l, p.sequenced, p.seq, p.ack);
	CHECK(r != DSM_LR_ERROR);
	if (r == DSM_LR_DELIVER)
		CHECK(p.body == ++e[i].got);
	return r;
}

static void receive_all(void)
{
	while (e[0].at < e[0].nr_in || e[1].at < e[1].nr_in)
		for (int i = 0; i < 2; i++)
			receive(i);
	for (int i = 0; i < 2; i++)
		e[i].nr_in = e[i].at = 0;
}

TEST(the_window_closes_and_an_ack_opens_it)
{
	begin_link();
	CHECK(send_one(0) == DSM_LR_WAIT);	/* not connected */
	connect_ends();
	receive_all();
	for (u32 n = 0; n < DSM_LINK_WINDOW; n++)
		CHECK(send_one(0) == DSM_LR_OK);
	CHECK(send_one(0) == DSM_LR_WAIT);
	receive_all();
	CHECK(dsm_link_ack_due(&e[1].l) == DSM_LINK_WINDOW);
	CHECK(send_one(0) == DSM_LR_WAIT);
	send_ack(1);
	CHECK(!dsm_link_ack_due(&e[1].l));
	receive_all();
	CHECK(send_one(0) == DSM_LR_OK);
}

TEST(what_was_lost_is_sent_again)
{
	begin_link();
	connect_ends();
	receive_all();
	for (int n = 0; n < 10; n++)
		send_one(0);
	for (int n = 0; n < 4; n++)
		receive(1);
	connect_ends();			/* six are lost */
	receive_all();
	CHECK(e[1].got == 10);
	CHECK(!e[0].resets && !e[1].resets);
}

TEST(a_duplicate_is_dropped_and_a_gap_is_an_error)
{
	begin_link();
	connect_ends();
	receive_all();
	send_one(0);
	receive_all();
	CHECK(dsm_link_frame(&e[1].l, true, 0, 0) == DSM_LR_DROP);
	CHECK(dsm_link_frame(&e[1].l, true, 2, 0) == DSM_LR_ERROR);
	CHECK(dsm_link_frame(&e[1].l, true, 1, 1) == DSM_LR_ERROR);	/* ack of nothing */
	CHECK(dsm_link_frame(&e[1].l, false, 0, 0) == DSM_LR_OK);
	CHECK(dsm_link_frame(&e[0].l, false, 0, 1) == DSM_LR_OK);
	CHECK(dsm_link_frame(&e[0].l, false, 0, 0) == DSM_LR_OK);	/* an old ack */
	CHECK(e[0].l.tx_una == 1);
}

TEST(a_peer_that_started_anew_resets_the_link)
{
	begin_link();
	connect_ends();
	receive_all();
	send_one(0);
	send_one(1);
	receive_all();
	dsm_link_init(&e[1].l);
	e[1].incarnation = 200;
	e[1].got = e[1].next_body = 0;
	connect_ends();
	receive_all();
	CHECK(e[0].resets == 1 && !e[1].resets);
	CHECK(send_one(0) == DSM_LR_OK);
	receive_all();
	CHECK(e[1].got == 1);
}

TEST(a_hello_that_lies_is_an_error)
{
	struct dsm_hello h = { .incarnation = 0 };

	begin_link();
	CHECK(dsm_link_connected(&e[0].l, &h, 100) == DSM_LR_ERROR);
	connect_ends();
	receive_all();
	h = (struct dsm_hello){ .incarnation = 101, .peer_incarnation = 100,
				.rx_next = 1 };	/* nothing was sent */
	CHECK(dsm_link_connected(&e[0].l, &h, 100) == DSM_LR_ERROR);
	dsm_link_init(&e[0].l);
	CHECK(dsm_link_connected(&e[0].l, &h, 100) == DSM_LR_ERROR);
}

TEST(the_dead_stay_dead)
{
	struct dsm_hello h = { .incarnation = 101 };
	u32 seq, ack;

	begin_link();
	connect_ends();
	receive_all();
	dsm_link_kill(&e[0].l);
	dsm_link_lost(&e[0].l);
	CHECK_STR(dsm_link_state_name(e[0].l.state), "DEAD");
	CHECK_STR(dsm_link_event_name(DSM_LE_KILL), "KILL");
	CHECK(dsm_link_connected(&e[0].l, &h, 100) == DSM_LR_ERROR);
	CHECK(dsm_link_send(&e[0].l, &seq, &ack) == DSM_LR_ERROR);
	CHECK(dsm_link_frame(&e[0].l, true, 0, 0) == DSM_LR_ERROR);
}

TEST(numbers_wrap_around)
{
	begin_link();
	connect_ends();
	receive_all();
	e[0].l.tx_next = e[0].l.tx_una = 0xfffffffc;
	e[1].l.rx_next = e[1].l.rx_acked = 0xfffffffc;
	for (int n = 0; n < 10; n++)
		CHECK(send_one(0) == DSM_LR_OK);
	connect_ends();
	receive_all();
	CHECK(e[1].got == 10 && e[1].l.rx_next == 6);
}

/* Connections break anywhere, hellos included: nothing is lost or doubled. */
TEST(random_breaks)
{
	for (u64 seed = 1; seed <= 500; seed++) {
		u64 rng = tap_seed = seed;
		int up = 0;

		begin_link();
		for (int step = 0; step < 2000; step++) {
			int i;

			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			i = rng >> 63;
			switch ((rng >> 40) % 12) {
			case 0:
				if ((rng >> 20) % 8)
					break;
				break_connection();
				up = 0;
				break;
			case 1:
				if (!up)
					connect_ends();
				up = 1;
				break;
			case 2:
				if (e[i].heard)
					send_ack(i);
				break;
			case 3:
			case 4:
			case 5:
				send_one(i);
				break;
			default:
				CHECK(receive(i) != DSM_LR_ERROR);
			}
		}
		connect_ends();
		receive_all();
		CHECK(e[0].got == e[1].next_body && e[1].got == e[0].next_body);
		CHECK(!e[0].resets && !e[1].resets);
	}
}

TEST(low_bits_of_an_ack)
{
	struct dsm_link l;

	dsm_link_init(&l);
	l.tx_una = 0xffffffc0;
	l.tx_next = l.tx_una + DSM_LINK_WINDOW;
	for (u32 ack = l.tx_una; ack != l.tx_next + 1; ack++)
		CHECK(dsm_link_wide_ack(&l, ack & 127, 127) == ack);
}
