/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of a revocation: what revoke.c lends those who do many at once. */
#ifndef DSM_REVOKE_H
#define DSM_REVOKE_H

#include "region.h"

/**
 * struct dsm_revocation - a revocation under way, as its worker sees it
 * @e:		the record, with a reference
 * @page:	the copy, with a reference; NULL if there is none
 * @right:	what it leaves
 * @must:	it must succeed in the end
 */
struct dsm_revocation {
	struct dsm_entry *e;
	struct page *page;
	u8 right;
	bool must;
};

bool dsm_revoke_begin(struct dsm_entry *e, struct dsm_revocation *v);
/* It is someone else's now. */
void dsm_revoke_put(struct dsm_revocation *v);
/* The page, which is locked, is unmapped and unused; or the worker goes on. */
void dsm_revoke_end(struct dsm_revocation *v, bool done);
/* Has no one but the caller, with one reference, and frames the page? */
bool dsm_revoke_is_unused(struct page *page, u8 right);
/* Have the record's own worker do it. */
void dsm_revoke_alone(struct dsm_entry *e);

#endif
