/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages between members. Both ends are x86, the format is the native one; a decoder
 * trusts no byte of it.
 */
#ifndef GVM_MSG_H
#define GVM_MSG_H

#include <stddef.h>
#include <stdint.h>

#define GVM_MSG_MAGIC	0x316d7667	/* "gvm1" */
#define GVM_NAME_MAX	31		/* characters of a VM's or region's name */
#define GVM_MEMBERS_MAX	16
#define GVM_VCPUS_MAX	64
#define GVM_TEXT_MAX	255

/* Requests have a reply of the type GVM_MSG_REPLY with the same seq. One-way messages have none. */
#define GVM_MSG_TYPES(X)							\
	X(HELLO)	/* request: who I am and what this channel is for */	\
	X(REPLY)	/* result, payload of the request it answers */		\
	X(START)	/* request to an agent: begin a VM; reply: its port */	\
	X(STOP)		/* request to an agent: end a VM */			\
	X(STATUS)	/* request to an agent: reply is text */		\
	X(PEERS)	/* request: the other members and their addresses */	\
	X(IOCTL)	/* request: an ioctl on the VM or a vCPU */		\
	X(VCPU)		/* request: create a vCPU, owned or as stub */		\
	X(REGION)	/* request: map a file of dsmfs */			\
	X(SLOT)		/* request: set or delete a memory slot */		\
	X(TSC)		/* request: set a vCPU's TSC offset */			\
	X(RUN)		/* request: KVM_RUN */					\
	X(ROLE)		/* request: a vCPU becomes real or a stub */		\
	X(KICK)		/* one way: end RUN seq */				\
	X(IRQ)		/* one way: an interrupt for a vCPU */			\
	X(PING)		/* one way: seq, own TSC */				\
	X(PONG)		/* one way: answer, with the receiver's TSC */		\
	X(BYE)		/* one way: reason, as text; the VM ends */

enum gvm_msg_type {
#define GVM_MSG_ENUM(x) GVM_MSG_##x,
	GVM_MSG_TYPES(GVM_MSG_ENUM)
#undef GVM_MSG_ENUM
	GVM_MSG_NR
};

/**
 * struct gvm_head - begins each message
 * @magic:	GVM_MSG_MAGIC
 * @type:	enum gvm_msg_type
 * @vcpu:	vCPU id, or GVM_NO_VCPU
 * @len:	bytes of payload that follow
 * @seq:	number of the request; RUN and KICK: of the run
 * @request:	IOCTL: the KVM request
 * @pad:	0
 * @result:	REPLY: what the call returned, or -errno
 */
struct gvm_head {
	uint32_t magic;
	uint16_t type;
	uint16_t vcpu;
	uint32_t len;
	uint32_t seq;
	uint32_t request;
	uint32_t pad;
	int64_t result;
};

#define GVM_NO_VCPU	0xffff

/* What a channel is for. */
enum gvm_chan_kind {
	GVM_CHAN_AGENT,		/* to an agent: START, STOP, STATUS */
	GVM_CHAN_VM,		/* VM requests */
	GVM_CHAN_VCPU,		/* requests of one vCPU */
	GVM_CHAN_LINK,		/* one-way messages */
	GVM_CHAN_NR
};

struct gvm_msg_hello {
	uint32_t kind;		/* enum gvm_chan_kind */
	uint32_t member;	/* the sender */
	char vm[GVM_NAME_MAX + 1];
};

struct gvm_msg_start {
	char vm[GVM_NAME_MAX + 1];
	char dir[GVM_TEXT_MAX + 1];	/* where dsmfs is mounted */
	uint32_t member;	/* the child's number */
	uint32_t nr_members;
	uint32_t nr_vcpus;
	uint32_t timeout_ms;
};

struct gvm_msg_peer {
	uint32_t addr;		/* IPv4, network order */
	uint16_t port;		/* host order; 0: do not connect, it will */
	uint16_t pad;
};

struct gvm_msg_peers {
	struct gvm_msg_peer member[GVM_MEMBERS_MAX];
};

struct gvm_msg_vcpu {
	uint32_t id;
	uint32_t owner;		/* member */
};

struct gvm_msg_region {
	char name[GVM_NAME_MAX + 1];	/* file below the VM's directory */
	uint32_t region;	/* number in SLOT */
	uint32_t pad;
	uint64_t size;
};

struct gvm_msg_slot {
	uint32_t slot;		/* with the address space in bits 16 to 31 */
	uint32_t flags;
	uint64_t gpa;
	uint64_t size;		/* 0: delete */
	uint64_t offset;	/* in the region */
	uint32_t region;
	uint32_t pad;
};

struct gvm_msg_irq {
	uint32_t vector;
	uint16_t mode;		/* 0 fixed, 4 NMI, 5 INIT, 6 SIPI */
	uint16_t level;		/* 1: level-triggered */
};

struct gvm_msg_ping {
	uint64_t tsc;		/* PING: sender's; PONG: the same, returned */
	uint64_t peer_tsc;	/* PONG: receiver's */
};

/**
 * gvm_msg_check() - is a received message well formed?
 * @buf:	message with its head
 * @len:	bytes received
 *
 * Checks magic, type, that len is the head plus head.len, that the payload has the length that
 * its type needs, that numbers are within their limits and names are terminated, not empty, have
 * no '/' and do not begin with '.'. IOCTL payloads are checked with gvm_call_check().
 *
 * Return: 0, or -EPROTO.
 */
int gvm_msg_check(const void *buf, size_t len);

/**
 * gvm_msg_name() - name of a type, for logs
 * @type:	any number
 *
 * Return: the name, "?" if there is none.
 */
const char *gvm_msg_name(unsigned int type);

/**
 * gvm_name_ok() - may this be the name of a VM or region?
 * @name:	at most GVM_NAME_MAX + 1 bytes are looked at
 *
 * Return: true if terminated, not empty, of letters, digits, '-', '_' and '.', not beginning with '.'.
 */
int gvm_name_ok(const char *name);

#endif
