/* lib/log: append, read, truncate; 64-byte entries. */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "log/log.h"

#define PAYLOAD_BYTES 64u
#define BATCH         64u
#define FILLED        100000u

struct context {
    struct spate_log *log;
    uint8_t payload[PAYLOAD_BYTES];
    uint8_t encoded[BATCH * (SPATE_ENTRY_HEADER_BYTES + PAYLOAD_BYTES)];
    uint32_t encoded_bytes;
};

static void stage(struct context *context)
{
    if (spate_log_stage(context->log, 1, SPATE_ENTRY_COMMAND, context->payload, PAYLOAD_BYTES) !=
        SPATE_OK) {
        /* The budget is spent: let everything go, as a core does whose entries are applied. */
        spate_log_publish(context->log);
        spate_log_compact(context->log, spate_log_last(context->log) + 1);
    }
}

static void *create(void)
{
    struct context *context = micro_allocate(sizeof *context);
    const struct spate_log_options options = {.budget_bytes = 64u << 20,
                                              .reclaim = spate_reclaim_immediate()};

    micro_require(spate_log_create(&options, &context->log) == SPATE_OK, "log");
    for (uint32_t i = 0; i < BATCH; i++) {
        context->encoded_bytes +=
            spate_entry_encode(context->encoded + context->encoded_bytes, SPATE_ENTRY_COMMAND,
                               context->payload, PAYLOAD_BYTES);
    }
    /* Once round the budget: pages are touched when first used. */
    for (uint64_t bytes = 0; bytes < 2 * options.budget_bytes; bytes += PAYLOAD_BYTES) {
        stage(context);
        spate_log_publish(context->log);
    }
    return context;
}

static void destroy(void *argument)
{
    struct context *context = argument;
    spate_log_destroy(context->log);
    free(context);
}

/* Exactly FILLED entries, whatever was there: the last segment is three quarters full. */
static void fill(struct context *context)
{
    micro_require(spate_log_reset(context->log, (struct spate_entry_id){0}) == SPATE_OK, "reset");
    while (spate_log_last(context->log) < FILLED) {
        stage(context);
        spate_log_publish(context->log);
    }
}

static double append_one(void *argument, uint64_t operations)
{
    struct context *context = argument;
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i++) {
        stage(context);
        spate_log_publish(context->log);
    }
    return micro_per(start, operations);
}

static double append_batch(void *argument, uint64_t operations)
{
    struct context *context = argument;
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i += BATCH) {
        for (uint32_t b = 0; b < BATCH; b++) {
            stage(context);
        }
        spate_log_publish(context->log);
    }
    return micro_per(start, operations);
}

static double append_encoded(void *argument, uint64_t operations)
{
    struct context *context = argument;
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i += BATCH) {
        if (spate_log_stage_encoded(context->log, 1, context->encoded, context->encoded_bytes,
                                    BATCH) != SPATE_OK) {
            spate_log_compact(context->log, spate_log_last(context->log) + 1);
        }
        spate_log_publish(context->log);
    }
    return micro_per(start, operations);
}

static double view(void *argument, uint64_t operations)
{
    struct context *context = argument;
    struct spate_log_view now;

    fill(context);
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        spate_log_view(context->log, &now);
        micro_keep(now.last);
    }
    return micro_per(start, operations);
}

/* A view, then the span of one entry anywhere in it. */
static double read_one(void *argument, uint64_t operations)
{
    struct context *context = argument;
    struct spate_log_view now;
    struct spate_log_span span;

    fill(context);
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        spate_log_view(context->log, &now);
        const spate_index index = now.first + i * 7919 % (now.last - now.first + 1);
        spate_log_view_span(&now, index, 1, 4096, &span);
        micro_keep(span.data[0]);
    }
    return micro_per(start, operations);
}

/* From the first entry to the last in spans of 60 kB, every entry decoded. */
static double scan(void *argument, uint64_t operations)
{
    struct context *context = argument;
    struct spate_log_view now;
    uint64_t done = 0;

    fill(context);
    spate_log_view(context->log, &now);
    const uint64_t start = bench_thread_ns();
    while (done < operations) {
        for (spate_index at = now.first; at <= now.last;) {
            struct spate_log_span span;
            struct spate_entry entry;
            spate_log_view_span(&now, at, UINT32_MAX, 60000, &span);
            for (uint32_t from = 0; from < span.bytes;) {
                from += spate_entry_decode(span.data + from, span.bytes - from, &entry);
                micro_keep(entry.size);
            }
            at += span.count;
            done += span.count;
        }
    }
    return micro_per(start, done);
}

/* One entry appended and cut off again: what is kept of the last segment is copied. */
static double truncate_one(void *argument, uint64_t operations)
{
    struct context *context = argument;

    fill(context);
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        stage(context);
        spate_log_publish(context->log);
        if (spate_log_truncate(context->log, spate_log_last(context->log) - 1) != SPATE_OK) {
            spate_log_compact(context->log, spate_log_last(context->log));
        }
    }
    return micro_per(start, operations);
}

static const struct micro_case cases[] = {
    {"log: append 64 bytes, published one by one", create, append_one, destroy},
    {"log: append 64 bytes, in batches of 64", create, append_batch, destroy},
    {"log: append 64 bytes, encoded batches of 64", create, append_encoded, destroy},
    {"log: view", create, view, destroy},
    {"log: view and span of one entry", create, read_one, destroy},
    {"log: entry of a scan", create, scan, destroy},
    {"log: append and truncate one, 3 MB in segment", create, truncate_one, destroy},
};
const struct micro_table micro_log = {cases, SPATE_ARRAY_COUNT(cases)};
