// SPDX-License-Identifier: GPL-2.0
/*
 * gvm run, status, stop: the launcher.
 *
 * It makes the regions of the guest's RAM, one a server, each homed there; writes what libgvm.so
 * needs to know; starts the VMM with QEMU's options for all that, and clears up after it.
 *
 * It holds a lock on a file in the VM's directory for as long as that is its own: a directory whose
 * lock is free was left behind, and the pid in it may be anybody's by now.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "conf.h"
#include "distance.h"
#include "files.h"
#include "gvm.h"
#include "member.h"
#include "rpc.h"

#define NR_ARGS		512
#define TIMEOUT_MS	10000
#define STOP_MS		5000
#define LOCK_TRIES	20
#define LOCK_TRY_MS	10

struct launch {
	struct gvm_conf conf;
	unsigned int cpus;	/* a server */
	uint64_t mem;		/* bytes a server */
	char run_dir[PATH_MAX];
	char *argv[NR_ARGS];
	int argc;
};

static void add(struct launch *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct launch *l, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0 || l->argc == NR_ARGS - 1)
		gvm_die("too many arguments");
	l->argv[l->argc++] = text;
}

static uint64_t parse_size(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	switch (*end) {
	case 'G':
		n <<= 10;
		/* fall through */
	case 'M':
		n <<= 20;
		end++;
	}
	if (!n || *end || n % (1 << 20) || n >> 50)
		gvm_die("--mem %s: whole megabytes are wanted, as 512M or 2G", text);
	return n;
}

static void parse_dir(struct gvm_conf *c, const char *dir)
{
	if (dir[0] != '/' || strlen(dir) > GVM_TEXT_MAX)
		gvm_die("--dir %s: an absolute path of up to %d characters is wanted", dir,
			GVM_TEXT_MAX);
	strcpy(c->dir, dir);
}

static void parse_servers(struct gvm_conf *c, const char *list, unsigned int port)
{
	char *copy = strdup(list), *save, *s;

	for (s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		struct gvm_msg_peer *p = &c->member[c->nr_members];

		if (c->nr_members == GVM_MEMBERS_MAX)
			gvm_die("--servers: at most %d", GVM_MEMBERS_MAX);
		if (inet_pton(AF_INET, s, &p->addr) != 1)
			gvm_die("--servers: %s is not an IPv4 address", s);
		p->port = port;
		c->nr_members++;
	}
	free(copy);
	if (!c->nr_members)
		gvm_die("--servers is empty");
}

static void parse_owners(struct gvm_conf *c, const char *list)
{
	char *end;

	while (*list) {
		unsigned long n = strtoul(list, &end, 10);

		if (end == list || (*end && *end != ',') || n >= c->nr_members ||
		    c->nr_vcpus == GVM_VCPUS_MAX)
			gvm_die("--vcpus: indices of --servers are wanted, as 0,1,0,1");
		/* It has the ring of coalesced MMIO, which the VMM maps, and the reference TSC. */
		if (!c->nr_vcpus && n)
			gvm_die("--vcpus: the first vCPU is on the first server, which is the VMM's");
		c->owner[c->nr_vcpus++] = n;
		list = *end ? end + 1 : end;
	}
}

/* QEMU numbers the vCPUs of a socket from a multiple of a power of two. */
static unsigned int nr_ids(unsigned int sockets, unsigned int cpus)
{
	unsigned int step = 1;

	while (step < cpus)
		step *= 2;
	return (sockets - 1) * step + cpus;
}

static void spread_owners(struct gvm_conf *c, unsigned int cpus)
{
	unsigned int i, most = cpus;

	while (nr_ids(c->nr_members, most) > GVM_VCPUS_MAX)
		most--;
	if (most < cpus)
		gvm_die("--cpus %u: at most %u on each of %u servers, their numbers go to %d", cpus,
			most, c->nr_members, GVM_VCPUS_MAX - 1);
	for (i = 0; i < c->nr_members * cpus; i++)
		c->owner[c->nr_vcpus++] = i / cpus;
}

static bool given(int argc, char **argv, const char *option)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strcmp(argv[i], option))
			return true;
	return false;
}

static void add_node(struct launch *l, unsigned int i)
{
	const struct gvm_conf *c = &l->conf;
	char name[GVM_NAME_MAX + 1], addr[INET_ADDRSTRLEN];
	int fd, node = gvm_files_node(c->member[i].addr);

	if (snprintf(name, sizeof(name), "%s.ram%u", c->vm, i) >= (int)sizeof(name))
		gvm_die("--name %s: too long", c->vm);
	inet_ntop(AF_INET, &c->member[i].addr, addr, sizeof(addr));
	if (i && node < 0)
		gvm_log("%s is no dsm peer (/sys/fs/dsm/peers/*/address): the RAM of its node is homed here",
			addr);
	fd = gvm_files_create(c->dir, name, l->mem, node);
	if (fd < 0)
		gvm_die("%s/%s: %s", c->dir, name, strerror(-fd));
	close(fd);
	add(l, "-object");
	add(l, "memory-backend-file,id=gvm%u,mem-path=%s/%s,share=on,prealloc=off,size=%llu", i,
	    c->dir, name, (unsigned long long)l->mem);
	add(l, "-numa");
	add(l, "node,nodeid=%u,memdev=gvm%u,cpus=%u-%u", i, i, i * l->cpus,
	    (i + 1) * l->cpus - 1);
}

static void add_distances(struct launch *l)
{
	uint8_t dist[GVM_MEMBERS_MAX][GVM_MEMBERS_MAX];
	unsigned int i, j;

	gvm_distances(l->conf.member, l->conf.nr_members, dist);
	for (i = 0; i < l->conf.nr_members; i++) {
		for (j = 0; j < l->conf.nr_members; j++) {
			if (i == j)
				continue;
			add(l, "-numa");
			add(l, "dist,src=%u,dst=%u,val=%u", i, j, dist[i][j]);
		}
	}
}

/* QEMU's options: later ones of -machine add to the operator's. */
static void add_options(struct launch *l, int argc, char **argv)
{
	unsigned int i, n = l->conf.nr_members;

	if (given(argc, argv, "-m") || given(argc, argv, "-smp"))
		gvm_die("-m and -smp follow from --mem and --cpus (or use --raw)");
	add(l, "-accel");
	add(l, "kvm");
	add(l, "-machine");
	add(l, "kernel-irqchip=split");
	if (!given(argc, argv, "-cpu")) {
		add(l, "-cpu");
		add(l, "host,migratable=off,+invtsc");
	}
	add(l, "-smp");
	add(l, "%u,sockets=%u,cores=%u,threads=1", n * l->cpus, n, l->cpus);
	add(l, "-m");
	add(l, "%llu", (unsigned long long)(n * l->mem >> 20));
	for (i = 0; i < n; i++)
		add_node(l, i);
	add_distances(l);
}

static int lock_file(const char *run_dir, int flags)
{
	char path[PATH_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", run_dir);
	fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static bool is_locked(const char *run_dir)
{
	int fd = lock_file(run_dir, 0);
	bool locked;

	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

/* Whoever had it may have removed the file, and the directory, since it was opened here. */
static bool is_there(const char *run_dir, int fd)
{
	int now = lock_file(run_dir, 0);
	struct stat a, b;
	bool same = now >= 0 && !fstat(fd, &a) && !fstat(now, &b) && a.st_ino == b.st_ino;

	if (now >= 0)
		close(now);
	return same;
}

/* Again for a moment: is_locked() of another process takes it as well. Held until the end. */
static int take_lock(const char *run_dir)
{
	int fd;

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (mkdir(run_dir, 0755) && errno != EEXIST)
			return -errno;
		fd = lock_file(run_dir, O_CREAT);
		if (fd < 0 && fd != -ENOENT)
			return fd;
		if (fd >= 0) {
			if (!flock(fd, LOCK_EX | LOCK_NB) && is_there(run_dir, fd))
				return 0;
			close(fd);
		}
		usleep(LOCK_TRY_MS * 1000);
	}
	return -EWOULDBLOCK;
}

/* The pid in the file is the VMM's for as long as its launcher has the lock. */
static bool alive(const char *run_dir, pid_t *pid)
{
	char path[PATH_MAX + 8];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/pid", run_dir);
	if (!is_locked(run_dir))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &n) != 1)
		n = 0;
	fclose(f);
	*pid = n;
	return n > 0 && !kill(n, 0);
}

static void write_state(struct launch *l, pid_t pid)
{
	char path[PATH_MAX + 8];
	FILE *f;

	snprintf(path, sizeof(path), "%s/pid", l->run_dir);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f))
		gvm_die("%s: %s", path, strerror(errno));
}

static void remove_file(const struct launch *l, const char *name)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/%s", l->run_dir, name);
	unlink(path);
}

static const struct launch *prepared;

/* Also whenever this process gives up. The lock last: then all of it may be another's. */
static void clear_up(void)
{
	const struct launch *l = prepared;

	if (!l)
		return;
	prepared = NULL;
	remove_file(l, "pid");
	gvm_files_remove(l->conf.dir, l->conf.vm);
	remove_file(l, "conf");
	remove_file(l, "ctl");
	remove_file(l, "lock");
	rmdir(l->run_dir);
}

static void prepare(struct launch *l)
{
	char path[PATH_MAX + 8];
	int r;

	mkdir(GVM_RUN_DIR, 0755);
	snprintf(l->run_dir, sizeof(l->run_dir), GVM_RUN_DIR "/%s", l->conf.vm);
	r = take_lock(l->run_dir);
	if (r == -EWOULDBLOCK)
		gvm_die("%s runs already", l->conf.vm);
	if (r)
		gvm_die("%s: %s", l->run_dir, strerror(-r));
	prepared = l;
	atexit(clear_up);
	remove_file(l, "pid");
	gvm_files_remove(l->conf.dir, l->conf.vm);
	snprintf(path, sizeof(path), "%s/conf", l->run_dir);
	r = gvm_conf_write(&l->conf, path);
	if (r)
		gvm_die("%s: %s", path, strerror(-r));
	setenv(GVM_CONF_ENV, path, 1);
}

static pid_t vmm_pid;

static void pass_on(int sig)
{
	if (vmm_pid > 0)
		kill(vmm_pid, sig);
}

static void start_vmm(struct launch *l, const char *lib)
{
	struct sigaction sa = { .sa_handler = pass_on };
	pid_t parent = getpid();

	vmm_pid = fork();
	if (vmm_pid < 0)
		gvm_die("fork: %s", strerror(errno));
	if (!vmm_pid) {
		prepared = NULL;	/* the launcher's to clear up */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		setenv("LD_PRELOAD", lib, 1);
		execvp(l->argv[0], l->argv);
		gvm_die("%s: %s", l->argv[0], strerror(errno));
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	write_state(l, vmm_pid);
}

static int wait_vmm(const char *vm)
{
	int status;

	while (waitpid(vmm_pid, &status, 0) < 0)
		if (errno != EINTR)
			gvm_die("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "gvm: %s: the VMM was ended by signal %d (%s)\n", vm,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
		return 128 + WTERMSIG(status);
	}
	if (WEXITSTATUS(status))
		fprintf(stderr, "gvm: %s: the VMM ended with status %d\n", vm,
			WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static const char *default_lib(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 16);

	if (len < 0)
		return "libgvm.so";
	path[len] = 0;
	strcpy(strrchr(path, '/') + 1, "libgvm.so");
	return path;
}

static void parse(struct launch *l, int *argc, char **argv)
{
	struct gvm_conf *c = &l->conf;
	bool raw = gvm_option_flag(argc, argv, "--raw");
	const char *name = gvm_option(argc, argv, "--name", NULL);
	const char *servers = gvm_option(argc, argv, "--servers", NULL);
	const char *vcpus = gvm_option(argc, argv, "--vcpus", NULL);
	int i, first;

	l->cpus = gvm_option_number(argc, argv, "--cpus", 1, GVM_VCPUS_MAX);
	l->mem = parse_size(gvm_option(argc, argv, "--mem", "256M"));
	c->timeout_ms = gvm_option_number(argc, argv, "--timeout-ms", TIMEOUT_MS, 3600000);
	parse_dir(c, gvm_option(argc, argv, "--dir", "/dev/dsm"));
	if (!name || !servers)
		gvm_die("run needs --name and --servers, see gvm --help");
	if (!gvm_name_ok(name) || strchr(name, '.') || strlen(name) > 16)
		gvm_die("--name %s: up to 16 letters, digits, - and _ are wanted", name);
	strcpy(c->vm, name);
	parse_servers(c, servers, gvm_option_number(argc, argv, "--port", GVM_PORT, 65535));
	first = gvm_option_end(*argc, argv);
	if (first >= *argc)
		gvm_die("run: which VMM? gvm run ... -- qemu-system-x86_64 ...");
	if (raw != (vcpus != NULL))
		gvm_die("--raw and --vcpus go together");
	if (raw)
		parse_owners(c, vcpus);
	else
		spread_owners(c, l->cpus);
	for (i = first; i < *argc; i++)
		add(l, "%s", argv[i]);
	prepare(l);
	if (!raw)
		add_options(l, *argc - first, argv + first);
}

int gvm_run(int argc, char **argv)
{
	static struct launch l;
	const char *lib = gvm_option(&argc, argv, "--lib", default_lib());
	struct termios tty;
	bool has_tty = !tcgetattr(0, &tty);
	int status;

	if (access(lib, R_OK))
		gvm_die("%s: %s", lib, strerror(errno));
	parse(&l, &argc, argv);
	start_vmm(&l, lib);
	status = wait_vmm(l.conf.vm);
	clear_up();
	if (has_tty)
		tcsetattr(0, TCSANOW, &tty);
	return status;
}

static void ask_server(uint32_t addr, const char *text, unsigned int port)
{
	struct gvm_head head = { .type = GVM_MSG_STATUS, .vcpu = GVM_NO_VCPU };
	static struct gvm_packet p;
	struct gvm_chan *c;
	int r;

	r = gvm_rpc_hello(addr, port, GVM_CHAN_AGENT, 0, GVM_NO_VCPU, "", &c);
	if (!r) {
		r = gvm_rpc_call(c, &head, NULL, 0, &p, NULL);
		gvm_chan_close(c);
	}
	if (r)
		printf("%s: no agent: %s\n", text, strerror(-r));
	else
		printf("%s:\n%.*s", text, (int)p.head.len, (char *)p.data);
}

/* What the VM itself says, a line for each other server. */
static void ask_vm(const char *vm)
{
	static char answer[4096];
	char *save, *s;

	if (gvm_ask(vm, "clock", answer, sizeof(answer)) || strncmp(answer, "ok ", 3))
		return;
	for (s = strtok_r(answer + 3, ";", &save); s; s = strtok_r(NULL, ";", &save))
		printf("\t%s\n", s + strspn(s, " "));
}

int gvm_status(int argc, char **argv)
{
	unsigned int port = gvm_option_number(&argc, argv, "--port", GVM_PORT, 65535);
	const char *servers = gvm_option(&argc, argv, "--servers", NULL);
	struct gvm_conf c = { 0 };
	char path[PATH_MAX];
	struct dirent *e;
	unsigned int i;
	pid_t pid;
	DIR *d;

	gvm_option_end(argc, argv);
	d = opendir(GVM_RUN_DIR);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), GVM_RUN_DIR "/%.255s", e->d_name);
		if (e->d_name[0] == '.' || !alive(path, &pid))
			continue;
		printf("%s pid %d\n", e->d_name, (int)pid);
		ask_vm(e->d_name);
	}
	if (d)
		closedir(d);
	if (servers)
		parse_servers(&c, servers, port);
	for (i = 0; i < c.nr_members; i++) {
		char text[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &c.member[i].addr, text, sizeof(text));
		ask_server(c.member[i].addr, text, port);
	}
	return 0;
}

int gvm_stop(int argc, char **argv)
{
	char path[PATH_MAX];
	pid_t pid, now;
	int i;

	if (argc != 2 || !gvm_name_ok(argv[1]))
		gvm_die("stop: which VM?");
	snprintf(path, sizeof(path), GVM_RUN_DIR "/%s", argv[1]);
	if (!alive(path, &pid))
		gvm_die("%s does not run here", argv[1]);
	kill(pid, SIGTERM);
	for (i = 0; i < STOP_MS / 50; i++) {
		if (!alive(path, &now) || now != pid)
			return 0;
		usleep(50000);
	}
	fprintf(stderr, "gvm: %s: pid %d does not end by SIGTERM, killing it\n", argv[1],
		(int)pid);
	kill(pid, SIGKILL);
	return 0;
}
