// SPDX-License-Identifier: GPL-2.0
/* Views, and the names of what the membership machine has numbers for. */
#include "member.h"

u16 dsm_view_master(const struct dsm_view *v)
{
	struct dsm_nodeset stay = dsm_nodeset_minus(v->members, &v->leaving);

	if (dsm_nodeset_empty(&stay))
		stay = v->members;
	return dsm_nodeset_next(&stay, 0);
}

u8 dsm_view_check(const struct dsm_view *v, u16 nr_nodes)
{
	struct dsm_nodeset all = dsm_nodeset_or(v->members, &v->lost);
	struct dsm_nodeset bad = dsm_nodeset_minus(v->leaving, &v->members);
	struct dsm_nodeset both = dsm_nodeset_and(v->lost, &v->members);

	if (dsm_nodeset_next(&all, nr_nodes) != DSM_NODE_NONE ||
	    !dsm_nodeset_empty(&bad) || !dsm_nodeset_empty(&both))
		return DSM_V_BAD_FIELD;
	if (!v->number != dsm_nodeset_empty(&v->members))
		return DSM_V_BAD_FIELD;
	return DSM_V_OK;
}

/* The next node that stays, going round: who takes over from this one. */
u16 dsm_view_successor(const struct dsm_view *v, const struct dsm_nodeset *missing,
		       u16 node)
{
	struct dsm_nodeset stay = dsm_nodeset_minus(v->members, &v->leaving);
	u16 next;

	stay = dsm_nodeset_minus(stay, missing);
	dsm_nodeset_del(&stay, node);
	next = dsm_nodeset_next(&stay, node);
	return next != DSM_NODE_NONE ? next : dsm_nodeset_next(&stay, 0);
}

bool dsm_nodeset_has_quorum(const struct dsm_nodeset *part,
			    const struct dsm_nodeset *all)
{
	struct dsm_nodeset mine = dsm_nodeset_and(*part, all);
	u16 nr = dsm_nodeset_weight(all);
	u16 nr_mine = dsm_nodeset_weight(&mine);

	return 2 * nr_mine > nr ||
	       (2 * nr_mine == nr &&
		dsm_nodeset_has(&mine, dsm_nodeset_next(all, 0)));
}

/* ---- names ---- */

#define NAME_OF(table, i) \
	((i) < sizeof(table) / sizeof((table)[0]) ? (table)[i] : "?")

const char *dsm_member_state_name(u8 state)
{
	static const char * const names[DSM_NR_MEMBER_STATES] = {
#define X(name) [DSM_MS_##name] = #name,
		DSM_MEMBER_STATES(X)
#undef X
	};

	return NAME_OF(names, state);
}

const char *dsm_member_msg_name(u8 type)
{
	static const char * const names[DSM_NR_MEMBER_MSGS] = {
#define X(name) [DSM_MM_##name] = #name,
		DSM_MEMBER_MSGS(X)
#undef X
	};

	return NAME_OF(names, type);
}

const char *dsm_member_event_name(u8 event)
{
	static const char * const names[DSM_NR_MEMBER_EVENTS] = {
#define X(name) [DSM_ME_##name] = #name,
		DSM_MEMBER_EVENTS(X)
#undef X
	};

	return NAME_OF(names, event);
}

const char *dsm_member_action_name(u8 type)
{
	static const char * const names[DSM_NR_MEMBER_ACTIONS] = {
#define X(name) [DSM_MA_##name] = #name,
		DSM_MEMBER_ACTIONS(X)
#undef X
	};

	return NAME_OF(names, type);
}

const char *dsm_member_reason_name(u8 reason)
{
	static const char * const names[DSM_NR_MEMBER_REASONS] = {
#define X(name) [DSM_MR_##name] = #name,
		DSM_MEMBER_REASONS(X)
#undef X
	};

	return NAME_OF(names, reason);
}
