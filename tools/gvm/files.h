/* SPDX-License-Identifier: GPL-2.0 */
/* Files of a VM: its regions below dsmfs, its state below GVM_RUN_DIR. */
#ifndef GVM_FILES_H
#define GVM_FILES_H

#include <stddef.h>
#include <stdint.h>

#define GVM_RUN_DIR	"/run/gvm"

/**
 * gvm_files_create() - make a region's file
 * @dir:	where dsmfs is mounted
 * @name:	file
 * @size:	bytes
 * @node:	dsm node that is the home of its pages, -1: this one
 *
 * Return: its descriptor, or -errno.
 */
int gvm_files_create(const char *dir, const char *name, uint64_t size, int node);

/** gvm_files_remove() - unlink a VM's regions: all files @vm.* in @dir */
void gvm_files_remove(const char *dir, const char *vm);

/** gvm_files_remove_own() - likewise, those of @nr inode numbers only */
void gvm_files_remove_own(const char *dir, const char *vm, const uint64_t *ino, unsigned int nr);

/** gvm_files_own_node() - this server's dsm node, or -1 */
int gvm_files_own_node(void);

/** gvm_files_node() - the dsm node with an IPv4 address (network order), or -1 */
int gvm_files_node(uint32_t addr);

#endif
