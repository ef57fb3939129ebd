/*
 * Snapshots as files of a directory: snapshot-<index>-<term>, written by one thread of its own as
 * `partial`, synced, renamed, the directory synced, and only then is the older one removed. What
 * lies there as `partial` after a crash is thrown away.
 */
#ifndef SPATE_DRIVERS_STORE_FILES_H
#define SPATE_DRIVERS_STORE_FILES_H

#include "store/snapshots.h"

struct spate_snapshots_files_options {
    const char *directory; /* Made, with mode 0700, when absent. Its owner has locked it. */
    uint8_t cluster_id[16];
    struct spate_waker *waker; /* May be NULL. Outlives the driver. */
};

/*
 * Opens a directory. Its newest snapshot is read and checked as a whole.
 *
 * Errors: SPATE_ERR_CORRUPT   the newest snapshot is damaged
 *         SPATE_ERR_MISMATCH  it is of another cluster or version
 *         SPATE_ERR_INVALID, SPATE_ERR_IO, SPATE_ERR_PERMISSION, SPATE_ERR_NO_MEMORY
 *         `message`, if not NULL, gets one line for people with the remedy.
 */
spate_err spate_snapshots_files_create(const struct spate_snapshots_files_options *options,
                                       struct spate_snapshots **ret_snapshots, char *message,
                                       size_t message_bytes) SPATE_MUST_CHECK;

/* Reads a file and checks it as a whole, wherever it lies. Errors: NOT_FOUND, PERMISSION, IO,
 * CORRUPT, MISMATCH (of another version). */
spate_err spate_snapshot_file_check(const char *path,
                                    struct spate_snapshot_manifest *ret_manifest) SPATE_MUST_CHECK;

#endif
