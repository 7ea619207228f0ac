/* SPDX-License-Identifier: GPL-2.0 */
/* What is true between any two steps, whatever messages are under way. */
#ifndef DSM_CORE_INVARIANT_H
#define DSM_CORE_INVARIANT_H

#include "dir.h"
#include "page.h"
#include "types.h"

/**
 * dsm_invariant_page() - is the record of a page consistent in itself?
 * @p:	the page
 *
 * Holds whatever messages the page was ever given.
 *
 * Return: NULL, or the invariant that is broken.
 */
const char *dsm_invariant_page(const struct dsm_page *p);

/**
 * dsm_invariant_dir() - is a directory entry consistent in itself?
 * @d:		the entry
 * @nr_nodes:	node numbers are below this
 *
 * Holds whatever messages the entry was ever given.
 *
 * Return: NULL, or the invariant that is broken.
 */
const char *dsm_invariant_dir(const struct dsm_dir *d, u16 nr_nodes);

/**
 * dsm_invariant_awaits() - does home know whom the transaction waits for?
 * @d:		the entry after a step
 * @self:	this node
 * @out:	what the step decided
 *
 * Of the step that began the transaction under way: those that it sent demands to,
 * with the two that take part anyway, are those of dsm_dir_awaits().
 *
 * Return: NULL, or the invariant that is broken.
 */
const char *dsm_invariant_awaits(const struct dsm_dir *d, u16 self,
				 const struct dsm_out *out);

/**
 * dsm_invariant_global() - do all the nodes and the directory agree?
 * @p:		the page as each node sees it; NULL for a node that is gone
 * @nr_nodes:	entries of @p
 * @d:		the one directory entry that is not MOVED, or NULL if it is
 *		on its way (then only the nodes are compared)
 *
 * Holds as long as all messages come from correct nodes.  To be called with
 * nothing but whole steps done; a page that is being unmapped counts as
 * mapped, for it is until REVOKED.
 *
 * Return: NULL, or the invariant that is broken.
 */
const char *dsm_invariant_global(const struct dsm_page *const *p, u16 nr_nodes,
				 const struct dsm_dir *d);

/**
 * dsm_page_may_be_mapped() - what local accesses may still be able to do
 * @p:	the page
 *
 * Unlike dsm_page_right(), what the shell has not yet reported REVOKED counts.
 *
 * Return: enum dsm_right.
 */
u8 dsm_page_may_be_mapped(const struct dsm_page *p);

#endif
