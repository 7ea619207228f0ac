// SPDX-License-Identifier: GPL-2.0
/*
 * Remote notification: an eventfd here that is signalled, one on another node
 * that is signalled for it.  Both ends are kernel objects, so what signals and
 * what is signalled may be too: KVM, say, as sender and as irqfd.
 *
 * A file of dsmfs and a number name a listener; the file says who may.  Each end
 * is a file descriptor of its own, which ends it when it is closed, and holds the
 * file, hence the mount and the cluster.
 *
 * Normal operation: whoever signals a sender's eventfd, in any context, puts the
 * sender in a list; a work item in softirq sends a frame for each.  An interrupt
 * of our own makes that happen at once: it ends in softirqs, where a work item
 * made pending by a task would wait for ksoftirqd to be scheduled.  On the other
 * node the frame's softirq signals the listener's eventfd.  A sender is in the
 * list once, so what is signalled meanwhile is one notification: whoever waits
 * learns that something was signalled after it last looked, not how often.
 *
 * A sender that is closed is there until what was signalled before is sent.
 *
 * Recovery: without memory, or when too many frames wait for a peer, the senders
 * stay in the list and a timer tries again.  Links deliver across reconnects, so
 * a notification is lost only with the peer, or if nobody listens there.
 */
#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/irq_work.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>

#include "cluster.h"
#include "inode.h"
#include "node.h"
#include "notify.h"
#include "region.h"
#include "uapi/dsm.h"

#define LISTENER_BITS	8

#define FSYNC_MS	2000
#define FSYNC_STEP_US	500

/**
 * struct dsm_notify - remote notification of a cluster
 * @c:		the cluster
 * @lock:	protects @listeners, which is read under RCU
 * @listeners:	struct notify_end, by key
 * @due:	senders that were signalled
 * @unsent:	how many of them there are, by the node they are for
 * @irq:	makes @work pending
 * @work:	sends for them
 * @retry:	queues @work
 */
struct dsm_notify {
	struct dsm_cluster *c;
	spinlock_t lock; /* @listeners */
	DECLARE_HASHTABLE(listeners, LISTENER_BITS);
	struct llist_head due;
	atomic_t unsent[DSM_MAX_NODES];
	struct irq_work irq;
	struct work_struct work;
	struct timer_list retry;
};

/**
 * struct notify_end - a sender or a listener
 * @notify:	of its cluster
 * @file:	of dsmfs
 * @eventfd:	that it waits for, or signals
 * @notice:	what it sends, or is for
 * @sends:	which of the two
 * @refs:	one for the descriptor; sender: one while PENDING
 * @to:		sender: the node
 * @wait:	sender: in the queue of @eventfd
 * @due:	sender: in dsm_notify.due while PENDING
 * @state:	sender: PENDING
 * @poll:	sender: finds that queue
 * @hash:	listener: in dsm_notify.listeners
 * @rcu:	its end
 */
struct notify_end {
	struct dsm_notify *notify;
	struct file *file;
	struct eventfd_ctx *eventfd;
	struct dsm_notice notice;
	bool sends;
	refcount_t refs;
	u16 to;
	wait_queue_entry_t wait;
	struct llist_node due;
	unsigned long state;
	poll_table poll;
	struct hlist_node hash;
	struct rcu_head rcu;
};

#define PENDING		0	/* bit of notify_end.state */

/* ---- both ---- */

static void free_end_rcu(struct rcu_head *rcu)
{
	struct notify_end *e = container_of(rcu, struct notify_end, rcu);

	eventfd_ctx_put(e->eventfd);
	kfree(e);
}

/* Any context: what is slow, fput() defers. */
static void put_end(struct notify_end *e)
{
	if (!refcount_dec_and_test(&e->refs))
		return;
	fput(e->file);
	call_rcu(&e->rcu, free_end_rcu);
}

/* ---- listeners ---- */

static u64 mix(const struct dsm_notice *n)
{
	return n->key ^ (u64)n->region << 32;
}

static struct notify_end *find_rcu(struct dsm_notify *notify, const struct dsm_notice *n)
{
	struct notify_end *e;

	hash_for_each_possible_rcu(notify->listeners, e, hash, mix(n),
				   lockdep_is_held(&notify->lock)) {
		if (e->notice.key == n->key && e->notice.region == n->region &&
		    e->notice.gen == n->gen)
			return e;
	}
	return NULL;
}

void dsm_notify_rx(struct dsm_cluster *c, const struct dsm_notice *n)
{
	struct notify_end *e;

	rcu_read_lock();
	e = find_rcu(c->notify, n);
	if (e) {
		dsm_count(c, notify_received);
		eventfd_signal(e->eventfd);
	} else {
		dsm_count(c, notify_nobody);
	}
	rcu_read_unlock();
}

static int listen(struct notify_end *e)
{
	struct dsm_notify *notify = e->notify;
	int err = 0;

	spin_lock_bh(&notify->lock);
	if (find_rcu(notify, &e->notice))
		err = -EEXIST;
	else
		hash_add_rcu(notify->listeners, &e->hash, mix(&e->notice));
	spin_unlock_bh(&notify->lock);
	return err;
}

static void unlisten(struct notify_end *e)
{
	spin_lock_bh(&e->notify->lock);
	hash_del_rcu(&e->hash);
	spin_unlock_bh(&e->notify->lock);
}

/* ---- senders ---- */

static void make_due(struct notify_end *e)
{
	if (test_and_set_bit(PENDING, &e->state))
		return;
	refcount_inc(&e->refs);
	atomic_inc(&e->notify->unsent[e->to]);
	llist_add(&e->due, &e->notify->due);
}

/* Called with the lock of the eventfd's queue, interrupts off. */
static int signalled(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct notify_end *e = container_of(wait, struct notify_end, wait);
	u64 count;

	if (!(key_to_poll(key) & EPOLLIN))
		return 0;
	eventfd_ctx_do_read(e->eventfd, &count);
	make_due(e);
	irq_work_queue(&e->notify->irq);
	return 1;
}

static int send(struct dsm_cluster *c, const struct notify_end *e)
{
	int err = 0;

	if (e->to == c->self)
		dsm_notify_rx(c, &e->notice);
	else
		err = dsm_node_send_notice(c, e->to, &e->notice);
	if (!err)
		dsm_count(c, notify_sent);
	return err;
}

static void send_due(struct work_struct *work)
{
	struct dsm_notify *notify = container_of(work, struct dsm_notify, work);
	struct llist_node *list = llist_del_all(&notify->due);
	struct notify_end *e, *next;
	bool again = false;

	llist_for_each_entry_safe(e, next, llist_reverse_order(list), due) {
		clear_bit(PENDING, &e->state);
		/* First: what is signalled from now on is sent again. */
		smp_mb__after_atomic();
		if (send(notify->c, e) == -EAGAIN) {
			make_due(e);
			again = true;
		}
		/* After the frame is queued: who sees 0 finds it there. */
		smp_mb__before_atomic();
		atomic_dec(&notify->unsent[e->to]);
		put_end(e);
	}
	dsm_node_flush(notify->c);
	if (again)
		mod_timer(&notify->retry, jiffies + 1);
}

static void send_soon(struct irq_work *irq)
{
	struct dsm_notify *notify = container_of(irq, struct dsm_notify, irq);

	queue_work(system_bh_highpri_wq, &notify->work);
}

static void try_again(struct timer_list *t)
{
	struct dsm_notify *notify = from_timer(notify, t, retry);

	queue_work(system_bh_highpri_wq, &notify->work);
}

static void found_queue(struct file *file, wait_queue_head_t *queue, poll_table *poll)
{
	struct notify_end *e = container_of(poll, struct notify_end, poll);

	add_wait_queue(queue, &e->wait);
}

static void watch(struct notify_end *e, struct file *eventfd)
{
	init_waitqueue_func_entry(&e->wait, signalled);
	init_poll_funcptr(&e->poll, found_queue);
	if (!(vfs_poll(eventfd, &e->poll) & EPOLLIN))
		return;
	/* Signalled before. */
	make_due(e);
	irq_work_queue(&e->notify->irq);
}

/* ---- descriptors ---- */

static void stop(struct notify_end *e)
{
	u64 count;

	if (e->sends)
		eventfd_ctx_remove_wait_queue(e->eventfd, &e->wait, &count);
	else
		unlisten(e);
	put_end(e);
}

static int end_release(struct inode *inode, struct file *file)
{
	stop(file->private_data);
	return 0;
}

/* Is there a frame for all that was signalled, by any sender to that node? */
static bool all_queued(struct dsm_notify *notify, u16 to)
{
	return !atomic_read_acquire(&notify->unsent[to]);
}

/*
 * What was signalled before has arrived: an acknowledgement says so, which the
 * peer may put off for DSM_ACK_DELAY_MS.  It is the link's: the softirq that gave
 * it signals the listener next.
 */
static int end_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct notify_end *e = file->private_data;
	struct dsm_cluster *c = e->notify->c;
	unsigned long deadline = jiffies + msecs_to_jiffies(FSYNC_MS);
	struct dsm_node *n = e->sends ? c->node[e->to] : NULL;
	bool marked = false;
	u32 mark = 0;

	for (;;) {
		if (!marked && all_queued(e->notify, e->to)) {
			mark = n ? dsm_node_tx_mark(n) : 0;
			marked = true;
		}
		if (marked && (!n || dsm_node_has_got(n, mark)))
			return 0;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		if (fatal_signal_pending(current))
			return -EINTR;
		fsleep(FSYNC_STEP_US);
	}
}

static const struct file_operations end_fops = {
	.owner = THIS_MODULE,
	.fsync = end_fsync,
	.release = end_release,
	.llseek = noop_llseek,
};

static int check(struct file *file, const struct dsm_ioc_notify *n, u16 nr_nodes)
{
	if (n->flags & ~DSM_NOTIFY_SEND || n->pad)
		return -EINVAL;
	if (!(n->flags & DSM_NOTIFY_SEND))
		return n->node ? -EINVAL : file->f_mode & FMODE_READ ? 0 : -EBADF;
	if (n->node >= nr_nodes)
		return -EINVAL;
	return file->f_mode & FMODE_WRITE ? 0 : -EBADF;
}

static struct notify_end *create(struct file *file, const struct dsm_ioc_notify *n,
				 struct file *eventfd)
{
	struct dsm_region *r = dsm_inode_region(file_inode(file));
	struct notify_end *e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);

	if (!e)
		return ERR_PTR(-ENOMEM);
	e->eventfd = eventfd_ctx_fileget(eventfd);
	if (IS_ERR(e->eventfd)) {
		int err = PTR_ERR(e->eventfd);

		kfree(e);
		return ERR_PTR(err);
	}
	e->notify = r->cluster->notify;
	e->notice = (struct dsm_notice){
		.region = r->id,
		.gen = r->gen,
		.key = n->key,
	};
	e->file = get_file(file);
	refcount_set(&e->refs, 1);
	e->to = n->node;
	e->sends = n->flags & DSM_NOTIFY_SEND;
	return e;
}

static int begin(struct notify_end *e, struct file *eventfd)
{
	int ret = 0;

	if (e->sends)
		watch(e, eventfd);
	else
		ret = listen(e);
	if (!ret)
		ret = anon_inode_getfd("[dsm-notify]", &end_fops, e, O_RDWR | O_CLOEXEC);
	if (ret < 0)
		stop(e);
	return ret;
}

/**
 * dsm_notify_open() - make one end of a remote notification
 * @file:	of dsmfs
 * @arg:	user pointer to struct dsm_ioc_notify
 *
 * Context: process; sleeps.
 * Return: a file descriptor; -EBADF if @file or the eventfd is not open, or not
 * for what is asked; -EEXIST if there is a listener; -EINVAL, -EFAULT, -ENOMEM,
 * -EMFILE.
 */
long dsm_notify_open(struct file *file, void __user *arg)
{
	struct dsm_cluster *c = dsm_cluster_of(file_inode(file));
	struct dsm_ioc_notify n;
	struct notify_end *e;
	struct file *eventfd;
	int ret;

	if (copy_from_user(&n, arg, sizeof(n)))
		return -EFAULT;
	ret = check(file, &n, c->nr_nodes);
	if (ret)
		return ret;
	eventfd = fget(n.fd);
	if (!eventfd)
		return -EBADF;
	e = create(file, &n, eventfd);
	ret = IS_ERR(e) ? PTR_ERR(e) : begin(e, eventfd);
	fput(eventfd);
	return ret;
}

/**
 * dsm_notify_start() - get ready
 * @c:	the cluster
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM.
 */
int dsm_notify_start(struct dsm_cluster *c)
{
	struct dsm_notify *notify = kzalloc(sizeof(*notify), GFP_KERNEL);

	if (!notify)
		return -ENOMEM;
	notify->c = c;
	spin_lock_init(&notify->lock);
	hash_init(notify->listeners);
	init_llist_head(&notify->due);
	init_irq_work(&notify->irq, send_soon);
	INIT_WORK(&notify->work, send_due);
	timer_setup(&notify->retry, try_again, 0);
	c->notify = notify;
	return 0;
}

/**
 * dsm_notify_stop() - there are no mounts any more, hence no senders and listeners
 * @c:	the cluster
 *
 * Context: process; sleeps.
 */
void dsm_notify_stop(struct dsm_cluster *c)
{
	struct dsm_notify *notify = c->notify;

	if (!notify)
		return;
	irq_work_sync(&notify->irq);
	timer_shutdown_sync(&notify->retry);
	cancel_work_sync(&notify->work);
	/* Listeners that were closed last. */
	rcu_barrier();
	kfree(notify);
	c->notify = NULL;
}
