// SPDX-License-Identifier: GPL-2.0
/*
 * What two nodes tell each other in the private data of rdma_cm, and whether it
 * fits.  No byte of it is trusted.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <net/ipv6.h>

#include "cluster_types.h"
#include "rdma.h"

/**
 * dsm_hello_fill() - who this node is
 * @h:	where to
 * @c:	the cluster
 * @to:	the node it is for
 *
 * Context: Any.
 */
void dsm_hello_fill(struct dsm_rdma_hello *h, struct dsm_cluster *c, u16 to)
{
	*h = (struct dsm_rdma_hello){
		.magic = cpu_to_le32(DSM_RDMA_MAGIC),
		.version = DSM_WIRE_VERSION,
		.from = cpu_to_le16(c->self),
		.to = cpu_to_le16(to),
		.nr_nodes = cpu_to_le16(c->nr_nodes),
	};
}

/**
 * dsm_hello_fill_link() - the part of the link machine
 * @h:	where to
 * @l:	what it wants to tell
 *
 * Context: Any.
 */
void dsm_hello_fill_link(struct dsm_rdma_hello *h, const struct dsm_hello *l)
{
	h->incarnation = cpu_to_le32(l->incarnation);
	h->rx_next = cpu_to_le32(l->rx_next);
	h->peer_incarnation = cpu_to_le32(l->peer_incarnation);
}

/**
 * dsm_hello_link() - what the peer told the link machine
 * @h:	its hello
 *
 * Context: Any.
 * Return: it in host form.
 */
struct dsm_hello dsm_hello_link(const struct dsm_rdma_hello *h)
{
	return (struct dsm_hello){
		.incarnation = le32_to_cpu(h->incarnation),
		.rx_next = le32_to_cpu(h->rx_next),
		.peer_incarnation = le32_to_cpu(h->peer_incarnation),
	};
}

/**
 * dsm_hello_check() - do the two nodes belong together?
 * @c:		the cluster
 * @h:		what the other one told, or NULL
 * @len:	bytes of it
 *
 * After DSM_REJ_NONE @h->from is a node other than this one.
 *
 * Context: Any.
 * Return: enum dsm_reject.
 */
enum dsm_reject dsm_hello_check(struct dsm_cluster *c,
				const struct dsm_rdma_hello *h, size_t len)
{
	if (!h || len < sizeof(*h) || h->magic != cpu_to_le32(DSM_RDMA_MAGIC))
		return DSM_REJ_MAGIC;
	if (h->version != DSM_WIRE_VERSION)
		return DSM_REJ_VERSION;
	if (le16_to_cpu(h->nr_nodes) != c->nr_nodes)
		return DSM_REJ_NR_NODES;
	if (le16_to_cpu(h->from) >= c->nr_nodes || !h->incarnation)
		return DSM_REJ_NODE;
	if (le16_to_cpu(h->from) == c->self)
		return DSM_REJ_DUPLICATE;
	if (le16_to_cpu(h->to) != c->self)
		return DSM_REJ_MEANT;
	return DSM_REJ_NONE;
}

/**
 * dsm_reject_text() - why a connection was refused, in words
 * @reason:	enum dsm_reject, or anything from the wire
 *
 * Context: Any.
 * Return: the words.
 */
const char *dsm_reject_text(u8 reason)
{
	static const char * const text[DSM_NR_REJECTS] = {
#define X(name, text) [DSM_REJ_##name] = text,
		DSM_REJECTS(X)
#undef X
	};

	return reason < DSM_NR_REJECTS ? text[reason] : "unknown reason";
}

/**
 * dsm_addr_same_host() - are two addresses the same but for the port?
 * @a:	one
 * @b:	the other
 *
 * Context: Any.
 * Return: whether they are.
 */
bool dsm_addr_same_host(const struct sockaddr_storage *a,
			const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	if (a->ss_family == AF_INET6)
		return ipv6_addr_equal(&((const struct sockaddr_in6 *)a)->sin6_addr,
				       &((const struct sockaddr_in6 *)b)->sin6_addr);
	return false;
}
