// SPDX-License-Identifier: GPL-2.0
/*
 * Whose memory a copy is.
 *
 * Normal operation: pages that come from other servers are allocated before anyone
 * knows who wants them, and are charged to no one. The first access here pays: it
 * allocates a page, charged to its cgroup and where its memory policy wants it, before
 * it takes any lock. If that page is on the node where the copy is, or no policy asks,
 * only the charge moves from one to the other, and the page allocated is free again.
 * Else the copy moves into it. No one maps or has mapped the copy then: so statistics
 * that are kept for a cgroup while a page is mapped stay right.
 *
 * The charge stays with the copy until it leaves this server, whoever uses it.
 *
 * Limits: reclaim cannot take our pages, they are on no LRU. So a fault that finds its
 * cgroup full does it: it evicts copies charged to that cgroup, and waits. It does not
 * do so with the lock of a page held.
 */
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "charge.h"
#include "cluster.h"

#define ROOM_BATCH	64	/* copies that leave at once */
#define ROOM_POLL_MS	5
#define ROOM_POLLS	400	/* that often, then it is up to the OOM killer */
#define ROOM_IDLE	20	/* … or, while there is nothing to evict */

/* ---- cgroups ---- */

#ifdef CONFIG_MEMCG

static struct mem_cgroup *memcg_of(struct mm_struct *mm)
{
	struct mem_cgroup *memcg;

	if (!memcg_kmem_online())
		return NULL;
	memcg = get_mem_cgroup_from_mm(mm);
	if (memcg && !parent_mem_cgroup(memcg)) {
		mem_cgroup_put(memcg);
		return NULL;
	}
	return memcg;
}

/* Return: the cgroup, @memcg or one above, that is at its limit. */
static struct mem_cgroup *find_full(struct mem_cgroup *memcg)
{
	for (; memcg; memcg = parent_mem_cgroup(memcg))
		if (page_counter_read(&memcg->memory) >= READ_ONCE(memcg->memory.max))
			return memcg;
	return NULL;
}

/*
 * The charge of a page is this word and a reference that goes with it, dropped when
 * the page is freed. Both pages are ours alone, and neither is mapped.
 */
static void move_charge(struct page *to, struct page *from)
{
	if (!to->memcg_data)
		swap(to->memcg_data, from->memcg_data);
}

bool dsm_page_is_charged(struct page *page, struct mem_cgroup *memcg)
{
	struct mem_cgroup *its;
	bool ret;

	if (!memcg)
		return true;
	if (!page)
		return false;
	rcu_read_lock();
	its = folio_memcg(page_folio(page));
	ret = its && mem_cgroup_is_descendant(its, memcg);
	rcu_read_unlock();
	return ret;
}

#else

static struct mem_cgroup *memcg_of(struct mm_struct *mm)
{
	return NULL;
}

static struct mem_cgroup *find_full(struct mem_cgroup *memcg)
{
	return NULL;
}

static void move_charge(struct page *to, struct page *from)
{
}

bool dsm_page_is_charged(struct page *page, struct mem_cgroup *memcg)
{
	return !memcg;
}

#endif

/* ---- NUMA ---- */

/* Without a policy of its own no one minds where a copy is. */
static bool wants_node(const struct dsm_payer *p)
{
#ifdef CONFIG_NUMA
	return num_online_nodes() > 1 &&
	       ((p->vma && p->vma->vm_policy) || current->mempolicy);
#else
	return false;
#endif
}

/* ---- payers ---- */

void dsm_payer_init(struct dsm_payer *p, struct vm_fault *vmf)
{
	*p = (struct dsm_payer){ .mm = vmf ? vmf->vma->vm_mm : current->mm };
	if (!vmf)
		return;
	p->vma = vmf->vma;
	p->addr = vmf->address;
}

void dsm_payer_exit(struct dsm_payer *p)
{
	if (p->page)
		put_page(p->page);
	if (p->memcg)
		mem_cgroup_put(p->memcg);
}

void dsm_payer_look(struct dsm_payer *p)
{
	if (!p->known && p->mm)
		p->memcg = memcg_of(p->mm);
	p->known = true;
}

bool dsm_payer_lacks_locked(struct dsm_payer *p, const struct dsm_entry *e)
{
	lockdep_assert_held(&e->lock);
	p->want_zero = test_bit(DSM_EF_ZERO, &e->flags);
	if (p->want_zero)
		return !p->page || !p->zeroed;
	if (!test_bit(DSM_EF_UNPAID, &e->flags) || p->page)
		return false;
	dsm_payer_look(p);
	return p->memcg || wants_node(p);
}

static bool alloc(struct dsm_payer *p, gfp_t gfp)
{
	struct mem_cgroup *old;

	dsm_payer_look(p);
	if (p->page)
		put_page(p->page);
	gfp |= __GFP_HIGHMEM;
	if (p->memcg)
		gfp |= __GFP_ACCOUNT;
	if (p->want_zero)
		gfp |= __GFP_ZERO;
	/* The task may be a helper: of KVM, of io_uring, a debugger. */
	old = set_active_memcg(p->memcg);
	p->page = p->vma ? alloc_page_vma(gfp, p->vma, p->addr) : alloc_page(gfp);
	set_active_memcg(old);
	if (!p->page)
		return false;
	set_page_private(p->page, 0);
	p->zeroed = p->want_zero;
	return true;
}

bool dsm_payer_try(struct dsm_payer *p)
{
	return alloc(p, GFP_NOWAIT | __GFP_NOWARN);
}

/* Return: 1 if copies were asked to leave, 0 if there are none, -EINTR. */
static int make_room(struct dsm_cluster *c, struct mem_cgroup *full, bool force)
{
	unsigned int nr = dsm_evict_charged(c, full, ROOM_BATCH, force);

	if (schedule_timeout_killable(msecs_to_jiffies(ROOM_POLL_MS)) &&
	    fatal_signal_pending(current))
		return -EINTR;
	return nr != 0;
}

static int alloc_evicting(struct dsm_payer *p, struct dsm_cluster *c, gfp_t gfp)
{
	unsigned int idle = 0;

	for (unsigned int i = 0; i < ROOM_POLLS && idle < ROOM_IDLE; i++) {
		struct mem_cgroup *full = find_full(p->memcg);
		int ret = full ? make_room(c, full, i) : 0;

		if (ret < 0)
			return ret;
		idle = ret ? 0 : idle + 1;
		if (alloc(p, gfp | __GFP_NORETRY | __GFP_NOWARN))
			return 0;
	}
	return alloc(p, gfp) ? 0 : -ENOMEM;
}

int dsm_payer_alloc(struct dsm_payer *p, struct dsm_cluster *c, bool nowait)
{
	dsm_payer_look(p);
	if (!p->memcg)
		return alloc(p, GFP_USER) ? 0 : -ENOMEM;
	/* What reclaim can take of the cgroup goes first. */
	if (alloc(p, GFP_USER | __GFP_NORETRY | __GFP_NOWARN))
		return 0;
	return nowait ? -EAGAIN : alloc_evicting(p, c, GFP_USER);
}

void dsm_payer_make_room(struct dsm_payer *p, struct dsm_cluster *c)
{
	p->vma = NULL;
	if (find_full(p->memcg))
		dsm_payer_alloc(p, c, false);
}

void dsm_payer_fill_locked(struct dsm_payer *p, struct dsm_entry *e)
{
	lockdep_assert_held(&e->lock);
	__clear_bit(DSM_EF_ZERO, &e->flags);
	e->page = p->page;
	p->page = NULL;
}

struct page *dsm_payer_take_locked(struct dsm_payer *p, struct dsm_entry *e,
				   struct page *page)
{
	struct page *mine = p->page;

	lockdep_assert_held(&e->lock);
	if (!__test_and_clear_bit(DSM_EF_UNPAID, &e->flags) || !mine)
		return page;
	p->page = NULL;
	/* A revocation that began waits for the page that was here then. */
	if (e->revoking || !wants_node(p) || page_to_nid(mine) == page_to_nid(page)) {
		move_charge(page, mine);
		put_page(mine);
		return page;
	}
	copy_highpage(mine, page);
	/* No one knows it yet. */
	__SetPageLocked(mine);
	get_page(mine);
	e->page = mine;
	page->mapping = NULL;
	unlock_page(page);
	put_page(page);
	put_page(page);
	return mine;
}
