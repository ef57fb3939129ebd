/* What is said about several runs of the same thing. */
#ifndef SPATE_BENCH_STATISTICS_H
#define SPATE_BENCH_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

struct statistics {
    double min;
    double median;
    double max;
    double mean;
    double variation; /* Coefficient of variation: standard deviation over mean. */
};

/* Above this, a row says that it is noisy. */
#define NOISY_VARIATION 0.05

/* Sorts `values`. Requires: count >= 1. */
struct statistics statistics_of(double values[], uint32_t count);

bool statistics_is_noisy(const struct statistics *statistics);

#endif
