#include "bench/harness.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void harness_progress(const char *format, ...)
{
    static time_t began;
    const bool is_terminal = isatty(STDERR_FILENO);
    const time_t now = time(NULL);
    va_list arguments;

    began = began != 0 ? began : now;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s[%3ld s] ", is_terminal ? "\r\033[K" : "", (long)(now - began));
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
        .transport = harness->transport,
        .is_busy = is_busy,
        .directory = directory,
        .disk = harness->disk,
        .frame_bytes = harness_core_frame_bytes(harness),
        .leader_cpu = harness->leader_cpu,
        .follower_cpu = harness->follower_cpu,
        .log_budget_bytes = 256u << 20,
        .election_timeout_ms = harness->election_timeout_ms,
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

struct bench_row *harness_add_row(struct harness *harness, const char *name, const char *unit,
                                  const char *loop, bool is_busy)
{
    struct bench_row *row = bench_results_add(harness->results, name, unit);

    bench_row_label(row, "loop", "%s", loop);
    bench_row_label(row, "transport", "%s", transport_name(harness->transport->kind));
    bench_row_label(row, "polling", "%s", is_busy ? "busy" : "adaptive");
    bench_row_label(row, "durability", "%s", harness->is_durable ? "disk" : "memory");
    if (harness->is_durable) {
        bench_row_label(row, "disk", "%s", harness->disk == SPATE_DISK_LMDB ? "lmdb" : "wal");
    }
    bench_row_label(row, "nodes", "%u", harness->nodes);
    bench_row_label(row, "payload", "%u", harness->payload_bytes);
    return row;
}

bool harness_with_cluster(struct harness *harness, bool (*use)(void *, struct cluster *),
                          void *context)
{
    static struct cluster cluster;
    char directory[512] = "";
    char message[256] = "";

    if (harness->is_durable && !harness_make_directory(harness, directory, sizeof directory)) {
        return false;
    }
    const struct cluster_options options =
        harness_cluster(harness, harness->polls_busy, harness->is_durable ? directory : NULL);
    bool is_done = cluster_start(&cluster, &options, message, sizeof message);
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: %s\n", message);
    }
    is_done = is_done && use(context, &cluster);
    cluster_stop(&cluster);
    harness_remove_directory(directory);
    return is_done;
}
