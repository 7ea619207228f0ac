// SPDX-License-Identifier: GPL-2.0
/*
 * With core mm's help: a right and its mapping in one step.
 *
 * Normal operation: a missing PTE of a shared mapping, or a write to one that is
 * read-only, comes here as a whole.  We get the right and the page, locked, and
 * map it with all the right there is: a page that this node owns is mapped for
 * writing even if it is only read now, so the write after the read is no fault.
 *
 * Unlike through page_mkwrite, no one holds a reference to the page that was
 * mapped before while we wait for the right to write, and it makes no difference
 * whether the page that comes is the same.
 *
 * Private mappings go through fault.c on every kernel.
 */
#include "coherent.h"

#ifdef CONFIG_MM_COHERENT

#include <linux/mm_coherent.h>
#include <linux/pagemap.h>

#include "cluster_types.h"

static vm_fault_t dsm_vm_coherent_fault(struct vm_fault *vmf)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	u8 right = write ? DSM_RIGHT_WRITE : DSM_RIGHT_READ;
	bool waited = false;
	struct page *page;
	vm_fault_t ret;

	if (!write)
		dsm_fault_ahead(vmf);
	ret = dsm_fault_get_page(vmf, &right, &waited, &page);
	if (ret)
		return ret;
	ret = vm_coherent_map(vmf, page, right == DSM_RIGHT_WRITE);
	if (!write)
		dsm_fault_around(vmf);
	unlock_page(page);
	put_page(page);
	return ret | (waited ? VM_FAULT_MAJOR : 0);
}

static const struct vm_operations_struct dsm_coherent_ops = {
	.fault = dsm_vm_fault, /* of private mappings */
	.coherent_fault = dsm_vm_coherent_fault,
};

/**
 * dsm_coherent_vm_ops() - handlers that use the hook
 * @c:	the cluster
 *
 * Return: the handlers for a mapping that is made, NULL if the hook is off.
 */
const struct vm_operations_struct *dsm_coherent_vm_ops(struct dsm_cluster *c)
{
	return READ_ONCE(c->knobs.fault_hook) ? &dsm_coherent_ops : NULL;
}

/**
 * dsm_coherent_set() - the pages of a file may be taken back at any time
 * @mapping:	of the file
 */
void dsm_coherent_set(struct address_space *mapping)
{
	mapping_set_coherent(mapping);
}

#endif
