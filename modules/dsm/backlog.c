// SPDX-License-Identifier: GPL-2.0
/*
 * Messages that cannot be handled yet: for want of a record, because the metadata
 * has not announced their region here, or is about to change its placement (frozen), or
 * no view has announced their sender as a member.  All
 * later ones of that sender wait behind; if the sender was restarted they are dropped.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "backlog.h"
#include "node.h"

#define RETRY_MS		2
#define MAX_WAIT_S		10
/*
 * A message must not be lost for want of memory: so many can always wait.  With half
 * of them left no frame is taken, which leaves some for those that come at once.
 */
#define RESERVE		512

struct deferred {
	struct list_head entry;
	struct dsm_msg msg;
	struct dsm_nodeset set;
	struct page *page;
	u32 incarnation;
	bool has_set;
	unsigned long since;
};

/**
 * struct dsm_backlog - messages put off, in the order they came
 * @lock:	protects all below; taken with BH disabled
 * @list:	struct deferred
 * @nr:		how many there are of each sender
 * @pool:	of struct deferred
 * @work:	tries again
 * @cluster:	the cluster
 */
struct dsm_backlog {
	spinlock_t lock; /* all below */
	struct list_head list;
	u32 nr[DSM_MAX_NODES];
	mempool_t *pool;
	struct delayed_work work;
	struct dsm_cluster *cluster;
};

int dsm_backlog_add(struct dsm_cluster *c, const struct dsm_msg *m,
		    struct page **page, const struct dsm_nodeset *set)
{
	struct dsm_backlog *b = c->backlog;
	struct deferred *d = mempool_alloc(b->pool, GFP_ATOMIC);

	if (!d) {
		pr_err_ratelimited("dsm: node %u: no memory even to put a message from node %u off: dropped\n",
				   c->self, m->from);
		return -EPROTO;
	}
	d->msg = *m;
	d->has_set = set;
	d->since = jiffies;
	d->incarnation = dsm_node_incarnation(c, m->from);
	if (set)
		d->set = *set;
	d->page = page ? *page : NULL;
	if (page)
		*page = NULL;
	dsm_count(c, msg_backlog);
	spin_lock_bh(&b->lock);
	list_add_tail(&d->entry, &b->list);
	b->nr[m->from]++;
	spin_unlock_bh(&b->lock);
	queue_delayed_work(c->page_wq, &b->work, msecs_to_jiffies(RETRY_MS));
	return 0;
}

static void forget(struct dsm_backlog *b, struct deferred *d)
{
	spin_lock_bh(&b->lock);
	list_del(&d->entry);
	b->nr[d->msg.from]--;
	spin_unlock_bh(&b->lock);
	if (d->page)
		put_page(d->page);
	mempool_free(d, b->pool);
}

/* Return: whether it is done with, and freed. */
static bool try_again(struct dsm_backlog *b, struct deferred *d)
{
	int err;

	if (d->incarnation != dsm_node_incarnation(b->cluster, d->msg.from)) {
		dsm_count(b->cluster, msg_stale);
		forget(b, d);
		return true;
	}
	local_bh_disable();
	err = dsm_engine_handle(b->cluster, &d->msg, &d->page,
				d->has_set ? &d->set : NULL);
	local_bh_enable();
	/* There will be memory, and a thaw; what no metadata has announced by then is wrong. */
	if (err == -ENOMEM || err == -EBUSY ||
	    (err == -EAGAIN && time_before(jiffies, d->since + MAX_WAIT_S * HZ)))
		return false;
	if (err == -EAGAIN)
		dsm_engine_refuse(b->cluster, &d->msg);
	forget(b, d);
	return true;
}

/* Only this worker removes; the first of a sender that fails blocks the rest. */
static void try_all(struct work_struct *work)
{
	struct dsm_backlog *b = container_of(work, struct dsm_backlog, work.work);
	struct dsm_nodeset blocked = {};
	struct deferred *d, *next;
	LIST_HEAD(todo);
	bool left = false;

	spin_lock_bh(&b->lock);
	list_splice_init(&b->list, &todo);
	spin_unlock_bh(&b->lock);
	list_for_each_entry_safe(d, next, &todo, entry) {
		u16 from = d->msg.from;

		if (dsm_nodeset_has(&blocked, from) || !try_again(b, d)) {
			dsm_nodeset_add(&blocked, from);
			left = true;
		}
	}
	spin_lock_bh(&b->lock);
	list_splice(&todo, &b->list);
	spin_unlock_bh(&b->lock);
	dsm_node_flush(b->cluster);
	if (left)
		queue_delayed_work(b->cluster->page_wq, &b->work,
				   msecs_to_jiffies(RETRY_MS));
}

bool dsm_backlog_holds(struct dsm_cluster *c, u16 from)
{
	return READ_ONCE(c->backlog->nr[from]);
}

int dsm_backlog_wait(struct dsm_cluster *c, u16 from, unsigned long deadline)
{
	while (dsm_backlog_holds(c, from)) {
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		schedule_timeout_idle(1);
	}
	return 0;
}

bool dsm_backlog_has_reserve(struct dsm_cluster *c)
{
	return READ_ONCE(c->backlog->pool->curr_nr) >= RESERVE / 2;
}

int dsm_backlog_start(struct dsm_cluster *c)
{
	struct dsm_backlog *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return -ENOMEM;
	spin_lock_init(&b->lock);
	INIT_LIST_HEAD(&b->list);
	INIT_DELAYED_WORK(&b->work, try_all);
	b->cluster = c;
	b->pool = mempool_create_kmalloc_pool(RESERVE, sizeof(struct deferred));
	if (!b->pool) {
		kfree(b);
		return -ENOMEM;
	}
	c->backlog = b;
	return 0;
}

void dsm_backlog_stop(struct dsm_cluster *c)
{
	struct dsm_backlog *b = c->backlog;
	struct deferred *d, *next;

	cancel_delayed_work_sync(&b->work);
	list_for_each_entry_safe(d, next, &b->list, entry)
		forget(b, d);
	c->backlog = NULL;
	mempool_destroy(b->pool);
	kfree(b);
}
