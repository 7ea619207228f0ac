// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN with a signal pending: all is done that is done before a vCPU enters the guest. With
 * immediate_exit only the I/O would be.
 *
 * A one-shot timer that has run out shows that in the APIC's registers, but not whether its
 * interrupt has come, which KVM_RUN sees to after an hrtimer has expired. KVM_RUN also moves that
 * hrtimer to the CPU it is called on, unless the vCPU is halted, and hrtimers of one CPU expire in
 * order. So a sleep that begins and ends here ends after it. Where isolated CPUs leave hrtimers to
 * others, or the thread cannot be bound, there is no order, and the sleep is just time to expire.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "complete.h"
#include "move.h"
#include "raw.h"
#include "stub.h"

static void forget_signals(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, GVM_SIGNAL);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

/* GVM_SIGNAL is blocked, but not while KVM_RUN runs. */
static int pass(int fd, struct kvm_run *run)
{
	int r;

	pthread_kill(pthread_self(), GVM_SIGNAL);
	r = gvm_raw_ioctl(fd, KVM_RUN, NULL) ? -errno : 0;
	forget_signals();
	return r == -EINTR && run->immediate_exit ? -EAGAIN : r;
}

/* So that KVM_RUN moves the hrtimer. */
static int wake(int fd, bool *halted)
{
	struct kvm_mp_state mp;

	if (gvm_raw_ioctl(fd, KVM_GET_MP_STATE, &mp))
		return -errno;
	*halted = mp.mp_state == KVM_MP_STATE_HALTED;
	mp.mp_state = KVM_MP_STATE_RUNNABLE;
	return *halted && gvm_raw_ioctl(fd, KVM_SET_MP_STATE, &mp) ? -errno : 0;
}

/* Unless something has come that it would have woken up for. */
static int halt(int fd)
{
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;

	if (gvm_raw_ioctl(fd, KVM_GET_MP_STATE, &mp) ||
	    gvm_raw_ioctl(fd, KVM_GET_VCPU_EVENTS, &events))
		return -errno;
	if (mp.mp_state != KVM_MP_STATE_RUNNABLE || events.interrupt.injected ||
	    events.nmi.injected || events.smi.smm)
		return 0;
	mp.mp_state = KVM_MP_STATE_HALTED;
	return gvm_raw_ioctl(fd, KVM_SET_MP_STATE, &mp) ? -errno : 0;
}

/* The vCPU is runnable, and this thread stays on this CPU. */
static int wait_here(int fd, struct kvm_run *run)
{
	const struct timespec short_time = { .tv_nsec = 1 };
	int r = pass(fd, run);

	if (r != -EINTR)
		return r;
	nanosleep(&short_time, NULL);
	return pass(fd, run);
}

/* Return: whether this thread is bound to this CPU; @old is what it was bound to. */
static bool stay(cpu_set_t *old)
{
	int cpu = sched_getcpu();
	cpu_set_t here;

	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(*old), old))
		return false;
	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	return !sched_setaffinity(0, sizeof(here), &here);
}

static int take_timer_in(int fd, struct kvm_run *run)
{
	bool halted = false, bound;
	cpu_set_t old;
	int r, back;

	bound = stay(&old);
	r = wake(fd, &halted);
	if (!r) {
		r = wait_here(fd, run);
		back = halted ? halt(fd) : 0;
		r = back ?: r;
	}
	if (bound)
		sched_setaffinity(0, sizeof(old), &old);
	return r;
}

static int all(int fd, struct kvm_run *run, bool *fired)
{
	struct kvm_lapic_state lapic;
	int r = pass(fd, run);

	if (r != -EINTR)
		return r;
	if (gvm_raw_ioctl(fd, KVM_GET_LAPIC, &lapic))
		return -errno;
	*fired = gvm_state_ran_out(&lapic);
	return *fired ? take_timer_in(fd, run) : r;
}

int gvm_complete(int fd, struct kvm_run *run, bool *fired)
{
	struct {
		struct kvm_signal_mask head;
		unsigned char set[8];	/* the kernel's sigset_t */
	} m = { .head.len = sizeof(m.set) };
	bool kicked = run->immediate_exit;
	sigset_t set, old;
	int r;

	sigfillset(&set);
	sigdelset(&set, GVM_SIGNAL);
	memcpy(m.head.sigset, &set, sizeof(m.set));
	sigemptyset(&set);
	sigaddset(&set, GVM_SIGNAL);
	*fired = false;
	if (gvm_raw_ioctl(fd, KVM_SET_SIGNAL_MASK, &m))
		return -errno;
	pthread_sigmask(SIG_BLOCK, &set, &old);
	run->immediate_exit = 0;
	r = all(fd, run, fired);
	if (!r && kicked)
		run->immediate_exit = 1;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return gvm_raw_ioctl(fd, KVM_SET_SIGNAL_MASK, NULL) ? -errno : r;
}
