// SPDX-License-Identifier: GPL-2.0
/* What devices do, in a thread of their own: interrupts, kicks, memory slots. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvmlet.h"

#define QUEUE 64
#define MSI_BASE 0xfee00000u
#define DATA_LEVEL 0xc000u		/* level-triggered, asserted */

static struct {
	uint32_t addr[QUEUE];
	uint32_t head, tail;
} queue;				/* under vm.lock */

static struct {
	uint32_t cpu, vector;
	bool routed, up;
	uint32_t eois;
} pins[NR_PINS];			/* under pins_lock */

static pthread_mutex_t pins_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kvm_irq_routing_entry irqfd_route[MAX_CPUS];
static int irqfds[MAX_CPUS];

static struct kvm_irq_routing_entry msi_route(uint32_t gsi, uint32_t cpu, uint32_t data)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = MSI_BASE | cpu << 12, .data = data },
	};
}

/* All routes at once, as the call wants them. Under pins_lock. */
static int routes_set(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[NR_PINS + MAX_CPUS];
	} r = { 0 };
	uint32_t i;

	for (i = 0; i < NR_PINS; i++)
		if (pins[i].routed)
			r.e[r.head.nr++] = msi_route(i, pins[i].cpu, pins[i].vector | DATA_LEVEL);
	for (i = 0; i < MAX_CPUS; i++)
		if (irqfd_route[i].type)
			r.e[r.head.nr++] = irqfd_route[i];
	return ioctl(vm.fd, KVM_SET_GSI_ROUTING, &r);
}

static int msi(const struct request *r)
{
	struct kvm_msi m = {
		.address_lo = MSI_BASE | r->cpu << 12 | (r->mode & MODE_LOGICAL ? 4 : 0),
		.data = r->vector | (r->mode & 7) << 8,
	};

	return ioctl(vm.fd, KVM_SIGNAL_MSI, &m);
}

static int irqfd(const struct request *r)
{
	struct kvm_irqfd fd = { .gsi = NR_PINS + r->cpu };
	uint64_t one = 1;
	uint32_t i;
	int err;

	if (r->cpu >= MAX_CPUS)
		return -1;
	pthread_mutex_lock(&pins_lock);
	irqfd_route[r->cpu] = msi_route(fd.gsi, r->cpu, r->vector);
	err = routes_set();
	pthread_mutex_unlock(&pins_lock);
	if (err)
		return err;
	if (!irqfds[r->cpu]) {
		irqfds[r->cpu] = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		fd.fd = irqfds[r->cpu];
		must(ioctl(vm.fd, KVM_IRQFD, &fd));
	}
	for (i = 0; i < r->count; i++)
		if (write(irqfds[r->cpu], &one, sizeof(one)) != sizeof(one))
			return -1;
	return 0;
}

static int pin_raise(uint32_t pin)
{
	struct kvm_irq_level l = { .irq = pin, .level = 1 };

	return ioctl(vm.fd, KVM_IRQ_LINE_STATUS, &l);
}

static int level(const struct request *r)
{
	int ret = 0;

	if (r->pin >= NR_PINS)
		return -1;
	pthread_mutex_lock(&pins_lock);
	switch (r->op) {
	case REQ_LEVEL_ROUTE:
		pins[r->pin].cpu = r->cpu;
		pins[r->pin].vector = r->vector;
		pins[r->pin].routed = true;
		pins[r->pin].up = false;
		pins[r->pin].eois = 0;
		ret = routes_set();
		break;
	case REQ_LEVEL_SET:
		pins[r->pin].up = r->count;
		if (r->count)
			ret = pin_raise(r->pin);
		break;
	case REQ_LEVEL_EOIS:
		ret = pins[r->pin].eois;
		break;
	}
	pthread_mutex_unlock(&pins_lock);
	return ret;
}

/* As an IOAPIC: a line that is still up interrupts again. */
void device_eoi(uint32_t vector)
{
	uint32_t i;
	bool ours = false;

	pthread_mutex_lock(&pins_lock);
	for (i = 0; i < NR_PINS; i++) {
		if (!pins[i].routed || pins[i].vector != vector)
			continue;
		ours = true;
		pins[i].eois++;
		if (pins[i].up)
			pin_raise(i);
	}
	pthread_mutex_unlock(&pins_lock);
	if (!ours)
		say("# EOI exit for vector %x, which no pin has", vector);
}

static int each_time(const struct request *r, int (*work)(struct vcpu *v))
{
	uint32_t i;

	for (i = 0; i < r->count; i++) {
		if (vcpu_interrupt(&vm.vcpu[r->cpu], work))
			return -1;
		usleep(i % 4 * 500);
	}
	return 0;
}

static int slot_again(const struct request *r)
{
	uint32_t i;

	for (i = 0; i < r->count; i++) {
		if (slot_set(false) || slot_set(true))
			return -1;
		usleep(i % 8 * 500);
	}
	return 0;
}

static int doorbell(const struct request *r)
{
	if (r->pin >= NR_DOORS)
		return -1;
	if (r->op == REQ_DOOR_SET)
		return doorbell_set(r->pin, r->count);
	return r->op == REQ_DOOR_RUNG ? doorbell_rung(r->pin) : doorbell_exits(r->pin);
}

static int serve(const struct request *r)
{
	switch ((enum request_op)r->op) {
	case REQ_MSI:
		return msi(r);
	case REQ_IRQFD:
		return irqfd(r);
	case REQ_LEVEL_ROUTE:
	case REQ_LEVEL_SET:
	case REQ_LEVEL_EOIS:
		return level(r);
	case REQ_KICK:
		return each_time(r, NULL);
	case REQ_REGS:
		return each_time(r, vcpu_check_state);
	case REQ_SLOT:
		return slot_again(r);
	case REQ_DOOR_SET:
	case REQ_DOOR_RUNG:
	case REQ_DOOR_EXITS:
		return doorbell(r);
	}
	errno = EINVAL;
	return -1;
}

static void *device_main(void *arg)
{
	for (;;) {
		struct request *r, mine;

		pthread_mutex_lock(&vm.lock);
		while (queue.head == queue.tail)
			pthread_cond_wait(&vm.changed, &vm.lock);
		r = guest_memory(queue.addr[queue.tail++ % QUEUE], sizeof(*r));
		pthread_mutex_unlock(&vm.lock);
		if (!r)
			die("a request outside memory");
		mine = *r;
		if (mine.cpu >= vm.nr_cpus && mine.op >= REQ_IRQFD)
			die("a request for CPU %u", mine.cpu);
		r->result = serve(&mine);
		if (r->result < 0)
			say("# request %u (cpu %u, vector %x, pin %u): %m", mine.op, mine.cpu,
			    mine.vector, mine.pin);
		__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	}
	return arg;
}

void device_post(uint32_t addr)
{
	pthread_mutex_lock(&vm.lock);
	if (queue.head - queue.tail == QUEUE)
		die("too many requests");
	queue.addr[queue.head++ % QUEUE] = addr;
	pthread_cond_broadcast(&vm.changed);
	pthread_mutex_unlock(&vm.lock);
}

void device_start(void)
{
	pthread_t thread;

	doorbell_start();
	if (pthread_create(&thread, NULL, device_main, NULL))
		die("no thread");
}
