// SPDX-License-Identifier: GPL-2.0
/* What only dsmfs has: placement, eviction, page states, memory that adds up. */
#include <sys/ioctl.h>

#include "shared.h"
#include "uapi/dsm.h"

static uint32_t home_of(struct __test_metadata *_metadata, int fd, uint64_t page)
{
	struct dsm_ioc_page p = { .page = page };

	ASSERT_EQ(0, ioctl(fd, DSM_IOC_PAGE, &p)) TH_LOG("PAGE: %m");
	return p.home;
}

static uint32_t right_of(struct __test_metadata *_metadata, int fd, uint64_t page)
{
	struct dsm_ioc_page p = { .page = page };

	ASSERT_EQ(0, ioctl(fd, DSM_IOC_PAGE, &p)) TH_LOG("PAGE: %m");
	return p.right;
}

static void set_place(struct __test_metadata *_metadata, int fd, struct dsm_ioc_place p)
{
	ASSERT_EQ(0, ioctl(fd, DSM_IOC_SET_PLACE, &p)) TH_LOG("SET_PLACE: %m");
}

DSMFS_TEST(default_homes_agree_and_use_all_nodes)
{
	const int pages = 4096;
	uint32_t seen = 0;
	uint8_t *all;

	shared_open(_metadata, self, 16 * PG);
	all = self->p;
	if (dsm_node == 0)
		ASSERT_EQ(0, ftruncate(self->fd, (off_t)pages * 4096 * PG));
	SYNC();
	for (int i = 0; i < pages; i++) {
		uint32_t home = home_of(_metadata, self->fd, (uint64_t)i * 4095);

		ASSERT_LT(home, dsm_nodes);
		seen |= 1u << home;
		if (dsm_node == 0)
			all[i] = home + 1;
	}
	SYNC();
	for (int i = 0; i < pages; i++)
		ASSERT_EQ(all[i], home_of(_metadata, self->fd, (uint64_t)i * 4095) + 1);
	ASSERT_EQ((1u << dsm_nodes) - 1, seen);
	SYNC();
}

DSMFS_TEST(policies)
{
	struct dsm_ioc_place p = { .start = 50 };

	shared_open(_metadata, self, 0);
	if (dsm_node == 0)
		ASSERT_EQ(0, ftruncate(self->fd, 400 * PG));
	SYNC();
	if (dsm_node == dsm_nodes - 1) {
		set_place(_metadata, self->fd, (struct dsm_ioc_place){ .policy = DSM_PLACE_INTERLEAVE });
		set_place(_metadata, self->fd, (struct dsm_ioc_place){
			.start = 100, .nr = 100, .policy = DSM_PLACE_NODE, .node = dsm_nodes - 1 });
		set_place(_metadata, self->fd, (struct dsm_ioc_place){
			.start = 200, .nr = 100, .policy = DSM_PLACE_BLOCK, .unit = 10 });
	}
	SYNC();
	for (int i = 0; i < 99; i++)
		ASSERT_EQ((home_of(_metadata, self->fd, i) + 1) % dsm_nodes,
			  home_of(_metadata, self->fd, i + 1));
	for (int i = 100; i < 200; i++)
		ASSERT_EQ(dsm_nodes - 1, home_of(_metadata, self->fd, i));
	for (int i = 200; i < 300; i++)
		ASSERT_EQ(home_of(_metadata, self->fd, i / 10 * 10), home_of(_metadata, self->fd, i));
	for (int i = 200; i < 290; i += 10)
		ASSERT_EQ((home_of(_metadata, self->fd, i) + 1) % dsm_nodes,
			  home_of(_metadata, self->fd, i + 10));
	ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_GET_PLACE, &p)) TH_LOG("%m");
	ASSERT_EQ(DSM_PLACE_INTERLEAVE, p.policy);
	ASSERT_EQ(0, p.start);
	ASSERT_EQ(100, p.nr);
	p.start = 150;
	ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_GET_PLACE, &p));
	ASSERT_EQ(DSM_PLACE_NODE, p.policy);
	ASSERT_EQ(dsm_nodes - 1, p.node);
	ASSERT_EQ(100, p.start);
	SYNC();
	/* The data is right with all of them. */
	self->p = mmap(NULL, 400 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	for (int i = dsm_node; i < 400; i += dsm_nodes)
		pattern_fill(self->p + i * PG, PG, i);
	SYNC();
	for (int i = 0; i < 400; i++)
		ASSERT_EQ(-1, pattern_check(self->p + i * PG, PG, i));
	SYNC();
}

DSMFS_TEST(bad_policies)
{
	struct dsm_ioc_place bad[] = {
		{ .policy = 3 }, { .policy = ~0u },
		{ .policy = DSM_PLACE_NODE, .node = dsm_nodes },
		{ .policy = DSM_PLACE_NODE, .node = ~0u },
		{ .policy = DSM_PLACE_BLOCK, .unit = 0 },
		{ .policy = DSM_PLACE_INTERLEAVE, .start = ~0ull, .nr = 2 },
	};
	struct dsm_ioc_place p = { .policy = DSM_PLACE_INTERLEAVE };
	int ro;

	shared_open(_metadata, self, 4 * PG);
	if (dsm_node == 0) {
		for (int i = 0; i < ARRAY_SIZE(bad); i++) {
			ASSERT_EQ(-1, ioctl(self->fd, DSM_IOC_SET_PLACE, &bad[i])) TH_LOG("entry %d", i);
			ASSERT_EQ(EINVAL, errno) TH_LOG("entry %d: %m", i);
		}
		ASSERT_EQ(-1, ioctl(self->fd, DSM_IOC_SET_PLACE, (void *)8));
		ASSERT_EQ(EFAULT, errno);
		ASSERT_EQ(-1, ioctl(self->fd, _IO(DSM_IOC_MAGIC, 99)));
		ASSERT_EQ(ENOTTY, errno);
		ro = open(self->path, O_RDONLY);
		ASSERT_EQ(-1, ioctl(ro, DSM_IOC_SET_PLACE, &p));
		ASSERT_TRUE(errno == EBADF || errno == EPERM || errno == EACCES) TH_LOG("%m");
		close(ro);
		self->p[PG] = 1;
		ASSERT_EQ(-1, ioctl(self->fd, DSM_IOC_SET_PLACE, &p));
		ASSERT_EQ(EBUSY, errno);
	}
	SYNC();
}

/* A page that is touched while its home is chosen has one home, and one content. */
DSMFS_TEST(placed_while_touched)
{
	const int rounds = 16, pages = 8;
	int placed = 0;

	for (int i = 0; i < rounds; i++) {
		struct dsm_ioc_place p = { .policy = DSM_PLACE_NODE, .node = dsm_nodes - 1 };

		shared_open(_metadata, self, pages * PG);
		pause_us(now_us() % (dsm_node ? 20000 : 10000));
		if (dsm_node == 0) {
			bool done = !ioctl(self->fd, DSM_IOC_SET_PLACE, &p);

			ASSERT_TRUE(done || errno == EBUSY) TH_LOG("SET_PLACE: %m");
			placed += done;
		} else {
			for (int k = dsm_node - 1; k < pages; k += dsm_nodes - 1)
				self->p[k * PG] = i + 1;
		}
		SYNC();
		for (int k = 0; k < pages; k++) {
			ASSERT_EQ(i + 1, self->p[k * PG]) TH_LOG("round %d page %d", i, k);
			self->p[k * PG + 1 + dsm_node] = home_of(_metadata, self->fd, k) + 1;
		}
		SYNC();
		for (int k = 0; k < pages; k++) {
			int home = home_of(_metadata, self->fd, k) + 1;

			for (int n = 0; n < dsm_nodes; n++)
				ASSERT_EQ(home, self->p[k * PG + 1 + n]);
		}
		SYNC();
		ASSERT_EQ(0, munmap(self->p, pages * PG));
		close(self->fd);
	}
	if (dsm_node == 0)
		TH_LOG("placed in %d of %d rounds, touched before in the others", placed, rounds);
}

DSMFS_TEST(rights_move)
{
	shared_open(_metadata, self, PG);
	if (dsm_node == 0)
		self->p[0] = 1;
	SYNC();
	ASSERT_EQ(dsm_node == 0 ? 2 : 0, right_of(_metadata, self->fd, 0));
	SYNC();
	ASSERT_EQ(1, self->p[0]);
	SYNC();
	/* Reads replicate. */
	ASSERT_EQ(1, right_of(_metadata, self->fd, 0));
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		self->p[0] = 2;
	SYNC();
	ASSERT_EQ(dsm_node == dsm_nodes - 1 ? 2 : 0, right_of(_metadata, self->fd, 0));
	SYNC();
}

DSMFS_TEST(evict_keeps_contents)
{
	const int pages = 64;
	struct dsm_ioc_range r = { 0, pages };
	long long pushed = stat_get("push_received"), answered = latency_count("evict");
	int kept = 0;

	shared_open(_metadata, self, pages * PG);
	ASSERT_EQ(0, knob_set("evict_timeout_ms", dsm_patient(100)));
	for (int w = 0; w < dsm_nodes; w++) {
		if (w == dsm_node) {
			for (int i = 0; i < pages; i++)
				pattern_fill(self->p + i * PG, PG, w * 100 + i);
			ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_EVICT, &r)) TH_LOG("EVICT: %m");
			/* What is homed elsewhere is gone from here. */
			for (int i = 0; i < pages; i++)
				kept += right_of(_metadata, self->fd, i) &&
					home_of(_metadata, self->fd, i) != dsm_node;
			ASSERT_EQ(0, kept);
		}
		SYNC();
		for (int i = 0; i < pages; i++)
			ASSERT_EQ(-1, pattern_check(self->p + i * PG, PG, w * 100 + i));
		SYNC();
	}
	if (dsm_node == home_of(_metadata, self->fd, 0))
		ASSERT_LT(pushed, stat_get("push_received"));
	ASSERT_LT(answered, latency_count("evict"));
	/* Shared copies everywhere, all evicted at once: some may have to stay. */
	ASSERT_TRUE(!ioctl(self->fd, DSM_IOC_EVICT, &r) || errno == EBUSY) TH_LOG("EVICT: %m");
	for (int i = 0; i < pages; i++)
		ASSERT_EQ(-1, pattern_check(self->p + i * PG, PG, (dsm_nodes - 1) * 100 + i));
	SYNC();
}

DSMFS_TEST(prefetch_call)
{
	struct dsm_ioc_range r = { 0, 32 };
	uint64_t end;

	shared_open(_metadata, self, 32 * PG);
	if (dsm_node == 0)
		for (int i = 0; i < 32; i++)
			pattern_fill(self->p + i * PG, PG, i);
	SYNC();
	if (dsm_node == 1) {
		ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_PREFETCH, &r)) TH_LOG("PREFETCH: %m");
		for (end = now_us() + dsm_patient(5000000); right_of(_metadata, self->fd, 31) == 0;)
			ASSERT_GT(end, now_us()) TH_LOG("page 31 never came");
	}
	SYNC();
	for (int i = 0; i < 32; i++)
		ASSERT_EQ(-1, pattern_check(self->p + i * PG, PG, i));
	r.start = ~0ull;
	ioctl(self->fd, DSM_IOC_PREFETCH, &r);
	r = (struct dsm_ioc_range){ 0, ~0ull };
	ioctl(self->fd, DSM_IOC_EVICT, &r);
	SYNC();
	ASSERT_EQ(-1, pattern_check(self->p, PG, 0));
	SYNC();
}

/* It ends where there is no more room, and the file is gone at once. */
DSMFS_TEST(prefetch_of_a_huge_hole)
{
	struct dsm_ioc_range r = { 0, ~0ull };
	long old = knob_get("memory_limit_mb");
	uint64_t start = now_us();

	shared_open(_metadata, self, 0);
	if (dsm_node == 0) {
		ASSERT_EQ(0, knob_set("memory_limit_mb", 4));
		ASSERT_EQ(0, ftruncate(self->fd, 1ll << 52)) TH_LOG("%m");
		ASSERT_EQ(0, ioctl(self->fd, DSM_IOC_PREFETCH, &r)) TH_LOG("PREFETCH: %m");
		ASSERT_EQ(0, ftruncate(self->fd, 0)) TH_LOG("%m");
		ASSERT_GT(dsm_patient(20000000), now_us() - start);
		ASSERT_EQ(0, knob_set("memory_limit_mb", old));
	}
	SYNC();
}

static long resident_mb(void)
{
	long long sent = stat_get("page_sent");

	return sent < 0 ? sent : sent / 256;
}

/* Node 0 writes more than it may keep; all of it is there. */
DSMFS_TEST(memory_adds_up)
{
	const unsigned long limit_mb = dsm_scale(8), pages = 3 * limit_mb * 256 / 2;
	long old = knob_get("memory_limit_mb");
	unsigned long kept = 0;

	shared_open(_metadata, self, pages * PG);
	if (dsm_node == 0) {
		ASSERT_EQ(0, knob_set("memory_limit_mb", limit_mb));
		for (unsigned long i = 0; i < pages; i++) {
			*(uint64_t *)(self->p + i * PG) = i + 1;
			*(uint64_t *)(self->p + i * PG + PG - 8) = ~i;
		}
		pause_us(1000000);
		for (unsigned long i = 0; i < pages; i++)
			kept += right_of(_metadata, self->fd, i) != 0;
		TH_LOG("%lu of %lu pages are here, the limit is %lu; %ld MiB were sent", kept, pages,
		       limit_mb * 256, resident_mb());
		ASSERT_LE(kept, limit_mb * 256 * 5 / 4);
	}
	SYNC();
	for (unsigned long i = dsm_node; i < pages; i += dsm_nodes) {
		ASSERT_EQ(i + 1, *(uint64_t *)(self->p + i * PG));
		ASSERT_EQ(~i, *(uint64_t *)(self->p + i * PG + PG - 8));
	}
	SYNC();
	if (dsm_node == 0) {
		for (unsigned long i = 0; i < pages; i++)
			ASSERT_EQ(i + 1, *(uint64_t *)(self->p + i * PG));
		ASSERT_EQ(0, knob_set("memory_limit_mb", old));
	}
	SYNC();
}

DSMFS_TEST(knobs_refuse_nonsense)
{
	static const char *const bad[] = { "", "x", "-1", "99999999999999999999", "1x", "4294967296" };
	static const char *const knob[] = { "hold_us", "prefetch_pages", "fault_timeout_ms" };
	char path[128];

	for (int k = 0; k < ARRAY_SIZE(knob); k++) {
		long old = knob_get(knob[k]);

		ASSERT_LE(0, old);
		snprintf(path, sizeof(path), MNT_KNOBS "%s", knob[k]);
		for (int i = 1; i < ARRAY_SIZE(bad); i++) {
			ASSERT_GT(0, write_file(path, bad[i])) TH_LOG("%s: '%s'", knob[k], bad[i]);
			ASSERT_EQ(old, knob_get(knob[k]));
		}
	}
	ASSERT_EQ(-EINVAL, knob_set("prefetch_pages", 257));
	ASSERT_EQ(-EINVAL, knob_set("hold_us", 1000001));
	ASSERT_EQ(-EINVAL, knob_set("fault_timeout_ms", 99));
	SYNC();
}

TEST_HARNESS_MAIN
