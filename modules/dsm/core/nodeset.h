/* SPDX-License-Identifier: GPL-2.0 */
/* Sets of nodes: four words, no allocation. */
#ifndef DSM_CORE_NODESET_H
#define DSM_CORE_NODESET_H

#include "types.h"

#define DSM_NODESET_WORDS	(DSM_MAX_NODES / 64)

static inline void dsm_nodeset_clear(struct dsm_nodeset *s)
{
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		s->w[i] = 0;
}

static inline bool dsm_nodeset_has(const struct dsm_nodeset *s, u16 node)
{
	return node < DSM_MAX_NODES && (s->w[node / 64] >> (node % 64)) & 1;
}

static inline void dsm_nodeset_add(struct dsm_nodeset *s, u16 node)
{
	s->w[node / 64] |= 1ULL << (node % 64);
}

static inline void dsm_nodeset_del(struct dsm_nodeset *s, u16 node)
{
	s->w[node / 64] &= ~(1ULL << (node % 64));
}

static inline bool dsm_nodeset_empty(const struct dsm_nodeset *s)
{
	return !(s->w[0] | s->w[1] | s->w[2] | s->w[3]);
}

static inline bool dsm_nodeset_equal(const struct dsm_nodeset *a,
				     const struct dsm_nodeset *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) |
		 (a->w[2] ^ b->w[2]) | (a->w[3] ^ b->w[3]));
}

static inline struct dsm_nodeset dsm_nodeset_or(struct dsm_nodeset a,
						const struct dsm_nodeset *b)
{
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		a.w[i] |= b->w[i];
	return a;
}

static inline struct dsm_nodeset dsm_nodeset_and(struct dsm_nodeset a,
						 const struct dsm_nodeset *b)
{
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		a.w[i] &= b->w[i];
	return a;
}

/* What is in @a and not in @b. */
static inline struct dsm_nodeset dsm_nodeset_minus(struct dsm_nodeset a,
						   const struct dsm_nodeset *b)
{
	for (unsigned int i = 0; i < DSM_NODESET_WORDS; i++)
		a.w[i] &= ~b->w[i];
	return a;
}

static inline unsigned int dsm_word_weight(u64 w)
{
	unsigned int n = 0;

	for (; w; w &= w - 1)
		n++;
	return n;
}

static inline u16 dsm_nodeset_weight(const struct dsm_nodeset *s)
{
	return dsm_word_weight(s->w[0]) + dsm_word_weight(s->w[1]) +
	       dsm_word_weight(s->w[2]) + dsm_word_weight(s->w[3]);
}

/**
 * dsm_nodeset_next() - the first member at or after a node
 * @s:		the set
 * @from:	where to begin
 *
 * Return: the node, or DSM_NODE_NONE.
 */
static inline u16 dsm_nodeset_next(const struct dsm_nodeset *s, u16 from)
{
	for (unsigned int n = from; n < DSM_MAX_NODES; n++) {
		u64 rest = s->w[n / 64] >> (n % 64);

		if (!rest)
			n |= 63;
		else if (rest & 1)
			return n;
	}
	return DSM_NODE_NONE;
}

#define dsm_nodeset_for_each(node, s)				\
	for ((node) = dsm_nodeset_next((s), 0);			\
	     (node) != DSM_NODE_NONE;				\
	     (node) = dsm_nodeset_next((s), (node) + 1))

static inline struct dsm_nodeset dsm_nodeset_of(u16 node)
{
	struct dsm_nodeset s = { .w = { 0 } };

	dsm_nodeset_add(&s, node);
	return s;
}

#endif
