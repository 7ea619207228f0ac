/* SPDX-License-Identifier: GPL-2.0 */
/* Private to the core: what the page and directory machines share. */
#ifndef DSM_CORE_MACHINE_H
#define DSM_CORE_MACHINE_H

#include "step.h"

/**
 * struct dsm_ctx - a step under way
 * @p:		the page
 * @d:		its directory entry, or NULL
 * @ev:		the event from the shell
 * @out:	what has been decided so far
 */
struct dsm_ctx {
	struct dsm_page *p;
	struct dsm_dir *d;
	const struct dsm_event *ev;
	struct dsm_out *out;
};

/*
 * A handler either changes state and emits actions, or returns a verdict
 * other than OK and has done neither.
 */
typedef u8 (*dsm_page_handler)(struct dsm_ctx *c, const struct dsm_msg *m);
typedef u8 (*dsm_dir_handler)(struct dsm_ctx *c, const struct dsm_msg *m);

struct dsm_action *dsm_emit(struct dsm_ctx *c, u8 type);
void dsm_emit_msg(struct dsm_ctx *c, u16 to, const struct dsm_msg *m, bool give);
void dsm_emit_multicast(struct dsm_ctx *c, const struct dsm_nodeset *to,
			const struct dsm_msg *m);
struct dsm_msg dsm_msg_make(const struct dsm_ctx *c, u8 type);

u8 dsm_page_run(struct dsm_ctx *c, u8 event, const struct dsm_msg *m);
u8 dsm_dir_run(struct dsm_ctx *c, u8 event, const struct dsm_msg *m);

#endif
