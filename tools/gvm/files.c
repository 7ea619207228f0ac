// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsm.h"
#include "files.h"
#include "raw.h"

#define SYSFS	"/sys/fs/dsm"

int gvm_files_own_node(void)
{
	FILE *f = fopen(SYSFS "/cluster/node", "re");
	int node = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &node) != 1)
		node = -1;
	fclose(f);
	return node;
}

int gvm_files_create(const char *dir, const char *name, uint64_t size, int node)
{
	struct dsm_ioc_place place = { .policy = DSM_PLACE_NODE };
	char path[512];
	int fd, r = 0;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (node < 0)
		node = gvm_files_own_node();
	place.node = node;
	if (ftruncate(fd, size) ||
	    (node >= 0 && gvm_raw_ioctl(fd, DSM_IOC_SET_PLACE, &place)))
		r = -errno;
	if (!r)
		return fd;
	close(fd);
	unlink(path);
	return r;
}

static bool is_one_of(int dir, const char *name, const uint64_t *ino, unsigned int nr)
{
	struct stat st;

	if (fstatat(dir, name, &st, 0))
		return false;
	while (nr--)
		if (ino[nr] == st.st_ino)
			return true;
	return false;
}

/* @ino: NULL for all. */
static void remove_files(const char *dir, const char *vm, const uint64_t *ino, unsigned int nr)
{
	size_t len = strlen(vm);
	struct dirent *e;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, vm, len) && e->d_name[len] == '.' &&
		    (!ino || is_one_of(dirfd(d), e->d_name, ino, nr)))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

void gvm_files_remove(const char *dir, const char *vm)
{
	remove_files(dir, vm, NULL, 0);
}

void gvm_files_remove_own(const char *dir, const char *vm, const uint64_t *ino, unsigned int nr)
{
	remove_files(dir, vm, ino, nr);
}

static int peer_addr(const char *node, struct in_addr *addr)
{
	char path[sizeof(SYSFS) + 300], text[INET6_ADDRSTRLEN + 8];
	int r = -1;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS "/peers/%.255s/address", node);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fgets(text, sizeof(text), f)) {
		text[strcspn(text, ":\n")] = 0;
		r = inet_pton(AF_INET, text, addr) == 1 ? 0 : -1;
	}
	fclose(f);
	return r;
}

int gvm_files_node(uint32_t addr)
{
	struct in_addr peer;
	struct dirent *e;
	int node = -1;
	DIR *d = opendir(SYSFS "/peers");

	while (d && node < 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && !peer_addr(e->d_name, &peer) && peer.s_addr == addr)
			node = atoi(e->d_name);
	if (d)
		closedir(d);
	return node;
}
