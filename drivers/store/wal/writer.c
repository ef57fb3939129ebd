/* The store thread: everything that has been staged, one group, one synced write, again. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wal_internal.h"

/* A group takes no more once it is this large: what waits is written no later for that. */
#define GROUP_BYTES_WANTED (4u << 20)

/* After so much quiet an empty group follows the last: it says that the last was synced. */
#define SEAL_AFTER_MS 20

/* How long to wait for a segment before looking whether to close. */
#define SEGMENT_WAIT_MS 1000

/* A group that is being put together. */
struct draft {
    struct wal_group group;
    uint8_t *records; /* Behind the header's place. */
    uint32_t bytes_max;
    uint64_t bytes_taken; /* As the owner counts them. */
    uint64_t batches;
    bool is_needed;
};

static void append_record(struct draft *draft, const struct spate_log_span *span)
{
    struct wal_group *group = &draft->group;

    spate_assert(span->first == group->state.last.index + 1);
    spate_assert(draft->bytes_max - group->bytes >= SPATE_RECORD_HEADER_BYTES + span->bytes);
    group->chain = spate_record_encode(draft->records + group->bytes, span, group->chain);
    group->bytes += SPATE_RECORD_HEADER_BYTES + span->bytes;
    group->record_count++;
    group->state.last = (struct spate_entry_id){span->term, span->first + span->count - 1};
}

/* Writes a span as records of about SPATE_RECORD_ENTRIES_BYTES. */
static void append_span(struct draft *draft, const struct spate_log_span *span)
{
    struct spate_record rest = {.first = span->first,
                                .term = span->term,
                                .count = span->count,
                                .bytes = span->bytes,
                                .entries = span->data};

    if (span->bytes <= SPATE_RECORD_ENTRIES_BYTES) {
        append_record(draft, span);
        return;
    }
    while (rest.count > 0) {
        struct spate_log_span piece = {0};
        /* Our own log's entries: they are what they say. */
        const spate_err err =
            spate_record_span(&rest, rest.first, UINT32_MAX, SPATE_RECORD_ENTRIES_BYTES, &piece);
        spate_assert(err == SPATE_OK);
        append_record(draft, &piece);
        rest.first += piece.count;
        rest.count -= piece.count;
        rest.entries += piece.bytes;
        rest.bytes -= piece.bytes;
    }
}

static void add_batch(struct draft *draft, const struct request *request)
{
    struct wal_group *group = &draft->group;
    const uint8_t *bytes = (const uint8_t *)(request->spans + request->span_count);

    if (request->has_hard_state) {
        group->state.hard_state = request->hard_state;
    }
    if (request->has_reset) {
        group->flags |= WAL_GROUP_RESETS;
        group->state.base = request->base;
        group->state.last = request->base;
    }
    if (request->has_truncate && request->truncate_after < group->state.last.index) {
        spate_assert(request->truncate_after >= group->state.base.index);
        group->flags |= WAL_GROUP_TRUNCATES;
        group->truncate_after = request->truncate_after;
        group->state.last = (struct spate_entry_id){0, request->truncate_after};
        if (request->truncate_after == group->state.base.index) {
            group->state.last = group->state.base;
        }
    }
    for (uint32_t s = 0; s < request->span_count; s++) {
        struct spate_log_span span = request->spans[s];
        span.data = bytes;
        bytes += spate_round_up_8(span.bytes);
        append_span(draft, &span);
    }
    draft->batches++;
    draft->is_needed = true;
}

/* A compaction is the group's business too: its base holds once the group is durable. */
static void add_base(struct draft *draft, struct spate_entry_id base)
{
    struct wal_state *state = &draft->group.state;

    if (base.index > state->base.index && base.index <= state->last.index) {
        state->base = base;
        draft->is_needed = true;
    }
}

/* Whether the request may stand in the group behind what it has: a cut is always the first. */
static bool fits(const struct draft *draft, const struct request *request)
{
    return !draft->is_needed || (!request->has_truncate && !request->has_reset &&
                                 draft->group.bytes < GROUP_BYTES_WANTED &&
                                 request->bytes <= draft->bytes_max - draft->group.bytes);
}

/* Takes what is in the ring. */
static void take_requests(struct wal_store *wal, struct draft *draft)
{
    const struct request *request = NULL;
    uint32_t ignored = 0;

    while ((request = spate_ring_take(wal->requests, &ignored)) != NULL) {
        if (request->kind == REQUEST_BATCH) {
            if (!fits(draft, request)) {
                spate_ring_untake(wal->requests);
                return;
            }
            add_batch(draft, request);
            draft->bytes_taken += request->bytes;
        } else if (request->kind == REQUEST_COMPACT) {
            add_base(draft, request->base);
        } else {
            spate_wal_ahead_retire(&wal->ahead, request->segment);
        }
    }
}

/* One write, synced when it returns. With the segment's header before the segment's first group. */
static bool write_blocks(struct wal_store *wal, const uint8_t *from, uint32_t size)
{
    const bool is_fresh = wal->is_fresh;
    const uint8_t *begin = is_fresh ? from - SPATE_WAL_BLOCK_BYTES : from;
    const size_t bytes = size + (is_fresh ? SPATE_WAL_BLOCK_BYTES : 0u);
    const off_t at = is_fresh ? 0 : (off_t)wal->at;

    spate_assert(!is_fresh || (from == wal->group && wal->at == SPATE_WAL_BLOCK_BYTES));
    spate_assert(wal->at + size <= wal->segment_bytes);
    ssize_t done = 0;
    do {
        done = pwrite(wal->fd, begin, bytes, at);
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)bytes;
}

/* Tells the owner where entries are. Waits while it has not taken what it was told before. */
static void tell_index(struct wal_store *wal, const struct wal_note *note)
{
    struct wal_note *to = NULL;

    while ((to = spate_ring_reserve(wal->notes, sizeof *to)) == NULL) {
        if (atomic_load(&wal->is_closing)) {
            return;
        }
        (void)poll(NULL, 0, 1);
    }
    *to = *note;
    spate_ring_publish(wal->notes);
}

/* Publishes where the log ends, for the owner to know how much room there is. */
static void tell_position(struct wal_store *wal)
{
    atomic_store_explicit(&wal->segment_written, wal->place.segment, memory_order_relaxed);
    atomic_store_explicit(&wal->bytes_left, wal->segment_bytes - wal->at, memory_order_relaxed);
}

/* Writes a group, whose records lie behind the header's place at `to`, at the end of the segment.
 */
static bool write_group(struct wal_store *wal, uint8_t *to, struct wal_group *group)
{
    const uint32_t size = (uint32_t)spate_wal_group_size(group->bytes);
    const uint32_t used = SPATE_WAL_HEADER_BYTES + group->bytes;

    memset(to + used, 0, size - used);
    group->segment = wal->place.segment;
    group->number = wal->place.group_next;
    group->chain_prev = wal->place.chain;
    group->zero_sectors = spate_wal_zero_sectors(to + SPATE_WAL_SECTOR_BYTES,
                                                 (uint64_t)size - SPATE_WAL_SECTOR_BYTES);
    spate_wal_group_encode(to, group, wal->salt);
    if (!write_blocks(wal, to, size)) {
        return false;
    }
    const struct wal_note note = spate_wal_note(&wal->pointer, &wal->place.state, group, wal->at);
    tell_index(wal, &note);
    wal->place.group_next++;
    wal->place.chain = group->chain;
    wal->place.state = group->state;
    wal->at += size;
    wal->is_fresh = false;
    wal->is_unsealed = true;
    tell_position(wal);
    return true;
}

/* Writes a group that changes nothing: a seal, or the end of a segment. */
static bool write_empty(struct wal_store *wal, uint32_t flags)
{
    struct wal_group group = {.chain = wal->place.chain, .flags = flags, .state = wal->place.state};

    spate_assert(!wal->is_fresh);
    const bool is_written = write_group(wal, wal->empty, &group);
    wal->is_unsealed = false;
    return is_written;
}

bool spate_wal_begin_segment(struct wal_store *wal)
{
    const struct wal_segment segment = {.segment = wal->place.segment,
                                        .bytes = wal->segment_bytes,
                                        .group_next = wal->place.group_next,
                                        .chain = wal->place.chain,
                                        .state = wal->place.state};

    memset(wal->group - SPATE_WAL_BLOCK_BYTES, 0, SPATE_WAL_BLOCK_BYTES);
    spate_wal_segment_encode(wal->group - SPATE_WAL_BLOCK_BYTES, &segment, wal->salt);
    wal->at = SPATE_WAL_BLOCK_BYTES;
    wal->is_fresh = true;
    wal->fd = spate_wal_open_for_writing(wal->directory_fd, segment.segment);
    spate_wal_ahead_want(&wal->ahead, segment.segment + 1);
    tell_position(wal);
    return wal->fd >= 0;
}

/* Goes over to the next segment, which is already full of zeros, or waits for it. */
static bool next_segment(struct wal_store *wal)
{
    const uint64_t next = wal->place.segment + 1;

    while (!spate_wal_ahead_wait(&wal->ahead, next, SEGMENT_WAIT_MS)) {
        /* Closing waits for it, too, unless there is no space: what is left then was never
         * acknowledged. */
        if (atomic_load(&wal->ahead.has_failed) ||
            (atomic_load(&wal->is_closing) && atomic_load(&wal->ahead.is_full))) {
            return false;
        }
    }
    if (!write_empty(wal, WAL_GROUP_ENDS)) {
        return false;
    }
    (void)close(wal->fd);
    wal->place.segment = next;
    return spate_wal_begin_segment(wal);
}

/* Whether a group of so many record bytes fits, and the group that ends the segment behind it. */
static bool has_room(const struct wal_store *wal, uint32_t record_bytes)
{
    return wal->at + spate_wal_group_size(record_bytes) + SPATE_WAL_BLOCK_BYTES <=
           wal->segment_bytes;
}

bool spate_wal_write_state(struct wal_store *wal, const struct spate_hard_state *hard_state)
{
    struct wal_group group = {.chain = wal->place.chain, .state = wal->place.state};

    group.state.hard_state = *hard_state;
    return (has_room(wal, 0) || next_segment(wal)) && write_group(wal, wal->group, &group);
}

/* *ret_batches: how many tickets that completes. */
static bool write_what_is_staged(struct wal_store *wal, uint64_t *ret_batches)
{
    struct draft draft = {
        .group = {.chain = wal->place.chain, .state = wal->place.state},
        .records = wal->group + SPATE_WAL_HEADER_BYTES,
        .bytes_max = wal->group_bytes_max - SPATE_WAL_HEADER_BYTES,
    };

    take_requests(wal, &draft);
    *ret_batches = draft.batches;
    if (!draft.is_needed) {
        return true;
    }
    if (!has_room(wal, draft.group.bytes) && !next_segment(wal)) {
        return false;
    }
    if (!write_group(wal, wal->group, &draft.group)) {
        return false;
    }
    atomic_fetch_add_explicit(&wal->bytes_written, draft.bytes_taken, memory_order_relaxed);
    return true;
}

/* Sleeps until the ring has something or the store closes; seals the log when that takes long. */
static bool sleep_until_asked(struct wal_store *wal)
{
    struct pollfd poll_fd = {.fd = wal->work_fd, .events = POLLIN};
    uint64_t ignored = 0;
    bool is_quiet = false;

    /* Announce first, look again, then sleep: whoever stages after the look sees the announcement.
     */
    atomic_store(&wal->is_asleep, true);
    if (spate_ring_is_empty(wal->requests) && !atomic_load(&wal->is_closing)) {
        is_quiet = poll(&poll_fd, 1, wal->is_unsealed ? SEAL_AFTER_MS : -1) == 0;
        if (!is_quiet) {
            (void)!read(wal->work_fd, &ignored, sizeof ignored);
        }
    }
    (void)atomic_exchange(&wal->is_asleep, false);
    return !is_quiet || !has_room(wal, 0) || write_empty(wal, 0);
}

static void tell_owner(struct wal_store *wal)
{
    if (wal->waker != NULL) {
        wal->waker->wake(wal->waker);
    }
}

/* Final. What was staged is not acknowledged, now or ever. */
static void fail(struct wal_store *wal)
{
    atomic_store(&wal->failure, (int)SPATE_ERR_IO);
    tell_owner(wal);
}

void *spate_wal_write_forever(void *context)
{
    struct wal_store *wal = context;

    for (;;) {
        uint64_t batches = 0;
        if (spate_ring_is_empty(wal->requests)) {
            if (atomic_load(&wal->is_closing)) {
                if (wal->is_unsealed && has_room(wal, 0)) {
                    (void)write_empty(wal, 0); /* Nobody is told of it. */
                }
                return NULL;
            }
            if (!sleep_until_asked(wal) || atomic_load(&wal->ahead.has_failed)) {
                fail(wal);
                return NULL;
            }
            continue;
        }
        if (!write_what_is_staged(wal, &batches)) {
            fail(wal);
            return NULL;
        }
        spate_ring_release(wal->requests);
        atomic_fetch_add_explicit(&wal->completed, batches, memory_order_release);
        tell_owner(wal);
    }
}
