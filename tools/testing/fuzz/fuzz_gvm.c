// SPDX-License-Identifier: GPL-2.0
/* A message as it came from another member, through the checks and on to the ioctl's argument. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "msg.h"

static uint64_t room[GVM_ABI_PAYLOAD_MAX / 8 + 1];

/* What was taken must say the same again, when packed by the receiver. */
static void ioctl_again(const struct gvm_call *call, const uint8_t *payload, size_t len)
{
	static uint8_t again[GVM_ABI_PAYLOAD_MAX];
	unsigned long arg;
	size_t reply;

	memcpy(room, payload, len);
	arg = gvm_call_arg(call, room);
	if (gvm_call_pack(call, arg, again, sizeof(again)) != (ssize_t)len)
		abort();
	reply = gvm_call_reply_size(call, room);
	if (reply > sizeof(room))
		abort();
	if (call->out && call->in && (reply != len ||
	    (!call->nested && gvm_call_unpack(call, arg, again, reply))))
		abort();
}

static void any_ioctl(const uint8_t *data, size_t size)
{
	const struct gvm_call *call = gvm_call_each(data[0]);

	if (!call)
		return;
	/* A copy of its own size, so that a read beyond it is seen. */
	uint8_t *copy = malloc(size);

	memcpy(copy, data + 1, size - 1);
	if (!gvm_call_check(call, copy, size - 1))
		ioctl_again(call, copy, size - 1);
	gvm_call_reply_size(call, memset(room, 0xff, call->size + 8));
	free(copy);
}

static void message(const uint8_t *data, size_t size)
{
	const struct gvm_call *call;
	struct gvm_head head;
	int r = gvm_msg_check(data, size);

	if (r && r != -EPROTO)
		abort();
	if (r)
		return;
	memcpy(&head, data, sizeof(head));
	if (size != sizeof(head) + head.len || gvm_msg_name(head.type)[0] == '?')
		abort();
	if (head.type != GVM_MSG_IOCTL)
		return;
	call = gvm_call_find_wire(head.vcpu != GVM_NO_VCPU, head.request);
	if (!call)
		abort();
	ioctl_again(call, data + sizeof(head), head.len);
}

/* With the head put right, so that the payload is looked at. */
static void repaired(const uint8_t *data, size_t size)
{
	struct gvm_head head;
	uint8_t *copy;

	if (size < sizeof(head))
		return;
	copy = malloc(size);
	memcpy(copy, data, size);
	memcpy(&head, data, sizeof(head));
	head.magic = GVM_MSG_MAGIC;
	head.type %= GVM_MSG_NR;
	head.vcpu = head.vcpu & 1 ? head.vcpu % GVM_VCPUS_MAX : GVM_NO_VCPU;
	head.len = size - sizeof(head);
	head.pad = 0;
	head.result = 0;
	if (head.type == GVM_MSG_IOCTL && gvm_call_each(head.request))
		head.request = gvm_call_each(head.request)->request;
	else
		head.request = 0;
	memcpy(copy, &head, sizeof(head));
	message(copy, size);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	message(data, size);
	repaired(data, size);
	if (size)
		any_ioctl(data, size);
	return 0;
}
