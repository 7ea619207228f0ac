// SPDX-License-Identifier: GPL-2.0
/* Doorbells: each write of a CPU rings if it is what was assigned, else it comes to the VMM. */
#include "guest.h"

#define PIO(kind)	(kind)
#define MMIO(kind)	(NR_DOOR_KINDS + (kind))

/* What one round of a CPU does, of each kind. */
static const struct {
	uint32_t rings, exits;
} per_round[NR_DOOR_KINDS] = {
	[DOOR_PLAIN] = { 1, 1 }, [DOOR_MATCH] = { 1, 2 }, [DOOR_ANY] = { 3, 0 },
};

static volatile bool ringing;
static volatile uint32_t written[MAX_CPUS];

static int ask_door(enum request_op op, uint32_t door, uint32_t count)
{
	static struct request r;	/* only CPU 0 asks */
	int ret;

	r = (struct request){ .op = op, .pin = door, .count = count };
	ret = ask(&r);
	if (ret < 0)
		fail("doorbell %u: request %u failed", door, op);
	return ret;
}

static void write_port(uint16_t port, uint32_t len, uint32_t v)
{
	if (len == 1)
		asm volatile("outb %b0, %1" :: "a" (v), "Nd" (port) : "memory");
	else if (len == 2)
		asm volatile("outw %w0, %1" :: "a" (v), "Nd" (port) : "memory");
	else
		outl(port, v);
}

static void write_memory(uintptr_t at, uint32_t len, uint32_t v)
{
	if (len == 1)
		*(volatile uint8_t *)at = v;
	else if (len == 2)
		*(volatile uint16_t *)at = v;
	else
		*(volatile uint32_t *)at = v;
}

static void put(uint32_t door, uint32_t len, uint32_t v)
{
	uint32_t at = door % NR_DOOR_KINDS * DOOR_STEP;

	if (door < NR_DOOR_KINDS)
		write_port(PORT_DOORBELL + at, len, v);
	else
		write_memory(MMIO_DOORBELL + at, len, v);
}

static void put_all(uint64_t arg)
{
	uint32_t i, first;

	(void)arg;
	for (i = 0; i < info->rounds; i++) {
		for (first = 0; first < NR_DOORS; first += NR_DOOR_KINDS) {
			put(first + DOOR_PLAIN, 4, i);
			put(first + DOOR_PLAIN, 2, i);
			put(first + DOOR_MATCH, 2, DOOR_VALUE);
			put(first + DOOR_MATCH, 2, DOOR_VALUE + 1 + i);
			put(first + DOOR_MATCH, 4, DOOR_VALUE);
			put(first + DOOR_ANY, 1, i);
			put(first + DOOR_ANY, 2, i);
			put(first + DOOR_ANY, 4, i);
		}
	}
}

/* Rings may come late. Exits are over when the CPU goes on. */
static void check_door(uint32_t door, uint32_t rings, uint32_t exits)
{
	uint32_t rung = 0, exited;

	wait_for((rung += ask_door(REQ_DOOR_RUNG, door, 0)) >= rings,
		 "doorbell %u: %u of %u rings came", door, rung, rings);
	exited = ask_door(REQ_DOOR_EXITS, door, 0);
	if (rung != rings || exited != exits)
		fail("doorbell %u: %u rings and %u exits, want %u and %u", door, rung, exited,
		     rings, exits);
}

static void put_and_check(bool assigned)
{
	uint32_t n = info->rounds * nr_cpus(), door;

	all_call(put_all, 0);
	for (door = 0; door < NR_DOORS; door++) {
		uint32_t rings = n * per_round[door % NR_DOOR_KINDS].rings;
		uint32_t exits = n * per_round[door % NR_DOOR_KINDS].exits;

		check_door(door, assigned ? rings : 0, assigned ? exits : rings + exits);
	}
}

static void set_all(bool on)
{
	uint32_t door;

	for (door = 0; door < NR_DOORS; door++)
		ask_door(REQ_DOOR_SET, door, on);
}

void test_doorbell(void)
{
	put_and_check(true);
	set_all(false);
	put_and_check(false);
	set_all(true);
	put_and_check(true);
}

static void put_on(uint64_t cpu)
{
	uint32_t n = 0;

	while (ringing) {
		put(PIO(DOOR_PLAIN), 4, n);
		put(MMIO(DOOR_PLAIN), 4, n);
		n++;
	}
	written[cpu] = n;
}

static void check_sum(uint32_t door, uint32_t want)
{
	uint32_t got = ask_door(REQ_DOOR_EXITS, door, 0);

	wait_for((got += ask_door(REQ_DOOR_RUNG, door, 0)) >= want,
		 "doorbell %u: %u of %u writes came", door, got, want);
	if (got != want)
		fail("doorbell %u: %u came of %u writes", door, got, want);
}

void test_doorbell_set(void)
{
	uint32_t i, sum = 0;

	ringing = true;
	for (i = 1; i < nr_cpus(); i++)
		start(i, put_on, i);
	for (i = 0; i < info->rounds && !failures; i++) {
		ask_door(REQ_DOOR_SET, PIO(DOOR_PLAIN), false);
		ask_door(REQ_DOOR_SET, MMIO(DOOR_PLAIN), false);
		ask_door(REQ_DOOR_SET, MMIO(DOOR_PLAIN), true);
		ask_door(REQ_DOOR_SET, PIO(DOOR_PLAIN), true);
	}
	ringing = false;
	for (i = 1; i < nr_cpus(); i++) {
		finish(i);
		sum += written[i];
	}
	check_sum(PIO(DOOR_PLAIN), sum);
	check_sum(MMIO(DOOR_PLAIN), sum);
}
