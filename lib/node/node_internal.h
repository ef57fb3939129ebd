/*
 * What the files of lib/node share. Each file owns one concern; the struct below is grouped by it.
 *
 * Threads: everything belongs to the node's thread, except the group `apply`, which belongs to the
 * apply stage (the node's thread, or the apply thread once it has taken over), and the atomics.
 */
#ifndef SPATE_NODE_NODE_INTERNAL_H
#define SPATE_NODE_NODE_INTERNAL_H

#include <stdatomic.h>

#include "base/ring.h"
#include "log/log.h"
#include "node/node.h"
#include "raft/raft.h"

#define SPATE_CACHE_LINE_BYTES 64u

/* Outcomes that one port may be owed. The two outcome rings hold so many, whatever happens. */
#define SPATE_PORT_OUTCOMES_MAX       16384u
#define SPATE_PORT_OUTCOME_RING_BYTES (1u << 20)
#define SPATE_PORT_RING_BYTES_DEFAULT (4u << 20)
#define SPATE_PORT_READ_RING_BYTES    (64u << 10)
#define SPATE_PORT_STALLED            (1ull << 63)

/* Batches of proposals that one turn takes from the ports: what comes later waits a turn. */
#define SPATE_TURN_BATCHES_MAX 16u

/* Spans of one transaction. A span ends where a segment or a term does. */
#define SPATE_NODE_SPANS_MAX 64u

/* Entries that one turn applies, so that a long backlog does not delay a heartbeat. */
#define SPATE_TURN_APPLY_MAX 4096u

/* Stored entries that a start reads at a time. */
#define SPATE_NODE_READ_BYTES (4u << 20)

/* Forwards that a follower may have under way, and the bytes kept to repeat them. */
#define SPATE_FORWARDS_MAX        4096u
#define SPATE_FORWARD_ARENA_BYTES (8u << 20)

/* How many of a member's forwards the leader remembers. Its window is SPATE_FORWARDS_MAX wide, so
 * twice that is enough to tell a repetition from a new one for certain. */
#define SPATE_REMEMBERED_MAX (2u * SPATE_FORWARDS_MAX)

/* Forwarded proposals whose outcomes are not sent yet: bounds the ring of answers. */
#define SPATE_ANSWERS_MAX        65536u
#define SPATE_ANSWER_RING_BYTES  (4u << 20)
#define SPATE_PENDING_RING_BYTES (4u << 20)

/* Reads of all ports that wait for their index or for the state machine. */
#define SPATE_READS_OPEN_MAX 8192u

/* Samples that nobody has read yet: some fifty. */
#define SPATE_SAMPLE_RING_BYTES 8192u

/* A quarter is more than what a record that is half taken, and the skip before another, take up. */
_Static_assert(SPATE_PORT_OUTCOMES_MAX * 48u <= SPATE_PORT_OUTCOME_RING_BYTES * 3u / 4u &&
                   SPATE_PROPOSALS_MAX * 48u <= SPATE_PORT_OUTCOME_RING_BYTES / 8u,
               "an outcome ring holds every outcome that its port can be owed");
_Static_assert(SPATE_ANSWERS_MAX * 48u <= SPATE_ANSWER_RING_BYTES * 3u / 4u,
               "the answer ring holds every answer that can be owed");

/* A proposal as it lies in a port's ring. */
struct spate_port_record {
    uint64_t cookie;
    uint32_t size;
    uint32_t marked_at; /* Lower half of the time, if its stages are to be timed; else 0. */
    uint8_t data[];
};

/* The client's side of a ring of outcomes. A record holds one or more of them, one after another.
 */
struct spate_outcomes {
    struct spate_ring *ring;
    const struct spate_result *next; /* The rest of the record that is being taken. */
    uint32_t left;
};

struct spate_port {
    struct spate_node *node;
    uint32_t place; /* In node->ports. */
    struct spate_waker *waker;

    uint32_t unmarked;             /* The client's: commands since the last that was marked. */
    bool may_block;                /* The client's: it wants to be woken. */
    struct spate_ring *proposals;  /* client -> node */
    struct spate_ring *reads;      /* client -> node: cookies */
    struct spate_outcomes applied; /* apply stage -> client */
    struct spate_outcomes replied; /* node -> client: refusals, outcomes of forwards */
    uint64_t proposals_taken;      /* The node's. */
    bool has_replied;              /* The node's: `replied` is to be published. */

    /* Outcomes that the client took, and in the top bit whether the node waits for room. */
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic uint64_t outcomes_taken;
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic bool is_client_waiting;
};

/* Whom an outcome belongs to: a port, or a member that passed the proposal on. */
struct spate_origin {
    uint32_t place; /* In node->ports or node->peers. */
    uint32_t epoch; /* 0: a port. Otherwise the peer's session, counted. */
};

/* Proposals that became the entries [first, first + count) of `term`: node -> apply stage. */
struct spate_pending {
    spate_index first;
    spate_term term;
    struct spate_origin origin;
    uint32_t count;
    uint32_t zero;
    uint64_t cookies[];
};

/* The outcome of a forwarded proposal: apply stage -> node. */
struct spate_answer {
    struct spate_origin origin;
    struct spate_result result;
};

/* Proposals of one origin on their way into the engine; the bytes are lent. */
struct spate_batch {
    struct spate_port *port; /* Whose ring they lie in; NULL: a frame. */
    uint32_t count;
    uint32_t next; /* The first that is not dealt with. */
    uint64_t cookies[SPATE_PROPOSALS_MAX];
    struct spate_proposal items[SPATE_PROPOSALS_MAX];
};

/* A forward that the leader remembers, by cookie. */
enum spate_remembered_state {
    SPATE_REMEMBERED_NOTHING,
    SPATE_REMEMBERED_PENDING,
    SPATE_REMEMBERED_ANSWERED
};

struct spate_remembered {
    struct spate_result result; /* .cookie is the key. */
    enum spate_remembered_state state;
};

struct spate_node_peer {
    spate_node_id id;
    bool is_gone; /* No member any more. */
    uint32_t epoch;
    uint64_t session;
    spate_time_ns rtt_ns; /* As the engine was last told; and frames. */
    uint32_t frame_bytes;
    struct spate_remembered *remembered;
};

/* A proposal that this follower passed on. Slots form a queue by cookie. */
struct spate_forward {
    uint64_t client_cookie;
    struct spate_port *port;
    uint64_t arena_first; /* Positions count up for ever; modulo the arena's size they are bytes. */
    uint64_t arena_after;
    uint32_t size;
    uint32_t tries;
    spate_node_id leader;
    spate_term term;
    spate_time_ns resend_at;
    spate_time_ns give_up_at;
    bool is_open;
    bool was_sent;  /* Until then the outcome is certain: not proposed. */
    bool is_orphan; /* Its leader is no longer the leader: only waiting for a late answer. */
};

struct spate_forwards {
    uint64_t head, tail; /* Cookies: [head, tail) are in use. */
    uint64_t arena_first, arena_after;
    spate_time_ns deadline;
    spate_node_id leader; /* As last seen by the scan. */
    spate_term term;
    struct spate_forward slots[SPATE_FORWARDS_MAX];
    uint8_t *arena;
};

/* A read of a client of this node. */
struct spate_node_read {
    uint64_t cookie;
    uint64_t id;       /* The engine's: that of all reads of one turn. */
    spate_index index; /* To be applied first; known from `confirmed` back. */
    spate_time_ns expires_at;
    struct spate_port *port;
};

/* A queue, in the order of ids: open reads are [head, tail), those before `confirmed` may be
 * answered once the state machine has come that far. */
struct spate_node_reads {
    uint64_t head, confirmed, tail;
    uint64_t asked;
    uint64_t ready; /* As the engine says. */
    spate_index ready_index;
    uint64_t taken, refused;
    struct spate_node_read slots[SPATE_READS_OPEN_MAX];
};

/* What somebody asked of the cluster; see orders.c. */
struct spate_node_order {
    _Atomic uint64_t word;
    struct spate_order order;
    struct spate_order_answer answer;
    bool is_taken; /* The node's, from here on: the engine said yes. */
    spate_index index;
    spate_term term;
    spate_time_ns give_up_at; /* 0: not looked at yet. */
};

struct spate_node_orders {
    _Atomic uint32_t open;
    spate_time_ns look_at; /* The node's. */
    struct spate_node_order slots[SPATE_ORDERS_MAX];
};

/* How far the command is whose stages are timed (sample.c). */
enum spate_sample_state {
    SPATE_SAMPLE_NONE,
    SPATE_SAMPLE_TAKEN, /* From here on: at[state] is when it came there. */
    SPATE_SAMPLE_APPENDED,
    SPATE_SAMPLE_ENCODED,
    SPATE_SAMPLE_SENT,
    SPATE_SAMPLE_COMMITTED
};

struct spate_node_sample {
    enum spate_sample_state state;
    uint32_t place; /* In the batch, until it has an index. */
    spate_index index;
    spate_term term;
    spate_time_ns at[SPATE_STAGE_FOLLOW + 1]; /* Where stages begin, and the end of the last. */
};

/* The message whose way through this follower is timed. */
struct spate_node_follow {
    spate_index index; /* Its last; 0: none. */
    spate_time_ns began;
    bool is_answered;
    uint32_t left; /* Entries to pass over before the next. */
};

#define SPATE_NODE_STATUS_WORDS ((sizeof(struct spate_node_status) + 7u) / 8u)

struct spate_node {
    struct spate_node_options options;
    struct spate_link *link;
    struct spate_store *store;
    struct spate_log *log;
    struct spate_raft *raft;
    struct spate_node_snapshots *snapshots; /* NULL: the state machine has none, or the host. */
    spate_err failure;                      /* Final. */

    /* The engine, as of its last step. */
    spate_time_ns now;
    struct spate_effects effects;
    enum spate_role role;
    spate_term term;
    spate_node_id leader;
    bool engine_is_dirty; /* It saw an event since its last FLUSH. */
    spate_time_ns engine_deadline;
    spate_time_ns link_deadline;
    spate_time_ns paths_deadline;
    struct spate_log_view view; /* For encoding; of this flush. */

    /* storing.c */
    uint64_t tickets_submitted, tickets_completed; /* The engine's … */
    uint64_t tickets_told;                         /* … and what it was told of them. */
    spate_ticket store_submitted, store_completed; /* The store's. */
    spate_ticket ticket_last[SPATE_TICKETS_MAX];   /* The engine's to the store's. */
    uint64_t fetches, fetches_missed;
    bool batch_waits; /* The store had no room for the batch in `effects`. */
    struct spate_log_span spans[SPATE_NODE_SPANS_MAX];
    struct spate_entry_id fetched_last; /* The last entry of the last fetch. */
    struct spate_entry_id stored_base;

    /* proposals.c, port.c, forward.c, answer.c */
    struct spate_port *ports[SPATE_PORTS_MAX];
    uint32_t port_count;
    uint32_t port_next;
    struct spate_batch batch;                        /* From a port. */
    struct spate_batch forwarded_batch;              /* From a frame. */
    struct spate_node_peer peers[SPATE_MEMBERS_MAX]; /* In places that do not move. */
    uint32_t peer_count;                             /* Places used so far. */
    struct spate_node_peer *forwarding_peer;         /* Of forwarded_batch. */
    uint32_t answers_owed;
    struct spate_forwards forwards;
    struct spate_node_reads reads; /* read.c */
    struct spate_ring *pending;    /* node -> apply stage */
    struct spate_ring *answers;    /* apply stage -> node */

    /* peers.c, orders.c */
    spate_index members_followed; /* Of the membership that link and peers stand for. */
    uint64_t members_unreachable;
    struct spate_node_orders orders;

    /* apply.c */
    _Alignas(SPATE_CACHE_LINE_BYTES) struct {
        spate_index applied;
        spate_index fsm_applied;
        struct spate_pending *run; /* The oldest pending run … */
        uint32_t run_done;         /* … and how much of it has its outcome. */
        uint32_t ports_touched;
        bool has_answers;
        uint64_t entries;
        uint64_t bytes; /* Of the entries that were applied. */
        struct spate_command commands[SPATE_PROPOSALS_MAX];
        uint64_t values[SPATE_PROPOSALS_MAX];
    } apply;
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic uint64_t commit_shown;  /* node -> apply stage */
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic uint64_t applied_shown; /* apply stage -> node */
    _Atomic uint64_t entries_applied;
    _Atomic uint64_t applied_bytes;
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic bool is_apply_handed_over;
    _Atomic bool is_apply_waiting;
    _Atomic bool is_waiting_for_apply; /* The node wants to hear when something was applied. */

    /* sample.c */
    struct spate_node_sample sample;
    struct spate_node_follow follow;
    struct spate_ring *samples;         /* node -> who reads them */
    _Atomic uint64_t sample_to_apply;   /* node -> apply stage: its index … */
    _Atomic uint64_t sample_applied_at; /* … and back: 0 there, and here when. */

    /* compact.c, status.c */
    uint64_t compacted_past_members;
    uint64_t turns, turns_idle;
    uint64_t proposals, proposals_forwarded, proposals_refused;
    uint64_t frames_malformed;
    spate_time_ns status_at;
    bool status_is_stale;
    spate_term status_term;
    enum spate_role status_role;
    spate_node_id status_leader;
    _Alignas(SPATE_CACHE_LINE_BYTES) _Atomic uint64_t status_version;
    _Atomic uint64_t status_words[SPATE_NODE_STATUS_WORDS];
};

/* poll.c: lets the engine see one event of this turn. */
void spate_node_step(struct spate_node *node, struct spate_event *event);

/* recover.c: what stands in the store becomes the log in memory, unless the newest snapshot has to
 * take its place. */
spate_err spate_node_recover(struct spate_node *node, struct spate_store_loaded *ret_loaded,
                             bool *ret_store_is_behind);

/* snapshot.c */
spate_err spate_node_open_snapshots(struct spate_node *node);
void spate_node_close_snapshots(struct spate_node *node);
/* Of the newest snapshot. Errors: SPATE_ERR_CORRUPT */
spate_err spate_node_snapshot_membership(const struct spate_node *node,
                                         struct spate_membership *ret_membership,
                                         spate_index *ret_index);
bool spate_node_newest_snapshot(const struct spate_node *node, struct spate_entry_id *ret_last);
spate_err spate_node_restore_at_start(struct spate_node *node);
uint32_t spate_node_snapshots_turn(struct spate_node *node);
spate_time_ns spate_node_snapshots_deadline(const struct spate_node *node);
/* After entries were taken from the log: the store may forget them too. */
void spate_node_compact_store(struct spate_node *node);
void spate_node_snapshot_status(const struct spate_node *node,
                                struct spate_node_status *ret_status);
struct spate_snapshot_manifest;
void spate_node_encode_membership(const struct spate_node *node, spate_index index,
                                  struct spate_snapshot_manifest *manifest);

/* snapshot_take.c: the apply stage's. Whether nothing may be applied; whether there is work. */
uint32_t spate_node_snapshots_apply(struct spate_node *node);
bool spate_node_snapshots_hold_apply(const struct spate_node *node);
bool spate_node_snapshots_need_apply(const struct spate_node *node);

/* snapshot_send.c: members that need one are noted with each FLUSH. */
void spate_node_note_snapshots(struct spate_node *node);
void spate_node_send_snapshots(struct spate_node *node);
void spate_node_take_snapshot_result(struct spate_node *node, const struct spate_message *message);

/* snapshot_receive.c */
void spate_node_take_snapshot(struct spate_node *node, const struct spate_message *message);

/* membership.c: looks for memberships among the stored entries [first, after). */
spate_err spate_node_find_membership(struct spate_node *node, spate_index first, spate_index after);

/* frames.c: network -> engine. Returns the payloads taken. */
uint32_t spate_node_take_frames(struct spate_node *node);

/* send.c: engine -> network. False: there was no room, or the log moved on. */
bool spate_node_send(struct spate_node *node, const struct spate_message *message);
void spate_node_give_messages(struct spate_node *node);

/* storing.c: engine <-> disk. */
uint32_t spate_node_take_stored(struct spate_node *node);
bool spate_node_store_is_ready(const struct spate_node *node);
void spate_node_give_batch(struct spate_node *node);
bool spate_node_give_fetch(struct spate_node *node, const struct spate_effect_fetch *fetch);

/* proposals.c: ports -> engine. */
uint32_t spate_node_take_proposals(struct spate_node *node);

/* Proposes batch[next …]; false when nothing more can be proposed now. */
bool spate_node_propose(struct spate_node *node, struct spate_batch *batch,
                        struct spate_origin origin);

/* read.c: ports -> engine, and when the state machine has come so far, back to the ports. */
uint32_t spate_node_take_reads(struct spate_node *node);
uint32_t spate_node_answer_reads(struct spate_node *node);
spate_time_ns spate_node_read_deadline(const struct spate_node *node);

/* port.c: node -> client. */
void spate_port_reply(struct spate_port *port, const struct spate_result *result);
void spate_node_publish_replies(struct spate_node *node);
void spate_port_wake_client(struct spate_port *port);
uint32_t spate_port_room(struct spate_port *port);
void spate_port_destroy(struct spate_port *port);

/* forward.c: what a follower passes on. False: no room at the moment. */
bool spate_node_forward(struct spate_node *node, struct spate_port *port, uint64_t cookie,
                        const struct spate_proposal *proposal);
void spate_node_take_forward_result(struct spate_node *node, const struct spate_message *message);
uint32_t spate_node_tick_forwards(struct spate_node *node);

/* answer.c: what a leader was passed. */
void spate_node_take_forward(struct spate_node *node, const struct spate_message *message);
void spate_node_propose_forwarded(struct spate_node *node);
uint32_t spate_node_take_answers(struct spate_node *node);

/* peers.c: who is there. */
struct spate_node_peer *spate_node_peer_find(struct spate_node *node, spate_node_id id);
void spate_node_follow_members(struct spate_node *node);

/* orders.c: what operators want. */
uint32_t spate_node_take_orders(struct spate_node *node);

/* apply.c */
uint32_t spate_node_apply_turn(struct spate_node *node, uint32_t entries_max);
void spate_node_show_commit(struct spate_node *node);
bool spate_node_applies_inline(const struct spate_node *node);
/* Ends the apply thread's sleep, if there is one. */
void spate_node_wake_apply(struct spate_node *node);

/* outcome.c: entry -> outcome; the apply stage's. */
void spate_node_resolve(struct spate_node *node, spate_index first, spate_term term, uint32_t count,
                        const uint64_t values[]);
/* A snapshot took the place of all entries up to its last: whether those of ours among them took
 * effect is not known here. */
void spate_node_resolve_skipped(struct spate_node *node, struct spate_entry_id last);
void spate_node_publish_outcomes(struct spate_node *node);

/* sample.c: where the time of a commit goes. In the order of the stages; the first is the client's,
 * the one after the commit is the apply stage's, the others are the node's. */
uint32_t spate_port_mark(struct spate_port *port);
void spate_node_sample_taken(struct spate_node *node, uint32_t place, uint32_t marked_at);
void spate_node_sample_forget(struct spate_node *node);
void spate_node_sample_proposed(struct spate_node *node, const struct spate_batch *batch);
void spate_node_sample_encoded(struct spate_node *node);
void spate_node_sample_sent(struct spate_node *node);
void spate_node_sample_committed(struct spate_node *node, spate_index commit);
void spate_node_sample_applied(struct spate_node *node);
void spate_node_sample_finish(struct spate_node *node);
void spate_node_sample_follow(struct spate_node *node, const struct spate_message *message);

/* compact.c */
uint32_t spate_node_compact(struct spate_node *node);

/* status.c */
void spate_node_publish_status(struct spate_node *node);

#endif
