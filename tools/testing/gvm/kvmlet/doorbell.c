// SPDX-License-Identifier: GPL-2.0
/* Doorbells: what their eventfds counted, and the writes that came to the VMM all the same. */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvmlet.h"

static struct {
	int fd;
	uint64_t exits;
} doors[NR_DOORS];

int doorbell_set(uint32_t door, bool on)
{
	static const uint8_t lens[NR_DOOR_KINDS] = {
		[DOOR_PLAIN] = 4, [DOOR_MATCH] = 2, [DOOR_ANY] = 0,
	};
	bool pio = door < NR_DOOR_KINDS;
	uint32_t kind = door % NR_DOOR_KINDS;
	struct kvm_ioeventfd e = {
		.addr = (pio ? PORT_DOORBELL : MMIO_DOORBELL) + kind * DOOR_STEP,
		.len = lens[kind],
		.flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (kind == DOOR_MATCH ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
		.datamatch = DOOR_VALUE,
		.fd = doors[door].fd,
	};

	return ioctl(vm.fd, KVM_IOEVENTFD, &e);
}

int doorbell_rung(uint32_t door)
{
	uint64_t n;

	return read(doors[door].fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

void doorbell_exit(uint32_t door)
{
	__atomic_add_fetch(&doors[door].exits, 1, __ATOMIC_SEQ_CST);
}

int doorbell_exits(uint32_t door)
{
	return __atomic_exchange_n(&doors[door].exits, 0, __ATOMIC_SEQ_CST);
}

void doorbell_start(void)
{
	uint32_t i;

	for (i = 0; i < NR_DOORS; i++) {
		doors[i].fd = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		must(doorbell_set(i, true));
	}
}
