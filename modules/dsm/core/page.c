// SPDX-License-Identifier: GPL-2.0
/*
 * The page machine.
 *
 * Normal operation: a local access that lacks the right sends one request to
 * the home (I -> IS or IX, S -> SX) and waits.  The answer comes as a GRANT,
 * or as one reply from each node that gave its copy up; all of them say how
 * many there are.
 *
 * Taking away: home serves one request for a page at a time, so at most one
 * demand (INV or FWDS) is out to a node.  It is put off until the copy has been
 * USED and held long enough, and while its user needs it (turn.h); then the shell
 * unmaps or write-protects the page, and only when that is REVOKED does the reply
 * go out.  Without USED a node could get a page again and again and never see it:
 * the next demand can be there before whoever waits for the page runs.
 *
 * After the home has moved: the old home's answer and the new home's next demand
 * come on different links, so the demand can be first.  A demand that only makes
 * sense after the answer waits for it.  For a parked copy the demand makes sense
 * at once, and only a refusal can be the answer.
 *
 * Giving up: a copy is unmapped first and parked, then home is asked.  A
 * parked copy still answers home's demands, but no local access, so whatever
 * home decides, no one here can have read a page that it thinks dropped.
 */
#include "machine.h"
#include "turn.h"

static bool no_demand(const struct dsm_page *p)
{
	return p->demand.type == DSM_NR_MSG_TYPES;
}

static void set_state(struct dsm_ctx *c, u8 state)
{
	c->p->state = state;
}

static void wake(struct dsm_ctx *c)
{
	dsm_emit(c, DSM_A_WAKE);
}

static void revoke(struct dsm_ctx *c, u8 state, u8 right, bool must)
{
	struct dsm_action *a = dsm_emit(c, DSM_A_REVOKE);

	a->right = right;
	a->must = must;
	set_state(c, state);
}

/* ---- asking ---- */

static void request(struct dsm_ctx *c, u8 type, u8 state)
{
	struct dsm_msg m = dsm_msg_make(c, type);
	struct dsm_page *p = c->p;

	p->tid = c->ev->fresh_tid;
	p->hold_us = c->ev->hold_us;
	p->hold_max_us = c->ev->hold_max_us;
	p->grace_us = c->ev->grace_us;
	p->acks_got = 0;
	p->have_page = false;
	p->zero = false;
	m.age = type == DSM_MSG_PUT ? 0 : c->ev->age;
	m.tid = p->tid;
	m.target = type == DSM_MSG_PUT ? p->target : DSM_NODE_NONE;
	set_state(c, state);
	dsm_emit_msg(c, m.home, &m, false);
}

static u8 ask_read(struct dsm_ctx *c, const struct dsm_msg *m)
{
	request(c, DSM_MSG_GETS, DSM_PS_IS);
	return DSM_V_OK;
}

static u8 ask_write(struct dsm_ctx *c, const struct dsm_msg *m)
{
	request(c, DSM_MSG_GETX, DSM_PS_IX);
	return DSM_V_OK;
}

static u8 ask_upgrade(struct dsm_ctx *c, const struct dsm_msg *m)
{
	request(c, DSM_MSG_GETX, DSM_PS_SX);
	return DSM_V_OK;
}

/* The right is there already, or the event has nothing to do here. */
static u8 nothing(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_OK;
}

/* The access waits; the WAKE of a later step makes it look again. */
static u8 stall(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_OK;
}

static u8 late(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_LATE;
}

static u8 error(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return DSM_V_BAD_STATE;
}

/* ---- receiving what was asked for ---- */

static void send_done(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_msg done = dsm_msg_make(c, DSM_MSG_DONE);

	done.tid = c->p->tid;
	done.home = m->home;
	dsm_emit_msg(c, m->home, &done, false);
}

static void reply(struct dsm_ctx *c, bool keep);
static void start_or_hold(struct dsm_ctx *c);

static void granted(struct dsm_ctx *c, const struct dsm_msg *m, u8 state)
{
	struct dsm_page *p = c->p;

	p->held_until = c->ev->now_us + p->hold_us;
	p->held_max_until = c->ev->now_us + p->hold_max_us;
	p->unused_until = p->grace_us ? c->ev->now_us + p->grace_us : 0;
	set_state(c, state);
	if (m->flags & DSM_MF_DONE)
		send_done(c, m);
	wake(c);
	if (no_demand(p))
		return;
	if (state == DSM_PS_S && p->demand.type == DSM_MSG_FWDS)
		reply(c, true);
	else
		start_or_hold(c);
}

static u8 granted_read(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (m->tid != c->p->tid)
		return DSM_V_LATE;
	if (m->flags & DSM_MF_WRITE ||
	    !(m->flags & DSM_MF_PAGE) == !(m->flags & DSM_MF_ZERO))
		return DSM_V_BAD_FIELD;
	dsm_emit(c, m->flags & DSM_MF_PAGE ? DSM_A_INSTALL : DSM_A_INSTALL_ZERO);
	granted(c, m, DSM_PS_S);
	return DSM_V_OK;
}

/* One of nr_acks replies to a GETX; nr_acks is 0 if home grants by itself. */
static u8 granted_write(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_page *p = c->p;
	bool has_copy = p->state == DSM_PS_SX;
	bool last = p->acks_got + 1 >= m->nr_acks;

	if (m->tid != p->tid)
		return DSM_V_LATE;
	if (m->type == DSM_MSG_GRANT && !(m->flags & DSM_MF_WRITE))
		return DSM_V_BAD_FIELD;
	if (m->flags & DSM_MF_PAGE && (has_copy || p->have_page))
		return DSM_V_BAD_FIELD;
	if (last && !has_copy && !p->have_page && !p->zero &&
	    !(m->flags & (DSM_MF_PAGE | DSM_MF_ZERO)))
		return DSM_V_BAD_FIELD;

	p->acks_got++;
	if (m->flags & DSM_MF_ZERO)
		p->zero = true;
	if (m->flags & DSM_MF_PAGE) {
		dsm_emit(c, DSM_A_INSTALL);
		p->have_page = true;
	}
	if (!last)
		return DSM_V_OK;
	if (!has_copy && !p->have_page)
		dsm_emit(c, DSM_A_INSTALL_ZERO);
	granted(c, m, DSM_PS_E);
	return DSM_V_OK;
}

/* ---- giving to others ---- */

static void store_demand(struct dsm_ctx *c, const struct dsm_msg *m)
{
	c->p->demand = (struct dsm_demand){
		.type = m->type,
		.flags = m->flags,
		.requester = m->requester,
		.home = m->home,
		.nr_acks = m->nr_acks,
		.tid = m->tid,
		.since_us = dsm_turn_began_us(c->ev->now_us, m->age),
	};
}

/* Answer the demand; the copy is not mapped with more than what stays. */
static void reply(struct dsm_ctx *c, bool keep)
{
	struct dsm_demand d = c->p->demand;
	struct dsm_msg m = dsm_msg_make(c, DSM_MSG_GRANT);
	bool page = keep || d.flags & DSM_MF_DATA;

	if (!page)
		m.type = DSM_MSG_ACK;
	m.requester = d.requester;
	m.home = d.home;
	m.nr_acks = d.nr_acks;
	m.tid = d.tid;
	m.flags = d.flags & (DSM_MF_DONE | DSM_MF_ZERO);
	if (page)
		m.flags |= DSM_MF_PAGE;
	if (page && !keep)
		m.flags |= DSM_MF_WRITE;
	dsm_emit_msg(c, d.requester, &m, page && !keep);
	if (!keep && !page)
		dsm_emit(c, DSM_A_DROP);
	c->p->demand.type = DSM_NR_MSG_TYPES;

	if (d.flags & DSM_MF_FIN) {
		struct dsm_msg done = dsm_msg_make(c, DSM_MSG_DONE);

		done.requester = d.requester;
		done.home = d.home;
		done.tid = d.tid;
		dsm_emit_msg(c, d.home, &done, false);
	}
}

static void start_demand(struct dsm_ctx *c)
{
	struct dsm_page *p = c->p;

	if (p->demand.type == DSM_MSG_FWDS)
		revoke(c, DSM_PS_E_DOWN, DSM_RIGHT_READ, true);
	else if (p->state == DSM_PS_S)
		revoke(c, DSM_PS_S_AWAY, DSM_RIGHT_NONE, true);
	else if (p->state == DSM_PS_SX)
		revoke(c, DSM_PS_SX_AWAY, DSM_RIGHT_NONE, true);
	else
		revoke(c, DSM_PS_E_AWAY, DSM_RIGHT_NONE, true);
}

/* Of two users that wait for each other's pages, the one whose turn is older wins. */
static bool is_older(const struct dsm_demand *d, const struct dsm_event *ev)
{
	u64 ours = dsm_turn_began_us(ev->now_us, ev->age);

	if (d->since_us != ours)
		return d->since_us < ours;
	return d->requester < ev->self;
}

/*
 * Until when the page is kept; a time that is over if it is not kept any more. Says
 * so if it only is because its user's time with it is up.
 */
static u64 held_until(const struct dsm_ctx *c)
{
	const struct dsm_event *ev = c->ev;
	const struct dsm_page *p = c->p;
	u64 until = ev->busy_until_us;

	if (ev->now_us < p->unused_until)
		return p->unused_until;
	if (ev->now_us < p->held_until || p->held_max_until <= p->held_until ||
	    until <= ev->now_us || is_older(&p->demand, ev))
		return p->held_until;
	if (ev->now_us >= p->held_max_until) {
		c->out->turn_over = true;
		return p->held_until;
	}
	return until < p->held_max_until ? until : p->held_max_until;
}

/* Start, unless the copy has not been held long enough yet. */
static void start_or_hold(struct dsm_ctx *c)
{
	u64 until = held_until(c);

	if (c->ev->now_us < until)
		dsm_emit(c, DSM_A_TIMER)->at_us = until;
	else
		start_demand(c);
}

/* Home knows of the right to write that is on its way to us. */
static bool is_early(const struct dsm_page *p)
{
	return p->state == DSM_PS_SX && p->demand.flags & DSM_MF_WRITE;
}

static u8 take(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!no_demand(c->p))
		return DSM_V_BAD_STATE;
	store_demand(c, m);
	if (!is_early(c->p))
		start_or_hold(c);
	return DSM_V_OK;
}

/*
 * While the grant is on its way, or while the page is being unmapped to be
 * parked: answer when that is over.
 */
static u8 take_later(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!no_demand(c->p))
		return DSM_V_BAD_STATE;
	store_demand(c, m);
	return DSM_V_OK;
}

static u8 share_now(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!no_demand(c->p))
		return DSM_V_BAD_STATE;
	store_demand(c, m);
	if (!is_early(c->p))
		reply(c, true);
	return DSM_V_OK;
}

static u8 time_is_up(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!no_demand(c->p) && !is_early(c->p))
		start_or_hold(c);
	return DSM_V_OK;
}

static u8 used(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_page *p = c->p;
	u64 until = c->ev->now_us + c->ev->hold_us;

	p->unused_until = 0;
	if (p->held_until < until)
		p->held_until = until;
	return time_is_up(c, m);
}

static u8 gone(struct dsm_ctx *c, const struct dsm_msg *m)
{
	set_state(c, DSM_PS_I);
	reply(c, false);
	wake(c);
	return DSM_V_OK;
}

static u8 gone_asking(struct dsm_ctx *c, const struct dsm_msg *m)
{
	set_state(c, DSM_PS_IX);
	reply(c, false);
	return DSM_V_OK;
}

static u8 downgraded(struct dsm_ctx *c, const struct dsm_msg *m)
{
	set_state(c, DSM_PS_S);
	reply(c, true);
	wake(c);
	return DSM_V_OK;
}

/* ---- giving up ---- */

static u8 park(struct dsm_ctx *c, u8 state)
{
	if (!no_demand(c->p) || c->ev->now_us < c->p->unused_until)
		return DSM_V_OK;
	c->p->target = c->ev->target;
	revoke(c, state, DSM_RIGHT_NONE, false);
	return DSM_V_OK;
}

static u8 park_shared(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return park(c, DSM_PS_S_PARK);
}

static u8 park_sole(struct dsm_ctx *c, const struct dsm_msg *m)
{
	return park(c, DSM_PS_E_PARK);
}

static u8 parked(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_page *p = c->p;

	if (p->demand.type == DSM_MSG_INV)
		return gone(c, m);
	if (p->demand.type == DSM_MSG_FWDS)
		return downgraded(c, m);
	request(c, DSM_MSG_PUT,
		p->state == DSM_PS_S_PARK ? DSM_PS_PS : DSM_PS_PE);
	return DSM_V_OK;
}

static u8 not_parked(struct dsm_ctx *c, const struct dsm_msg *m)
{
	set_state(c, c->p->state == DSM_PS_S_PARK ? DSM_PS_S : DSM_PS_E);
	if (no_demand(c->p))
		wake(c);
	else
		start_demand(c);
	return DSM_V_OK;
}

static u8 gone_parked(struct dsm_ctx *c, const struct dsm_msg *m)
{
	store_demand(c, m);
	reply(c, false);
	set_state(c, DSM_PS_PI);
	return DSM_V_OK;
}

static u8 share_parked(struct dsm_ctx *c, const struct dsm_msg *m)
{
	store_demand(c, m);
	reply(c, true);
	set_state(c, DSM_PS_PS);
	return DSM_V_OK;
}

/* The push was refused, or home would not ask: we keep the copy. */
static u8 share_pushed(struct dsm_ctx *c, const struct dsm_msg *m)
{
	store_demand(c, m);
	reply(c, true);
	c->p->parked = DSM_PS_S;
	return DSM_V_OK;
}

static u8 push(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_page *p = c->p;
	struct dsm_msg out = dsm_msg_make(c, DSM_MSG_PUSH);

	if (m->tid != p->tid)
		return DSM_V_LATE;
	if (m->target == DSM_NODE_NONE)
		return DSM_V_BAD_FIELD;
	out.flags = DSM_MF_PAGE;
	out.home = m->home;
	out.target = m->target;
	out.tid = m->tid;
	dsm_emit_msg(c, m->target, &out, false);
	p->parked = p->state == DSM_PS_PE ? DSM_PS_E : DSM_PS_S;
	set_state(c, DSM_PS_PX);
	return DSM_V_OK;
}

static void send_pushed(struct dsm_ctx *c, const struct dsm_msg *m, u8 flags)
{
	struct dsm_msg out = dsm_msg_make(c, DSM_MSG_PUSHED);

	out.flags = flags;
	out.requester = m->requester;
	out.home = m->home;
	out.target = c->ev->self;
	out.tid = m->tid;
	dsm_emit_msg(c, m->home, &out, false);
}

static u8 refuse_push(struct dsm_ctx *c, const struct dsm_msg *m)
{
	send_pushed(c, m, DSM_MF_REFUSED);
	return DSM_V_OK;
}

/* A copy that no one here asked for. */
static void hold_for_no_one(struct dsm_page *p)
{
	p->held_until = 0;
	p->held_max_until = 0;
	p->unused_until = 0;
}

static u8 adopt(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!(m->flags & DSM_MF_PAGE))
		return DSM_V_BAD_FIELD;
	if (!c->ev->room)
		return refuse_push(c, m);
	dsm_emit(c, DSM_A_INSTALL);
	hold_for_no_one(c->p);
	set_state(c, DSM_PS_E);
	send_pushed(c, m, 0);
	wake(c);
	return DSM_V_OK;
}

static u8 forget(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (m->tid != c->p->tid)
		return DSM_V_LATE;
	dsm_emit(c, DSM_A_DROP);
	set_state(c, DSM_PS_I);
	wake(c);
	return DSM_V_OK;
}

static u8 forgotten(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (m->tid != c->p->tid)
		return DSM_V_LATE;
	set_state(c, DSM_PS_I);
	wake(c);
	return DSM_V_OK;
}

static u8 keep(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_page *p = c->p;

	if (m->tid != p->tid)
		return DSM_V_LATE;
	hold_for_no_one(p);
	set_state(c, p->state == DSM_PS_PS ? DSM_PS_S :
		     p->state == DSM_PS_PE ? DSM_PS_E : p->parked);
	wake(c);
	return DSM_V_OK;
}

/*
 * Only where the home itself is the owner and serves no one: the page is
 * as it was before it was ever written.
 */
static u8 discard(struct dsm_ctx *c, const struct dsm_msg *m)
{
	struct dsm_dir *d = c->d;

	if (!d || d->state != DSM_DS_E || d->owner != c->ev->self ||
	    !no_demand(c->p))
		return DSM_V_OK;
	dsm_emit(c, DSM_A_DROP);
	set_state(c, DSM_PS_I);
	d->state = DSM_DS_Z;
	d->owner = DSM_NODE_NONE;
	wake(c);
	return DSM_V_OK;
}

/* ---- the table ---- */

#define PAGE_HANDLERS(X)						\
	X(ask_read) X(ask_write) X(ask_upgrade) X(nothing) X(stall)	\
	X(late) X(error) X(granted_read) X(granted_write) X(take)	\
	X(take_later) X(share_now) X(time_is_up) X(used) X(gone)	\
	X(gone_asking) X(downgraded) X(park_shared) X(park_sole)	\
	X(parked) X(not_parked) X(gone_parked) X(share_parked)		\
	X(share_pushed) X(push) X(refuse_push) X(adopt) X(forget)	\
	X(forgotten) X(keep) X(discard)

enum page_cell {
#define X(name) CELL_##name,
	PAGE_HANDLERS(X)
#undef X
	NR_PAGE_CELLS,
};

static const dsm_page_handler handlers[NR_PAGE_CELLS] = {
#define X(name) [CELL_##name] = name,
	PAGE_HANDLERS(X)
#undef X
};

static const char * const handler_names[NR_PAGE_CELLS] = {
#define X(name) [CELL_##name] = #name,
	PAGE_HANDLERS(X)
#undef X
};

#define ROW(state, read, write, evict, discard, revoked, unrevoked, timer,	\
	    used, grant, ack, inv, fwds, pull, push, put_ack, put_nak)		\
	[DSM_PS_##state] = {						\
		[DSM_PE_READ] = CELL_##read,				\
		[DSM_PE_WRITE] = CELL_##write,				\
		[DSM_PE_EVICT] = CELL_##evict,				\
		[DSM_PE_DISCARD] = CELL_##discard,			\
		[DSM_PE_REVOKED] = CELL_##revoked,			\
		[DSM_PE_UNREVOKED] = CELL_##unrevoked,			\
		[DSM_PE_TIMER] = CELL_##timer,				\
		[DSM_PE_USED] = CELL_##used,				\
		[DSM_PE_GRANT] = CELL_##grant,				\
		[DSM_PE_ACK] = CELL_##ack,				\
		[DSM_PE_INV] = CELL_##inv,				\
		[DSM_PE_FWDS] = CELL_##fwds,				\
		[DSM_PE_PULL] = CELL_##pull,				\
		[DSM_PE_PUSH] = CELL_##push,				\
		[DSM_PE_PUT_ACK] = CELL_##put_ack,			\
		[DSM_PE_PUT_NAK] = CELL_##put_nak,			\
	}

/*
 * Columns: READ, WRITE, EVICT, DISCARD | REVOKED, UNREVOKED, TIMER |
 *	    USED | GRANT, ACK | INV, FWDS | PULL, PUSH | PUT_ACK, PUT_NAK
 */
static const u8 table[DSM_NR_PAGE_STATES][DSM_NR_PAGE_EVENTS] = {
ROW(I, ask_read, ask_write, nothing, nothing, error, error, nothing,
	nothing, late, late, error, error, late, adopt, late, late),
ROW(IS, stall, stall, nothing, nothing, error, error, nothing,
	nothing, granted_read, error, take_later, take_later, late, refuse_push, late, late),
ROW(IX, stall, stall, nothing, nothing, error, error, nothing,
	nothing, granted_write, granted_write, take_later, take_later, late, refuse_push,
	late, late),
ROW(S, nothing, ask_upgrade, park_shared, nothing, error, error, time_is_up,
	used, late, late, take, share_now, late, error, late, late),
ROW(SX, nothing, stall, nothing, nothing, error, error, time_is_up,
	used, granted_write, granted_write, take, share_now, late, error, late, late),
ROW(E, nothing, nothing, park_sole, discard, error, error, time_is_up,
	used, late, late, take, take, late, error, late, late),
ROW(S_AWAY, stall, stall, nothing, nothing, gone, error, nothing,
	nothing, late, late, error, error, late, error, late, late),
ROW(SX_AWAY, stall, stall, nothing, nothing, gone_asking, error, nothing,
	nothing, error, error, error, error, late, error, late, late),
ROW(E_AWAY, stall, stall, nothing, nothing, gone, error, nothing,
	nothing, late, late, error, error, late, error, late, late),
ROW(E_DOWN, nothing, stall, nothing, nothing, downgraded, error, nothing,
	nothing, late, late, error, error, late, error, late, late),
ROW(S_PARK, stall, stall, nothing, nothing, parked, not_parked, nothing,
	nothing, late, late, take_later, share_now, late, error, late, late),
ROW(E_PARK, stall, stall, nothing, nothing, parked, not_parked, nothing,
	nothing, late, late, take_later, take_later, late, error, late, late),
ROW(PS, stall, stall, nothing, nothing, error, error, nothing,
	nothing, late, late, gone_parked, share_parked, push, refuse_push, forget, keep),
ROW(PE, stall, stall, nothing, nothing, error, error, nothing,
	nothing, late, late, gone_parked, share_parked, push, error, error, keep),
ROW(PI, stall, stall, nothing, nothing, error, error, nothing,
	nothing, late, late, error, error, late, refuse_push, forgotten, forgotten),
ROW(PX, stall, stall, nothing, nothing, error, error, nothing,
	nothing, late, late, gone_parked, share_pushed, late, refuse_push, forget, keep),
};

u8 dsm_page_run(struct dsm_ctx *c, u8 event, const struct dsm_msg *m)
{
	u8 state = c->p->state;
	struct dsm_out *out = c->out;

	if (event >= DSM_NR_PAGE_EVENTS || state >= DSM_NR_PAGE_STATES)
		return DSM_V_BAD_FIELD;
	if (out->nr_cells < DSM_MAX_CELLS) {
		out->cell[out->nr_cells].dir = 0;
		out->cell[out->nr_cells].state = state;
		out->cell[out->nr_cells++].event = event;
	}
	return handlers[table[state][event]](c, m);
}

const char *dsm_page_cell_name(u8 state, u8 event)
{
	if (event >= DSM_NR_PAGE_EVENTS || state >= DSM_NR_PAGE_STATES)
		return "?";
	return handler_names[table[state][event]];
}
