/*
 * Where the time of a commit goes, stage by stage, from the samples that the cores take anyway; and
 * what taking them costs: the same closed loop with and without, in turns.
 */
#include <stdio.h>

#include "bench/harness.h"

static const char *const stage_names[SPATE_STAGE_COUNT] = {
    [SPATE_STAGE_QUEUE] = "queue: until the core takes the command",
    [SPATE_STAGE_APPEND] = "append: into the log",
    [SPATE_STAGE_ENCODE] = "encode: into a frame",
    [SPATE_STAGE_SEND] = "send: given to the network, sealed if it is",
    [SPATE_STAGE_AWAY] = "away: wire, followers, own disk, wire",
    [SPATE_STAGE_FOLLOW] = "of that: in a follower",
    [SPATE_STAGE_COMMIT] = "commit: answers opened, majority counted",
    [SPATE_STAGE_APPLY] = "apply: state machine, outcome published",
};

/* As they are shown: what happens in a follower behind what it is a part of. */
static const enum spate_stage shown[SPATE_STAGE_COUNT] = {
    SPATE_STAGE_QUEUE, SPATE_STAGE_APPEND, SPATE_STAGE_ENCODE, SPATE_STAGE_SEND,
    SPATE_STAGE_AWAY,  SPATE_STAGE_FOLLOW, SPATE_STAGE_COMMIT, SPATE_STAGE_APPLY,
};

struct stages {
    struct harness *harness;
    uint32_t in_flight;
    uint32_t run;
    struct spate_histogram *latency;
    struct bench_row *stages[SPATE_STAGE_COUNT];
    struct bench_row *p50;  /* With samples; its limit is without. */
    struct bench_row *rate; /* Likewise. */
    double without_p50[BENCH_RUNS_MAX];
    double without_rate[BENCH_RUNS_MAX];
};

static struct bench_row *add_row(struct stages *stages, const char *name, const char *unit)
{
    struct harness *harness = stages->harness;
    struct bench_row *row = harness_add_row(harness, name, unit, "peak", harness->polls_busy);

    bench_row_label(row, "in_flight", "%u", stages->in_flight);
    return row;
}

static void set_up(struct stages *stages)
{
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
        stages->stages[shown[s]] = add_row(stages, "stage", "ns");
        bench_row_label(stages->stages[shown[s]], "stage", "%s", stage_names[shown[s]]);
    }
    stages->p50 = add_row(stages, "p50, sampled against not", "ns");
    stages->rate = add_row(stages, "committed, sampled against not", "entries/s");
}

static bool take_stages(struct stages *stages, struct cluster *cluster)
{
    double ns[SPATE_STAGE_COUNT];
    double of_follower[SPATE_STAGE_COUNT] = {0};
    const uint32_t follower = (cluster->leader + 1) % cluster->options.nodes;

    if (!cluster_stages(cluster, cluster->leader, ns) ||
        (follower != cluster->leader && !cluster_stages(cluster, follower, of_follower))) {
        return false;
    }
    ns[SPATE_STAGE_FOLLOW] = of_follower[SPATE_STAGE_FOLLOW];
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
        if (ns[s] > 0) {
            bench_row_run(stages->stages[s], ns[s]);
        }
    }
    return true;
}

static bool measure(struct stages *stages, bool is_sampled)
{
    static struct cluster cluster;
    const struct harness *harness = stages->harness;
    char message[256] = "";
    struct cluster_result result = {.latency = stages->latency};
    struct cluster_options options = harness_cluster(harness, harness->polls_busy, NULL);
    const struct cluster_load load = {.in_flight = stages->in_flight,
                                      .payload_bytes = harness->payload_bytes,
                                      .warm_s = harness->warmup_seconds,
                                      .run_s = harness->seconds};

    options.sample_every = is_sampled ? 0 : SPATE_SAMPLE_NEVER;
    spate_histogram_reset(stages->latency);
    const bool is_done = cluster_start(&cluster, &options, message, sizeof message) &&
                         cluster_load(&cluster, &load, &result, message, sizeof message) &&
                         (!is_sampled || take_stages(stages, &cluster));
    cluster_stop(&cluster);
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n",
                      message[0] != '\0' ? message : "a core told no stages");
        return false;
    }
    const double p50 = (double)spate_histogram_percentile(stages->latency, 50);
    if (is_sampled) {
        bench_row_run(stages->p50, p50);
        bench_row_run(stages->rate, result.per_s);
    } else {
        stages->without_p50[stages->run] = p50;
        stages->without_rate[stages->run] = result.per_s;
    }
    return true;
}

static bool measure_all(struct stages *stages)
{
    for (; stages->run < stages->harness->runs; stages->run++) {
        harness_progress("where the time goes, run %u of %u: %u in flight", stages->run + 1,
                         stages->harness->runs, stages->in_flight);
        if (!measure(stages, true) || !measure(stages, false) || process_is_interrupted()) {
            return false;
        }
        /* The limit sorts its runs, so it is given what is complete. */
        const uint32_t count = stages->run + 1;
        bench_row_limit(stages->p50, stages->without_p50, count);
        bench_row_limit(stages->rate, stages->without_rate, count);
    }
    return true;
}

bool harness_stages(struct harness *harness)
{
    struct spate_histogram *latency = NULL;
    bool is_done = spate_histogram_create(&latency) == SPATE_OK;

    for (uint32_t i = 0; i < harness->in_flight_count && is_done; i++) {
        struct stages stages = {
            .harness = harness, .in_flight = harness->in_flight[i], .latency = latency};
        set_up(&stages);
        is_done = measure_all(&stages);
    }
    spate_histogram_destroy(latency);
    return is_done;
}
