/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share: who am I, barriers among the nodes, bounded waits,
 * accesses that may fail, knobs.
 *
 * The same programs run on a cluster (DSM_MNT is a dsmfs) and, as N processes
 * of one machine, on a tmpfs: run-local.sh.  What passes there and fails on the
 * cluster is not the fault of the test.
 */
#ifndef DSM_SELFTEST_LIB_H
#define DSM_SELFTEST_LIB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PG		4096ul
#define CACHELINE	64
#ifndef __aligned
#define __aligned(n)	__attribute__((__aligned__(n)))
#endif
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
/* User space has no READ_ONCE() of its own. */
#define READ_ONCE(x)	(*(const __volatile__ __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(__volatile__ __typeof__(x) *)&(x) = (v))
#define MNT_KNOBS	"/sys/fs/dsm/knobs/"

extern int dsm_node;		/* DSM_NODE */
extern int dsm_nodes;		/* DSM_NODES */
extern const char *dsm_mnt;	/* DSM_MNT */
extern bool dsm_real;		/* DSM_MNT is a dsmfs */
extern bool dsm_wanted;	/* false: the test is not about dsmfs */

/* @n loops, times DSM_SCALE percent, at least 1. */
unsigned long dsm_scale(unsigned long n);

/* A bound on time, times DSM_PATIENCE: for a kernel that is slow. */
unsigned long dsm_patient(unsigned long time);

uint64_t now_us(void);
void pause_us(unsigned int us);

/* DSM_IOC_EVICT until nothing stays: one call tries for a multiple of evict_timeout_ms. */
struct dsm_ioc_range;
int evict_patiently(int fd, const struct dsm_ioc_range *range);

/* In a loop that waits for another node: a spinner starves the soft-RoCE below it. */
void relax(unsigned int *spins);

/* xorshift64*: seed it from rnd_seed() and print that. */
uint64_t rnd(uint64_t *state);
uint64_t rnd_seed(void);

/* Same bytes for the same tag, and 0 never. */
void pattern_fill(void *buf, size_t len, uint64_t tag);
/* Return: offset of the first wrong byte, or -1. */
ssize_t pattern_check(const void *buf, size_t len, uint64_t tag);

/**
 * dsm_barrier_named() - wait for all nodes
 * @name:	of the barrier, unique in the run
 * @timeout_s:	bound
 *
 * Through the agent of the emulated cluster, hence not through dsmfs; through
 * files beside DSM_MNT when run locally.
 *
 * Return: 0 or -errno.
 */
int dsm_barrier_named(const char *name, int timeout_s);

/* Barrier in memory shared by all nodes; zero is a good start. */
struct mem_barrier {
	_Atomic uint32_t count;
	_Atomic uint32_t phase;
};

/* Return: 0, or -ETIMEDOUT after @timeout_ms. */
int mem_barrier_wait(struct mem_barrier *b, int nr, int timeout_ms);

/* Return: 0, or the signal (SIGBUS, SIGSEGV) the access got. */
int probe_read(const void *p, uint8_t *val);
int probe_write(void *p, uint8_t val);

/* Wait at most @timeout_ms for @pid. Return: its status, or -1: killed by us. */
int wait_bounded(pid_t pid, int timeout_ms);

/* Return: 0 or -errno. */
int write_file(const char *path, const char *text);
int read_file(const char *path, char *buf, size_t size);
int knob_set(const char *knob, unsigned long val);
long knob_get(const char *knob);
/* A counter of /sys/fs/dsm/cluster/stats, or -errno. */
long long stat_get(const char *name);
/* How many latencies of /sys/fs/dsm/cluster/latency/<name> there are, or -errno. */
long long latency_count(const char *name);

#endif
