/*
 * Client sessions: each (session, sequence) takes effect at most once, however often a client, a
 * proxy or a forwarding core repeats it (thesis section 6.3).
 *
 * The table is part of the replicated state: it changes only by applying entries, in the order of
 * the log. It holds a fixed number of sessions; a new one displaces the one that was used longest
 * ago by log position, never by a clock, so all replicas displace the same one.
 */
#ifndef SPATE_KV_SESSION_H
#define SPATE_KV_SESSION_H

#include "base/error.h"
#include "base/types.h"

struct spate_sessions;

enum spate_session_verdict {
    SPATE_SESSION_FRESH,     /* Not seen before: apply it, then spate_sessions_record(). */
    SPATE_SESSION_DUPLICATE, /* The last one again: its answer is returned. */
    SPATE_SESSION_STALE,     /* Older than the last one: its answer is gone. */
};

/* Requires: capacity >= 1. Errors: SPATE_ERR_NO_MEMORY */
spate_err spate_sessions_create(uint32_t capacity,
                                struct spate_sessions **ret_sessions) SPATE_MUST_CHECK;
void spate_sessions_destroy(struct spate_sessions *sessions);

/* Looks a command up; *ret_answer is set for a duplicate only. Requires: session != 0. */
enum spate_session_verdict spate_sessions_check(const struct spate_sessions *sessions,
                                                uint64_t session, uint64_t sequence,
                                                uint64_t *ret_answer);

/* Remembers the answer of a fresh command, and that the session was used last. */
void spate_sessions_record(struct spate_sessions *sessions, uint64_t session, uint64_t sequence,
                           uint64_t answer);

uint32_t spate_sessions_count(const struct spate_sessions *sessions);

/* A session as it is saved in a snapshot. */
struct spate_session_record {
    uint64_t id;
    uint64_t sequence;
    uint64_t answer;
};

/*
 * Keeps a copy of all sessions as they are now, for spate_sessions_next_frozen(). Replaces the copy
 * that was kept before. Cost: a memcpy of the sessions in use.
 */
void spate_sessions_freeze(struct spate_sessions *sessions);

/*
 * The next session of the copy, from the one used longest ago on: recording them in this order
 * gives equal sessions. False: that was all.
 */
bool spate_sessions_next_frozen(struct spate_sessions *sessions,
                                struct spate_session_record *ret_record);

/* Checks the structure. For assertions and tests. */
bool spate_sessions_valid(const struct spate_sessions *sessions);

#endif
