/* What idle cores cost: processor time with adaptive polling, and memory. */
#include <stdio.h>

#include "bench/harness.h"

bool harness_idle(struct harness *harness)
{
    static struct cluster cluster;
    char message[256] = "";
    struct cluster_options options = harness_cluster(harness, false, NULL);
    struct bench_row *leader = bench_results_add(harness->results, "idle leader", "% of a CPU");
    struct bench_row *follower = bench_results_add(harness->results, "idle follower", "% of a CPU");
    struct bench_row *memory = bench_results_add(harness->results, "resident, idle", "MiB");

    struct bench_row *const rows[] = {leader, follower, memory};

    for (uint32_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        bench_row_label(rows[r], "transport", "%s", transport_name(harness->transport->kind));
    }
    bench_row_label(memory, "log budget", "%llu MiB",
                    (unsigned long long)options.log_budget_bytes >> 20);
    bool is_done = cluster_start(&cluster, &options, message, sizeof message);
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
    }
    for (uint32_t run = 0; run < harness->runs && is_done && !process_is_interrupted(); run++) {
        double share = 0;
        struct cluster_agent_status status;
        const uint32_t other = (cluster.leader + 1) % harness->nodes;
        harness_progress("idle over %s, run %u of %u", transport_name(harness->transport->kind),
                         run + 1, harness->runs);
        is_done = cluster_idle(&cluster, cluster.leader, harness->seconds, &share);
        bench_row_run(leader, share * 100);
        is_done = is_done && cluster_idle(&cluster, other, harness->seconds, &share) &&
                  cluster_status(&cluster, other, &status);
        if (is_done) {
            bench_row_run(follower, share * 100);
            bench_row_run(memory, (double)status.resident_bytes / (1 << 20));
        }
    }
    cluster_stop(&cluster);
    return is_done && !process_is_interrupted();
}
