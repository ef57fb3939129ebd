/* lib/wire: encode from the log into a frame, decode in place. */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "wire/wire.h"

#define PAYLOAD_BYTES 64u
#define ENTRIES       1000u
#define FRAME_BYTES   65536u

struct context {
    struct spate_log *log;
    struct spate_log_view view;
    uint8_t frame[FRAME_BYTES] __attribute__((aligned(8)));
};

static void *create(void)
{
    struct context *context = micro_allocate(sizeof *context);
    const struct spate_log_options options = {.budget_bytes = 64u << 20,
                                              .reclaim = spate_reclaim_immediate()};
    const uint8_t payload[PAYLOAD_BYTES] = {0};

    micro_require(spate_log_create(&options, &context->log) == SPATE_OK, "log");
    for (uint32_t i = 0; i < ENTRIES; i++) {
        micro_require(spate_log_stage(context->log, 1, SPATE_ENTRY_COMMAND, payload,
                                      PAYLOAD_BYTES) == SPATE_OK,
                      "entries");
    }
    spate_log_publish(context->log);
    spate_log_view(context->log, &context->view);
    return context;
}

static void destroy(void *argument)
{
    struct context *context = argument;
    spate_log_destroy(context->log);
    free(context);
}

static struct spate_message append_of(uint32_t count)
{
    return (struct spate_message){
        .kind = SPATE_MESSAGE_APPEND,
        .term = 1,
        .session = 5,
        .append = {.prev = {.term = 1, .index = 10},
                   .commit = 10,
                   .round = 3,
                   .entries_term = count > 0 ? 1 : 0,
                   .count = count,
                   .bytes = count * (SPATE_ENTRY_HEADER_BYTES + PAYLOAD_BYTES)}};
}

static double encode(struct context *context, uint64_t operations,
                     const struct spate_message *message)
{
    uint32_t bytes = 0;
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i++) {
        micro_require(spate_wire_encode(message, &context->view, context->frame, FRAME_BYTES,
                                        &bytes) == SPATE_OK,
                      "encode");
        micro_keep(bytes);
    }
    return micro_per(start, operations);
}

static double decode(struct context *context, uint64_t operations,
                     const struct spate_message *message)
{
    struct spate_message decoded;
    uint32_t bytes = 0;

    (void)encode(context, 1, message);
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        micro_require(spate_wire_decode(context->frame, FRAME_BYTES, &decoded, &bytes) == SPATE_OK,
                      "decode");
        micro_keep(decoded.term);
    }
    return micro_per(start, operations);
}

static struct spate_message result_of(void)
{
    return (struct spate_message){
        .kind = SPATE_MESSAGE_APPEND_RESULT,
        .term = 1,
        .session = 5,
        .peer_session = 6,
        .append_result = {.is_accepted = true, .round = 3, .match = 10, .last = 10}};
}

static double encode_append(void *context, uint64_t operations)
{
    const struct spate_message message = append_of(1);
    return encode(context, operations, &message);
}

static double encode_full(void *context, uint64_t operations)
{
    const struct spate_message message = append_of(800);
    return encode(context, operations, &message);
}

static double decode_append(void *context, uint64_t operations)
{
    const struct spate_message message = append_of(1);
    return decode(context, operations, &message);
}

static double encode_result(void *context, uint64_t operations)
{
    const struct spate_message message = result_of();
    return encode(context, operations, &message);
}

static double decode_result(void *context, uint64_t operations)
{
    const struct spate_message message = result_of();
    return decode(context, operations, &message);
}

static const struct micro_case cases[] = {
    {"wire: encode append, 1 entry of 64 bytes", create, encode_append, destroy},
    {"wire: encode append, 800 entries of 64 bytes", create, encode_full, destroy},
    {"wire: decode append, 1 entry", create, decode_append, destroy},
    {"wire: encode append result", create, encode_result, destroy},
    {"wire: decode append result", create, decode_result, destroy},
};
const struct micro_table micro_wire = {cases, SPATE_ARRAY_COUNT(cases)};
