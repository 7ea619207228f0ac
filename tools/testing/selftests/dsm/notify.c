// SPDX-License-Identifier: GPL-2.0
/* Remote notification: an eventfd here, one on another node. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "shared.h"
#include "uapi/dsm.h"

#define WAIT_MS	10000
#define QUIET_MS 300	/* what has not come by then will not */

static int notify(int file, int fd, uint64_t key, int node, uint32_t flags)
{
	struct dsm_ioc_notify n = { .fd = fd, .key = key, .node = node, .flags = flags };

	return ioctl(file, DSM_IOC_NOTIFY, &n);
}

static int listen_on(int file, int fd, uint64_t key)
{
	return notify(file, fd, key, 0, 0);
}

static int send_to(int file, int fd, uint64_t key, int node)
{
	return notify(file, fd, key, node, DSM_NOTIFY_SEND);
}

static bool comes(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, dsm_patient(timeout_ms)) == 1 && !eventfd_read(fd, &count) && count;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

DSMFS_TEST(there_and_back)
{
	const int n = dsm_scale(300);
	uint64_t *us = calloc(n, sizeof(*us));
	int in = eventfd(0, EFD_CLOEXEC), out = eventfd(0, EFD_CLOEXEC);

	shared_open(_metadata, self, PG);
	ASSERT_LE(0, listen_on(self->fd, in, dsm_node)) TH_LOG("%m");
	SYNC();
	if (dsm_node < 2) {
		ASSERT_LE(0, send_to(self->fd, out, !dsm_node, !dsm_node)) TH_LOG("%m");
		for (int i = 0; i < n; i++) {
			us[i] = now_us();
			if (!dsm_node)
				eventfd_write(out, 1);
			ASSERT_TRUE(comes(in, WAIT_MS)) TH_LOG("round %d", i);
			if (dsm_node)
				eventfd_write(out, 1);
			us[i] = now_us() - us[i];
		}
	}
	SYNC();
	qsort(us, n, sizeof(*us), compare);
	if (!dsm_node)
		ksft_print_msg("there and back: %d, p50 %llu p90 %llu p99 %llu us\n", n,
			       (unsigned long long)us[n / 2], (unsigned long long)us[n * 9 / 10],
			       (unsigned long long)us[n * 99 / 100]);
	free(us);
}

/* Who is woken for the last time has seen all that was written before. */
DSMFS_TEST(several_become_one_and_none_is_forgotten)
{
	const uint64_t n = dsm_scale(2000);
	uint64_t seen = 0, wakes = 0, rng = rnd_seed();
	_Atomic uint64_t *word;
	int fd = eventfd(0, EFD_CLOEXEC);

	shared_open(_metadata, self, PG);
	word = (void *)self->p;
	if (dsm_node == 1)
		ASSERT_LE(0, listen_on(self->fd, fd, 7)) TH_LOG("%m");
	SYNC();
	if (dsm_node == 0) {
		ASSERT_LE(0, send_to(self->fd, fd, 7, 1)) TH_LOG("%m");
		for (uint64_t i = 1; i <= n; i++) {
			if (rnd(&rng) % 64 == 0) {
				atomic_store(word, i);
				pause_us(rnd(&rng) % 2000);
			}
			if (i == n)
				atomic_store(word, n);
			eventfd_write(fd, 1);
		}
	} else if (dsm_node == 1) {
		while (seen < n) {
			ASSERT_TRUE(comes(fd, WAIT_MS)) TH_LOG("after %llu of %llu, %llu wakes",
				(unsigned long long)seen, (unsigned long long)n,
				(unsigned long long)wakes);
			seen = atomic_load(word);
			wakes++;
		}
		ASSERT_LE(wakes, n);
		ksft_print_msg("%llu signals, %llu wakes\n", (unsigned long long)n,
			       (unsigned long long)wakes);
	}
	SYNC();
}

#define KEYS	64

DSMFS_TEST(keys_do_not_mix)
{
	int in[KEYS], out[KEYS];

	shared_open(_metadata, self, PG);
	for (int k = 0; k < KEYS; k++) {
		in[k] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		out[k] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, listen_on(self->fd, in[k], (uint64_t)k << 40 | k)) TH_LOG("%m");
		ASSERT_LE(0, send_to(self->fd, out[k], (uint64_t)k << 40 | k,
				     (dsm_node + 1) % dsm_nodes)) TH_LOG("%m");
	}
	SYNC();
	for (int k = 0; k < KEYS; k += 2)
		eventfd_write(out[k], 1);
	for (int k = 0; k < KEYS; k += 2) {
		bool came = comes(in[k], WAIT_MS);

		EXPECT_TRUE(came) TH_LOG("key %d", k);
	}
	SYNC();
	pause_us(QUIET_MS * 1000);
	for (int k = 0; k < KEYS; k++) {
		bool came = comes(in[k], 0);

		EXPECT_FALSE(came) TH_LOG("key %d", k);
	}
	SYNC();
}

DSMFS_TEST(what_was_signalled_before_is_sent)
{
	int fd = eventfd(dsm_node == 0, EFD_CLOEXEC);

	shared_open(_metadata, self, PG);
	if (dsm_node == 1)
		ASSERT_LE(0, listen_on(self->fd, fd, 1)) TH_LOG("%m");
	SYNC();
	if (dsm_node == 0)
		ASSERT_LE(0, send_to(self->fd, fd, 1, 1)) TH_LOG("%m");
	EXPECT_TRUE(dsm_node != 1 || comes(fd, WAIT_MS));
	SYNC();
}

DSMFS_TEST(to_itself)
{
	int in = eventfd(0, EFD_CLOEXEC), out = eventfd(0, EFD_CLOEXEC);

	shared_open(_metadata, self, PG);
	ASSERT_LE(0, listen_on(self->fd, in, 3)) TH_LOG("%m");
	ASSERT_LE(0, send_to(self->fd, out, 3, dsm_node)) TH_LOG("%m");
	for (int i = 0; i < 100; i++) {
		eventfd_write(out, 1);
		ASSERT_TRUE(comes(in, WAIT_MS));
	}
	SYNC();
}

/* Signals until the node that is asked has dropped one. Return: whether it has. */
static bool dropped(int out, long long before)
{
	for (int i = 0; i < 100; i++) {
		eventfd_write(out, 1);
		pause_us(20000);
		if (stat_get("notify_nobody") > before)
			return true;
	}
	return false;
}

DSMFS_TEST(an_end_is_an_end)
{
	int in = eventfd(0, EFD_CLOEXEC), out = eventfd(0, EFD_CLOEXEC), a, b;
	long long before;
	pid_t pid;

	shared_open(_metadata, self, PG);
	b = send_to(self->fd, out, 4, dsm_node);
	ASSERT_LE(0, b) TH_LOG("%m");
	before = stat_get("notify_nobody");
	ASSERT_LE(0, before);
	EXPECT_TRUE(dropped(out, before));	/* nobody listens yet */

	a = listen_on(self->fd, in, 4);
	ASSERT_LE(0, a) TH_LOG("%m");
	EXPECT_EQ(-1, listen_on(self->fd, in, 4));
	EXPECT_EQ(EEXIST, errno);
	eventfd_write(out, 1);
	EXPECT_TRUE(comes(in, WAIT_MS));
	close(a);
	before = stat_get("notify_nobody");
	EXPECT_TRUE(dropped(out, before));
	EXPECT_FALSE(comes(in, 0));

	/* A process that dies ends what it had. */
	pid = fork();
	if (!pid)
		_exit(listen_on(self->fd, in, 4) < 0);
	ASSERT_EQ(0, wait_bounded(pid, WAIT_MS));
	a = listen_on(self->fd, in, 4);
	ASSERT_LE(0, a) TH_LOG("%m");
	close(b);
	eventfd_write(out, 1);
	EXPECT_FALSE(comes(in, QUIET_MS));

	/* The eventfd may be closed, the file as well: what is left keeps them. */
	b = send_to(self->fd, out, 4, dsm_node);
	ASSERT_LE(0, b) TH_LOG("%m");
	close(out);
	close(self->fd);
	SYNC();
}

/* What was signalled before a sender ends is sent. */
DSMFS_TEST(the_last_word_arrives)
{
	int fd = eventfd(0, EFD_CLOEXEC), end;
	pid_t pid;

	shared_open(_metadata, self, PG);
	if (dsm_node == 1)
		ASSERT_LE(0, listen_on(self->fd, fd, 9)) TH_LOG("%m");
	for (int i = 0; i < 50; i++) {
		SYNC();
		if (dsm_node == 0) {
			pid = i % 2 ? fork() : 0;
			if (!pid) {
				end = send_to(self->fd, fd, 9, 1);
				eventfd_write(fd, 1);
				close(end);
			}
			if (!pid && i % 2)
				_exit(end < 0);
			ASSERT_LE(0, pid ? 0 : end) TH_LOG("%m");
			if (pid)
				ASSERT_EQ(0, wait_bounded(pid, WAIT_MS));
		}
		ASSERT_TRUE(dsm_node != 1 || comes(fd, WAIT_MS)) TH_LOG("round %d", i);
	}
	SYNC();
}

DSMFS_TEST(fsync_waits_for_the_other_node)
{
	int in = eventfd(0, EFD_CLOEXEC), out = eventfd(0, EFD_CLOEXEC), end;
	_Atomic uint64_t *came;

	shared_open(_metadata, self, PG);
	came = (void *)self->p;
	end = dsm_node == 1 ? listen_on(self->fd, in, 5) : 0;
	ASSERT_LE(0, end) TH_LOG("%m");
	SYNC();
	if (dsm_node == 0) {
		end = send_to(self->fd, out, 5, 1);
		ASSERT_LE(0, end) TH_LOG("%m");
		for (int i = 0; i < 20; i++) {
			eventfd_write(out, 1);
			ASSERT_EQ(0, fsync(end)) TH_LOG("%m");
		}
	}
	EXPECT_EQ(0, fsync(end)) TH_LOG("%m");
	SYNC();
	/* All have come: nothing is waited for. */
	if (dsm_node == 1)
		atomic_store(came, comes(in, 0));
	SYNC();
	EXPECT_EQ(1, atomic_load(came));
}

DSMFS_TEST(what_is_refused)
{
	struct dsm_ioc_notify n = { .fd = eventfd(0, EFD_CLOEXEC) };
	int fd = n.fd, file, ro, wo;

	shared_open(_metadata, self, PG);
	file = self->fd;
	ro = open(self->path, O_RDONLY | O_CLOEXEC);
	wo = open(self->path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);

#define REFUSED(error, call)				\
	do {						\
		EXPECT_EQ(-1, call);			\
		EXPECT_EQ(error, errno);		\
	} while (0)

	REFUSED(EBADF, send_to(ro, fd, 0, 0));
	REFUSED(EBADF, listen_on(wo, fd, 0));
	REFUSED(EBADF, listen_on(file, -1, 0));
	REFUSED(EINVAL, listen_on(file, file, 0));	/* no eventfd */
	REFUSED(EINVAL, send_to(file, fd, 0, dsm_nodes));
	REFUSED(EINVAL, send_to(file, fd, 0, -1));
	REFUSED(EINVAL, notify(file, fd, 0, 1, 0));
	REFUSED(EINVAL, notify(file, fd, 0, 0, 2));
	n.pad = 1;
	REFUSED(EINVAL, ioctl(file, DSM_IOC_NOTIFY, &n));
	REFUSED(EFAULT, ioctl(file, DSM_IOC_NOTIFY, NULL));
	EXPECT_LE(0, send_to(wo, fd, 0, 0));
	EXPECT_LE(0, listen_on(ro, eventfd(0, EFD_CLOEXEC), 0));
	SYNC();
}

TEST_HARNESS_MAIN
