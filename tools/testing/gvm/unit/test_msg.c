// SPDX-License-Identifier: GPL-2.0
/* What is taken among messages, and that every other one is not. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cover.h"
#include "move.h"
#include "msg.h"
#include "tap.h"

static union {
	struct {
		struct gvm_head head;
		uint8_t payload[GVM_PAYLOAD_MAX];
	};
	uint64_t align;
} m;

/* In memory of its own size, so that a read beyond the end is seen. */
static int check(size_t len)
{
	void *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, &m, len);
	r = gvm_msg_check(copy, len);
	free(copy);
	return r;
}

static int check_all(void)
{
	int r = check(sizeof(m.head) + m.head.len);

	CHECK(!r || r == -EPROTO);
	if (m.head.type < GVM_MSG_NR)
		cover_msg(m.head.type, !r);
	return r;
}

static void make(enum gvm_msg_type type, uint16_t vcpu, const void *payload, uint32_t len)
{
	m.head = (struct gvm_head){
		.magic = GVM_MSG_MAGIC, .type = type, .vcpu = vcpu, .len = len, .seq = 7,
	};
	if (len && payload)
		memcpy(m.payload, payload, len);
}

#define MAKE(type, vcpu, p) make(GVM_MSG_##type, vcpu, &(p), sizeof(p))
#define TAKEN(type, vcpu, p) do { MAKE(type, vcpu, p); CHECK(!check_all()); } while (0)
#define REFUSED(type, vcpu, p) do { MAKE(type, vcpu, p); CHECK(check_all()); } while (0)

/* Change one member of a good message: it must be refused. */
#define BAD(type, vcpu, good, what)		\
	do {					\
		__auto_type bad = (good);	\
						\
		bad.what;			\
		REFUSED(type, vcpu, bad);	\
	} while (0)

/* The message made last, a byte longer and each byte shorter, is refused. */
static void check_lengths(void)
{
	uint32_t len = m.head.len;

	CHECK(!check_all());
	CHECK(check(sizeof(m.head) + len + 1));
	for (size_t i = 0; i < sizeof(m.head) + len; i++)
		CHECK(check(i));
	m.head.len = len + 1;
	CHECK(check_all());
	if (len) {
		m.head.len = len - 1;
		CHECK(check_all());
	}
}

TEST(names_of_types)
{
	CHECK_STR(gvm_msg_name(GVM_MSG_HELLO), "HELLO");
	CHECK_STR(gvm_msg_name(GVM_MSG_BYE), "BYE");
	CHECK_STR(gvm_msg_name(GVM_MSG_NR), "?");
	CHECK_STR(gvm_msg_name(~0u), "?");
}

TEST(names_of_files)
{
	static const char *const good[] = {
		"a", "vm-1.ram", "A_z", "0", "a..", "1234567890123456789012345678901",
	};
	static const char *const bad[] = {
		"", ".", "..", ".a", "a/b", "/", "a b", "a\n", "\xc3\xa9",
		"12345678901234567890123456789012",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(gvm_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!gvm_name_ok(bad[i]));
}

TEST(a_head)
{
	struct gvm_head good;

	make(GVM_MSG_STATUS, GVM_NO_VCPU, NULL, 0);
	good = m.head;
	check_lengths();
#define BAD_HEAD(what) do { m.head = good; m.head.what; CHECK(check(sizeof(good))); } while (0)
	BAD_HEAD(magic ^= 1);
	BAD_HEAD(type = GVM_MSG_NR);
	BAD_HEAD(type = 0xffff);
	BAD_HEAD(vcpu = GVM_VCPUS_MAX);
	BAD_HEAD(pad = 1);
	BAD_HEAD(request = 1);
	BAD_HEAD(result = -1);
	BAD_HEAD(len = UINT32_MAX);
	m.head = good;
	m.head.len = GVM_PAYLOAD_MAX;
	CHECK(check_all());
}

TEST(hello)
{
	struct gvm_msg_hello h = { .kind = GVM_CHAN_VM, .member = 1, .vm = "vm" }, v = h, a = h;

	v.kind = GVM_CHAN_VCPU;
	memset(a.vm, 0, sizeof(a.vm));
	TAKEN(HELLO, GVM_NO_VCPU, h);
	check_lengths();
	TAKEN(HELLO, 3, v);
	REFUSED(HELLO, GVM_NO_VCPU, v);
	REFUSED(HELLO, 3, h);
	REFUSED(HELLO, GVM_NO_VCPU, a);
	a.kind = GVM_CHAN_AGENT;
	TAKEN(HELLO, GVM_NO_VCPU, a);
	BAD(HELLO, GVM_NO_VCPU, h, kind = GVM_CHAN_NR);
	BAD(HELLO, GVM_NO_VCPU, h, member = GVM_MEMBERS_MAX);
	BAD(HELLO, GVM_NO_VCPU, h, vm[1] = '/');
	memset(h.vm, 'a', sizeof(h.vm));
	REFUSED(HELLO, GVM_NO_VCPU, h);
}

TEST(start)
{
	struct gvm_msg_start s = {
		.vm = "vm", .dir = "/mnt/dsm", .member = 1, .nr_members = 2,
		.timeout_ms = 1000,
	};

	TAKEN(START, GVM_NO_VCPU, s);
	check_lengths();
	BAD(START, GVM_NO_VCPU, s, vm[0] = 0);
	BAD(START, GVM_NO_VCPU, s, dir[0] = 'm');
	BAD(START, GVM_NO_VCPU, s, dir[1] = '\n');
	BAD(START, GVM_NO_VCPU, s, member = 2);
	BAD(START, GVM_NO_VCPU, s, nr_members = 0);
	BAD(START, GVM_NO_VCPU, s, nr_members = GVM_MEMBERS_MAX + 1);
	BAD(START, GVM_NO_VCPU, s, timeout_ms = 0);
	BAD(START, GVM_NO_VCPU, s, timeout_ms = UINT32_MAX);
	memset(s.dir, '/', sizeof(s.dir));
	REFUSED(START, GVM_NO_VCPU, s);
}

TEST(drift)
{
	struct gvm_msg_drift d = { .ticks = -GVM_CLOCK_STEP };

	TAKEN(DRIFT, GVM_NO_VCPU, d);
	check_lengths();
	REFUSED(DRIFT, 1, d);
	BAD(DRIFT, GVM_NO_VCPU, d, ticks = -GVM_CLOCK_STEP - 1);
	BAD(DRIFT, GVM_NO_VCPU, d, ticks = GVM_CLOCK_STEP + 1);
	BAD(DRIFT, GVM_NO_VCPU, d, ticks = INT64_MIN);
}

TEST(probe)
{
	struct gvm_msg_peer p = { .addr = 1, .port = 2 };

	TAKEN(PROBE, GVM_NO_VCPU, p);
	check_lengths();
	BAD(PROBE, GVM_NO_VCPU, p, addr = 0);
	BAD(PROBE, GVM_NO_VCPU, p, port = 0);
	BAD(PROBE, GVM_NO_VCPU, p, pad = 1);
}

TEST(peers_vcpus_and_roles)
{
	struct gvm_msg_peers p = { .member[1] = { .addr = 1, .port = 2 } };
	struct gvm_msg_vcpu v = { .id = 3, .owner = 1 };

	TAKEN(PEERS, GVM_NO_VCPU, p);
	check_lengths();
	BAD(PEERS, GVM_NO_VCPU, p, member[GVM_MEMBERS_MAX - 1].pad = 1);
	TAKEN(VCPU, GVM_NO_VCPU, v);
	check_lengths();
	TAKEN(ROLE, 3, v);
	check_lengths();
	REFUSED(VCPU, 4, v);
	REFUSED(ROLE, 4, v);
	BAD(VCPU, GVM_NO_VCPU, v, id = GVM_VCPUS_MAX);
	BAD(VCPU, GVM_NO_VCPU, v, owner = GVM_MEMBERS_MAX);
}

TEST(regions_and_slots)
{
	struct gvm_msg_region r = { .name = "ram", .region = 2, .size = 4096 };
	struct gvm_msg_slot s = {
		.slot = 1 << 16 | 7, .flags = KVM_MEM_READONLY, .gpa = 4096, .size = 8192,
		.offset = 4096, .region = 2,
	};

	TAKEN(REGION, GVM_NO_VCPU, r);
	check_lengths();
	BAD(REGION, GVM_NO_VCPU, r, name[0] = 0);
	BAD(REGION, GVM_NO_VCPU, r, region = GVM_REGIONS_MAX);
	BAD(REGION, GVM_NO_VCPU, r, size = 0);
	BAD(REGION, GVM_NO_VCPU, r, size = 1);
	BAD(REGION, GVM_NO_VCPU, r, pad = 1);
	TAKEN(SLOT, GVM_NO_VCPU, s);
	check_lengths();
	BAD(SLOT, GVM_NO_VCPU, s, slot = 2 << 16);
	BAD(SLOT, GVM_NO_VCPU, s, flags = 4);
	BAD(SLOT, GVM_NO_VCPU, s, gpa = 1);
	BAD(SLOT, GVM_NO_VCPU, s, gpa = -4096ull);
	BAD(SLOT, GVM_NO_VCPU, s, size = 1);
	BAD(SLOT, GVM_NO_VCPU, s, offset = 1);
	BAD(SLOT, GVM_NO_VCPU, s, offset = -4096ull);
	BAD(SLOT, GVM_NO_VCPU, s, region = GVM_REGIONS_MAX);
	BAD(SLOT, GVM_NO_VCPU, s, pad = 1);
	s.size = 0;
	TAKEN(SLOT, GVM_NO_VCPU, s);
}

TEST(messages_of_a_vcpu)
{
	struct gvm_msg_tsc t = { .offset = -1ull };
	struct gvm_msg_irq i = { .vector = 0x31 }, nmi = { .mode = 4 }, init = { .mode = 5 };
	struct gvm_msg_irq sipi = { .mode = 6, .vector = 0x9a }, smi = { .mode = 2 };

	TAKEN(TSC, 0, t);
	check_lengths();
	REFUSED(TSC, GVM_NO_VCPU, t);
	make(GVM_MSG_KICK, 0, NULL, 0);
	check_lengths();
	make(GVM_MSG_KICK, GVM_NO_VCPU, NULL, 0);
	CHECK(check_all());
	TAKEN(IRQ, 1, i);
	check_lengths();
	TAKEN(IRQ, 1, nmi);
	TAKEN(IRQ, 1, init);
	TAKEN(IRQ, 1, sipi);
	TAKEN(IRQ, 1, smi);
	REFUSED(IRQ, GVM_NO_VCPU, i);
	BAD(IRQ, 1, i, vector = 15);
	BAD(IRQ, 1, i, vector = 256);
	BAD(IRQ, 1, i, level = 2);
	BAD(IRQ, 1, i, mode = 1);
	BAD(IRQ, 1, i, mode = 7);
	BAD(IRQ, 1, nmi, vector = 2);
	BAD(IRQ, 1, nmi, level = 1);
	BAD(IRQ, 1, sipi, vector = 256);
	BAD(IRQ, 1, smi, vector = 1);
	i.level = 1;
	TAKEN(IRQ, 1, i);
}

TEST(a_state)
{
	static struct gvm_state s;

	s.sregs.apic_base = 0xfee00c00;
	make(GVM_MSG_SAVE, 1, NULL, 0);
	check_lengths();
	make(GVM_MSG_SAVE, GVM_NO_VCPU, NULL, 0);
	CHECK(check_all());
	TAKEN(LOAD, 1, s);
	check_lengths();
	REFUSED(LOAD, GVM_NO_VCPU, s);
	BAD(LOAD, 1, s, nr_msrs = GVM_STATE_MSRS + 1);
	BAD(LOAD, 1, s, mp_state = KVM_MP_STATE_UNINITIALIZED);
	BAD(LOAD, 1, s, sregs.apic_base = 0xfee00800);
	BAD(LOAD, 1, s, lapic.regs[0x112] = 1);
}

TEST(doorbells)
{
	struct gvm_msg_doorbell b = { .number = INT32_MAX, .count = 1 };

	TAKEN(DOORBELL, GVM_NO_VCPU, b);
	check_lengths();
	REFUSED(DOORBELL, 1, b);
	BAD(DOORBELL, GVM_NO_VCPU, b, number = INT32_MAX + 1u);
	BAD(DOORBELL, GVM_NO_VCPU, b, pad = 1);
	BAD(DOORBELL, GVM_NO_VCPU, b, count = 0);
	BAD(DOORBELL, GVM_NO_VCPU, b, count = INT64_MAX + 1ull);
	b.count = INT64_MAX;
	TAKEN(DOORBELL, GVM_NO_VCPU, b);
}

TEST(lanes)
{
	struct gvm_msg_lane l = { .vector = 16, .node = 255 };

	TAKEN(LANE, 63, l);
	check_lengths();
	REFUSED(LANE, GVM_NO_VCPU, l);
	BAD(LANE, 1, l, vector = 15);
	BAD(LANE, 1, l, vector = 256);
	BAD(LANE, 1, l, node = 256);
}

TEST(pings_replies_and_status)
{
	struct gvm_msg_ping p = { .tsc = 1 };

	TAKEN(PING, GVM_NO_VCPU, p);
	check_lengths();
	TAKEN(PONG, GVM_NO_VCPU, p);
	check_lengths();
	make(GVM_MSG_STATUS, GVM_NO_VCPU, NULL, 0);
	check_lengths();
	make(GVM_MSG_REPLY, 2, "text\n", 5);
	m.head.result = -EAGAIN;
	m.head.request = (uint32_t)KVM_GET_REGS;
	CHECK(!check_all());
	m.head.len = GVM_PAYLOAD_MAX + 1;
	CHECK(gvm_msg_check(&m, sizeof(m.head) + m.head.len) == -EPROTO);
	m.head.len = 0;
	m.head.pad = 1;
	CHECK(check_all());
}

TEST(bye)
{
	char text[GVM_TEXT_MAX + 1];

	memset(text, 'x', sizeof(text));
	make(GVM_MSG_BYE, GVM_NO_VCPU, NULL, 0);
	CHECK(!check_all());
	make(GVM_MSG_BYE, GVM_NO_VCPU, text, GVM_TEXT_MAX);
	CHECK(!check_all());
	make(GVM_MSG_BYE, GVM_NO_VCPU, text, GVM_TEXT_MAX + 1);
	CHECK(check_all());
	make(GVM_MSG_BYE, GVM_NO_VCPU, "a\033[2J", 5);
	CHECK(check_all());
	make(GVM_MSG_BYE, GVM_NO_VCPU, "a", 2);
	CHECK(check_all());
}

static void make_run(enum gvm_msg_type type, struct kvm_run *run, uint32_t data)
{
	make(type, 1, run, GVM_RUN_HEAD);
	m.head.len += data;
}

static void runs_of(enum gvm_msg_type type)
{
	struct kvm_run run = { 0 };

	run.exit_reason = KVM_EXIT_MMIO;
	make_run(type, &run, 0);
	check_lengths();
	m.head.len = GVM_RUN_HEAD;
	m.head.vcpu = GVM_NO_VCPU;
	CHECK(check_all());
	run.exit_reason = KVM_EXIT_IO;
	run.io.direction = KVM_EXIT_IO_OUT;
	run.io.size = 2;
	run.io.count = 3;
	CHECK(gvm_run_size(&run) == GVM_RUN_HEAD + 6);
	make_run(type, &run, 6);
	check_lengths();
	run.io.count = 2048;
	make_run(type, &run, 4096);
	CHECK(!check_all());
	run.io.count = 2049;
	make_run(type, &run, 4098);
	CHECK(check_all());
	run.io.count = UINT32_MAX;
	CHECK(gvm_run_size(&run) == -EPROTO);
	run.io.count = 0;
	CHECK(gvm_run_size(&run) == -EPROTO);
	run.io.count = 1;
	run.io.size = 8;
	CHECK(gvm_run_size(&run) == -EPROTO);
	run.io.size = 1;
	run.io.direction = 2;
	CHECK(gvm_run_size(&run) == -EPROTO);
	CHECK(gvm_run_check(&run, GVM_RUN_HEAD - 1) == -EPROTO);
}

TEST(runs)
{
	runs_of(GVM_MSG_RUN);
	runs_of(GVM_MSG_COMPLETE);
}

static void make_ioctl(uint16_t vcpu, uint32_t request, uint32_t len)
{
	memset(m.payload, 0, sizeof(m.payload));
	make(GVM_MSG_IOCTL, vcpu, NULL, len);
	m.head.request = request;
}

TEST(ioctls)
{
	const struct gvm_call *c;

	make_ioctl(1, KVM_SET_REGS, sizeof(struct kvm_regs));
	check_lengths();
	make_ioctl(GVM_NO_VCPU, KVM_SET_REGS, sizeof(struct kvm_regs));
	CHECK(check_all());
	make_ioctl(GVM_NO_VCPU, KVM_SET_TSS_ADDR, 8);
	CHECK(!check_all());
	make_ioctl(GVM_NO_VCPU, KVM_GET_SUPPORTED_CPUID, 8 + 2 * 40);
	m.payload[0] = 2;
	CHECK(!check_all());
	m.payload[0] = 3;
	CHECK(check_all());
	for (unsigned int i = 0; (c = gvm_call_each(i)); i++) {
		bool vcpu = c->scope == GVM_SCOPE_VCPU;
		uint32_t len = c->by_value ? 8 : c->in ? c->size + c->nested : 0;

		make_ioctl(vcpu ? 0 : GVM_NO_VCPU, c->request, len);
		CHECK(!check_all() == !!gvm_call_find_wire(vcpu, c->request));
	}
}
