// SPDX-License-Identifier: GPL-2.0
/*
 * dsm.ko: parameters, and the order in which things begin and end.
 *
 *	insmod dsm.ko node=0 peers=10.0.0.1,10.0.0.2,10.0.0.3
 *	insmod dsm.ko loop=3
 *
 * insmod does not wait for the cluster; mount does.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/ctype.h>
#include <linux/inet.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/string.h>

#include "cluster.h"
#include "inode.h"
#include "node.h"
#include "region.h"
#include "sysfs.h"
#include "tests/kunit.h"
#include "transport.h"

#define MAX_LOOP	16

static int node = -1;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "number of this server: which of peers= it is, from 0");

static char *peers;

/* charp ends at 1024 characters, without a word that says which parameter it was. */
#define PEERS_SIZE	(DSM_MAX_NODES * INET6_ADDRSTRLEN)

static int peers_set(const char *text, const struct kernel_param *kp)
{
	char *copy;

	if (strlen(text) >= PEERS_SIZE) {
		pr_err("%s=: more than %zu characters, which is enough for %d addresses\n",
		       kp->name, (size_t)PEERS_SIZE - 1, DSM_MAX_NODES);
		return -ENOSPC;
	}
	copy = kstrdup(text, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	/* Said twice: the last one counts, as with any parameter. */
	kfree(peers);
	peers = copy;
	return 0;
}

/* What does not fit into a sysfs file is cut off; see peers/ for each. */
static int peers_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%.*s\n", (int)PAGE_SIZE - 2, peers ?: "");
}

static void peers_free(void *arg)
{
	kfree(peers);
	peers = NULL;
}

static const struct kernel_param_ops peers_ops = {
	.set = peers_set,
	.get = peers_get,
	.free = peers_free,
};

module_param_cb(peers, &peers_ops, NULL, 0444);
MODULE_PARM_DESC(peers, "addresses of all servers, comma-separated, this one included; the same on each");

static uint loop;
module_param(loop, uint, 0444);
MODULE_PARM_DESC(loop, "instead of node= and peers=: that many nodes in this kernel, loop0, loop1, …");

#ifdef CONFIG_DSM_KUNIT_TEST
static bool kunit;
module_param(kunit, bool, 0444);
MODULE_PARM_DESC(kunit, "instead of node= and peers=: run the KUnit tests");
#else
static const bool kunit;
#endif

struct dsm_knobs dsm_default_knobs = {
#define X(name, def, min, max, text) .name = (def),
	DSM_KNOBS(X)
#undef X
};

/* A knob: a number within its range. */
struct knob {
	u32 *value;
	u32 min;
	u32 max;
};

static int knob_set(const char *text, const struct kernel_param *kp)
{
	const struct knob *k = kp->arg;
	u32 value;
	int err = kstrtou32(text, 0, &value);

	if (err)
		return err;
	if (value < k->min || value > k->max) {
		pr_err("%s=%u: must be from %u to %u\n", kp->name, value, k->min,
		       k->max);
		return -EINVAL;
	}
	WRITE_ONCE(*k->value, value);
	return 0;
}

static int knob_get(char *buf, const struct kernel_param *kp)
{
	const struct knob *k = kp->arg;

	return sysfs_emit(buf, "%u\n", READ_ONCE(*k->value));
}

static const struct kernel_param_ops knob_ops = {
	.set = knob_set,
	.get = knob_get,
};

#define X(name, def, min, max, text)					\
	static struct knob knob_##name = {				\
		&dsm_default_knobs.name, (min), (max)			\
	};								\
	module_param_cb(name, &knob_ops, &knob_##name, 0444);		\
	MODULE_PARM_DESC(name, text);
DSM_KNOBS(X)
#undef X

/* ---- addresses ---- */

static int parse_addr(char *text, struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	struct sockaddr_in *in4 = (struct sockaddr_in *)addr;
	const char *end;

	memset(addr, 0, sizeof(*addr));
	if (in4_pton(text, -1, (u8 *)&in4->sin_addr, -1, &end) && !*end) {
		addr->ss_family = AF_INET;
	} else if (in6_pton(text, -1, (u8 *)&in6->sin6_addr, -1, &end) && !*end) {
		addr->ss_family = AF_INET6;
	} else {
		pr_err("peers=: '%s' is neither an IPv4 nor an IPv6 address\n", text);
		return -EINVAL;
	}
	return 0;
}

static int parse_peers(char *list, struct sockaddr_storage *addr)
{
	char *text;
	int nr = 0;

	while ((text = strsep(&list, ","))) {
		int err;

		if (nr == DSM_MAX_NODES) {
			pr_err("peers=: more than %d addresses\n", DSM_MAX_NODES);
			return -EINVAL;
		}
		err = parse_addr(strim(text), &addr[nr]);
		if (err)
			return err;
		for (int i = 0; i < nr; i++) {
			if (memcmp(&addr[i], &addr[nr], sizeof(*addr)))
				continue;
			pr_err("peers=: '%s' is there twice, as node %d and node %d\n",
			       text, i, nr);
			return -EINVAL;
		}
		nr++;
	}
	return nr;
}

/* ---- clusters ---- */

static struct dsm_cluster *clusters[MAX_LOOP];

static void destroy_clusters(void)
{
	if (kunit)
		dsm_kunit_stop();
	for (int i = MAX_LOOP - 1; i >= 0; i--) {
		if (clusters[i])
			dsm_cluster_destroy(clusters[i]);
		clusters[i] = NULL;
	}
}

static int create_cluster(int slot, const struct dsm_config *cfg)
{
	struct dsm_cluster *c = dsm_cluster_create(cfg);

	if (IS_ERR(c)) {
		pr_err("%s: not created: error %ld\n", cfg->name, PTR_ERR(c));
		if (PTR_ERR(c) == -EADDRNOTAVAIL || PTR_ERR(c) == -ENODEV)
			pr_err("is there an RDMA device for the address of this node? see 'rdma link'\n");
		return PTR_ERR(c);
	}
	clusters[slot] = c;
	return 0;
}

static int create_loop(void)
{
	struct sockaddr_storage *addr;
	char name[16];
	int err = 0;

	if (node != -1 || peers) {
		pr_err("loop= does not go with node= or peers=\n");
		return -EINVAL;
	}
	if (loop > MAX_LOOP) {
		pr_err("loop=%u: at most %d\n", loop, MAX_LOOP);
		return -EINVAL;
	}
	addr = kcalloc(loop, sizeof(*addr), GFP_KERNEL);
	if (!addr)
		return -ENOMEM;
	for (uint i = 0; !err && i < loop; i++) {
		struct dsm_config cfg = {
			.name = name,
			.self = i,
			.nr_nodes = loop,
			.addr = addr,
			.ops = &dsm_loop_ops,
		};

		snprintf(name, sizeof(name), "loop%u", i);
		err = create_cluster(i, &cfg);
	}
	kfree(addr);
	return err;
}

static int create_static(void)
{
	struct dsm_config cfg = { .name = "dsm", .ops = &dsm_rdma_ops };
	struct sockaddr_storage *addr;
	char *list;
	int nr;

	if (!peers || !*peers || node == -1) {
		pr_err("node= and peers= are missing: try node=0 peers=10.0.0.1,10.0.0.2, or loop=2 for a test\n");
		return -EINVAL;
	}
	addr = kcalloc(DSM_MAX_NODES, sizeof(*addr), GFP_KERNEL);
	list = kstrdup(peers, GFP_KERNEL);
	nr = addr && list ? parse_peers(list, addr) : -ENOMEM;
	if (nr > 0 && (node < 0 || node >= nr)) {
		pr_err("node=%d: peers= has nodes 0 to %d\n", node, nr - 1);
		nr = -EINVAL;
	}
	if (nr > 0) {
		cfg.self = node;
		cfg.nr_nodes = nr;
		cfg.addr = addr;
		nr = create_cluster(0, &cfg);
	}
	kfree(list);
	kfree(addr);
	return nr;
}

static int create_clusters(void)
{
	if (kunit)
		return dsm_kunit_start();
	return loop ? create_loop() : create_static();
}

static int __init dsm_init(void)
{
	int err;

	err = dsm_node_init();
	if (err)
		return err;
	err = dsm_engine_init();
	if (err)
		goto exit_node;
	err = dsm_sysfs_init();
	if (err)
		goto exit_engine;
	err = create_clusters();
	if (err)
		goto exit_clusters;
	err = dsm_fs_init();
	if (err)
		goto exit_clusters;
	return 0;

exit_clusters:
	destroy_clusters();
	dsm_sysfs_exit();
exit_engine:
	dsm_engine_exit();
exit_node:
	dsm_node_exit();
	return err;
}

static void __exit dsm_exit(void)
{
	dsm_fs_exit();
	destroy_clusters();
	dsm_sysfs_exit();
	dsm_engine_exit();
	dsm_node_exit();
}

module_init(dsm_init);
module_exit(dsm_exit);
MODULE_DESCRIPTION("Cluster shared memory over RDMA");
MODULE_LICENSE("GPL");

#ifdef CONFIG_DSM_KUNIT_TEST
#include "tests/params_test.c"
#endif
