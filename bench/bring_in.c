/*
 * What an empty core costs the others: three cores of which the last is not started yet hold a
 * state on disk, and take arrivals at 80 % of their peak. How long until the third has it all, how
 * many bytes of snapshots that took, and what the commits that went on meanwhile had to wait,
 * beside the same load before. And the same load with snapshots being taken, beside none.
 */
#include <stdio.h>
#include <time.h>

#include "bench/harness.h"

#define VALUE_BYTES 1024u
#define LOAD_SHARE  0.8
#define PIECE_S     0.25 /* Of load, between two looks at the core that is brought in. */
#define PIECES_MAX  1200u
#define NEVER       UINT64_MAX

/* With snapshots: one for so many bytes of entries. */
#define SNAPSHOT_BYTES (128ull << 20)

struct bring_in {
    struct harness *harness;
    struct cluster *cluster;
    struct spate_histogram *latency;
    struct cluster_load load; /* 80 % of the peak of the first cluster: three cores, snapshots. */
};

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct bench_row *add_row(struct bring_in *job, const char *name, const char *unit)
{
    struct bench_row *row = bench_results_add(job->harness->results, name, unit);

    bench_row_label(row, "durability", "disk");
    bench_row_label(row, "state", "%.0f MiB", (double)job->harness->state_bytes / 1048576);
    bench_row_label(row, "value", "%u bytes", VALUE_BYTES);
    return row;
}

static bool failed(const char *message)
{
    (void)fprintf(stderr, "\nspate bench: %s\n", message);
    return false;
}

/* One load on the leader, its latencies added to job->latency. */
static bool run_load(struct bring_in *job, const struct cluster_load *load, double *ret_per_s)
{
    struct cluster_result result = {.latency = job->latency};
    char message[256] = "";

    if (process_is_interrupted()) {
        return false;
    }
    if (!cluster_load(job->cluster, load, &result, message, sizeof message)) {
        return failed(message);
    }
    *ret_per_s = result.per_s;
    return result.failed == 0 || failed("entries were refused");
}

/* Starts a cluster and fills it; the first one shows what the peak is. */
static bool set_up(struct bring_in *job, struct cluster_options *options, const char *directory)
{
    const uint64_t keys = job->harness->state_bytes / VALUE_BYTES;
    char message[256] = "";
    const struct cluster_load closed = {
        .in_flight = 4096, .payload_bytes = VALUE_BYTES, .warm_s = 0, .run_s = 1};
    double written = 0;
    double per_s = 0;

    options->directory = directory;
    options->keys = keys;
    options->is_busy = false;
    if (!cluster_start(job->cluster, options, message, sizeof message)) {
        return failed(message);
    }
    while (written < (double)keys) {
        harness_progress("bring-in: %.0f %% of the state", 100 * written / (double)keys);
        if (!run_load(job, &closed, &per_s)) {
            return false;
        }
        written += per_s;
    }
    if (job->load.rate > 0) {
        return true;
    }
    const struct cluster_load peak = {
        .in_flight = 4096, .payload_bytes = VALUE_BYTES, .run_s = job->harness->seconds};
    harness_progress("bring-in: looking for the peak");
    if (!run_load(job, &peak, &per_s)) {
        return false;
    }
    bench_row_run(add_row(job, "arrivals, 80 % of the peak", "entries/s"), per_s * LOAD_SHARE);
    job->load = (struct cluster_load){.rate = per_s * LOAD_SHARE,
                                      .is_poisson = true,
                                      .payload_bytes = VALUE_BYTES,
                                      .run_s = job->harness->seconds};
    return true;
}

/* The load alone for the time of a run. */
static bool run_alone(struct bring_in *job, struct bench_row *p50, struct bench_row *p99)
{
    double per_s = 0;

    spate_histogram_reset(job->latency);
    if (!run_load(job, &job->load, &per_s)) {
        return false;
    }
    bench_row_run(p50, (double)spate_histogram_percentile(job->latency, 50));
    bench_row_run(p99, (double)spate_histogram_percentile(job->latency, 99));
    return true;
}

/* Whether the last core has what the leader had a moment ago, and votes. */
static bool is_in(struct bring_in *job, uint32_t last, struct cluster_agent_status *ret_status)
{
    struct cluster_agent_status leader;

    return cluster_status(job->cluster, job->cluster->leader, &leader) &&
           cluster_status(job->cluster, last, ret_status) && !ret_status->is_mute &&
           (double)ret_status->applied + job->load.rate * PIECE_S >= (double)leader.applied;
}

static bool bring(struct bring_in *job, struct bench_row *rows[5])
{
    const uint32_t last = job->cluster->options.nodes - 1;
    struct cluster_load piece = job->load;
    struct cluster_agent_status status = {0};
    double per_s = 0;
    uint32_t pieces = 0;

    piece.run_s = PIECE_S;
    spate_histogram_reset(job->latency);
    const double began = now_s();
    bool is_done = false;
    if (!cluster_restart(job->cluster, last)) {
        return failed("the empty core did not start");
    }
    for (; !is_done && pieces < PIECES_MAX; pieces++) {
        if (!run_load(job, &piece, &per_s)) {
            return false;
        }
        is_done = is_in(job, last, &status);
        harness_progress("bring-in: %.1f s, snapshot %.0f MiB, applied up to %llu", now_s() - began,
                         (double)status.snapshot_bytes_in / 1048576,
                         (unsigned long long)status.applied);
    }
    if (!is_done) {
        return failed("the empty core did not catch up");
    }
    bench_row_run(rows[0], now_s() - began);
    bench_row_run(rows[1], (double)status.snapshot_bytes_in);
    bench_row_run(rows[2], (double)spate_histogram_percentile(job->latency, 50));
    bench_row_run(rows[3], (double)spate_histogram_percentile(job->latency, 99));
    bench_row_run(rows[4], cluster_is_equal(job->cluster, 30000));
    return true;
}

/* Its limit: what it is without what is measured. */
static void compare(struct bench_row *row, const struct bench_row *without)
{
    bench_row_limit(row, without->runs, without->run_count);
}

static bool measure_bring_in(struct bring_in *job, const char *directory)
{
    struct cluster_options options = harness_cluster(job->harness, false, directory);
    struct bench_row *before50 = add_row(job, "commit p50, two of three cores", "ns");
    struct bench_row *before99 = add_row(job, "commit p99, two of three cores", "ns");
    struct bench_row *rows[5] = {
        add_row(job, "empty core brought in", "s"), add_row(job, "its snapshot", "bytes"),
        add_row(job, "commit p50 meanwhile", "ns"), add_row(job, "commit p99 meanwhile", "ns"),
        add_row(job, "cores equal after it", "bool")};

    options.nodes = 3;
    options.absent = 1;
    const bool is_done =
        set_up(job, &options, directory) && run_alone(job, before50, before99) && bring(job, rows);
    if (is_done) {
        compare(rows[2], before50);
        compare(rows[3], before99);
    }
    cluster_stop(job->cluster);
    return is_done;
}

static bool measure_snapshots(struct bring_in *job, const char *directory, uint64_t snapshot_bytes,
                              struct bench_row *rows[3])
{
    struct cluster_options options = harness_cluster(job->harness, false, directory);
    struct cluster_agent_status before = {0};
    struct cluster_agent_status after = {0};

    options.nodes = 3;
    options.snapshot_bytes = snapshot_bytes;
    const bool is_done = set_up(job, &options, directory) &&
                         cluster_status(job->cluster, job->cluster->leader, &before) &&
                         run_alone(job, rows[0], rows[1]) &&
                         cluster_status(job->cluster, job->cluster->leader, &after);
    bench_row_run(rows[2], (double)(after.snapshots_taken - before.snapshots_taken));
    cluster_stop(job->cluster);
    return is_done;
}

/* A folder of its own for each cluster. */
static bool with_folder(struct bring_in *job, uint64_t snapshot_bytes, struct bench_row *rows[3])
{
    char directory[512] = "";
    const bool is_done = harness_make_directory(job->harness, directory, sizeof directory) &&
                         (rows == NULL ? measure_bring_in(job, directory)
                                       : measure_snapshots(job, directory, snapshot_bytes, rows));

    harness_remove_directory(directory);
    return is_done;
}

bool harness_bring_in(struct harness *harness)
{
    static struct cluster cluster;
    struct bring_in job = {.harness = harness, .cluster = &cluster};
    bool is_done = spate_histogram_create(&job.latency) == SPATE_OK;
    struct bench_row *without[3] = {add_row(&job, "commit p50, no snapshots", "ns"),
                                    add_row(&job, "commit p99, no snapshots", "ns"),
                                    add_row(&job, "snapshots of the leader, none wanted", "count")};
    struct bench_row *with[3] = {add_row(&job, "commit p50, with snapshots", "ns"),
                                 add_row(&job, "commit p99, with snapshots", "ns"),
                                 add_row(&job, "snapshots of the leader", "count")};

    is_done = is_done && with_folder(&job, SNAPSHOT_BYTES, with) &&
              with_folder(&job, NEVER, without) && with_folder(&job, 0, NULL);
    compare(with[0], without[0]);
    compare(with[1], without[1]);
    spate_histogram_destroy(job.latency);
    return is_done && !process_is_interrupted();
}
