/* SPDX-License-Identifier: GPL-2.0 */
/* Whose memory a copy is: the cgroup that is charged for it, the NUMA node it is on. */
#ifndef DSM_CHARGE_H
#define DSM_CHARGE_H

#include "region.h"

struct mem_cgroup;

/**
 * struct dsm_payer - who accesses a page, and pays if no one has paid for it yet
 * @mm:		whose cgroup pays
 * @vma:	whose memory policy says where; NULL: the task's does
 * @addr:	in @vma
 * @known:	@memcg was looked up
 * @memcg:	the cgroup, with a reference; NULL: no one is charged
 * @page:	allocated and charged to it, on the node wanted; or NULL
 * @zeroed:	@page is zeroes
 * @want_zero:	it has to be
 */
struct dsm_payer {
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	unsigned long addr;
	bool known;
	struct mem_cgroup *memcg;
	struct page *page;
	bool zeroed;
	bool want_zero;
};

/**
 * dsm_payer_init() - someone accesses pages
 * @p:		the payer
 * @vmf:	the fault; NULL: a call of the current task
 *
 * The mapping of the fault must not go while pages are allocated.
 */
void dsm_payer_init(struct dsm_payer *p, struct vm_fault *vmf);

/**
 * dsm_payer_exit() - it accesses no more
 * @p:	the payer
 */
void dsm_payer_exit(struct dsm_payer *p);

/**
 * dsm_payer_lacks_locked() - is dsm_payer_alloc() to be called first?
 * @p:	the payer
 * @e:	the record it needs, whose copy is here; lock held
 */
bool dsm_payer_lacks_locked(struct dsm_payer *p, const struct dsm_entry *e);

/**
 * dsm_payer_alloc() - allocate a page that is charged
 * @p:	the payer
 * @c:	the cluster
 * @nowait: do not wait until copies have left
 *
 * A cgroup at its limit gives up copies that are charged to it, to other servers; only if
 * that gets nowhere it gets what a cgroup without memory gets, the OOM killer.
 *
 * Context: process; sleeps; killable and bounded.
 * Return: 0; -EAGAIN (@nowait), -EINTR, -ENOMEM.
 */
int dsm_payer_alloc(struct dsm_payer *p, struct dsm_cluster *c, bool nowait);

/**
 * dsm_payer_try() - the same in atomic context, if it is easy
 * @p:	the payer
 */
bool dsm_payer_try(struct dsm_payer *p);

/**
 * dsm_payer_fill_locked() - a copy of zeroes gets its page
 * @p:	the payer, which does not lack anything
 * @e:	the record; lock held
 */
void dsm_payer_fill_locked(struct dsm_payer *p, struct dsm_entry *e);

/**
 * dsm_payer_take_locked() - pay for a copy that came from another server
 * @p:	the payer, which does not lack anything
 * @e:	the record; lock held
 * @page: its page, locked, mapped nowhere, and with a reference of the caller's
 *
 * Nothing is copied unless a policy wants the copy on another NUMA node.
 *
 * Return: the page of the record from now on, in place of @page.
 */
struct page *dsm_payer_take_locked(struct dsm_payer *p, struct dsm_entry *e,
				   struct page *page);

/**
 * dsm_payer_make_room() - if the cgroup is at its limit, see that a page can be charged
 * @p:	the payer, after dsm_payer_look(); its mapping may be gone
 * @c:	the cluster
 *
 * Context: process; sleeps; killable and bounded.
 */
void dsm_payer_make_room(struct dsm_payer *p, struct dsm_cluster *c);

/**
 * dsm_payer_look() - look the cgroup up, while the mapping is there
 * @p:	the payer
 */
void dsm_payer_look(struct dsm_payer *p);

/**
 * dsm_page_is_charged() - is a page charged to a cgroup or one below it?
 * @page:	the page, or NULL
 * @memcg:	the cgroup; NULL: any will do
 */
bool dsm_page_is_charged(struct page *page, struct mem_cgroup *memcg);

#endif
