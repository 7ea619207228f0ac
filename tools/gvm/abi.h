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
 * @out:	the kernel writes the argument
 * @by_value:	the argument is a number, not a pointer; in and out are false then
 * @size:	bytes of the fixed part
 * @count_at:	offset of the 32-bit element count in the fixed part; unused if !elem_size
 * @elem_size:	bytes an element that follows the fixed part; 0: none
 * @elem_max:	most elements KVM takes
 * @error:	GVM_ROUTE_REFUSE: the errno, positive
 * @why:	GVM_ROUTE_REFUSE: what to tell the operator
 */
struct gvm_call {
	uint32_t request;
	const char *name;
	enum gvm_scope scope;
	enum gvm_route route;
	unsigned int in:1, out:1, by_value:1;
	uint32_t size;
	uint32_t count_at;
	uint32_t elem_size;
	uint32_t elem_max;
	int error;
	const char *why;
};

/**
 * gvm_call_find() - the row of a request
 * @request:	as given to ioctl(); upper 32 bits are ignored (QEMU sign-extends)
 *
 * Return: the row, or NULL if gvm does not know the request.
 */
const struct gvm_call *gvm_call_find(unsigned long request);

/**
 * gvm_call_pack() - bytes that the kernel would read or write at the argument
 * @call:	row
 * @arg:	argument of the ioctl, in the caller's memory; its count field decides
 *
 * What a receiver needs as its buffer: for a request that is only @out it is the fixed
 * part and, for a list that the kernel fills, room for as many elements as the caller has.
 *
 * Return: bytes, or -E2BIG if the count exceeds elem_max.
 */
ssize_t gvm_call_size(const struct gvm_call *call, const void *arg);

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
 * gvm_call_each() - walk the table (tests, documentation)
 * @i:		index
 *
 * Return: the row, or NULL past the end.
 */
const struct gvm_call *gvm_call_each(unsigned int i);

#endif
