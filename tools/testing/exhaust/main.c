// SPDX-License-Identifier: GPL-2.0
/*
 * The explorer: breadth first through every state of a small world.
 *
 * A state is remembered by 128 bits of hash (with 10^8 states, a collision has
 * a probability below 10^-22); the states of the current depth are kept whole.
 * Parents and events are kept for each state, so that the way to a wrong one
 * can be walked again and printed.  Edges are kept as well: after the search,
 * each state must be able to reach one where nothing is left to do, without any
 * new access, eviction or fault.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "world.h"

#define MAX_EVENTS	128

struct hash {
	u64 a, b;
};

struct state {
	u32 parent;
	struct xevent ev;
};

struct blob {
	u8 *at;
	size_t used, cap;
};

static struct hash *slots;	/* of index + 1 in .b's place: see find() */
static u32 *slot_index;
static size_t nr_slots;
static struct state *states;
static u32 *first_edge;
static u8 *quiet;
static u32 nr_states, cap_states;
static u32 *edges;
static size_t nr_edges, cap_edges;
static u64 nr_transitions;
static u32 max_states = 40000000;

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

static size_t slot_of(struct hash h)
{
	size_t s = h.a & (nr_slots - 1);

	while (slot_index[s] && (slots[s].a != h.a || slots[s].b != h.b))
		s = (s + 1) & (nr_slots - 1);
	return s;
}

static void rehash(void)
{
	struct hash *old = slots;
	u32 *old_index = slot_index;
	size_t old_nr = nr_slots;

	nr_slots = old_nr ? old_nr * 2 : 1 << 16;
	slots = grown(NULL, nr_slots * sizeof(*slots));
	slot_index = calloc(nr_slots, sizeof(*slot_index));
	for (size_t i = 0; i < old_nr; i++)
		if (old_index[i]) {
			size_t s = slot_of(old[i]);

			slots[s] = old[i];
			slot_index[s] = old_index[i];
		}
	free(old);
	free(old_index);
}

/* The number of a state; @isnew if it was never seen. */
static u32 intern(struct hash h, u32 parent, struct xevent ev, bool *isnew)
{
	size_t s;

	if (nr_states * 2ull >= nr_slots)
		rehash();
	s = slot_of(h);
	*isnew = !slot_index[s];
	if (!*isnew)
		return slot_index[s] - 1;
	if (nr_states == cap_states) {
		cap_states = cap_states ? cap_states * 2 : 1 << 16;
		states = grown(states, cap_states * sizeof(*states));
		first_edge = grown(first_edge, (cap_states + 1ul) * sizeof(*first_edge));
		quiet = grown(quiet, cap_states);
	}
	slots[s] = h;
	slot_index[s] = nr_states + 1;
	states[nr_states] = (struct state){ parent, ev };
	return nr_states++;
}

static void keep(struct blob *b, const u8 *buf, unsigned int len)
{
	if (b->used + len + 2 > b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1 << 20;
		b->at = grown(b->at, b->cap);
	}
	b->at[b->used] = len;
	b->at[b->used + 1] = len >> 8;
	memcpy(b->at + b->used + 2, buf, len);
	b->used += len + 2;
}

static void print_way(u32 state, const struct xevent *last)
{
	struct xworld w;
	u32 nr = 0, *way;

	for (u32 s = state; s; s = states[s].parent)
		nr++;
	way = grown(NULL, (nr + 1) * sizeof(*way));
	for (u32 s = state, i = nr; s; s = states[s].parent)
		way[--i] = s;
	xworld_init(&w);
	xtrace = true;
	for (u32 i = 0; i < nr + !!last; i++) {
		struct xevent ev = i < nr ? states[way[i]].ev : *last;

		printf("%3u ", i + 1);
		xevent_print(&ev);
		xworld_apply(&w, &ev);
		xworld_print(&w);
		xworld_canonical(&w);
	}
	xtrace = false;
	free(way);
}

static bool wrong(u32 state, const struct xevent *ev)
{
	const char *what = xwrong;

	printf("%s: VIOLATED: %s; the way there:\n", xcfg.name, what);
	print_way(state, ev);
	printf("%s: VIOLATED: %s after %u states\n", xcfg.name, what, nr_states);
	return false;
}

static void add_edge(u32 to)
{
	if (nr_edges == cap_edges) {
		cap_edges = cap_edges ? cap_edges * 2 : 1 << 20;
		edges = grown(edges, cap_edges * sizeof(*edges));
	}
	edges[nr_edges++] = to;
}

static bool expand(u32 index, const struct xworld *from, struct blob *next)
{
	struct xevent ev[MAX_EVENTS];
	unsigned int progress, nr = xworld_events(from, ev, &progress);
	u8 buf[XPACK];

	quiet[index] = xworld_quiet(from);
	if (!progress && !quiet[index]) {
		xwrong = "deadlock";
		return wrong(index, NULL);
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct xworld w = *from;
		unsigned int len;
		bool isnew;
		u32 to;

		nr_transitions++;
		xworld_apply(&w, &ev[i]);
		if (!xwrong)
			xworld_check(&w);
		if (xwrong)
			return wrong(index, &ev[i]);
		xworld_canonical(&w);
		len = xworld_pack(&w, buf);
		to = intern(hash_of(buf, len), index, ev[i], &isnew);
		if (isnew)
			keep(next, buf, len);
		if (i < progress)
			add_edge(to);
	}
	return true;
}

/* Can every state come to rest by what is under way alone? */
static bool all_complete(void)
{
	u32 marked = 0, before;

	for (u32 s = 0; s < nr_states; s++)
		marked += quiet[s];
	do {
		before = marked;
		for (u32 s = nr_states; s--;)
			for (u32 e = first_edge[s]; !quiet[s] && e < first_edge[s + 1]; e++)
				if (quiet[edges[e]]) {
					quiet[s] = 1;
					marked++;
				}
	} while (marked != before);
	for (u32 s = 0; s < nr_states; s++)
		if (!quiet[s]) {
			xwrong = "livelock: can no longer come to rest";
			return wrong(s, NULL);
		}
	return true;
}

static void forget_all(void)
{
	free(slots);
	free(slot_index);
	free(states);
	free(first_edge);
	free(quiet);
	free(edges);
	slots = NULL;
	slot_index = NULL;
	states = NULL;
	first_edge = NULL;
	quiet = NULL;
	edges = NULL;
	nr_slots = 0;
	nr_states = 0;
	cap_states = 0;
	nr_edges = 0;
	cap_edges = 0;
	nr_transitions = 0;
	xwrong = NULL;
}

static bool search(u32 *depth)
{
	struct blob now = {}, next = {};
	struct xworld w;
	u8 buf[XPACK];
	u32 index = 0;
	bool isnew, ok = true;
	unsigned int len;

	xworld_init(&w);
	len = xworld_pack(&w, buf);
	intern(hash_of(buf, len), 0, (struct xevent){}, &isnew);
	keep(&next, buf, len);
	for (*depth = 0; ok && next.used; ++*depth) {
		struct blob swap = now;

		now = next;
		next = swap;
		next.used = 0;
		for (size_t at = 0; ok && at < now.used; index++) {
			len = now.at[at] | now.at[at + 1] << 8;
			xworld_unpack(&w, now.at + at + 2);
			at += len + 2;
			first_edge[index] = nr_edges;
			ok = expand(index, &w, &next);
		}
		if (nr_states > max_states) {
			xwrong = "more states than allowed";
			ok = wrong(nr_states - 1, NULL);
		}
	}
	if (ok) {
		first_edge[index] = nr_edges;
		ok = all_complete();
	}
	free(now.at);
	free(next.at);
	return ok;
}

static const struct xconfig configs[] = {
#define EXHAUST_CONFIGS
#include "configs.h"
};

static bool run(const struct xconfig *cfg)
{
	clock_t start = clock();
	u32 depth;
	bool ok;

	forget_all();
	xcfg = *cfg;
	if (!xcfg.threads)
		xcfg.threads = 1;
	ok = search(&depth);
	printf("%-22s %9u states %10llu transitions depth %3u %6.1f s: %s\n",
	       xcfg.name, nr_states, nr_transitions, depth,
	       (double)(clock() - start) / CLOCKS_PER_SEC, ok ? "ok" : "FAILED");
	fflush(stdout);
	return ok;
}

static void print_uncovered(void)
{
	static const char *const skip[] = { "error", "late", "nothing", "stall" };
	unsigned int nr = 0, missed = 0;

	for (u8 dir = 0; dir < 2; dir++)
		for (u8 s = 0; s < (dir ? DSM_NR_DIR_STATES : DSM_NR_PAGE_STATES); s++)
			for (u8 e = 0; e < (dir ? DSM_NR_DIR_EVENTS : DSM_NR_PAGE_EVENTS); e++) {
				const char *cell = dir ? dsm_dir_cell_name(s, e) :
							 dsm_page_cell_name(s, e);
				bool trivial = false;

				for (u8 i = 0; i < 4; i++)
					trivial |= !strcmp(cell, skip[i]);
				if (trivial)
					continue;
				nr++;
				if (xcover[dir][s][e])
					continue;
				missed++;
				printf("cell never run: %s %s in %s: %s\n",
				       dir ? "dir" : "page",
				       dir ? dsm_dir_event_name(e) : dsm_page_event_name(e),
				       dir ? dsm_dir_state_name(s) : dsm_page_state_name(s),
				       cell);
			}
	printf("cells that act: %u of %u run\n", nr - missed, nr);
}

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
				  (!strcmp(argv[a], "all"));
		if (!wanted)
			continue;
		if (run(&configs[i]))
			passed++;
		else
			failed++;
	}
	if (!listed)
		print_uncovered();
	printf("exhaust: %u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
