// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/coherent-test: pages whose rights are granted at a fault and taken back by
 * an ioctl, with the hook of patches/linux-6.12 or, for comparison, with fault
 * and page_mkwrite.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm_coherent.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "coherent_test.h"

struct ct_device ct;

/* Return: the page of the fault, locked, with a reference and the right. */
static struct page *grant(struct vm_fault *vmf, u8 right)
{
	struct page *page;

	if (vmf->pgoff >= CT_NR_PAGES)
		return NULL;
	page = ct.page[vmf->pgoff];
	get_page(page);
	lock_page(page);
	page->mapping = &ct.mapping;
	page->index = vmf->pgoff;
	ct.right[vmf->pgoff] = max_t(u8, ct.right[vmf->pgoff], right);
	return page;
}

static bool is_write(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED;
}

static vm_fault_t ct_coherent_fault(struct vm_fault *vmf)
{
	struct page *page = grant(vmf, is_write(vmf) ? CT_WRITE : CT_READ);
	vm_fault_t ret;

	if (!page)
		return VM_FAULT_SIGBUS;
	atomic64_inc(&ct.hook);
	if (vmf->flags & FAULT_FLAG_VMA_LOCK)
		atomic64_inc(&ct.hook_vma);
	ret = vm_coherent_map(vmf, vmf->address, page,
			      ct.right[vmf->pgoff] == CT_WRITE);
	unlock_page(page);
	put_page(page);
	return ret;
}

static vm_fault_t ct_fault(struct vm_fault *vmf)
{
	vmf->page = grant(vmf, is_write(vmf) ? CT_WRITE : CT_READ);
	atomic64_inc(&ct.fault);
	return vmf->page ? VM_FAULT_LOCKED : VM_FAULT_SIGBUS;
}

static vm_fault_t ct_page_mkwrite(struct vm_fault *vmf)
{
	struct page *page = grant(vmf, CT_WRITE);

	atomic64_inc(&ct.mkwrite);
	if (!page)
		return VM_FAULT_SIGBUS;
	put_page(page);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct hook_ops = {
	.fault = ct_fault,
	.coherent_fault = ct_coherent_fault,
};

static const struct vm_operations_struct plain_ops = {
	.fault = ct_fault,
	.page_mkwrite = ct_page_mkwrite,
};

static bool hook_on = true;

static int ct_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = READ_ONCE(hook_on) ? &hook_ops : &plain_ops;
	vm_flags_set(vma, VM_MIXEDMAP);
	return 0;
}

static int ct_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;
	ct.mapping.host = inode;
	file->f_mapping = &ct.mapping;
	return 0;
}

static int ct_release(struct inode *inode, struct file *file)
{
	ct_unwatch(file);
	return 0;
}

static long do_revoke(void __user *arg)
{
	struct ct_revoke r;
	long err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	err = ct_revoke(&r);
	if (err)
		return err;
	return copy_to_user(arg, &r, sizeof(r)) ? -EFAULT : 0;
}

static long do_pin(void __user *arg)
{
	struct ct_pin p;

	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	return ct_pin(&p);
}

static long do_wait(void __user *arg)
{
	struct ct_wait w;
	long err;

	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	err = ct_wait(&w);
	if (err)
		return err;
	return copy_to_user(arg, &w, sizeof(w)) ? -EFAULT : 0;
}

static long do_stats(void __user *arg)
{
	struct ct_stats s = {
		.hook = atomic64_read(&ct.hook),
		.hook_vma = atomic64_read(&ct.hook_vma),
		.fault = atomic64_read(&ct.fault),
		.mkwrite = atomic64_read(&ct.mkwrite),
		.windows = atomic64_read(&ct.windows),
		.window_pages = atomic64_read(&ct.window_pages),
	};

	return copy_to_user(arg, &s, sizeof(s)) ? -EFAULT : 0;
}

static long ct_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case CT_REVOKE:
		return do_revoke((void __user *)arg);
	case CT_PIN:
		return do_pin((void __user *)arg);
	case CT_STATS:
		return do_stats((void __user *)arg);
	case CT_HOOK:
		WRITE_ONCE(hook_on, arg);
		return 0;
	case CT_WATCH:
		return ct_watch(file);
	case CT_WAIT:
		return do_wait((void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations ct_fops = {
	.owner = THIS_MODULE,
	.open = ct_open,
	.release = ct_release,
	.mmap = ct_mmap,
	.unlocked_ioctl = ct_ioctl,
	.llseek = noop_llseek,
};

static const struct address_space_operations ct_aops = {
	.dirty_folio = noop_dirty_folio,
};

static struct miscdevice ct_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "coherent-test",
	.fops = &ct_fops,
};

static void free_pages_all(void)
{
	for (unsigned int i = 0; i < CT_NR_PAGES && ct.page[i]; i++) {
		ct.page[i]->mapping = NULL;
		put_page(ct.page[i]);
	}
}

static int __init ct_init(void)
{
	int err = -ENOMEM;

	address_space_init_once(&ct.mapping);
	ct.mapping.a_ops = &ct_aops;
	mapping_set_gfp_mask(&ct.mapping, GFP_HIGHUSER);
	mapping_set_unevictable(&ct.mapping);
	for (unsigned int i = 0; i < CT_NR_PAGES; i++) {
		ct.page[i] = alloc_page(GFP_USER | __GFP_ZERO);
		if (!ct.page[i])
			goto free;
	}
	err = misc_register(&ct_misc);
	if (!err) {
		mm_coherent_get();
		return 0;
	}
free:
	free_pages_all();
	return err;
}
module_init(ct_init);

static void __exit ct_exit(void)
{
	misc_deregister(&ct_misc);
	mm_coherent_put();
	free_pages_all();
}
module_exit(ct_exit);

MODULE_DESCRIPTION("Test of coherent mappings");
MODULE_AUTHOR("MemOS developers");
MODULE_LICENSE("GPL");
