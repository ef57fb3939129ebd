/*
 * A histogram of durations with three significant digits from 1 ns to about 68 s, mergeable, laid
 * out like HdrHistogram (lowest 1, three digits), so that its tools read what we write.
 */
#ifndef SPATE_BASE_HISTOGRAM_H
#define SPATE_BASE_HISTOGRAM_H

#include "base/error.h"
#include "base/types.h"

struct spate_histogram;

spate_err spate_histogram_create(struct spate_histogram **ret_histogram) SPATE_MUST_CHECK;
void spate_histogram_destroy(struct spate_histogram *histogram);
void spate_histogram_reset(struct spate_histogram *histogram);

/* Values above the range count as the largest. Cost: a few nanoseconds, no branches on size. */
void spate_histogram_record(struct spate_histogram *histogram, uint64_t value, uint64_t count);
void spate_histogram_merge(struct spate_histogram *into, const struct spate_histogram *from);

uint64_t spate_histogram_count(const struct spate_histogram *histogram);
uint64_t spate_histogram_min(const struct spate_histogram *histogram);
uint64_t spate_histogram_max(const struct spate_histogram *histogram);
double spate_histogram_mean(const struct spate_histogram *histogram);
double spate_histogram_deviation(const struct spate_histogram *histogram);

/* The highest value equivalent to the one at `percentile` (0 to 100), as HdrHistogram defines it.
 */
uint64_t spate_histogram_percentile(const struct spate_histogram *histogram, double percentile);

/*
 * Iterates over the buckets that hold values: *ret_value is the bucket's highest equivalent value.
 * Begin with *cursor = 0; returns false at the end.
 */
bool spate_histogram_next(const struct spate_histogram *histogram, uint32_t *cursor,
                          uint64_t *ret_value, uint64_t *ret_count);

#endif
