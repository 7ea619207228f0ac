// SPDX-License-Identifier: GPL-2.0
/* Joining and leaving: asked of the master, one at a time. */
#include "member_machine.h"

/* One change of the members at a time. */
static bool is_busy(const struct dsm_member *m)
{
	return m->pending != DSM_NODE_NONE ||
	       m->offering || !dsm_nodeset_empty(&m->view.leaving) ||
	       !dsm_nodeset_empty(&m->suspects);
}

static void refuse(struct dsm_member_ctx *c, u8 reason)
{
	dsm_member_emit_send(c, dsm_nodeset_of(c->ev->node), DSM_MM_REFUSE)->reason = reason;
}

void dsm_member_try_join(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	u16 master = dsm_view_master(&m->peer_view);
	struct dsm_member_packet *p;

	if (master == DSM_NODE_NONE || !dsm_nodeset_has(&m->linked, master))
		return;
	dsm_member_enter(c, DSM_MS_JOINING, DSM_MEMBER_JOIN_US);
	m->asked = master;
	p = dsm_member_emit_send(c, dsm_nodeset_of(master), DSM_MM_JOIN);
	p->round = m->incarnation;
	p->linked = m->linked;
}

static u8 join_reason(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	struct dsm_nodeset missing = dsm_nodeset_minus(m->view.members, &p->linked);

	if (!dsm_member_is_master(m))
		return DSM_MR_NOT_MASTER;
	if (dsm_nodeset_has(&m->view.lost, c->ev->node))
		return DSM_MR_LOST;
	if (is_busy(m))
		return DSM_MR_BUSY;
	if (!dsm_nodeset_empty(&missing) ||
	    !dsm_nodeset_has(&m->linked, c->ev->node))
		return DSM_MR_NOT_LINKED;
	return DSM_MR_NONE;
}

u8 dsm_member_on_join(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;
	u8 reason;

	if (dsm_member_is_in(m) && dsm_nodeset_has(&m->view.members, c->ev->node) &&
	    !dsm_nodeset_has(&m->suspects, c->ev->node)) {
		/* The view that lets it in is on its way, or lost with its sender. */
		if (c->ev->node == m->admitted)
			return DSM_V_LATE;
		dsm_member_miss(c, dsm_nodeset_of(c->ev->node));
		return DSM_V_OK;
	}
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
	dsm_nodeset_add(&v.members, c->ev->node);
	dsm_member_offer(c, &v);
	return DSM_V_OK;
}

u8 dsm_member_on_admit(struct dsm_member_ctx *c, bool admit)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->next;

	if (m->pending != c->ev->node || !dsm_member_is_agreed(m))
		return DSM_V_LATE;
	if (admit && dsm_nodeset_has(&m->linked, c->ev->node)) {
		dsm_member_publish(c, &v, m->pending_round);
		m->admitted = c->ev->node;
		return DSM_V_OK;
	}
	dsm_member_abandon(c);
	dsm_member_take_back(c);
	return DSM_V_OK;
}

static void start_leave(struct dsm_member_ctx *c, u16 node)
{
	struct dsm_view v = c->m->view;

	dsm_nodeset_add(&v.leaving, node);
	dsm_member_offer(c, &v);
}

u8 dsm_member_on_leave(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	/* The view that makes this node the master, or that one a member, may be yet to come. */
	if (!dsm_member_is_in(m) ||
	    (!dsm_nodeset_has(&m->view.members, c->ev->node) &&
	     dsm_nodeset_has(&m->widest, c->ev->node))) {
		refuse(c, DSM_MR_NOT_MASTER);
		return DSM_V_OK;
	}
	if (!dsm_nodeset_has(&m->view.members, c->ev->node))
		return DSM_V_BAD_SENDER;
	if (dsm_nodeset_has(&m->view.leaving, c->ev->node))
		return DSM_V_LATE;
	if (!dsm_member_is_master(m))
		refuse(c, DSM_MR_NOT_MASTER);
	else if (is_busy(m))
		refuse(c, DSM_MR_BUSY);
	else
		start_leave(c, c->ev->node);
	return DSM_V_OK;
}

u8 dsm_member_on_left(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;

	if (!dsm_nodeset_has(&v.leaving, c->ev->node))
		return DSM_V_LATE;
	/* It asks again. */
	if (!dsm_member_is_master(m) || m->offering)
		return DSM_V_LATE;
	dsm_nodeset_del(&v.leaving, c->ev->node);
	dsm_nodeset_del(&v.members, c->ev->node);
	dsm_member_offer(c, &v);
	return DSM_V_OK;
}

/* The master leaves: the caller of LEAVE has no change of the metadata under way. */
static void lead_out(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->next;

	if (c->ev->type != DSM_ME_LEAVE)
		return;
	if (dsm_member_is_agreed(m) && dsm_nodeset_has(&v.leaving, m->self))
		dsm_member_publish(c, &v, 0);
	else if (!is_busy(m))
		start_leave(c, m->self);
}

void dsm_member_try_leave(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	if (dsm_member_is_sole(m)) {
		m->want_leave = false;
		dsm_member_enter_gone(c, DSM_MR_LEFT);
		return;
	}
	if (dsm_member_is_master(m)) {
		lead_out(c);
		return;
	}
	dsm_member_enter(c, DSM_MS_ASKED, DSM_MEMBER_LEAVE_US);
	dsm_member_emit_send(c, dsm_nodeset_of(dsm_member_master_of(m)), DSM_MM_LEAVE);
}

u8 dsm_member_on_refuse(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (p->reason == DSM_MR_NOT_MEMBER) {
		if (!dsm_member_is_silent(m, c->ev->node))
			return DSM_V_LATE;
		dsm_member_miss(c, dsm_nodeset_of(c->ev->node));
		return DSM_V_OK;
	}
	if (m->state != DSM_MS_JOINING && m->state != DSM_MS_ASKED)
		return DSM_V_LATE;
	m->reason = p->reason;
	if (p->reason == DSM_MR_LOST)
		m->vote_cluster = 0;
	if (m->state == DSM_MS_ASKED)
		dsm_member_back_off(c, DSM_MS_IN, DSM_MEMBER_RETRY_US);
	else if (p->reason == DSM_MR_LOST)
		dsm_member_back_off(c, DSM_MS_OUT, DSM_MEMBER_LOST_US);
	else
		dsm_member_back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
	return DSM_V_OK;
}

void dsm_member_tell_left(struct dsm_member_ctx *c)
{
	if (dsm_member_is_sole(c->m)) {
		dsm_member_enter_gone(c, DSM_MR_LEFT);
		return;
	}
	dsm_member_enter(c, DSM_MS_DONE, DSM_MEMBER_LEAVE_US);
	dsm_member_emit_send(c, dsm_nodeset_of(dsm_member_master_of(c->m)), DSM_MM_LEFT);
}

u8 dsm_member_on_handed(struct dsm_member_ctx *c)
{
	if (c->m->state != DSM_MS_LEAVING)
		return DSM_V_LATE;
	dsm_member_tell_left(c);
	return DSM_V_OK;
}
