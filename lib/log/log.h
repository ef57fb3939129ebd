/*
 * The replicated log in memory: one writer, any number of readers, no locks.
 *
 *          first              committed                last
 *            v                    v                      v
 *   [......][5][6][7][8][9][10][11][12][13][14][15][16][17]
 *   compacted             never truncated    may be truncated
 *
 * Entries lie in fixed-size segments in exactly the layout that they have on the wire and in the
 * store (struct spate_entry below), so a span of them travels by one memcpy. first, last, the
 * generation and the segment table form one published view; README.md states the guarantees (by
 * letter), the memory-order argument and how reclamation works.
 *
 * Threads: functions marked "writer" are called by the one owning thread only. Functions marked
 * "reader" may run on any thread that is inside a read section of the reclaimer (for QSBR: a
 * registered thread, between two quiescent states); what they return is valid only until that
 * section ends. The writer is always allowed to read; for it, views stay valid until its own next
 * call of truncate, compact or reset.
 */
#ifndef SPATE_LOG_LOG_H
#define SPATE_LOG_LOG_H

#include "base/error.h"
#include "base/rcu.h"
#include "base/types.h"

struct spate_log;
struct spate_log_state; /* What is published; private to lib/log. */

/*
 * The layout of one entry, in the log, on the wire and in the store (little-endian):
 *
 *   0      4   5   6        8                    8 + size, padded with zeros to a multiple of 8
 *   | size |kind| 0 |   0   | payload ...        |
 */
#define SPATE_ENTRY_HEADER_BYTES 8u

/* An entry as it is read: `data` points into the log (or the frame) that it was read from. */
struct spate_entry {
    const uint8_t *data;
    uint32_t size; /* Bytes at `data`; at most SPATE_ENTRY_BYTES_MAX. */
    uint8_t kind;  /* enum spate_entry_kind */
};

/* Bytes that an entry of `size` takes up in the log and on the wire. */
static inline uint32_t spate_entry_stride(uint32_t size)
{
    return (SPATE_ENTRY_HEADER_BYTES + size + 7u) & ~7u;
}

/* Writes one entry at `to`, which has spate_entry_stride(size) bytes. Returns that stride. */
uint32_t spate_entry_encode(uint8_t *to, uint8_t kind, const void *data, uint32_t size);

/*
 * Reads the entry at `from`, of which `available` bytes may be looked at. Returns its stride, or 0
 * when the bytes are no entry (so bytes from outside may be passed).
 */
uint32_t spate_entry_decode(const uint8_t *from, uint32_t available, struct spate_entry *ret_entry);

struct spate_log_options {
    uint64_t budget_bytes;         /* Of segments, retired ones included; at least four segments. */
    uint32_t segment_bytes;        /* 0: the default (4 MiB); at least 2 * SPATE_ENTRY_BYTES_MAX. */
    struct spate_reclaim *reclaim; /* Outlives the log. */
    struct spate_entry_id base;    /* The entry before the first; {0, 0} for a new log. */
};

/*
 * Memory: everything is reserved here (and touched when first used); nothing later.
 * Errors: SPATE_ERR_NO_MEMORY, SPATE_ERR_INVALID (options out of range)
 */
spate_err spate_log_create(const struct spate_log_options *options,
                           struct spate_log **ret_log) SPATE_MUST_CHECK;

/* Requires: no reader is left. Waits for nothing: call the reclaimer's barrier first. */
void spate_log_destroy(struct spate_log *log);

/*
 * Stages one entry after the last staged one. Invisible to readers, and to the queries below,
 * until spate_log_publish().
 *
 * Thread:   writer.
 * Requires: size <= SPATE_ENTRY_BYTES_MAX; term >= the last staged entry's term, and >= 1.
 * Memory:   the bytes at `data` are copied.
 * Errors:   SPATE_ERR_BUSY   the byte budget is spent; nothing changed. Retry after compaction or
 *                            once readers let retired segments go.
 */
spate_err spate_log_stage(struct spate_log *log, spate_term term, uint8_t kind, const void *data,
                          uint32_t size) SPATE_MUST_CHECK;

/*
 * Stages `count` encoded entries of one term that stand one after the other in `size` bytes.
 *
 * Thread:   writer.
 * Errors:   SPATE_ERR_MALFORMED   the bytes are not exactly `count` entries; nothing changed.
 *           SPATE_ERR_BUSY        as above; nothing changed.
 */
spate_err spate_log_stage_encoded(struct spate_log *log, spate_term term, const uint8_t *bytes,
                                  uint32_t size, uint32_t count) SPATE_MUST_CHECK;

/* Makes all staged entries visible at once. Thread: writer. Order: release. Idempotent. */
void spate_log_publish(struct spate_log *log);

/*
 * The kinds of the entries that the last spate_log_publish() made visible, as a set: so that
 * whoever looks for a rare kind need not walk all entries. Thread: writer.
 */
#define SPATE_LOG_KIND(kind) (1u << ((kind) % 32u))
uint32_t spate_log_published_kinds(const struct spate_log *log);

/*
 * Removes all entries after `last_kept`. Readers of older views are not disturbed.
 *
 * Thread:   writer.
 * Requires: nothing is staged; first - 1 <= last_kept <= last.
 * Errors:   SPATE_ERR_BUSY   readers hold what earlier cuts replaced; nothing changed. A spent
 *                            budget is no obstacle: there is a spare segment for the copy.
 */
spate_err spate_log_truncate(struct spate_log *log, spate_index last_kept) SPATE_MUST_CHECK;

/*
 * Forgets entries before `first_kept`, whole segments at a time: afterwards
 * spate_log_first() <= first_kept. Never fails; what cannot be freed yet is kept.
 *
 * Thread:   writer.
 * Requires: nothing is staged; first_kept <= last + 1.
 */
void spate_log_compact(struct spate_log *log, spate_index first_kept);

/*
 * Makes the log empty, behind `base` (a snapshot's last entry).
 *
 * Thread:   writer.
 * Requires: nothing is staged.
 */
spate_err spate_log_reset(struct spate_log *log, struct spate_entry_id base) SPATE_MUST_CHECK;

/* The first readable index, last + 1 when the log is empty. Thread: writer. */
spate_index spate_log_first(const struct spate_log *log);

/* The last published index, base.index when the log is empty. Thread: writer. */
spate_index spate_log_last(const struct spate_log *log);

/* The last published entry's term, the base's when the log is empty. Thread: writer. */
spate_term spate_log_last_term(const struct spate_log *log);

/*
 * Thread:   writer.
 * Requires: index <= last.
 * Errors:   SPATE_ERR_COMPACTED   index < first - 1 (the base's term is known).
 */
spate_err spate_log_term_at(const struct spate_log *log, spate_index index,
                            spate_term *ret_term) SPATE_MUST_CHECK;

/*
 * The first index of the run of entries with the same term that `index` is in (as far back as the
 * log reaches), for conflict back-off by term. Thread: writer. Requires: first <= index <= last.
 */
spate_index spate_log_term_first(const struct spate_log *log, spate_index index);

/* How often the log was truncated or reset. Thread: writer. */
uint64_t spate_log_generation(const struct spate_log *log);

/* Bytes in use, and of those: bytes retired and not yet reclaimed. Thread: writer. */
uint64_t spate_log_used_bytes(const struct spate_log *log);
uint64_t spate_log_retired_bytes(const struct spate_log *log);
uint64_t spate_log_budget_bytes(const struct spate_log *log);

/* Of one segment, by which the log grows and shrinks. */
uint32_t spate_log_segment_bytes(const struct spate_log *log);

/* Checks every invariant of the structure. For assertions and tests. Thread: writer. */
bool spate_log_valid(const struct spate_log *log);

/* What a reader sees: never changes, whatever the writer does meanwhile. */
struct spate_log_view {
    const struct spate_log_state *state;
    spate_index first; /* last + 1 when empty */
    spate_index last;
    uint64_t generation;
};

/* Entries that stand one after the other in memory and have one term. */
struct spate_log_span {
    const uint8_t *data; /* Encoded entries; the log's. */
    uint32_t bytes;
    uint32_t count;
    spate_index first;
    spate_term term;
};

/* Thread: reader. Order: acquire. Cost: two loads. */
void spate_log_view(const struct spate_log *log, struct spate_log_view *ret_view);

/*
 * The longest span that begins at `first` and has at most `count_max` entries and `bytes_max`
 * bytes; at least one entry even if that one is larger than `bytes_max`.
 *
 * Thread:   reader.
 * Requires: view->first <= first <= view->last; count_max >= 1.
 */
void spate_log_view_span(const struct spate_log_view *view, spate_index first, uint32_t count_max,
                         uint32_t bytes_max, struct spate_log_span *ret_span);

/* Thread: reader. Otherwise like spate_log_term_at(). */
spate_err spate_log_view_term(const struct spate_log_view *view, spate_index index,
                              spate_term *ret_term) SPATE_MUST_CHECK;

#endif
