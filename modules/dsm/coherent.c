// SPDX-License-Identifier: GPL-2.0
/*
 * With core mm's help: a right and its mapping in one step.
 *
 * Normal operation: a missing PTE of a shared mapping, or a write to one that is
 * read-only, comes here as a whole.  We get the right and the page, locked, and
 * map it with all the right there is: a page that this node owns is mapped for
 * writing even if it is only read now, so the write after the read is no fault.
 *
 * Unlike through page_mkwrite, no one holds a reference to the page that was
 * mapped before while we wait for the right to write, and it makes no difference
 * whether the page that comes is the same.
 *
 * Private mappings go through mmap.c on every kernel.
 *
 * Memory that a process has already becomes a mapping of a file where it is: core
 * mm freezes it, we copy it to pages of the file (adoption).
 *
 * Revocations come in bursts: those that began while the worker was busy it does
 * together, with one flush of the TLBs.  It waits for no one: a page that is
 * locked, or still in use when it is unmapped, goes to the worker of its record
 * (revoke.c), which is woken when a pin of the page ends.
 */
#include "coherent.h"

#ifdef CONFIG_MM_COHERENT

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm_coherent.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/wait_bit.h>

#include "cluster.h"
#include "node.h"
#include "revoke.h"

/* ---- faults ---- */

static bool map_page(struct vm_fault *vmf, unsigned long addr,
		     struct page *page, u8 right)
{
	return vm_coherent_map(vmf, addr, page, right == DSM_RIGHT_WRITE) ==
	       VM_FAULT_NOPAGE;
}

static vm_fault_t dsm_vm_coherent_fault(struct vm_fault *vmf)
{
	const u8 wanted = vmf->flags & FAULT_FLAG_WRITE ? DSM_RIGHT_WRITE : DSM_RIGHT_READ;
	u8 right = wanted;
	bool waited = false;
	struct page *page;
	vm_fault_t ret;

	dsm_fault_ahead(vmf, right);
	ret = dsm_fault_get_page(vmf, &right, 0, &waited, &page);
	if (ret)
		return ret;
	ret = vm_coherent_map(vmf, vmf->address, page, right == DSM_RIGHT_WRITE);
	dsm_fault_around(vmf, wanted, map_page);
	unlock_page(page);
	put_page(page);
	return ret | (waited ? VM_FAULT_MAJOR : 0);
}

static const struct vm_operations_struct dsm_coherent_ops = {
	.fault = dsm_vm_fault, /* of private mappings */
	.coherent_fault = dsm_vm_coherent_fault,
};

/**
 * dsm_coherent_vm_ops() - handlers that use the hook
 * @c:	the cluster
 *
 * Return: the handlers for a mapping that is made, NULL if the hook is off.
 */
const struct vm_operations_struct *dsm_coherent_vm_ops(struct dsm_cluster *c)
{
	return READ_ONCE(c->knobs.fault_hook) ? &dsm_coherent_ops : NULL;
}

/* ---- adoption ---- */

static DEFINE_MUTEX(adoption_mutex);

/**
 * struct adoption - memory of a process becomes pages of a file
 * @core:	what core mm does
 * @deadline:	when the process has waited long enough
 */
struct adoption {
	struct coherent_adoption core;
	unsigned long deadline;
};

/* The mmap lock of the process is held for writing; @from does not change. */
static int adopt_page(struct coherent_adoption *core, pgoff_t index,
		      struct page *from)
{
	struct adoption *ad = container_of(core, struct adoption, core);
	struct dsm_region *r = dsm_inode_region(file_inode(core->file));
	long left = ad->deadline - jiffies;
	struct page *to;
	int err;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (left <= 0)
		return -ETIMEDOUT;
	err = dsm_page_wait(r, index, DSM_RIGHT_WRITE, jiffies_to_msecs(left));
	if (!err)
		err = dsm_page_acquire(r, index, DSM_RIGHT_WRITE, 0, &to);
	if (err)
		return err == -ESTALE ? -EIO : err;
	/* Not behind the end of a file that was truncated meanwhile. */
	if ((loff_t)index << PAGE_SHIFT < i_size_read(file_inode(core->file)))
		copy_highpage(to, from);
	else
		err = -ENXIO;
	flush_dcache_page(to);
	unlock_page(to);
	put_page(to);
	return err;
}

/**
 * dsm_coherent_adopt() - make memory of a process a mapping of a file
 * @file:	the file, which is long enough
 * @what:	checked by the caller
 *
 * Pages that were never touched are not copied, so what the file has there is
 * dropped first, even if the pages turn out to be pinned, say.  But not before it
 * is known that the memory is no mapping of this very file, and not while that
 * may become one: one adoption at a time.
 *
 * Context: process; sleeps, killable.
 * Return: 0, or as coherent_adopt(), dsm_page_acquire() and fallocate(2).
 */
int dsm_coherent_adopt(struct file *file, const struct dsm_ioc_adopt *what)
{
	struct dsm_cluster *c = dsm_inode_region(file_inode(file))->cluster;
	struct adoption ad = {
		.core.file = file,
		.core.pgoff = what->offset >> PAGE_SHIFT,
		.core.start = what->addr,
		.core.end = what->addr + what->len,
	};
	int err;

	if (mutex_lock_killable(&adoption_mutex))
		return -EINTR;
	dsm_vma_kind(c, &ad.core.vm_ops, &ad.core.vm_flags);
	/* Could it be done? */
	err = coherent_adopt(what->pidfd, &ad.core);
	if (!err)
		err = vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    what->offset, what->len);
	if (!err) {
		u32 ms = READ_ONCE(c->knobs.fault_timeout_ms);

		ad.core.fill = adopt_page;
		ad.deadline = jiffies + msecs_to_jiffies(ms);
		err = coherent_adopt(what->pidfd, &ad.core);
	}
	mutex_unlock(&adoption_mutex);
	return err;
}

/* ---- pins ---- */

/**
 * dsm_coherent_pause() - wait for the users of a page, but not for long
 * @page:	the page
 * @right:	what users may keep
 * @us:		how long at most, give or take as long again
 *
 * Users that are not pins end without a word, which is why it is not for long.
 *
 * Context: process, sleeps; the page is locked and unmapped.
 */
void dsm_coherent_pause(struct page *page, u8 right, unsigned int us)
{
	struct folio *folio = page_folio(page);
	struct wait_queue_head *wq = __var_waitqueue(folio);
	ktime_t timeout = ns_to_ktime((u64)us * NSEC_PER_USEC);
	struct wait_bit_queue_entry wait;

	init_wait_var_entry(&wait, folio, 0);
	prepare_to_wait(wq, &wait.wq_entry, TASK_UNINTERRUPTIBLE);
	if (!dsm_revoke_is_unused(page, right))
		schedule_hrtimeout_range(&timeout, (u64)us * NSEC_PER_USEC,
					 HRTIMER_MODE_REL);
	finish_wait(wq, &wait.wq_entry);
}

/* ---- revocations ---- */

#define BATCH	64

/**
 * struct dsm_coherent - revocations that are done together
 * @c:		the cluster
 * @work:	does them
 * @list:	of struct dsm_entry.revoke_node; each holds its record
 * @one:	those it is at; @work only, as what follows
 * @folio:	their folios
 */
struct dsm_coherent {
	struct dsm_cluster *c;
	struct work_struct work;
	struct llist_head list;
	struct dsm_revocation one[BATCH];
	struct folio *folio[BATCH];
};

static int by_place(const void *pa, const void *pb)
{
	const struct dsm_revocation *a = pa, *b = pb;

	if (a->e->region != b->e->region)
		return a->e->region < b->e->region ? -1 : 1;
	if (a->right != b->right)
		return a->right < b->right ? -1 : 1;
	return a->e->index < b->e->index ? -1 : 1;
}

/* Those from @from on that are of one region and leave the same right. */
static unsigned int unmap_group(struct dsm_coherent *b, unsigned int from,
				unsigned int nr)
{
	const struct dsm_revocation *first = &b->one[from];
	struct dsm_region *r = first->e->region;
	unsigned int i, nr_mapped = 0;

	for (i = from; i < nr; i++) {
		const struct dsm_revocation *v = &b->one[i];

		if (v->e->region != r || v->right != first->right)
			break;
		/* Else its index may say nothing. */
		if (folio_mapped(page_folio(v->page)))
			b->folio[nr_mapped++] = page_folio(v->page);
	}
	if (!nr_mapped)
		return i;
	down_read(&r->mapping_lock);
	if (r->mapping)
		mapping_coherent_revoke(r->mapping, b->folio, nr_mapped,
					first->right == DSM_RIGHT_READ);
	up_read(&r->mapping_lock);
	if (nr_mapped > 1)
		dsm_count_add(b->c, revoke_batched, nr_mapped);
	return i;
}

static void revoke_batch(struct dsm_coherent *b, unsigned int nr)
{
	unsigned int i;

	sort(b->one, nr, sizeof(b->one[0]), by_place, NULL);
	for (i = 0; i < nr; )
		i = unmap_group(b, i, nr);
	for (i = 0; i < nr; i++) {
		struct dsm_revocation *v = &b->one[i];

		if (dsm_revoke_is_unused(v->page, v->right)) {
			dsm_revoke_end(v, true);
			continue;
		}
		unlock_page(v->page);
		dsm_revoke_alone(v->e);
		dsm_revoke_put(v);
	}
	dsm_node_flush(b->c);
}

/* Return: is it ours, the page locked? The record's worker has it otherwise. */
static bool take(struct dsm_entry *e, struct dsm_revocation *v)
{
	if (!dsm_revoke_begin(e, v))
		return false;
	/* Whoever holds many page locks must not wait for another. */
	if (v->page && trylock_page(v->page))
		return true;
	dsm_revoke_alone(e);
	dsm_revoke_put(v);
	return false;
}

static void batch_work(struct work_struct *work)
{
	struct dsm_coherent *b = container_of(work, struct dsm_coherent, work);
	struct llist_node *list = llist_reverse_order(llist_del_all(&b->list));
	struct dsm_entry *e, *next;
	unsigned int nr = 0;

	llist_for_each_entry_safe(e, next, list, revoke_node) {
		nr += take(e, &b->one[nr]);
		dsm_entry_put(e);
		if (nr == BATCH || nr >= READ_ONCE(b->c->knobs.revoke_batch)) {
			revoke_batch(b, nr);
			nr = 0;
		}
	}
	if (nr)
		revoke_batch(b, nr);
}

/**
 * dsm_coherent_revoke() - have a revocation done together with others
 * @e:	the record, locked, whose revocation just began
 *
 * Return: false: not here.
 */
bool dsm_coherent_revoke(struct dsm_entry *e)
{
	struct dsm_cluster *c = e->region->cluster;
	struct dsm_coherent *b = READ_ONCE(c->coherent);

	lockdep_assert_held(&e->lock);
	if (!b || READ_ONCE(c->knobs.revoke_batch) < 2)
		return false;
	dsm_entry_hold(e);
	if (llist_add(&e->revoke_node, &b->list))
		queue_work(c->page_wq, &b->work);
	return true;
}

/**
 * dsm_coherent_start() - make ready what a cluster needs
 * @c:	the cluster
 *
 * Return: 0 or -ENOMEM.
 */
int dsm_coherent_start(struct dsm_cluster *c)
{
	struct dsm_coherent *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return -ENOMEM;
	b->c = c;
	INIT_WORK(&b->work, batch_work);
	init_llist_head(&b->list);
	c->coherent = b;
	mm_coherent_get();
	return 0;
}

/**
 * dsm_coherent_stop() - no region is left
 * @c:	the cluster
 */
void dsm_coherent_stop(struct dsm_cluster *c)
{
	struct dsm_coherent *b = c->coherent;

	if (!b)
		return;
	flush_work(&b->work);
	c->coherent = NULL;
	kfree(b);
	mm_coherent_put();
}

#endif
