/* What the files of lib/log share: segments, the published state, and the writer's side. */
#ifndef SPATE_LOG_INTERNAL_H
#define SPATE_LOG_INTERNAL_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "log.h"

/* Changes of term that one segment can hold; one more opens the next segment. */
#define SPATE_LOG_RUNS_MAX 1024u

/* States that may wait for their grace period, besides the published one. */
#define SPATE_LOG_STATES 16u

/* Entries from `first` on have `term`, up to the next run. */
struct spate_log_run {
    spate_index first;
    spate_term term;
};

/* What waits until no reader can hold it: a segment or a state, which begin with this. */
struct spate_log_retiree {
    struct spate_retired retired;
    struct spate_log_retiree *next; /* In the writer's queue, or in its free list. */
    bool is_segment;
};

/*
 * A piece of the log. Bytes, offsets and runs are only ever added; what was published never
 * changes until the segment is reclaimed.
 */
struct spate_log_segment {
    struct spate_log_retiree retiree;
    spate_index first; /* Of the first entry. */
    uint32_t count;    /* Writer: entries staged. */
    uint32_t used;     /* Writer: bytes staged. */
    uint8_t *arena;    /* segment_bytes: encoded entries, one after the other. */
    uint32_t *offsets; /* Of entry i in the arena; offsets[i + 1] is where it ends. */
    _Atomic uint32_t run_count;
    struct spate_log_run runs[SPATE_LOG_RUNS_MAX];
};

struct spate_log_slot {
    spate_index first; /* == segment->first */
    struct spate_log_segment *segment;
};

/* What is published: everything a reader needs, reached by one load. */
struct spate_log_state {
    struct spate_log_retiree retiree;
    _Atomic spate_index last;    /* The only field that moves while the state is published … */
    _Atomic uint32_t slot_count; /* … besides the end of the table. */
    spate_index first;
    spate_term base_term; /* Of the entry first - 1. */
    uint64_t generation;
    struct spate_log_slot slots[]; /* As many as there are segments. */
};

struct spate_log {
    _Atomic(struct spate_log_state *) published;

    /* The writer's. */
    struct spate_log_state *state;  /* == published */
    struct spate_log_segment *tail; /* The last slot's segment; NULL: none. */
    spate_index staged;             /* The last staged index. */
    spate_term staged_term;
    spate_term published_term;
    uint32_t staged_kinds;    /* Of what is staged … */
    uint32_t published_kinds; /* … and of what was published last. */
    struct spate_reclaim *reclaim;
    uint32_t segment_bytes;
    uint32_t segment_count; /* All there are: those of the budget, and the spare one. */
    uint32_t segments_free;
    uint32_t segments_retired;
    struct spate_log_retiree *free_segments;
    struct spate_log_retiree *free_states;
    struct spate_log_retiree *retired_head; /* In the order of retirement. */
    struct spate_log_retiree **retired_tail;
    struct spate_log_segment *segments; /* segment_count of them, for destroy. */
    uint8_t *states;                    /* SPATE_LOG_STATES + 1 of them. */
};

/*
 * A segment beyond the budget, which only truncations take: what frees memory must not wait for
 * memory.
 */
#define SPATE_LOG_SPARE 1u

/* pool.c: NULL when nothing is free, even after looking at what was reclaimed. `spare`: how many
 * are to be left for others. */
struct spate_log_segment *spate_log_take_segment(struct spate_log *log, spate_index first,
                                                 uint32_t spare);
struct spate_log_state *spate_log_take_state(struct spate_log *log);
void spate_log_give_segment(struct spate_log *log, struct spate_log_segment *segment);
void spate_log_give_state(struct spate_log *log, struct spate_log_state *state);
void spate_log_retire_segment(struct spate_log *log, struct spate_log_segment *segment);
void spate_log_retire_state(struct spate_log *log, struct spate_log_state *state);
void spate_log_reclaim(struct spate_log *log);

/* Makes `state` what readers see from now on. */
void spate_log_publish_state(struct spate_log *log, struct spate_log_state *state);

/* read.c: the slot that holds `index`. Requires: slots[0].first <= index. */
uint32_t spate_log_slot_of(const struct spate_log_state *state, uint32_t slot_count,
                           spate_index index);

/* The place in segment->runs of the run that `index` belongs to. */
uint32_t spate_log_run_of(const struct spate_log_segment *segment, spate_index index);

/* For the writer, which is the only one to move it. */
static inline spate_index spate_log_last_of(const struct spate_log_state *state)
{
    return atomic_load_explicit(&state->last, memory_order_relaxed);
}

static inline bool spate_log_is_staged(const struct spate_log *log)
{
    return log->staged != spate_log_last_of(log->state);
}

#endif
