/* SPDX-License-Identifier: GPL-2.0 */
/* Private to the core: what the files of the membership machine share. */
#ifndef DSM_CORE_MEMBER_MACHINE_H
#define DSM_CORE_MEMBER_MACHINE_H

#include "member.h"

/**
 * struct dsm_member_ctx - a step under way
 * @m:		the machine
 * @ev:		what happened
 * @out:	what has been decided so far
 */
struct dsm_member_ctx {
	struct dsm_member *m;
	const struct dsm_member_event *ev;
	struct dsm_member_out *out;
};

/* A handler returns enum dsm_verdict; unless it is OK, it did nothing. */

static inline struct dsm_nodeset dsm_nodeset_without(struct dsm_nodeset a, u16 node)
{
	dsm_nodeset_del(&a, node);
	return a;
}

/* member_act.c: states and actions */
bool dsm_member_is_sole(const struct dsm_member *m);
u16 dsm_member_master_of(const struct dsm_member *m);
bool dsm_member_is_master(const struct dsm_member *m);
struct dsm_member_action *dsm_member_emit(struct dsm_member_ctx *c, u8 type);
struct dsm_member_packet *dsm_member_emit_send(struct dsm_member_ctx *c,
					       struct dsm_nodeset to, u8 type);
void dsm_member_emit_kill(struct dsm_member_ctx *c, struct dsm_nodeset who);
void dsm_member_tell_status(struct dsm_member_ctx *c, struct dsm_nodeset to);
void dsm_member_enter(struct dsm_member_ctx *c, u8 state, u64 timeout_us);
void dsm_member_back_off(struct dsm_member_ctx *c, u8 state, u64 delay_us);
void dsm_member_enter_gone(struct dsm_member_ctx *c, u8 reason);

/* member_change.c */
bool dsm_member_is_agreed(const struct dsm_member *m);
bool dsm_member_is_silent(const struct dsm_member *m, u16 node);
void dsm_member_offer(struct dsm_member_ctx *c, const struct dsm_view *v);
void dsm_member_abandon(struct dsm_member_ctx *c);
void dsm_member_take_back(struct dsm_member_ctx *c);
void dsm_member_offer_timer(struct dsm_member_ctx *c);
u8 dsm_member_on_offer(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_agree(struct dsm_member_ctx *c, const struct dsm_member_packet *p);

/* member_form.c */
void dsm_member_try_form(struct dsm_member_ctx *c);
void dsm_member_give_up_proposal(struct dsm_member_ctx *c);
u8 dsm_member_on_propose(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_vote(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_release(struct dsm_member_ctx *c);

/* member_join.c */
void dsm_member_try_join(struct dsm_member_ctx *c);
void dsm_member_try_leave(struct dsm_member_ctx *c);
void dsm_member_tell_left(struct dsm_member_ctx *c);
u8 dsm_member_on_join(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_admit(struct dsm_member_ctx *c, bool admit);
u8 dsm_member_on_leave(struct dsm_member_ctx *c);
u8 dsm_member_on_left(struct dsm_member_ctx *c);
u8 dsm_member_on_refuse(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_handed(struct dsm_member_ctx *c);

/* member_view.c */
void dsm_member_publish(struct dsm_member_ctx *c, const struct dsm_view *v, u32 round);
bool dsm_member_tell_missed(struct dsm_member_ctx *c, u32 number);
u8 dsm_member_on_view(struct dsm_member_ctx *c, const struct dsm_member_packet *p);
u8 dsm_member_on_status(struct dsm_member_ctx *c, const struct dsm_member_packet *p);

/* member_link.c */
void dsm_member_suspect(struct dsm_member_ctx *c, struct dsm_nodeset who);
void dsm_member_reconsider(struct dsm_member_ctx *c);
void dsm_member_miss(struct dsm_member_ctx *c, struct dsm_nodeset who);
u8 dsm_member_on_link_up(struct dsm_member_ctx *c);
u8 dsm_member_on_link_down(struct dsm_member_ctx *c, bool lost);
u8 dsm_member_on_suspect(struct dsm_member_ctx *c, const struct dsm_member_packet *p);

#endif
