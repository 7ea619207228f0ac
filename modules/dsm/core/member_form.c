// SPDX-License-Identifier: GPL-2.0
/* Formation: proposals and votes. */
#include "member_machine.h"

static void form(struct dsm_member_ctx *c)
{
	struct dsm_view v = {
		.cluster = c->m->incarnation,
		.epoch = 1,
		.number = 1,
		.members = c->m->accepted,
	};

	dsm_member_publish(c, &v, c->m->round);
}

static bool all_accepted(const struct dsm_member *m)
{
	struct dsm_nodeset missing = dsm_nodeset_minus(m->voters, &m->accepted);

	return dsm_nodeset_empty(&missing);
}

static void propose(struct dsm_member_ctx *c, struct dsm_nodeset voters)
{
	struct dsm_member *m = c->m;
	struct dsm_member_packet *p;

	m->round++;
	m->voters = voters;
	m->accepted = dsm_nodeset_of(m->self);
	dsm_member_enter(c, DSM_MS_PROPOSING, DSM_MEMBER_VOTE_US);
	if (all_accepted(m)) {
		form(c);
		return;
	}
	p = dsm_member_emit_send(c, voters, DSM_MM_PROPOSE);
	p->round = m->round;
	p->view.cluster = m->incarnation;
}

void dsm_member_give_up_proposal(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	dsm_member_emit_send(c, m->voters, DSM_MM_RELEASE)->round = m->round;
	/* Two candidates are not to meet again and again. */
	dsm_member_back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US * (1 + m->self % 8));
}

void dsm_member_try_form(struct dsm_member_ctx *c)
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

u8 dsm_member_on_propose(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	bool vote = m->state == DSM_MS_OUT && !m->want_leave &&
		    dsm_nodeset_empty(&m->in);
	u8 answer = vote ? DSM_MM_ACCEPT : DSM_MM_REJECT;

	if (vote) {
		dsm_member_enter(c, DSM_MS_VOTED, 0);
		m->candidate = c->ev->node;
		m->vote_round = p->round;
		m->vote_cluster = p->view.cluster;
	}
	dsm_member_emit_send(c, dsm_nodeset_of(c->ev->node), answer)->round = p->round;
	return DSM_V_OK;
}

u8 dsm_member_on_vote(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (m->state != DSM_MS_PROPOSING || p->round != m->round)
		return DSM_V_LATE;
	if (!dsm_nodeset_has(&m->voters, c->ev->node))
		return DSM_V_BAD_SENDER;
	if (p->type == DSM_MM_REJECT) {
		dsm_member_give_up_proposal(c);
		return DSM_V_OK;
	}
	dsm_nodeset_add(&m->accepted, c->ev->node);
	if (all_accepted(m))
		form(c);
	return DSM_V_OK;
}

u8 dsm_member_on_release(struct dsm_member_ctx *c)
{
	if (c->m->state != DSM_MS_VOTED || c->m->candidate != c->ev->node)
		return DSM_V_LATE;
	dsm_member_back_off(c, DSM_MS_OUT, 0);
	return DSM_V_OK;
}
