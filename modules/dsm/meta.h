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

#include <linux/rbtree.h>
#include <linux/rwsem.h>

#include "cluster_types.h"
#include "core/changes.h"
#include "core/place.h"

#define DSM_NAME_MAX	255

struct dsm_ctrl_head;
struct dsm_region;
struct inode;
struct super_block;

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
 * @shown_ns:	@mtime_ns as the inode here was last told; since then a write
 *		here may have made the inode's younger
 * @users:	nodes that may have it open or mapped
 * @region:	its pages
 * @inode:	here, while there is one; no reference
 * @nr_open:	open files here
 * @closing:	this node has told the master that it does not use it
 * @unsaid:	it could not: to be told again
 * @dead:	entry in a list of files that are being destroyed
 *
 * Protected by dsm_meta.lock.
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
	s64 shown_ns;
	struct dsm_nodeset users;
	struct dsm_region *region;
	struct inode *inode;
	unsigned int nr_open;
	bool closing;
	bool unsaid;
	struct list_head dead;
};

/*
 * CREATE	@name @mode @uid @gid; value: the id
 * UNLINK	@name @file
 * RENAME	@name -> @name2, @file; flags NOREPLACE
 * SETATTR	@file, flags say what
 * EXTEND	@file: at least @start + @nr bytes long; or, APPEND, @nr bytes
 *		longer; value: where they begin
 * PUNCH	@file: bytes @start, @nr are zero
 * PLACE	@file: pages @start, @nr get @policy, @unit, @node
 * OPEN		@file: the origin uses it
 * CLOSE	@file: the origin does not use it any more
 * DESTROY	@file: no one uses it (master only)
 * REHOME	pages of node origin have their home at @node
 * BARRIER	nothing; what was under way before it is done
 * AGREED	all of @members have made the same changes: others use no files, what
 *		is frozen thaws (master only)
 */
#define DSM_OPS(X)	\
	X(CREATE)	\
	X(UNLINK)	\
	X(RENAME)	\
	X(SETATTR)	\
	X(EXTEND)	\
	X(PUNCH)	\
	X(PLACE)	\
	X(OPEN)		\
	X(CLOSE)	\
	X(DESTROY)	\
	X(REHOME)	\
	X(BARRIER)	\
	X(AGREED)

enum dsm_op_type {
#define X(name) DSM_OP_##name,
	DSM_OPS(X)
#undef X
	DSM_NR_OPS,
};

#define DSM_OF_MODE		0x001
#define DSM_OF_UID		0x002
#define DSM_OF_GID		0x004
#define DSM_OF_SIZE		0x008	/* the new size is @start */
#define DSM_OF_MTIME		0x010
#define DSM_OF_CTIME		0x020
#define DSM_OF_NOREPLACE	0x040
#define DSM_OF_APPEND		0x080
#define DSM_OF_CHECK		0x100	/* PLACE: would it be possible?  Then it stays so */
#define DSM_OF_ABORT		0x200	/* PLACE: it does not come after all */
#define DSM_OF_UNDO		0x400	/* what @node's op @nr did, which is not done then */
#define DSM_OF_ALL		0x7ff
/* Nothing is changed yet, or any more. */
#define DSM_OF_NO_CHANGE	(DSM_OF_CHECK | DSM_OF_ABORT)
/* Only the master says so. */
#define DSM_OF_MASTER		(DSM_OF_NO_CHANGE | DSM_OF_UNDO)

/**
 * struct dsm_op - a change of the metadata
 * @type:	enum dsm_op_type
 * @policy:	PLACE: enum dsm_policy
 * @origin:	the node that wants it; set by who receives it
 * @node:	PLACE, REHOME
 * @flags:	DSM_OF_*
 * @file:	the file; CREATE: set by the master
 * @op_id:	number the origin gave it; the same when it tries again
 * @seq:	number the master gave it
 * @mode:	see struct dsm_file
 * @uid:	likewise
 * @gid:	likewise
 * @start:	bytes or pages
 * @nr:		likewise
 * @unit:	PLACE
 * @value:	the result, known once the master has looked at it
 * @mtime_ns:	see struct dsm_file
 * @ctime_ns:	likewise
 * @members:	CREATE: the homes; AGREED: the members; set by the master
 * @name:	empty if there is none
 * @name2:	RENAME: the new name
 */
struct dsm_op {
	u8 type;
	u8 policy;
	u16 origin;
	u16 node;
	u32 flags;
	u32 file;
	u32 op_id;
	u32 seq;
	u32 mode;
	u32 uid;
	u32 gid;
	u64 start;
	u64 nr;
	u64 unit;
	u64 value;
	s64 mtime_ns;
	s64 ctime_ns;
	struct dsm_nodeset members;
	char name[DSM_NAME_MAX + 1];
	char name2[DSM_NAME_MAX + 1];
};

/* The last results, so that an op that is tried again is not done again. */
#define DSM_META_HISTORY	256

struct dsm_op_done {
	u32 op_id;
	u16 origin;
	u8 type;
	u64 value;
};

/**
 * struct dsm_meta - the metadata of a cluster
 * @c:		the cluster
 * @lock:	protects everything up to @next_done
 * @names:	files by name
 * @files:	id -> struct dsm_file
 * @nr_files:	number of files
 * @changes:	the numbers of the ops applied last
 * @recent:	and what they were, a slot each
 * @sb:		the superblock while mounted
 * @done:	ring of the last ops
 * @next_done:	where the next one goes
 * @op_mutex:	the master does one op at a time; taken before @lock
 * @agreed:	the master: the view in which all members are known to be alike, or 0
 * @ended:	number of the last change that this node, as the master, saw to the end of;
 *		with @op_mutex held
 * @op_id:	last one given to an op of this node; begins anywhere, see @done
 * @apply_wq:	what the master sends, in order
 * @op_wq:	ops of others, zaps
 * @close_wq:	last closes of unlinked files
 * @reap_work:	the master: members that are not alike, unlinked files without users
 */
struct dsm_meta {
	struct dsm_cluster *c;
	struct rw_semaphore lock;
	struct rb_root names;
	struct xarray files;
	u32 nr_files;
	struct dsm_changes changes;
	struct dsm_op *recent;
	struct super_block *sb;
	struct dsm_op_done done[DSM_META_HISTORY];
	u32 next_done;
	struct mutex op_mutex; /* one op at a time at the master */
	u32 agreed;
	u32 ended;
	atomic_t op_id;
	struct workqueue_struct *apply_wq;
	struct workqueue_struct *op_wq;
	struct workqueue_struct *close_wq;
	struct delayed_work reap_work;
};

/**
 * struct dsm_attr - what the file system wants to know of a file
 * @id:		see struct dsm_file
 * @name:	likewise
 * @mode:	likewise
 * @uid:	likewise
 * @gid:	likewise
 * @nlink:	likewise
 * @size:	likewise
 * @mtime_ns:	likewise
 * @ctime_ns:	likewise
 */
struct dsm_attr {
	u32 id;
	char name[DSM_NAME_MAX + 1];
	umode_t mode;
	u32 uid;
	u32 gid;
	u32 nlink;
	u64 size;
	s64 mtime_ns;
	s64 ctime_ns;
};

/* ---- life: meta.c ---- */

int dsm_meta_create(struct dsm_cluster *c);
void dsm_meta_destroy(struct dsm_cluster *c);
void dsm_meta_clear(struct dsm_cluster *c);
/* Wait for what is under way; nothing new comes. */
void dsm_meta_drain(struct dsm_cluster *c);

/* ---- reading; no network, sleeps ---- */

/* Return: 0 or -ENOENT. */
int dsm_meta_lookup(struct dsm_cluster *c, const char *name, u32 len,
		    struct dsm_attr *a);
int dsm_meta_get(struct dsm_cluster *c, u32 id, struct dsm_attr *a);
/* The first linked file with an id above @id. */
int dsm_meta_next(struct dsm_cluster *c, u32 id, struct dsm_attr *a);
u32 dsm_meta_nr_files(struct dsm_cluster *c);

/* ---- changing ---- */

/**
 * dsm_meta_op() - change the metadata, everywhere
 * @c:	the cluster
 * @op:	the change; @value is set
 *
 * Context: process; sleeps, killable, bounded by rpc_timeout_ms.
 * Return: 0; -ENOTCONN if this node is not a member, -ETIMEDOUT, -EINTR, or
 * what the master says.
 */
int dsm_meta_op(struct dsm_cluster *c, struct dsm_op *op);
int dsm_meta_op_patiently(struct dsm_cluster *c, struct dsm_op *op);

/* First open, last close of a file here. */
int dsm_meta_open(struct dsm_cluster *c, u32 id);
void dsm_meta_release(struct dsm_cluster *c, u32 id);

/* The inode here appears or goes. Return: the region, with a reference. */
struct dsm_region *dsm_meta_attach(struct dsm_cluster *c, u32 id,
				   struct inode *inode);
void dsm_meta_detach(struct dsm_cluster *c, u32 id, struct inode *inode);

/* ---- for the membership ---- */

void dsm_meta_rx(struct dsm_cluster *c, u16 from, const void *buf, size_t len);
/* Send all to a joiner and wait until it has it; op_mutex held. */
int dsm_meta_send_all(struct dsm_cluster *c, u16 to);
void dsm_meta_reap_soon(struct dsm_cluster *c);
/* Hand all regions over to a node; bounded by leave_timeout_ms. */
int dsm_meta_handover(struct dsm_cluster *c, u16 successor);

/* ---- inside: meta.c, meta_op.c, meta_all.c, meta_agree.c, meta_apply.c, meta_rx.c ---- */

struct dsm_file *dsm_meta_find_locked(struct dsm_meta *m, u32 id);
struct dsm_file *dsm_meta_find_name_locked(struct dsm_meta *m, const char *name);
int dsm_meta_insert_locked(struct dsm_meta *m, struct dsm_file *f);
void dsm_meta_link_locked(struct dsm_meta *m, struct dsm_file *f,
			  const char *name);
void dsm_meta_unlink_locked(struct dsm_meta *m, struct dsm_file *f);
/* Out of the tables, and onto a list for dsm_meta_bury(). */
void dsm_meta_remove_locked(struct dsm_meta *m, struct dsm_file *f,
			    struct list_head *dead);
void dsm_meta_bury(struct list_head *dead);
void dsm_meta_close_unused_locked(struct dsm_meta *m, struct dsm_file *f);
void dsm_meta_reap(struct dsm_cluster *c);

/*
 * Return: 0 or an errno that everyone gets alike, -ENOMEM, or -EREMCHG: it is not of this
 * node's master, or one before it is missing.
 */
int dsm_meta_apply(struct dsm_cluster *c, u16 from, const struct dsm_op *op);
bool dsm_meta_is_done(struct dsm_meta *m, const struct dsm_op *op, u64 *value);
/* The master's work for one op, its own or that of another node. */
int dsm_meta_serve(struct dsm_cluster *c, struct dsm_op *op);
struct dsm_op *dsm_meta_own_op(struct dsm_cluster *c, u8 type, u32 id);
int dsm_meta_follow_up(struct dsm_cluster *c, const struct dsm_op *op);
int dsm_meta_ask(struct dsm_cluster *c, const struct dsm_nodeset *members,
		 struct dsm_ctrl_head *head, u32 timeout_ms, u64 *got);
int dsm_meta_ask_all(struct dsm_cluster *c, struct dsm_ctrl_head *head, u64 *value);
int dsm_meta_apply_at_all(struct dsm_cluster *c, struct dsm_op *op);
int dsm_meta_settle(struct dsm_cluster *c, unsigned long deadline);
int dsm_meta_agree(struct dsm_cluster *c);
int dsm_meta_say_last(struct dsm_cluster *c, u16 master, u32 its, u64 *last);
int dsm_meta_rx_missed(struct dsm_cluster *c, u16 from, const struct dsm_op *op);
int dsm_meta_zap(struct dsm_cluster *c, u16 master, u32 id, u64 start, u64 end, u64 *at);
u32 dsm_meta_new_id(struct dsm_meta *m);
int dsm_meta_rx_snapshot(struct dsm_cluster *c, const void *buf);

#endif
