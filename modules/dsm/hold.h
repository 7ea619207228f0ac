/* SPDX-License-Identifier: GPL-2.0 */
/* How long a page is kept from others, and for whose sake. */
#ifndef DSM_HOLD_H
#define DSM_HOLD_H

#include "cluster_types.h"

struct dsm_event;
struct dsm_region;

/**
 * dsm_hold_init() - no one has had a fault yet
 * @c:		the cluster
 */
void dsm_hold_init(struct dsm_cluster *c);

/**
 * dsm_hold_user() - who asks for a page
 * @r:	the region
 *
 * Context: Any. A kernel thread asks for whoever asked last in the region.
 * Return: a number for the others, which do nothing for DSM_HOLD_NOBODY: there is nobody,
 * or turns are switched off.
 */
u8 dsm_hold_user(struct dsm_region *r);

/**
 * dsm_hold_begin() - a user begins to wait for a page
 * @r:		the region
 * @user:	from dsm_hold_user()
 *
 * Context: Any but hard interrupts.
 */
void dsm_hold_begin(struct dsm_region *r, u8 user);

/**
 * dsm_hold_end() - it waits no more
 * @r:		the region
 * @user:	from dsm_hold_user()
 * @index:	of the page it waited for
 *
 * Context: Any but hard interrupts.
 */
void dsm_hold_end(struct dsm_region *r, u8 user, u64 index);

/**
 * dsm_hold_event() - say in an event what the user of a page is at
 * @r:		the region
 * @user:	from dsm_hold_user()
 * @ev:		the event; busy_until_us and age are set
 *
 * Context: Any but hard interrupts.
 */
void dsm_hold_event(struct dsm_region *r, u8 user, struct dsm_event *ev);

/**
 * dsm_hold_over() - a user kept a page as long as it may
 * @r:		the region
 * @user:	from dsm_hold_user()
 *
 * Context: Any but hard interrupts.
 */
void dsm_hold_over(struct dsm_region *r, u8 user);

/**
 * dsm_hold_lost() - a page that a user used was taken away
 * @r:		the region
 * @user:	from dsm_hold_user()
 * @index:	the page
 *
 * Context: Any but hard interrupts.
 */
void dsm_hold_lost(struct dsm_region *r, u8 user, u64 index);

/**
 * dsm_hold_regain() - ask for the pages that a user lost
 * @r:		the region
 * @user:	from dsm_hold_user()
 * @index:	one that it has asked for already
 *
 * The caller flushes what was sent. Context: process; does not wait for the network.
 */
void dsm_hold_regain(struct dsm_region *r, u8 user, u64 index);

/**
 * dsm_hold_sample() - the answer to a request took so long
 * @c:		the cluster
 * @user:	from dsm_hold_user()
 * @us:		microseconds
 *
 * Context: Any.
 */
void dsm_hold_sample(struct dsm_cluster *c, u8 user, u32 us);

/**
 * dsm_hold_max_us() - how long a page is kept at most while its user is busy
 * @c:		the cluster
 * @hold_us:	how long it is kept anyway
 *
 * Return: microseconds, at most turn_us; drawn at random, so that no two nodes give up in
 * step. 0: not at all.
 */
u32 dsm_hold_max_us(struct dsm_cluster *c, u32 hold_us);

#endif
