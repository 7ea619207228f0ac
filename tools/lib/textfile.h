/* SPDX-License-Identifier: GPL-2.0 */
/* Files of one short text: sysfs, debugfs. */
#ifndef TOOLS_LIB_TEXTFILE_H
#define TOOLS_LIB_TEXTFILE_H

#include <stddef.h>

/**
 * textfile_read() - read it all
 * @path:	file
 * @buf:	the text, NUL-terminated, without its last newline
 * @size:	of @buf
 *
 * Return: 0 or -errno.
 */
int textfile_read(const char *path, char *buf, size_t size);

/**
 * textfile_write() - write it in one go
 * @path:	file, exists
 * @text:	what to write
 *
 * Return: 0 or -errno.
 */
int textfile_write(const char *path, const char *text);

#endif
