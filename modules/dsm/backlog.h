/* SPDX-License-Identifier: GPL-2.0 */
/* Messages that cannot be handled yet wait, in the order they came. */
#ifndef DSM_BACKLOG_H
#define DSM_BACKLOG_H

#include "region.h"

/**
 * dsm_backlog_start() - a cluster gets one
 * @c:		the cluster
 *
 * Context: process, may sleep.  Return: 0 or -ENOMEM.
 */
int dsm_backlog_start(struct dsm_cluster *c);

/** dsm_backlog_stop() - no peer is connected: what waits is dropped */
void dsm_backlog_stop(struct dsm_cluster *c);

/**
 * dsm_backlog_add() - put a message off
 * @c:		the cluster
 * @m:		message
 * @page:	its data, NULL: cannot have any; taken over
 * @set:	its nodes, may be NULL
 *
 * Context: BH disabled.  Return: 0, or -EPROTO: it is lost, so the connection must be.
 */
int dsm_backlog_add(struct dsm_cluster *c, const struct dsm_msg *m,
		    struct page **page, const struct dsm_nodeset *set);

/** dsm_backlog_holds() - does a message of that sender wait?  Then the next one has to. */
bool dsm_backlog_holds(struct dsm_cluster *c, u16 from);

/** dsm_backlog_wait() - until it does not, at most to @deadline (jiffies): 0, -ETIMEDOUT; sleeps */
int dsm_backlog_wait(struct dsm_cluster *c, u16 from, unsigned long deadline);

/** dsm_backlog_has_reserve() - is there memory to put messages off?  Else no frame is taken. */
bool dsm_backlog_has_reserve(struct dsm_cluster *c);

#endif
