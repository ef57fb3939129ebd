/*
 * The integers that the whole library speaks in.
 *
 * Indexes, terms and ids are plain integers so that arithmetic stays readable; where a term and
 * an index travel together they travel as struct spate_entry_id.
 */
#ifndef SPATE_TYPES_H
#define SPATE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Position of an entry in the replicated log. The first entry is 1; 0 means "none". */
typedef uint64_t spate_index;

/* Raft term (Raft paper section 5.1). 0 means "before the first election". */
typedef uint64_t spate_term;

/* Identity of a member, unique in its cluster for ever. 0 means "none". */
typedef uint32_t spate_node_id;

/* Nanoseconds, on a clock that never goes back and has no relation to the time of day. */
typedef uint64_t spate_time_ns;

/* "Never", as a deadline. */
#define SPATE_TIME_NEVER UINT64_MAX

/* A term and an index that belong together name one entry in the whole life of a cluster. */
struct spate_entry_id {
    spate_term term;
    spate_index index;
};

/* What an entry is for. Values are part of the wire and record formats: never reused. */
enum spate_entry_kind {
    SPATE_ENTRY_COMMAND = 1,    /* Bytes for the state machine. */
    SPATE_ENTRY_NOOP = 2,       /* A new leader's first entry (Raft paper section 8). */
    SPATE_ENTRY_MEMBERSHIP = 3, /* Who the members are (Raft paper section 6). */
};

/* Raft's states (Raft paper figure 4) and the two that surround them. */
enum spate_role {
    SPATE_ROLE_LEARNER = 0, /* Receives the log, does not vote. */
    SPATE_ROLE_FOLLOWER = 1,
    SPATE_ROLE_PRE_CANDIDATE = 2, /* Asks whether an election could be won (thesis section 9.6). */
    SPATE_ROLE_CANDIDATE = 3,
    SPATE_ROLE_LEADER = 4,
};

/* What an acknowledged write has survived by the time it is acknowledged. */
enum spate_durability {
    SPATE_DURABILITY_DISK = 0,   /* It is on the disks of a majority. */
    SPATE_DURABILITY_MEMORY = 1, /* It is in the memory of a majority. */
};

/* How the log lies on disk, for SPATE_DURABILITY_DISK. */
enum spate_disk {
    SPATE_DISK_AUTO = 0, /* What the directory has; a segment log when it has nothing. */
    SPATE_DISK_WAL = 1,  /* A segment log: one synced write for each group commit. */
    SPATE_DISK_LMDB = 2, /* LMDB: two. */
};

/* The largest entry that can be proposed. */
#define SPATE_ENTRY_BYTES_MAX (1u << 20)

/* Voters and learners together, old and new during a change. */
#define SPATE_MEMBERS_MAX 16u

/* Ask the compiler to complain when a result is ignored. */
#define SPATE_MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
}
#endif

#endif
