/*
 * What Raft members say to each other. A message to be sent names a range of the sender's log; a
 * message received points at the encoded entries in the frame that it came in. lib/wire turns
 * one into the other.
 *
 * Sessions: each process start draws a new `session` (never 0). An answer names the session of
 * the asker that it answers; an answer meant for an earlier life is ignored.
 */
#ifndef SPATE_RAFT_MESSAGE_H
#define SPATE_RAFT_MESSAGE_H

#include "base/types.h"

enum spate_message_kind {
    SPATE_MESSAGE_VOTE = 1,            /* RequestVote, or pre-vote (thesis section 9.6). */
    SPATE_MESSAGE_VOTE_RESULT = 2,     /* Its answer. */
    SPATE_MESSAGE_APPEND = 3,          /* AppendEntries; empty: heartbeat or commit notice. */
    SPATE_MESSAGE_APPEND_RESULT = 4,   /* Its answer. */
    SPATE_MESSAGE_FORWARD = 5,         /* A proposal passed on to the leader (lib/node). */
    SPATE_MESSAGE_FORWARD_RESULT = 6,  /* Its outcome. */
    SPATE_MESSAGE_TIMEOUT_NOW = 7,     /* Campaign at once (thesis section 3.10). */
    SPATE_MESSAGE_SNAPSHOT = 8,        /* A chunk of a snapshot's image (lib/node). */
    SPATE_MESSAGE_SNAPSHOT_RESULT = 9, /* How much of it has come. */
    SPATE_MESSAGE_READ = 10,           /* A follower asks for a read index (thesis section 6.4). */
    SPATE_MESSAGE_READ_RESULT = 11,    /* Its answer. */
    SPATE_MESSAGE_REINSTATE = 12, /* To a mute member: it holds all that it promised (mute.c). */
    SPATE_MESSAGE_FORGOTTEN = 13, /* To a member that lacks what it acknowledged. */
};

struct spate_message_vote {
    bool is_transfer; /* Its leader wants it to lead: being heard is no reason to refuse. */
    bool is_pre_vote; /* `term` is the term that the candidate would take. */
    struct spate_entry_id last; /* The candidate's last *received* entry. */
};

struct spate_message_vote_result {
    bool is_pre_vote;
    bool is_granted;
    spate_term asked_term; /* The request's term, which the answer belongs to. */
};

struct spate_message_append {
    struct spate_entry_id prev; /* The entry before the first. */
    spate_index commit;         /* The leader's commit index. */
    uint64_t round;             /* Counts up with each message of this leader; echoed. */
    spate_term entries_term;    /* The one term of all `count` entries. */
    uint32_t count;
    uint32_t bytes;         /* Encoded size of the entries. */
    const uint8_t *entries; /* Received: encoded entries in the frame. To send: NULL (the encoder
                             * reads the log), or bytes from FETCHED, valid for this turn. */
};

struct spate_message_append_result {
    bool is_accepted;
    bool is_mute;      /* The sender may have forgotten what it promised: do not count it. */
    uint64_t round;    /* The highest round that this answers. */
    spate_index prev;  /* Refused: the prev.index that did not match. */
    spate_index match; /* Accepted: durable up to here, and the same as the leader's log. */
    spate_index last;  /* Accepted: received up to here. Refused: where to look next, by index… */
    spate_term hint_term; /* … and by term: the follower's term at `last`. */
};

struct spate_message_forward {
    uint64_t cookie;     /* The follower's name for the proposal. */
    const uint8_t *data; /* The command. */
    uint32_t size;
};

struct spate_message_forward_result {
    uint64_t cookie;
    uint32_t status; /* spate_err */
    spate_index index;
    uint64_t value; /* The state machine's answer. */
};

struct spate_message_read {
    uint64_t id; /* The asker's number; it stands for all up to it. */
};

struct spate_message_read_result {
    uint64_t id;       /* As asked. */
    spate_index index; /* What reads up to `id` have to see. */
};

struct spate_message_forgotten {
    spate_index index; /* What the receiver acknowledged in an earlier life, in this term. */
};

struct spate_message_snapshot {
    struct spate_entry_id last;
    uint64_t image_bytes; /* Of the whole image. */
    uint64_t hash;
    uint64_t offset; /* Of this chunk in the image. */
    uint32_t size;
    const uint8_t *bytes; /* Received: in the frame. */
};

enum spate_snapshot_status {
    SPATE_SNAPSHOT_WANTED = 0,   /* Send on, from `next`. */
    SPATE_SNAPSHOT_COMPLETE = 1, /* All of it is here, or it is not needed. */
    SPATE_SNAPSHOT_BAD = 2,      /* All came, and it is not what it says. */
};

struct spate_message_snapshot_result {
    enum spate_snapshot_status status;
    struct spate_entry_id last; /* Of the snapshot that this is about. */
    uint64_t hash;
    uint64_t next; /* Bytes before this offset have come. */
};

struct spate_message {
    enum spate_message_kind kind;
    spate_node_id from;
    spate_node_id to;
    spate_term term;
    uint64_t session;      /* The sender's. */
    uint64_t peer_session; /* Results: the session of the request that this answers. REINSTATE,
                            * FORGOTTEN: the life of the receiver that is meant. */
    union {
        struct spate_message_vote vote;
        struct spate_message_vote_result vote_result;
        struct spate_message_append append;
        struct spate_message_append_result append_result;
        struct spate_message_forward forward;
        struct spate_message_forward_result forward_result;
        struct spate_message_snapshot snapshot;
        struct spate_message_snapshot_result snapshot_result;
        struct spate_message_read read;
        struct spate_message_read_result read_result;
        struct spate_message_forgotten forgotten;
    };
};

#endif
