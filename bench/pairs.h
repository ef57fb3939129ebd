/* A histogram as the end of a line between processes of a measurement: " VALUE:COUNT" for each. */
#ifndef SPATE_BENCH_PAIRS_H
#define SPATE_BENCH_PAIRS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/histogram.h"

void bench_pairs_print(const struct spate_histogram *histogram, FILE *to);

/* Adds what stands in `text` up to its end. False: it is something else. */
bool bench_pairs_read(const char *text, struct spate_histogram *histogram);

#endif
