// SPDX-License-Identifier: GPL-2.0
/* What the KUnit tests share: see test.h. */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "core/invariant.h"
#include "membership.h"
#include "meta.h"
#include "notify.h"
#include "tests/test.h"

/* ---- a node alone ---- */

static void cluster_free(void *arg)
{
	struct dsm_cluster *c = arg;

	dsm_notify_stop(c);
	dsm_engine_stop(c);
	if (c->page_wq)
		destroy_workqueue(c->page_wq);
	if (c->ctl_wq)
		destroy_workqueue(c->ctl_wq);
	free_percpu(c->stats);
	xa_destroy(&c->calls);
	kfree(c);
}

struct dsm_cluster *dsm_test_cluster(struct kunit *test, u16 self, u16 nr_nodes,
				     const struct dsm_transport_ops *ops)
{
	struct dsm_cluster *c = kzalloc(sizeof(*c), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->self = self;
	c->nr_nodes = nr_nodes;
	c->ops = ops;
	c->epoch = 1;
	c->incarnation = 0x5e1f;
	c->knobs = dsm_default_knobs;
	strscpy(c->name, "alone");
	xa_init_flags(&c->regions, XA_FLAGS_LOCK_BH);
	xa_init_flags(&c->calls, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&c->list);
	dsm_membership_init(c);
	c->stats = alloc_percpu(struct dsm_pcpu_stats);
	c->ctl_wq = alloc_workqueue("alone_ctl", WQ_UNBOUND, 0);
	c->page_wq = alloc_workqueue("alone_page", WQ_UNBOUND | WQ_HIGHPRI, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, cluster_free, c));
	KUNIT_ASSERT_TRUE(test, c->stats && c->ctl_wq && c->page_wq);
	KUNIT_ASSERT_EQ(test, 0, dsm_engine_start(c));
	KUNIT_ASSERT_EQ(test, 0, dsm_notify_start(c));
	return c;
}

static void region_free(void *arg)
{
	dsm_region_destroy(arg);
}

struct dsm_region *dsm_test_region(struct kunit *test, struct dsm_cluster *c,
				   u32 id, u16 home)
{
	struct dsm_place *pl = kunit_kzalloc(test, sizeof(*pl), GFP_KERNEL);
	struct dsm_nodeset all = {};
	struct dsm_region *r;

	KUNIT_ASSERT_NOT_NULL(test, pl);
	for (u16 i = 0; i < c->nr_nodes; i++)
		dsm_nodeset_add(&all, i);
	dsm_place_init(pl, &all, DSM_POLICY_NODE, 0, home);
	r = dsm_region_create(c, id, 1, pl);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, r);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, region_free, r));
	return r;
}

struct dsm_msg dsm_test_request(u16 from, u16 home, u32 region)
{
	return (struct dsm_msg){
		.type = DSM_MSG_GETS,
		.from = from,
		.requester = from,
		.home = home,
		.target = DSM_NODE_NONE,
		.owner = DSM_NODE_NONE,
		.tid = 1,
		.epoch = 1,
		.region = region,
		.gen = 1,
	};
}

/* ---- pages ---- */

#define WORDS	(PAGE_SIZE / sizeof(u64))

static int take(struct dsm_region *r, u64 index, u8 right, struct page **page)
{
	return dsm_page_acquire(r, index, right, 0, page);
}

static void let_go(struct page *page)
{
	unlock_page(page);
	put_page(page);
}

int dsm_test_write(struct dsm_region *r, u64 index, u64 tag)
{
	struct page *page;
	int err = take(r, index, DSM_RIGHT_WRITE, &page);

	if (err)
		return err;
	memset64(page_address(page), tag, WORDS);
	let_go(page);
	return 0;
}

int dsm_test_tag(struct dsm_region *r, u64 index, u64 *tag)
{
	struct page *page;
	int err = take(r, index, DSM_RIGHT_READ, &page);
	const u64 *word;

	if (err)
		return err;
	word = page_address(page);
	*tag = *word;
	if (memcmp(word, word + 1, PAGE_SIZE - sizeof(u64)))
		err = -EBADMSG;
	let_go(page);
	return err;
}

int dsm_test_read(struct dsm_region *r, u64 index, u64 tag)
{
	u64 found;

	return dsm_test_tag(r, index, &found) ?: found == tag ? 0 : -EBADMSG;
}

int dsm_test_add(struct dsm_region *r, u64 index)
{
	struct page *page;
	int err = take(r, index, DSM_RIGHT_WRITE, &page);
	u64 *word;

	if (err)
		return err;
	word = page_address(page);
	WRITE_ONCE(*word, READ_ONCE(*word) + 1);
	let_go(page);
	return 0;
}

int dsm_test_zap(struct dsm_region *r, u64 start, u64 nr)
{
	return dsm_region_zap(r, dsm_cluster_master(r->cluster), start, nr);
}

u8 dsm_test_page_state(struct dsm_region *r, u64 index)
{
	struct dsm_entry *e = dsm_entry_find(r, index);
	u8 state;

	if (!e)
		return DSM_PS_I;
	spin_lock_bh(&e->lock);
	state = e->core.state;
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	return state;
}

bool dsm_test_dir(struct dsm_region *r, u64 index, struct dsm_dir *dir)
{
	struct dsm_entry *e = dsm_entry_find(r, index);
	bool found;

	if (!e)
		return false;
	spin_lock_bh(&e->lock);
	found = e->dir;
	if (found)
		*dir = *e->dir;
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
	dir->busy = NULL;
	return found;
}

/* ---- whole nodes ---- */

int dsm_test_nodes_up(struct dsm_test_nodes *t)
{
	struct sockaddr_storage *addr;
	char name[16];
	int err = 0;

	addr = kcalloc(DSM_TEST_NODES, sizeof(*addr), GFP_KERNEL);
	if (!addr)
		return -ENOMEM;
	for (u16 i = 0; !err && i < DSM_TEST_NODES; i++) {
		struct dsm_config cfg = {
			.name = name,
			.self = i,
			.nr_nodes = DSM_TEST_NODES,
			.addr = addr,
			.ops = &dsm_loop_ops,
		};
		struct dsm_cluster *c;

		snprintf(name, sizeof(name), "kunit%u", i);
		c = dsm_cluster_create(&cfg);
		err = PTR_ERR_OR_ZERO(c);
		t->c[i] = err ? NULL : c;
	}
	kfree(addr);
	for (u16 i = 0; !err && i < DSM_TEST_NODES; i++)
		err = dsm_cluster_wait_joined(t->c[i], DSM_TEST_WAIT_MS);
	if (err)
		dsm_test_nodes_down(t);
	return err;
}

void dsm_test_nodes_down(struct dsm_test_nodes *t)
{
	for (int i = DSM_TEST_NODES - 1; i >= 0; i--) {
		if (t->c[i])
			dsm_cluster_destroy(t->c[i]);
		t->c[i] = NULL;
	}
}

void dsm_test_file_forget(struct dsm_test_file *f, unsigned int node)
{
	if (f->r[node])
		dsm_region_put(f->r[node]);
	f->r[node] = NULL;
}

static int name_op(struct dsm_cluster *c, u8 type, const char *name, u32 *id)
{
	struct dsm_op *op = kzalloc(sizeof(*op), GFP_KERNEL);
	int err;

	if (!op)
		return -ENOMEM;
	op->type = type;
	op->file = *id;
	op->mode = 0600;
	strscpy(op->name, name);
	err = dsm_meta_op(c, op);
	*id = type == DSM_OP_CREATE ? op->value : *id;
	kfree(op);
	return err;
}

static void file_free(void *arg)
{
	struct dsm_test_file *f = arg;
	bool unlinked = false;

	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		if (f->r[i] && !unlinked)
			unlinked = !name_op(f->nodes->c[i], DSM_OP_UNLINK,
					    f->name, &f->id);
		dsm_test_file_forget(f, i);
	}
	kfree(f);
}

struct dsm_test_file *dsm_test_file(struct kunit *test, struct dsm_test_nodes *t,
				    const char *name)
{
	struct dsm_test_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->nodes = t;
	f->name = name;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, file_free, f));
	KUNIT_ASSERT_EQ(test, 0, name_op(t->c[1], DSM_OP_CREATE, name, &f->id));
	/* It is there on every node when the call returns. */
	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		f->r[i] = dsm_region_find(t->c[i], f->id);
		KUNIT_ASSERT_NOT_NULL(test, f->r[i]);
	}
	return f;
}

/* ---- what all nodes know of a page ---- */

struct snapshot {
	struct dsm_page page[DSM_TEST_NODES];
	struct dsm_dir dir;
	const char *wrong;
};

static bool at_rest(const struct dsm_page *p)
{
	return p->state == DSM_PS_I || p->state == DSM_PS_S ||
	       p->state == DSM_PS_E;
}

static void snap_page(struct dsm_region *r, u64 index, struct dsm_page *page)
{
	struct dsm_entry *e = dsm_entry_find(r, index);

	dsm_page_init(page);
	if (!e)
		return;
	spin_lock_bh(&e->lock);
	*page = e->core;
	spin_unlock_bh(&e->lock);
	dsm_entry_put(e);
}

/* Return: whether nothing was under way; then @s->wrong says what is wrong. */
static bool snap(struct dsm_test_file *f, u64 index, struct snapshot *s)
{
	const struct dsm_page *pages[DSM_TEST_NODES] = {};
	struct dsm_region *home = NULL;

	for (unsigned int i = 0; i < DSM_TEST_NODES; i++) {
		if (!f->r[i])
			continue;
		snap_page(f->r[i], index, &s->page[i]);
		if (!at_rest(&s->page[i]))
			return false;
		pages[i] = &s->page[i];
		home = home ?: f->r[dsm_region_home(f->r[i], index)];
	}
	dsm_dir_init(&s->dir);
	if (home)
		dsm_test_dir(home, index, &s->dir);
	if (dsm_dir_is_busy(&s->dir))
		return false;
	s->wrong = dsm_invariant_global(pages, DSM_TEST_NODES, &s->dir);
	return !s->wrong;
}

void dsm_test_agree(struct kunit *test, struct dsm_test_file *f, u64 index)
{
	struct snapshot *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_TRUE_MSG(test, dsm_test_wait(snap(f, index, s)),
			      "page %llu: %s", index,
			      s->wrong ?: "something is under way for ever");
	kunit_kfree(test, s);
}

/* ---- someone else ---- */

static void worker_fn(struct work_struct *work)
{
	struct dsm_test_worker *w = container_of(work, struct dsm_test_worker, work);

	w->err = w->fn(w->r, w->index, w->arg);
	complete(&w->done);
}

void dsm_test_fork(struct dsm_test_worker *w,
		   int (*fn)(struct dsm_region *r, u64 index, u64 arg),
		   struct dsm_region *r, u64 index, u64 arg)
{
	*w = (struct dsm_test_worker){ .fn = fn, .r = r, .index = index, .arg = arg };
	INIT_WORK_ONSTACK(&w->work, worker_fn);
	init_completion(&w->done);
	queue_work(system_unbound_wq, &w->work);
}

bool dsm_test_is_done(struct dsm_test_worker *w, u32 timeout_ms)
{
	if (!wait_for_completion_timeout(&w->done, msecs_to_jiffies(timeout_ms)))
		return false;
	complete(&w->done);
	return true;
}

int dsm_test_join(struct dsm_test_worker *w)
{
	flush_work(&w->work);
	destroy_work_on_stack(&w->work);
	return w->err;
}
