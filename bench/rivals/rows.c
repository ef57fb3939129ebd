#include "bench/rivals/rows.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rival_options options_of(const struct harness *harness, uint32_t in_flight)
{
    static char craft[4096 + 32];
    const char *slash = strrchr(harness->program, '/');

    (void)snprintf(craft, sizeof craft, "%.*s/spate-rival-craft", (int)(slash - harness->program),
                   harness->program);
    return (struct rival_options){
        .craft = craft,
        .nodes = harness->nodes,
        .payload_bytes = harness->payload_bytes,
        .in_flight = in_flight,
        .warmup_seconds = harness->warmup_seconds,
        .seconds = harness->seconds,
        .is_durable = harness->is_durable,
        .leader_cpu = harness->leader_cpu,
        .follower_cpu = harness->follower_cpu,
    };
}

static struct bench_row *add_row(const struct harness *harness, const struct rival_cell *cell,
                                 const char *name, const char *unit)
{
    struct bench_row *row = bench_results_add(harness->results, name, unit);

    bench_row_label(row, "loop", "peak");
    bench_row_label(row, "transport", "tcp");
    bench_row_label(row, "polling", "blocking");
    bench_row_label(row, "durability", "%s", harness->is_durable ? "disk" : "memory");
    bench_row_label(row, "nodes", "%u", cell->kind == RIVAL_REDIS ? 1 : cell->nodes);
    bench_row_label(row, "payload", "%u", harness->payload_bytes);
    bench_row_label(row, "in_flight", "%u", cell->in_flight);
    bench_row_label(row, "system", "%s", rival_label(cell->kind));
    return row;
}

static bool set_up(struct rival_cell *cell, const struct harness *harness)
{
    cell->p50 = add_row(harness, cell, "commit p50", "ns");
    cell->p99 = add_row(harness, cell, "commit p99", "ns");
    cell->rate = add_row(harness, cell, "committed", "entries/s");
    cell->leader_cpu = add_row(harness, cell, "leader CPU per entry", "ns");
    cell->client_cpu =
        rival_has_client(cell->kind) ? add_row(harness, cell, "client CPU per entry", "ns") : NULL;
    cell->p50_ratio = add_row(harness, cell, "p50, spate / rival", "x");
    cell->rate_ratio = add_row(harness, cell, "committed, spate / rival", "x");
    (void)snprintf(cell->p50->histogram, sizeof cell->p50->histogram, "commit-%s-%s-%u",
                   rival_label(cell->kind), harness->is_durable ? "disk" : "memory",
                   cell->in_flight);
    return bench_recorder_open(&cell->latency, harness->output, cell->p50->histogram);
}

bool rival_rows_set_up(struct rival_rows *rows, struct harness *harness, uint32_t in_flight,
                       const struct bench_row *our_p50, const struct bench_row *our_rate)
{
    const struct rival_options options = options_of(harness, in_flight);

    for (uint32_t c = 0; c < rows->count; c++) {
        if (rows->cells[c].in_flight == in_flight && rows->cells[c].nodes == harness->nodes) {
            return true;
        }
    }
    for (uint32_t k = 0; k < RIVAL_KINDS; k++) {
        if (!harness->rivals[k]) {
            continue;
        }
        const char *obstacle = rival_obstacle((enum rival_kind)k, &options);
        if (obstacle != NULL) {
            bench_results_skip(harness->results, rival_label((enum rival_kind)k), obstacle);
            continue;
        }
        struct rival_cell *cell = &rows->cells[rows->count++];
        *cell = (struct rival_cell){.kind = (enum rival_kind)k,
                                    .nodes = harness->nodes,
                                    .in_flight = in_flight,
                                    .our_p50 = our_p50,
                                    .our_rate = our_rate};
        if (!set_up(cell, harness)) {
            return false;
        }
    }
    return true;
}

static void note(struct rival_cell *cell, uint32_t run, const struct spate_histogram *latency,
                 const struct rival_result *result, double seconds)
{
    const double p50 = (double)spate_histogram_percentile(latency, 50);
    const double counted = (double)(result->counted + 1);

    bench_row_run(cell->p50, p50);
    bench_row_run(cell->p99, (double)spate_histogram_percentile(latency, 99));
    bench_row_run(cell->rate, result->per_s);
    bench_row_run(cell->leader_cpu, (double)result->leader_cpu_ns / counted);
    if (cell->client_cpu != NULL) {
        bench_row_run(cell->client_cpu, (double)result->client_cpu_ns / counted);
    }
    if (run < cell->our_p50->run_count && p50 > 0 && result->per_s > 0) {
        bench_row_run(cell->p50_ratio, cell->our_p50->runs[run] / p50);
        bench_row_run(cell->rate_ratio, cell->our_rate->runs[run] / result->per_s);
    }
    /* The same limit: no protocol does better on this machine, whoever wrote it. */
    if (cell->kind != RIVAL_REDIS) {
        cell->p50->limit = cell->our_p50->limit;
        cell->rate->limit = cell->our_rate->limit;
    }
    bench_recorder_add(&cell->latency, latency, seconds);
}

static bool run_cell(struct rival_cell *cell, const struct harness *harness, uint32_t run,
                     struct spate_histogram *latency)
{
    char directory[512] = "";
    char path[PATH_MAX];
    char message[RIVAL_TEXT_BYTES] = "";
    struct rival_options options = options_of(harness, cell->in_flight);
    struct rival_result result;

    if (!harness_make_directory(harness, directory, sizeof directory)) {
        return false;
    }
    if (realpath(directory, path) == NULL) { /* A server may go elsewhere before it reads it. */
        return false;
    }
    options.directory = path;
    options.nodes = cell->nodes;
    spate_histogram_reset(latency);
    const bool is_done = rival_run(cell->kind, &options, latency, &result, message);
    harness_remove_directory(directory);
    if (is_done) {
        note(cell, run, latency, &result, harness->seconds);
    } else if (!process_is_interrupted()) {
        (void)fprintf(stderr, "\nspate bench: %s: %s\n", rival_name(cell->kind), message);
    }
    return is_done;
}

bool rival_rows_run(struct rival_rows *rows, struct harness *harness, uint32_t run,
                    struct spate_histogram *latency)
{
    for (uint32_t c = 0; c < rows->count; c++) {
        struct rival_cell *cell = &rows->cells[c];
        if (cell->is_out) {
            continue;
        }
        harness_progress("peak, run %u of %u: %s, %u in flight", run + 1, harness->runs,
                         rival_name(cell->kind), cell->in_flight);
        const bool is_done = run_cell(cell, harness, run, latency);
        if (process_is_interrupted()) {
            return false;
        }
        if (!is_done) {
            cell->is_out = true;
            bench_results_skip(harness->results, rival_label(cell->kind), "it failed");
        }
    }
    return true;
}

bool rival_rows_close(struct rival_rows *rows)
{
    bool is_done = true;

    for (uint32_t c = 0; c < rows->count; c++) {
        is_done = bench_recorder_close(&rows->cells[c].latency) && is_done;
        is_done = is_done && !rows->cells[c].is_out;
    }
    return is_done;
}
