// SPDX-License-Identifier: GPL-2.0
/* nas ep|is|cg [SIZE] */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "nas.h"

int main(int argc, char **argv)
{
	double begin = omp_get_wtime();
	int ok = argc > 1 ? nas(argv[1], argc > 2 ? atoi(argv[2]) : 0) : -1;

	if (ok < 0) {
		fprintf(stderr, "usage: nas ep|is|cg [SIZE]\n");
		return 2;
	}
	printf("%s: %d threads, %.3f s, %s\n", argv[1], omp_get_max_threads(),
	       omp_get_wtime() - begin, ok ? "verified" : "WRONG");
	return !ok;
}
