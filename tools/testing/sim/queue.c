// SPDX-License-Identifier: GPL-2.0
/* Events in the order of time; of one time, in the order they were made. */
#include "sim.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->nr < b->nr;
}

void sim_at(struct sim *s, u64 delay, u8 type, u16 a, u16 b, u32 c,
	    struct sim_frame *f)
{
	struct sim_event ev = {
		.at = s->now + delay, .nr = s->next_nr++, .type = type,
		.a = a, .b = b, .c = c, .frame = f,
	};
	u32 i;

	if (s->nr_heap == s->cap_heap) {
		s->cap_heap = s->cap_heap ? s->cap_heap * 2 : 1024;
		s->heap = realloc(s->heap, s->cap_heap * sizeof(*s->heap));
		if (!s->heap)
			abort();
	}
	for (i = s->nr_heap++; i && before(&ev, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = ev;
}

bool sim_next(struct sim *s, struct sim_event *ev)
{
	struct sim_event last;
	u32 i = 0;

	if (!s->nr_heap)
		return false;
	*ev = s->heap[0];
	last = s->heap[--s->nr_heap];
	for (;;) {
		u32 child = 2 * i + 1;

		if (child >= s->nr_heap)
			break;
		if (child + 1 < s->nr_heap && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	s->now = ev->at;
	return true;
}
