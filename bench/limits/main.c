/*
 * spate-limits: what this machine can do without Raft, for comparison.
 *
 *   spate-limits bare --nodes 3 --in-flight 1,64,4096 --polling busy
 *   spate-limits rtt --frame 128 --polling blocking
 *   spate-limits sync --durable DIR --payload 4096
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/children.h"
#include "bench/environment.h"
#include "bench/limits/limits.h"
#include "bench/process.h"
#include "bench/report/results.h"

#define VARIANTS_MAX 16u

struct request {
    struct bench_bare_options bare;
    uint32_t in_flight[VARIANTS_MAX];
    uint32_t in_flight_count;
    uint32_t runs;
    const char *output;
};

/* Where one variant's figures go. */
struct variant {
    struct spate_histogram *all; /* Latencies of every run. */
    struct bench_row *rate;
    struct bench_row *p50;
    struct bench_row *p99;
    struct bench_row *leader;
    struct bench_row *followers;
    struct bench_row *group;
};

static const char usage[] =
    "usage: spate-limits bare|rtt|sync [options]\n"
    "  bare   replication without Raft: one leader, followers that copy and acknowledge\n"
    "  rtt    one frame there and back\n"
    "  sync   one write + fdatasync\n"
    "options (and defaults):\n"
    "  --nodes 3  --payload 64  --in-flight 1,64,4096  --frame 60000 (rtt: 128)\n"
    "  --polling busy|adaptive|blocking  --durable DIR (bare: memory; sync: .)\n"
    "  --seconds 1  --warmup 0.3  --runs 5  --leader-cpu 0  --follower-cpu 1 (-1: any)\n"
    "  --output DIR (results.json, results.csv, env.json, *.hgrm)\n";

static const char *const polling_names[] = {"busy", "adaptive", "blocking"};

static bool parse_polling(const char *text, enum bench_polling *ret_polling)
{
    for (uint32_t p = 0; p < 3; p++) {
        if (strcmp(text, polling_names[p]) == 0) {
            *ret_polling = (enum bench_polling)p;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, double min, double max, double *ret_number)
{
    char *end = NULL;
    const double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= min && number <= max)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool parse_list(char *text, struct request *request)
{
    char *rest = text;

    request->in_flight_count = 0;
    for (char *word = strsep(&rest, ","); word != NULL; word = strsep(&rest, ",")) {
        double number = 0;
        if (request->in_flight_count == VARIANTS_MAX || !parse_number(word, 1, 1 << 20, &number)) {
            return false;
        }
        request->in_flight[request->in_flight_count++] = (uint32_t)number;
    }
    return true;
}

static bool parse_option(int option, char *text, struct request *request)
{
    double number = 0;

    switch (option) {
    case 'i':
        return parse_list(text, request);
    case 'g':
        return parse_polling(text, &request->bare.polling);
    case 'd':
        request->bare.durable_directory = text;
        return true;
    case 'o':
        request->output = text;
        return true;
    case 's':
        return parse_number(text, 0.01, 3600, &request->bare.seconds);
    case 'w':
        return parse_number(text, 0, 3600, &request->bare.warmup_seconds);
    default:
        break;
    }
    if (!parse_number(text, -1, 1 << 20, &number)) {
        return false;
    }
    switch (option) {
    case 'n':
        request->bare.nodes = (uint32_t)number;
        return number >= 1;
    case 'p':
        request->bare.payload_bytes = (uint32_t)number;
        return number >= 8;
    case 'f':
        request->bare.frame_bytes = (uint32_t)number;
        return number >= 16;
    case 'r':
        request->runs = (uint32_t)number;
        return number >= 1 && number <= BENCH_RUNS_MAX;
    case 'l':
        request->bare.leader_cpu = (int)number;
        return true;
    case 'c':
        request->bare.follower_cpu = (int)number;
        return true;
    default:
        return false;
    }
}

static bool parse(int argc, char *argv[], struct request *request)
{
    static const struct option options[] = {{"nodes", 1, NULL, 'n'},
                                            {"payload", 1, NULL, 'p'},
                                            {"in-flight", 1, NULL, 'i'},
                                            {"frame", 1, NULL, 'f'},
                                            {"polling", 1, NULL, 'g'},
                                            {"durable", 1, NULL, 'd'},
                                            {"seconds", 1, NULL, 's'},
                                            {"warmup", 1, NULL, 'w'},
                                            {"runs", 1, NULL, 'r'},
                                            {"leader-cpu", 1, NULL, 'l'},
                                            {"follower-cpu", 1, NULL, 'c'},
                                            {"output", 1, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};

    for (;;) {
        const int option = getopt_long(argc, argv, "", options, NULL);
        if (option == -1) {
            return optind + 1 == argc;
        }
        if (option == '?' || !parse_option(option, optarg, request)) {
            return false;
        }
    }
}

static void label(struct bench_row *row, const struct request *request, uint32_t in_flight)
{
    bench_row_label(row, "nodes", "%u", request->bare.nodes);
    bench_row_label(row, "payload", "%u", request->bare.payload_bytes);
    bench_row_label(row, "in_flight", "%u", in_flight);
    bench_row_label(row, "frame", "%u", request->bare.frame_bytes);
    bench_row_label(row, "polling", "%s", polling_names[request->bare.polling]);
    bench_row_label(row, "durable", "%s", request->bare.durable_directory != NULL ? "yes" : "no");
}

static struct bench_row *add_row(struct bench_results *results, const struct request *request,
                                 uint32_t in_flight, const char *name, const char *unit)
{
    struct bench_row *row = bench_results_add(results, name, unit);
    label(row, request, in_flight);
    return row;
}

static bool begin_variant(struct bench_results *results, const struct request *request,
                          uint32_t in_flight, struct variant *variant)
{
    variant->rate = add_row(results, request, in_flight, "bare rate, peak", "entries/s");
    variant->p50 = add_row(results, request, in_flight, "bare p50", "ns");
    variant->p99 = add_row(results, request, in_flight, "bare p99", "ns");
    variant->leader = add_row(results, request, in_flight, "bare leader", "cores");
    variant->followers = add_row(results, request, in_flight, "bare followers", "cores");
    variant->group = add_row(results, request, in_flight, "bare group commit", "entries/sync");
    return spate_histogram_create(&variant->all) == SPATE_OK;
}

static bool run_bare_once(const struct request *request, uint32_t in_flight,
                          struct variant *variant)
{
    struct bench_bare_options options = request->bare;
    struct bench_bare_result result = {0};
    struct spate_histogram *latency = NULL;

    options.in_flight = in_flight;
    if (spate_histogram_create(&latency) != SPATE_OK) {
        return false;
    }
    const bool is_good = bench_bare_run(&options, latency, &result);
    if (is_good && !process_is_interrupted()) {
        bench_row_run(variant->rate, result.entries_per_s);
        bench_row_run(variant->p50, (double)spate_histogram_percentile(latency, 50));
        bench_row_run(variant->p99, (double)spate_histogram_percentile(latency, 99));
        bench_row_run(variant->leader, result.leader_cores);
        bench_row_run(variant->followers, result.followers_cores);
        if (result.entries_per_sync > 0) {
            bench_row_run(variant->group, result.entries_per_sync);
        }
        spate_histogram_merge(variant->all, latency);
        if (result.repeats > 0) {
            (void)fprintf(stderr, "\n%u in flight: went back %llu times after a loss\n", in_flight,
                          (unsigned long long)result.repeats);
        }
    }
    spate_histogram_destroy(latency);
    return is_good;
}

static void save_histogram(const struct spate_histogram *histogram, const char *directory,
                           const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s.hgrm", directory, name);
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        bench_hgrm_write(histogram, 1000, file);
        (void)fclose(file);
    }
}

static bool finish(const struct request *request, const struct bench_results *results,
                   char *const argv[])
{
    bench_environment_print(stdout);
    bench_results_print(results, stdout);
    return request->output == NULL || bench_results_save(results, request->output, argv);
}

/* Variants take turns, so that drift of the machine hits them alike. */
static bool run_bare(const struct request *request, struct bench_results *results,
                     char *const argv[])
{
    struct variant variants[VARIANTS_MAX] = {0};
    bool is_good = true;

    for (uint32_t v = 0; is_good && v < request->in_flight_count; v++) {
        is_good = begin_variant(results, request, request->in_flight[v], &variants[v]);
    }
    for (uint32_t r = 0; is_good && r < request->runs; r++) {
        for (uint32_t v = 0; is_good && v < request->in_flight_count; v++) {
            (void)fprintf(stderr, "\rrun %u of %u, %u in flight   ", r + 1, request->runs,
                          request->in_flight[v]);
            is_good = run_bare_once(request, request->in_flight[v], &variants[v]) &&
                      !process_is_interrupted();
        }
    }
    (void)fprintf(stderr, "\n");
    const bool is_saved = finish(request, results, argv);
    for (uint32_t v = 0; v < request->in_flight_count; v++) {
        char name[64];
        (void)snprintf(name, sizeof name, "bare-%u-%s-%u", request->bare.nodes,
                       polling_names[request->bare.polling], request->in_flight[v]);
        if (is_saved && request->output != NULL) {
            save_histogram(variants[v].all, request->output, name);
        }
        spate_histogram_destroy(variants[v].all);
    }
    return is_good && is_saved;
}

static bool run_once(const struct request *request, bool is_sync, struct spate_histogram *latency)
{
    if (is_sync) {
        const char *directory = request->bare.durable_directory;
        return bench_sync_run(directory == NULL ? "." : directory, request->bare.payload_bytes,
                              request->bare.seconds, latency);
    }
    const struct bench_round_trip_options options = {.frame_bytes = request->bare.frame_bytes,
                                                     .seconds = request->bare.seconds,
                                                     .polling = request->bare.polling,
                                                     .client_cpu = request->bare.leader_cpu,
                                                     .server_cpu = request->bare.follower_cpu};
    return bench_round_trip_run(&options, latency);
}

/* A round trip or a sync: percentiles of one operation. */
static bool run_single(const struct request *request, bool is_sync, struct bench_results *results,
                       char *const argv[])
{
    static const double percentiles[] = {50, 99, 99.9};
    struct bench_row *rows[3];
    struct spate_histogram *all = NULL;
    struct spate_histogram *latency = NULL;
    const char *name = is_sync ? "sync" : "rtt";
    bool is_good =
        spate_histogram_create(&all) == SPATE_OK && spate_histogram_create(&latency) == SPATE_OK;

    for (uint32_t p = 0; p < 3; p++) {
        char text[48];
        (void)snprintf(text, sizeof text, "%s p%g", name, percentiles[p]);
        rows[p] = bench_results_add(results, text, "ns");
        bench_row_label(rows[p], "bytes", "%u",
                        is_sync ? request->bare.payload_bytes : request->bare.frame_bytes);
        if (!is_sync) {
            bench_row_label(rows[p], "polling", "%s", polling_names[request->bare.polling]);
        }
    }
    for (uint32_t r = 0; is_good && r < request->runs && !process_is_interrupted(); r++) {
        spate_histogram_reset(latency);
        is_good = run_once(request, is_sync, latency) && spate_histogram_count(latency) > 0;
        for (uint32_t p = 0; is_good && p < 3; p++) {
            bench_row_run(rows[p], (double)spate_histogram_percentile(latency, percentiles[p]));
        }
        spate_histogram_merge(all, latency);
    }
    is_good = is_good && finish(request, results, argv);
    if (is_good && request->output != NULL) {
        save_histogram(all, request->output, name);
    }
    spate_histogram_destroy(all);
    spate_histogram_destroy(latency);
    return is_good;
}

int main(int argc, char *argv[])
{
    struct request request = {.bare = {.nodes = 3,
                                       .payload_bytes = 64,
                                       .seconds = 1,
                                       .warmup_seconds = 0.3,
                                       .leader_cpu = 0,
                                       .follower_cpu = 1},
                              .in_flight = {1, 64, 4096},
                              .in_flight_count = 3,
                              .runs = 5};

    if (!parse(argc, argv, &request)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    const char *what = argv[optind];
    const bool is_sync = strcmp(what, "sync") == 0;
    const bool is_bare = strcmp(what, "bare") == 0;
    if (!is_sync && !is_bare && strcmp(what, "rtt") != 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (request.bare.frame_bytes == 0) {
        request.bare.frame_bytes = is_bare ? 60000 : 128;
    }
    struct bench_results *results = bench_results_create();
    if (results == NULL) {
        return 1;
    }
    process_catch_signals();
    const bool is_good =
        is_bare ? run_bare(&request, results, argv) : run_single(&request, is_sync, results, argv);
    free(results);
    return is_good ? 0 : 1;
}
