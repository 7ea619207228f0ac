// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: from a fault to a page in the page tables.
 *
 * Normal operation: the page is returned locked, so that the mapping is
 * installed before a revocation, which takes the page lock, can look for it.
 * What has to ask another node gives the mmap lock (or the VMA lock) up first,
 * waits, and has the fault retried.  FAULT_FLAG_RETRY_NOWAIT is KVM's: what is
 * not there after nowait_us, with the lock, it makes an asynchronous fault, whose
 * worker asks for the right to write even if the guest wanted to read.
 *
 * The caller of page_mkwrite holds a reference to the page while we wait.  If
 * the page is taken away meanwhile that reference is harmless, so it is counted
 * with those of frames; the page is then another one, and the fault starts over.
 *
 * Where the kernel hands a fault over as a whole, coherent.c does what the
 * handlers at the end of this file do.
 */
#include <linux/file.h>
#include <linux/pagemap.h>

#include "charge.h"
#include "cluster.h"
#include "coherent.h"
#include "region.h"

/* Pages that one fault maps at most. */
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

/* Return: as wait_unlocked(). */
static vm_fault_t wait_locked(struct vm_fault *vmf, struct dsm_region *r, u8 right)
{
	u32 timeout_us = READ_ONCE(r->cluster->knobs.fault_timeout_ms) * USEC_PER_MSEC;
	u32 us = min(READ_ONCE(r->cluster->knobs.nowait_us), timeout_us);

	if (us && !dsm_page_wait_soon(r, vmf->pgoff, right, us))
		return 0;
	dsm_count(r->cluster, fault_nowait);
	return VM_FAULT_RETRY;
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
	vm_fault_t ret = VM_FAULT_RETRY;
	struct dsm_payer payer;
	struct file *file;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return wait_locked(vmf, r, right);
	if (!fault_flag_allow_retry_first(vmf->flags))
		return 0;
	/* The file keeps the region while the VMA may go. */
	file = get_file(vmf->vma->vm_file);
	dsm_payer_init(&payer, vmf);
	dsm_payer_look(&payer);
	release_fault_lock(vmf);
	/* No error can be returned without the lock: MAJOR says that the retry is one. */
	if (dsm_page_wait(r, vmf->pgoff, right, ms))
		ret |= VM_FAULT_MAJOR;
	else
		dsm_payer_make_room(&payer, r->cluster);
	dsm_payer_exit(&payer);
	fput(file);
	return ret;
}

/**
 * dsm_fault_get_page() - get what a fault needs
 * @vmf:	the fault
 * @right:	what it needs; then what there is
 * @flags:	DSM_GET_AGAIN or 0
 * @waited:	set if it took a wait
 * @page:	the page, locked, with a reference; the file's as far as rmap goes
 *
 * Context: the lock of the fault is held, and given up if VM_FAULT_RETRY is
 * returned and the flags of the fault say so.
 * Return: 0; else what the handler is to return.
 */
vm_fault_t dsm_fault_get_page(struct vm_fault *vmf, u8 *right, unsigned int flags,
			      bool *waited, struct page **page)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct dsm_region *r = dsm_inode_region(inode);
	vm_fault_t ret;
	int err;

	if (vmf->pgoff >= file_pages(inode))
		return VM_FAULT_SIGBUS;
	err = dsm_page_acquire_most(r, vmf->pgoff, right,
				    flags | DSM_GET_NOWAIT, vmf, page);
	if (err == -EAGAIN) {
		ret = wait_unlocked(vmf, r, *right);
		if (ret)
			return ret;
		*waited = true;
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
			flags |= DSM_GET_NOWAIT;
		else if (vmf->flags & FAULT_FLAG_TRIED)
			flags |= DSM_GET_RETRY;
		err = dsm_page_acquire_most(r, vmf->pgoff, right, flags, vmf, page);
	}
	if (err == -EAGAIN)
		return VM_FAULT_RETRY;
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

/*
 * A copy of zeroes gets memory only for a writer.
 *
 * Return: the page, locked, with a reference, if it is here and may be read.
 */
static struct page *peek(struct dsm_region *r, u64 index, bool write, u8 *right,
			 struct dsm_payer *payer)
{
	struct dsm_entry *e = dsm_entry_find(r, index);
	struct page *page = NULL;
	bool fill;

	if (!e)
		return NULL;
	spin_lock_bh(&e->lock);
	*right = dsm_page_right(&e->core);
	fill = write && *right == DSM_RIGHT_WRITE && test_bit(DSM_EF_ZERO, &e->flags);
	if (!test_bit(DSM_EF_DEAD, &e->flags) &&
	    *right >= DSM_RIGHT_READ && (e->page || fill) &&
	    (!dsm_payer_lacks_locked(payer, e) || dsm_payer_try(payer))) {
		if (fill)
			dsm_payer_fill_locked(payer, e);
		page = e->page;
	}
	if (page) {
		get_page(page);
		/* A revocation takes the page lock, then this one: so try. */
		if (!trylock_page(page)) {
			put_page(page);
			page = NULL;
		}
	}
	if (page)
		page = dsm_payer_take_locked(payer, e, page);
	if (page && __test_and_clear_bit(DSM_EF_PREFETCHED, &e->flags))
		dsm_count(r->cluster, prefetch_hit);
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	return page;
}

/**
 * dsm_fault_ahead() - a fault wants a page: what about those behind?
 * @vmf:	the fault
 * @right:	enum dsm_right, to read or to write
 *
 * Called before the page itself is asked for, so that it is the first of the
 * frame.
 */
void dsm_fault_ahead(struct vm_fault *vmf, u8 right)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);

	dsm_prefetch_ahead(dsm_inode_region(inode), vmf->pgoff, right, file_pages(inode));
}

/**
 * dsm_fault_around() - map what is here of the next pages: a fault less for each
 * @vmf:	the fault, whose page is locked
 * @right:	enum dsm_right, what it wanted: around writes there are as many pages as the knob
 *		write_ahead_pages says, those that no one has ever had among them
 * @map:	maps a page at an address; it may be given so much of a right
 *
 * KVM maps eight pages in a fault of a guest, if they are mapped here.
 */
void dsm_fault_around(struct vm_fault *vmf, u8 right,
		      bool (*map)(struct vm_fault *vmf, unsigned long addr,
				  struct page *page, u8 right))
{
	struct vm_area_struct *vma = vmf->vma;
	struct inode *inode = file_inode(vma->vm_file);
	struct dsm_region *r = dsm_inode_region(inode);
	unsigned long addr = vmf->address & PAGE_MASK;
	bool write = right == DSM_RIGHT_WRITE;
	u32 nr = write ? READ_ONCE(r->cluster->knobs.write_ahead_pages) : FAULT_AROUND;
	u64 index = vmf->pgoff;
	u64 end = min(file_pages(inode), index + min(nr, FAULT_AROUND));
	struct dsm_payer payer;

	if (!nr)
		return;
	dsm_payer_init(&payer, vmf);
	while (++index < end) {
		struct page *page;
		u8 has;
		bool ok;

		addr += PAGE_SIZE;
		if (addr >= vma->vm_end || !(addr & ~PMD_MASK))
			break;
		payer.addr = addr;
		page = peek(r, index, write, &has, &payer);
		if (!page && write) {
			dsm_prefetch_untouched(r, index);
			page = peek(r, index, write, &has, &payer);
		}
		if (!page)
			break;
		page->mapping = inode->i_mapping;
		page->index = index;
		/* The page is locked: the file is not truncated here until it is mapped. */
		ok = index < file_pages(inode) && map(vmf, addr, page, has);
		unlock_page(page);
		put_page(page);
		if (!ok)
			break;
	}
	dsm_payer_exit(&payer);
	dsm_prefetch_mapped(r, vmf->pgoff, right, index - 1);
}

/* Writes have to come through page_mkwrite, whatever the right. */
static bool insert_page(struct vm_fault *vmf, unsigned long addr,
			struct page *page, u8 right)
{
	return !vm_insert_page(vmf->vma, addr, page);
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

	dsm_fault_ahead(vmf, right);
	/* A writer comes back through page_mkwrite. */
	ret = dsm_fault_get_page(vmf, &right, write ? DSM_GET_AGAIN : 0, &waited,
				 &vmf->page);
	if (ret)
		return ret;
	if (!write)
		dsm_fault_around(vmf, DSM_RIGHT_READ, insert_page);
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
	ret = dsm_fault_get_page(vmf, &right, 0, &waited, &page);
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

/*
 * Without it core mm would hand over no fault under the lock of the VMA alone, and
 * have each one done again with the mmap lock. dsm_vm_fault() maps what is around.
 */
static vm_fault_t dsm_vm_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

const struct vm_operations_struct dsm_vm_ops = {
	.fault = dsm_vm_fault,
	.map_pages = dsm_vm_map_pages,
	.page_mkwrite = dsm_vm_page_mkwrite,
};

/**
 * dsm_vma_kind() - what makes a mapping one of ours
 * @c:		the cluster
 * @vm_ops:	the handlers
 * @vm_flags:	flags in addition to those of any mapping
 */
void dsm_vma_kind(struct dsm_cluster *c, const struct vm_operations_struct **vm_ops,
		  vm_flags_t *vm_flags)
{
	*vm_ops = dsm_coherent_vm_ops(c) ?: &dsm_vm_ops;
	/*
	 * The pages are not in the page cache and not on the LRU: mlock must
	 * not batch references to them, KSM and NUMA balancing must not look.
	 */
	*vm_flags = VM_MIXEDMAP;
}

int dsm_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dsm_cluster *c = dsm_inode_region(file_inode(file))->cluster;
	vm_flags_t vm_flags;

	file_accessed(file);
	dsm_vma_kind(c, &vma->vm_ops, &vm_flags);
	vm_flags_set(vma, vm_flags);
	return 0;
}
