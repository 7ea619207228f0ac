/* SPDX-License-Identifier: GPL-2.0 */
/* The cluster as one node sees it: everything hangs off this object. */
#ifndef DSM_CLUSTER_TYPES_H
#define DSM_CLUSTER_TYPES_H

#include <linux/bitmap.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/shrinker.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "core/link.h"
#include "core/member.h"
#include "core/nodeset.h"
#include "core/turn.h"
#include "core/types.h"
#include "stats.h"

struct dsm_backlog;
struct dsm_coherent;
struct dsm_entry;
struct dsm_node;
struct dsm_meta;
struct dsm_notify;
struct dsm_transport_ops;

/*
 * X(name, default, min, max, unit and meaning): file /sys/fs/dsm/knobs/<name>,
 * and module parameter of the same name.  Read with READ_ONCE().
 */
#define DSM_KNOBS(X)							\
	X(hold_us, 200, 0, 1000000,					\
	  "microseconds a granted page is kept at least")		\
	X(turn_us, 0, 0, 1000000,					\
	  "microseconds a page is kept at most for a user of several; 0: none") \
	X(prefetch_pages, 16, 0, 256,					\
	  "pages fetched ahead of a sequential reader")			\
	X(write_ahead_pages, 0, 0, 256,					\
	  "pages fetched ahead of a sequential writer, which others lose, and mapped behind any write") \
	X(nowait_us, 1000000, 0, 10000000,				\
	  "microseconds a fault of KVM's waits before it is made an asynchronous one") \
	X(fault_timeout_ms, 30000, 100, 3600000,			\
	  "milliseconds after which a fault gives up with SIGBUS")	\
	X(revoke_warn_ms, 5000, 100, 3600000,				\
	  "milliseconds a page may be in use before it is reported")	\
	X(fault_hook, 1, 0, 1,						\
	  "use core mm's fault hook, if it has one, in mappings to come")	\
	X(revoke_batch, 64, 1, 64,					\
	  "pages taken out of the page tables at once, if core mm can")	\
	X(evict_timeout_ms, 100, 1, 60000,				\
	  "milliseconds an eviction waits for users of the page")	\
	X(memory_limit_mb, 0, 0, 1 << 30,				\
	  "MiB of copies this node keeps at most; 0: half of its RAM")	\
	X(rpc_timeout_ms, 20000, 100, 3600000,				\
	  "milliseconds a metadata operation waits for another node")	\
	X(join_timeout_ms, 30000, 0, 3600000,				\
	  "milliseconds mount waits for this node to be a member")	\
	X(leave_timeout_ms, 60000, 100, 3600000,			\
	  "milliseconds a leaving node tries to hand its pages over")	\
	X(reconnect_ms, 200, 10, 60000,					\
	  "milliseconds between attempts to connect")			\
	X(dead_ms, 10000, 100, 3600000,					\
	  "milliseconds without a connection after which a node is lost") \
	X(heartbeat_ms, 1000, 10, 60000,				\
	  "milliseconds between signs of life on an idle link")

struct dsm_knobs {
#define X(name, def, min, max, text) u32 name;
	DSM_KNOBS(X)
#undef X
};

#define DSM_HOLD_BITS		7
#define DSM_HOLD_NOBODY		0
#define DSM_HOLD_LOST		16

/**
 * struct dsm_hold - what hold.c knows
 * @user:	by dsm_hold_user()
 * @user.lock:	protects @user; innermost
 * @user.pid:	the thread
 * @user.turn:	its run of faults
 * @user.lost:	pages of @user.region taken from it since it last waited, the last ones
 * @user.nr_lost: how many
 * @user.region: id of that region
 * @samples:	answers seen
 * @shortest_us: shortest one of this window, 0: none; lockless
 * @before_us:	of the window before; lockless
 */
struct dsm_hold {
	struct dsm_hold_user {
		spinlock_t lock;
		pid_t pid;
		struct dsm_turn turn;
		u32 region;
		u32 nr_lost;
		u64 lost[DSM_HOLD_LOST];
	} user[1 + (1 << DSM_HOLD_BITS)];
	atomic_t samples;
	u32 shortest_us;
	u32 before_us;
};

/**
 * struct dsm_cluster - the cluster
 * @self:	this node
 * @nr_nodes:	configured nodes; node numbers are below this
 * @addr:	address of this node; ss_family 0 if there is none (loop)
 * @incarnation: random, not 0; tells a restarted node from itself before
 * @epoch:	cluster epoch; READ_ONCE(), written by the membership only
 * @name:	"dsm", or "loop<n>" with the loop transport
 * @node:	the peers; NULL at @self; fixed from create to destroy
 * @dirty:	peers with frames to post: bits set and cleared by node_tx.c
 * @ops:	the transport
 * @transport:	its own state
 * @knobs:	see DSM_KNOBS
 * @stats:	per-CPU counters
 * @member_lock: protects @member
 * @member:	the membership machine
 * @member_out: what the last step decided; @member_lock
 * @member_wait: woken when the membership changes
 * @view_lock:	protects @view
 * @view:	copy of @member's view for those who cannot take @member_lock
 * @outsiders:	who cannot ask for pages, being no member of @view; none while this
 *		node is no member itself; words read without a lock
 * @some_lost:	someone of @view is lost, or this node is no member; read without a lock
 * @member_timer: the machine's TIMER event
 * @snapshot_work: sends the metadata to a joiner
 * @handover_work: hands over, when this node leaves
 * @kill_work:	cuts the nodes of @kill off
 * @gone_work:	drops all connections when this node is no member any more
 * @snapshot_to: for @snapshot_work; @member_lock
 * @handover_to: for @handover_work; @member_lock
 * @kill:	for @kill_work; @member_lock
 * @calls:	requests that wait for an answer: id -> struct dsm_call
 * @next_call:	for ids of @calls
 * @list:	in the list of clusters
 * @meta:	names and attributes of the files, replicated on every node
 * @regions:	id -> struct dsm_region; xa_lock, read under RCU
 * @max_region:	highest region id seen; READ_ONCE()
 * @tid:	last transaction id
 * @nr_resident: copies this node keeps, pages
 * @nr_mounts:	superblocks; the module cannot leave while there are any
 * @leaving:	this node hands over what it has
 * @closing:	this node wants to leave: it cannot be mounted any more
 * @page_wq:	revocations and evictions: unbound, high priority
 * @ctl_wq:	membership, metadata, connections
 * @evict_work:	brings @nr_resident below the limit
 * @coherent:	private to coherent.c, NULL without core mm's help
 * @shrinker:	of the page cache of copies
 * @pending:	requests out, by low bits of the transaction id; see engine.c
 * @backlog:	messages put off for want of memory or metadata
 * @notify:	private to notify.c
 * @evict_wait:	woken when copies were given up
 * @evict_scan:	pages the shrinker asked for
 * @hold:	see hold.c
 * @kobj:	/sys/fs/dsm/cluster
 * @sysfs:	private to sysfs.c
 */
struct dsm_cluster {
	u16 self;
	u16 nr_nodes;
	struct sockaddr_storage addr;
	u32 incarnation;
	u32 epoch;
	char name[16];
	struct dsm_node *node[DSM_MAX_NODES];
	DECLARE_BITMAP(dirty, DSM_MAX_NODES);
	const struct dsm_transport_ops *ops;
	void *transport;
	struct dsm_knobs knobs;
	struct dsm_pcpu_stats __percpu *stats;
	struct mutex member_lock; /* @member */
	struct dsm_member member;
	struct dsm_member_out member_out;
	wait_queue_head_t member_wait;
	spinlock_t view_lock; /* @view */
	struct dsm_view view;
	struct dsm_nodeset outsiders;
	bool some_lost;
	struct delayed_work member_timer;
	struct work_struct snapshot_work;
	struct work_struct handover_work;
	struct work_struct kill_work;
	struct work_struct gone_work;
	u16 snapshot_to;
	u16 handover_to;
	struct dsm_nodeset kill;
	struct xarray calls;
	u32 next_call;
	struct list_head list;
	struct dsm_meta *meta;
	struct xarray regions;
	u32 max_region;
	atomic_t tid;
	atomic_long_t nr_resident;
	atomic_t nr_mounts;
	bool leaving;
	bool closing;
	struct workqueue_struct *page_wq;
	struct workqueue_struct *ctl_wq;
	struct work_struct evict_work;
	struct dsm_coherent *coherent;
	struct shrinker *shrinker;
	struct dsm_entry __rcu **pending;
	struct dsm_backlog *backlog;
	struct dsm_notify *notify;
	wait_queue_head_t evict_wait;
	atomic_long_t evict_scan;
	struct dsm_hold hold;
	struct kobject *kobj;
	void *sysfs;
};

#endif
