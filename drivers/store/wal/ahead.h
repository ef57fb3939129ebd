/*
 * The thread that works ahead of the store thread: fills the next segment with zeros before it is
 * needed, reuses or removes those that are not needed any more, and watches the free space.
 */
#ifndef SPATE_DRIVERS_STORE_WAL_AHEAD_H
#define SPATE_DRIVERS_STORE_WAL_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/types.h"

struct wal_ahead {
    int directory_fd;
    uint32_t segment_bytes;
    uint64_t low_bytes;
    uint8_t *zeros;
    uint64_t oldest; /* The lowest segment there is. */

    _Atomic uint64_t wanted;       /* Make segments up to this one. */
    _Atomic uint64_t ready;        /* Made up to this one. */
    _Atomic uint64_t retire_below; /* Segments before it are not needed. */
    _Atomic bool has_failed;       /* Final: an error other than a full disk. */
    _Atomic bool is_full;          /* No space for the next segment. */
    _Atomic bool is_low;           /* Little free space, or none for the next segment. */
    _Atomic bool is_closing;
    int wake_fd;  /* eventfd: wanted, retire_below or is_closing have changed. */
    int ready_fd; /* eventfd: ready or has_failed have. */
    pthread_t thread;
    bool is_started;
};

/* Errors: NO_MEMORY */
spate_err spate_wal_ahead_create(struct wal_ahead *ahead) SPATE_MUST_CHECK;
spate_err spate_wal_ahead_start(struct wal_ahead *ahead) SPATE_MUST_CHECK;
void spate_wal_ahead_stop(struct wal_ahead *ahead);

/* Thread: the store thread. */
void spate_wal_ahead_want(struct wal_ahead *ahead, uint64_t segment);
void spate_wal_ahead_retire(struct wal_ahead *ahead, uint64_t below);

/* Waits until `segment` is ready, at most for `milliseconds`. */
bool spate_wal_ahead_wait(struct wal_ahead *ahead, uint64_t segment, int milliseconds);

#endif
