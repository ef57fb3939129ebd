/*
 * Both directions. As a payload: what decodes encodes to the same bytes. As a recipe (pairs of
 * size and limit): a log is cut into messages by these limits, and put together they are the log.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "target.h"
#include "wire/wire.h"

#define SEGMENT_BYTES (2u * SPATE_ENTRY_BYTES_MAX)
#define BUFFER_BYTES  (1u << 16)

static uint8_t buffer[BUFFER_BYTES];

static void decode_and_encode(const uint8_t *data, uint32_t available)
{
    struct spate_message message;
    uint32_t bytes;
    uint32_t again;

    while (available <= BUFFER_BYTES &&
           spate_wire_decode(data, available, &message, &bytes) == SPATE_OK) {
        if (spate_wire_encode(&message, NULL, buffer, bytes, &again) != SPATE_OK) {
            abort();
        }
        spate_assert(again == bytes);
        spate_assert(memcmp(buffer, data, bytes) == 0);
        data += bytes;
        available -= bytes;
    }
}

static struct spate_log *fill(const uint8_t *data, size_t size)
{
    struct spate_log *log;
    spate_term term = 1;
    const struct spate_log_options options = {
        .budget_bytes = 4u * SEGMENT_BYTES,
        .segment_bytes = SEGMENT_BYTES,
        .reclaim = spate_reclaim_immediate(),
    };

    if (spate_log_create(&options, &log) != SPATE_OK) {
        abort();
    }
    for (uint32_t i = 0; i + 1 < size && i < 400; i += 2) {
        term += data[i] >> 6 == 3 ? 1 : 0;
        if (spate_log_stage(log, term, SPATE_ENTRY_COMMAND, data, data[i] % (i + 1)) != SPATE_OK) {
            abort();
        }
    }
    spate_log_publish(log);
    return log;
}

static void cut_and_join(const uint8_t *data, size_t size)
{
    struct spate_log *log = fill(data, size);
    struct spate_log_view view;
    spate_index next = 1;
    size_t at = 1;

    spate_log_view(log, &view);
    while (next <= view.last) {
        struct spate_message message = {.kind = SPATE_MESSAGE_APPEND, .term = 1000, .session = 1};
        struct spate_message decoded;
        struct spate_log_span span;
        uint32_t bytes;

        spate_log_view_span(&view, next, 1 + data[at % size] % 16u, data[at % size] * 4u, &span);
        at += 2;
        message.append = (struct spate_message_append){
            .prev.index = next - 1,
            .entries_term = span.term,
            .count = span.count,
            .bytes = span.bytes,
        };
        if (spate_log_view_term(&view, next - 1, &message.append.prev.term) != SPATE_OK ||
            spate_wire_encode(&message, &view, buffer, BUFFER_BYTES, &bytes) != SPATE_OK ||
            spate_wire_decode(buffer, bytes, &decoded, &bytes) != SPATE_OK) {
            abort();
        }
        spate_assert(decoded.append.count == span.count);
        spate_assert(memcmp(decoded.append.entries, span.data, span.bytes) == 0);
        next += span.count;
    }
    spate_log_destroy(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > BUFFER_BYTES) {
        return 0;
    }
    decode_and_encode(data, (uint32_t)size);
    cut_and_join(data, size);
    return 0;
}
