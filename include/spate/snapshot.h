/*
 * Snapshots as files: a copy of a running core's state, what stands in one, and a new cluster from
 * it.
 *
 * A file holds the whole state as of one entry of the log, and says of which: cluster, entry, term,
 * members, length and hash. The same bytes lie in a core's data directory (snapshots/snapshot-…),
 * so such a file can be looked at and restored as well.
 */
#ifndef SPATE_SNAPSHOT_H
#define SPATE_SNAPSHOT_H

#include "spate/error.h"
#include "spate/members.h"
#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct spate;
struct spate_member_options;

/*
 * A copy of the state of a running core. It has everything that this core had applied when it was
 * asked for; on the leader: everything that anybody was told of. The core goes on meanwhile. One
 * copy at a time; any thread, always the same; ended before the core is closed.
 *
 * begin: BUSY: another copy is open; UNSUPPORTED: the state machine cannot be saved.
 * read:  the next bytes of the file, at most `capacity`; *ret_bytes 0 with OK: that was all. Never
 *        blocks. BUSY: not there yet; anything else is final.
 * end:   always, whether all was read or not.
 */
SPATE_API spate_err spate_copy_begin(struct spate *spate) SPATE_MUST_CHECK;
SPATE_API spate_err spate_copy_read(struct spate *spate, void *to, uint32_t capacity,
                                    uint32_t *ret_bytes) SPATE_MUST_CHECK;
SPATE_API void spate_copy_end(struct spate *spate);

/* What a snapshot says of itself. */
struct spate_snapshot_info {
    uint32_t format; /* Of the file. */
    uint8_t cluster_id[16];
    struct spate_entry_id last; /* The last entry that the state has seen. */
    uint64_t state_bytes;
    uint64_t state_hash;
    uint32_t state_head_bytes; /* The first bytes of the state, for who knows what they mean. */
    uint8_t state_head[128];
    spate_index membership_index; /* The entry that brought the members; 0: the founders. */
    uint32_t member_count;
    struct spate_member_status members[SPATE_MEMBERS_MAX];
};

/*
 * Reads a snapshot file and checks all of it: header, length, hash. `message`, if not NULL, gets
 * one line for people that says what is wrong and what to do.
 *
 * Errors: NOT_FOUND, PERMISSION, IO, INVALID (no snapshot at all), MISMATCH (of another format),
 *         CORRUPT (damaged, or not whole), NO_MEMORY
 */
SPATE_API spate_err spate_snapshot_inspect(const char *file, struct spate_snapshot_info *ret_info,
                                           char *message, size_t message_bytes) SPATE_MUST_CHECK;

/* One core of a new cluster that begins with the state of a snapshot. */
struct spate_restore_options {
    const char *file;
    const char *directory;  /* Absent, or empty: becomes the core's data directory. */
    enum spate_disk disk;   /* AUTO: a segment log. */
    uint8_t cluster_id[16]; /* Of the new cluster; not the snapshot's. */
    spate_node_id id;       /* One of the members. */
    const struct spate_member_options *members; /* The founders, an odd number: one is best, and */
    uint32_t member_count; /* grows; several must all be restored, from one file. */
};

/*
 * Makes the data directory of one core from a snapshot file. The directory takes its name when it
 * is whole, durable and checked; before, it has another name and is no core's.
 *
 * Errors: as of spate_snapshot_inspect(); INVALID: options; IN_USE: the directory is not empty.
 */
SPATE_API spate_err spate_restore(const struct spate_restore_options *options, char *message,
                                  size_t message_bytes) SPATE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
