/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of nearly all tests: a file that every node has open and mapped. */
#ifndef DSM_SELFTEST_SHARED_H
#define DSM_SELFTEST_SHARED_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"

/* What bounds a test is fixed when it is compiled, for the stock kernel. */
#define alarm(seconds)	(alarm)(dsm_patient(seconds))
#include <kselftest_harness.h>
#undef alarm

#define BARRIER_S	25	/* between steps of a test */
#define START_S		60	/* a peer may still wait in the test before */
#define TEST_S		90	/* of one test, in all */

FIXTURE(shared) {
	char path[256];
	int fd;
	uint8_t *p;
	size_t len;
	unsigned int seq;
};

/* All nodes come here. */
#define SYNC()	SYNC_WITHIN(BARRIER_S)
#define SYNC_WITHIN(seconds)						\
	ASSERT_EQ(0, shared_sync(_metadata, self, seconds))		\
		TH_LOG("node %d: a peer did not come to barrier %u",	\
		       dsm_node, self->seq - 1)

static inline int shared_sync(struct __test_metadata *t,
			      struct _test_data_shared *self, int timeout_s)
{
	char name[256];

	snprintf(name, sizeof(name), "%s.%s.%u", program_invocation_short_name,
		 t->name, self->seq++);
	return dsm_barrier_named(name, timeout_s);
}

FIXTURE_SETUP(shared)
{
	self->fd = -1;
	snprintf(self->path, sizeof(self->path), "%s/%s-%s", dsm_mnt,
		 program_invocation_short_name, _metadata->name);
	ASSERT_EQ(0, shared_sync(_metadata, self, START_S))
		TH_LOG("node %d: a peer did not come to the start", dsm_node);
}

FIXTURE_TEARDOWN(shared)
{
	if (dsm_node == 0)
		unlink(self->path);
}

/* Node 0 makes the file, everyone opens and maps it. */
static inline void shared_open(struct __test_metadata *_metadata,
			       struct _test_data_shared *self, size_t len)
{
	if (dsm_node == 0) {
		unlink(self->path);
		self->fd = open(self->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ASSERT_LE(0, self->fd) TH_LOG("%s: %m", self->path);
		ASSERT_EQ(0, ftruncate(self->fd, len)) TH_LOG("ftruncate: %m");
	}
	SYNC();
	if (dsm_node)
		self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd) TH_LOG("%s: %m", self->path);
	self->len = len;
	if (!len)
		return;
	self->p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p) TH_LOG("mmap: %m");
	SYNC();
}

/* "dir/test" + suffix, for tests that need another file. */
static inline const char *shared_name(struct _test_data_shared *self, const char *suffix,
				      char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", self->path, suffix);
	return buf;
}

#define SHARED_TEST(name) TEST_F_TIMEOUT(shared, name, TEST_S)

/* These have nothing to test on a tmpfs. */
#define DSMFS_TEST(name)					\
	static void name##_on_dsmfs(struct __test_metadata *_metadata, \
				    struct _test_data_shared *self); \
	SHARED_TEST(name)					\
	{							\
		if (!dsm_real)					\
			SKIP(_exit(KSFT_SKIP), "needs dsmfs");	\
		name##_on_dsmfs(_metadata, self);		\
	}							\
	static void name##_on_dsmfs(struct __test_metadata *_metadata, \
				    struct _test_data_shared *self)

#endif
