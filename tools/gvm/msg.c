// SPDX-License-Identifier: GPL-2.0
/* What is well formed among messages. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>

#include "clock.h"
#include "move.h"
#include "msg.h"

_Static_assert(offsetof(struct kvm_run, kvm_valid_regs) == GVM_RUN_HEAD, "head of kvm_run");
_Static_assert(sizeof(struct gvm_head) == 32, "struct gvm_head");
_Static_assert(sizeof(struct gvm_msg_hello) == 40, "struct gvm_msg_hello");
_Static_assert(sizeof(struct gvm_msg_start) == 300, "struct gvm_msg_start");
_Static_assert(sizeof(struct gvm_msg_peers) == 128, "struct gvm_msg_peers");
_Static_assert(sizeof(struct gvm_msg_region) == 48, "struct gvm_msg_region");
_Static_assert(sizeof(struct gvm_msg_slot) == 40, "struct gvm_msg_slot");
_Static_assert(sizeof(struct gvm_msg_irq) == 8, "struct gvm_msg_irq");
_Static_assert(sizeof(struct gvm_msg_lane) == 8, "struct gvm_msg_lane");
_Static_assert(sizeof(struct gvm_msg_doorbell) == 16, "struct gvm_msg_doorbell");

#define SLOT_FLAGS	(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)
#define DSM_NODES_MAX	256
#define TIMEOUT_MAX_MS	(3600 * 1000)

/* A message's payload, copied out of the buffer so that it is aligned. */
union fixed {
	struct gvm_msg_hello hello;
	struct gvm_msg_start start;
	struct gvm_msg_peer peer;
	struct gvm_msg_peers peers;
	struct gvm_msg_vcpu vcpu;
	struct gvm_msg_region region;
	struct gvm_msg_slot slot;
	struct gvm_msg_tsc tsc;
	struct gvm_msg_drift drift;
	struct gvm_msg_irq irq;
	struct gvm_msg_lane lane;
	struct gvm_msg_doorbell doorbell;
	struct gvm_msg_ping ping;
	struct gvm_state state;
};

const char *gvm_msg_name(unsigned int type)
{
	static const char *const names[] = {
#define GVM_MSG_NAME(x) #x,
		GVM_MSG_TYPES(GVM_MSG_NAME)
#undef GVM_MSG_NAME
	};

	return type < GVM_MSG_NR ? names[type] : "?";
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

int gvm_name_ok(const char *name)
{
	unsigned int i;

	if (name[0] == '.')
		return false;
	for (i = 0; i <= GVM_NAME_MAX && name[i]; i++)
		if (!name_char(name[i]))
			return false;
	return i > 0 && i <= GVM_NAME_MAX;
}

int gvm_range_ok(uint64_t start, uint64_t size)
{
	return start % GVM_PAGE == 0 && size % GVM_PAGE == 0 && start + size >= start;
}

/* Bytes below 0x20 and 0x7f; the rest is ASCII or UTF-8. */
static bool text_ok(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return len <= GVM_TEXT_MAX;
}

static bool dir_ok(const char *dir)
{
	size_t len = 0;

	while (len <= GVM_TEXT_MAX && dir[len])
		len++;
	return dir[0] == '/' && text_ok(dir, len);
}

static bool hello_ok(const struct gvm_msg_hello *m, uint16_t vcpu)
{
	if (m->kind >= GVM_CHAN_NR || m->member >= GVM_MEMBERS_MAX)
		return false;
	if ((m->kind == GVM_CHAN_VCPU) != (vcpu != GVM_NO_VCPU))
		return false;
	return gvm_name_ok(m->vm) || (m->kind == GVM_CHAN_AGENT && !m->vm[0]);
}

static bool start_ok(const struct gvm_msg_start *m)
{
	return gvm_name_ok(m->vm) && dir_ok(m->dir) &&
	       m->nr_members && m->nr_members <= GVM_MEMBERS_MAX && m->member < m->nr_members &&
	       m->timeout_ms && m->timeout_ms <= TIMEOUT_MAX_MS;
}

static bool peers_ok(const struct gvm_msg_peers *m)
{
	for (unsigned int i = 0; i < GVM_MEMBERS_MAX; i++)
		if (m->member[i].pad)
			return false;
	return true;
}

static bool vcpu_ok(const struct gvm_msg_vcpu *m, uint16_t vcpu)
{
	return m->id < GVM_VCPUS_MAX && m->owner < GVM_MEMBERS_MAX &&
	       (vcpu == GVM_NO_VCPU || vcpu == m->id);
}

static bool region_ok(const struct gvm_msg_region *m)
{
	return gvm_name_ok(m->name) && m->region < GVM_REGIONS_MAX && !m->pad &&
	       m->size && gvm_range_ok(0, m->size);
}

static bool slot_ok(const struct gvm_msg_slot *m)
{
	return m->slot >> 16 < GVM_SPACES && !(m->flags & ~SLOT_FLAGS) && !m->pad &&
	       m->region < GVM_REGIONS_MAX &&
	       gvm_range_ok(m->gpa, m->size) && gvm_range_ok(m->offset, m->size);
}

/* The modes of an ICR that reach a stub; lowest priority does as fixed. */
static bool irq_ok(const struct gvm_msg_irq *m)
{
	switch (m->mode) {
	case GVM_MODE_FIXED:
		return m->vector >= GVM_VECTOR_MIN && m->vector < 256 && m->level <= 1;
	case GVM_MODE_SMI:
	case GVM_MODE_NMI:
	case GVM_MODE_INIT:
		return !m->vector && !m->level;
	case GVM_MODE_SIPI:
		return m->vector < 256 && !m->level;
	default:
		return false;
	}
}

static bool lane_ok(const struct gvm_msg_lane *m)
{
	return m->vector >= GVM_VECTOR_MIN && m->vector < 256 && m->node < DSM_NODES_MAX;
}

static bool doorbell_ok(const struct gvm_msg_doorbell *m)
{
	return m->number <= INT32_MAX && !m->pad && m->count && m->count <= INT64_MAX;
}

ssize_t gvm_run_size(const void *run)
{
	const struct kvm_run *r = run;
	uint64_t data;

	if (r->exit_reason != KVM_EXIT_IO)
		return GVM_RUN_HEAD;
	data = (uint64_t)r->io.size * r->io.count;
	if (r->io.size != 1 && r->io.size != 2 && r->io.size != 4)
		return -EPROTO;
	if (!data || data > GVM_RUN_DATA || r->io.direction > KVM_EXIT_IO_OUT)
		return -EPROTO;
	return GVM_RUN_HEAD + data;
}

int gvm_run_check(const void *buf, size_t len)
{
	struct kvm_run run;

	if (len < GVM_RUN_HEAD)
		return -EPROTO;
	memcpy(&run, buf, GVM_RUN_HEAD);
	return gvm_run_size(&run) == (ssize_t)len ? 0 : -EPROTO;
}

static bool ioctl_ok(const struct gvm_head *h, const void *payload)
{
	const struct gvm_call *call = gvm_call_find_wire(h->vcpu != GVM_NO_VCPU, h->request);

	return call && !gvm_call_check(call, payload, h->len);
}

static bool head_ok(const struct gvm_head *h, size_t len)
{
	if (h->magic != GVM_MSG_MAGIC || h->type >= GVM_MSG_NR || h->pad)
		return false;
	if (h->len > GVM_PAYLOAD_MAX || len != sizeof(*h) + h->len)
		return false;
	if (h->vcpu != GVM_NO_VCPU && h->vcpu >= GVM_VCPUS_MAX)
		return false;
	if (h->request && h->type != GVM_MSG_IOCTL && h->type != GVM_MSG_REPLY)
		return false;
	return !h->result || h->type == GVM_MSG_REPLY;
}

/* Bytes of a payload of fixed size, or -1. */
static int fixed_size(enum gvm_msg_type type)
{
	switch (type) {
	case GVM_MSG_HELLO:
		return sizeof(struct gvm_msg_hello);
	case GVM_MSG_START:
		return sizeof(struct gvm_msg_start);
	case GVM_MSG_PROBE:
		return sizeof(struct gvm_msg_peer);
	case GVM_MSG_PEERS:
		return sizeof(struct gvm_msg_peers);
	case GVM_MSG_VCPU:
	case GVM_MSG_ROLE:
		return sizeof(struct gvm_msg_vcpu);
	case GVM_MSG_REGION:
		return sizeof(struct gvm_msg_region);
	case GVM_MSG_SLOT:
		return sizeof(struct gvm_msg_slot);
	case GVM_MSG_TSC:
		return sizeof(struct gvm_msg_tsc);
	case GVM_MSG_DRIFT:
		return sizeof(struct gvm_msg_drift);
	case GVM_MSG_IRQ:
		return sizeof(struct gvm_msg_irq);
	case GVM_MSG_LANE:
		return sizeof(struct gvm_msg_lane);
	case GVM_MSG_DOORBELL:
		return sizeof(struct gvm_msg_doorbell);
	case GVM_MSG_PING:
	case GVM_MSG_PONG:
		return sizeof(struct gvm_msg_ping);
	case GVM_MSG_LOAD:
		return sizeof(struct gvm_state);
	case GVM_MSG_STATUS:
	case GVM_MSG_SAVE:
	case GVM_MSG_KICK:
		return 0;
	case GVM_MSG_REPLY:
	case GVM_MSG_IOCTL:
	case GVM_MSG_RUN:
	case GVM_MSG_COMPLETE:
	case GVM_MSG_BYE:
	case GVM_MSG_NR:
		break;
	}
	return -1;
}

static bool body_ok(const struct gvm_head *h, const void *payload)
{
	bool for_vcpu = h->vcpu != GVM_NO_VCPU;
	int size = fixed_size(h->type);
	union fixed m;

	if (size >= 0) {
		if (h->len != (uint32_t)size)
			return false;
		memcpy(&m, payload, size);
	}
	switch ((enum gvm_msg_type)h->type) {
	case GVM_MSG_HELLO:
		return hello_ok(&m.hello, h->vcpu);
	case GVM_MSG_START:
		return start_ok(&m.start);
	case GVM_MSG_PROBE:
		return m.peer.addr && m.peer.port && !m.peer.pad;
	case GVM_MSG_PEERS:
		return peers_ok(&m.peers);
	case GVM_MSG_VCPU:
	case GVM_MSG_ROLE:
		return vcpu_ok(&m.vcpu, h->vcpu);
	case GVM_MSG_REGION:
		return region_ok(&m.region);
	case GVM_MSG_SLOT:
		return slot_ok(&m.slot);
	case GVM_MSG_DRIFT:
		return !for_vcpu && m.drift.ticks <= GVM_CLOCK_STEP &&
		       m.drift.ticks >= -GVM_CLOCK_STEP;
	case GVM_MSG_TSC:
	case GVM_MSG_SAVE:
	case GVM_MSG_KICK:
		return for_vcpu;
	case GVM_MSG_LOAD:
		return for_vcpu && gvm_state_ok(&m.state);
	case GVM_MSG_IRQ:
		return for_vcpu && irq_ok(&m.irq);
	case GVM_MSG_LANE:
		return for_vcpu && lane_ok(&m.lane);
	case GVM_MSG_DOORBELL:
		return !for_vcpu && doorbell_ok(&m.doorbell);
	case GVM_MSG_RUN:
	case GVM_MSG_COMPLETE:
		return for_vcpu && !gvm_run_check(payload, h->len);
	case GVM_MSG_IOCTL:
		return ioctl_ok(h, payload);
	case GVM_MSG_BYE:
		return text_ok(payload, h->len);
	case GVM_MSG_REPLY:
	case GVM_MSG_STATUS:
	case GVM_MSG_PING:
	case GVM_MSG_PONG:
		return true;
	case GVM_MSG_NR:
		break;
	}
	return false;
}

int gvm_msg_check(const void *buf, size_t len)
{
	struct gvm_head h;

	if (len < sizeof(h))
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	if (!head_ok(&h, len) || !body_ok(&h, (const char *)buf + sizeof(h)))
		return -EPROTO;
	return 0;
}
