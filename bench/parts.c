/*
 * What the parts of the library cost, each by itself: spate-micro, and spate-log-growth for a log
 * of 100 M entries, as programs of their own, so that their memory is not ours.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/harness.h"

/* The log of 100 M entries, and what it takes besides. */
#define GROWTH_BYTES (10ull << 30)

/* Programs beside this one. */
static void beside(const struct harness *harness, const char *name, char path[4096])
{
    (void)snprintf(path, 4096, "%.*s/%s", (int)(strrchr(harness->program, '/') - harness->program),
                   harness->program, name);
}

/* Hears all of its lines; `each` may be NULL. False: it did not end well. */
static bool run(char *const arguments[], void (*each)(struct harness *, const char *line),
                struct harness *harness)
{
    static struct process process;
    const char *line = NULL;

    if (!process_start(&process, arguments)) {
        (void)fprintf(stderr, "\nspate bench: cannot run %s\n", arguments[0]);
        return false;
    }
    while ((line = process_hear(&process, 600000)) != NULL) {
        if (each != NULL) {
            each(harness, line);
        }
    }
    /* It has closed its output, so it ends by itself; interrupted, it is told to. */
    const int status = process_end(&process, process_is_interrupted() ? SIGTERM : 0, 5000);
    if (status != 0 && !process_is_interrupted()) {
        (void)fprintf(stderr, "\nspate bench: %s failed\n", arguments[0]);
    }
    return status == 0;
}

static bool run_micro(struct harness *harness)
{
    char path[4096];
    char directory[512] = "";
    char runs[16];
    char runs_option[] = "--runs";
    char output_option[] = "--output";

    if (!harness_make_directory(harness, directory, sizeof directory)) {
        return false;
    }
    beside(harness, "spate-micro", path);
    (void)snprintf(runs, sizeof runs, "%u", harness->runs);
    char *const arguments[] = {path, runs_option, runs, output_option, directory, NULL};
    harness_progress("parts: every one in turns, %u runs", harness->runs);
    const bool is_done =
        run(arguments, NULL, harness) && bench_results_load(harness->results, directory);
    harness_remove_directory(directory);
    return is_done;
}

/* "encoded  100000000 entries of 64 bytes: 25.1 ns at the start, 25.3 at the end, …" */
static void take_growth(struct harness *harness, const char *line)
{
    char kind[16];
    unsigned long long entries = 0;
    unsigned bytes = 0;
    double start = 0;
    double end = 0;

    if (sscanf(line, "%15s %llu entries of %u bytes: %lf ns at the start, %lf at the end", kind,
               &entries, &bytes, &start, &end) != 5 ||
        start <= 0) {
        return;
    }
    struct bench_row *row =
        bench_results_add(harness->results, "log append, end against start", "ratio");
    bench_row_label(row, "kind", "%s", kind);
    bench_row_label(row, "entries", "%llu", entries);
    bench_row_run(row, end / start);
}

static bool run_growth(struct harness *harness)
{
    char path[4096];
    const long long available =
        (long long)sysconf(_SC_AVPHYS_PAGES) * (long long)sysconf(_SC_PAGESIZE);

    if (available < (long long)GROWTH_BYTES) {
        harness_progress("parts: a log of 100 M entries is left out: it needs 10 GiB free");
        return true;
    }
    beside(harness, "spate-log-growth", path);
    char *const arguments[] = {path, NULL};
    harness_progress("parts: a log of 100 M entries");
    return run(arguments, take_growth, harness);
}

bool harness_parts(struct harness *harness)
{
    return run_micro(harness) && !process_is_interrupted() && run_growth(harness) &&
           !process_is_interrupted();
}
