// SPDX-License-Identifier: GPL-2.0
/*
 * The simulator of the membership: many nodes on virtual time.  A run is its
 * seed.  First anything may happen (safety), then nothing does any more, and all
 * have to get together (liveness).  Runs that are clean have one fault only, and
 * the majority has to go on as if nothing had been.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nodeset.h"
#include "world.h"

#define STEP_US		10000u
#define DEAD_US		1000000u	/* dead_ms of the node layer */
#define MAX_VIEWS	8192

#define FAULTS(X)	\
	X(BREAK)	\
	X(PARTITION)	\
	X(CRASH)	\
	X(RESTART)	\
	X(LEAVE)	\
	X(SLOW)		\
	X(DENY)		\
	X(ONE_SIDED)

enum fault_bit {
#define X(name) BIT_##name,
	FAULTS(X)
#undef X
	NR_FAULTS,
};
#define F(name)	(1u << BIT_##name)

struct options {
	u64 seed, count;
	u32 nodes, steps, faults;
	bool faults_given, trace, quiet, twice, shrink;
};

struct view_id {
	u32 cluster, number, epoch, members, leaving;
};

static struct mworld w;
static u64 rng, hash;
static u64 down_since[MW_NODES][MW_NODES], patience[MW_NODES][MW_NODES];
static u8 latency[MW_NODES][MW_NODES];	/* of eight steps, in how many nothing comes */
static u32 wall;			/* partition: this side of it */
static struct view_id views[MAX_VIEWS];	/* a hash table */
static u32 nr_views;
static u64 nr_steps, nr_split;

static u32 pick(u32 n)
{
	u64 z = rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (u32)((z ^ z >> 31) >> 32) % n;
}

static bool fault(const struct options *o, u32 which, u32 one_in)
{
	return o->faults & which && !pick(one_in);
}

static void note_view(const struct dsm_view *v)
{
	struct view_id id = {
		.cluster = v->cluster, .number = v->number, .epoch = v->epoch,
		.members = mw_word(&v->members), .leaving = mw_word(&v->leaving),
	};
	u32 at = (v->cluster * 31 + v->number) * 2654435761u % MAX_VIEWS;

	while (views[at].number &&
	       (views[at].cluster != id.cluster || views[at].number != id.number))
		at = (at + 1) % MAX_VIEWS;
	if (!views[at].number && nr_views++ == MAX_VIEWS / 2)
		mw_wrong = "more views than the simulator can remember";
	else if (!views[at].number)
		views[at] = id;
	else if (memcmp(&views[at], &id, sizeof(id)))
		mw_wrong = "two views with one number, one after the other";
}

static void observe(struct mworld *world, u16 node, u8 old_state,
		    const struct dsm_member_event *ev,
		    const struct dsm_member_out *out)
{
	const struct dsm_member *m = &world->n[node].m;

	nr_steps++;
	hash = (hash ^ ev->type ^ (u64)node << 8 ^ (u64)m->state << 16 ^
		(u64)m->view.number << 24 ^ world->now) * 0x100000001b3ULL;
	hash ^= hash >> 29;
	if (dsm_member_is_in(m))
		note_view(&m->view);
}

/* ---- what happens ---- */

static bool apart(u16 a, u16 b)
{
	return (wall >> a & 1) != (wall >> b & 1);
}

/* In peace a connection is there before an end gives up. */
static bool overdue(u16 a, u16 b)
{
	return down_since[a][b] && w.now - down_since[a][b] > DEAD_US / 2;
}

static void move_links(const struct options *o)
{
	for (u16 a = 0; a < w.nr; a++)
		for (u16 b = 0; b < a; b++) {
			if (w.n[a].end[b].up) {
				if (apart(a, b) || fault(o, F(BREAK), 2000))
					mw_break(&w, a, b);
			} else if (mw_can_connect(&w, a, b) && !apart(a, b) &&
				   (!pick(12) || overdue(a, b))) {
				mw_connect(&w, a, b);
			}
		}
}

/* An end gives up after dead_ms, more or less; rarely long before. */
static void lose_patience(const struct options *o)
{
	for (u16 a = 0; a < w.nr; a++)
		for (u16 b = 0; b < w.nr; b++) {
			if (a == b || w.n[a].end[b].up || !w.n[a].alive) {
				down_since[a][b] = 0;
				continue;
			}
			if (!down_since[a][b]) {
				down_since[a][b] = w.now;
				patience[a][b] = fault(o, F(ONE_SIDED), 40) ?
					pick(DEAD_US) : DEAD_US + pick(200000);
			}
			if (w.now >= down_since[a][b] + patience[a][b] &&
			    mw_can_lose(&w, a, b))
				mw_lose(&w, a, b);
		}
}

static void carry(void)
{
	for (u16 a = 0; a < w.nr; a++)
		for (u16 b = 0; b < w.nr; b++)
			while (mw_can_deliver(&w, a, b) && !mw_wrong &&
			       pick(8) >= latency[a][b])
				mw_deliver(&w, a, b);
}

static void work(const struct options *o, u16 i)
{
	struct mw_node *n = &w.n[i];

	if (!n->alive || n->stopped)
		return;
	if (n->m.deadline_us && n->m.deadline_us <= w.now)
		mw_timer(&w, i);
	if (n->snapshot != MW_NONE && !pick(10))
		mw_admit(&w, i, !fault(o, F(DENY), 4));
	if (n->handover && !pick(20))
		mw_handed(&w, i);
	if (n->leave && n->m.state != DSM_MS_GONE && !pick(20))
		mw_leave(&w, i);
	if (n->m.state == DSM_MS_GONE && !pick(10))
		mw_stop(&w, i);
}

static void strike(const struct options *o)
{
	u16 i = pick(w.nr);

	if (fault(o, F(PARTITION), 500))
		wall = wall ? 0 : pick(1u << (w.nr < 31 ? w.nr : 31));
	if (fault(o, F(CRASH), 1000))
		mw_crash(&w, i);
	if (fault(o, F(LEAVE), 300) && w.n[i].alive && dsm_member_is_in(&w.n[i].m))
		mw_leave(&w, i);
	if (fault(o, F(RESTART), 600))
		mw_start(&w, i);
	else if ((!w.n[i].alive || w.n[i].stopped) && !pick(100))
		mw_start(&w, i);
}

static void step(const struct options *o)
{
	w.now += STEP_US;
	move_links(o);
	lose_patience(o);
	carry();
	for (u16 i = 0; i < w.nr && !mw_wrong; i++)
		work(o, i);
	if (!mw_wrong)
		mw_check(&w);
}

/* ---- runs ---- */

static void begin(const struct options *o)
{
	rng = o->seed * 7919 + 17;
	hash = 0xcbf29ce484222325ULL;
	wall = 0;
	nr_views = 0;
	mw_wrong = NULL;
	memset(views, 0, sizeof(views));
	memset(down_since, 0, sizeof(down_since));
	mw_init(&w, o->nodes, false);
	for (u16 a = 0; a < o->nodes; a++)
		for (u16 b = 0; b < o->nodes; b++)
			latency[a][b] = fault(o, F(SLOW), 4) ? 7 : pick(5);
	for (u16 i = 0; i < o->nodes; i++)
		if (pick(8))
			mw_start(&w, i);
}

static void live(const struct options *o)
{
	u32 calm = 300 + pick(400);

	for (u32 n = 0; n < o->steps && !mw_wrong && !w.split; n++) {
		if (n >= calm)
			strike(o);
		step(o);
	}
	wall = 0;
	if (!mw_wrong && !w.split)
		mw_heal(&w, 300);
	if (!mw_wrong && !w.split)
		mw_wrong = mw_converged(&w);
	nr_split += w.split;
}

static bool all_in(u32 who)
{
	for (u16 i = 0; i < w.nr; i++)
		if (who >> i & 1 && (w.n[i].m.state != DSM_MS_IN ||
				     mw_word(&w.n[i].m.view.members) != who))
			return false;
	return true;
}

static void go_on(u32 steps, struct options *o)
{
	while (steps-- && !mw_wrong)
		step(o);
}

/* All form; then a minority crashes, is cut off, or leaves one after the other. */
static void live_clean(struct options *o)
{
	u32 all = o->nodes == 32 ? ~0u : (1u << o->nodes) - 1, out = 0;
	u32 nr_out = 1 + pick((o->nodes + 1) / 2), kind = pick(3);

	o->faults = 0;
	for (u16 i = 0; i < o->nodes; i++)
		if (!w.n[i].alive)
			mw_start(&w, i);
	go_on(600 + 60 * o->nodes, o);
	if (!mw_wrong && !all_in(all))
		mw_wrong = "not all form one cluster, in peace";
	for (; 2 * nr_out >= o->nodes; nr_out--)
		;
	while (dsm_word_weight(out) < nr_out)
		out |= 1u << pick(o->nodes);
	for (u16 i = 0; i < o->nodes && kind != 1; i++)
		if (out >> i & 1 && kind == 0)
			mw_crash(&w, i);
		else if (out >> i & 1)
			mw_leave(&w, i);
	if (kind == 1)
		wall = out;
	go_on(1000 + 300 * nr_out, o);
	if (!mw_wrong && !all_in(all & ~out))
		mw_wrong = "the majority does not go on";
	for (u16 i = 0; i < o->nodes && !mw_wrong; i++)
		if (out >> i & 1 && w.n[i].alive && w.n[i].m.state != DSM_MS_GONE)
			mw_wrong = kind == 1 ? "the minority goes on" :
					       "a node cannot leave";
}

static void configure(struct options *o)
{
	static const u8 sizes[16] = { 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 12, 16,
				      24, 32 };

	rng = o->seed * 104729 + 1;
	o->nodes = o->nodes ? o->nodes : sizes[pick(16)];
	if (o->nodes > MW_NODES)
		o->nodes = MW_NODES;
	if (!o->steps)
		o->steps = 1000 + pick(o->nodes > 12 ? 1500 : 5000);
	if (!o->faults_given)
		o->faults = pick(1u << NR_FAULTS);
	o->faults_given = true;
}

static bool run(const struct options *opt)
{
	struct options o = *opt;

	configure(&o);
	mw_trace = o.trace;
	begin(&o);
	/* One in four has one fault only. */
	if (o.seed % 4)
		live(&o);
	else
		live_clean(&o);
	if (mw_wrong || !o.quiet)
		printf("seed %llu: nodes %u steps %u faults %02x: %s; %u views, hash %016llx\n",
		       o.seed, o.nodes, o.steps, opt->faults_given ? opt->faults :
		       o.faults, mw_wrong ? mw_wrong : "ok", nr_views, hash);
	if (mw_wrong && o.trace)
		mw_print(&w);
	return !mw_wrong;
}

static void shrink(struct options o)
{
	u32 *const knob[] = { &o.nodes, &o.steps };
	bool smaller;

	configure(&o);
	o.quiet = true;
	do {
		smaller = false;
		for (u32 i = 0; i < 2; i++)
			for (u32 cut = *knob[i] / 2; cut; cut /= 2) {
				if (*knob[i] < 2 + cut)
					continue;
				*knob[i] -= cut;
				if (!run(&o))
					smaller = true;
				else
					*knob[i] += cut;
			}
		for (u32 bit = 0; bit < NR_FAULTS; bit++) {
			u32 old = o.faults;

			o.faults &= ~(1u << bit);
			if (old == o.faults)
				continue;
			if (!run(&o))
				smaller = true;
			else
				o.faults = old;
		}
	} while (smaller);
	printf("shrunk: build/member/dsm-sim-member --seed %llu --nodes %u --steps %u --faults 0x%x --trace\n",
	       o.seed, o.nodes, o.steps, o.faults);
}

static void parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		u64 v = i + 1 < argc ? strtoull(argv[i + 1], NULL, 0) : 0;

		i++;
		if (!strcmp(a, "--seed")) {
			o->seed = v;
		} else if (!strcmp(a, "--count")) {
			o->count = v;
		} else if (!strcmp(a, "--nodes")) {
			o->nodes = v;
		} else if (!strcmp(a, "--steps")) {
			o->steps = v;
		} else if (!strcmp(a, "--faults")) {
			o->faults = v;
			o->faults_given = true;
		} else {
			i--;
			o->trace |= !strcmp(a, "--trace");
			o->quiet |= !strcmp(a, "--quiet");
			o->twice |= !strcmp(a, "--twice");
			o->shrink |= !strcmp(a, "--shrink");
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .count = 1 };
	u64 passed = 0, failed = 0, first;

	parse(&o, argc, argv);
	first = o.seed;
	mw_observe = observe;
	for (; o.seed < first + o.count && failed < 5; o.seed++) {
		bool ok = run(&o);
		u64 once = hash;

		if (o.twice) {
			run(&o);
			if (hash != once) {
				printf("seed %llu: not the same twice\n", o.seed);
				ok = false;
			}
		}
		if (ok)
			passed++;
		else
			failed++;
		if (!ok && o.shrink)
			shrink(o);
	}
	if (!o.quiet)
		printf("%llu steps of the machine, %llu runs ended by a second cluster beside one that others had left\n",
		       nr_steps, nr_split);
	printf("sim-member: %llu passed, %llu failed\n", passed, failed);
	return failed || !passed;
}
