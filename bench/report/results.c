#include "bench/report/results.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "bench/environment.h"
#include "bench/report/json.h"
#include "bench/statistics.h"
#include "bench/table.h"

struct bench_results *bench_results_create(void)
{
    return calloc(1, sizeof(struct bench_results));
}

struct bench_row *bench_results_add(struct bench_results *results, const char *name,
                                    const char *unit)
{
    spate_assert(results->count < BENCH_ROWS_MAX);
    struct bench_row *row = &results->rows[results->count++];
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->unit, sizeof row->unit, "%s", unit);
    return row;
}

void bench_row_label(struct bench_row *row, const char *key, const char *format, ...)
{
    spate_assert(row->label_count < BENCH_LABELS_MAX);
    struct bench_label *label = &row->labels[row->label_count++];
    va_list arguments;

    (void)snprintf(label->key, sizeof label->key, "%s", key);
    va_start(arguments, format);
    (void)vsnprintf(label->value, sizeof label->value, format, arguments);
    va_end(arguments);
}

void bench_results_skip(struct bench_results *results, const char *what, const char *why)
{
    for (uint32_t s = 0; s < results->skipped_count; s++) {
        if (strcmp(results->skipped[s].key, what) == 0) {
            return;
        }
    }
    spate_assert(results->skipped_count < BENCH_SKIPPED_MAX);
    struct bench_label *skipped = &results->skipped[results->skipped_count++];
    (void)snprintf(skipped->key, sizeof skipped->key, "%s", what);
    (void)snprintf(skipped->value, sizeof skipped->value, "%s", why);
}

bool bench_results_is_empty(const struct bench_results *results)
{
    for (uint32_t r = 0; r < results->count; r++) {
        if (results->rows[r].run_count > 0) {
            return false;
        }
    }
    return true;
}

void bench_row_run(struct bench_row *row, double value)
{
    spate_assert(row->run_count < BENCH_RUNS_MAX);
    row->runs[row->run_count++] = value;
}

void bench_row_limit(struct bench_row *row, const double runs[], uint32_t count)
{
    double values[BENCH_RUNS_MAX];
    uint32_t pairs = 0;

    spate_assert(count <= BENCH_RUNS_MAX);
    if (count == 0) {
        return;
    }
    for (uint32_t r = 0; r < count && r < row->run_count; r++) {
        if (runs[r] > 0) {
            values[pairs++] = row->runs[r] / runs[r];
        }
    }
    if (pairs > 0) {
        const struct statistics ratios = statistics_of(values, pairs);
        row->ratio = ratios.median;
        row->ratio_min = ratios.min;
        row->ratio_max = ratios.max;
        row->ratio_is_noisy = statistics_is_noisy(&ratios);
    }
    memcpy(values, runs, count * sizeof *values);
    const struct statistics statistics = statistics_of(values, count);
    row->limit = statistics.median;
    row->limit_is_noisy = statistics_is_noisy(&statistics);
}

/* Where runs and limit are no pairs: of their medians. */
static double ratio_of(const struct bench_row *row, double median)
{
    return row->ratio > 0 ? row->ratio : median / row->limit;
}

static void format_value(const struct bench_row *row, double value, char text[16])
{
    if (strcmp(row->unit, "ns") == 0) {
        bench_format_ns(value, text);
    } else {
        bench_format_count(value, text);
    }
}

static struct statistics summary_of(const struct bench_row *row)
{
    double values[BENCH_RUNS_MAX];

    spate_assert(row->run_count > 0);
    memcpy(values, row->runs, row->run_count * sizeof *values);
    return statistics_of(values, row->run_count);
}

/* Whether every row says the same for this label of the first row. */
static bool is_common(const struct bench_results *results, uint32_t l)
{
    const struct bench_label *label = &results->rows[0].labels[l];

    for (uint32_t r = 0; r < results->count; r++) {
        const struct bench_row *row = &results->rows[r];
        if (l >= row->label_count || strcmp(row->labels[l].key, label->key) != 0 ||
            strcmp(row->labels[l].value, label->value) != 0) {
            return false;
        }
    }
    return true;
}

/* The labels that all rows share, or those of one row that they do not share. */
static void join_labels(const struct bench_results *results, const struct bench_row *row,
                        bool wants_common, char *text, size_t size)
{
    text[0] = '\0';
    for (uint32_t l = 0; l < row->label_count; l++) {
        const size_t used = strlen(text);
        const bool is_shared = l < results->rows[0].label_count && is_common(results, l);
        if (is_shared == wants_common) {
            (void)snprintf(text + used, size - used, "%s%s %s", used == 0 ? "" : ", ",
                           row->labels[l].key, row->labels[l].value);
        }
    }
}

static void print_row(struct bench_table *table, const struct bench_results *results,
                      const struct bench_row *row)
{
    char labels[BENCH_TABLE_CELL_BYTES];
    char median[16];
    char min[16];
    char max[16];
    const bool is_time = strcmp(row->unit, "ns") == 0;

    const struct statistics statistics = summary_of(row);
    join_labels(results, row, false, labels, sizeof labels);
    format_value(row, statistics.median, median);
    format_value(row, statistics.min, min);
    format_value(row, statistics.max, max);
    bench_table_cell(table, "%s", row->name);
    bench_table_cell(table, "%s", labels);
    bench_table_cell(table, "%s%s%s", median, is_time ? "" : " ", is_time ? "" : row->unit);
    bench_table_cell(table, "%s to %s", min, max);
    bench_table_cell(table, "%.1f %%%s", statistics.variation * 100,
                     statistics_is_noisy(&statistics) ? " noisy" : "");
    if (row->limit > 0) {
        bench_table_cell(table, "%.2f%s", ratio_of(row, statistics.median),
                         row->ratio_is_noisy ? " noisy" : "");
    } else {
        bench_table_cell(table, " ");
    }
    bench_table_end_row(table);
}

void bench_results_print(const struct bench_results *results, FILE *to)
{
    static const char *const heading[] = {"what", "", "median", "spread", "variation", "of limit"};
    struct bench_table *table = calloc(1, sizeof *table);
    char common[BENCH_LABELS_MAX * (2 * BENCH_TEXT_BYTES + 2)];

    if (table == NULL || results->count == 0) {
        free(table);
        return;
    }
    join_labels(results, &results->rows[0], true, common, sizeof common);
    if (common[0] != '\0') {
        (void)fprintf(to, "%s; ", common);
    }
    (void)fprintf(to, "%u runs\n", results->rows[0].run_count);
    for (uint32_t h = 0; h < SPATE_ARRAY_COUNT(heading); h++) {
        bench_table_cell(table, "%s", heading[h]);
    }
    bench_table_end_row(table);
    for (uint32_t r = 0; r < results->count; r++) {
        if (results->rows[r].run_count > 0) {
            print_row(table, results, &results->rows[r]);
        }
    }
    bench_table_print(table, to);
    for (uint32_t s = 0; s < results->skipped_count; s++) {
        (void)fprintf(to, "skipped: %s: %s\n", results->skipped[s].key, results->skipped[s].value);
    }
    free(table);
}

static void write_json_row(struct bench_json *json, const struct bench_row *row)
{

    const struct statistics statistics = summary_of(row);
    bench_json_open(json, NULL, '{');
    bench_json_string(json, "name", row->name);
    bench_json_string(json, "unit", row->unit);
    bench_json_open(json, "labels", '{');
    for (uint32_t l = 0; l < row->label_count; l++) {
        bench_json_string(json, row->labels[l].key, row->labels[l].value);
    }
    bench_json_close(json, '}');
    bench_json_number(json, "median", statistics.median);
    bench_json_number(json, "min", statistics.min);
    bench_json_number(json, "max", statistics.max);
    bench_json_number(json, "mean", statistics.mean);
    bench_json_number(json, "variation", statistics.variation);
    bench_json_bool(json, "noisy", statistics_is_noisy(&statistics));
    if (row->limit > 0) {
        bench_json_number(json, "limit", row->limit);
        bench_json_number(json, "ratio", ratio_of(row, statistics.median));
        if (row->ratio > 0) {
            bench_json_number(json, "ratio_min", row->ratio_min);
            bench_json_number(json, "ratio_max", row->ratio_max);
            bench_json_bool(json, "ratio_noisy", row->ratio_is_noisy);
        }
        bench_json_bool(json, "limit_noisy", row->limit_is_noisy);
    } else {
        bench_json_null(json, "limit");
        bench_json_null(json, "ratio");
    }
    if (row->histogram[0] != '\0') {
        bench_json_string(json, "histogram", row->histogram);
    }
    if (row->limit_histogram[0] != '\0') {
        bench_json_string(json, "limit_histogram", row->limit_histogram);
    }
    bench_json_open(json, "runs", '[');
    for (uint32_t r = 0; r < row->run_count; r++) {
        bench_json_number(json, NULL, row->runs[r]);
    }
    bench_json_close(json, ']');
    bench_json_close(json, '}');
}

void bench_results_write_json(const struct bench_results *results, FILE *to)
{
    struct bench_json json = {.to = to};

    bench_json_open(&json, NULL, '{');
    bench_json_open(&json, "results", '[');
    for (uint32_t r = 0; r < results->count; r++) {
        if (results->rows[r].run_count > 0) {
            write_json_row(&json, &results->rows[r]);
        }
    }
    bench_json_close(&json, ']');
    bench_json_open(&json, "skipped", '{');
    for (uint32_t s = 0; s < results->skipped_count; s++) {
        bench_json_string(&json, results->skipped[s].key, results->skipped[s].value);
    }
    bench_json_close(&json, '}');
    bench_json_close(&json, '}');
}

/* Doubled quotes inside quotes, as RFC 4180 has it. */
static void write_csv_text(const char *text, FILE *to)
{
    (void)fputc('"', to);
    for (const char *c = text; *c != '\0'; c++) {
        (void)fprintf(to, *c == '"' ? "\"%c" : "%c", *c);
    }
    (void)fputc('"', to);
}

void bench_results_write_csv(const struct bench_results *results, FILE *to)
{
    (void)fprintf(to, "name,labels,unit,median,min,max,mean,variation,runs,limit,ratio\n");
    for (uint32_t r = 0; r < results->count; r++) {
        const struct bench_row *row = &results->rows[r];
        char labels[BENCH_LABELS_MAX * (2 * BENCH_TEXT_BYTES + 2)] = "";

        if (row->run_count == 0) {
            continue;
        }
        const struct statistics statistics = summary_of(row);
        for (uint32_t l = 0; l < row->label_count; l++) {
            const size_t used = strlen(labels);
            (void)snprintf(labels + used, sizeof labels - used, "%s%s=%s", l == 0 ? "" : " ",
                           row->labels[l].key, row->labels[l].value);
        }
        write_csv_text(row->name, to);
        (void)fputc(',', to);
        write_csv_text(labels, to);
        (void)fprintf(to, ",%s,%.12g,%.12g,%.12g,%.12g,%.6g,%u,", row->unit, statistics.median,
                      statistics.min, statistics.max, statistics.mean, statistics.variation,
                      row->run_count);
        if (row->limit > 0) {
            (void)fprintf(to, "%.12g,%.6g\n", row->limit, ratio_of(row, statistics.median));
        } else {
            (void)fprintf(to, ",\n");
        }
    }
}

static FILE *create_file(const char *directory, const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    return file;
}

bool bench_results_save(const struct bench_results *results, const char *directory,
                        char *const argv[])
{
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        (void)fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        return false;
    }
    FILE *json = create_file(directory, "results.json");
    FILE *csv = create_file(directory, "results.csv");
    FILE *environment = create_file(directory, "env.json");
    bool is_good = json != NULL && csv != NULL && environment != NULL;
    if (is_good) {
        bench_results_write_json(results, json);
        bench_results_write_csv(results, csv);
        bench_environment_write(argv, environment);
    }
    FILE *const files[] = {json, csv, environment};
    for (uint32_t f = 0; f < 3; f++) {
        is_good = (files[f] == NULL || fclose(files[f]) == 0) && is_good;
    }
    return is_good;
}
