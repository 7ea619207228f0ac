// SPDX-License-Identifier: GPL-2.0
/* Links that come and go, and nodes that are lost with them. */
#include "member_machine.h"

static bool has_quorum(const struct dsm_member *m)
{
	struct dsm_nodeset rest = dsm_nodeset_minus(m->common, &m->suspects);

	/* The others, started again, could form a cluster of their own. */
	if (2 * dsm_nodeset_weight(&rest) < m->nr_nodes)
		return false;
	return dsm_nodeset_has_quorum(&rest, &m->widest);
}

/* Who has not got into the first view yet cannot lead the others. */
static u16 next_master(const struct dsm_member *m)
{
	struct dsm_view v = m->view;

	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	v.members = dsm_nodeset_minus(v.members, &m->out);
	return dsm_view_master(&v);
}

static void tell_suspects(struct dsm_member_ctx *c, u16 to, struct dsm_nodeset who)
{
	struct dsm_member_packet *p = dsm_member_emit_send(c, dsm_nodeset_of(to),
							   DSM_MM_SUSPECT);

	p->linked = who;
	p->round = c->m->view.number;
}

/* Members are lost: find who is to tell the others, and whether that may be. */
void dsm_member_reconsider(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;
	bool done = m->state == DSM_MS_DONE;
	u16 master = next_master(m);

	/* Who has handed over everything has no reason to go on. */
	if (!has_quorum(m) || (done && master == m->self)) {
		dsm_member_enter_gone(c, done ? DSM_MR_LEFT : DSM_MR_MINORITY);
		return;
	}
	if (master != m->self) {
		tell_suspects(c, master, m->suspects);
		return;
	}
	/* Others may have been told that they leave by another's offer. */
	if (!m->offering)
		v.leaving = dsm_nodeset_or(v.leaving, &m->next.leaving);
	if (!dsm_nodeset_has(&m->view.leaving, m->self))
		dsm_nodeset_del(&v.leaving, m->self);
	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	v.leaving = dsm_nodeset_and(v.leaving, &v.members);
	v.lost = dsm_nodeset_or(v.lost, &m->suspects);
	v.epoch++;
	dsm_member_abandon(c);
	dsm_member_offer(c, &v);
}

static struct dsm_nodeset only_new(const struct dsm_member *m, struct dsm_nodeset who)
{
	who = dsm_nodeset_minus(dsm_nodeset_and(who, &m->view.members), &m->suspects);
	return dsm_nodeset_without(who, m->self);
}

/* They do not come back as who they were; cut off, they notice it as well. */
void dsm_member_suspect(struct dsm_member_ctx *c, struct dsm_nodeset who)
{
	struct dsm_member *m = c->m;

	who = only_new(m, who);
	m->suspects = dsm_nodeset_or(m->suspects, &who);
	dsm_member_emit_kill(c, who);
}

void dsm_member_miss(struct dsm_member_ctx *c, struct dsm_nodeset who)
{
	who = only_new(c->m, who);
	if (!dsm_member_is_in(c->m) || dsm_nodeset_empty(&who))
		return;
	dsm_member_suspect(c, who);
	dsm_member_reconsider(c);
}

u8 dsm_member_on_suspect(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;
	u16 node = c->ev->node, master = dsm_member_master_of(m);
	bool told;

	if (dsm_nodeset_has(&p->linked, node) ||
	    dsm_nodeset_next(&p->linked, m->nr_nodes) != DSM_NODE_NONE)
		return DSM_V_BAD_FIELD;
	/* Not a member: another has to see to it. */
	if (!dsm_member_is_in(m)) {
		dsm_member_tell_status(c, dsm_nodeset_of(node));
		return DSM_V_OK;
	}
	/* Who is lost itself has no say. */
	if (dsm_nodeset_has(&m->suspects, node) ||
	    !dsm_nodeset_has(&m->view.members, node))
		return DSM_V_LATE;
	/* By its view another may be the master: each would wait for the other. */
	told = dsm_member_tell_missed(c, p->round);
	/* This node would be the next master, but does not miss the present one. */
	if (master != m->self && dsm_nodeset_has(&p->linked, master)) {
		tell_suspects(c, master, dsm_nodeset_of(node));
		return DSM_V_OK;
	}
	if (master != m->self || dsm_nodeset_has(&p->linked, m->self))
		return told ? DSM_V_OK : DSM_V_LATE;
	dsm_member_miss(c, p->linked);
	return DSM_V_OK;
}

/* Does anything depend on what this node has said to the other, or it to this? */
static bool is_bound(const struct dsm_member *m, u16 node)
{
	switch ((enum dsm_member_state)m->state) {
	case DSM_MS_VOTED:
		return m->candidate == node;
	case DSM_MS_PROPOSING:
		return dsm_nodeset_has(&m->voters, node);
	case DSM_MS_JOINING:
		return m->asked == node;
	case DSM_MS_OUT:
	case DSM_MS_IN:
	case DSM_MS_ASKED:
	case DSM_MS_LEAVING:
	case DSM_MS_DONE:
	case DSM_MS_GONE:
	case DSM_NR_MEMBER_STATES:
		break;
	}
	return false;
}

/*
 * Nothing that the node promised, asked or was asked counts any more.  Unless it
 * is another incarnation, it is made to see that too.
 */
static void forget(struct dsm_member_ctx *c, u16 node)
{
	struct dsm_member *m = c->m;

	if (is_bound(m, node)) {
		if (m->state == DSM_MS_PROPOSING)
			dsm_member_give_up_proposal(c);
		else
			dsm_member_back_off(c, DSM_MS_OUT, m->state == DSM_MS_VOTED ?
					    0 : DSM_MEMBER_RETRY_US);
		if (!c->ev->reset)
			dsm_member_emit_kill(c, dsm_nodeset_of(node));
	}
	if (m->pending == node) {
		m->pending = DSM_NODE_NONE;
		dsm_member_take_back(c);
	}
	if (!c->ev->reset) {
		dsm_member_miss(c, dsm_nodeset_of(node));
	} else if (dsm_member_is_in(m) && dsm_nodeset_has(&m->view.members, node) &&
		   !dsm_nodeset_has(&m->suspects, node)) {
		dsm_nodeset_add(&m->suspects, node);
		dsm_member_reconsider(c);
	}
}

static void unlink_node(struct dsm_member *m, u16 node)
{
	dsm_nodeset_del(&m->linked, node);
	dsm_nodeset_del(&m->out, node);
	dsm_nodeset_del(&m->in, node);
}

u8 dsm_member_on_link_up(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	u16 node = c->ev->node;

	if (c->ev->reset) {
		unlink_node(m, node);
		dsm_nodeset_del(&m->departed, node);
		forget(c, node);
	}
	dsm_nodeset_add(&m->linked, node);
	dsm_member_tell_status(c, dsm_nodeset_of(node));
	return DSM_V_OK;
}

u8 dsm_member_on_link_down(struct dsm_member_ctx *c, bool lost)
{
	struct dsm_member *m = c->m;
	u16 node = c->ev->node;

	unlink_node(m, node);
	if (dsm_nodeset_has(&m->departed, node)) {
		dsm_nodeset_del(&m->departed, node);
		dsm_member_emit_kill(c, dsm_nodeset_of(node));
	} else if (lost) {
		forget(c, node);
	}
	return DSM_V_OK;
}
