/*
 * The latencies of one cell of a measurement as files that HdrHistogram's tools read: one interval
 * of STEM.hlog for each run, and all runs together in STEM.hgrm.
 */
#ifndef SPATE_BENCH_REPORT_RECORDER_H
#define SPATE_BENCH_REPORT_RECORDER_H

#include <stdbool.h>
#include <stdio.h>

#include "base/histogram.h"

struct bench_recorder {
    struct spate_histogram *all; /* NULL: not open. */
    FILE *hlog;                  /* NULL: nothing is written. */
    double began_s;              /* Seconds since the epoch. */
    char path[1024];             /* Without its ending. */
};

/* `directory` NULL: keeps the histogram and writes nothing. False: says why on stderr. */
bool bench_recorder_open(struct bench_recorder *recorder, const char *directory, const char *stem);

/* One run that has just ended after `seconds`. */
void bench_recorder_add(struct bench_recorder *recorder, const struct spate_histogram *run,
                        double seconds);

/* Writes what is left and frees. Accepts one that is not open. False: says why on stderr. */
bool bench_recorder_close(struct bench_recorder *recorder);

#endif
