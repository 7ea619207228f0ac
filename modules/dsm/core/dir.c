// SPDX-License-Identifier: GPL-2.0
/*
 * The directory: one transaction a page at a time, in the order of arrival.
 *
 * A request that this node can answer alone leaves the entry free at once.
 * As links keep order, what is sent to the requester later cannot overtake the
 * answer.  If others answer, the entry is busy until the requester says DONE;
 * if only home's own copy does, until that copy is free (FIN).
 *
 * The set of sharers is a superset of the holders: a node leaves it only by a
 * request that is served here.
 *
 * Leaving: an entry goes to the successor as it stands, once it is not busy,
 * and each later request is passed on behind it on the same link.
 */
#include "machine.h"

static void answer(struct dsm_ctx *c, const struct dsm_msg *req, u8 type,
		   u8 flags)
{
	struct dsm_msg m = dsm_msg_make(c, type);

	m.flags = flags;
	m.requester = req->requester;
	m.home = c->ev->self;
	m.tid = req->tid;
	dsm_emit_msg(c, req->requester, &m, false);
}

static struct dsm_msg demand(const struct dsm_ctx *c, const struct dsm_msg *req,
			     u8 type, u8 flags)
{
	struct dsm_msg m = dsm_msg_make(c, type);

	m.flags = flags;
	if (type != DSM_MSG_PULL && c->d->base == DSM_DS_E)
		m.flags |= DSM_MF_WRITE;
	m.requester = req->requester;
	m.home = c->ev->self;
	m.age = type == DSM_MSG_PULL ? 0 : req->age;
	m.tid = req->tid;
	return m;
}

static void begin(struct dsm_ctx *c, const struct dsm_msg *req, u8 state)
{
	struct dsm_dir *d = c->d;

	d->base = d->state;
	d->state = state;
	d->busy->requester = req->requester;
	d->busy->target = DSM_NODE_NONE;
	d->busy->tid = req->tid;
}

/* Who holds the page now that the transaction is over. */
static void holds(struct dsm_dir *d, u8 state, u16 node)
{
	d->base = state;
	dsm_nodeset_clear(&d->set);
	d->owner = DSM_NODE_NONE;
	if (state == DSM_DS_E)
		d->owner = node;
	else if (node != DSM_NODE_NONE)
		dsm_nodeset_add(&d->set, node);
}

/* ---- one request, entry free ---- */

static u8 read_zero(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;

	if (dsm_nodeset_has(&d->set, m->requester))
		return DSM_V_BAD_STATE;
	d->state = DSM_DS_ZS;
	dsm_nodeset_add(&d->set, m->requester);
	answer(c, m, DSM_MSG_GRANT, DSM_MF_ZERO);
	return DSM_V_OK;
}

static u16 pick_holder(const struct dsm_dir *d, u16 self, u16 requester)
{
	const struct dsm_nodeset *set = &d->set;
	u16 holder;

	if (dsm_nodeset_has(set, self))
		return self;
	holder = dsm_nodeset_next(set, requester + 1);
	return holder != DSM_NODE_NONE ? holder : dsm_nodeset_next(set, 0);
}

static u8 read_from(struct dsm_ctx *c, const struct dsm_msg *m, u16 holder)
{
	bool own = holder == c->ev->self;
	struct dsm_msg fwd;

	begin(c, m, DSM_DS_BR);
	fwd = demand(c, m, DSM_MSG_FWDS, own ? DSM_MF_FIN : DSM_MF_DONE);
	dsm_emit_msg(c, holder, &fwd, false);
	return DSM_V_OK;
}

static u8 read_shared(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (dsm_nodeset_has(&c->d->set, m->requester))
		return DSM_V_BAD_STATE;
	return read_from(c, m, pick_holder(c->d, c->ev->self, m->requester));
}

static u8 read_owned(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (c->d->owner == m->requester)
		return DSM_V_BAD_STATE;
	return read_from(c, m, c->d->owner);
}

static void grant_write(struct dsm_ctx *c, const struct dsm_msg *m, u8 flags)
{
	holds(c->d, DSM_DS_E, m->requester);
	c->d->state = DSM_DS_E;
	answer(c, m, DSM_MSG_GRANT, DSM_MF_WRITE | flags);
}

static u8 write_zero(struct dsm_ctx *c, const struct dsm_msg *m)
{
	grant_write(c, m, DSM_MF_ZERO);
	return DSM_V_OK;
}

/* All copies go at once; each reply tells the requester how many there are. */
static void invalidate(struct dsm_ctx *c, const struct dsm_msg *m,
		       struct dsm_nodeset *others, bool zero)
{
	u16 nr = dsm_nodeset_weight(others);
	bool own = nr == 1 && dsm_nodeset_has(others, c->ev->self);
	bool data = !zero && !dsm_nodeset_has(&c->d->set, m->requester);
	u16 source = data ? pick_holder(c->d, c->ev->self, m->requester) :
			    DSM_NODE_NONE;
	struct dsm_msg inv;

	begin(c, m, DSM_DS_BW);
	inv = demand(c, m, DSM_MSG_INV, own ? DSM_MF_FIN : DSM_MF_DONE);
	inv.nr_acks = nr;
	if (zero)
		inv.flags |= DSM_MF_ZERO;
	if (data) {
		dsm_nodeset_del(others, source);
		inv.flags |= DSM_MF_DATA;
		dsm_emit_msg(c, source, &inv, false);
		inv.flags &= ~DSM_MF_DATA;
	}
	if (!dsm_nodeset_empty(others))
		dsm_emit_multicast(c, others, &inv);
}

static u8 write_shared(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_nodeset others = c->d->set;
	bool zero = c->d->state == DSM_DS_ZS;

	dsm_nodeset_del(&others, m->requester);
	if (dsm_nodeset_empty(&others))
		grant_write(c, m, 0);
	else
		invalidate(c, m, &others, zero);
	return DSM_V_OK;
}

static u8 write_owned(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;
	bool own = d->owner == c->ev->self;
	struct dsm_msg inv;

	if (d->owner == m->requester)
		return DSM_V_BAD_STATE;
	begin(c, m, DSM_DS_BW);
	inv = demand(c, m, DSM_MSG_INV,
		     DSM_MF_DATA | (own ? DSM_MF_FIN : DSM_MF_DONE));
	inv.nr_acks = 1;
	dsm_emit_msg(c, d->owner, &inv, false);
	return DSM_V_OK;
}

/* The copy went to someone else before the PUT got here. */
static u8 put_unheld(struct dsm_ctx *c, const struct dsm_msg *m)
{
	answer(c, m, DSM_MSG_PUT_ACK, 0);
	return DSM_V_OK;
}

/* The last copy: to home, or, if it is home's, to a node with room. */
static void put_last(struct dsm_ctx *c, const struct dsm_msg *m)
{
	u16 self = c->ev->self;
	u16 target = m->requester == self ? m->target : self;
	struct dsm_msg pull;

	if (target == DSM_NODE_NONE || target == m->requester) {
		answer(c, m, DSM_MSG_PUT_NAK, 0);
		return;
	}
	begin(c, m, DSM_DS_BP);
	c->d->busy->target = target;
	pull = demand(c, m, DSM_MSG_PULL, 0);
	pull.target = target;
	dsm_emit_msg(c, m->requester, &pull, false);
}

static u8 put_shared(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;

	if (!dsm_nodeset_has(&d->set, m->requester))
		return put_unheld(c, m);
	if (d->state == DSM_DS_S && dsm_nodeset_weight(&d->set) == 1) {
		put_last(c, m);
		return DSM_V_OK;
	}
	dsm_nodeset_del(&d->set, m->requester);
	if (dsm_nodeset_empty(&d->set))
		d->state = DSM_DS_Z;
	answer(c, m, DSM_MSG_PUT_ACK, 0);
	return DSM_V_OK;
}

static u8 put_owned(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (c->d->owner != m->requester)
		return put_unheld(c, m);
	put_last(c, m);
	return DSM_V_OK;
}

/* ---- entry busy ---- */

static bool same(const struct dsm_msg *m, u16 requester, u32 tid)
{
	return m->requester == requester && m->tid == tid;
}

static u8 enqueue(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;
	struct dsm_busy *b = d->busy;

	if (d->state != DSM_DS_BQ && same(m, b->requester, b->tid))
		return DSM_V_DUPLICATE;
	for (u16 i = 0; i < b->len; i++) {
		const struct dsm_waiter *w = &b->q[(b->head + i) % b->cap];

		if (same(m, w->requester, w->tid))
			return DSM_V_DUPLICATE;
	}
	if (b->len >= b->cap)
		return DSM_V_OVERFLOW;
	b->q[(b->head + b->len++) % b->cap] = (struct dsm_waiter){
		.type = m->type,
		.requester = m->requester,
		.target = m->target,
		.age = m->age,
		.tid = m->tid,
	};
	return DSM_V_OK;
}

static void send_move(struct dsm_ctx *c)
{
	struct dsm_dir *d = c->d;
	struct dsm_msg m = dsm_msg_make(c, DSM_MSG_MOVE);

	if (d->state != DSM_DS_Z) {
		m.home = d->successor;
		m.dir_state = d->state;
		m.owner = d->owner;
		c->out->set = d->set;
		dsm_emit_msg(c, d->successor, &m, false);
	}
	dsm_nodeset_clear(&d->set);
	d->owner = DSM_NODE_NONE;
	d->state = DSM_DS_MOVED;
}

static u8 forward(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_msg f = *m;

	f.from = c->ev->self;
	f.flags |= DSM_MF_FWDED;
	f.home = c->d->successor;
	dsm_emit_msg(c, f.home, &f, false);
	return DSM_V_OK;
}

/*
 * The entry is free: hand it over if this node leaves, then serve the queue
 * until it is busy again, or the list of actions has not enough space left for
 * one more request and what its answer sets off (at most eight).
 */
static void serve_queue(struct dsm_ctx *c)
{
	struct dsm_dir *d = c->d;
	struct dsm_busy *b = d->busy;

	if (d->leaving && d->state != DSM_DS_MOVED)
		send_move(c);
	while (b->len && !dsm_dir_is_busy(d)) {
		const struct dsm_waiter w = b->q[b->head];
		struct dsm_msg m;

		if (c->out->nr + 8 > DSM_MAX_ACTIONS ||
		    c->out->nr_cells + 8 > DSM_MAX_CELLS || c->out->loop_nr) {
			d->base = d->state;
			d->state = DSM_DS_BQ;
			return;
		}
		b->head = (b->head + 1) % b->cap;
		b->len--;
		m = dsm_msg_make(c, w.type);
		m.requester = w.requester;
		m.target = w.target;
		m.age = w.age;
		m.tid = w.tid;
		dsm_dir_run(c, w.type == DSM_MSG_GETS ? DSM_DE_GETS :
			       w.type == DSM_MSG_GETX ? DSM_DE_GETX :
							DSM_DE_PUT, &m);
	}
}

static void finish(struct dsm_ctx *c)
{
	c->d->state = c->d->base;
	serve_queue(c);
}

static u8 done_read(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;

	if (!same(m, d->busy->requester, d->busy->tid))
		return DSM_V_LATE;
	if (d->base == DSM_DS_E)
		holds(d, DSM_DS_S, d->owner);
	dsm_nodeset_add(&d->set, m->requester);
	finish(c);
	return DSM_V_OK;
}

static u8 done_write(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;

	if (!same(m, d->busy->requester, d->busy->tid))
		return DSM_V_LATE;
	holds(d, DSM_DS_E, m->requester);
	finish(c);
	return DSM_V_OK;
}

static u8 pushed(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;
	bool refused = m->flags & DSM_MF_REFUSED;

	if (!same(m, d->busy->requester, d->busy->tid))
		return DSM_V_LATE;
	if (m->target != d->busy->target)
		return DSM_V_BAD_SENDER;
	answer(c, m, refused ? DSM_MSG_PUT_NAK : DSM_MSG_PUT_ACK, 0);
	if (!refused)
		holds(d, DSM_DS_E, m->target);
	finish(c);
	return DSM_V_OK;
}

static u8 drain(struct dsm_ctx *c, const struct dsm_msg *m)
{
	finish(c);
	return DSM_V_OK;
}

/* ---- moving the entry to another home ---- */

static u8 adopt_entry(struct dsm_ctx *c, const struct dsm_msg *m)
{
	const struct dsm_nodeset *set = &c->ev->set;
	struct dsm_dir *d = c->d;
	bool owned = m->dir_state == DSM_DS_E;

	if (m->dir_state != DSM_DS_ZS && m->dir_state != DSM_DS_S && !owned)
		return DSM_V_BAD_FIELD;
	if (owned ? m->owner >= c->ev->nr_nodes || !dsm_nodeset_empty(set) :
		    dsm_nodeset_empty(set) ||
		    dsm_nodeset_next(set, c->ev->nr_nodes) != DSM_NODE_NONE)
		return DSM_V_BAD_FIELD;
	d->state = m->dir_state;
	d->owner = owned ? m->owner : DSM_NODE_NONE;
	d->set = *set;
	return DSM_V_OK;
}

static u8 pass_entry(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_msg f = *m;

	f.from = c->ev->self;
	f.requester = c->ev->self;
	f.home = c->d->successor;
	c->out->set = c->ev->set;
	dsm_emit_msg(c, f.home, &f, false);
	return DSM_V_OK;
}

static u8 hand_off(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (c->ev->target >= c->ev->nr_nodes || c->ev->target == c->ev->self)
		return DSM_V_BAD_FIELD;
	c->d->leaving = true;
	c->d->successor = c->ev->target;
	if (!dsm_dir_is_busy(c->d))
		send_move(c);
	return DSM_V_OK;
}

static u8 nothing(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_OK;
}

static u8 error(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_BAD_STATE;
}

static u8 late(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_LATE;
}

/* ---- the table ---- */

#define DIR_HANDLERS(X)							\
	X(read_zero) X(read_shared) X(read_owned) X(write_zero)		\
	X(write_shared) X(write_owned) X(put_unheld) X(put_shared)	\
	X(put_owned) X(enqueue) X(done_read) X(done_write) X(pushed)	\
	X(drain) X(adopt_entry) X(pass_entry) X(hand_off) X(forward)	\
	X(nothing) X(error) X(late)

enum dir_cell {
#define X(name) CELL_##name,
	DIR_HANDLERS(X)
#undef X
	NR_DIR_CELLS,
};

static const dsm_dir_handler handlers[NR_DIR_CELLS] = {
#define X(name) [CELL_##name] = name,
	DIR_HANDLERS(X)
#undef X
};

static const char * const handler_names[NR_DIR_CELLS] = {
#define X(name) [CELL_##name] = #name,
	DIR_HANDLERS(X)
#undef X
};

#define ROW(state, gets, getx, put, done, pushed, move, handoff, drain)	\
	[DSM_DS_##state] = {						\
		[DSM_DE_GETS] = CELL_##gets,				\
		[DSM_DE_GETX] = CELL_##getx,				\
		[DSM_DE_PUT] = CELL_##put,				\
		[DSM_DE_DONE] = CELL_##done,				\
		[DSM_DE_PUSHED] = CELL_##pushed,			\
		[DSM_DE_MOVE] = CELL_##move,				\
		[DSM_DE_HANDOFF] = CELL_##handoff,			\
		[DSM_DE_DRAIN] = CELL_##drain,				\
	}

/* Columns: GETS, GETX, PUT | DONE, PUSHED | MOVE, HANDOFF | DRAIN */
static const u8 table[DSM_NR_DIR_STATES][DSM_NR_DIR_EVENTS] = {
ROW(Z, read_zero, write_zero, put_unheld, late, late,
	adopt_entry, hand_off, nothing),
ROW(ZS, read_zero, write_shared, put_shared, late, late,
	error, hand_off, nothing),
ROW(S, read_shared, write_shared, put_shared, late, late,
	error, hand_off, nothing),
ROW(E, read_owned, write_owned, put_owned, late, late,
	error, hand_off, nothing),
ROW(BR, enqueue, enqueue, enqueue, done_read, late,
	error, hand_off, nothing),
ROW(BW, enqueue, enqueue, enqueue, done_write, late,
	error, hand_off, nothing),
ROW(BP, enqueue, enqueue, enqueue, late, pushed,
	error, hand_off, nothing),
ROW(BQ, enqueue, enqueue, enqueue, late, late,
	error, hand_off, drain),
ROW(MOVED, forward, forward, forward, late, late,
	pass_entry, nothing, nothing),
};

u8 dsm_dir_run(struct dsm_ctx *c, u8 event, const struct dsm_msg *m)
{
	u8 state = c->d->state;
	struct dsm_out *out = c->out;

	if (event >= DSM_NR_DIR_EVENTS || state >= DSM_NR_DIR_STATES)
		return DSM_V_BAD_FIELD;
	if (out->nr_cells < DSM_MAX_CELLS) {
		out->cell[out->nr_cells].dir = 1;
		out->cell[out->nr_cells].state = state;
		out->cell[out->nr_cells++].event = event;
	}
	return handlers[table[state][event]](c, m);
}

const char *dsm_dir_cell_name(u8 state, u8 event)
{
	if (event >= DSM_NR_DIR_EVENTS || state >= DSM_NR_DIR_STATES)
		return "?";
	return handler_names[table[state][event]];
}

struct dsm_nodeset dsm_dir_awaits(const struct dsm_dir *d, u16 self)
{
	struct dsm_nodeset set = { .w = { 0 } };

	if (!dsm_dir_is_busy(d) || d->state == DSM_DS_BQ)
		return set;
	if (d->base == DSM_DS_E)
		dsm_nodeset_add(&set, d->owner);
	else if (d->state == DSM_DS_BR)
		dsm_nodeset_add(&set, pick_holder(d, self, d->busy->requester));
	else
		set = d->set;
	dsm_nodeset_add(&set, d->busy->requester);
	if (d->state == DSM_DS_BP)
		dsm_nodeset_add(&set, d->busy->target);
	return set;
}
