// SPDX-License-Identifier: GPL-2.0
/*
 * A step: check the event, run the machine it belongs to, then run whatever
 * this node sent to itself until nothing is left.  The home of a page is a
 * sharer like any other; that its directory talks to its own page machine
 * without a network is settled here and nowhere else.
 */
#include "machine.h"

bool dsm_msg_to_dir(u8 type)
{
	static const bool to_dir[DSM_NR_MSG_TYPES] = {
#define X(name, dir) [DSM_MSG_##name] = dir,
		DSM_MSG_TYPES(X)
#undef X
	};

	return type < DSM_NR_MSG_TYPES && to_dir[type];
}

static u8 event_of_msg(u8 type)
{
	switch ((enum dsm_msg_type)type) {
	case DSM_MSG_GETS:	return DSM_DE_GETS;
	case DSM_MSG_GETX:	return DSM_DE_GETX;
	case DSM_MSG_PUT:	return DSM_DE_PUT;
	case DSM_MSG_DONE:	return DSM_DE_DONE;
	case DSM_MSG_PUSHED:	return DSM_DE_PUSHED;
	case DSM_MSG_MOVE:	return DSM_DE_MOVE;
	case DSM_MSG_GRANT:	return DSM_PE_GRANT;
	case DSM_MSG_ACK:	return DSM_PE_ACK;
	case DSM_MSG_INV:	return DSM_PE_INV;
	case DSM_MSG_FWDS:	return DSM_PE_FWDS;
	case DSM_MSG_PULL:	return DSM_PE_PULL;
	case DSM_MSG_PUSH:	return DSM_PE_PUSH;
	case DSM_MSG_PUT_ACK:	return DSM_PE_PUT_ACK;
	case DSM_MSG_PUT_NAK:	return DSM_PE_PUT_NAK;
	case DSM_NR_MSG_TYPES:
		break;
	}
	return 0;
}

struct dsm_msg dsm_msg_make(const struct dsm_ctx *c, u8 type)
{
	return (struct dsm_msg){
		.type = type,
		.from = c->ev->self,
		.requester = c->ev->self,
		.home = c->ev->home,
		.target = DSM_NODE_NONE,
		.owner = DSM_NODE_NONE,
		.epoch = c->ev->epoch,
		.region = c->ev->region,
		.gen = c->ev->gen,
		.page = c->ev->page,
	};
}

/* The bounds hold by construction; the explorer asserts that they do. */
struct dsm_action *dsm_emit(struct dsm_ctx *c, u8 type)
{
	struct dsm_out *out = c->out;
	struct dsm_action *a = &out->act[out->nr];

	if (out->nr < DSM_MAX_ACTIONS - 1)
		out->nr++;
	*a = (struct dsm_action){ .type = type, .to = DSM_NODE_NONE };
	return a;
}

void dsm_emit_msg(struct dsm_ctx *c, u16 to, const struct dsm_msg *m, bool give)
{
	struct dsm_out *out = c->out;
	struct dsm_action *a;

	if (to == c->ev->self) {
		if (out->loop_nr < DSM_MAX_LOOP)
			out->loop[(out->loop_head + out->loop_nr++) % DSM_MAX_LOOP] = *m;
		return;
	}
	a = dsm_emit(c, DSM_A_SEND);
	a->to = to;
	a->give = give;
	a->msg = *m;
}

void dsm_emit_multicast(struct dsm_ctx *c, const struct dsm_nodeset *to,
			const struct dsm_msg *m)
{
	struct dsm_nodeset others = *to;

	dsm_nodeset_del(&others, c->ev->self);
	if (!dsm_nodeset_empty(&others)) {
		c->out->set = others;
		dsm_emit(c, DSM_A_MULTICAST)->msg = *m;
	}
	if (dsm_nodeset_has(to, c->ev->self))
		dsm_emit_msg(c, c->ev->self, m, false);
}

static u8 run_msg(struct dsm_ctx *c, const struct dsm_msg *m)
{
	if (!dsm_msg_to_dir(m->type))
		return dsm_page_run(c, event_of_msg(m->type), m);
	if (!c->d || !c->d->busy)
		return DSM_V_BAD_SENDER;
	return dsm_dir_run(c, event_of_msg(m->type), m);
}

static bool is_node(const struct dsm_event *ev, u16 node)
{
	return node < ev->nr_nodes && node < DSM_MAX_NODES;
}

/* Is the node that sent this message the one that may? */
static bool sender_ok(const struct dsm_event *ev, const struct dsm_msg *m)
{
	switch ((enum dsm_msg_type)m->type) {
	case DSM_MSG_GETS:
	case DSM_MSG_GETX:
	case DSM_MSG_PUT:
		return m->from == m->requester || m->flags & DSM_MF_FWDED;
	case DSM_MSG_DONE:
		return m->from == m->requester;
	case DSM_MSG_PUSHED:
		return m->from == m->target;
	case DSM_MSG_GRANT:
	case DSM_MSG_ACK:
		return m->requester == ev->self;
	case DSM_MSG_INV:
	case DSM_MSG_FWDS:
		return m->from == m->home && m->requester != ev->self;
	case DSM_MSG_PULL:
		return m->from == m->home && m->requester == ev->self &&
		       m->target != ev->self;
	case DSM_MSG_PUT_ACK:
	case DSM_MSG_PUT_NAK:
		return m->from == m->home && m->requester == ev->self;
	case DSM_MSG_PUSH:
		return m->from == m->requester && m->target == ev->self;
	case DSM_MSG_MOVE:
		return m->from != ev->self;
	case DSM_NR_MSG_TYPES:
		break;
	}
	return false;
}

static u8 check_msg(const struct dsm_event *ev)
{
	const struct dsm_msg *m = &ev->msg;

	if (m->epoch != ev->epoch)
		return (s32)(m->epoch - ev->epoch) < 0 ? DSM_V_STALE : DSM_V_AHEAD;
	if (m->gen != ev->gen)
		return (s32)(m->gen - ev->gen) < 0 ? DSM_V_STALE : DSM_V_AHEAD;
	if (m->type >= DSM_NR_MSG_TYPES || m->region != ev->region ||
	    m->page != ev->page)
		return DSM_V_BAD_FIELD;
	if (!is_node(ev, m->from) || !is_node(ev, m->requester) ||
	    !is_node(ev, m->home))
		return DSM_V_BAD_SENDER;
	if (m->target != DSM_NODE_NONE && !is_node(ev, m->target))
		return DSM_V_BAD_FIELD;
	if (m->nr_acks > ev->nr_nodes)
		return DSM_V_BAD_FIELD;
	if (!sender_ok(ev, m))
		return DSM_V_BAD_SENDER;
	return DSM_V_OK;
}

static u8 run_event(struct dsm_ctx *c)
{
	const struct dsm_event *ev = c->ev;
	u8 verdict;

	switch ((enum dsm_event_kind)ev->kind) {
	case DSM_EK_MSG:
		verdict = check_msg(ev);
		return verdict == DSM_V_OK ? run_msg(c, &ev->msg) : verdict;
	case DSM_EK_PAGE:
		return dsm_page_run(c, ev->local, NULL);
	case DSM_EK_DIR:
		if (!c->d || !c->d->busy)
			return DSM_V_BAD_FIELD;
		return dsm_dir_run(c, ev->local, NULL);
	}
	return DSM_V_BAD_FIELD;
}

void dsm_step(struct dsm_page *p, struct dsm_dir *d,
	      const struct dsm_event *ev, struct dsm_out *out)
{
	struct dsm_ctx c = { .p = p, .d = d, .ev = ev, .out = out };

	out->nr = 0;
	out->nr_cells = 0;
	out->more = false;
	out->turn_over = false;
	out->idle = NULL;
	out->loop_head = 0;
	out->loop_nr = 0;
	out->verdict = run_event(&c);

	while (out->loop_nr) {
		struct dsm_msg m = out->loop[out->loop_head];
		u8 verdict;

		out->loop_head = (out->loop_head + 1) % DSM_MAX_LOOP;
		out->loop_nr--;
		verdict = run_msg(&c, &m);
		if (verdict != DSM_V_OK && out->verdict == DSM_V_OK)
			out->verdict = verdict;
	}

	if (d && d->busy && !dsm_dir_is_busy(d)) {
		out->idle = d->busy;
		d->busy = NULL;
	}
	out->more = d && d->state == DSM_DS_BQ;
}
