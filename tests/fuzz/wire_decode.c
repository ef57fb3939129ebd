/* A payload as it comes from a peer: decoded message by message, entries staged in a log. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "target.h"
#include "wire/wire.h"

#define SEGMENT_BYTES (2u * SPATE_ENTRY_BYTES_MAX)

static uint64_t touch(const uint8_t *data, uint32_t size)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < size; i++) {
        sum += data[i];
    }
    return sum;
}

static void stage(const struct spate_message *message)
{
    struct spate_log *log;
    const struct spate_log_options options = {
        .budget_bytes = 4u * SEGMENT_BYTES,
        .segment_bytes = SEGMENT_BYTES,
        .reclaim = spate_reclaim_immediate(),
    };

    if (spate_log_create(&options, &log) != SPATE_OK) {
        abort();
    }
    const struct spate_message_append *append = &message->append;
    const spate_err err = spate_log_stage_encoded(log, append->entries_term, append->entries,
                                                  append->bytes, append->count);

    spate_assert(err == SPATE_OK || err == SPATE_ERR_MALFORMED);
    spate_log_publish(log);
    spate_assert(spate_log_last(log) == (err == SPATE_OK ? append->count : 0));
    spate_assert(spate_log_valid(log));
    spate_log_destroy(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile uint64_t sink;
    uint32_t available = (uint32_t)size;
    struct spate_message message;
    uint32_t bytes;

    while (spate_wire_decode(data, available, &message, &bytes) == SPATE_OK) {
        spate_assert(bytes <= available);
        spate_assert(bytes == spate_wire_message_bytes(&message));
        if (message.kind == SPATE_MESSAGE_APPEND && message.append.count > 0) {
            sink = sink + touch(message.append.entries, message.append.bytes);
            stage(&message);
        } else if (message.kind == SPATE_MESSAGE_FORWARD) {
            sink = sink + touch(message.forward.data, message.forward.size);
        }
        data += bytes;
        available -= bytes;
    }
    return 0;
}
