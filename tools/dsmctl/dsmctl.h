/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the verbs of dsmctl. */
#ifndef DSMCTL_H
#define DSMCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define PATH_SIZE	4096
#define VALUE_SIZE	4097

/* Exit codes: 0 done; 1 it failed; 2 wrong usage; 3 (status) not a member. */
#define EXIT_USAGE	2
#define EXIT_OUT	3

/* Where sysfs shows the cluster; DSM_SYSFS in the environment replaces it. */
extern const char *sysfs_dir;

/* "dsmctl: " and the message, to the user, and the end. */
__noreturn __printf(1, 2) void die(const char *format, ...);
__noreturn __printf(1, 2) void usage_die(const char *format, ...);

/* ---- sysfs.c ---- */

/* Choose the cluster by name, NULL for the only one. */
void sysfs_select(const char *cluster);
bool sysfs_present(void);
/* To the user, if it is not. */
void sysfs_say_absent(void);
/* Path of a file below the directory of the cluster. */
void sysfs_path(char *path, size_t size, const char *file);
/* Return: 0 or -errno; @value is VALUE_SIZE bytes, "?" on error. */
int sysfs_get(const char *file, char *value);
int sysfs_set(const char *file, const char *value);
uint64_t sysfs_number(const char *file);
/* Names in a directory, sorted, numbers by value; Return: how many. */
int sysfs_list(const char *dir, char ***names);

/* ---- mount.c ---- */

/* The first mount of dsmfs: 0, or -1 if there is none. */
int mount_find(char *path, size_t size);
void mount_make(const char *path);
void mount_drop_all(void);
/* The path of a region: NAME on the first mount, or a path as it is. */
void mount_region_path(const char *name, char *path, size_t size);

/* ---- kmod.c ---- */

bool kmod_loaded(void);
void kmod_load(const char *module, const char *params);
void kmod_unload(void);

/* ---- arg.c ---- */

/* A number, with K, M, G or T (of 1024), or the end with a message. */
uint64_t arg_number(const char *what, const char *text);
void human_size(uint64_t bytes, char *text, size_t size);

/* ---- the verbs; Return: exit code ---- */

int verb_status(int argc, char **argv);
int verb_join(int argc, char **argv);
int verb_leave(int argc, char **argv);
int verb_region(int argc, char **argv);
int verb_place(int argc, char **argv);
int verb_evict(int argc, char **argv);
int verb_resident(int argc, char **argv);
int verb_prefetch(int argc, char **argv);
int verb_page(int argc, char **argv);
int verb_share(int argc, char **argv);

#endif
