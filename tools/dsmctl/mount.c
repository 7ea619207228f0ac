// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "dsmctl.h"

int mount_find(char *path, size_t size)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	int ret = -1;

	while (f && ret && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "dsmfs")) {
			snprintf(path, size, "%s", m->mnt_dir);
			ret = 0;
		}
	if (f)
		endmntent(f);
	return ret;
}

static void make_directories(const char *path)
{
	char copy[PATH_SIZE];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *s = copy + 1; *s; s++)
		if (*s == '/') {
			*s = '\0';
			mkdir(copy, 0755);
			*s = '/';
		}
	if (mkdir(copy, 0755) && errno != EEXIST)
		die("%s cannot be made: %s", path, strerror(errno));
}

void mount_make(const char *path)
{
	char have[PATH_SIZE];

	if (!mount_find(have, sizeof(have)) && !strcmp(have, path))
		return;
	make_directories(path);
	if (mount("none", path, "dsmfs", 0, NULL))
		die("dsmfs cannot be mounted on %s: %s; dmesg may say more", path, strerror(errno));
}

void mount_drop_all(void)
{
	char path[PATH_SIZE];

	while (!mount_find(path, sizeof(path)))
		if (umount2(path, 0))
			die("%s cannot be unmounted: %s%s%s%s", path, strerror(errno),
			    errno == EBUSY ? "; \"fuser -vm " : "",
			    errno == EBUSY ? path : "",
			    errno == EBUSY ? "\" lists who uses it" : "");
}

void mount_region_path(const char *name, char *path, size_t size)
{
	char mnt[PATH_SIZE];
	int n;

	if (strchr(name, '/'))
		n = snprintf(path, size, "%s", name);
	else if (!mount_find(mnt, sizeof(mnt)))
		n = snprintf(path, size, "%s/%s", mnt, name);
	else
		die("dsmfs is not mounted: mount -t dsmfs none /dev/dsm");
	if (n >= (int)size)
		die("the path of %s is too long", name);
}
