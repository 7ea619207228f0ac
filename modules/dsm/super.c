// SPDX-License-Identifier: GPL-2.0
/*
 * The superblock of dsmfs: one a cluster, however often it is mounted.
 *
 *	mount -t dsmfs none /dev/dsm [-o cluster=NAME,mode=,uid=,gid=,size=]
 *
 * Mounting waits until this node is a member, join_timeout_ms at most.  Umount
 * leaves pages and membership alone: others may go on.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>

#include "cluster.h"
#include "inode.h"
#include "uapi/dsm.h"


/**
 * struct options - of a mount being made
 * @fs:		what the superblock gets
 * @name:	of the cluster, or NULL
 */
struct options {
	struct dsm_fs fs;
	char *name;
};

enum { OPT_CLUSTER, OPT_MODE, OPT_UID, OPT_GID, OPT_SIZE };

static const struct fs_parameter_spec params[] = {
	fsparam_string("cluster", OPT_CLUSTER),
	fsparam_u32oct("mode", OPT_MODE),
	fsparam_uid("uid", OPT_UID),
	fsparam_gid("gid", OPT_GID),
	fsparam_string("size", OPT_SIZE),
	{}
};

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct options *o = fc->fs_private;
	struct fs_parse_result result;
	char *rest;
	int opt = fs_parse(fc, params, param, &result);

	if (opt < 0)
		return opt;
	switch (opt) {
	case OPT_CLUSTER:
		kfree(o->name);
		o->name = param->string;
		param->string = NULL;
		break;
	case OPT_MODE:
		o->fs.mode = result.uint_32 & S_IALLUGO;
		break;
	case OPT_UID:
		o->fs.uid = result.uid;
		break;
	case OPT_GID:
		o->fs.gid = result.gid;
		break;
	case OPT_SIZE:
		o->fs.size = memparse(param->string, &rest);
		if (*rest)
			return invalf(fc, "size=%s is not a number of bytes",
				      param->string);
		break;
	}
	return 0;
}

/* ---- the superblock ---- */

static int fs_statfs(struct dentry *dentry, struct kstatfs *st)
{
	struct dsm_fs *fs = dsm_fs_of(dentry->d_sb);
	struct dsm_cluster *c = fs->cluster;
	u64 mb = READ_ONCE(c->knobs.memory_limit_mb);
	u64 limit = mb ? mb << (20 - PAGE_SHIFT) : totalram_pages() / 2;
	u64 used = atomic_long_read(&c->nr_resident);
	struct dsm_nodeset members;

	/* The members are taken to be alike; used is what is resident here. */
	dsm_cluster_members(c, &members);
	st->f_type = DSM_SUPER_MAGIC;
	st->f_bsize = PAGE_SIZE;
	st->f_namelen = DSM_NAME_MAX;
	st->f_blocks = fs->size ? fs->size >> PAGE_SHIFT :
				  limit * max_t(u64, dsm_nodeset_weight(&members), 1);
	st->f_bfree = st->f_blocks - min(used, st->f_blocks);
	st->f_bavail = st->f_bfree;
	st->f_files = dsm_meta_nr_files(c);
	st->f_fsid = u64_to_fsid(((u64)c->self << 32) | c->incarnation);
	return 0;
}

static int fs_show_options(struct seq_file *m, struct dentry *root)
{
	struct dsm_fs *fs = dsm_fs_of(root->d_sb);

	seq_show_option(m, "cluster", fs->cluster->name);
	seq_printf(m, ",mode=%03o", fs->mode);
	if (!uid_eq(fs->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u", from_kuid_munged(&init_user_ns, fs->uid));
	if (!gid_eq(fs->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u", from_kgid_munged(&init_user_ns, fs->gid));
	if (fs->size)
		seq_printf(m, ",size=%llu", fs->size);
	return 0;
}

static const struct super_operations super_ops = {
	.drop_inode = generic_delete_inode,
	.evict_inode = dsm_inode_evict,
	.statfs = fs_statfs,
	.show_options = fs_show_options,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = DSM_SUPER_MAGIC;
	sb->s_op = &super_ops;
	sb->s_d_op = &dsm_dentry_ops;
	sb->s_time_gran = 1;
	sb->s_root = d_make_root(dsm_inode_root(sb));
	return sb->s_root ? 0 : -ENOMEM;
}

static int is_same(struct super_block *sb, struct fs_context *fc)
{
	return dsm_fs_of(sb)->cluster == ((struct dsm_fs *)fc->s_fs_info)->cluster;
}

static struct dsm_cluster *find_cluster(struct fs_context *fc,
					const struct options *o)
{
	struct dsm_cluster *c = dsm_cluster_find(o->name);
	u32 ms;
	int err;

	if (!c) {
		errorf(fc, "no cluster '%s' here: load dsm.ko with node= and peers=",
		       o->name ?: "");
		return ERR_PTR(-ENODEV);
	}
	ms = READ_ONCE(c->knobs.join_timeout_ms);
	err = dsm_cluster_wait_joined(c, ms);
	if (err == -ETIMEDOUT)
		errorf(fc, "no majority of the peers after %u ms: see dmesg, /sys/fs/dsm/peers", ms);
	else if (err == -ENOTCONN)
		errorf(fc, "this node has left the cluster: rmmod dsm and load it again");
	return err ? ERR_PTR(err) : c;
}

static int get_tree(struct fs_context *fc)
{
	struct options *o = fc->fs_private;
	struct super_block *sb;
	struct dsm_cluster *c;
	struct dsm_fs *fs;
	int err;

	c = find_cluster(fc, o);
	if (IS_ERR(c))
		return PTR_ERR(c);
	fs = kmemdup(&o->fs, sizeof(*fs), GFP_KERNEL);
	if (!fs)
		return -ENOMEM;
	fs->cluster = c;
	err = dsm_cluster_mount(c);
	if (err) {
		kfree(fs);
		return err;
	}
	fc->s_fs_info = fs;
	sb = sget_fc(fc, is_same, set_anon_super_fc);
	/* A new superblock took it over. */
	if (fc->s_fs_info) {
		dsm_cluster_umount(c);
		kfree(fc->s_fs_info);
		fc->s_fs_info = NULL;
	}
	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		err = fill_super(sb, fc);
		if (err) {
			deactivate_locked_super(sb);
			return err;
		}
		sb->s_flags |= SB_ACTIVE;
	}
	fc->root = dget(sb->s_root);
	return 0;
}

static void free_context(struct fs_context *fc)
{
	struct options *o = fc->fs_private;

	if (o)
		kfree(o->name);
	kfree(o);
}

static const struct fs_context_operations context_ops = {
	.parse_param = parse_param,
	.get_tree = get_tree,
	.free = free_context,
};

static int init_context(struct fs_context *fc)
{
	struct options *o = kzalloc(sizeof(*o), GFP_KERNEL);

	if (!o)
		return -ENOMEM;
	o->fs.mode = 01777;
	o->fs.uid = GLOBAL_ROOT_UID;
	o->fs.gid = GLOBAL_ROOT_GID;
	fc->fs_private = o;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct dsm_fs *fs = dsm_fs_of(sb);

	kill_anon_super(sb);
	if (fs)
		dsm_cluster_umount(fs->cluster);
	kfree(fs);
}

static struct file_system_type fs_type = {
	.owner = THIS_MODULE,
	.name = "dsmfs",
	.init_fs_context = init_context,
	.parameters = params,
	.kill_sb = kill_sb,
};
MODULE_ALIAS_FS("dsmfs");

/**
 * dsm_fs_init() - dsmfs can be mounted from now on
 *
 * Context: process.
 * Return: 0 or an errno.
 */
int dsm_fs_init(void)
{
	return register_filesystem(&fs_type);
}

/**
 * dsm_fs_exit() - it cannot any more
 *
 * Context: process.
 */
void dsm_fs_exit(void)
{
	unregister_filesystem(&fs_type);
}
