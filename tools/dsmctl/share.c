// SPDX-License-Identifier: GPL-2.0
/* dsmctl share: memory of a running process becomes a file that all servers can map. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dsm.h"
#include "dsmctl.h"
#include "range.h"

static const char *why(int err)
{
	switch (err) {
	case EOPNOTSUPP:
		return "this needs a kernel with patches/linux-6.12";
	case EINVAL:
		return "not all of it is plain private memory: files, shared memory, code and stacks cannot be shared";
	case ENOMEM:
		return "there is a gap in the range, or no memory left";
	case EBUSY:
		return "it is locked by mlock, used with userfaultfd, or pinned for DMA";
	case EPERM:
		return "not permitted: it takes what a debugger needs to attach to the process";
	case ETIMEDOUT:
		return "the other servers were too slow; share less at once, or raise fault_timeout_ms";
	case ESRCH:
		return "there is no such process";
	}
	return strerror(err);
}

static void get_range(const char *pid, const char *text, struct range *r)
{
	char path[64];
	const char *bad;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		die("%s: %s", path, strerror(errno));
	bad = range_parse(text, maps, r);
	fclose(maps);
	if (bad)
		usage_die("share: %s: %s", text, bad);
}

/* A new file, at home here, so that nothing has to cross the network now. */
static int make_file(const char *path, uint64_t size)
{
	struct dsm_ioc_place place = {
		.policy = DSM_PLACE_NODE,
		.node = sysfs_number("cluster/node"),
	};
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	if (ftruncate(fd, size) || ioctl(fd, DSM_IOC_SET_PLACE, &place)) {
		int err = errno;

		unlink(path);
		die("%s: %s", path, err == ENOTTY ? "not on dsmfs" : strerror(err));
	}
	return fd;
}

int verb_share(int argc, char **argv)
{
	struct dsm_ioc_adopt a = { 0 };
	char path[PATH_SIZE], size[32];
	struct range r;
	uint64_t pid;
	int fd;

	if (argc != 4)
		usage_die("share PID START-END|heap NAME");
	pid = arg_number("PID", argv[1]);
	if (!pid || pid > INT_MAX)
		usage_die("share: there is no process %s", argv[1]);
	a.pidfd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (a.pidfd < 0)
		die("process %s: %s", argv[1], strerror(errno));
	get_range(argv[1], argv[2], &r);
	a.addr = r.start;
	a.len = r.end - r.start;
	mount_region_path(argv[3], path, sizeof(path));
	fd = make_file(path, a.len);
	if (ioctl(fd, DSM_IOC_ADOPT, &a)) {
		int err = errno;

		unlink(path);
		die("%s of process %s: %s", argv[2], argv[1], why(err));
	}
	human_size(a.len, size, sizeof(size));
	printf("%llx-%llx of process %s is %s, %s\n", (unsigned long long)r.start,
	       (unsigned long long)r.end, argv[1], path, size);
	return EXIT_SUCCESS;
}
