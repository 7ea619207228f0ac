// SPDX-License-Identifier: GPL-2.0
/* Regions of memory, and slots with deletions held back. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "slots.h"
#include "tap.h"

#define PG	4096ull

static struct gvm_regions rs;
static struct gvm_slots s;
static struct gvm_slot_ops ops;

TEST(regions_are_added_and_found)
{
	memset(&rs, 0, sizeof(rs));
	CHECK(gvm_regions_add(&rs, "ram", 16 * PG, 4 * PG, PG) == 0);
	CHECK(gvm_regions_add(&rs, "rom", 20 * PG, 1 * PG, 0) == 1);
	CHECK(gvm_regions_add(&rs, "no/", 40 * PG, PG, 0) == -EINVAL);
	CHECK(gvm_regions_add(&rs, "x", 40 * PG + 1, PG, 0) == -EINVAL);
	CHECK(gvm_regions_add(&rs, "x", 40 * PG, 0, 0) == -EINVAL);
	CHECK(gvm_regions_add(&rs, "x", 40 * PG, PG, 1) == -EINVAL);
	CHECK(gvm_regions_add(&rs, "x", -PG, 2 * PG, 0) == -EINVAL);
	CHECK(gvm_regions_add(&rs, "x", 15 * PG, 2 * PG, 0) == -EEXIST);
	CHECK(gvm_regions_add(&rs, "x", 17 * PG, PG, 0) == -EEXIST);
	CHECK(gvm_regions_add(&rs, "x", 19 * PG, 9 * PG, 0) == -EEXIST);
	CHECK(rs.nr == 2);
	CHECK_STR(rs.region[0].name, "ram");
	CHECK(rs.region[0].offset == PG);
	CHECK(gvm_regions_find(&rs, 16 * PG, 4 * PG) == 0);
	CHECK(gvm_regions_find(&rs, 19 * PG, PG) == 0);
	CHECK(gvm_regions_find(&rs, 20 * PG, 1) == 1);
	CHECK(gvm_regions_find(&rs, 15 * PG, PG) == -ENOENT);
	CHECK(gvm_regions_find(&rs, 21 * PG, PG) == -ENOENT);
	CHECK(gvm_regions_find(&rs, 15 * PG, 2 * PG) == -ERANGE);
	CHECK(gvm_regions_find(&rs, 20 * PG, 2 * PG) == -ERANGE);
	CHECK(gvm_regions_find(&rs, 19 * PG, 2 * PG) == -ERANGE);
	CHECK(gvm_regions_find(&rs, 19 * PG, 0) == -EINVAL);
	CHECK(gvm_regions_find(&rs, -PG, 2 * PG) == -EINVAL);
}

TEST(regions_are_limited)
{
	memset(&rs, 0, sizeof(rs));
	for (int i = 0; i < GVM_REGIONS_MAX; i++)
		CHECK(gvm_regions_add(&rs, "1234567890123456789012345678901", i * PG, PG, 0) == i);
	CHECK(gvm_regions_add(&rs, "x", GVM_REGIONS_MAX * PG, PG, 0) == -ENOSPC);
}

static bool is(unsigned int nr, uint64_t start, uint64_t size, uint64_t offset)
{
	const struct gvm_region *r = &rs.region[nr];

	return r->size == size * PG &&
	       (!size || (r->start == start * PG && r->offset == offset * PG));
}

static void forget(uint64_t start, uint64_t end)
{
	gvm_regions_forget(&rs, start * PG, end * PG);
}

/* At pages 10 to 19 of addresses, 100 to 109 of the file; 20 to 23. */
static void two_regions(void)
{
	memset(&rs, 0, sizeof(rs));
	CHECK(gvm_regions_add(&rs, "a", 10 * PG, 10 * PG, 100 * PG) == 0);
	CHECK(gvm_regions_add(&rs, "b", 20 * PG, 4 * PG, 0) == 1);
}

TEST(what_is_unmapped_is_forgotten)
{
	two_regions();
	forget(10, 20);
	CHECK(is(0, 0, 0, 0) && is(1, 20, 4, 0));
	CHECK(gvm_regions_find(&rs, 10 * PG, PG) == -ENOENT);
	CHECK(gvm_regions_find(&rs, 5 * PG, 10 * PG) == -ENOENT);
	CHECK(gvm_regions_add(&rs, "c", 5 * PG, 15 * PG, 0) == 2);
	CHECK(gvm_regions_find(&rs, 10 * PG, PG) == 2);
	CHECK(rs.nr == 3);
	forget(0, 100);
	CHECK(is(0, 0, 0, 0) && is(1, 0, 0, 0) && is(2, 0, 0, 0) && rs.nr == 3);
}

TEST(a_region_is_cut_at_its_ends)
{
	two_regions();
	forget(5, 12);
	CHECK(is(0, 12, 8, 102) && is(1, 20, 4, 0));
	forget(18, 21);
	CHECK(is(0, 12, 6, 102) && is(1, 21, 3, 1));
	CHECK(gvm_regions_find(&rs, 12 * PG, 6 * PG) == 0);
	CHECK(gvm_regions_find(&rs, 12 * PG, 7 * PG) == -ERANGE);
	CHECK(gvm_regions_find(&rs, 18 * PG, 3 * PG) == -ENOENT);
}

TEST(a_hole_or_nothing_leaves_a_region)
{
	two_regions();
	forget(11, 19);
	forget(0, 10);
	forget(24, 30);
	forget(15, 15);
	forget(19, 11);
	CHECK(is(0, 10, 10, 100) && is(1, 20, 4, 0));
	CHECK(gvm_slots_bitmap(PG) == 8 && gvm_slots_bitmap(64 * PG) == 8);
	CHECK(gvm_slots_bitmap(65 * PG) == 16 && !gvm_slots_bitmap(0));
}

static int set(uint32_t slot, uint64_t gpa, uint64_t size, uint64_t now)
{
	struct gvm_msg_slot m = { .slot = slot, .gpa = gpa * PG, .size = size * PG };

	return gvm_slots_change(&s, &m, now, &ops);
}

static int del(uint32_t slot, uint64_t now)
{
	return set(slot, 0, 0, now);
}

static void begin(void)
{
	memset(&s, 0, sizeof(s));
	memset(&ops, 0xff, sizeof(ops));
}

TEST(a_set_is_done_at_once)
{
	begin();
	CHECK(!set(1, 0, 4, 0));
	CHECK(ops.nr == 1);
	CHECK(ops.op[0].slot == 1 && ops.op[0].size == 4 * PG);
	CHECK(s.nr == 1);
	CHECK(gvm_slots_expire(&s, 9, 20, &ops) == -1);
	CHECK(!ops.nr);
}

TEST(a_deletion_waits_for_the_next_set)
{
	begin();
	CHECK(!set(1, 0, 4, 0));
	CHECK(!set(2, 4, 4, 0));
	CHECK(!del(1, 5));
	CHECK(!ops.nr && s.nr == 2);
	CHECK(!del(2, 6));
	CHECK(!ops.nr);
	CHECK(!set(1, 2, 4, 7));		/* over both, with a number of one */
	CHECK(ops.nr == 3 && s.nr == 1);
	CHECK(ops.op[0].slot == 1 && !ops.op[0].size);
	CHECK(ops.op[1].slot == 2 && !ops.op[1].size);
	CHECK(ops.op[2].slot == 1 && ops.op[2].gpa == 2 * PG);
	CHECK(s.set[0].slot == 1 && s.set[0].gpa == 2 * PG);
	CHECK(gvm_slots_expire(&s, 100, 20, &ops) == -1 && !ops.nr);
}

TEST(a_deletion_waits_no_longer_than_asked)
{
	begin();
	CHECK(!set(1, 0, 4, 0));
	CHECK(!set(2, 4, 4, 0));
	CHECK(!del(1, 100));
	CHECK(!del(2, 110));
	CHECK(gvm_slots_expire(&s, 100, 20, &ops) == 20 && !ops.nr);
	CHECK(gvm_slots_expire(&s, 119, 20, &ops) == 1 && !ops.nr);
	CHECK(gvm_slots_expire(&s, 120, 20, &ops) == -1);
	CHECK(ops.nr == 2 && !s.nr && !s.nr_held);
	CHECK(!set(1, 0, 1, 121));
	CHECK(!del(1, 200));
	CHECK(gvm_slots_expire(&s, 200, 0, &ops) == -1);
	CHECK(ops.nr == 1 && !s.nr);
}

TEST(what_kvm_refuses)
{
	struct gvm_msg_slot m = { .slot = 1, .size = 4 * PG };

	begin();
	CHECK(del(1, 0) == -EINVAL);
	CHECK(!set(1, 0, 4, 0));
	CHECK(set(2, 3, 1, 0) == -EEXIST && !ops.nr);
	CHECK(set(2, 1, 9, 0) == -EEXIST);
	CHECK(set(1, 0, 5, 0) == -EINVAL);	/* another size */
	m.offset = PG;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EINVAL);
	m.offset = 0;
	m.region = 1;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EINVAL);
	m.region = 0;
	m.flags = KVM_MEM_READONLY;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EINVAL);
	m.gpa = 1;
	m.slot = 3;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EINVAL);
	m.gpa = -PG;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EINVAL);
	CHECK(!del(1, 0));
	CHECK(del(1, 0) == -EINVAL);
	CHECK(s.nr == 1 && s.nr_held == 1);
}

TEST(flags_and_place_may_change)
{
	struct gvm_msg_slot m = { .slot = 1, .size = 4 * PG, .flags = KVM_MEM_LOG_DIRTY_PAGES };

	begin();
	CHECK(!set(1, 0, 4, 0));
	CHECK(!set(2, 8, 4, 0));
	CHECK(!gvm_slots_change(&s, &m, 0, &ops));
	CHECK(ops.nr == 1 && s.nr == 2 && s.set[0].flags == KVM_MEM_LOG_DIRTY_PAGES);
	m.gpa = 2 * PG;
	CHECK(!gvm_slots_change(&s, &m, 0, &ops));	/* over itself */
	m.gpa = 6 * PG;
	CHECK(gvm_slots_change(&s, &m, 0, &ops) == -EEXIST);
	CHECK(s.set[0].gpa == 2 * PG);
}

TEST(address_spaces_are_apart)
{
	begin();
	CHECK(!set(1, 0, 4, 0));
	CHECK(!set(1 << 16 | 1, 0, 4, 0));
	CHECK(set(1 << 16 | 2, 0, 4, 0) == -EEXIST);
	CHECK(s.nr == 2);
}

TEST(slots_are_limited)
{
	begin();
	for (uint32_t i = 0; i < GVM_SLOTS_MAX; i++)
		CHECK(!set(i, i, 1, 0));
	CHECK(set(GVM_SLOTS_MAX, GVM_SLOTS_MAX, 1, 0) == -ENOSPC);
	for (uint32_t i = 0; i < GVM_SLOTS_MAX; i++)
		CHECK(!del(i, 0));
	CHECK(!set(GVM_SLOTS_MAX, 0, 1, 0));
	CHECK(ops.nr == GVM_SLOTS_MAX + 1 && s.nr == 1);
}

/* KVM as the ops say: after each, no two slots of a space overlap. */
static struct gvm_msg_slot kvm[16];

static void apply(void)
{
	for (unsigned int i = 0; i < ops.nr; i++) {
		struct gvm_msg_slot *m = &ops.op[i];

		CHECK(m->size || kvm[m->slot].size);
		kvm[m->slot] = *m;
		for (uint32_t o = 0; m->size && o < 16; o++)
			CHECK(o == m->slot || !kvm[o].size || kvm[o].gpa >= m->gpa + m->size ||
			      m->gpa >= kvm[o].gpa + kvm[o].size);
	}
}

TEST(random_changes_are_what_kvm_takes)
{
	uint64_t x = 1;

	begin();
	memset(kvm, 0, sizeof(kvm));
	for (int i = 0; i < 20000; i++) {
		unsigned int nr = 0;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		if (x >> 60 < 2)
			gvm_slots_expire(&s, i, 20, &ops);
		else
			set(x >> 32 & 15, x >> 40 & 31, x >> 48 & 3, i);
		apply();
		for (int o = 0; o < 16; o++)
			nr += !!kvm[o].size;
		CHECK(nr == s.nr && s.nr_held <= s.nr);
	}
}
