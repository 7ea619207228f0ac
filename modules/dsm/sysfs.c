// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/fs/dsm: the tree.
 *
 * Life: a directory is one allocation, freed by the release of its kobject.
 * What it shows is the cluster's; kobject_del() waits for those who read or
 * write, hence dsm_sysfs_*_del() comes before what is shown is freed.  A file
 * that someone keeps open gives ENODEV from then on.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sysfs.h"
#include "sysfs_types.h"

/* /sys/fs/dsm */
static struct kobject *dsm_root;

static ssize_t dsm_sysfs_show(struct kobject *kobj, struct attribute *attr,
			      char *buf)
{
	struct dsm_kattr *a = container_of(attr, struct dsm_kattr, attr);

	if (!a->show)
		return -EIO;
	return a->show(container_of(kobj, struct dsm_kobj, kobj), a, buf);
}

static ssize_t dsm_sysfs_store(struct kobject *kobj, struct attribute *attr,
			       const char *buf, size_t len)
{
	struct dsm_kattr *a = container_of(attr, struct dsm_kattr, attr);

	if (!a->store)
		return -EIO;
	return a->store(container_of(kobj, struct dsm_kobj, kobj), a, buf, len);
}

const struct sysfs_ops dsm_sysfs_ops = {
	.show = dsm_sysfs_show,
	.store = dsm_sysfs_store,
};

/**
 * dsm_kobj_release() - the last reference to a directory is gone
 * @kobj:	the directory
 *
 * Context: Any.
 */
void dsm_kobj_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct dsm_kobj, kobj));
}

/* A directory of directories. */
static const struct kobj_type dsm_dir_ktype = {
	.release = dsm_kobj_release,
	.sysfs_ops = &dsm_sysfs_ops,
};

/**
 * dsm_kobj_alloc() - a directory that is not in the tree yet
 * @c:	the cluster it is about
 *
 * Context: Process, may sleep.
 * Return: the directory for dsm_kobj_add(), or NULL.
 */
struct dsm_kobj *dsm_kobj_alloc(struct dsm_cluster *c)
{
	struct dsm_kobj *k = kzalloc(sizeof(*k), GFP_KERNEL);

	if (k)
		k->cluster = c;
	return k;
}

/**
 * dsm_kobj_add() - make a directory with its files
 * @k:		from dsm_kobj_alloc(); freed on error
 * @type:	what files
 * @parent:	where, NULL for /sys/fs/dsm
 * @name:	its name
 *
 * Context: Process, may sleep.
 * Return: 0 or an errno.
 */
int dsm_kobj_add(struct dsm_kobj *k, const struct kobj_type *type,
		 struct dsm_kobj *parent, const char *name)
{
	int err;

	err = kobject_init_and_add(&k->kobj, type,
				   parent ? &parent->kobj : dsm_root, "%s", name);
	if (err)
		kobject_put(&k->kobj);
	return err;
}

/**
 * dsm_kobj_del() - remove a directory and wait for its users
 * @k:	the directory, or NULL
 *
 * Context: Process, sleeps.
 */
void dsm_kobj_del(struct dsm_kobj *k)
{
	if (!k)
		return;
	kobject_del(&k->kobj);
	kobject_put(&k->kobj);
}

/**
 * dsm_sysfs_parse_do() - is it a request to do what the file is for?
 * @buf:	what was written
 *
 * Return: 0 or -EINVAL.
 */
int dsm_sysfs_parse_do(const char *buf)
{
	u8 value;

	return kstrtou8(buf, 0, &value) || value != 1 ? -EINVAL : 0;
}

static int dsm_dir_make(struct dsm_kobj **where, struct dsm_cluster *c,
			const struct kobj_type *type, struct dsm_kobj *parent,
			const char *name)
{
	struct dsm_kobj *k = dsm_kobj_alloc(c);
	int err;

	if (!k)
		return -ENOMEM;
	err = dsm_kobj_add(k, type, parent, name);
	if (!err)
		*where = k;
	return err;
}

static int dsm_sysfs_make_tree(struct dsm_cluster *c, struct dsm_sysfs *s)
{
	int err;

	if (strcmp(c->name, "dsm")) {
		err = dsm_dir_make(&s->top, c, &dsm_dir_ktype, NULL, c->name);
		if (err)
			return err;
	}
	err = dsm_dir_make(&s->cluster, c, &dsm_cluster_ktype, s->top, "cluster");
	if (err)
		return err;
	err = dsm_dir_make(&s->latency, c, &dsm_latency_ktype, s->cluster,
			   "latency");
	if (err)
		return err;
	err = dsm_dir_make(&s->peers, c, &dsm_dir_ktype, s->top, "peers");
	if (err)
		return err;
	err = dsm_dir_make(&s->regions, c, &dsm_dir_ktype, s->top, "regions");
	if (err)
		return err;
	return dsm_dir_make(&s->knobs, c, &dsm_knobs_ktype, s->top, "knobs");
}

static void dsm_sysfs_drop_tree(struct dsm_sysfs *s)
{
	unsigned int i;

	for (i = 0; i < DSM_MAX_NODES; i++)
		dsm_kobj_del(s->peer[i]);
	dsm_kobj_del(s->knobs);
	dsm_kobj_del(s->regions);
	dsm_kobj_del(s->peers);
	dsm_kobj_del(s->latency);
	dsm_kobj_del(s->cluster);
	dsm_kobj_del(s->top);
	kfree(s);
}

/**
 * dsm_sysfs_cluster_add() - show a cluster
 * @c:	the cluster, set up
 *
 * Context: Process, may sleep.
 * Return: 0 or an errno.
 */
int dsm_sysfs_cluster_add(struct dsm_cluster *c)
{
	struct dsm_sysfs *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -ENOMEM;
	err = dsm_sysfs_make_tree(c, s);
	if (err) {
		pr_err("%s: cannot be shown in sysfs: %d\n", c->name, err);
		dsm_sysfs_drop_tree(s);
		return err;
	}
	c->kobj = &s->cluster->kobj;
	c->sysfs = s;
	return 0;
}

/**
 * dsm_sysfs_cluster_del() - show a cluster no more
 * @c:	the cluster
 *
 * Context: Process, sleeps; see sysfs.h for the locks.
 */
void dsm_sysfs_cluster_del(struct dsm_cluster *c)
{
	struct dsm_sysfs *s = c->sysfs;

	if (!s)
		return;
	c->sysfs = NULL;
	c->kobj = NULL;
	dsm_sysfs_drop_tree(s);
}

/**
 * dsm_sysfs_init() - make /sys/fs/dsm
 *
 * Context: Process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int dsm_sysfs_init(void)
{
	dsm_root = kobject_create_and_add("dsm", fs_kobj);
	return dsm_root ? 0 : -ENOMEM;
}

/**
 * dsm_sysfs_exit() - remove /sys/fs/dsm; all clusters were deleted
 *
 * Context: Process, may sleep.
 */
void dsm_sysfs_exit(void)
{
	kobject_put(dsm_root);
	dsm_root = NULL;
}
