// SPDX-License-Identifier: GPL-2.0
/*
 * Moving a vCPU: the steps of move.h, done by the VMM's vCPU thread when it enters KVM_RUN.
 *
 * Only there is the state whole: what the VMM has to say to the last exit is in kvm_run, and
 * gvm_complete() takes it in. Whoever wants the move kicks the vCPU out, and again,
 * ever later, as long as it cannot be moved: meanwhile the guest goes on.
 *
 * immediate_exit is the VMM's as well. It is cleared only before KVM_RUN returns EINTR, which is
 * all that a kick of the VMM's wants; a VMM takes an EINTR that it did not ask for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"
#include "remote.h"

#define MOVE_MS		5000	/* to find a moment in which the vCPU can be moved */
#define RESUME_MS	1000	/* for the VMM to run it again */
#define WAKE_MS		3
#define KICK_MS		3	/* of the guest's time, twice as much after each try */
#define KICK_DOUBLE	4	/* so often */

/* A request on the channel of the vCPU to a member; the reply is in r->packet. */
static int call(unsigned int id, unsigned int member, enum gvm_msg_type type, const void *data,
		size_t len)
{
	struct gvm_remote *r = gvm_remote_of(id);
	struct gvm_head head = { .type = type, .vcpu = id, .seq = ++r->seq };
	int64_t result;
	int ret;

	ret = gvm_rpc_call(r->chan[member], &head, data, len, &r->packet, &result);
	if (ret)
		gvm_member_end(&vmm.m, "vCPU %u: %s at member %u: %s", id, gvm_msg_name(type),
			       member, strerror(-ret));
	return result;
}

static int save(unsigned int id, struct gvm_remote *r, unsigned int from)
{
	int ret;

	if (!from) {
		ret = gvm_member_save(&vmm.m, id, &r->state);
	} else {
		ret = call(id, from, GVM_MSG_SAVE, NULL, 0);
		if (!ret || ret == -EAGAIN) {
			if (r->packet.head.len != sizeof(r->state))
				return -EPROTO;
			memcpy(&r->state, r->packet.data, sizeof(r->state));
		}
		if (!ret && !gvm_state_ok(&r->state))
			return -EPROTO;
	}
	if (ret == -EAGAIN)
		r->busy = gvm_state_busy(&r->state);
	return ret;
}

static int load(unsigned int id, struct gvm_remote *r, unsigned int from, unsigned int to)
{
	int ret;

	r->state.tsc_offset += gvm_time_ahead(from) - gvm_time_ahead(to);
	if (to) {
		ret = call(id, to, GVM_MSG_LOAD, &r->state, sizeof(r->state));
	} else {
		ret = gvm_member_load(&vmm.m, id, &r->state);
		if (!ret)
			ret = gvm_remote_mask(id, true);
	}
	if (ret == -EAGAIN)
		r->busy = "an INIT for it is under way";
	return ret;
}

static int role(unsigned int id, unsigned int member, unsigned int owner)
{
	struct gvm_msg_vcpu msg = { .id = id, .owner = owner };
	struct gvm_head head = { .type = GVM_MSG_ROLE, .vcpu = id };
	int ret;

	if (!member)
		return gvm_member_role(&vmm.m, id, owner);
	pthread_mutex_lock(&vmm.lock);
	ret = gvm_vmm_call(member, &head, &msg, sizeof(msg));
	pthread_mutex_unlock(&vmm.lock);
	return ret;
}

static int leave(unsigned int id, unsigned int from, unsigned int to)
{
	int ret = from ? 0 : gvm_remote_mask(id, false);

	return ret ?: role(id, from, to);
}

/*
 * Another page where the VMM sees kvm_run. Of the old one it keeps what the VMM has set; there is
 * no exit that waits for an answer.
 */
static void exchange(unsigned int id, struct gvm_remote *r, const struct gvm_move *m)
{
	struct kvm_run *old = m->from ? r->page : vmm.m.vcpu[id].run;
	struct kvm_run *new = m->to ? r->page : vmm.m.vcpu[id].run;
	int fd = m->to ? r->file : vmm.m.vcpu[id].fd;

	if (old != new) {
		memcpy(new, old, GVM_RUN_HEAD);
		if (gvm_raw_mmap(r->seen, r->seen_len, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			gvm_member_end(&vmm.m, "vCPU %u: its page: %s", id, strerror(errno));
	}
	new->exit_reason = KVM_EXIT_INTR;
}

static int do_step(unsigned int id, struct gvm_remote *r, const struct gvm_move *m)
{
	switch (m->step) {
	case GVM_MOVE_SAVE:
		return save(id, r, m->from);
	case GVM_MOVE_LOAD:
		return load(id, r, m->from, m->to);
	case GVM_MOVE_LEAVE:
		return leave(id, m->from, m->to);
	case GVM_MOVE_TELL:
		return role(id, m->told, m->to);
	case GVM_MOVE_NONE:
	case GVM_MOVE_COMPLETE:
	case GVM_MOVE_RESUME:
		break;
	}
	return -EINVAL;
}

/* Record what a step gave. Return: is there a next one? @m is it. */
static bool done(struct gvm_remote *r, int result, struct gvm_move *m)
{
	bool again;

	pthread_mutex_lock(&r->move_lock);
	again = gvm_move_done(&r->move, result);
	*m = r->move;
	r->trying = false;
	if (result == -EAGAIN && r->move.step == GVM_MOVE_COMPLETE) {
		r->wanted = false;
		r->tries++;
		r->tried_us = gvm_now_us();
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->move_lock);
	return again;
}

/* What kicked it out for a move is gone when KVM_RUN returns EINTR. */
static int unkick(unsigned int id, struct gvm_remote *r, int ret)
{
	if (ret < 0 && errno == EINTR && r->kicked) {
		r->kicked = false;
		gvm_remote_page(id)->immediate_exit = 0;
	}
	return ret;
}

/* Return: whether the vCPU's state is whole; else *ret and errno are what KVM_RUN returned. */
static bool complete(unsigned int id, struct gvm_remote *r, int *ret, struct gvm_move *m)
{
	int saved;

	pthread_mutex_lock(&r->move_lock);
	r->trying = true;
	r->busy = "it is kicked all the time";
	pthread_mutex_unlock(&r->move_lock);
	*ret = gvm_remote_complete(id);
	saved = errno;
	if (done(r, *ret < 0 ? -saved : *ret, m))
		return true;
	errno = saved == EAGAIN ? EINTR : saved;
	unkick(id, r, *ret);
	return false;
}

static int move_now(unsigned int id, struct gvm_remote *r)
{
	int64_t kicked = r->kicked_us, stopped = kicked < r->left_us ? kicked : r->left_us;
	struct gvm_move m;
	int ret;

	if (!complete(id, r, &ret, &m))
		return ret;
	r->stop_us = stopped;
	gvm_time_lock();
	do {
		ret = do_step(id, r, &m);
		if (ret && m.step != GVM_MOVE_SAVE && m.step != GVM_MOVE_LOAD)
			gvm_member_end(&vmm.m, "vCPU %u is lost on its way to member %u: %s", id,
				       m.to, strerror(-ret));
		if (m.step == GVM_MOVE_LOAD && !ret)
			exchange(id, r, &m);
	} while (done(r, ret, &m));
	gvm_time_unlock();
	errno = EINTR;
	return unkick(id, r, -1);
}

/* The thread that kicks needs the vCPU's, and its signal let through. */
static void note_thread(struct gvm_remote *r)
{
	static __thread pid_t tid;
	sigset_t set;

	if (!tid) {
		tid = gettid();
		sigemptyset(&set);
		sigaddset(&set, GVM_SIGNAL);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	}
	r->tid = tid;
}

int gvm_moving_run(unsigned int id)
{
	struct gvm_remote *r = gvm_remote_of(id);
	enum gvm_move_step step;
	struct gvm_move m;

	note_thread(r);
	pthread_mutex_lock(&r->move_lock);
	step = r->move.step;
	pthread_mutex_unlock(&r->move_lock);
	if (step == GVM_MOVE_COMPLETE && r->wanted)
		return move_now(id, r);
	if (step == GVM_MOVE_RESUME) {
		r->pause_us = gvm_now_us() - r->stop_us;
		done(r, 0, &m);
	}
	return unkick(id, r, gvm_remote_enter(id));
}

static void wait_changed(struct gvm_remote *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAKE_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&r->changed, &r->move_lock, &until);
}

static void kick(unsigned int id, struct gvm_remote *r)
{
	unsigned int doubled = r->tries < KICK_DOUBLE ? r->tries : KICK_DOUBLE;

	if (r->trying || gvm_now_us() - r->tried_us < KICK_MS * 1000ll << doubled)
		return;
	r->wanted = true;
	if (r->kicked_us == INT64_MAX)
		r->kicked_us = gvm_now_us();
	gvm_remote_page(id)->immediate_exit = 1;
	r->kicked = true;
	if (r->tid)
		syscall(SYS_tgkill, getpid(), r->tid, GVM_SIGNAL);
}

/* Until it is done, or given up. Return: how it went. */
static int await(unsigned int id, struct gvm_remote *r)
{
	int64_t deadline = gvm_now_ms() + MOVE_MS, resume = INT64_MAX;

	while (r->move.step != GVM_MOVE_NONE) {
		if (gvm_now_ms() > deadline && gvm_move_cancel(&r->move, -ETIMEDOUT))
			break;
		if (r->move.step == GVM_MOVE_COMPLETE)
			kick(id, r);
		if (r->move.step == GVM_MOVE_RESUME && resume == INT64_MAX)
			resume = gvm_now_ms() + RESUME_MS;
		if (gvm_now_ms() > resume) {
			gvm_move_done(&r->move, 0);	/* the VMM has stopped it */
			break;
		}
		wait_changed(r);
	}
	return r->move.error;
}

static const char *refused(unsigned int id, unsigned int to)
{
	struct gvm_remote *r = gvm_remote_of(id);

	if (!r)
		return "there is no such vCPU";
	if (id == vmm.first_vcpu)
		return "the first vCPU stays on the VMM's server";
	if (to >= vmm.m.nr_members)
		return "there is no such server in this VM";
	if (vmm.m.vcpu[id].owner == to)
		return "it is there already";
	if (!r->seen || r->seen_len < GVM_RUN_HEAD)
		return "the VMM has not mapped it";
	return NULL;
}

int gvm_moving_move(unsigned int id, unsigned int to, char *text, size_t size)
{
	struct gvm_remote *r = gvm_remote_of(id);
	const char *why = refused(id, to);
	int ret = -EINVAL;

	if (!why) {
		ret = gvm_remote_prepare(id, to);
		why = ret ? strerror(-ret) : NULL;
	}
	if (why) {
		snprintf(text, size, "vCPU %u: %s", id, why);
		return ret;
	}
	pthread_mutex_lock(&r->move_lock);
	r->busy = "the VMM does not run it";
	r->pause_us = 0;
	r->tries = 0;
	r->tried_us = 0;
	r->wanted = false;
	ret = gvm_move_begin(&r->move, vmm.m.vcpu[id].owner, to, vmm.m.nr_members);
	if (!ret)
		ret = await(id, r);
	why = ret == -ETIMEDOUT ? r->busy : strerror(-ret);
	if (ret)
		snprintf(text, size, "vCPU %u stays on server %u: %s", id, vmm.m.vcpu[id].owner, why);
	else if (r->pause_us)
		snprintf(text, size, "vCPU %u is on server %u, paused for %lld us", id, to,
			 (long long)r->pause_us);
	else
		snprintf(text, size, "vCPU %u is on server %u; the VMM has stopped it", id, to);
	pthread_mutex_unlock(&r->move_lock);
	return ret;
}
