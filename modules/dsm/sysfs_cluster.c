// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/dsm/cluster and /sys/fs/dsm/knobs. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/kstrtox.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "cluster.h"
#include "region.h"
#include "sysfs.h"
#include "sysfs_types.h"
#include "transport.h"

static ssize_t cluster_name_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	return sysfs_emit(buf, "%s\n", k->cluster->name);
}
DSM_ATTR_RO(cluster, name);

static ssize_t cluster_transport_show(struct dsm_kobj *k,
				      const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%s\n", k->cluster->ops->name);
}
DSM_ATTR_RO(cluster, transport);

static ssize_t cluster_node_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	return sysfs_emit(buf, "%u\n", k->cluster->self);
}
DSM_ATTR_RO(cluster, node);

static ssize_t cluster_nr_nodes_show(struct dsm_kobj *k,
				     const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%u\n", k->cluster->nr_nodes);
}
DSM_ATTR_RO(cluster, nr_nodes);

static ssize_t cluster_incarnation_show(struct dsm_kobj *k,
					const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%u\n", k->cluster->incarnation);
}
DSM_ATTR_RO(cluster, incarnation);

static ssize_t cluster_epoch_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				  char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(k->cluster->epoch));
}
DSM_ATTR_RO(cluster, epoch);

static ssize_t cluster_joined_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				   char *buf)
{
	return sysfs_emit(buf, "%d\n", dsm_cluster_is_joined(k->cluster));
}
DSM_ATTR_RO(cluster, joined);

static ssize_t cluster_emit_lower(char *buf, const char *name)
{
	char text[24];

	strscpy(text, name);
	string_lower(text, text);
	return sysfs_emit(buf, "%s\n", text);
}

/* Without the lock: a byte, of use only if it stays. */
static ssize_t cluster_state_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				  char *buf)
{
	u8 state = READ_ONCE(k->cluster->member.state);

	return cluster_emit_lower(buf, dsm_member_state_name(state));
}
DSM_ATTR_RO(cluster, state);

static ssize_t cluster_reason_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				   char *buf)
{
	u8 reason = READ_ONCE(k->cluster->member.reason);

	return cluster_emit_lower(buf, dsm_member_reason_name(reason));
}
DSM_ATTR_RO(cluster, reason);

static ssize_t cluster_members_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				    char *buf)
{
	DECLARE_BITMAP(bits, DSM_MAX_NODES);
	struct dsm_nodeset members;

	dsm_cluster_members(k->cluster, &members);
	bitmap_from_arr64(bits, members.w, DSM_MAX_NODES);
	return sysfs_emit(buf, "%*pbl\n", DSM_MAX_NODES, bits);
}
DSM_ATTR_RO(cluster, members);

static ssize_t cluster_master_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				   char *buf)
{
	u16 master = dsm_cluster_master(k->cluster);

	if (master == DSM_NODE_NONE)
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%u\n", master);
}
DSM_ATTR_RO(cluster, master);

static ssize_t cluster_nr_mounts_show(struct dsm_kobj *k,
				      const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&k->cluster->nr_mounts));
}
DSM_ATTR_RO(cluster, nr_mounts);

static ssize_t cluster_nr_resident_pages_show(struct dsm_kobj *k,
					      const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%ld\n",
			  atomic_long_read(&k->cluster->nr_resident));
}
DSM_ATTR_RO(cluster, nr_resident_pages);

static ssize_t cluster_leave_store(struct dsm_kobj *k, const struct dsm_kattr *a,
				   const char *buf, size_t len)
{
	int err = dsm_sysfs_parse_do(buf) ?: dsm_cluster_leave(k->cluster);

	return err ?: len;
}
DSM_ATTR_WO(cluster, leave);

static ssize_t cluster_reset_store(struct dsm_kobj *k, const struct dsm_kattr *a,
				   const char *buf, size_t len)
{
	int err = dsm_sysfs_parse_do(buf);

	if (err)
		return err;
	dsm_stats_reset(k->cluster);
	return len;
}
DSM_ATTR_WO(cluster, reset);

static struct attribute *cluster_attrs[] = {
	&cluster_attr_name.attr,
	&cluster_attr_transport.attr,
	&cluster_attr_node.attr,
	&cluster_attr_nr_nodes.attr,
	&cluster_attr_incarnation.attr,
	&cluster_attr_epoch.attr,
	&cluster_attr_joined.attr,
	&cluster_attr_state.attr,
	&cluster_attr_reason.attr,
	&cluster_attr_members.attr,
	&cluster_attr_master.attr,
	&cluster_attr_nr_mounts.attr,
	&cluster_attr_nr_resident_pages.attr,
	&cluster_attr_leave.attr,
	&cluster_attr_reset.attr,
	NULL,
};

static const struct attribute_group cluster_group = { .attrs = cluster_attrs };

static const struct attribute_group *cluster_groups[] = {
	&cluster_group,
	&dsm_stats_group,
	NULL,
};

DSM_KTYPE(cluster);

/* ---- knobs ---- */

enum dsm_knob {
#define X(name, def, min, max, text) DSM_KNOB_##name,
	DSM_KNOBS(X)
#undef X
	DSM_NR_KNOBS,
};

static const struct {
	size_t offset;
	u32 min;
	u32 max;
} dsm_knob_range[DSM_NR_KNOBS] = {
#define X(name, def, lo, hi, text) \
	[DSM_KNOB_##name] = { offsetof(struct dsm_knobs, name), lo, hi },
	DSM_KNOBS(X)
#undef X
};

static u32 *dsm_knob_field(struct dsm_cluster *c, unsigned int i)
{
	return (void *)&c->knobs + dsm_knob_range[i].offset;
}

static ssize_t knob_show(struct dsm_kobj *k, const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(*dsm_knob_field(k->cluster, a->arg)));
}

static ssize_t knob_store(struct dsm_kobj *k, const struct dsm_kattr *a,
			  const char *buf, size_t len)
{
	u32 min = dsm_knob_range[a->arg].min, max = dsm_knob_range[a->arg].max;
	u32 value;

	if (kstrtou32(buf, 0, &value) || value < min || value > max) {
		pr_warn_ratelimited("%s: knob %s wants a number from %u to %u, not \"%*pE\"\n",
				    k->cluster->name, a->attr.name, min, max,
				    (int)min(strcspn(buf, "\n"), 32ul), buf);
		return -EINVAL;
	}
	WRITE_ONCE(*dsm_knob_field(k->cluster, a->arg), value);
	if (a->arg == DSM_KNOB_memory_limit_mb)
		dsm_evict_kick(k->cluster);
	return len;
}

static struct dsm_kattr knob_attr[DSM_NR_KNOBS] = {
#define X(knob, def, min, max, text)					\
	[DSM_KNOB_##knob] = {						\
		.attr = { .name = #knob, .mode = 0644 },		\
		.show = knob_show,					\
		.store = knob_store,					\
		.arg = DSM_KNOB_##knob,					\
	},
	DSM_KNOBS(X)
#undef X
};

static struct attribute *knobs_attrs[] = {
#define X(name, def, min, max, text) &knob_attr[DSM_KNOB_##name].attr,
	DSM_KNOBS(X)
#undef X
	NULL,
};

ATTRIBUTE_GROUPS(knobs);

DSM_KTYPE(knobs);
