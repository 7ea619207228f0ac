// SPDX-License-Identifier: GPL-2.0
/*
 * The explorer of the membership: breadth first through every state that a few
 * nodes can get into by links that come and go, messages in any order that the
 * links allow, timeouts at any time, and so many losses, restarts and leaves as
 * the configuration has.  A state is remembered by 128 bits of hash; those of the
 * current depth are kept whole.  From every state where nothing is under way, and
 * from a share of the others, the world is left in peace: it has to converge.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nodeset.h"
#include "world.h"

#define MAX_EVENTS	128

/* What a configuration allows, each so many times. */
#define BUDGETS(X)	\
	X(connect)	\
	X(broken)	\
	X(lost)		\
	X(timer)	\
	X(restart)	\
	X(crash)	\
	X(deny)

struct budget {
#define X(name) u8 name;
	BUDGETS(X)
#undef X
};

struct config {
	const char *name;
	u8 nodes;
	u8 cold;		/* set: not started; the others have formed */
	u8 leave;		/* set: leave, once they are members */
	u8 share;		/* one of so many states is left in peace */
	bool survivors;		/* none but leavers and crashed may be gone */
	struct budget b;
};

static const struct config configs[] = {
#define MEMBER_CONFIGS
#include "configs.h"
};

enum kind { K_CONNECT, K_BREAK, K_LOSE, K_DELIVER, K_TIMER, K_START, K_RESTART,
	    K_CRASH, K_LEAVE, K_HANDED, K_ADMIT, K_DENY, K_STOP };

static const char * const kind_names[] = { "connect", "break", "lose", "deliver",
	"timer", "start", "restart", "crash", "leave", "handed", "admit", "deny",
	"stop" };

struct xevent {
	u8 kind, a, b;
};

struct xstate {
	struct budget left;
	u8 leaving;		/* has been told to leave */
	struct mworld w;
};

struct hash {
	u64 a, b;
};

struct slot {
	struct hash h;
	u32 index;
};

struct seen {
	u32 parent;
	struct xevent ev;
};

struct blob {
	u8 *at;
	size_t used, cap;
};

static const struct config *cfg;
static struct slot *slots;
static size_t nr_slots;
static struct seen *seen;
static u32 nr_states, cap_states, max_states = 20000000;
static u64 nr_transitions, nr_healed;

/* ---- states as bytes ---- */

/* A copy without what lies between the fields. */
static void clean(struct dsm_view *v)
{
	struct dsm_view copy;

	memset(&copy, 0, sizeof(copy));
	copy.cluster = v->cluster;
	copy.number = v->number;
	copy.epoch = v->epoch;
	copy.members = v->members;
	copy.leaving = v->leaving;
	copy.lost = v->lost;
	memcpy(v, &copy, sizeof(copy));
}

static void canonical(struct xstate *s)
{
	for (u16 i = 0; i < s->w.nr; i++) {
		struct dsm_member *m = &s->w.n[i].m;

		if (m->state != DSM_MS_PROPOSING) {
			dsm_nodeset_clear(&m->voters);
			dsm_nodeset_clear(&m->accepted);
		}
		if (m->state != DSM_MS_VOTED)
			m->candidate = DSM_NODE_NONE;
		if (m->pending == DSM_NODE_NONE)
			m->pending_round = 0;
		if (dsm_nodeset_empty(&m->departed))
			m->linger_us = 0;
		if (!m->offering) {
			dsm_nodeset_clear(&m->agreed);
			m->offer_us = 0;
		}
		if (!m->next.number)
			m->offerer = DSM_NODE_NONE;
		if (m->state != DSM_MS_JOINING)
			m->asked = DSM_NODE_NONE;
		if (m->state != DSM_MS_VOTED)
			m->vote_round = 0;
		if (m->state != DSM_MS_OUT)
			m->majority_us = 0;
		if (m->state == DSM_MS_GONE) {
			m->peer_view = (struct dsm_view){ .number = 0 };
			dsm_nodeset_clear(&m->in);
			dsm_nodeset_clear(&m->out);
			dsm_nodeset_clear(&m->suspects);
		}
		clean(&m->view);
		clean(&m->next);
		clean(&m->peer_view);
	}
}

union bytes {
	struct xstate s;
	u64 w[(sizeof(struct xstate) + 7) / 8];
};

#define WORDS	(sizeof(((union bytes *)0)->w) / 8)

/* Words of zeroes go: a byte says which of the next eight words are there. */
static unsigned int squeeze(const union bytes *s, u8 *buf)
{
	unsigned int n = 0;

	for (size_t i = 0; i < WORDS; i += 8) {
		u8 *mask = &buf[n++];

		*mask = 0;
		for (unsigned int k = 0; k < 8 && i + k < WORDS; k++)
			if (s->w[i + k]) {
				*mask |= 1u << k;
				memcpy(buf + n, &s->w[i + k], 8);
				n += 8;
			}
	}
	return n;
}

static void unsqueeze(union bytes *s, const u8 *buf)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < WORDS; i += 8) {
		u8 mask = *buf++;

		for (unsigned int k = 0; k < 8; k++)
			if (mask >> k & 1) {
				memcpy(&s->w[i + k], buf, 8);
				buf += 8;
			}
	}
}

static u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

static struct hash hash_of(const u8 *buf, unsigned int len)
{
	struct hash h = { 0x243f6a8885a308d3ULL ^ len, 0x13198a2e03707344ULL + len };

	for (unsigned int i = 0; i < len; i += 8) {
		u64 v = 0;

		memcpy(&v, buf + i, len - i < 8 ? len - i : 8);
		h.a = mix(h.a, v);
		h.b = mix(h.b + 0x452821e638d01377ULL, v) + (h.a << 31 | h.a >> 33);
	}
	h.a = mix(h.a, h.b);
	h.b = mix(h.b, h.a);
	return h;
}

static void *grown(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p) {
		fprintf(stderr, "exhaust: out of memory\n");
		exit(2);
	}
	return p;
}

static struct slot *slot_of(struct hash h)
{
	size_t i = h.a & (nr_slots - 1);

	while (slots[i].index && (slots[i].h.a != h.a || slots[i].h.b != h.b))
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static void rehash(void)
{
	struct slot *old = slots;
	size_t old_nr = nr_slots;

	nr_slots = old_nr ? old_nr * 2 : 1 << 16;
	slots = calloc(nr_slots, sizeof(*slots));
	for (size_t i = 0; i < old_nr; i++)
		if (old[i].index)
			*slot_of(old[i].h) = old[i];
	free(old);
}

static bool intern(struct hash h, u32 parent, struct xevent ev)
{
	struct slot *s;

	if (nr_states * 2ull >= nr_slots)
		rehash();
	s = slot_of(h);
	if (s->index)
		return false;
	if (nr_states == cap_states) {
		cap_states = cap_states ? cap_states * 2 : 1 << 16;
		seen = grown(seen, cap_states * sizeof(*seen));
	}
	seen[nr_states] = (struct seen){ parent, ev };
	*s = (struct slot){ h, ++nr_states };
	return true;
}

static void keep(struct blob *b, const u8 *buf, unsigned int len)
{
	if (b->used + len + 2 > b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1 << 22;
		b->at = grown(b->at, b->cap);
	}
	b->at[b->used] = len;
	b->at[b->used + 1] = len >> 8;
	memcpy(b->at + b->used + 2, buf, len);
	b->used += len + 2;
}

/* ---- events ---- */

static bool settled(const struct mworld *w, u16 i)
{
	return dsm_member_is_in(&w->n[i].m);
}

static unsigned int link_events(const struct xstate *s, struct xevent *ev,
				unsigned int *nr_free)
{
	unsigned int nr = 0;

	for (u8 a = 0; a < s->w.nr; a++)
		for (u8 b = 0; b < s->w.nr; b++)
			if (mw_can_deliver(&s->w, a, b))
				ev[nr++] = (struct xevent){ K_DELIVER, a, b };
	*nr_free = nr;
	for (u8 a = 0; a < s->w.nr; a++)
		for (u8 b = 0; b < s->w.nr; b++) {
			if (s->left.lost && mw_can_lose(&s->w, a, b))
				ev[nr++] = (struct xevent){ K_LOSE, a, b };
			if (b >= a)
				continue;
			if (s->left.connect && mw_can_connect(&s->w, a, b))
				ev[nr++] = (struct xevent){ K_CONNECT, a, b };
			if (s->left.broken && s->w.n[a].end[b].up)
				ev[nr++] = (struct xevent){ K_BREAK, a, b };
		}
	return nr;
}

static unsigned int node_events(const struct xstate *s, struct xevent *ev,
				unsigned int *nr_free)
{
	const struct mworld *w = &s->w;
	unsigned int nr = 0;

	for (u8 i = 0; i < w->nr; i++) {
		const struct mw_node *n = &w->n[i];

		if (!n->alive || n->stopped)
			continue;
		if (n->m.state == DSM_MS_GONE)
			ev[nr++] = (struct xevent){ K_STOP, i, 0 };
		if (n->handover)
			ev[nr++] = (struct xevent){ K_HANDED, i, 0 };
		if (n->snapshot != MW_NONE)
			ev[nr++] = (struct xevent){ K_ADMIT, i, 0 };
	}
	*nr_free = nr;
	for (u8 i = 0; i < w->nr; i++) {
		const struct mw_node *n = &w->n[i];

		if (!n->alive && cfg->cold >> i & 1 && !n->incarnation)
			ev[nr++] = (struct xevent){ K_START, i, 0 };
		if (!n->alive)
			continue;
		if (s->left.restart)
			ev[nr++] = (struct xevent){ K_RESTART, i, 0 };
		if (s->left.crash)
			ev[nr++] = (struct xevent){ K_CRASH, i, 0 };
		if (n->stopped)
			continue;
		if (n->snapshot != MW_NONE && s->left.deny)
			ev[nr++] = (struct xevent){ K_DENY, i, 0 };
		if (n->m.deadline_us && s->left.timer)
			ev[nr++] = (struct xevent){ K_TIMER, i, 0 };
		if (n->leave ? n->m.state != DSM_MS_GONE :
		    cfg->leave >> i & 1 && !(s->leaving >> i & 1) && settled(w, i))
			ev[nr++] = (struct xevent){ K_LEAVE, i, 0 };
	}
	return nr;
}

/* Those that are under way anyway, @nr_free, are counted. */
static unsigned int events(const struct xstate *s, struct xevent *ev,
			   unsigned int *nr_free)
{
	unsigned int links, nodes, nr = link_events(s, ev, &links);

	nr += node_events(s, ev + nr, &nodes);
	*nr_free = links + nodes;
	return nr;
}

static void apply(struct xstate *s, struct xevent ev)
{
	struct mworld *w = &s->w;

	switch ((enum kind)ev.kind) {
	case K_CONNECT:
		s->left.connect--;
		mw_connect(w, ev.a, ev.b);
		break;
	case K_BREAK:
		s->left.broken--;
		mw_break(w, ev.a, ev.b);
		break;
	case K_LOSE:
		s->left.lost--;
		mw_lose(w, ev.a, ev.b);
		break;
	case K_DELIVER:
		mw_deliver(w, ev.a, ev.b);
		break;
	case K_TIMER:
		s->left.timer--;
		mw_timer(w, ev.a);
		break;
	case K_START:
		mw_start(w, ev.a);
		break;
	case K_RESTART:
		s->left.restart--;
		mw_start(w, ev.a);
		break;
	case K_CRASH:
		s->left.crash--;
		mw_crash(w, ev.a);
		break;
	case K_LEAVE:
		s->leaving |= 1u << ev.a;
		mw_leave(w, ev.a);
		break;
	case K_HANDED:
		mw_handed(w, ev.a);
		break;
	case K_ADMIT:
		mw_admit(w, ev.a, true);
		break;
	case K_DENY:
		s->left.deny--;
		mw_admit(w, ev.a, false);
		break;
	case K_STOP:
		mw_stop(w, ev.a);
		break;
	}
	if (!mw_wrong)
		mw_check(w);
	canonical(s);
}

/* ---- what has to be true ---- */

static void check_survivors(const struct xstate *s)
{
	for (u16 i = 0; cfg->survivors && i < s->w.nr; i++)
		if (s->w.n[i].alive && s->w.n[i].m.state == DSM_MS_GONE &&
		    s->w.n[i].m.reason != DSM_MR_LEFT)
			mw_wrong = "a survivor is gone";
}

static void check_peace(const struct xstate *from)
{
	struct xstate s = *from;

	nr_healed++;
	for (u8 i = 0; i < s.w.nr; i++)
		if (!s.w.n[i].alive && cfg->cold >> i & 1 && !s.w.n[i].incarnation)
			mw_start(&s.w, i);
	mw_heal(&s.w, 120);
	if (!mw_wrong)
		mw_wrong = mw_converged(&s.w);
	check_survivors(&s);
}

static void init(struct xstate *s)
{
	memset(s, 0, sizeof(*s));
	s->left = cfg->b;
	mw_init(&s->w, cfg->nodes, false);
	if ((u8)~cfg->cold & ((1u << cfg->nodes) - 1)) {
		for (u16 i = 0; i < cfg->nodes; i++)
			if (!(cfg->cold >> i & 1))
				mw_start(&s->w, i);
		mw_heal(&s->w, 10);
	}
	/* From here on time is relative. */
	s->w.lossy = false;
	for (u16 i = 0; i < cfg->nodes; i++) {
		struct dsm_member *m = &s->w.n[i].m;

		m->until_us = 0;
		m->retry_us = 0;
		m->linger_us = 0;
		m->majority_us = 0;
		m->offer_us = 0;
		m->deadline_us = 0;
		dsm_nodeset_clear(&m->departed);
	}
	mw_own_time(&s->w);
	canonical(s);
}

static void print_way(u32 state, const struct xevent *last, bool peace)
{
	static struct xstate s;
	u32 nr = 0, *way;

	for (u32 i = state; i; i = seen[i].parent)
		nr++;
	way = grown(NULL, (nr + 1) * sizeof(*way));
	for (u32 i = state, at = nr; i; i = seen[i].parent)
		way[--at] = i;
	mw_wrong = NULL;
	init(&s);
	mw_trace = true;
	for (u32 i = 0; i < nr + !!last; i++) {
		struct xevent ev = i < nr ? seen[way[i]].ev : *last;

		printf("%3u %s %u %u\n", i + 1, kind_names[ev.kind], ev.a, ev.b);
		apply(&s, ev);
	}
	mw_print(&s.w);
	if (peace) {
		printf("left in peace:\n");
		mw_heal(&s.w, 120);
		mw_print(&s.w);
	}
	mw_trace = false;
	free(way);
}

static bool wrong(u32 state, const struct xevent *ev, bool peace)
{
	const char *what = mw_wrong;

	printf("%s: VIOLATED: %s; the way there:\n", cfg->name, what);
	print_way(state, ev, peace);
	printf("%s: VIOLATED: %s after %u states\n", cfg->name, what, nr_states);
	return false;
}

/* ---- the search ---- */

static bool visit(u32 index, const struct xstate *from, u64 lot, struct blob *next)
{
	static union bytes s;
	static u8 buf[2 * sizeof(s)];
	struct xevent ev[MAX_EVENTS];
	unsigned int nr_free, nr = events(from, ev, &nr_free);

	if (!nr_free || !(lot % cfg->share)) {
		check_peace(from);
		if (mw_wrong)
			return wrong(index, NULL, true);
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct hash h;
		unsigned int len;

		s.s = *from;
		nr_transitions++;
		apply(&s.s, ev[i]);
		if (mw_wrong)
			return wrong(index, &ev[i], false);
		len = squeeze(&s, buf);
		h = hash_of(buf, len);
		if (intern(h, index, ev[i]))
			keep(next, buf, len);
	}
	return true;
}

static void forget_all(void)
{
	free(slots);
	free(seen);
	slots = NULL;
	seen = NULL;
	nr_slots = 0;
	nr_states = 0;
	cap_states = 0;
	nr_transitions = 0;
	nr_healed = 0;
	mw_wrong = NULL;
}

static bool search(u32 *depth)
{
	static union bytes s;
	static u8 buf[2 * sizeof(s)];
	struct blob now = { 0 }, next = { 0 };
	unsigned int len;
	u32 index = 0;
	bool ok = true;

	init(&s.s);
	len = squeeze(&s, buf);
	intern(hash_of(buf, len), 0, (struct xevent){ 0 });
	keep(&next, buf, len);
	for (*depth = 0; ok && next.used; ++*depth) {
		struct blob swap = now;

		now = next;
		next = swap;
		next.used = 0;
		for (size_t at = 0; ok && at < now.used; index++) {
			len = now.at[at] | now.at[at + 1] << 8;
			unsqueeze(&s, now.at + at + 2);
			ok = visit(index, &s.s, hash_of(now.at + at + 2, len).b, &next);
			at += len + 2;
		}
		if (ok && nr_states > max_states) {
			mw_wrong = "more states than allowed";
			ok = wrong(nr_states - 1, NULL, false);
		}
	}
	free(now.at);
	free(next.at);
	return ok;
}

static bool run(const struct config *c)
{
	clock_t start = clock();
	u32 depth;
	bool ok;

	forget_all();
	cfg = c;
	ok = search(&depth);
	printf("%-22s %9u states %10llu transitions depth %3u, %8llu left in peace %6.1f s: %s\n",
	       cfg->name, nr_states, nr_transitions, depth, nr_healed,
	       (double)(clock() - start) / CLOCKS_PER_SEC, ok ? "ok" : "FAILED");
	fflush(stdout);
	return ok;
}

/* dsm-exhaust-member [--max=states] [configuration...] */
int main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;
	bool listed = false;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--max=", 6))
			max_states = strtoul(argv[i] + 6, NULL, 0);
		else
			listed = true;
	}
	for (unsigned int i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		bool wanted = !listed && configs[i].name[0] != '+';

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], configs[i].name) ||
				  !strcmp(argv[a], "all");
		if (!wanted)
			continue;
		if (run(&configs[i]))
			passed++;
		else
			failed++;
	}
	printf("exhaust-member: %u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
