// SPDX-License-Identifier: GPL-2.0
/* What every part of the membership machine does: actions, states, masters. */
#include "member_machine.h"

bool dsm_member_is_sole(const struct dsm_member *m)
{
	struct dsm_nodeset others = dsm_nodeset_without(m->view.members, m->self);

	return dsm_nodeset_empty(&others);
}

/* The master as far as this node knows: those it has lost do not count. */
u16 dsm_member_master_of(const struct dsm_member *m)
{
	struct dsm_view v = m->view;

	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	return dsm_view_master(&v);
}

bool dsm_member_is_master(const struct dsm_member *m)
{
	return m->state == DSM_MS_IN && dsm_member_master_of(m) == m->self;
}

struct dsm_member_action *dsm_member_emit(struct dsm_member_ctx *c, u8 type)
{
	struct dsm_member_action *a;

	/* The bound is far above what any handler emits. */
	if (c->out->nr == DSM_MEMBER_MAX_ACTIONS)
		c->out->nr--;
	a = &c->out->act[c->out->nr++];
	*a = (struct dsm_member_action){ .type = type, .node = DSM_NODE_NONE };
	return a;
}

struct dsm_member_packet *dsm_member_emit_send(struct dsm_member_ctx *c,
					       struct dsm_nodeset to, u8 type)
{
	struct dsm_member_action *a = dsm_member_emit(c, DSM_MA_SEND);

	a->to = dsm_nodeset_without(to, c->m->self);
	a->packet.type = type;
	return &a->packet;
}

void dsm_member_emit_kill(struct dsm_member_ctx *c, struct dsm_nodeset who)
{
	struct dsm_member *m = c->m;

	dsm_nodeset_del(&who, m->self);
	/* Who is gone hangs up on all of them anyway. */
	if (dsm_nodeset_empty(&who) || m->state == DSM_MS_GONE)
		return;
	/* Of who is cut off nothing is reported, not even that. */
	m->linked = dsm_nodeset_minus(m->linked, &who);
	m->out = dsm_nodeset_minus(m->out, &who);
	m->in = dsm_nodeset_minus(m->in, &who);
	dsm_member_emit(c, DSM_MA_KILL)->to = who;
}

void dsm_member_tell_status(struct dsm_member_ctx *c, struct dsm_nodeset to)
{
	struct dsm_member_packet *p;

	if (dsm_nodeset_empty(&to))
		return;
	p = dsm_member_emit_send(c, to, DSM_MM_STATUS);
	p->state = c->m->state;
	if (p->state == DSM_MS_GONE)
		p->reason = c->m->reason;
	if (dsm_member_is_in(c->m))
		p->view = c->m->view;
}

void dsm_member_enter(struct dsm_member_ctx *c, u8 state, u64 timeout_us)
{
	c->m->state = state;
	c->m->until_us = timeout_us ? c->ev->now_us + timeout_us : 0;
}

void dsm_member_back_off(struct dsm_member_ctx *c, u8 state, u64 delay_us)
{
	dsm_member_enter(c, state, 0);
	c->m->retry_us = c->ev->now_us + delay_us;
}

void dsm_member_enter_gone(struct dsm_member_ctx *c, u8 reason)
{
	dsm_member_enter(c, DSM_MS_GONE, 0);
	c->m->reason = reason;
	c->m->pending = DSM_NODE_NONE;
	c->m->offering = false;
	dsm_nodeset_clear(&c->m->departed);
	dsm_member_emit(c, DSM_MA_VIEW);
	dsm_member_tell_status(c, c->m->linked);
}
