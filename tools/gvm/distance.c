// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <string.h>

#include "distance.h"
#include "gvm.h"
#include "member.h"
#include "rpc.h"
#include "slit.h"

#define TRIPS		20

int gvm_distance_probe(const struct gvm_msg_peer *p, uint64_t *ns)
{
	struct gvm_chan *c;
	unsigned int i;
	int r;

	*ns = 0;
	r = gvm_rpc_hello(p->addr, p->port, GVM_CHAN_AGENT, 0, GVM_NO_VCPU, "", &c);
	if (r)
		return r;
	for (i = 0; i < TRIPS && !r; i++) {
		struct gvm_head head = { .type = GVM_MSG_STATUS, .vcpu = GVM_NO_VCPU };
		uint64_t start = gvm_now_ns(), took;

		r = gvm_rpc_call(c, &head, NULL, 0, NULL, NULL);
		took = gvm_now_ns() - start;
		if (!r && (!*ns || took < *ns))
			*ns = took;
	}
	gvm_chan_close(c);
	return r;
}

static int probe_from(const struct gvm_msg_peer *from, const struct gvm_msg_peer *to, uint64_t *ns)
{
	struct gvm_head head = { .type = GVM_MSG_PROBE, .vcpu = GVM_NO_VCPU };
	struct gvm_chan *c;
	int64_t result;
	int r;

	r = gvm_rpc_hello(from->addr, from->port, GVM_CHAN_AGENT, 0, GVM_NO_VCPU, "", &c);
	if (r)
		return r;
	r = gvm_rpc_call(c, &head, to, sizeof(*to), NULL, &result);
	gvm_chan_close(c);
	if (r || result < 0)
		return r ?: (int)result;
	*ns = result;
	return 0;
}

void gvm_distances(const struct gvm_msg_peer *member, unsigned int nr,
		   uint8_t dist[GVM_MEMBERS_MAX][GVM_MEMBERS_MAX])
{
	uint64_t ns[GVM_MEMBERS_MAX][GVM_MEMBERS_MAX] = { 0 }, nearest = 0;
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN];
	unsigned int i, j;
	int r;

	for (i = 0; i < nr; i++) {
		for (j = i + 1; j < nr; j++) {
			r = i ? probe_from(&member[i], &member[j], &ns[i][j]) :
				gvm_distance_probe(&member[j], &ns[i][j]);
			inet_ntop(AF_INET, &member[i].addr, a, sizeof(a));
			inet_ntop(AF_INET, &member[j].addr, b, sizeof(b));
			if (r)
				gvm_log("distance of %s and %s: not measured: %s", a, b,
					strerror(-r));
			else if (!nearest || ns[i][j] < nearest)
				nearest = ns[i][j];
		}
	}
	for (i = 0; i < nr; i++) {
		dist[i][i] = GVM_SLIT_SELF;
		for (j = i + 1; j < nr; j++) {
			dist[i][j] = gvm_slit(ns[i][j], nearest);
			dist[j][i] = dist[i][j];
			inet_ntop(AF_INET, &member[i].addr, a, sizeof(a));
			inet_ntop(AF_INET, &member[j].addr, b, sizeof(b));
			gvm_log("distance of %s and %s: %u (round trip %llu us)", a, b, dist[i][j],
				(unsigned long long)ns[i][j] / 1000);
		}
	}
}
