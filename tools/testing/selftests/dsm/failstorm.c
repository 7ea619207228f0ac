// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations fail, in faults, where messages are received, in revocations, in
 * workers, while all nodes read, write, evict, cut files, rename them and adopt
 * memory.  Nothing may be lost or wrong, whoever cannot be served is told by an
 * errno or SIGBUS, and when memory is back everything works.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "adopt.h"
#include "inject.h"

#define PAGES		384	/* more than a node may keep */
#define LIMIT_MB	1
#define LINES		16
#define WORDS		(PG / LINES / 8)
#define STORM_MS	30000	/* at most; but until each thread has … */
#define MIN_DONE	5	/* … done so much, and that many … */
#define MIN_FAILED	100	/* … allocations have failed */
#define TRAFFIC		3	/* threads of a node that read and write lines */

/*
 * A page is LINES lines, a line belongs to one thread of one node, which knows what
 * it wrote.  A line is a version and words made from it, so that a reader sees a torn
 * line, a lost one, one from elsewhere, and, since it remembers, one that went back in
 * time.  While it is written, and after a write that failed half way, @lock is odd.
 */
struct line {
	atomic_uint_least64_t lock;
	atomic_uint_least64_t word[WORDS - 1];
};

/* What fails in a storm. */
struct weather {
	const char *name;
	struct text from;
	unsigned int percent;
	bool by_task;
	int batch;	/* revoke_batch */
};

/* What threads share with the one that runs the test. */
struct storm {
	const struct weather *weather;
	const char *path;
	int fd;
	uint8_t *map_of[2];	/* without the fault hook and with it */
	_Atomic bool stop;
};

struct thread {
	pthread_t id;
	struct storm *s;
	int writer;		/* of all nodes' that write lines */
	void *(*run)(void *t);
	int fd;			/* a file of its own */
	uint64_t rng;
	uint64_t *seen;		/* of every line: version last seen, or written */
	bool *torn;		/* of every line of ours: a write failed half way */
	unsigned long done, refused, in_flight;
	char wrong[160];	/* empty if nothing is */
};

#define WRONG(t, ...) do {						\
	if (!(t)->wrong[0])						\
		snprintf((t)->wrong, sizeof((t)->wrong), __VA_ARGS__);	\
} while (0)

static uint64_t word_of(uint64_t version, unsigned long nr, int i)
{
	return version ? (version ^ nr << 20 ^ i) * 0x9e3779b97f4a7c15ull : 0;
}

struct access {
	struct line *l;
	unsigned long nr;
	uint64_t version;
	int ret;
};

static void line_write(void *arg)
{
	struct access *a = arg;

	atomic_store(&a->l->lock, a->version * 2 - 1);
	for (int i = 0; i < WORDS - 1; i++)
		atomic_store_explicit(&a->l->word[i], word_of(a->version, a->nr, i),
				      memory_order_relaxed);
	atomic_store(&a->l->lock, a->version * 2);
}

static void line_lock(void *arg)
{
	struct access *a = arg;

	atomic_store(&a->l->lock, a->version);
}

/* ret: 0; 1 if it is being written; -1 if it is wrong. */
static void line_read(void *arg)
{
	struct access *a = arg;
	uint64_t v = atomic_load(&a->l->lock), w[WORDS - 1];

	a->ret = 1;
	if (v & 1)
		return;
	for (int i = 0; i < WORDS - 1; i++)
		w[i] = atomic_load_explicit(&a->l->word[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&a->l->lock) != v)
		return;
	a->version = v / 2;
	a->ret = 0;
	for (int i = 0; i < WORDS - 1; i++)
		if (w[i] != word_of(v / 2, a->nr, i))
			a->ret = -1;
}

static int line_writer(unsigned long nr)
{
	return (nr / LINES + nr % LINES) % (dsm_nodes * TRAFFIC);
}

/* The words by write(2), between two writes to the mapping. Return: whether all went well. */
static bool line_pwrite(struct thread *t, struct access *a)
{
	uint64_t w[WORDS - 1], version = a->version;
	ssize_t n;

	for (int i = 0; i < WORDS - 1; i++)
		w[i] = word_of(version, a->nr, i);
	a->version = version * 2 - 1;
	if (guard(line_lock, a))
		return false;
	n = pwrite(t->s->fd, w, sizeof(w), a->nr * sizeof(struct line) + sizeof(a->l->lock));
	if (n < 0 && !is_clean(errno))
		WRONG(t, "pwrite: %m");
	a->version = version * 2;
	return n == sizeof(w) && !guard(line_lock, a);
}

static void write_line(struct thread *t, struct access *a, bool by_call)
{
	uint64_t *seen = &t->seen[a->nr];
	int sig = 0;

	if (!t->torn[a->nr]) {
		sig = guard(line_read, a);
		if (!sig && (a->ret || a->version != *seen))
			WRONG(t, "own line %lu: version %lu of %lu, %d", a->nr, a->version, *seen, a->ret);
	}
	a->version = *seen + 1;
	if (!sig && by_call) {
		sig = line_pwrite(t, a) ? 0 : SIGBUS;
		t->torn[a->nr] = sig;
	} else if (!sig) {
		sig = guard(line_write, a);
		t->torn[a->nr] = sig;
	}
	*seen += !sig;
	t->done += !sig;
	t->refused += sig != 0;
}

static void read_line(struct thread *t, struct access *a)
{
	if (guard(line_read, a))
		t->refused++;
	else if (a->ret > 0)
		t->in_flight++;
	else if (a->ret < 0 || a->version < t->seen[a->nr])
		WRONG(t, "line %lu: version %lu after %lu, %d", a->nr, a->version, t->seen[a->nr], a->ret);
	else
		t->seen[a->nr] = a->version, t->done++;
}

/* A copy by read(2): the kernel holds the page meanwhile, so another node cannot tear it. */
static void pread_line(struct thread *t, unsigned long nr)
{
	struct line copy;
	struct access a = { .l = &copy, .nr = nr };
	ssize_t n = pread(t->s->fd, &copy, sizeof(copy), nr * sizeof(copy));

	if (n == sizeof(copy))
		read_line(t, &a);
	else if (n < 0 && is_clean(errno))
		t->refused++;
	else
		WRONG(t, "pread: %zd, %m", n);
}

static void traffic_step(struct thread *t, unsigned long *page)
{
	struct dsm_ioc_range few;
	uint64_t r = rnd(&t->rng);
	struct access a;

	/* Runs of neighbours, which prefetch sees, and jumps; hot pages and cold ones. */
	if (r % 8 == 0)
		*page = (r >> 8) % PAGES;
	else if (r % 8 == 1)
		*page = (r >> 8) % 4;
	else if (r % 8 < 6)
		*page = (*page + 1) % PAGES;
	a.nr = *page * LINES + (r >> 40) % LINES;
	a.l = (struct line *)t->s->map_of[(r >> 44) % 2] + a.nr;
	if (line_writer(a.nr) == t->writer)
		write_line(t, &a, (r >> 45) % 4 == 0);
	else if ((r >> 45) % 4 || line_writer(a.nr) / TRAFFIC == dsm_node)
		read_line(t, &a);
	else
		pread_line(t, a.nr);
	few = (struct dsm_ioc_range){ *page, 1 + (r >> 50) % 8 };
	if ((r >> 54) % 32 == 0 && ioctl(t->s->fd, DSM_IOC_EVICT, &few) && !is_clean(errno))
		WRONG(t, "evict: %m");
	if ((r >> 54) % 32 == 1 && ioctl(t->s->fd, DSM_IOC_PREFETCH, &few))
		WRONG(t, "prefetch: %m");
}

static void *traffic(void *arg)
{
	struct thread *t = arg;
	unsigned long page = t->rng % PAGES;

	while (!atomic_load(&t->s->stop) && !t->wrong[0])
		traffic_step(t, &page);
	return NULL;
}

/*
 * A file of its own is cut and made longer: what comes back is zero, and if it
 * could not be cut it is as long as before.  Holes are zero as well.
 */
#define CUT_PAGES	8

static void cut_step(struct thread *t, int fd)
{
	const bool hole = rnd(&t->rng) % 2;
	const size_t from = rnd(&t->rng) % (CUT_PAGES * PG);
	uint8_t copy[PG];
	struct stat st;
	int err;

	for (size_t i = 0; i < CUT_PAGES; i++)
		if (pwrite(fd, "\xff\xff\xff\xff", 4, i * PG + 7) != 4 && !is_clean(errno))
			WRONG(t, "pwrite before a cut: %m");
	err = hole ? fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
			       CUT_PAGES * PG - from) : ftruncate(fd, from);
	if (err && !is_clean(errno))
		WRONG(t, "%s: %m", hole ? "punch" : "cut");
	if (!fstat(fd, &st) && st.st_size != (hole || err ? CUT_PAGES * PG : from))
		WRONG(t, "cut at %zu, error %d: %zu bytes", from, err, (size_t)st.st_size);
	t->refused += err != 0;
	while (ftruncate(fd, CUT_PAGES * PG) && !t->wrong[0])
		if (!is_clean(errno))
			WRONG(t, "grow: %m");
	if (err)
		return;
	for (size_t i = from; i < CUT_PAGES * PG; i += PG) {
		ssize_t n = pread(fd, copy, PG, i);

		for (ssize_t j = 0; j < n; j++)
			if (copy[j])
				WRONG(t, "%s at %zu: byte %zu is not zero", hole ? "hole" : "cut",
				      from, i + j);
	}
	t->done++;
}

static void *cut(void *arg)
{
	struct thread *t = arg;

	while (!atomic_load(&t->s->stop) && !t->wrong[0])
		cut_step(t, t->fd);
	return NULL;
}

/* Files come, get names and lengths, and go: all nodes are to agree about them. */
#define NAMES		6

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	return fd < 0 ? fd : close(fd);
}

static void *name(void *arg)
{
	struct thread *t = arg;
	char a[300], b[300];

	while (!atomic_load(&t->s->stop) && !t->wrong[0]) {
		uint64_t r = rnd(&t->rng);
		int err;

		snprintf(a, sizeof(a), "%s.name%d.%d", t->s->path, dsm_node, (int)(r % NAMES));
		snprintf(b, sizeof(b), "%s.name%d.%d", t->s->path, dsm_node, (int)((r >> 8) % NAMES));
		if ((r >> 16) % 4 == 0)
			err = rename(a, b);
		else if ((r >> 16) % 4 == 1)
			err = unlink(a);
		else if ((r >> 16) % 4 == 2)
			err = truncate(a, (r >> 20) % 100 * PG);
		else
			err = make_file(a);
		if (err && errno != ENOENT && !is_clean(errno))
			WRONG(t, "names: %m");
		t->refused += err != 0;
		t->done += !err;
	}
	return NULL;
}

/* Memory becomes a file, or stays what it is. */
#define ADOPT_PAGES	8

static void *adopting(void *arg)
{
	struct thread *t = arg;
	int err = 0;

	for (int i = 0; !atomic_load(&t->s->stop) && !t->wrong[0] && err != -EOPNOTSUPP; i++) {
		uint8_t *m = anon_map(ADOPT_PAGES);

		if (m == MAP_FAILED)
			continue;
		fill_pages(m, ADOPT_PAGES, i);
		err = adopt(t->fd, m, ADOPT_PAGES * PG, 0);
		if (err && !is_clean(-err) && err != -EOPNOTSUPP)
			WRONG(t, "adopt: error %d", err);
		if (check_pages(m, ADOPT_PAGES, i) >= 0)
			WRONG(t, "adopt: error %d, page %ld is wrong", err, check_pages(m, ADOPT_PAGES, i));
		t->refused += err != 0;
		t->done += !err;
		munmap(m, ADOPT_PAGES * PG);
	}
	return NULL;
}

static const struct {
	void *(*run)(void *t);
	const char *file;
	size_t pages;
} roles[] = {
	{ .run = traffic }, { .run = traffic }, { .run = traffic }, { .run = name },
	{ cut, "cut", CUT_PAGES }, { adopting, "adopt", ADOPT_PAGES },
};

#define NR_THREADS	ARRAY_LEN(roles)

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	if (t->s->weather->by_task && inject_me(true))
		WRONG(t, "make-it-fail: %m");
	t->run(t);
	return NULL;
}

static bool takes_part(const struct thread *t)
{
	/* The others are told at once: EOPNOTSUPP. */
	return t->run != adopting || strstr(getenv("DSM_KERNEL") ?: "", "patched");
}

static bool has_raged(const struct thread *t)
{
	if (inject_count_all() < MIN_FAILED)
		return false;
	for (size_t i = 0; i < NR_THREADS; i++)
		if (takes_part(&t[i]) && READ_ONCE(t[i].done) < MIN_DONE)
			return false;
	return true;
}

/* In bursts, so that a connection that broke comes back; until enough has happened. */
static void let_it_fail(struct __test_metadata *_metadata, const struct weather *w,
			const struct thread *t)
{
	const uint64_t end = now_us() + dsm_patient(STORM_MS * 1000ul);

	do {
		ASSERT_EQ(0, inject_set_all("probability", w->percent));
		pause_us(1500000);
		ASSERT_EQ(0, inject_set_all("probability", 0));
		pause_us(1500000);
	} while (!has_raged(t) && now_us() < end);
}

/* With nothing failing: what is ours is what we wrote, the rest did not go back. */
static void check_line(struct __test_metadata *_metadata, struct thread *t, unsigned long nr)
{
	struct access a = { .l = (struct line *)t->s->map_of[nr % 2] + nr, .nr = nr };

	ASSERT_EQ(0, guard(line_read, &a)) TH_LOG("line %lu", nr);
	ASSERT_EQ(0, a.ret) TH_LOG("line %lu", nr);
	ASSERT_TRUE(line_writer(nr) == t->writer ? a.version == t->seen[nr] : a.version >= t->seen[nr])
		TH_LOG("line %lu at the end: %lu, was %lu", nr, a.version, t->seen[nr]);
}

static void write_again(struct __test_metadata *_metadata, struct thread *t, unsigned long nr)
{
	struct access a = { .l = (struct line *)t->s->map_of[nr % 2] + nr, .nr = nr };
	unsigned long refused = t->refused;

	if (line_writer(nr) != t->writer)
		return;
	write_line(t, &a, nr % 8 == 0);
	ASSERT_EQ(refused, t->refused) TH_LOG("line %lu", nr);
	ASSERT_STREQ("", t->wrong);
}

/* What this node thinks there is, as text. */
static void list_files(char *buf, size_t size)
{
	struct dirent **de;
	int n = scandir(dsm_mnt, &de, NULL, alphasort);
	size_t len = 0;
	struct stat st;
	char path[600];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dsm_mnt, de[i]->d_name);
		if (de[i]->d_type == DT_REG && len < size && !stat(path, &st))
			len += snprintf(buf + len, size - len, "%s %zu\n", de[i]->d_name,
					(size_t)st.st_size);
		free(de[i]);
	}
	free(de);
}

static void check_files(struct __test_metadata *_metadata, struct _test_data_shared *self)
{
	char mine[PG] = "", path[300], *first = (char *)self->p + PAGES * PG;

	list_files(mine, sizeof(mine));
	if (dsm_node == 0)
		memcpy(first, mine, sizeof(mine));
	SYNC();
	ASSERT_STREQ(first, mine);
	SYNC();
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s.name%d.%d", self->path, dsm_node, i);
		ASSERT_TRUE(!unlink(path) || errno == ENOENT) TH_LOG("%s: %m", path);
	}
	SYNC();
}

/* Those that were unlinked are gone, on every node, once all that used them said so. */
static void check_gone(struct __test_metadata *_metadata)
{
	uint64_t end = now_us() + dsm_patient(10000000);
	struct statfs st = { .f_files = 0 };

	do {
		pause_us(50000);
		ASSERT_EQ(0, statfs(dsm_mnt, &st));
	} while (st.f_files > 1 && now_us() < end);
	EXPECT_EQ(1, st.f_files) TH_LOG("files that no one destroyed");
}

static const char *own_path(struct storm *s, int role, char *buf, size_t size)
{
	snprintf(buf, size, "%s.%s%d", s->path, roles[role].file, dsm_node);
	return buf;
}

static int own_file(struct __test_metadata *_metadata, struct storm *s, int role)
{
	char path[300];
	int fd = open(own_path(s, role, path, sizeof(path)), O_RDWR | O_CREAT | O_EXCL, 0600);

	ASSERT_LE(0, fd) TH_LOG("%s: %m", path);
	ASSERT_EQ(0, place_interleaved(fd));
	ASSERT_EQ(0, ftruncate(fd, roles[role].pages * PG));
	return fd;
}

static void start_threads(struct __test_metadata *_metadata, struct storm *s, struct thread *t)
{
	for (int i = 0; i < NR_THREADS; i++) {
		t[i] = (struct thread){
			.s = s, .run = roles[i].run, .rng = rnd_seed() + 2 * i,
			.writer = i < TRAFFIC ? dsm_node * TRAFFIC + i : -1,
			.seen = calloc(PAGES * LINES, sizeof(*t[i].seen)),
			.torn = calloc(PAGES * LINES, sizeof(*t[i].torn)),
		};
		ASSERT_TRUE(t[i].seen && t[i].torn);
		if (roles[i].file)
			t[i].fd = own_file(_metadata, s, i);
	}
	for (int i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&t[i].id, NULL, thread_main, &t[i]));
}

static void end_threads(struct __test_metadata *_metadata, struct storm *s, struct thread *t)
{
	const char *name = s->weather->name;
	long failed = 0;
	char path[300];

	atomic_store(&s->stop, true);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(t[i].id, NULL);
	for (size_t i = 0; i < ARRAY_LEN(injectors); i++) {
		long n = inject_count(injectors[i]);

		ksft_print_msg("%s: failed: %s %ld\n", name, injectors[i], n);
		failed += n;
	}
	ASSERT_EQ(0, inject_exit());
	EXPECT_LE(MIN_FAILED, failed);
	for (int i = 0; i < NR_THREADS; i++) {
		EXPECT_STREQ("", t[i].wrong) TH_LOG("thread %d", i);
		ksft_print_msg("%s: thread %d: %lu done, %lu refused, %lu in flight\n", name, i,
			       t[i].done, t[i].refused, t[i].in_flight);
		if (takes_part(&t[i]))
			EXPECT_LE(MIN_DONE, t[i].done);
		if (roles[i].file) {
			close(t[i].fd);
			ASSERT_EQ(0, unlink(own_path(s, i, path, sizeof(path)))) TH_LOG("%m");
		}
	}
}

/* Everything is there, and works. */
static void check_all(struct __test_metadata *_metadata, struct _test_data_shared *self,
		      struct thread *t)
{
	SYNC_WITHIN(2 * BARRIER_S);
	for (int turn = 0; turn < dsm_nodes; turn++) {
		for (unsigned long nr = 0; turn == dsm_node && nr < PAGES * LINES; nr++)
			for (int i = 0; i < TRAFFIC; i++)
				write_again(_metadata, &t[i], nr);
		SYNC_WITHIN(2 * BARRIER_S);
	}
	for (unsigned long nr = 0; nr < PAGES * LINES; nr++)
		for (int i = 0; i < TRAFFIC; i++)
			check_line(_metadata, &t[i], nr);
	SYNC();
	check_files(_metadata, self);
	check_gone(_metadata);
}

/* The file, mapped without the fault hook and with it. */
static void map_file(struct __test_metadata *_metadata, struct _test_data_shared *self,
		     struct storm *s)
{
	shared_open(_metadata, self, 0);
	s->fd = self->fd;
	self->len = (PAGES + 1) * PG;
	if (dsm_node == 0) {
		ASSERT_EQ(0, place_interleaved(s->fd));
		ASSERT_EQ(0, ftruncate(s->fd, self->len));
	}
	SYNC();
	for (int hook = 0; hook < 2; hook++) {
		ASSERT_EQ(0, knob_set("fault_hook", hook));
		s->map_of[hook] = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
		ASSERT_NE(MAP_FAILED, s->map_of[hook]);
	}
	self->p = s->map_of[1];
}

static void storm(struct __test_metadata *_metadata, struct _test_data_shared *self,
		  const struct weather *w)
{
	struct storm s = { .weather = w, .path = self->path };
	long ms = knob_get("dead_ms"), mb = knob_get("memory_limit_mb");
	static struct thread t[NR_THREADS];
	long long backlog, lost;
	uint64_t start;

	ASSERT_NE(0, w->from.end) TH_LOG("no symbols");
	ASSERT_EQ(0, inject_setup());
	ASSERT_EQ(0, inject_from(w->from));
	ASSERT_EQ(0, inject_set_all("task-filter", w->by_task));
	install_guard();
	/* While allocations fail no connection comes about. */
	ASSERT_EQ(0, knob_set("dead_ms", 120000));
	ASSERT_EQ(0, knob_set("memory_limit_mb", LIMIT_MB));
	ASSERT_EQ(0, knob_set("revoke_batch", w->batch));
	map_file(_metadata, self, &s);
	backlog = stat_get("msg_backlog");
	lost = stat_get("link_lost");
	start = now_us();
	start_threads(_metadata, &s, t);
	SYNC();
	let_it_fail(_metadata, w, t);
	end_threads(_metadata, &s, t);
	ksft_print_msg("%s: %llu s; msg_backlog %lld, link_lost %lld\n", w->name,
		       (unsigned long long)(now_us() - start) / 1000000,
		       stat_get("msg_backlog") - backlog, stat_get("link_lost") - lost);
	check_all(_metadata, self, t);
	ASSERT_EQ(0, knob_set("dead_ms", ms));
	ASSERT_EQ(0, knob_set("memory_limit_mb", mb));
	ASSERT_EQ(0, knob_set("revoke_batch", 64));
	/* It would have said that it gives up. */
	ASSERT_EQ(0, write_file(DEBUGFS "/kmemleak", "scan=off"));
	SYNC();
}

/* All that the tasks allocate, page tables included. */
SHARED_TEST(tasks)
{
	storm(_metadata, self, &(struct weather){
		.name = "tasks", .from = { 0, -1ul }, .percent = 10, .by_task = true, .batch = 64,
	});
}

/* From the completion of a receive on: softirq, and the refill of buffers. */
SHARED_TEST(receiving)
{
	storm(_metadata, self, &(struct weather){
		.name = "receiving", .from = text_of("dsm", "dsm_conn_received|dsm_conn_refill"), .percent = 30,
		.batch = 64,
	});
}

SHARED_TEST(revoking_in_batches)
{
	storm(_metadata, self, &(struct weather){
		.name = "revoking in batches", .from = text_of("dsm", "dsm_revoke_|revoke_work|hold_over"), .percent = 50,
		.batch = 64,
	});
}

SHARED_TEST(revoking_singly)
{
	storm(_metadata, self, &(struct weather){
		.name = "revoking singly", .from = text_of("dsm", "dsm_revoke_|revoke_work|hold_over"), .percent = 50,
		.batch = 1,
	});
}

/* Wherever dsm.ko is on the stack: workers, timers, what it asks of RDMA and the VFS. */
SHARED_TEST(everywhere)
{
	storm(_metadata, self, &(struct weather){
		.name = "everywhere", .from = text_of("dsm", ""), .percent = 10, .batch = 64,
	});
}

TEST_HARNESS_MAIN
