/*
 * Buckets as HdrHistogram lays them out for three significant digits: 2,048 values of one unit
 * each, then for every further power of two 1,024 steps of twice the width.
 */
#include "base/histogram.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* 2^11 values are more than 2 * 10^3, so steps stay below one in a thousand. */
#define SUB_BITS   11u
#define SUB_COUNT  (1u << SUB_BITS)
#define HALF_COUNT (SUB_COUNT / 2)
/* Up to 2^36 ns, about 68 s. */
#define BUCKETS   26u
#define SLOTS     ((BUCKETS + 1) * HALF_COUNT)
#define VALUE_MAX ((uint64_t)SUB_COUNT * (1ull << (BUCKETS - 1)) - 1)

struct spate_histogram {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    uint64_t slots[SLOTS];
};

static uint32_t slot_of(uint64_t value)
{
    /* How often the value must be halved to be below SUB_COUNT. */
    const uint32_t shift = 64u - SUB_BITS - (uint32_t)__builtin_clzll(value | (SUB_COUNT - 1));
    const uint32_t sub = (uint32_t)(value >> shift);
    const uint32_t slot = shift * HALF_COUNT + sub;

    spate_assert(slot < SLOTS);
    return slot;
}

/* The highest value that falls into a slot. */
static uint64_t highest_of(uint32_t slot)
{
    const uint32_t shift = slot < SUB_COUNT ? 0 : slot / HALF_COUNT - 1;
    const uint64_t sub = slot - shift * HALF_COUNT;
    return ((sub + 1) << shift) - 1;
}

/* The value that stands for a slot in means: the middle of its range. */
static double middle_of(uint32_t slot)
{
    const uint32_t shift = slot < SUB_COUNT ? 0 : slot / HALF_COUNT - 1;
    const uint64_t lowest = (uint64_t)(slot - shift * HALF_COUNT) << shift;
    return (double)(lowest + ((1ull << shift) >> 1));
}

spate_err spate_histogram_create(struct spate_histogram **ret_histogram)
{
    struct spate_histogram *histogram = malloc(sizeof *histogram);
    if (histogram == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    spate_histogram_reset(histogram);
    *ret_histogram = histogram;
    return SPATE_OK;
}

void spate_histogram_destroy(struct spate_histogram *histogram)
{
    free(histogram);
}

void spate_histogram_reset(struct spate_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->min = UINT64_MAX;
}

void spate_histogram_record(struct spate_histogram *histogram, uint64_t value, uint64_t count)
{
    value = value < VALUE_MAX ? value : VALUE_MAX;
    histogram->slots[slot_of(value)] += count;
    histogram->count += count;
    if (count > 0) {
        histogram->min = value < histogram->min ? value : histogram->min;
        histogram->max = value > histogram->max ? value : histogram->max;
    }
}

void spate_histogram_merge(struct spate_histogram *into, const struct spate_histogram *from)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        into->slots[s] += from->slots[s];
    }
    into->count += from->count;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t spate_histogram_count(const struct spate_histogram *histogram)
{
    return histogram->count;
}

uint64_t spate_histogram_min(const struct spate_histogram *histogram)
{
    return histogram->count == 0 ? 0 : histogram->min;
}

uint64_t spate_histogram_max(const struct spate_histogram *histogram)
{
    return histogram->max;
}

double spate_histogram_mean(const struct spate_histogram *histogram)
{
    double sum = 0;
    for (uint32_t s = 0; s < SLOTS; s++) {
        sum += (double)histogram->slots[s] * middle_of(s);
    }
    return histogram->count == 0 ? 0 : sum / (double)histogram->count;
}

/* Newton's method; saves the only call into libm. */
static double square_root(double x)
{
    double guess = x > 1 ? x : 1;
    for (unsigned i = 0; i < 200 && guess * guess > x * (1 + 1e-12); i++) {
        guess = (guess + x / guess) / 2;
    }
    return guess;
}

double spate_histogram_deviation(const struct spate_histogram *histogram)
{
    const double mean = spate_histogram_mean(histogram);
    double sum = 0;
    for (uint32_t s = 0; s < SLOTS; s++) {
        const double away = middle_of(s) - mean;
        sum += (double)histogram->slots[s] * away * away;
    }
    return histogram->count == 0 ? 0 : square_root(sum / (double)histogram->count);
}

uint64_t spate_histogram_percentile(const struct spate_histogram *histogram, double percentile)
{
    const double bounded = percentile < 0 ? 0 : percentile > 100 ? 100 : percentile;
    /* HdrHistogram's rule: the count at the percentile, rounded to the nearest, at least one. */
    uint64_t wanted = (uint64_t)(bounded / 100 * (double)histogram->count + 0.5);
    uint64_t seen = 0;

    wanted = wanted > 0 ? wanted : 1;
    for (uint32_t s = 0; s < SLOTS; s++) {
        seen += histogram->slots[s];
        if (seen >= wanted) {
            return highest_of(s);
        }
    }
    return 0;
}

bool spate_histogram_next(const struct spate_histogram *histogram, uint32_t *cursor,
                          uint64_t *ret_value, uint64_t *ret_count)
{
    for (; *cursor < SLOTS; (*cursor)++) {
        if (histogram->slots[*cursor] > 0) {
            *ret_value = highest_of(*cursor);
            *ret_count = histogram->slots[*cursor];
            (*cursor)++;
            return true;
        }
    }
    return false;
}
