/*
 * Truncation, compaction and reset: a new state takes the place of the published one, which
 * readers go on reading undisturbed until its grace period is over.
 */
#include "log_internal.h"

/* Copies the entries up to `last_kept` into a fresh segment. NULL: none is free. */
static struct spate_log_segment *
copy_head(struct spate_log *log, const struct spate_log_segment *from, spate_index last_kept)
{
    struct spate_log_segment *to = spate_log_take_segment(log, from->first, 0);
    if (to == NULL) {
        return NULL;
    }
    const uint32_t count = (uint32_t)(last_kept - from->first + 1);
    const uint32_t runs = spate_log_run_of(from, last_kept) + 1;

    spate_assert(count >= 1);
    spate_assert(count < from->count);
    spate_assert(from->offsets[count] <= log->segment_bytes);
    spate_assert(to != from);
    to->count = count;
    to->used = from->offsets[count];
    memcpy(to->arena, from->arena, to->used);
    memcpy(to->offsets, from->offsets, (count + 1) * sizeof *to->offsets);
    memcpy(to->runs, from->runs, runs * sizeof *to->runs);
    atomic_store_explicit(&to->run_count, runs, memory_order_relaxed);
    return to;
}

/*
 * Puts `state` in place of the published one, and retires that and its segments in the slots from
 * `begin` to before `end`. A reclaimer may poison what it is given at once: so the state, which
 * names the segments, goes last.
 */
static void replace_state(struct spate_log *log, struct spate_log_state *state, uint32_t begin,
                          uint32_t end)
{
    struct spate_log_state *old = log->state;

    spate_assert(begin <= end);
    spate_assert(end <= atomic_load_explicit(&old->slot_count, memory_order_relaxed));
    spate_log_publish_state(log, state);
    for (uint32_t s = begin; s < end; s++) {
        spate_log_retire_segment(log, old->slots[s].segment);
    }
    spate_log_retire_state(log, old);
    spate_assert_slow(spate_log_valid(log));
}

/* What the queries of the writer answer from now on. */
static void set_end(struct spate_log *log, spate_index last, spate_term last_term)
{
    log->staged = last;
    log->staged_term = last_term;
    log->published_term = last_term;
}

spate_err spate_log_truncate(struct spate_log *log, spate_index last_kept)
{
    spate_assert(!spate_log_is_staged(log));
    spate_assert(last_kept + 1 >= log->state->first);
    spate_assert(last_kept <= log->staged);

    if (last_kept == log->staged) {
        return SPATE_OK;
    }
    struct spate_log_state *old = log->state;
    const uint32_t old_slots = atomic_load_explicit(&old->slot_count, memory_order_relaxed);
    const uint32_t kept_slots =
        last_kept < old->first ? 0 : spate_log_slot_of(old, old_slots, last_kept) + 1;
    spate_term last_term = 0;
    const spate_err err = spate_log_term_at(log, last_kept, &last_term);
    spate_assert(err == SPATE_OK);

    struct spate_log_state *state = spate_log_take_state(log);
    if (state == NULL) {
        return SPATE_ERR_BUSY;
    }
    state->first = old->first;
    state->base_term = old->base_term;
    state->generation = old->generation + 1;
    atomic_store_explicit(&state->last, last_kept, memory_order_relaxed);
    atomic_store_explicit(&state->slot_count, kept_slots, memory_order_relaxed);
    memcpy(state->slots, old->slots, kept_slots * sizeof *state->slots);

    uint32_t retired_from = kept_slots; /* Slots of the old state that go. */
    if (kept_slots > 0) {
        const struct spate_log_segment *cut = old->slots[kept_slots - 1].segment;
        if (cut->first + cut->count - 1 != last_kept) {
            struct spate_log_segment *copy = copy_head(log, cut, last_kept);
            if (copy == NULL) {
                spate_log_give_state(log, state);
                return SPATE_ERR_BUSY;
            }
            state->slots[kept_slots - 1].segment = copy;
            retired_from--;
        }
    }
    set_end(log, last_kept, last_term);
    replace_state(log, state, retired_from, old_slots);
    return SPATE_OK;
}

void spate_log_compact(struct spate_log *log, spate_index first_kept)
{
    spate_assert(!spate_log_is_staged(log));
    spate_assert(first_kept <= log->staged + 1);

    struct spate_log_state *old = log->state;
    const uint32_t old_slots = atomic_load_explicit(&old->slot_count, memory_order_relaxed);
    uint32_t gone = 0;
    while (gone < old_slots &&
           old->slots[gone].first + old->slots[gone].segment->count <= first_kept) {
        gone++;
    }
    if (gone == 0) {
        return;
    }
    const struct spate_log_segment *last_gone = old->slots[gone - 1].segment;
    const spate_index base = last_gone->first + last_gone->count - 1;
    struct spate_log_state *state = spate_log_take_state(log);
    if (state == NULL) {
        return; /* Many are waiting for their grace period: another time. */
    }
    state->first = base + 1;
    state->base_term = last_gone->runs[spate_log_run_of(last_gone, base)].term;
    state->generation = old->generation;
    atomic_store_explicit(&state->last, log->staged, memory_order_relaxed);
    atomic_store_explicit(&state->slot_count, old_slots - gone, memory_order_relaxed);
    memcpy(state->slots, old->slots + gone, (old_slots - gone) * sizeof *state->slots);
    spate_assert(state->first <= first_kept);
    spate_assert(state->first > old->first);
    replace_state(log, state, 0, gone);
}

spate_err spate_log_reset(struct spate_log *log, struct spate_entry_id base)
{
    spate_assert(!spate_log_is_staged(log));

    struct spate_log_state *old = log->state;
    const uint32_t old_slots = atomic_load_explicit(&old->slot_count, memory_order_relaxed);
    struct spate_log_state *state = spate_log_take_state(log);
    if (state == NULL) {
        return SPATE_ERR_BUSY;
    }
    state->first = base.index + 1;
    state->base_term = base.term;
    state->generation = old->generation + 1;
    atomic_store_explicit(&state->last, base.index, memory_order_relaxed);
    set_end(log, base.index, base.term);
    replace_state(log, state, 0, old_slots);
    return SPATE_OK;
}
