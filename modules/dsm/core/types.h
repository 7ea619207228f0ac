/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Vocabulary of the coherence protocol: nodes, rights, messages, actions.
 *
 * Everything below modules/dsm/core/ is pure: it calls nothing, allocates
 * nothing, knows no time of its own and cannot fail.  The same files are
 * compiled into dsm.ko, the simulator, the explorer and the fuzzers.
 */
#ifndef DSM_CORE_TYPES_H
#define DSM_CORE_TYPES_H

#include <linux/types.h>

#define DSM_MAX_NODES	256
#define DSM_PAGE_SIZE	4096u

/*
 * A node number fits in a u16 so that DSM_NODE_NONE is not a node.  On the
 * wire and in state it is always below DSM_MAX_NODES or DSM_NODE_NONE.
 */
#define DSM_NODE_NONE	0xffffu

/**
 * enum dsm_right - what a node may do with its copy of a page
 * @DSM_RIGHT_NONE:	nothing
 * @DSM_RIGHT_READ:	read; others may hold copies as well
 * @DSM_RIGHT_WRITE:	read and write; no one else holds a copy
 */
enum dsm_right {
	DSM_RIGHT_NONE,
	DSM_RIGHT_READ,
	DSM_RIGHT_WRITE,
};

/*
 * Messages of the page protocol.  X(NAME, to_dir): to_dir says which of the
 * two machines of the receiver consumes it, the directory or the page.
 *
 * GETS, GETX	requester -> home: grant me the right to read, to write
 * PUT		evictor -> home: I parked my copy, may I drop it?
 * DONE		requester -> home: the granted right has arrived
 * PUSHED	push target -> home: I took the pushed page, or I refused it
 * MOVE		old home -> new home: this is the directory entry
 * GRANT	holder or home -> requester: the right, with the page if needed
 * ACK		sharer -> requester: I gave up my copy
 * INV		home -> holder: give up your copy, answer to the requester
 * FWDS		home -> holder: share your copy with the requester
 * PULL		home -> evictor: yours is the last copy, push it to the target
 * PUSH		evictor -> target: the last copy
 * PUT_ACK	home -> evictor: forget the page
 * PUT_NAK	home -> evictor: keep the page
 */
#define DSM_MSG_TYPES(X)	\
	X(GETS, 1)		\
	X(GETX, 1)		\
	X(PUT, 1)		\
	X(DONE, 1)		\
	X(PUSHED, 1)		\
	X(MOVE, 1)		\
	X(GRANT, 0)		\
	X(ACK, 0)		\
	X(INV, 0)		\
	X(FWDS, 0)		\
	X(PULL, 0)		\
	X(PUSH, 0)		\
	X(PUT_ACK, 0)		\
	X(PUT_NAK, 0)

enum dsm_msg_type {
#define X(name, to_dir) DSM_MSG_##name,
	DSM_MSG_TYPES(X)
#undef X
	DSM_NR_MSG_TYPES,
};

/* Flags of a message; which are legal with which type: see wire.c. */
#define DSM_MF_PAGE	0x01	/* the page travels with the message */
#define DSM_MF_ZERO	0x02	/* the page was never written: all zeroes */
#define DSM_MF_WRITE	0x04	/* GRANT: right to write; INV, FWDS: of the owner's copy */
#define DSM_MF_DONE	0x08	/* GRANT, ACK, INV, FWDS: requester owes home a DONE */
#define DSM_MF_FIN	0x10	/* INV, FWDS to home's own copy: home is done with the reply */
#define DSM_MF_DATA	0x20	/* INV: answer with the page, not with an ACK */
#define DSM_MF_REFUSED	0x40	/* PUSHED: no room, or the page is wanted here already */
#define DSM_MF_FWDED	0x80	/* a request that a leaving home passed on */
#define DSM_MF_ALL	0xff

/**
 * struct dsm_nodeset - a set of nodes
 * @w:	bit n of word n / 64 stands for node n
 */
struct dsm_nodeset {
	u64 w[DSM_MAX_NODES / 64];
};

/**
 * struct dsm_msg - a message of the page protocol, in host form
 * @type:	enum dsm_msg_type
 * @flags:	DSM_MF_*
 * @from:	node that sent it over the link it came on
 * @requester:	node whose request this message serves
 * @home:	node whose directory serialised the request
 * @target:	PULL: where to push; PUT: a node with room, or DSM_NODE_NONE
 * @nr_acks:	GRANT, ACK, INV: replies that the requester must collect
 * @age:	GETS, GETX, INV, FWDS: of the requester's turn, see turn.h
 * @tid:	transaction id, unique per requester
 * @epoch:	cluster epoch of the sender
 * @region:	region id, never reused
 * @gen:	generation of the region
 * @page:	page index in the region
 * @dir_state:	MOVE: enum dsm_dir_state of the entry
 * @owner:	MOVE: the owner, if @dir_state is E; the sharers travel beside it
 */
struct dsm_msg {
	u8 type;
	u8 flags;
	u8 dir_state;
	u16 from;
	u16 requester;
	u16 home;
	u16 target;
	u16 owner;
	u16 nr_acks;
	u16 age;
	u32 tid;
	u32 epoch;
	u32 region;
	u32 gen;
	u64 page;
};

/*
 * Events of the page machine.  The local ones come from the shell of this
 * node, the others are the messages that do not go to the directory.
 *
 * READ, WRITE	a local access wants the right
 * EVICT	memory is short: give the copy up
 * DISCARD	the contents are no longer wanted (truncate, punch hole)
 * REVOKED	the shell did what a REVOKE action asked for
 * UNREVOKED	the shell could not: the page is in use (eviction only)
 * TIMER	the time that a TIMER action named has come
 * USED		whoever waited for the page has it
 */
#define DSM_PAGE_EVENTS(X)	\
	X(READ)			\
	X(WRITE)		\
	X(EVICT)		\
	X(DISCARD)		\
	X(REVOKED)		\
	X(UNREVOKED)		\
	X(TIMER)		\
	X(USED)			\
	X(GRANT)		\
	X(ACK)			\
	X(INV)			\
	X(FWDS)			\
	X(PULL)			\
	X(PUSH)			\
	X(PUT_ACK)		\
	X(PUT_NAK)

enum dsm_page_event {
#define X(name) DSM_PE_##name,
	DSM_PAGE_EVENTS(X)
#undef X
	DSM_NR_PAGE_EVENTS,
};

/*
 * Events of the directory.  HANDOFF: this node is leaving, the entry goes to
 * the successor; DRAIN: go on with the queue (see dsm_out.more); the others
 * are messages.
 */
#define DSM_DIR_EVENTS(X)	\
	X(GETS)			\
	X(GETX)			\
	X(PUT)			\
	X(DONE)			\
	X(PUSHED)		\
	X(MOVE)			\
	X(HANDOFF)		\
	X(DRAIN)

enum dsm_dir_event {
#define X(name) DSM_DE_##name,
	DSM_DIR_EVENTS(X)
#undef X
	DSM_NR_DIR_EVENTS,
};

/*
 * States of a page at a node.
 *
 * I		no copy
 * IS, IX	no copy, right to read / write requested
 * S		copy, may be read
 * SX		copy, may be read, right to write requested
 * E		sole copy, may be read and written
 * S_AWAY	S, being unmapped because home took it away
 * SX_AWAY	SX, likewise
 * E_AWAY	E, likewise
 * E_DOWN	E, being write-protected because home shares it out
 * S_PARK	S, being unmapped because memory is short
 * E_PARK	E, likewise
 * PS, PE	unmapped copy of an S / E page, home was asked to let it go
 * PI		as PS or PE, but home took the copy away meanwhile
 * PX		unmapped copy, pushed to another node, outcome not known yet
 */
#define DSM_PAGE_STATES(X)	\
	X(I)			\
	X(IS)			\
	X(IX)			\
	X(S)			\
	X(SX)			\
	X(E)			\
	X(S_AWAY)		\
	X(SX_AWAY)		\
	X(E_AWAY)		\
	X(E_DOWN)		\
	X(S_PARK)		\
	X(E_PARK)		\
	X(PS)			\
	X(PE)			\
	X(PI)			\
	X(PX)

enum dsm_page_state {
#define X(name) DSM_PS_##name,
	DSM_PAGE_STATES(X)
#undef X
	DSM_NR_PAGE_STATES,
};

/*
 * States of a directory entry.
 *
 * Z		never written, no copy anywhere
 * ZS		never written, zero pages at the sharers
 * S		copies at the sharers
 * E		one copy at the owner
 * BR, BW, BP	busy: serving a GETS, a GETX, a PUT; requests are queued
 * BQ		not busy, but the queue is not empty yet: wants DRAIN
 * MOVED	the directory entry is at the successor
 */
#define DSM_DIR_STATES(X)	\
	X(Z)			\
	X(ZS)			\
	X(S)			\
	X(E)			\
	X(BR)			\
	X(BW)			\
	X(BP)			\
	X(BQ)			\
	X(MOVED)

enum dsm_dir_state {
#define X(name) DSM_DS_##name,
	DSM_DIR_STATES(X)
#undef X
	DSM_NR_DIR_STATES,
};

/*
 * What can be wrong with a message, or with an event of the shell.  Whatever
 * is not OK changed no state.
 *
 * LATE		a reply to a transaction that is over: dropped, counted
 * STALE	an older epoch or generation: dropped, counted
 * AHEAD	a newer epoch or generation: dropped, counted
 * BAD_STATE	the message is impossible in this state
 * BAD_SENDER	the sender cannot send this (not home, not a node, …)
 * BAD_FIELD	a field is out of range or contradicts another
 * OVERFLOW	more requests than the nodes can have outstanding
 * DUPLICATE	the same request is queued or served already
 */
#define DSM_VERDICTS(X)		\
	X(OK)			\
	X(LATE)			\
	X(STALE)		\
	X(AHEAD)		\
	X(BAD_STATE)		\
	X(BAD_SENDER)		\
	X(BAD_FIELD)		\
	X(OVERFLOW)		\
	X(DUPLICATE)

enum dsm_verdict {
#define X(name) DSM_V_##name,
	DSM_VERDICTS(X)
#undef X
	DSM_NR_VERDICTS,
};

/**
 * dsm_verdict_is_error() - does this verdict cost the sender its connection?
 * @v:	enum dsm_verdict
 */
static inline bool dsm_verdict_is_error(u8 v)
{
	return v >= DSM_V_BAD_STATE && v != DSM_V_DUPLICATE;
}

/*
 * What the shell has to do after a step, in this order.
 *
 * SEND		send @msg to @to; with DSM_MF_PAGE the page travels with it: a
 *		copy stays here, or, with @give, the page leaves for good
 * MULTICAST	send @msg to every node of dsm_out.set
 * INSTALL	the page that came with the message is the contents now
 * INSTALL_ZERO	a page of zeroes is the contents now
 * DROP		free the page
 * REVOKE	unmap (@right NONE) or write-protect (@right READ) the page,
 *		wait until no one uses it, then report REVOKED or UNREVOKED
 * TIMER	report TIMER when the time is @at_us
 * WAKE		those who wait for the page look again
 */
#define DSM_ACTIONS(X)		\
	X(SEND)			\
	X(MULTICAST)		\
	X(INSTALL)		\
	X(INSTALL_ZERO)		\
	X(DROP)			\
	X(REVOKE)		\
	X(TIMER)		\
	X(WAKE)

enum dsm_action_type {
#define X(name) DSM_A_##name,
	DSM_ACTIONS(X)
#undef X
	DSM_NR_ACTIONS,
};

/**
 * struct dsm_action - one thing for the shell to do
 * @type:	enum dsm_action_type
 * @right:	REVOKE: the right that remains, enum dsm_right
 * @give:	SEND: the page leaves this node with the message
 * @must:	REVOKE: report REVOKED in the end; UNREVOKED is not accepted
 * @to:		SEND: receiver, never this node
 * @at_us:	TIMER: absolute time in microseconds
 * @msg:	SEND, MULTICAST: the message
 */
struct dsm_action {
	u8 type;
	u8 right;
	bool give;
	bool must;
	u16 to;
	u64 at_us;
	struct dsm_msg msg;
};

/* Most actions, table cells and messages to itself of one step. */
#define DSM_MAX_ACTIONS	24
#define DSM_MAX_CELLS	24
#define DSM_MAX_LOOP	8

/**
 * struct dsm_out - what a step decided
 * @verdict:	enum dsm_verdict of the event; unless OK, nothing was changed
 * @nr:		used entries of @act
 * @nr_cells:	used entries of @cell
 * @cell:	table cells the step went through, for coverage and tracing
 * @turn_over:	the page's user kept it as long as it may, see turn.h
 * @more:	the queue of the directory wants a DRAIN event, at once
 * @set:	receivers of the one MULTICAST, or the sharers of the one MOVE
 * @idle:	the busy record of the directory entry that is free again
 * @act:	the actions, in order
 * @loop_head:	private to the core: messages of the node to itself
 * @loop_nr:	likewise
 * @loop:	likewise
 */
struct dsm_out {
	u8 verdict;
	u8 nr;
	u8 nr_cells;
	bool turn_over;
	bool more;
	struct {
		u8 dir;		/* 0: page table, 1: directory table */
		u8 state;
		u8 event;
	} cell[DSM_MAX_CELLS];
	struct dsm_nodeset set;
	struct dsm_busy *idle;
	struct dsm_action act[DSM_MAX_ACTIONS];
	u8 loop_head;
	u8 loop_nr;
	struct dsm_msg loop[DSM_MAX_LOOP];
};

/* Names for traces, tables and tests; never NULL. */
const char *dsm_msg_name(u8 type);
const char *dsm_page_state_name(u8 state);
const char *dsm_page_event_name(u8 event);
const char *dsm_dir_state_name(u8 state);
const char *dsm_dir_event_name(u8 event);
const char *dsm_verdict_name(u8 verdict);
const char *dsm_action_name(u8 type);

#endif
