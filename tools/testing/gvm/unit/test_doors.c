// SPDX-License-Identifier: GPL-2.0
/* Doorbells: which there may be, numbers, and rings that come before, with and after the end. */
#include <errno.h>
#include <string.h>

#include "doors.h"
#include "tap.h"

#define PIO	KVM_IOEVENTFD_FLAG_PIO
#define MATCH	KVM_IOEVENTFD_FLAG_DATAMATCH
#define OFF	KVM_IOEVENTFD_FLAG_DEASSIGN
#define CCW	KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY

static struct gvm_doors d;

static struct kvm_ioeventfd door(uint64_t addr, uint32_t len, uint32_t flags, uint64_t match)
{
	return (struct kvm_ioeventfd){ .addr = addr, .len = len, .flags = flags, .datamatch = match };
}

static int on(uint64_t addr, uint32_t len, uint32_t flags, uint64_t match, int fd)
{
	struct kvm_ioeventfd e = door(addr, len, flags, match);

	return gvm_doors_assign(&d, &e, fd);
}

static int find(uint64_t addr, uint32_t len, uint32_t flags, uint64_t match)
{
	struct kvm_ioeventfd e = door(addr, len, flags | OFF, match);

	return gvm_doors_find(&d, &e);
}

static void begin(void)
{
	memset(&d, 0, sizeof(d));
}

TEST(doorbells_are_assigned_and_found)
{
	int mmio, pio, match, any;

	begin();
	mmio = on(0x1000, 4, 0, 7, 10);
	pio = on(0x1000, 4, PIO, 7, 11);
	match = on(0x2000, 2, MATCH, 7, 12);
	any = on(0x3000, 0, 0, 7, 13);
	CHECK(mmio >= 0 && pio >= 0 && match >= 0 && any >= 0);
	CHECK(mmio != pio && pio != match && match != any);
	CHECK(find(0x1000, 4, 0, 8) == mmio);		/* without the flag it says nothing */
	CHECK(find(0x1000, 4, PIO, 0) == pio);
	CHECK(find(0x2000, 2, MATCH, 7) == match);
	CHECK(find(0x3000, 0, 0, 0) == any);
	CHECK(find(0x2000, 2, 0, 7) == -ENOENT);
	CHECK(find(0x2000, 2, MATCH, 8) == -ENOENT);
	CHECK(find(0x2000, 4, MATCH, 7) == -ENOENT);
	CHECK(find(0x2001, 2, MATCH, 7) == -ENOENT);
	CHECK(find(0x2000, 2, MATCH | PIO, 7) == -ENOENT);
	CHECK(find(0x3000, 4, 0, 0) == -ENOENT);
	CHECK(gvm_doors_deassign(&d, match) == 12);
	CHECK(gvm_doors_deassign(&d, match) == -ENOENT);
	CHECK(find(0x2000, 2, MATCH, 7) == -ENOENT);
	CHECK(on(0x2000, 2, MATCH, 7, 14) >= 0);
}

TEST(what_kvm_refuses_of_doorbells)
{
	begin();
	CHECK(on(0x1000, 3, 0, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 16, 0, 0, 1) == -EINVAL);
	CHECK(on(-2ull, 4, 0, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 0, MATCH, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 4, CCW, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 4, CCW | PIO, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 4, OFF, 0, 1) == -EINVAL);
	CHECK(on(0x1000, 4, 1u << 31, 0, 1) == -EINVAL);
	CHECK(find(0x1000, 3, 0, 0) == -ENOENT);
	for (uint32_t len = 1; len <= 8; len *= 2)
		CHECK(on(0x1000, len, 0, 0, 1) >= 0);
	CHECK(on(-8ull, 4, 0, 0, 1) >= 0);
}

/* Of these, in this order, KVM takes what is said to be taken. */
TEST(doorbells_do_not_collide)
{
	begin();
	CHECK(on(0x10, 4, MATCH, 1, 1) >= 0);
	CHECK(on(0x10, 4, MATCH, 1, 2) == -EEXIST);
	CHECK(on(0x10, 4, MATCH, 2, 2) >= 0);
	CHECK(on(0x10, 4, MATCH, 1ull << 32 | 1, 2) >= 0);
	CHECK(on(0x10, 4, 0, 0, 3) == -EEXIST);
	CHECK(on(0x10, 0, 0, 0, 3) == -EEXIST);
	CHECK(on(0x10, 2, 0, 0, 3) >= 0);
	CHECK(on(0x10, 2, MATCH, 0, 3) == -EEXIST);
	CHECK(on(0x10, 0, PIO, 0, 3) >= 0);
	CHECK(on(0x10, 1, PIO, 0, 3) == -EEXIST);
	CHECK(on(0x11, 1, PIO, 0, 3) >= 0);
}

TEST(doorbells_are_limited)
{
	int first, last = -1;

	begin();
	first = on(0, 1, 0, 0, 0);
	for (int i = 1; i < GVM_DOORS_MAX; i++) {
		last = on(i, 1, 0, 0, i);
		CHECK(last >= 0 && last != first);
	}
	CHECK(on(GVM_DOORS_MAX, 1, 0, 0, 0) == -ENOSPC);
	CHECK(on(5, 1, 0, 0, 0) == -EEXIST);
	CHECK(gvm_doors_deassign(&d, last) == GVM_DOORS_MAX - 1);
	CHECK(on(GVM_DOORS_MAX, 1, 0, 0, 7) >= 0);
	CHECK(gvm_doors_ring(&d, last, 1, 1) == -ESTALE);
	CHECK(gvm_doors_ring(&d, first, 1, 1) == 0);
}

TEST(a_ring_is_for_one_that_is_assigned)
{
	int old, new;

	begin();
	CHECK(gvm_doors_ring(&d, 0, 1, 1) == -ENOENT);
	old = on(0x10, 4, 0, 0, 5);
	CHECK(gvm_doors_ring(&d, old, 1, 1) == 5);
	CHECK(gvm_doors_ring(&d, old, GVM_MEMBERS_MAX, 1) == -ENOENT);
	CHECK(gvm_doors_ring(&d, old + 1, 1, 1) == -ENOENT);
	CHECK(gvm_doors_ring(&d, old + GVM_DOORS_MAX, 1, 1) == -ENOENT);
	CHECK(gvm_doors_ring(&d, old - GVM_DOORS_MAX, 1, 1) == -ENOENT);
	CHECK(gvm_doors_ring(&d, INT32_MAX + 1u + old - GVM_DOORS_MAX, 1, 1) == -ENOENT);
	CHECK(gvm_doors_deassign(&d, old) == 5);
	CHECK(gvm_doors_ring(&d, old, 1, 1) == -ESTALE);
	new = on(0x10, 4, 0, 0, 6);
	CHECK(new != old && gvm_doors_place(new) == gvm_doors_place(old));
	CHECK(gvm_doors_ring(&d, old, 1, 1) == -ESTALE);
	CHECK(gvm_doors_ring(&d, new, 1, 1) == 6);
	CHECK(gvm_doors_ring(&d, new + GVM_DOORS_MAX, 1, 1) == -ENOENT);
	CHECK(gvm_doors_ring(&d, UINT32_MAX, 1, 1) == -ENOENT);
	CHECK(gvm_doors_deassign(&d, old) == -ENOENT);
}

TEST(numbers_begin_anew_when_all_were_used)
{
	int last, first;

	begin();
	d.door[0].turns = GVM_DOOR_TURNS - 1;
	last = on(0x10, 4, 0, 0, 5);
	CHECK(last > 0 && (unsigned int)last / GVM_DOORS_MAX == GVM_DOOR_TURNS - 1);
	CHECK(gvm_doors_ring(&d, last, 1, 1) == 5);
	CHECK(gvm_doors_ring(&d, 0, 1, 1) == -ENOENT);	/* too long ago to be on its way */
	CHECK(gvm_doors_deassign(&d, last) == 5);
	first = on(0x10, 4, 0, 0, 6);
	CHECK(!first);
	CHECK(gvm_doors_ring(&d, first, 1, 1) == 6);
	CHECK(gvm_doors_ring(&d, last, 1, 1) == -ESTALE);
	CHECK(find(0x10, 4, 0, 0) == first);
}

TEST(the_end_counts_what_has_not_come)
{
	uint64_t missing = 99;
	int nr;

	begin();
	nr = on(0x10, 4, 0, 0, 5);
	CHECK(gvm_doors_ring(&d, nr, 1, 3) == 5);
	CHECK(gvm_doors_ring(&d, nr, 2, 2) == 5);
	CHECK(gvm_doors_settle(&d, nr, 1, 7, &missing) == 5 && missing == 4);
	CHECK(gvm_doors_ring(&d, nr, 1, 4) == -ESTALE);
	CHECK(gvm_doors_ring(&d, nr, 2, 4) == 5);
	CHECK(gvm_doors_settle(&d, nr, 1, 7, &missing) == -EPROTO);
	CHECK(gvm_doors_settle(&d, nr, 2, 5, &missing) == -EPROTO);
	CHECK(gvm_doors_settle(&d, nr, 2, 6, &missing) == 5 && !missing);
	CHECK(gvm_doors_settle(&d, nr, GVM_MEMBERS_MAX, 6, &missing) == -ENOENT);
	CHECK(gvm_doors_settle(&d, nr + 1, 2, 6, &missing) == -ENOENT);
	CHECK(gvm_doors_deassign(&d, nr) == 5);
	CHECK(gvm_doors_settle(&d, nr, 3, 6, &missing) == -ENOENT);
	nr = on(0x10, 4, 0, 0, 5);
	CHECK(gvm_doors_ring(&d, nr, 1, 3) == 5);	/* nothing is left of the old one */
	CHECK(gvm_doors_settle(&d, nr, 1, 3, &missing) == 5 && !missing);
}

/*
 * Members that ring and send, links that are late, and a VMM that assigns and deassigns: what the
 * VMM's eventfds have counted when a doorbell is gone is what was rung while it was there.
 */
#define MEMBERS	4
#define BELLS	3
#define QUEUE	64

static struct sent {
	uint32_t number;
	uint64_t count;
} queue[MEMBERS][QUEUE];

static unsigned int head[MEMBERS], tail[MEMBERS];
static uint64_t counted[BELLS], rung[BELLS];	/* at the VMM; at all members */

static struct bell {
	bool used;
	uint32_t number;
	uint64_t fresh, total;			/* not sent yet; all */
} bell[MEMBERS][BELLS];

static uint64_t state = 1;

static uint32_t rnd(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static void send(unsigned int m, struct bell *b)
{
	if (b->fresh && head[m] - tail[m] < QUEUE) {
		queue[m][head[m]++ % QUEUE] = (struct sent){ b->number, b->fresh };
		b->fresh = 0;
	}
}

static void deliver(unsigned int m)
{
	struct sent *s = &queue[m][tail[m] % QUEUE];
	int fd;

	if (tail[m] == head[m])
		return;
	tail[m]++;
	fd = gvm_doors_ring(&d, s->number, m, s->count);
	CHECK(fd == -ESTALE || (fd >= 0 && fd < BELLS));
	if (fd >= 0)
		counted[fd] += s->count;
}

static void member_step(void)
{
	unsigned int m = 1 + rnd(MEMBERS - 1), i = rnd(BELLS);
	struct bell *b = &bell[m][i];

	switch (rnd(3)) {
	case 0:
		if (b->used) {
			b->fresh++;
			b->total++;
			rung[i]++;
		}
		break;
	case 1:
		send(m, b);
		break;
	default:
		deliver(m);
	}
}

static void steps(void)
{
	for (uint32_t n = rnd(12); n; n--)
		member_step();
}

static void vmm_assign(unsigned int i)
{
	int nr = on(i, 1, 0, 0, i);

	CHECK(nr >= 0);
	counted[i] = 0;
	rung[i] = 0;
	for (unsigned int m = 1; m < MEMBERS; m++) {
		bell[m][i] = (struct bell){ .used = true, .number = nr };
		steps();
	}
}

static void vmm_deassign(unsigned int i, int nr)
{
	for (unsigned int m = 1; m < MEMBERS; m++) {
		uint64_t missing, total = bell[m][i].total;

		bell[m][i].used = false;
		if (rnd(2))		/* its thread had taken them, and is late */
			send(m, &bell[m][i]);
		bell[m][i].fresh = 0;
		steps();		/* the reply is on its way */
		CHECK(gvm_doors_settle(&d, nr, m, total, &missing) == (int)i);
		counted[i] += missing;
		steps();
	}
	CHECK(gvm_doors_deassign(&d, nr) == (int)i);
	CHECK(counted[i] == rung[i]);
}

TEST(no_ring_is_lost_and_none_counts_twice)
{
	begin();
	for (int n = 0; n < 20000; n++) {
		unsigned int i = rnd(BELLS);
		int nr = find(i, 1, 0, 0);

		if (nr < 0)
			vmm_assign(i);
		else
			vmm_deassign(i, nr);
		steps();
	}
	CHECK(d.door[0].turns > 1000);
}
