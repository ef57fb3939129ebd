/*
 * The Raft engine: events in, effects out. It does no I/O, reads no clock, starts no thread,
 * allocates nothing after creation, and draws randomness only from the seed that it was given.
 *
 *      events                                            effects
 *   MESSAGE  a decoded frame          .-----------.   messages to send (may all leave at once)
 *   PROPOSE  commands from clients -->| raft_step |-> a batch for the store, named by a ticket
 *   STORED   a ticket is durable      '-----------'   the commit index
 *   PATH     round trip, size of frames    |          a fetch: old entries to read from the store
 *   FETCHED  … and here they are           |          role, leader, term
 *   READ     a read is asked               |          reads that may be answered
 *   FLUSH    the turn ends; time           v          the next deadline
 *                                     lib/log (this engine is its one writer)
 *
 * A host turn is: any number of events, then FLUSH with the current time, then carry out the
 * effects, then spate_effects_reset(). Natural batching happens at FLUSH: however many events
 * came before, it makes one batch for the store and as few messages as fit.
 *
 * Durability is an event: an acknowledgement (a granted vote, accepted entries, the own vote
 * and the own entries) appears in the effects only after STORED of what it promises. So every
 * message in the effects may leave at once, in any order with the batch beside it.
 *
 * Received, durable, committed and applied are four different indexes; none is derived from
 * another.
 *
 * README.md maps each section of the paper to the function and the test.
 */
#ifndef SPATE_RAFT_RAFT_H
#define SPATE_RAFT_RAFT_H

#include "base/error.h"
#include "base/types.h"
#include "log/log.h"
#include "raft/change.h"
#include "raft/membership.h"
#include "raft/message.h"

struct spate_raft;

/* Messages that one turn can produce. What does not fit waits for the next turn. */
#define SPATE_EFFECTS_MESSAGES_MAX 256u

/* Proposals in one event. */
#define SPATE_PROPOSALS_MAX 256u

/* Batches that may be on their way to the disk at once. */
#define SPATE_TICKETS_MAX 64u

struct spate_raft_options {
    spate_node_id self;
    uint64_t session;      /* Drawn at each process start; not 0. */
    uint64_t seed;         /* Of election timeouts. */
    struct spate_log *log; /* Outlives the engine, which is its one writer from now on. */
    uint64_t incarnation;  /* Of self. A member of the same id and another one is somebody else. */

    /* In force at the log's base, and the entry that brought it (0: the founders' configuration);
     * entries of the log override it. Empty: a core that joins, and hears from others who is who.
     */
    struct spate_membership membership;
    spate_index membership_index;

    /* From the store. All of `log` is durable at creation. */
    spate_term term;
    spate_node_id vote;
    spate_index commit; /* A lower bound. */
    spate_index
        first_stored;     /* Entries from here on can be sent, from the log or from the store. */
    bool store_is_behind; /* The log begins behind a snapshot, and what the store holds must go. */
    bool is_new;     /* No entry is stored, nor a snapshot, nor a vote, whatever the term: a founder
                        that was not asked yet, or the data is gone. */
    bool is_mute;    /* Promises were made that are not in the store (mute.c). */
    bool may_forget; /* What the store holds ends with the process, and everybody knows. */

    spate_time_ns now;
    spate_time_ns election_timeout_ns_min; /* Drawn anew for each wait from [min, max]. */
    spate_time_ns election_timeout_ns_max;
    spate_time_ns heartbeat_ns;      /* Well below the election timeout. */
    uint32_t append_bytes_max;       /* Of entries in one AppendEntries that fits a frame. */
    uint32_t append_large_bytes_max; /* Of one that begins with a larger entry, and travels alone.
                                        0: it takes that one along and no other. */
    uint32_t append_count_max;       /* Likewise, entries. 0: no bound but the bytes. */
    uint64_t window_bytes;           /* In flight to one member. */
    uint32_t window_messages;        /* Likewise. At most SPATE_WINDOW_MESSAGES_MAX. */
    bool pre_vote_enabled;           /* Leave on, except to test without. */
    bool check_quorum_enabled;       /* Leave on, except to test without. */
    /* A leader answers reads of its own host without asking a majority, as long as it knows that
     * nobody else can be elected (thesis section 6.4.1). Wants pre-vote, check-quorum, the same
     * election timeouts on all members, and clocks that run at most 10 % apart each way. */
    bool lease_enabled;
};

#define SPATE_WINDOW_MESSAGES_MAX 256u

enum spate_event_kind {
    SPATE_EVENT_MESSAGE,
    SPATE_EVENT_PROPOSE,
    SPATE_EVENT_STORED,
    SPATE_EVENT_PATH,
    SPATE_EVENT_FETCHED,
    SPATE_EVENT_INSTALLED,
    SPATE_EVENT_READ,
    SPATE_EVENT_CHANGE,
    SPATE_EVENT_TRANSFER,
    SPATE_EVENT_FLUSH,
    SPATE_EVENT_COUNT
};

struct spate_proposal {
    const void *data;
    uint32_t size;
    uint8_t kind; /* enum spate_entry_kind */
};

struct spate_event {
    enum spate_event_kind kind;
    spate_time_ns now;
    union {
        struct spate_message *message; /* Read only; its entries are copied into the log. */
        struct {
            const struct spate_proposal *items;
            uint32_t count; /* 1 to SPATE_PROPOSALS_MAX */
        } propose;
        struct {
            uint64_t ticket; /* All tickets up to this one are durable. */
        } stored;
        struct {
            spate_node_id member;
            spate_time_ns rtt_ns;      /* A round trip. 0: none was measured. */
            uint32_t append_bytes_max; /* Of entries in a frame to it. 0: the option's. */
        } path;
        struct {
            spate_err err;              /* Not OK: nothing below counts; it may be asked again. */
            spate_node_id member;       /* As asked. */
            struct spate_entry_id prev; /* The entry before the span. */
            struct spate_log_span span; /* Begins at the index asked for; a copy's, of one term. */
        } fetched;
        const struct spate_change *change;
        struct {
            spate_node_id to; /* 0: whoever is best. */
        } transfer;
        struct {
            uint64_t id; /* Counts up. Asked before `now` was read from the clock. */
        } read;
        struct {
            struct spate_entry_id last; /* Of a snapshot that is durable here, and restored. */
            /* In force at its last entry, as its manifest says, and the entry that brought it. */
            const struct spate_membership *membership;
            spate_index membership_index;
        } installed;
        struct {
            bool store_is_ready;      /* The store will take a batch now … */
            uint64_t store_bytes_max; /* … of at most so many bytes of entries. */
        } flush;
    };
};

/* What the host writes to the store: one transaction. */
struct spate_effect_store {
    bool is_needed;
    uint64_t ticket; /* 1, 2, 3, … ; STORED answers it. */
    bool has_hard_state;
    spate_term term;
    spate_node_id vote;
    bool is_mute;
    spate_index commit; /* Goes along as a hint. */
    bool has_reset;     /* The log begins anew behind an installed snapshot. */
    struct spate_entry_id reset_base;
    bool has_truncate;
    spate_index truncate_after;
    spate_index first; /* Entries to append, in the log: [first, first + count). */
    uint64_t count;
};

/*
 * A member is so far behind that the log in memory no longer has what it needs: the host reads a
 * span from the store and answers with FETCHED. At most one at a time.
 */
struct spate_effect_fetch {
    bool is_needed;
    spate_node_id member;
    spate_index first;
    uint32_t bytes_max;
};

struct spate_effects {
    uint32_t message_count;
    struct spate_message messages[SPATE_EFFECTS_MESSAGES_MAX];

    struct spate_effect_store store;
    struct spate_effect_fetch fetch;

    /* FLUSH: members for which what comes next is stored nowhere here; they need a snapshot. */
    uint32_t snapshot_count;
    spate_node_id snapshot_members[SPATE_MEMBERS_MAX];

    /* MESSAGE with a chunk of a snapshot: whether it comes from our leader. */
    bool is_chunk_welcome;

    /*
     * INSTALLED: what became of it. SPATE_ERR_BUSY: the log has no room for it yet; the same event
     * again. SPATE_ERR_CORRUPT: it contradicts what this leader has said.
     */
    spate_err installed_err;

    /* PROPOSE: how many were taken, in order, and what the first one became. The others follow. */
    uint32_t proposed_count;
    spate_err proposed_err; /* Why not all: SPATE_ERR_NOT_READY (no leader here), SPATE_ERR_BUSY. */
    struct spate_entry_id proposed_first;

    /* CHANGE: what the leader says to it, and the entry that it became. It is done once an entry at
     * or behind that index is the membership's, is committed, and the membership is not joint. */
    enum spate_change_verdict change_verdict;
    spate_index change_index;

    /* TRANSFER: whether it was begun. It is done when somebody else leads. */
    bool transfer_accepted;

    /* The leader says that we acknowledged the entry at this index, and it is not here: the store's
     * data is gone, or older than what was promised. 0: all is well. By then the store knows that
     * this core is mute, so that the host may stop. */
    spate_index forgotten;

    /* Always the present state. */
    bool is_mute;
    spate_index membership_index; /* Changes when another spate_raft_membership() is in force. */
    uint64_t read_ready;          /* All reads up to this number may be answered … */
    spate_index read_index;       /* … once the state machine has applied up to here. */
    spate_index commit;
    spate_term term;
    enum spate_role role;
    spate_node_id leader;   /* 0: none known. */
    spate_time_ns deadline; /* When to FLUSH at the latest. SPATE_TIME_NEVER: no need. */
};

/* Memory: the caller destroys it; destroy accepts NULL. Errors: INVALID, NO_MEMORY. */
spate_err spate_raft_create(const struct spate_raft_options *options,
                            struct spate_raft **ret_raft) SPATE_MUST_CHECK;
void spate_raft_destroy(struct spate_raft *raft);

/*
 * Lets the engine see one event and adds what follows from it to `effects`.
 *
 * Requires: event->now never goes back. After FLUSH the host carries the effects out and resets
 *           them before the next event; before FLUSH several events may share one `effects`, except
 *           that PROPOSE results are read after each PROPOSE.
 *           A store batch is made by a FLUSH whose `store_is_ready` is true, and by no other; then
 *           the host must submit it (entries wait in the log, so nothing is lost by waiting).
 */
void spate_raft_step(struct spate_raft *raft, const struct spate_event *event,
                     struct spate_effects *effects);

void spate_effects_reset(struct spate_effects *effects);

/*
 * Tells the engine that the host could not encode or deliver an AppendEntries to `member` (the
 * range is gone, no frame was free): it will be sent again. Never required for safety.
 */
void spate_raft_message_dropped(struct spate_raft *raft, const struct spate_message *message);

/*
 * Tells the engine that the host no longer keeps entries before `first_stored` outside of the log
 * in memory.
 */
void spate_raft_compacted(struct spate_raft *raft, spate_index first_stored);

/* The lowest index that the leader may still have to send to a member it considers reachable. */
spate_index spate_raft_needed_first(const struct spate_raft *raft);

/* The highest index that the leader knows a member to have; 0: it knows none, or does not lead. */
spate_index spate_raft_received_by(const struct spate_raft *raft, spate_node_id member);

/*
 * The highest index that every member holds, reachable or not: nobody will ask for what is up to
 * there. 0 unless this node leads and has heard from all.
 */
spate_index spate_raft_held_by_all(const struct spate_raft *raft);

/* The highest index on this node's own disk. */
spate_index spate_raft_durable(const struct spate_raft *raft);

/* In force here. The engine's, until the next step. */
const struct spate_membership *spate_raft_membership(const struct spate_raft *raft);

/* In force at `index`, a committed one or a later one, and the entry that brought it. */
const struct spate_membership *spate_raft_membership_at(const struct spate_raft *raft,
                                                        spate_index index, spate_index *ret_index);

/* Whether that can be asked: the last two memberships are known, and none before the first. */
bool spate_raft_knows_membership_at(const struct spate_raft *raft, spate_index index);

/* A view of the engine for status and tests. Copied. */
struct spate_raft_peer_status {
    spate_node_id id;
    bool is_voter;
    bool is_caught_up;   /* Leader: has what was committed a little while ago. */
    bool is_active;      /* Leader: heard from within an election timeout. */
    bool is_replicating; /* Leader: false while probing. */
    bool needs_snapshot; /* Leader: it waits for a snapshot. */
    bool is_mute;        /* Leader: it may have forgotten what it promised, and does not count. */
    spate_index match;
    spate_index next;
    uint32_t inflight_messages;
    uint64_t inflight_bytes;
};

struct spate_raft_status {
    spate_node_id self;
    spate_node_id leader;
    enum spate_role role;
    spate_term term;
    spate_node_id vote;
    spate_index commit;
    spate_index received;
    spate_index durable;
    bool is_mute;                /* It neither votes nor counts (mute.c). */
    spate_time_ns quorum_age_ns; /* Leader: since a majority last answered. */
    uint64_t elections_started;
    uint64_t terms_led;
    uint64_t retransmits;
    uint64_t messages_invalid; /* Dropped: no correct member can have sent them. */
    uint64_t votes_ignored;    /* (Pre-)votes asked for while a leader was heard. */
    uint64_t appends_busy;     /* AppendEntries dropped because the log had no room. */
    uint64_t reads_confirmed;  /* Reads that a majority vouched for, and … */
    uint64_t reads_leased;     /* … that a lease answered; both as the engine was asked. */
    uint64_t members_unserved; /* Turns in which a member needed what nobody here has any more. */
    struct spate_membership membership; /* In force … */
    spate_index membership_index;       /* … by this entry. */
    spate_node_id transfer_to;          /* Leader: who is to take over; 0: nobody. */
    uint32_t peer_count;                /* Without self. */
    struct spate_raft_peer_status peers[SPATE_MEMBERS_MAX];
};

void spate_raft_status(const struct spate_raft *raft, spate_time_ns now,
                       struct spate_raft_status *ret_status);

/* Checks every invariant of the engine. For assertions and tests. */
bool spate_raft_valid(const struct spate_raft *raft);

#endif
