/*
 * The highest rate of an open loop whose p99, from the intended start, stays below a bound: by
 * halving between a rate that holds and one that does not. Each run searches anew, so that the
 * spread of the runs is that of the answer.
 */
#include <math.h>
#include <stdio.h>

#include "bench/harness.h"

/* Halvings after the bracket is found: rates apart by less than a fiftieth of the first gap. */
#define STEPS 6u

/* A rate holds only if what was offered was also committed. */
#define COMMITTED_MIN 0.99

struct search {
    struct harness *harness;
    struct spate_histogram *latency;
    struct bench_row *row;
    uint32_t run;
};

/* Whether `rate` holds this time. False in *ret_is_done: the measurement failed. */
static bool holds_once(struct search *search, struct cluster *cluster, double rate,
                       bool *ret_is_done)
{
    struct harness *harness = search->harness;
    char message[256] = "";
    struct cluster_result result = {.latency = search->latency};
    const struct cluster_load load = {.rate = rate,
                                      .is_poisson = !harness->is_constant,
                                      .payload_bytes = harness->payload_bytes,
                                      .warm_s = harness->warmup_seconds,
                                      .run_s = harness->seconds};

    spate_histogram_reset(search->latency);
    *ret_is_done =
        !process_is_interrupted() && cluster_load(cluster, &load, &result, message, sizeof message);
    if (!*ret_is_done) {
        if (message[0] != '\0' && !process_is_interrupted()) {
            (void)fprintf(stderr, "\nspate bench: %s\n", message);
        }
        return false;
    }
    const double p99 = (double)spate_histogram_percentile(search->latency, 99);
    const bool is_held =
        p99 <= harness->p99_max_ns && result.failed == 0 && result.per_s >= COMMITTED_MIN * rate;
    harness_progress("highest rate, run %u of %u: %.0f entries/s, p99 %.1f us: %s", search->run + 1,
                     harness->runs, rate, p99 / 1e3, is_held ? "holds" : "too much");
    return is_held;
}

/* Two of three decide: one hiccup of the machine is more than a hundredth of a short look. */
static bool holds(struct search *search, struct cluster *cluster, double rate, bool *ret_is_done)
{
    uint32_t held = 0;
    uint32_t missed = 0;

    *ret_is_done = true;
    while (*ret_is_done && held < 2 && missed < 2) {
        const bool is_held = holds_once(search, cluster, rate, ret_is_done);
        held += is_held;
        missed += !is_held;
    }
    return held == 2;
}

static bool find(void *context, struct cluster *cluster)
{
    struct search *search = context;
    double too_much = 0;
    double held = 0;
    bool is_done = harness_find_peak(search->harness, cluster, search->latency, &too_much);

    /* Down in quarters until one holds; then halve the gap, in ratios. */
    for (double rate = too_much / 4; is_done && held == 0 && rate >= 1; rate /= 4) {
        if (holds(search, cluster, rate, &is_done)) {
            held = rate;
        } else {
            too_much = rate;
        }
    }
    for (uint32_t s = 0; is_done && held > 0 && s < STEPS; s++) {
        const double rate = sqrt(held * too_much);
        if (holds(search, cluster, rate, &is_done)) {
            held = rate;
        } else {
            too_much = rate;
        }
    }
    if (is_done) {
        bench_row_run(search->row, held); /* 0: not even one entry a second. */
    }
    return is_done;
}

bool harness_find_max(struct harness *harness)
{
    struct search search = {.harness = harness};
    bool is_done = spate_histogram_create(&search.latency) == SPATE_OK;

    search.row = harness_add_row(harness, "highest rate", "entries/s", "open", harness->polls_busy);
    bench_row_label(search.row, "arrivals", "%s", harness->is_constant ? "constant" : "poisson");
    bench_row_label(search.row, "p99 under", "%g us", harness->p99_max_ns / 1e3);
    for (; search.run < harness->runs && is_done; search.run++) {
        is_done = harness_with_cluster(harness, find, &search) && !process_is_interrupted();
    }
    spate_histogram_destroy(search.latency);
    return is_done;
}
