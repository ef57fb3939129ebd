/*
 * Where the entries are: for the owner's reads. Sparse: a point says in which group an index
 * begins; from there the groups are walked to the record. Points grow in index and in place; those
 * behind a truncation go, and the group that wrote over them gets a new one, so that the first
 * record found on the walk is always the one that counts.
 *
 * Thread: the owner's. The store thread tells it of groups by notes, in order.
 */
#ifndef SPATE_DRIVERS_STORE_WAL_INDEX_H
#define SPATE_DRIVERS_STORE_WAL_INDEX_H

#include "format.h"

/* A point for so many bytes of log at the least, and one for each segment and truncation. */
#define WAL_POINT_BYTES (256u << 10)

/* Reserved, and touched as they are used: enough for 256 GiB of log. */
#define WAL_POINTS_MAX (1u << 20)

struct wal_point {
    spate_index first; /* The group's first entry. */
    uint64_t segment;
    uint32_t at;            /* Of the group in its segment. */
    spate_term term_before; /* Of entry first - 1. 0: not known. */
};

/* What a durable group changes in the index. */
struct wal_note {
    bool has_point;
    bool has_cut;
    struct wal_point point;
    spate_index cut_after; /* Entries behind it are gone, before the point is made. */
    struct spate_entry_id base;
    spate_index last;
};

/* Decides which groups get a point; whoever writes or scans groups has one. */
struct wal_pointer {
    uint64_t bytes_since;
    bool is_due;
};

struct wal_note spate_wal_note(struct wal_pointer *pointer, const struct wal_state *before,
                               const struct wal_group *group, uint32_t at);

struct wal_index {
    struct wal_point *points;
    uint32_t count;
    struct spate_entry_id base;
    spate_index last;
};

spate_err spate_wal_index_create(struct wal_index *index) SPATE_MUST_CHECK;
void spate_wal_index_destroy(struct wal_index *index);
void spate_wal_index_apply(struct wal_index *index, const struct wal_note *note);

/* Whether there is room for more points: a store that says no takes no entries. */
bool spate_wal_index_has_room(const struct wal_index *index);

/* The point to walk from for an entry, or NULL: it is not stored. *ret_last: the last entry that
 * may be served from there. */
const struct wal_point *spate_wal_index_find(const struct wal_index *index, spate_index wanted,
                                             spate_index *ret_last);

/* The newest base at which entries before `first_kept` can be forgotten; the present one if none.
 */
struct spate_entry_id spate_wal_index_base_below(const struct wal_index *index,
                                                 spate_index first_kept);

#endif
