/*
 * The store on disk as a log of segments: one write that is also its sync for everything that was
 * submitted while the last one ran, into files that were filled with zeros and synced ahead of
 * need, so that a commit never waits for the file system's own journal. README.md has the layout
 * and the rule that tells a torn write from damage.
 */
#ifndef SPATE_DRIVERS_STORE_WAL_H
#define SPATE_DRIVERS_STORE_WAL_H

#include "store/store.h"

struct spate_store_wal_options {
    const char *directory;                /* Made, with mode 0700, when absent. */
    uint32_t segment_bytes;               /* Of a file; when founded. 0: 32 MiB; at least 8 MiB. */
    uint32_t staging_bytes;               /* A power of two. 0: 32 MiB; at most four segments. */
    uint64_t low_bytes;                   /* Free space below which is_low says so. 0: 256 MiB. */
    struct spate_store_identity identity; /* Written when founded, compared afterwards. */
    struct spate_waker *waker;            /* May be NULL. Outlives the store. */
    bool accepts_damage; /* Opens with what stands before a damaged record; see repair. */
};

/*
 * Opens the store of a directory, or founds it. Everything that is stored is checked here.
 *
 * Errors: SPATE_ERR_IN_USE       another process has the directory
 *         SPATE_ERR_MISMATCH     the data belongs to another node, cluster or format
 *         SPATE_ERR_CORRUPT (with accepts_damage only when it is the identity), SPATE_ERR_IO,
 * SPATE_ERR_PERMISSION, SPATE_ERR_NO_MEMORY, SPATE_ERR_INVALID (sizes) `message`, if not NULL, gets
 * one line for people with the remedy.
 */
spate_err spate_store_wal_create(const struct spate_store_wal_options *options,
                                 struct spate_store **ret_store, char *message,
                                 size_t message_bytes) SPATE_MUST_CHECK;

/* Whether a directory holds the data of such a store. */
bool spate_store_wal_is_in(const char *directory);

/* Whose the data of a directory is. Errors: NOT_FOUND, CORRUPT, MISMATCH (of another format
 * version), PERMISSION, IO, NO_MEMORY. */
spate_err spate_store_wal_whose(const char *directory,
                                struct spate_store_identity *ret_identity) SPATE_MUST_CHECK;

#endif
