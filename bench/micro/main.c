/*
 * spate-micro [--runs N] [--slice MS] [--output DIR] [WORD...]: what the parts cost, in nanoseconds
 * per operation. With words: only cases whose name contains one of them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "bench/environment.h"
#include "bench/micro/micro.h"
#include "bench/process.h"
#include "bench/report/results.h"

#define CASES_MAX 128u

struct entry {
    const struct micro_case *item;
    struct bench_row *row;
    void *context;
    uint64_t operations; /* That fill a slice. */
};

struct request {
    uint32_t runs;
    double slice_ns;
    const char *output;
};

void *micro_allocate(uint64_t bytes)
{
    void *memory = calloc(1, bytes);
    micro_require(memory != NULL, "memory");
    return memory;
}

void micro_require(bool is_good, const char *what)
{
    if (!is_good) {
        (void)fprintf(stderr, "spate-micro: cannot set up: %s\n", what);
        exit(1);
    }
}

static bool is_wanted(const char *name, char *const words[])
{
    for (uint32_t w = 0; words[w] != NULL; w++) {
        if (strstr(name, words[w]) != NULL) {
            return true;
        }
    }
    return words[0] == NULL;
}

static uint32_t collect(struct entry entries[], struct bench_results *results, char *const words[])
{
    const struct micro_table *const tables[] = {&micro_base, &micro_log,   &micro_wire,
                                                &micro_raft, &micro_store, &micro_stack};
    uint32_t count = 0;

    for (uint32_t t = 0; t < SPATE_ARRAY_COUNT(tables); t++) {
        for (uint32_t c = 0; c < tables[t]->count && count < CASES_MAX; c++) {
            const struct micro_case *item = &tables[t]->cases[c];
            if (is_wanted(item->name, words)) {
                entries[count++] = (struct entry){
                    .item = item, .row = bench_results_add(results, item->name, "ns")};
            }
        }
    }
    return count;
}

/* Doubles the operations until they take a quarter of a slice; that warms up as well. */
static void calibrate(struct entry *entry, double slice_ns)
{
    double took = 0;

    entry->context = entry->item->create();
    for (entry->operations = 16; took < slice_ns / 4 && entry->operations < 1ull << 40;) {
        entry->operations *= 2;
        took = entry->item->run(entry->context, entry->operations) * (double)entry->operations;
    }
    const double per = took / (double)entry->operations;
    const double fitting = per > 0 ? slice_ns / per : 0;
    entry->operations = fitting > 16 ? (uint64_t)fitting : 16;
}

static bool parse(int argc, char *argv[], struct request *request)
{
    static const struct option options[] = {{"runs", 1, NULL, 'r'},
                                            {"slice", 1, NULL, 's'},
                                            {"output", 1, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    for (;;) {
        const int option = getopt_long(argc, argv, "", options, NULL);
        char nothing[] = "";
        char *end = nothing;
        if (option == -1) {
            return true;
        }
        const unsigned long number = optarg == NULL ? 0 : strtoul(optarg, &end, 10);
        if (option == 'r' && *end == '\0' && number >= 1 && number <= BENCH_RUNS_MAX) {
            request->runs = (uint32_t)number;
        } else if (option == 's' && *end == '\0' && number >= 1 && number <= 10000) {
            request->slice_ns = (double)number * 1e6;
        } else if (option == 'o') {
            request->output = optarg;
        } else {
            return false;
        }
    }
}

int main(int argc, char *argv[])
{
    struct request request = {.runs = 7, .slice_ns = 50e6};
    static struct entry entries[CASES_MAX];
    struct bench_results *results = bench_results_create();

    if (results == NULL || !parse(argc, argv, &request)) {
        (void)fprintf(stderr, "usage: spate-micro [--runs 7] [--slice 50 (ms)] [--output DIR] "
                              "[WORD...]\n");
        free(results);
        return 2;
    }
    process_catch_signals();
    const uint32_t count = collect(entries, results, argv + optind);
    for (uint32_t e = 0; e < count && !process_is_interrupted(); e++) {
        calibrate(&entries[e], request.slice_ns);
    }
    for (uint32_t r = 0; r < request.runs; r++) {
        for (uint32_t e = 0; e < count && !process_is_interrupted(); e++) {
            bench_row_run(entries[e].row,
                          entries[e].item->run(entries[e].context, entries[e].operations));
        }
    }
    for (uint32_t e = 0; e < count; e++) {
        if (entries[e].context != NULL) {
            entries[e].item->destroy(entries[e].context);
        }
    }
    bench_environment_print(stdout);
    bench_results_print(results, stdout);
    const bool is_saved =
        request.output == NULL || bench_results_save(results, request.output, argv);
    free(results);
    return is_saved ? 0 : 1;
}
