// SPDX-License-Identifier: GPL-2.0
/* One CPU sends, others listen. */
#include "shot.h"

static struct shot current;

static uint32_t sum_received(const struct shot *s)
{
	uint32_t i, sum = 0;

	for (i = 0; i < nr_cpus(); i++)
		if (s->mask >> i & 1)
			sum += cpus[i].received[s->vector];
	return sum;
}

static bool arrived(const struct shot *s, const uint32_t *before, uint32_t nr, uint32_t sum)
{
	uint32_t i;

	if (s->any)
		return sum_received(s) - sum >= nr;
	for (i = 0; i < nr_cpus(); i++)
		if ((s->mask >> i & 1) && cpus[i].received[s->vector] - before[i] < nr)
			return false;
	return true;
}

/* Nothing twice, nothing at others. */
static void check_counts(const struct shot *s, const uint32_t *before, uint32_t nr, uint32_t sum)
{
	uint32_t i;

	if (s->any && sum_received(s) - sum != nr)
		fail("%s from CPU %u: %u sent, %u arrived", s->what, s->from, nr,
		     sum_received(s) - sum);
	for (i = 0; i < nr_cpus(); i++) {
		uint32_t got = cpus[i].received[s->vector] - before[i];
		uint32_t want = s->mask >> i & 1 ? nr : 0;

		if (got != want && !(s->any && want))
			fail("%s from CPU %u: CPU %u got %u instead of %u", s->what, s->from, i, got,
			     want);
	}
}

static void sender(uint64_t arg)
{
	const struct shot *s = (const struct shot *)arg;
	uint32_t before[MAX_CPUS], sum, i, sent = 0;

	for (i = 0; i < nr_cpus(); i++)
		if (i != s->from)
			wait_for(cpus[i].listening, "CPU %u does not listen", i);
	for (i = 0; i < nr_cpus(); i++)
		before[i] = cpus[i].received[s->vector];
	sum = sum_received(s);
	while (sent < info->rounds) {
		if (!s->send(s))
			break;
		sent++;
		if (!wait_for(arrived(s, before, sent * s->each, sum),
			      "%s from CPU %u to %u (mask %x), number %u: does not arrive", s->what,
			      s->from, s->to, s->mask, sent))
			break;
	}
	let_pass(2000);
	if (!failures)
		check_counts(s, before, sent * s->each, sum);
	for (i = 0; i < nr_cpus(); i++)
		if (i != s->from)
			unlisten(i);
}

void shoot(const struct shot *s, enum mode mode)
{
	uint32_t i;

	current = *s;
	for (i = 0; i < nr_cpus(); i++)
		listen_prepare(i);
	for (i = 1; i < nr_cpus(); i++)
		if (i != s->from)
			start(i, listen, mode);
	if (s->from) {
		start(s->from, sender, (uintptr_t)&current);
		listen(mode);
	} else {
		sender((uintptr_t)&current);
	}
	for (i = 1; i < nr_cpus(); i++)
		finish(i);
}

void shoot_matrix(const struct shot *s, bool self)
{
	struct shot one = *s;
	enum mode mode;

	for (mode = SPIN; mode < NR_MODES; mode++) {
		for (one.from = 0; one.from < nr_cpus(); one.from++) {
			for (one.to = 0; one.to < nr_cpus(); one.to++) {
				if (one.to == one.from && !self)
					continue;
				one.mask = 1u << one.to;
				shoot(&one, mode);
				if (failures)
					return;
			}
		}
	}
}
