#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/report/json.h"
#include "bench/report/recorder.h"
#include "bench/report/report.h"
#include "bench/report/results.h"
#include "support/test.h"

static char *text;
static size_t text_size;

static FILE *open_text(void)
{
    FILE *to = open_memstream(&text, &text_size);
    assert_non_null(to);
    return to;
}

static void json_escapes_and_separates(void **state)
{
    (void)state;
    struct bench_json json = {.to = open_text()};

    bench_json_open(&json, NULL, '{');
    bench_json_string(&json, "a", "say \"hi\"\\\n");
    bench_json_open(&json, "b", '[');
    bench_json_number(&json, NULL, 1.5);
    bench_json_number(&json, NULL, 1.0 / 0.0);
    bench_json_close(&json, ']');
    bench_json_open(&json, "c", '{');
    bench_json_close(&json, '}');
    bench_json_bool(&json, "d", true);
    bench_json_close(&json, '}');
    assert_int_equal(fclose(json.to), 0);
    assert_string_equal(text, "{\n"
                              "  \"a\": \"say \\\"hi\\\"\\\\\\u000a\",\n"
                              "  \"b\": [\n"
                              "    1.5,\n"
                              "    null\n"
                              "  ],\n"
                              "  \"c\": {},\n"
                              "  \"d\": true\n"
                              "}\n");
    free(text);
}

static struct bench_results *some_results(void)
{
    struct bench_results *results = bench_results_create();
    assert_non_null(results);
    struct bench_row *row = bench_results_add(results, "append, \"one\"", "ns");
    bench_row_label(row, "nodes", "%u", 3u);
    bench_row_label(row, "payload", "%u", 64u);
    bench_row_run(row, 10);
    bench_row_run(row, 30);
    bench_row_run(row, 20);
    row->limit = 40;
    (void)bench_results_add(results, "never ran", "ns");
    return results;
}

static void csv_quotes_and_leaves_out_what_never_ran(void **state)
{
    (void)state;
    struct bench_results *results = some_results();
    FILE *to = open_text();

    bench_results_write_csv(results, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text,
                        "name,labels,unit,median,min,max,mean,variation,runs,limit,ratio\n"
                        "\"append, \"\"one\"\"\",\"nodes=3 payload=64\",ns,20,10,30,20,0.5,3,40,"
                        "0.5\n");
    free(text);
    free(results);
}

static void results_as_json_hold_every_run(void **state)
{
    (void)state;
    struct bench_results *results = some_results();
    FILE *to = open_text();

    bench_results_write_json(results, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "\"median\": 20,"));
    assert_non_null(strstr(text, "\"ratio\": 0.5,"));
    assert_non_null(strstr(text, "10,\n        30,\n        20\n"));
    assert_null(strstr(text, "never ran"));
    free(text);
    free(results);
}

/* The machine was twice as slow in the second run, and so was the limit. */
static void a_ratio_is_the_median_of_pairs_of_runs(void **state)
{
    (void)state;
    static const double runs[3] = {30, 60, 33};
    static const double limits[3] = {10, 20, 10};
    struct bench_results *results = bench_results_create();
    FILE *to = open_text();

    assert_non_null(results);
    struct bench_row *row = bench_results_add(results, "commit", "ns");
    for (uint32_t r = 0; r < 3; r++) {
        bench_row_run(row, runs[r]);
        bench_row_limit(row, limits, r + 1);
    }
    bench_results_write_json(results, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "\"noisy\": true,"));
    assert_non_null(strstr(text, "\"limit\": 10,"));
    assert_non_null(strstr(text, "\"ratio\": 3,"));
    assert_non_null(strstr(text, "\"ratio_min\": 3,"));
    assert_non_null(strstr(text, "\"ratio_max\": 3.3,"));
    assert_non_null(strstr(text, "\"ratio_noisy\": true,"));
    assert_non_null(strstr(text, "\"limit_noisy\": true"));
    free(text);
    free(results);
}

/* 1 to 1,000 once each. The ticks are those of HdrHistogram's own output with five per half. */
static void percentile_files_are_those_of_hdrhistogram(void **state)
{
    (void)state;
    struct spate_histogram *histogram = NULL;
    FILE *to = open_text();

    assert_int_equal(spate_histogram_create(&histogram), SPATE_OK);
    for (uint64_t v = 1; v <= 1000; v++) {
        spate_histogram_record(histogram, v, 1);
    }
    bench_hgrm_write(histogram, 1, to);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                                 "       1.000 0.000000000000          1           1.00\n"
                                 "     100.000 0.100000000000        100           1.11\n"
                                 "     200.000 0.200000000000        200           1.25\n"));
    assert_non_null(strstr(text, "     500.000 0.500000000000        500           2.00\n"
                                 "     550.000 0.550000000000        550           2.22\n"));
    assert_non_null(strstr(text, "    1000.000 1.000000000000       1000\n"
                                 "#[Mean    =      500.500, StdDeviation   =      288.675]\n"
                                 "#[Max     =     1000.000, Total count    =         1000]\n"));
    free(text);
    spate_histogram_destroy(histogram);
}

/* Begins with the cookie of compressed V2 in base64; all of it is read by hdr-histogram-js in
 * tests/integration/histograms.py. The same again is the same text. */
static void log_files_have_a_head_and_an_interval_a_line(void **state)
{
    (void)state;
    struct spate_histogram *histogram = NULL;
    FILE *to = open_text();

    assert_int_equal(spate_histogram_create(&histogram), SPATE_OK);
    spate_histogram_record(histogram, 1500, 2);
    bench_hlog_begin(1441812279.474, to);
    assert_true(bench_hlog_write(histogram, 0.127, 1.007, to));
    assert_true(bench_hlog_write(histogram, 0.127, 1.007, to));
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "#[Histogram log format version 1.3]\n"
                                 "#[StartTime: 1441812279.474 (seconds since epoch), "
                                 "Wed Sep 09 15:24:39 UTC 2015]\n"
                                 "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                                 "\"Interval_Compressed_Histogram\"\n"));
    const char *first = strstr(text, "0.127,1.007,0.001500,HISTFAAA");
    assert_non_null(first);
    const size_t length = strcspn(first, "\n");
    assert_int_equal(strlen(first), 2 * (length + 1));
    assert_memory_equal(first, first + length + 1, length + 1);
    assert_int_equal((length - strlen("0.127,1.007,0.001500,")) % 4, 0);
    free(text);
    spate_histogram_destroy(histogram);
}

static char *read_all(const char *path)
{
    static char content[1 << 20];
    FILE *from = fopen(path, "re");

    assert_non_null(from);
    content[fread(content, 1, sizeof content - 1, from)] = '\0';
    assert_int_equal(fclose(from), 0);
    return content;
}

/* A name in the data cannot end the script that holds it, and nothing is fetched from elsewhere:
 * the only address in it is the namespace of SVG. */
static void the_report_holds_its_data_and_loads_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/spate-test-XXXXXX";
    char path[256];
    char program[] = "spate-bench";
    char word[] = "</script><b>";
    char *arguments[] = {program, word, NULL};
    struct bench_results *results = some_results();
    struct bench_recorder recorder;

    assert_non_null(mkdtemp(folder));
    assert_true(bench_results_save(results, folder, arguments));
    assert_true(bench_recorder_open(&recorder, folder, "cell"));
    spate_histogram_record(recorder.all, 1000, 1);
    assert_true(bench_recorder_close(&recorder));
    assert_true(bench_report_write(folder));
    (void)snprintf(path, sizeof path, "%s/report.html", folder);
    char *page = read_all(path);
    assert_non_null(strstr(page, "\\u003c/script>\\u003cb>"));
    assert_null(strstr(page, "</script><b>"));
    assert_non_null(strstr(page, "data-name=\"cell\">\n       Value"));
    assert_non_null(strstr(page, "\"results\": ["));
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "href="));
    const char *address = strstr(page, "http");
    assert_non_null(address);
    assert_memory_equal(address, "http://www.w3.org/2000/svg", 26);
    assert_null(strstr(address + 1, "http"));
    assert_string_equal(strrchr(page, '<'), "</html>\n");
    static const char *const names[] = {"report.html", "results.json", "results.csv",
                                        "env.json",    "cell.hgrm",    "cell.hlog"};
    for (unsigned n = 0; n < 6; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[n]);
        assert_int_equal(unlink(path), 0);
    }
    assert_false(bench_report_write(folder)); /* Without data there is no report … */
    (void)snprintf(path, sizeof path, "%s/report.html", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    free(results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_and_separates),
        cmocka_unit_test(csv_quotes_and_leaves_out_what_never_ran),
        cmocka_unit_test(results_as_json_hold_every_run),
        cmocka_unit_test(a_ratio_is_the_median_of_pairs_of_runs),
        cmocka_unit_test(percentile_files_are_those_of_hdrhistogram),
        cmocka_unit_test(log_files_have_a_head_and_an_interval_a_line),
        cmocka_unit_test(the_report_holds_its_data_and_loads_nothing),
    };
    return cmocka_run_group_tests_name("bench/report", tests, NULL, NULL);
}
