// SPDX-License-Identifier: GPL-2.0
/* The VM as QEMU sets one up: split irqchip, CPU 0 runnable, all others waiting for SIPI. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvmlet.h"

#define NR_CPUID	256
#define NR_FEATURES	255
#define MSR_TSC		0x10
#define MCG_CTL_P	(1 << 8)	/* always there */

void *guest_memory(uint64_t addr, uint64_t bytes)
{
	if (addr < RAM_BYTES && bytes <= RAM_BYTES - addr)
		return vm.ram + addr;
	if (addr >= SLOT_AT && addr - SLOT_AT < SLOT_BYTES && bytes <= SLOT_BYTES - (addr - SLOT_AT))
		return vm.slot + (addr - SLOT_AT);
	return NULL;
}

static void memory_create(void)
{
	int fd = -1;

	if (vm.mem_file) {
		fd = must(open(vm.mem_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		must(ftruncate(fd, RAM_BYTES + SLOT_BYTES));
	}
	vm.ram = mmap(NULL, RAM_BYTES + SLOT_BYTES, PROT_READ | PROT_WRITE,
		      fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (vm.ram == MAP_FAILED)
		die("guest memory: %m");
	vm.slot = vm.ram + RAM_BYTES;
	if (fd >= 0)
		close(fd);
}

static int memory_set(uint32_t slot, uint64_t addr, uint64_t bytes, const void *at)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = addr,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)at,
	};

	return ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &r);
}

int slot_set(bool present)
{
	return memory_set(1, SLOT_AT, present ? SLOT_BYTES : 0, vm.slot);
}

/* 4 GiB mapped to themselves by pages of 2 MiB. */
static void page_tables(void)
{
	uint64_t *pml4 = guest_memory(PAGE_TABLES, 6 * 4096), *pdpt = pml4 + 512, *pd = pml4 + 1024;
	uint64_t i;

	pml4[0] = (PAGE_TABLES + 4096) | 3;
	for (i = 0; i < 4; i++)
		pdpt[i] = (PAGE_TABLES + (2 + i) * 4096) | 3;
	for (i = 0; i < 2048; i++)
		pd[i] = i << 21 | 0x83;
}

static struct kvm_cpuid2 *cpuid_supported(void)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + NR_CPUID * sizeof(c->entries[0]));

	c->nent = NR_CPUID;
	must(ioctl(vm.kvm, KVM_GET_SUPPORTED_CPUID, c));
	return c;
}

/* Under gvm all servers are asked. What is in the list has a value, on all. */
static void check_features(void)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + NR_FEATURES * sizeof(list->indices[0]));
	struct kvm_msrs *m = calloc(1, sizeof(*m) + NR_FEATURES * sizeof(m->entries[0]));
	uint64_t mce = 0;
	uint32_t i;
	int got;

	list->nmsrs = NR_FEATURES;
	must(ioctl(vm.kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, list));
	m->nmsrs = list->nmsrs;
	for (i = 0; i < list->nmsrs; i++)
		m->entries[i].index = list->indices[i];
	got = must(ioctl(vm.kvm, KVM_GET_MSRS, m));
	if (got != (int)list->nmsrs)
		die("of %u MSRs that are features %d have a value", list->nmsrs, got);
	for (i = 0; i < list->nmsrs; i++)
		if (m->entries[i].index != list->indices[i])
			die("MSR %#x in place of %#x", m->entries[i].index, list->indices[i]);
	must(ioctl(vm.kvm, KVM_X86_GET_MCE_CAP_SUPPORTED, &mce));
	if (!(mce & MCG_CTL_P))
		die("machine checks: %#llx", (unsigned long long)mce);
	free(list);
	free(m);
}

void vm_create(uint64_t tests, uint32_t rounds)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { NR_PINS } };
	struct info *info;
	uint64_t identity = 0xfeffc000;

	vm.kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	if (ioctl(vm.kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		die("another version of KVM");
	vm.run_bytes = must(ioctl(vm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	vm.fd = must(ioctl(vm.kvm, KVM_CREATE_VM, 0));
	if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
		die("no KVM_CAP_IMMEDIATE_EXIT");
	check_features();
	must(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &identity));
	must(ioctl(vm.fd, KVM_SET_TSS_ADDR, identity + 0x1000));
	must(ioctl(vm.fd, KVM_ENABLE_CAP, &split));
	memory_create();
	must(memory_set(0, 0, RAM_BYTES, vm.ram));
	must(slot_set(true));
	page_tables();
	memcpy(guest_memory(PAYLOAD, payload_end - payload), payload, payload_end - payload);
	info = guest_memory(INFO, sizeof(*info));
	*info = (struct info){ .nr_cpus = vm.nr_cpus, .tests = tests, .rounds = rounds,
			       .limit_ms = vm.limit_ms };
}

static void set_cpuid(struct vcpu *v)
{
	struct kvm_cpuid2 *c = cpuid_supported();
	uint32_t i;

	for (i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 1) {
			e->ebx = (e->ebx & 0x00ffffff) | v->id << 24;
			e->ecx |= 1 << 21 | 1 << 31;		/* x2APIC, a hypervisor */
		} else if (e->function == 0xb || e->function == 0x1f) {
			e->edx = v->id;
		} else if (e->function == 0x80000001) {
			e->ecx &= ~(1 << 2);			/* SVM */
		}
	}
	must(ioctl(v->fd, KVM_SET_CPUID2, c));
	v->cpuid = c;
}

/* CPU 0 begins at the payload in 64-bit mode; the others as they come out of reset. */
static void set_registers(struct vcpu *v)
{
	struct kvm_segment code = { .selector = 8, .limit = 0xffffffff, .type = 11, .present = 1,
				    .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .selector = 16, .limit = 0xffffffff, .type = 3, .present = 1,
				    .s = 1, .db = 1, .g = 1 };
	struct kvm_regs regs = { .rip = PAYLOAD, .rflags = 2 };
	struct kvm_sregs s;

	must(ioctl(v->fd, KVM_GET_SREGS, &s));
	s.apic_base = 0xfee00800 | (v->id ? 0 : 0x100);
	if (!v->id) {
		s.cs = code;
		s.ds = data;
		s.es = data;
		s.fs = data;
		s.gs = data;
		s.ss = data;
		s.cr0 = 0x80000011;
		s.cr3 = PAGE_TABLES;
		s.cr4 = 0x20;
		s.efer = 0x500;
	}
	must(ioctl(v->fd, KVM_SET_SREGS, &s));
	if (!v->id)
		must(ioctl(v->fd, KVM_SET_REGS, &regs));
}

static void set_msrs(struct vcpu *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[2];
	} msrs = { .head = { .nmsrs = 2 }, .e = { { .index = MSR_TSC },
						  { .index = MSR_FEATURES, .data = FEATURES } } };

	if (must(ioctl(v->fd, KVM_SET_MSRS, &msrs)) != 2)
		die("CPU %u: MSRs not set", v->id);
}

void vcpu_create(struct vcpu *v)
{
	struct kvm_mp_state state;
	struct kvm_lapic_state apic;
	struct info *info = guest_memory(INFO, sizeof(*info));

	v->id = v - vm.vcpu;
	v->fd = must(ioctl(vm.fd, KVM_CREATE_VCPU, v->id));
	v->run = mmap(NULL, vm.run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		die("CPU %u: kvm_run: %m", v->id);
	info->tsc_khz = must(ioctl(v->fd, KVM_GET_TSC_KHZ, 0));
	set_cpuid(v);
	set_registers(v);
	set_msrs(v);
	must(ioctl(v->fd, KVM_GET_LAPIC, &apic));
	must(ioctl(v->fd, KVM_SET_LAPIC, &apic));
	state.mp_state = v->id ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
	must(ioctl(v->fd, KVM_SET_MP_STATE, &state));
}
