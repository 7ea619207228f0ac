/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* ioctls of /dev/coherent-test, for tools/testing/selftests/dsm/coherent.c. */
#ifndef COHERENT_TEST_UAPI_H
#define COHERENT_TEST_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Pages of the device. */
#define CT_NR_PAGES	1024
/* Pages of one CT_REVOKE at most. */
#define CT_MAX_BATCH	64

/**
 * struct ct_revoke - take a right back from some pages
 * @first:	the first page
 * @stride:	distance to the next
 * @nr:		how many
 * @wrprotect:	leave the right to read
 * @batched:	all at once; else one by one, as on a kernel without the patches
 * @check_us:	watch the pages for so long before others may have them again
 * @ns:		out: how long it took, without the watching
 * @changed:	out: pages that someone wrote to without the right
 */
struct ct_revoke {
	__u32 first;
	__u32 stride;
	__u32 nr;
	__u32 wrprotect;
	__u32 batched;
	__u32 check_us;
	__u64 ns;
	__u64 changed;
};

/**
 * struct ct_pin - pin a page of the caller's, and let it go
 * @addr:	where it is mapped
 * @write:	for writing
 * @longterm:	without a promise to let it go soon
 * @hold_us:	how long to hold it
 */
struct ct_pin {
	__u64 addr;
	__u32 write;
	__u32 longterm;
	__u64 hold_us;
};

/**
 * struct ct_wait - wait for a page that is pinned
 * @page:	the page
 * @poll:	look now and then, as on a kernel without the patches
 * @ns:		out: how long after the pin's end that was noticed
 */
struct ct_wait {
	__u32 page;
	__u32 poll;
	__u64 ns;
};

/**
 * struct ct_stats - what has happened since the module was loaded
 * @hook:	calls of coherent_fault
 * @hook_vma:	… of them under the VMA lock
 * @fault:	calls of fault
 * @mkwrite:	calls of page_mkwrite
 * @windows:	mmu notifier windows over the device's mappings since CT_WATCH
 * @window_pages: their sizes, summed up
 */
struct ct_stats {
	__u64 hook;
	__u64 hook_vma;
	__u64 fault;
	__u64 mkwrite;
	__u64 windows;
	__u64 window_pages;
};

/*
 * HOOK		0 or 1: do mappings of this file to come use the hook?
 * WATCH	count the mmu notifier windows of the calling process
 */
#define CT_REVOKE	_IOWR(0xd6, 1, struct ct_revoke)
#define CT_PIN		_IOW(0xd6, 2, struct ct_pin)
#define CT_STATS	_IOR(0xd6, 3, struct ct_stats)
#define CT_HOOK		_IO(0xd6, 4)
#define CT_WATCH	_IO(0xd6, 5)
#define CT_WAIT		_IOWR(0xd6, 6, struct ct_wait)

#endif
