// SPDX-License-Identifier: GPL-2.0
/*
 * Names and attributes: what a call has changed is changed on every node when
 * it returns.
 */
#include <dirent.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "shared.h"

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

/* How many names in the directory begin like @path's last component? */
static int count_names(const char *path)
{
	const char *prefix = strrchr(path, '/') + 1;
	struct dirent *e;
	int n = 0;
	DIR *d = opendir(dsm_mnt);

	if (!d)
		return -1;
	while ((e = readdir(d)))
		n += !strncmp(e->d_name, prefix, strlen(prefix));
	closedir(d);
	return n;
}

SHARED_TEST(changes_are_seen_at_once)
{
	char name[300], other[300];
	struct stat st;
	int fd;

	for (unsigned long i = 0; i < dsm_scale(60); i++) {
		bool mine = (int)(i % dsm_nodes) == dsm_node;
		mode_t mode = i % 3 ? 0640 : 0444;

		snprintf(name, sizeof(name), "%s-%lu", self->path, i);
		snprintf(other, sizeof(other), "%s-%lu-renamed", self->path, i);
		if (mine) {
			fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
			ASSERT_LE(0, fd) TH_LOG("%m");
			ASSERT_EQ(0, ftruncate(fd, i * 1000 + 1));
			ASSERT_EQ(0, fchmod(fd, mode));
			ASSERT_EQ(0, fchown(fd, 1000 + i, 2000 + i));
			close(fd);
		}
		SYNC();
		ASSERT_EQ(0, stat(name, &st)) TH_LOG("round %lu: %m", i);
		ASSERT_EQ(i * 1000 + 1, st.st_size);
		ASSERT_EQ(S_IFREG | mode, st.st_mode);
		ASSERT_EQ(1000 + i, st.st_uid);
		ASSERT_EQ(2000 + i, st.st_gid);
		ASSERT_EQ(1, st.st_nlink);
		SYNC();
		if (mine)
			ASSERT_EQ(0, rename(name, other)) TH_LOG("%m");
		SYNC();
		ASSERT_FALSE(exists(name)) TH_LOG("round %lu", i);
		ASSERT_TRUE(exists(other)) TH_LOG("round %lu", i);
		SYNC();
		if (mine)
			ASSERT_EQ(0, unlink(other));
		SYNC();
		ASSERT_FALSE(exists(other)) TH_LOG("round %lu", i);
	}
}

SHARED_TEST(inode_numbers_agree)
{
	struct stat st;
	ino_t *ino;

	shared_open(_metadata, self, PG);
	ASSERT_EQ(0, fstat(self->fd, &st));
	ino = (ino_t *)self->p;
	ino[dsm_node] = st.st_ino;
	SYNC();
	for (int n = 0; n < dsm_nodes; n++)
		ASSERT_EQ(st.st_ino, ino[n]);
	SYNC();
}

SHARED_TEST(exclusive_create_has_one_winner)
{
	_Atomic uint32_t *winners;
	char name[300];
	int fd;

	shared_open(_metadata, self, PG);
	winners = (void *)self->p;
	for (unsigned long i = 0; i < dsm_scale(50) && i < 900; i++) {
		snprintf(name, sizeof(name), "%s-%lu", self->path, i);
		SYNC();
		fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_TRUE(fd >= 0 || errno == EEXIST) TH_LOG("%m");
		if (fd >= 0) {
			atomic_fetch_add(&winners[i], 1);
			close(fd);
		}
		SYNC();
		ASSERT_EQ(1, atomic_load(&winners[i])) TH_LOG("round %lu", i);
		if (dsm_node == (int)(i % dsm_nodes))
			ASSERT_EQ(0, unlink(name));
	}
	SYNC();
}

SHARED_TEST(unlink_has_one_winner)
{
	_Atomic uint32_t *winners;
	char name[300];
	int fd;

	shared_open(_metadata, self, PG);
	winners = (void *)self->p;
	for (unsigned long i = 0; i < dsm_scale(30) && i < 900; i++) {
		snprintf(name, sizeof(name), "%s-%lu", self->path, i);
		if (dsm_node == (int)(i % dsm_nodes)) {
			fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
			ASSERT_LE(0, fd);
			close(fd);
		}
		SYNC();
		fd = unlink(name) ? errno : 0;
		ASSERT_TRUE(!fd || fd == ENOENT) TH_LOG("%s", strerror(fd));
		if (!fd)
			atomic_fetch_add(&winners[i], 1);
		SYNC();
		ASSERT_EQ(1, atomic_load(&winners[i])) TH_LOG("round %lu", i);
	}
}

SHARED_TEST(rename_replaces)
{
	char src[300], buf[8] = "";
	int fd;

	shared_open(_metadata, self, PG);
	shared_name(self, ".new", src, sizeof(src));
	memcpy(self->p, "old", 4);
	SYNC();
	if (dsm_node == dsm_nodes - 1) {
		fd = open(src, O_RDWR | O_CREAT | O_TRUNC, 0600);
		ASSERT_LE(0, fd);
		ASSERT_EQ(4, write(fd, "new", 4));
		close(fd);
		ASSERT_EQ(0, rename(src, self->path)) TH_LOG("%m");
	}
	SYNC();
	ASSERT_FALSE(exists(src));
	fd = open(self->path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, read(fd, buf, sizeof(buf)));
	ASSERT_STREQ("new", buf);
	close(fd);
	/* The replaced one lives on in the mappings. */
	ASSERT_STREQ("old", (char *)self->p);
	ASSERT_EQ(1, count_names(self->path));
	SYNC();
}

SHARED_TEST(rename_flags)
{
	char other[300];
	int fd;

	shared_open(_metadata, self, PG);
	shared_name(self, ".other", other, sizeof(other));
	if (dsm_node == 0) {
		fd = open(other, O_RDWR | O_CREAT, 0600);
		ASSERT_LE(0, fd);
		close(fd);
		ASSERT_EQ(-1, renameat2(AT_FDCWD, self->path, AT_FDCWD, other, RENAME_NOREPLACE));
		ASSERT_TRUE(errno == EEXIST || errno == EINVAL) TH_LOG("%m");
		ASSERT_EQ(0, rename(self->path, self->path));
		ASSERT_EQ(0, unlink(other));
		ASSERT_EQ(-1, rename(other, self->path));
		ASSERT_EQ(ENOENT, errno);
	}
	SYNC();
	ASSERT_TRUE(exists(self->path));
	SYNC();
}

SHARED_TEST(readdir_agrees)
{
	const int each = 40;
	char name[300];
	int fd;

	for (int i = 0; i < each; i++) {
		snprintf(name, sizeof(name), "%s-%d-%d", self->path, dsm_node, i);
		fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd) TH_LOG("%m");
		close(fd);
	}
	SYNC();
	ASSERT_EQ(each * dsm_nodes, count_names(self->path));
	SYNC();
	for (int i = 0; i < each; i += 2) {
		snprintf(name, sizeof(name), "%s-%d-%d", self->path, (dsm_node + 1) % dsm_nodes, i);
		ASSERT_EQ(0, unlink(name)) TH_LOG("%m");
	}
	SYNC();
	ASSERT_EQ(each / 2 * dsm_nodes, count_names(self->path));
	SYNC();
	for (int i = 1; i < each; i += 2) {
		snprintf(name, sizeof(name), "%s-%d-%d", self->path, dsm_node, i);
		ASSERT_EQ(0, unlink(name));
	}
	SYNC();
	ASSERT_EQ(0, count_names(self->path));
}

SHARED_TEST(bad_names)
{
	char name[600], longest[300];
	int fd;

	if (dsm_node == 0) {
		snprintf(name, sizeof(name), "%s/", dsm_mnt);
		memset(longest, 'n', 256);
		longest[256] = 0;
		strcat(name, longest);
		ASSERT_EQ(-1, open(name, O_RDWR | O_CREAT, 0600));
		ASSERT_EQ(ENAMETOOLONG, errno);
		name[strlen(name) - 1] = 0;
		fd = open(name, O_RDWR | O_CREAT, 0600);
		ASSERT_LE(0, fd) TH_LOG("a name of 255: %m");
		close(fd);
		ASSERT_EQ(0, unlink(name));
		ASSERT_EQ(-1, unlink(name));
		ASSERT_EQ(ENOENT, errno);
		/* Strange, but names. */
		snprintf(name, sizeof(name), "%s/%s", dsm_mnt, "\x01 \xff\n*");
		fd = open(name, O_RDWR | O_CREAT, 0600);
		ASSERT_LE(0, fd);
		close(fd);
		ASSERT_EQ(0, unlink(name));
	}
	SYNC();
}

/* dsmfs holds regular files, flat; whatever else is asked for is refused. */
SHARED_TEST(other_kinds_are_refused)
{
	char name[300];

	if (!dsm_real)
		SKIP(return, "a tmpfs has them");
	shared_open(_metadata, self, PG);
	shared_name(self, ".x", name, sizeof(name));
	if (dsm_node == 0) {
		ASSERT_EQ(-1, mkdir(name, 0700));
		ASSERT_EQ(-1, symlink("x", name));
		ASSERT_EQ(-1, link(self->path, name));
		ASSERT_EQ(-1, mknod(name, S_IFIFO | 0600, 0));
		ASSERT_FALSE(exists(name));
	}
	SYNC();
}

static int as_nobody(int (*f)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(99);
		_exit(f(arg) < 0 ? errno : 0);
	}
	status = wait_bounded(pid, 10000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int try_read(void *path)
{
	return open(path, O_RDONLY);
}

static int try_write(void *path)
{
	return open(path, O_RDWR);
}

static int try_chmod(void *path)
{
	return chmod(path, 0777);
}

static int try_chown(void *path)
{
	return chown(path, 65534, -1);
}

static int try_truncate(void *path)
{
	return truncate(path, 0);
}

SHARED_TEST(permissions)
{
	shared_open(_metadata, self, PG);
	ASSERT_EQ(EACCES, as_nobody(try_read, self->path));
	ASSERT_EQ(EACCES, as_nobody(try_write, self->path));
	ASSERT_EQ(EACCES, as_nobody(try_truncate, self->path));
	ASSERT_EQ(EPERM, as_nobody(try_chmod, self->path));
	ASSERT_EQ(EPERM, as_nobody(try_chown, self->path));
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		ASSERT_EQ(0, chmod(self->path, 0644));
	SYNC();
	ASSERT_EQ(0, as_nobody(try_read, self->path));
	ASSERT_EQ(EACCES, as_nobody(try_write, self->path));
	SYNC();
	if (dsm_node == 0) {
		ASSERT_EQ(0, chown(self->path, 65534, 65534));
		ASSERT_EQ(0, chmod(self->path, 0600));
	}
	SYNC();
	ASSERT_EQ(0, as_nobody(try_write, self->path));
	ASSERT_EQ(0, as_nobody(try_chmod, self->path));
	SYNC();
}

static int create_and_unlink(void *path)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || st.st_uid != 65534 || st.st_gid != 65534) {
		errno = EDOM;
		return -1;
	}
	return unlink(path);
}

SHARED_TEST(directory_permissions)
{
	char name[300];
	struct stat st;

	snprintf(name, sizeof(name), "%s-%d", self->path, dsm_node);
	ASSERT_EQ(0, stat(dsm_mnt, &st));
	ASSERT_EQ(st.st_mode & 0002 ? 0 : EACCES, as_nobody(create_and_unlink, name));
	SYNC();
}

/* Not later: the servers' clocks are their own. */
static bool is_other_time(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

SHARED_TEST(times_move)
{
	struct stat before, after;
	struct timespec ts[2] = { { 1000000000, 5 }, { 1234567890, 7 } };

	shared_open(_metadata, self, PG);
	ASSERT_EQ(0, fstat(self->fd, &before));
	SYNC();
	if (dsm_node == 0) {
		pause_us(20000);
		ASSERT_EQ(1, pwrite(self->fd, "x", 1, 0));
	}
	/* On the writer it shows at once, elsewhere after fsync or close. */
	if (dsm_node == 0) {
		ASSERT_EQ(0, fstat(self->fd, &after));
		ASSERT_TRUE(is_other_time(&after, &before));
		ASSERT_EQ(0, fsync(self->fd)) TH_LOG("%m");
	}
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &after));
	ASSERT_TRUE(is_other_time(&after, &before)) TH_LOG("fsync on another node");
	before = after;
	SYNC();
	if (dsm_node == 1) {
		int fd = open(self->path, O_WRONLY);

		ASSERT_LE(0, fd);
		pause_us(20000);
		ASSERT_EQ(1, pwrite(fd, "x", 1, 0));
		/* Another change meanwhile does not set it back. */
		ASSERT_EQ(0, fchmod(fd, 0640));
		close(fd);
	}
	SYNC();
	ASSERT_EQ(0, fstat(self->fd, &after));
	ASSERT_TRUE(is_other_time(&after, &before)) TH_LOG("close on another node");
	SYNC();
	if (dsm_node == dsm_nodes - 1)
		ASSERT_EQ(0, utimensat(AT_FDCWD, self->path, ts, 0)) TH_LOG("%m");
	SYNC();
	ASSERT_EQ(0, stat(self->path, &after));
	ASSERT_EQ(1234567890, after.st_mtim.tv_sec);
	SYNC();
}

/*
 * Locks: on this node they hold; over nodes dsmfs has none, and must not
 * pretend to: either the lock is refused, or it excludes the other node.
 */
SHARED_TEST(locks_do_not_lie)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int own, *res, ret;

	shared_open(_metadata, self, PG);
	res = (int *)self->p;
	own = open(self->path, O_RDWR);
	SYNC();
	if (dsm_node == 0) {
		ret = flock(own, LOCK_EX | LOCK_NB);
		res[0] = ret ? errno : 0;
		ret = fcntl(own, F_SETLK, &fl);
		res[1] = ret ? errno : 0;
	}
	SYNC();
	if (dsm_node == 1) {
		ret = flock(own, LOCK_EX | LOCK_NB);
		if (res[0] == 0) {
			EXPECT_EQ(-1, ret) TH_LOG("two nodes hold the same flock");
			EXPECT_EQ(EWOULDBLOCK, errno);
		} else {
			EXPECT_TRUE(res[0] == EOPNOTSUPP || res[0] == ENOLCK || res[0] == EINVAL)
				TH_LOG("flock: %s", strerror(res[0]));
			EXPECT_EQ(-1, ret);
		}
		ret = fcntl(own, F_SETLK, &fl);
		if (res[1] == 0) {
			EXPECT_EQ(-1, ret) TH_LOG("two nodes hold the same fcntl lock");
		} else {
			EXPECT_TRUE(res[1] == EOPNOTSUPP || res[1] == ENOLCK || res[1] == EINVAL)
				TH_LOG("fcntl: %s", strerror(res[1]));
			EXPECT_EQ(-1, ret);
		}
	}
	SYNC();
}

/* Whoever asks for a file, made if need be, gets one, whatever others do to the name. */
SHARED_TEST(create_never_fails)
{
	const uint64_t end = now_us() + 10000000;
	const unsigned long rounds = dsm_scale(300);
	unsigned long i;
	struct stat st;
	int fd;

	/* For a time, too: on a busy machine a round is long, and a peer waits. */
	for (i = 0; i < rounds && now_us() < end; i++) {
		fd = open(self->path, O_RDWR | O_CREAT, 0600);
		ASSERT_LE(0, fd) TH_LOG("round %lu: %m", i);
		/* With the name open here the next one meets a dentry in use. */
		if (i % 3 == 0) {
			int again = open(self->path, O_RDWR | O_CREAT, 0600);

			ASSERT_LE(0, again) TH_LOG("round %lu, open already: %m", i);
			close(again);
		}
		ASSERT_TRUE(!unlink(self->path) || errno == ENOENT) TH_LOG("%m");
		ASSERT_EQ(0, fstat(fd, &st)) TH_LOG("%m");
		ASSERT_TRUE(S_ISREG(st.st_mode));
		ASSERT_EQ(2, pwrite(fd, "hi", 2, 0)) TH_LOG("%m");
		close(fd);
		fd = open(self->path, O_RDWR | O_CREAT | O_EXCL, 0600);
		ASSERT_TRUE(fd >= 0 || errno == EEXIST) TH_LOG("%m");
		if (fd >= 0)
			close(fd);
		fd = open(self->path, O_RDONLY);
		ASSERT_TRUE(fd >= 0 || errno == ENOENT) TH_LOG("%m");
		if (fd >= 0)
			close(fd);
	}
	TH_LOG("%lu rounds", i);
	SYNC();
	if (dsm_node == 0)
		unlink(self->path);
	SYNC();
	ASSERT_EQ(0, count_names(self->path));
	SYNC();
}

SHARED_TEST(metadata_storm)
{
	const unsigned long rounds = dsm_scale(100);
	char name[300], other[300];
	uint64_t seed = rnd_seed();
	struct stat st;
	int fd;

	/* All nodes at the same few names: any outcome but an odd one. */
	for (unsigned long i = 0; i < rounds; i++) {
		snprintf(name, sizeof(name), "%s-%u", self->path, (unsigned int)(rnd(&seed) % 4));
		snprintf(other, sizeof(other), "%s-%u", self->path, (unsigned int)(rnd(&seed) % 4));
		switch (rnd(&seed) % 5) {
		case 0:
		case 1:
			fd = open(name, O_RDWR | O_CREAT, 0600);
			ASSERT_LE(0, fd) TH_LOG("%m");
			ASSERT_EQ(0, ftruncate(fd, rnd(&seed) % (4 * PG)));
			ASSERT_EQ(5, pwrite(fd, "hello", 5, rnd(&seed) % PG)) TH_LOG("%m");
			ASSERT_EQ(0, fstat(fd, &st));
			close(fd);
			break;
		case 2:
			ASSERT_TRUE(!unlink(name) || errno == ENOENT) TH_LOG("%m");
			break;
		case 3:
			ASSERT_TRUE(!rename(name, other) || errno == ENOENT) TH_LOG("%m");
			break;
		default:
			ASSERT_TRUE(!stat(name, &st) || errno == ENOENT) TH_LOG("%m");
		}
	}
	SYNC();
	if (dsm_node == 0)
		for (int i = 0; i < 4; i++) {
			snprintf(name, sizeof(name), "%s-%d", self->path, i);
			unlink(name);
		}
	SYNC();
	ASSERT_EQ(0, count_names(self->path));
	SYNC();
}

TEST_HARNESS_MAIN
