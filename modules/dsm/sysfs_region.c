// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/dsm/regions/<name>. */
#include <linux/string_helpers.h>

#include "region.h"
#include "sysfs.h"
#include "sysfs_types.h"

static ssize_t region_id_show(struct dsm_kobj *k, const struct dsm_kattr *a,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n", k->region->id);
}
DSM_ATTR_RO(region, id);

static ssize_t region_gen_show(struct dsm_kobj *k, const struct dsm_kattr *a,
			       char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(k->region->gen));
}
DSM_ATTR_RO(region, gen);

static ssize_t region_size_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(k->size));
}
DSM_ATTR_RO(region, size);

static ssize_t region_nr_resident_show(struct dsm_kobj *k,
				       const struct dsm_kattr *a, char *buf)
{
	return sysfs_emit(buf, "%llu\n", dsm_region_nr_resident(k->region));
}
DSM_ATTR_RO(region, nr_resident);

static ssize_t region_touched_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				   char *buf)
{
	return sysfs_emit(buf, "%d\n", dsm_region_touched(k->region));
}
DSM_ATTR_RO(region, touched);

static int region_emit_policy(char *buf, int len, const struct dsm_place *pl,
			      const struct dsm_range *range)
{
	switch ((enum dsm_policy)range->policy) {
	case DSM_POLICY_BLOCK:
		return sysfs_emit_at(buf, len, "block:%llu\n", range->unit);
	case DSM_POLICY_INTERLEAVE:
		return sysfs_emit_at(buf, len, "interleave\n");
	case DSM_POLICY_NODE:
		return sysfs_emit_at(buf, len, "node:%u\n",
				     pl->node[range->slot % DSM_MAX_NODES]);
	case DSM_NR_POLICIES:
		break;
	}
	return sysfs_emit_at(buf, len, "?\n");
}

/* One range a line; the last one goes on for ever. */
static ssize_t region_place_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	struct dsm_place pl;
	int len = 0;

	dsm_region_get_place(k->region, &pl);
	for (int i = 0; i < pl.nr_ranges; i++) {
		struct dsm_range *range = &pl.range[i];

		if (i == pl.nr_ranges - 1)
			len += sysfs_emit_at(buf, len, "%llu- ", range->start);
		else
			len += sysfs_emit_at(buf, len, "%llu-%llu ", range->start,
					     range->start + range->nr - 1);
		len += region_emit_policy(buf, len, &pl, range);
	}
	return len;
}
DSM_ATTR_RO(region, place);

/* Blocks and interleaved pages go to these nodes in turn. */
static ssize_t region_slots_show(struct dsm_kobj *k, const struct dsm_kattr *a,
				 char *buf)
{
	struct dsm_place pl;
	int len = 0;

	dsm_region_get_place(k->region, &pl);
	for (int i = 0; i < pl.nr_slots; i++)
		len += sysfs_emit_at(buf, len, "%s%u", i ? " " : "", pl.node[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}
DSM_ATTR_RO(region, slots);

static struct attribute *region_attrs[] = {
	&region_attr_id.attr,
	&region_attr_gen.attr,
	&region_attr_size.attr,
	&region_attr_nr_resident.attr,
	&region_attr_touched.attr,
	&region_attr_place.attr,
	&region_attr_slots.attr,
	NULL,
};

ATTRIBUTE_GROUPS(region);

DSM_KTYPE(region);

/**
 * dsm_sysfs_region_add() - show a region
 * @r:		the region; lives until dsm_sysfs_region_del()
 * @name:	its name
 *
 * Context: Process, may sleep.
 * Return: 0 or an errno.
 */
int dsm_sysfs_region_add(struct dsm_region *r, const char *name)
{
	struct dsm_sysfs *s = r->cluster->sysfs;
	struct dsm_kobj *k;
	int err;

	if (!s || r->kobj)
		return -EINVAL;
	k = dsm_kobj_alloc(r->cluster);
	if (!k)
		return -ENOMEM;
	k->region = r;
	err = dsm_kobj_add(k, &dsm_region_ktype, s->regions, name);
	if (!err)
		r->kobj = &k->kobj;
	return err;
}

/**
 * dsm_sysfs_region_rename() - a region has another name
 * @r:		the region
 * @name:	its name
 *
 * Context: Process, may sleep.
 * Return: 0 or an errno.
 */
int dsm_sysfs_region_rename(struct dsm_region *r, const char *name)
{
	int err = r->kobj ? kobject_rename(r->kobj, name) : -ENOENT;

	/* Rather none than a wrong name, which another region may want. */
	if (err)
		dsm_sysfs_region_del(r);
	return err;
}

/**
 * dsm_sysfs_region_resize() - a region has another size
 * @r:		the region
 * @size:	bytes
 *
 * Context: Not concurrently with add and del.
 */
void dsm_sysfs_region_resize(struct dsm_region *r, u64 size)
{
	if (r->kobj)
		WRITE_ONCE(container_of(r->kobj, struct dsm_kobj, kobj)->size,
			   size);
}

/**
 * dsm_sysfs_region_del() - show a region no more
 * @r:	the region
 *
 * Context: Process, sleeps; see sysfs.h for the locks.
 */
void dsm_sysfs_region_del(struct dsm_region *r)
{
	if (!r->kobj)
		return;
	dsm_kobj_del(container_of(r->kobj, struct dsm_kobj, kobj));
	r->kobj = NULL;
}
