// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsmctl.h"
#include "textfile.h"

const char *sysfs_dir;

void sysfs_select(const char *cluster)
{
	static char path[PATH_SIZE];
	const char *top = getenv("DSM_SYSFS") ?: "/sys/fs/dsm";

	if (cluster && (strchr(cluster, '/') || strlen(cluster) > 64))
		usage_die("\"%s\" is no name of a cluster", cluster);
	snprintf(path, sizeof(path), "%s", top);
	if (cluster && strcmp(cluster, "dsm"))
		snprintf(path, sizeof(path), "%s/%s", top, cluster);
	sysfs_dir = path;
}

void sysfs_say_absent(void)
{
	char **name, file[PATH_SIZE], value[VALUE_SIZE];
	int nr = sysfs_list(".", &name);
	bool any = false;

	for (int i = 0; i < nr; i++) {
		snprintf(file, sizeof(file), "%.64s/cluster/name", name[i]);
		if (sysfs_get(file, value))
			continue;
		fprintf(stderr, any ? " %s" : "dsmctl: which cluster? dsmctl -n %s", value);
		any = true;
	}
	if (any)
		fputc('\n', stderr);
	else
		fprintf(stderr, "dsmctl: %s shows no cluster: join one with \"dsmctl join\"\n",
			sysfs_dir);
}

void sysfs_path(char *path, size_t size, const char *file)
{
	if (snprintf(path, size, "%s/%s", sysfs_dir, file) >= (int)size)
		die("the path %s/%s is too long", sysfs_dir, file);
}

bool sysfs_present(void)
{
	char path[PATH_SIZE];

	sysfs_path(path, sizeof(path), "cluster/name");
	return !access(path, F_OK);
}

int sysfs_get(const char *file, char *value)
{
	char path[PATH_SIZE];
	int err;

	sysfs_path(path, sizeof(path), file);
	err = textfile_read(path, value, VALUE_SIZE);
	if (err)
		snprintf(value, VALUE_SIZE, "?");
	return err;
}

int sysfs_set(const char *file, const char *value)
{
	char path[PATH_SIZE];

	sysfs_path(path, sizeof(path), file);
	return textfile_write(path, value);
}

uint64_t sysfs_number(const char *file)
{
	char value[VALUE_SIZE];

	return sysfs_get(file, value) ? 0 : strtoull(value, NULL, 10);
}

static int visible(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

int sysfs_list(const char *dir, char ***names)
{
	struct dirent **entries;
	char path[PATH_SIZE];
	int nr;

	sysfs_path(path, sizeof(path), dir);
	nr = scandir(path, &entries, visible, versionsort);
	*names = calloc(nr > 0 ? nr : 1, sizeof(**names));
	if (!*names)
		die("no memory");
	for (int i = 0; i < nr; i++) {
		(*names)[i] = strdup(entries[i]->d_name);
		if (!(*names)[i])
			die("no memory");
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return nr > 0 ? nr : 0;
}
