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

static void adopt_as_member(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	bool leaving = dsm_nodeset_has(&m->view.leaving, m->self);

	if (!dsm_member_is_in(m)) {
		dsm_member_enter(c, DSM_MS_IN, 0);
		m->retry_us = 0;
	}
	dsm_member_emit(c, DSM_MA_VIEW);
	if (leaving && m->state != DSM_MS_LEAVING && m->state != DSM_MS_DONE)
		begin_handover(c);
	/* The master may be another one now. */
	if (!dsm_nodeset_empty(&m->suspects))
		dsm_member_reconsider(c);
}

/* Make a view this node's own. */
static void adopt(struct dsm_member_ctx *c, const struct dsm_view *v)
{
	struct dsm_member *m = c->m;
	bool was_in = dsm_member_is_in(m);
	struct dsm_nodeset gone = dsm_nodeset_minus(m->view.members, &v->members);
	struct dsm_nodeset lost = dsm_nodeset_and(gone, &v->lost);
	struct dsm_nodeset left = dsm_nodeset_minus(gone, &v->lost);
	struct dsm_nodeset known = m->suspects;

	if (was_in) {
		left = dsm_nodeset_minus(left, &known);
		m->departed = dsm_nodeset_or(m->departed, &left);
		m->linger_us = c->ev->now_us + DSM_MEMBER_LINGER_US;
	}
	m->departed = dsm_nodeset_minus(m->departed, &v->members);
	dsm_nodeset_del(&m->departed, m->self);
	m->view = *v;
	m->out = dsm_nodeset_minus(m->out, &v->members);
	m->admitted = DSM_NODE_NONE;
	if (!was_in || m->next.number <= v->number) {
		m->next = (struct dsm_view){ .number = 0 };
		m->offering = false;
		m->widest = v->members;
		m->common = v->members;
	} else if (m->offering) {
		/* It began with an older view: by this one another may be the master. */
		dsm_member_abandon(c);
	}
	m->widest = dsm_nodeset_or(m->widest, &v->members);
	m->common = dsm_nodeset_and(m->common, &v->members);
	m->suspects = dsm_nodeset_and(m->suspects, &v->members);
	if (m->pending != DSM_NODE_NONE &&
	    dsm_nodeset_has(&v->members, m->pending))
		m->pending = DSM_NODE_NONE;
	/* Those that this node had lost it has cut off before. */
	dsm_member_emit_kill(c, dsm_nodeset_minus(lost, &known));
	if (dsm_nodeset_has(&v->members, m->self)) {
		adopt_as_member(c);
		dsm_member_tell_status(c, dsm_nodeset_minus(m->linked, &v->members));
	} else {
		dsm_member_enter_gone(c, m->state == DSM_MS_DONE ? DSM_MR_LEFT :
								   DSM_MR_EXPELLED);
	}
}

/* The next view, by the master; all agree to it. */
void dsm_member_publish(struct dsm_member_ctx *c, const struct dsm_view *v, u32 round)
{
	struct dsm_nodeset to = dsm_nodeset_or(v->members, &c->m->view.members);
	struct dsm_member_packet *p;

	to = dsm_nodeset_without(dsm_nodeset_minus(to, &v->lost), c->m->self);
	if (!dsm_nodeset_empty(&to)) {
		p = dsm_member_emit_send(c, to, DSM_MM_VIEW);
		p->view = *v;
		p->round = round;
	}
	adopt(c, v);
}

/*
 * The sender's view is @number: if that is older than this node's, who published this
 * may be lost, and the sender is told.
 */
bool dsm_member_tell_missed(struct dsm_member_ctx *c, u32 number)
{
	if (number >= c->m->view.number)
		return false;
	dsm_member_emit_send(c, dsm_nodeset_of(c->ev->node), DSM_MM_VIEW)->view = c->m->view;
	return true;
}

/* Not for an earlier incarnation, nor of an earlier proposal or offer. */
static bool is_for_me(const struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	const struct dsm_member *m = c->m;

	if (m->state != DSM_MS_VOTED)
		return p->round == m->incarnation;
	if (m->candidate != c->ev->node)
		return false;
	return m->vote_round ? p->round == m->vote_round :
			       p->view.number == m->next.number;
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
		if (!dsm_nodeset_has(&m->view.members, c->ev->node) &&
		    !dsm_nodeset_has(&v->members, c->ev->node))
			return DSM_V_BAD_SENDER;
		adopt(c, v);
		return DSM_V_OK;
	}
	if (!is_for_me(c, p))
		return DSM_V_LATE;
	if (!dsm_nodeset_has(&v->members, m->self))
		return DSM_V_BAD_FIELD;
	if (m->state == DSM_MS_PROPOSING)
		dsm_member_give_up_proposal(c);
	adopt(c, v);
	return DSM_V_OK;
}

/* What another says of itself may not go with what this node's view says. */
static void compare_views(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	const struct dsm_view *v = &p->view;
	bool same = v->cluster == m->view.cluster;

	if (v->number && same && v->number > m->view.number &&
	    !dsm_nodeset_has(&v->members, m->self))
		dsm_member_enter_gone(c, m->state == DSM_MS_DONE ? DSM_MR_LEFT :
								   DSM_MR_EXPELLED);
	else if (v->number ? !same : p->state == DSM_MS_GONE && p->reason != DSM_MR_LEFT)
		dsm_member_miss(c, dsm_nodeset_of(c->ev->node));
}

u8 dsm_member_on_status(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	const struct dsm_view *v = &p->view;

	if (dsm_member_is_in(m))
		compare_views(c, p);
	if (!dsm_nodeset_has(&m->linked, c->ev->node))
		return DSM_V_OK;
	dsm_nodeset_del(&m->in, c->ev->node);
	dsm_nodeset_del(&m->out, c->ev->node);
	if (v->number) {
		dsm_nodeset_add(&m->in, c->ev->node);
		if (v->cluster != m->peer_view.cluster ||
		    v->number > m->peer_view.number)
			m->peer_view = *v;
	} else if (p->state < DSM_MS_IN) {
		dsm_nodeset_add(&m->out, c->ev->node);
		if (dsm_member_is_in(m) && !dsm_nodeset_empty(&m->suspects))
			dsm_member_reconsider(c);
	}
	return DSM_V_OK;
}
