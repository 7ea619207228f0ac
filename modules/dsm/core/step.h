/* SPDX-License-Identifier: GPL-2.0 */
/* The one entry to the page protocol: an event in, a list of actions out. */
#ifndef DSM_CORE_STEP_H
#define DSM_CORE_STEP_H

#include "dir.h"
#include "nodeset.h"
#include "page.h"
#include "types.h"

/**
 * enum dsm_event_kind - which of the three sorts of event
 * @DSM_EK_MSG:		a message has come
 * @DSM_EK_PAGE:	local event of the page machine
 * @DSM_EK_DIR:		local event of the directory: HANDOFF, DRAIN
 */
enum dsm_event_kind {
	DSM_EK_MSG,
	DSM_EK_PAGE,
	DSM_EK_DIR,
};

/**
 * struct dsm_event - what happened to a page
 * @kind:	enum dsm_event_kind
 * @local:	enum dsm_page_event or enum dsm_dir_event, if not a message
 * @room:	this node has room for a page that is pushed to it
 * @self:	this node
 * @nr_nodes:	node numbers of the cluster are below this
 * @home:	home of the page, from dsm_place_home()
 * @target:	EVICT: a node with room for the page, or DSM_NODE_NONE;
 *		HANDOFF: the successor
 * @epoch:	cluster epoch of this node
 * @region:	the region
 * @gen:	its generation
 * @page:	page index in the region
 * @fresh_tid:	READ, WRITE, REVOKED: an id this node never used, not 0
 * @hold_us:	READ, WRITE: how long the page is to be held once it is granted;
 *		USED: how long from now, if that is longer
 * @hold_max_us: READ, WRITE: how long at most, while its user is busy; 0: no longer
 * @grace_us:	READ, WRITE: how long at most, until it is USED; 0: no one waits for it
 * @busy_until_us: until when the page's user here needs it, see dsm_turn_busy_until()
 * @age:	of that user's turn, see turn.h
 * @now_us:	monotonic time, microseconds
 * @msg:	the message
 * @set:	MOVE: the sharers
 */
struct dsm_event {
	u8 kind;
	u8 local;
	bool room;
	u16 self;
	u16 nr_nodes;
	u16 home;
	u16 target;
	u32 epoch;
	u32 region;
	u32 gen;
	u64 page;
	u32 fresh_tid;
	u32 hold_us;
	u32 hold_max_us;
	u32 grace_us;
	u16 age;
	u64 busy_until_us;
	u64 now_us;
	struct dsm_msg msg;
	struct dsm_nodeset set;
};

/**
 * dsm_step() - let an event happen to a page
 * @p:		the page as this node sees it
 * @d:		its directory entry, with a busy record hung in; may be NULL
 *		if the event is no message to the directory and this node is
 *		not the home of the page
 * @ev:		the event
 * @out:	what is to be done about it; needs no initialisation
 *
 * Messages of the node to itself are consumed inside the step.
 *
 * Context: Whatever serialises the events of one page; calls nothing.
 */
void dsm_step(struct dsm_page *p, struct dsm_dir *d,
	      const struct dsm_event *ev, struct dsm_out *out);

/**
 * dsm_msg_to_dir() - does the directory consume this message?
 * @type:	enum dsm_msg_type
 */
bool dsm_msg_to_dir(u8 type);

/* The transition tables as text, for the generated documentation. */
const char *dsm_page_cell_name(u8 state, u8 event);
const char *dsm_dir_cell_name(u8 state, u8 event);

#endif
