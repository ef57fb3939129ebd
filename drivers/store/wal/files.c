#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/place/place.h"

#define NEW_NAME "wal-new"

void spate_wal_name(char name[WAL_NAME_BYTES], uint64_t segment)
{
    (void)snprintf(name, WAL_NAME_BYTES, "wal-%016llx", (unsigned long long)segment);
}

/* The number of a segment from its name; 0: the name is none. */
static uint64_t segment_of(const char *name)
{
    unsigned long long segment = 0;
    char again[WAL_NAME_BYTES];

    if (sscanf(name, "wal-%16llx", &segment) != 1) {
        return 0;
    }
    spate_wal_name(again, segment);
    return strcmp(name, again) == 0 ? segment : 0;
}

enum wal_outcome spate_wal_find_segments(int directory_fd, struct wal_segments *ret_segments)
{
    const int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

    *ret_segments = (struct wal_segments){0};
    if (directory == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return WAL_FAILED;
    }
    for (struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
        const uint64_t segment = segment_of(e->d_name);
        if (segment != 0) {
            const bool is_lowest = ret_segments->count == 0 || segment < ret_segments->lowest;
            ret_segments->lowest = is_lowest ? segment : ret_segments->lowest;
            ret_segments->highest =
                segment > ret_segments->highest ? segment : ret_segments->highest;
            ret_segments->count++;
        }
    }
    (void)closedir(directory);
    return WAL_DONE;
}

static enum wal_outcome outcome_of(int error)
{
    return error == ENOSPC || error == EDQUOT ? WAL_NO_SPACE : WAL_FAILED;
}

int spate_wal_open_for_writing(int directory_fd, uint64_t segment)
{
    char name[WAL_NAME_BYTES];

    spate_wal_name(name, segment);
    /* Past the page cache a commit is one command to the disk (docs/adr/0013). */
    int fd = openat(directory_fd, name, O_RDWR | O_DSYNC | O_DIRECT | O_CLOEXEC);
    if (fd < 0 && errno == EINVAL) {
        fd = openat(directory_fd, name, O_RDWR | O_DSYNC | O_CLOEXEC);
    }
    return fd >= 0 ? fd : -errno;
}

bool spate_wal_read_all(int fd, uint8_t *to, uint32_t size, uint64_t at)
{
    while (size > 0) {
        const ssize_t done = pread(fd, to, size, (off_t)at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        to += done;
        at += (uint64_t)done;
        size -= (uint32_t)done;
    }
    return true;
}

/* Writes the zeros piece by piece, each synced: a commit meanwhile waits for one piece at most. */
static enum wal_outcome fill(int fd, const struct wal_new_segment *order)
{
    for (uint64_t at = 0; at < order->bytes; at += order->zeros_bytes) {
        const uint64_t left = order->bytes - at;
        const size_t piece = left < order->zeros_bytes ? (size_t)left : order->zeros_bytes;
        if (order->is_stopped != NULL && atomic_load(order->is_stopped)) {
            return WAL_FAILED;
        }
        const ssize_t done = pwrite(fd, order->zeros, piece, (off_t)at);
        if (done != (ssize_t)piece) {
            /* A short write is a full disk that says so with the next. */
            return done >= 0 ? WAL_NO_SPACE : outcome_of(errno);
        }
        if (fdatasync(fd) != 0) {
            return outcome_of(errno);
        }
    }
    return fsync(fd) == 0 ? WAL_DONE : outcome_of(errno);
}

enum wal_outcome spate_wal_clear_segment(const struct wal_new_segment *order, uint32_t at)
{
    char name[WAL_NAME_BYTES];
    enum wal_outcome outcome = WAL_DONE;

    spate_assert(at < order->bytes);
    spate_wal_name(name, order->segment);
    const int fd = openat(order->directory_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return outcome_of(errno);
    }
    while (at < order->bytes && outcome == WAL_DONE) {
        const uint32_t left = order->bytes - at;
        const uint32_t piece = left < order->zeros_bytes ? left : order->zeros_bytes;
        if (pwrite(fd, order->zeros, piece, (off_t)at) != (ssize_t)piece) {
            outcome = WAL_FAILED;
        }
        at += piece;
    }
    if (outcome == WAL_DONE && fdatasync(fd) != 0) {
        outcome = WAL_FAILED;
    }
    (void)close(fd);
    return outcome;
}

/* Takes the segment that is not needed away from its name, for good, before it is overwritten. */
static enum wal_outcome take_recycled(const struct wal_new_segment *order)
{
    char name[WAL_NAME_BYTES];

    spate_wal_name(name, order->recycled);
    if (renameat(order->directory_fd, name, order->directory_fd, NEW_NAME) != 0 ||
        fsync(order->directory_fd) != 0) {
        return outcome_of(errno);
    }
    return WAL_DONE;
}

static enum wal_outcome make_new(const struct wal_new_segment *order)
{
    enum wal_outcome outcome = WAL_DONE;
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC;

    int fd = openat(order->directory_fd, NEW_NAME, flags | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) {
        fd = openat(order->directory_fd, NEW_NAME, flags, 0600);
    }
    if (fd < 0) {
        return outcome_of(errno);
    }
    /* All of it at once where the file system can, so that it lies together. */
    const int error = posix_fallocate(fd, 0, (off_t)order->bytes);
    if (error == ENOSPC || error == EDQUOT) {
        outcome = WAL_NO_SPACE;
    } else if (error != 0 && error != EOPNOTSUPP && error != EINVAL) {
        outcome = WAL_FAILED;
    }
    if (outcome == WAL_DONE) {
        outcome = fill(fd, order);
    }
    (void)close(fd);
    return outcome;
}

enum wal_outcome spate_wal_make_segment(const struct wal_new_segment *order)
{
    char name[WAL_NAME_BYTES];
    enum wal_outcome outcome = WAL_DONE;

    spate_assert(order->bytes % order->zeros_bytes == 0 || order->zeros_bytes < order->bytes);
    if (order->recycled != 0) {
        outcome = take_recycled(order);
    }
    if (outcome == WAL_DONE) {
        outcome = make_new(order);
    }
    spate_wal_name(name, order->segment);
    if (outcome == WAL_DONE &&
        (renameat(order->directory_fd, NEW_NAME, order->directory_fd, name) != 0 ||
         fsync(order->directory_fd) != 0)) {
        outcome = outcome_of(errno);
    }
    if (outcome != WAL_DONE) {
        (void)unlinkat(order->directory_fd, NEW_NAME, 0);
    }
    return outcome;
}

enum wal_outcome spate_wal_remove_file(int directory_fd, const char *name)
{
    if (unlinkat(directory_fd, name, 0) != 0 || fsync(directory_fd) != 0) {
        return outcome_of(errno);
    }
    return WAL_DONE;
}

enum wal_outcome spate_wal_remove_segment(int directory_fd, uint64_t segment)
{
    char name[WAL_NAME_BYTES];

    spate_wal_name(name, segment);
    return spate_wal_remove_file(directory_fd, name);
}

enum wal_outcome spate_wal_write_file(int directory_fd, const char *name, const uint8_t *bytes,
                                      uint32_t size)
{
    const int error = spate_place_write(directory_fd, NEW_NAME, name, bytes, size);

    return error == 0 ? WAL_DONE : outcome_of(error);
}
