/*
 * Overwrites what a reclaimer got back from lib/log, except for what the log needs to take it into
 * use again. Whoever still reads it then sees values that are impossible.
 */
#ifndef SPATE_SUPPORT_LOG_POISON_H
#define SPATE_SUPPORT_LOG_POISON_H

#include "log/log_internal.h"

#define LOG_POISON_BYTE 0xa5
#define LOG_POISON      0xa5a5a5a5a5a5a5a5u

static inline void log_poison_segment(struct spate_log_segment *segment)
{
    memset(segment->arena, LOG_POISON_BYTE, segment->used);
    memset(segment->offsets, LOG_POISON_BYTE, (segment->count + 1) * sizeof *segment->offsets);
    memset(segment->runs, LOG_POISON_BYTE, sizeof segment->runs[0] * 8);
    atomic_store_explicit(&segment->run_count, (uint32_t)LOG_POISON, memory_order_relaxed);
    segment->first = LOG_POISON;
    segment->used = (uint32_t)LOG_POISON;
    segment->count = (uint32_t)LOG_POISON;
}

static inline void log_poison_state(struct spate_log_state *state)
{
    const uint32_t slot_count = atomic_load_explicit(&state->slot_count, memory_order_relaxed);

    memset(state->slots, LOG_POISON_BYTE, slot_count * sizeof state->slots[0]);
    atomic_store_explicit(&state->slot_count, (uint32_t)LOG_POISON, memory_order_relaxed);
    atomic_store_explicit(&state->last, LOG_POISON, memory_order_relaxed);
    state->first = LOG_POISON;
    state->base_term = LOG_POISON;
    state->generation = LOG_POISON;
}

/* Thread: the log's writer, after the grace period, before is_reclaimed is set. */
static inline void log_poison(struct spate_retired *item)
{
    struct spate_log_retiree *retiree = (struct spate_log_retiree *)(void *)item;

    if (retiree->is_segment) {
        log_poison_segment((struct spate_log_segment *)(void *)retiree);
    } else {
        log_poison_state((struct spate_log_state *)(void *)retiree);
    }
}

#endif
