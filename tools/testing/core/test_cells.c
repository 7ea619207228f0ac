// SPDX-License-Identifier: GPL-2.0
/*
 * Each event in each state, as an injected one: an error names itself and
 * changes nothing, what is late or has nothing to do does nothing, and no cell
 * breaks an invariant of its own record.
 */
#include "cluster.h"

static struct dsm_msg message_for(u8 type)
{
	struct dsm_msg m = forge(type, 0, 2, 9);

	if (dsm_msg_to_dir(type))
		m.from = 2;
	else if (type == DSM_MSG_GRANT || type == DSM_MSG_ACK ||
		 type == DSM_MSG_PULL || type == DSM_MSG_PUT_ACK ||
		 type == DSM_MSG_PUT_NAK)
		m.requester = 1;
	m.nr_acks = type == DSM_MSG_ACK || type == DSM_MSG_INV;
	if (type == DSM_MSG_PULL || type == DSM_MSG_PUSHED)
		m.target = 2;
	if (type == DSM_MSG_PUSH) {
		m.from = 2;
		m.target = 1;
	}
	if (type == DSM_MSG_PUSH)
		m.flags = DSM_MF_PAGE;
	if (type == DSM_MSG_INV)
		m.flags = DSM_MF_DONE | DSM_MF_DATA;
	if (type == DSM_MSG_FWDS)
		m.flags = DSM_MF_DONE;
	if (type == DSM_MSG_MOVE) {
		m.dir_state = DSM_DS_E;
		m.owner = 2;
		m.tid = 0;
	}
	return m;
}

/* The messages in the order of the events that they are. */
static const u8 page_messages[] = {
	DSM_MSG_GRANT, DSM_MSG_ACK, DSM_MSG_INV, DSM_MSG_FWDS, DSM_MSG_PULL,
	DSM_MSG_PUSH, DSM_MSG_PUT_ACK, DSM_MSG_PUT_NAK,
};

static const u8 dir_messages[] = {
	DSM_MSG_GETS, DSM_MSG_GETX, DSM_MSG_PUT, DSM_MSG_DONE, DSM_MSG_PUSHED,
	DSM_MSG_MOVE,
};

static bool passive(const char *cell)
{
	return !strcmp(cell, "error") || !strcmp(cell, "late") ||
	       !strcmp(cell, "nothing") || !strcmp(cell, "stall");
}

static void check_verdict(const char *cell)
{
	if (!strcmp(cell, "error"))
		VERDICT(BAD_STATE);
	else if (!strcmp(cell, "late"))
		VERDICT(LATE);
	else if (passive(cell))
		VERDICT(OK);
}

static void put_page_in(struct node *node, u8 state)
{
	struct dsm_page *p = &node->p;

	p->state = state;
	p->tid = 5;
	p->parked = DSM_PS_E;
	if (state == DSM_PS_S_AWAY || state == DSM_PS_SX_AWAY ||
	    state == DSM_PS_E_AWAY)
		p->demand = (struct dsm_demand){ .type = DSM_MSG_INV,
			.flags = DSM_MF_DONE | DSM_MF_DATA, .requester = 2, .tid = 4 };
	if (state == DSM_PS_E_DOWN)
		p->demand = (struct dsm_demand){ .type = DSM_MSG_FWDS,
			.flags = DSM_MF_DONE, .requester = 2, .tid = 4 };
	node->has = dsm_page_has_copy(p);
}

static void page_cell(u8 state, u8 event)
{
	const char *cell = dsm_page_cell_name(state, event);
	struct dsm_page before;
	struct dsm_msg m;

	start(3, 0);
	c.injected = c.manual = true;
	put_page_in(&c.node[1], state);
	before = c.node[1].p;
	if (event < DSM_PE_GRANT) {
		local(1, DSM_EK_PAGE, event, NOBODY);
	} else {
		m = message_for(page_messages[event - DSM_PE_GRANT]);
		inject(1, &m);
	}
	check_verdict(cell);
	if (passive(cell) || c.verdict != DSM_V_OK) {
		CHECK(!memcmp(&before, &c.node[1].p, sizeof(before)));
		QUIET();
	}
}

TEST(every_event_in_every_state_of_a_page)
{
	for (u8 s = 0; s < DSM_NR_PAGE_STATES; s++)
		for (u8 e = 0; e < DSM_NR_PAGE_EVENTS; e++)
			page_cell(s, e);
}

static void put_dir_in(struct node *node, u8 state)
{
	struct dsm_dir *d = &node->d;

	d->state = state;
	d->base = state == DSM_DS_BW ? DSM_DS_ZS : DSM_DS_S;
	if (state != DSM_DS_Z && state != DSM_DS_E && state != DSM_DS_MOVED)
		dsm_nodeset_add(&d->set, 1);
	if (state == DSM_DS_E)
		d->owner = 1;
	if (state == DSM_DS_MOVED)
		d->successor = 2;
	if (!dsm_dir_is_busy(d))
		return;
	d->busy = node->busy;
	d->busy->requester = 2;
	d->busy->target = 0;
	d->busy->tid = 5;
	if (state == DSM_DS_BQ)
		d->busy->q[d->busy->len++] = (struct dsm_waiter){
			.type = DSM_MSG_PUT, .requester = 2,
			.target = NOBODY, .tid = 6 };
}

static void dir_cell(u8 state, u8 event)
{
	const char *cell = dsm_dir_cell_name(state, event);
	struct dsm_dir before;
	struct dsm_msg m;

	start(3, 0);
	c.injected = c.manual = true;
	put_dir_in(&c.node[0], state);
	before = c.node[0].d;
	if (event >= DSM_DE_HANDOFF) {
		local(0, DSM_EK_DIR, event, 1);
	} else {
		m = message_for(dir_messages[event]);
		inject(0, &m);
	}
	if (state == DSM_DS_BQ)		/* the harness has drained it */
		return;
	check_verdict(cell);
	if (passive(cell) || c.verdict != DSM_V_OK) {
		c.node[0].d.busy = before.busy;
		CHECK(!memcmp(&before, &c.node[0].d, sizeof(before)));
		QUIET();
	}
}

TEST(every_event_in_every_state_of_an_entry)
{
	for (u8 s = 0; s < DSM_NR_DIR_STATES; s++)
		for (u8 e = 0; e < DSM_NR_DIR_EVENTS; e++)
			dir_cell(s, e);
}

TEST(names_are_never_null)
{
	for (unsigned int i = 0; i < 256; i++) {
		CHECK(dsm_msg_name(i) && dsm_page_state_name(i) &&
		      dsm_page_event_name(i) && dsm_dir_state_name(i) &&
		      dsm_dir_event_name(i) && dsm_verdict_name(i) &&
		      dsm_action_name(i));
		CHECK(dsm_page_cell_name(i, 0) && dsm_dir_cell_name(0, i));
	}
	CHECK_STR(dsm_msg_name(DSM_NR_MSG_TYPES), "?");
	CHECK_STR(dsm_msg_name(DSM_MSG_PUT_NAK), "PUT_NAK");
}

/* ---- what a message has to be, whatever the state ---- */

#define EXPECT(v, m)	do { inject(0, m); VERDICT(v); } while (0)

TEST(epochs_and_generations)
{
	struct dsm_msg m;

	start(3, 0);
	m = forge(DSM_MSG_GETS, 1, 1, 1);
	m.epoch = c.epoch - 1;
	EXPECT(STALE, &m);
	m.epoch = c.epoch + 1;
	EXPECT(AHEAD, &m);
	m = forge(DSM_MSG_GETS, 1, 1, 1);
	m.gen = c.gen - 1;
	EXPECT(STALE, &m);
	m.gen = c.gen + 1;
	EXPECT(AHEAD, &m);
	c.epoch = 1;		/* numbers wrap around */
	m = forge(DSM_MSG_GETS, 1, 1, 1);
	m.epoch = 0xfffffff0;
	EXPECT(STALE, &m);
	DIR_IS(0, Z);
	QUIET();
}

TEST(fields_out_of_range)
{
	struct dsm_msg m;

	start(3, 0);
	m = forge(DSM_NR_MSG_TYPES, 1, 1, 1);
	EXPECT(BAD_FIELD, &m);
	m = forge(DSM_MSG_GETS, 1, 1, 1);
	m.page++;
	EXPECT(BAD_FIELD, &m);
	m = forge(DSM_MSG_GETS, 1, 1, 1);
	m.region++;
	EXPECT(BAD_FIELD, &m);
	m = forge(DSM_MSG_GETS, 3, 3, 1);
	EXPECT(BAD_SENDER, &m);
	m = forge(DSM_MSG_PUT, 1, 1, 1);
	m.target = 3;
	EXPECT(BAD_FIELD, &m);
	m = forge(DSM_MSG_ACK, 1, 0, 1);
	m.nr_acks = 4;
	EXPECT(BAD_FIELD, &m);
	QUIET();
}

TEST(senders_that_may_not)
{
	static const u8 types[] = { DSM_MSG_GETS, DSM_MSG_GETX, DSM_MSG_PUT,
				    DSM_MSG_DONE, DSM_MSG_PUSHED, DSM_MSG_PUSH };
	struct dsm_msg m;

	start(3, 0);
	for (unsigned int i = 0; i < sizeof(types); i++) {
		m = forge(types[i], 1, 2, 1);
		EXPECT(BAD_SENDER, &m);
	}
	m = forge(DSM_MSG_GRANT, 1, 2, 1);	/* not for us */
	EXPECT(BAD_SENDER, &m);
	m = forge(DSM_MSG_INV, 1, 2, 1);	/* not from home */
	EXPECT(BAD_SENDER, &m);
	m = forge(DSM_MSG_PUT_ACK, 1, 0, 1);
	EXPECT(BAD_SENDER, &m);
	m = forge(DSM_MSG_PULL, 1, 0, 1);
	EXPECT(BAD_SENDER, &m);
	m = forge(DSM_MSG_MOVE, 0, 0, 0);
	EXPECT(BAD_SENDER, &m);
	QUIET();
}

TEST(duplicates_and_an_overflow)
{
	struct dsm_msg m;

	start(3, 0);
	do_write(1);
	want_write(2);
	deliver(2, 0, DSM_MSG_GETX);
	m = forge(DSM_MSG_GETX, 2, 2, c.node[2].p.tid);
	EXPECT(DUPLICATE, &m);
	m = forge(DSM_MSG_GETS, 1, 1, 100);
	EXPECT(OK, &m);
	EXPECT(DUPLICATE, &m);
	m.tid++;
	EXPECT(OK, &m);
	m.tid++;
	EXPECT(OK, &m);
	m.tid++;
	EXPECT(OVERFLOW, &m);
}

TEST(replies_that_contradict_themselves)
{
	struct dsm_msg m;

	start(3, 0);
	want_read(1);
	m = forge(DSM_MSG_GRANT, 0, 1, c.node[1].p.tid);
	inject(1, &m);
	VERDICT(BAD_FIELD);
	m.flags = DSM_MF_ZERO | DSM_MF_PAGE;
	inject(1, &m);
	VERDICT(BAD_FIELD);
	m.flags = DSM_MF_ZERO | DSM_MF_WRITE;
	inject(1, &m);
	VERDICT(BAD_FIELD);
	m.flags = DSM_MF_ZERO;
	m.tid++;
	inject(1, &m);
	VERDICT(LATE);
	PAGE_IS(1, IS);

	start(3, 0);
	want_write(1);
	m = forge(DSM_MSG_GRANT, 0, 1, c.node[1].p.tid);
	m.flags = DSM_MF_PAGE;
	inject(1, &m);
	VERDICT(BAD_FIELD);
	m.flags = DSM_MF_WRITE;			/* of what? */
	inject(1, &m);
	VERDICT(BAD_FIELD);
	PAGE_IS(1, IX);
}

TEST(requests_of_holders)
{
	struct dsm_msg m;

	start(3, 0);
	do_read(1);
	m = forge(DSM_MSG_GETS, 1, 1, 100);
	EXPECT(BAD_STATE, &m);
	do_write(1);
	EXPECT(BAD_STATE, &m);
	m = forge(DSM_MSG_GETX, 1, 1, 100);
	EXPECT(BAD_STATE, &m);
	m = forge(DSM_MSG_MOVE, 1, 1, 0);
	m.dir_state = DSM_DS_BW;
	EXPECT(BAD_STATE, &m);
	inject(2, &m);
	VERDICT(BAD_FIELD);
	m.dir_state = DSM_DS_E;
	inject(2, &m);
	VERDICT(BAD_FIELD);
}
