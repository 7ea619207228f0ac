// SPDX-License-Identifier: GPL-2.0
/* dsmfs as a file system: contents, through every way to reach them. */
#include <dirent.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "shared.h"

/* Whoever's turn it is; all turns make each node writer once. */
#define for_each_turn(w) for (int w = 0; w < dsm_nodes; w++)

/* Return: offset of the first byte in @from .. @to - 1 that is not 0, or @to. */
static size_t first_nonzero(const uint8_t *p, size_t from, size_t to)
{
	while (from < to && !p[from])
		from++;
	return from;
}

SHARED_TEST(mmap_write_is_seen)
{
	const size_t pages = 8;

	shared_open(_metadata, self, pages * PG);
	for_each_turn(w) {
		if (w == dsm_node)
			for (size_t i = 0; i < pages; i++)
				pattern_fill(self->p + i * PG, PG, w * 1000 + i);
		SYNC();
		for (size_t i = 0; i < pages; i++) {
			ASSERT_EQ(-1, pattern_check(self->p + i * PG, PG, w * 1000 + i))
				TH_LOG("node %d: page %zu of writer %d", dsm_node, i, w);
		}
		SYNC();
	}
}

SHARED_TEST(fresh_file_is_zero)
{
	static const uint8_t zero[PG];

	shared_open(_metadata, self, 16 * PG);
	for (size_t i = 0; i < 16; i++)
		ASSERT_EQ(0, memcmp(self->p + i * PG, zero, PG));
	SYNC();
}

SHARED_TEST(write_and_mmap_agree)
{
	uint8_t buf[3 * PG];
	const off_t at = PG / 2 + 3;

	shared_open(_metadata, self, 8 * PG);
	for_each_turn(w) {
		if (w == dsm_node) {
			pattern_fill(buf, sizeof(buf), w);
			ASSERT_EQ(sizeof(buf), pwrite(self->fd, buf, sizeof(buf), at));
		}
		SYNC();
		ASSERT_EQ(-1, pattern_check(self->p + at, sizeof(buf), w));
		memset(buf, 0, sizeof(buf));
		ASSERT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), at));
		ASSERT_EQ(-1, pattern_check(buf, sizeof(buf), w));
		SYNC();
		if (w == dsm_node)
			pattern_fill(self->p + at, sizeof(buf), w + 77);
		SYNC();
		ASSERT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), at));
		ASSERT_EQ(-1, pattern_check(buf, sizeof(buf), w + 77));
		SYNC();
	}
}

SHARED_TEST(read_write_move_the_offset)
{
	uint8_t buf[1000];

	shared_open(_metadata, self, 0);
	if (dsm_node == 0) {
		for (int i = 0; i < 20; i++) {
			pattern_fill(buf, sizeof(buf), i);
			ASSERT_EQ(sizeof(buf), write(self->fd, buf, sizeof(buf)));
		}
		ASSERT_EQ(20 * sizeof(buf), lseek(self->fd, 0, SEEK_CUR));
	}
	SYNC();
	ASSERT_EQ(20 * sizeof(buf), lseek(self->fd, 0, SEEK_END));
	ASSERT_EQ(0, read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(sizeof(buf), read(self->fd, buf, sizeof(buf)));
		ASSERT_EQ(-1, pattern_check(buf, sizeof(buf), i));
	}
	ASSERT_EQ(0, read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(-1, lseek(self->fd, -1, SEEK_SET));
	ASSERT_EQ(EINVAL, errno);
	SYNC();
}

SHARED_TEST(truncate_shrinks_everywhere)
{
	uint8_t v;

	shared_open(_metadata, self, 8 * PG);
	for_each_turn(w) {
		if (w == dsm_node)
			memset(self->p, 0x55, 8 * PG);
		SYNC();
		ASSERT_EQ(0x55, self->p[7 * PG]);
		SYNC();
		if (w == dsm_node)
			ASSERT_EQ(0, ftruncate(self->fd, 2 * PG + 100));
		SYNC();
		/* Page 2 is the last one, its tail is zero; page 3 is gone. */
		ASSERT_EQ(0, probe_read(self->p + 2 * PG + 99, &v));
		ASSERT_EQ(0x55, v);
		ASSERT_EQ(0, probe_read(self->p + 2 * PG + 100, &v));
		ASSERT_EQ(0, v);
		ASSERT_EQ(SIGBUS, probe_read(self->p + 3 * PG, &v));
		ASSERT_EQ(SIGBUS, probe_write(self->p + 7 * PG, 1));
		SYNC();
		if (w == dsm_node)
			ASSERT_EQ(0, ftruncate(self->fd, 8 * PG));
		SYNC();
		ASSERT_EQ(8 * PG, first_nonzero(self->p, 2 * PG + 100, 8 * PG))
			TH_LOG("node %d", dsm_node);
		ASSERT_EQ(0x55, self->p[2 * PG]);
		SYNC();
	}
}

SHARED_TEST(truncate_to_zero_and_back)
{
	shared_open(_metadata, self, 4 * PG);
	for (unsigned long i = 0; i < dsm_scale(10); i++) {
		bool mine = (int)(i % dsm_nodes) == dsm_node;

		self->p[dsm_node] = 1 + i;
		SYNC();
		if (mine) {
			ASSERT_EQ(0, ftruncate(self->fd, 0));
			ASSERT_EQ(SIGBUS, probe_read(self->p, NULL));
			ASSERT_EQ(0, ftruncate(self->fd, 4 * PG));
		}
		SYNC();
		ASSERT_EQ(dsm_nodes, first_nonzero(self->p, 0, dsm_nodes))
			TH_LOG("round %lu, node %d", i, dsm_node);
		SYNC();
	}
}

SHARED_TEST(truncate_path_and_open_trunc)
{
	struct stat st;
	int fd;

	shared_open(_metadata, self, 4 * PG);
	self->p[PG] = 1;
	SYNC();
	if (dsm_node == 0)
		ASSERT_EQ(0, truncate(self->path, PG));
	SYNC();
	ASSERT_EQ(SIGBUS, probe_read(self->p + PG, NULL));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(PG, st.st_size);
	SYNC();
	if (dsm_node == dsm_nodes - 1) {
		fd = open(self->path, O_RDWR | O_TRUNC);
		ASSERT_LE(0, fd);
		close(fd);
	}
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, st.st_size);
	ASSERT_EQ(SIGBUS, probe_write(self->p, 1));
	SYNC();
}

SHARED_TEST(private_mapping_is_isolated)
{
	uint8_t *q;

	shared_open(_metadata, self, 2 * PG);
	if (dsm_node == 0)
		memset(self->p, 7, 2 * PG);
	SYNC();
	q = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(7, q[0]);
	q[0] = 100 + dsm_node;
	SYNC();
	ASSERT_EQ(7, self->p[0]);
	ASSERT_EQ(100 + dsm_node, q[0]);
	SYNC();
	if (dsm_node == 0)
		self->p[0] = self->p[PG] = 8;
	SYNC();
	/* The copied page stays as it is, the other one is still the file's. */
	ASSERT_EQ(100 + dsm_node, q[0]);
	ASSERT_EQ(8, q[PG]);
	ASSERT_EQ(8, self->p[0]);
	SYNC();
}

SHARED_TEST(splice_both_ways)
{
	uint8_t buf[4 * PG];
	int pipefd[2];
	loff_t off = 0;
	ssize_t n, done;

	shared_open(_metadata, self, 8 * PG);
	ASSERT_EQ(0, pipe(pipefd));
	for_each_turn(w) {
		if (w == dsm_node) {
			pattern_fill(buf, sizeof(buf), w);
			ASSERT_EQ(sizeof(buf), write(pipefd[1], buf, sizeof(buf)));
			off = PG;
			for (done = 0; done < sizeof(buf); done += n) {
				n = splice(pipefd[0], NULL, self->fd, &off, sizeof(buf) - done, 0);
				ASSERT_LT(0, n) TH_LOG("splice in: %m");
			}
		}
		SYNC();
		ASSERT_EQ(-1, pattern_check(self->p + PG, sizeof(buf), w));
		off = PG;
		memset(buf, 0, sizeof(buf));
		n = splice(self->fd, &off, pipefd[1], NULL, sizeof(buf), 0);
		ASSERT_LT(0, n) TH_LOG("splice out: %m");
		for (done = 0; done < n;) {
			ssize_t got = read(pipefd[0], buf + done, n - done);

			ASSERT_LT(0, got);
			done += got;
		}
		for (done = 0; done < n; done++)
			ASSERT_EQ(self->p[PG + done], buf[done]);
		SYNC();
	}
}

SHARED_TEST(sendfile_out)
{
	uint8_t buf[4 * PG];
	int out = memfd_create("out", 0);
	off_t off = 0;
	ssize_t n;

	shared_open(_metadata, self, 4 * PG);
	ASSERT_LE(0, out);
	if (dsm_node == 0)
		pattern_fill(self->p, 4 * PG, 5);
	SYNC();
	while (off < 4 * PG) {
		n = sendfile(out, self->fd, &off, 4 * PG - off);
		ASSERT_LT(0, n) TH_LOG("sendfile: %m");
	}
	ASSERT_EQ(4 * PG, pread(out, buf, 4 * PG, 0));
	ASSERT_EQ(-1, pattern_check(buf, 4 * PG, 5));
	SYNC();
}

SHARED_TEST(copy_file_range_in)
{
	int in = memfd_create("in", 0);
	uint8_t buf[PG];
	loff_t src = 0, dst = PG;
	ssize_t n;

	shared_open(_metadata, self, 4 * PG);
	ASSERT_LE(0, in);
	pattern_fill(buf, PG, 9);
	ASSERT_EQ(PG, write(in, buf, PG));
	if (dsm_node == 0) {
		n = copy_file_range(in, &src, self->fd, &dst, PG, 0);
		if (n < 0 && errno == EXDEV) {
			src = 0;
			lseek(self->fd, PG, SEEK_SET);
			n = sendfile(self->fd, in, &src, PG);
		}
		ASSERT_EQ(PG, n) TH_LOG("%m");
	}
	SYNC();
	ASSERT_EQ(-1, pattern_check(self->p + PG, PG, 9));
	SYNC();
}

SHARED_TEST(punch_hole)
{
	const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	struct stat st;

	shared_open(_metadata, self, 8 * PG);
	for_each_turn(w) {
		if (w == dsm_node)
			memset(self->p, 0x66, 8 * PG);
		SYNC();
		for (size_t i = 0; i < 8; i++)
			ASSERT_EQ(0x66, self->p[i * PG]);
		SYNC();
		/* From the middle of page 1 to the middle of page 5. */
		if (w == dsm_node)
			ASSERT_EQ(0, fallocate(self->fd, how, PG + 10, 4 * PG)) TH_LOG("%m");
		SYNC();
		for (size_t i = 0; i < 8 * PG; i++) {
			ASSERT_EQ(i >= PG + 10 && i < 5 * PG + 10 ? 0 : 0x66, self->p[i])
				TH_LOG("node %d: byte %zu", dsm_node, i);
		}
		ASSERT_EQ(0, fstat(self->fd, &st));
		ASSERT_EQ(8 * PG, st.st_size);
		SYNC();
		self->p[2 * PG + dsm_node] = 1;
		SYNC();
		for (int n = 0; n < dsm_nodes; n++)
			ASSERT_EQ(1, self->p[2 * PG + n]);
		SYNC();
	}
}

SHARED_TEST(fallocate_modes)
{
	struct stat st;
	int ret;

	shared_open(_metadata, self, PG);
	if (dsm_node == 0) {
		/* Allowed to be unsupported, not allowed to lie. */
		ret = fallocate(self->fd, 0, 0, 4 * PG);
		ASSERT_TRUE(ret == 0 || errno == EOPNOTSUPP) TH_LOG("%m");
		ASSERT_EQ(0, fstat(self->fd, &st));
		ASSERT_EQ(ret ? PG : 4 * PG, st.st_size);
		ASSERT_EQ(-1, fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 0, PG));
		ASSERT_TRUE(errno == EOPNOTSUPP || errno == EINVAL) TH_LOG("%m");
		ASSERT_EQ(-1, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE, 0, PG));
		ASSERT_EQ(-1, fallocate(self->fd, 0, -1, PG));
		ASSERT_EQ(EINVAL, errno);
	}
	SYNC();
}

SHARED_TEST(unlink_while_mapped)
{
	struct stat st;

	shared_open(_metadata, self, 2 * PG);
	self->p[dsm_node] = 1 + dsm_node;
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		ASSERT_EQ(0, unlink(self->path));
	SYNC();
	ASSERT_EQ(-1, open(self->path, O_RDWR));
	ASSERT_EQ(ENOENT, errno);
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, st.st_nlink);
	self->p[PG + dsm_node] = 0x10 + dsm_node;
	SYNC();
	for (int n = 0; n < dsm_nodes; n++) {
		ASSERT_EQ(1 + n, self->p[n]);
		ASSERT_EQ(0x10 + n, self->p[PG + n]);
	}
	SYNC();
	/* The mapping alone holds the file. */
	close(self->fd);
	SYNC();
	self->p[PG + 100 + dsm_node] = 3;
	SYNC();
	for (int n = 0; n < dsm_nodes; n++)
		ASSERT_EQ(3, self->p[PG + 100 + n]);
	SYNC();
}

SHARED_TEST(unlink_and_create_again)
{
	char buf[8];
	int fd;

	shared_open(_metadata, self, PG);
	self->p[0] = 0xaa;
	SYNC();
	if (dsm_node == 0)
		ASSERT_EQ(0, unlink(self->path));
	SYNC();
	if (dsm_node == dsm_nodes - 1) {
		fd = open(self->path, O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd);
		ASSERT_EQ(3, write(fd, "new", 3));
		close(fd);
	}
	SYNC();
	fd = open(self->path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(3, read(fd, buf, sizeof(buf)));
	ASSERT_EQ(0, memcmp(buf, "new", 3));
	close(fd);
	ASSERT_EQ(0xaa, self->p[0]);
	SYNC();
}

SHARED_TEST(append_loses_nothing)
{
	const unsigned long each = dsm_scale(100);
	struct rec { uint32_t node, nr; uint64_t tag; } *r, mine;
	uint32_t next[16] = { 0 };
	struct stat st;
	int fd;

	shared_open(_metadata, self, 0);
	fd = open(self->path, O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	SYNC();
	for (unsigned long i = 0; i < each; i++) {
		mine = (struct rec){ dsm_node, i, ((uint64_t)dsm_node << 32 | i) * 0x9e3779b97f4a7c15ull };
		ASSERT_EQ(sizeof(mine), write(fd, &mine, sizeof(mine))) TH_LOG("%m");
	}
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(dsm_nodes * each * sizeof(*r), st.st_size);
	r = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, r);
	for (unsigned long i = 0; i < dsm_nodes * each; i++) {
		ASSERT_LT(r[i].node, dsm_nodes);
		ASSERT_EQ(next[r[i].node], r[i].nr) TH_LOG("record %lu of node %u", i, r[i].node);
		ASSERT_EQ(((uint64_t)r[i].node << 32 | r[i].nr) * 0x9e3779b97f4a7c15ull, r[i].tag);
		next[r[i].node]++;
	}
	SYNC();
}

SHARED_TEST(write_extends)
{
	struct stat st;
	char c;

	shared_open(_metadata, self, 0);
	for_each_turn(w) {
		const off_t at = (w + 1) * 3 * PG + 17;

		if (w == dsm_node)
			ASSERT_EQ(1, pwrite(self->fd, "x", 1, at));
		SYNC();
		ASSERT_EQ(0, fstat(self->fd, &st));
		ASSERT_EQ(at + 1, st.st_size);
		ASSERT_EQ(1, pread(self->fd, &c, 1, at));
		ASSERT_EQ('x', c);
		ASSERT_EQ(1, pread(self->fd, &c, 1, at - 1));
		ASSERT_EQ(0, c);
		ASSERT_EQ(0, pread(self->fd, &c, 1, at + 1));
		SYNC();
	}
}

SHARED_TEST(fsync_and_msync)
{
	shared_open(_metadata, self, 4 * PG);
	self->p[dsm_node * 64] = 1;
	ASSERT_EQ(0, fsync(self->fd)) TH_LOG("%m");
	ASSERT_EQ(0, fdatasync(self->fd)) TH_LOG("%m");
	ASSERT_EQ(0, msync(self->p, 4 * PG, MS_SYNC)) TH_LOG("%m");
	ASSERT_EQ(0, msync(self->p, 4 * PG, MS_ASYNC)) TH_LOG("%m");
	ASSERT_EQ(0, msync(self->p, 4 * PG, MS_INVALIDATE)) TH_LOG("%m");
	ASSERT_EQ(0, sync_file_range(self->fd, 0, 4 * PG, SYNC_FILE_RANGE_WRITE)) TH_LOG("%m");
	SYNC();
	for (int n = 0; n < dsm_nodes; n++)
		ASSERT_EQ(1, self->p[n * 64]);
	SYNC();
}

SHARED_TEST(statfs_is_sane)
{
	struct statfs s;

	shared_open(_metadata, self, PG);
	ASSERT_EQ(0, statfs(dsm_mnt, &s));
	ASSERT_EQ(PG, s.f_bsize);
	ASSERT_LT(0, s.f_blocks);
	ASSERT_LE(s.f_bfree, s.f_blocks);
	ASSERT_LE(s.f_bavail, s.f_blocks);
	ASSERT_LE(255, s.f_namelen);
	ASSERT_EQ(0, fstatfs(self->fd, &s));
	SYNC();
}

SHARED_TEST(readonly_descriptors)
{
	int fd;
	void *q;

	shared_open(_metadata, self, PG);
	fd = open(self->path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-1, write(fd, "x", 1));
	ASSERT_EQ(EBADF, errno);
	ASSERT_EQ(-1, ftruncate(fd, 0));
	q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_EQ(MAP_FAILED, q);
	ASSERT_EQ(EACCES, errno);
	q = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(SIGSEGV, probe_write(q, 1));
	ASSERT_EQ(-1, mprotect(q, PG, PROT_READ | PROT_WRITE));
	ASSERT_EQ(EACCES, errno);
	SYNC();
}

/* Whoever must not wait gets nothing, and leaves nothing behind for the next try. */
DSMFS_TEST(nowait_does_not_extend)
{
	const struct iovec iov = { "abc", 3 };
	struct stat st;
	int fd;

	shared_open(_metadata, self, PG);
	/* Without O_DIRECT the kernel says EINVAL by itself. */
	fd = open(self->path, O_WRONLY | O_DIRECT);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-1, pwritev2(fd, &iov, 1, PG - 1, RWF_NOWAIT));
	ASSERT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, close(fd));
	fd = open(self->path, O_WRONLY | O_DIRECT | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-1, pwritev2(fd, &iov, 1, 0, RWF_NOWAIT));
	ASSERT_EQ(EAGAIN, errno);
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(PG, st.st_size);
	SYNC();
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(0, close(fd));
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(PG + 3 * dsm_nodes, st.st_size);
	SYNC();
}

SHARED_TEST(big_offsets)
{
	const off_t at = 1ll << 40;
	uint8_t *q;
	char c = 0;

	/* A terabyte of holes costs nothing; the index is 64 bits all the way. */
	shared_open(_metadata, self, 0);
	if (dsm_node == 0)
		ASSERT_EQ(0, ftruncate(self->fd, at + 2 * PG)) TH_LOG("%m");
	SYNC();
	q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, at);
	ASSERT_NE(MAP_FAILED, q) TH_LOG("%m");
	q[dsm_node] = 'a' + dsm_node;
	SYNC();
	for (int n = 0; n < dsm_nodes; n++) {
		ASSERT_EQ(1, pread(self->fd, &c, 1, at + n));
		ASSERT_EQ('a' + n, c);
	}
	ASSERT_EQ(1, pread(self->fd, &c, 1, 0));
	ASSERT_EQ(0, c);
	SYNC();
}

TEST_HARNESS_MAIN
