/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The link machine: frames between two nodes arrive once and in order, over
 * any number of connections.
 *
 * Normal operation: each frame carries the next sequence number and, in ack,
 * the number of the frame the sender expects next.  A frame is kept by its
 * sender until it is acknowledged.  At most DSM_LINK_WINDOW frames are not
 * acknowledged: the receiver has a buffer posted for each of them, so the ack is
 * the credit as well.
 *
 * Recovery: the two ends exchange what they expect next (and who they are) when
 * they connect.  What was sent and did not arrive is sent again, what arrived
 * twice is dropped by its number.  A peer with another incarnation has forgotten
 * everything: the link starts anew, and the node above is told (RESET).
 */
#ifndef DSM_CORE_LINK_H
#define DSM_CORE_LINK_H

#include "types.h"

#define DSM_LINK_WINDOW		64u
/* This many frames unacknowledged by the receiver want an ACK at once. */
#define DSM_LINK_ACK_AFTER	(DSM_LINK_WINDOW / 4)

#define DSM_LINK_STATES(X)	\
	X(DOWN)			\
	X(UP)			\
	X(DEAD)

enum dsm_link_state {
#define X(name) DSM_LS_##name,
	DSM_LINK_STATES(X)
#undef X
	DSM_NR_LINK_STATES,
};

#define DSM_LINK_EVENTS(X)	\
	X(CONNECTED)		\
	X(LOST)			\
	X(FRAME)		\
	X(SEND)			\
	X(KILL)

enum dsm_link_event {
#define X(name) DSM_LE_##name,
	DSM_LINK_EVENTS(X)
#undef X
	DSM_NR_LINK_EVENTS,
};

/**
 * struct dsm_link - one end of a link
 * @state:	enum dsm_link_state
 * @tx_next:	number of the next frame to send
 * @tx_una:	oldest frame the peer has not acknowledged
 * @rx_next:	number of the next frame to receive
 * @rx_acked:	what the last ack we sent said
 * @peer_incarnation: of the peer as last connected, 0 if never
 */
struct dsm_link {
	u8 state;
	u32 tx_next;
	u32 tx_una;
	u32 rx_next;
	u32 rx_acked;
	u32 peer_incarnation;
};

/**
 * struct dsm_hello - what the ends tell each other when they connect
 * @incarnation: of the sender, never 0
 * @rx_next:	what the sender expects next from an end with this incarnation
 * @peer_incarnation: the incarnation of the receiver that @rx_next is about
 */
struct dsm_hello {
	u32 incarnation;
	u32 rx_next;
	u32 peer_incarnation;
};

/**
 * enum dsm_link_result - what is to be done after a link event
 * @DSM_LR_OK:		go on; CONNECTED: send again all frames from tx_una
 * @DSM_LR_RESET:	CONNECTED: the peer is new; drop all kept frames, the
 *			node above forgets what it had under way with it
 * @DSM_LR_DROP:	FRAME: arrived before, drop it
 * @DSM_LR_DELIVER:	FRAME: it is the next one, consume it
 * @DSM_LR_WAIT:	SEND: no credit, or not connected; keep it for later
 * @DSM_LR_ERROR:	the peer broke the rules, or the link is dead
 */
enum dsm_link_result {
	DSM_LR_OK,
	DSM_LR_RESET,
	DSM_LR_DROP,
	DSM_LR_DELIVER,
	DSM_LR_WAIT,
	DSM_LR_ERROR,
};

/** dsm_link_init() - an end that was never connected */
void dsm_link_init(struct dsm_link *l);

/** dsm_link_hello() - what to tell the peer; @incarnation is this node's own */
struct dsm_hello dsm_link_hello(const struct dsm_link *l, u32 incarnation);

/**
 * dsm_link_connected() - the hellos were exchanged
 * @l:		the link
 * @h:		what the peer told
 * @own:	the incarnation of this node
 *
 * Return: OK, RESET or ERROR.
 */
u8 dsm_link_connected(struct dsm_link *l, const struct dsm_hello *h, u32 own);

/** dsm_link_lost() - the connection is gone, another may come */
void dsm_link_lost(struct dsm_link *l);

/** dsm_link_kill() - the peer is not coming back */
void dsm_link_kill(struct dsm_link *l);

/**
 * dsm_link_send() - a frame wants to go out
 * @l:		the link
 * @seq:	its number, if the result is OK
 * @ack:	the ack to put beside it, if the result is OK
 *
 * Return: OK, WAIT or ERROR.
 */
u8 dsm_link_send(struct dsm_link *l, u32 *seq, u32 *ack);

/** dsm_link_ack() - an ACK frame goes out, or a frame again; Return: its ack */
u32 dsm_link_ack(struct dsm_link *l);

/** dsm_link_ack_due() - how many received frames no ack was sent for? */
static inline u32 dsm_link_ack_due(const struct dsm_link *l)
{
	return l->rx_next - l->rx_acked;
}

/**
 * dsm_link_frame() - a frame came
 * @l:		the link
 * @sequenced:	false for an ACK
 * @seq:	its number
 * @ack:	its ack; tx_una is moved up to it, the frames before are released
 *
 * Return: DELIVER, DROP, ERROR; OK for an ACK.
 */
u8 dsm_link_frame(struct dsm_link *l, bool sequenced, u32 seq, u32 ack);

/**
 * dsm_link_wide_ack() - an ack of which only the low bits came
 * @l:		the link
 * @low:	the bits
 * @mask:	which: 2^n - 1, more than DSM_LINK_WINDOW
 *
 * Return: the ack, if the peer keeps to the rules.
 */
static inline u32 dsm_link_wide_ack(const struct dsm_link *l, u32 low, u32 mask)
{
	return l->tx_una + ((low - l->tx_una) & mask);
}

const char *dsm_link_state_name(u8 state);
const char *dsm_link_event_name(u8 event);

#endif
