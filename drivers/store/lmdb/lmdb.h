/*
 * The store on disk: LMDB, written by one thread of its own with group commit.
 *
 * submit copies a batch into a bounded staging ring and returns; the store thread takes all that
 * has come together meanwhile, writes it in one transaction, and commits, which syncs. A failed
 * write or sync ends it: LMDB's environment and the page cache cannot be trusted afterwards.
 */
#ifndef SPATE_DRIVERS_STORE_LMDB_H
#define SPATE_DRIVERS_STORE_LMDB_H

#include "store/store.h"

struct spate_store_lmdb_options {
    const char *directory;                /* Made, with mode 0700, when absent. */
    uint64_t map_bytes;                   /* The most that can be stored. 0: 1 TiB, sparse. */
    uint32_t staging_bytes;               /* A power of two. 0: 32 MiB. */
    struct spate_store_identity identity; /* Written when founded, compared afterwards. */
    struct spate_waker *waker;            /* May be NULL. Outlives the store. */
};

/*
 * Opens the store of a directory, or founds it. Everything that is stored is checked here, in a
 * child process, because LMDB may abort on damaged pages.
 *
 * Errors: SPATE_ERR_IN_USE       another process has the directory
 *         SPATE_ERR_MISMATCH     the data belongs to another node, cluster or format
 *         SPATE_ERR_CORRUPT, SPATE_ERR_IO, SPATE_ERR_PERMISSION, SPATE_ERR_NO_MEMORY
 *         `message`, if not NULL, gets one line for people with the remedy.
 */
spate_err spate_store_lmdb_create(const struct spate_store_lmdb_options *options,
                                  struct spate_store **ret_store, char *message,
                                  size_t message_bytes) SPATE_MUST_CHECK;

/* Whether a directory holds the data of such a store. */
bool spate_store_lmdb_is_in(const char *directory);

/* Whose the data of a directory is. Errors: NOT_FOUND, CORRUPT, MISMATCH (of another format
 * version), PERMISSION, IO, NO_MEMORY. */
spate_err spate_store_lmdb_whose(const char *directory,
                                 struct spate_store_identity *ret_identity) SPATE_MUST_CHECK;

#endif
