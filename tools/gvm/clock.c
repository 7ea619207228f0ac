// SPDX-License-Identifier: GPL-2.0
#include "clock.h"

#define ELAPSED_MAX	(1ll << 50)	/* some days; nobody waits so long for an exchange */
#define AHEAD_MAX	(1ll << 60)	/* either way: decades */
#define RATE_AFTER	(1ll << 28)	/* ticks between exchanges that tell a rate: 0.1 s */

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* In thousands, rounded up: rates and their products stay below 63 bits. */
static int64_t elapsed(uint64_t from, uint64_t to)
{
	int64_t ticks = to - from;

	return ticks <= 0 ? 0 : (min(ticks, ELAPSED_MAX) + 999) / 1000;
}

/* Growth in so many thousand ticks, rounded outwards. */
static int64_t growth_lo(int64_t ppb, int64_t thousands)
{
	return ppb * thousands / 1000000 - 1;
}

static int64_t growth_hi(int64_t ppb, int64_t thousands)
{
	return ppb * thousands / 1000000 + 1;
}

struct gvm_clock_range gvm_clock_range_at(const struct gvm_clock *c, uint64_t now)
{
	int64_t k = elapsed(c->at, now);

	return (struct gvm_clock_range) {
		.lo = c->ahead.lo + growth_lo(c->rate.lo, k),
		.hi = c->ahead.hi + growth_hi(c->rate.hi, k),
	};
}

static void begin(struct gvm_clock *c, const struct gvm_clock_range *seen, uint64_t now)
{
	c->ahead = *seen;
	c->at = now;
	c->anchor = *seen;
	c->anchor_at = now;
	c->rate.lo = -GVM_CLOCK_PPB_MAX;
	c->rate.hi = GVM_CLOCK_PPB_MAX;
}

static bool meet(struct gvm_clock_range *a, const struct gvm_clock_range *b)
{
	struct gvm_clock_range both = { max(a->lo, b->lo), min(a->hi, b->hi) };

	if (both.lo > both.hi)
		return false;
	*a = both;
	return true;
}

static void widen_rate(struct gvm_clock *c)
{
	c->rate.lo = max(c->rate.lo - GVM_CLOCK_PPB_WANDER, -GVM_CLOCK_PPB_MAX);
	c->rate.hi = min(c->rate.hi + GVM_CLOCK_PPB_WANDER, GVM_CLOCK_PPB_MAX);
}

/* What the way from the anchor to here says of the rate. Return: false: it contradicts. */
static bool learn_rate(struct gvm_clock *c, uint64_t now)
{
	int64_t k = elapsed(c->anchor_at, now);
	struct gvm_clock_range seen;

	if (k < RATE_AFTER / 1000)
		return true;
	seen.lo = (c->ahead.lo - c->anchor.hi) * 1000000 / k - 1 - GVM_CLOCK_PPB_WANDER;
	seen.hi = (c->ahead.hi - c->anchor.lo) * 1000000 / k + 1 + GVM_CLOCK_PPB_WANDER;
	if (!meet(&c->rate, &seen))
		return false;
	if (now - c->anchor_at >= GVM_CLOCK_ANCHOR) {
		c->anchor = c->ahead;
		c->anchor_at = now;
		widen_rate(c);
	}
	return true;
}

void gvm_clock_sample(struct gvm_clock *c, uint64_t asked, uint64_t peer, uint64_t now)
{
	struct gvm_clock_range seen = { peer - now, peer - asked };

	if ((int64_t)(now - asked) < 0 || seen.lo < -AHEAD_MAX || seen.hi > AHEAD_MAX ||
	    seen.lo > seen.hi)
		return;
	/* The peer read at some time of the round trip, since which it may have gained. */
	seen.lo += growth_lo(-GVM_CLOCK_PPB_MAX, elapsed(asked, now));
	seen.hi += growth_hi(GVM_CLOCK_PPB_MAX, elapsed(asked, now));
	if (!c->samples++) {
		begin(c, &seen, now);
		return;
	}
	c->ahead = gvm_clock_range_at(c, now);
	c->at = now;
	if (!meet(&c->ahead, &seen) || !learn_rate(c, now)) {
		c->jumps++;
		begin(c, &seen, now);
	}
}

static int64_t middle(const struct gvm_clock_range *r)
{
	return r->lo + (r->hi - r->lo) / 2;
}

uint64_t gvm_clock_error(const struct gvm_clock *c, uint64_t now)
{
	struct gvm_clock_range r = gvm_clock_range_at(c, now);

	return max(max(c->applied - r.lo, r.hi - c->applied), 0);
}

int64_t gvm_clock_correction(const struct gvm_clock *c, uint64_t now)
{
	struct gvm_clock_range r = gvm_clock_range_at(c, now);
	int64_t off = middle(&r) - c->applied, quarter = (r.hi - r.lo) / 4;

	if (!c->samples || (off <= quarter && off >= -quarter))
		return 0;
	return max(min(off, GVM_CLOCK_STEP), -GVM_CLOCK_STEP);
}

void gvm_clock_corrected(struct gvm_clock *c, int64_t by)
{
	c->applied += by;
	c->corrections++;
}

void gvm_clock_apply(struct gvm_clock *c, uint64_t now)
{
	struct gvm_clock_range r = gvm_clock_range_at(c, now);

	c->applied = middle(&r);
}
