// SPDX-License-Identifier: GPL-2.0
/*
 * dsm-sim --seed N [--count N] [--nodes N] [--pages N] [--threads N] [--ops N]
 *	   [--faults MASK] [--minutes M] [--twice] [--shrink] [--trace] [--quiet]
 *
 * What is not given follows from the seed.  The clock is read only to end a soak.
 */
#include <string.h>
#include <time.h>
#include "sim.h"

struct options {
	u64 seed, count, minutes;
	u32 nodes, pages, threads, ops, faults;
	bool twice, shrink, trace, quiet, faults_given;
};

static struct sim_config config(const struct options *o, u64 seed)
{
	struct sim_config cfg;

	sim_config_of_seed(&cfg, seed);
	cfg.nodes = o->nodes ? o->nodes : cfg.nodes;
	cfg.pages = o->pages ? o->pages : cfg.pages;
	cfg.threads = o->threads ? o->threads : cfg.threads;
	cfg.ops = o->ops ? o->ops : cfg.ops;
	cfg.faults = o->faults_given ? o->faults : cfg.faults;
	cfg.trace = o->trace;
	if (cfg.nodes > DSM_MAX_NODES)
		cfg.nodes = DSM_MAX_NODES;
	return cfg;
}

static bool still_fails(const struct sim_config *cfg)
{
	u64 hash;

	return !sim_run(cfg, true, &hash);
}

/* Less of everything, for as long as it still fails. */
static void shrink(struct sim_config cfg)
{
	u32 *const knob[] = { &cfg.nodes, &cfg.pages, &cfg.threads, &cfg.ops };
	bool smaller;

	do {
		smaller = false;
		for (u32 i = 0; i < 4; i++)
			for (u32 cut = *knob[i] / 2; cut; cut /= 2) {
				u32 old = *knob[i], least = i == 0 ? 2 : 1;

				if (old < least + cut)
					continue;
				*knob[i] = old - cut;
				if (still_fails(&cfg))
					smaller = true;
				else
					*knob[i] = old;
			}
		for (u32 bit = 0; bit < SIM_NR_FAULTS; bit++) {
			u32 old = cfg.faults;

			cfg.faults &= ~(1u << bit);
			if (old == cfg.faults)
				continue;
			if (still_fails(&cfg))
				smaller = true;
			else
				cfg.faults = old;
		}
	} while (smaller);
	printf("shrunk: build/sim/dsm-sim --seed %llu --nodes %u --pages %u --threads %u --ops %u --faults 0x%x --trace\n",
	       cfg.seed, cfg.nodes, cfg.pages, cfg.threads, cfg.ops, cfg.faults);
}

static bool one(const struct options *o, u64 seed)
{
	struct sim_config cfg = config(o, seed);
	u64 hash, again;
	bool ok = sim_run(&cfg, o->quiet, &hash);

	if (o->twice) {
		cfg.trace = false;
		sim_run(&cfg, true, &again);
		if (hash != again) {
			printf("seed %llu: not the same twice\n", seed);
			ok = false;
		}
	}
	if (!ok && o->shrink)
		shrink(cfg);
	return ok;
}

static void parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		u64 v = i + 1 < argc ? strtoull(argv[i + 1], NULL, 0) : 0;

		i++;
		if (!strcmp(a, "--seed")) {
			o->seed = v;
		} else if (!strcmp(a, "--count")) {
			o->count = v;
		} else if (!strcmp(a, "--nodes")) {
			o->nodes = v;
		} else if (!strcmp(a, "--pages")) {
			o->pages = v;
		} else if (!strcmp(a, "--threads")) {
			o->threads = v;
		} else if (!strcmp(a, "--ops")) {
			o->ops = v;
		} else if (!strcmp(a, "--minutes")) {
			o->minutes = v;
		} else if (!strcmp(a, "--faults")) {
			o->faults = v;
			o->faults_given = true;
		} else {
			i--;
			o->twice |= !strcmp(a, "--twice");
			o->shrink |= !strcmp(a, "--shrink");
			o->trace |= !strcmp(a, "--trace");
			o->quiet |= !strcmp(a, "--quiet");
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1 };
	u64 passed = 0, failed = 0;
	time_t start = time(NULL);

	parse(&o, argc, argv);
	for (u64 i = 0; o.minutes ? time(NULL) - start < (time_t)o.minutes * 60 :
				    i < o.count; i++) {
		if (one(&o, o.seed + i))
			passed++;
		else
			failed++;
		if (failed >= 5)
			break;
	}
	printf("sim: %llu passed, %llu failed\n", passed, failed);
	return failed || !passed;
}
