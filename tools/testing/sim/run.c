// SPDX-License-Identifier: GPL-2.0
/*
 * A run: the seed makes the world, then faults and accesses (safety phase), then
 * no more faults, and every access must complete (liveness phase).
 */
#include <string.h>
#include "nodeset.h"
#include "sim.h"

#define MAX_EVENTS	30000000ull

void sim_fail(struct sim *s, const char *what)
{
	if (!s->wrong)
		s->wrong = what;
}

void sim_note(struct sim *s, u64 v)
{
	s->hash = (s->hash ^ v ^ s->now << 20) * 0x100000001b3ULL;
	s->hash ^= s->hash >> 29;
}

void sim_config_of_seed(struct sim_config *cfg, u64 seed)
{
	struct sim r = { .rng = seed * 7919 + 1 };
	static const u16 sizes[16] = { 2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 8, 12, 16,
				       24, 32, 64 };

	*cfg = (struct sim_config){ .seed = seed };
	cfg->nodes = sizes[sim_below(&r, 16)];
	if (seed % 64 == 63)
		cfg->nodes = 256;
	cfg->pages = 1 + sim_below(&r, sim_below(&r, 2) ? 3 : 16);
	cfg->threads = 1 + sim_below(&r, 3);
	cfg->ops = cfg->nodes > 16 ? 1500 / cfg->nodes / cfg->threads + 2 :
				     20 + sim_below(&r, 200);
	cfg->faults = sim_random(&r) & ((1u << SIM_NR_FAULTS) - 1);
	cfg->limit = 1 + sim_below(&r, cfg->pages);
	cfg->hold_us = 5 << sim_below(&r, 6);
}

static struct sim *create(const struct sim_config *cfg)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct dsm_nodeset members;
	u8 policy;

	s->cfg = *cfg;
	s->rng = cfg->seed;
	s->hash = 0xcbf29ce484222325ULL;
	s->history = sim_history_create();
	s->node = calloc(cfg->nodes, sizeof(*s->node));
	s->link = calloc((size_t)cfg->nodes * cfg->nodes, sizeof(*s->link));
	s->last = calloc(cfg->pages, sizeof(*s->last));
	s->is_zero = calloc(cfg->pages, sizeof(*s->is_zero));
	s->next_value = 1;
	s->threads_left = cfg->nodes * cfg->threads;
	dsm_nodeset_clear(&members);
	for (u16 n = 0; n < cfg->nodes; n++)
		dsm_nodeset_add(&members, n);
	policy = sim_below(s, DSM_NR_POLICIES);
	for (u32 i = 0; i < cfg->nodes * cfg->nodes; i++)
		dsm_link_init(&s->link[i].l);
	for (u16 n = 0; n < cfg->nodes; n++) {
		struct sim_node *nd = &s->node[n];

		nd->page = calloc(cfg->pages, sizeof(*nd->page));
		nd->thread = calloc(cfg->threads, sizeof(*nd->thread));
		nd->next_tid = 1;
		nd->slow = cfg->faults & SIM_F(SLOW) && !sim_below(s, 4);
		dsm_place_init(&nd->place, &members, policy, 2, 0);
		for (u32 p = 0; p < cfg->pages; p++) {
			dsm_page_init(&nd->page[p].p);
			dsm_dir_init(&nd->page[p].d);
		}
		for (u32 t = 0; t < cfg->threads; t++) {
			nd->thread[t].left = cfg->ops;
			sim_at(s, sim_below(s, 50), SE_THREAD, n, t, 0, NULL);
		}
	}
	for (u32 p = 0; p < cfg->pages; p++) {
		s->last[p] = s->next_value++;
		s->is_zero[p] = true;
		sim_history_add(s->history, p, 0, 0, 0, s->last[p]);
	}
	return s;
}

static void destroy(struct sim *s)
{
	struct sim_event ev;

	while (sim_next(s, &ev))
		free(ev.frame);
	for (u32 i = 0; i < s->cfg.nodes * s->cfg.nodes; i++) {
		for (u32 k = 0; k < s->link[i].nr_kept; k++)
			free(s->link[i].kept[k]);
		free(s->link[i].kept);
	}
	for (u16 n = 0; n < s->cfg.nodes; n++) {
		for (u32 p = 0; p < s->cfg.pages; p++)
			free(s->node[n].page[p].d.busy);
		free(s->node[n].page);
		free(s->node[n].thread);
	}
	sim_history_free(s->history);
	free(s->heap);
	free(s->node);
	free(s->link);
	free(s->last);
	free(s->is_zero);
	free(s);
}

static void check_rest(struct sim *s)
{
	if (s->threads_left)
		sim_fail(s, "stuck: accesses that never completed");
	for (u16 n = 0; n < s->cfg.nodes; n++)
		for (u32 p = 0; p < s->cfg.pages; p++) {
			const struct sim_page *x = &s->node[n].page[p];

			if (x->p.state != DSM_PS_I && x->p.state != DSM_PS_S &&
			    x->p.state != DSM_PS_E)
				sim_fail(s, "stuck: a page in a state of passage");
			if (dsm_dir_is_busy(&x->d))
				sim_fail(s, "stuck: a busy entry");
			if (x->copy != (x->p.state != DSM_PS_I))
				sim_fail(s, "a page lost or leaked");
		}
	for (u32 i = 0; i < s->cfg.nodes * s->cfg.nodes; i++)
		if (s->link[i].nr_kept)
			sim_fail(s, "stuck: frames never acknowledged");
}

static void print_stuck(const struct sim *s)
{
	unsigned int lines = 0;

	for (u16 n = 0; n < s->cfg.nodes; n++)
		for (u32 p = 0; p < s->cfg.pages && lines < 60; p++) {
			const struct sim_page *x = &s->node[n].page[p];

			if (x->p.state == DSM_PS_I && x->d.state == DSM_DS_Z)
				continue;
			lines++;
			printf("  node %u page %u: %s tid %u acks %u demand %s revoking %u | %s base %s owner %d queue %u serves %d/%u\n",
			       n, p, dsm_page_state_name(x->p.state), x->p.tid,
			       x->p.acks_got, dsm_msg_name(x->p.demand.type),
			       x->revoking, dsm_dir_state_name(x->d.state),
			       dsm_dir_state_name(x->d.base), (s16)x->d.owner,
			       x->d.busy ? x->d.busy->len : 0,
			       x->d.busy ? (s16)x->d.busy->requester : -1,
			       x->d.busy ? x->d.busy->tid : 0);
		}
}

static void loop(struct sim *s)
{
	u64 heal_at = 2000 + sim_below(s, 20000);
	struct sim_event ev;

	while (!s->wrong && sim_next(s, &ev)) {
		s->nr_events++;
		sim_note(s, (u64)ev.type << 40 | (u64)ev.a << 24 | ev.b);
		if (s->now >= heal_at)
			s->healed = true;
		if (ev.type == SE_FRAME || ev.type == SE_CONNECT ||
		    ev.type == SE_HELLO || ev.type == SE_NOTICE || ev.type == SE_ACK)
			sim_net_event(s, &ev);
		else
			sim_shell_event(s, &ev);
		if (s->nr_events > MAX_EVENTS)
			sim_fail(s, "livelock: too many events");
	}
}

bool sim_run(const struct sim_config *cfg, bool quiet, u64 *hash)
{
	struct sim *s = create(cfg);
	bool ok;

	sim_at(s, 10, SE_FAULT, 0, 0, 0, NULL);
	if (cfg->faults & SIM_F(LEAVE) && cfg->nodes > 1) {
		s->leaver = sim_below(s, cfg->nodes);
		s->successor = (s->leaver + 1 + sim_below(s, cfg->nodes - 1)) % cfg->nodes;
		sim_at(s, sim_below(s, 2000), SE_LEAVE, 0, 0, 0, NULL);
	}
	loop(s);
	if (!s->wrong)
		check_rest(s);
	if (!s->wrong)
		s->wrong = sim_history_check(s->history, cfg->pages);
	ok = !s->wrong;
	*hash = s->hash;
	if (!ok || !quiet)
		printf("seed %llu: nodes %u pages %u threads %u ops %u faults %03x: %s; %llu us, %llu events, %llu steps, %llu lost, %llu dropped, %llu ghosts, %llu moves, %llu pushes (%llu refused), hash %016llx\n",
		       cfg->seed, cfg->nodes, cfg->pages, cfg->threads, cfg->ops,
		       cfg->faults, ok ? "ok" : s->wrong, s->now, s->nr_events,
		       s->nr_steps, s->nr_lost, s->nr_dropped, s->nr_stale,
		       s->nr_moves, s->nr_pushes, s->nr_refused, s->hash);
	if (!ok && !quiet)
		print_stuck(s);
	destroy(s);
	return ok;
}
