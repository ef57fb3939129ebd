/* One write and fdatasync of one entry: what no durable commit can be faster than. */
#include "bench/harness.h"
#include "bench/limits/limits.h"

bool harness_sync(struct harness *harness)
{
    struct bench_row *p50 = bench_results_add(harness->results, "write + fdatasync p50", "ns");
    struct bench_row *p99 = bench_results_add(harness->results, "write + fdatasync p99", "ns");
    struct spate_histogram *latency = NULL;
    bool is_done = spate_histogram_create(&latency) == SPATE_OK;

    bench_row_label(p50, "payload", "%u", harness->payload_bytes);
    bench_row_label(p99, "payload", "%u", harness->payload_bytes);
    for (uint32_t run = 0; is_done && run < harness->runs; run++) {
        harness_progress("write + fdatasync, run %u of %u", run + 1, harness->runs);
        spate_histogram_reset(latency);
        is_done =
            bench_sync_run(harness->directory, harness->payload_bytes, harness->seconds, latency) &&
            spate_histogram_count(latency) > 0 && !process_is_interrupted();
        if (is_done) {
            bench_row_run(p50, (double)spate_histogram_percentile(latency, 50));
            bench_row_run(p99, (double)spate_histogram_percentile(latency, 99));
        }
    }
    spate_histogram_destroy(latency);
    return is_done;
}
