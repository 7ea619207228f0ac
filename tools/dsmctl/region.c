// SPDX-License-Identifier: GPL-2.0
/* dsmctl region, place, evict, prefetch, resident, page. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsm.h"
#include "dsmctl.h"

#define PAGE_BYTES	4096

static const char *const region_files[] = {
	"id", "gen", "size", "nr_resident", "touched", "slots", "place",
};

static void region_get(const char *name, const char *file, char *value)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "regions/%.255s/%s", name, file);
	sysfs_get(path, value);
}

static int region_list(void)
{
	char **name, value[VALUE_SIZE], size[32];
	int nr = sysfs_list("regions", &name);

	printf("%-24s %10s %12s %7s  %s\n", "REGION", "SIZE", "RESIDENT", "TOUCHED", "PLACE");
	for (int i = 0; i < nr; i++) {
		region_get(name[i], "size", value);
		human_size(strtoull(value, NULL, 10), size, sizeof(size));
		region_get(name[i], "nr_resident", value);
		printf("%-24s %10s %12s ", name[i], size, value);
		region_get(name[i], "touched", value);
		printf("%7s  ", strcmp(value, "0") ? "yes" : "no");
		region_get(name[i], "place", value);
		for (char *s = value; *s; s++)
			if (*s == '\n')
				*s = ',';
		puts(value);
	}
	return EXIT_SUCCESS;
}

static int region_show(const char *name)
{
	char path[PATH_SIZE], value[VALUE_SIZE];

	snprintf(path, sizeof(path), "regions/%.255s/id", name);
	if (strchr(name, '/') || sysfs_get(path, value))
		die("there is no region \"%s\"; \"dsmctl region list\" lists them", name);
	for (size_t i = 0; i < ARRAY_SIZE(region_files); i++) {
		char *rest = value, *line;
		const char *label = region_files[i];

		region_get(name, region_files[i], value);
		while ((line = strsep(&rest, "\n"))) {
			printf("%-12s %s\n", label, line);
			label = "";
		}
	}
	return EXIT_SUCCESS;
}

int verb_region(int argc, char **argv)
{
	if (argc < 2)
		usage_die("region: list, show, place, evict or prefetch?");
	if (!strcmp(argv[1], "place"))
		return verb_place(argc - 1, argv + 1);
	if (!strcmp(argv[1], "evict"))
		return verb_evict(argc - 1, argv + 1);
	if (!strcmp(argv[1], "prefetch"))
		return verb_prefetch(argc - 1, argv + 1);
	if (!sysfs_present()) {
		sysfs_say_absent();
		return EXIT_FAILURE;
	}
	if (!strcmp(argv[1], "list") && argc == 2)
		return region_list();
	if (!strcmp(argv[1], "show") && argc == 3)
		return region_show(argv[2]);
	usage_die("region list, or region show NAME");
}

static int region_open(const char *name, int mode)
{
	char path[PATH_SIZE];
	int fd;

	mount_region_path(name, path, sizeof(path));
	fd = open(path, mode | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static void region_ioctl(int fd, unsigned long request, void *arg, const char *name,
			 const char *what, const char *busy)
{
	if (!ioctl(fd, request, arg))
		return;
	if (errno == ENOTTY)
		die("%s is not a file of dsmfs", name);
	if (errno == EBUSY)
		die("%s: %s: %s", name, what, busy);
	die("%s: %s: %s", name, what, strerror(errno));
}

int verb_place(int argc, char **argv)
{
	struct dsm_ioc_place p = { 0 };
	int next = 3;

	if (argc < 3)
		usage_die("place NAME block PAGES|interleave|node N [START [NR]]");
	if (!strcmp(argv[2], "interleave"))
		p.policy = DSM_PLACE_INTERLEAVE;
	else if (!strcmp(argv[2], "block"))
		p.policy = DSM_PLACE_BLOCK;
	else if (!strcmp(argv[2], "node"))
		p.policy = DSM_PLACE_NODE;
	else
		usage_die("place: \"%s\" is no policy: block, interleave or node", argv[2]);
	if (p.policy != DSM_PLACE_INTERLEAVE) {
		uint64_t n;

		if (argc < 4)
			usage_die("place: %s needs a number", argv[2]);
		n = arg_number(argv[2], argv[next++]);
		if (p.policy == DSM_PLACE_BLOCK && !n)
			usage_die("place: a block has at least one page");
		if (p.policy == DSM_PLACE_NODE && n > 0xffff)
			usage_die("place: there is no node %s", argv[3]);
		p.unit = p.policy == DSM_PLACE_BLOCK ? n : 0;
		p.node = p.policy == DSM_PLACE_NODE ? n : 0;
	}
	if (argc > next)
		p.start = arg_number("START", argv[next++]);
	if (argc > next)
		p.nr = arg_number("NR", argv[next++]);
	if (argc > next)
		usage_die("place: \"%s\" is too much", argv[next]);
	region_ioctl(region_open(argv[1], O_RDWR), DSM_IOC_SET_PLACE, &p, argv[1],
		     "cannot be placed",
		     "its pages were used already; place a file before anyone touches it");
	return EXIT_SUCCESS;
}

int verb_evict(int argc, char **argv)
{
	struct dsm_ioc_range range = { 0 };
	struct stat st;
	int fd;

	if (argc < 2 || argc > 4)
		usage_die("evict NAME [START [NR]]");
	fd = region_open(argv[1], O_RDWR);
	if (argc > 2)
		range.start = arg_number("START", argv[2]);
	if (argc > 3)
		range.nr = arg_number("NR", argv[3]);
	else if (!fstat(fd, &st) && (uint64_t)st.st_size / PAGE_BYTES >= range.start)
		range.nr = (st.st_size + PAGE_BYTES - 1) / PAGE_BYTES - range.start;
	region_ioctl(fd, DSM_IOC_EVICT, &range, argv[1], "not all was evicted",
		     "some pages are in use, or no other server has room");
	return EXIT_SUCCESS;
}

int verb_prefetch(int argc, char **argv)
{
	struct dsm_ioc_range range;

	if (argc != 4)
		usage_die("prefetch NAME START NR");
	range.start = arg_number("START", argv[2]);
	range.nr = arg_number("NR", argv[3]);
	region_ioctl(region_open(argv[1], O_RDONLY), DSM_IOC_PREFETCH, &range, argv[1],
		     "cannot be fetched", strerror(EBUSY));
	return EXIT_SUCCESS;
}

int verb_resident(int argc, char **argv)
{
	struct dsm_ioc_resident r = { .nr = UINT64_MAX };
	const struct {
		const char *name, *meaning;
		const __u64 *nr;
	} line[] = {
		{ "exclusive", "here and nowhere else", &r.exclusive },
		{ "shared", "here, others may have it too", &r.shared },
		{ "moving", "here, about to go", &r.moving },
		{ "remote", "homed here, on other servers", &r.remote },
		{ "untouched", "homed here, never written", &r.untouched },
		{ "elsewhere", "not here, nor homed here", &r.elsewhere },
	};

	if (argc < 2 || argc > 4)
		usage_die("resident NAME [START [NR]]");
	if (argc > 2)
		r.start = arg_number("START", argv[2]);
	if (argc > 3)
		r.nr = arg_number("NR", argv[3]);
	region_ioctl(region_open(argv[1], O_RDONLY), DSM_IOC_RESIDENT, &r, argv[1],
		     "cannot be counted", strerror(EBUSY));
	printf("%-10s %14s  MEANING\n", "STATE", "PAGES");
	for (size_t i = 0; i < ARRAY_SIZE(line); i++)
		printf("%-10s %14llu  %s\n", line[i].name, (unsigned long long)*line[i].nr,
		       line[i].meaning);
	return EXIT_SUCCESS;
}

int verb_page(int argc, char **argv)
{
	static const char * const right[] = { "none", "read", "write" };
	struct dsm_ioc_page p = { 0 };

	if (argc != 3)
		usage_die("page NAME INDEX");
	p.page = arg_number("INDEX", argv[2]);
	region_ioctl(region_open(argv[1], O_RDONLY), DSM_IOC_PAGE, &p, argv[1],
		     "cannot be looked at", strerror(EBUSY));
	printf("page         %llu\nhome         %u\nright        %s\nstate        %.16s\n",
	       (unsigned long long)p.page, p.home, p.right < 3 ? right[p.right] : "?", p.state);
	if (p.dir_state[0])
		printf("directory    %.16s\n", p.dir_state);
	return EXIT_SUCCESS;
}
