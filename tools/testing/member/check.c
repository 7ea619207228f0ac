// SPDX-License-Identifier: GPL-2.0
/* What must be true of the world at any time, and once it was left in peace. */
#include <string.h>
#include "nodeset.h"
#include "world.h"

static void fail(const char *what)
{
	if (!mw_wrong)
		mw_wrong = what;
}

static bool is_active(const struct mw_node *n)
{
	return n->alive && dsm_member_is_in(&n->m);
}

/* Who takes part in the cluster as this node sees it, and thinks so as well. */
static u32 support(const struct mworld *w, u16 node)
{
	const struct dsm_view *v = &w->n[node].m.view;
	u32 s = 0;

	for (u16 i = 0; i < w->nr; i++)
		if (is_active(&w->n[i]) && dsm_nodeset_has(&v->members, i) &&
		    w->n[i].m.view.cluster == v->cluster &&
		    dsm_nodeset_has(&w->n[i].m.view.members, node))
			s |= 1u << i;
	return s;
}

static bool works_as_master(const struct mworld *w, u16 node)
{
	const struct dsm_view *v = &w->n[node].m.view;
	u32 all = mw_word(&v->members), s;
	unsigned int nr = dsm_word_weight(all), got;

	if (!is_active(&w->n[node]) || dsm_view_master(v) != node)
		return false;
	s = support(w, node);
	got = dsm_word_weight(s);
	return 2 * got > nr || (2 * got == nr && s & all & -all);
}

static bool same_view(const struct dsm_view *a, const struct dsm_view *b)
{
	return dsm_nodeset_equal(&a->members, &b->members) &&
	       dsm_nodeset_equal(&a->leaving, &b->leaving) &&
	       a->epoch == b->epoch;
}

static void check_pair(struct mworld *w, u16 i, u16 j, u32 working)
{
	const struct dsm_view *a = &w->n[i].m.view, *b = &w->n[j].m.view;

	if (a->cluster == b->cluster && a->number == b->number && !same_view(a, b))
		fail("two views with one number");
	/* What a cluster that others left can no longer rule out. */
	if (a->cluster != b->cluster && w->left &&
	    (2 * dsm_nodeset_weight(&a->members) < w->nr ||
	     2 * dsm_nodeset_weight(&b->members) < w->nr)) {
		w->split = true;
		return;
	}
	if (!(mw_word(&a->members) & mw_word(&b->members)))
		fail("two disjoint clusters");
	if (((working >> i) & (working >> j) & 1) &&
	    (a->cluster != b->cluster || a->number == b->number))
		fail("two masters at work");
}

void mw_check(struct mworld *w)
{
	u32 working = 0;

	for (u16 i = 0; i < w->nr; i++)
		working |= (u32)works_as_master(w, i) << i;
	for (u16 i = 0; i < w->nr; i++)
		for (u16 j = 0; j < i; j++)
			if (is_active(&w->n[i]) && is_active(&w->n[j]))
				check_pair(w, i, j, working);
}

void mw_print(const struct mworld *w)
{
	for (u16 i = 0; i < w->nr; i++) {
		const struct mw_node *n = &w->n[i];

		if (!n->alive)
			continue;
		printf("  node %u inc %u %s (%s)%s view %u:%u e%u {%x} leaving {%x} lost {%x} suspects {%x} linked {%x} in {%x} out {%x} |",
		       i, n->incarnation, dsm_member_state_name(n->m.state),
		       dsm_member_reason_name(n->m.reason),
		       n->stopped ? " stopped" : "",
		       n->m.view.cluster, n->m.view.number, n->m.view.epoch,
		       mw_word(&n->m.view.members), mw_word(&n->m.view.leaving),
		       mw_word(&n->m.view.lost), mw_word(&n->m.suspects),
		       mw_word(&n->m.linked), mw_word(&n->m.in), mw_word(&n->m.out));
		for (u16 j = 0; j < w->nr; j++)
			for (u8 k = 0; k < n->end[j].len; k++)
				printf(" %s>%u%s", dsm_member_msg_name(n->end[j].tx[k].type),
				       j, n->end[j].up ? "" : "!");
		printf("\n");
	}
}

/* ---- peace ---- */

static bool deliver_all(struct mworld *w)
{
	bool any = false;

	for (u16 i = 0; i < w->nr; i++)
		for (u16 j = 0; j < w->nr; j++)
			while (mw_can_deliver(w, i, j) && !mw_wrong) {
				mw_deliver(w, i, j);
				any = true;
			}
	return any;
}

static void serve(struct mworld *w, u16 i)
{
	struct mw_node *n = &w->n[i];

	if (n->m.state == DSM_MS_GONE && !n->stopped)
		mw_stop(w, i);
	if (n->snapshot != MW_NONE)
		mw_admit(w, i, true);
	if (n->handover)
		mw_handed(w, i);
	if (n->leave && n->m.state != DSM_MS_GONE)
		mw_leave(w, i);
	/* Who did not want to go is started again by its operator. */
	if (n->stopped && n->m.reason != DSM_MR_LEFT)
		mw_start(w, i);
	if (is_active(n) && dsm_view_master(&n->m.view) == i)
		for (u16 x = 0; x < w->nr; x++)
			if (dsm_nodeset_has(&n->m.view.lost, x))
				mw_rebuilt(w, i, x);
}

/* Every link that can be is up, the others are known to be lost. */
static void settle_links(struct mworld *w)
{
	for (u16 i = 0; i < w->nr; i++)
		for (u16 j = 0; j < w->nr; j++) {
			if (mw_can_connect(w, i, j))
				mw_connect(w, i, j);
			if ((!w->n[j].alive || w->n[j].stopped) &&
			    mw_can_lose(w, i, j))
				mw_lose(w, i, j);
		}
}

/* No more faults; time goes by in steps of 100 ms. */
void mw_heal(struct mworld *w, u32 seconds)
{
	w->own_time = false;
	for (u32 step = 0; step < seconds * 10 && !mw_wrong; step++) {
		settle_links(w);
		deliver_all(w);
		for (u16 i = 0; i < w->nr && !mw_wrong; i++) {
			struct mw_node *n = &w->n[i];

			if (!n->alive)
				continue;
			serve(w, i);
			if (n->m.deadline_us && n->m.deadline_us <= w->now)
				mw_timer(w, i);
			mw_check(w);
		}
		if (!deliver_all(w) && step > 60 && !mw_converged(w))
			return;
		mw_check(w);
		w->now += 100000;
	}
}

const char *mw_converged(const struct mworld *w)
{
	const struct dsm_view *v = NULL;
	u32 want = 0;

	for (u16 i = 0; i < w->nr; i++) {
		const struct mw_node *n = &w->n[i];

		if (!n->alive || n->m.state == DSM_MS_GONE)
			continue;
		if (n->leave)
			return "a node that is to leave does not";
		want |= 1u << i;
		if (dsm_member_is_in(&n->m))
			v = &n->m.view;
	}
	if (!v && dsm_word_weight(want) < w->nr / 2u + 1)
		return NULL;
	for (u16 i = 0; i < w->nr; i++) {
		const struct dsm_member *m = &w->n[i].m;

		if (!(want >> i & 1))
			continue;
		if (m->state != DSM_MS_IN)
			return "a node that all are linked to does not get in";
		if (mw_word(&m->view.members) != want || m->view.number != v->number ||
		    m->view.cluster != v->cluster || !same_view(&m->view, v))
			return "members that do not agree on the view";
		if (!dsm_nodeset_empty(&m->suspects))
			return "suspects that are members for ever";
	}
	return NULL;
}
