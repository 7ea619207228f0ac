/* SPDX-License-Identifier: GPL-2.0 */
/* What the launcher tells libgvm.so, as a small text file. */
#ifndef GVM_CONF_H
#define GVM_CONF_H

#include <stdint.h>

#include "msg.h"

/* Names the file; libgvm.so does nothing without it. */
#define GVM_CONF_ENV	"GVM_CONF"

/**
 * struct gvm_conf - a VM
 * @vm:		name
 * @dir:	where dsmfs is mounted
 * @timeout_ms:	a member silent for so long is dead
 * @nr_members:	servers
 * @member:	their agents, 0 is the VMM's server
 * @nr_vcpus:	vCPUs
 * @owner:	member of the n-th vCPU that the VMM creates
 */
struct gvm_conf {
	char vm[GVM_NAME_MAX + 1];
	char dir[GVM_TEXT_MAX + 1];
	unsigned int timeout_ms;
	unsigned int nr_members;
	struct gvm_msg_peer member[GVM_MEMBERS_MAX];
	unsigned int nr_vcpus;
	unsigned int owner[GVM_VCPUS_MAX];
};

/**
 * gvm_conf_write() - save
 * @c:		configuration
 * @path:	file, replaced
 *
 * Return: 0 or -errno.
 */
int gvm_conf_write(const struct gvm_conf *c, const char *path);

/**
 * gvm_conf_read() - load and check
 * @c:		out
 * @path:	file
 *
 * Return: 0, -EINVAL for what is not a configuration, -errno.
 */
int gvm_conf_read(struct gvm_conf *c, const char *path);

#endif
