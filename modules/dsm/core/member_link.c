// SPDX-License-Identifier: GPL-2.0
/* Links that come and go, and nodes that are lost with them. */
#include "member_machine.h"

/* A member is not coming back as the one it was. */
static void lose(struct dsm_member_ctx *c, u16 node)
{
	struct dsm_member *m = c->m;
	struct dsm_view v = m->view;
	u16 master;

	if (!dsm_member_is_in(m) || !dsm_nodeset_has(&v.members, node))
		return;
	/* All is handed over: what is left to miss is the answer of the master. */
	if (m->state == DSM_MS_DONE) {
		if (node == dsm_view_master(&m->view))
			dsm_member_enter_gone(c, DSM_MR_LEFT);
		return;
	}
	dsm_nodeset_add(&m->suspects, node);
	v.members = dsm_nodeset_minus(v.members, &m->suspects);
	if (!dsm_nodeset_has_quorum(&v.members, &m->view.members) ||
	    !dsm_nodeset_has_quorum(&v.members, &m->base)) {
		dsm_member_enter_gone(c, DSM_MR_MINORITY);
		return;
	}
	v.leaving = dsm_nodeset_minus(v.leaving, &m->suspects);
	master = dsm_view_master(&v);
	if (master != m->self) {
		dsm_member_emit_send(c, dsm_nodeset_of(master), DSM_MM_SUSPECT)->node = node;
		return;
	}
	v.lost = dsm_nodeset_or(v.lost, &m->suspects);
	v.epoch++;
	dsm_member_publish(c, &v, 0);
}

u8 dsm_member_on_suspect(struct dsm_member_ctx *c, const struct dsm_member_packet *p)
{
	struct dsm_member *m = c->m;

	if (p->node >= m->nr_nodes || p->node == c->ev->node)
		return DSM_V_BAD_FIELD;
	/* This node may be the next master, but does not miss the present one. */
	if (!dsm_member_is_master(m) || p->node == m->self ||
	    !dsm_nodeset_has(&m->view.members, c->ev->node))
		return DSM_V_LATE;
	lose(c, p->node);
	return DSM_V_OK;
}

/* Nothing that the node promised, asked or was asked counts any more. */
static void forget(struct dsm_member_ctx *c, u16 node)
{
	struct dsm_member *m = c->m;

	if (m->pending == node)
		m->pending = DSM_NODE_NONE;
	if (m->state == DSM_MS_VOTED && m->candidate == node)
		dsm_member_back_off(c, DSM_MS_OUT, 0);
	else if (m->state == DSM_MS_PROPOSING && dsm_nodeset_has(&m->voters, node))
		dsm_member_give_up_proposal(c);
	else if (m->state == DSM_MS_JOINING &&
		 dsm_view_master(&m->peer_view) == node)
		dsm_member_back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
	lose(c, node);
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
		if (dsm_nodeset_has(&m->view.members, node))
			dsm_nodeset_add(&m->fresh, node);
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
