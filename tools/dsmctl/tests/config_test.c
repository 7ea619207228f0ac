// SPDX-License-Identifier: GPL-2.0
/* TAP: descriptions of clusters, good and bad. */
#include <stdio.h>
#include <string.h>

#include "../config.h"

static const struct {
	const char *text;
	const char *message;	/* a part of it, NULL if the text is good */
} cases[] = {
	{ "node a 10.0.0.1\nnode b 10.0.0.2\n", NULL },
	{ "# c\n\n  node a 10.0.0.1 # x\nport 99\nnode c fd00::2\r\n", NULL },
	{ "node a 10.0.0.1\nmodule /x/dsm.ko\nmount /mnt\nknob hold_us 0x10\n", NULL },
	{ "", "no node is described" },
	{ "# node a 10.0.0.1", "no node is described" },
	{ "node", "needs a name and an address" },
	{ "node a", "needs a name and an address" },
	{ "node a 10.0.0.1 b", "needs a name and an address" },
	{ "\nnode a 10.0.0.1\nnode b 10.0.0\n", "t:3: \"10.0.0\" is no address" },
	{ "node a host.example", "is no address" },
	{ "node a 10.0.0.1:99", "without a port" },
	{ "node a [fd00::1]", "is no address" },
	{ "port 0", "a number from 1" },
	{ "port 65536", "a number from 1" },
	{ "port", "a number from 1" },
	{ "knob port 1", "is no knob" },
	{ "node a 10.0.0.1,10.0.0.2", "is no address" },
	{ "node a 10.0.0.1\nnode a 10.0.0.2", "there already, as number 0" },
	{ "node a 10.0.0.1\nnode b 10.0.0.1", "is that of node \"a\" already" },
	{ "node a/b 10.0.0.1", "is no name of a server" },
	{ "nodes a 10.0.0.1", "\"nodes\" is not known" },
	{ "module dsm.ko", "needs an absolute path" },
	{ "mount", "needs an absolute path" },
	{ "knob hold_us", "needs a name and a number" },
	{ "knob hold_us -1", "is no number" },
	{ "knob hold_us 4294967296", "is no number" },
	{ "knob hold_us 1x", "is no number" },
	{ "knob node 1", "is no knob" },
	{ "knob HOLD 1", "is no knob" },
	{ "knob hold_us 1\nknob hold_us 2", "is set twice" },
};

static int nr, bad;

static void check(int good, const char *what)
{
	printf("%s %d %s\n", good ? "ok" : "not ok", ++nr, what);
	bad += !good;
}

static void check_cases(struct config *c)
{
	char err[512], what[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret;

		err[0] = '\0';
		ret = config_parse(c, cases[i].text, "t", err, sizeof(err));
		snprintf(what, sizeof(what), "case %zu", i);
		if (cases[i].message)
			check(ret && strstr(err, cases[i].message), what);
		else
			check(!ret, what);
		if (bad)
			printf("# %d %s\n", ret, err);
	}
}

static void check_many(struct config *c)
{
	static char text[CONFIG_MAX_NODES * 32 + 64];
	static char params[CONFIG_MAX_NODES * 64];
	size_t len = 0;
	char err[512];

	for (int i = 0; i < CONFIG_MAX_NODES; i++)
		len += sprintf(text + len, "node n%d 10.0.%d.%d\n", i, i / 200, i % 200 + 1);
	check(!config_parse(c, text, "t", err, sizeof(err)), "256 nodes");
	check(!config_params(c, 255, params, sizeof(params)), "their parameters");
	check(config_params(c, 255, params, 100) < 0, "their parameters, no room");
	check(config_find(c, "n255") == 255, "the last of them");
	sprintf(text + len, "node n256 10.0.9.9\n");
	check(config_parse(c, text, "t", err, sizeof(err)) && strstr(err, "more than 256"),
	      "257 nodes");
}

int main(void)
{
	static struct config c;
	char err[16], params[128];

	check_cases(&c);
	config_parse(&c, "node a 10.0.0.1\nnode b.c 10.0.0.2\nport 9\nknob hold_us 5\n", "t", err,
		     sizeof(err));
	check(config_find(&c, "a") == 0, "by name");
	check(config_find(&c, "a.example.org") == 0, "by the first label");
	check(config_find(&c, "b.c") == 1, "a name with a dot");
	check(config_find(&c, "b") == -1 && config_find(&c, "ab") == -1, "not found");
	check(!config_params(&c, 1, params, sizeof(params)) &&
	      !strcmp(params, "node=1 peers=10.0.0.1,10.0.0.2 port=9 hold_us=5"), "parameters");
	check(config_parse(&c, "nonsense nonsense", "t", err, sizeof(err)) && strlen(err) == 15,
	      "a short buffer for the message");
	check_many(&c);
	printf("1..%d\n", nr);
	return bad != 0;
}
