// SPDX-License-Identifier: GPL-2.0
/* Load and unload dsm.ko. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsmctl.h"

#define MAX_ARGS	80

bool kmod_loaded(void)
{
	return !access("/sys/module/dsm/initstate", F_OK);
}

/* Return: exit code, 127 if there is no modprobe. */
static int spawn(char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("modprobe cannot be run: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static const char *advice(int err)
{
	switch (err) {
	case EPERM:
		return "; are you root, and does the kernel accept modules that are not signed?";
	case ENOEXEC:
		return "; was it built for this kernel? (uname -r, modinfo)";
	case ENOENT:
		return "; a symbol is missing: modprobe ib_core rdma_cm; dmesg names it";
	case ENODEV:
	case EADDRNOTAVAIL:
		return "; is the address of this node on an RDMA device? (rdma link; without RDMA hardware: rdma link add rxe0 type rxe netdev eth0)";
	case EADDRINUSE:
		return "; does another program use the port? (rdma resource show cm_id)";
	case EINVAL:
		return "; a parameter was refused: dmesg says which";
	}
	return "; dmesg may say more";
}

static void load_file(const char *module, const char *params)
{
	char *deps[8] = { "modprobe", "-q", "-a", "ib_core", "rdma_cm" };
	int fd = open(module, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s cannot be opened: %s", module, strerror(errno));
	spawn(deps);
	/* EEXIST: someone else was faster, or it could not set itself up. */
	if (syscall(SYS_finit_module, fd, params, 0) && !(errno == EEXIST && kmod_loaded()))
		die("%s cannot be loaded: %s%s", module, strerror(errno), advice(errno));
	close(fd);
}

static void load_installed(const char *params)
{
	char *argv[MAX_ARGS] = { "modprobe", "dsm" }, *copy = strdup(params), *save;
	int nr = 2, ret;

	if (!copy)
		die("no memory");
	for (char *w = strtok_r(copy, " ", &save); w && nr < MAX_ARGS - 1;
	     w = strtok_r(NULL, " ", &save))
		argv[nr++] = w;
	ret = spawn(argv);
	if (ret == 127)
		die("there is no modprobe; name the module in the configuration: module /path/dsm.ko");
	if (ret)
		die("modprobe dsm failed; if it is not installed, name it in the configuration: module /path/dsm.ko");
	free(copy);
}

void kmod_load(const char *module, const char *params)
{
	if (*module)
		load_file(module, params);
	else
		load_installed(params);
}

void kmod_unload(void)
{
	if (!syscall(SYS_delete_module, "dsm", O_NONBLOCK) || errno == ENOENT)
		return;
	if (errno == EWOULDBLOCK)
		die("the module is in use; is dsmfs mounted in another mount namespace, or a file of it open?");
	die("the module cannot be unloaded: %s", strerror(errno));
}
