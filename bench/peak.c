/*
 * Closed loops, labelled peak, each beside the bare loop with the same processes, polling, bytes
 * and pinning. Variants take turns, run after run, so that a drift of the machine meets all of
 * them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/harness.h"
#include "bench/limits/dpdk.h"
#include "bench/limits/limits.h"
#include "bench/report/recorder.h"
#include "bench/rivals/rows.h"

#define VARIANTS_MAX (2 * HARNESS_IN_FLIGHT_MAX * TRANSPORT_KINDS * HARNESS_SCALES_MAX)

/* One cell of the measurement and its rows. */
struct variant {
    const struct transport *transport;
    uint32_t nodes;
    bool is_busy;
    uint32_t in_flight;
    struct bench_row *p50;
    struct bench_row *p99;
    struct bench_row *rate;
    struct bench_row *cpu;  /* All of the leader's, polling included. */
    struct bench_row *work; /* Of its turns that found something to do. */
    struct bench_row *heap;
    double bare_p50[BENCH_RUNS_MAX];
    double bare_p99[BENCH_RUNS_MAX];
    double bare_rate[BENCH_RUNS_MAX];
    struct bench_recorder latency;
    struct bench_recorder bare_latency;
};

static struct bench_row *add_row(struct harness *harness, const struct variant *variant,
                                 const char *name, const char *unit)
{
    struct bench_row *row = harness_add_row(harness, name, unit, "peak", variant->is_busy);
    bench_row_label(row, "in_flight", "%u", variant->in_flight);
    if (harness->scale_count != 0) {
        bench_row_label(row, "series", "scale");
    }
    return row;
}

/* One process alone sends nothing, so there it is the loop over sockets that has none. */
static bool runs_on_dpdk(const struct harness *harness)
{
    return transport_is_dpdk(harness->transport->kind) && harness->nodes > 1;
}

/* Files of the cell, which its row of the median names. */
static void name_histograms(const struct harness *harness, const struct variant *variant)
{
    struct bench_row *row = variant->p50;
    const char *polling = variant->is_busy ? "busy" : "adaptive";
    const char *durability = harness->is_durable ? "disk" : "memory";

    const char *transport = transport_name(harness->transport->kind);
    char nodes[16] = "";

    if (harness->scale_count != 0) {
        (void)snprintf(nodes, sizeof nodes, "-nodes-%u", variant->nodes);
    }
    (void)snprintf(row->histogram, sizeof row->histogram, "commit-%s-%s-%s-%u%s", transport,
                   polling, durability, variant->in_flight, nodes);
    (void)snprintf(row->limit_histogram, sizeof row->limit_histogram, "bare-%s-%s-%s-%u%s",
                   transport, polling, durability, variant->in_flight, nodes);
}

static bool set_up(struct harness *harness, struct variant *variant, bool is_busy,
                   uint32_t in_flight)
{
    *variant = (struct variant){.transport = harness->transport,
                                .nodes = harness->nodes,
                                .is_busy = is_busy,
                                .in_flight = in_flight};
    variant->p50 = add_row(harness, variant, "commit p50", "ns");
    variant->p99 = add_row(harness, variant, "commit p99", "ns");
    variant->rate = add_row(harness, variant, "committed", "entries/s");
    variant->cpu = add_row(harness, variant, "leader CPU per entry", "ns");
    variant->work = add_row(harness, variant, "leader work per entry", "ns");
    variant->heap = add_row(harness, variant, "heap allocations", "count");
    name_histograms(harness, variant);
    return bench_recorder_open(&variant->latency, harness->output, variant->p50->histogram) &&
           bench_recorder_open(&variant->bare_latency, harness->output,
                               variant->p50->limit_histogram);
}

static bool run_cluster(struct harness *harness, struct variant *variant,
                        struct spate_histogram *latency)
{
    static struct cluster cluster;
    char directory[512] = "";
    char message[256] = "";
    struct cluster_result result = {.latency = latency};
    const struct cluster_load load = {.in_flight = variant->in_flight,
                                      .payload_bytes = harness->payload_bytes,
                                      .warm_s = harness->warmup_seconds,
                                      .run_s = harness->seconds};

    if (harness->is_durable && !harness_make_directory(harness, directory, sizeof directory)) {
        return false;
    }
    const struct cluster_options options =
        harness_cluster(harness, variant->is_busy, harness->is_durable ? directory : NULL);
    const bool is_done = cluster_start(&cluster, &options, message, sizeof message) &&
                         cluster_load(&cluster, &load, &result, message, sizeof message);
    cluster_stop(&cluster);
    if (harness->is_durable) {
        harness_remove_directory(directory);
    }
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
        return false;
    }
    bench_row_run(variant->p50, (double)spate_histogram_percentile(latency, 50));
    bench_row_run(variant->p99, (double)spate_histogram_percentile(latency, 99));
    bench_row_run(variant->rate, result.per_s);
    bench_row_run(variant->cpu, (double)result.cpu_ns / (double)(result.counted + 1));
    bench_row_run(variant->work, (double)result.work_ns / (double)(result.counted + 1));
    bench_row_run(variant->heap, (double)result.heap);
    bench_recorder_add(&variant->latency, latency, harness->seconds);
    return result.failed == 0;
}

static bool run_bare(struct harness *harness, struct variant *variant, uint32_t run,
                     struct spate_histogram *latency)
{
    const struct bench_bare_options options = {
        .transport = harness->nodes > 1 ? harness->transport : NULL,
        .nodes = harness->nodes,
        .payload_bytes = harness->payload_bytes,
        .in_flight = variant->in_flight,
        .frame_bytes = harness_bare_frame_bytes(harness),
        .seconds = harness->seconds,
        .warmup_seconds = harness->warmup_seconds,
        .polling = variant->is_busy ? BENCH_POLLING_BUSY : BENCH_POLLING_ADAPTIVE,
        .durable_directory = harness->is_durable ? harness->directory : NULL,
        .leader_cpu = harness->leader_cpu,
        .follower_cpu = harness->follower_cpu,
    };
    struct bench_bare_result result;

    const bool is_done = runs_on_dpdk(harness)
                             ? bench_dpdk_bare_run(harness->dpdk_limits, &options, latency, &result)
                             : bench_bare_run(&options, latency, &result);
    if (!is_done) {
        return false;
    }
    variant->bare_p50[run] = (double)spate_histogram_percentile(latency, 50);
    variant->bare_p99[run] = (double)spate_histogram_percentile(latency, 99);
    variant->bare_rate[run] = result.entries_per_s;
    bench_recorder_add(&variant->bare_latency, latency, harness->seconds);
    return true;
}

static void set_limits(struct variant *variant, uint32_t runs)
{
    bench_row_limit(variant->p50, variant->bare_p50, runs);
    bench_row_limit(variant->p99, variant->bare_p99, runs);
    bench_row_limit(variant->rate, variant->bare_rate, runs);
}

static bool run_all(struct harness *harness, struct variant variants[], uint32_t count,
                    struct rival_rows *rivals, struct spate_histogram *latency)
{
    for (uint32_t run = 0; run < harness->runs; run++) {
        for (uint32_t v = 0; v < count; v++) {
            harness->transport = variants[v].transport;
            harness->nodes = variants[v].nodes;
            harness_progress("peak, run %u of %u: %s, %u nodes, %s polling, %u in flight", run + 1,
                             harness->runs, transport_name(harness->transport->kind),
                             harness->nodes, variants[v].is_busy ? "busy" : "adaptive",
                             variants[v].in_flight);
            spate_histogram_reset(latency);
            if (!run_cluster(harness, &variants[v], latency) || process_is_interrupted()) {
                return false;
            }
            spate_histogram_reset(latency);
            if (!run_bare(harness, &variants[v], run, latency) || process_is_interrupted()) {
                return false;
            }
            set_limits(&variants[v], run + 1);
        }
        if (!rival_rows_run(rivals, harness, run, latency)) {
            return false;
        }
    }
    return true;
}

/* One number in flight over every transport, with every kind of polling that is asked for. */
static bool set_up_some(struct harness *harness, uint32_t in_flight, struct variant variants[],
                        uint32_t *count)
{
    bool is_set_up = true;

    for (uint32_t t = 0; t < harness->transport_count; t++) {
        harness->transport = &harness->transports[t];
        if (harness->polls_busy && is_set_up) {
            is_set_up = set_up(harness, &variants[(*count)++], true, in_flight);
        }
        if (harness->polls_adaptive && is_set_up) {
            is_set_up = set_up(harness, &variants[(*count)++], false, in_flight);
        }
    }
    return is_set_up;
}

/* Every number in flight, with every number of nodes. */
static bool set_up_all(struct harness *harness, struct variant variants[], uint32_t *count)
{
    const uint32_t nodes = harness->nodes;
    const uint32_t scale_count = harness->scale_count != 0 ? harness->scale_count : 1;
    bool is_set_up = true;

    for (uint32_t i = 0; i < harness->in_flight_count && is_set_up; i++) {
        for (uint32_t s = 0; s < scale_count && is_set_up; s++) {
            harness->nodes = harness->scale_count != 0 ? harness->scales[s] : nodes;
            is_set_up = set_up_some(harness, harness->in_flight[i], variants, count);
        }
    }
    return is_set_up;
}

static bool set_up_rivals(struct harness *harness, const struct variant variants[], uint32_t count,
                          struct rival_rows *rivals)
{
    bool is_set_up = true;

    for (uint32_t v = 0; v < count && is_set_up; v++) {
        harness->nodes = variants[v].nodes;
        is_set_up = rival_rows_set_up(rivals, harness, variants[v].in_flight, variants[v].p50,
                                      variants[v].rate);
    }
    return is_set_up;
}

bool harness_peak(struct harness *harness)
{
    static struct variant variants[VARIANTS_MAX];
    static struct rival_rows rivals;
    struct spate_histogram *latency = NULL;
    const uint32_t nodes = harness->nodes;
    uint32_t count = 0;

    bool is_done = spate_histogram_create(&latency) == SPATE_OK &&
                   set_up_all(harness, variants, &count) &&
                   set_up_rivals(harness, variants, count, &rivals) &&
                   run_all(harness, variants, count, &rivals, latency);
    for (uint32_t v = 0; v < count; v++) {
        is_done = bench_recorder_close(&variants[v].latency) && is_done;
        is_done = bench_recorder_close(&variants[v].bare_latency) && is_done;
    }
    is_done = rival_rows_close(&rivals) && is_done;
    rivals.count = 0;
    spate_histogram_destroy(latency);
    harness->transport = &harness->transports[0];
    harness->nodes = nodes;
    return is_done;
}
