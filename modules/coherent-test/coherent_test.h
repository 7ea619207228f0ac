/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COHERENT_TEST_H
#define COHERENT_TEST_H

#include <linux/fs.h>
#include <linux/mm.h>

#include "uapi.h"

enum ct_right { CT_NONE, CT_READ, CT_WRITE };

/**
 * struct ct_device - the one device
 * @mapping:	of all its files
 * @page:	its pages; @right of a page is protected by the page lock
 * @right:	enum ct_right: what was granted
 * @hook:	statistics, as the rest; see struct ct_stats
 */
struct ct_device {
	struct address_space mapping;
	struct page *page[CT_NR_PAGES];
	u8 right[CT_NR_PAGES];
	atomic64_t hook;
	atomic64_t hook_vma;
	atomic64_t fault;
	atomic64_t mkwrite;
	atomic64_t windows;
	atomic64_t window_pages;
};

extern struct ct_device ct;

long ct_revoke(struct ct_revoke *r);
long ct_pin(const struct ct_pin *p);
long ct_wait(struct ct_wait *w);
long ct_watch(struct file *file);
void ct_unwatch(struct file *file);

#endif
