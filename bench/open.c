/* Open loops at 10, 50 and 90 % of the peak: what a client waits, stalls included. */
#include <stdio.h>

#include "bench/harness.h"

#define SHARES 3u

static bool measure_at(struct harness *harness, struct cluster *cluster, double rate,
                       uint32_t percent, struct spate_histogram *latency)
{
    char message[256] = "";
    struct cluster_result result = {.latency = latency};
    const struct cluster_load load = {.rate = rate,
                                      .is_poisson = true,
                                      .payload_bytes = harness->payload_bytes,
                                      .warm_s = harness->warmup_seconds,
                                      .run_s = harness->seconds};
    const double percentiles[] = {50, 99, 99.9};
    const char *const names[] = {"commit p50", "commit p99", "commit p99.9"};

    harness_progress("open loop at %u %% of the peak: %.0f entries/s", percent, rate);
    spate_histogram_reset(latency);
    if (!cluster_load(cluster, &load, &result, message, sizeof message)) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
        return false;
    }
    for (unsigned p = 0; p < 3; p++) {
        struct bench_row *row = bench_results_add(harness->results, names[p], "ns");
        bench_row_label(row, "loop", "open");
        bench_row_label(row, "polling", "%s", harness->polls_busy ? "busy" : "adaptive");
        bench_row_label(row, "durability", "%s", harness->is_durable ? "disk" : "memory");
        bench_row_label(row, "load", "%u %%", percent);
        bench_row_label(row, "reached", "%.0f/s", result.per_s);
        bench_row_run(row, (double)spate_histogram_percentile(latency, percentiles[p]));
    }
    return true;
}

bool harness_open(struct harness *harness)
{
    static const uint32_t percents[SHARES] = {10, 50, 90};
    static struct cluster cluster;
    struct spate_histogram *latency = NULL;
    char directory[512] = "";
    char message[256] = "";

    if (spate_histogram_create(&latency) != SPATE_OK ||
        (harness->is_durable && !harness_make_directory(harness, directory, sizeof directory))) {
        spate_histogram_destroy(latency);
        return false;
    }
    const struct cluster_options options =
        harness_cluster(harness, harness->polls_busy, harness->is_durable ? directory : NULL);
    struct cluster_result peak = {.latency = latency};
    const struct cluster_load closed = {.in_flight = 4096,
                                        .payload_bytes = harness->payload_bytes,
                                        .warm_s = harness->warmup_seconds,
                                        .run_s = harness->seconds};
    harness_progress("open loop: looking for the peak");
    bool is_done = cluster_start(&cluster, &options, message, sizeof message) &&
                   cluster_load(&cluster, &closed, &peak, message, sizeof message);
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
    }
    for (uint32_t s = 0; s < SHARES && is_done && !process_is_interrupted(); s++) {
        is_done =
            measure_at(harness, &cluster, peak.per_s * percents[s] / 100, percents[s], latency);
    }
    cluster_stop(&cluster);
    if (harness->is_durable) {
        harness_remove_directory(directory);
    }
    spate_histogram_destroy(latency);
    return is_done && !process_is_interrupted();
}
