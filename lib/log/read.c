/* What readers do, on any thread: loads only, no waiting, no writing. */
#include "log_internal.h"

uint32_t spate_log_slot_of(const struct spate_log_state *state, uint32_t slot_count,
                           spate_index index)
{
    spate_assert(slot_count >= 1);
    spate_assert(state->slots[0].first <= index);

    uint32_t low = 0;           /* slots[low].first <= index … */
    uint32_t high = slot_count; /* … and < slots[high].first */
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (state->slots[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    spate_assert(state->slots[low].first == state->slots[low].segment->first);
    return low;
}

uint32_t spate_log_run_of(const struct spate_log_segment *segment, spate_index index)
{
    const uint32_t runs = atomic_load_explicit(&segment->run_count, memory_order_acquire);

    spate_assert(runs >= 1);
    spate_assert(runs <= SPATE_LOG_RUNS_MAX);
    spate_assert(segment->runs[0].first <= index);
    if (segment->runs[runs - 1].first <= index) {
        return runs - 1; /* Readers are mostly interested in the end. */
    }
    uint32_t low = 0;         /* runs[low].first <= index … */
    uint32_t high = runs - 1; /* … and < runs[high].first */
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (segment->runs[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void spate_log_view(const struct spate_log *log, struct spate_log_view *ret_view)
{
    const struct spate_log_state *state =
        atomic_load_explicit(&log->published, memory_order_acquire);

    ret_view->state = state;
    ret_view->first = state->first;
    ret_view->last = atomic_load_explicit(&state->last, memory_order_acquire);
    ret_view->generation = state->generation;
    spate_assert(ret_view->last + 1 >= ret_view->first);
}

/* The last entry of the span's segment and term run that the view still shows. */
static spate_index last_in_run(const struct spate_log_view *view, uint32_t slot,
                               uint32_t slot_count, uint32_t run)
{
    const struct spate_log_segment *segment = view->state->slots[slot].segment;
    const uint32_t runs = atomic_load_explicit(&segment->run_count, memory_order_acquire);
    spate_index last = view->last;

    if (slot + 1 < slot_count && view->state->slots[slot + 1].first <= last) {
        last = view->state->slots[slot + 1].first - 1;
    }
    if (run + 1 < runs && segment->runs[run + 1].first <= last) {
        last = segment->runs[run + 1].first - 1;
    }
    spate_assert(run < runs);
    spate_assert(last >= segment->first);
    return last;
}

/* How many of `count` entries from the i-th on have at most `bytes_max` bytes; at least one. */
static uint32_t fitting(const uint32_t *offsets, uint32_t i, uint32_t count, uint32_t bytes_max)
{
    spate_assert(count >= 1);
    spate_assert(offsets[i] < offsets[i + count]);
    if (offsets[i + count] - offsets[i] <= bytes_max) {
        return count;
    }
    uint32_t low = 1;      /* Fits, or is given all the same. */
    uint32_t high = count; /* Does not fit. */
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (offsets[i + middle] - offsets[i] <= bytes_max) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void spate_log_view_span(const struct spate_log_view *view, spate_index first, uint32_t count_max,
                         uint32_t bytes_max, struct spate_log_span *ret_span)
{
    spate_assert(first >= view->first);
    spate_assert(first <= view->last);
    spate_assert(count_max >= 1);

    const uint32_t slot_count =
        atomic_load_explicit(&view->state->slot_count, memory_order_acquire);
    const uint32_t slot = spate_log_slot_of(view->state, slot_count, first);
    const struct spate_log_segment *segment = view->state->slots[slot].segment;
    const uint32_t run = spate_log_run_of(segment, first);
    const spate_index last = last_in_run(view, slot, slot_count, run);
    spate_assert(last >= first);
    const uint64_t there = last - first + 1;
    const uint32_t i = (uint32_t)(first - segment->first);
    const uint32_t count =
        fitting(segment->offsets, i, there < count_max ? (uint32_t)there : count_max, bytes_max);

    *ret_span = (struct spate_log_span){
        .data = segment->arena + segment->offsets[i],
        .bytes = segment->offsets[i + count] - segment->offsets[i],
        .count = count,
        .first = first,
        .term = segment->runs[run].term,
    };
}

spate_err spate_log_view_term(const struct spate_log_view *view, spate_index index,
                              spate_term *ret_term)
{
    spate_assert(index <= view->last);
    spate_assert(view->first <= view->last + 1);

    if (index + 1 < view->first) {
        return SPATE_ERR_COMPACTED;
    }
    if (index + 1 == view->first) {
        *ret_term = view->state->base_term;
        return SPATE_OK;
    }
    const uint32_t slot_count =
        atomic_load_explicit(&view->state->slot_count, memory_order_acquire);
    const uint32_t slot = spate_log_slot_of(view->state, slot_count, index);
    const struct spate_log_segment *segment = view->state->slots[slot].segment;
    *ret_term = segment->runs[spate_log_run_of(segment, index)].term;
    return SPATE_OK;
}
