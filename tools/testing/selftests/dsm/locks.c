// SPDX-License-Identifier: GPL-2.0
/* Programs that rely on the memory model: counters, locks, a seqlock, a queue. */
#include "shared.h"

#define LOCK_S	20

struct counters {
	atomic_uint_least64_t same_word __aligned(PG);
	atomic_uint_least64_t line[16] __aligned(CACHELINE);
	struct {
		uint64_t plain __aligned(CACHELINE);
	} own[16] __aligned(PG);
	struct mem_barrier b __aligned(PG);
};

SHARED_TEST(locked_increments_are_exact)
{
	const unsigned long n = dsm_scale(20000);
	struct counters *c;
	uint64_t rng = rnd_seed();

	shared_open(_metadata, self, (sizeof(*c) + PG - 1) & ~(PG - 1));
	c = (void *)self->p;
	ASSERT_EQ(0, mem_barrier_wait(&c->b, dsm_nodes, LOCK_S * 1000));
	for (unsigned long i = 0; i < n; i++) {
		atomic_fetch_add(&c->same_word, 1);
		atomic_fetch_add(&c->line[i % 16], 1);
		/* False sharing: no atomics, a word has one writer. */
		WRITE_ONCE(c->own[dsm_node].plain, READ_ONCE(c->own[dsm_node].plain) + 1);
		if (rnd(&rng) % 256 == 0)
			pause_us(50);
	}
	SYNC();
	ASSERT_EQ(n * dsm_nodes, atomic_load(&c->same_word));
	for (int i = 0; i < 16; i++)
		ASSERT_EQ(((n - i + 15) / 16) * dsm_nodes, atomic_load(&c->line[i]));
	for (int i = 0; i < dsm_nodes; i++)
		ASSERT_EQ(n, c->own[i].plain);
	SYNC();
}

SHARED_TEST(compare_and_swap_has_one_winner)
{
	const unsigned long n = dsm_scale(4000);
	_Atomic uint64_t *word;
	uint64_t *wins, won = 0;

	/* Each value is reached once: the wins of all nodes add up. */
	shared_open(_metadata, self, 2 * PG);
	word = (void *)self->p;
	wins = (void *)(self->p + PG);
	for (;;) {
		uint64_t v = atomic_load(word);

		if (v >= n)
			break;
		won += atomic_compare_exchange_strong(word, &v, v + 1);
	}
	wins[dsm_node] = won;
	SYNC();
	won = 0;
	for (int i = 0; i < dsm_nodes; i++)
		won += wins[i];
	ASSERT_EQ(n, won);
	SYNC();
}

/* What the locks protect: plain words of several pages that must stay equal. */
struct protected {
	uint64_t a __aligned(PG);
	uint64_t b[PG / 8] __aligned(PG);
	uint64_t c __aligned(PG);
};

static bool consistent(const struct protected *p)
{
	return p->a == p->b[0] && p->a == p->b[PG / 8 - 1] && p->a == p->c;
}

static void bump(struct protected *p)
{
	WRITE_ONCE(p->a, READ_ONCE(p->a) + 1);
	WRITE_ONCE(p->b[0], READ_ONCE(p->b[0]) + 1);
	WRITE_ONCE(p->b[PG / 8 - 1], READ_ONCE(p->b[PG / 8 - 1]) + 1);
	WRITE_ONCE(p->c, READ_ONCE(p->c) + 1);
}

struct ticket {
	atomic_uint_least32_t next __aligned(PG);
	_Atomic uint32_t owner;
	struct protected data;
	uint64_t taken[16] __aligned(PG);
	struct mem_barrier b __aligned(PG);
};

/*
 * The locks go round for RUN_MS, or n times: how fast a page travels depends on
 * who else uses the machine.  RUN_MS is for slow kernels as well, where less gets
 * done in it.  Nobody waits for the lock longer than LOCK_S.
 */
#define RUN_MS	12000
#define AT_LEAST 5

static bool waited_too_long(uint64_t since)
{
	return now_us() - since > dsm_patient(LOCK_S * 1000000ull);
}

SHARED_TEST(ticket_lock)
{
	const unsigned long n = dsm_scale(1000);
	uint64_t end, since, sum = 0;
	unsigned long i;
	struct ticket *t;
	unsigned int spins;
	uint32_t mine;

	shared_open(_metadata, self, (sizeof(*t) + PG - 1) & ~(PG - 1));
	t = (void *)self->p;
	ASSERT_EQ(0, mem_barrier_wait(&t->b, dsm_nodes, LOCK_S * 1000));
	end = now_us() + RUN_MS * 1000ull;
	for (i = 0; i < n && now_us() < end; i++) {
		since = now_us();
		spins = 0;
		mine = atomic_fetch_add(&t->next, 1);
		while (atomic_load_explicit(&t->owner, memory_order_acquire) != mine) {
			ASSERT_FALSE(waited_too_long(since)) TH_LOG("ticket %u never came", mine);
			relax(&spins);
		}
		ASSERT_TRUE(consistent(&t->data)) TH_LOG("ticket %u", mine);
		bump(&t->data);
		atomic_store_explicit(&t->owner, mine + 1, memory_order_release);
	}
	t->taken[dsm_node] = i;
	SYNC();
	ASSERT_LE(AT_LEAST, i);
	for (int k = 0; k < dsm_nodes; k++)
		sum += t->taken[k];
	ASSERT_EQ(sum, t->data.a);
	ASSERT_TRUE(consistent(&t->data));
	SYNC();
}

struct peterson {
	atomic_uint_least32_t want[2] __aligned(PG);
	atomic_uint_least32_t turn __aligned(PG);
	struct protected data;
	uint64_t taken[2] __aligned(PG);
	struct mem_barrier b __aligned(PG);
};

/* Needs sequential consistency of plain stores and loads (with mfence). */
SHARED_TEST(peterson_lock)
{
	const unsigned long n = dsm_scale(1000);
	const int other = !dsm_node;
	unsigned int spins;
	struct peterson *l;
	uint64_t end, since;
	unsigned long i;

	shared_open(_metadata, self, (sizeof(*l) + PG - 1) & ~(PG - 1));
	l = (void *)self->p;
	end = now_us() + RUN_MS * 1000ull;
	for (i = 0; i < n && now_us() < end && dsm_node < 2; i++) {
		since = now_us();
		spins = 0;
		atomic_store_explicit(&l->want[dsm_node], 1, memory_order_relaxed);
		atomic_store_explicit(&l->turn, other, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		while (atomic_load_explicit(&l->want[other], memory_order_acquire) &&
		       atomic_load_explicit(&l->turn, memory_order_acquire) == other) {
			ASSERT_FALSE(waited_too_long(since)) TH_LOG("no turn in round %lu", i);
			relax(&spins);
		}
		ASSERT_TRUE(consistent(&l->data)) TH_LOG("round %lu", i);
		bump(&l->data);
		atomic_store_explicit(&l->want[dsm_node], 0, memory_order_release);
	}
	if (dsm_node < 2)
		l->taken[dsm_node] = i;
	SYNC();
	ASSERT_LE(AT_LEAST, l->taken[0]);
	ASSERT_LE(AT_LEAST, l->taken[1]);
	ASSERT_EQ(l->taken[0] + l->taken[1], l->data.a);
	ASSERT_TRUE(consistent(&l->data));
	SYNC();
}

struct seqlock {
	atomic_uint_least32_t seq __aligned(PG);
	_Atomic uint32_t done;
	struct protected data;
};

#define READERS_US 50000	/* enough to read all pages of the seqlock */

SHARED_TEST(seqlock)
{
	const unsigned long n = dsm_scale(2000);
	uint64_t end, last = 0, written = 0;
	unsigned int spins = 0;
	unsigned long reads = 0;
	struct seqlock *s;

	shared_open(_metadata, self, (sizeof(*s) + PG - 1) & ~(PG - 1));
	s = (void *)self->p;
	end = now_us() + RUN_MS * 1000ull;
	if (dsm_node == 0) {
		while (written < n && now_us() < end) {
			atomic_fetch_add(&s->seq, 1);
			bump(&s->data);
			atomic_fetch_add(&s->seq, 1);
			if (++written % 16 == 0)
				pause_us(written % 64 ? 200 : dsm_patient(READERS_US));
		}
		pause_us(dsm_patient(READERS_US));
		atomic_store(&s->done, 1);
	}
	while (dsm_node && !atomic_load(&s->done)) {
		uint32_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);
		uint64_t a, b, c;

		ASSERT_GT(end + dsm_patient(LOCK_S * 1000000ull), now_us());
		a = READ_ONCE(s->data.a);
		b = READ_ONCE(s->data.b[PG / 8 - 1]);
		c = READ_ONCE(s->data.c);
		atomic_thread_fence(memory_order_acquire);
		if (seq & 1 || seq != atomic_load_explicit(&s->seq, memory_order_relaxed)) {
			relax(&spins);
			continue;
		}
		reads++;
		spins = 0;
		ASSERT_TRUE(a == b && b == c) TH_LOG("torn: %lu %lu %lu", a, b, c);
		ASSERT_LE(last, a);
		ASSERT_EQ(seq / 2, a);
		last = a;
		if (reads % 64 == 0)
			pause_us(100);
	}
	SYNC();
	ASSERT_EQ(atomic_load(&s->seq) / 2, s->data.a);
	ASSERT_TRUE(dsm_node || written == s->data.a);
	ASSERT_TRUE(!dsm_node || reads) TH_LOG("no consistent read");
	TH_LOG("node %d: %lu writes, %lu consistent reads", dsm_node, written, reads);
	SYNC();
}

struct ring {
	atomic_uint_least32_t head __aligned(PG);
	atomic_uint_least32_t tail __aligned(PG);
	uint64_t slot[512] __aligned(PG);
};

/* A queue around the nodes: each takes from the one before, adds 1, passes on. */
SHARED_TEST(queue_around_the_nodes)
{
	const uint32_t n = dsm_scale(2000);
	uint64_t end = now_us() + dsm_patient(60000000), v;
	struct ring *in, *out;
	uint32_t sent = 0, got = 0;
	unsigned int spins = 0;

	shared_open(_metadata, self, dsm_nodes * sizeof(struct ring));
	in = (struct ring *)self->p + dsm_node;
	out = (struct ring *)self->p + (dsm_node + 1) % dsm_nodes;
	while (got < n || (dsm_node == 0 && sent < n)) {
		bool can_send = sent - atomic_load_explicit(&out->tail, memory_order_acquire) < 512;

		ASSERT_GT(end, now_us()) TH_LOG("got %u, sent %u of %u", got, sent, n);
		if (dsm_node == 0 && sent < n && can_send) {
			out->slot[sent % 512] = (uint64_t)sent << 32;
			atomic_store_explicit(&out->head, ++sent, memory_order_release);
		}
		if (got == n || (dsm_node && !can_send) ||
		    atomic_load_explicit(&in->head, memory_order_acquire) == got) {
			relax(&spins);
			continue;
		}
		v = in->slot[got % 512];
		spins = 0;
		ASSERT_EQ(got, v >> 32);
		ASSERT_EQ(dsm_node ? dsm_node - 1 : dsm_nodes - 1, v & 0xff);
		atomic_store_explicit(&in->tail, ++got, memory_order_release);
		if (dsm_node) {
			out->slot[sent % 512] = v + 1;
			atomic_store_explicit(&out->head, ++sent, memory_order_release);
		}
	}
	SYNC();
}

TEST_HARNESS_MAIN
