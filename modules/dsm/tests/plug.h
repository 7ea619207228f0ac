/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A peer over a transport that only notes what is posted.  The node is told to
 * report nothing (killed), as there is no cluster layer.
 */
#ifndef DSM_TESTS_PLUG_H
#define DSM_TESTS_PLUG_H

#include "node.h"
#include "node_types.h"
#include "tests/test.h"

#define SELF		0
#define PEER		1
#define PEER_INCARNATION 0xbeefu

/* Frames a test posts at most. */
#define NR_LOG	512

/**
 * struct dsm_plug - what was posted to the peer
 * @c:		the cluster
 * @n:		the peer
 * @nr:		frames posted that are no ACK
 * @nr_acks:	ACK frames
 * @last_ack:	what the last ACK frame said
 * @tx:		frames that are no ACK; a reference is held until dsm_plug_done()
 * @seq:	their numbers as encoded, or U32_MAX if the frame had no head
 */
struct dsm_plug {
	struct dsm_cluster *c;
	struct dsm_node *n;
	unsigned int nr;
	unsigned int nr_acks;
	u32 last_ack;
	struct dsm_tx *tx[NR_LOG];
	u32 seq[NR_LOG];
};

extern struct dsm_plug *dsm_plug;

/* kunit_suite.init: a peer, connected. */
int dsm_plug_init(struct kunit *test);
/* The transport is done with all that was posted since @from. */
void dsm_plug_done(unsigned int from);
/* A connection to a peer that expects frame @rx_next of incarnation @about. */
int dsm_plug_in(u32 incarnation, u32 rx_next, u32 about);
/* The same peer again. */
int dsm_plug_again(u32 rx_next);
/* A frame comes; its payload, or NULL. */
int dsm_plug_rx(const struct dsm_frame *f, const struct dsm_msg *m, struct page **page);
/* An ACK frame comes. */
int dsm_plug_rx_ack(u32 ack);

#endif
