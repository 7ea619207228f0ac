// SPDX-License-Identifier: GPL-2.0
/* The parameters of a run: as text, on the wire, and what they may be. */
#include "pingpong.h"

#include <linux/inet.h>
#include <linux/string.h>
#include <net/net_namespace.h>

static const char * const mode_names[PP_NR_MODES] = {
	[PP_PINGPONG]	= "pingpong",
	[PP_STREAM]	= "stream",
};

static const char * const poll_names[PP_NR_POLLS] = {
	[PP_POLL_SOFTIRQ]	= "softirq",
	[PP_POLL_WORKQUEUE]	= "workqueue",
	[PP_POLL_UNBOUND]	= "unbound",
	[PP_POLL_THREAD]	= "thread",
	[PP_POLL_WAITER]	= "waiter",
};

static int parse_name(const char * const *names, size_t nr, const char *value,
		      unsigned int *out)
{
	int i = match_string(names, nr, value);

	if (i < 0)
		return -EINVAL;
	*out = i;
	return 0;
}

static int parse_pair(struct pp_params *par, const char *key, const char *value,
		      const char **addr, const char **port)
{
	const struct {
		const char *key;
		u32 *field;
	} numbers[] = {
		{ "req", &par->req },
		{ "rep", &par->rep },
		{ "head", &par->head },
		{ "depth", &par->depth },
		{ "signal", &par->signal },
		{ "count", &par->count },
		{ "warmup", &par->warmup },
	};
	unsigned int i, v;
	int err;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(key, numbers[i].key))
			return kstrtou32(value, 0, numbers[i].field);
	if (!strcmp(key, "imm"))
		return kstrtobool(value, &par->imm);
	if (!strcmp(key, "addr")) {
		*addr = value;
		return 0;
	}
	if (!strcmp(key, "port")) {
		*port = value;
		return 0;
	}
	if (!strcmp(key, "mode")) {
		err = parse_name(mode_names, PP_NR_MODES, value, &v);
		if (!err)
			par->mode = v;
		return err;
	}
	if (!strcmp(key, "poll")) {
		err = parse_name(poll_names, PP_NR_POLLS, value, &v);
		if (!err)
			par->poll = v;
		return err;
	}
	return -EINVAL;
}

/**
 * pp_params_parse() - read a line of key=value pairs
 * @par:	filled in; its @poll is the default and must be set
 * @line:	the text; is taken apart
 *
 * Return: 0, or -EINVAL after a log line.
 */
int pp_params_parse(struct pp_params *par, char *line)
{
	const char *addr = NULL, *port = __stringify(PP_PORT);
	char *pair, *value;

	*par = (struct pp_params) {
		.poll = par->poll, .req = 64, .rep = 64, .depth = 1,
		.signal = 16, .count = 1000, .warmup = 50,
	};
	while ((pair = strsep(&line, " \t\n")) != NULL) {
		if (!*pair)
			continue;
		value = strchr(pair, '=');
		if (value)
			*value++ = '\0';
		if (!value || parse_pair(par, pair, value, &addr, &port)) {
			pr_warn("run: cannot make sense of '%s%s%s'\n", pair,
				value ? "=" : "", value ?: "");
			return -EINVAL;
		}
	}
	if (!addr || inet_pton_with_scope(&init_net, AF_UNSPEC, addr, port,
					  &par->addr)) {
		pr_warn("run: bad addr or port: '%s' '%s'\n", addr ?: "", port);
		return -EINVAL;
	}
	return pp_params_check(par);
}

static const char *params_fault(const struct pp_params *par)
{
	if (par->mode >= PP_NR_MODES)
		return "mode";
	if (par->poll >= PP_NR_POLLS)
		return "poll";
	if (par->req < PP_MSG_MIN || par->req > PP_MSG_MAX)
		return "req";
	if (par->rep < PP_MSG_MIN || par->rep > PP_MSG_MAX)
		return "rep";
	if (par->head && (par->head < PP_MSG_MIN || par->head > PP_HEAD_MAX))
		return "head";
	if (!par->depth || par->depth > PP_DEPTH_MAX)
		return "depth";
	if (!par->signal || par->signal > PP_DEPTH_MAX)
		return "signal";
	if (!par->count || par->count > PP_COUNT_MAX)
		return "count";
	if (par->warmup > PP_COUNT_MAX)
		return "warmup";
	return NULL;
}

/**
 * pp_params_check() - is every parameter in its range?
 * @par:	parameters, from a user or from a peer
 *
 * Return: 0, or -EINVAL after a log line that names the first bad one.
 */
int pp_params_check(const struct pp_params *par)
{
	const char *fault = params_fault(par);

	if (!fault)
		return 0;
	pr_warn_ratelimited("%s is out of range\n", fault);
	return -EINVAL;
}

/**
 * pp_params_describe() - the parameters as text
 * @par:	parameters
 * @buf:	where to
 * @size:	of @buf
 *
 * Return: bytes written.
 */
int pp_params_describe(const struct pp_params *par, char *buf, size_t size)
{
	return scnprintf(buf, size,
			 "mode=%s poll=%s req=%u rep=%u head=%u imm=%d depth=%u",
			 mode_names[par->mode], poll_names[par->poll], par->req,
			 par->rep, par->head, par->imm, par->depth);
}

/**
 * pp_params_encode() - what the server has to know
 * @par:	parameters
 * @hello:	filled in
 */
void pp_params_encode(const struct pp_params *par, struct pp_hello *hello)
{
	*hello = (struct pp_hello) {
		.magic = cpu_to_le32(PP_MAGIC),
		.version = PP_VERSION,
		.mode = par->mode,
		.poll = par->poll,
		.imm = par->imm,
		.req = cpu_to_le32(par->req),
		.rep = cpu_to_le32(par->rep),
		.head = cpu_to_le16(par->head),
		.depth = cpu_to_le16(par->depth),
	};
}

/**
 * pp_params_decode() - read and check what a client said
 * @par:	filled in
 * @data:	private data of its connection request
 * @len:	bytes of it; may be more than what was sent
 *
 * Return: 0, or -EPROTO or -EINVAL.
 */
int pp_params_decode(struct pp_params *par, const void *data, u8 len)
{
	const struct pp_hello *hello = data;

	if (!data || len < sizeof(*hello) ||
	    hello->magic != cpu_to_le32(PP_MAGIC) ||
	    hello->version != PP_VERSION)
		return -EPROTO;
	*par = (struct pp_params) {
		.mode = hello->mode,
		.poll = hello->poll == PP_POLL_WAITER ? PP_POLL_THREAD : hello->poll,
		.imm = hello->imm,
		.req = le32_to_cpu(hello->req),
		.rep = le32_to_cpu(hello->rep),
		.head = le16_to_cpu(hello->head),
		.depth = le16_to_cpu(hello->depth),
		.signal = 16,
		.count = 1,
	};
	return pp_params_check(par);
}
