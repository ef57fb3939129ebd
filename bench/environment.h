/* Where a measurement was made: what a reader needs to repeat it, or to doubt it. */
#ifndef SPATE_BENCH_ENVIRONMENT_H
#define SPATE_BENCH_ENVIRONMENT_H

#include <stdio.h>

/* env.json: processor, kernel, mitigations, governor, memory, network, revision, build, flags. */
void bench_environment_write(char *const argv[], FILE *to);

/* One line for the head of a table. */
void bench_environment_print(FILE *to);

#endif
