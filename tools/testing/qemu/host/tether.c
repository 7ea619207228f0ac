// SPDX-License-Identifier: GPL-2.0
/* tether PARENT_PID CMD...: run CMD so that it dies with the thread that started it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: tether PARENT_PID CMD...\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != atoi(argv[1]))
		return 1;	/* it died before the prctl */
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
