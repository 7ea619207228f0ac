// SPDX-License-Identifier: GPL-2.0
/* CPUs, interrupts between them, and time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

/* All CPUs that were promised are online, and each runs user code. */

static atomic_int ran;

static void say_here(int cpu, void *arg)
{
	uint64_t end = now_us() + 20000;

	while (now_us() < end)
		if (!cpu_pinned_ok(cpu))
			fail("pinned to CPU %d, runs on another", cpu);
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void cpus(void)
{
	const char *want = getenv("GVM_CPUS");

	if (want && atoi(want) != nr_cpus())
		fail("%d CPUs online, want %s", nr_cpus(), want);
	each_cpu(say_here, &ran);
	if (ran != nr_cpus())
		fail("%d CPUs ran", ran);
}

/* Each CPU's timer, while the others use theirs. */

static void sleeps(int cpu, void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 20; i++) {
		uint64_t start = now_us(), took;

		step("CPU %d sleeps 10 ms, %d of 20", cpu, i);
		sleep_us(10000);
		took = now_us() - start;
		if (took < 10000 || took > 5000000)
			fail("CPU %d: 10 ms took %llu us", cpu, (unsigned long long)took);
	}
}

static void timer(void)
{
	each_cpu(sleeps, NULL);
}

/*
 * A turn goes round the CPUs by shared memory; neither TSC nor clock goes back on its way. How many
 * turns there are in a minute depends on the servers; so few that they show nothing are a failure.
 */
#define TURNS		300
#define TURNS_ENOUGH	20	/* of each CPU */
#define TURNS_US	60000000

static struct {
	_Atomic unsigned int turn;
	uint64_t tsc, clock_us, end_us;
} baton;

static void pass(int cpu, void *arg)
{
	unsigned int n = nr_cpus(), i, turn;

	(void)arg;
	for (i = cpu; i < TURNS; i += n) {
		unsigned int spins = 0;
		uint64_t tsc, us;

		while ((turn = atomic_load(&baton.turn)) < i)
			relax(&spins);
		if (turn == TURNS)
			return;
		__builtin_ia32_lfence();
		tsc = __builtin_ia32_rdtsc();
		us = now_us();
		if (tsc < baton.tsc || us < baton.clock_us)
			fail("turn %u on CPU %d: TSC %llu after %llu, clock %llu after %llu us", i,
			     cpu, (unsigned long long)tsc, (unsigned long long)baton.tsc,
			     (unsigned long long)us, (unsigned long long)baton.clock_us);
		baton.tsc = tsc;
		baton.clock_us = us;
		step("turn %u, CPU %d", i, cpu);
		turn = i + 1;
		if (us > baton.end_us && turn >= TURNS_ENOUGH * n)
			turn = TURNS;
		if (turn == TURNS)
			say("# %u turns", i + 1);
		atomic_store(&baton.turn, turn);
	}
}

/*
 * The kernel reads its clock very often, and any other has a lock in a page that CPUs take from
 * each other. tsc-early is the TSC before its rate has been refined. kvm-clock, which gvm masks,
 * is plain KVM's.
 */
static void tsc(void)
{
	const char *nodes = getenv("GVM_NODES");
	bool plain = nodes && !strcmp(nodes, "1");
	char source[32] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");

	if (!f || fscanf(f, "%31s", source) != 1 ||
	    (strncmp(source, "tsc", 3) && !(plain && !strcmp(source, "kvm-clock"))))
		fail("the clocksource is %s", source);
	fclose(f);
	baton.end_us = now_us() + TURNS_US;
	each_cpu(pass, NULL);
}

/* Function call interrupts, each waited for, from all CPUs at once. */

static void barriers(int cpu, void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 300; i++) {
		step("CPU %d, membarrier %d", cpu, i);
		must(!syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	}
}

static void ipi(void)
{
	must(!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	each_cpu(barriers, NULL);
}

/* Wake a sleeping CPU, and be woken. */

static void echo(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1)
		must(write(out, &c, 1) == 1);
	_exit(0);
}

static void wake(void)
{
	int cpu, i, n = nr_cpus();

	for (cpu = 1; cpu < n; cpu++) {
		int there[2], back[2];
		char c = 0;
		pid_t pid;

		must(!pipe(there) && !pipe(back));
		pid = fork();
		must(pid >= 0);
		if (!pid) {
			pin(cpu);
			close(there[1]);
			echo(there[0], back[1]);
		}
		pin(0);
		for (i = 0; i < 300; i++) {
			step("CPU %d, round %d", cpu, i);
			must(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1);
		}
		close(there[1]);
		must(waitpid(pid, NULL, 0) == pid);
	}
}

/* Off and on again: INIT and SIPI for a CPU that ran. */

static int set_online(int cpu, bool on)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	step("CPU %d %s", cpu, on ? "on" : "off");
	return write_file(path, on ? "1" : "0");
}

/* CPUs that maxcpus= has left for later. One that is there already takes it as well. */
static void online(void)
{
	int cpu, n = sysconf(_SC_NPROCESSORS_CONF);

	for (cpu = 1; cpu < n; cpu++)
		must(!set_online(cpu, true));
	must(nr_cpus() == n);
}

static void hotplug(void)
{
	int cpu, i, n = nr_cpus();

	for (i = 0; i < turns(3); i++) {
		for (cpu = 1; cpu < n; cpu++) {
			must(!set_online(cpu, false));
			must(nr_cpus() == n - 1);
			must(!set_online(cpu, true));
			must(nr_cpus() == n);
		}
		ran = 0;
		each_cpu(say_here, &ran);
		must(ran == n);
	}
}

/* Each CPU answers an NMI: the kernel's backtrace of all CPUs. */

static uint64_t nmi_seen(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t seen = 0, end = now_us() + ms * 1000ull;
	char buf[2048], *at;
	ssize_t n;

	while (now_us() < end && seen != (1ull << nr_cpus()) - 1) {
		poll(&p, 1, 100);
		while ((n = read(fd, buf, sizeof(buf) - 1)) > 0) {
			buf[n] = 0;
			at = strstr(buf, "NMI backtrace for cpu ");
			if (at)
				seen |= 1ull << (atoi(at + 22) & 63);
		}
	}
	return seen;
}

static void nmi(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), i;

	must(fd >= 0 && lseek(fd, 0, SEEK_END) >= 0);
	for (i = 0; i < 3; i++) {
		uint64_t seen;

		step("backtrace of all, %d", i);
		must(!write_file("/proc/sysrq-trigger", "l"));
		seen = nmi_seen(fd, 20000);
		if (seen != (1ull << nr_cpus()) - 1)
			fail("CPUs that answered the NMI: mask %#llx", (unsigned long long)seen);
	}
}

/* Processes come and go on each CPU. */

static void forks(int cpu, void *arg)
{
	int i, status;

	(void)arg;
	for (i = 0; i < 30; i++) {
		pid_t pid = fork();

		step("CPU %d, child %d", cpu, i);
		must(pid >= 0);
		if (!pid)
			_exit(i);
		must(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == i);
	}
}

static void forking(void)
{
	each_cpu(forks, NULL);
}

const struct test cpu_tests[] = {
	{ "cpus", cpus, 60 },
	{ "timer", timer, 60 },
	{ "tsc", tsc, 400 },
	{ "ipi", ipi, 120 },
	{ "wake", wake, 240 },
	{ "online", online, 60 },
	{ "hotplug", hotplug, 180 },
	{ "nmi", nmi, 120 },
	{ "forks", forking, 120 },
	{ 0 },
};
