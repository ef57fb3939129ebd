/*
 * spate-bench: measures clusters of real processes on this machine, beside the machine's limits in
 * the same run. `spate bench` runs it; agents of its clusters are this program too.
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/cluster/agent.h"
#include "bench/environment.h"
#include "bench/harness.h"
#include "bench/report/report.h"

static const char usage[] =
    "usage: spate bench [PROFILE] [OPTIONS]\n\n"
    "profiles\n"
    "  latency     1 in flight, busy and adaptive polling (default)\n"
    "  throughput  64 and 4096 in flight\n"
    "  durable     1 and 4096 in flight, on disk\n"
    "  open        open loops at 10, 50 and 90 % of the peak\n"
    "  failover    kill -9 of leaders under load\n"
    "  idle        processor, memory and wake-up of idle cores\n"
    "  full        all of these\n\n"
    "options [defaults]\n"
    "  --nodes N [3]            cores: 1, 3, 5 or 7\n"
    "  --payload BYTES [64]     of each entry, a multiple of 8\n"
    "  --in-flight N,N,…        instead of the profile's\n"
    "  --polling busy|adaptive|both\n"
    "  --frame BYTES [60000]    UDP payload\n"
    "  --runs N [5]  --seconds S [2]  --warmup S [0.5]  --kills N [30]\n"
    "  --leader-cpu N [0]  --follower-cpu N [1]\n"
    "  --dir DIR [.]            where durable runs write\n"
    "  --output DIR             report.html, env.json, results.*, *.hgrm, *.hlog\n";

enum option_id {
    NODES = 1,
    PAYLOAD,
    IN_FLIGHT,
    POLLING,
    FRAME,
    RUNS,
    SECONDS,
    WARMUP,
    KILLS,
    LEADER_CPU,
    FOLLOWER_CPU,
    DIRECTORY,
    OUTPUT,
    HELP
};

static const struct option option_table[] = {
    {"nodes", required_argument, NULL, NODES},
    {"payload", required_argument, NULL, PAYLOAD},
    {"in-flight", required_argument, NULL, IN_FLIGHT},
    {"polling", required_argument, NULL, POLLING},
    {"frame", required_argument, NULL, FRAME},
    {"runs", required_argument, NULL, RUNS},
    {"seconds", required_argument, NULL, SECONDS},
    {"warmup", required_argument, NULL, WARMUP},
    {"kills", required_argument, NULL, KILLS},
    {"leader-cpu", required_argument, NULL, LEADER_CPU},
    {"follower-cpu", required_argument, NULL, FOLLOWER_CPU},
    {"dir", required_argument, NULL, DIRECTORY},
    {"output", required_argument, NULL, OUTPUT},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

void harness_progress(const char *format, ...)
{
    const bool is_terminal = isatty(STDERR_FILENO);
    va_list arguments;

    va_start(arguments, format);
    (void)fputs(is_terminal ? "\r\033[K" : "", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs(is_terminal ? "" : "\n", stderr);
    va_end(arguments);
}

struct cluster_options harness_cluster(const struct harness *harness, bool is_busy,
                                       const char *directory)
{
    return (struct cluster_options){
        .program = harness->program,
        .nodes = harness->nodes,
        .is_busy = is_busy,
        .directory = directory,
        .frame_bytes = harness->frame_bytes,
        .leader_cpu = harness->leader_cpu,
        .follower_cpu = harness->follower_cpu,
        .log_budget_bytes = 256u << 20,
        .election_timeout_ms = 300,
    };
}

bool harness_make_directory(const struct harness *harness, char *path, uint32_t path_bytes)
{
    (void)snprintf(path, path_bytes, "%s/spate-bench-XXXXXX", harness->directory);
    if (mkdtemp(path) == NULL) {
        (void)fprintf(stderr, "\nspate bench: cannot make a folder in %s: %s; give another --dir\n",
                      harness->directory, strerror(errno));
        return false;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void harness_remove_directory(const char *path)
{
    if (path[0] != '\0') {
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static bool read_number(const char *text, double min, double max, double *ret_number)
{
    char *rest = NULL;
    const double number = strtod(text, &rest);
    if (rest == text || *rest != '\0' || !(number >= min && number <= max)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool read_in_flight(struct harness *harness, char *text)
{
    char *item = NULL;
    double number = 0;

    harness->in_flight_count = 0;
    while ((item = strsep(&text, ",")) != NULL) {
        if (harness->in_flight_count == HARNESS_IN_FLIGHT_MAX ||
            !read_number(item, 1, 65536, &number)) {
            return false;
        }
        harness->in_flight[harness->in_flight_count++] = (uint32_t)number;
    }
    return true;
}

static bool read_polling(struct harness *harness, const char *text)
{
    const bool is_both = strcmp(text, "both") == 0;
    harness->polls_busy = is_both || strcmp(text, "busy") == 0;
    harness->polls_adaptive = is_both || strcmp(text, "adaptive") == 0;
    return harness->polls_busy || harness->polls_adaptive;
}

static bool read_option(struct harness *harness, int id, char *text)
{
    const struct {
        double min, max;
        uint32_t *to;
    } numbers[] = {
        [NODES] = {1, 7, &harness->nodes},
        [PAYLOAD] = {8, 1 << 20, &harness->payload_bytes},
        [FRAME] = {1472, 65000, &harness->frame_bytes},
        [RUNS] = {1, BENCH_RUNS_MAX, &harness->runs},
        [KILLS] = {1, BENCH_RUNS_MAX, &harness->kills},
        [LEADER_CPU] = {0, 4095, (uint32_t *)&harness->leader_cpu},
        [FOLLOWER_CPU] = {0, 4095, (uint32_t *)&harness->follower_cpu},
    };
    double number = 0;

    switch (id) {
    case IN_FLIGHT:
        return read_in_flight(harness, text);
    case POLLING:
        return read_polling(harness, text);
    case SECONDS:
        return read_number(text, 0.05, 3600, &harness->seconds);
    case WARMUP:
        return read_number(text, 0, 3600, &harness->warmup_seconds);
    case DIRECTORY:
        harness->directory = text;
        return true;
    case OUTPUT:
        harness->output = text;
        return true;
    default:
        break;
    }
    if (id >= (int)(sizeof numbers / sizeof numbers[0]) || numbers[id].to == NULL ||
        !read_number(text, numbers[id].min, numbers[id].max, &number)) {
        return false;
    }
    *numbers[id].to = (uint32_t)number;
    return true;
}

/* Sets what a profile measures, where the command line did not say otherwise. */
static void fill_in(struct harness *harness, uint32_t first, uint32_t second, bool is_busy,
                    bool is_adaptive)
{
    if (harness->in_flight_count == 0) {
        harness->in_flight[harness->in_flight_count++] = first;
        if (second != 0) {
            harness->in_flight[harness->in_flight_count++] = second;
        }
    }
    if (!harness->polls_busy && !harness->polls_adaptive) {
        harness->polls_busy = is_busy;
        harness->polls_adaptive = is_adaptive;
    }
}

static bool run_latency(struct harness harness)
{
    fill_in(&harness, 1, 0, true, true);
    return harness_peak(&harness);
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
    return harness_peak(&harness);
}

static bool run_open(struct harness harness)
{
    fill_in(&harness, 1, 0, true, false);
    return harness_open(&harness);
}

static bool run_failover(struct harness harness)
{
    return harness_failover(&harness);
}

static bool run_idle(struct harness harness)
{
    return harness_idle(&harness) && harness_wake(&harness);
}

static const struct {
    const char *name;
    bool (*run)(struct harness harness); /* A copy: what it fills in stays its own. */
} profiles[] = {
    {"latency", run_latency}, {"throughput", run_throughput}, {"durable", run_durable},
    {"open", run_open},       {"failover", run_failover},     {"idle", run_idle},
};

static int run_profile(struct harness *harness, const char *name)
{
    const bool is_full = strcmp(name, "full") == 0;
    bool is_known = is_full;
    bool is_done = true;

    for (unsigned p = 0; p < sizeof profiles / sizeof profiles[0]; p++) {
        if (is_full || strcmp(name, profiles[p].name) == 0) {
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
    int code = run_profile(harness, profile);
    harness_progress("%s", process_is_interrupted() ? "interrupted: what there is" : "done");
    if (harness->results->count > 0) {
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

int main(int argument_count, char **arguments)
{
    static char program[4096];
    struct harness harness = {.nodes = 3,
                              .payload_bytes = 64,
                              .frame_bytes = 60000,
                              .runs = 5,
                              .seconds = 2,
                              .warmup_seconds = 0.5,
                              .kills = 30,
                              .leader_cpu = 0,
                              .follower_cpu = 1,
                              .directory = ".",
                              .program = program};
    int id = 0;

    if (argument_count > 1 && strcmp(arguments[1], "agent") == 0) {
        return agent_run(argument_count - 2, arguments + 2);
    }
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) {
        (void)fprintf(stderr, "spate bench: /proc is not mounted\n");
        return 1;
    }
    process_catch_signals();
    while ((id = getopt_long(argument_count, arguments, "", option_table, NULL)) != -1) {
        if (id == HELP) {
            (void)fputs(usage, stdout);
            return 0;
        }
        if (id == '?' || !read_option(&harness, id, optarg)) {
            (void)fprintf(stderr, "spate bench: '%s' is not possible; see 'spate bench --help'\n",
                          arguments[optind - 1]);
            return 2;
        }
    }
    if (harness.nodes % 2 == 0 || harness.payload_bytes % 8 != 0 || optind + 1 < argument_count) {
        (void)fprintf(stderr, "spate bench: give 1, 3, 5 or 7 nodes, a payload that is a multiple "
                              "of 8, and one profile; see 'spate bench --help'\n");
        return 2;
    }
    return measure(&harness, optind < argument_count ? arguments[optind] : "latency", arguments);
}
