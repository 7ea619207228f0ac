// SPDX-License-Identifier: GPL-2.0
/* Files of dsmfs, and touching their pages. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dsm.h"
#include "textfile.h"

#define KNOBS "/sys/fs/dsm/knobs/"

static void area_path(const struct bench *b, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/dsm-bench.%s", b->dir, name);
}

static int area_create(struct bench *b, const char *path, size_t nr, int home)
{
	struct dsm_ioc_place place = { .policy = DSM_PLACE_NODE, .node = home };
	int fd, err = 0;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, nr * PAGE))
		err = -errno;
	if (!err && ioctl(fd, DSM_IOC_SET_PLACE, &place) && !b->no_place)
		err = -errno;
	close(fd);
	return err;
}

/**
 * area_open() - create a file and map it on all nodes
 * @b:		bench
 * @a:		filled in
 * @name:	of the file
 * @nr:		pages
 * @home:	of all of them
 *
 * Return: 0, or -errno on all nodes.
 */
int area_open(struct bench *b, struct area *a, const char *name, size_t nr, int home)
{
	char path[PATH_MAX];
	void *p = MAP_FAILED;
	int err;

	area_path(b, name, path);
	*a = (struct area) { .fd = -1, .nr = nr };
	err = barrier(b, b->node ? 0 : area_create(b, path, nr, home));
	if (err)
		return err;
	/* Without dsmfs every server has a file of its own. */
	a->fd = open(path, O_RDWR | O_CLOEXEC | (b->no_place ? O_CREAT : 0), 0600);
	if (a->fd >= 0 && b->no_place && ftruncate(a->fd, nr * PAGE))
		err = -errno;
	if (a->fd >= 0)
		p = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (p == MAP_FAILED)
		err = -errno;
	else
		a->p = p;
	err = barrier(b, err);
	if (err)
		area_close(b, a, name);
	return err;
}

/**
 * area_close() - unmap, and remove the file
 * @b:		bench
 * @a:		from area_open()
 * @name:	as there
 */
void area_close(struct bench *b, struct area *a, const char *name)
{
	char path[PATH_MAX];

	if (a->p)
		munmap((void *)a->p, a->nr * PAGE);
	if (a->fd >= 0)
		close(a->fd);
	*a = (struct area) { .fd = -1 };
	area_path(b, name, path);
	barrier(b, 0);
	if (!b->node)
		unlink(path);
}

/**
 * area_touch() - one load or store
 * @a:		area
 * @page:	of it
 * @op:		which
 */
void area_touch(struct area *a, size_t page, enum op op)
{
	if (op == OP_WRITE)
		a->p[page * PAGE] = 1 + page % 255;
	else if (op == OP_READ)
		(void)a->p[page * PAGE];
}

/**
 * area_time() - how long one load or store takes
 * @a:		area
 * @page:	of it
 * @op:		which
 *
 * Return: ns.
 */
uint64_t area_time(struct area *a, size_t page, enum op op)
{
	uint64_t t0 = now_ns();

	area_touch(a, page, op);
	return now_ns() - t0;
}

/**
 * area_step() - one node does something to all pages, the others wait
 * @b:		bench
 * @a:		area
 * @node:	which
 * @op:		what
 *
 * Return: 0, or -errno on all nodes.
 */
int area_step(struct bench *b, struct area *a, int node, enum op op)
{
	int err = 0;
	size_t i;

	if (b->node == node) {
		if (op == OP_UNMAP)
			err = madvise((void *)a->p, a->nr * PAGE, MADV_DONTNEED) ? -errno : 0;
		else
			for (i = 0; i < a->nr; i++)
				area_touch(a, i, op);
	}
	return barrier(b, err);
}

/**
 * permutation() - numbers below @nr in an order that no prefetch can guess
 * @nr:	how many
 *
 * Return: an array to be freed, or NULL.
 */
uint32_t *permutation(size_t nr)
{
	uint32_t *v = malloc(nr * sizeof(*v)), x = 2463534242u, t;
	size_t i, j;

	for (i = 0; v && i < nr; i++)
		v[i] = i;
	for (i = nr; v && i > 1; i--) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		j = x % i;
		t = v[i - 1];
		v[i - 1] = v[j];
		v[j] = t;
	}
	return v;
}

/**
 * knob_swap() - set a knob of dsm.ko on this node
 * @name:	of the knob
 * @value:	new one
 * @old:	what it was, to be set again
 *
 * Return: 0 or -errno.
 */
int knob_swap(const char *name, const char *value, char old[32])
{
	char path[128], now[32];
	int err;

	snprintf(path, sizeof(path), KNOBS "%s", name);
	err = textfile_read(path, now, sizeof(now));
	if (!err)
		err = textfile_write(path, value);
	if (!err)
		memcpy(old, now, sizeof(now));
	return err;
}
