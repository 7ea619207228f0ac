/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The membership machine: which nodes are the cluster, agreed by all of them.
 *
 * Formation: a node is OUT until a view names it.  The lowest of the nodes that
 * are all OUT and linked to it, and a majority of the configured
 * ones, proposes; each gives its vote to one candidate at a time and keeps it
 * until the candidate sends the view, releases the vote, or is lost.  So two
 * clusters cannot form: their majorities would share a voter.
 *
 * Joining, leaving: asked of the master (the lowest member that does not leave),
 * one at a time; whoever is refused asks again.
 *
 * Change: the master offers the next view to all members that stay; when each of
 * them has agreed, it publishes it.
 *
 * Loss: a member that loses another cuts it off, so that the other notices, and
 * tells the lowest survivor.  That offers the view without the lost nodes,
 * provided that the survivors are more than half of the members before, or half of
 * them and the lowest is among them, and not less than half of those configured;
 * a smaller rest gives up (GONE).  As all survivors have to agree, and none agrees
 * to what a node it has lost offers, only one part of the members goes on; as a
 * majority of those configured has to form a cluster, no second one does.  (Unless
 * so many left that it was less than half: see failure.rst.)  A lost node is not admitted again before
 * REBUILT says that nothing refers to it any more.
 */
#ifndef DSM_CORE_MEMBER_H
#define DSM_CORE_MEMBER_H

#include "nodeset.h"
#include "types.h"

/* How long a candidate waits for the votes, microseconds. */
#define DSM_MEMBER_VOTE_US	2000000ull
/* A majority waits that long for the rest, so that all begin together. */
#define DSM_MEMBER_GRACE_US	1500000ull
/* How long members have to agree to an offer until it is repeated. */
#define DSM_MEMBER_OFFER_US	1000000ull
/* Between two attempts to propose, join or leave. */
#define DSM_MEMBER_RETRY_US	200000ull
/* How long the answer to JOIN may take, metadata included. */
#define DSM_MEMBER_JOIN_US	30000000ull
/* Between two attempts to join, if it was refused because the node was lost. */
#define DSM_MEMBER_LOST_US	5000000ull
/* How long the answer to LEAVE or LEFT may take. */
#define DSM_MEMBER_LEAVE_US	2000000ull
/* A node that left is cut off when it hangs up, or after that long. */
#define DSM_MEMBER_LINGER_US	2000000ull

/*
 * OUT		not a member, may vote
 * VOTED	likewise, and the vote is given away
 * PROPOSING	likewise, and asks for votes
 * JOINING	asked the master to be let in
 * IN		member
 * ASKED	member, asked the master to let it leave
 * LEAVING	member in the view's leaving set: hands over
 * DONE		handed everything over, waits for the view without it
 * GONE		was a member; only a new incarnation comes back
 */
#define DSM_MEMBER_STATES(X)	\
	X(OUT)			\
	X(VOTED)		\
	X(PROPOSING)		\
	X(JOINING)		\
	X(IN)			\
	X(ASKED)		\
	X(LEAVING)		\
	X(DONE)			\
	X(GONE)

enum dsm_member_state {
#define X(name) DSM_MS_##name,
	DSM_MEMBER_STATES(X)
#undef X
	DSM_NR_MEMBER_STATES,
};

/*
 * STATUS	all linked: my state and my view
 * PROPOSE	candidate -> all: vote for me
 * ACCEPT	-> candidate: you have my vote
 * REJECT	-> candidate: you do not
 * RELEASE	candidate -> all: your vote is yours again
 * JOIN		OUT -> master: let me in
 * LEAVE	member -> master: let me go
 * LEFT		leaver -> master: everything is handed over
 * REFUSE	master -> who asked: not now, see reason
 * SUSPECT	member -> master: I have lost nodes
 * OFFER	master -> members that stay: may this be the next view?
 * AGREE	-> master: it may
 * VIEW		master -> all, member -> who has missed it: this is the cluster now
 */
#define DSM_MEMBER_MSGS(X)	\
	X(STATUS)		\
	X(PROPOSE)		\
	X(ACCEPT)		\
	X(REJECT)		\
	X(RELEASE)		\
	X(JOIN)			\
	X(LEAVE)		\
	X(LEFT)			\
	X(REFUSE)		\
	X(SUSPECT)		\
	X(OFFER)		\
	X(AGREE)		\
	X(VIEW)

enum dsm_member_msg {
#define X(name) DSM_MM_##name,
	DSM_MEMBER_MSGS(X)
#undef X
	DSM_NR_MEMBER_MSGS,
};

/*
 * Why a request was refused, or why a node is GONE.
 *
 * BUSY		another node joins or leaves just now
 * NOT_MASTER	ask the master
 * NOT_LINKED	the joiner has no connection to some member
 * NOT_MEMBER	it is no member, and does not agree to what members are asked
 * LOST		it was lost, and pages still refer to it
 * LEFT		it left, as it wanted
 * EXPELLED	the others went on without it
 * MINORITY	too few survivors
 */
#define DSM_MEMBER_REASONS(X)	\
	X(NONE)			\
	X(BUSY)			\
	X(NOT_MASTER)		\
	X(NOT_LINKED)		\
	X(NOT_MEMBER)		\
	X(LOST)			\
	X(LEFT)			\
	X(EXPELLED)		\
	X(MINORITY)

enum dsm_member_reason {
#define X(name) DSM_MR_##name,
	DSM_MEMBER_REASONS(X)
#undef X
	DSM_NR_MEMBER_REASONS,
};

/**
 * struct dsm_view - the cluster, as of one number
 * @cluster:	incarnation of the node that formed it: tells clusters apart
 * @number:	0: none yet
 * @epoch:	one more each time a node is lost
 * @members:	the nodes, those that leave included
 * @leaving:	members that hand over
 * @lost:	former members that did not
 */
struct dsm_view {
	u32 cluster;
	u32 number;
	u32 epoch;
	struct dsm_nodeset members;
	struct dsm_nodeset leaving;
	struct dsm_nodeset lost;
};

/**
 * struct dsm_member_packet - a message of the membership, in host form
 * @type:	enum dsm_member_msg
 * @state:	STATUS: enum dsm_member_state of the sender
 * @reason:	REFUSE: enum dsm_member_reason; STATUS: likewise, if GONE
 * @round:	PROPOSE, ACCEPT, REJECT, RELEASE, first VIEW: number of the
 *		proposal; JOIN, VIEW after it: incarnation of the joiner, or 0;
 *		OFFER, SUSPECT: number of the sender's present view; AGREE:
 *		number of the view, or a higher one: offer it above that
 * @view:	STATUS, OFFER, VIEW; PROPOSE: the cluster that is to be
 * @linked:	JOIN: who the sender is linked to; SUSPECT: whom it has lost
 */
struct dsm_member_packet {
	u8 type;
	u8 state;
	u8 reason;
	u32 round;
	struct dsm_view view;
	struct dsm_nodeset linked;
};

/*
 * LINK_UP	connected to a node; @reset: it is another incarnation
 * LINK_DOWN	not connected, may come again
 * LINK_LOST	the node layer has given up
 * MSG		a message of the membership
 * TIMER	deadline has passed
 * LEAVE	this node is to leave; again and again until it is GONE, and with
 *		no change of the metadata under way if it is the master
 * HANDED	this node has handed over what it had (or gave that up)
 * ADMIT	the joiner has the metadata; the caller lets no change of it in
 *		between
 * DENY		it could not be sent
 * REBUILT	nothing refers to a lost node any more
 */
#define DSM_MEMBER_EVENTS(X)	\
	X(LINK_UP)		\
	X(LINK_DOWN)		\
	X(LINK_LOST)		\
	X(MSG)			\
	X(TIMER)		\
	X(LEAVE)		\
	X(HANDED)		\
	X(ADMIT)		\
	X(DENY)			\
	X(REBUILT)

enum dsm_member_event_type {
#define X(name) DSM_ME_##name,
	DSM_MEMBER_EVENTS(X)
#undef X
	DSM_NR_MEMBER_EVENTS,
};

/**
 * struct dsm_member_event - something happened to the membership
 * @type:	enum dsm_member_event_type
 * @reset:	LINK_UP
 * @node:	LINK_*, ADMIT, DENY, REBUILT: which; MSG: the sender
 * @now_us:	monotonic time, microseconds
 * @packet:	MSG
 */
struct dsm_member_event {
	u8 type;
	bool reset;
	u16 node;
	u64 now_us;
	struct dsm_member_packet packet;
};

/*
 * SEND		@packet to every node of @to
 * VIEW		the view has changed, or this node is in or out: publish it
 * SNAPSHOT	send the metadata to @node, then report ADMIT or DENY
 * HANDOVER	hand everything over to @node, then report HANDED
 * KILL		cut the nodes of @to off
 */
#define DSM_MEMBER_ACTIONS(X)	\
	X(SEND)			\
	X(VIEW)			\
	X(SNAPSHOT)		\
	X(HANDOVER)		\
	X(KILL)

enum dsm_member_action_type {
#define X(name) DSM_MA_##name,
	DSM_MEMBER_ACTIONS(X)
#undef X
	DSM_NR_MEMBER_ACTIONS,
};

/**
 * struct dsm_member_action - one thing for the shell to do
 * @type:	enum dsm_member_action_type
 * @node:	SNAPSHOT, HANDOVER
 * @to:		SEND, KILL
 * @packet:	SEND
 */
struct dsm_member_action {
	u8 type;
	u16 node;
	struct dsm_nodeset to;
	struct dsm_member_packet packet;
};

#define DSM_MEMBER_MAX_ACTIONS	8

/**
 * struct dsm_member_out - what a step decided
 * @verdict:	enum dsm_verdict; unless OK, nothing was changed
 * @nr:		used entries of @act
 * @act:	the actions, in order
 */
struct dsm_member_out {
	u8 verdict;
	u8 nr;
	struct dsm_member_action act[DSM_MEMBER_MAX_ACTIONS];
};

/**
 * struct dsm_member - the membership as one node knows it
 * @state:	enum dsm_member_state
 * @reason:	GONE: why; else why the last request was refused
 * @want_leave:	a request to leave waits for its turn
 * @offering:	this node offers @next
 * @self:	this node
 * @nr_nodes:	configured nodes
 * @candidate:	VOTED: who has the vote
 * @offerer:	who has offered @next, this node included
 * @admitted:	whom this node has let in by the present view, or DSM_NODE_NONE
 * @pending:	master: who joins just now, or DSM_NODE_NONE
 * @incarnation: of this node
 * @round:	number of the last proposal
 * @asked:	JOINING: whom
 * @vote_round:	VOTED: number of the candidate's proposal
 * @vote_cluster: the cluster that the last candidate voted for wanted to form
 * @pending_round: what @pending called itself in JOIN
 * @offer_us:	@offering: when to ask again
 * @until_us:	PROPOSING, JOINING, ASKED, DONE: no answer by then is a failure
 * @retry_us:	no new proposal or request before this time
 * @deadline_us: report TIMER then; 0: never
 * @majority_us: since when a majority is ready to form a cluster; 0: it is not
 * @linger_us:	when the nodes of @departed are cut off
 * @linked:	peers this node is connected to
 * @out:	linked peers that said that they are not members
 * @in:		linked peers that said that they are
 * @voters:	PROPOSING: who was asked
 * @accepted:	PROPOSING: who has accepted
 * @departed:	nodes that left and have not hung up yet
 * @suspects:	members this node has lost, as long as the view names them
 * @agreed:	@offering: who has agreed to @next
 * @widest:	members of @view, and of what others offered since and this node has
 *		agreed to: it may have been published without this node's knowing
 * @common:	nodes that are members by each of these
 * @view:	the cluster; @number 0 while not a member
 * @next:	the newest view that was offered and is not published, if any
 * @peer_view:	the newest view that a linked member told
 */
struct dsm_member {
	u8 state;
	u8 reason;
	bool want_leave;
	bool offering;
	u16 self;
	u16 nr_nodes;
	u16 candidate;
	u16 offerer;
	u16 asked;
	u16 admitted;
	u16 pending;
	u32 incarnation;
	u32 round;
	u32 vote_round;
	u32 vote_cluster;
	u32 pending_round;
	u64 until_us;
	u64 offer_us;
	u64 retry_us;
	u64 deadline_us;
	u64 majority_us;
	u64 linger_us;
	struct dsm_nodeset linked;
	struct dsm_nodeset out;
	struct dsm_nodeset in;
	struct dsm_nodeset voters;
	struct dsm_nodeset accepted;
	struct dsm_nodeset departed;
	struct dsm_nodeset suspects;
	struct dsm_nodeset agreed;
	struct dsm_nodeset widest;
	struct dsm_nodeset common;
	struct dsm_view view;
	struct dsm_view next;
	struct dsm_view peer_view;
};

/**
 * dsm_member_init() - a node that was never a member
 * @m:		the machine
 * @self:	this node
 * @nr_nodes:	configured nodes
 * @incarnation: of this node
 *
 * A TIMER event starts it.
 */
void dsm_member_init(struct dsm_member *m, u16 self, u16 nr_nodes,
		     u32 incarnation);

/**
 * dsm_member_step() - let an event happen to the membership
 * @m:		the machine
 * @ev:		the event
 * @out:	what is to be done about it; needs no initialisation
 *
 * Afterwards @m->deadline_us is the time of the next TIMER event.
 *
 * Context: Whatever serialises the events of one machine; calls nothing.
 */
void dsm_member_step(struct dsm_member *m, const struct dsm_member_event *ev,
		     struct dsm_member_out *out);

/**
 * dsm_view_master() - who serialises changes
 * @v:	the view
 *
 * Return: the lowest member that does not leave, the lowest one if all do, or
 * DSM_NODE_NONE.
 */
u16 dsm_view_master(const struct dsm_view *v);

/**
 * dsm_view_check() - is a view that came over the wire well-formed?
 * @v:		the view
 * @nr_nodes:	configured nodes
 *
 * Return: enum dsm_verdict.
 */
u8 dsm_view_check(const struct dsm_view *v, u16 nr_nodes);

/**
 * dsm_view_successor() - who takes over from a node that leaves
 * @v:		the view
 * @missing:	nodes not to count on
 * @node:	the leaver
 *
 * Return: the next node that stays, going round, or DSM_NODE_NONE.
 */
u16 dsm_view_successor(const struct dsm_view *v, const struct dsm_nodeset *missing,
		       u16 node);

/**
 * dsm_nodeset_has_quorum() - may a part of the members go on without the rest?
 * @part:	the part
 * @all:	the members
 *
 * Of two parts without a common node at most one may.
 */
bool dsm_nodeset_has_quorum(const struct dsm_nodeset *part,
			    const struct dsm_nodeset *all);

/**
 * dsm_member_is_in() - does this node take part?
 * @m:	the machine
 */
static inline bool dsm_member_is_in(const struct dsm_member *m)
{
	return m->state == DSM_MS_IN || m->state == DSM_MS_ASKED ||
	       m->state == DSM_MS_LEAVING || m->state == DSM_MS_DONE;
}

/**
 * dsm_member_wants_out() - does it leave, has it left, or is it to leave at its turn?
 * @m:	the machine
 */
static inline bool dsm_member_wants_out(const struct dsm_member *m)
{
	return m->want_leave || m->state > DSM_MS_IN;
}

const char *dsm_member_state_name(u8 state);
const char *dsm_member_msg_name(u8 type);
const char *dsm_member_event_name(u8 event);
const char *dsm_member_action_name(u8 type);
const char *dsm_member_reason_name(u8 reason);

#endif
