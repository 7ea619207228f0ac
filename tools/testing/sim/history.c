// SPDX-License-Identifier: GPL-2.0
/*
 * Is the history of each page that of an atomic register?  Judged from the
 * accesses alone: when each began and ended, what it read, what it wrote.
 *
 * All written values differ.  Accesses of one value are a cluster; its zone is
 * from the first end to the last beginning.  A history is atomic if and only if
 * no read ends before its write begins, no two forward zones overlap and no
 * backward zone lies within a forward one (Gibbons and Korach, 1997); a value
 * that two read-modify-writes read is a lost update.  As atomicity is local
 * (Herlihy and Wing), atomic pages make a sequentially consistent memory: no
 * litmus test over several pages can find what this does not.
 */
#include "sim.h"

struct cluster {
	u32 page;
	bool seen, updated;
	u64 write_from, first_end, last_begin;
};

struct sim_history {
	struct cluster *c;
	u64 cap;
	const char *wrong;
};

struct sim_history *sim_history_create(void)
{
	return calloc(1, sizeof(struct sim_history));
}

void sim_history_free(struct sim_history *h)
{
	free(h->c);
	free(h);
}

static struct cluster *cluster(struct sim_history *h, u64 value)
{
	if (value >= h->cap) {
		u64 cap = h->cap ? h->cap : 1024;

		while (value >= cap)
			cap *= 2;
		h->c = realloc(h->c, cap * sizeof(*h->c));
		for (u64 i = h->cap; i < cap; i++)
			h->c[i] = (struct cluster){ .first_end = ~0ull };
		h->cap = cap;
	}
	return &h->c[value];
}

static void grow(struct cluster *c, u64 from, u64 to)
{
	if (to < c->first_end)
		c->first_end = to;
	if (from > c->last_begin)
		c->last_begin = from;
}

/* @read, @written: 0 if the access did not. */
void sim_history_add(struct sim_history *h, u32 page, u64 from, u64 to,
		     u64 read, u64 written)
{
	if (read) {
		struct cluster *c = cluster(h, read);

		if (!c->seen || c->page != page || to < c->write_from)
			h->wrong = "history: read what was not written";
		if (written && c->updated)
			h->wrong = "history: lost update";
		c->updated |= !!written;
		grow(c, from, to);
	}
	if (written) {
		struct cluster *c = cluster(h, written);

		if (c->seen)
			h->wrong = "history: a value written twice";
		c->seen = true;
		c->page = page;
		c->write_from = from;
		grow(c, from, to);
	}
}

static int by_start(const void *x, const void *y)
{
	const struct cluster *a = x, *b = y;
	u64 sa = a->first_end < a->last_begin ? a->first_end : a->last_begin;
	u64 sb = b->first_end < b->last_begin ? b->first_end : b->last_begin;

	if (a->page != b->page)
		return a->page < b->page ? -1 : 1;
	return sa < sb ? -1 : sa > sb;
}

const char *sim_history_check(struct sim_history *h, u32 nr_pages)
{
	u64 nr = 0, end = 0;
	u32 page = ~0u;

	if (h->wrong)
		return h->wrong;
	for (u64 i = 0; i < h->cap; i++)
		if (h->c[i].seen)
			h->c[nr++] = h->c[i];
	qsort(h->c, nr, sizeof(*h->c), by_start);
	for (u64 i = 0; i < nr; i++) {
		const struct cluster *c = &h->c[i];

		if (c->page != page)
			end = 0;
		page = c->page;
		if (c->first_end < c->last_begin) {
			if (c->first_end < end)
				return "history: two forward zones overlap";
			end = c->last_begin;
		} else if (c->first_end < end) {
			return "history: a backward zone within a forward one";
		}
	}
	return NULL;
}
