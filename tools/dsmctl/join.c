// SPDX-License-Identifier: GPL-2.0
/* dsmctl join and leave. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "dsmctl.h"
#include "textfile.h"

#define CONFIG_SIZE	(256 * 1024)
#define PARAMS_SIZE	(CONFIG_MAX_NODES * 64 + CONFIG_MAX_KNOBS * 48)
#define POLL_NS		100000000L

static void read_config(struct config *c, const char *path)
{
	char *text = malloc(CONFIG_SIZE), message[512];
	int err;

	if (!text)
		die("no memory");
	err = textfile_read(path, text, CONFIG_SIZE);
	if (err)
		die("%s: %s; it describes the cluster, the same on every server:\n"
		    "\tnode alpha 10.0.0.1\n\tnode beta 10.0.0.2",
		    path, strerror(-err));
	if (config_parse(c, text, path, message, sizeof(message)))
		die("%s", message);
	free(text);
}

static int which_node(const struct config *c, const char *name, const char *path)
{
	char host[256] = "", known[1024] = "";
	size_t len = 0;
	int node;

	if (!name)
		gethostname(host, sizeof(host) - 1);
	node = config_find(c, name ?: host);
	if (node >= 0)
		return node;
	for (unsigned int i = 0; i < c->nr_nodes && len < sizeof(known) - 70; i++)
		len += sprintf(known + len, " %s", c->node[i].name);
	die("%s describes no node \"%s\"; it has:%s%s", path, name ?: host, known,
	    name ? "" : "; name this server: dsmctl join NAME");
}

static void say_peers(void)
{
	char **peer, file[PATH_SIZE], link[VALUE_SIZE], address[VALUE_SIZE];
	int nr = sysfs_list("peers", &peer);

	for (int i = 0; i < nr; i++) {
		snprintf(file, sizeof(file), "peers/%s/link", peer[i]);
		sysfs_get(file, link);
		snprintf(file, sizeof(file), "peers/%s/address", peer[i]);
		sysfs_get(file, address);
		fprintf(stderr, "  node %s (%s): link %s%s\n", peer[i], address, link,
			strcmp(link, "up") ? "; has it joined, and does ping reach it?" : "");
	}
}

/* Until this node is a member, or the end with what is missing. */
static void wait_joined(unsigned int seconds)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	char state[VALUE_SIZE], reason[VALUE_SIZE];
	struct timespec now;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + seconds;
	for (;;) {
		if (sysfs_number("cluster/joined"))
			return;
		sysfs_get("cluster/state", state);
		sysfs_get("cluster/reason", reason);
		if (!strcmp(state, "gone"))
			die("this server was a member and is no more (%s): \"dsmctl leave\", then join again",
			    reason);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end)
			break;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "dsmctl: not a member after %u s (state %s, reason %s); it goes on trying.\n"
		"More than half of the nodes must be up to form a cluster:\n",
		seconds, state, reason);
	say_peers();
	exit(EXIT_FAILURE);
}

static void check_loaded(const struct config *c, int node)
{
	uint64_t have = sysfs_number("cluster/node");

	if (!sysfs_present())
		die("the module is loaded, but shows no cluster: is it dsm.ko of another version?");
	if ((int)have != node || sysfs_number("cluster/nr_nodes") != c->nr_nodes)
		die("the module is loaded as node %d of %d, but the configuration says %d of %u: \"dsmctl leave\" first",
		    (int)have, (int)sysfs_number("cluster/nr_nodes"), node, c->nr_nodes);
}

int verb_join(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "mount", no_argument, NULL, 'm' },
		{ "timeout", required_argument, NULL, 't' },
		{ 0 },
	};
	static char params[PARAMS_SIZE];
	static struct config c;
	const char *path = CONFIG_PATH;
	uint64_t seconds = 60;
	bool want_mount = false;
	int opt, node;

	while ((opt = getopt_long(argc, argv, "c:mt:", options, NULL)) != -1) {
		if (opt == 'c')
			path = optarg;
		else if (opt == 'm')
			want_mount = true;
		else if (opt == 't')
			seconds = arg_number("timeout", optarg);
		else
			return EXIT_USAGE;
	}
	if (argc - optind > 1)
		usage_die("join: more than one name");
	read_config(&c, path);
	node = which_node(&c, argv[optind], path);
	if (config_params(&c, node, params, sizeof(params)))
		die("%s is too long for the parameters of a module", path);
	if (!kmod_loaded())
		kmod_load(c.module, params);
	check_loaded(&c, node);
	wait_joined(seconds > 86400 ? 86400 : seconds);
	if (want_mount)
		mount_make(c.mount);
	printf("joined as node %d of %u%s%s\n", node, c.nr_nodes,
	       want_mount ? "; dsmfs is on " : "", want_mount ? c.mount : "");
	return EXIT_SUCCESS;
}

static const char *leave_advice(int err)
{
	switch (err) {
	case EBUSY:
		return "; dsmfs is mounted in another mount namespace";
	case ETIMEDOUT:
		return "; not all was handed over within knobs/leave_timeout_ms: the other servers may be short of memory, or not reachable. Try again, or with -f: what only this server has is lost then";
	}
	return "";
}

int verb_leave(int argc, char **argv)
{
	bool force = false;
	int opt, err = 0;

	while ((opt = getopt(argc, argv, "f")) != -1) {
		if (opt != 'f')
			return EXIT_USAGE;
		force = true;
	}
	if (argc != optind)
		usage_die("leave takes no name: it is about this server");
	if (!kmod_loaded()) {
		puts("not loaded");
		return EXIT_SUCCESS;
	}
	mount_drop_all();
	if (sysfs_number("cluster/joined"))
		err = sysfs_set("cluster/leave", "1");
	if (err && !force)
		die("this server could not leave: %s%s", strerror(-err), leave_advice(-err));
	kmod_unload();
	puts(err ? "unloaded, not all was handed over" : "left");
	return EXIT_SUCCESS;
}
