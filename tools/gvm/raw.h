/* SPDX-License-Identifier: GPL-2.0 */
/* System calls that libgvm.so overrides, without the override. */
#ifndef GVM_RAW_H
#define GVM_RAW_H

#include <sys/syscall.h>
#include <unistd.h>

/** gvm_raw_ioctl() - ioctl(2): -1 and errno, or the result */
static inline int gvm_raw_ioctl(int fd, unsigned long request, void *arg)
{
	return syscall(SYS_ioctl, fd, request, arg);
}

/** gvm_raw_mmap() - mmap(2) */
static inline void *gvm_raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

/** gvm_raw_munmap() - munmap(2) */
static inline int gvm_raw_munmap(void *addr, size_t len)
{
	return syscall(SYS_munmap, addr, len);
}

#endif
