/* The two ends of a long log: see log_growth.h. */
#include "bench/micro/log_growth.h"

#include <stdlib.h>

#include "bench/clock.h"
#include "log/log.h"

#define BATCH    64u
#define SLICES   1000u /* Times are taken over thousandths. */
#define COMPARED 10u   /* A hundredth at each end. */
#define ROUNDS   5u
#define SEGMENT  (4ull << 20)
/* The largest payload that is measured. */
#define PAYLOAD_BYTES_MAX 1024u

struct growth {
    struct spate_log *log;
    uint8_t payload[PAYLOAD_BYTES_MAX];
    uint8_t encoded[BATCH * (PAYLOAD_BYTES_MAX + SPATE_ENTRY_HEADER_BYTES)];
    uint32_t payload_bytes;
    uint32_t encoded_bytes;
    double slices[SLICES];
};

static bool append_batch(struct growth *growth, bool is_encoded)
{
    spate_err err = SPATE_OK;

    if (is_encoded) {
        err =
            spate_log_stage_encoded(growth->log, 1, growth->encoded, growth->encoded_bytes, BATCH);
    }
    for (uint32_t i = 0; !is_encoded && i < BATCH && err == SPATE_OK; i++) {
        err = spate_log_stage(growth->log, 1, SPATE_ENTRY_COMMAND, growth->payload,
                              growth->payload_bytes);
    }
    spate_log_publish(growth->log);
    return err == SPATE_OK;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double slices[], uint32_t count)
{
    double sorted[SLICES];

    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = slices[i];
    }
    qsort(sorted, count, sizeof sorted[0], compare);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static bool fill(struct growth *growth, uint64_t entries, bool is_encoded)
{
    const uint64_t batches = entries / SLICES / BATCH;

    for (uint32_t s = 0; s < SLICES; s++) {
        const uint64_t start = bench_thread_ns();
        for (uint64_t b = 0; b < batches; b++) {
            if (!append_batch(growth, is_encoded)) {
                return false;
            }
        }
        growth->slices[s] = (double)(bench_thread_ns() - start) / (double)(batches * BATCH);
    }
    return true;
}

bool log_growth_measure(uint64_t entries, uint32_t payload_bytes, bool is_encoded,
                        struct log_growth *ret_growth)
{
    struct growth *growth = calloc(1, sizeof *growth);
    const uint64_t bytes = entries * spate_entry_stride(payload_bytes);
    const struct spate_log_options options = {
        .budget_bytes = bytes + bytes / 1000 + 8 * SEGMENT,
        .segment_bytes = SEGMENT,
        .reclaim = spate_reclaim_immediate(),
    };

    if (growth == NULL || payload_bytes > PAYLOAD_BYTES_MAX || entries < SLICES * BATCH ||
        spate_log_create(&options, &growth->log) != SPATE_OK) {
        free(growth);
        return false;
    }
    growth->payload_bytes = payload_bytes;
    for (uint32_t i = 0; i < BATCH; i++) {
        growth->encoded_bytes +=
            spate_entry_encode(growth->encoded + growth->encoded_bytes, SPATE_ENTRY_COMMAND,
                               growth->payload, payload_bytes);
    }
    bool is_full = fill(growth, entries, is_encoded);
    double starts[ROUNDS];
    double ends[ROUNDS];
    double all[ROUNDS];
    ret_growth->first_touch_ns = median(growth->slices, SLICES);
    for (uint32_t r = 0; r < ROUNDS && is_full; r++) {
        const struct spate_entry_id base = {.term = 1, .index = spate_log_last(growth->log)};
        is_full =
            spate_log_reset(growth->log, base) == SPATE_OK && fill(growth, entries, is_encoded);
        /* The very first slice comes right after the reset and is left out. */
        starts[r] = median(growth->slices + 1, COMPARED);
        ends[r] = median(growth->slices + SLICES - COMPARED, COMPARED);
        all[r] = median(growth->slices, SLICES);
    }
    if (is_full) {
        ret_growth->start_ns = median(starts, ROUNDS);
        ret_growth->end_ns = median(ends, ROUNDS);
        ret_growth->all_ns = median(all, ROUNDS);
    }
    spate_log_destroy(growth->log);
    free(growth);
    return is_full;
}
