/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages between members. Both ends are x86, the format is the native one; a decoder
 * trusts no byte of it.
 */
#ifndef GVM_MSG_H
#define GVM_MSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"

#define GVM_MSG_MAGIC	0x326d7667	/* "gvm2" */
#define GVM_NAME_MAX	31		/* characters of a VM's or region's name */
#define GVM_PAGE	4096
#define GVM_SPACES	2		/* address spaces: the ordinary one, SMM's */
#define GVM_MEMBERS_MAX	16
#define GVM_VCPUS_MAX	64
#define GVM_REGIONS_MAX	64
#define GVM_TEXT_MAX	255
#define GVM_PAYLOAD_MAX	GVM_ABI_PAYLOAD_MAX

/* Requests have a reply of the type GVM_MSG_REPLY with the same seq. One-way messages have none. */
#define GVM_MSG_TYPES(X)							\
	X(HELLO)	/* request: who I am and what this channel is for */	\
	X(REPLY)	/* result, payload of the request it answers */		\
	X(START)	/* request to an agent: begin a VM; reply: its port */	\
	X(STATUS)	/* request to an agent: reply is text */		\
	X(PROBE)	/* request to an agent: result is the round trip to another, ns */ \
	X(PEERS)	/* request: the other members and their addresses */	\
	X(IOCTL)	/* request: an ioctl on the VM or a vCPU */		\
	X(VCPU)		/* request: create a vCPU, owned or as stub */		\
	X(REGION)	/* request: map a file of dsmfs */			\
	X(SLOT)		/* request: set or delete a memory slot */		\
	X(TSC)		/* request: set a vCPU's TSC offset */			\
	X(DRIFT)	/* request: set the TSC of the vCPUs there forward or back */ \
	X(RUN)		/* request: KVM_RUN, see gvm_run_size(); reply likewise */ \
	X(COMPLETE)	/* request: gvm_complete(); payload and reply as RUN's */ \
	X(SAVE)		/* request: a vCPU's state; reply: struct gvm_state */	\
	X(LOAD)		/* request: the vCPU becomes real here, with that state */ \
	X(ROLE)		/* request: a vCPU is real elsewhere */			\
	X(KICK)		/* one way: end RUN or COMPLETE seq */			\
	X(IRQ)		/* one way: an interrupt for a vCPU */			\
	X(LANE)		/* one way: its interrupts of a vector need not take the link */ \
	X(DOORBELL)	/* one way: a doorbell was rung here, so often */	\
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
 * @vcpu:	vCPU id, or GVM_NO_VCPU; RUN, COMPLETE, TSC, SAVE, LOAD, KICK, IRQ, LANE and the HELLO of
 *		a vCPU's channel need one
 * @len:	bytes of payload that follow
 * @seq:	number of the request; KICK: of the RUN or COMPLETE
 * @request:	IOCTL: the KVM request; REPLY: may repeat it; else 0
 * @pad:	0
 * @result:	REPLY: what the call returned, or -errno; else 0
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
	GVM_CHAN_AGENT,		/* to an agent: START, STATUS, PROBE */
	GVM_CHAN_VM,		/* VM requests */
	GVM_CHAN_VCPU,		/* requests of one vCPU */
	GVM_CHAN_LINK,		/* one-way messages */
	GVM_CHAN_NR
};

struct gvm_msg_hello {
	uint32_t kind;		/* enum gvm_chan_kind */
	uint32_t member;	/* the sender */
	char vm[GVM_NAME_MAX + 1];	/* GVM_CHAN_AGENT: may be all zero */
};

/*
 * STATUS, SAVE and KICK have no payload; that of PROBE is struct gvm_msg_peer; that of LOAD is
 * struct gvm_state. That of IOCTL is in abi.h, with the doorbell's number for KVM_IOEVENTFD's fd;
 * when that deassigns, the reply's result is how often the doorbell was rung there. That of BYE is
 * up to GVM_TEXT_MAX bytes of text, without the NUL and control characters.
 */

struct gvm_msg_start {
	char vm[GVM_NAME_MAX + 1];
	char dir[GVM_TEXT_MAX + 1];	/* where dsmfs is mounted, absolute */
	uint32_t member;	/* the child's number */
	uint32_t nr_members;
	uint32_t timeout_ms;	/* 1 to an hour */
};

struct gvm_msg_peer {
	uint32_t addr;		/* IPv4, network order */
	uint16_t port;		/* host order; 0: do not connect, it will */
	uint16_t pad;
};

struct gvm_msg_peers {
	struct gvm_msg_peer member[GVM_MEMBERS_MAX];
};

/* VCPU and ROLE */
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

struct gvm_msg_tsc {
	uint64_t offset;	/* as in KVM_VCPU_TSC_OFFSET */
};

struct gvm_msg_drift {
	int64_t ticks;		/* GVM_CLOCK_STEP at most, either way */
};

/* Delivery modes, as in the APIC's ICR. */
#define GVM_MODE_FIXED	0
#define GVM_MODE_SMI	2
#define GVM_MODE_NMI	4
#define GVM_MODE_INIT	5
#define GVM_MODE_SIPI	6

#define GVM_VECTOR_MIN	16	/* those below no APIC delivers */

struct gvm_msg_irq {
	uint32_t vector;	/* fixed: from GVM_VECTOR_MIN; SIPI: page of the start; others: 0 */
	uint16_t mode;		/* GVM_MODE_* */
	uint16_t level;		/* 1: level-triggered; fixed only */
};

struct gvm_msg_lane {
	uint32_t vector;	/* from GVM_VECTOR_MIN */
	uint32_t node;		/* the sender's, of dsm */
};

struct gvm_msg_doorbell {
	uint32_t number;	/* as in kvm_ioeventfd.fd of the IOCTL that assigned it, not negative */
	uint32_t pad;
	uint64_t count;		/* not 0, and no more than INT64_MAX */
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
 * A REPLY is checked for its head only: who asked knows what it must hold (gvm_call_unpack(),
 * gvm_run_check()).
 *
 * Return: 0, or -EPROTO.
 */
int gvm_msg_check(const void *buf, size_t len);

/* Bytes of struct kvm_run that travel: all before kvm_valid_regs. The first 8 are the VMM's. */
#define GVM_RUN_HEAD	288
#define GVM_RUN_DATA	4096	/* most PIO data: KVM's page for it */

/**
 * gvm_run_size() - bytes of the payload of RUN, or of its reply
 * @run:	struct kvm_run, or its first GVM_RUN_HEAD bytes, aligned
 *
 * That is the head, and, if the exit in it is KVM_EXIT_IO, the size * count bytes of data, which
 * KVM has at io.data_offset in the mapping and the payload right after the head.
 *
 * Return: bytes, or -EPROTO if KVM would not write such an exit.
 */
ssize_t gvm_run_size(const void *run);

/**
 * gvm_run_check() - is the payload of RUN, or of its reply, well formed?
 * @buf:	payload
 * @len:	its bytes
 *
 * io.data_offset is the sender's and not looked at: the receiver uses its own.
 *
 * Return: 0, or -EPROTO.
 */
int gvm_run_check(const void *buf, size_t len);

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

/** gvm_range_ok() - is a range made of whole pages, and does it not wrap? */
int gvm_range_ok(uint64_t start, uint64_t size);

#endif
