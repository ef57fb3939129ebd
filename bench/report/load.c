/* Rows of another results folder, to stand among one's own. */
#include <jansson.h>
#include <string.h>

#include "bench/report/results.h"

static void load_row(struct bench_results *results, const json_t *from)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    const char *unit = json_string_value(json_object_get(from, "unit"));
    const json_t *runs = json_object_get(from, "runs");
    const char *key = NULL;
    json_t *value = NULL;
    size_t r = 0;

    if (name == NULL || unit == NULL || results->count == BENCH_ROWS_MAX) {
        return;
    }
    struct bench_row *row = bench_results_add(results, name, unit);
    json_object_foreach(json_object_get(from, "labels"), key, value)
    {
        if (json_is_string(value) && row->label_count < BENCH_LABELS_MAX) {
            bench_row_label(row, key, "%s", json_string_value(value));
        }
    }
    json_array_foreach(runs, r, value)
    {
        if (r < BENCH_RUNS_MAX) {
            bench_row_run(row, json_number_value(value));
        }
    }
    row->limit = json_number_value(json_object_get(from, "limit"));
    row->ratio_min = json_number_value(json_object_get(from, "ratio_min"));
    row->ratio_max = json_number_value(json_object_get(from, "ratio_max"));
    row->ratio_is_noisy = json_is_true(json_object_get(from, "ratio_noisy"));
    row->ratio = row->ratio_min > 0 ? json_number_value(json_object_get(from, "ratio")) : 0;
}

bool bench_results_load(struct bench_results *results, const char *directory)
{
    char path[4096];
    json_error_t error;
    json_t *row = NULL;
    size_t r = 0;

    (void)snprintf(path, sizeof path, "%s/results.json", directory);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL) {
        (void)fprintf(stderr, "\nspate bench: %s: %s\n", path, error.text);
        return false;
    }
    json_array_foreach(json_object_get(json, "results"), r, row)
    {
        load_row(results, row);
    }
    json_decref(json);
    return true;
}
