/* drivers/store: one commit, submitted and waited for; those on disk in a directory of their
 * own under /tmp or TMPDIR. Entries of 64 bytes. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "store/lmdb/lmdb.h"
#include "store/mem/mem.h"
#include "store/wal/wal.h"

#define PAYLOAD_BYTES 64u
#define STRIDE_BYTES  (SPATE_ENTRY_HEADER_BYTES + PAYLOAD_BYTES)
#define ENTRIES_MAX   4096u

/* Older entries are forgotten, so that the store stays as large as a core's is. */
#define KEPT 100000u

struct context {
    struct spate_store *store;
    spate_index last;
    char directory[512]; /* Empty: none. */
    uint8_t encoded[ENTRIES_MAX * STRIDE_BYTES];
};

static struct context *prepare(void)
{
    struct context *context = micro_allocate(sizeof *context);
    const uint8_t payload[PAYLOAD_BYTES] = {0};

    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        (void)spate_entry_encode(context->encoded + (size_t)i * STRIDE_BYTES, SPATE_ENTRY_COMMAND,
                                 payload, PAYLOAD_BYTES);
    }
    return context;
}

static void *mem_create(void)
{
    struct context *context = prepare();
    const struct spate_store_mem_options mem = {.directory = NULL};
    micro_require(spate_store_mem_create(&mem, &context->store, NULL, 0) == SPATE_OK,
                  "memory store");
    return context;
}

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
        (void)unlinkat(dirfd(directory), e->d_name, 0);
    }
    (void)closedir(directory);
    (void)rmdir(path);
}

static void destroy(void *argument)
{
    struct context *context = argument;
    context->store->ops->close(context->store);
    if (context->directory[0] != '\0') {
        remove_directory(context->directory);
    }
    free(context);
}

static struct context *prepare_directory(void)
{
    struct context *context = prepare();
    const char *parent = getenv("TMPDIR");

    (void)snprintf(context->directory, sizeof context->directory, "%s/spate-micro-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    micro_require(mkdtemp(context->directory) != NULL, "a directory for the store");
    return context;
}

static void *wal_create(void)
{
    struct context *context = prepare_directory();
    const struct spate_store_wal_options options = {.directory = context->directory,
                                                    .identity = {.node_id = 1}};
    struct spate_store_loaded loaded;

    micro_require(spate_store_wal_create(&options, &context->store, NULL, 0) == SPATE_OK &&
                      context->store->ops->load(context->store, &loaded) == SPATE_OK,
                  "segment log");
    return context;
}

static void *lmdb_create(void)
{
    struct context *context = prepare_directory();
    const struct spate_store_lmdb_options options = {
        .directory = context->directory, .map_bytes = 1u << 30, .identity = {.node_id = 1}};
    struct spate_store_loaded loaded;

    micro_require(spate_store_lmdb_create(&options, &context->store, NULL, 0) == SPATE_OK &&
                      context->store->ops->load(context->store, &loaded) == SPATE_OK,
                  "LMDB store");
    return context;
}

/* The nanoseconds of one commit of `count` entries. */
static double commit(struct context *context, uint64_t operations, uint32_t count)
{
    struct spate_store *store = context->store;
    const uint64_t start = bench_now_ns();

    for (uint64_t i = 0; i < operations; i++) {
        const struct spate_log_span span = {.data = context->encoded,
                                            .bytes = count * STRIDE_BYTES,
                                            .count = count,
                                            .first = context->last + 1,
                                            .term = 1};
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        spate_ticket ticket = 0;
        spate_ticket completed = 0;
        micro_require(store->ops->submit(store, &batch, &ticket) == SPATE_OK, "submit");
        while (completed < ticket) {
            micro_require(store->ops->poll(store, &completed) == SPATE_OK, "poll");
            if (completed < ticket) {
                (void)sched_yield();
            }
        }
        context->last += count;
        if (context->last % KEPT < count && context->last > KEPT) {
            (void)store->ops->compact(store, context->last - KEPT);
        }
    }
    return micro_per_passed(start, operations);
}

static double commit_1(void *context, uint64_t operations)
{
    return commit(context, operations, 1);
}

static double commit_64(void *context, uint64_t operations)
{
    return commit(context, operations, 64);
}

static double commit_4096(void *context, uint64_t operations)
{
    return commit(context, operations, 4096);
}

static const struct micro_case cases[] = {
    {"store mem: commit of 1 entry", mem_create, commit_1, destroy},
    {"store mem: commit of 64 entries", mem_create, commit_64, destroy},
    {"store lmdb: commit of 1 entry", lmdb_create, commit_1, destroy},
    {"store lmdb: commit of 64 entries", lmdb_create, commit_64, destroy},
    {"store lmdb: commit of 4096 entries", lmdb_create, commit_4096, destroy},
    {"store wal: commit of 1 entry", wal_create, commit_1, destroy},
    {"store wal: commit of 64 entries", wal_create, commit_64, destroy},
    {"store wal: commit of 4096 entries", wal_create, commit_4096, destroy},
};
const struct micro_table micro_store = {cases, SPATE_ARRAY_COUNT(cases)};
