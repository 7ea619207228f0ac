/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Metadata: names and attributes of the files.
 *
 * Every member holds all of it.  A change is sent to the master (the lowest
 * member), which applies it, sends it to all members, and answers when all have
 * applied it: so what a call has changed is changed everywhere when it returns,
 * and reading needs no network.  Whoever joins gets a copy from the master.
 */
#ifndef DSM_META_H
#define DSM_META_H

#include "cluster_types.h"
#include "core/place.h"

#define DSM_NAME_MAX	255

struct dsm_region;

/**
 * struct dsm_file - a file, as every member knows it
 * @rb:		by name, if linked
 * @id:		region id and inode number
 * @name:	its name; empty if unlinked
 * @mode:	type and permissions
 * @uid:	owner, in the initial user namespace
 * @gid:	group
 * @nlink:	0 or 1
 * @size:	bytes
 * @mtime_ns:	since the epoch
 * @ctime_ns:	likewise
 * @users:	nodes that have it open or mapped
 * @region:	its pages
 */
struct dsm_file {
	struct rb_node rb;
	u32 id;
	char name[DSM_NAME_MAX + 1];
	umode_t mode;
	u32 uid;
	u32 gid;
	u32 nlink;
	u64 size;
	s64 mtime_ns;
	s64 ctime_ns;
	struct dsm_nodeset users;
	struct dsm_region *region;
};

#endif
