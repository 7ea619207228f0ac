// SPDX-License-Identifier: GPL-2.0
/* INIT and SIPI: CPUs come up, and again from whatever they do. */
#include "guest.h"

#define PAGE_OF(x) ((x) >> 12)

static void send_init(uint32_t cpu)
{
	ipi(cpu, ICR_INIT | ICR_LEVEL | ICR_ASSERT);
	ipi(cpu, ICR_INIT | ICR_LEVEL);
}

static void send_sipi(uint32_t cpu)
{
	ipi(cpu, ICR_SIPI | PAGE_OF(TRAMPOLINE));
}

static bool came_up(uint32_t cpu, uint32_t before)
{
	struct cpu *c = &cpus[cpu];

	return wait_for(c->ups != before && c->returned == c->called,
			"CPU %u does not come up (was up %u times)", cpu, before);
}

bool bring_up(uint32_t cpu)
{
	uint32_t before = cpus[cpu].ups;

	memcpy((void *)TRAMPOLINE, trampoline, trampoline_end - trampoline);
	send_init(cpu);
	send_sipi(cpu);
	if (!came_up(cpu, before))
		return false;
	/* The second one, as Linux sends it: to a CPU that runs, so it does nothing. */
	send_sipi(cpu);
	if (cpus[cpu].ups != before + 1)
		fail("CPU %u came up %u times at once", cpu, cpus[cpu].ups - before);
	return true;
}

void test_ap_up(void)
{
	uint32_t i;

	for (i = 1; i < nr_cpus(); i++)
		bring_up(i);
}

static bool stands_still(struct cpu *c)
{
	uint32_t beat = c->beat, n = 0;
	uint64_t end = now_us() + 20000;

	while (now_us() < end)
		relax(&n);
	return c->beat == beat;
}

/* One CPU down and up; it does not return from what it did. */
static void once(uint32_t cpu, enum mode mode)
{
	struct cpu *c = &cpus[cpu];
	uint32_t before = c->ups, lost = c->received[VEC_HIGH + 1];

	/* A SIPI without INIT is nothing. */
	send_sipi(cpu);
	send_init(cpu);
	wait_for(stands_still(c), "CPU %u runs on after INIT", cpu);
	ipi(cpu, VEC_HIGH + 1);
	if (c->ups != before)
		fail("CPU %u came up from a SIPI without INIT", cpu);
	send_sipi(cpu);
	if (!came_up(cpu, before))
		fail("CPU %u: that was in mode %u", cpu, mode);
	if (c->received[VEC_HIGH + 1] != lost)
		fail("CPU %u: an IPI outlived INIT", cpu);
}

static const enum mode modes[] = { SPIN, HALT, IO, DEAF };

void test_again(void)
{
	uint32_t i, m, cpu;

	for (i = 0; i <= info->rounds / 4; i++) {
		for (m = 0; m < 4; m++) {
			for (cpu = 1; cpu < nr_cpus() && !failures; cpu++) {
				listen_prepare(cpu);
				start(cpu, listen, modes[m]);
				if (wait_for(cpus[cpu].listening, "CPU %u does not listen", cpu))
					once(cpu, modes[m]);
			}
		}
	}
}

struct job {
	uint32_t cpu;
	enum mode mode;
};

static struct job job;

static void once_by_other(uint64_t arg)
{
	const struct job *j = (const struct job *)arg;

	once(j->cpu, j->mode);
}

/* Runs with three CPUs or more. */
void test_again_from(void)
{
	uint32_t m, cpu;

	for (m = 0; m < 4; m++) {
		for (cpu = 1; cpu < nr_cpus() && !failures; cpu++) {
			uint32_t by = cpu + 1 < nr_cpus() ? cpu + 1 : 1;

			listen_prepare(cpu);
			start(cpu, listen, modes[m]);
			if (!wait_for(cpus[cpu].listening, "CPU %u does not listen", cpu))
				return;
			job = (struct job){ cpu, modes[m] };
			start(by, once_by_other, (uintptr_t)&job);
			finish(by);
		}
	}
}
