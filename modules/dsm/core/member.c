// SPDX-License-Identifier: GPL-2.0
/*
 * The membership machine, see member.h.
 *
 * Each event runs one handler; then proceed() does what the state asks for:
 * propose, join, leave.  It also sets the time of the next TIMER event, so that
 * a handler that refuses or fails only needs to say when to try again.
 */
#include "member_machine.h"

static u8 on_timer(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;
	u64 now = c->ev->now_us;

	if (!dsm_nodeset_empty(&m->departed) && now >= m->linger_us) {
		dsm_member_emit_kill(c, m->departed);
		dsm_nodeset_clear(&m->departed);
	}
	dsm_member_offer_timer(c);
	if (!m->until_us || now < m->until_us)
		return DSM_V_OK;
	switch ((enum dsm_member_state)m->state) {
	case DSM_MS_PROPOSING:
		dsm_member_give_up_proposal(c);
		break;
	case DSM_MS_JOINING:
		dsm_member_back_off(c, DSM_MS_OUT, DSM_MEMBER_RETRY_US);
		break;
	case DSM_MS_ASKED:
		dsm_member_back_off(c, DSM_MS_IN, 0);
		break;
	case DSM_MS_DONE:
		dsm_member_tell_left(c);
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
static void proceed(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	if (dsm_nodeset_empty(&m->in))
		m->peer_view = (struct dsm_view){ .number = 0 };
	if (m->want_leave && m->state == DSM_MS_OUT) {
		m->want_leave = false;
		dsm_member_enter_gone(c, DSM_MR_LEFT);
	}
	if (c->ev->now_us < m->retry_us)
		return;
	if (m->state == DSM_MS_IN && m->want_leave)
		dsm_member_try_leave(c);
	if (m->state != DSM_MS_OUT)
		return;
	if (dsm_nodeset_empty(&m->in))
		dsm_member_try_form(c);
	else
		dsm_member_try_join(c);
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
	if (m->offering)
		at = sooner(at, m->offer_us);
	if ((m->state == DSM_MS_OUT || m->want_leave) && m->retry_us > now)
		at = sooner(at, m->retry_us);
	if (m->state == DSM_MS_OUT && m->majority_us)
		at = sooner(at, m->majority_us + DSM_MEMBER_GRACE_US > now ?
				m->majority_us + DSM_MEMBER_GRACE_US : 0);
	return at;
}

static u8 on_packet(struct dsm_member_ctx *c)
{
	const struct dsm_member_packet *p = &c->ev->packet;

	if (dsm_view_check(&p->view, c->m->nr_nodes) != DSM_V_OK)
		return DSM_V_BAD_FIELD;
	switch ((enum dsm_member_msg)p->type) {
	case DSM_MM_STATUS:
		return dsm_member_on_status(c, p);
	case DSM_MM_PROPOSE:
		return dsm_member_on_propose(c, p);
	case DSM_MM_ACCEPT:
	case DSM_MM_REJECT:
		return dsm_member_on_vote(c, p);
	case DSM_MM_RELEASE:
		return dsm_member_on_release(c);
	case DSM_MM_JOIN:
		return dsm_member_on_join(c, p);
	case DSM_MM_LEAVE:
		return dsm_member_on_leave(c);
	case DSM_MM_LEFT:
		return dsm_member_on_left(c);
	case DSM_MM_REFUSE:
		return dsm_member_on_refuse(c, p);
	case DSM_MM_SUSPECT:
		return dsm_member_on_suspect(c, p);
	case DSM_MM_OFFER:
		return dsm_member_on_offer(c, p);
	case DSM_MM_AGREE:
		return dsm_member_on_agree(c, p);
	case DSM_MM_VIEW:
		return dsm_member_on_view(c, p);
	case DSM_NR_MEMBER_MSGS:
		break;
	}
	return DSM_V_BAD_FIELD;
}

static u8 on_event(struct dsm_member_ctx *c)
{
	struct dsm_member *m = c->m;

	switch ((enum dsm_member_event_type)c->ev->type) {
	case DSM_ME_LINK_UP:
		return dsm_member_on_link_up(c);
	case DSM_ME_LINK_DOWN:
		return dsm_member_on_link_down(c, false);
	case DSM_ME_LINK_LOST:
		return dsm_member_on_link_down(c, true);
	case DSM_ME_MSG:
		return on_packet(c);
	case DSM_ME_TIMER:
		return on_timer(c);
	case DSM_ME_LEAVE:
		m->want_leave = m->state < DSM_MS_ASKED;
		return DSM_V_OK;
	case DSM_ME_HANDED:
		return dsm_member_on_handed(c);
	case DSM_ME_ADMIT:
		return dsm_member_on_admit(c, true);
	case DSM_ME_DENY:
		return dsm_member_on_admit(c, false);
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
		.offerer = DSM_NODE_NONE,
		.asked = DSM_NODE_NONE,
		.admitted = DSM_NODE_NONE,
		.pending = DSM_NODE_NONE,
	};
}

void dsm_member_step(struct dsm_member *m, const struct dsm_member_event *ev,
		     struct dsm_member_out *out)
{
	struct dsm_member_ctx c = { .m = m, .ev = ev, .out = out };

	out->nr = 0;
	out->verdict = has_node(m, ev) ? on_event(&c) : DSM_V_BAD_SENDER;
	proceed(&c);
	m->deadline_us = next_deadline(m, ev->now_us);
}
