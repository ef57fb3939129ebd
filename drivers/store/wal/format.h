/*
 * How the log lies in its segment files, and the scan that tells what of it is whole. Bytes only:
 * no files, no threads. All little-endian, all in blocks of 4 KiB.
 *
 *   segment:  | header, 1 block | group | group | … | last group | zeros …
 *   group:    | header, 128 bytes | record | record | … | zeros to the next block
 *
 * A group is one write and one sync: it is there as a whole or not at all. Its header says what
 * holds once it is: hard state, base and end of the log. Records are those of lib/store/record.h;
 * their chain runs through all groups and segments. The next group is written only when the one
 * before is synced, and into a block of its own: what was acknowledged is never written again.
 */
#ifndef SPATE_DRIVERS_STORE_WAL_FORMAT_H
#define SPATE_DRIVERS_STORE_WAL_FORMAT_H

#include "store/record.h"

#define SPATE_WAL_FORMAT_VERSION 1u
#define SPATE_WAL_BLOCK_BYTES    4096u
#define SPATE_WAL_SECTOR_BYTES   512u /* What a disk writes as a whole or not at all. */
#define SPATE_WAL_HEADER_BYTES   128u

/* What holds behind a group. */
struct wal_state {
    struct spate_hard_state hard_state;
    struct spate_entry_id base;
    struct spate_entry_id last; /* term 0: not known, behind a truncation. */
};

enum wal_group_flags {
    WAL_GROUP_TRUNCATES = 1, /* Entries after truncate_after are forgotten before its records. */
    WAL_GROUP_RESETS = 2,    /* All entries are; the log goes on behind state.base. */
    WAL_GROUP_ENDS = 4,      /* The last of its segment: the log goes on in the next. */
};

struct wal_group {
    uint64_t segment; /* The number of the segment that it was written to. */
    uint64_t number;  /* Counts all groups, from 1. */
    uint64_t chain_prev, chain;
    uint32_t bytes; /* Of its records. */
    uint32_t record_count;
    uint32_t zero_sectors; /* How many of its sectors behind the first are all zero. */
    uint32_t flags;
    spate_index truncate_after;
    struct wal_state state;
};

/* Where in the log a segment begins. */
struct wal_segment {
    uint64_t segment;
    uint32_t bytes;      /* Of the whole file. */
    uint64_t group_next; /* The number of its first group. */
    uint64_t chain;      /* Of everything before. */
    struct wal_state state;
};

/* `salt` is the store's own random number: entries cannot look like headers by design. */
void spate_wal_group_encode(uint8_t to[SPATE_WAL_HEADER_BYTES], const struct wal_group *group,
                            uint32_t salt);
bool spate_wal_group_decode(const uint8_t from[SPATE_WAL_HEADER_BYTES], uint32_t salt,
                            struct wal_group *ret_group);
void spate_wal_segment_encode(uint8_t to[SPATE_WAL_HEADER_BYTES], const struct wal_segment *segment,
                              uint32_t salt);
bool spate_wal_segment_decode(const uint8_t from[SPATE_WAL_HEADER_BYTES], uint32_t salt,
                              struct wal_segment *ret_segment);

/* Bytes that a group takes up in its segment: its header, its records, zeros. */
static inline uint64_t spate_wal_group_size(uint32_t record_bytes)
{
    const uint64_t bytes = (uint64_t)SPATE_WAL_HEADER_BYTES + record_bytes;
    return (bytes + SPATE_WAL_BLOCK_BYTES - 1) / SPATE_WAL_BLOCK_BYTES * SPATE_WAL_BLOCK_BYTES;
}

/* All-zero sectors among whole sectors; `bytes` is a multiple of a sector. */
uint32_t spate_wal_zero_sectors(const uint8_t *from, uint64_t bytes);

/* The scan's place in the log: what the next group must continue. */
struct wal_place {
    uint64_t segment;
    uint64_t group_next;
    uint64_t chain;
    struct wal_state state;
};

enum wal_scan_result {
    WAL_SCAN_END,     /* Whole up to `at`; behind it nothing, or what was never acknowledged. */
    WAL_SCAN_GOES_ON, /* Whole, and it says that the log goes on in the next segment. */
    WAL_SCAN_DAMAGED, /* At `at`: something that was acknowledged, or that no crash leaves. */
};

/* Called for every whole group, at its offset. */
typedef void wal_scan_visit(void *context, const struct wal_group *group, uint32_t at);

struct wal_scan {
    enum wal_scan_result result;
    uint32_t at;
};

/*
 * Checks the groups of a segment. *place moves behind the last whole one.
 *
 * image: the whole file, size bytes, a multiple of the block.
 */
struct wal_scan spate_wal_scan(const uint8_t *image, uint32_t size, uint32_t salt,
                               struct wal_place *place, wal_scan_visit *visit, void *context);

/* Whether a segment that was made ahead and holds nothing that was acknowledged. */
bool spate_wal_is_unused(const uint8_t *image, uint32_t size, uint32_t salt,
                         const struct wal_place *place);

#endif
