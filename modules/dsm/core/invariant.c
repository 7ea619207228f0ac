// SPDX-License-Identifier: GPL-2.0
/*
 * Invariants.  The simulator, the explorer, the fuzzers and the debug build of
 * the module check these very functions.
 */
#include "invariant.h"
#include "nodeset.h"

/* What a node's page says about the copy there, as seen from the directory. */
enum copy {
	COPY_NONE,	/* none, or one that home has taken off the list */
	COPY_PARKED,	/* parked; home may have taken it off the list */
	COPY_SHARED,	/* on the list of sharers */
	COPY_SOLE,	/* that of the owner */
};

u8 dsm_page_may_be_mapped(const struct dsm_page *p)
{
	switch ((enum dsm_page_state)p->state) {
	case DSM_PS_S:
	case DSM_PS_SX:
	case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY:
	case DSM_PS_S_PARK:
		return DSM_RIGHT_READ;
	case DSM_PS_E:
	case DSM_PS_E_AWAY:
	case DSM_PS_E_DOWN:
	case DSM_PS_E_PARK:
		return DSM_RIGHT_WRITE;
	case DSM_PS_I:
	case DSM_PS_IS:
	case DSM_PS_IX:
	case DSM_PS_PS:
	case DSM_PS_PE:
	case DSM_PS_PI:
	case DSM_PS_PX:
	case DSM_NR_PAGE_STATES:
		break;
	}
	return DSM_RIGHT_NONE;
}

static enum copy copy_of(const struct dsm_page *p)
{
	switch ((enum dsm_page_state)p->state) {
	case DSM_PS_S:
	case DSM_PS_SX:
	case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY:
	case DSM_PS_S_PARK:
		return COPY_SHARED;
	case DSM_PS_E:
	case DSM_PS_E_AWAY:
	case DSM_PS_E_DOWN:
	case DSM_PS_E_PARK:
	case DSM_PS_PE:
		return COPY_SOLE;
	case DSM_PS_PS:
	case DSM_PS_PX:
		return COPY_PARKED;
	case DSM_PS_I:
	case DSM_PS_IS:
	case DSM_PS_IX:
	case DSM_PS_PI:
	case DSM_NR_PAGE_STATES:
		break;
	}
	return COPY_NONE;
}

/* ---- a page ---- */

static bool demand_fits(const struct dsm_page *p)
{
	bool none = p->demand.type == DSM_NR_MSG_TYPES;
	bool inv = p->demand.type == DSM_MSG_INV;
	bool fwds = p->demand.type == DSM_MSG_FWDS;

	switch ((enum dsm_page_state)p->state) {
	case DSM_PS_I:
	case DSM_PS_PS:
	case DSM_PS_PE:
	case DSM_PS_PI:
	case DSM_PS_PX:
		return none;
	case DSM_PS_IS:
	case DSM_PS_IX:
	case DSM_PS_SX:
	case DSM_PS_E:
	case DSM_PS_E_PARK:
		return none || inv || fwds;
	case DSM_PS_S:
	case DSM_PS_S_PARK:
		return none || inv;
	case DSM_PS_S_AWAY:
	case DSM_PS_SX_AWAY:
	case DSM_PS_E_AWAY:
		return inv;
	case DSM_PS_E_DOWN:
		return fwds;
	case DSM_NR_PAGE_STATES:
		break;
	}
	return false;
}

const char *dsm_invariant_page(const struct dsm_page *p)
{
	if (p->state >= DSM_NR_PAGE_STATES)
		return "page: no such state";
	if (!demand_fits(p))
		return "page: demand does not fit the state";
	if (p->state == DSM_PS_PX && p->parked != DSM_PS_S && p->parked != DSM_PS_E)
		return "page: pushed, but not known from which state";
	if (dsm_page_right(p) > dsm_page_may_be_mapped(p))
		return "page: more right than mapped";
	return NULL;
}

/* ---- a directory entry ---- */

static const char *check_holders(const struct dsm_dir *d, u8 state, u16 nr_nodes)
{
	bool none = dsm_nodeset_empty(&d->set);

	if (dsm_nodeset_next(&d->set, nr_nodes) != DSM_NODE_NONE)
		return "dir: a sharer is no node";
	switch ((enum dsm_dir_state)state) {
	case DSM_DS_Z:
	case DSM_DS_MOVED:
		if (!none || d->owner != DSM_NODE_NONE)
			return "dir: holders of a page no one holds";
		return NULL;
	case DSM_DS_ZS:
	case DSM_DS_S:
		if (none || d->owner != DSM_NODE_NONE)
			return "dir: shared, but no sharer, or an owner";
		return NULL;
	case DSM_DS_E:
		if (!none || d->owner >= nr_nodes)
			return "dir: owned, but no owner, or sharers";
		return NULL;
	case DSM_DS_BR:
	case DSM_DS_BW:
	case DSM_DS_BP:
	case DSM_DS_BQ:
	case DSM_NR_DIR_STATES:
		break;
	}
	return "dir: busy, on the base of a busy state";
}

static const char *check_busy(const struct dsm_dir *d, u16 nr_nodes)
{
	const struct dsm_busy *b = d->busy;

	if (!b)
		return "dir: busy without a record";
	if (b->len > b->cap || (b->cap && b->head >= b->cap))
		return "dir: queue out of bounds";
	if (d->state == DSM_DS_BQ)
		return b->len ? NULL : "dir: wants DRAIN, nothing is queued";
	if (d->base == DSM_DS_Z || d->base == DSM_DS_MOVED)
		return "dir: busy with a page no one holds";
	if (d->base == DSM_DS_ZS && d->state != DSM_DS_BW)
		return "dir: busy with a zero page for no reason";
	if (b->requester >= nr_nodes)
		return "dir: the requester is no node";
	if (d->state == DSM_DS_BR &&
	    (d->owner == b->requester || dsm_nodeset_has(&d->set, b->requester)))
		return "dir: a holder is served as a reader";
	if (d->state == DSM_DS_BW && d->owner == b->requester)
		return "dir: the owner is served as a writer";
	if (d->state == DSM_DS_BP && (b->target >= nr_nodes ||
				      b->target == b->requester))
		return "dir: pushed to no one";
	return NULL;
}

const char *dsm_invariant_dir(const struct dsm_dir *d, u16 nr_nodes)
{
	const char *broken;

	if (d->state >= DSM_NR_DIR_STATES)
		return "dir: no such state";
	if ((d->leaving || d->state == DSM_DS_MOVED) && d->successor >= nr_nodes)
		return "dir: leaves for no node";
	if (d->leaving && !dsm_dir_is_busy(d) && d->state != DSM_DS_MOVED)
		return "dir: leaves, and is not busy, and is still here";
	if (!dsm_dir_is_busy(d))
		return check_holders(d, d->state, nr_nodes);
	broken = check_holders(d, d->base, nr_nodes);
	return broken ? broken : check_busy(d, nr_nodes);
}

/* To whom did the step send demands of the transaction that is under way? */
static struct dsm_nodeset demanded(const struct dsm_busy *b, const struct dsm_out *out)
{
	struct dsm_nodeset set = { .w = { 0 } };

	for (u8 i = 0; i < out->nr; i++) {
		const struct dsm_action *a = &out->act[i];
		u8 type = a->msg.type;

		if ((a->type != DSM_A_SEND && a->type != DSM_A_MULTICAST) ||
		    (type != DSM_MSG_FWDS && type != DSM_MSG_INV && type != DSM_MSG_PULL) ||
		    a->msg.requester != b->requester || a->msg.tid != b->tid)
			continue;
		if (a->type == DSM_A_SEND)
			dsm_nodeset_add(&set, a->to);
		else
			set = dsm_nodeset_or(set, &out->set);
	}
	return set;
}

const char *dsm_invariant_awaits(const struct dsm_dir *d, u16 self,
				 const struct dsm_out *out)
{
	struct dsm_nodeset asked, awaits;

	if (!dsm_dir_is_busy(d) || d->state == DSM_DS_BQ)
		return NULL;
	asked = demanded(d->busy, out);
	if (dsm_nodeset_empty(&asked))
		return NULL;
	awaits = dsm_dir_awaits(d, self);
	/* What it demands of itself is not sent. */
	dsm_nodeset_add(&awaits, self);
	dsm_nodeset_add(&asked, self);
	dsm_nodeset_add(&asked, d->busy->requester);
	if (d->state == DSM_DS_BP)
		dsm_nodeset_add(&asked, d->busy->target);
	return dsm_nodeset_equal(&awaits, &asked) ? NULL :
	       "dir: awaits others than those it asked";
}

/* ---- all of them ---- */

/* The nodes alone: one writer, or any number of readers. */
static const char *check_rights(const struct dsm_page *const *p, u16 nr_nodes)
{
	u16 readers = 0, writers = 0, soles = 0, shared = 0;

	for (u16 n = 0; n < nr_nodes; n++) {
		if (!p[n])
			continue;
		readers += dsm_page_may_be_mapped(p[n]) == DSM_RIGHT_READ;
		writers += dsm_page_may_be_mapped(p[n]) == DSM_RIGHT_WRITE;
		shared += copy_of(p[n]) == COPY_SHARED;
		soles += copy_of(p[n]) == COPY_SOLE;
	}
	if (writers > 1)
		return "two nodes may write";
	if (writers && readers)
		return "a node may read while another may write";
	if (soles > 1)
		return "two sole copies";
	if (soles && shared)
		return "a sole copy and a shared one";
	return NULL;
}

static u8 stable_state(const struct dsm_dir *d)
{
	return dsm_dir_is_busy(d) ? d->base : d->state;
}

/* May the directory, as it stands, be surprised by a copy of this node? */
static bool listed(const struct dsm_dir *d, u16 node)
{
	if (node == d->owner || dsm_nodeset_has(&d->set, node))
		return true;
	switch ((enum dsm_dir_state)d->state) {
	case DSM_DS_BR:
	case DSM_DS_BW:
		return node == d->busy->requester;
	case DSM_DS_BP:
		return node == d->busy->requester || node == d->busy->target;
	case DSM_DS_Z:
	case DSM_DS_ZS:
	case DSM_DS_S:
	case DSM_DS_E:
	case DSM_DS_BQ:
	case DSM_DS_MOVED:
	case DSM_NR_DIR_STATES:
		break;
	}
	return false;
}

/* Of a listed node: nothing is under way that could excuse having no copy. */
static bool lost_copy(const struct dsm_page *p)
{
	return p->state == DSM_PS_I || p->state == DSM_PS_PI;
}

static const char *check_node(const struct dsm_dir *d, u16 node,
			      const struct dsm_page *p)
{
	bool busy = dsm_dir_is_busy(d) && d->state != DSM_DS_BQ;
	u8 state = stable_state(d);
	enum copy copy = copy_of(p);

	if ((copy == COPY_SHARED || copy == COPY_SOLE) && !listed(d, node))
		return "a copy that the directory does not know of";
	if (busy)
		return NULL;
	if (copy == COPY_SOLE && (state != DSM_DS_E || d->owner != node))
		return "a sole copy, but not the owner's";
	if (listed(d, node) && lost_copy(p))
		return "the directory lists a node without a copy";
	if (state == DSM_DS_E && node == d->owner &&
	    (p->state == DSM_PS_S || p->state == DSM_PS_S_PARK ||
	     p->state == DSM_PS_IS))
		return "the owner only shares";
	return NULL;
}

const char *dsm_invariant_global(const struct dsm_page *const *p, u16 nr_nodes,
				 const struct dsm_dir *d)
{
	const char *broken = check_rights(p, nr_nodes);

	/* The entry has gone, the rest of the queue follows it. */
	if (d && stable_state(d) == DSM_DS_MOVED)
		d = NULL;

	for (u16 n = 0; d && !broken && n < nr_nodes; n++)
		if (p[n])
			broken = check_node(d, n, p[n]);
	return broken;
}
