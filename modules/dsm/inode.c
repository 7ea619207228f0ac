// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes and the one directory of dsmfs.
 *
 * The directory is the table of the metadata layer: lookup and readdir read it,
 * the rest are ops.  An inode is there only while it is in use, and a dentry is
 * not kept when it is not: what another node changes needs no dentry of ours to
 * be found.  A dentry in use is checked against the table each time.
 *
 * Between a lookup and the open another node may take the name away or make it.
 * So what is not in use here is looked up, created and opened in one go, which
 * begins anew when another node was faster (dir_atomic_open()).  A dentry in use
 * that has gone stale by the open is tried again by the VFS, with LOOKUP_REVAL,
 * and then that way.
 *
 * mkdir, mknod, symlink and link are EPERM: there is one flat directory of
 * regions, and a region has one name.
 */
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "cluster.h"
#include "inode.h"
#include "region.h"

static struct dsm_op *new_op(u8 type)
{
	struct dsm_op *op = kzalloc(sizeof(*op), GFP_KERNEL);

	if (op)
		op->type = type;
	return op;
}

static int run_op(struct super_block *sb, struct dsm_op *op)
{
	int err = dsm_meta_op(dsm_fs_of(sb)->cluster, op);

	/* A syscall interrupted by a fatal signal never returns to see it. */
	return dsm_user_errno(err);
}

static void set_name(char *to, const struct qstr *name)
{
	memcpy(to, name->name, name->len);
	to[name->len] = 0;
}

/* ---- inodes ---- */

/**
 * dsm_inode_refresh() - the attributes of a file have changed
 * @inode:	its inode
 * @f:		the file
 *
 * Context: process, dsm_meta.lock held for writing: it serialises the writers.
 */
void dsm_inode_refresh(struct inode *inode, struct dsm_file *f)
{
	inode->i_mode = f->mode;
	inode->i_uid = make_kuid(&init_user_ns, f->uid);
	inode->i_gid = make_kgid(&init_user_ns, f->gid);
	if (f->shown_ns != f->mtime_ns) {
		f->shown_ns = f->mtime_ns;
		inode_set_mtime_to_ts(inode, ns_to_timespec64(f->mtime_ns));
	}
	inode_set_ctime_to_ts(inode, ns_to_timespec64(f->ctime_ns));
	if (inode->i_nlink != f->nlink)
		set_nlink(inode, f->nlink);
	if (i_size_read(inode) != f->size)
		i_size_write(inode, f->size);
}

static struct inode *get_inode(struct super_block *sb, u32 id)
{
	struct dsm_cluster *c = dsm_fs_of(sb)->cluster;
	struct inode *inode = iget_locked(sb, id);
	struct dsm_region *r;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;
	inode->i_op = &dsm_file_inode_ops;
	inode->i_fop = &dsm_file_ops;
	inode->i_mapping->a_ops = &dsm_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(inode->i_mapping);
	simple_inode_init_ts(inode);
	r = dsm_meta_attach(c, id, inode);
	if (!r) {
		iget_failed(inode);
		return ERR_PTR(-ESTALE);
	}
	unlock_new_inode(inode);
	return inode;
}

/**
 * dsm_inode_evict() - the inode is not needed here any more
 * @inode:	the inode
 *
 * Context: process; sleeps.
 */
void dsm_inode_evict(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (inode->i_private)
		dsm_meta_detach(dsm_cluster_of(inode), inode->i_ino, inode);
	inode->i_private = NULL;
}

int dsm_inode_getattr(struct mnt_idmap *idmap, const struct path *path,
		      struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct dsm_region *r = dsm_inode_region(inode);

	generic_fillattr(idmap, mask, inode, stat);
	stat->blksize = PAGE_SIZE;
	/* What is resident here, as nobody counts it for all. */
	if (r)
		stat->blocks = dsm_region_nr_resident(r) << (PAGE_SHIFT - 9);
	return 0;
}

static void op_set_times(struct dsm_op *op, const struct iattr *attr)
{
	if (attr->ia_valid & ATTR_MTIME) {
		op->flags |= DSM_OF_MTIME;
		op->mtime_ns = timespec64_to_ns(&attr->ia_mtime);
	}
	op->flags |= DSM_OF_CTIME;
	op->ctime_ns = ktime_get_real_ns();
	if (attr->ia_valid & ATTR_SIZE && !(attr->ia_valid & ATTR_MTIME)) {
		op->flags |= DSM_OF_MTIME;
		op->mtime_ns = op->ctime_ns;
	}
}

static void op_set_owner(struct dsm_op *op, struct inode *inode,
			 struct mnt_idmap *idmap, const struct iattr *attr)
{
	if (attr->ia_valid & ATTR_UID) {
		op->flags |= DSM_OF_UID;
		op->uid = from_kuid(&init_user_ns,
				    from_vfsuid(idmap, i_user_ns(inode),
						attr->ia_vfsuid));
	}
	if (attr->ia_valid & ATTR_GID) {
		op->flags |= DSM_OF_GID;
		op->gid = from_kgid(&init_user_ns,
				    from_vfsgid(idmap, i_user_ns(inode),
						attr->ia_vfsgid));
	}
}

static umode_t new_mode(struct inode *inode, struct mnt_idmap *idmap,
			const struct iattr *attr)
{
	umode_t mode = attr->ia_mode;

	if (!in_group_or_capable(idmap, inode, i_gid_into_vfsgid(idmap, inode)))
		mode &= ~S_ISGID;
	return mode;
}

/**
 * dsm_inode_setattr() - change attributes, everywhere
 * @idmap:	of the mount
 * @dentry:	the file
 * @attr:	what to change
 *
 * Context: process, inode lock held; sleeps, killable.
 * Return: 0 or an errno.
 */
int dsm_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct dsm_op *op;
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	op = new_op(DSM_OP_SETATTR);
	if (!op)
		return -ENOMEM;
	op->file = inode->i_ino;
	if (attr->ia_valid & ATTR_MODE) {
		op->flags |= DSM_OF_MODE;
		op->mode = new_mode(inode, idmap, attr);
	}
	if (attr->ia_valid & ATTR_SIZE) {
		op->flags |= DSM_OF_SIZE;
		op->start = attr->ia_size;
	}
	op_set_owner(op, inode, idmap, attr);
	op_set_times(op, attr);
	err = run_op(inode->i_sb, op);
	kfree(op);
	/* It may be the time that the others have already. */
	if (!err && attr->ia_valid & ATTR_MTIME)
		inode_set_mtime_to_ts(inode, attr->ia_mtime);
	if (!err && attr->ia_valid & ATTR_ATIME)
		inode_set_atime_to_ts(inode, attr->ia_atime);
	return err;
}

/**
 * dsm_inode_send_times() - tell the others of writes that left the size alone
 * @inode:	the file
 *
 * A write that makes the file longer carries its time with the size; the others
 * would cost a round through the cluster each, so they are told at the end.
 *
 * Context: process; sleeps, killable.
 * Return: 0 or an errno.
 */
int dsm_inode_send_times(struct inode *inode)
{
	struct dsm_cluster *c = dsm_cluster_of(inode);
	struct timespec64 mtime = inode_get_mtime(inode);
	struct timespec64 ctime = inode_get_ctime(inode);
	struct dsm_attr a;
	struct dsm_op *op;
	int err;

	if (dsm_meta_get(c, inode->i_ino, &a) ||
	    timespec64_to_ns(&mtime) == a.mtime_ns)
		return 0;
	op = new_op(DSM_OP_SETATTR);
	if (!op)
		return -ENOMEM;
	op->file = inode->i_ino;
	op->flags = DSM_OF_MTIME | DSM_OF_CTIME;
	op->mtime_ns = timespec64_to_ns(&mtime);
	op->ctime_ns = timespec64_to_ns(&ctime);
	err = run_op(inode->i_sb, op);
	kfree(op);
	return err;
}

static int extend(struct inode *inode, loff_t start, u64 nr, u32 flags, loff_t *pos)
{
	struct dsm_op *op = new_op(DSM_OP_EXTEND);
	int err;

	if (!op)
		return -ENOMEM;
	op->file = inode->i_ino;
	op->start = start;
	op->nr = nr;
	op->flags = flags | DSM_OF_MTIME | DSM_OF_CTIME;
	op->mtime_ns = ktime_get_real_ns();
	op->ctime_ns = op->mtime_ns;
	err = run_op(inode->i_sb, op);
	if (!err && pos)
		*pos = op->value;
	kfree(op);
	return err;
}

/**
 * dsm_inode_extend() - the file is to be at least so long, everywhere
 * @inode:	the file
 * @end:	bytes
 *
 * Context: process, inode lock held; sleeps, killable.
 * Return: 0 or an errno.
 */
int dsm_inode_extend(struct inode *inode, loff_t end)
{
	if (end <= i_size_read(inode))
		return 0;
	return extend(inode, end, 0, 0, NULL);
}

/**
 * dsm_inode_append() - reserve bytes at the end, wherever that is by now
 * @inode:	the file
 * @len:	bytes
 * @pos:	where they begin
 *
 * Context: process, inode lock held; sleeps, killable.
 * Return: 0 or an errno.
 */
int dsm_inode_append(struct inode *inode, size_t len, loff_t *pos)
{
	return extend(inode, 0, len, DSM_OF_APPEND, pos);
}

/* ---- the directory ---- */

static struct dentry *dir_lookup(struct inode *dir, struct dentry *dentry,
				 unsigned int flags)
{
	struct inode *inode = NULL;
	struct dsm_attr a;
	int err;

	if (dentry->d_name.len > DSM_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = dsm_meta_lookup(dsm_cluster_of(dir), dentry->d_name.name,
			      dentry->d_name.len, &a);
	if (!err)
		inode = get_inode(dir->i_sb, a.id);
	/* Unlinked by another node just now. */
	if (inode == ERR_PTR(-ESTALE))
		inode = NULL;
	return d_splice_alias(inode, dentry);
}

static int dentry_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct inode *inode;
	struct dsm_attr a;
	int err;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	if (IS_ROOT(dentry))
		return 1;
	if (flags & LOOKUP_REVAL && flags & LOOKUP_OPEN)
		return 0;
	err = dsm_meta_lookup(dsm_fs_of(dentry->d_sb)->cluster,
			      dentry->d_name.name, dentry->d_name.len, &a);
	inode = d_inode(dentry);
	return inode ? !err && a.id == inode->i_ino : err == -ENOENT;
}

const struct dentry_operations dsm_dentry_ops = {
	.d_revalidate = dentry_revalidate,
	.d_delete = always_delete_dentry,
};

static void dir_touch(struct inode *dir)
{
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
}

/* Return: the new inode; ERR_PTR(-EEXIST) if another node was faster. */
static struct inode *create_file(struct inode *dir, const struct qstr *name,
				 umode_t mode)
{
	struct dsm_op *op = new_op(DSM_OP_CREATE);
	struct inode *inode;
	int err;

	if (!op)
		return ERR_PTR(-ENOMEM);
	set_name(op->name, name);
	op->mode = mode;
	op->uid = from_kuid(&init_user_ns, current_fsuid());
	op->gid = from_kgid(&init_user_ns, dir->i_mode & S_ISGID ? dir->i_gid :
							   current_fsgid());
	op->mtime_ns = ktime_get_real_ns();
	op->ctime_ns = op->mtime_ns;
	err = run_op(dir->i_sb, op);
	inode = err ? ERR_PTR(err) : get_inode(dir->i_sb, op->value);
	kfree(op);
	if (!err)
		dir_touch(dir);
	return inode;
}

/* mknod(2); open(2) comes to dir_atomic_open(). */
static int dir_create(struct mnt_idmap *idmap, struct inode *dir,
		      struct dentry *dentry, umode_t mode, bool excl)
{
	struct inode *inode;

	if (dentry->d_name.len > DSM_NAME_MAX)
		return -ENAMETOOLONG;
	inode = create_file(dir, &dentry->d_name, mode);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	return 0;
}

/* So often in a row another node may be faster. */
#define MAX_RACES	10000

/* Return: the inode, found or new, and opened here: dsm_meta_release(). */
static struct inode *open_or_create(struct inode *dir, const struct qstr *name,
				    unsigned int flags, umode_t mode, bool *created)
{
	struct dsm_cluster *c = dsm_cluster_of(dir);
	struct inode *inode = ERR_PTR(-ESTALE);
	struct dsm_attr a;
	int err;

	for (int i = 0; i < MAX_RACES && !fatal_signal_pending(current); i++) {
		err = dsm_meta_lookup(c, name->name, name->len, &a);
		if (!err && flags & O_CREAT && flags & O_EXCL)
			err = -EEXIST;
		*created = err == -ENOENT && flags & O_CREAT;
		if (err && !*created)
			return ERR_PTR(err);
		inode = *created ? create_file(dir, name, mode) :
				   get_inode(dir->i_sb, a.id);
		err = PTR_ERR_OR_ZERO(inode);
		if (!err) {
			err = dsm_meta_open(c, inode->i_ino);
			if (!err)
				return inode;
			iput(inode);
			inode = ERR_PTR(err);
		}
		if (err != -ESTALE && (err != -EEXIST || flags & O_EXCL))
			break;
	}
	return inode;
}

static int dir_atomic_open(struct inode *dir, struct dentry *dentry,
			   struct file *file, unsigned int flags, umode_t mode)
{
	struct inode *inode;
	unsigned long ino;
	bool created;
	int err;

	if (dentry->d_name.len > DSM_NAME_MAX)
		return -ENAMETOOLONG;
	/* Not there a moment ago; and who shares the directory must not make it be. */
	if (!d_in_lookup(dentry) && !(flags & O_CREAT))
		return -ENOENT;
	inode = open_or_create(dir, &dentry->d_name, flags, mode, &created);
	if (IS_ERR(inode))
		return dsm_user_errno(PTR_ERR(inode));
	ino = inode->i_ino;
	/* A file has one name, and this dentry is the only one for it: no alias. */
	if (d_in_lookup(dentry))
		d_add(dentry, inode);
	else
		d_instantiate(dentry, inode);
	if (created)
		file->f_mode |= FMODE_CREATED;
	err = finish_open(file, dentry, NULL);
	/* The file is open by itself now, or is not. */
	dsm_meta_release(dsm_cluster_of(dir), ino);
	return err;
}

static int dir_unlink(struct inode *dir, struct dentry *dentry)
{
	struct dsm_op *op = new_op(DSM_OP_UNLINK);
	int err;

	if (!op)
		return -ENOMEM;
	set_name(op->name, &dentry->d_name);
	op->file = d_inode(dentry)->i_ino;
	op->ctime_ns = ktime_get_real_ns();
	err = run_op(dir->i_sb, op);
	kfree(op);
	if (!err)
		dir_touch(dir);
	return err;
}

static int dir_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		      struct dentry *old, struct inode *new_dir,
		      struct dentry *new, unsigned int flags)
{
	struct dsm_op *op;
	int err;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	if (new->d_name.len > DSM_NAME_MAX)
		return -ENAMETOOLONG;
	op = new_op(DSM_OP_RENAME);
	if (!op)
		return -ENOMEM;
	set_name(op->name, &old->d_name);
	set_name(op->name2, &new->d_name);
	op->file = d_inode(old)->i_ino;
	op->flags = flags & RENAME_NOREPLACE ? DSM_OF_NOREPLACE : 0;
	op->ctime_ns = ktime_get_real_ns();
	err = run_op(old_dir->i_sb, op);
	kfree(op);
	if (!err)
		dir_touch(old_dir);
	return err;
}

/* Positions: 0 and 1 are . and .., then 1 + the id: ids only grow. */
static int dir_iterate(struct file *file, struct dir_context *ctx)
{
	struct dsm_cluster *c = dsm_cluster_of(file_inode(file));
	struct dsm_attr *a;

	if (!dir_emit_dots(file, ctx))
		return 0;
	a = kmalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;
	while (!dsm_meta_next(c, ctx->pos - 2, a)) {
		/* Where this one is found again, whatever was before it. */
		ctx->pos = 1 + (loff_t)a->id;
		if (!dir_emit(ctx, a->name, strlen(a->name), a->id, DT_REG))
			break;
		ctx->pos++;
	}
	kfree(a);
	return 0;
}

static int dir_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		       struct iattr *attr)
{
	/* The root directory is this mount's own, as its mode= and uid= are. */
	return simple_setattr(idmap, dentry, attr);
}

static const struct inode_operations dir_inode_ops = {
	.lookup = dir_lookup,
	.atomic_open = dir_atomic_open,
	.create = dir_create,
	.unlink = dir_unlink,
	.rename = dir_rename,
	.setattr = dir_setattr,
	.getattr = simple_getattr,
};

static const struct file_operations dir_ops = {
	.open = generic_file_open,
	.llseek = generic_file_llseek,
	.read = generic_read_dir,
	.iterate_shared = dir_iterate,
	.fsync = noop_fsync,
};

/**
 * dsm_inode_root() - the directory
 * @sb:	the superblock
 *
 * Context: process.
 * Return: its inode, or NULL.
 */
struct inode *dsm_inode_root(struct super_block *sb)
{
	struct dsm_fs *fs = dsm_fs_of(sb);
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = DSM_ROOT_INO;
	inode->i_mode = S_IFDIR | fs->mode;
	inode->i_uid = fs->uid;
	inode->i_gid = fs->gid;
	inode->i_op = &dir_inode_ops;
	inode->i_fop = &dir_ops;
	set_nlink(inode, 2);
	simple_inode_init_ts(inode);
	return inode;
}
