#include "bench/report/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "bench/table.h"

/* Fewer runs a side prove nothing: three against three are apart by chance once in ten times, four
 * against four once in 35, five against five once in 126. */
#define RUNS_MIN 4u

/* Less than this is not worth a word, however sure it is. */
#define CHANGE_MIN 0.01

/* What must be equal. Not the revision, the time and the load: these are what one compares. */
static const char *const circumstances[] = {
    "cpu",         "cpus", "architecture", "memory",   "kernel", "kernel_command_line",
    "mitigations", "dpdk", "governor",     "compiler", "build",
};

static json_t *load(const char *directory, const char *name)
{
    char path[4096];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    json_t *json = json_load_file(path, 0, &error);
    if (!json_is_object(json)) {
        (void)fprintf(stderr, "spate bench: %s: %s; give a folder that --output made\n", path,
                      json == NULL ? error.text : "not an object");
        json_decref(json);
        return NULL;
    }
    return json;
}

static void print_circumstance(const char *key, const json_t *before, const json_t *after, FILE *to)
{
    char *was = json_dumps(before, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    char *is = json_dumps(after, JSON_ENCODE_ANY | JSON_SORT_KEYS);

    (void)fprintf(to, "  %s: %s before, %s after\n", key, was != NULL ? was : "nothing",
                  is != NULL ? is : "nothing");
    free(was);
    free(is);
}

static uint32_t print_differences(const json_t *before, const json_t *after, FILE *to)
{
    uint32_t count = 0;

    for (uint32_t c = 0; c < SPATE_ARRAY_COUNT(circumstances); c++) {
        const json_t *was = json_object_get(before, circumstances[c]);
        const json_t *is = json_object_get(after, circumstances[c]);
        if (was == NULL && is == NULL) {
            continue;
        }
        if (!json_equal(was, is)) {
            count++;
            print_circumstance(circumstances[c], was, is, to);
        }
    }
    return count;
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "";
}

static const json_t *find_same(const json_t *rows, const json_t *wanted)
{
    size_t r = 0;
    json_t *row = NULL;

    json_array_foreach(rows, r, row)
    {
        if (strcmp(text_of(row, "name"), text_of(wanted, "name")) == 0 &&
            strcmp(text_of(row, "unit"), text_of(wanted, "unit")) == 0 &&
            json_equal(json_object_get(row, "labels"), json_object_get(wanted, "labels"))) {
            return row;
        }
    }
    return NULL;
}

/* One side of a comparison: its runs, divided by its limit when both sides have one. */
struct side {
    double median, min, max;
    size_t runs;
};

static struct side side_of(const json_t *row, bool has_limits)
{
    const double limit = has_limits ? json_number_value(json_object_get(row, "limit")) : 1;
    return (struct side){.median = json_number_value(json_object_get(row, "median")) / limit,
                         .min = json_number_value(json_object_get(row, "min")) / limit,
                         .max = json_number_value(json_object_get(row, "max")) / limit,
                         .runs = json_array_size(json_object_get(row, "runs"))};
}

static bool is_more_better(const char *unit)
{
    return strstr(unit, "/s") != NULL || strcmp(unit, "bool") == 0;
}

static const char *judge(const struct side *before, const struct side *after, const char *unit)
{
    const bool is_more = after->min > before->max;
    const bool is_less = after->max < before->min;

    if (before->median == after->median) {
        return "same";
    }
    if (before->runs < RUNS_MIN || after->runs < RUNS_MIN) {
        return "too few runs";
    }
    if ((!is_more && !is_less) ||
        fabs(after->median - before->median) < CHANGE_MIN * fabs(before->median)) {
        return "within noise";
    }
    return is_more == is_more_better(unit) ? "BETTER" : "WORSE";
}

static void format(const json_t *row, char text[16])
{
    const double median = json_number_value(json_object_get(row, "median"));

    if (strcmp(text_of(row, "unit"), "ns") == 0) {
        bench_format_ns(median, text);
    } else {
        bench_format_count(median, text);
    }
}

static void join_labels(const json_t *row, char *text, size_t size)
{
    const char *key = NULL;
    json_t *value = NULL;

    text[0] = '\0';
    json_object_foreach(json_object_get(row, "labels"), key, value)
    {
        const size_t used = strlen(text);
        (void)snprintf(text + used, size - used, "%s%s %s", used == 0 ? "" : ", ", key,
                       json_is_string(value) ? json_string_value(value) : "?");
    }
}

static void compare_row(struct bench_table *table, const json_t *before, const json_t *after)
{
    const char *unit = text_of(after, "unit");
    const bool has_limits = json_number_value(json_object_get(before, "limit")) > 0 &&
                            json_number_value(json_object_get(after, "limit")) > 0;
    const struct side was = side_of(before, has_limits);
    const struct side is = side_of(after, has_limits);
    char labels[BENCH_TABLE_CELL_BYTES];
    char text[16];

    join_labels(after, labels, sizeof labels);
    bench_table_cell(table, "%s", text_of(after, "name"));
    bench_table_cell(table, "%s", labels);
    format(before, text);
    bench_table_cell(table, "%s%s", text, strcmp(unit, "entries/s") == 0 ? "/s" : "");
    format(after, text);
    bench_table_cell(table, "%s%s", text, strcmp(unit, "entries/s") == 0 ? "/s" : "");
    if (has_limits) {
        bench_table_cell(table, "%.2f -> %.2f", was.median, is.median);
    } else {
        bench_table_cell(table, " ");
    }
    if (was.median != 0) {
        bench_table_cell(table, "%+.1f %%", 100 * (is.median - was.median) / was.median);
    } else {
        bench_table_cell(table, " ");
    }
    bench_table_cell(table, "%s", judge(&was, &is, unit));
    bench_table_end_row(table);
}

/* Returns how many rows of `after` have no equal in `before`. */
static size_t compare_rows(const json_t *before, const json_t *after, FILE *to)
{
    static const char *const heading[] = {"what",     "",       "before", "after",
                                          "of limit", "change", "verdict"};
    struct bench_table *table = calloc(1, sizeof *table);
    size_t r = 0;
    size_t unmatched = 0;
    json_t *row = NULL;

    if (table == NULL) {
        return json_array_size(after);
    }
    for (uint32_t h = 0; h < SPATE_ARRAY_COUNT(heading); h++) {
        bench_table_cell(table, "%s", heading[h]);
    }
    bench_table_end_row(table);
    json_array_foreach(after, r, row)
    {
        const json_t *same = find_same(before, row);
        if (same != NULL && r < BENCH_TABLE_ROWS_MAX - 1) {
            compare_row(table, same, row);
        } else {
            unmatched++;
        }
    }
    bench_table_print(table, to);
    free(table);
    return unmatched;
}

static void compare_results(const json_t *before, const json_t *after, FILE *to)
{
    const size_t unmatched = compare_rows(before, after, to);
    const size_t matched = json_array_size(after) - unmatched;

    (void)fprintf(to,
                  "\n%zu rows in both, %zu only before, %zu only after. A change counts when every "
                  "run of one side lies\nbeyond every run of the other and it is more than 1 %%; "
                  "with a limit, ratios to it are compared.\n",
                  matched, json_array_size(before) - matched, unmatched);
}

/* Whether to go on. */
static bool check_circumstances(const json_t *before, const json_t *after, bool is_forced, FILE *to)
{
    if (print_differences(before, after, to) == 0) {
        return true;
    }
    if (!is_forced) {
        (void)fprintf(stderr, "spate bench: measured in different circumstances, so the figures "
                              "say nothing about the code; --force compares all the same\n");
        return false;
    }
    (void)fprintf(to, "measured in different circumstances: what follows says little\n");
    return true;
}

int bench_compare(const char *before, const char *after, bool is_forced, FILE *to)
{
    json_t *was_in = load(before, "env.json");
    json_t *is_in = was_in != NULL ? load(after, "env.json") : NULL;
    json_t *was = is_in != NULL ? load(before, "results.json") : NULL;
    json_t *is = was != NULL ? load(after, "results.json") : NULL;
    int code = COMPARE_USAGE;

    if (is != NULL) {
        (void)fprintf(to, "before: %s, revision %s\nafter:  %s, revision %s\n", before,
                      text_of(was_in, "revision"), after, text_of(is_in, "revision"));
        code = COMPARE_MISMATCH;
        if (check_circumstances(was_in, is_in, is_forced, to)) {
            compare_results(json_object_get(was, "results"), json_object_get(is, "results"), to);
            code = COMPARE_DONE;
        }
    }
    json_decref(was_in);
    json_decref(is_in);
    json_decref(was);
    json_decref(is);
    return code;
}
