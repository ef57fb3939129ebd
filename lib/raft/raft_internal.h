/* The engine's state, and how its files call each other. */
#ifndef SPATE_RAFT_RAFT_INTERNAL_H
#define SPATE_RAFT_RAFT_INTERNAL_H

#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "progress_internal.h"
#include "raft/raft.h"
#include "tickets_internal.h"

/* Terms from outside and our own stay below this, so that term + 1 always exists. */
#define SPATE_TERM_MAX (UINT64_MAX - 2)

/* What is owed to a member that asked for a vote, or that still believes in an old term. */
struct spate_answers {
    spate_node_id to; /* Need not be a member here: our membership may be old. */
    bool has_vote;
    bool is_pre_vote;
    bool is_granted;
    spate_term asked_term;
    uint64_t vote_session;

    bool has_stale_append; /* An AppendEntries of a term that is over: tell it ours. */
    uint64_t stale_session;
    uint64_t stale_round;
    spate_index stale_prev;
};

/* A follower's side of replication; the answers leave with the next flush. */
struct spate_follower {
    uint64_t leader_session;
    spate_time_ns heard_at;    /* When the leader last spoke. */
    spate_index verified;      /* Up to here the log is known to be the same as the leader's. */
    spate_index leader_commit; /* The highest that the leader named. */
    spate_index told_match;    /* The match that the leader was last told. */
    bool has_accept;
    uint64_t accept_round;
    bool has_reject;
    uint64_t reject_round;
    struct spate_entry_id reject_prev;
};

struct spate_fetching {
    bool is_out; /* The host has been asked and has not answered. */
    spate_node_id member;
    spate_index first;
    spate_time_ns ask_at; /* Not (again) before this. */
};

/* Reads that wait for the proof that their leader leads. */
#define SPATE_READS_MAX 64u

struct spate_read {
    spate_node_id member; /* Who asked; may be ourselves. */
    uint64_t id;          /* Of the asker. */
    uint64_t session;     /* Likewise. */
    uint64_t round;       /* An answer to this round or a later one is the proof. */
    spate_index index;
};

struct spate_reads {
    /* Of the host: ready <= told <= asked. */
    uint64_t asked;
    uint64_t told; /* The leader knows of them; a leader: they are among `items`. */
    uint64_t ready;
    spate_index ready_index;
    spate_node_id told_leader;
    spate_term told_term;
    spate_time_ns tell_again_at;

    /* The leader's, a ring in the order of rounds. */
    uint32_t begin;
    uint32_t count;
    struct spate_read items[SPATE_READS_MAX];
};

/* The leader hands over. */
struct spate_transfer {
    spate_node_id to; /* 0: it does not. */
    spate_time_ns until;
    spate_time_ns tell_at;
};

struct spate_raft {
    struct spate_raft_options options;
    struct spate_log *log;
    struct spate_configs configs; /* Everything by `place` goes by the one in force. */
    uint32_t self;                /* Our place there; SPATE_MEMBERS_MAX: none. */
    struct spate_prng prng;

    spate_term term;
    spate_node_id vote;
    spate_index commit;
    spate_index commit_hinted; /* As the store was last told. */
    bool is_new;               /* No entry is stored here, and no leader was met. */
    bool is_mute;
    spate_index forgotten; /* The leader says that we acknowledged this; 0: nothing. */
    enum spate_role role;
    spate_node_id leader;
    struct spate_tickets tickets;

    spate_time_ns now;
    spate_time_ns deadline;
    bool is_dirty;   /* Something happened since the last flush. */
    bool is_waiting; /* A flush left something for the next one: come back at once. */

    spate_time_ns election_at; /* No leader: when to campaign. */
    uint32_t granted;          /* Sets of members, by place. */
    uint32_t refused;
    uint32_t unasked;           /* Candidate: requests to send with the next flush. */
    spate_time_ns ask_again_at; /* Candidate: when to repeat what was not answered. */
    bool is_taking_over;        /* Candidate: its leader wanted it. */
    uint32_t owed;              /* Slots of `answers` with something to send. */
    struct spate_answers answers[SPATE_MEMBERS_MAX];
    struct spate_follower follower;

    uint64_t round;         /* Of the last AppendEntries sent. */
    spate_index lead_first; /* The leader's own first entry; entries before it are of other terms.
                             * SPATE_INDEX_NONE_YET: the log had no room for it yet. */
    spate_time_ns check_quorum_at;
    uint32_t turn_first; /* Which member is served first; moves on with each flush. */
    struct spate_fetching fetching;
    struct spate_reads reads;
    struct spate_transfer transfer;
    spate_time_ns prefer_at; /* When to look for a leader of higher priority. */
    spate_index mark;        /* The commit index a little while ago … */
    spate_index mark_before; /* … and before that. */
    spate_time_ns mark_at;
    bool is_lease_void;        /* Somebody was asked to take over in this term. */
    spate_time_ns votes_after; /* Earlier lives may have made promises until then. */
    struct spate_progress progress[SPATE_MEMBERS_MAX];

    bool is_chunk_welcome; /* Of the last event. */

    uint64_t elections_started;
    uint64_t terms_led;
    uint64_t retransmits;
    uint64_t messages_invalid;
    uint64_t votes_ignored;
    uint64_t appends_busy;
    uint64_t members_unserved;
    uint64_t reads_confirmed;
    uint64_t reads_leased;

    struct spate_inflight inflight[]; /* SPATE_MEMBERS_MAX * window_messages */
};

#define SPATE_INDEX_NONE_YET UINT64_MAX

static inline bool spate_raft_is_leader(const struct spate_raft *raft)
{
    return raft->role == SPATE_ROLE_LEADER;
}

/* Whether no other vote is needed for anything. */
static inline bool spate_raft_is_alone(const struct spate_raft *raft)
{
    return raft->self != SPATE_MEMBERS_MAX && !spate_membership_is_joint(&raft->configs.now) &&
           spate_membership_voters(&raft->configs.now) == 1 &&
           raft->configs.now.members[raft->self].is_voter;
}

/* Whether what is known of a member may be counted as a voter's. */
static inline bool spate_raft_counts(const struct spate_raft *raft, uint32_t place)
{
    spate_assert(place < raft->configs.now.count);
    return !raft->progress[place].is_mute;
}

static inline spate_node_id spate_raft_member(const struct spate_raft *raft, uint32_t place)
{
    spate_assert(place < raft->configs.now.count);
    return raft->configs.now.members[place].id;
}

/* Whether (term, vote), as they are now, would survive a crash. */
static inline bool spate_raft_term_is_durable(const struct spate_raft *raft)
{
    return raft->tickets.durable.term == raft->term;
}

static inline bool spate_raft_vote_is_durable(const struct spate_raft *raft)
{
    return spate_raft_term_is_durable(raft) && raft->tickets.durable.vote == raft->vote;
}

/* effects.c: the next message of the effects, filled with what all have, or NULL: no room. */
struct spate_message *spate_effects_message(const struct spate_raft *raft,
                                            struct spate_effects *effects,
                                            enum spate_message_kind kind, spate_node_id to);

/* conflict.c */
/* The term at an index, or 0 when the log does not reach back that far. Requires: index <= last. */
spate_term spate_conflict_term(const struct spate_log *log, spate_index index);
/* The highest index <= `index` whose term is <= `term`; O(terms). What lies before the log is taken
 * to be such an index. Requires: index <= last. */
spate_index spate_conflict_find(const struct spate_log *log, spate_index index, spate_term term);

/* election.c */
void spate_election_arm(struct spate_raft *raft);
void spate_election_campaign(struct spate_raft *raft);
void spate_election_count(struct spate_raft *raft);
void spate_election_check_quorum(struct spate_raft *raft);
spate_time_ns spate_election_quorum_at(const struct spate_raft *raft);
/* Takes a role below candidate, in `term` (not below ours), behind `leader` (0: not known). */
void spate_election_follow(struct spate_raft *raft, spate_term term, spate_node_id leader);

/* The role without a leadership or candidacy, as the membership has it. */
void spate_election_rest(struct spate_raft *raft);
/* The leader wants us to lead: campaigns at once, without pre-vote. */
void spate_election_take_over(struct spate_raft *raft);

/* members.c */
/* Moves what is kept by place to where the members now stand. */
void spate_members_place(struct spate_raft *raft, const struct spate_membership *old);
/* Entries from `first` on are new in the log. */
void spate_members_follow_log(struct spate_raft *raft, spate_index first);
/* Entries behind `last_kept` are gone. */
void spate_members_cut(struct spate_raft *raft, spate_index last_kept);
/* A snapshot says who the members are. */
void spate_members_reset(struct spate_raft *raft, spate_index index,
                         const struct spate_membership *membership);
bool spate_members_may_campaign(const struct spate_raft *raft);
void spate_members_change(struct spate_raft *raft, const struct spate_change *change,
                          struct spate_effects *effects);
/* Leader: carries changes through, promotes who has caught up, goes when it was removed. */
void spate_members_advance(struct spate_raft *raft, struct spate_effects *effects);
uint32_t spate_members_caught_up(const struct spate_raft *raft);

/* transfer.c */
/* False: there is nobody to hand over to, or that member cannot lead now. */
bool spate_transfer_begin(struct spate_raft *raft, spate_node_id to);
/* Tells the best voter to campaign, and no more: for a leader that goes. */
void spate_transfer_hand_over(struct spate_raft *raft, struct spate_effects *effects);
void spate_transfer_advance(struct spate_raft *raft, struct spate_effects *effects);
void spate_transfer_receive(struct spate_raft *raft, const struct spate_message *message);

/* mute.c */
/* A leader speaks to us for the first time in its term. */
void spate_mute_meet(struct spate_raft *raft, spate_node_id leader);
/* Whether a leader may count our answers: not those of a namesake of another incarnation either. */
bool spate_mute_may_count(const struct spate_raft *raft);
/* Whether a candidate must do without us. */
bool spate_mute_refuses(const struct spate_raft *raft, const struct spate_message_vote *vote);
void spate_mute_receive(struct spate_raft *raft, const struct spate_message *message);
/* Leader: what an answer says of the member's memory. */
void spate_mute_note(struct spate_raft *raft, struct spate_progress *progress,
                     const struct spate_message_append_result *result);
/* Leader: a refusal that is not of an earlier term or session, and what was acknowledged before. */
void spate_mute_compare(struct spate_progress *progress,
                        const struct spate_message_append_result *result);
/* Leader: brings mute members back, and tells those that do not know what they forgot. */
void spate_mute_advance(struct spate_raft *raft, struct spate_effects *effects);

/* vote.c */
void spate_vote_receive(struct spate_raft *raft, const struct spate_message *message);
/* What is owed to `to`, to be filled in; NULL: too many are owed something. */
struct spate_answers *spate_vote_owe(struct spate_raft *raft, spate_node_id to);
void spate_vote_receive_result(struct spate_raft *raft, uint32_t place,
                               const struct spate_message *message);
void spate_vote_send(struct spate_raft *raft, struct spate_effects *effects);

/* append.c */
void spate_append_receive(struct spate_raft *raft, const struct spate_message *message);
/* Owes the leader an answer when more has become durable. */
void spate_append_stored(struct spate_raft *raft);
void spate_append_send(struct spate_raft *raft, struct spate_effects *effects);

/* replicate.c */
void spate_replicate_begin(struct spate_raft *raft);
void spate_replicate_receive_result(struct spate_raft *raft, uint32_t place,
                                    const struct spate_message *message);
void spate_replicate_send(struct spate_raft *raft, struct spate_effects *effects);
spate_time_ns spate_replicate_deadline(const struct spate_raft *raft);
/* How many bytes of entries go to the member in one frame. */
uint32_t spate_replicate_frame_bytes(const struct spate_raft *raft, uint32_t place);

/* Puts one AppendEntries to the member into the effects; `span` NULL: an empty one behind `prev`.
 * Returns whether there was room. */
bool spate_replicate_emit(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                          struct spate_entry_id prev, const struct spate_log_span *span);

/* fetch.c */
void spate_fetch_ask(struct spate_raft *raft, struct spate_effects *effects);
void spate_fetch_receive(struct spate_raft *raft, const struct spate_event *event,
                         struct spate_effects *effects);

/* read_index.c */
void spate_read_ask(struct spate_raft *raft, uint64_t id);
/* Whether a leader knows that nobody else can have been elected by `now`. */
bool spate_read_has_lease(const struct spate_raft *raft, spate_time_ns now);
/* The role changed: what the leader was told or knew counts no more. */
void spate_read_forget(struct spate_raft *raft);
void spate_read_receive(struct spate_raft *raft, uint32_t place,
                        const struct spate_message *message);
void spate_read_receive_result(struct spate_raft *raft, const struct spate_message *message);
/* Leader: takes what the host asked, answers what a majority has confirmed. */
void spate_read_confirm(struct spate_raft *raft, struct spate_effects *effects);
/* Leader: the round that all voters are to answer; 0: none. */
uint64_t spate_read_round(const struct spate_raft *raft);
/* Others: pass what the host asked on to the leader. */
void spate_read_tell(struct spate_raft *raft, struct spate_effects *effects);
spate_time_ns spate_read_deadline(const struct spate_raft *raft);

/* Takes the sender for the leader of its term. False: it cannot be. Requires: no stale term. */
bool spate_append_acknowledge(struct spate_raft *raft, const struct spate_message *message);

/* snapshot.c */
bool spate_snapshot_is_needed(const struct spate_raft *raft, uint32_t place);
/* Which members wait for one. */
void spate_snapshot_ask(struct spate_raft *raft, struct spate_effects *effects);
void spate_snapshot_receive(struct spate_raft *raft, const struct spate_message *message);
spate_err spate_snapshot_install(struct spate_raft *raft, const struct spate_event *event);

/* commit.c */
void spate_commit_count(struct spate_raft *raft);
void spate_commit_follow(struct spate_raft *raft);

/* propose.c */
void spate_raft_propose(struct spate_raft *raft, const struct spate_proposal items[],
                        uint32_t count, struct spate_effects *effects);
void spate_propose_noop(struct spate_raft *raft);
/* Another one, behind everything: false: there is no room at the moment. */
bool spate_propose_mark(struct spate_raft *raft);

/* batch.c */
bool spate_batch_is_due(const struct spate_raft *raft);
void spate_batch_make(struct spate_raft *raft, uint64_t bytes_max, struct spate_effects *effects);

/* flush.c */
void spate_flush(struct spate_raft *raft, bool store_is_ready, uint64_t store_bytes_max,
                 struct spate_effects *effects);

#endif
