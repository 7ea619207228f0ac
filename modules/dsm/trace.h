/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints dsm:*.
 *
 * Traces of several nodes join by (requester, tid) for a transaction and by
 * (region, page) for a page; every event says which node it is about.  The
 * names come from the core's X-macros, so that a new state or message cannot be
 * forgotten here.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dsm

#if !defined(DSM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DSM_TRACE_H

#include <linux/tracepoint.h>

#include "cluster_types.h"
#include "core/page.h"
#include "core/step.h"
#include "core/wire.h"

#ifndef DSM_TRACE_ONCE
#define DSM_TRACE_ONCE
/* Events of all three kinds of dsm_event in one numbering, for dsm_step. */
enum dsm_trace_event {
#define X(name, to_dir) DSM_TE_MSG_##name,
	DSM_MSG_TYPES(X)
#undef X
#define X(name) DSM_TE_PAGE_##name,
	DSM_PAGE_EVENTS(X)
#undef X
#define X(name) DSM_TE_DIR_##name,
	DSM_DIR_EVENTS(X)
#undef X
	DSM_NR_TE,
};

static inline u8 dsm_trace_event(u8 kind, u8 event)
{
	switch ((enum dsm_event_kind)kind) {
	case DSM_EK_MSG:
		return event;
	case DSM_EK_PAGE:
		return DSM_NR_MSG_TYPES + event;
	case DSM_EK_DIR:
		return DSM_NR_MSG_TYPES + DSM_NR_PAGE_EVENTS + event;
	}
	return DSM_NR_TE;
}
#endif

/* What old_dir and new_dir of dsm_step are if the node has no entry. */
#define DSM_TRACE_NO_DIR	DSM_NR_DIR_STATES

#define DSM_DEF_MSG(name, to_dir)	TRACE_DEFINE_ENUM(DSM_MSG_##name);
#define DSM_DEF_PS(name)		TRACE_DEFINE_ENUM(DSM_PS_##name);
#define DSM_DEF_DS(name)		TRACE_DEFINE_ENUM(DSM_DS_##name);
#define DSM_DEF_V(name)			TRACE_DEFINE_ENUM(DSM_V_##name);
#define DSM_DEF_TE_MSG(name, to_dir)	TRACE_DEFINE_ENUM(DSM_TE_MSG_##name);
#define DSM_DEF_TE_PAGE(name)		TRACE_DEFINE_ENUM(DSM_TE_PAGE_##name);
#define DSM_DEF_TE_DIR(name)		TRACE_DEFINE_ENUM(DSM_TE_DIR_##name);

DSM_MSG_TYPES(DSM_DEF_MSG)
DSM_PAGE_STATES(DSM_DEF_PS)
DSM_DIR_STATES(DSM_DEF_DS)
DSM_VERDICTS(DSM_DEF_V)
DSM_MSG_TYPES(DSM_DEF_TE_MSG)
DSM_PAGE_EVENTS(DSM_DEF_TE_PAGE)
DSM_DIR_EVENTS(DSM_DEF_TE_DIR)
TRACE_DEFINE_ENUM(DSM_RIGHT_NONE);
TRACE_DEFINE_ENUM(DSM_RIGHT_READ);
TRACE_DEFINE_ENUM(DSM_RIGHT_WRITE);
TRACE_DEFINE_ENUM(DSM_EK_MSG);
TRACE_DEFINE_ENUM(DSM_EK_PAGE);
TRACE_DEFINE_ENUM(DSM_EK_DIR);
TRACE_DEFINE_ENUM(DSM_FRAME_PAGE);
TRACE_DEFINE_ENUM(DSM_FRAME_CTRL);
TRACE_DEFINE_ENUM(DSM_FRAME_ACK);
TRACE_DEFINE_ENUM(DSM_FRAME_NOTIFY);

#define DSM_SYM_MSG(name, to_dir)	{ DSM_MSG_##name, #name },
#define DSM_SYM_PS(name)		{ DSM_PS_##name, #name },
#define DSM_SYM_DS(name)		{ DSM_DS_##name, #name },
#define DSM_SYM_V(name)			{ DSM_V_##name, #name },
#define DSM_SYM_TE_MSG(name, to_dir)	{ DSM_TE_MSG_##name, #name },
#define DSM_SYM_TE_PAGE(name)		{ DSM_TE_PAGE_##name, #name },
#define DSM_SYM_TE_DIR(name)		{ DSM_TE_DIR_##name, #name },

/* The last item only ends the list: the X-macros leave a comma. */
#define dsm_show_msg(v) \
	__print_symbolic(v, DSM_MSG_TYPES(DSM_SYM_MSG) { 255, "?" })
#define dsm_show_page_state(v) \
	__print_symbolic(v, DSM_PAGE_STATES(DSM_SYM_PS) { 255, "?" })
#define dsm_show_dir_state(v) \
	__print_symbolic(v, DSM_DIR_STATES(DSM_SYM_DS) { 255, "-" })
#define dsm_show_verdict(v) \
	__print_symbolic(v, DSM_VERDICTS(DSM_SYM_V) { 255, "?" })
#define dsm_show_event(v)						\
	__print_symbolic(v, DSM_MSG_TYPES(DSM_SYM_TE_MSG)		\
			 DSM_PAGE_EVENTS(DSM_SYM_TE_PAGE)		\
			 DSM_DIR_EVENTS(DSM_SYM_TE_DIR) { 255, "?" })
#define dsm_show_right(v)						\
	__print_symbolic(v, { DSM_RIGHT_NONE, "none" },			\
			 { DSM_RIGHT_READ, "read" },			\
			 { DSM_RIGHT_WRITE, "write" })
#define dsm_show_kind(v)						\
	__print_symbolic(v, { DSM_EK_MSG, "msg" },			\
			 { DSM_EK_PAGE, "page" },			\
			 { DSM_EK_DIR, "dir" })
#define dsm_show_frame(v)						\
	__print_symbolic(v, { DSM_FRAME_PAGE, "page" },			\
			 { DSM_FRAME_CTRL, "ctrl" },			\
			 { DSM_FRAME_ACK, "ack" },			\
			 { DSM_FRAME_NOTIFY, "notify" })
#define dsm_show_msg_flags(v)						\
	__print_flags(v, "|",						\
		      { 0x01, "PAGE" }, { 0x02, "ZERO" },		\
		      { 0x04, "WRITE" }, { 0x08, "DONE" },		\
		      { 0x10, "FIN" }, { 0x20, "DATA" },		\
		      { 0x40, "REFUSED" }, { 0x80, "FWDED" })

TRACE_EVENT(dsm_fault_start,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u8 right,
		 u8 state),
	TP_ARGS(c, region, page, right, state),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, region)
		__field(u16, node)
		__field(u8, right)
		__field(u8, state)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->right = right;
		__entry->state = state;
	),
	TP_printk("node=%u region=%u page=%llu right=%s state=%s",
		  __entry->node, __entry->region, __entry->page,
		  dsm_show_right(__entry->right),
		  dsm_show_page_state(__entry->state))
);

TRACE_EVENT(dsm_fault_end,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u8 right,
		 int err, u64 ns),
	TP_ARGS(c, region, page, right, err, ns),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u64, ns)
		__field(u32, region)
		__field(int, err)
		__field(u16, node)
		__field(u8, right)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->right = right;
		__entry->err = err;
		__entry->ns = ns;
	),
	TP_printk("node=%u region=%u page=%llu right=%s err=%d ns=%llu",
		  __entry->node, __entry->region, __entry->page,
		  dsm_show_right(__entry->right), __entry->err, __entry->ns)
);

TRACE_EVENT(dsm_step,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u8 kind,
		 u8 event, u16 from, u32 tid, u8 old_state, u8 new_state,
		 u8 old_dir, u8 new_dir, u8 verdict),
	TP_ARGS(c, region, page, kind, event, from, tid, old_state, new_state,
		old_dir, new_dir, verdict),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, region)
		__field(u32, tid)
		__field(u16, node)
		__field(u16, from)
		__field(u8, kind)
		__field(u8, event)
		__field(u8, old_state)
		__field(u8, new_state)
		__field(u8, old_dir)
		__field(u8, new_dir)
		__field(u8, verdict)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->kind = kind;
		__entry->event = dsm_trace_event(kind, event);
		__entry->from = from;
		__entry->tid = tid;
		__entry->old_state = old_state;
		__entry->new_state = new_state;
		__entry->old_dir = old_dir >= DSM_TRACE_NO_DIR ? 255 : old_dir;
		__entry->new_dir = new_dir >= DSM_TRACE_NO_DIR ? 255 : new_dir;
		__entry->verdict = verdict;
	),
	TP_printk("node=%u region=%u page=%llu tid=%u kind=%s event=%s from=%u old=%s new=%s old_dir=%s new_dir=%s verdict=%s",
		  __entry->node, __entry->region, __entry->page, __entry->tid,
		  dsm_show_kind(__entry->kind), dsm_show_event(__entry->event),
		  __entry->from,
		  dsm_show_page_state(__entry->old_state),
		  dsm_show_page_state(__entry->new_state),
		  dsm_show_dir_state(__entry->old_dir),
		  dsm_show_dir_state(__entry->new_dir),
		  dsm_show_verdict(__entry->verdict))
);

/* A message, as seen by its sender and by its receiver. */
#define DSM_MSG_FIELDS							\
	__field(u64, page)						\
	__field(u32, region)						\
	__field(u32, tid)						\
	__field(u32, epoch)						\
	__field(u16, node)						\
	__field(u16, from)						\
	__field(u16, to)						\
	__field(u16, requester)						\
	__field(u16, home)						\
	__field(u16, nr_acks)						\
	__field(u8, type)						\
	__field(u8, flags)

#define DSM_MSG_ASSIGN(sender, receiver)				\
	__entry->node = c->self;					\
	__entry->region = m->region;					\
	__entry->page = m->page;					\
	__entry->tid = m->tid;						\
	__entry->epoch = m->epoch;					\
	__entry->from = (sender);					\
	__entry->to = (receiver);					\
	__entry->requester = m->requester;				\
	__entry->home = m->home;					\
	__entry->nr_acks = m->nr_acks;					\
	__entry->type = m->type;					\
	__entry->flags = m->flags

#define DSM_MSG_PRINTK							\
	TP_printk("node=%u region=%u page=%llu tid=%u type=%s flags=%s from=%u to=%u requester=%u home=%u acks=%u epoch=%u", \
		  __entry->node, __entry->region, __entry->page,	\
		  __entry->tid, dsm_show_msg(__entry->type),		\
		  dsm_show_msg_flags(__entry->flags),			\
		  __entry->from, __entry->to, __entry->requester,	\
		  __entry->home, __entry->nr_acks, __entry->epoch)

TRACE_EVENT(dsm_msg_send,
	TP_PROTO(const struct dsm_cluster *c, u16 to, const struct dsm_msg *m),
	TP_ARGS(c, to, m),
	TP_STRUCT__entry(
		DSM_MSG_FIELDS
	),
	TP_fast_assign(
		DSM_MSG_ASSIGN(c->self, to);
	),
	DSM_MSG_PRINTK
);

TRACE_EVENT(dsm_msg_recv,
	TP_PROTO(const struct dsm_cluster *c, const struct dsm_msg *m),
	TP_ARGS(c, m),
	TP_STRUCT__entry(
		DSM_MSG_FIELDS
	),
	TP_fast_assign(
		DSM_MSG_ASSIGN(m->from, c->self);
	),
	DSM_MSG_PRINTK
);

DECLARE_EVENT_CLASS(dsm_frame,
	TP_PROTO(const struct dsm_cluster *c, u16 peer, u8 kind, u16 nr, u16 len,
		 u32 seq),
	TP_ARGS(c, peer, kind, nr, len, seq),
	TP_STRUCT__entry(
		__field(u32, seq)
		__field(u16, node)
		__field(u16, peer)
		__field(u16, nr)
		__field(u16, len)
		__field(u8, kind)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->peer = peer;
		__entry->kind = kind;
		__entry->nr = nr;
		__entry->len = len;
		__entry->seq = seq;
	),
	TP_printk("node=%u peer=%u kind=%s nr=%u len=%u seq=%u",
		  __entry->node, __entry->peer, dsm_show_frame(__entry->kind),
		  __entry->nr, __entry->len, __entry->seq)
);

DEFINE_EVENT(dsm_frame, dsm_frame_send,
	TP_PROTO(const struct dsm_cluster *c, u16 peer, u8 kind, u16 nr, u16 len,
		 u32 seq),
	TP_ARGS(c, peer, kind, nr, len, seq));

DEFINE_EVENT(dsm_frame, dsm_frame_recv,
	TP_PROTO(const struct dsm_cluster *c, u16 peer, u8 kind, u16 nr, u16 len,
		 u32 seq),
	TP_ARGS(c, peer, kind, nr, len, seq));

TRACE_EVENT(dsm_revoke,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u8 right,
		 u64 waited_ns, int result),
	TP_ARGS(c, region, page, right, waited_ns, result),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u64, waited_ns)
		__field(u32, region)
		__field(int, result)
		__field(u16, node)
		__field(u8, right)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->right = right;
		__entry->waited_ns = waited_ns;
		__entry->result = result;
	),
	TP_printk("node=%u region=%u page=%llu right=%s waited_ns=%llu result=%d",
		  __entry->node, __entry->region, __entry->page,
		  dsm_show_right(__entry->right), __entry->waited_ns,
		  __entry->result)
);

TRACE_EVENT(dsm_hold,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u64 until_us),
	TP_ARGS(c, region, page, until_us),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u64, until_us)
		__field(u32, region)
		__field(u16, node)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->until_us = until_us;
	),
	TP_printk("node=%u region=%u page=%llu until_us=%llu",
		  __entry->node, __entry->region, __entry->page,
		  __entry->until_us)
);

TRACE_EVENT(dsm_evict,
	TP_PROTO(const struct dsm_cluster *c, u32 region, u64 page, u8 state,
		 int result),
	TP_ARGS(c, region, page, state, result),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, region)
		__field(int, result)
		__field(u16, node)
		__field(u8, state)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->region = region;
		__entry->page = page;
		__entry->state = state;
		__entry->result = result;
	),
	TP_printk("node=%u region=%u page=%llu state=%s result=%d",
		  __entry->node, __entry->region, __entry->page,
		  dsm_show_page_state(__entry->state), __entry->result)
);

TRACE_EVENT(dsm_member,
	TP_PROTO(const struct dsm_cluster *c, const struct dsm_view *view),
	TP_ARGS(c, view),
	TP_STRUCT__entry(
		__field(u32, view_no)
		__field(u32, epoch)
		__field(u16, node)
		__field(u16, nr_members)
		__field(u16, nr_lost)
	),
	TP_fast_assign(
		__entry->node = c->self;
		__entry->view_no = view->number;
		__entry->epoch = view->epoch;
		__entry->nr_members = dsm_nodeset_weight(&view->members);
		__entry->nr_lost = dsm_nodeset_weight(&view->lost);
	),
	TP_printk("node=%u view=%u epoch=%u members=%u lost=%u",
		  __entry->node, __entry->view_no, __entry->epoch,
		  __entry->nr_members, __entry->nr_lost)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
