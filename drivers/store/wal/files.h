/*
 * The files of the segment log: names, and the steps that make and unmake them so that a crash at
 * any of them leaves nothing that recovery would misread.
 *
 *   wal-identity            whose data this is; written last when the store is founded
 *   wal-0000000000000001    segments, numbered without gaps
 *   wal-mending             a damaged log is being cut: this core is mute
 *   wal-new                 one that is being filled with zeros; removed when the store is opened
 */
#ifndef SPATE_DRIVERS_STORE_WAL_FILES_H
#define SPATE_DRIVERS_STORE_WAL_FILES_H

#include "base/error.h"
#include "base/types.h"

#define WAL_NAME_BYTES    24u
#define WAL_ZEROS_BYTES   (1u << 20) /* Written at a time, and synced. */
#define WAL_IDENTITY_NAME "wal-identity"
#define WAL_MENDING_NAME  "wal-mending"

/* Whatever the system's number: NO_SPACE has its own remedy. */
enum wal_outcome { WAL_DONE, WAL_NO_SPACE, WAL_FAILED };

void spate_wal_name(char name[WAL_NAME_BYTES], uint64_t segment);

/* The segments of a directory: numbers, and how many there are. */
struct wal_segments {
    uint64_t lowest, highest, count;
};
enum wal_outcome spate_wal_find_segments(int directory_fd, struct wal_segments *ret_segments);

/* Opens a segment for the store thread: whole blocks, each write synced. Negative: errno. */
int spate_wal_open_for_writing(int directory_fd, uint64_t segment);

/*
 * Makes a segment full of zeros, synced under its name, from the segment `recycled` (0: none),
 * which nobody needs any more. zeros: zeros_bytes of them; is_stopped, if not NULL, is asked in
 * between, and then the outcome is WAL_FAILED.
 */
struct wal_new_segment {
    int directory_fd;
    uint64_t segment;
    uint64_t recycled;
    uint32_t bytes;
    const uint8_t *zeros;
    uint32_t zeros_bytes;
    const _Atomic bool *is_stopped;
};
enum wal_outcome spate_wal_make_segment(const struct wal_new_segment *order);

/* Fills a segment that is there with zeros from `at` on, and syncs it. */
enum wal_outcome spate_wal_clear_segment(const struct wal_new_segment *order, uint32_t at);

/* Removes a file, or a segment, and makes that last. */
enum wal_outcome spate_wal_remove_file(int directory_fd, const char *name);
enum wal_outcome spate_wal_remove_segment(int directory_fd, uint64_t segment);

/* Writes a small file under its name, whole or not at all. */
enum wal_outcome spate_wal_write_file(int directory_fd, const char *name, const uint8_t *bytes,
                                      uint32_t size);

/* Reads all of `size` bytes at an offset. False: the system's error, or the file is shorter. */
bool spate_wal_read_all(int fd, uint8_t *to, uint32_t size, uint64_t at);

#endif
