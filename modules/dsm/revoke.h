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

/**
 * dsm_revoke_begin() - take part in a revocation
 * @e:	the record
 * @v:	what is to be done; put by dsm_revoke_put() or dsm_revoke_end()
 *
 * Context: process.
 * Return: is one under way? @v is set only then.
 */
bool dsm_revoke_begin(struct dsm_entry *e, struct dsm_revocation *v);

/**
 * dsm_revoke_put() - it is someone else's now
 * @v:	the revocation
 */
void dsm_revoke_put(struct dsm_revocation *v);

/**
 * dsm_revoke_end() - what can be done has been done
 * @v:		the revocation; its page, if any, is locked, and unlocked here
 * @done:	the page is unmapped and unused; else the record's worker goes on
 *
 * Context: process.
 */
void dsm_revoke_end(struct dsm_revocation *v, bool done);

/**
 * dsm_revoke_is_unused() - may the page go?
 * @page:	the page, locked and unmapped as far as it has to be
 * @right:	what its users may keep
 *
 * Return: has no one but the caller, with one reference, and frames the page?
 */
bool dsm_revoke_is_unused(struct page *page, u8 right);

/**
 * dsm_revoke_alone() - have the record's own worker do it
 * @e:	the record
 *
 * Context: any.
 */
void dsm_revoke_alone(struct dsm_entry *e);

#endif
