// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the view: offered by the master, agreed to, published.
 *
 * Normal operation: the master offers the next view to the members that stay.
 * A member agrees to a number once, to one master, and not to one that it has
 * lost; so of two views with one number at most one can be agreed to by a quorum,
 * and none is published that not everyone in it knows of.  When all have agreed
 * the master publishes the view.  A joiner gets the metadata in between, and the
 * master's own leaving waits there for the LEAVE event that may begin it.
 *
 * Recovery: who is lost meanwhile is left out of another offer, with the next
 * number.  An offer is repeated to those that do not answer, as they may not have
 * had the view before it, or not have been members, when it came.  If the master
 * is lost, its offer may have been published or not: so a member that agreed to it
 * has to have a quorum whichever it was.  If it was, and some have the view that the
 * next master has not, they send it that instead of agreeing: a node let in by it is
 * a member to them, and not to be left out without being lost.
 */
#include "member_machine.h"

/* Who is to agree: the members that stay. */
static struct dsm_nodeset voices(const struct dsm_member *m)
{
	return dsm_nodeset_without(dsm_nodeset_and(m->next.members, &m->view.members),
				   m->self);
}

static struct dsm_nodeset silent(const struct dsm_member *m)
{
	return dsm_nodeset_minus(voices(m), &m->agreed);
}

/* The master's own leaving, which waits for LEAVE. */
static bool is_own_leaving(const struct dsm_member *m)
{
	return dsm_nodeset_has(&m->next.leaving, m->self) &&
	       !dsm_nodeset_has(&m->view.leaving, m->self);
}

bool dsm_member_is_agreed(const struct dsm_member *m)
{
	struct dsm_nodeset missing = silent(m);

	return m->offering && dsm_nodeset_empty(&missing);
}

bool dsm_member_is_silent(const struct dsm_member *m, u16 node)
{
	struct dsm_nodeset waits = silent(m);

	return m->offering && dsm_nodeset_has(&waits, node);
}

static u32 newest(const struct dsm_member *m)
{
	return m->next.number > m->view.number ? m->next.number : m->view.number;
}

static void conclude(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->next;

	if (m->pending != DSM_NODE_NONE)
		dsm_member_emit(c, DSM_MA_SNAPSHOT)->node = m->pending;
	else if (!is_own_leaving(m))
		dsm_member_publish(c, &v, 0);
}

static void ask(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_member_packet *p;

	m->offer_us = c->ev->now_us + DSM_MEMBER_OFFER_US;
	if (dsm_member_is_agreed(m))
		return;
	p = dsm_member_emit_send(c, silent(m), DSM_MM_OFFER);
	p->view = m->next;
	p->round = m->view.number;
}

void dsm_member_offer(struct dsm_member_ctx *c, const struct dsm_view *v)
{
	struct dsm_member *m = c->m;
	u32 number = newest(m) + 1;

	m->next = *v;
	m->next.number = number;
	m->offering = true;
	m->offerer = m->self;
	dsm_nodeset_clear(&m->agreed);
	ask(c);
	if (dsm_member_is_agreed(m))
		conclude(c);
}

/* Nobody is to wait for what will not come. */
void dsm_member_abandon(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	m->offering = false;
	if (m->pending == DSM_NODE_NONE)
		return;
	dsm_member_emit_send(c, dsm_nodeset_of(m->pending), DSM_MM_REFUSE)->reason =
		DSM_MR_BUSY;
	m->pending = DSM_NODE_NONE;
}

/* What was offered is not wanted: the members are to agree to the present view. */
void dsm_member_take_back(struct dsm_member_ctx *c)
{
	struct dsm_view v = c->m->view;

	dsm_member_offer(c, &v);
}

void dsm_member_offer_timer(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	if (!m->offering || c->ev->now_us < m->offer_us)
		return;
	/* LEAVE does not come again: the caller has given up. */
	if (dsm_member_is_agreed(m) && is_own_leaving(m)) {
		m->want_leave = false;
		dsm_member_take_back(c);
		return;
	}
	ask(c);
}

static void agree(struct dsm_member_ctx *c, u32 number)
{
	dsm_member_emit_send(c, dsm_nodeset_of(c->ev->node), DSM_MM_AGREE)->round = number;
}

/*
 * The others take this node for a member.  It may be that it was to be in the
 * first view, and did not get that before the candidate was lost: then it enters
 * now.  Else it was about to join, and would miss the metadata.
 */
static u8 agree_to_enter(struct dsm_member_ctx *c, const struct dsm_view *v)
{
	struct dsm_member *m = c->m;
	bool again = m->state == DSM_MS_VOTED && m->candidate == c->ev->node;

	if (m->state != DSM_MS_OUT && m->state != DSM_MS_JOINING && !again)
		return DSM_V_LATE;
	if (m->want_leave || v->cluster != m->vote_cluster) {
		dsm_member_emit_send(c, dsm_nodeset_of(c->ev->node),
				     DSM_MM_REFUSE)->reason = DSM_MR_NOT_MEMBER;
		return DSM_V_OK;
	}
	dsm_member_enter(c, DSM_MS_VOTED, 0);
	m->candidate = c->ev->node;
	m->vote_round = 0;
	m->next = *v;
	m->offerer = c->ev->node;
	agree(c, v->number);
	return DSM_V_OK;
}

u8 dsm_member_on_offer(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	const struct dsm_view *v = &p->view;
	u16 node = c->ev->node;
	bool yields;

	if (!dsm_nodeset_has(&v->members, m->self) ||
	    !dsm_nodeset_has(&v->members, node))
		return DSM_V_BAD_FIELD;
	if (!dsm_member_is_in(m))
		return agree_to_enter(c, v);
	if (v->cluster != m->view.cluster || !dsm_nodeset_has(&m->widest, node) ||
	    dsm_nodeset_has(&m->suspects, node))
		return DSM_V_LATE;
	/* Others may be members by the view that it has missed: it is to begin with that. */
	if (dsm_member_tell_missed(c, p->round))
		return DSM_V_OK;
	/* Two offer at once, as one of them has not had the last view: one yields. */
	yields = m->offering && node < m->self && v->number == m->next.number;
	if (v->number > newest(m) || yields) {
		dsm_member_abandon(c);
		m->next = *v;
		m->offerer = node;
		m->widest = dsm_nodeset_or(m->widest, &v->members);
		m->common = dsm_nodeset_and(m->common, &v->members);
		dsm_member_suspect(c, v->lost);
	}
	/* A number that was agreed to before: a higher one is to be offered. */
	if (v->number == m->next.number && node == m->offerer)
		agree(c, v->number);
	else
		agree(c, newest(m) + 1);
	return DSM_V_OK;
}

u8 dsm_member_on_agree(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (p->round < m->next.number || !dsm_member_is_silent(m, c->ev->node))
		return DSM_V_LATE;
	if (p->round > m->next.number) {
		struct dsm_view v = m->next;

		m->next.number = p->round;
		dsm_member_offer(c, &v);
		return DSM_V_OK;
	}
	dsm_nodeset_add(&m->agreed, c->ev->node);
	if (dsm_member_is_agreed(m))
		conclude(c);
	return DSM_V_OK;
}
