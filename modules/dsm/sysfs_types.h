/* SPDX-License-Identifier: GPL-2.0 */
/* Private to sysfs*.c: a directory, a file, and the types of directories. */
#ifndef DSM_SYSFS_TYPES_H
#define DSM_SYSFS_TYPES_H

#include <linux/kobject.h>
#include <linux/sysfs.h>
#include <linux/types.h>

#include "cluster_types.h"

/**
 * struct dsm_kobj - a directory
 * @kobj:	the directory; its release frees this
 * @cluster:	what it is about
 * @region:	regions/<name>: the region
 * @size:	regions/<name>: bytes; READ_ONCE(), a reader takes no lock
 * @node:	peers/<n>: the peer
 */
struct dsm_kobj {
	struct kobject kobj;
	struct dsm_cluster *cluster;
	struct dsm_region *region;
	u64 size;
	u16 node;
};

/**
 * struct dsm_kattr - a file
 * @attr:	its name and mode
 * @show:	read it
 * @store:	write it
 * @arg:	which one, where files have @show in common
 */
struct dsm_kattr {
	struct attribute attr;
	ssize_t (*show)(struct dsm_kobj *k, const struct dsm_kattr *a, char *buf);
	ssize_t (*store)(struct dsm_kobj *k, const struct dsm_kattr *a,
			 const char *buf, size_t len);
	unsigned int arg;
};

#define DSM_ATTR_RO(prefix, file)					\
	static struct dsm_kattr prefix##_attr_##file = {			\
		.attr = { .name = #file, .mode = 0444 },		\
		.show = prefix##_##file##_show,				\
	}

#define DSM_ATTR_WO(prefix, file)					\
	static struct dsm_kattr prefix##_attr_##file = {			\
		.attr = { .name = #file, .mode = 0200 },		\
		.store = prefix##_##file##_store,			\
	}

extern const struct sysfs_ops dsm_sysfs_ops;
void dsm_kobj_release(struct kobject *kobj);

#define DSM_KTYPE(prefix)						\
	const struct kobj_type dsm_##prefix##_ktype = {			\
		.release = dsm_kobj_release,				\
		.sysfs_ops = &dsm_sysfs_ops,				\
		.default_groups = prefix##_groups,			\
	}

extern const struct kobj_type dsm_cluster_ktype;
extern const struct kobj_type dsm_latency_ktype;
extern const struct kobj_type dsm_knobs_ktype;
extern const struct kobj_type dsm_peer_ktype;
extern const struct kobj_type dsm_region_ktype;

extern const struct attribute_group dsm_stats_group;

/**
 * struct dsm_sysfs - the directories of a cluster
 * @top:	/sys/fs/dsm/<name>, NULL if they are directly in /sys/fs/dsm
 * @cluster:	cluster/
 * @latency:	cluster/latency/
 * @peers:	peers/
 * @regions:	regions/
 * @knobs:	knobs/
 * @peer:	peers/<n>/, NULL where there is none
 */
struct dsm_sysfs {
	struct dsm_kobj *top;
	struct dsm_kobj *cluster;
	struct dsm_kobj *latency;
	struct dsm_kobj *peers;
	struct dsm_kobj *regions;
	struct dsm_kobj *knobs;
	struct dsm_kobj *peer[DSM_MAX_NODES];
};

struct dsm_kobj *dsm_kobj_alloc(struct dsm_cluster *c);
int dsm_kobj_add(struct dsm_kobj *k, const struct kobj_type *type,
		 struct dsm_kobj *parent, const char *name);
void dsm_kobj_del(struct dsm_kobj *k);

/* A write-only file does something when 1 is written to it: 0 or -EINVAL. */
int dsm_sysfs_parse_do(const char *buf);

#endif
