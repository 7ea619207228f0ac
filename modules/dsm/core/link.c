// SPDX-License-Identifier: GPL-2.0
#include "link.h"

void dsm_link_init(struct dsm_link *l)
{
	*l = (struct dsm_link){ .state = DSM_LS_DOWN };
}

struct dsm_hello dsm_link_hello(const struct dsm_link *l, u32 incarnation)
{
	return (struct dsm_hello){
		.incarnation = incarnation,
		.rx_next = l->rx_next,
		.peer_incarnation = l->peer_incarnation,
	};
}

u8 dsm_link_connected(struct dsm_link *l, const struct dsm_hello *h, u32 own)
{
	bool first = !l->peer_incarnation;
	bool knows_us = h->peer_incarnation == own;
	u32 rx_next = h->rx_next;

	if (l->state == DSM_LS_DEAD || !h->incarnation)
		return DSM_LR_ERROR;
	/*
	 * A connection that broke between the two hellos: we heard the peer's, it
	 * did not hear ours.  Nothing arrived yet, so nothing is forgotten.
	 */
	if (!first && h->incarnation == l->peer_incarnation && !knows_us &&
	    !l->tx_una && !l->rx_next) {
		knows_us = true;
		rx_next = 0;
	}
	if (h->incarnation != l->peer_incarnation || (!first && !knows_us)) {
		dsm_link_init(l);
		l->peer_incarnation = h->incarnation;
		l->state = DSM_LS_UP;
		/* The peer may know us although we do not know it: not so here. */
		if (knows_us && h->rx_next)
			return DSM_LR_ERROR;
		return first ? DSM_LR_OK : DSM_LR_RESET;
	}
	/* It cannot have received what was never sent, nor unlearn an ack. */
	if (rx_next - l->tx_una > l->tx_next - l->tx_una)
		return DSM_LR_ERROR;
	l->tx_una = rx_next;
	l->rx_acked = l->rx_next;
	l->state = DSM_LS_UP;
	return DSM_LR_OK;
}

void dsm_link_lost(struct dsm_link *l)
{
	if (l->state != DSM_LS_DEAD)
		l->state = DSM_LS_DOWN;
}

void dsm_link_kill(struct dsm_link *l)
{
	l->state = DSM_LS_DEAD;
}

u8 dsm_link_send(struct dsm_link *l, u32 *seq, u32 *ack)
{
	if (l->state == DSM_LS_DEAD)
		return DSM_LR_ERROR;
	if (l->state != DSM_LS_UP || l->tx_next - l->tx_una >= DSM_LINK_WINDOW)
		return DSM_LR_WAIT;
	*seq = l->tx_next++;
	*ack = dsm_link_ack(l);
	return DSM_LR_OK;
}

u32 dsm_link_ack(struct dsm_link *l)
{
	l->rx_acked = l->rx_next;
	return l->rx_next;
}

u8 dsm_link_frame(struct dsm_link *l, bool sequenced, u32 seq, u32 ack)
{
	if (l->state != DSM_LS_UP)
		return DSM_LR_ERROR;
	if (ack - l->tx_una <= l->tx_next - l->tx_una)
		l->tx_una = ack;
	else if ((s32)(ack - l->tx_una) > 0)
		return DSM_LR_ERROR;
	if (!sequenced)
		return DSM_LR_OK;
	if ((s32)(seq - l->rx_next) < 0)
		return DSM_LR_DROP;
	if (seq != l->rx_next)
		return DSM_LR_ERROR;
	l->rx_next++;
	return DSM_LR_DELIVER;
}

const char *dsm_link_state_name(u8 state)
{
	static const char * const names[DSM_NR_LINK_STATES] = {
#define X(name) [DSM_LS_##name] = #name,
		DSM_LINK_STATES(X)
#undef X
	};

	return state < DSM_NR_LINK_STATES ? names[state] : "?";
}

const char *dsm_link_event_name(u8 event)
{
	static const char * const names[DSM_NR_LINK_EVENTS] = {
#define X(name) [DSM_LE_##name] = #name,
		DSM_LINK_EVENTS(X)
#undef X
	};

	return event < DSM_NR_LINK_EVENTS ? names[event] : "?";
}
