// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: events in, core step, actions executed in the order decided.
 *
 * Normal operation: with the record locked, build the event, step, execute the
 * actions, unlock.  Messages are queued at the peer while the record is locked,
 * so messages about one page leave in the order they were decided; they are
 * posted by dsm_node_flush() after the lock is dropped.  What sleeps (REVOKE)
 * goes to a worker, unless nothing maps the page, and comes back as an event.
 *
 * Want of memory: a message that cannot be handled yet waits in the backlog.
 * Before the reserve for that is used up, frames are refused: that costs a
 * connection, and they come again.
 *
 * Locking: dsm_entry.lock is taken with BH disabled, in process and softirq
 * context; inside it only the queues of the node layer, xa_lock of the region's
 * records and the wait queue of the record.
 */
#include <linux/slab.h>

#include "backlog.h"
#include "cluster.h"
#include "coherent.h"
#include "hold.h"
#include "node.h"
#include "region.h"
#include "trace.h"

static DEFINE_PER_CPU(struct dsm_out, engine_out);

/* ---- directory entries and their busy records ---- */

static struct dsm_busy *busy_alloc(struct dsm_cluster *c, gfp_t gfp)
{
	u16 cap = dsm_busy_cap(c->nr_nodes);
	struct dsm_busy *b;

	b = kmalloc(struct_size(b, q, cap), gfp);
	if (b)
		*b = (struct dsm_busy){ .cap = cap };
	return b;
}

/*
 * On a node that leaves no new entry comes to life: once all entries are handed over
 * the new placement is published, and a MOVE after that would come too late.
 */
static void add_dir(struct dsm_entry *e, struct dsm_dir *dir)
{
	u16 successor;

	lockdep_assert_held(&e->lock);
	e->dir = dir;
	/* After the record was hashed: pairs with dsm_region_handoff(). */
	smp_mb();
	successor = READ_ONCE(e->region->successor);
	if (successor == DSM_NODE_NONE)
		dsm_dir_init(dir);
	else
		dsm_dir_init_moved(dir, successor);
}

/* A step that may reach the directory needs the entry and a busy record. */
static int prepare_dir(struct dsm_entry *e)
{
	struct dsm_cluster *c = e->region->cluster;
	struct dsm_dir *dir;

	if (!e->dir) {
		dir = kmalloc(sizeof(*dir), GFP_ATOMIC | __GFP_NOWARN);
		if (!dir)
			return -ENOMEM;
		add_dir(e, dir);
	}
	if (!e->dir->busy)
		e->dir->busy = busy_alloc(c, GFP_ATOMIC | __GFP_NOWARN);
	return e->dir->busy ? 0 : -ENOMEM;
}

int dsm_entry_reserve(struct dsm_entry *e)
{
	struct dsm_region *r = e->region;
	struct dsm_busy *busy = busy_alloc(r->cluster, GFP_KERNEL);
	struct dsm_dir *dir = kmalloc(sizeof(*dir), GFP_KERNEL);
	int err = busy && dir ? 0 : -ENOMEM;

	spin_lock_bh(&e->lock);
	if (!err && !e->dir && !test_bit(DSM_EF_DEAD, &e->flags) &&
	    dsm_region_home(r, e->index) == r->cluster->self) {
		add_dir(e, dir);
		dir = NULL;
	}
	if (!err && e->dir && !e->dir->busy) {
		e->dir->busy = busy;
		busy = NULL;
	}
	spin_unlock_bh(&e->lock);
	kfree(busy);
	kfree(dir);
	return err;
}

/* ---- actions ---- */

static void send_one(struct dsm_entry *e, u16 to, const struct dsm_action *a,
		     const struct dsm_nodeset *set)
{
	struct dsm_cluster *c = e->region->cluster;
	bool counted = false;
	struct page *page = NULL;

	if (a->msg.flags & DSM_MF_PAGE && a->msg.type != DSM_MSG_MOVE) {
		if (a->give) {
			page = dsm_entry_detach_locked(e);
		} else if (e->page) {
			page = e->page;
			dsm_page_tx_get(page);
			counted = true;
		}
		if (!page) {
			page = ZERO_PAGE(0);
			get_page(page);
		}
		dsm_count(c, page_sent);
	}
	trace_dsm_msg_send(c, to, &a->msg);
	dsm_count(c, msg_sent);
	dsm_node_send_msg(c, to, &a->msg, page, counted,
			  a->msg.type == DSM_MSG_MOVE ? set : NULL);
}

static void install(struct dsm_entry *e, struct page **page)
{
	if (WARN_ON_ONCE(!page || !*page)) {
		dsm_entry_attach_locked(e, NULL);
		return;
	}
	dsm_count(e->region->cluster, page_received);
	dsm_entry_attach_locked(e, *page);
	*page = NULL;
}

static void drop(struct dsm_entry *e)
{
	struct page *page = dsm_entry_detach_locked(e);

	if (page)
		put_page(page);
}

static void start_timer(struct dsm_entry *e, u64 at_us)
{
	struct dsm_cluster *c = e->region->cluster;

	trace_dsm_hold(c, e->region->id, e->index, at_us);
	dsm_count(c, hold);
	if (!e->timer_armed)
		dsm_entry_hold(e);
	e->timer_armed = true;
	hrtimer_start(&e->timer, ns_to_ktime(at_us * NSEC_PER_USEC), HRTIMER_MODE_ABS_SOFT);
}

/* Return: true if a REVOKE was done at once: the caller steps REVOKED. */
static bool execute(struct dsm_entry *e, struct dsm_out *out, struct page **page)
{
	struct dsm_cluster *c = e->region->cluster;
	bool revoked = false;
	u16 to;

	for (unsigned int i = 0; i < out->nr; i++) {
		const struct dsm_action *a = &out->act[i];

		switch ((enum dsm_action_type)a->type) {
		case DSM_A_SEND:
			send_one(e, a->to, a, &out->set);
			break;
		case DSM_A_MULTICAST:
			dsm_nodeset_for_each(to, &out->set)
				send_one(e, to, a, NULL);
			break;
		case DSM_A_INSTALL:
			install(e, page);
			break;
		case DSM_A_INSTALL_ZERO:
			dsm_count(c, zero_granted);
			dsm_entry_attach_locked(e, NULL);
			break;
		case DSM_A_DROP:
			drop(e);
			break;
		case DSM_A_REVOKE:
			revoked = dsm_revoke_start_locked(e, a->right, a->must);
			break;
		case DSM_A_TIMER:
			start_timer(e, a->at_us);
			break;
		case DSM_A_WAKE:
			wake_up_all(&e->wait);
			break;
		case DSM_NR_ACTIONS:
			break;
		}
	}
	return revoked;
}

/* ---- requests out ---- */

/*
 * A grant without a head names the low bits of the transaction id only, so no
 * two requests that are out share them.  Should there be no free slot, the id
 * says so (DSM_TID_WIDE), and the answer comes with a head.
 */
#define NR_SLOTS	4096u
#define SLOT_TRIES	4

static_assert(NR_SLOTS <= DSM_IMM_TID_MASK + 1 && NR_SLOTS <= DSM_NO_SLOT);

static u32 fresh_tid(struct dsm_cluster *c)
{
	u32 tid;

	do {
		tid = atomic_inc_return(&c->tid) & ~DSM_TID_WIDE;
	} while (!tid);
	return tid;
}

static u32 claim_slot(struct dsm_entry *e)
{
	struct dsm_cluster *c = e->region->cluster;
	u32 tid = 0;

	for (int i = 0; i < SLOT_TRIES; i++) {
		tid = fresh_tid(c);
		if (!cmpxchg((__force struct dsm_entry **)&c->pending[tid % NR_SLOTS],
			     NULL, e)) {
			e->slot = tid % NR_SLOTS;
			return tid;
		}
	}
	return tid | DSM_TID_WIDE;
}

void dsm_entry_release_slot_locked(struct dsm_entry *e)
{
	lockdep_assert_held(&e->lock);
	if (e->slot == DSM_NO_SLOT)
		return;
	rcu_assign_pointer(e->region->cluster->pending[e->slot], NULL);
	e->slot = DSM_NO_SLOT;
}

static bool is_asking(const struct dsm_entry *e)
{
	return e->core.state == DSM_PS_IS || e->core.state == DSM_PS_IX ||
	       e->core.state == DSM_PS_SX || e->core.state == DSM_PS_SX_AWAY;
}

void dsm_engine_view_changed(struct dsm_cluster *c)
{
	struct dsm_entry *e;

	rcu_read_lock();
	for (u32 i = 0; i < NR_SLOTS; i++) {
		e = rcu_dereference(c->pending[i]);
		if (e)
			wake_up_all(&e->wait);
	}
	rcu_read_unlock();
}

/* Return: the record, locked, with a reference, whose request @low is; or NULL. */
static struct dsm_entry *find_asking(struct dsm_cluster *c, u32 low)
{
	struct dsm_entry *e;

	rcu_read_lock();
	e = rcu_dereference(c->pending[low % NR_SLOTS]);
	if (e && !refcount_inc_not_zero(&e->refs))
		e = NULL;
	rcu_read_unlock();
	if (!e)
		return NULL;
	spin_lock_bh(&e->lock);
	__release(&e->lock);
	if (e->slot == low % NR_SLOTS && is_asking(e) &&
	    (e->core.tid & DSM_IMM_TID_MASK) == low)
		return e;
	__acquire(&e->lock);
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	return NULL;
}

/* ---- steps ---- */

static void init_event(const struct dsm_entry *e, struct dsm_event *ev)
{
	struct dsm_region *r = e->region;
	struct dsm_cluster *c = r->cluster;

	memset(ev, 0, offsetof(struct dsm_event, msg));
	ev->self = c->self;
	ev->nr_nodes = c->nr_nodes;
	ev->home = dsm_region_home(r, e->index);
	ev->target = DSM_NODE_NONE;
	ev->epoch = READ_ONCE(c->epoch);
	ev->region = r->id;
	ev->gen = r->gen;
	ev->page = e->index;
	ev->now_us = ktime_to_us(ktime_get());
	dsm_hold_event(r, e->user, ev);
}

static bool is_put(u8 state)
{
	return state == DSM_PS_PS || state == DSM_PS_PE || state == DSM_PS_PX ||
	       state == DSM_PS_PI;
}

/* Home has agreed that this node gives its copy up, or has not. */
static void count_eviction(struct dsm_entry *e, u32 now_us)
{
	struct dsm_cluster *c = e->region->cluster;

	if (dsm_page_has_copy(&e->core))
		dsm_count(c, evict_nak);
	else
		dsm_hist_add(c, DSM_HIST_evict, (u64)(now_us - e->sent_us) * NSEC_PER_USEC);
}

static u8 step_once(struct dsm_entry *e, const struct dsm_event *ev,
		    struct dsm_out *out)
{
	struct dsm_dir *d = e->dir;
	u8 old = e->core.state;
	u8 old_dir = d ? d->state : DSM_NR_DIR_STATES;
	bool was_asking = is_asking(e);

	dsm_step(&e->core, d, ev, out);
	trace_dsm_step(e->region->cluster, e->region->id, e->index, ev->kind,
		       ev->kind == DSM_EK_MSG ? ev->msg.type : ev->local,
		       ev->kind == DSM_EK_MSG ? ev->msg.from : ev->self,
		       ev->kind == DSM_EK_MSG ? ev->msg.tid : e->core.tid,
		       old, e->core.state, old_dir,
		       d ? d->state : DSM_NR_DIR_STATES, out->verdict);
	if (was_asking && !is_asking(e) && ev->kind == DSM_EK_MSG)
		dsm_hold_sample(e->region->cluster, e->user, (u32)ev->now_us - e->sent_us);
	if (!is_put(old) && is_put(e->core.state))
		e->sent_us = ev->now_us;
	else if (is_put(old) && !is_put(e->core.state))
		count_eviction(e, (u32)ev->now_us);
	if (old == DSM_PS_E && e->core.state == DSM_PS_E_AWAY &&
	    !test_bit(DSM_EF_PREFETCHED, &e->flags))
		dsm_hold_lost(e->region, e->user, e->index);
	if (out->turn_over)
		dsm_hold_over(e->region, e->user);
	kfree(out->idle);
	return out->verdict;
}

/*
 * Step, and step on while there is something to be done at once: a page that
 * no one used is REVOKED already, a queue wants DRAIN.
 */
static u8 run(struct dsm_entry *e, struct dsm_event *ev, struct page **page)
{
	struct dsm_out *out = this_cpu_ptr(&engine_out);
	bool revoked;
	u8 verdict;

	lockdep_assert_held(&e->lock);
	verdict = step_once(e, ev, out);
	for (;;) {
		bool more = out->more;

		revoked = execute(e, out, page);
		if (e->slot != DSM_NO_SLOT && !is_asking(e))
			dsm_entry_release_slot_locked(e);
		if (!revoked && !more)
			return verdict;
		/*
		 * A busy record is there unless the entry is free, and then
		 * only a local event could need one.
		 */
		if (e->dir && !e->dir->busy && prepare_dir(e)) {
			if (revoked)
				dsm_revoke_retry_locked(e);
			return verdict;
		}
		init_event(e, ev);
		ev->kind = revoked ? DSM_EK_PAGE : DSM_EK_DIR;
		ev->local = revoked ? DSM_PE_REVOKED : DSM_DE_DRAIN;
		ev->fresh_tid = fresh_tid(e->region->cluster);
		step_once(e, ev, out);
	}
}

static int init_local(struct dsm_entry *e, struct dsm_event *ev, u8 local)
{
	init_event(e, ev);
	if ((e->dir || ev->home == ev->self) && prepare_dir(e))
		return -ENOMEM;
	ev->kind = DSM_EK_PAGE;
	ev->local = local;
	return 0;
}

int dsm_entry_event_locked(struct dsm_entry *e, u8 local, u16 target)
{
	struct dsm_event ev;

	if (init_local(e, &ev, local))
		return -ENOMEM;
	ev.target = target;
	ev.fresh_tid = fresh_tid(e->region->cluster);
	return run(e, &ev, NULL) == DSM_V_OK ? 0 : -EINVAL;
}

int dsm_entry_ask_locked(struct dsm_entry *e, u8 right, u32 hold_us, u32 grace_us)
{
	struct dsm_event ev;

	if (init_local(e, &ev, right == DSM_RIGHT_WRITE ? DSM_PE_WRITE : DSM_PE_READ))
		return -ENOMEM;
	ev.hold_us = hold_us;
	ev.grace_us = grace_us;
	if (hold_us)
		ev.hold_max_us = dsm_hold_max_us(e->region->cluster, hold_us);
	/* Before the step: the answer may be quick. */
	ev.fresh_tid = claim_slot(e);
	e->sent_us = ev.now_us;
	return run(e, &ev, NULL) == DSM_V_OK ? 0 : -EINVAL;
}

/* From the lock of a page to the first access through its mapping. */
#define MAP_US		50

void dsm_entry_used_locked(struct dsm_entry *e)
{
	struct dsm_event ev;

	/* Without memory the grace goes on. */
	if (!e->core.unused_until || init_local(e, &ev, DSM_PE_USED))
		return;
	ev.hold_us = MAP_US;
	run(e, &ev, NULL);
}

int dsm_entry_handoff_locked(struct dsm_entry *e, u16 successor)
{
	struct dsm_event ev;

	if (prepare_dir(e))
		return -ENOMEM;
	init_event(e, &ev);
	ev.kind = DSM_EK_DIR;
	ev.local = DSM_DE_HANDOFF;
	ev.target = successor;
	return run(e, &ev, NULL) == DSM_V_OK ? 0 : -EINVAL;
}

/* ---- messages ---- */

static int count_verdict(struct dsm_cluster *c, const struct dsm_msg *m, u8 v)
{
	switch ((enum dsm_verdict)v) {
	case DSM_V_OK:
		return 0;
	case DSM_V_LATE:
		dsm_count(c, msg_late);
		return 0;
	case DSM_V_STALE:
	case DSM_V_AHEAD:
		dsm_count(c, msg_stale);
		return 0;
	case DSM_V_DUPLICATE:
		dsm_count(c, msg_duplicate);
		return 0;
	case DSM_V_BAD_STATE:
	case DSM_V_BAD_SENDER:
	case DSM_V_BAD_FIELD:
	case DSM_V_OVERFLOW:
	case DSM_NR_VERDICTS:
		break;
	}
	dsm_count(c, msg_error);
	pr_err_ratelimited("dsm: node %u: %s from node %u for region %u page %llu: %s\n",
			   c->self, dsm_msg_name(m->type), m->from, m->region,
			   m->page, dsm_verdict_name(v));
	return -EPROTO;
}

void dsm_engine_refuse(struct dsm_cluster *c, const struct dsm_msg *m)
{
	count_verdict(c, m, DSM_V_BAD_SENDER);
}

/*
 * A request for a page that this node never was home of: either the new
 * placement has not got here yet (-EAGAIN), or the sender is wrong.
 */
static int ready_dir(struct dsm_entry *e, const struct dsm_msg *m, u16 home)
{
	struct dsm_region *r = e->region;
	u16 successor = READ_ONCE(r->successor);
	bool fresh = !e->dir;

	if (!dsm_msg_to_dir(m->type))
		return e->dir || home == r->cluster->self ? prepare_dir(e) : 0;
	if (fresh && home != r->cluster->self && !(m->flags & DSM_MF_FWDED) &&
	    m->type != DSM_MSG_MOVE && successor == DSM_NODE_NONE)
		return -EAGAIN;
	return prepare_dir(e);
}

/* Return: 0, -EPROTO, or -EAGAIN / -ENOMEM: try again later. */
static int deliver_locked(struct dsm_entry *e, const struct dsm_msg *m,
			  struct page **page, const struct dsm_nodeset *set)
{
	struct dsm_cluster *c = e->region->cluster;
	bool had_copy = dsm_page_has_copy(&e->core);
	struct dsm_event ev;
	int err;

	init_event(e, &ev);
	err = ready_dir(e, m, ev.home);
	if (err) {
		dsm_entry_prune_locked(e);
		return err;
	}
	ev.kind = DSM_EK_MSG;
	ev.msg = *m;
	ev.room = dsm_evict_has_room(c);
	if (set)
		ev.set = *set;
	else
		dsm_nodeset_clear(&ev.set);
	ev.fresh_tid = fresh_tid(c);
	if (m->type == DSM_MSG_INV)
		dsm_count(c, inv_received);
	else if (m->type == DSM_MSG_FWDS && e->core.state == DSM_PS_E)
		dsm_count(c, downgrade);
	err = count_verdict(c, m, run(e, &ev, page));
	if (m->type == DSM_MSG_PUSH && !had_copy && dsm_page_has_copy(&e->core))
		dsm_count(c, push_received);
	dsm_entry_prune_locked(e);
	return err;
}

/*
 * Home stays busy with a page until the requester says that it has it, or is lost;
 * who is no member never is.  It may be about to become one.
 */
static bool from_outsider(struct dsm_cluster *c, const struct dsm_msg *m)
{
	switch (m->type) {
	case DSM_MSG_GETS:
	case DSM_MSG_GETX:
	case DSM_MSG_PUT:
		return READ_ONCE(c->outsiders.w[m->requester / 64]) >>
		       (m->requester % 64) & 1;
	default:
		return false;
	}
}

int dsm_engine_handle(struct dsm_cluster *c, const struct dsm_msg *m,
		      struct page **page, const struct dsm_nodeset *set)
{
	struct dsm_region *r;
	struct dsm_entry *e;
	int err = -ENOMEM;

	if (from_outsider(c, m))
		return -EAGAIN;
	r = dsm_region_find(c, m->region);
	if (!r) {
		if ((s32)(m->region - READ_ONCE(c->max_region)) > 0)
			return -EAGAIN;
		dsm_count(c, msg_stale);
		return 0;
	}
	for (;;) {
		e = dsm_entry_get(r, m->page, GFP_ATOMIC | __GFP_NOWARN);
		if (!e)
			goto out;
		spin_lock_bh(&e->lock);
		if (!test_bit(DSM_EF_DEAD, &e->flags))
			break;
		spin_unlock_bh(&e->lock);
		dsm_entry_put(e);
		if (READ_ONCE(r->dead)) {
			err = 0;
			goto out;
		}
	}

	/* Else it is of who knows the placement that is to come here. */
	if (!dsm_region_is_frozen(r)) {
		err = deliver_locked(e, m, page, set);
	} else {
		err = -EBUSY;
		dsm_entry_prune_locked(e);
	}
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
out:
	dsm_region_put(r);
	return err;
}

int dsm_engine_rx(struct dsm_cluster *c, const struct dsm_msg *m,
		  struct page **page, const struct dsm_nodeset *set)
{
	int err = -EAGAIN;

	trace_dsm_msg_recv(c, m);
	dsm_count(c, msg_received);
	if (!dsm_backlog_holds(c, m->from))
		err = dsm_engine_handle(c, m, page, set);
	if (err == -EAGAIN || err == -ENOMEM || err == -EBUSY)
		err = dsm_backlog_add(c, m, page, set);
	return err;
}

int dsm_engine_rx_compact(struct dsm_cluster *c, struct dsm_msg *m,
			  struct page **page)
{
	struct dsm_entry *e = find_asking(c, m->tid);
	int err = -EAGAIN;

	dsm_count(c, msg_received);
	if (!e) {
		dsm_count(c, msg_late);
		return 0;
	}
	m->tid = e->core.tid;
	m->epoch = READ_ONCE(c->epoch);
	m->region = e->region->id;
	m->gen = e->region->gen;
	m->page = e->index;
	trace_dsm_msg_recv(c, m);
	__acquire(&e->lock);
	if (!dsm_backlog_holds(c, m->from))
		err = deliver_locked(e, m, page, NULL);
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	if (err == -EAGAIN || err == -ENOMEM)
		err = dsm_backlog_add(c, m, page, NULL);
	return err;
}

/* ---- life ---- */

int dsm_engine_start(struct dsm_cluster *c)
{
	int err;

	dsm_hold_init(c);
	c->pending = kvcalloc(NR_SLOTS, sizeof(*c->pending), GFP_KERNEL);
	if (!c->pending)
		return -ENOMEM;
	err = dsm_backlog_start(c);
	if (err)
		goto err_pending;
	err = dsm_coherent_start(c);
	if (err)
		goto err_backlog;
	err = dsm_evict_start(c);
	if (err)
		goto err_coherent;
	return 0;

err_coherent:
	dsm_coherent_stop(c);
err_backlog:
	dsm_backlog_stop(c);
err_pending:
	kvfree(c->pending);
	c->pending = NULL;
	return err;
}

/* No peer is connected and no region is left. */
void dsm_engine_stop(struct dsm_cluster *c)
{
	if (!c->backlog)
		return;
	dsm_evict_stop(c);
	dsm_coherent_stop(c);
	dsm_backlog_stop(c);
	kvfree(c->pending);
	c->pending = NULL;
}
