// SPDX-License-Identifier: GPL-2.0
/*
 * Patches 0007 and 0008, without dsm: a vCPU in KVM_MP_STATE_APIC_MAILBOX reports what is sent to
 * it, all of it, once, or signals an eventfd for it. vCPU 0 runs a guest that sends IPIs as it is
 * told; vCPU 1 is the mailbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"

#define alarm(seconds)	(alarm)(dsm_patient(seconds))
#include <kselftest_harness.h>
#undef alarm

#include "mailbox.h"

bool dsm_wanted;	/* false: this test needs no dsmfs */

FIXTURE(mailbox) {
	int kvm;
	int vm;
	uint8_t *ram;
	struct vcpu cpu[2];
};

FIXTURE_SETUP(mailbox)
{
	struct kvm_userspace_memory_region m = { .memory_size = RAM };
	struct kvm_cpuid2 *cpuid;

	ASSERT_EQ(0, system("test -c /dev/kvm || modprobe -q kvm_amd || modprobe -q kvm_intel"));
	self->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->kvm) TH_LOG("%m");
	self->vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm) TH_LOG("%m");
	ASSERT_EQ(1, ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_APIC_MAILBOX));
	ASSERT_EQ(0, split_irqchip(self->vm));
	self->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ram);
	build_guest(self->ram);
	m.userspace_addr = (uintptr_t)self->ram;
	ASSERT_EQ(0, ioctl(self->vm, KVM_SET_USER_MEMORY_REGION, &m));
	cpuid = host_cpuid(self->kvm);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, create_vcpu(self->kvm, self->vm, i, &self->cpu[i])) TH_LOG("%m");
		ASSERT_EQ(0, setup_vcpu(&self->cpu[i], cpuid)) TH_LOG("%m");
	}
	free(cpuid);
	ASSERT_EQ(0, set_mp_state(&self->cpu[1], MAILBOX)) TH_LOG("%m");
	ASSERT_EQ(MAILBOX, mp_state(&self->cpu[1]));
}

FIXTURE_TEARDOWN(mailbox)
{
	for (int i = 0; i < 2; i++)
		close(self->cpu[i].fd);
	close(self->vm);
	close(self->kvm);
	munmap(self->ram, RAM);
}

TEST_F(mailbox, fixed)
{
	struct vcpu *c = &self->cpu[1];

	EMPTY(c);
	for (int v = FIRST; v < NR_VECTORS; v++) {
		ASSERT_EQ(1, msi(self->vm, 1, v));
		COLLECTS(c, fixed(v, false));
	}
	/* Twice before it is taken is once, as in any APIC. */
	msi(self->vm, 1, 0x31);
	msi(self->vm, 1, 0x31);
	COLLECTS(c, fixed(0x31, false));
}

TEST_F(mailbox, all_at_once)
{
	struct gvm_kvm_mail want = { 0 };

	for (int v = FIRST; v < NR_VECTORS; v++) {
		ASSERT_EQ(1, msi(self->vm, 1, v));
		want.irr[v / 32] |= 1u << v % 32;
	}
	msi(self->vm, 1, NMI);
	want.nr_nmis = 1;
	COLLECTS(&self->cpu[1], want);
}

/* The priority of this vCPU is not that of the real one. */
TEST_F(mailbox, priority_does_not_matter)
{
	struct kvm_lapic_state l;
	uint32_t tpr = 0xf0;

	ASSERT_EQ(0, ioctl(self->cpu[1].fd, KVM_GET_LAPIC, &l));
	memcpy(l.regs + 0x80, &tpr, sizeof(tpr));
	ASSERT_EQ(0, ioctl(self->cpu[1].fd, KVM_SET_LAPIC, &l));
	msi(self->vm, 1, 0x20);
	COLLECTS(&self->cpu[1], fixed(0x20, false));
}

TEST_F(mailbox, level)
{
	struct vcpu *c = &self->cpu[1];
	struct kvm_lapic_state l;
	uint32_t isr = 0, one;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, msi(self->vm, 1, LEVEL | ASSERT_ | 0x41));
		COLLECTS(c, fixed(0x41, true));
		ASSERT_EQ(1, msi(self->vm, 1, 0x41));
		COLLECTS(c, fixed(0x41, false));
	}
	/* Nothing is in service, so no EOI is owed. */
	ASSERT_EQ(0, ioctl(c->fd, KVM_GET_LAPIC, &l));
	for (int i = 0; i < 8; i++) {
		memcpy(&one, l.regs + 0x100 + i * 16, sizeof(one));
		isr |= one;
	}
	EXPECT_EQ(0, isr);
}

TEST_F(mailbox, nmi)
{
	for (unsigned int n = 1; n <= 4; n++) {
		for (unsigned int i = 0; i < n; i++)
			msi(self->vm, 1, NMI);
		COLLECTS(&self->cpu[1], { .nr_nmis = n < 2 ? n : 2 });
	}
}

TEST_F(mailbox, init_and_sipi)
{
	struct vcpu *c = &self->cpu[1];

	msi(self->vm, 1, INIT | ASSERT_);
	EXPECT_EQ(MAILBOX, mp_state(c));	/* which accepts them for any other vCPU */
	COLLECTS(c, { .flags = M_INIT });
	msi(self->vm, 1, SIPI | 0x9a);
	EXPECT_EQ(MAILBOX, mp_state(c));
	COLLECTS(c, { .flags = M_SIPI, .sipi_vector = 0x9a });
	msi(self->vm, 1, INIT | ASSERT_);
	msi(self->vm, 1, SIPI | 0x9b);
	COLLECTS(c, { .flags = M_INIT | M_SIPI, .sipi_vector = 0x9b });
	/* An INIT cancels a SIPI, as it does on any vCPU. */
	msi(self->vm, 1, SIPI | 0x9c);
	msi(self->vm, 1, INIT | ASSERT_);
	COLLECTS(c, { .flags = M_INIT });
	EXPECT_EQ(MAILBOX, mp_state(c));
}

TEST_F(mailbox, smi)
{
	if (ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM) <= 0)
		SKIP(return, "KVM without SMM");
	msi(self->vm, 1, SMI);
	COLLECTS(&self->cpu[1], { .flags = M_SMI });
}

TEST_F(mailbox, what_precedes_an_init_is_with_it)
{
	struct gvm_kvm_mail want = fixed(0x55, false);

	msi(self->vm, 1, 0x55);
	msi(self->vm, 1, NMI);
	msi(self->vm, 1, INIT | ASSERT_);
	want.flags = M_INIT;
	want.nr_nmis = 1;
	COLLECTS(&self->cpu[1], want);
}

TEST_F(mailbox, destinations_of_ipis)
{
	static const struct {
		uint32_t to, icr;
		bool comes;
	} way[] = {
		{ 1, 0, true },				/* physical */
		{ 0, 0, false },
		{ 2, LOGICAL, true },			/* cluster 0, bit 1 */
		{ 3, LOGICAL, true },
		{ 1, LOGICAL, false },
		{ 0, OTHERS, true },
		{ 0, ALL, true },
		{ ~0u, 0, true },
		{ 2, LOGICAL | LOWEST, true },
	};
	struct vcpu *c = &self->cpu[1];

	for (int i = 0; i < (int)ARRAY_LEN(way); i++) {
		TH_LOG("to %x, ICR %x", way[i].to, way[i].icr | 0x61);
		ASSERT_EQ(0, ipi(&self->cpu[0], way[i].to, way[i].icr | 0x61));
		if (way[i].comes)
			COLLECTS(c, fixed(0x61, false));
		else
			EMPTY(c);
	}
	ASSERT_EQ(0, ipi(&self->cpu[0], 1, NMI));
	COLLECTS(c, { .nr_nmis = 1 });
	ASSERT_EQ(0, ipi(&self->cpu[0], 1, INIT | LEVEL | ASSERT_));
	ASSERT_EQ(0, ipi(&self->cpu[0], 1, INIT | LEVEL));	/* de-assert: nothing */
	COLLECTS(c, { .flags = M_INIT });
	ASSERT_EQ(0, ipi(&self->cpu[0], 1, SIPI | 8));
	COLLECTS(c, { .flags = M_SIPI, .sipi_vector = 8 });
}

TEST_F(mailbox, destinations_of_messages)
{
	struct vcpu *c = &self->cpu[1];

	EXPECT_EQ(1, msi(self->vm, 2, LOGICAL | 0x62));
	COLLECTS(c, fixed(0x62, false));
	EXPECT_EQ(2, msi(self->vm, 3, LOGICAL | 0x63));
	COLLECTS(c, fixed(0x63, false));
	EXPECT_EQ(2, msi(self->vm, 0xff, 0x64));
	COLLECTS(c, fixed(0x64, false));
	EXPECT_EQ(1, msi(self->vm, 2, LOGICAL | LOWEST | 0x65));
	COLLECTS(c, fixed(0x65, false));
	EXPECT_EQ(1, msi(self->vm, 0, 0x66));
	EMPTY(c);
}

/* A new vCPU, its APIC as after reset: neither is it enabled, nor was it ever written. */
TEST_F(mailbox, of_a_new_vcpu)
{
	struct vcpu c;

	ASSERT_EQ(0, create_vcpu(self->kvm, self->vm, 2, &c));
	ASSERT_EQ(0, set_regs(&c, 0, 0x202));
	ASSERT_EQ(0, set_mp_state(&c, MAILBOX));
	EXPECT_EQ(0, msi(self->vm, 2, 0x31));	/* not enabled */
	EXPECT_EQ(1, msi(self->vm, 2, INIT | ASSERT_));
	COLLECTS(&c, { .flags = M_INIT });
	close(c.fd);
}

TEST_F(mailbox, refused)
{
	struct vcpu *c = &self->cpu[1], other;
	int vm;

	ASSERT_EQ(0, set_mp_state(c, KVM_MP_STATE_RUNNABLE));
	ASSERT_EQ(0, set_regs(c, WAIT, 2));
	EXPECT_EQ(-1, set_mp_state(c, MAILBOX));
	EXPECT_EQ(EINVAL, errno);		/* interrupts off */
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, mp_state(c));
	EXPECT_EQ(-1, set_mp_state(c, MAILBOX + 1));

	vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_EQ(0, ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	ASSERT_EQ(0, create_vcpu(self->kvm, vm, 0, &other));
	ASSERT_EQ(0, set_regs(&other, 0, 0x202));
	EXPECT_EQ(-1, set_mp_state(&other, MAILBOX));
	EXPECT_EQ(EINVAL, errno);		/* the IOAPIC is KVM's */
	close(other.fd);
	close(vm);
}

/* A vCPU of its own thread: what it collected, counted. */

struct reader {
	struct vcpu *c;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint vector[NR_VECTORS];
	atomic_uint nmis, inits, sipis, signals, exits, errors;
};

static void on_signal(int sig)
{
	(void)sig;
}

static void count(struct reader *r, const struct gvm_kvm_mail *m)
{
	for (int v = 0; v < NR_VECTORS; v++)
		r->vector[v] += m->irr[v / 32] >> v % 32 & 1;
	r->nmis += m->nr_nmis;
	r->inits += !!(m->flags & M_INIT);
	r->sipis += !!(m->flags & M_SIPI);
	r->exits++;
	if (!memcmp(m, &nothing, sizeof(nothing)))
		r->errors++;	/* KVM_RUN ended for nothing */
}

static void *read_all(void *arg)
{
	struct reader *r = arg;

	while (!r->stop) {
		if (!ioctl(r->c->fd, KVM_RUN, 0)) {
			if (r->c->run->exit_reason != KVM_EXIT_X86_APIC_MAILBOX)
				r->errors++;
			else
				count(r, gvm_kvm_mail(r->c->run));
		} else if (errno == EINTR) {
			r->signals++;
		} else {
			r->errors++;
		}
	}
	return NULL;
}

static int reader_start(struct reader *r, struct vcpu *c)
{
	struct sigaction sa = { .sa_handler = on_signal };

	memset(r, 0, sizeof(*r));
	r->c = c;
	sigaction(SIGUSR1, &sa, NULL);
	return pthread_create(&r->thread, NULL, read_all, r);
}

static void reader_stop(struct reader *r)
{
	r->stop = true;
	r->c->run->immediate_exit = 1;
	pthread_kill(r->thread, SIGUSR1);
	pthread_join(r->thread, NULL);
	r->c->run->immediate_exit = 0;
}

static bool comes(atomic_uint *what, unsigned int n)
{
	uint64_t end = now_us() + dsm_patient(5000000);
	unsigned int spins = 0;

	while (*what != n && now_us() < end)
		relax(&spins);
	return *what == n;
}

TEST_F(mailbox, blocks_until_something_comes)
{
	struct reader r;

	ASSERT_EQ(0, reader_start(&r, &self->cpu[1]));
	pause_us(50000);
	EXPECT_EQ(0, r.exits);
	EXPECT_EQ(0, r.signals);
	msi(self->vm, 1, 0x71);
	EXPECT_TRUE(comes(&r.vector[0x71], 1));
	msi(self->vm, 1, NMI);
	EXPECT_TRUE(comes(&r.nmis, 1));
	msi(self->vm, 1, INIT | ASSERT_);
	EXPECT_TRUE(comes(&r.inits, 1));
	msi(self->vm, 1, SIPI | 1);
	EXPECT_TRUE(comes(&r.sipis, 1));
	pause_us(50000);
	EXPECT_EQ(4, r.exits);
	for (int i = 1; i <= 20; i++) {
		pthread_kill(r.thread, SIGUSR1);
		ASSERT_TRUE(comes(&r.signals, i));
	}
	EXPECT_EQ(4, r.exits);
	reader_stop(&r);
	EXPECT_EQ(0, r.errors);
	EMPTY(&self->cpu[1]);
}

/* Signals and immediate_exit take nothing; a signal mask holds for KVM_RUN only. */
TEST_F(mailbox, nothing_lost_by_an_interruption)
{
	struct vcpu *c = &self->cpu[1];

	msi(self->vm, 1, 0x72);
	c->run->immediate_exit = 1;
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(-1, ioctl(c->fd, KVM_RUN, 0));
		EXPECT_EQ(EINTR, errno);
	}
	c->run->immediate_exit = 0;
	COLLECTS(c, fixed(0x72, false));
}

/* Each sender waits for what it sent before it sends it again: all must come, each once. */

struct sender {
	int vm;
	struct vcpu *guest;	/* sends IPIs, or NULL: messages */
	struct reader *r;
	unsigned int vector, n, lost;
	pthread_t thread;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (unsigned int i = 1; i <= s->n && !s->lost; i++) {
		unsigned int v = s->vector + i % 4 * 64 % 128;
		unsigned int before = s->r->vector[v];
		int ret = s->guest ? ipi(s->guest, 1, v) : msi(s->vm, 1, v) - 1;

		if (ret || !comes(&s->r->vector[v], before + 1))
			s->lost = i;
	}
	return NULL;
}

TEST_F_TIMEOUT(mailbox, storm, 150)
{
	struct sender s[3];
	struct reader r;
	unsigned int n = dsm_scale(3000), sum = 0;

	ASSERT_EQ(0, reader_start(&r, &self->cpu[1]));
	for (int i = 0; i < 3; i++) {
		s[i] = (struct sender) {
			.vm = self->vm, .guest = i ? NULL : &self->cpu[0], .r = &r,
			.vector = 0x30 + i, .n = n,
		};
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, send_all, &s[i]));
	}
	for (unsigned int i = 1; i <= n / 10; i++) {
		msi(self->vm, 1, NMI);
		ASSERT_TRUE(comes(&r.nmis, i));
		pthread_kill(r.thread, SIGUSR1);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].lost);
	}
	reader_stop(&r);
	for (int v = 0; v < NR_VECTORS; v++)
		sum += r.vector[v];
	EXPECT_EQ(3 * n, sum);
	EXPECT_EQ(n / 10, r.nmis);
	EXPECT_EQ(0, r.errors);
	ksft_print_msg("%u interrupts, %u NMIs in %u exits, %u signals\n", sum, r.nmis, r.exits,
		       r.signals);
	EMPTY(&self->cpu[1]);
}

/* KVM_RUN of a real vCPU until it writes to the port. Return: what it writes. */
static int runs_until(struct vcpu *c, uint16_t port)
{
	for (int i = 0; i < 10; i++) {
		if (ioctl(c->fd, KVM_RUN, 0))
			return -errno;
		if (c->run->exit_reason != KVM_EXIT_IO)
			return -EPROTO;
		if (c->run->io.port == port)
			return *((uint8_t *)c->run + c->run->io.data_offset);
	}
	return -ETIMEDOUT;
}

/* It has no interrupt to handle, and no I/O to complete. */
static bool settles(struct vcpu *c)
{
	bool eintr;

	if (runs_until(c, PORT_IDLE) < 0)
		return false;
	c->run->immediate_exit = 1;
	eintr = ioctl(c->fd, KVM_RUN, 0) && errno == EINTR;
	c->run->immediate_exit = 0;
	return eintr;
}

TEST_F(mailbox, ends_and_begins_again)
{
	struct vcpu *c = &self->cpu[1];

	for (int v = 0x60; v < 0x92; v++) {
		struct gvm_kvm_mail want = { .nr_nmis = 1 };

		/* What is pending at the end is the real vCPU's ... */
		ASSERT_EQ(1, msi(self->vm, 1, v));
		ASSERT_EQ(0, set_mp_state(c, KVM_MP_STATE_RUNNABLE));
		ASSERT_EQ(v, runs_until(c, PORT_VECTOR));
		ASSERT_EQ(1, msi(self->vm, 1, v + 1));
		ASSERT_EQ(v + 1, runs_until(c, PORT_VECTOR));
		ASSERT_EQ(1, msi(self->vm, 1, NMI));
		ASSERT_EQ(2, runs_until(c, PORT_VECTOR));
		ASSERT_TRUE(settles(c));
		/* ... and what is pending at the beginning is the mailbox's. */
		ASSERT_EQ(1, msi(self->vm, 1, v + 2));
		ASSERT_EQ(1, msi(self->vm, 1, NMI));
		ASSERT_EQ(0, set_mp_state(c, MAILBOX)) TH_LOG("%m");
		ASSERT_EQ(1, msi(self->vm, 1, v + 3));
		want.irr[(v + 2) / 32] |= 1u << (v + 2) % 32;
		want.irr[(v + 3) / 32] |= 1u << (v + 3) % 32;
		COLLECTS(c, want);
	}
	/* An INIT that waits resets the vCPU once it is real. */
	msi(self->vm, 1, INIT | ASSERT_);
	ASSERT_EQ(0, set_mp_state(c, KVM_MP_STATE_RUNNABLE));
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, mp_state(c));
}

/* ---- eventfds ---- */

static int set_eventfd(int vm, uint32_t vcpu, uint32_t vector, int fd)
{
	struct gvm_kvm_mailbox_eventfd e = { .vcpu_id = vcpu, .vector = vector, .fd = fd };

	return ioctl(vm, KVM_X86_SET_MAILBOX_EVENTFD, &e);
}

/* Return: what it counted since it was asked last. */
static uint64_t counted(int fd)
{
	uint64_t n = 0;

	return eventfd_read(fd, &n) ? 0 : n;
}

TEST_F(mailbox, eventfd_instead_of_an_exit)
{
	struct vcpu *c = &self->cpu[1];
	int a = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), b = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_EQ(1, ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_MAILBOX_EVENTFD));
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x31, a)) TH_LOG("%m");
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0xff, b)) TH_LOG("%m");
	EXPECT_EQ(1, msi(self->vm, 1, 0x31));
	EXPECT_EQ(1, msi(self->vm, 1, 0x31));
	EXPECT_EQ(2, counted(a));
	EXPECT_EQ(0, counted(b));
	ASSERT_EQ(0, ipi(&self->cpu[0], 1, 0xff));
	ASSERT_EQ(0, ipi(&self->cpu[0], 3, LOGICAL | 0x31));
	ASSERT_EQ(1, msi(self->vm, 2, LOGICAL | LOWEST | 0x31));
	EXPECT_EQ(2, counted(a));
	EXPECT_EQ(1, counted(b));
	EMPTY(c);
	/* Others, and level-triggered ones of the same vector, are reported as before. */
	msi(self->vm, 1, 0x32);
	COLLECTS(c, fixed(0x32, false));
	msi(self->vm, 1, LEVEL | ASSERT_ | 0x31);
	COLLECTS(c, fixed(0x31, true));
	msi(self->vm, 1, NMI);
	COLLECTS(c, { .nr_nmis = 1 });
	EXPECT_EQ(0, counted(a));

	/* Another one, and none. */
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x31, b));
	msi(self->vm, 1, 0x31);
	EXPECT_EQ(0, counted(a));
	EXPECT_EQ(1, counted(b));
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x31, -1));
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x31, -1));
	msi(self->vm, 1, 0x31);
	COLLECTS(c, fixed(0x31, false));
	/* The descriptor need not stay open. */
	close(b);
	msi(self->vm, 1, 0xff);
	EMPTY(c);
	close(a);
}

/* While the vCPU is no mailbox it takes its interrupts itself. */
TEST_F(mailbox, eventfd_of_a_vcpu_that_runs)
{
	struct vcpu *c = &self->cpu[1];
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x61, fd));
	ASSERT_EQ(0, set_mp_state(c, KVM_MP_STATE_RUNNABLE));
	msi(self->vm, 1, 0x61);
	EXPECT_EQ(0x61, runs_until(c, PORT_VECTOR));
	EXPECT_EQ(0, counted(fd));
	ASSERT_TRUE(settles(c));
	ASSERT_EQ(0, set_mp_state(c, MAILBOX)) TH_LOG("%m");
	msi(self->vm, 1, 0x61);
	EXPECT_EQ(1, counted(fd));
	EMPTY(c);
}

/* Who is called by an eventfd must not signal one: that is reported. */
TEST_F(mailbox, eventfd_by_an_irqfd)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e;
	} r = {
		.head.nr = 1,
		.e = {
			.gsi = 30,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = 0xfee00000u | 1 << 12, .data = 0x81 },
		},
	};
	struct kvm_irqfd irqfd = { .gsi = 30 };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	irqfd.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(0, ioctl(self->vm, KVM_SET_GSI_ROUTING, &r)) TH_LOG("%m");
	ASSERT_EQ(0, ioctl(self->vm, KVM_IRQFD, &irqfd)) TH_LOG("%m");
	ASSERT_EQ(0, set_eventfd(self->vm, 1, 0x81, fd));
	eventfd_write(irqfd.fd, 1);
	COLLECTS(&self->cpu[1], fixed(0x81, false));
	EXPECT_EQ(0, counted(fd));
}

TEST_F(mailbox, eventfd_refused)
{
	struct gvm_kvm_mailbox_eventfd e = { .vcpu_id = 1, .vector = 0x31, .flags = 1, .fd = -1 };
	int fd = eventfd(0, EFD_CLOEXEC);

	EXPECT_EQ(-1, ioctl(self->vm, KVM_X86_SET_MAILBOX_EVENTFD, &e));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm, KVM_X86_SET_MAILBOX_EVENTFD, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 1, 15, fd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 1, 256, fd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 2, 0x31, fd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 1, 0x31, -2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 1, 0x31, self->vm));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_eventfd(self->vm, 1, 0x31, 999));
	EXPECT_EQ(EBADF, errno);
}

struct changer {
	int vm;
	int fd[2];
	atomic_bool stop;
	atomic_uint changes, errors;
};

static void *change_all(void *arg)
{
	struct changer *ch = arg;

	while (!ch->stop) {
		unsigned int i = ch->changes++ % 3;

		if (set_eventfd(ch->vm, 1, 0x91, i < 2 ? ch->fd[i] : -1))
			ch->errors++;
	}
	return NULL;
}

/* It changes while interrupts come: each is counted or reported, none both, none lost. */
TEST_F_TIMEOUT(mailbox, eventfd_changes, 100)
{
	struct changer ch = { .vm = self->vm };
	unsigned int n = dsm_scale(2000), exits = 0, events = 0;
	pthread_t thread;
	struct reader r;

	for (int i = 0; i < 2; i++)
		ch.fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_EQ(0, reader_start(&r, &self->cpu[1]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_all, &ch));
	for (unsigned int i = 0; i < n; i++) {
		uint64_t end = now_us() + dsm_patient(5000000);
		unsigned int spins = 0;

		ASSERT_EQ(1, msi(self->vm, 1, 0x91));
		while (exits + events == i && now_us() < end) {
			exits = r.vector[0x91];
			events += counted(ch.fd[0]) + counted(ch.fd[1]);
			relax(&spins);
		}
		ASSERT_EQ(i + 1, exits + events);
	}
	ch.stop = true;
	pthread_join(thread, NULL);
	reader_stop(&r);
	EXPECT_EQ(0, ch.errors);
	EXPECT_EQ(0, r.errors);
	ksft_print_msg("%u interrupts: %u exits, %u counted, %u changes\n", n, exits, events,
		       ch.changes);
}

TEST_HARNESS_MAIN
