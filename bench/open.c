/*
 * Open loops: commands begin when they should, whatever came of the earlier ones, and their latency
 * counts from then. At a given rate, or at 10, 50 and 90 % of the peak that a closed loop reaches
 * in the same run.
 */
#include <stdio.h>

#include "bench/harness.h"
#include "bench/report/recorder.h"

#define POINTS_MAX 3u

/* What every open loop reports, beside its latency. */
#define PERCENTILES 3u

static const double percentiles[PERCENTILES] = {50, 99, 99.9};
static const char *const percentile_names[PERCENTILES] = {"commit p50", "commit p99",
                                                          "commit p99.9"};

/* One rate and its rows. */
struct point {
    uint32_t percent; /* Of the peak; 0: the rate of the command line. */
    struct bench_row *latency[PERCENTILES];
    struct bench_row *offered;
    struct bench_row *committed; /* Its limit is what was offered. */
    struct bench_row *late;
    struct bench_recorder recorder;
};

static bool set_up(struct harness *harness, struct point *point, uint32_t percent)
{
    const char *polling = harness->polls_busy ? "busy" : "adaptive";
    const char *const names[] = {percentile_names[0], percentile_names[1], percentile_names[2],
                                 "offered",           "committed",         "begun late"};
    struct bench_row **rows[] = {&point->latency[0], &point->latency[1], &point->latency[2],
                                 &point->offered,    &point->committed,  &point->late};
    char load[32];

    *point = (struct point){.percent = percent};
    if (percent != 0) {
        (void)snprintf(load, sizeof load, "%u %%", percent);
    } else {
        (void)snprintf(load, sizeof load, "%.0f/s", harness->rate);
    }
    for (uint32_t r = 0; r < 6; r++) {
        *rows[r] = harness_add_row(harness, names[r],
                                   r < PERCENTILES ? "ns"
                                   : r < 5         ? "entries/s"
                                                   : "count",
                                   "open", harness->polls_busy);
        bench_row_label(*rows[r], "load", "%s", load);
        bench_row_label(*rows[r], "arrivals", "%s", harness->is_constant ? "constant" : "poisson");
    }
    struct bench_row *row = point->latency[0];
    (void)snprintf(row->histogram, sizeof row->histogram, "open-%s-%s-%s-%.0f",
                   transport_name(harness->transport->kind), polling,
                   harness->is_durable ? "disk" : "memory", percent != 0 ? percent : harness->rate);
    return bench_recorder_open(&point->recorder, harness->output, row->histogram);
}

static bool measure(struct harness *harness, struct cluster *cluster, struct point *point,
                    double rate, struct spate_histogram *latency)
{
    char message[256] = "";
    struct cluster_result result = {.latency = latency};
    const struct cluster_load load = {.rate = rate,
                                      .is_poisson = !harness->is_constant,
                                      .payload_bytes = harness->payload_bytes,
                                      .warm_s = harness->warmup_seconds,
                                      .run_s = harness->seconds};

    spate_histogram_reset(latency);
    if (!cluster_load(cluster, &load, &result, message, sizeof message) || result.failed > 0) {
        (void)fprintf(stderr, "\nspate bench: %s\n",
                      message[0] != '\0' ? message : "entries were refused");
        return false;
    }
    for (uint32_t p = 0; p < PERCENTILES; p++) {
        bench_row_run(point->latency[p],
                      (double)spate_histogram_percentile(latency, percentiles[p]));
    }
    bench_row_run(point->offered, rate);
    bench_row_run(point->committed, result.per_s);
    bench_row_run(point->late, (double)result.missed);
    point->committed->limit = rate;
    bench_recorder_add(&point->recorder, latency, harness->seconds);
    return true;
}

bool harness_find_peak(struct harness *harness, struct cluster *cluster,
                       struct spate_histogram *latency, double *ret_per_s)
{
    char message[256] = "";
    struct cluster_result peak = {.latency = latency};
    const uint32_t most = harness_in_flight_max(harness);
    const struct cluster_load closed = {.in_flight = most < 4096 ? most : 4096,
                                        .payload_bytes = harness->payload_bytes,
                                        .warm_s = harness->warmup_seconds,
                                        .run_s = harness->seconds};

    if (!cluster_load(cluster, &closed, &peak, message, sizeof message)) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
        return false;
    }
    *ret_per_s = peak.per_s;
    return true;
}

struct open_runs {
    struct harness *harness;
    struct spate_histogram *latency;
    struct point points[POINTS_MAX];
    uint32_t count;
    uint32_t run;
    double peak_per_s; /* Found in the first run, and kept, so that the runs are of one rate. */
};

/* One run: all points, one after the other. */
static bool run_points(void *context, struct cluster *cluster)
{
    struct open_runs *runs = context;
    struct harness *harness = runs->harness;

    if (harness->rate == 0 && runs->run == 0) {
        harness_progress("open loop: looking for the peak");
        if (!harness_find_peak(harness, cluster, runs->latency, &runs->peak_per_s)) {
            return false;
        }
    }
    for (uint32_t p = 0; p < runs->count; p++) {
        struct point *point = &runs->points[p];
        const double rate =
            point->percent == 0 ? harness->rate : runs->peak_per_s * point->percent / 100;
        harness_progress("open loop, run %u of %u: %.0f entries/s", runs->run + 1, harness->runs,
                         rate);
        if (process_is_interrupted() || !measure(harness, cluster, point, rate, runs->latency)) {
            return false;
        }
    }
    return true;
}

bool harness_open(struct harness *harness)
{
    static const uint32_t shares[POINTS_MAX] = {10, 50, 90};
    static struct open_runs runs;

    const bool is_given = harness->rate > 0;
    runs = (struct open_runs){.harness = harness, .count = is_given ? 1 : POINTS_MAX};
    bool is_done = spate_histogram_create(&runs.latency) == SPATE_OK;
    for (uint32_t p = 0; p < runs.count && is_done; p++) {
        is_done = set_up(harness, &runs.points[p], is_given ? 0 : shares[p % POINTS_MAX]);
    }
    for (; runs.run < harness->runs && is_done; runs.run++) {
        is_done = harness_with_cluster(harness, run_points, &runs) && !process_is_interrupted();
    }
    for (uint32_t p = 0; p < runs.count; p++) {
        is_done = bench_recorder_close(&runs.points[p].recorder) && is_done;
    }
    spate_histogram_destroy(runs.latency);
    return is_done;
}
