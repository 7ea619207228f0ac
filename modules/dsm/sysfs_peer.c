// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/dsm/peers/<n>. */
#include <linux/kernel.h>
#include <linux/string_helpers.h>

#include "node.h"
#include "sysfs.h"
#include "sysfs_types.h"

static struct dsm_node *peer_of(struct dsm_kobj *k)
{
	return k->cluster->node[k->node];
}

static ssize_t peer_address_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	const struct sockaddr_storage *addr = dsm_node_addr(peer_of(k));

	if (addr->ss_family == AF_UNSPEC)	/* loop */
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%pISc\n", addr);
}
DSM_ATTR_RO(peer, address);

static ssize_t peer_link_show(struct dsm_kobj *k, const struct dsm_kattr *a,
			      char *buf)
{
	char state[16];

	strscpy(state, dsm_link_state_name(dsm_node_link_state(peer_of(k))));
	string_lower(state, state);
	return sysfs_emit(buf, "%s\n", state);
}
DSM_ATTR_RO(peer, link);

static ssize_t peer_queued_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	return sysfs_emit(buf, "%u\n", dsm_node_nr_queued(peer_of(k)));
}
DSM_ATTR_RO(peer, queued);

static ssize_t peer_unacked_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	return sysfs_emit(buf, "%u\n", dsm_node_nr_unacked(peer_of(k)));
}
DSM_ATTR_RO(peer, unacked);

static ssize_t peer_incarnation_show(struct dsm_kobj *k,
				     const struct dsm_kattr *a, char *buf)
{
	struct dsm_hello h = dsm_node_hello(peer_of(k));

	return sysfs_emit(buf, "%u\n", h.peer_incarnation);
}
DSM_ATTR_RO(peer, incarnation);

static struct attribute *peer_attrs[] = {
	&peer_attr_address.attr,
	&peer_attr_link.attr,
	&peer_attr_queued.attr,
	&peer_attr_unacked.attr,
	&peer_attr_incarnation.attr,
	NULL,
};

ATTRIBUTE_GROUPS(peer);

DSM_KTYPE(peer);

/**
 * dsm_sysfs_node_add() - show a peer
 * @c:	the cluster
 * @id:	the peer
 *
 * Context: Process, may sleep; not concurrently for one cluster.
 * Return: 0 or an errno.
 */
int dsm_sysfs_node_add(struct dsm_cluster *c, u16 id)
{
	struct dsm_sysfs *s = c->sysfs;
	struct dsm_kobj *k;
	char name[8];
	int err;

	if (!s || id >= DSM_MAX_NODES || s->peer[id])
		return -EINVAL;
	k = dsm_kobj_alloc(c);
	if (!k)
		return -ENOMEM;
	k->node = id;
	snprintf(name, sizeof(name), "%u", id);
	err = dsm_kobj_add(k, &dsm_peer_ktype, s->peers, name);
	if (!err)
		s->peer[id] = k;
	return err;
}
