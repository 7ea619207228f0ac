/* SPDX-License-Identifier: GPL-2.0 */
/* Inodes, files and the superblock of dsmfs. */
#ifndef DSM_INODE_H
#define DSM_INODE_H

#include <linux/fs.h>

#include "meta.h"

#define DSM_ROOT_INO	0xffffffffUL

/**
 * struct dsm_fs - a superblock of dsmfs
 * @cluster:	the cluster
 * @mode:	permissions of the root directory
 * @uid:	its owner
 * @gid:	its group
 * @size:	what statfs says, bytes; 0: what the members may keep
 */
struct dsm_fs {
	struct dsm_cluster *cluster;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	u64 size;
};

static inline struct dsm_fs *dsm_fs_of(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct dsm_cluster *dsm_cluster_of(struct inode *inode)
{
	return dsm_fs_of(inode->i_sb)->cluster;
}

/**
 * dsm_user_errno() - of a metadata operation or a page, for a system call
 * @err:	0 or an errno
 *
 * A server that does not answer, or that this one is cut off from, is EIO to programs.
 */
static inline int dsm_user_errno(int err)
{
	return err == -ETIMEDOUT || err == -ENOTCONN ? -EIO : err;
}

/* inode.c */
extern const struct dentry_operations dsm_dentry_ops;
struct inode *dsm_inode_root(struct super_block *sb);
void dsm_inode_evict(struct inode *inode);
/* The attributes have changed; dsm_meta.lock held for writing. */
void dsm_inode_refresh(struct inode *inode, struct dsm_file *f);
/* Tell the others of writes here that did not make the file longer. */
int dsm_inode_send_times(struct inode *inode);
int dsm_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct iattr *attr);
int dsm_inode_getattr(struct mnt_idmap *idmap, const struct path *path,
		      struct kstat *stat, u32 mask, unsigned int flags);

/* file.c */
extern const struct file_operations dsm_file_ops;
extern const struct inode_operations dsm_file_inode_ops;
extern const struct address_space_operations dsm_aops;

/* ioctl.c */
long dsm_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* super.c */
int dsm_fs_init(void);
void dsm_fs_exit(void);

#endif
