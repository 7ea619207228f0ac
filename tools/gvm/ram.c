// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's memory in the VMM.
 *
 * A file of dsmfs that the VMM maps shared is a region as it is. Memory that the VMM allocated for
 * itself becomes one when a slot is first made of it: all of the mapping it is part of, since slots
 * come as changing parts of one block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dsm.h"
#include "files.h"
#include "raw.h"
#include "vmm.h"

#define PAGE		4096u
#define NR_ANON		1024
#define SUFFIX		".m%u"	/* regions made here: VM's name and number */

/*
 * Private memory the VMM has mapped. What does not fit here is converted slot by slot.
 *
 * The lock protects vmm.regions as well, and is the last to be taken: libraries map and unmap while
 * vmm.lock is held, as verbs do for each channel.
 */
static struct {
	pthread_mutex_t lock;
	struct anon {
		uint64_t start;
		uint64_t end;
	} map[NR_ANON];
	unsigned int nr;
} anon = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t end_of(const void *addr, size_t len)
{
	return (uintptr_t)addr + ((len + PAGE - 1) & ~(uint64_t)(PAGE - 1));
}

/* Called with the lock held. */
static void forget(uint64_t start, uint64_t end)
{
	unsigned int i;

	gvm_regions_forget(&vmm.regions, start, end);
	for (i = 0; i < anon.nr; ) {
		if (anon.map[i].start < end && start < anon.map[i].end)
			anon.map[i] = anon.map[--anon.nr];
		else
			i++;
	}
}

void gvm_ram_unmapped(void *addr, size_t len)
{
	pthread_mutex_lock(&anon.lock);
	forget((uintptr_t)addr, end_of(addr, len));
	pthread_mutex_unlock(&anon.lock);
}

static bool file_name(int fd, char *name)
{
	char link[32], path[512], *base;
	struct statfs st;
	ssize_t len;

	if (fstatfs(fd, &st) || (unsigned long)st.f_type != DSM_SUPER_MAGIC)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return false;
	path[len] = 0;
	base = strrchr(path, '/');
	if (!base || strlen(base + 1) > GVM_NAME_MAX)
		return false;
	strcpy(name, base + 1);
	return true;
}

void gvm_ram_mapped(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	bool private = (flags & MAP_ANONYMOUS) && (flags & MAP_PRIVATE) && (prot & PROT_WRITE);
	uint64_t start = (uintptr_t)addr, end = end_of(addr, len);
	char name[GVM_NAME_MAX + 1];
	bool region;
	int r = 0;

	region = !(flags & MAP_ANONYMOUS) && (flags & MAP_SHARED) && file_name(fd, name);
	pthread_mutex_lock(&anon.lock);
	forget(start, end);
	if (private && anon.nr < NR_ANON)
		anon.map[anon.nr++] = (struct anon) { start, end };
	if (region)
		r = gvm_regions_add(&vmm.regions, name, start, end - start, offset);
	pthread_mutex_unlock(&anon.lock);
	if (r < 0)
		gvm_log("%s: the mapping of %s cannot be guest memory: %s", vmm.conf.vm, name,
			strerror(-r));
}

/* The mapping that holds the range, or the range itself. */
static void whole(uint64_t *start, uint64_t *end)
{
	unsigned int i;

	pthread_mutex_lock(&anon.lock);
	for (i = 0; i < anon.nr; i++) {
		if (anon.map[i].start <= *start && *end <= anon.map[i].end) {
			*start = anon.map[i].start;
			*end = anon.map[i].end;
			break;
		}
	}
	pthread_mutex_unlock(&anon.lock);
}

static bool is_zero(const void *page)
{
	const uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

static void copy_pages(char *to, const char *from, uint64_t size)
{
	uint64_t at;

	for (at = 0; at < size; at += PAGE)
		if (!is_zero(from + at))
			memcpy(to + at, from + at, PAGE);
}

/* On a kernel of ours: in place, and what other threads of the VMM write meanwhile is not lost. */
static int adopt(int fd, uint64_t start, uint64_t size)
{
	struct dsm_ioc_adopt a = { .addr = start, .len = size, .pidfd = -1 };

	return gvm_raw_ioctl(fd, DSM_IOC_ADOPT, &a) ? -errno : 0;
}

static int replace(int fd, uint64_t start, uint64_t size)
{
	void *at = (void *)(uintptr_t)start, *copy;
	int r = 0;

	copy = gvm_raw_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (copy == MAP_FAILED)
		return -ENOMEM;
	copy_pages(copy, at, size);
	if (gvm_raw_mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != at)
		r = -ENOMEM;
	gvm_raw_munmap(copy, size);
	return r;
}

static int convert(uint64_t start, uint64_t size, const char *name)
{
	int fd = gvm_files_create(vmm.conf.dir, name, size, -1), r;

	if (fd < 0)
		return fd;
	r = adopt(fd, start, size);
	gvm_log("%s: %s, %llu KiB: %s%s", vmm.conf.vm, name, (unsigned long long)size >> 10,
		r ? "copied, not adopted: " : "adopted", r ? strerror(-r) : "");
	/* An adoption that failed may have left something in the file. */
	if (r && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size))
		r = -errno;
	else if (r)
		r = replace(fd, start, size);
	if (!r)
		madvise((void *)(uintptr_t)start, size, MADV_DONTFORK);
	close(fd);
	return r;
}

static int tell(unsigned int nr)
{
	struct gvm_msg_region msg = { .region = nr };
	struct gvm_region r;
	unsigned int i;
	int64_t ret;

	pthread_mutex_lock(&anon.lock);
	r = vmm.regions.region[nr];
	pthread_mutex_unlock(&anon.lock);
	if (!r.size)
		return 0;
	msg.size = r.offset + r.size;
	strcpy(msg.name, r.name);
	for (i = 1; i < vmm.m.nr_members; i++) {
		struct gvm_head head = { .type = GVM_MSG_REGION, .vcpu = GVM_NO_VCPU };

		ret = gvm_vmm_call(i, &head, &msg, sizeof(msg));
		if (ret < 0) {
			gvm_log("%s: member %u cannot map %s/%s: %s", vmm.conf.vm, i, vmm.conf.dir,
				msg.name, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int find(uint64_t start, uint64_t size, uint64_t *offset)
{
	const struct gvm_region *r = vmm.regions.region;
	int nr;

	pthread_mutex_lock(&anon.lock);
	nr = gvm_regions_find(&vmm.regions, start, size);
	if (nr >= 0)
		*offset = r[nr].offset + (start - r[nr].start);
	pthread_mutex_unlock(&anon.lock);
	return nr;
}

static int make(uint64_t start, uint64_t end)
{
	char name[GVM_NAME_MAX + 1];
	int r;

	if (vmm.regions.nr == GVM_REGIONS_MAX)
		return -E2BIG;
	whole(&start, &end);
	if (snprintf(name, sizeof(name), "%.20s" SUFFIX, vmm.conf.vm, vmm.regions.nr) < 0)
		return -EINVAL;
	r = convert(start, end - start, name);
	if (r)
		return r;
	pthread_mutex_lock(&anon.lock);
	r = gvm_regions_add(&vmm.regions, name, start, end - start, 0);
	pthread_mutex_unlock(&anon.lock);
	return r;
}

static const char *reason(int error)
{
	switch (error) {
	case ERANGE:
		return "it is in more than one mapping";
	case E2BIG:
		return "there were too many mappings of dsmfs, and blocks of memory that became some";
	default:
		return strerror(error);
	}
}

int gvm_ram_region(uint64_t start, uint64_t size, uint64_t *offset)
{
	int nr = find(start, size, offset), r;

	if (nr == -ENOENT) {
		r = make(start, start + size);
		nr = r < 0 ? r : find(start, size, offset);
	}
	if (nr < 0) {
		gvm_log("%s: memory at %#llx, %llu KiB, cannot be shared: %s", vmm.conf.vm,
			(unsigned long long)start, (unsigned long long)size >> 10, reason(-nr));
		return nr;
	}
	for (; vmm.nr_told <= (unsigned int)nr; vmm.nr_told++) {
		r = tell(vmm.nr_told);
		if (r)
			return r;
	}
	return nr;
}
