// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int gvm_conf_write(const struct gvm_conf *c, const char *path)
{
	char addr[INET_ADDRSTRLEN];
	unsigned int i;
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	fprintf(f, "vm %s\ndir %s\ntimeout_ms %u\n", c->vm, c->dir, c->timeout_ms);
	for (i = 0; i < c->nr_members; i++) {
		inet_ntop(AF_INET, &c->member[i].addr, addr, sizeof(addr));
		fprintf(f, "member %s %u\n", addr, c->member[i].port);
	}
	for (i = 0; i < c->nr_vcpus; i++)
		fprintf(f, "vcpu %u\n", c->owner[i]);
	if (ferror(f)) {
		fclose(f);
		return -EIO;
	}
	return fclose(f) ? -errno : 0;
}

static bool take_line(struct gvm_conf *c, const char *key, const char *value)
{
	char addr[INET_ADDRSTRLEN];
	unsigned int n;

	if (!strcmp(key, "vm"))
		return snprintf(c->vm, sizeof(c->vm), "%s", value) < (int)sizeof(c->vm);
	if (!strcmp(key, "dir"))
		return snprintf(c->dir, sizeof(c->dir), "%s", value) < (int)sizeof(c->dir);
	if (!strcmp(key, "timeout_ms"))
		return sscanf(value, "%u", &c->timeout_ms) == 1;
	if (!strcmp(key, "vcpu"))
		return c->nr_vcpus < GVM_VCPUS_MAX &&
		       sscanf(value, "%u", &c->owner[c->nr_vcpus++]) == 1;
	if (strcmp(key, "member") || c->nr_members == GVM_MEMBERS_MAX ||
	    sscanf(value, "%15s %u", addr, &n) != 2 || n > 65535)
		return false;
	c->member[c->nr_members].port = n;
	return inet_pton(AF_INET, addr, &c->member[c->nr_members++].addr) == 1;
}

static bool sound(const struct gvm_conf *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_vcpus; i++)
		if (c->owner[i] >= c->nr_members)
			return false;
	return gvm_name_ok(c->vm) && c->dir[0] == '/' && c->timeout_ms && c->nr_members &&
	       c->nr_vcpus;
}

int gvm_conf_read(struct gvm_conf *c, const char *path)
{
	char line[GVM_TEXT_MAX + 32], key[16];
	bool good = true;
	FILE *f = fopen(path, "re");
	int at;

	if (!f)
		return -errno;
	memset(c, 0, sizeof(*c));
	while (good && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		good = sscanf(line, "%15s %n", key, &at) == 1 && take_line(c, key, line + at);
	}
	fclose(f);
	return good && sound(c) ? 0 : -EINVAL;
}
