/* Histograms as text between processes: what is printed is what is read, and nothing else is. */
#include <stdlib.h>

#include "bench/pairs.h"
#include "support/test.h"

static void what_is_printed_is_read(void **state)
{
    struct spate_histogram *from = NULL, *to = NULL;
    char *text = NULL;
    size_t bytes = 0;
    (void)state;

    assert_int_equal(spate_histogram_create(&from), SPATE_OK);
    assert_int_equal(spate_histogram_create(&to), SPATE_OK);
    for (uint64_t value = 1; value < 1000000000; value = value * 3 + 1) {
        spate_histogram_record(from, value, value % 7 + 1);
    }
    FILE *file = open_memstream(&text, &bytes);
    bench_pairs_print(from, file);
    (void)fclose(file);
    assert_true(bench_pairs_read(text, to));
    for (int p = 0; p <= 100; p += 5) {
        assert_int_equal(spate_histogram_percentile(from, p), spate_histogram_percentile(to, p));
    }
    free(text);
    spate_histogram_destroy(from);
    spate_histogram_destroy(to);
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {" 5", " 5:", " :3", "x", " 5:3x", " 5:3,6:4", " x:y"};
    struct spate_histogram *histogram = NULL;
    (void)state;

    assert_int_equal(spate_histogram_create(&histogram), SPATE_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(bench_pairs_read(bad[i], histogram));
    }
    assert_true(bench_pairs_read("", histogram));
    assert_true(bench_pairs_read(" ", histogram));
    spate_histogram_destroy(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
