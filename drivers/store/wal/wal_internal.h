/* What the files of the segment log share. */
#ifndef SPATE_DRIVERS_STORE_WAL_INTERNAL_H
#define SPATE_DRIVERS_STORE_WAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "ahead.h"
#include "base/ring.h"
#include "files.h"
#include "index.h"
#include "store/place/place.h"
#include "wal.h"

/* The most that a record's entries can take up: one entry may be larger than the usual record. */
#define RECORD_BYTES_MAX (SPATE_ENTRY_BYTES_MAX + SPATE_RECORD_ENTRIES_BYTES)

/* Room that stays in the last segment for hard state when no other can be made. */
#define RESERVE_BYTES (1u << 20)

#define WAL_REMEDY \
    "keep a copy for examination, and bring this core back as a new member from the others"

/* What the owner asks of the store thread, as it lies in the ring; spans and bytes follow. */
enum request_kind { REQUEST_BATCH = 1, REQUEST_COMPACT = 2, REQUEST_RELEASE = 3 };

struct request {
    enum request_kind kind;
    bool has_hard_state;
    bool has_truncate;
    bool has_reset;
    uint32_t span_count;
    uint64_t bytes; /* That it may take up in a group. */
    struct spate_hard_state hard_state;
    spate_index truncate_after;
    struct spate_entry_id base;    /* Of a reset or a compaction. */
    uint64_t segment;              /* Released are those before it. */
    struct spate_log_span spans[]; /* Their bytes follow, in the same order, each rounded to 8. */
};

/* Where the last read found its record, so that the next one goes on from there. */
struct wal_cursor {
    bool is_valid;
    spate_index first; /* Of the record. */
    uint64_t segment;
    uint32_t group_at;
    uint32_t group_bytes; /* Of its records. */
    uint32_t record_at;   /* In the group's records. */
};

struct wal_store {
    struct spate_store store;
    const char *directory;
    int directory_fd;
    uint32_t salt;
    uint32_t segment_bytes;
    uint32_t group_bytes_max; /* With header and padding. */
    struct spate_waker *waker;

    /* The owner's. */
    struct spate_ring *requests;
    spate_ticket submitted;
    uint64_t bytes_submitted;
    struct wal_index index;
    uint64_t released; /* Segments before it are the ahead thread's to reuse. */
    struct wal_cursor cursor;
    int read_fd;
    uint64_t read_segment;
    uint8_t *read_buffer; /* A record. */
    struct spate_hard_state loaded_hard_state;
    bool is_damaged; /* Behind `place`; nothing is written before the repair. */
    char damage[512];

    /* The store thread's. */
    struct wal_place place;
    struct wal_pointer pointer;
    int fd;
    uint32_t at;      /* Where the next group goes. */
    bool is_fresh;    /* The segment's header is yet to be written, with the first group. */
    bool is_unsealed; /* The last group has entries or hard state, and no group behind it. */
    bool is_mending;  /* A repair has begun: its mark is there. */
    uint8_t *buffer;  /* Blocks for a group without records, a segment's header, and a group: */
    uint8_t *empty, *group; /* in it; group_bytes_max at `group`. */

    struct wal_ahead ahead;

    /* Between owner and store thread. */
    struct spate_ring *notes;
    _Atomic spate_ticket completed;
    _Atomic uint64_t bytes_written;               /* Of the requests, as the owner counts them. */
    _Atomic uint64_t segment_written, bytes_left; /* Where the log ends. */
    _Atomic int failure;                          /* spate_err; final. */
    _Atomic bool is_asleep;
    _Atomic bool is_closing;
    int work_fd; /* eventfd: the ring has something, or closing. */
    pthread_t thread;
    bool is_started;
};

/* recover.c: identity and segments, when the store is opened. */
spate_err spate_wal_recover(struct wal_store *wal, const struct spate_store_wal_options *options,
                            const struct spate_complaint *complaint);

/* open.c: the store thread begins; what recovery has found is what it goes on from. */
spate_err spate_wal_start(struct wal_store *wal) SPATE_MUST_CHECK;

/* repair.c */
spate_err spate_wal_repair(struct spate_store *store);
spate_err spate_wal_cut(struct wal_store *wal) SPATE_MUST_CHECK;
spate_err spate_wal_end_repair(struct wal_store *wal) SPATE_MUST_CHECK;

/* writer.c: the store thread. */
bool spate_wal_begin_segment(struct wal_store *wal); /* Also when the store is opened. */
/* A group that says what hard state holds; likewise. */
bool spate_wal_write_state(struct wal_store *wal, const struct spate_hard_state *hard_state);
void *spate_wal_write_forever(void *context);

/* reader.c: the owner's. */
spate_err spate_wal_load(struct spate_store *store, struct spate_store_loaded *ret_loaded);
spate_err spate_wal_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                         struct spate_log_span *ret_span);
void spate_wal_take_notes(struct wal_store *wal);

#endif
