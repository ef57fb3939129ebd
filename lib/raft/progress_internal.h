/*
 * What a leader knows of one member's log, and what it has sent there without an answer.
 *
 *   match <= received < next <= the log's last + 1
 *
 * `received` counts what the member has and has found to be the same as ours; `match` what of it is
 * on its disk. Only match counts for commitment; received frees the window.
 *
 * Probing: where the logs agree is unknown, one message is out at a time. Replicating: messages
 * follow each other within a window, `next` runs ahead.
 */
#ifndef SPATE_RAFT_PROGRESS_INTERNAL_H
#define SPATE_RAFT_PROGRESS_INTERNAL_H

#include "base/types.h"
#include "raft/raft.h"

struct spate_inflight {
    spate_index first;
    spate_index last;
    uint64_t round;
    spate_time_ns sent_at;
    uint32_t bytes;
};

struct spate_progress {
    spate_index match;
    spate_index received;
    spate_index next;
    bool is_replicating;
    bool is_probe_out;       /* Probing: the one message has been sent. */
    bool is_notice_due;      /* A commit notice goes with the next flush if nothing else does. */
    uint8_t repeats;         /* Timeouts since the last answer that moved something. */
    spate_index commit_sent; /* The highest commit index in a message to it. */

    uint64_t session;        /* The member's; 0: not heard of yet. */
    uint64_t session_round;  /* Answers to earlier rounds are of an earlier session. */
    uint64_t rewind_round;   /* Refusals of earlier rounds have been acted upon. */
    spate_index resent_from; /* Where a refusal last made us go on from at once. */

    bool is_mute;           /* It counts for nothing (mute.c) … */
    spate_index mute_until; /* … until it has this entry, which was appended after it said so. */
    spate_index promised;   /* What its earlier lives acknowledged, in this term. */
    bool has_forgotten;     /* It lacks that. */
    spate_time_ns told_at;  /* When it was last told either. */

    uint64_t round_sent;          /* Of the last message to it. */
    uint64_t round_answered;      /* The latest that it answered. */
    uint64_t lease_round;         /* An answer to this round or a later one … */
    spate_time_ns lease_asked_at; /* … sent at this time … */
    spate_time_ns lease_at;       /* … shows that it heard us then or later. */

    spate_time_ns active_at;    /* When an answer last came. */
    spate_time_ns sent_at;      /* When anything was last sent. */
    spate_time_ns advanced_at;  /* When `received` last grew. */
    spate_time_ns paused_until; /* The host could not send. */
    spate_time_ns rtt_ns;       /* Smoothed as in RFC 6298; 0: unknown. */
    spate_time_ns rtt_deviation_ns;
    uint32_t append_bytes_max; /* Of entries in a frame to it; 0: what the options say. */

    struct spate_inflight *inflight; /* A ring of `inflight_max`. */
    uint32_t inflight_max;
    uint32_t inflight_begin;
    uint32_t inflight_count;
    uint64_t inflight_bytes;
};

/* At the start of a leadership, or of a member's new session. The path stays known. */
void spate_progress_reset(struct spate_progress *progress, spate_index next, uint64_t round_next,
                          spate_time_ns now);

/*
 * Whether a message with `bytes` of entries may be sent. One larger than the window may go alone.
 * One larger than a frame always does: it takes longer, and what is sent behind it would overtake
 * it.
 */
bool spate_progress_has_room(const struct spate_progress *progress, uint64_t window_bytes,
                             uint32_t frame_bytes, uint32_t bytes);

/* A message with the entries [first, last] was sent. Requires: first == next, room. */
void spate_progress_sent(struct spate_progress *progress, const struct spate_inflight *message);

/* The member has everything up to `received`, and `match` of that on its disk. */
void spate_progress_accepted(struct spate_progress *progress, spate_index received,
                             spate_index match, spate_time_ns now);

/* Where to ask when no answer came: behind what was received, or before what a probe carried. */
spate_index spate_progress_unanswered(const struct spate_progress *progress);

/* Forgets what is in flight and goes on from `next` (never below what was received). */
void spate_progress_rewind(struct spate_progress *progress, spate_index next, uint64_t round_next,
                           bool is_replicating);

/* Takes back the message of `round` and all after it. Returns whether it was in flight. */
bool spate_progress_take_back(struct spate_progress *progress, uint64_t round);

void spate_progress_measured(struct spate_progress *progress, spate_time_ns rtt_ns);

/* How long to wait for an answer, at most `max_ns`. */
spate_time_ns spate_progress_timeout_ns(const struct spate_progress *progress,
                                        spate_time_ns max_ns);

/* When to send again what is unanswered. SPATE_TIME_NEVER: nothing is. */
spate_time_ns spate_progress_resend_at(const struct spate_progress *progress, spate_time_ns max_ns);

/* A message of this round was sent. */
void spate_progress_asked(struct spate_progress *progress, uint64_t round, spate_time_ns now);

/* It answered this round. */
void spate_progress_answered(struct spate_progress *progress, uint64_t round);

bool spate_progress_valid(const struct spate_progress *progress, spate_index log_last);

#endif
