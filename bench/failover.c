/*
 * kill -9 of the leader under load, again and again: how long until the first commit under the
 * next one, and whether all cores hold the same in the end. Durable, so that killed cores return.
 */
#include <stdio.h>
#include <time.h>

#include "bench/harness.h"

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Kills the leader and waits for a commit under another. Negative: none came. */
static double fail_over(struct harness *harness, struct cluster *cluster,
                        struct spate_histogram *ignored, double *ret_elected_ms)
{
    const uint32_t killed = cluster->leader;
    char message[256] = "";
    const struct cluster_load load = {
        .in_flight = 64, .payload_bytes = harness->payload_bytes, .run_s = 30};
    const struct cluster_load one = {
        .in_flight = 1, .payload_bytes = harness->payload_bytes, .run_s = 0.001};
    struct cluster_result result = {.latency = ignored};

    (void)cluster_begin_load(cluster, &load);
    const struct timespec pause = {.tv_nsec = 50000000};
    (void)nanosleep(&pause, NULL);
    const double began = now_ms();
    cluster_kill(cluster, killed);
    if (!cluster_find_leader(cluster, 15000)) {
        return -1;
    }
    *ret_elected_ms = now_ms() - began;
    /* The new leader answers only when its own entry is committed. */
    do {
        if (!cluster_load(cluster, &one, &result, message, sizeof message)) {
            return -1;
        }
    } while (result.counted == 0 && now_ms() - began < 15000);
    const double took = now_ms() - began;
    return result.counted > 0 && cluster_restart(cluster, killed) ? took : -1;
}

bool harness_failover(struct harness *harness)
{
    static struct cluster cluster;
    struct spate_histogram *ignored = NULL;
    char directory[512] = "";
    char message[256] = "";
    bool is_done = spate_histogram_create(&ignored) == SPATE_OK &&
                   harness_make_directory(harness, directory, sizeof directory);
    const struct cluster_options options = harness_cluster(harness, false, directory);
    struct bench_row *elected =
        bench_results_add(harness->results, "leader found after kill", "ms");
    struct bench_row *row = bench_results_add(harness->results, "commit after kill", "ms");
    struct bench_row *equal = bench_results_add(harness->results, "cores equal at the end", "bool");

    struct bench_row *const rows[] = {elected, row, equal};

    for (uint32_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        bench_row_label(rows[r], "transport", "%s", transport_name(harness->transport->kind));
        bench_row_label(rows[r], "election timeout", "%u ms", options.election_timeout_ms);
    }
    is_done = is_done && cluster_start(&cluster, &options, message, sizeof message);
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
    }
    for (uint32_t k = 0; k < harness->kills && is_done && !process_is_interrupted(); k++) {
        double elected_ms = 0;
        harness_progress("fail-over over %s: kill %u of %u",
                         transport_name(harness->transport->kind), k + 1, harness->kills);
        const double took = fail_over(harness, &cluster, ignored, &elected_ms);
        is_done = took >= 0;
        if (is_done) {
            bench_row_run(elected, elected_ms);
            bench_row_run(row, took);
        }
    }
    if (is_done) {
        is_done = cluster_is_equal(&cluster, 20000);
        bench_row_run(equal, is_done);
        if (!is_done) {
            (void)fprintf(stderr, "\nspate bench: the cores did not become equal\n");
        }
    }
    cluster_stop(&cluster);
    harness_remove_directory(directory);
    spate_histogram_destroy(ignored);
    return is_done && !process_is_interrupted();
}
