#include "ahead.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "files.h"

#define ZEROS_BYTES WAL_ZEROS_BYTES

/* How often the free space is looked at when nothing else happens. */
#define LOOK_MS 1000

/* Segments that are not needed and stay, to be written again. */
#define SPARE_SEGMENTS 1u

spate_err spate_wal_ahead_create(struct wal_ahead *ahead)
{
    ahead->zeros = aligned_alloc(4096, ZEROS_BYTES); /* As writes past the page cache want it. */
    if (ahead->zeros != NULL) {
        memset(ahead->zeros, 0, ZEROS_BYTES);
    }
    ahead->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ahead->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ahead->zeros != NULL && ahead->wake_fd >= 0 && ahead->ready_fd >= 0
               ? SPATE_OK
               : SPATE_ERR_NO_MEMORY;
}

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
}

static void wait_fd(int fd, int milliseconds)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t ignored = 0;

    (void)poll(&poll_fd, 1, milliseconds);
    (void)!read(fd, &ignored, sizeof ignored);
}

static bool has_little_space(const struct wal_ahead *ahead)
{
    struct statvfs space;

    return fstatvfs(ahead->directory_fd, &space) == 0 &&
           (uint64_t)space.f_bavail * space.f_frsize < ahead->low_bytes;
}

/* Makes the next segment. False: there is no space for it now. */
static bool make_next(struct wal_ahead *ahead)
{
    const uint64_t next = atomic_load(&ahead->ready) + 1;
    const bool recycles = ahead->oldest < atomic_load(&ahead->retire_below);
    const struct wal_new_segment order = {
        .directory_fd = ahead->directory_fd,
        .segment = next,
        .recycled = recycles ? ahead->oldest : 0,
        .bytes = ahead->segment_bytes,
        .zeros = ahead->zeros,
        .zeros_bytes = ZEROS_BYTES,
        .is_stopped = &ahead->is_closing,
    };
    const enum wal_outcome outcome = spate_wal_make_segment(&order);

    ahead->oldest += recycles;
    if (outcome == WAL_DONE) {
        atomic_store(&ahead->ready, next);
    } else if (outcome == WAL_FAILED && !atomic_load(&ahead->is_closing)) {
        atomic_store(&ahead->has_failed, true);
    }
    signal_fd(ahead->ready_fd);
    return outcome != WAL_NO_SPACE;
}

/* One step of work. False: nothing to do, or no space to do it. */
static bool work(struct wal_ahead *ahead, bool *ret_is_full)
{
    const uint64_t retire_below = atomic_load(&ahead->retire_below);

    if (atomic_load(&ahead->ready) < atomic_load(&ahead->wanted)) {
        *ret_is_full = !make_next(ahead);
        return !*ret_is_full;
    }
    if (ahead->oldest + SPARE_SEGMENTS < retire_below) {
        if (spate_wal_remove_segment(ahead->directory_fd, ahead->oldest) != WAL_DONE) {
            atomic_store(&ahead->has_failed, true);
            signal_fd(ahead->ready_fd);
        }
        ahead->oldest++;
        return true;
    }
    return false;
}

static void *work_forever(void *context)
{
    struct wal_ahead *ahead = context;
    bool is_full = false;

    while (!atomic_load(&ahead->is_closing) && !atomic_load(&ahead->has_failed)) {
        const bool has_worked = work(ahead, &is_full);
        atomic_store(&ahead->is_full, is_full);
        if (has_worked) {
            continue;
        }
        atomic_store(&ahead->is_low, is_full || has_little_space(ahead));
        wait_fd(ahead->wake_fd, LOOK_MS);
    }
    return NULL;
}

spate_err spate_wal_ahead_start(struct wal_ahead *ahead)
{
    spate_assert(!ahead->is_started);
    spate_assert(ahead->oldest >= 1);
    atomic_store(&ahead->is_low, has_little_space(ahead));
    ahead->is_started = pthread_create(&ahead->thread, NULL, work_forever, ahead) == 0;
    return ahead->is_started ? SPATE_OK : SPATE_ERR_NO_MEMORY;
}

void spate_wal_ahead_stop(struct wal_ahead *ahead)
{
    if (ahead->is_started) {
        atomic_store(&ahead->is_closing, true);
        signal_fd(ahead->wake_fd);
        (void)pthread_join(ahead->thread, NULL);
    }
    if (ahead->wake_fd >= 0) {
        (void)close(ahead->wake_fd);
    }
    if (ahead->ready_fd >= 0) {
        (void)close(ahead->ready_fd);
    }
    free(ahead->zeros);
}

void spate_wal_ahead_want(struct wal_ahead *ahead, uint64_t segment)
{
    atomic_store(&ahead->wanted, segment);
    signal_fd(ahead->wake_fd);
}

void spate_wal_ahead_retire(struct wal_ahead *ahead, uint64_t below)
{
    atomic_store(&ahead->retire_below, below);
    signal_fd(ahead->wake_fd);
}

bool spate_wal_ahead_wait(struct wal_ahead *ahead, uint64_t segment, int milliseconds)
{
    if (atomic_load(&ahead->ready) < segment && !atomic_load(&ahead->has_failed)) {
        wait_fd(ahead->ready_fd, milliseconds);
    }
    return atomic_load(&ahead->ready) >= segment;
}
