// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: from a missing right to a page in the page tables.
 *
 * Normal operation: the page is returned locked, so that the mapping is
 * installed before a revocation, which takes the page lock, can look for it.
 * What has to ask another node gives the mmap lock (or the VMA lock) up first,
 * waits, and has the fault retried; FAULT_FLAG_RETRY_NOWAIT starts the fetch
 * and waits for nothing, which is what KVM's async page faults are made of.
 *
 * The caller of page_mkwrite holds a reference to the page while we wait.  If
 * the page is taken away meanwhile that reference is harmless, so it is counted
 * with those of frames; the page is then another one, and the fault starts over.
 *
 * Where the kernel hands a fault over as a whole, coherent.c does what the
 * handlers at the end of this file do.
 */
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "cluster.h"
#include "coherent.h"
#include "hold.h"
#include "node.h"
#include "region.h"
#include "trace.h"

/* ---- waiting for the right ---- */

/* sparse cannot follow a lock that a function returns with only if it succeeds. */
static void entry_lock(struct dsm_entry *e)
{
	spin_lock_bh(&e->lock);
	__release(&e->lock);
}

static void entry_unlock(struct dsm_entry *e)
{
	__acquire(&e->lock);
	spin_unlock_bh(&e->lock);
}

/* The copy is zeroes that no one has looked at: make a page, here, charged. */
static int fill_zero(struct dsm_entry *e)
{
	struct page *page;

	page = alloc_page(GFP_HIGHUSER | __GFP_ZERO | __GFP_ACCOUNT);
	if (!page)
		return -ENOMEM;
	page->private = 0;
	entry_lock(e);
	if (test_and_clear_bit(DSM_EF_ZERO, &e->flags)) {
		e->page = page;
		page = NULL;
	}
	entry_unlock(e);
	if (page)
		put_page(page);
	return 0;
}

static struct dsm_entry *get_live(struct dsm_region *r, u64 index)
{
	struct dsm_entry *e;

	for (;;) {
		if (READ_ONCE(r->dead))
			return ERR_PTR(-ESTALE);
		e = dsm_entry_get(r, index, GFP_KERNEL);
		if (!e)
			return ERR_PTR(-ENOMEM);
		entry_lock(e);
		if (!test_bit(DSM_EF_DEAD, &e->flags))
			return e;
		entry_unlock(e);
		dsm_entry_put(e);
	}
}

static void put_locked(struct dsm_entry *e)
{
	dsm_entry_prune_locked(e);
	entry_unlock(e);
	dsm_entry_put(e);
}

/* In all other states a request is out, or the access has to wait first. */
static int ask(struct dsm_entry *e, u8 right, u8 user)
{
	struct dsm_cluster *c = e->region->cluster;
	u32 hold_us = READ_ONCE(c->knobs.hold_us);

	if (e->core.state != DSM_PS_I && e->core.state != DSM_PS_S)
		return 0;
	e->user = user;
	return dsm_entry_event_locked(e, right == DSM_RIGHT_WRITE ?
				      DSM_PE_WRITE : DSM_PE_READ,
				      DSM_NODE_NONE, hold_us);
}

struct fault_wait {
	struct dsm_region *r;
	u64 index;
	u8 right;
	unsigned long deadline;
	ktime_t start;
	bool asked;		/* the first look found no right */
	bool was_shared;	/* … but a copy for reading */
	u8 user;
};

static void fault_start(struct fault_wait *w, const struct dsm_entry *e)
{
	struct dsm_cluster *c = w->r->cluster;

	if (w->asked)
		return;
	w->asked = true;
	w->start = ktime_get();
	w->was_shared = dsm_page_right(&e->core) == DSM_RIGHT_READ;
	trace_dsm_fault_start(c, w->r->id, w->index, w->right, e->core.state);
}

static void fault_end(struct fault_wait *w, bool zero, int err)
{
	struct dsm_cluster *c = w->r->cluster;
	u64 ns;

	if (!w->asked)
		return;
	ns = ktime_to_ns(ktime_sub(ktime_get(), w->start));
	trace_dsm_fault_end(c, w->r->id, w->index, w->right, err, ns);
	if (err == -ETIMEDOUT) {
		dsm_count(c, fault_timeout);
		pr_warn_ratelimited("dsm: node %u: region %u page %llu: no answer in %llu ms; is node %u alive, or the page pinned somewhere?\n",
				    c->self, w->r->id, w->index,
				    div_u64(ns, NSEC_PER_MSEC),
				    dsm_region_home(w->r, w->index));
	} else if (err == -EINTR) {
		dsm_count(c, fault_killed);
	}
	if (err)
		return;
	if (zero) {
		dsm_hist_add(c, DSM_HIST_fault_zero, ns);
	} else if (w->right == DSM_RIGHT_READ) {
		dsm_count(c, fault_read);
		dsm_hist_add(c, DSM_HIST_fault_read, ns);
	} else if (w->was_shared) {
		dsm_count(c, fault_upgrade);
		dsm_hist_add(c, DSM_HIST_fault_upgrade, ns);
	} else {
		dsm_count(c, fault_write);
		dsm_hist_add(c, DSM_HIST_fault_write, ns);
	}
}

/*
 * Wait with e->lock held on entry, not held on return; the record may be
 * another one afterwards.
 */
static int wait_change(struct dsm_entry *e, const struct fault_wait *w)
{
	long left = w->deadline - jiffies;
	DEFINE_WAIT(wait);

	if (left <= 0) {
		put_locked(e);
		return -ETIMEDOUT;
	}
	prepare_to_wait(&e->wait, &wait, TASK_KILLABLE);
	entry_unlock(e);
	dsm_hold_regain(w->r, w->user, w->index);
	dsm_node_flush(e->region->cluster);
	schedule_timeout(left);
	finish_wait(&e->wait, &wait);
	dsm_entry_put(e);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Return: the record, locked, with the right there; ERR_PTR(): not locked, and
 * -EAGAIN if NOWAIT.
 */
static struct dsm_entry *wait_right(struct fault_wait *w, unsigned int flags)
{
	struct dsm_cluster *c = w->r->cluster;
	struct dsm_entry *e;
	int err;

	for (;;) {
		e = get_live(w->r, w->index);
		if (IS_ERR(e))
			return e;
		if (dsm_page_right(&e->core) >= w->right) {
			e->user = w->user;
			return e;
		}
		if (!dsm_page_has_copy(&e->core) && dsm_evict_is_full(c)) {
			put_locked(e);
			if (flags & DSM_GET_NOWAIT)
				return ERR_PTR(-EAGAIN);
			err = dsm_evict_wait_room(c);
			if (err)
				return ERR_PTR(err);
			continue;
		}
		fault_start(w, e);
		dsm_hold_begin(w->r, w->user);
		err = ask(e, w->right, w->user);
		if (dsm_page_right(&e->core) >= w->right) {
			dsm_hold_end(w->r, w->user, w->index);
			return e;
		}
		if (flags & DSM_GET_NOWAIT || err) {
			put_locked(e);
			dsm_hold_regain(w->r, w->user, w->index);
			dsm_node_flush(c);
			if (!err)
				dsm_count(c, fault_nowait);
			err = err ?: -EAGAIN;
		} else {
			err = wait_change(e, w);
		}
		dsm_hold_end(w->r, w->user, w->index);
		if (err)
			return ERR_PTR(err);
	}
}

static void wait_init(struct fault_wait *w, struct dsm_region *r, u64 index,
		      u8 right, u32 timeout_ms)
{
	*w = (struct fault_wait){
		.r = r,
		.index = index,
		.right = right,
		.user = dsm_hold_user(r),
		.deadline = jiffies + msecs_to_jiffies(timeout_ms),
	};
}

int dsm_page_wait(struct dsm_region *r, u64 index, u8 right, u32 timeout_ms)
{
	struct fault_wait w;
	struct dsm_entry *e;
	bool zero = false;
	int err = 0;

	wait_init(&w, r, index, right, timeout_ms);
	e = wait_right(&w, 0);
	if (IS_ERR(e)) {
		err = PTR_ERR(e);
	} else {
		zero = test_bit(DSM_EF_ZERO, &e->flags);
		entry_unlock(e);
		dsm_node_flush(r->cluster);
		dsm_entry_put(e);
	}
	fault_end(&w, zero, err);
	return err;
}

/*
 * Return: 0 if the page of the record, which is locked, is still the one; then
 * @right is what there is, which may be more than what was asked for.
 */
static int lock_and_check(struct dsm_entry *e, struct page *page, u8 *right,
			  unsigned int flags)
{
	u8 asked = *right;
	bool same;

	if (!trylock_page(page)) {
		if (flags & DSM_GET_NOWAIT)
			return -EAGAIN;
		if (folio_lock_killable(page_folio(page)))
			return -EINTR;
	}
	entry_lock(e);
	*right = dsm_page_right(&e->core);
	same = e->page == page && *right >= asked;
	entry_unlock(e);
	if (same)
		return 0;
	*right = asked;
	unlock_page(page);
	return -ESTALE;
}

static int acquire(struct dsm_region *r, u64 index, u8 *right,
		   unsigned int flags, struct page **pagep)
{
	struct dsm_cluster *c = r->cluster;
	struct fault_wait w;
	struct dsm_entry *e;
	struct page *page;
	bool zero = false;
	int err;

	wait_init(&w, r, index, *right, READ_ONCE(c->knobs.fault_timeout_ms));
	for (;;) {
		e = wait_right(&w, flags);
		if (IS_ERR(e)) {
			err = PTR_ERR(e);
			break;
		}
		if (test_bit(DSM_EF_ZERO, &e->flags)) {
			zero = true;
			entry_unlock(e);
			err = fill_zero(e);
			dsm_entry_put(e);
			if (err)
				break;
			continue;
		}
		page = e->page;
		get_page(page);
		__set_bit(DSM_EF_USED, &e->flags);
		if (__test_and_clear_bit(DSM_EF_PREFETCHED, &e->flags))
			dsm_count(c, prefetch_hit);
		entry_unlock(e);
		dsm_node_flush(c);
		err = lock_and_check(e, page, right, flags);
		dsm_entry_put(e);
		if (!err) {
			*pagep = page;
			break;
		}
		put_page(page);
		if (err != -ESTALE)
			break;
	}
	if (!w.asked && !err)
		dsm_count(c, fault_local);
	/* Whoever could not wait comes back: that is the fault to be timed. */
	if (err != -EAGAIN)
		fault_end(&w, zero, err);
	return err;
}

int dsm_page_acquire(struct dsm_region *r, u64 index, u8 right,
		     unsigned int flags, struct page **page)
{
	return acquire(r, index, &right, flags, page);
}

/* ---- the page-fault handlers ---- */

/* Pages that one read fault maps at most. */
#define FAULT_AROUND	16

static vm_fault_t errno_to_fault(int err)
{
	if (err == -ENOMEM)
		return VM_FAULT_OOM;
	/* The task is about to die; do not send it another signal. */
	if (err == -EINTR)
		return VM_FAULT_NOPAGE;
	return VM_FAULT_SIGBUS;
}

static u64 file_pages(struct inode *inode)
{
	return DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
}

/*
 * Wait outside the mmap lock if the caller allows it.
 *
 * Return: 0: wait inside; else what the fault handler returns.
 */
static vm_fault_t wait_unlocked(struct vm_fault *vmf, struct dsm_region *r,
				u8 right)
{
	u32 ms = READ_ONCE(r->cluster->knobs.fault_timeout_ms);
	struct file *file;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (!fault_flag_allow_retry_first(vmf->flags))
		return 0;
	/* The file keeps the region while the VMA may go. */
	file = get_file(vmf->vma->vm_file);
	release_fault_lock(vmf);
	dsm_page_wait(r, vmf->pgoff, right, ms);
	fput(file);
	return VM_FAULT_RETRY;
}

/**
 * dsm_fault_get_page() - get what a fault needs
 * @vmf:	the fault
 * @right:	what it needs; then what there is
 * @waited:	set if it took a wait
 * @page:	the page, locked, with a reference; the file's as far as rmap goes
 *
 * Context: the lock of the fault is held, and given up if VM_FAULT_RETRY is
 * returned and the flags of the fault say so.
 * Return: 0; else what the handler is to return.
 */
vm_fault_t dsm_fault_get_page(struct vm_fault *vmf, u8 *right, bool *waited,
			      struct page **page)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct dsm_region *r = dsm_inode_region(inode);
	vm_fault_t ret;
	int err;

	if (vmf->pgoff >= file_pages(inode))
		return VM_FAULT_SIGBUS;
	err = acquire(r, vmf->pgoff, right, DSM_GET_NOWAIT, page);
	if (err == -EAGAIN) {
		ret = wait_unlocked(vmf, r, *right);
		if (ret)
			return ret;
		*waited = true;
		err = acquire(r, vmf->pgoff, right, 0, page);
	}
	if (err)
		return errno_to_fault(err);
	/* Truncation sets the size first, then takes the pages away. */
	if (vmf->pgoff >= file_pages(inode)) {
		unlock_page(*page);
		put_page(*page);
		return VM_FAULT_SIGBUS;
	}
	/* While someone maps it, the page is the file's as far as rmap goes. */
	(*page)->mapping = inode->i_mapping;
	(*page)->index = vmf->pgoff;
	return 0;
}

/* Return: the page, locked, with a reference, if it is here and may be read. */
static struct page *peek(struct dsm_region *r, u64 index)
{
	struct dsm_entry *e = dsm_entry_find(r, index);
	struct page *page = NULL;

	if (!e)
		return NULL;
	entry_lock(e);
	if (!test_bit(DSM_EF_DEAD, &e->flags) &&
	    dsm_page_right(&e->core) >= DSM_RIGHT_READ)
		page = e->page;
	if (page) {
		get_page(page);
		/* A revocation takes the page lock, then this one: so try. */
		if (!trylock_page(page)) {
			put_page(page);
			page = NULL;
		}
	}
	if (page && __test_and_clear_bit(DSM_EF_PREFETCHED, &e->flags))
		dsm_count(r->cluster, prefetch_hit);
	entry_unlock(e);
	dsm_entry_put(e);
	return page;
}

/**
 * dsm_fault_ahead() - a fault wants to read: what about the pages behind?
 * @vmf:	the fault
 *
 * Called before the page itself is asked for, so that it is the first of the
 * frame.
 */
void dsm_fault_ahead(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);

	dsm_prefetch_read(dsm_inode_region(inode), vmf->pgoff, file_pages(inode));
}

/**
 * dsm_fault_around() - map what is here of the next pages: a fault less for each
 * @vmf:	the fault, of a reader, whose page is locked
 */
void dsm_fault_around(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct inode *inode = file_inode(vma->vm_file);
	struct dsm_region *r = dsm_inode_region(inode);
	unsigned long addr = vmf->address & PAGE_MASK;
	u64 index = vmf->pgoff;
	u64 end = min(file_pages(inode), index + FAULT_AROUND);

	while (++index < end) {
		struct page *page;
		int err;

		addr += PAGE_SIZE;
		if (addr >= vma->vm_end || !(addr & ~PMD_MASK))
			break;
		page = peek(r, index);
		if (!page)
			break;
		page->mapping = inode->i_mapping;
		page->index = index;
		err = vm_insert_page(vma, addr, page);
		unlock_page(page);
		put_page(page);
		if (err)
			break;
	}
	dsm_prefetch_mapped(r, vmf->pgoff, index - 1);
}

/**
 * dsm_vm_fault() - the handler of a fault that core mm takes apart
 * @vmf:	the fault
 *
 * Return: VM_FAULT_LOCKED and the page, or what is to be done instead.
 */
vm_fault_t dsm_vm_fault(struct vm_fault *vmf)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED;
	u8 right = write ? DSM_RIGHT_WRITE : DSM_RIGHT_READ;
	bool waited = false;
	vm_fault_t ret;

	if (!write)
		dsm_fault_ahead(vmf);
	ret = dsm_fault_get_page(vmf, &right, &waited, &vmf->page);
	if (ret)
		return ret;
	if (!write)
		dsm_fault_around(vmf);
	return VM_FAULT_LOCKED | (waited ? VM_FAULT_MAJOR : 0);
}

static vm_fault_t dsm_vm_page_mkwrite(struct vm_fault *vmf)
{
	struct page *mapped = vmf->page;
	struct page *page = NULL;
	u8 right = DSM_RIGHT_WRITE;
	bool waited = false;
	vm_fault_t ret;

	atomic_long_inc((atomic_long_t *)&mapped->private);
	ret = dsm_fault_get_page(vmf, &right, &waited, &page);
	atomic_long_dec((atomic_long_t *)&mapped->private);
	/* Only NOPAGE and errors make do_page_mkwrite()'s callers return. */
	if (ret)
		return ret & VM_FAULT_RETRY ? ret | VM_FAULT_NOPAGE : ret;
	put_page(page);
	if (page != mapped) {
		unlock_page(page);
		return VM_FAULT_NOPAGE;
	}
	return VM_FAULT_LOCKED;
}

const struct vm_operations_struct dsm_vm_ops = {
	.fault = dsm_vm_fault,
	.page_mkwrite = dsm_vm_page_mkwrite,
};

int dsm_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dsm_cluster *c = dsm_inode_region(file_inode(file))->cluster;

	file_accessed(file);
	vma->vm_ops = dsm_coherent_vm_ops(c) ?: &dsm_vm_ops;
	/*
	 * The pages are not in the page cache and not on the LRU: mlock must
	 * not batch references to them, KSM and NUMA balancing must not look.
	 */
	vm_flags_set(vma, VM_MIXEDMAP);
	return 0;
}
