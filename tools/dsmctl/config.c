// SPDX-License-Identifier: GPL-2.0
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct config *c;
	const char *path;
	unsigned int line;
	char *err;
	size_t size;
};

static __printf(2, 3) int fail(struct parser *p, const char *format, ...)
{
	va_list args;
	int n;

	if (p->line)
		n = snprintf(p->err, p->size, "%s:%u: ", p->path, p->line);
	else
		n = snprintf(p->err, p->size, "%s: ", p->path);
	va_start(args, format);
	if (n > 0 && (size_t)n < p->size)
		vsnprintf(p->err + n, p->size - n, format, args);
	va_end(args);
	return -1;
}

static int parse_number(const char *word, unsigned long max, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)*word))
		return -1;
	*value = strtoul(word, &end, 0);
	return *end || *value > max ? -1 : 0;
}

static int address_ok(const char *address)
{
	unsigned char ip[16];

	return inet_pton(AF_INET, address, ip) == 1 || inet_pton(AF_INET6, address, ip) == 1;
}

static int name_ok(const char *name)
{
	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.", *s))
			return 0;
	return *name && strlen(name) < sizeof(((struct config_node *)0)->name);
}

static int parse_node(struct parser *p, char **word, int nr)
{
	struct config *c = p->c;
	struct config_node *n = &c->node[c->nr_nodes];

	if (nr != 3)
		return fail(p, "a node needs a name and an address: node alpha 10.0.0.1");
	if (c->nr_nodes == CONFIG_MAX_NODES)
		return fail(p, "more than %u nodes", CONFIG_MAX_NODES);
	if (!name_ok(word[1]))
		return fail(p, "\"%s\" is no name of a server: letters, digits, '-', '_', '.', at most %zu",
			    word[1], sizeof(n->name) - 1);
	if (strlen(word[2]) >= sizeof(n->address) || !address_ok(word[2]))
		return fail(p, "\"%s\" is no address: an IPv4 or IPv6 address of the RDMA network, without a port (10.0.0.1, fd00::1); names are not looked up",
			    word[2]);
	for (unsigned int i = 0; i < c->nr_nodes; i++) {
		if (!strcmp(c->node[i].name, word[1]))
			return fail(p, "node \"%s\" is there already, as number %u", word[1], i);
		if (!strcmp(c->node[i].address, word[2]))
			return fail(p, "address %s is that of node \"%s\" already", word[2],
				    c->node[i].name);
	}
	snprintf(n->name, sizeof(n->name), "%s", word[1]);
	snprintf(n->address, sizeof(n->address), "%s", word[2]);
	c->nr_nodes++;
	return 0;
}

static int parse_port(struct parser *p, char **word, int nr)
{
	unsigned long value;

	if (nr != 2 || parse_number(word[1], 65535, &value) || !value)
		return fail(p, "port needs a number from 1 to 65535");
	p->c->port = value;
	return 0;
}

static int parse_path(struct parser *p, char *where, char **word, int nr)
{
	if (nr != 2 || word[1][0] != '/')
		return fail(p, "%s needs an absolute path", word[0]);
	snprintf(where, CONFIG_MAX_WORD, "%s", word[1]);
	return 0;
}

static int parse_knob(struct parser *p, char **word, int nr)
{
	struct config *c = p->c;
	struct config_knob *k = &c->knob[c->nr_knobs];
	unsigned long value;

	if (nr != 3)
		return fail(p, "a knob needs a name and a number: knob hold_us 200");
	if (c->nr_knobs == CONFIG_MAX_KNOBS)
		return fail(p, "more than %u knobs", CONFIG_MAX_KNOBS);
	if (strlen(word[1]) >= sizeof(k->name) || strspn(word[1], "abcdefghijklmnopqrstuvwxyz_") !=
	    strlen(word[1]) || !strcmp(word[1], "node") || !strcmp(word[1], "peers") ||
	    !strcmp(word[1], "port"))
		return fail(p, "\"%s\" is no knob: see /sys/fs/dsm/knobs, or modinfo dsm", word[1]);
	if (parse_number(word[2], 0xffffffffu, &value))
		return fail(p, "knob %s: \"%s\" is no number", word[1], word[2]);
	for (unsigned int i = 0; i < c->nr_knobs; i++)
		if (!strcmp(c->knob[i].name, word[1]))
			return fail(p, "knob %s is set twice", word[1]);
	snprintf(k->name, sizeof(k->name), "%s", word[1]);
	k->value = value;
	c->nr_knobs++;
	return 0;
}

static int parse_line(struct parser *p, char *line)
{
	char *word[5], *save, *comment = strchr(line, '#');
	int nr = 0;

	if (comment)
		*comment = '\0';
	for (char *w = strtok_r(line, " \t\r", &save); w && nr < 5;
	     w = strtok_r(NULL, " \t\r", &save)) {
		if (strlen(w) >= CONFIG_MAX_WORD)
			return fail(p, "a word of more than %d characters", CONFIG_MAX_WORD - 1);
		word[nr++] = w;
	}
	if (!nr)
		return 0;
	if (!strcmp(word[0], "node"))
		return parse_node(p, word, nr);
	if (!strcmp(word[0], "port"))
		return parse_port(p, word, nr);
	if (!strcmp(word[0], "module"))
		return parse_path(p, p->c->module, word, nr);
	if (!strcmp(word[0], "mount"))
		return parse_path(p, p->c->mount, word, nr);
	if (!strcmp(word[0], "knob"))
		return parse_knob(p, word, nr);
	return fail(p, "\"%s\" is not known: node, port, module, mount or knob", word[0]);
}

int config_parse(struct config *c, const char *text, const char *path, char *err,
		 size_t size)
{
	struct parser p = { c, path, 0, err, size };
	char *copy = strdup(text), *rest = copy, *line;
	int ret = 0;

	memset(c, 0, sizeof(*c));
	snprintf(c->mount, sizeof(c->mount), "/dev/dsm");
	if (!copy)
		return fail(&p, "no memory");
	while (!ret && (line = strsep(&rest, "\n"))) {
		p.line++;
		ret = parse_line(&p, line);
	}
	free(copy);
	p.line = 0;
	if (!ret && !c->nr_nodes)
		return fail(&p, "no node is described; add a line for each server: node <name> <address>");
	return ret;
}

int config_find(const struct config *c, const char *name)
{
	size_t label = strcspn(name, ".");

	for (unsigned int i = 0; i < c->nr_nodes; i++)
		if (!strcmp(c->node[i].name, name))
			return i;
	for (unsigned int i = 0; i < c->nr_nodes; i++)
		if (strlen(c->node[i].name) == label && !strncmp(c->node[i].name, name, label))
			return i;
	return -1;
}

int config_params(const struct config *c, int node, char *buf, size_t size)
{
	size_t len;

	len = snprintf(buf, size, "node=%d peers=", node);
	for (unsigned int i = 0; i < c->nr_nodes && len < size; i++)
		len += snprintf(buf + len, size - len, "%s%s", i ? "," : "", c->node[i].address);
	if (c->port && len < size)
		len += snprintf(buf + len, size - len, " port=%u", c->port);
	for (unsigned int i = 0; i < c->nr_knobs && len < size; i++)
		len += snprintf(buf + len, size - len, " %s=%u", c->knob[i].name,
				c->knob[i].value);
	return len < size ? 0 : -1;
}
