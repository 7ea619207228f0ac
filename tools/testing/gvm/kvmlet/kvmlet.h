/* SPDX-License-Identifier: GPL-2.0 */
/* A VMM for tests of the KVM uAPI: what its parts share. */
#ifndef KVMLET_H
#define KVMLET_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto.h"

#define NR_PINS 24		/* as many as an IOAPIC has */

struct vcpu {
	uint32_t id;
	int fd;
	pthread_t thread;
	struct kvm_run *run;
	struct kvm_cpuid2 *cpuid;
	uint64_t exits[64];
	/* Work for the thread, done at a kick; under lock. */
	int (*work)(struct vcpu *v);
	uint32_t asked, done;
	int result;
};

struct vm {
	int kvm, fd;
	uint32_t nr_cpus;
	uint32_t limit_ms;
	uint32_t run_bytes;
	const char *mem_file;
	uint8_t *ram;		/* at 0, RAM_BYTES */
	uint8_t *slot;		/* at SLOT_AT */
	struct vcpu vcpu[MAX_CPUS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under lock: */
	int test;		/* that runs, -1 between them */
	uint32_t tests_begun;
	bool ended;
};

extern struct vm vm;
extern const uint8_t payload[], payload_end[];	/* the guest's image */

#define must(x)								\
	({								\
		typeof(x) must_ = (x);					\
									\
		if (must_ < 0)						\
			die("%s:%d: %s: %m", __FILE__, __LINE__, #x);	\
		must_;							\
	})

/* Lines of TAP; a line is written at once. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test_begins(uint32_t nr);
void test_ends(uint32_t nr, bool ok);
void all_ended(void);

/* An MSR that KVM takes for a feature, and what all vCPUs have there. */
#define MSR_FEATURES	0x10a	/* IA32_ARCH_CAPABILITIES */
#define FEATURES	0x23

/* Guest memory, or NULL. */
void *guest_memory(uint64_t addr, uint64_t bytes);
int slot_set(bool present);
void vm_create(uint64_t tests, uint32_t rounds);
void vcpu_create(struct vcpu *v);

/* One thread a vCPU, until the process ends. */
void *vcpu_main(void *v);
void vcpu_signals_init(void);
/* Kick a vCPU out of KVM_RUN and have its thread call work. Return: its result, -1 if it does not come. */
int vcpu_interrupt(struct vcpu *v, int (*work)(struct vcpu *v));
int vcpu_check_state(struct vcpu *v);
void vcpu_dump_all(void);

/* What the guest asks of devices. */
void device_start(void);
void device_post(uint32_t addr);
void device_eoi(uint32_t vector);

void doorbell_start(void);
int doorbell_set(uint32_t door, bool on);
int doorbell_rung(uint32_t door);
int doorbell_exits(uint32_t door);
void doorbell_exit(uint32_t door);

#endif
