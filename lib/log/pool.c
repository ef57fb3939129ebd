/* Where segments and states come from and go back to. Nothing is allocated after creation. */
#include <stdlib.h>

#include "log_internal.h"

#define SEGMENT_BYTES_DEFAULT (4u << 20)
#define SEGMENTS_MIN          4u
#define PAGE_BYTES            4096u

_Static_assert(SEGMENT_BYTES_DEFAULT >= 2 * SPATE_ENTRY_BYTES_MAX, "any entry fits a segment");
_Static_assert(offsetof(struct spate_log_segment, retiree) == 0, "found by its retiree");
_Static_assert(offsetof(struct spate_log_state, retiree) == 0, "found by its retiree");
_Static_assert(offsetof(struct spate_log_retiree, retired) == 0, "found by what is retired");

static size_t state_bytes(const struct spate_log *log)
{
    const size_t bytes =
        sizeof(struct spate_log_state) + log->segment_count * sizeof(struct spate_log_slot);

    spate_assert(log->segment_count >= SEGMENTS_MIN);
    return (bytes + 63) & ~(size_t)63; /* Each begins a cache line of its own. */
}

/* Room for `bytes`, untouched: the kernel hands out the pages when they are first written to. */
static void *reserve(size_t bytes)
{
    spate_assert(bytes > 0);
    return aligned_alloc(PAGE_BYTES, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
}

static spate_err reserve_all(struct spate_log *log)
{
    log->segments = calloc(log->segment_count, sizeof *log->segments);
    log->states = aligned_alloc(64, state_bytes(log) * (SPATE_LOG_STATES + 1));
    if (log->segments == NULL || log->states == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    for (uint32_t s = 0; s < log->segment_count; s++) {
        struct spate_log_segment *segment = &log->segments[s];
        segment->retiree.is_segment = true;
        segment->arena = reserve(log->segment_bytes);
        segment->offsets =
            reserve((log->segment_bytes / SPATE_ENTRY_HEADER_BYTES + 1) * sizeof *segment->offsets);
        if (segment->arena == NULL || segment->offsets == NULL) {
            return SPATE_ERR_NO_MEMORY;
        }
        spate_log_give_segment(log, segment);
    }
    for (uint32_t s = 0; s < SPATE_LOG_STATES + 1; s++) {
        struct spate_log_state *state = (void *)(log->states + s * state_bytes(log));
        *state = (struct spate_log_state){0};
        spate_log_give_state(log, state);
    }
    return SPATE_OK;
}

spate_err spate_log_create(const struct spate_log_options *options, struct spate_log **ret_log)
{
    const uint32_t segment_bytes =
        options->segment_bytes != 0 ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;

    if (segment_bytes < 2 * SPATE_ENTRY_BYTES_MAX || segment_bytes > 1u << 30 ||
        segment_bytes % 8 != 0 || options->reclaim == NULL ||
        options->budget_bytes / segment_bytes < SEGMENTS_MIN ||
        options->budget_bytes / segment_bytes > 1u << 20) {
        return SPATE_ERR_INVALID;
    }
    struct spate_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    log->reclaim = options->reclaim;
    log->segment_bytes = segment_bytes;
    log->segment_count = (uint32_t)(options->budget_bytes / segment_bytes) + SPATE_LOG_SPARE;
    log->retired_tail = &log->retired_head;
    if (reserve_all(log) != SPATE_OK) {
        spate_log_destroy(log);
        return SPATE_ERR_NO_MEMORY;
    }
    struct spate_log_state *state = spate_log_take_state(log);
    spate_assert(state != NULL);
    state->first = options->base.index + 1;
    state->base_term = options->base.term;
    atomic_init(&state->last, options->base.index);
    log->staged = options->base.index;
    log->staged_term = options->base.term;
    log->published_term = options->base.term;
    spate_log_publish_state(log, state);
    *ret_log = log;
    return SPATE_OK;
}

void spate_log_destroy(struct spate_log *log)
{
    if (log == NULL) {
        return;
    }
    for (uint32_t s = 0; log->segments != NULL && s < log->segment_count; s++) {
        free(log->segments[s].arena);
        free(log->segments[s].offsets);
    }
    free(log->segments);
    free(log->states);
    free(log);
}

void spate_log_give_segment(struct spate_log *log, struct spate_log_segment *segment)
{
    spate_assert(log->segments_free < log->segment_count);
    spate_assert(segment->retiree.is_segment);
    segment->retiree.next = log->free_segments;
    log->free_segments = &segment->retiree;
    log->segments_free++;
}

void spate_log_give_state(struct spate_log *log, struct spate_log_state *state)
{
    spate_assert(state != log->state);
    spate_assert(!state->retiree.is_segment);
    state->retiree.next = log->free_states;
    log->free_states = &state->retiree;
}

static void retire(struct spate_log *log, struct spate_log_retiree *retiree)
{
    retiree->next = NULL;
    retiree->retired = (struct spate_retired){0};
    spate_assert(*log->retired_tail == NULL);
    *log->retired_tail = retiree;
    log->retired_tail = &retiree->next;
    log->reclaim->retire(log->reclaim, &retiree->retired);
}

void spate_log_retire_segment(struct spate_log *log, struct spate_log_segment *segment)
{
    spate_assert(segment->retiree.is_segment);
    spate_assert(segment != log->tail);
    log->segments_retired++;
    spate_assert(log->segments_retired + log->segments_free <= log->segment_count);
    retire(log, &segment->retiree);
}

void spate_log_retire_state(struct spate_log *log, struct spate_log_state *state)
{
    spate_assert(!state->retiree.is_segment);
    spate_assert(state != log->state);
    retire(log, &state->retiree);
}

/* Takes back what no reader can hold any more, in the order in which it was retired. */
void spate_log_reclaim(struct spate_log *log)
{
    while (log->retired_head != NULL && spate_retired_is_reclaimed(&log->retired_head->retired)) {
        struct spate_log_retiree *retiree = log->retired_head;
        log->retired_head = retiree->next;
        if (log->retired_head == NULL) {
            log->retired_tail = &log->retired_head;
        }
        if (retiree->is_segment) {
            spate_assert(log->segments_retired > 0);
            log->segments_retired--;
            spate_log_give_segment(log, (struct spate_log_segment *)(void *)retiree);
        } else {
            spate_log_give_state(log, (struct spate_log_state *)(void *)retiree);
        }
    }
}

struct spate_log_segment *spate_log_take_segment(struct spate_log *log, spate_index first,
                                                 uint32_t spare)
{
    spate_log_reclaim(log);
    spate_assert(spare <= SPATE_LOG_SPARE);
    if (log->segments_free <= spare) {
        return NULL;
    }
    struct spate_log_segment *segment = (struct spate_log_segment *)(void *)log->free_segments;
    log->free_segments = segment->retiree.next;
    spate_assert(log->segments_free > 0);
    log->segments_free--;
    spate_assert(segment->retiree.is_segment);
    spate_assert(segment != log->tail);
    segment->first = first;
    segment->count = 0;
    segment->used = 0;
    segment->offsets[0] = 0;
    atomic_store_explicit(&segment->run_count, 0, memory_order_relaxed);
    return segment;
}

struct spate_log_state *spate_log_take_state(struct spate_log *log)
{
    spate_log_reclaim(log);
    if (log->free_states == NULL) {
        return NULL;
    }
    struct spate_log_state *state = (struct spate_log_state *)(void *)log->free_states;
    log->free_states = state->retiree.next;
    spate_assert(!state->retiree.is_segment);
    spate_assert(state != log->state);
    state->retiree = (struct spate_log_retiree){0};
    atomic_store_explicit(&state->slot_count, 0, memory_order_relaxed);
    state->generation = 0;
    return state;
}

void spate_log_publish_state(struct spate_log *log, struct spate_log_state *state)
{
    const uint32_t slot_count = atomic_load_explicit(&state->slot_count, memory_order_relaxed);

    spate_assert(state != log->state);
    spate_assert(slot_count <= log->segment_count);
    spate_assert(spate_log_last_of(state) + 1 >= state->first);
    spate_assert(slot_count == 0 || state->slots[0].first == state->first);
    log->state = state;
    log->tail = slot_count == 0 ? NULL : state->slots[slot_count - 1].segment;
    atomic_store_explicit(&log->published, state, memory_order_release);
}
