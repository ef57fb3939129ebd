/*
 * The snapshot driver table: whole states that take the place of the beginning of the log.
 *
 *   taking     begin(manifest)  write(state) …  commit  ->  poll: COMMITTED
 *   receiving  begin(NULL)      write(image) …  commit  ->  poll: COMMITTED or REFUSED
 *   reading    open  read(offset) …  close_reader
 *
 * An image is a header (the manifest, with its checksum) and the state behind it: the same bytes in
 * a file, on the wire and in `spate snapshot save`. What is not whole, or fails its check, is never
 * accepted and never shown. A commit is durable when poll says so; older images go after that. A
 * reader keeps reading what it opened, whatever is committed meanwhile.
 *
 * Layout of the header, little-endian:
 *
 *   0     4         8         16           32     40      48       56      64            72
 *   | crc | version | "SPATESNP" | cluster id | term | index | bytes | hash | members index | size
 *   76    80
 *   | 0   | encoded membership … 0 …                                              to 4096
 *
 * crc: CRC-32C of the header behind it. bytes, hash: of the state. size: of the membership.
 *
 * A failed write or sync is final, as in store.h.
 *
 * Thread: all functions are called by one thread, the owner. `wake` (given at creation) is called
 * by the driver from any thread when poll has something new.
 */
#ifndef SPATE_STORE_SNAPSHOTS_H
#define SPATE_STORE_SNAPSHOTS_H

#include "base/error.h"
#include "base/types.h"
#include "store/store.h"

#define SPATE_SNAPSHOT_VERSION              1u
#define SPATE_SNAPSHOT_HEADER_BYTES         4096u
#define SPATE_SNAPSHOT_MEMBERSHIP_BYTES_MAX 2048u

/* The most that one write takes. */
#define SPATE_SNAPSHOT_WRITE_BYTES_MAX (64u << 10)

/* Readers that may be open at once. */
#define SPATE_SNAPSHOT_READERS_MAX (SPATE_MEMBERS_MAX + 2u)

/* What a snapshot is of. */
struct spate_snapshot_manifest {
    uint8_t cluster_id[16];
    struct spate_entry_id last;   /* The last entry that the state has seen. */
    spate_index membership_index; /* Of the entry that brought the membership; 0: founding. */
    uint32_t membership_bytes;
    uint8_t membership[SPATE_SNAPSHOT_MEMBERSHIP_BYTES_MAX]; /* In force at `last`; encoded. */
    uint64_t state_bytes;
    uint64_t state_hash;
};

static inline uint64_t spate_snapshot_image_bytes(const struct spate_snapshot_manifest *manifest)
{
    return SPATE_SNAPSHOT_HEADER_BYTES + manifest->state_bytes;
}

void spate_snapshot_header_encode(uint8_t to[SPATE_SNAPSHOT_HEADER_BYTES],
                                  const struct spate_snapshot_manifest *manifest);

/* Whether the bytes look like a header of ours at all, whole or damaged. */
bool spate_snapshot_header_is_ours(const uint8_t from[SPATE_SNAPSHOT_HEADER_BYTES]);

/* Errors: SPATE_ERR_CORRUPT; SPATE_ERR_MISMATCH: of another format version. */
spate_err
spate_snapshot_header_decode(const uint8_t from[SPATE_SNAPSHOT_HEADER_BYTES],
                             struct spate_snapshot_manifest *ret_manifest) SPATE_MUST_CHECK;

/* The hash of a state, fed in pieces of any size: a chain over the CRC-32C of each 64 KiB. */
struct spate_snapshot_hash {
    uint64_t chain;
    uint64_t bytes;
    uint32_t crc;
};

void spate_snapshot_hash_add(struct spate_snapshot_hash *hash, const uint8_t *bytes, size_t size);
uint64_t spate_snapshot_hash_value(const struct spate_snapshot_hash *hash);

/*
 * An image as it comes in: header first, then the state. Checked as a whole at the end, by drivers
 * and by whoever reads a file.
 */
struct spate_snapshot_check {
    uint64_t bytes; /* Of the image, so far. */
    struct spate_snapshot_hash hash;
    uint8_t header[SPATE_SNAPSHOT_HEADER_BYTES];
};

void spate_snapshot_check_add(struct spate_snapshot_check *check, const uint8_t *bytes,
                              size_t size);

/* Errors: SPATE_ERR_CORRUPT (not whole, or damaged); SPATE_ERR_MISMATCH: another version. */
spate_err spate_snapshot_check_end(const struct spate_snapshot_check *check,
                                   struct spate_snapshot_manifest *ret_manifest) SPATE_MUST_CHECK;

enum spate_snapshot_event {
    SPATE_SNAPSHOT_NOTHING,
    SPATE_SNAPSHOT_COMMITTED, /* It is durable, and what open() opens from now on. */
    SPATE_SNAPSHOT_REFUSED,   /* The image is not what its header says, or of another cluster. */
};

struct spate_snapshots;
struct spate_snapshot_reader;

struct spate_snapshots_ops {
    const char *name; /* "mem", "files" */

    /* The newest whole snapshot. SPATE_ERR_NOT_FOUND: there is none. */
    spate_err (*newest)(struct spate_snapshots *snapshots,
                        struct spate_snapshot_manifest *ret_manifest);

    /*
     * Begins to write. With a manifest (without state_bytes and state_hash) what is written is the
     * state; with NULL it is an image. One at a time: from here to abort, or to what poll says of
     * the commit. SPATE_ERR_BUSY: no room; try again.
     */
    spate_err (*begin)(struct spate_snapshots *snapshots,
                       const struct spate_snapshot_manifest *manifest);

    /* Takes 1 to SPATE_SNAPSHOT_WRITE_BYTES_MAX bytes. SPATE_ERR_BUSY: no room; try again. */
    spate_err (*write)(struct spate_snapshots *snapshots, const uint8_t *bytes, uint32_t size);

    /* All is written. poll tells the rest. SPATE_ERR_BUSY: no room; try again. */
    spate_err (*commit)(struct spate_snapshots *snapshots);

    /* Instead of a commit: what was written goes. Never fails. */
    void (*abort)(struct spate_snapshots *snapshots);

    /* What became of the commit, once. Never blocks. Errors: SPATE_ERR_IO: final. */
    spate_err (*poll)(struct spate_snapshots *snapshots, enum spate_snapshot_event *ret_event);

    /* Opens the newest. SPATE_ERR_NOT_FOUND, SPATE_ERR_BUSY (too many readers, or a newer one is
     * taking its place: after poll), SPATE_ERR_IO. */
    spate_err (*open)(struct spate_snapshots *snapshots,
                      struct spate_snapshot_manifest *ret_manifest,
                      struct spate_snapshot_reader **ret_reader);

    /* Reads `size` bytes of the image, all of them. SPATE_ERR_IO. */
    spate_err (*read)(struct spate_snapshots *snapshots, struct spate_snapshot_reader *reader,
                      uint64_t offset, uint8_t *to, uint32_t size);
    void (*close_reader)(struct spate_snapshots *snapshots, struct spate_snapshot_reader *reader);

    /* What is not committed goes. Accepts NULL. Requires: no reader is open. */
    void (*close)(struct spate_snapshots *snapshots);
};

/* Drivers embed this as their first member. */
struct spate_snapshots {
    const struct spate_snapshots_ops *ops;
};

#endif
