/* SPDX-License-Identifier: GPL-2.0 */
/* What each request of the KVM uAPI means to gvm: one table, no I/O. */
#ifndef GVM_ABI_H
#define GVM_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whose file descriptor the request is made on. */
enum gvm_scope {
	GVM_SCOPE_SYSTEM,
	GVM_SCOPE_VM,
	GVM_SCOPE_VCPU,
};

/* Where the request goes, see Documentation/dsm/gvm.rst. */
enum gvm_route {
	GVM_ROUTE_LOCAL,
	GVM_ROUTE_FORWARD,
	GVM_ROUTE_MIRROR,
	GVM_ROUTE_SPECIAL,
	GVM_ROUTE_REFUSE,
};

/* The largest payload of any request, in bytes (GSI_ROUTING with 4096 entries). */
#define GVM_ABI_PAYLOAD_MAX	(8 + 4096 * 48)

/**
 * struct gvm_call - one request of the KVM uAPI
 * @request:	as in <linux/kvm.h>, 32 bits
 * @name:	for logs
 * @scope:	enum gvm_scope
 * @route:	enum gvm_route
 * @in:		the kernel reads the argument
 * @out:	the kernel writes the argument, or what it points to
 * @by_value:	the argument is a number, not a pointer; in and out are false then
 * @all:	GVM_ROUTE_FORWARD: stubs get it as well, so that the vCPU may move there
 * @wire:	GVM_ROUTE_SPECIAL: may nevertheless travel in an IOCTL message
 * @size:	bytes of the fixed part, 0 if the argument is no pointer
 * @count_at:	offset of the 32-bit element count in the fixed part; unused if !elem_size
 * @elem_size:	bytes an element that follows the fixed part; 0: none
 * @elem_max:	most elements KVM takes
 * @nested_at:	offset of a pointer in the fixed part; unused if !nested
 * @nested:	bytes it points to, which follow the rest in a payload; 0: none
 * @error:	GVM_ROUTE_REFUSE: the errno, positive
 * @why:	GVM_ROUTE_REFUSE: what to tell the operator
 *
 * KVM_X86_SET_MSR_FILTER has sixteen nested pointers and is a case of its own in abi.c.
 */
struct gvm_call {
	uint32_t request;
	const char *name;
	enum gvm_scope scope;
	enum gvm_route route;
	unsigned int in:1, out:1, by_value:1, wire:1, all:1;
	uint32_t size;
	uint32_t count_at;
	uint32_t elem_size;
	uint32_t elem_max;
	uint32_t nested_at;
	uint32_t nested;
	int error;
	const char *why;
};

/**
 * gvm_call_find() - the row of a request
 * @scope:	of the file descriptor: ENABLE_CAP, for one, is another thing on a VM than on a vCPU
 * @request:	as given to ioctl(); upper 32 bits are ignored (QEMU sign-extends)
 *
 * Return: the row, or NULL if gvm does not know the request.
 */
const struct gvm_call *gvm_call_find(enum gvm_scope scope, unsigned long request);

/**
 * gvm_call_find_wire() - the row of a request that came in an IOCTL message
 * @vcpu:	the message is for a vCPU; otherwise for the VM, or, where a member is asked
 *		what its KVM can do, for the system
 * @request:	from the message
 *
 * Return: the row, or NULL if no IOCTL message carries such a request.
 */
const struct gvm_call *gvm_call_find_wire(int vcpu, uint32_t request);

/**
 * gvm_call_size() - bytes that the kernel would read or write at the argument
 * @call:	row
 * @arg:	argument of the ioctl, in the caller's memory; its count field decides
 *
 * What a receiver needs as its buffer: for a request that is only @out it is the fixed
 * part and, for a list that the kernel fills, room for as many elements as the caller has.
 * What nested pointers lead to is not in it. KVM_GET_XSAVE2 counts as 4096 bytes; that holds
 * as long as no feature that the process must ask for (AMX) is offered, see mask.h.
 *
 * Return: bytes, or -E2BIG if the count exceeds elem_max.
 */
ssize_t gvm_call_size(const struct gvm_call *call, const void *arg);

/*
 * The payload of an IOCTL message is the argument (8 bytes if it is a number, nothing if the
 * kernel does not read it), then what nested pointers lead to. The reply's is the same if the
 * kernel writes and the call succeeded, else nothing.
 *
 *	VMM:		gvm_call_pack(), send, receive, gvm_call_unpack()
 *	receiver:	gvm_call_check(), gvm_call_arg(), ioctl, gvm_call_reply_size()
 */

/**
 * gvm_call_pack() - make the payload of a request
 * @call:	row
 * @arg:	argument of the ioctl, in the caller's memory
 * @buf:	out: payload
 * @len:	room
 *
 * Return: bytes; -E2BIG, or -EINVAL for an MSR filter that KVM would not take; -EMSGSIZE if
 * there is no room.
 */
ssize_t gvm_call_pack(const struct gvm_call *call, unsigned long arg, void *buf, size_t len);

/**
 * gvm_call_check() - is a payload off the wire what the request needs?
 * @call:	row
 * @buf:	payload
 * @len:	its bytes
 *
 * Return: 0; -EINVAL if the length is not what the row and the count in the payload say;
 * -E2BIG if the count exceeds elem_max.
 */
int gvm_call_check(const struct gvm_call *call, const void *buf, size_t len);

/**
 * gvm_call_arg() - the argument for the receiver's ioctl
 * @call:	row
 * @buf:	payload that gvm_call_check() took, in a buffer of GVM_ABI_PAYLOAD_MAX bytes, aligned
 *		as malloc() does; its nested pointers are set to what follows in it
 *
 * Return: the argument.
 */
unsigned long gvm_call_arg(const struct gvm_call *call, void *buf);

/**
 * gvm_call_reply_size() - bytes of the buffer to send back after an ioctl that succeeded
 * @call:	row
 * @buf:	as given to gvm_call_arg()
 *
 * Return: bytes.
 */
size_t gvm_call_reply_size(const struct gvm_call *call, const void *buf);

/**
 * gvm_call_unpack() - a reply's payload into the caller's memory
 * @call:	row
 * @arg:	as given to gvm_call_pack(); its pointers stay as they are
 * @buf:	reply's payload; empty: nothing is done
 * @len:	its bytes
 *
 * Return: 0; -EPROTO if it is not what the row says or more than the caller has room for.
 */
int gvm_call_unpack(const struct gvm_call *call, unsigned long arg, const void *buf, size_t len);

/**
 * gvm_call_each() - walk the table (tests, documentation)
 * @i:		index
 *
 * Return: the row, or NULL past the end.
 */
const struct gvm_call *gvm_call_each(unsigned int i);

#endif
