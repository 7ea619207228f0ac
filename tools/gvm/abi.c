// SPDX-License-Identifier: GPL-2.0
/* The table of KVM requests, and their arguments as payloads. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>

#include "abi.h"

/* Younger than the headers of Debian 12; only their numbers matter, they are refused. */
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_SET_USER_MEMORY_REGION2	_IOC(_IOC_WRITE, KVMIO, 0x49, 160)
#endif
#ifndef KVM_SET_MEMORY_ATTRIBUTES
#define KVM_SET_MEMORY_ATTRIBUTES	_IOC(_IOC_WRITE, KVMIO, 0xd2, 32)
#endif
#ifndef KVM_CREATE_GUEST_MEMFD
#define KVM_CREATE_GUEST_MEMFD		_IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0xd4, 64)
#endif
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_PRE_FAULT_MEMORY		_IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0xd5, 64)
#endif

/* Limits of KVM, x86, 6.12; <linux/kvm.h> has them not. */
#define CPUID_MAX	256
#define MSRS_MAX	255
#define MSR_LIST_MAX	4096
#define ROUTES_MAX	4096
#define EVENTS_MAX	300

#define NAMED(n, s, r, q) .request = (uint32_t)(q), .name = (n), .scope = GVM_SCOPE_##s, \
			.route = GVM_ROUTE_##r, .size = _IOC_SIZE(q)
#define ROW(s, r, q)	NAMED(#q, s, r, q)
#define REFUSED(s, q, e, w) { NAMED(#q, s, REFUSE, q), .error = (e), .why = (w) }
#define LIST(at, type, max) .count_at = (at), .elem_size = sizeof(type), .elem_max = (max)
#define IN		.in = 1
#define OUT		.out = 1
#define VALUE		.by_value = 1
#define WIRE		.wire = 1
#define ALL		.all = 1
#define ATTR		.nested_at = offsetof(struct kvm_device_attr, addr), .nested = 8

#define CPUIDS		LIST(0, struct kvm_cpuid_entry2, CPUID_MAX)
#define MSRS		LIST(0, struct kvm_msr_entry, MSRS_MAX)

static const char why_nested[] = "the guest cannot have guests of its own (nested virtualisation)";
static const char why_chip[] = "use kernel-irqchip=split";
static const char why_hyperv[] = "Hyper-V enlightenments share pages with one server";
static const char why_xen[] = "Xen emulation shares pages with one server";
static const char why_private[] = "private guest memory cannot be shared among servers";
static const char why_sev[] = "encrypted guest memory cannot be shared among servers";
static const char why_stats[] = "statistics would be of one server only";
static const char why_dirty[] = "dirty rings and manual dirty logs are of one server only";
static const char why_old[] = "obsolete, use KVM_SET_USER_MEMORY_REGION";

/* KVM_RUN first: the table is searched from its head. */
static const struct gvm_call table[] = {
	{ ROW(VCPU, SPECIAL, KVM_RUN) },
	{ ROW(VCPU, FORWARD, KVM_GET_REGS), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_REGS), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_SREGS), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_SREGS), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_SREGS2), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_SREGS2), IN },
	{ ROW(VCPU, FORWARD, KVM_TRANSLATE), IN, OUT },
	{ ROW(VCPU, FORWARD, KVM_INTERRUPT), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_MSRS), IN, OUT, MSRS },
	{ ROW(VCPU, FORWARD, KVM_SET_MSRS), IN, MSRS },
	{ ROW(VCPU, FORWARD, KVM_SET_CPUID), IN, LIST(0, struct kvm_cpuid_entry, CPUID_MAX) },
	{ ROW(VCPU, FORWARD, KVM_SET_CPUID2), ALL, IN, CPUIDS },
	{ ROW(VCPU, FORWARD, KVM_GET_CPUID2), IN, OUT, CPUIDS },
	{ ROW(VCPU, LOCAL, KVM_SET_SIGNAL_MASK), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_FPU), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_FPU), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_LAPIC), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_LAPIC), IN },
	{ ROW(VCPU, FORWARD, KVM_TPR_ACCESS_REPORTING), IN, OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_VAPIC_ADDR), IN },	/* QEMU resets it to 0, or aborts */
	{ ROW(VCPU, FORWARD, KVM_GET_MP_STATE), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_MP_STATE), IN },
	{ ROW(VCPU, FORWARD, KVM_NMI) },
	{ ROW(VCPU, FORWARD, KVM_SMI) },
	{ ROW(VCPU, FORWARD, KVM_SET_GUEST_DEBUG), IN },
	{ ROW(VCPU, FORWARD, KVM_X86_SETUP_MCE), ALL, IN },
	{ ROW(VCPU, FORWARD, KVM_X86_SET_MCE), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_VCPU_EVENTS), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_VCPU_EVENTS), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_DEBUGREGS), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_DEBUGREGS), IN },
	{ ROW(VCPU, FORWARD, KVM_ENABLE_CAP), ALL, IN },
	{ ROW(VCPU, FORWARD, KVM_GET_XSAVE), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_XSAVE), IN },
	{ ROW(VCPU, FORWARD, KVM_GET_XSAVE2), OUT },
	{ ROW(VCPU, FORWARD, KVM_GET_XCRS), OUT },
	{ ROW(VCPU, FORWARD, KVM_SET_XCRS), IN },
	{ ROW(VCPU, FORWARD, KVM_SET_TSC_KHZ), ALL, VALUE },
	{ ROW(VCPU, FORWARD, KVM_GET_TSC_KHZ) },
	{ ROW(VCPU, FORWARD, KVM_KVMCLOCK_CTRL) },
	{ ROW(VCPU, SPECIAL, KVM_SET_DEVICE_ATTR), WIRE, IN, ATTR },
	{ ROW(VCPU, SPECIAL, KVM_GET_DEVICE_ATTR), WIRE, IN, OUT, ATTR },
	{ ROW(VCPU, FORWARD, KVM_HAS_DEVICE_ATTR), IN },
	REFUSED(VCPU, KVM_GET_NESTED_STATE, EINVAL, why_nested),
	REFUSED(VCPU, KVM_SET_NESTED_STATE, EINVAL, why_nested),
	REFUSED(VCPU, KVM_GET_SUPPORTED_HV_CPUID, ENOTTY, why_hyperv),
	REFUSED(VCPU, KVM_XEN_VCPU_GET_ATTR, ENOTTY, why_xen),
	REFUSED(VCPU, KVM_XEN_VCPU_SET_ATTR, ENOTTY, why_xen),
	REFUSED(VCPU, KVM_GET_STATS_FD, ENOTTY, why_stats),
	REFUSED(VCPU, KVM_PRE_FAULT_MEMORY, EOPNOTSUPP, "would fault in all memory on one server"),

	{ ROW(VM, SPECIAL, KVM_CREATE_VCPU), VALUE },
	{ ROW(VM, SPECIAL, KVM_SET_USER_MEMORY_REGION), IN },
	{ ROW(VM, SPECIAL, KVM_GET_DIRTY_LOG), WIRE, IN },
	{ ROW(VM, SPECIAL, KVM_CHECK_EXTENSION), WIRE, VALUE },
	{ ROW(VM, SPECIAL, KVM_X86_SET_MSR_FILTER), WIRE, IN },
	{ ROW(VM, SPECIAL, KVM_IOEVENTFD), WIRE, IN },
	{ ROW(VM, SPECIAL, KVM_SET_GSI_ROUTING), WIRE, IN,
	  LIST(0, struct kvm_irq_routing_entry, ROUTES_MAX) },
	{ ROW(VM, MIRROR, KVM_ENABLE_CAP), IN },
	{ ROW(VM, MIRROR, KVM_SET_TSS_ADDR), VALUE },
	{ ROW(VM, MIRROR, KVM_SET_IDENTITY_MAP_ADDR), IN },
	{ ROW(VM, MIRROR, KVM_SET_BOOT_CPU_ID), VALUE },
	{ ROW(VM, MIRROR, KVM_SET_TSC_KHZ), VALUE },
	{ ROW(VM, MIRROR, KVM_SET_CLOCK), IN },
	{ ROW(VM, MIRROR, KVM_SET_PMU_EVENT_FILTER), IN,
	  LIST(offsetof(struct kvm_pmu_event_filter, nevents), __u64, EVENTS_MAX) },
	{ ROW(VM, LOCAL, KVM_GET_TSC_KHZ) },
	{ ROW(VM, LOCAL, KVM_GET_CLOCK), OUT },
	{ ROW(VM, LOCAL, KVM_SET_NR_MMU_PAGES), VALUE },
	{ ROW(VM, LOCAL, KVM_GET_NR_MMU_PAGES) },
	{ ROW(VM, LOCAL, KVM_IRQ_LINE), IN },
	{ ROW(VM, LOCAL, KVM_IRQ_LINE_STATUS), IN, OUT },
	{ ROW(VM, LOCAL, KVM_SIGNAL_MSI), IN },
	{ ROW(VM, LOCAL, KVM_IRQFD), IN },
	{ ROW(VM, LOCAL, KVM_REGISTER_COALESCED_MMIO), IN },
	{ ROW(VM, LOCAL, KVM_UNREGISTER_COALESCED_MMIO), IN },
	{ ROW(VM, LOCAL, KVM_HAS_DEVICE_ATTR), IN },
	REFUSED(VM, KVM_CREATE_IRQCHIP, EINVAL, why_chip),
	REFUSED(VM, KVM_GET_IRQCHIP, ENXIO, why_chip),
	REFUSED(VM, KVM_SET_IRQCHIP, ENXIO, why_chip),
	REFUSED(VM, KVM_CREATE_PIT, EINVAL, why_chip),
	REFUSED(VM, KVM_CREATE_PIT2, EINVAL, why_chip),
	REFUSED(VM, KVM_GET_PIT, ENXIO, why_chip),
	REFUSED(VM, KVM_SET_PIT, ENXIO, why_chip),
	REFUSED(VM, KVM_GET_PIT2, ENXIO, why_chip),
	REFUSED(VM, KVM_SET_PIT2, ENXIO, why_chip),
	REFUSED(VM, KVM_REINJECT_CONTROL, ENXIO, why_chip),
	REFUSED(VM, KVM_CREATE_DEVICE, ENODEV, "assigned devices (VFIO) reach one server only"),
	REFUSED(VM, KVM_SET_DEVICE_ATTR, ENXIO, "gvm knows no attribute of a VM"),
	REFUSED(VM, KVM_GET_DEVICE_ATTR, ENXIO, "gvm knows no attribute of a VM"),
	REFUSED(VM, KVM_SET_MEMORY_REGION, EINVAL, why_old),
	REFUSED(VM, KVM_SET_MEMORY_ALIAS, EINVAL, why_old),
	REFUSED(VM, KVM_SET_USER_MEMORY_REGION2, ENOTTY, why_private),
	REFUSED(VM, KVM_SET_MEMORY_ATTRIBUTES, ENOTTY, why_private),
	REFUSED(VM, KVM_CREATE_GUEST_MEMFD, ENOTTY, why_private),
	REFUSED(VM, KVM_MEMORY_ENCRYPT_OP, ENOTTY, why_sev),
	REFUSED(VM, KVM_MEMORY_ENCRYPT_REG_REGION, ENOTTY, why_sev),
	REFUSED(VM, KVM_MEMORY_ENCRYPT_UNREG_REGION, ENOTTY, why_sev),
	REFUSED(VM, KVM_CLEAR_DIRTY_LOG, ENOTTY, why_dirty),
	REFUSED(VM, KVM_RESET_DIRTY_RINGS, ENOTTY, why_dirty),
	REFUSED(VM, KVM_GET_STATS_FD, ENOTTY, why_stats),
	REFUSED(VM, KVM_HYPERV_EVENTFD, ENOTTY, why_hyperv),
	REFUSED(VM, KVM_XEN_HVM_CONFIG, ENOTTY, why_xen),
	REFUSED(VM, KVM_XEN_HVM_GET_ATTR, ENOTTY, why_xen),
	REFUSED(VM, KVM_XEN_HVM_SET_ATTR, ENOTTY, why_xen),
	REFUSED(VM, KVM_XEN_HVM_EVTCHN_SEND, ENOTTY, why_xen),

	{ ROW(SYSTEM, SPECIAL, KVM_CREATE_VM), VALUE },
	{ ROW(SYSTEM, SPECIAL, KVM_CHECK_EXTENSION), WIRE, VALUE },
	{ ROW(SYSTEM, SPECIAL, KVM_GET_SUPPORTED_CPUID), WIRE, IN, OUT, CPUIDS },
	{ ROW(SYSTEM, SPECIAL, KVM_GET_MSR_INDEX_LIST), WIRE, IN, OUT,
	  LIST(0, __u32, MSR_LIST_MAX) },
	{ ROW(SYSTEM, SPECIAL, KVM_GET_MSR_FEATURE_INDEX_LIST), WIRE, IN, OUT,
	  LIST(0, __u32, MSR_LIST_MAX) },
	{ ROW(SYSTEM, SPECIAL, KVM_GET_MSRS), WIRE, IN, OUT, MSRS },
	{ ROW(SYSTEM, SPECIAL, KVM_X86_GET_MCE_CAP_SUPPORTED), WIRE, OUT },
	{ ROW(SYSTEM, LOCAL, KVM_GET_API_VERSION) },
	{ ROW(SYSTEM, LOCAL, KVM_GET_VCPU_MMAP_SIZE) },
	{ ROW(SYSTEM, LOCAL, KVM_GET_EMULATED_CPUID), IN, OUT, CPUIDS },
	{ ROW(SYSTEM, LOCAL, KVM_GET_DEVICE_ATTR), IN, OUT, ATTR },
	{ ROW(SYSTEM, LOCAL, KVM_HAS_DEVICE_ATTR), IN },
	REFUSED(SYSTEM, KVM_GET_SUPPORTED_HV_CPUID, ENOTTY, why_hyperv),
};

#define NR_ROWS	(sizeof(table) / sizeof(table[0]))

const struct gvm_call *gvm_call_each(unsigned int i)
{
	return i < NR_ROWS ? &table[i] : NULL;
}

const struct gvm_call *gvm_call_find(enum gvm_scope scope, unsigned long request)
{
	for (unsigned int i = 0; i < NR_ROWS; i++)
		if (table[i].request == (uint32_t)request && table[i].scope == scope)
			return &table[i];
	return NULL;
}

static bool travels(const struct gvm_call *call)
{
	return call->route == GVM_ROUTE_FORWARD || call->route == GVM_ROUTE_MIRROR || call->wire;
}

const struct gvm_call *gvm_call_find_wire(int vcpu, uint32_t request)
{
	const struct gvm_call *call = gvm_call_find(vcpu ? GVM_SCOPE_VCPU : GVM_SCOPE_VM, request);

	if (!call && !vcpu)
		call = gvm_call_find(GVM_SCOPE_SYSTEM, request);
	return call && travels(call) ? call : NULL;
}

static uint32_t count_of(const struct gvm_call *call, const void *arg)
{
	uint32_t nr = 0;

	if (call->elem_size)
		memcpy(&nr, (const char *)arg + call->count_at, sizeof(nr));
	return nr;
}

ssize_t gvm_call_size(const struct gvm_call *call, const void *arg)
{
	uint32_t nr = count_of(call, arg);

	if (nr > call->elem_max)
		return -E2BIG;
	return call->size + (ssize_t)nr * call->elem_size;
}

static bool is_filter(const struct gvm_call *call)
{
	return call->request == (uint32_t)KVM_X86_SET_MSR_FILTER;
}

/* KVM reads whole longs. */
static size_t bitmap_size(const struct kvm_msr_filter_range *range)
{
	return ((size_t)range->nmsrs + 63) / 64 * 8;
}

static ssize_t filter_nested(const void *arg)
{
	struct kvm_msr_filter filter;
	ssize_t size = 0;

	memcpy(&filter, arg, sizeof(filter));
	for (unsigned int i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		size_t one = bitmap_size(&filter.ranges[i]);

		if (one > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
			return -EINVAL;
		size += one;
	}
	return size;
}

/* The argument and what its pointers lead to. */
static ssize_t full_size(const struct gvm_call *call, const void *arg)
{
	ssize_t size = gvm_call_size(call, arg);
	ssize_t nested = is_filter(call) ? filter_nested(arg) : (ssize_t)call->nested;

	if (size < 0)
		return size;
	return nested < 0 ? nested : size + nested;
}

static void *nested_of(const struct gvm_call *call, const void *arg)
{
	uint64_t p;

	memcpy(&p, (const char *)arg + call->nested_at, sizeof(p));
	return (void *)(uintptr_t)p;
}

static void pack_filter(const struct kvm_msr_filter *filter, char *to)
{
	for (unsigned int i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		size_t one = bitmap_size(&filter->ranges[i]);

		if (one)
			memcpy(to, filter->ranges[i].bitmap, one);
		to += one;
	}
}

ssize_t gvm_call_pack(const struct gvm_call *call, unsigned long arg, void *buf, size_t len)
{
	const void *from = (const void *)arg;
	uint64_t value = arg;
	ssize_t size, full;

	if (call->by_value) {
		if (len < sizeof(value))
			return -EMSGSIZE;
		memcpy(buf, &value, sizeof(value));
		return sizeof(value);
	}
	if (!call->in)
		return 0;
	full = full_size(call, from);
	if (full < 0)
		return full;
	if ((size_t)full > len)
		return -EMSGSIZE;
	size = gvm_call_size(call, from);
	memcpy(buf, from, size);
	if (is_filter(call))
		pack_filter(from, (char *)buf + size);
	else if (call->nested)
		memcpy((char *)buf + size, nested_of(call, from), call->nested);
	return full;
}

int gvm_call_check(const struct gvm_call *call, const void *buf, size_t len)
{
	ssize_t full;

	if (call->by_value)
		return len == sizeof(uint64_t) ? 0 : -EINVAL;
	if (!call->in)
		return len ? -EINVAL : 0;
	if (len < call->size || len > GVM_ABI_PAYLOAD_MAX)
		return -EINVAL;
	full = full_size(call, buf);
	if (full < 0)
		return full;
	return len == (size_t)full ? 0 : -EINVAL;
}

static void aim_filter(struct kvm_msr_filter *filter)
{
	char *at = (char *)(filter + 1);

	for (unsigned int i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		size_t one = bitmap_size(&filter->ranges[i]);

		filter->ranges[i].bitmap = one ? (void *)at : NULL;
		at += one;
	}
}

unsigned long gvm_call_arg(const struct gvm_call *call, void *buf)
{
	uint64_t value;

	if (call->by_value) {
		memcpy(&value, buf, sizeof(value));
		return value;
	}
	if (!call->size)
		return 0;
	if (is_filter(call)) {
		aim_filter(buf);
	} else if (call->nested) {
		value = (uintptr_t)buf + call->size;
		memcpy((char *)buf + call->nested_at, &value, sizeof(value));
	}
	return (uintptr_t)buf;
}

size_t gvm_call_reply_size(const struct gvm_call *call, const void *buf)
{
	ssize_t full = call->out ? full_size(call, buf) : 0;

	return full < 0 ? 0 : full;
}

/* A list may come back shorter, not longer. */
int gvm_call_unpack(const struct gvm_call *call, unsigned long arg, const void *buf, size_t len)
{
	void *to = (void *)arg;

	if (!len)
		return 0;
	if (!call->out || len < call->size || full_size(call, buf) != (ssize_t)len)
		return -EPROTO;
	if (call->nested) {
		memcpy(nested_of(call, to), (const char *)buf + call->size, call->nested);
		return 0;
	}
	if (count_of(call, buf) > count_of(call, to))
		return -EPROTO;
	memcpy(to, buf, len);
	return 0;
}
