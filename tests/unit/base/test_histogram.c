#include <stdlib.h>

#include "base/histogram.h"
#include "base/prng.h"
#include "support/test.h"

#define COUNT 20000u

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static struct spate_histogram *histogram_of(void)
{
    struct spate_histogram *histogram = NULL;
    assert_int_equal(spate_histogram_create(&histogram), SPATE_OK);
    return histogram;
}

/* Against a sorted array: never below the exact value, and at most one in a thousand above. */
static void percentiles_are_within_three_digits_of_the_exact_ones(void **state)
{
    (void)state;
    struct spate_histogram *histogram = histogram_of();
    uint64_t *values = malloc(COUNT * sizeof *values);
    struct spate_prng prng;

    assert_non_null(values);
    spate_prng_seed(&prng, 3, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = spate_prng_next(&prng) >> (30 + spate_prng_below(&prng, 30));
        spate_histogram_record(histogram, values[i], 1);
    }
    qsort(values, COUNT, sizeof *values, by_value);
    const double percentiles[] = {0.1, 1, 10, 50, 90, 99, 99.9, 100};
    for (unsigned p = 0; p < 8; p++) {
        const uint64_t rank = (uint64_t)(percentiles[p] / 100 * COUNT + 0.5);
        const uint64_t exact = values[rank - 1];
        const uint64_t got = spate_histogram_percentile(histogram, percentiles[p]);
        assert_true(got >= exact);
        assert_true((double)got <= (double)exact * 1.001 + 1);
    }
    assert_int_equal(spate_histogram_min(histogram), values[0]);
    assert_int_equal(spate_histogram_max(histogram), values[COUNT - 1]);
    free(values);
    spate_histogram_destroy(histogram);
}

static void merging_is_recording_into_one(void **state)
{
    (void)state;
    struct spate_histogram *a = histogram_of();
    struct spate_histogram *b = histogram_of();
    struct spate_histogram *both = histogram_of();

    for (uint64_t v = 1; v < 100000; v += 7) {
        spate_histogram_record(v % 2 == 0 ? a : b, v, v % 5);
        spate_histogram_record(both, v, v % 5);
    }
    spate_histogram_merge(a, b);
    uint32_t cursor_a = 0;
    uint32_t cursor_both = 0;
    uint64_t value_a = 0;
    uint64_t value_both = 0;
    uint64_t count_a = 0;
    uint64_t count_both = 0;
    while (spate_histogram_next(both, &cursor_both, &value_both, &count_both)) {
        assert_true(spate_histogram_next(a, &cursor_a, &value_a, &count_a));
        assert_int_equal(value_a, value_both);
        assert_int_equal(count_a, count_both);
    }
    assert_false(spate_histogram_next(a, &cursor_a, &value_a, &count_a));
    assert_int_equal(spate_histogram_count(a), spate_histogram_count(both));
    spate_histogram_destroy(a);
    spate_histogram_destroy(b);
    spate_histogram_destroy(both);
}

static void small_values_are_exact_and_large_ones_are_capped(void **state)
{
    (void)state;
    struct spate_histogram *histogram = histogram_of();

    for (uint64_t v = 0; v < 2048; v++) {
        spate_histogram_reset(histogram);
        spate_histogram_record(histogram, v, 1);
        assert_int_equal(spate_histogram_percentile(histogram, 50), v);
    }
    spate_histogram_reset(histogram);
    spate_histogram_record(histogram, UINT64_MAX, 1);
    assert_int_equal(spate_histogram_percentile(histogram, 50), (1ull << 36) - 1);
    spate_histogram_destroy(histogram);
}

static void mean_and_deviation_follow_their_definitions(void **state)
{
    (void)state;
    struct spate_histogram *histogram = histogram_of();

    spate_histogram_record(histogram, 2, 1);
    spate_histogram_record(histogram, 4, 2);
    spate_histogram_record(histogram, 10, 1);
    assert_float_equal(spate_histogram_mean(histogram), 5.0, 1e-9);
    assert_float_equal(spate_histogram_deviation(histogram), 3.0, 1e-6);
    spate_histogram_destroy(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_three_digits_of_the_exact_ones),
        cmocka_unit_test(merging_is_recording_into_one),
        cmocka_unit_test(small_values_are_exact_and_large_ones_are_capped),
        cmocka_unit_test(mean_and_deviation_follow_their_definitions),
    };
    return cmocka_run_group_tests_name("base/histogram", tests, NULL, NULL);
}
