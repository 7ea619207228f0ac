/* SPDX-License-Identifier: GPL-2.0 */
/* The directory: who holds a page, as its home knows it. */
#ifndef DSM_CORE_DIR_H
#define DSM_CORE_DIR_H

#include "types.h"

/**
 * struct dsm_waiter - a request that waits for the directory entry
 * @type:	GETS, GETX or PUT
 * @requester:	who asks
 * @target:	PUT: a node with room
 * @age:	GETS, GETX: of the requester's turn when it asked
 * @tid:	transaction id of the request
 */
struct dsm_waiter {
	u8 type;
	u16 requester;
	u16 target;
	u16 age;
	u32 tid;
};

/**
 * struct dsm_busy - the transaction a directory entry serves, and the queue
 * @requester:	whose request is served
 * @target:	PUT: where the page is pushed
 * @tid:	its transaction id
 * @head:	first used entry of @q
 * @len:	used entries of @q
 * @cap:	size of @q
 * @q:		requests waiting, a ring, first come first served
 *
 * A node has at most one request for a page outstanding, so a queue of
 * dsm_busy_cap() entries never overflows.  Only a busy entry has one: the
 * shell hangs it in before the step and takes it back from dsm_out.idle.
 */
struct dsm_busy {
	u16 requester;
	u16 target;
	u32 tid;
	u16 head;
	u16 len;
	u16 cap;
	struct dsm_waiter q[];
};

static inline u16 dsm_busy_cap(u16 nr_nodes)
{
	return nr_nodes;
}

/**
 * struct dsm_dir - directory entry of a page
 * @state:	enum dsm_dir_state
 * @base:	while @state is busy: the state before; after BQ: the state next
 * @leaving:	hand over to @successor as soon as the entry is not busy
 * @owner:	the node whose copy is exclusive, while @base or @state is E
 * @successor:	where the entry went or goes
 * @set:	the sharers: a superset of those that hold a copy
 * @busy:	the shell's to provide, see struct dsm_busy
 */
struct dsm_dir {
	u8 state;
	u8 base;
	bool leaving;
	u16 owner;
	u16 successor;
	struct dsm_nodeset set;
	struct dsm_busy *busy;
};

/**
 * dsm_dir_init() - entry of a page that was never written
 * @d:	the entry
 */
static inline void dsm_dir_init(struct dsm_dir *d)
{
	*d = (struct dsm_dir){
		.state = DSM_DS_Z,
		.owner = DSM_NODE_NONE,
		.successor = DSM_NODE_NONE,
	};
}

/**
 * dsm_dir_init_moved() - the same, on a node that leaves: there is nothing to hand over
 * @d:		the entry
 * @successor:	where it would have gone
 */
static inline void dsm_dir_init_moved(struct dsm_dir *d, u16 successor)
{
	dsm_dir_init(d);
	d->state = DSM_DS_MOVED;
	d->leaving = true;
	d->successor = successor;
}

/**
 * dsm_dir_is_busy() - is a transaction being served, or the queue not empty?
 * @d:	the entry
 */
static inline bool dsm_dir_is_busy(const struct dsm_dir *d)
{
	return d->state == DSM_DS_BR || d->state == DSM_DS_BW ||
	       d->state == DSM_DS_BP || d->state == DSM_DS_BQ;
}

/**
 * dsm_dir_idle() - may the record of this entry be forgotten?
 * @d:	the entry
 *
 * An absent entry means Z.
 */
static inline bool dsm_dir_idle(const struct dsm_dir *d)
{
	return d->state == DSM_DS_Z && !d->leaving;
}

/**
 * dsm_dir_awaits() - without whom does the transaction not come to its end?
 * @d:		the entry
 * @self:	this node
 *
 * Return: the nodes; none if no transaction is under way.
 */
struct dsm_nodeset dsm_dir_awaits(const struct dsm_dir *d, u16 self);

#endif
