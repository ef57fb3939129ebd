/* Staging and publishing: the writer's hot path. */
#include "log_internal.h"

/* Adds an empty segment behind the tail. Readers do not look at it before `last` reaches it. */
static bool open_segment(struct spate_log *log)
{
    struct spate_log_state *state = log->state;
    const uint32_t slot_count = atomic_load_explicit(&state->slot_count, memory_order_relaxed);

    /* All in use: there is none to take. */
    spate_assert(slot_count <= log->segment_count);
    spate_assert(slot_count == 0 || log->tail == state->slots[slot_count - 1].segment);
    spate_assert(log->tail == NULL || log->tail->count >= 1); /* No segment stays empty. */
    struct spate_log_segment *segment =
        spate_log_take_segment(log, log->staged + 1, SPATE_LOG_SPARE);
    if (segment == NULL) {
        return false;
    }
    state->slots[slot_count] =
        (struct spate_log_slot){.first = log->staged + 1, .segment = segment};
    spate_assert(slot_count < log->segment_count);
    atomic_store_explicit(&state->slot_count, slot_count + 1, memory_order_release);
    log->tail = segment;
    return true;
}

static bool has_run_for(const struct spate_log_segment *segment, spate_term term)
{
    const uint32_t runs = atomic_load_explicit(&segment->run_count, memory_order_relaxed);

    spate_assert(runs <= SPATE_LOG_RUNS_MAX);
    return runs < SPATE_LOG_RUNS_MAX || segment->runs[runs - 1].term == term;
}

/* Whether entries of `term` in `bytes` bytes fit into the tail. */
static bool fits_tail(const struct spate_log *log, spate_term term, uint32_t bytes)
{
    const struct spate_log_segment *tail = log->tail;

    spate_assert(tail == NULL || tail->used <= log->segment_bytes);
    return tail != NULL && bytes <= log->segment_bytes - tail->used && has_run_for(tail, term);
}

/* Notes that entries from `first` on have `term`. */
static void begin_run(struct spate_log_segment *segment, spate_index first, spate_term term)
{
    const uint32_t runs = atomic_load_explicit(&segment->run_count, memory_order_relaxed);

    if (runs > 0 && segment->runs[runs - 1].term == term) {
        return;
    }
    spate_assert(runs < SPATE_LOG_RUNS_MAX);
    spate_assert(runs == 0 || segment->runs[runs - 1].term < term);
    segment->runs[runs] = (struct spate_log_run){.first = first, .term = term};
    atomic_store_explicit(&segment->run_count, runs + 1, memory_order_release);
}

spate_err spate_log_stage(struct spate_log *log, spate_term term, uint8_t kind, const void *data,
                          uint32_t size)
{
    spate_assert(size <= SPATE_ENTRY_BYTES_MAX);
    spate_assert(term >= 1);
    spate_assert(term >= log->staged_term);

    const uint32_t stride = spate_entry_stride(size);
    if (!fits_tail(log, term, stride) && !open_segment(log)) {
        return SPATE_ERR_BUSY;
    }
    struct spate_log_segment *tail = log->tail;
    spate_assert(stride <= log->segment_bytes - tail->used);
    spate_assert(tail->first + tail->count == log->staged + 1);
    begin_run(tail, log->staged + 1, term);
    tail->used += spate_entry_encode(tail->arena + tail->used, kind, data, size);
    tail->count++;
    tail->offsets[tail->count] = tail->used;
    log->staged++;
    log->staged_term = term;
    log->staged_kinds |= SPATE_LOG_KIND(kind);
    return SPATE_OK;
}

/* Of entries that were looked at: their size, UINT32_MAX when they are malformed, and their kinds.
 */
struct measured {
    uint32_t bytes;
    uint32_t kinds;
};

/*
 * Checks the headers of up to `count` entries and writes where each ends, counted from `base`, to
 * `ends`; stops before an entry that would end beyond `bytes_max`. Returns how many fit.
 */
static uint32_t measure(const uint8_t *bytes, uint32_t size, uint32_t count, uint32_t bytes_max,
                        uint32_t base, uint32_t *ends, struct measured *ret)
{
    uint32_t at = 0;
    uint32_t kinds = 0;

    spate_assert(bytes_max != UINT32_MAX); /* The mark of malformed bytes. */
    for (uint32_t i = 0; i < count; i++) {
        struct spate_entry entry;
        const uint32_t stride = spate_entry_decode(bytes + at, size - at, &entry);
        if (stride == 0) {
            *ret = (struct measured){.bytes = UINT32_MAX};
            return 0;
        }
        if (stride > bytes_max - at) {
            *ret = (struct measured){.bytes = at, .kinds = kinds};
            return i;
        }
        at += stride;
        kinds |= SPATE_LOG_KIND(entry.kind);
        if (ends != NULL) {
            ends[i] = base + at;
        }
    }
    *ret = (struct measured){.bytes = at, .kinds = kinds};
    return count;
}

/* Copies entries that were measured into the tail's free room. */
static void copy_into_tail(struct spate_log *log, spate_term term, const uint8_t *bytes,
                           uint32_t size, uint32_t count)
{
    struct spate_log_segment *tail = log->tail;

    spate_assert(count >= 1);
    spate_assert(size <= log->segment_bytes - tail->used);
    spate_assert(tail->first + tail->count == log->staged + 1);
    begin_run(tail, log->staged + 1, term);
    memcpy(tail->arena + tail->used, bytes, size);
    tail->used += size;
    tail->count += count;
    spate_assert(tail->offsets[tail->count] == tail->used);
    log->staged += count;
    log->staged_term = term;
}

/*
 * Checks a block and counts the segments that it opens when the first one has `room` bytes left.
 * False: malformed.
 */
static bool plan(const struct spate_log *log, const uint8_t *bytes, uint32_t size, uint32_t count,
                 uint32_t room, uint32_t *ret_segments)
{
    uint32_t segments = 0;

    spate_assert(room <= log->segment_bytes);
    for (;;) {
        struct measured measured;
        const uint32_t piece = measure(bytes, size, count, room, 0, NULL, &measured);
        if (measured.bytes == UINT32_MAX) {
            return false;
        }
        spate_assert(piece >= 1 || segments == 0); /* An empty segment has room for any entry. */
        bytes += measured.bytes;
        size -= measured.bytes;
        count -= piece;
        if (count == 0) {
            *ret_segments = segments;
            return size == 0;
        }
        segments++;
        room = log->segment_bytes;
    }
}

/*
 * The way of a block that does not fit into the tail as a whole: segment by segment, all or
 * nothing, as it is known beforehand that there are enough of them.
 */
static spate_err stage_in_pieces(struct spate_log *log, spate_term term, const uint8_t *bytes,
                                 uint32_t size, uint32_t count)
{
    const uint32_t room = log->tail != NULL && has_run_for(log->tail, term)
                              ? log->segment_bytes - log->tail->used
                              : 0;
    uint32_t segments = 0;

    if (!plan(log, bytes, size, count, room, &segments)) {
        return SPATE_ERR_MALFORMED;
    }
    spate_log_reclaim(log);
    if (log->segments_free < segments + SPATE_LOG_SPARE) {
        return SPATE_ERR_BUSY;
    }
    while (count > 0) {
        struct measured measured;
        uint32_t piece = 0;
        if (log->tail != NULL && has_run_for(log->tail, term)) {
            struct spate_log_segment *tail = log->tail;
            piece = measure(bytes, size, count, log->segment_bytes - tail->used, tail->used,
                            tail->offsets + tail->count + 1, &measured);
        }
        if (piece > 0) {
            copy_into_tail(log, term, bytes, measured.bytes, piece);
            log->staged_kinds |= measured.kinds;
            bytes += measured.bytes;
            size -= measured.bytes;
            count -= piece;
        }
        if (count > 0) {
            const bool is_open = open_segment(log);
            spate_assert(is_open);
        }
    }
    return SPATE_OK;
}

spate_err spate_log_stage_encoded(struct spate_log *log, spate_term term, const uint8_t *bytes,
                                  uint32_t size, uint32_t count)
{
    spate_assert(term >= 1);
    spate_assert(term >= log->staged_term);
    spate_assert(count >= 1);

    if (!fits_tail(log, term, size)) {
        return stage_in_pieces(log, term, bytes, size, count);
    }
    /* Offsets behind the tail's count are nobody's yet, so a block that turns out to be malformed
     * leaves nothing behind. There are enough of them: an entry has at least eight bytes. */
    struct spate_log_segment *tail = log->tail;
    struct measured measured;
    if (count > size / SPATE_ENTRY_HEADER_BYTES ||
        measure(bytes, size, count, size, tail->used, tail->offsets + tail->count + 1, &measured) !=
            count ||
        measured.bytes != size) {
        return SPATE_ERR_MALFORMED;
    }
    copy_into_tail(log, term, bytes, size, count);
    log->staged_kinds |= measured.kinds;
    return SPATE_OK;
}

void spate_log_publish(struct spate_log *log)
{
    spate_assert_slow(spate_log_valid(log));
    spate_assert(log->staged >= spate_log_last(log));
    spate_assert(log->staged_term >= log->published_term);
    log->published_term = log->staged_term;
    log->published_kinds = log->staged_kinds;
    log->staged_kinds = 0;
    atomic_store_explicit(&log->state->last, log->staged, memory_order_release);
}

uint32_t spate_log_published_kinds(const struct spate_log *log)
{
    spate_assert(log != NULL);
    spate_assert(log->published_kinds != 0 || log->staged_kinds == 0 || spate_log_is_staged(log));
    return log->published_kinds;
}
