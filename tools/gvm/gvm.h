/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of gvm and their options. */
#ifndef GVM_H
#define GVM_H

#include <stddef.h>

#define GVM_PORT	7177

/** gvm_die() - say what is wrong and exit with 2 */
void gvm_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/**
 * gvm_option() - take "--name value" out of the arguments
 * @argc:	count, lowered by 2 if found
 * @argv:	arguments after the command; "--" ends the options
 * @name:	with its dashes
 * @value:	if it is not given
 *
 * Return: the value.
 */
const char *gvm_option(int *argc, char **argv, const char *name, const char *value);

/** gvm_option_number() - likewise, a number up to @max; dies if it is none */
unsigned long gvm_option_number(int *argc, char **argv, const char *name, unsigned long value,
				unsigned long max);

/** gvm_option_flag() - take "--name" out. Return: 1 if it was there. */
int gvm_option_flag(int *argc, char **argv, const char *name);

/** gvm_option_end() - die if options are left. Return: index of what follows "--", or argc. */
int gvm_option_end(int argc, char **argv);

/**
 * gvm_ask() - a command to a VM that was started on this server, see ctl.c
 * @vm:		its name
 * @line:	the command
 * @answer:	out: one line without its end, "ok …" or "error …"
 * @size:	of @answer
 *
 * Return: 0 or -errno.
 */
int gvm_ask(const char *vm, const char *line, char *answer, size_t size);

int gvm_serve(int argc, char **argv);
int gvm_member(int argc, char **argv);
int gvm_run(int argc, char **argv);
int gvm_status(int argc, char **argv);
int gvm_stop(int argc, char **argv);
int gvm_move(int argc, char **argv);

#endif
