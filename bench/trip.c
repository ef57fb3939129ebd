/* One frame there and back on the bare transport, with nothing of ours around it. */
#include "bench/harness.h"
#include "bench/limits/dpdk.h"
#include "bench/limits/limits.h"

#define TRIP_FRAME_BYTES 128u

static bool run_trip(struct harness *harness, struct spate_histogram *latency)
{
    const struct bench_bare_options bare = {
        .transport = harness->transport,
        .nodes = 2,
        .payload_bytes = 8,
        .in_flight = 1,
        .frame_bytes = TRIP_FRAME_BYTES,
        .seconds = harness->seconds,
        .warmup_seconds = harness->warmup_seconds,
        .leader_cpu = harness->leader_cpu,
        .follower_cpu = harness->follower_cpu,
    };
    const struct bench_round_trip_options sockets = {
        .transport = harness->transport,
        .frame_bytes = TRIP_FRAME_BYTES,
        .seconds = harness->seconds,
        .polling = BENCH_POLLING_BUSY,
        .client_cpu = harness->leader_cpu,
        .server_cpu = harness->follower_cpu,
    };

    return transport_is_dpdk(harness->transport->kind)
               ? bench_dpdk_round_trip_run(harness->dpdk_limits, &bare, latency)
               : bench_round_trip_run(&sockets, latency);
}

bool harness_trip(struct harness *harness)
{
    struct bench_row *rows[TRANSPORT_KINDS][2] = {{NULL}};
    struct spate_histogram *latency = NULL;
    bool is_done = harness->nodes > 1 && spate_histogram_create(&latency) == SPATE_OK;

    for (uint32_t t = 0; is_done && t < harness->transport_count; t++) {
        harness->transport = &harness->transports[t];
        rows[t][0] = harness_add_row(harness, "raw round trip p50", "ns", "peak", true);
        rows[t][1] = harness_add_row(harness, "raw round trip p99", "ns", "peak", true);
    }
    for (uint32_t run = 0; is_done && run < harness->runs; run++) {
        for (uint32_t t = 0; is_done && t < harness->transport_count; t++) {
            harness->transport = &harness->transports[t];
            harness_progress("raw round trip, run %u of %u: %s", run + 1, harness->runs,
                             transport_name(harness->transport->kind));
            spate_histogram_reset(latency);
            is_done = run_trip(harness, latency) && !process_is_interrupted();
            if (is_done && spate_histogram_count(latency) > 0) {
                bench_row_run(rows[t][0], (double)spate_histogram_percentile(latency, 50));
                bench_row_run(rows[t][1], (double)spate_histogram_percentile(latency, 99));
            }
        }
    }
    harness->transport = &harness->transports[0];
    spate_histogram_destroy(latency);
    return is_done || harness->nodes == 1;
}
