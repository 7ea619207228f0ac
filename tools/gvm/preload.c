// SPDX-License-Identifier: GPL-2.0
/*
 * libgvm.so: what it overrides in the VMM.
 *
 * A file descriptor is the VM's if KVM_CREATE_VM returned it, a vCPU's if we did; any other on
 * which a KVM request is made is taken for /dev/kvm. Everything else passes.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "raw.h"
#include "vmm.h"

#define PUBLIC __attribute__((visibility("default")))

static bool enabled;

__attribute__((constructor)) static void begin(void)
{
	const char *conf = getenv(GVM_CONF_ENV);

	if (!conf)
		return;
	gvm_vmm_init(conf);
	enabled = true;
	/* The VMM's children are not VMMs. */
	unsetenv("LD_PRELOAD");
	unsetenv(GVM_CONF_ENV);
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int id;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!enabled || _IOC_TYPE(request) != KVMIO)
		return gvm_raw_ioctl(fd, request, arg);
	if (!gvm_vmm_active())
		return gvm_vmm_system(fd, request, arg);
	if (fd == vmm.m.vm_fd)
		return gvm_vmm_ioctl(fd, request, arg);
	id = gvm_vmm_vcpu_of(fd);
	if (id >= 0)
		return gvm_vmm_vcpu(id, request, arg);
	return gvm_vmm_system(fd, request, arg);
}

PUBLIC void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	int id = enabled && fd >= 0 && gvm_vmm_active() ? gvm_vmm_vcpu_of(fd) : -1;
	void *p;

	if (id >= 0)
		fd = gvm_remote_file(id);
	p = gvm_raw_mmap(addr, len, prot, flags, fd, offset);
	if (id >= 0 && p != MAP_FAILED && !offset)
		gvm_remote_mapped(id, p, len);
	if (enabled && p != MAP_FAILED)
		gvm_ram_mapped(p, len, prot, flags, fd, offset);
	return p;
}

PUBLIC void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap64")));

PUBLIC int munmap(void *addr, size_t len)
{
	/* First: as soon as it is free, another thread's mapping may be there. */
	if (enabled && len) {
		gvm_ram_unmapped(addr, len);
		gvm_remote_unmapped(addr, len);
	}
	return gvm_raw_munmap(addr, len);
}
