/*
 * A data directory that no core runs on: opened with the drivers that a core would use, read, and
 * built anew. For restore.c and recover.c.
 */
#ifndef SPATE_API_DATA_INTERNAL_H
#define SPATE_API_DATA_INTERNAL_H

#include "core_internal.h"
#include "store/snapshots.h"

#define SPATE_DATA_PATH_BYTES 1024u

/* In a directory that was recovered, until the operator says that it is finished. */
#define SPATE_DATA_UNFINISHED "recovery-unfinished"

struct spate_data {
    struct spate_eventfd_waker waker; /* The drivers': it does not move while they are open. */
    struct spate_store *store;        /* Holds the lock on the directory. */
    struct spate_snapshots *snapshots;
    struct spate_store_loaded loaded;
    spate_ticket last_ticket;
    bool has_snapshot;
    struct spate_snapshot_manifest snapshot; /* The newest. */
};

/*
 * drivers.c: opens the store and the snapshots of a directory, or founds them. disk is not AUTO.
 * Errors: as of the drivers, each with its line. On failure nothing is left open.
 */
spate_err spate_core_open_data(const char *directory, enum spate_disk disk,
                               const struct spate_store_identity *identity,
                               const struct spate_message_line *line, struct spate_data *ret_data);
void spate_core_close_data(struct spate_data *data);

/* drivers.c: whose data it is, and how it lies there. NOT_FOUND: nobody's. */
spate_err spate_core_whose(const char *directory, const struct spate_message_line *line,
                           struct spate_store_identity *ret_identity, enum spate_disk *ret_disk);

/* data.c: from here on. Each writes its line. */

/* The directory's own name, without links and trailing slashes. */
spate_err spate_data_resolve(const char *directory, const struct spate_message_line *line,
                             char path[SPATE_DATA_PATH_BYTES]);

/* Another directory has to fit beside it, in the same file system. INVALID: it is a mount point. */
spate_err spate_data_check_place(const char *path, const struct spate_message_line *line);

spate_err spate_data_is_empty(const char *directory, const struct spate_message_line *line,
                              bool *ret_is_empty);

/* Removes a directory with all that is in it; absent: fine. */
spate_err spate_data_remove(const char *directory, const struct spate_message_line *line);

/* Gives a directory, and all that is in it, the owner of another one: whoever runs this command,
 * the core's user is to read it. */
spate_err spate_data_give_owner(const char *directory, const char *like,
                                const struct spate_message_line *line);

/* Makes the names in a data directory, and in its snapshots, last. */
spate_err spate_data_sync(const char *directory, const struct spate_message_line *line);

/* Makes the directory's own name last. */
spate_err spate_data_sync_parent(const char *directory, const struct spate_message_line *line);

/* Submits a batch. It is durable after spate_data_settle(). */
spate_err spate_data_submit(struct spate_data *data, const struct spate_store_batch *batch,
                            const struct spate_message_line *line);
spate_err spate_data_settle(struct spate_data *data, const struct spate_message_line *line);

/* Where the bytes of an image come from. */
struct spate_image_source {
    spate_err (*read)(struct spate_image_source *source, uint64_t offset, uint8_t *to,
                      uint32_t size);
};

/*
 * Makes a snapshot of a data directory from the state of another one: `manifest` is what its header
 * says from now on. Durable on return; the driver has compared length and hash.
 */
spate_err spate_data_put_snapshot(struct spate_data *data,
                                  const struct spate_snapshot_manifest *manifest,
                                  struct spate_image_source *source,
                                  const struct spate_message_line *line);

#endif
