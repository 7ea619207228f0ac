// SPDX-License-Identifier: GPL-2.0
/* dsm-barrier [-n COUNT] [-t SECONDS] NAME: COUNT defaults to $DSM_NODES. */
#include <stdlib.h>

#include "barrier.h"
#include "guest.h"

int barrier_main(int argc, char **argv)
{
	const char *env = getenv("DSM_NODES");
	int count = env ? atoi(env) : 0, timeout_s = 60, opt, ret;

	while ((opt = getopt(argc, argv, "n:t:")) != -1) {
		if (opt == 'n')
			count = atoi(optarg);
		else if (opt == 't')
			timeout_s = atoi(optarg);
		else
			return 2;
	}
	if (optind + 1 != argc || count < 1) {
		fprintf(stderr, "usage: dsm-barrier [-n COUNT] [-t SECONDS] NAME\n");
		return 2;
	}
	ret = dsm_barrier(argv[optind], count, timeout_s);
	if (ret)
		fprintf(stderr, "dsm-barrier %s: %s\n", argv[optind], strerror(-ret));
	return ret ? 1 : 0;
}
