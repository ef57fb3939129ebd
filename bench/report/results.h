/*
 * The results of a measurement: rows of (name, labels, runs), each with the limit it is compared
 * with. Written as results.json and results.csv; histograms as .hgrm and .hlog
 * files beside them.
 */
#ifndef SPATE_BENCH_REPORT_RESULTS_H
#define SPATE_BENCH_REPORT_RESULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"

/* Runs of one row. */
#define BENCH_RUNS_MAX    64u
#define BENCH_LABELS_MAX  12u
#define BENCH_ROWS_MAX    2048u
#define BENCH_TEXT_BYTES  48u
#define BENCH_SKIPPED_MAX 16u

struct bench_label {
    char key[BENCH_TEXT_BYTES];
    char value[BENCH_TEXT_BYTES];
};

struct bench_row {
    char name[BENCH_TEXT_BYTES];
    char unit[BENCH_TEXT_BYTES];
    uint32_t label_count;
    struct bench_label labels[BENCH_LABELS_MAX];
    uint32_t run_count;
    double runs[BENCH_RUNS_MAX];
    double limit; /* The figure of the limit in the same unit; 0: none. */
    bool limit_is_noisy;
    double ratio; /* To the limit, the median of what pairs of runs say; 0: no pairs. */
    double ratio_min, ratio_max;
    bool ratio_is_noisy;
    char histogram[2 * BENCH_TEXT_BYTES];       /* Stem of its .hgrm; empty: none. */
    char limit_histogram[2 * BENCH_TEXT_BYTES]; /* That of its limit. */
};

struct bench_results {
    uint32_t count;
    struct bench_row rows[BENCH_ROWS_MAX];
    uint32_t skipped_count;
    struct bench_label skipped[BENCH_SKIPPED_MAX]; /* What was asked for and has no rows: why. */
};

/* Memory: the caller frees it. NULL: out of memory. */
struct bench_results *bench_results_create(void);

/* Adds an empty row. */
struct bench_row *bench_results_add(struct bench_results *results, const char *name,
                                    const char *unit);
void bench_row_label(struct bench_row *row, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bench_row_run(struct bench_row *row, double value);

/*
 * The limit is the median of these runs of it. Run i was measured beside run i of the row, so each
 * pair has a ratio of its own, which a drift of the machine hardly touches: the row's ratio is
 * their median. None: no limit.
 */
void bench_row_limit(struct bench_row *row, const double runs[], uint32_t count);

/* Adds the rows that DIRECTORY/results.json holds. False: says why on stderr. */
bool bench_results_load(struct bench_results *results, const char *directory);

/* Notes that something was not measured, and why; once for each. */
void bench_results_skip(struct bench_results *results, const char *what, const char *why);

/* Whether no row has a run: then there is nothing to show. */
bool bench_results_is_empty(const struct bench_results *results);

/* One table for people: name, labels, median, spread, and ratio to the limit where there is one. */
void bench_results_print(const struct bench_results *results, FILE *to);

void bench_results_write_json(const struct bench_results *results, FILE *to);
void bench_results_write_csv(const struct bench_results *results, FILE *to);

/*
 * Both files, and env.json of the command line `argv`, in `directory`, which is made if need be.
 * False: says why on stderr.
 */
bool bench_results_save(const struct bench_results *results, const char *directory,
                        char *const argv[]);

/*
 * The percentile table that HdrHistogram's tools plot; values are divided by `scale` (1000: from
 * nanoseconds to microseconds).
 */
void bench_hgrm_write(const struct spate_histogram *histogram, double scale, FILE *to);

/*
 * A log that HdrHistogram's tools read: its head, which says when it began (seconds since the
 * epoch), and an interval, which began `start_s` after that. Values are nanoseconds. False: out of
 * memory, or not written.
 */
void bench_hlog_begin(double began_s, FILE *to);
bool bench_hlog_write(const struct spate_histogram *histogram, double start_s, double length_s,
                      FILE *to);

#endif
