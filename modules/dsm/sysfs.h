/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /sys/fs/dsm: what can be seen of a cluster, and its knobs.
 *
 * The only cluster of a module, "dsm", has its directories right there; with
 * the loop transport each cluster has them in /sys/fs/dsm/<name>.  Every file is
 * in Documentation/ABI/testing/sysfs-fs-dsm.
 *
 * All of it sleeps.  A *_del() waits for readers and writers under way, and when
 * it returns there are no more: so it comes before what is shown is freed, and it
 * is not called with a lock that is taken to show (dsm_cluster.member_lock), nor
 * from dsm_cluster_leave(), which is called by a writer of cluster/leave.  A
 * *_del() of what was never added, or whose *_add() failed, does nothing.
 */
#ifndef DSM_SYSFS_H
#define DSM_SYSFS_H

#include <linux/types.h>

struct dsm_cluster;
struct dsm_region;

int dsm_sysfs_init(void);
void dsm_sysfs_exit(void);

/* When it is set up, its peers may be unknown still. */
int dsm_sysfs_cluster_add(struct dsm_cluster *c);
/* Takes the peers and regions with it. */
void dsm_sysfs_cluster_del(struct dsm_cluster *c);

/* @c->node[id] is there from before it until after dsm_sysfs_cluster_del(). */
int dsm_sysfs_node_add(struct dsm_cluster *c, u16 id);

/*
 * A region that has a name.  The caller serialises the calls for one cluster,
 * and frees a name (del, rename) before another region gets it.
 */
int dsm_sysfs_region_add(struct dsm_region *r, const char *name);
int dsm_sysfs_region_rename(struct dsm_region *r, const char *name);
/* The file changed its size: bytes. */
void dsm_sysfs_region_resize(struct dsm_region *r, u64 size);
void dsm_sysfs_region_del(struct dsm_region *r);

#endif
