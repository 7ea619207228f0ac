// SPDX-License-Identifier: GPL-2.0
/*
 * The numbers of changes in themselves, and then members of which the first, each the master
 * in its time, are lost at any moment: all orders in which messages can come and members can
 * learn of it. Who is lost may go on for a while without knowing. One of three, with links
 * that break and want of memory; two of four, one after the other.
 *
 * A move here is a step of modules/dsm/meta_agree.c and meta_op.c as the master, or of
 * meta_rx.c and meta_apply.c as a member.
 */
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "tap.h"

static struct dsm_changes made;

TEST(numbers_are_remembered_in_order)
{
	dsm_changes_begin(&made, 7);
	CHECK(dsm_changes_standing(&made, 7) == DSM_ST_ALIKE);
	CHECK(dsm_changes_standing(&made, 8) == DSM_ST_AHEAD);
	CHECK(dsm_changes_standing(&made, 6) == DSM_ST_FAR_BEHIND);
	CHECK(dsm_changes_is_next(&made, 8));
	CHECK(!dsm_changes_is_next(&made, 7));
	CHECK(!dsm_changes_is_next(&made, 9));
	CHECK(dsm_changes_add(&made) == 8);
	CHECK(dsm_changes_add(&made) == 9);
	CHECK(made.last == 9);
	CHECK(dsm_changes_standing(&made, 6) == DSM_ST_FAR_BEHIND);
	CHECK(dsm_changes_standing(&made, 7) == DSM_ST_BEHIND);
	CHECK(dsm_changes_standing(&made, 9) == DSM_ST_ALIKE);
}

TEST(old_ones_are_forgotten)
{
	dsm_changes_begin(&made, 0);
	for (u32 n = 1; n <= DSM_CHANGES_MAX; n++)
		CHECK(dsm_changes_add(&made) == n % DSM_CHANGES_MAX);
	CHECK(dsm_changes_standing(&made, 0) == DSM_ST_BEHIND);
	CHECK(dsm_changes_add(&made) == 1);
	CHECK(dsm_changes_standing(&made, 0) == DSM_ST_FAR_BEHIND);
	CHECK(dsm_changes_standing(&made, 1) == DSM_ST_BEHIND);
}

TEST(numbers_of_changes_wrap)
{
	dsm_changes_begin(&made, ~0u - 1);
	for (u32 i = 0; i < DSM_CHANGES_MAX; i++)
		dsm_changes_add(&made);
	CHECK(dsm_changes_standing(&made, ~0u - 1) == DSM_ST_BEHIND);
	CHECK(dsm_changes_standing(&made, ~0u) == DSM_ST_BEHIND);
	CHECK(dsm_changes_standing(&made, made.last + 1) == DSM_ST_AHEAD);
	dsm_changes_add(&made);
	CHECK(dsm_changes_standing(&made, ~0u - 1) == DSM_ST_FAR_BEHIND);
}

/* ---- all orders ---- */

#define NR_NODES	4
#define NR_QUEUED	8
#define NR_SEEN		(1u << 22)
#define SETTLE_STEPS	100
#define SETTLE_EACH	16	/* states */

enum { PLACE, CREATE, AGREED };
/* FREEZE is no change, but what comes before PLACE; the answers carry a number or an errno. */
enum { LAST, MISSED, APPLY, FREEZE, ANSWER };
enum { IDLE, ASK, TELL, SAY, FREEZING, APPLYING };

struct msg {
	u8 type, change, number, refused;
};

struct node {
	struct dsm_changes changes;
	u8 change[DSM_CHANGES_MAX];	/* what is in each slot */
	u8 done;			/* a bit for each change */
	u8 view;			/* without the nodes below, so this is its master */
	u8 frozen;
	u8 place;
	/* of the master */
	u8 at, agreed, refused;
	u8 waits[NR_NODES], last[NR_NODES];
};

struct link {
	struct msg msg[NR_QUEUED];
	u8 nr;
};

/* All words are compared. */
struct world {
	struct node node[NR_NODES];
	struct link link[NR_NODES][NR_NODES];
	u8 lost;			/* nodes below are, whether they know or not */
	u8 given_up;			/* who wanted PLACE is lost too */
	u8 mishaps;			/* resets of links and want of memory until now */
};

/* What is explored. */
static u8 nr_nodes, nr_losses, nr_mishaps;
/* What a member says comes at once, as otherwise there are too many orders. */
static bool at_once;

static void post(struct world *w, u8 from, u8 to, struct msg m)
{
	struct link *l = &w->link[from][to];

	CHECK(l->nr < NR_QUEUED);
	l->msg[l->nr++] = m;
}

/* dsm_meta_apply(). Return: whether it was refused. */
static bool make(struct node *n, u8 change, u32 number)
{
	u32 slot = dsm_changes_slot(number);

	if (dsm_changes_standing(&n->changes, number) != DSM_ST_AHEAD) {
		CHECK(n->change[slot] == change);
		return false;
	}
	if (!dsm_changes_is_next(&n->changes, number))
		return true;
	CHECK(dsm_changes_add(&n->changes) == slot);
	n->change[slot] = change;
	n->done |= 1 << change;
	if (change == PLACE)
		n->place = 1;
	if (change != CREATE)
		n->frozen = 0;
	return false;
}

static void ask_all(struct world *w, u8 master, struct msg m)
{
	for (u8 to = master + 1; to < nr_nodes; to++) {
		post(w, master, to, m);
		w->node[master].waits[to]++;
	}
}

static void apply_at_all(struct world *w, u8 master, u8 change)
{
	struct node *n = &w->node[master];
	struct msg m = { APPLY, change, n->changes.last + 1, 0 };

	CHECK(!make(n, change, m.number));
	ask_all(w, master, m);
}

/* The changes after the number it said it was at. Return: how many. */
static u8 send_after(struct world *w, u8 from, u8 to, u8 type, u32 number)
{
	struct node *n = &w->node[from];
	u8 nr = 0;

	if (dsm_changes_standing(&n->changes, number) != DSM_ST_BEHIND)
		return 0;
	while (number++ != n->changes.last) {
		u8 change = n->change[dsm_changes_slot(number)];

		post(w, from, to, (struct msg){ type, change, number, 0 });
		nr++;
	}
	return nr;
}

static bool still_waits(const struct node *n)
{
	for (u8 i = 0; i < nr_nodes; i++)
		if (n->waits[i])
			return true;
	return false;
}

static void ask_last(struct world *w, u8 master)
{
	w->node[master].at = ASK;
	ask_all(w, master, (struct msg){ LAST, 0, w->node[master].changes.last, 0 });
}

static void tell_all(struct world *w, u8 master)
{
	struct node *n = &w->node[master];

	for (u8 to = master + 1; to < nr_nodes; to++) {
		u8 standing = dsm_changes_standing(&n->changes, n->last[to]);

		CHECK(standing != DSM_ST_FAR_BEHIND);
		n->refused |= standing == DSM_ST_AHEAD;
		n->waits[to] += send_after(w, master, to, APPLY, n->last[to]);
	}
	n->at = TELL;
}

/* Whoever is of this view has made the same. */
static void check_alike(const struct world *w, u8 master)
{
	const struct node *n = &w->node[master], *o;

	for (o = n + 1; o < w->node + nr_nodes; o++) {
		CHECK(o->view >= master);
		CHECK(o->view != master || (o->done == n->done &&
					    o->changes.last == n->changes.last));
	}
}

static void begin_op(struct world *w, u8 master)
{
	struct node *n = &w->node[master];

	if (!(n->done & 1 << PLACE) && !w->given_up) {
		n->frozen = 1;
		ask_all(w, master, (struct msg){ FREEZE, 0, n->changes.last + 1, 0 });
		n->at = FREEZING;
	} else {
		apply_at_all(w, master, CREATE);
		n->at = APPLYING;
	}
}

static bool master_step(struct world *w, u8 master)
{
	struct node *n = &w->node[master];
	bool refused = n->refused;

	/* A lost one goes on until someone refuses: what it asks then changes nothing. */
	if (n->view != master || still_waits(n) || (refused && master < w->lost))
		return false;
	if (n->at == IDLE && n->agreed && n->done & 1 << CREATE)
		return false;
	n->refused = 0;
	if (refused) {
		n->agreed = 0;
		ask_last(w, master);
		return true;
	}
	switch (n->at) {
	case IDLE:
		if (n->agreed)
			begin_op(w, master);
		else
			ask_last(w, master);
		return true;
	case ASK:
		tell_all(w, master);
		return true;
	case TELL:
		apply_at_all(w, master, AGREED);
		n->at = SAY;
		return true;
	case SAY:
		n->agreed = 1;
		n->at = IDLE;
		memset(n->last, 0, sizeof(n->last));
		check_alike(w, master);
		return true;
	case FREEZING:
		apply_at_all(w, master, PLACE);
		n->at = APPLYING;
		return true;
	default:
		n->at = IDLE;
		return true;
	}
}

static struct msg take(struct link *l)
{
	struct msg m = l->msg[0];

	memmove(l->msg, l->msg + 1, sizeof(l->msg) - sizeof(m));
	l->msg[NR_QUEUED - 1] = (struct msg){ 0 };
	l->nr--;
	return m;
}

static void to_master(struct node *n, u8 from, struct msg m)
{
	if (m.type == ANSWER) {
		CHECK(n->waits[from]);
		n->waits[from]--;
		n->refused |= m.refused;
		if (n->at == ASK)
			n->last[from] = m.number;
	} else if (n->at == ASK) {
		make(n, m.change, m.number);
	}
}

static bool deliver(struct world *w, u8 from, u8 to)
{
	struct msg m, answer = { ANSWER, 0, 0, 0 };
	struct link *back = &w->link[to][from];
	struct node *n = &w->node[to];

	if (!w->link[from][to].nr)
		return false;
	m = take(&w->link[from][to]);
	if (m.type == ANSWER || m.type == MISSED) {
		to_master(n, from, m);
		return true;
	}
	if (n->view != from) {
		answer.refused = 1;
	} else if (m.type == LAST) {
		send_after(w, to, from, MISSED, m.number);
		answer.number = n->changes.last;
	} else if (m.type == FREEZE) {
		answer.refused = !dsm_changes_is_next(&n->changes, m.number);
		n->frozen |= !answer.refused;
	} else {
		answer.refused = make(n, m.change, m.number);
	}
	post(w, to, from, answer);
	while (at_once && back->nr)
		to_master(&w->node[from], to, take(back));
	return true;
}

/*
 * A member breaks the link to its master off, and is not lost: what was on its way to it does
 * not come, and the master takes it for lost, which is an error if all have to know. It
 * asks all again before the next change.
 */
static bool reset(struct world *w, u8 to)
{
	u8 from = w->node[to].view;
	struct node *n = &w->node[from];
	struct link *l = &w->link[from][to];

	if (!l->nr || from >= to || w->mishaps == nr_mishaps)
		return false;
	w->mishaps++;
	while (l->nr) {
		take(l);
		n->waits[to]--;
		n->refused |= n->at != APPLYING;
		n->agreed = 0;
	}
	return true;
}

/* A member has no memory for a change, and says so. */
static bool starve(struct world *w, u8 to)
{
	u8 from = w->node[to].view;
	struct link *l = &w->link[from][to];

	if (!l->nr || l->msg[0].type != APPLY || from >= to || w->mishaps == nr_mishaps)
		return false;
	w->mishaps++;
	take(l);
	w->node[from].waits[to]--;
	w->node[from].refused = 1;
	return true;
}

static bool learn(struct world *w, u8 node)
{
	struct node *n = &w->node[node];

	if (n->view >= w->lost || n->view >= node)
		return false;
	/* What is on the way between it and who it knows is lost comes to nothing. */
	memset(&w->link[n->view][node], 0, sizeof(struct link));
	memset(&w->link[node][n->view], 0, sizeof(struct link));
	n->view++;
	return true;
}

static bool lose(struct world *w, bool who_wanted_place)
{
	if (w->lost == nr_losses)
		return false;
	w->lost++;
	w->given_up |= who_wanted_place;
	return true;
}

/* Pages are asked for where they are not frozen: by one placement. */
static void check_places(const struct world *w)
{
	u8 places = 0;

	for (u8 i = w->lost; i < nr_nodes; i++)
		if (!w->node[i].frozen)
			places |= 1 << w->node[i].place;
	CHECK(places != 3);
}

static void check_end(const struct world *w)
{
	for (u8 i = w->lost; i < nr_nodes; i++) {
		const struct node *n = &w->node[i];

		CHECK(!n->frozen);
		CHECK(n->done & 1 << CREATE);
		CHECK(n->done == w->node[nr_nodes - 1].done);
		CHECK(n->changes.last == w->node[nr_nodes - 1].changes.last);
	}
}

/* If nothing more is lost it comes to an end by itself. */
static void settle(struct world w)
{
	bool any = true;

	for (int n = 0; any; n++) {
		CHECK(n < SETTLE_STEPS);
		any = false;
		for (u8 a = 0; a < nr_nodes; a++) {
			any |= master_step(&w, a) | learn(&w, a);
			for (u8 b = 0; b < nr_nodes; b++)
				any |= deliver(&w, a, b);
		}
	}
	check_end(&w);
}

static u64 *seen;
static unsigned int nr_seen, nr_ends;

static bool is_new(const struct world *w)
{
	u64 hash = 14695981039346656037ull;
	unsigned int at;
	u32 word;

	for (size_t i = 0; i < sizeof(*w) / sizeof(word); i++) {
		memcpy(&word, (const char *)w + i * sizeof(word), sizeof(word));
		hash = (hash ^ word) * 1099511628211ull;
		hash ^= hash >> 29;
	}
	hash += !hash;
	for (at = hash % NR_SEEN; seen[at]; at = (at + 1) % NR_SEEN)
		if (seen[at] == hash)
			return false;
	seen[at] = hash;
	CHECK(++nr_seen < NR_SEEN / 4 * 3);
	return true;
}

static void explore(const struct world *w);

static bool then(bool moved, const struct world *next)
{
	if (moved && is_new(next))
		explore(next);
	return moved;
}

static void explore(const struct world *w)
{
	struct world next;
	bool any = false;

#define MOVE(move) (next = *w, then(move, &next))
	check_places(w);
	any |= MOVE(lose(&next, false));
	any |= MOVE(lose(&next, true));
	for (u8 a = 0; a < nr_nodes; a++) {
		any |= MOVE(master_step(&next, a));
		any |= MOVE(learn(&next, a));
		any |= MOVE(reset(&next, a));
		any |= MOVE(starve(&next, a));
		for (u8 b = 0; b < nr_nodes; b++)
			any |= MOVE(deliver(&next, a, b));
	}
#undef MOVE
	if (nr_seen % SETTLE_EACH == 0)
		settle(*w);
	if (!any) {
		CHECK(w->lost == nr_losses);
		check_end(w);
		nr_ends++;
	}
}

static void explore_all(u8 nodes, u8 losses, u8 mishaps, bool answers_at_once)
{
	struct world *w = calloc(1, sizeof(*w));

	nr_nodes = nodes;
	nr_losses = losses;
	nr_mishaps = mishaps;
	at_once = answers_at_once;
	nr_seen = 0;
	nr_ends = 0;
	seen = calloc(NR_SEEN, sizeof(*seen));
	CHECK(w && seen);
	explore(w);
	printf("# changes: %u nodes: %u states, %u ends\n", nodes, nr_seen, nr_ends);
	CHECK(nr_ends);
	free(seen);
	free(w);
}

TEST(all_are_alike_whenever_the_master_is_lost)
{
	explore_all(3, 1, 2, false);
}

TEST(all_are_alike_whenever_two_masters_are_lost)
{
	explore_all(4, 2, 0, true);
}
