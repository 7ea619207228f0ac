// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of a guest under test: runs the tests that the kernel's command line names
 * (GVM_TEST=a,b or all), reports TAP in the kernel's log, powers off. Or it makes way for
 * the init of an ext4 file system, GVM_DISK.
 *
 * A test is a child with a time limit: if it hangs, the log says at which step, and
 * the tests after it still run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define STEP_MAX 200

static int log_fd = 2;
static char *last_step;		/* shared with the children */

static void vsay(const char *prefix, const char *fmt, va_list ap)
{
	char line[900];
	int n = snprintf(line, sizeof(line), "<4>tap: %s", prefix);

	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(log_fd, line, n) < 0)
		_exit(2);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay("", fmt, ap);
	va_end(ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay("# ", fmt, ap);
	va_end(ap);
	_exit(1);
}

void step(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_step, STEP_MAX, fmt, ap);
	va_end(ap);
}

int turns(int n)
{
	const char *percent = getenv("GVM_TURNS");

	if (percent)
		n = n * atoi(percent) / 100;
	return n > 1 ? n : 1;
}

int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("cannot run on CPU %d: %m", cpu);
}

bool cpu_pinned_ok(int cpu)
{
	return sched_getcpu() == cpu;
}

struct thread {
	pthread_t thread;
	int cpu;
	void (*fn)(int cpu, void *arg);
	void *arg;
};

static void *thread_main(void *p)
{
	struct thread *t = p;

	pin(t->cpu);
	t->fn(t->cpu, t->arg);
	return NULL;
}

void each_cpu(void (*fn)(int cpu, void *arg), void *arg)
{
	struct thread t[MAX_CPUS];
	int n = nr_cpus(), i;

	for (i = 0; i < n; i++) {
		t[i] = (struct thread){ .cpu = i, .fn = fn, .arg = arg };
		must(!pthread_create(&t[i].thread, NULL, thread_main, &t[i]));
	}
	for (i = 0; i < n; i++)
		pthread_join(t[i].thread, NULL);
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

void sleep_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

void relax(unsigned int *n)
{
	if (++*n % 256)
		__builtin_ia32_pause();
	else
		sleep_us(50u << (*n < 6 * 256 ? *n / 256 : 6));
}

void *shared_alloc(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static void load_modules(void)
{
	FILE *list = fopen("/modules/list", "r");
	char path[256];

	while (list && fscanf(list, "%255s", path) == 1) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST &&
			       errno != ENODEV))
			say("# %s: %m", path);
		close(fd);
	}
	if (list)
		fclose(list);
}

static void open_log(void)
{
	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log_fd < 0)
		_exit(4);
}

static void boot(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("proc", "/proc", "proc", 0, NULL) ||
	    mount("sys", "/sys", "sysfs", 0, NULL))
		_exit(3);
	open_log();
	last_step = shared_alloc(4096);
	say("# init runs, %d CPUs", nr_cpus());
	load_modules();
}

static _Noreturn void switch_root(const char *disk)
{
	char *init = "/sbin/init";

	must(!mkdir("/root", 0755) && !mount(disk, "/root", "ext4", 0, NULL));
	must(!umount2("/dev", MNT_DETACH) && !umount2("/sys", MNT_DETACH) &&
	     !umount2("/proc", MNT_DETACH));
	must(!chdir("/root") && !mount(".", "/", NULL, MS_MOVE, NULL) && !chroot(".") &&
	     !chdir("/"));
	execv(init, (char *[]){ init, NULL });
	fail("%s: %m", init);
}

/* Return: what to print behind "ok", NULL if the test failed. */
static const char *run(const struct test *t)
{
	static char took[64];
	uint64_t start = now_us();
	struct pollfd p = { .events = POLLIN };
	int status = -1;
	pid_t pid;

	step("nothing yet");
	pid = fork();
	if (!pid) {
		t->run();
		_exit(0);
	}
	p.fd = syscall(SYS_pidfd_open, pid, 0);
	if (pid < 0 || p.fd < 0) {
		say("# cannot start: %m");
		return NULL;
	}
	if (poll(&p, 1, t->limit_s * 1000) != 1) {
		say("# no end after %u s; last: %s", t->limit_s, last_step);
		kill(pid, SIGKILL);
		close(p.fd);
		return NULL;
	}
	close(p.fd);
	waitpid(pid, &status, 0);
	if (status) {
		say("# status %#x; last: %s", status, last_step);
		return NULL;
	}
	snprintf(took, sizeof(took), "%llu ms", (now_us() - start) / 1000ull);
	return took;
}

static const struct test *find(const char *name)
{
	const struct test *const all[] = { cpu_tests, mem_tests, numa_tests, dev_tests, work_tests };
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct test *t;

		for (t = all[i]; t->name; t++)
			if (!strcmp(t->name, name))
				return t;
	}
	return NULL;
}

static void run_named(char *names)
{
	const char *name;
	int nr = 1;
	char *p;

	for (p = names; *p; p++)
		nr += *p == ',';
	say("1..%d", nr);
	for (nr = 1; (name = strsep(&names, ",")); nr++) {
		const struct test *t = find(name);
		const char *took;

		if (!t)
			say("# there is no such test");
		took = t ? run(t) : NULL;
		say("%sok %d %s%s%s", took ? "" : "not ", nr, name, took ? " # " : "",
		    took ? took : "");
	}
}

int main(int argc, char **argv)
{
	char *names = getenv("GVM_TEST"), *disk = getenv("GVM_DISK");

	if (getpid() != 1) {
		open_log();
		return argc == 4 && !strcmp(argv[1], "nas") ? nas_main(argv[2], argv[3]) : 2;
	}
	boot();
	if (disk)
		switch_root(disk);
	run_named(strdup(names ? names : "cpus"));
	say("# power off");
	reboot(RB_POWER_OFF);
	return 1;
}
