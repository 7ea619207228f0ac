// SPDX-License-Identifier: GPL-2.0
/* Names of everything that has a number, for traces, tables and tests. */
#include "place.h"
#include "types.h"

#define NAME_OF(table, i) \
	((i) < sizeof(table) / sizeof((table)[0]) ? (table)[i] : "?")

const char *dsm_msg_name(u8 type)
{
	static const char * const names[DSM_NR_MSG_TYPES] = {
#define X(name, to_dir) [DSM_MSG_##name] = #name,
		DSM_MSG_TYPES(X)
#undef X
	};

	return NAME_OF(names, type);
}

const char *dsm_page_state_name(u8 state)
{
	static const char * const names[DSM_NR_PAGE_STATES] = {
#define X(name) [DSM_PS_##name] = #name,
		DSM_PAGE_STATES(X)
#undef X
	};

	return NAME_OF(names, state);
}

const char *dsm_page_event_name(u8 event)
{
	static const char * const names[DSM_NR_PAGE_EVENTS] = {
#define X(name) [DSM_PE_##name] = #name,
		DSM_PAGE_EVENTS(X)
#undef X
	};

	return NAME_OF(names, event);
}

const char *dsm_dir_state_name(u8 state)
{
	static const char * const names[DSM_NR_DIR_STATES] = {
#define X(name) [DSM_DS_##name] = #name,
		DSM_DIR_STATES(X)
#undef X
	};

	return NAME_OF(names, state);
}

const char *dsm_dir_event_name(u8 event)
{
	static const char * const names[DSM_NR_DIR_EVENTS] = {
#define X(name) [DSM_DE_##name] = #name,
		DSM_DIR_EVENTS(X)
#undef X
	};

	return NAME_OF(names, event);
}

const char *dsm_verdict_name(u8 verdict)
{
	static const char * const names[DSM_NR_VERDICTS] = {
#define X(name) [DSM_V_##name] = #name,
		DSM_VERDICTS(X)
#undef X
	};

	return NAME_OF(names, verdict);
}

const char *dsm_action_name(u8 type)
{
	static const char * const names[DSM_NR_ACTIONS] = {
#define X(name) [DSM_A_##name] = #name,
		DSM_ACTIONS(X)
#undef X
	};

	return NAME_OF(names, type);
}

const char *dsm_policy_name(u8 policy)
{
	static const char * const names[DSM_NR_POLICIES] = {
#define X(name) [DSM_POLICY_##name] = #name,
		DSM_POLICIES(X)
#undef X
	};

	return NAME_OF(names, policy);
}
