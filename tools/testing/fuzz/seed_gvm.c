// SPDX-License-Identifier: GPL-2.0
/* Messages of gvm with a few bytes changed. */
#include <string.h>

#include "fuzz.h"
#include "msg.h"

static size_t ioctl_payload(struct gvm_head *h, uint8_t *payload)
{
	const struct gvm_call *call = gvm_call_each(fuzz_rnd(128));
	uint32_t nr = fuzz_rnd(4);

	if (!call)
		return 0;
	h->request = call->request;
	h->vcpu = call->scope == GVM_SCOPE_VCPU ? fuzz_rnd(GVM_VCPUS_MAX) : GVM_NO_VCPU;
	if (call->by_value)
		return 8;
	if (!call->in)
		return 0;
	if (call->elem_size)
		memcpy(payload + call->count_at, &nr, sizeof(nr));
	return call->size + call->nested + nr * call->elem_size;
}

static size_t payload_size(struct gvm_head *h, uint8_t *payload)
{
	static const uint16_t sizes[] = { 0, 8, 16, 24, 32, 40, 48, 128, 288, 300 };

	if (h->type == GVM_MSG_IOCTL)
		return ioctl_payload(h, payload);
	payload[0] = fuzz_rnd(4);
	if (h->type == GVM_MSG_DOORBELL)
		payload[8] = 1;
	else
		strcpy((char *)payload + (h->type == GVM_MSG_HELLO ? 8 : 0), "vm");
	return sizes[fuzz_rnd(sizeof(sizes) / sizeof(sizes[0]))];
}

size_t fuzz_nearly_valid(uint8_t *buf)
{
	struct gvm_head h = { .magic = GVM_MSG_MAGIC };
	size_t size;

	memset(buf, 0, FUZZ_MAX);
	h.type = fuzz_rnd(2) ? GVM_MSG_IOCTL : fuzz_rnd(GVM_MSG_NR + 1);
	h.vcpu = fuzz_rnd(2) ? GVM_NO_VCPU : fuzz_rnd(GVM_VCPUS_MAX + 1);
	h.len = payload_size(&h, buf + sizeof(h));
	memcpy(buf, &h, sizeof(h));
	size = sizeof(h) + h.len;
	if (size > FUZZ_MAX)
		size = FUZZ_MAX;
	for (uint32_t i = fuzz_rnd(3); i; i--)
		buf[fuzz_rnd(size)] = fuzz_rnd(256);
	return size;
}
