/* What the writer asks its own log. */
#include "log_internal.h"

spate_index spate_log_first(const struct spate_log *log)
{
    spate_assert(log->state->first <= spate_log_last(log) + 1);
    return log->state->first;
}

spate_index spate_log_last(const struct spate_log *log)
{
    return spate_log_last_of(log->state);
}

spate_term spate_log_last_term(const struct spate_log *log)
{
    spate_assert(log->published_term <= log->staged_term);
    return log->published_term;
}

spate_err spate_log_term_at(const struct spate_log *log, spate_index index, spate_term *ret_term)
{
    struct spate_log_view view;

    spate_assert(index <= spate_log_last(log));
    if (index == spate_log_last(log)) { /* By far the most frequent question. */
        *ret_term = log->published_term;
        return SPATE_OK;
    }
    spate_log_view(log, &view);
    return spate_log_view_term(&view, index, ret_term);
}

spate_index spate_log_term_first(const struct spate_log *log, spate_index index)
{
    const struct spate_log_state *state = log->state;
    const uint32_t slot_count = atomic_load_explicit(&state->slot_count, memory_order_relaxed);

    spate_assert(index >= state->first);
    spate_assert(index <= spate_log_last(log));
    uint32_t slot = spate_log_slot_of(state, slot_count, index);
    const struct spate_log_segment *segment = state->slots[slot].segment;
    uint32_t run = spate_log_run_of(segment, index);
    const spate_term term = segment->runs[run].term;
    /* A run that begins its segment may go on in the segment before. */
    while (run == 0 && slot > 0) {
        const struct spate_log_segment *before = state->slots[slot - 1].segment;
        const uint32_t last_run = spate_log_run_of(before, segment->first - 1);
        if (before->runs[last_run].term != term) {
            break;
        }
        slot--;
        segment = before;
        run = last_run;
    }
    spate_assert(segment->runs[run].first >= state->first);
    spate_assert(segment->runs[run].first <= index);
    return segment->runs[run].first;
}

uint64_t spate_log_generation(const struct spate_log *log)
{
    spate_assert(!log->state->retiree.is_segment);
    return log->state->generation;
}

uint64_t spate_log_used_bytes(const struct spate_log *log)
{
    spate_assert(log->segments_free <= log->segment_count);
    return (uint64_t)(log->segment_count - log->segments_free) * log->segment_bytes;
}

uint64_t spate_log_retired_bytes(const struct spate_log *log)
{
    spate_assert(log->segments_retired <= log->segment_count - log->segments_free);
    return (uint64_t)log->segments_retired * log->segment_bytes;
}

uint64_t spate_log_budget_bytes(const struct spate_log *log)
{
    return (uint64_t)(log->segment_count - SPATE_LOG_SPARE) * log->segment_bytes;
}

uint32_t spate_log_segment_bytes(const struct spate_log *log)
{
    spate_assert(log != NULL);
    return log->segment_bytes;
}

/* The runs of a segment: from its first entry on, ascending in index and term. */
static bool runs_are_valid(const struct spate_log_segment *segment, spate_term *term)
{
    const uint32_t runs = atomic_load_explicit(&segment->run_count, memory_order_relaxed);

    if (runs < 1 || runs > SPATE_LOG_RUNS_MAX || segment->runs[0].first != segment->first ||
        segment->runs[0].term < *term) {
        return false;
    }
    for (uint32_t r = 1; r < runs; r++) {
        if (segment->runs[r].first <= segment->runs[r - 1].first ||
            segment->runs[r].term <= segment->runs[r - 1].term) {
            return false;
        }
    }
    *term = segment->runs[runs - 1].term;
    return segment->runs[runs - 1].first < segment->first + segment->count;
}

bool spate_log_valid(const struct spate_log *log)
{
    const struct spate_log_state *state = log->state;
    const uint32_t slot_count = atomic_load_explicit(&state->slot_count, memory_order_relaxed);
    spate_index next = state->first;
    spate_term term = state->base_term;

    for (uint32_t s = 0; s < slot_count; s++) {
        const struct spate_log_segment *segment = state->slots[s].segment;
        if (state->slots[s].first != next || segment->first != next || segment->count == 0 ||
            segment->used > log->segment_bytes || segment->offsets[0] != 0 ||
            segment->offsets[segment->count] != segment->used || !runs_are_valid(segment, &term)) {
            return false;
        }
        next += segment->count;
    }
    return next == log->staged + 1 && term == log->staged_term &&
           spate_log_last(log) <= log->staged &&
           slot_count + log->segments_free + log->segments_retired == log->segment_count &&
           log->tail == (slot_count == 0 ? NULL : state->slots[slot_count - 1].segment) &&
           atomic_load_explicit(&log->published, memory_order_relaxed) == state;
}
