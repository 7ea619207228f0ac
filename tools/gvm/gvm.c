// SPDX-License-Identifier: GPL-2.0
/* gvm: one Linux on many servers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gvm.h"

static const char usage[] =
"usage: gvm serve [--listen ADDR] [--port PORT]\n"
"	be this server's agent: run the part of a VM that is here\n"
"       gvm run --name VM --servers ADDR[,ADDR...] [options] -- VMM [its options]\n"
"	run a VM; the first server is this one\n"
"	--cpus N		vCPUs on each server (1)\n"
"	--mem SIZE		RAM on each server, as 512M or 2G (256M)\n"
"	--dir DIR		where dsmfs is mounted (/dev/dsm)\n"
"	--port PORT		of the agents (7177)\n"
"	--timeout-ms MS		a server silent for so long is lost (10000)\n"
"	--raw			add no options to the VMM's\n"
"	--vcpus S[,S...]	with --raw: index of the server of each vCPU\n"
"	--lib FILE		libgvm.so (beside gvm)\n"
"       gvm status [--servers ADDR[,ADDR...]]\n"
"	VMs that were started here, and what runs on servers\n"
"       gvm stop VM\n"
"	end a VM that was started here\n"
"       gvm move VM VCPU SERVER\n"
"	move a vCPU of a VM that was started here to another server (its address in\n"
"	--servers, or its index there), and say how long it was paused\n";

void gvm_die(const char *fmt, ...)
{
	va_list ap;

	fputs("gvm: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static int find(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], name))
			return i;
	return 0;
}

static void cut(int *argc, char **argv, int at, int nr)
{
	memmove(argv + at, argv + at + nr, (*argc - at - nr + 1) * sizeof(*argv));
	*argc -= nr;
}

const char *gvm_option(int *argc, char **argv, const char *name, const char *value)
{
	int i = find(*argc, argv, name);

	if (!i)
		return value;
	if (i + 1 >= *argc || !strcmp(argv[i + 1], "--"))
		gvm_die("%s needs a value", name);
	value = argv[i + 1];
	cut(argc, argv, i, 2);
	return value;
}

unsigned long gvm_option_number(int *argc, char **argv, const char *name, unsigned long value,
				unsigned long max)
{
	const char *text = gvm_option(argc, argv, name, NULL);
	char *end;

	if (!text)
		return value;
	value = strtoul(text, &end, 10);
	if (!*text || *end || *text == '-' || !value || value > max)
		gvm_die("%s %s: a number from 1 to %lu is wanted", name, text, max);
	return value;
}

int gvm_option_flag(int *argc, char **argv, const char *name)
{
	int i = find(*argc, argv, name);

	if (i)
		cut(argc, argv, i, 1);
	return i > 0;
}

int gvm_option_end(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--"))
		gvm_die("unknown argument %s, see gvm --help", argv[1]);
	return argc > 1 ? 2 : argc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(int argc, char **argv);
	} commands[] = {
		{ "serve", gvm_serve },
		{ "run", gvm_run },
		{ "status", gvm_status },
		{ "stop", gvm_stop },
		{ "move", gvm_move },
		{ "_member", gvm_member },
	};
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 1, argv + 1);
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		fputs(usage, stdout);
		return 0;
	}
	fputs(usage, stderr);
	return 2;
}
