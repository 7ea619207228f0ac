/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a kernel with patches/linux-6.12 can do for us, and what there is without
 * it.  No other file looks at CONFIG_MM_COHERENT.
 */
#ifndef DSM_COHERENT_H
#define DSM_COHERENT_H

#include <linux/delay.h>
#include <linux/mm.h>

#include "region.h"
#include "uapi/dsm.h"

#ifdef CONFIG_MM_COHERENT

/* Return: the handlers for a mapping to be, or NULL: those of mmap.c. */
const struct vm_operations_struct *dsm_coherent_vm_ops(struct dsm_cluster *c);
int dsm_coherent_start(struct dsm_cluster *c);
void dsm_coherent_stop(struct dsm_cluster *c);
/* Return: is the revocation that just began done together with others? */
bool dsm_coherent_revoke(struct dsm_entry *e);
/* Sleep until a pin of the page ends and it is unused, @us at least if not. */
void dsm_coherent_pause(struct page *page, u8 right, unsigned int us);
/* Memory of a process becomes pages of the file: 0 or an errno. */
int dsm_coherent_adopt(struct file *file, const struct dsm_ioc_adopt *what);

#else

static inline const struct vm_operations_struct *
dsm_coherent_vm_ops(struct dsm_cluster *c)
{
	return NULL;
}

static inline int dsm_coherent_start(struct dsm_cluster *c)
{
	return 0;
}

static inline void dsm_coherent_stop(struct dsm_cluster *c)
{
}

static inline bool dsm_coherent_revoke(struct dsm_entry *e)
{
	return false;
}

static inline void dsm_coherent_pause(struct page *page, u8 right, unsigned int us)
{
	usleep_range(us, 2 * us);
}

static inline int dsm_coherent_adopt(struct file *file,
				     const struct dsm_ioc_adopt *what)
{
	return -EOPNOTSUPP;
}

#endif

/* Provided by mmap.c for the handlers, wherever they are. */
void dsm_vma_kind(struct dsm_cluster *c, const struct vm_operations_struct **vm_ops,
		  vm_flags_t *vm_flags);
vm_fault_t dsm_fault_get_page(struct vm_fault *vmf, u8 *right, unsigned int flags,
			      bool *waited, struct page **page);
void dsm_fault_ahead(struct vm_fault *vmf, u8 right);
void dsm_fault_around(struct vm_fault *vmf, u8 right,
		      bool (*map)(struct vm_fault *vmf, unsigned long addr,
				  struct page *page, u8 right));
vm_fault_t dsm_vm_fault(struct vm_fault *vmf);

#endif
