/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests share.
 *
 * dsm_test_cluster() is a node alone: an engine and peers that nothing connects,
 * without membership and metadata, to test a layer by itself.  struct
 * dsm_test_nodes is several whole nodes that are connected by the loop transport.
 */
#ifndef DSM_TESTS_TEST_H
#define DSM_TESTS_TEST_H

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "cluster.h"
#include "region.h"
#include "transport.h"

extern struct kunit_suite dsm_params_suite;
extern struct kunit_suite dsm_stats_suite;
extern struct kunit_suite dsm_ctrl_suite;
extern struct kunit_suite dsm_region_suite;
extern struct kunit_suite dsm_memory_suite;
extern struct kunit_suite dsm_node_tx_suite;
extern struct kunit_suite dsm_node_rx_suite;
extern struct kunit_suite dsm_loop_suite;
extern struct kunit_suite dsm_evict_suite;
extern struct kunit_suite dsm_leave_suite;
extern struct kunit_suite dsm_loss_suite;

/* Bounds for what takes no time but under lockdep and KASAN on a busy machine. */
#define DSM_TEST_WAIT_MS	20000
/* What must not happen is waited for this long. */
#define DSM_TEST_NEVER_MS	100

/* Return: whether @cond came true in time. */
#define dsm_test_wait(cond)						\
({									\
	unsigned long __end = jiffies +					\
			      msecs_to_jiffies(DSM_TEST_WAIT_MS);	\
	bool __ok;							\
	while (!(__ok = (cond)) && time_before(jiffies, __end))		\
		usleep_range(1000, 3000);						\
	__ok;								\
})

/* ---- a node alone ---- */

/* Freed with the test, after what was made from it later. */
struct dsm_cluster *dsm_test_cluster(struct kunit *test, u16 self, u16 nr_nodes,
				     const struct dsm_transport_ops *ops);
/* Region @id, all pages at home on node @home; destroyed with the test. */
struct dsm_region *dsm_test_region(struct kunit *test, struct dsm_cluster *c,
				   u32 id, u16 home);

/* A request to read the first page of @region, as it comes from @from. */
struct dsm_msg dsm_test_request(u16 from, u16 home, u32 region);

/* ---- pages ---- */

/* Take the right, write or check a page full of @tag, let it go; 0 or an errno. */
int dsm_test_write(struct dsm_region *r, u64 index, u64 tag);
/* -EBADMSG if it holds anything but @tag; 0 is a page of zeroes. */
int dsm_test_read(struct dsm_region *r, u64 index, u64 tag);
/* Whatever the tag is; -EBADMSG if there is more than one. */
int dsm_test_tag(struct dsm_region *r, u64 index, u64 *tag);
/* Pages become zero, for the master of now. */
int dsm_test_zap(struct dsm_region *r, u64 start, u64 nr);
/* Add one to the first word. */
int dsm_test_add(struct dsm_region *r, u64 index);

/* enum dsm_page_state, I if there is no record. */
u8 dsm_test_page_state(struct dsm_region *r, u64 index);
/* A copy of the directory entry; false if there is none. */
bool dsm_test_dir(struct dsm_region *r, u64 index, struct dsm_dir *dir);

/* ---- whole nodes ---- */

#define DSM_TEST_NODES	3

/* Pages of which each node is home of that many in a row, from its own on. */
#define DSM_TEST_UNIT	512

struct dsm_test_nodes {
	struct dsm_cluster *c[DSM_TEST_NODES];
};

/* A file, and its region on each node; @r is NULL where the node has left. */
struct dsm_test_file {
	struct dsm_test_nodes *nodes;
	const char *name;
	u32 id;
	struct dsm_region *r[DSM_TEST_NODES];
};

/* Return: 0 when all have joined, or an errno. */
int dsm_test_nodes_up(struct dsm_test_nodes *t);
void dsm_test_nodes_down(struct dsm_test_nodes *t);
/* Unlinked and freed with the test. */
struct dsm_test_file *dsm_test_file(struct kunit *test, struct dsm_test_nodes *t,
				    const char *name);
/* The references of a node to the file go, before the node does. */
void dsm_test_file_forget(struct dsm_test_file *f, unsigned int node);
/* Wait until nothing is under way for a page, and check that all agree about it. */
void dsm_test_agree(struct kunit *test, struct dsm_test_file *f, u64 index);

/* ---- someone else ---- */

struct dsm_test_worker {
	struct work_struct work;
	struct completion done;
	int (*fn)(struct dsm_region *r, u64 index, u64 arg);
	struct dsm_region *r;
	u64 index;
	u64 arg;
	int err;
};

/* fn(r, index, arg) from another thread; *w is on the stack, and stays until joined. */
void dsm_test_fork(struct dsm_test_worker *w,
		   int (*fn)(struct dsm_region *r, u64 index, u64 arg),
		   struct dsm_region *r, u64 index, u64 arg);
bool dsm_test_is_done(struct dsm_test_worker *w, u32 timeout_ms);
/* Return: what fn() returned. */
int dsm_test_join(struct dsm_test_worker *w);

#endif
