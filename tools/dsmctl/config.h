/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The description of a cluster, the same file on every server:
 *
 *	node <name> <address>		one a server; node numbers in this order
 *	port <number>			that all of them listen on, if not the usual one
 *	module <path>			dsm.ko, if not installed for modprobe
 *	mount <directory>		where dsmfs is mounted by join --mount
 *	knob <name> <number>		see /sys/fs/dsm/knobs
 *	# a comment
 */
#ifndef DSMCTL_CONFIG_H
#define DSMCTL_CONFIG_H

#include <stddef.h>

#include "compiler.h"

#define CONFIG_PATH		"/etc/dsm/cluster.conf"
#define CONFIG_MAX_NODES	256
#define CONFIG_MAX_KNOBS	64
#define CONFIG_MAX_WORD		256

struct config_node {
	char name[65];
	char address[64];
};

struct config_knob {
	char name[32];
	unsigned int value;
};

/**
 * struct config - a cluster, as described
 * @port:	port number, 0 for that of the module
 * @nr_nodes:	used entries of @node
 * @nr_knobs:	used entries of @knob
 * @module:	path of dsm.ko, "" for modprobe
 * @mount:	mount point
 * @node:	servers; the index is the node number
 * @knob:	module parameters
 */
struct config {
	unsigned int port;
	unsigned int nr_nodes;
	unsigned int nr_knobs;
	char module[CONFIG_MAX_WORD];
	char mount[CONFIG_MAX_WORD];
	struct config_node node[CONFIG_MAX_NODES];
	struct config_knob knob[CONFIG_MAX_KNOBS];
};

/**
 * config_parse() - read a description
 * @c:		the result
 * @text:	the description
 * @path:	of the file, for messages
 * @err:	what is wrong with it
 * @size:	of @err
 *
 * Return: 0, or -1 with a message for the user in @err.
 */
int config_parse(struct config *c, const char *text, const char *path, char *err,
		 size_t size);

/**
 * config_find() - which node is this server?
 * @c:		the cluster
 * @name:	its name; of a host name the first label is enough
 *
 * Return: node number or -1.
 */
int config_find(const struct config *c, const char *name);

/**
 * config_params() - the parameters for the module
 * @c:		the cluster
 * @node:	this node
 * @buf:	the result, "node=0 peers=a,b hold_us=1"
 * @size:	of @buf
 *
 * Return: 0, or -1 if @buf is too small.
 */
int config_params(const struct config *c, int node, char *buf, size_t size);

#endif
