// SPDX-License-Identifier: GPL-2.0
/* The table of KVM requests: each row, and payloads there and back. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"
#include "tap.h"

/* Aligned as malloc() does. */
static uint64_t arg[GVM_ABI_PAYLOAD_MAX / 8 + 1], there[GVM_ABI_PAYLOAD_MAX / 8 + 1];
static uint64_t nested, seen;

#define for_each_call(c) for (unsigned int i_ = 0; (c = gvm_call_each(i_)); i_++)

static const struct gvm_call *vcpu_call(unsigned long request)
{
	return gvm_call_find(GVM_SCOPE_VCPU, request);
}

static const struct gvm_call *vm_call(unsigned long request)
{
	return gvm_call_find(GVM_SCOPE_VM, request);
}

static bool is_call(const struct gvm_call *c, unsigned long request)
{
	return c->request == (uint32_t)request;
}

static void put_count(const struct gvm_call *c, void *buf, uint32_t nr)
{
	memcpy((char *)buf + c->count_at, &nr, sizeof(nr));
}

TEST(each_row_is_found_and_unique)
{
	const struct gvm_call *c;

	for_each_call(c) {
		CHECK(gvm_call_find(c->scope, c->request) == c);
		CHECK(!strncmp(c->name, "KVM_", 4));
	}
	CHECK(gvm_call_each(0) == vcpu_call(KVM_RUN));
	CHECK(!vm_call(KVM_RUN));
	CHECK(!vcpu_call(0));
	CHECK(!gvm_call_each(~0u));
}

TEST(upper_bits_of_a_request_do_not_count)
{
	unsigned long extended = (unsigned long)(long)(int)KVM_GET_REGS;

	CHECK(extended >> 32);
	CHECK(vcpu_call(extended) == vcpu_call(KVM_GET_REGS));
}

TEST(each_size_is_the_one_in_the_request)
{
	const struct gvm_call *c;

	for_each_call(c) {
		CHECK(c->size == _IOC_SIZE(c->request));
		CHECK(!c->size || _IOC_DIR(c->request) != _IOC_NONE);
		CHECK(_IOC_TYPE(c->request) == KVMIO);
	}
}

TEST(each_direction_is_the_one_in_the_request)
{
	const struct gvm_call *c;

	for_each_call(c) {
		bool w = _IOC_DIR(c->request) & _IOC_WRITE, r = _IOC_DIR(c->request) & _IOC_READ;

		if (c->route == GVM_ROUTE_REFUSE)
			continue;
		CHECK(c->in == w);
		CHECK(c->out == r || is_call(c, KVM_GET_DEVICE_ATTR));
		CHECK(!c->by_value || (!c->in && !c->out && !c->size));
	}
}

TEST(each_list_fits_the_largest_payload)
{
	const struct gvm_call *c;

	for_each_call(c) {
		CHECK(!c->elem_size == !c->elem_max);
		CHECK(!c->elem_size || c->count_at + 4 <= c->size);
		CHECK(!c->nested || c->nested_at + 8 <= c->size);
		CHECK(!c->nested || !c->elem_size);
		CHECK(c->size + c->elem_size * c->elem_max + c->nested <= GVM_ABI_PAYLOAD_MAX);
	}
	CHECK(sizeof(struct kvm_msr_filter) + KVM_MSR_FILTER_MAX_RANGES *
	      KVM_MSR_FILTER_MAX_BITMAP_SIZE <= GVM_ABI_PAYLOAD_MAX);
}

TEST(each_refusal_says_why)
{
	const struct gvm_call *c;

	for_each_call(c) {
		bool refused = c->route == GVM_ROUTE_REFUSE;

		CHECK(refused == (c->error > 0));
		CHECK(refused == (c->why && *c->why));
		if (refused)
			CHECK(!strchr(c->why, '\n'));
	}
}

TEST(routes_go_with_scopes)
{
	const struct gvm_call *c;

	for_each_call(c) {
		CHECK(c->route != GVM_ROUTE_FORWARD || c->scope == GVM_SCOPE_VCPU);
		CHECK(c->route != GVM_ROUTE_MIRROR || c->scope == GVM_SCOPE_VM);
		CHECK(!c->wire || c->route == GVM_ROUTE_SPECIAL);
	}
}

struct expect {
	enum gvm_scope scope;
	unsigned long request;
	enum gvm_route route;
};

TEST(what_qemu_relies_on)
{
	static const struct expect want[] = {
		{ GVM_SCOPE_SYSTEM, KVM_CREATE_VM, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_SYSTEM, KVM_GET_SUPPORTED_CPUID, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_SYSTEM, KVM_GET_MSRS, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_CREATE_VCPU, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_CHECK_EXTENSION, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_SET_USER_MEMORY_REGION, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_ENABLE_CAP, GVM_ROUTE_MIRROR },
		{ GVM_SCOPE_VM, KVM_SET_GSI_ROUTING, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_SET_TSS_ADDR, GVM_ROUTE_MIRROR },
		{ GVM_SCOPE_VM, KVM_IRQFD, GVM_ROUTE_LOCAL },
		{ GVM_SCOPE_VM, KVM_IOEVENTFD, GVM_ROUTE_SPECIAL },
		{ GVM_SCOPE_VM, KVM_SIGNAL_MSI, GVM_ROUTE_LOCAL },
		{ GVM_SCOPE_VM, KVM_CREATE_IRQCHIP, GVM_ROUTE_REFUSE },
		{ GVM_SCOPE_VM, KVM_CREATE_DEVICE, GVM_ROUTE_REFUSE },
		{ GVM_SCOPE_VCPU, KVM_ENABLE_CAP, GVM_ROUTE_FORWARD },
		{ GVM_SCOPE_VCPU, KVM_INTERRUPT, GVM_ROUTE_FORWARD },
		{ GVM_SCOPE_VCPU, KVM_SET_VAPIC_ADDR, GVM_ROUTE_FORWARD },
		{ GVM_SCOPE_VCPU, KVM_SET_SIGNAL_MASK, GVM_ROUTE_LOCAL },
		{ GVM_SCOPE_VCPU, KVM_GET_DEVICE_ATTR, GVM_ROUTE_SPECIAL },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const struct gvm_call *c = gvm_call_find(want[i].scope, want[i].request);

		if (!c || c->route != want[i].route)
			tap_fail(__FILE__, __LINE__, "entry %zu", i);
	}
	CHECK(vm_call(KVM_CREATE_DEVICE)->error == ENODEV);
	CHECK_STR(vm_call(KVM_CREATE_IRQCHIP)->why, "use kernel-irqchip=split");
}

TEST(only_what_travels_is_found_for_the_wire)
{
	const struct gvm_call *c;

	for_each_call(c) {
		bool travels = c->route == GVM_ROUTE_FORWARD || c->route == GVM_ROUTE_MIRROR || c->wire;
		const struct gvm_call *got;

		got = gvm_call_find_wire(c->scope == GVM_SCOPE_VCPU, c->request);
		CHECK(travels || got != c);
		/* CHECK_EXTENSION is found on the VM, whose answer is the better one. */
		if (travels && !is_call(c, KVM_CHECK_EXTENSION))
			CHECK(got == c);
	}
	CHECK(gvm_call_find_wire(0, KVM_CHECK_EXTENSION) == vm_call(KVM_CHECK_EXTENSION));
	CHECK(gvm_call_find_wire(0, KVM_SET_GSI_ROUTING) == vm_call(KVM_SET_GSI_ROUTING));
	CHECK(!gvm_call_find_wire(1, KVM_RUN));
	CHECK(!gvm_call_find_wire(0, KVM_SET_USER_MEMORY_REGION));
}

static void fill(void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = i * 7 + 1;
}

/* An argument as a VMM would have it, with @nr elements; returns the payload's bytes. */
static ssize_t make_arg(const struct gvm_call *c, uint32_t nr)
{
	uint64_t p = (uintptr_t)&nested;

	fill(arg, sizeof(arg));
	if (c->elem_size)
		put_count(c, arg, nr);
	if (c->nested)
		memcpy((char *)arg + c->nested_at, &p, sizeof(p));
	if (is_call(c, KVM_X86_SET_MSR_FILTER))
		memset(arg, 0, c->size);
	if (c->by_value)
		return 8;
	return c->in ? c->size + nr * c->elem_size + c->nested : 0;
}

static unsigned long arg_of(const struct gvm_call *c)
{
	return c->by_value ? 0x123456789 : (uintptr_t)arg;
}

static void round_trip(const struct gvm_call *c, uint32_t nr)
{
	ssize_t want = make_arg(c, nr), got;
	size_t reply;

	nested = 0x1122334455667788;
	memset(there, 0, sizeof(there));
	got = gvm_call_pack(c, arg_of(c), there, sizeof(there));
	if (got != want)
		tap_fail(__FILE__, __LINE__, "%s: %zd bytes, not %zd", c->name, got, want);
	CHECK(!want || gvm_call_pack(c, arg_of(c), there, want - 1) == -EMSGSIZE);
	CHECK(!gvm_call_check(c, there, got));
	CHECK(gvm_call_check(c, there, got + 1) == -EINVAL);
	CHECK(!got || gvm_call_check(c, there, got - 1) == -EINVAL);
	if (c->by_value) {
		CHECK(gvm_call_arg(c, there) == 0x123456789);
		return;
	}
	CHECK(gvm_call_arg(c, there) == (c->size ? (uintptr_t)there : 0));
	if (c->in && !c->nested)
		CHECK(is_call(c, KVM_X86_SET_MSR_FILTER) ||
		      !memcmp(arg, there, gvm_call_size(c, arg)));
	/* The kernel answers. */
	fill(&seen, sizeof(seen));
	if (c->nested)
		memcpy((char *)there + c->size, &seen, sizeof(seen));
	else if (c->out && !c->elem_size)
		memset(there, 0xaa, c->size);
	reply = gvm_call_reply_size(c, there);
	CHECK(!c->out == !reply);
	CHECK(!gvm_call_unpack(c, arg_of(c), there, reply));
	CHECK(!gvm_call_unpack(c, arg_of(c), there, 0));
	CHECK(gvm_call_unpack(c, arg_of(c), there, reply + 1) == -EPROTO);
	if (c->out && c->nested)
		CHECK(nested == seen);
	else if (c->out)
		CHECK(!memcmp(arg, there, reply));
}

TEST(each_argument_goes_there_and_back)
{
	const struct gvm_call *c;

	for_each_call(c) {
		if (c->route != GVM_ROUTE_REFUSE)
			round_trip(c, 0);
		if (c->elem_max && c->route != GVM_ROUTE_REFUSE) {
			round_trip(c, 3);
			round_trip(c, c->elem_max);
		}
		cover_call(c);
	}
}

TEST(a_list_too_long_is_refused)
{
	const struct gvm_call *c;

	for_each_call(c) {
		if (!c->elem_max)
			continue;
		make_arg(c, c->elem_max + 1);
		CHECK(gvm_call_size(c, arg) == -E2BIG);
		CHECK(gvm_call_pack(c, (uintptr_t)arg, there, sizeof(there)) == -E2BIG);
		CHECK(gvm_call_check(c, arg, c->size) == -E2BIG);
		put_count(c, arg, UINT32_MAX);
		CHECK(gvm_call_check(c, arg, c->size) == -E2BIG);
		CHECK(!gvm_call_reply_size(c, arg));
	}
}

TEST(a_reply_may_be_shorter_not_longer)
{
	const struct gvm_call *c = vcpu_call(KVM_GET_CPUID2);
	struct kvm_cpuid2 *mine = (void *)arg, *got = (void *)there;

	make_arg(c, 5);
	memset(there, 0, sizeof(there));
	got->nent = 3;
	CHECK(!gvm_call_unpack(c, (uintptr_t)mine, got, 8 + 3 * 40));
	CHECK(mine->nent == 3);
	got->nent = 4;
	CHECK(gvm_call_unpack(c, (uintptr_t)mine, got, 8 + 4 * 40) == -EPROTO);
}

TEST(a_reply_to_what_only_reads_is_empty)
{
	const struct gvm_call *c = vcpu_call(KVM_SET_REGS);

	CHECK(!gvm_call_reply_size(c, there));
	CHECK(gvm_call_unpack(c, (uintptr_t)arg, there, c->size) == -EPROTO);
}

TEST(an_msr_filter_with_bitmaps)
{
	const struct gvm_call *c = vm_call(KVM_X86_SET_MSR_FILTER);
	uint64_t one[2] = { 1, 2 }, other[1] = { 3 };
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_DENY }, *g = (void *)there;
	size_t want = sizeof(f) + sizeof(one) + sizeof(other);

	f.ranges[0] = (struct kvm_msr_filter_range){ 1, 65, 0x10, (void *)one };
	f.ranges[3] = (struct kvm_msr_filter_range){ 3, 64, 0x99, (void *)other };
	CHECK(gvm_call_pack(c, (uintptr_t)&f, there, sizeof(there)) == (ssize_t)want);
	CHECK(!gvm_call_check(c, there, want));
	CHECK(gvm_call_check(c, there, want - 8) == -EINVAL);
	CHECK(gvm_call_arg(c, there) == (uintptr_t)g);
	CHECK(!memcmp(g->ranges[0].bitmap, one, sizeof(one)));
	CHECK(!memcmp(g->ranges[3].bitmap, other, sizeof(other)));
	CHECK((void *)g->ranges[0].bitmap == (void *)(g + 1));
	CHECK(!g->ranges[1].bitmap);
	g->ranges[2].nmsrs = KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8 + 1;
	CHECK(gvm_call_check(c, there, want) == -EINVAL);
	g->ranges[2].nmsrs = UINT32_MAX;
	CHECK(gvm_call_check(c, there, want) == -EINVAL);
	CHECK(gvm_call_pack(c, (uintptr_t)g, arg, sizeof(arg)) == -EINVAL);
}
