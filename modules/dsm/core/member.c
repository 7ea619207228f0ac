// SPDX-License-Identifier: GPL-2.0
/*
 * The membership machine, see member.h.
 *
 * Each event runs one handler; then proceed() does what the state asks for:
 * propose, join, leave.  It also sets the time of the next TIMER event, so that
 * a handler that refuses or fails only needs to say when to try again.
 */
#include "member.h"

/* A step under way. */
struct ctx {
	struct dsm_member *m;
	const struct dsm_member_event *ev;
	struct dsm_member_out *out;
};

/* ---- what is so ---- */

static struct dsm_nodeset set_of(u16 node)
{
	struct dsm_nodeset s = { .w = { 0 } };

	dsm_nodeset_add(&s, node);
	return s;
}

static struct dsm_nodeset set_without(struct dsm_nodeset a, u16 node)
{
	dsm_nodeset_del(&a, node);
	return a;
}

static bool is_sole(const struct dsm_member *m)
{
	struct dsm_nodeset others = set_without(m->view.members, m->self);

	return dsm_nodeset_empty(&others);
}

/* The master as far as this node knows: those it has lost do not count. */
static u16 master_of(const struct dsm_member *m)
{
	struct dsm_view v = m->view;

	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	return dsm_view_master(&v);
}

static bool is_master(const struct dsm_member *m)
{
	return m->state == DSM_MS_IN && master_of(m) == m->self;
}

/* One change of the members at a time. */
static bool is_busy(const struct dsm_member *m)
{
	return m->pending != DSM_NODE_NONE ||
	       !dsm_nodeset_empty(&m->view.leaving) ||
	       !dsm_nodeset_empty(&m->suspects);
}

/* ---- actions ---- */

static struct dsm_member_action *emit(struct ctx *c, u8 type)
{
	struct dsm_member_action *a;

	/* The bound is far above what any handler emits. */
	if (c->out->nr == DSM_MEMBER_MAX_ACTIONS)
		c->out->nr--;
	a = &c->out->act[c->out->nr++];
	*a = (struct dsm_member_action){ .type = type, .node = DSM_NODE_NONE };
	return a;
}

static struct dsm_member_packet *emit_send(struct ctx *c, struct dsm_nodeset to,
					   u8 type)
{
	struct dsm_member_action *a = emit(c, DSM_MA_SEND);

	a->to = set_without(to, c->m->self);
	a->packet.type = type;
	a->packet.node = DSM_NODE_NONE;
	return &a->packet;
}

static void emit_kill(struct ctx *c, struct dsm_nodeset who)
{
	dsm_nodeset_del(&who, c->m->self);
	if (!dsm_nodeset_empty(&who))
		emit(c, DSM_MA_KILL)->to = who;
}

static void tell_status(struct ctx *c, struct dsm_nodeset to)
{
	struct dsm_member_packet *p;

	if (dsm_nodeset_empty(&to))
		return;
	p = emit_send(c, to, DSM_MM_STATUS);
	p->state = c->m->state;
	if (dsm_member_is_in(c->m))
		p->view = c->m->view;
}

static void refuse(struct ctx *c, u8 reason)
{
	emit_send(c, set_of(c->ev->node), DSM_MM_REFUSE)->reason = reason;
}

/* ---- state ---- */

static void enter(struct ctx *c, u8 state, u64 timeout_us)
{
	c->m->state = state;
	c->m->until_us = timeout_us ? c->ev->now_us + timeout_us : 0;
}

static void back_off(struct ctx *c, u8 state, u64 delay_us)
{
	enter(c, state, 0);
	c->m->retry_us = c->ev->now_us + delay_us;
}

static void enter_gone(struct ctx *c, u8 reason)
{
	enter(c, DSM_MS_GONE, 0);
	c->m->reason = reason;
	c->m->pending = DSM_NODE_NONE;
	emit(c, DSM_MA_VIEW);
	tell_status(c, c->m->linked);
}

static void begin_handover(struct ctx *c)
{
	enter(c, DSM_MS_LEAVING, 0);
	c->m->want_leave = false;
	emit(c, DSM_MA_HANDOVER)->node =
		dsm_view_successor(&c->m->view, &c->m->suspects, c->m->self);
}

static void adopt_as_member(struct ctx *c)
{
	struct dsm_member *m = c->m;
	bool leaving = dsm_nodeset_has(&m->view.leaving, m->self);

	if (!dsm_member_is_in(m)) {
		enter(c, DSM_MS_IN, 0);
		m->retry_us = 0;
	}
	emit(c, DSM_MA_VIEW);
	if (leaving && m->state != DSM_MS_LEAVING && m->state != DSM_MS_DONE)
		begin_handover(c);
}

/* Make a view this node's own. */
static void adopt(struct ctx *c, const struct dsm_view *v)
{
	struct dsm_member *m = c->m;
	bool was_in = dsm_member_is_in(m);
	struct dsm_nodeset gone = dsm_nodeset_minus(m->view.members, &v->members);
	struct dsm_nodeset lost = dsm_nodeset_and(gone, &v->lost);
	struct dsm_nodeset back = dsm_nodeset_and(m->suspects, &m->linked);
	struct dsm_nodeset left = dsm_nodeset_minus(gone, &v->lost);

	if (was_in) {
		m->departed = dsm_nodeset_or(m->departed, &left);
		m->linger_us = c->ev->now_us + DSM_MEMBER_LINGER_US;
	}
	m->departed = set_without(dsm_nodeset_minus(m->departed, &v->members), m->self);
	m->view = *v;
	m->suspects = dsm_nodeset_and(m->suspects, &v->members);
	if (m->pending != DSM_NODE_NONE &&
	    dsm_nodeset_has(&v->members, m->pending))
		m->pending = DSM_NODE_NONE;
	/* A lost node that is linked again is another incarnation. */
	emit_kill(c, dsm_nodeset_minus(lost, &back));
	if (dsm_nodeset_has(&v->members, m->self)) {
		adopt_as_member(c);
		tell_status(c, dsm_nodeset_minus(m->linked, &v->members));
	} else {
		enter_gone(c, m->state == DSM_MS_DONE ? DSM_MR_LEFT : DSM_MR_EXPELLED);
	}
}

/* The next view, by the master. */
static void publish(struct ctx *c, struct dsm_view *v, u32 round)
{
	struct dsm_nodeset to = dsm_nodeset_or(v->members, &c->m->view.members);
	struct dsm_member_packet *p;

	v->number = c->m->view.number + 1;
	to = set_without(dsm_nodeset_minus(to, &v->lost), c->m->self);
	if (!dsm_nodeset_empty(&to)) {
		p = emit_send(c, to, DSM_MM_VIEW);
		p->view = *v;
		p->round = round;
	}
	adopt(c, v);
}

/* ---- formation ---- */

static void form(struct ctx *c)
{
	struct dsm_view v = {
		.cluster = c->m->incarnation,
		.epoch = 1,
		.members = c->m->accepted,
	};

	publish(c, &v, c->m->round);
}

static bool all_accepted(const struct dsm_member *m)
{
	struct dsm_nodeset missing = dsm_nodeset_minus(m->voters, &m->accepted);

	return dsm_nodeset_empty(&missing);
}

static void propose(struct ctx *c, struct dsm_nodeset voters)
{
	struct dsm_member *m = c->m;

	m->round++;
	m->voters = voters;
	m->accepted = set_of(m->self);
	enter(c, DSM_MS_PROPOSING, DSM_MEMBER_VOTE_US);
	if (all_accepted(m)) {
		form(c);
		return;
	}
	emit_send(c, voters, DSM_MM_PROPOSE)->round = m->round;
}

static void give_up_proposal(struct ctx *c)
{
	struct dsm_member *m = c->m;

	emit_send(c, m->voters, DSM_MM_RELEASE)->round = m->round;
	/* Two candidates are not to meet again and again. */
	back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US * (1 + m->self % 8));
}

static void try_form(struct ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_nodeset ready = m->out;

	dsm_nodeset_add(&ready, m->self);
	if (dsm_nodeset_weight(&ready) < m->nr_nodes / 2 + 1) {
		m->majority_us = 0;
		return;
	}
	if (!m->majority_us)
		m->majority_us = c->ev->now_us ? c->ev->now_us : 1;
	if (dsm_nodeset_next(&ready, 0) != m->self)
		return;
	if (dsm_nodeset_weight(&ready) < m->nr_nodes &&
	    c->ev->now_us < m->majority_us + DSM_MEMBER_GRACE_US)
		return;
	propose(c, ready);
}

static u8 on_propose(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	bool vote = m->state == DSM_MS_OUT && !m->want_leave &&
		    dsm_nodeset_empty(&m->in);
	u8 answer = vote ? DSM_MM_ACCEPT : DSM_MM_REJECT;

	if (vote) {
		enter(c, DSM_MS_VOTED, 0);
		m->candidate = c->ev->node;
		m->round = p->round;
	}
	emit_send(c, set_of(c->ev->node), answer)->round = p->round;
	return DSM_V_OK;
}

static u8 on_vote(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (m->state != DSM_MS_PROPOSING || p->round != m->round)
		return DSM_V_LATE;
	if (!dsm_nodeset_has(&m->voters, c->ev->node))
		return DSM_V_BAD_SENDER;
	if (p->type == DSM_MM_REJECT) {
		give_up_proposal(c);
		return DSM_V_OK;
	}
	dsm_nodeset_add(&m->accepted, c->ev->node);
	if (all_accepted(m))
		form(c);
	return DSM_V_OK;
}

static u8 on_release(struct ctx *c)
{
	if (c->m->state != DSM_MS_VOTED || c->m->candidate != c->ev->node)
		return DSM_V_LATE;
	back_off(c, DSM_MS_OUT, 0);
	return DSM_V_OK;
}

/* ---- joining and leaving ---- */

static void try_join(struct ctx *c)
{
	struct dsm_member *m = c->m;
	u16 master = dsm_view_master(&m->peer_view);
	struct dsm_member_packet *p;

	if (master == DSM_NODE_NONE || !dsm_nodeset_has(&m->linked, master))
		return;
	enter(c, DSM_MS_JOINING, DSM_MEMBER_JOIN_US);
	p = emit_send(c, set_of(master), DSM_MM_JOIN);
	p->round = m->incarnation;
	p->linked = m->linked;
}

static u8 join_reason(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	struct dsm_nodeset missing = dsm_nodeset_minus(m->view.members, &p->linked);

	if (!is_master(m))
		return DSM_MR_NOT_MASTER;
	if (dsm_nodeset_has(&m->view.lost, c->ev->node))
		return DSM_MR_LOST;
	if (is_busy(m) || m->want_leave)
		return DSM_MR_BUSY;
	if (!dsm_nodeset_empty(&missing) ||
	    !dsm_nodeset_has(&m->linked, c->ev->node))
		return DSM_MR_NOT_LINKED;
	return DSM_MR_NONE;
}

static u8 on_join(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	u8 reason;

	/* The view that lets it in is on its way. */
	if (dsm_member_is_in(m) && dsm_nodeset_has(&m->view.members, c->ev->node) &&
	    !dsm_nodeset_has(&m->suspects, c->ev->node))
		return DSM_V_LATE;
	if (m->pending == c->ev->node) {
		m->pending_round = p->round;
		return DSM_V_OK;
	}
	reason = join_reason(c, p);
	if (reason != DSM_MR_NONE) {
		refuse(c, reason);
		return DSM_V_OK;
	}
	m->pending = c->ev->node;
	m->pending_round = p->round;
	emit(c, DSM_MA_SNAPSHOT)->node = c->ev->node;
	return DSM_V_OK;
}

static u8 on_admit(struct ctx *c, bool admit)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;

	if (m->pending != c->ev->node)
		return DSM_V_LATE;
	m->pending = DSM_NODE_NONE;
	if (!admit || !is_master(m) || !dsm_nodeset_has(&m->linked, c->ev->node)) {
		refuse(c, DSM_MR_BUSY);
		return DSM_V_OK;
	}
	dsm_nodeset_add(&v.members, c->ev->node);
	publish(c, &v, m->pending_round);
	return DSM_V_OK;
}

static void start_leave(struct ctx *c, u16 node)
{
	struct dsm_view v = c->m->view;

	dsm_nodeset_add(&v.leaving, node);
	publish(c, &v, 0);
}

static u8 on_leave(struct ctx *c)
{
	struct dsm_member *m = c->m;

	if (!dsm_nodeset_has(&m->view.members, c->ev->node))
		return DSM_V_BAD_SENDER;
	if (dsm_nodeset_has(&m->view.leaving, c->ev->node))
		return DSM_V_LATE;
	if (!is_master(m))
		refuse(c, DSM_MR_NOT_MASTER);
	else if (is_busy(m))
		refuse(c, DSM_MR_BUSY);
	else
		start_leave(c, c->ev->node);
	return DSM_V_OK;
}

static u8 on_left(struct ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;

	if (!dsm_nodeset_has(&v.leaving, c->ev->node))
		return DSM_V_LATE;
	if (!is_master(m))
		return DSM_V_LATE;
	dsm_nodeset_del(&v.leaving, c->ev->node);
	dsm_nodeset_del(&v.members, c->ev->node);
	publish(c, &v, 0);
	return DSM_V_OK;
}

static void try_leave(struct ctx *c)
{
	struct dsm_member *m = c->m;

	if (is_sole(m)) {
		m->want_leave = false;
		enter_gone(c, DSM_MR_LEFT);
		return;
	}
	/* The caller of LEAVE lets no change of the metadata be under way. */
	if (is_master(m)) {
		if (c->ev->type == DSM_ME_LEAVE && !is_busy(m))
			start_leave(c, m->self);
		return;
	}
	enter(c, DSM_MS_ASKED, DSM_MEMBER_LEAVE_US);
	emit_send(c, set_of(master_of(m)), DSM_MM_LEAVE);
}

static u8 on_refuse(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (m->state != DSM_MS_JOINING && m->state != DSM_MS_ASKED)
		return DSM_V_LATE;
	m->reason = p->reason;
	if (m->state == DSM_MS_ASKED)
		back_off(c, DSM_MS_IN, DSM_MEMBER_RETRY_US);
	else if (p->reason == DSM_MR_LOST)
		back_off(c, DSM_MS_OUT, DSM_MEMBER_LOST_US);
	else
		back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
	return DSM_V_OK;
}

static void tell_left(struct ctx *c)
{
	if (is_sole(c->m)) {
		enter_gone(c, DSM_MR_LEFT);
		return;
	}
	enter(c, DSM_MS_DONE, DSM_MEMBER_LEAVE_US);
	emit_send(c, set_of(master_of(c->m)), DSM_MM_LEFT);
}

static u8 on_handed(struct ctx *c)
{
	if (c->m->state != DSM_MS_LEAVING)
		return DSM_V_LATE;
	tell_left(c);
	return DSM_V_OK;
}

/* ---- views and status of others ---- */

static u8 on_view(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	const struct dsm_view *v = &p->view;

	if (!v->number)
		return DSM_V_BAD_FIELD;
	if (m->state == DSM_MS_GONE)
		return DSM_V_LATE;
	if (dsm_member_is_in(m)) {
		if (v->cluster != m->view.cluster || v->number <= m->view.number)
			return DSM_V_LATE;
		if (!dsm_nodeset_has(&m->view.members, c->ev->node))
			return DSM_V_BAD_SENDER;
		adopt(c, v);
		return DSM_V_OK;
	}
	/* Not for an earlier incarnation, nor of an earlier proposal. */
	if (m->state == DSM_MS_VOTED &&
	    (m->candidate != c->ev->node || p->round != m->round))
		return DSM_V_LATE;
	if (m->state != DSM_MS_VOTED && p->round != m->incarnation)
		return DSM_V_LATE;
	if (m->state == DSM_MS_PROPOSING)
		give_up_proposal(c);
	if (!dsm_nodeset_has(&v->members, m->self))
		return DSM_V_BAD_FIELD;
	adopt(c, v);
	return DSM_V_OK;
}

static u8 on_status(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	const struct dsm_view *v = &p->view;

	dsm_nodeset_del(&m->in, c->ev->node);
	dsm_nodeset_del(&m->out, c->ev->node);
	if (v->number) {
		dsm_nodeset_add(&m->in, c->ev->node);
		if (v->cluster != m->peer_view.cluster ||
		    v->number > m->peer_view.number)
			m->peer_view = *v;
	} else if (p->state < DSM_MS_IN) {
		dsm_nodeset_add(&m->out, c->ev->node);
	}
	return DSM_V_OK;
}

/* ---- links ---- */

/* A member is not coming back as the one it was. */
static void lose(struct ctx *c, u16 node)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;
	u16 master;

	if (!dsm_member_is_in(m) || !dsm_nodeset_has(&v.members, node))
		return;
	/* Who has handed over everything need not be missed. */
	if (m->state == DSM_MS_DONE) {
		enter_gone(c, DSM_MR_LEFT);
		return;
	}
	dsm_nodeset_add(&m->suspects, node);
	if (!dsm_view_has_quorum(&m->view, &m->suspects)) {
		enter_gone(c, DSM_MR_MINORITY);
		return;
	}
	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	v.leaving = dsm_nodeset_minus(v.leaving, &m->suspects);
	master = dsm_view_master(&v);
	if (master != m->self) {
		emit_send(c, set_of(master), DSM_MM_SUSPECT)->node = node;
		return;
	}
	v.lost = dsm_nodeset_or(v.lost, &m->suspects);
	v.epoch++;
	publish(c, &v, 0);
}

static u8 on_suspect(struct ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (p->node >= m->nr_nodes || p->node == c->ev->node)
		return DSM_V_BAD_FIELD;
	/* This node may be the next master, but does not miss the present one. */
	if (!is_master(m) || p->node == m->self ||
	    !dsm_nodeset_has(&m->view.members, c->ev->node))
		return DSM_V_LATE;
	lose(c, p->node);
	return DSM_V_OK;
}

/* Nothing that the node promised, asked or was asked counts any more. */
static void forget(struct ctx *c, u16 node)
{
	struct dsm_member *m = c->m;

	if (m->pending == node)
		m->pending = DSM_NODE_NONE;
	if (m->state == DSM_MS_VOTED && m->candidate == node)
		back_off(c, DSM_MS_OUT, 0);
	else if (m->state == DSM_MS_PROPOSING && dsm_nodeset_has(&m->voters, node))
		give_up_proposal(c);
	else if (m->state == DSM_MS_JOINING &&
		 dsm_view_master(&m->peer_view) == node)
		back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
	lose(c, node);
}

static void unlink_node(struct dsm_member *m, u16 node)
{
	dsm_nodeset_del(&m->linked, node);
	dsm_nodeset_del(&m->out, node);
	dsm_nodeset_del(&m->in, node);
}

static u8 on_link_up(struct ctx *c)
{
	struct dsm_member *m = c->m;
	u16 node = c->ev->node;

	if (c->ev->reset) {
		unlink_node(m, node);
		dsm_nodeset_del(&m->departed, node);
		forget(c, node);
	}
	dsm_nodeset_add(&m->linked, node);
	tell_status(c, set_of(node));
	return DSM_V_OK;
}

static u8 on_link_down(struct ctx *c, bool lost)
{
	struct dsm_member *m = c->m;
	u16 node = c->ev->node;

	unlink_node(m, node);
	if (dsm_nodeset_has(&m->departed, node)) {
		dsm_nodeset_del(&m->departed, node);
		emit_kill(c, set_of(node));
	} else if (lost) {
		forget(c, node);
	}
	return DSM_V_OK;
}

/* ---- time ---- */

static u8 on_timer(struct ctx *c)
{
	struct dsm_member *m = c->m;
	u64 now = c->ev->now_us;

	if (!dsm_nodeset_empty(&m->departed) && now >= m->linger_us) {
		emit_kill(c, m->departed);
		dsm_nodeset_clear(&m->departed);
	}
	if (!m->until_us || now < m->until_us)
		return DSM_V_OK;
	switch ((enum dsm_member_state)m->state) {
	case DSM_MS_PROPOSING:
		give_up_proposal(c);
		break;
	case DSM_MS_JOINING:
		back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
		break;
	case DSM_MS_ASKED:
		back_off(c, DSM_MS_IN, 0);
		break;
	case DSM_MS_DONE:
		tell_left(c);
		break;
	case DSM_MS_OUT:
	case DSM_MS_VOTED:
	case DSM_MS_IN:
	case DSM_MS_LEAVING:
	case DSM_MS_GONE:
	case DSM_NR_MEMBER_STATES:
		break;
	}
	return DSM_V_OK;
}

/* What the state asks for, whatever the event was. */
static void proceed(struct ctx *c)
{
	struct dsm_member *m = c->m;

	if (dsm_nodeset_empty(&m->in))
		m->peer_view = (struct dsm_view){ .number = 0 };
	if (m->want_leave && m->state == DSM_MS_OUT) {
		m->want_leave = false;
		enter_gone(c, DSM_MR_LEFT);
	}
	if (c->ev->now_us < m->retry_us)
		return;
	if (m->state == DSM_MS_IN && m->want_leave)
		try_leave(c);
	if (m->state != DSM_MS_OUT)
		return;
	if (dsm_nodeset_empty(&m->in))
		try_form(c);
	else
		try_join(c);
}

static u64 sooner(u64 a, u64 b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static u64 next_deadline(const struct dsm_member *m, u64 now)
{
	u64 at = m->until_us;

	if (!dsm_nodeset_empty(&m->departed))
		at = sooner(at, m->linger_us);
	if ((m->state == DSM_MS_OUT || m->want_leave) && m->retry_us > now)
		at = sooner(at, m->retry_us);
	if (m->state == DSM_MS_OUT && m->majority_us)
		at = sooner(at, m->majority_us + DSM_MEMBER_GRACE_US > now ?
				m->majority_us + DSM_MEMBER_GRACE_US : 0);
	return at;
}

static u8 on_packet(struct ctx *c)
{
	const struct dsm_member_packet *p = &c->ev->packet;

	if (dsm_view_check(&p->view, c->m->nr_nodes) != DSM_V_OK)
		return DSM_V_BAD_FIELD;
	switch ((enum dsm_member_msg)p->type) {
	case DSM_MM_STATUS:
		return on_status(c, p);
	case DSM_MM_PROPOSE:
		return on_propose(c, p);
	case DSM_MM_ACCEPT:
	case DSM_MM_REJECT:
		return on_vote(c, p);
	case DSM_MM_RELEASE:
		return on_release(c);
	case DSM_MM_JOIN:
		return on_join(c, p);
	case DSM_MM_LEAVE:
		return on_leave(c);
	case DSM_MM_LEFT:
		return on_left(c);
	case DSM_MM_REFUSE:
		return on_refuse(c, p);
	case DSM_MM_SUSPECT:
		return on_suspect(c, p);
	case DSM_MM_VIEW:
		return on_view(c, p);
	case DSM_NR_MEMBER_MSGS:
		break;
	}
	return DSM_V_BAD_FIELD;
}

static u8 on_event(struct ctx *c)
{
	struct dsm_member *m = c->m;

	switch ((enum dsm_member_event_type)c->ev->type) {
	case DSM_ME_LINK_UP:
		return on_link_up(c);
	case DSM_ME_LINK_DOWN:
		return on_link_down(c, false);
	case DSM_ME_LINK_LOST:
		return on_link_down(c, true);
	case DSM_ME_MSG:
		return on_packet(c);
	case DSM_ME_TIMER:
		return on_timer(c);
	case DSM_ME_LEAVE:
		m->want_leave = m->state < DSM_MS_ASKED;
		return DSM_V_OK;
	case DSM_ME_HANDED:
		return on_handed(c);
	case DSM_ME_ADMIT:
		return on_admit(c, true);
	case DSM_ME_DENY:
		return on_admit(c, false);
	case DSM_ME_REBUILT:
		dsm_nodeset_del(&m->view.lost, c->ev->node);
		return DSM_V_OK;
	case DSM_NR_MEMBER_EVENTS:
		break;
	}
	return DSM_V_BAD_FIELD;
}

static bool has_node(const struct dsm_member *m, const struct dsm_member_event *ev)
{
	return ev->type == DSM_ME_TIMER || ev->type == DSM_ME_LEAVE ||
	       ev->type == DSM_ME_HANDED ||
	       (ev->node < m->nr_nodes && ev->node != m->self);
}

void dsm_member_init(struct dsm_member *m, u16 self, u16 nr_nodes,
		     u32 incarnation)
{
	*m = (struct dsm_member){
		.state = DSM_MS_OUT,
		.self = self,
		.nr_nodes = nr_nodes,
		.incarnation = incarnation,
		.candidate = DSM_NODE_NONE,
		.pending = DSM_NODE_NONE,
	};
}

void dsm_member_step(struct dsm_member *m, const struct dsm_member_event *ev,
		     struct dsm_member_out *out)
{
	struct ctx c = { .m = m, .ev = ev, .out = out };

	out->nr = 0;
	out->verdict = has_node(m, ev) ? on_event(&c) : DSM_V_BAD_SENDER;
	proceed(&c);
	m->deadline_us = next_deadline(m, ev->now_us);
}
