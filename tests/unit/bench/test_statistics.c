#include <stdlib.h>

#include "bench/statistics.h"
#include "bench/table.h"
#include "support/test.h"

static void the_median_is_the_middle_or_the_mean_of_the_two(void **state)
{
    (void)state;
    struct statistics s;

    s = statistics_of((double[]){9, 1, 5}, 3);
    assert_float_equal(s.median, 5, 0);
    assert_float_equal(s.min, 1, 0);
    assert_float_equal(s.max, 9, 0);
    s = statistics_of((double[]){4, 1, 3, 2}, 4);
    assert_float_equal(s.median, 2.5, 0);
    s = statistics_of((double[]){7}, 1);
    assert_float_equal(s.median, 7, 0);
    assert_float_equal(s.variation, 0, 0);
}

/* 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sample deviation sqrt(32 / 7). */
static void variation_is_the_sample_deviation_over_the_mean(void **state)
{
    (void)state;
    struct statistics s;

    s = statistics_of((double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8);
    assert_float_equal(s.mean, 5, 1e-12);
    assert_float_equal(s.variation, 0.42761799, 1e-6);
    assert_true(statistics_is_noisy(&s));
    s = statistics_of((double[]){100, 101, 102}, 3);
    assert_false(statistics_is_noisy(&s));
}

static void figures_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    char text[16];

    bench_format_ns(0, text);
    assert_string_equal(text, "0.00 ns");
    bench_format_ns(812, text);
    assert_string_equal(text, "812 ns");
    bench_format_ns(999.6, text);
    assert_string_equal(text, "1.00 us");
    bench_format_ns(16480, text);
    assert_string_equal(text, "16.5 us");
    bench_format_ns(3.02e6, text);
    assert_string_equal(text, "3.02 ms");
    bench_format_count(3120000, text);
    assert_string_equal(text, "3.12 M");
    bench_format_count(47.1, text);
    assert_string_equal(text, "47.1");
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    static struct bench_table table;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    bench_table_cell(&table, "what");
    bench_table_cell(&table, "ns");
    bench_table_end_row(&table);
    bench_table_cell(&table, "x");
    bench_table_cell(&table, "%u", 12345u);
    bench_table_end_row(&table);
    bench_table_print(&table, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, "what     ns\n"
                              "x     12345\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle_or_the_mean_of_the_two),
        cmocka_unit_test(variation_is_the_sample_deviation_over_the_mean),
        cmocka_unit_test(figures_have_three_digits_and_a_unit),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
    };
    return cmocka_run_group_tests_name("bench/statistics", tests, NULL, NULL);
}
