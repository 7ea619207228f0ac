// SPDX-License-Identifier: GPL-2.0
/* Counters of two servers: what is known of them is true, and is little. */
#include <stdlib.h>

#include "clock.h"
#include "tap.h"

#define MHZ	3000ull		/* ticks a microsecond */
#define SECOND	(MHZ * 1000000)

/* A world: our counter is its time; the peer's runs at another, wandering rate. */
static struct world {
	uint64_t now;
	double ahead;		/* the truth */
	double ppb;
	double wander;		/* ppb a second, at most */
	uint64_t rtt;		/* shortest round trip, ticks */
	uint64_t jitter;	/* each way, at most */
	unsigned int seed;
} w;

static double uniform(void)
{
	return rand_r(&w.seed) / (double)RAND_MAX;
}

static void pass(uint64_t ticks)
{
	w.now += ticks;
	w.ahead += ticks * w.ppb * 1e-9;
}

/* Most exchanges meet some jitter, one in eight none. */
static void exchange(struct gvm_clock *c)
{
	uint64_t asked = w.now, peer;
	bool quiet = uniform() < 0.125;

	pass(w.rtt / 2 + (quiet ? 0 : uniform() * w.jitter));
	peer = w.now + (int64_t)w.ahead;
	pass(w.rtt / 2 + (quiet ? 0 : uniform() * w.jitter));
	gvm_clock_sample(c, asked, peer, w.now);
}

static bool is_true(const struct gvm_clock *c)
{
	struct gvm_clock_range r = gvm_clock_range_at(c, w.now);

	return r.lo <= w.ahead + 1 && w.ahead - 1 <= r.hi;
}

/* Exchanges all the time for some seconds, corrections as they are due. Return: the worst bound. */
static uint64_t live(struct gvm_clock *c, unsigned int seconds, unsigned int per_second)
{
	uint64_t worst = 0, error;
	int64_t by;

	for (unsigned int i = 0; i < seconds * per_second; i++) {
		pass(SECOND / per_second - 2 * w.rtt);
		w.ppb += (2 * uniform() - 1) * w.wander / per_second;
		CHECK(is_true(c));
		exchange(c);
		CHECK(is_true(c));
		by = gvm_clock_correction(c, w.now);
		if (by)
			gvm_clock_corrected(c, by);
		error = gvm_clock_error(c, w.now);
		CHECK(llabs(c->applied - (int64_t)w.ahead) <= (int64_t)error + 1);
		worst = error > worst ? error : worst;
	}
	return worst;
}

static struct gvm_clock begin(int64_t ahead, double ppb, double wander, uint64_t rtt_us,
			      uint64_t jitter_us, unsigned int seed)
{
	struct gvm_clock c = { 0 };

	w = (struct world) {
		.now = 12345678901234, .ahead = ahead, .ppb = ppb, .wander = wander,
		.rtt = rtt_us * MHZ, .jitter = jitter_us * MHZ, .seed = seed,
	};
	for (int i = 0; i < 40; i++)
		exchange(&c);
	gvm_clock_apply(&c, w.now);
	return c;
}

TEST(clock_that_does_not_drift_is_left_alone)
{
	struct gvm_clock c = begin(-5000000000000, 0, 0, 4, 0, 1);

	/* Half a round trip, and what 200 ppm make of a quarter of a second at first. */
	CHECK(live(&c, 60, 4) < 2 * MHZ + 50 * MHZ + 10);
	CHECK(!c.corrections && !c.jumps);
	CHECK(live(&c, 60, 4) < 3 * MHZ);
	CHECK(!c.corrections && !c.jumps);
}

/* The bound: 5 us and the network's jitter. */
TEST(clocks_that_drift_are_kept_within_5_us)
{
	static const double ppb[] = { 20000, -20000, 99000, -150000, 3, 1000 };

	for (unsigned int i = 0; i < sizeof(ppb) / sizeof(ppb[0]); i++) {
		struct gvm_clock c = begin(1000000, ppb[i], 1, 4, 10, i + 1);
		unsigned int before;
		uint64_t worst;

		live(&c, 60, 4);
		before = c.corrections;
		worst = live(&c, 300, 4);
		CHECK(!c.jumps);
		CHECK(worst < (5 + 10) * MHZ);
		if (ppb[i] > 10000 || ppb[i] < -10000)
			CHECK(c.corrections > before);
	}
}

TEST(clock_over_a_slow_network)
{
	struct gvm_clock c = begin(77, 20000, 1, 500, 2000, 9);

	live(&c, 60, 4);
	CHECK(live(&c, 300, 4) < (375 + 250) * MHZ);
	CHECK(!c.jumps);
}

TEST(clock_that_jumps_is_believed_again)
{
	struct gvm_clock c = begin(0, 100, 0, 10, 5, 3);

	live(&c, 30, 4);
	w.ahead += 1e9;
	exchange(&c);
	CHECK(c.jumps == 1);
	CHECK(is_true(&c));
	CHECK(gvm_clock_correction(&c, w.now) == GVM_CLOCK_STEP);
	for (int i = 0; i < 100 && gvm_clock_correction(&c, w.now); i++)
		gvm_clock_corrected(&c, gvm_clock_correction(&c, w.now));
	CHECK(!gvm_clock_correction(&c, w.now));
	CHECK(live(&c, 30, 4) < 100 * MHZ);
	CHECK(c.jumps == 1);
}

TEST(clock_learns_the_rate)
{
	struct gvm_clock c = begin(0, 12345, 0, 4, 10, 5);

	live(&c, 200, 4);
	CHECK(c.rate.lo <= 12345 && 12345 <= c.rate.hi);
	CHECK(c.rate.hi - c.rate.lo < 4 * GVM_CLOCK_PPB_WANDER);
}

TEST(clock_takes_no_nonsense)
{
	struct gvm_clock c = begin(0, 0, 0, 4, 1, 7), before = c;

	gvm_clock_sample(&c, 1000, 0, 999);
	gvm_clock_sample(&c, w.now - 100, w.now + (1ull << 61), w.now);
	gvm_clock_sample(&c, w.now - 100, w.now - (1ull << 61), w.now);
	CHECK(c.samples == before.samples && c.ahead.lo == before.ahead.lo);
	for (int i = 0; i < 100000; i++) {
		uint64_t now = ((uint64_t)rand_r(&w.seed) << 32 | rand_r(&w.seed)) >> 3;

		gvm_clock_sample(&c, now - (rand_r(&w.seed) >> rand_r(&w.seed) % 31),
				 ((uint64_t)rand_r(&w.seed) << 32 | rand_r(&w.seed)) >> 3, now);
		CHECK(c.ahead.lo <= c.ahead.hi);
		CHECK(llabs(gvm_clock_correction(&c, now)) <= GVM_CLOCK_STEP);
	}
}
