// SPDX-License-Identifier: GPL-2.0
/* Views: the master's, and what others say of theirs. */
#include "member_machine.h"

static void begin_handover(struct dsm_member_ctx *c)
{
	dsm_member_enter(c, DSM_MS_LEAVING, 0);
	c->m->want_leave = false;
	dsm_member_emit(c, DSM_MA_HANDOVER)->node =
		dsm_view_successor(&c->m->view, &c->m->suspects, c->m->self);
}

/* Does the master know that everyone has the view? */
static void check_stable(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_nodeset missing = dsm_nodeset_minus(m->view.members, &m->seen);

	dsm_nodeset_del(&missing, m->self);
	if (!dsm_member_is_in(m) || dsm_view_master(&m->view) != m->self ||
	    m->seen_number != m->view.number || !dsm_nodeset_empty(&missing))
		return;
	m->base = m->view.members;
	if (!dsm_member_is_sole(m))
		dsm_member_emit_send(c, m->view.members, DSM_MM_STABLE)->round =
			m->view.number;
}

static void note_seen(struct dsm_member *m, u32 number)
{
	if (number <= m->seen_number)
		return;
	m->seen_number = number;
	dsm_nodeset_clear(&m->seen);
}

static void tell_seen(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	u16 master = dsm_view_master(&m->view);

	note_seen(m, m->view.number);
	if (master == m->self)
		check_stable(c);
	else
		dsm_member_emit_send(c, dsm_nodeset_of(master), DSM_MM_SEEN)->round =
			m->view.number;
}

u8 dsm_member_on_seen(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (p->round < m->seen_number)
		return DSM_V_LATE;
	/* It may have the view that makes this node the master before we do. */
	note_seen(m, p->round);
	dsm_nodeset_add(&m->seen, c->ev->node);
	check_stable(c);
	return DSM_V_OK;
}

u8 dsm_member_on_stable(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (!dsm_member_is_in(m) || p->round != m->view.number)
		return DSM_V_LATE;
	m->base = m->view.members;
	return DSM_V_OK;
}

static void adopt_as_member(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	bool leaving = dsm_nodeset_has(&m->view.leaving, m->self);

	if (!dsm_member_is_in(m)) {
		dsm_member_enter(c, DSM_MS_IN, 0);
		m->retry_us = 0;
		/* All of them have agreed on it, or lived through it. */
		m->base = m->view.members;
	}
	dsm_member_emit(c, DSM_MA_VIEW);
	tell_seen(c);
	if (leaving && m->state != DSM_MS_LEAVING && m->state != DSM_MS_DONE)
		begin_handover(c);
}

/* Make a view this node's own. */
static void adopt(struct dsm_member_ctx *c, const struct dsm_view *v)
{
	struct dsm_member *m = c->m;
	bool was_in = dsm_member_is_in(m);
	struct dsm_nodeset gone = dsm_nodeset_minus(m->view.members, &v->members);
	struct dsm_nodeset lost = dsm_nodeset_and(gone, &v->lost);
	struct dsm_nodeset left = dsm_nodeset_minus(gone, &v->lost);

	if (was_in) {
		m->departed = dsm_nodeset_or(m->departed, &left);
		m->linger_us = c->ev->now_us + DSM_MEMBER_LINGER_US;
	}
	m->departed = dsm_nodeset_minus(m->departed, &v->members);
	dsm_nodeset_del(&m->departed, m->self);
	m->view = *v;
	m->suspects = dsm_nodeset_and(m->suspects, &v->members);
	if (m->pending != DSM_NODE_NONE &&
	    dsm_nodeset_has(&v->members, m->pending))
		m->pending = DSM_NODE_NONE;
	dsm_member_emit_kill(c, dsm_nodeset_minus(lost, &m->fresh));
	m->fresh = dsm_nodeset_and(m->fresh, &v->members);
	if (dsm_nodeset_has(&v->members, m->self)) {
		adopt_as_member(c);
		dsm_member_tell_status(c, dsm_nodeset_minus(m->linked, &v->members));
	} else {
		dsm_member_enter_gone(c, m->state == DSM_MS_DONE ? DSM_MR_LEFT : DSM_MR_EXPELLED);
	}
}

/* The next view, by the master. */
void dsm_member_publish(struct dsm_member_ctx *c, struct dsm_view *v, u32 round)
{
	struct dsm_nodeset to = dsm_nodeset_or(v->members, &c->m->view.members);
	struct dsm_member_packet *p;

	v->number = c->m->view.number + 1;
	to = dsm_nodeset_without(dsm_nodeset_minus(to, &v->lost), c->m->self);
	if (!dsm_nodeset_empty(&to)) {
		p = dsm_member_emit_send(c, to, DSM_MM_VIEW);
		p->view = *v;
		p->round = round;
	}
	adopt(c, v);
}

u8 dsm_member_on_view(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
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
		/* Of a master that joined, but the view that let it in is late. */
		if (!dsm_nodeset_has(&m->view.members, c->ev->node) &&
		    !dsm_nodeset_has(&v->members, c->ev->node))
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
		dsm_member_give_up_proposal(c);
	if (!dsm_nodeset_has(&v->members, m->self))
		return DSM_V_BAD_FIELD;
	adopt(c, v);
	return DSM_V_OK;
}

u8 dsm_member_on_status(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
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
