// SPDX-License-Identifier: GPL-2.0
/*
 * How long a page is kept from others, and for whose sake: the times and users
 * of core/turn.c.
 *
 * A user is a thread, by a hash: two that fall together keep each other's pages a
 * little longer. One that sleeps needs nothing: a guest's CPU that halted. Quiet and
 * limit are in round trips, so that they suit fast and slow networks.
 *
 * A user that lost its pages to another one and comes back for the first of them
 * asks for the others at once, those of them that it had used.
 */
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/sched.h>

#include "hold.h"
#include "region.h"

#define WINDOW		128	/* answers in a window */
/* In round trips, the shortest one seen lately. */
#define QUIET		4	/* not waited for so long: the turn is over */
#define LIMIT		128
#define SAMPLE_MAX_US	1000000u

void dsm_hold_init(struct dsm_cluster *c)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(c->hold.user); i++)
		spin_lock_init(&c->hold.user[i].lock);
}

u8 dsm_hold_user(struct dsm_region *r)
{
	u8 user;

	if (!READ_ONCE(r->cluster->knobs.turn_us))
		return DSM_HOLD_NOBODY;
	if (!current->mm || current->flags & PF_KTHREAD)
		return READ_ONCE(r->user);
	user = 1 + hash_ptr(current, DSM_HOLD_BITS);
	WRITE_ONCE(r->user, user);
	return user;
}

/* Shortest round trip of this window and the one before; 0: none seen. */
static u32 shortest_us(const struct dsm_cluster *c)
{
	u32 now = READ_ONCE(c->hold.shortest_us), before = READ_ONCE(c->hold.before_us);

	if (!now || !before)
		return now ?: before;
	return min(now, before);
}

static u64 quiet_us(const struct dsm_cluster *c)
{
	return (u64)QUIET * shortest_us(c);
}

/* Pages of all regions, told apart. */
static u64 page_number(const struct dsm_region *r, u64 index)
{
	return (u64)r->id << 40 ^ index;
}

void dsm_hold_begin(struct dsm_region *r, u8 user)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];

	if (user == DSM_HOLD_NOBODY)
		return;
	spin_lock_bh(&u->lock);
	if (current->mm)
		u->pid = task_pid_nr(current);
	dsm_turn_begin(&u->turn, ktime_to_us(ktime_get()), quiet_us(r->cluster));
	spin_unlock_bh(&u->lock);
}

void dsm_hold_end(struct dsm_region *r, u8 user, u64 index)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];

	if (user == DSM_HOLD_NOBODY)
		return;
	spin_lock_bh(&u->lock);
	dsm_turn_end(&u->turn, page_number(r, index), ktime_to_us(ktime_get()));
	spin_unlock_bh(&u->lock);
}

void dsm_hold_lost(struct dsm_region *r, u8 user, u64 index)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];

	if (user == DSM_HOLD_NOBODY)
		return;
	spin_lock_bh(&u->lock);
	if (u->region != r->id)
		u->nr_lost = 0;
	u->region = r->id;
	u->lost[u->nr_lost++ % DSM_HOLD_LOST] = index;
	spin_unlock_bh(&u->lock);
}

void dsm_hold_regain(struct dsm_region *r, u8 user, u64 index)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];
	u64 lost[DSM_HOLD_LOST];
	u32 nr = 0;

	if (user == DSM_HOLD_NOBODY || !READ_ONCE(u->nr_lost))
		return;
	spin_lock_bh(&u->lock);
	if (u->region == r->id)
		nr = min(u->nr_lost, DSM_HOLD_LOST);
	memcpy(lost, u->lost, nr * sizeof(*lost));
	u->nr_lost = 0;
	spin_unlock_bh(&u->lock);
	for (u32 i = 0; i < nr; i++)
		if (lost[i] != index)
			dsm_prefetch_write(r, lost[i], user);
}

static bool is_asleep(pid_t pid)
{
	struct task_struct *task;
	bool asleep;

	rcu_read_lock();
	task = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	asleep = !task || !task_is_running(task);
	rcu_read_unlock();
	return asleep;
}

void dsm_hold_event(struct dsm_region *r, u8 user, struct dsm_event *ev)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];
	u64 quiet;

	if (user == DSM_HOLD_NOBODY)
		return;
	quiet = quiet_us(r->cluster);
	spin_lock_bh(&u->lock);
	/* While a kernel thread waits for it, and until it is woken, it sleeps as well. */
	if (u->turn.waiting || ev->now_us < u->turn.last_us + quiet || !is_asleep(u->pid))
		ev->busy_until_us = dsm_turn_busy_until(&u->turn, page_number(r, ev->page),
							ev->now_us, quiet);
	ev->age = dsm_turn_age(&u->turn, ev->now_us, quiet);
	spin_unlock_bh(&u->lock);
}

void dsm_hold_over(struct dsm_region *r, u8 user)
{
	struct dsm_hold_user *u = &r->cluster->hold.user[user];

	dsm_count(r->cluster, turn_over);
	spin_lock_bh(&u->lock);
	dsm_turn_restart(&u->turn, ktime_to_us(ktime_get()));
	spin_unlock_bh(&u->lock);
}

/* Races cost a sample, no more. */
void dsm_hold_sample(struct dsm_cluster *c, u8 user, u32 us)
{
	u32 now = READ_ONCE(c->hold.shortest_us);

	if (user == DSM_HOLD_NOBODY)
		return;
	us = clamp(us, 1u, SAMPLE_MAX_US);
	if (!now || us < now)
		WRITE_ONCE(c->hold.shortest_us, us);
	if (atomic_inc_return(&c->hold.samples) % WINDOW)
		return;
	WRITE_ONCE(c->hold.before_us, READ_ONCE(c->hold.shortest_us));
	WRITE_ONCE(c->hold.shortest_us, 0);
}

u32 dsm_hold_max_us(struct dsm_cluster *c, u32 hold_us)
{
	u64 limit = min_t(u64, (u64)LIMIT * shortest_us(c), READ_ONCE(c->knobs.turn_us));

	if (limit <= hold_us)
		return 0;
	return limit - limit / 4 + get_random_u32_below(limit / 4 + 1);
}
