/* SPDX-License-Identifier: GPL-2.0 */
/* The page machine: what this node holds of a page and what it asked for. */
#ifndef DSM_CORE_PAGE_H
#define DSM_CORE_PAGE_H

#include "types.h"

/**
 * struct dsm_demand - what home wants of the copy and has not got yet
 * @type:	DSM_MSG_INV, DSM_MSG_FWDS, or DSM_NR_MSG_TYPES for none
 * @flags:	of the message
 * @requester:	of the message
 * @home:	of the message
 * @nr_acks:	of the message
 * @tid:	of the message
 * @since_us:	when the requester's turn began, see turn.h
 */
struct dsm_demand {
	u8 type;
	u8 flags;
	u16 requester;
	u16 home;
	u16 nr_acks;
	u32 tid;
	u64 since_us;
};

/**
 * struct dsm_page - a page as this node sees it
 * @state:	enum dsm_page_state
 * @parked:	state before it was parked, while @state is PX: S or E
 * @have_page:	IX: the contents have come, acks are missing
 * @zero:	IX: the contents are all zeroes
 * @target:	*_PARK: a node with room, or DSM_NODE_NONE
 * @acks_got:	IX, SX: replies collected so far
 * @tid:	transaction id of the request that is out
 * @hold_us:	how long the copy being asked for is to be held
 * @hold_max_us: how long at most, while its user is busy with other pages; 0: no longer
 * @grace_us:	how long at most, until whoever waits for it has used it
 * @held_until:	S, SX, E: not taken away before this time, microseconds
 * @held_max_until: S, SX, E: nor before this, while its user is busy
 * @unused_until: S, SX, E: nor before this, while no one has used it; 0: someone has
 * @demand:	S, SX, E: waits for @held_until; *_AWAY, *_DOWN, *_PARK: for
 *		REVOKED
 */
struct dsm_page {
	u8 state;
	u8 parked;
	bool have_page;
	bool zero;
	u16 target;
	u16 acks_got;
	u32 tid;
	u32 hold_us;
	u32 hold_max_us;
	u32 grace_us;
	u64 held_until;
	u64 held_max_until;
	u64 unused_until;
	struct dsm_demand demand;
};

/**
 * dsm_page_init() - a page of which this node holds nothing
 * @p:	the page
 */
static inline void dsm_page_init(struct dsm_page *p)
{
	*p = (struct dsm_page){
		.target = DSM_NODE_NONE,
		.demand.type = DSM_NR_MSG_TYPES,
	};
}

/**
 * dsm_page_right() - what local accesses may do right now
 * @p:	the page
 *
 * Return: enum dsm_right.
 */
static inline u8 dsm_page_right(const struct dsm_page *p)
{
	switch ((enum dsm_page_state)p->state) {
	case DSM_PS_S:
	case DSM_PS_SX:
	case DSM_PS_E_DOWN:
		return DSM_RIGHT_READ;
	case DSM_PS_E:
		return DSM_RIGHT_WRITE;
	case DSM_PS_I:
	case DSM_PS_IS:
	case DSM_PS_IX:
	case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY:
	case DSM_PS_E_AWAY:
	case DSM_PS_S_PARK:
	case DSM_PS_E_PARK:
	case DSM_PS_PS:
	case DSM_PS_PE:
	case DSM_PS_PI:
	case DSM_PS_PX:
	case DSM_NR_PAGE_STATES:
		break;
	}
	return DSM_RIGHT_NONE;
}

/**
 * dsm_page_has_copy() - does this node hold contents of the page?
 * @p:	the page
 */
static inline bool dsm_page_has_copy(const struct dsm_page *p)
{
	switch ((enum dsm_page_state)p->state) {
	case DSM_PS_S:
	case DSM_PS_SX:
	case DSM_PS_E:
	case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY:
	case DSM_PS_E_AWAY:
	case DSM_PS_E_DOWN:
	case DSM_PS_S_PARK:
	case DSM_PS_E_PARK:
	case DSM_PS_PS:
	case DSM_PS_PE:
	case DSM_PS_PX:
		return true;
	case DSM_PS_IX:
		return p->have_page;
	case DSM_PS_I:
	case DSM_PS_IS:
	case DSM_PS_PI:
	case DSM_NR_PAGE_STATES:
		break;
	}
	return false;
}

/**
 * dsm_page_idle() - may the record of this page be forgotten?
 * @p:	the page
 */
static inline bool dsm_page_idle(const struct dsm_page *p)
{
	return p->state == DSM_PS_I;
}

#endif
