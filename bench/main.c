/*
 * spate-bench: measures clusters of real processes on this machine, beside the machine's limits in
 * the same run. `spate bench` runs it; agents of its clusters are this program too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/cluster/agent.h"
#include "bench/environment.h"
#include "bench/harness.h"
#include "bench/report/folders.h"
#include "bench/report/report.h"

/* Sets what a profile measures, where the command line did not say otherwise. */
static void fill_in(struct harness *harness, uint32_t first, uint32_t second, bool is_busy,
                    bool is_adaptive)
{
    const uint32_t most = harness_in_flight_max(harness);

    if (harness->in_flight_count == 0) {
        harness->in_flight[harness->in_flight_count++] = first < most ? first : most;
        if (second != 0) {
            harness->in_flight[harness->in_flight_count++] = second < most ? second : most;
        }
    }
    if (!harness->polls_busy && !harness->polls_adaptive) {
        harness->polls_busy = is_busy;
        harness->polls_adaptive = is_adaptive;
    }
}

/* What knows one transport and one kind of polling, with each that is asked for. */
static bool on_each(struct harness *harness, bool (*run)(struct harness *))
{
    const bool polls[2] = {harness->polls_busy, harness->polls_adaptive};

    for (uint32_t t = 0; t < harness->transport_count; t++) {
        harness->transport = &harness->transports[t];
        for (uint32_t p = 0; p < 2; p++) {
            harness->polls_busy = p == 0;
            if (polls[p] && !run(harness)) {
                return false;
            }
        }
    }
    return true;
}

static bool run_open(struct harness harness)
{
    fill_in(&harness, 1, 0, true, false);
    return on_each(&harness, harness.finds_max ? harness_find_max : harness_open);
}

static bool run_latency(struct harness harness)
{
    const bool is_open_too = harness.in_flight_count == 0; /* Else closed loops are asked for. */
    fill_in(&harness, 1, 0, true, true);
    return (!is_open_too || harness_trip(&harness)) && harness_peak(&harness) &&
           (!is_open_too || run_open(harness));
}

static bool run_throughput(struct harness harness)
{
    fill_in(&harness, 64, 4096, true, false);
    return harness_peak(&harness);
}

static bool run_durable(struct harness harness)
{
    fill_in(&harness, 1, 4096, false, true);
    harness.is_durable = true;
    return harness_peak(&harness) && harness_sync(&harness);
}

static bool run_stages(struct harness harness)
{
    fill_in(&harness, 1, 4096, true, false);
    return on_each(&harness, harness_stages);
}

static bool run_scale(struct harness harness)
{
    fill_in(&harness, 4096, 0, true, false);
    for (uint32_t s = 0; s < HARNESS_SCALES_MAX; s++) {
        harness.scales[harness.scale_count++] = 1 + 2 * s;
    }
    return harness_peak(&harness);
}

static bool run_parts(struct harness harness)
{
    return harness_parts(&harness);
}

/* What polls in its own way, with each transport. */
static bool over_each(struct harness *harness, bool (*run)(struct harness *))
{
    bool is_done = true;

    for (uint32_t t = 0; is_done && t < harness->transport_count; t++) {
        harness->transport = &harness->transports[t];
        is_done = run(harness);
    }
    return is_done;
}

static bool run_failover(struct harness harness)
{
    return over_each(&harness, harness_failover);
}

static bool run_bring_in(struct harness harness)
{
    return over_each(&harness, harness_bring_in);
}

static bool run_idle(struct harness harness)
{
    /* The wake-up is that of a cluster of one, which has nobody to reach over a transport. */
    return over_each(&harness, harness_idle) && harness_wake(&harness);
}

static const struct {
    const char *name;
    bool (*run)(struct harness harness); /* A copy: what it fills in stays its own. */
} profiles[] = {
    {"latency", run_latency},   {"throughput", run_throughput},
    {"durable", run_durable},   {"open", run_open},
    {"stages", run_stages},     {"failover", run_failover},
    {"bring-in", run_bring_in}, {"idle", run_idle},
    {"scale", run_scale},       {"parts", run_parts},
};

/* All of them where none is named, on the same disk: what P9 and P10 compare. */
static const char *choose_rivals(struct harness *harness)
{
    bool is_named = false;

    for (uint32_t k = 0; k < RIVAL_KINDS; k++) {
        is_named = is_named || harness->rivals[k];
    }
    for (uint32_t k = 0; k < RIVAL_KINDS; k++) {
        harness->rivals[k] = harness->rivals[k] || !is_named;
    }
    const bool is_counted = harness->in_flight_count > 0;
    for (uint32_t i = 0; !is_counted && i < 4; i++) {
        static const uint32_t in_flight[4] = {1, 64, 1024, 4096};
        if (in_flight[i] <= harness_in_flight_max(harness)) {
            harness->in_flight[harness->in_flight_count++] = in_flight[i];
        }
    }
    return "durable";
}

static int run_profile(struct harness *harness, const char *name)
{
    if (harness->finds_max || harness->rate > 0) {
        harness->is_durable = strcmp(name, "durable") == 0;
        name = "open"; /* A rate is asked for, or looked for: no closed loop. */
    }
    if (strcmp(name, "rivals") == 0) {
        name = choose_rivals(harness);
    }
    const bool is_full = strcmp(name, "full") == 0;
    bool is_known = is_full;
    bool is_done = true;

    for (unsigned p = 0; p < sizeof profiles / sizeof profiles[0]; p++) {
        if ((is_full && profiles[p].run != run_open) || strcmp(name, profiles[p].name) == 0) {
            is_known = true;
            is_done = is_done && profiles[p].run(*harness);
        }
    }
    if (!is_known) {
        (void)fprintf(stderr, "spate bench: no profile '%s'; 'spate bench --help' lists them\n",
                      name);
        return 2;
    }
    return is_done ? 0 : 1;
}

/* As a shell has it for Ctrl-C. */
#define INTERRUPTED 130

static int measure(struct harness *harness, const char *profile, char *const arguments[])
{
    harness->results = bench_results_create();
    if (harness->results == NULL) {
        (void)fprintf(stderr, "spate bench: out of memory\n");
        return 1;
    }
    if (harness->output != NULL && mkdir(harness->output, 0777) != 0 && errno != EEXIST) {
        (void)fprintf(stderr, "spate bench: cannot make %s: %s; give another --output\n",
                      harness->output, strerror(errno));
        return 2;
    }
    const uint32_t nodes = harness->nodes;
    if (strcmp(profile, "scale") == 0 || strcmp(profile, "full") == 0) {
        harness->nodes = CLUSTER_NODES_MAX; /* As many as any cluster of the run has. */
    }
    const bool is_open = harness_open_transports(harness);
    harness->nodes = nodes;
    int code = is_open ? run_profile(harness, profile) : 1;
    harness_close_transports(harness);
    if (process_is_interrupted()) {
        code = INTERRUPTED;
    }
    if (!bench_results_is_empty(harness->results)) {
        harness_progress("%s", code == INTERRUPTED ? "interrupted: what there is" : "done");
        (void)fputc('\n', stderr);
        bench_environment_print(stdout);
        bench_results_print(harness->results, stdout);
        if (harness->output != NULL &&
            !(bench_results_save(harness->results, harness->output, arguments) &&
              bench_report_write(harness->output))) {
            code = 1;
        }
    }
    free(harness->results);
    return code;
}

/* The command line as it was given: reading it moves words about and cuts lists into pieces. NULL:
 * out of memory. */
static char **keep(int argument_count, char *const arguments[])
{
    char **kept = calloc((size_t)argument_count + 1, sizeof *kept);

    for (int a = 0; kept != NULL && a < argument_count; a++) {
        kept[a] = strdup(arguments[a]);
        if (kept[a] == NULL) {
            return NULL;
        }
    }
    return kept;
}

int main(int argument_count, char **arguments)
{
    static char program[4096];
    static char dpdk_limits[4096 + 32];
    struct harness harness = {.nodes = 3,
                              .payload_bytes = 64,
                              .transports = {{.kind = TRANSPORT_SOCKET}},
                              .transport_count = 1,
                              .runs = 5,
                              .seconds = 2,
                              .warmup_seconds = 0.5,
                              .state_bytes = 1u << 30,
                              .kills = 30,
                              .election_timeout_ms = 300,
                              .leader_cpu = 0,
                              .follower_cpu = 1,
                              .directory = ".",
                              .program = program,
                              .dpdk_limits = dpdk_limits};
    const char *profile = NULL;
    int code = 0;

    if (argument_count > 1 && strcmp(arguments[1], "agent") == 0) {
        return agent_run(argument_count - 2, arguments + 2);
    }
    if (bench_folders_run(argument_count - 1, arguments + 1, &code)) {
        return code;
    }
    static char **given; /* As long as the process. */

    given = keep(argument_count, arguments);
    if (given == NULL) {
        (void)fprintf(stderr, "spate bench: out of memory\n");
        return 1;
    }
    if (!harness_read_options(&harness, argument_count, arguments, &profile, &code)) {
        return code;
    }
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) {
        (void)fprintf(stderr, "spate bench: /proc is not mounted\n");
        return 1;
    }
    (void)snprintf(dpdk_limits, sizeof dpdk_limits, "%.*s/spate-limits-dpdk",
                   (int)(strrchr(program, '/') - program), program);
    harness.transport = &harness.transports[0];
    process_catch_signals();
    return measure(&harness, profile != NULL ? profile : "latency", given);
}
