/* SPDX-License-Identifier: GPL-2.0 */
/* What the VMM and its guest agree on: memory map, ports, requests, the list of tests. */
#ifndef KVMLET_PROTO_H
#define KVMLET_PROTO_H

#include <stdint.h>

#define MAX_CPUS	8

/* Guest-physical; all below 4 GiB is mapped to itself. */
#define PAGE_TABLES	0x1000	/* PML4, PDPT, four page directories */
#define INFO		0x7000	/* struct info */
#define TRAMPOLINE	0x8000	/* where SIPI sends the other CPUs */
#define PAYLOAD		0x10000	/* its image, entered here in 64-bit mode */
#define RAM_BYTES	(16 << 20)
#define FILL_AT		(4 << 20)	/* to the end: nothing else is there */
#define SLOT_AT		0x40000000u	/* memory that comes and goes */
#define SLOT_BYTES	(1 << 20)
#define MMIO_AT		0xd0000000u	/* registers: what was written is read */
#define MMIO_DOORBELL	0xd0001000u	/* doorbells in memory, one of each kind, DOOR_STEP apart */

/* Ports. A request's address or a number is written, 32 bits. */
enum {
	PORT_TEST = 0xe0,	/* the test of this number begins; with NOTE: nothing ends */
	PORT_OK = 0xe1,		/* it passed */
	PORT_FAIL = 0xe2,	/* it failed */
	PORT_TEXT = 0xe3,	/* address of a line for the log */
	PORT_REQUEST = 0xe4,	/* address of a struct request; done by the device thread */
	PORT_YIELD = 0xe5,	/* let the other vCPUs run */
	PORT_END = 0xe6,	/* all is done */
	PORT_ABORT = 0xe7,	/* cannot go on; address of the reason */
	PORT_ECHO = 0x500,	/* 16 ports; what was written is read inverted */
	PORT_DOORBELL = 0x600,	/* doorbells as those in memory */
};

/* Doorbells are ioeventfds. First those of ports, then those in memory, of each kind: */
enum door_kind {
	DOOR_PLAIN,		/* 4 bytes */
	DOOR_MATCH,		/* 2 bytes that are DOOR_VALUE */
	DOOR_ANY,		/* any length */
	NR_DOOR_KINDS
};

#define NR_DOORS	(2 * NR_DOOR_KINDS)
#define DOOR_STEP	16
#define DOOR_VALUE	0x5a01

struct info {
	uint32_t nr_cpus;
	uint32_t tsc_khz;
	uint64_t tests;		/* which to run: one bit each */
	uint32_t rounds;
	uint32_t limit_ms;	/* of a single wait */
};

enum request_op {
	REQ_MSI,		/* KVM_SIGNAL_MSI: cpu, vector, mode */
	REQ_IRQFD,		/* an irqfd with an MSI route to cpu, vector; raised count times */
	REQ_LEVEL_ROUTE,	/* pin's route becomes level-triggered to cpu, vector */
	REQ_LEVEL_SET,		/* the line of pin becomes count */
	REQ_LEVEL_EOIS,		/* result: EOI exits of the pin's vector since LEVEL_ROUTE */
	REQ_KICK,		/* kick cpu count times, each one seen before the next */
	REQ_REGS,		/* stop cpu count times, read and write back its state */
	REQ_SLOT,		/* delete SLOT_AT and set it again, count times */
	REQ_DOOR_SET,		/* assign doorbell pin, or, if count is 0, deassign it */
	REQ_DOOR_RUNG,		/* result: rings of doorbell pin since this was asked last */
	REQ_DOOR_EXITS,		/* result: writes that came to the VMM instead, likewise */
};

struct request {
	uint32_t op;
	uint32_t cpu;
	uint32_t vector;
	uint32_t mode;		/* delivery mode; bit 8: logical destination */
	uint32_t pin;
	uint32_t count;
	int32_t result;		/* negative: it failed, and the VMM said why */
	volatile uint32_t done;
};

#define MODE_LOGICAL	0x100

/* In this order: what later tests build on comes first. */
#define TESTS(X)								\
	X(ap_up,	"bring-up of all CPUs by INIT and SIPI, x2APIC")	\
	X(pio,		"port I/O from each CPU: widths, strings")		\
	X(mmio,		"MMIO from each CPU")					\
	X(doorbell,	"ioeventfds from each CPU: matching, not matching, deassigned")	\
	X(doorbell_set,	"ioeventfds deassigned and assigned under all CPUs")	\
	X(ipi_fixed,	"IPI, fixed, physical, each CPU to each other")		\
	X(ipi_logical,	"IPI, fixed, logical: one CPU, and all")		\
	X(ipi_others,	"IPI to all excluding self")				\
	X(ipi_all,	"IPI to all including self, and physical broadcast")	\
	X(ipi_lowest,	"IPI, lowest priority: just one CPU takes it")		\
	X(ipi_self,	"IPI to self")						\
	X(ipi_masked,	"IPIs to a CPU with interrupts off: all come, once")	\
	X(nmi,		"NMI, each CPU to each other, and all")			\
	X(again,	"INIT and SIPI of CPUs that run, halt, do I/O")		\
	X(again_from,	"INIT and SIPI sent by other CPUs than 0")		\
	X(storm,	"IPIs from each CPU at once, each one acknowledged")	\
	X(echo,		"IPIs sent from interrupt handlers, both CPUs halted")	\
	X(rtt_halted,	"time of an IPI from CPU 0 to each other, and of its answer")	\
	X(rtt_spinning,	"the same with CPUs that do not halt")			\
	X(msi,		"KVM_SIGNAL_MSI to each CPU")				\
	X(msi_modes,	"KVM_SIGNAL_MSI: logical, lowest priority, NMI")	\
	X(irqfd,	"MSI by irqfd to each CPU")				\
	X(level,	"level-triggered line to each CPU, EOI exits")		\
	X(turns,	"a turn passed by memory")				\
	X(sb,		"store buffering")					\
	X(mp,		"message passing")					\
	X(atomics,	"a counter all CPUs add to")				\
	X(tables,	"page tables that all CPUs walk")			\
	X(fill,		"much memory: written, read by all CPUs, each changes its share") \
	X(timer,	"APIC timer of each CPU, among IPIs")			\
	X(tsc,		"TSC never goes back from CPU to CPU")			\
	X(kick,		"kicks of each CPU by signal")				\
	X(regs,		"state of each CPU read and written while it runs")	\
	X(slot,		"a memory slot deleted and set under all CPUs")		\
	X(mix,		"IPIs, MSIs, timers, I/O and memory at once")

enum test {
#define TEST_ENUM(name, what) TEST_##name,
	TESTS(TEST_ENUM)
#undef TEST_ENUM
	NR_TESTS
};

_Static_assert(NR_TESTS <= 64, "struct info has a bit a test");

#endif
