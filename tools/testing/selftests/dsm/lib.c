// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "barrier.h"
#include "lib.h"
#include "uapi/dsm.h"

int dsm_node;
int dsm_nodes = 1;
const char *dsm_mnt = "/dev/dsm";
bool dsm_real;
static long scale_percent = 100;
static long patience = 1;

static bool is_dsmfs(const char *dir)
{
	char line[1024], at[512], type[64];
	FILE *f = fopen("/proc/self/mounts", "r");
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %511s %63s", at, type) == 2 && !strcmp(at, dir))
			found = !strcmp(type, "dsmfs");
	if (f)
		fclose(f);
	return found;
}

static long env_number(const char *name, long otherwise)
{
	const char *s = getenv(name);

	return s ? strtol(s, NULL, 0) : otherwise;
}

/* A test that is not about dsmfs says so. */
bool __attribute__((weak)) dsm_wanted = true;

static void __attribute__((constructor(1000))) lib_init(void)
{
	dsm_node = env_number("DSM_NODE", dsm_node);
	dsm_nodes = env_number("DSM_NODES", dsm_nodes);
	scale_percent = env_number("DSM_SCALE", scale_percent);
	patience = env_number("DSM_PATIENCE", patience);
	if (getenv("DSM_MNT"))
		dsm_mnt = getenv("DSM_MNT");
	if (dsm_nodes < 1 || dsm_node < 0 || dsm_node >= dsm_nodes || scale_percent < 1 ||
	    patience < 1) {
		printf("Bail out! DSM_NODE=%d DSM_NODES=%d\n", dsm_node, dsm_nodes);
		exit(1);
	}
	dsm_real = is_dsmfs(dsm_mnt);
	/* A cluster without its file system must not pass as a local run. */
	if (dsm_wanted && !dsm_real && !getenv("DSM_LOCAL")) {
		printf("Bail out! no dsmfs at %s\n", dsm_mnt);
		exit(1);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
}

unsigned long dsm_scale(unsigned long n)
{
	n = n * scale_percent / 100;
	return n ? n : 1;
}

unsigned long dsm_patient(unsigned long time)
{
	return time * patience;
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

void pause_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000l };

	nanosleep(&ts, NULL);
}

int evict_patiently(int fd, const struct dsm_ioc_range *range)
{
	uint64_t end = now_us() + dsm_patient(20000000);

	while (ioctl(fd, DSM_IOC_EVICT, range)) {
		if (errno != EBUSY || now_us() > end)
			return -errno;
	}
	return 0;
}

void relax(unsigned int *spins)
{
	if (++*spins < 20)
		sched_yield();
	else
		pause_us(100);
}

uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

uint64_t rnd_seed(void)
{
	const char *s = getenv("DSM_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : now_us();

	return (seed * 0x9e3779b97f4a7c15ull + dsm_node) | 1;
}

static uint8_t pattern_byte(uint64_t tag, size_t i)
{
	uint64_t x = (tag + i / 8 + 1) * 0x9e3779b97f4a7c15ull;

	return (uint8_t)(x >> (i % 8 * 8)) | 1;
}

void pattern_fill(void *buf, size_t len, uint64_t tag)
{
	uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern_byte(tag, i);
}

ssize_t pattern_check(const void *buf, size_t len, uint64_t tag)
{
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != pattern_byte(tag, i))
			return i;
	return -1;
}

/* Each node leaves a file; who sees all of them goes on. */
static int barrier_by_files(const char *dir, const char *name, int timeout_s)
{
	uint64_t end = now_us() + dsm_patient(timeout_s * 1000000ull);
	char path[512];
	int i, fd;

	snprintf(path, sizeof(path), "%s/%s.%d", dir, name, dsm_node);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	for (i = 0; i < dsm_nodes; i++) {
		snprintf(path, sizeof(path), "%s/%s.%d", dir, name, i);
		while (access(path, F_OK)) {
			if (now_us() > end)
				return -ETIMEDOUT;
			pause_us(200);
		}
	}
	return 0;
}

int dsm_barrier_named(const char *name, int timeout_s)
{
	const char *dir = getenv("DSM_LOCAL");

	if (dsm_nodes == 1)
		return 0;
	if (dir)
		return barrier_by_files(dir, name, timeout_s);
	return dsm_barrier(name, dsm_nodes, timeout_s);
}

int mem_barrier_wait(struct mem_barrier *b, int nr, int timeout_ms)
{
	uint64_t end = now_us() + dsm_patient(timeout_ms * 1000ull);
	uint32_t phase = atomic_load(&b->phase);
	unsigned int spins = 0;

	if (atomic_fetch_add(&b->count, 1) == (uint32_t)nr - 1) {
		atomic_store(&b->count, 0);
		atomic_fetch_add(&b->phase, 1);
		return 0;
	}
	while (atomic_load(&b->phase) == phase) {
		if (++spins < 100) {
			sched_yield();
			continue;
		}
		if (now_us() > end)
			return -ETIMEDOUT;
		pause_us(100);
	}
	return 0;
}

static sigjmp_buf probe_env;
static _Atomic sig_atomic_t probe_on;

static void probe_handler(int sig)
{
	if (probe_on)
		siglongjmp(probe_env, sig);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void probe_install(void)
{
	struct sigaction sa = { .sa_handler = probe_handler };

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

int probe_read(const void *p, uint8_t *val)
{
	int sig;
	uint8_t v;

	probe_install();
	sig = sigsetjmp(probe_env, 1);
	if (!sig) {
		probe_on = 1;
		v = READ_ONCE(*(const uint8_t *)p);
		if (val)
			*val = v;
	}
	probe_on = 0;
	return sig;
}

int probe_write(void *p, uint8_t val)
{
	int sig;

	probe_install();
	sig = sigsetjmp(probe_env, 1);
	if (!sig) {
		probe_on = 1;
		WRITE_ONCE(*(uint8_t *)p, val);
	}
	probe_on = 0;
	return sig;
}

int wait_bounded(pid_t pid, int timeout_ms)
{
	uint64_t end = now_us() + dsm_patient(timeout_ms * 1000ull);
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		if (now_us() > end)
			break;
		pause_us(500);
	}
	kill(pid, SIGKILL);
	pause_us(100000);
	if (waitpid(pid, &status, WNOHANG) != pid)
		fprintf(stderr, "pid %d survives SIGKILL\n", pid);
	return -1;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	else
		buf[n] = 0;
	close(fd);
	return n < 0 ? n : 0;
}

int knob_set(const char *knob, unsigned long val)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), MNT_KNOBS "%s", knob);
	snprintf(text, sizeof(text), "%lu\n", val);
	return write_file(path, text);
}

static long long read_number(const char *path)
{
	char text[64];
	int ret = read_file(path, text, sizeof(text));

	return ret ? ret : strtoll(text, NULL, 0);
}

long knob_get(const char *knob)
{
	char path[256];

	snprintf(path, sizeof(path), MNT_KNOBS "%s", knob);
	return read_number(path);
}

long long stat_get(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/dsm/cluster/stats/%s", name);
	return read_number(path);
}

long long latency_count(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/dsm/cluster/latency/%s/count", name);
	return read_number(path);
}
