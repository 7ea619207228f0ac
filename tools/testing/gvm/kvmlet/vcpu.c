// SPDX-License-Identifier: GPL-2.0
/* vCPU threads: KVM_RUN, exits, kicks. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kvmlet.h"

#define SIG_KICK SIGUSR1

static __thread struct kvm_run *self_run;
static uint32_t echo[16];
static uint8_t mmio[4096];

static void on_kick(int sig)
{
	(void)sig;
	if (self_run)
		__atomic_store_n(&self_run->immediate_exit, 1, __ATOMIC_RELAXED);
}

void vcpu_signals_init(void)
{
	struct sigaction sa = { .sa_handler = on_kick };

	sigaction(SIG_KICK, &sa, NULL);
}

int vcpu_interrupt(struct vcpu *v, int (*work)(struct vcpu *v))
{
	struct timespec end;
	int err = 0, result;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += vm.limit_ms / 1000 + 1;
	pthread_mutex_lock(&vm.lock);
	v->work = work;
	v->asked++;
	pthread_kill(v->thread, SIG_KICK);
	while (v->done != v->asked && !err)
		err = pthread_cond_timedwait(&vm.changed, &vm.lock, &end);
	v->work = NULL;
	result = err ? -1 : v->result;
	pthread_mutex_unlock(&vm.lock);
	if (err)
		say("# CPU %u: KVM_RUN does not end at a kick", v->id);
	return result;
}

/* KVM_RUN was interrupted. A kick that comes from here on shows in immediate_exit again. */
static void kicked(struct vcpu *v)
{
	int (*work)(struct vcpu *v);
	int result;

	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&vm.lock);
	work = v->work;
	pthread_mutex_unlock(&vm.lock);
	result = work ? work(v) : 0;
	pthread_mutex_lock(&vm.lock);
	v->result = result;
	v->done = v->asked;
	pthread_cond_broadcast(&vm.changed);
	pthread_mutex_unlock(&vm.lock);
}

/* Read all that QEMU reads of a running vCPU; write back what it writes; nothing may change by that. */
int vcpu_check_state(struct vcpu *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[3];
	} msrs = { .head = { .nmsrs = 3 }, .e = { { .index = 0xc0000080 }, { .index = 0x1b },
						  { .index = MSR_FEATURES } } };
	struct kvm_regs r, r2;
	struct kvm_sregs s, s2;
	struct kvm_vcpu_events events;
	struct kvm_lapic_state apic;
	struct kvm_mp_state mp;
	struct kvm_debugregs debug;
	struct kvm_xcrs xcrs;

	if (ioctl(v->fd, KVM_GET_REGS, &r) || ioctl(v->fd, KVM_GET_SREGS, &s) ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) || ioctl(v->fd, KVM_GET_LAPIC, &apic) ||
	    ioctl(v->fd, KVM_GET_MP_STATE, &mp) || ioctl(v->fd, KVM_GET_DEBUGREGS, &debug) ||
	    ioctl(v->fd, KVM_GET_MSRS, &msrs) != 3) {
		say("# CPU %u: cannot read its state: %m", v->id);
		return -1;
	}
	if (ioctl(v->fd, KVM_GET_XCRS, &xcrs))
		xcrs.nr_xcrs = 0;
	if (r.rip < PAYLOAD || r.rip >= RAM_BYTES || !s.cr3 || s.cr3 >= RAM_BYTES || !(s.cr0 >> 31) ||
	    msrs.e[0].data != s.efer || msrs.e[1].data != s.apic_base) {
		say("# CPU %u: rip %llx cr0 %llx cr3 %llx efer %llx/%llx apic %llx/%llx", v->id, r.rip,
		    s.cr0, s.cr3, s.efer, msrs.e[0].data, s.apic_base, msrs.e[1].data);
		return -1;
	}
	if (msrs.e[2].data != FEATURES) {
		say("# CPU %u: features %llx", v->id, msrs.e[2].data);
		return -1;
	}
	/* In the format of xAPIC, as KVM_CAP_X2APIC_API is off. */
	if ((uint8_t)apic.regs[0x23] != v->id) {
		say("# CPU %u: APIC id %x", v->id, (uint8_t)apic.regs[0x23]);
		return -1;
	}
	if (ioctl(v->fd, KVM_SET_REGS, &r) || ioctl(v->fd, KVM_SET_SREGS, &s) ||
	    ioctl(v->fd, KVM_SET_DEBUGREGS, &debug) || ioctl(v->fd, KVM_SET_MSRS, &msrs) != 3 ||
	    (xcrs.nr_xcrs && ioctl(v->fd, KVM_SET_XCRS, &xcrs))) {
		say("# CPU %u: cannot write its state: %m", v->id);
		return -1;
	}
	if (ioctl(v->fd, KVM_GET_REGS, &r2) || ioctl(v->fd, KVM_GET_SREGS, &s2) ||
	    memcmp(&r, &r2, sizeof(r)) || memcmp(&s, &s2, sizeof(s))) {
		say("# CPU %u: its registers are not what was written", v->id);
		return -1;
	}
	return 0;
}

static int dump(struct vcpu *v)
{
	struct kvm_mp_state mp = { 0 };
	struct kvm_sregs s = { 0 };
	struct kvm_regs r = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &r);
	ioctl(v->fd, KVM_GET_SREGS, &s);
	ioctl(v->fd, KVM_GET_MP_STATE, &mp);
	say("# CPU %u: mp_state %u rip %llx rsp %llx rflags %llx cs %x cr0 %llx efer %llx; exits: io %llu mmio %llu hlt %llu intr %llu",
	    v->id, mp.mp_state, r.rip, r.rsp, r.rflags, s.cs.selector, s.cr0, s.efer,
	    (unsigned long long)v->exits[KVM_EXIT_IO], (unsigned long long)v->exits[KVM_EXIT_MMIO],
	    (unsigned long long)v->exits[KVM_EXIT_HLT], (unsigned long long)v->exits[KVM_EXIT_INTR]);
	return 0;
}

void vcpu_dump_all(void)
{
	uint32_t i;

	vm.limit_ms = 3000;
	for (i = 0; i < vm.nr_cpus; i++)
		vcpu_interrupt(&vm.vcpu[i], dump);
}

static const char *text_at(uint32_t addr)
{
	const char *s = guest_memory(addr, 256);

	return s && memchr(s, 0, 256) ? s : "(a text that is not in its memory)";
}

static void out_port(uint16_t port, uint32_t value)
{
	switch (port) {
	case PORT_TEST:
		test_begins(value);
		break;
	case PORT_OK:
	case PORT_FAIL:
		test_ends(value, port == PORT_OK);
		break;
	case PORT_TEXT:
		say("# %s", text_at(value));
		break;
	case PORT_REQUEST:
		device_post(value);
		break;
	case PORT_YIELD:
		if (value)
			usleep(value > 1000 ? 1000 : value);
		else
			sched_yield();
		break;
	case PORT_END:
		all_ended();
		break;
	case PORT_ABORT:
		say("# %s", text_at(value));
		vcpu_dump_all();
		die("the guest gives up: %s", text_at(value));
	case PORT_DOORBELL ... PORT_DOORBELL + DOOR_STEP * NR_DOOR_KINDS - 1:
		doorbell_exit((port - PORT_DOORBELL) / DOOR_STEP);
		break;
	default:
		die("output to port %x", port);
	}
}

static void port_io(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i, size = run->io.size, value = 0;

	for (i = 0; i < run->io.count; i++, data += size) {
		uint32_t *e = &echo[run->io.port - PORT_ECHO];
		bool is_echo = run->io.port >= PORT_ECHO && run->io.port < PORT_ECHO + 16;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			value = 0;
			memcpy(&value, data, size);
			if (is_echo)
				*e = value;
			else
				out_port(run->io.port, value);
		} else {
			value = is_echo ? ~*e : 0xffffffff;
			memcpy(data, &value, size);
		}
	}
}

static void memory_io(struct kvm_run *run)
{
	uint64_t at = run->mmio.phys_addr;
	uint8_t *p = NULL;

	if (at >= MMIO_DOORBELL && at < MMIO_DOORBELL + DOOR_STEP * NR_DOOR_KINDS) {
		doorbell_exit(NR_DOOR_KINDS + (at - MMIO_DOORBELL) / DOOR_STEP);
		return;
	}
	if (at >= MMIO_AT && at + run->mmio.len <= MMIO_AT + sizeof(mmio))
		p = mmio + (at - MMIO_AT);
	else if (at >= SLOT_AT)
		p = guest_memory(at, run->mmio.len);	/* the slot is just not set */
	if (!p)
		die("access to %llx", (unsigned long long)at);
	if (run->mmio.is_write)
		memcpy(p, run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, p, run->mmio.len);
}

static void exited(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	v->exits[run->exit_reason % 64]++;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		port_io(run);
		break;
	case KVM_EXIT_MMIO:
		memory_io(run);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		device_eoi(run->eoi.vector);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_SHUTDOWN:
	default:
		dump(v);
		die("CPU %u: exit %u, suberror %u", v->id, run->exit_reason, run->internal.suberror);
	}
}

void *vcpu_main(void *p)
{
	struct vcpu *v = p;

	self_run = v->run;
	for (;;) {
		if (!ioctl(v->fd, KVM_RUN, 0))
			exited(v);
		else if (errno == EINTR)
			kicked(v);
		else if (errno != EAGAIN)
			die("CPU %u: KVM_RUN: %m", v->id);
	}
	return NULL;
}
