// SPDX-License-Identifier: GPL-2.0
/*
 * Each cell is to be reached; a cell that does something, by correct nodes
 * talking to each other and not by an injected event only.
 */
#include <stdio.h>
#include <string.h>

#include "cover.h"
#include "tap.h"

const char tap_program[] = "core";
const char tap_cover_name[] = "every cell of both tables is reached";

enum how { NEVER, INJECTED, TRACE };

static unsigned char page_cell[DSM_NR_PAGE_STATES][DSM_NR_PAGE_EVENTS];
static unsigned char dir_cell[DSM_NR_DIR_STATES][DSM_NR_DIR_EVENTS];

void cover_add(const struct dsm_out *out, bool trace)
{
	enum how how = trace ? TRACE : INJECTED;

	for (unsigned int i = 0; i < out->nr_cells; i++) {
		unsigned char *c = out->cell[i].dir ?
			&dir_cell[out->cell[i].state][out->cell[i].event] :
			&page_cell[out->cell[i].state][out->cell[i].event];

		if (*c < how)
			*c = how;
	}
}

static bool is_passive(const char *cell)
{
	return !strcmp(cell, "error") || !strcmp(cell, "late") ||
	       !strcmp(cell, "nothing") || !strcmp(cell, "stall");
}

static unsigned int count(const char *state, const char *event,
			  const char *cell, unsigned char how, bool list)
{
	bool ok = how == TRACE || (how == INJECTED && is_passive(cell));

	if (!ok && list)
		printf("# %s in state %s (%s): %s\n", event, state, cell,
		       how == INJECTED ? "injected only" : "never");
	return ok;
}

bool cover_report(bool list)
{
	unsigned int page = 0, dir = 0;
	unsigned int nr_page = DSM_NR_PAGE_STATES * DSM_NR_PAGE_EVENTS;
	unsigned int nr_dir = DSM_NR_DIR_STATES * DSM_NR_DIR_EVENTS;

	for (unsigned int s = 0; s < DSM_NR_PAGE_STATES; s++)
		for (unsigned int e = 0; e < DSM_NR_PAGE_EVENTS; e++)
			page += count(dsm_page_state_name(s), dsm_page_event_name(e),
				      dsm_page_cell_name(s, e), page_cell[s][e], list);
	for (unsigned int s = 0; s < DSM_NR_DIR_STATES; s++)
		for (unsigned int e = 0; e < DSM_NR_DIR_EVENTS; e++)
			dir += count(dsm_dir_state_name(s), dsm_dir_event_name(e),
				     dsm_dir_cell_name(s, e), dir_cell[s][e], list);
	printf("# coverage: page table %u of %u cells, directory table %u of %u: %.1f %%\n",
	       page, nr_page, dir, nr_dir,
	       100.0 * (page + dir) / (nr_page + nr_dir));
	return page == nr_page && dir == nr_dir;
}
