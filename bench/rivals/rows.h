/* Rivals among the rows of a closed loop, in turns with them. */
#ifndef SPATE_BENCH_RIVALS_ROWS_H
#define SPATE_BENCH_RIVALS_ROWS_H

#include "bench/harness.h"
#include "bench/report/recorder.h"
#include "bench/rivals/rivals.h"

/* One rival with so many in flight, beside the cluster's rows with as many. */
struct rival_cell {
    enum rival_kind kind;
    uint32_t nodes;
    uint32_t in_flight;
    bool is_out; /* It failed; said once. */
    const struct bench_row *our_p50;
    const struct bench_row *our_rate;
    struct bench_row *p50;
    struct bench_row *p99;
    struct bench_row *rate;
    struct bench_row *leader_cpu;
    struct bench_row *client_cpu; /* NULL: it has no client. */
    struct bench_row *p50_ratio;
    struct bench_row *rate_ratio;
    struct bench_recorder latency;
};

/* Zero to begin with. */
struct rival_rows {
    uint32_t count;
    struct rival_cell cells[RIVAL_KINDS * HARNESS_IN_FLIGHT_MAX * HARNESS_SCALES_MAX];
};

/*
 * Adds rows for each rival that is asked for and can be measured; one that cannot is noted in the
 * results with the reason. Does nothing when there are rows with so many nodes and in flight. The
 * rows that are given are the cluster's, and get their runs before the rivals get theirs.
 */
bool rival_rows_set_up(struct rival_rows *rows, struct harness *harness, uint32_t in_flight,
                       const struct bench_row *our_p50, const struct bench_row *our_rate);

/* One run of each. False: interrupted. A rival that fails is left out from then on. */
bool rival_rows_run(struct rival_rows *rows, struct harness *harness, uint32_t run,
                    struct spate_histogram *latency);

/* False: one has failed, or a file was not written; says why. */
bool rival_rows_close(struct rival_rows *rows);

#endif
