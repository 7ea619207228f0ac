// SPDX-License-Identifier: GPL-2.0
/* Work: nas on all CPUs; and Debian's programs, from the server's root file system. */
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "nas.h"

#define ROOT	"/root"
#define V9FS	"trans=virtio,version=9p2000.L,msize=512000,cache=loose"

static void mount_at(const char *type, const char *from, const char *to, unsigned long flags,
		     const char *options)
{
	step("mount %s at %s", type, to);
	must(!mkdir(to, 0755) || errno == EEXIST);
	must(!mount(from, to, type, flags, options));
}

/* Read-only by 9p; what is written is in RAM. */
static void mount_root(void)
{
	mount_at("9p", "server", "/server", MS_RDONLY, V9FS);
	mount_at("tmpfs", "rw", "/rw", 0, "mode=755");
	must(!mkdir("/rw/upper", 0755) && !mkdir("/rw/work", 0755));
	mount_at("overlay", "root", ROOT, 0, "lowerdir=/server,upperdir=/rw/upper,workdir=/rw/work");
	mount_at("proc", "proc", ROOT "/proc", 0, NULL);
	mount_at("sysfs", "sys", ROOT "/sys", 0, NULL);
	mount_at("devtmpfs", "dev", ROOT "/dev", 0, NULL);
	mount_at("tmpfs", "tmp", ROOT "/tmp", 0, "mode=1777");
	mount_at("tmpfs", "shm", ROOT "/dev/shm", 0, "mode=1777");
}

/* GVM_WORK is a command; each line it prints is one of the log. */
static void work(void)
{
	const char *command = getenv("GVM_WORK");
	char line[400];
	int status;
	FILE *out;

	must(command);
	mount_root();
	must(!chroot(ROOT) && !chdir("/"));
	must(!setenv("PATH", "/usr/sbin:/usr/bin", 1));
	out = popen(command, "r");
	must(out);
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = 0;
		step("%s", line);
		say("# %s", line);
	}
	status = pclose(out);
	if (status)
		fail("%s: status %#x", command, status);
}

/*
 * In a program of its own: OpenMP looks at the CPUs when it is loaded, and PID 1 was before some of
 * them came. A thread to each, and it stays there.
 */
static void run_nas(const char *what, const char *size)
{
	must(!setenv("OMP_PROC_BIND", "true", 1));
	execl("/proc/self/exe", "init", "nas", what, size, NULL);
	fail("exec: %m");
}

int nas_main(const char *what, const char *size)
{
	bool right = omp_get_max_threads() == nr_cpus() && nas(what, atoi(size)) == 1;

	say_pages();
	return !right;
}

static void ep(void)
{
	run_nas("ep", "24");
}

/* Class A of the NAS benchmarks: long enough for how it begins and ends not to matter. */
static void ep_a(void)
{
	run_nas("ep", "28");
}

static void is(void)
{
	run_nas("is", "18");
}

static void cg(void)
{
	run_nas("cg", "4096");
}

const struct test work_tests[] = {
	{ "ep", ep, 300 },
	{ "ep-a", ep_a, 600 },
	{ "is", is, 300 },
	{ "cg", cg, 300 },
	{ "work", work, 1800 },
	{ 0 },
};
