// SPDX-License-Identifier: GPL-2.0
/*
 * Concurrency Kit, unmodified, in a file of dsmfs: its lock-free ring (single
 * and multiple producers), its ticket, MCS-free FAS spinlock and its read-write
 * lock, used by all nodes. They were written for one machine.
 */
#include <ck_pr.h>
#include <ck_ring.h>
#include <ck_rwlock.h>
#include <ck_spinlock.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"

#define SIZE	256
#define LIMIT_S	40

struct item {
	uint32_t node, nr;
	uint64_t check;
};

CK_RING_PROTOTYPE(item, item)

struct shared {
	ck_ring_t to[16] __aligned(PG);		/* to node n, from all the others */
	ck_spinlock_ticket_t ticket __aligned(PG);
	ck_spinlock_fas_t fas __aligned(PG);
	ck_rwlock_t rw __aligned(PG);
	uint64_t under_ticket[PG / 8] __aligned(PG);
	uint64_t under_fas[PG / 8] __aligned(PG);
	uint64_t under_rw[PG / 8] __aligned(PG);
	struct item slots[16][SIZE] __aligned(PG);
};

static struct shared *s;
static uint64_t end;

static bool late(const char *what, unsigned long i)
{
	if (now_us() < end)
		return false;
	printf("# %s: stuck at %lu\n", what, i);
	return true;
}

static uint64_t check_of(uint32_t node, uint32_t nr)
{
	return ((uint64_t)node << 32 | nr) * 0x9e3779b97f4a7c15ull;
}

/* Everyone sends @n items to everyone else and gets as many. */
static int ring(unsigned long n)
{
	uint32_t sent[16] = { 0 }, got[16] = { 0 };
	unsigned long left = 2 * n * (dsm_nodes - 1);
	struct item it;

	while (left) {
		bool idle = true;

		for (int to = 0; to < dsm_nodes; to++) {
			if (to == dsm_node || sent[to] == n)
				continue;
			it = (struct item){ dsm_node, sent[to], check_of(dsm_node, sent[to]) };
			if (CK_RING_ENQUEUE_MPSC(item, &s->to[to], s->slots[to], &it)) {
				sent[to]++;
				left--;
				idle = false;
			}
		}
		while (CK_RING_DEQUEUE_MPSC(item, &s->to[dsm_node], s->slots[dsm_node], &it)) {
			if (it.node >= (uint32_t)dsm_nodes || it.nr != got[it.node] ||
			    it.check != check_of(it.node, it.nr)) {
				printf("# item %u of node %u where %u was due\n", it.nr, it.node,
				       it.node < 16 ? got[it.node] : 0);
				return 1;
			}
			got[it.node]++;
			left--;
			idle = false;
		}
		if (idle) {
			if (late("ring", left))
				return 1;
			sched_yield();
		}
	}
	return 0;
}

static int bump(uint64_t *v, const char *what)
{
	if (v[0] != v[PG / 8 - 1]) {
		printf("# %s: %lu and %lu\n", what, v[0], v[PG / 8 - 1]);
		return 1;
	}
	v[0]++;
	v[PG / 8 - 1]++;
	return 0;
}

static int ticket(unsigned long n)
{
	int bad = 0;

	for (unsigned long i = 0; i < n && !bad; i++) {
		ck_spinlock_ticket_lock(&s->ticket);
		bad = bump(s->under_ticket, "ticket");
		ck_spinlock_ticket_unlock(&s->ticket);
		bad |= late("ticket", i);
	}
	return bad;
}

static int fas(unsigned long n)
{
	int bad = 0;

	for (unsigned long i = 0; i < n && !bad; i++) {
		ck_spinlock_fas_lock(&s->fas);
		bad = bump(s->under_fas, "fas");
		ck_spinlock_fas_unlock(&s->fas);
		bad |= late("fas", i);
	}
	return bad;
}

static int rw(unsigned long n)
{
	int bad = 0;

	for (unsigned long i = 0; i < n && !bad; i++) {
		if (i % 4 == 0) {
			ck_rwlock_write_lock(&s->rw);
			bad = bump(s->under_rw, "rwlock");
			ck_rwlock_write_unlock(&s->rw);
		} else {
			ck_rwlock_read_lock(&s->rw);
			bad = s->under_rw[0] != s->under_rw[PG / 8 - 1];
			ck_rwlock_read_unlock(&s->rw);
		}
		bad |= late("rwlock", i);
	}
	return bad;
}

static int sums(unsigned long n)
{
	return s->under_ticket[0] != n * dsm_nodes || s->under_fas[0] != n * dsm_nodes ||
	       s->under_rw[0] != (n + 3) / 4 * dsm_nodes;
}

static void on_alarm(int sig)
{
	static const char text[] = "Bail out! a lock was never given\n";

	(void)sig;
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(4);
	_exit(1);
}

int main(void)
{
	static const struct { const char *name; int (*run)(unsigned long n); } t[] = {
		{ "ring", ring }, { "ticket", ticket }, { "fas", fas }, { "rwlock", rw },
		{ "sums", sums },
	};
	const int nr = ARRAY_LEN(t);
	const unsigned long n = dsm_scale(150);
	char path[256], name[64];
	int fd, failed = 0;

	signal(SIGALRM, on_alarm);
	alarm(100);
	printf("TAP version 13\n1..%d\n", nr);
	snprintf(path, sizeof(path), "%s/ckring", dsm_mnt);
	if (dsm_node == 0)
		unlink(path);
	dsm_barrier_named("ckring-start", 60);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*s))) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return 1;
	}
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		return 1;
	if (dsm_node == 0) {
		for (int i = 0; i < dsm_nodes; i++)
			ck_ring_init(&s->to[i], SIZE);
		ck_spinlock_ticket_init(&s->ticket);
		ck_spinlock_fas_init(&s->fas);
		ck_rwlock_init(&s->rw);
	}
	for (int i = 0; i < nr; i++) {
		int bad;

		snprintf(name, sizeof(name), "ckring-%d", i);
		bad = dsm_barrier_named(name, 60) ? 1 : 0;
		end = now_us() + dsm_patient(LIMIT_S * 1000000ull);
		bad = bad || t[i].run(n);
		printf("%sok %d %s\n", bad ? "not " : "", i + 1, t[i].name);
		failed |= bad;
	}
	dsm_barrier_named("ckring-end", 60);
	if (dsm_node == 0)
		unlink(path);
	return failed;
}
