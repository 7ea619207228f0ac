// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of an emulated server: from initramfs to a root that is the host's own,
 * read-only below a tmpfs; network and soft-RoCE up; then it becomes the agent.
 * A step that fails ends PID 1, hence panics the server, hence is red.
 *
 * The kernel hands its command line's MEMOS_x=y on as environment.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define NEW "/new"
#define V9FS "trans=virtio,version=9p2000.L,msize=512000,"

#define must(x)								\
	do {								\
		if ((x) < 0)						\
			die(#x);					\
	} while (0)

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "memos-init: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static const char *param(const char *name)
{
	const char *v = getenv(name);

	if (!v) {
		errno = EINVAL;
		die(name);
	}
	return v;
}

static void mkdirs(const char *path)
{
	char buf[4096], *p;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = buf + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(buf, 0755);
	}
	if (mkdir(buf, 0755) && errno != EEXIST)
		die(path);
}

static void mount_at(const char *type, const char *src, const char *dir,
		     unsigned long flags, const char *data)
{
	mkdirs(dir);
	if (mount(src, dir, type, flags, data) < 0)
		die(dir);
}

static void mount_optional(const char *type, const char *dir)
{
	if (mount(type, dir, type, 0, NULL))
		fprintf(stderr, "memos-init: no %s: %s\n", type, strerror(errno));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "memos-init: %s: %s\n", path, strerror(errno));
	close(fd);
}

/* /modules/list has one path a line, dependencies first. */
static void load_modules(void)
{
	FILE *list = fopen("/modules/list", "r");
	char path[256];

	if (!list)
		return;
	while (fscanf(list, "%255s", path) == 1) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		must(fd);
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST && errno != ENODEV)
			die(path);
		close(fd);
	}
	fclose(list);
}

static void copy_self(const char *to)
{
	int in = open("/init", O_RDONLY), out;
	struct stat st;

	must(in);
	must(fstat(in, &st));
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	must(out);
	if (sendfile(out, in, NULL, st.st_size) != st.st_size)
		die(to);
	close(in);
	close(out);
}

static void mount_root(void)
{
	char path[4096];

	mount_at("9p", "root", "/host", MS_RDONLY, V9FS "cache=loose");
	mount_at("tmpfs", "rw", "/rw", 0, "mode=755");
	mkdirs("/rw/upper");
	mkdirs("/rw/work");
	mount_at("overlay", "root", NEW, 0, "lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work");

	mount_at("devtmpfs", "dev", NEW "/dev", 0, NULL);
	mount_at("proc", "proc", NEW "/proc", 0, NULL);
	mount_at("sysfs", "sys", NEW "/sys", 0, NULL);
	mount_at("tmpfs", "run", NEW "/run", 0, "mode=755");
	mount_at("tmpfs", "tmp", NEW "/tmp", 0, "mode=1777");
	mount_at("tmpfs", "shm", NEW "/dev/shm", 0, "mode=1777");
	mount_at("devpts", "devpts", NEW "/dev/pts", 0, "mode=620,ptmxmode=666");

	/*
	 * The tree under test may change under a running cluster: not cached. It may be
	 * anywhere, below /tmp as well.
	 */
	snprintf(path, sizeof(path), NEW "%s", param("MEMOS_TOP"));
	mount_at("9p", "top", path, MS_RDONLY, V9FS "cache=none");
	snprintf(path, sizeof(path), NEW "%s/build", param("MEMOS_TOP"));
	mount_at("9p", "build", path, 0, V9FS "cache=none");

	mkdirs(NEW "/usr/local/bin");
	copy_self(NEW "/usr/local/bin/dsm-barrier");
}

static void bind_lib_modules(void)
{
	char to[4096];
	const char *from = param("MEMOS_LIBMODULES");

	snprintf(to, sizeof(to), "/usr/lib/modules/%s", strrchr(from, '/') + 1);
	mkdirs(to);
	must(mount(from, to, NULL, MS_BIND, NULL));
}

static void iface_up(const char *name, const char *addr, int mtu)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *sin = (void *)&ifr.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(s);
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (mtu) {
		ifr.ifr_mtu = mtu;
		must(ioctl(s, SIOCSIFMTU, &ifr));
	}
	if (addr) {
		memset(&ifr.ifr_addr, 0, sizeof(ifr.ifr_addr));
		sin->sin_family = AF_INET;
		sin->sin_addr.s_addr = inet_addr(addr);
		must(ioctl(s, SIOCSIFADDR, &ifr));
		sin->sin_addr.s_addr = htonl(0xffffff00);
		must(ioctl(s, SIOCSIFNETMASK, &ifr));
	}
	must(ioctl(s, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	must(ioctl(s, SIOCSIFFLAGS, &ifr));
	close(s);
}

static void run(char *const argv[])
{
	int status;
	pid_t pid = fork();

	must(pid);
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	must(waitpid(pid, &status, 0));
	if (status) {
		fprintf(stderr, "memos-init: %s: status %#x\n", argv[0], status);
		errno = EIO;
		die(argv[0]);
	}
}

static void network_up(void)
{
	char *const rxe[] = { "/usr/bin/rdma", "link", "add", "rxe0", "type", "rxe",
			      "netdev", "eth0", NULL };
	char addr[32];

	/* No IPv6: its duplicate address detection only adds noise to the first second. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
	snprintf(addr, sizeof(addr), "10.77.0.%d", atoi(param("MEMOS_NODE")) + 1);
	iface_up("lo", NULL, 0);
	iface_up("eth0", addr, 9000);
	run(rxe);
}

static int open_port(const char *want)
{
	const char *dir = "/sys/class/virtio-ports";
	char path[512], name[64];
	struct dirent *e;
	int tries;

	for (tries = 0; tries < 500; tries++, usleep(10000)) {
		DIR *d = opendir(dir);

		while (d && (e = readdir(d))) {
			FILE *f;
			int ok;

			snprintf(path, sizeof(path), "%s/%s/name", dir, e->d_name);
			f = fopen(path, "r");
			if (!f)
				continue;
			ok = fscanf(f, "%63s", name) == 1 && !strcmp(name, want);
			fclose(f);
			if (!ok)
				continue;
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			closedir(d);
			return open(path, O_RDWR | O_CLOEXEC);
		}
		if (d)
			closedir(d);
	}
	errno = ENODEV;
	return -1;
}

static void boot(void)
{
	char host[32];

	mount_at("devtmpfs", "dev", "/dev", 0, NULL);
	mount_at("proc", "proc", "/proc", 0, NULL);
	mount_at("sysfs", "sys", "/sys", 0, NULL);
	load_modules();
	mount_root();
	must(chdir(NEW));
	must(mount(NEW, "/", NULL, MS_MOVE, NULL));
	must(chroot("."));
	must(chdir("/"));
	bind_lib_modules();
	mount_optional("debugfs", "/sys/kernel/debug");
	mount_optional("tracefs", "/sys/kernel/tracing");
	mount_optional("configfs", "/sys/kernel/config");
	mount_optional("cgroup2", "/sys/fs/cgroup");
	snprintf(host, sizeof(host), "node%s", param("MEMOS_NODE"));
	must(sethostname(host, strlen(host)));
	write_file("/proc/sys/kernel/hung_task_timeout_secs", "60");
	write_file("/proc/sys/kernel/core_pattern", "/tmp/core.%e.%p");
	write_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	network_up();
}

int main(int argc, char **argv)
{
	int port;

	if (strstr(argv[0], "dsm-barrier"))
		return barrier_main(argc, argv);
	if (getpid() != 1)
		return 2;
	setenv("PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", 1);
	setenv("HOME", "/root", 1);
	if (getenv("MEMOS_PROBE")) {
		printf("memos-probe: ok\n");
		reboot(RB_POWER_OFF);
	}
	boot();
	port = open_port("org.memos.agent");
	must(port);
	agent_main(port);
}
