/*
 * A node: the poll loop that connects engine, log, link, store, clock and state machine. It starts
 * no thread: the host calls spate_node_poll() from one thread, and, if it asked for that, runs the
 * apply stage on another.
 *
 *   clients --port--> propose ring --> node thread --> results ring --port--> clients
 *                                          |  ^
 *                   frames <-> link        |  |  STORED        store thread
 *                                          v  |
 *                                 log  --> apply stage --> state machine
 */
#ifndef SPATE_NODE_NODE_H
#define SPATE_NODE_NODE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/types.h"
#include "link/link.h"
#include "node/port.h"
#include "raft/raft.h"
#include "spate/fsm.h"
#include "spate/sample.h"
#include "store/snapshots.h"
#include "store/store.h"

struct spate_node;

struct spate_node_options {
    spate_node_id self;
    uint64_t session; /* Drawn at each process start; not 0; the link's too. */
    uint64_t seed;
    uint64_t incarnation; /* Of self, as in raft.h. */

    /* Of the founders, in force until the snapshot or the log says something else. Empty: this node
     * joins a cluster, and hears from others who is who. */
    struct spate_membership membership;
    spate_index membership_index; /* 0. (A snapshot that is found at start sets both.) */

    struct spate_link *link;           /* Owned by the node from creation on. */
    struct spate_store *store;         /* Likewise. */
    struct spate_snapshots *snapshots; /* Likewise. NULL: the whole log is kept. */
    struct spate_clock *clock;         /* Outlives the node. */
    struct spate_reclaim *reclaim;     /* Outlives the node. */
    struct spate_fsm *fsm;             /* Outlives the node. */

    uint64_t log_budget_bytes; /* Of the log in memory. 0: 256 MiB. */
    uint32_t log_segment_bytes;
    spate_time_ns election_timeout_ns_min;
    spate_time_ns election_timeout_ns_max;
    spate_time_ns heartbeat_ns;
    uint64_t window_bytes;     /* 0: a default. */
    uint32_t window_messages;  /* 0: a default. */
    uint32_t append_count_max; /* 0: no bound but the frame. For tests. */
    uint32_t sample_every;     /* Commands of a port between two that are timed. 0: 256. */
    bool lease_enabled;        /* As in raft.h. */
    uint64_t snapshot_entries; /* A snapshot is due after so many. 0: a default; in memory never. */
    uint64_t snapshot_bytes;   /* Or after so many bytes of entries. 0: likewise. */
    uint64_t snapshot_keep_entries; /* The store keeps so many before the newest. 0: a default. */
    bool apply_is_threaded; /* The host calls spate_node_apply() from a thread of its own. */
    struct spate_waker
        *apply_waker; /* Ends that thread's sleep. NULL: it never sleeps. Outlives. */
};

/*
 * Recovers from the store and makes a node that is ready to be polled. Linear in what is stored
 * (bounded by the log's budget, besides what the state machine has to see again).
 *
 * Memory: nothing is allocated afterwards.
 * Errors: SPATE_ERR_INVALID, SPATE_ERR_NO_MEMORY, SPATE_ERR_CORRUPT, SPATE_ERR_IO,
 *         SPATE_ERR_MISMATCH (the state machine is ahead of the store), SPATE_ERR_COMPACTED (the
 *         store does not reach back to where the state machine, or the newest snapshot, stands). On
 *         failure link, store and snapshots are closed.
 */
spate_err spate_node_create(const struct spate_node_options *options,
                            struct spate_node **ret_node) SPATE_MUST_CHECK;

/* Requires: no thread is in a function of the node or of its ports. Accepts NULL. */
void spate_node_destroy(struct spate_node *node);

/*
 * One turn: gather what happened, let the engine decide, hand out what to do. Never waits.
 *
 * Thread: the node's.
 * Errors: SPATE_ERR_IO, SPATE_ERR_CORRUPT: the store failed; the node must be destroyed and the
 *         process should end. SPATE_ERR_FORGOTTEN: likewise; the leader knows of entries that this
 *         core acknowledged and does not have. Started again it is mute until it was brought up to
 *         date (lib/raft/mute.c). *ret_work: how much was done; 0: nothing to do.
 */
spate_err spate_node_poll(struct spate_node *node, uint32_t *ret_work) SPATE_MUST_CHECK;

/* When to poll at the latest, if nothing arrives. Thread: the node's. */
spate_time_ns spate_node_deadline(const struct spate_node *node);

/*
 * Blocks until there may be something to do or the deadline passes. (The calling thread must be
 * offline for the reclaimer meanwhile.) Thread: the node's.
 */
void spate_node_wait(struct spate_node *node);

/* Ends the current or the next wait. Thread: any. */
void spate_node_wake(struct spate_node *node);

/*
 * One turn of the apply stage; only with apply_is_threaded. Returns how many entries were applied.
 *
 * Thread: the apply thread, inside a read section of the reclaimer.
 */
uint32_t spate_node_apply(struct spate_node *node);

/*
 * Whether the apply thread may sleep until its waker is called. False: there is something to apply.
 *
 * Thread: the apply thread.
 */
bool spate_node_apply_may_wait(struct spate_node *node);

/*
 * Opens a port. Requires: before the first poll, or on the node's thread.
 * Errors: SPATE_ERR_BUSY (SPATE_PORTS_MAX are open), SPATE_ERR_NO_MEMORY
 * Memory: the node's; closed with it.
 */
spate_err spate_node_open_port(struct spate_node *node, uint32_t ring_bytes,
                               struct spate_port **ret_port) SPATE_MUST_CHECK;

/* What an operator may ask of the cluster, through the leader's node. */
struct spate_order {
    bool is_transfer;
    spate_node_id transfer_to; /* 0: whoever is best. */
    struct spate_change change;
};

/*
 * OK: it is committed, and no change is under way any more; of a transfer: another core leads.
 * NOT_READY: this core does not lead, `leader` does (0: nobody that it knows of). INVALID: refused;
 * `verdict` says why. UNKNOWN: another leader came first: it may or may not take effect.
 */
struct spate_order_answer {
    spate_err err;
    enum spate_change_verdict verdict;
    spate_index index; /* The entry that it became. */
    spate_node_id leader;
};

/* Orders that may be open at once. */
#define SPATE_ORDERS_MAX 8u

/*
 * Hands over an order; it is copied. Its answer comes within a few election timeouts. Thread: any.
 * Errors: SPATE_ERR_BUSY
 */
spate_err spate_node_order(struct spate_node *node, const struct spate_order *order,
                           uint64_t *ret_ticket) SPATE_MUST_CHECK;

/* Takes the answer; false: there is none yet. Thread: who has the ticket. */
bool spate_node_order_answer(struct spate_node *node, uint64_t ticket,
                             struct spate_order_answer *ret_answer);

/* Nobody will ask for the answer. Thread: who has the ticket. */
void spate_node_order_abandon(struct spate_node *node, uint64_t ticket);

/*
 * A copy of the state for somebody outside: an image (lib/store/snapshots.h) that has everything
 * that this node had applied when it was asked for. One at a time. Thread: any; of one copy always
 * the same, and not after the node is destroyed.
 *
 * begin: SPATE_ERR_BUSY: another copy is open; SPATE_ERR_UNSUPPORTED: no snapshots here.
 * read:  the next bytes, at most `capacity`; none: that was all. Never blocks. SPATE_ERR_BUSY: not
 *        there yet; SPATE_ERR_IO.
 * end:   always, whether all was read or not.
 */
spate_err spate_node_copy_begin(struct spate_node *node) SPATE_MUST_CHECK;
spate_err spate_node_copy_read(struct spate_node *node, uint8_t *to, uint32_t capacity,
                               uint32_t *ret_bytes) SPATE_MUST_CHECK;
void spate_node_copy_end(struct spate_node *node);

struct spate_node_status {
    struct spate_raft_status raft;
    uint64_t members_unreachable; /* Addresses that this core's transport cannot reach. */
    spate_index applied;
    spate_index log_first;
    uint64_t log_used_bytes;
    uint64_t log_budget_bytes;
    uint64_t turns, turns_idle;
    uint64_t proposals, proposals_forwarded, proposals_refused;
    uint64_t entries_applied;
    uint64_t reads, reads_refused; /* Asked through ports; of those: NOT_READY. */
    uint64_t frames_malformed;     /* Authentic frames whose messages could not be decoded. */
    uint64_t batches_stored;
    uint64_t compacted_past_members; /* Memory was short: entries went that a member still needs. */
    spate_index snapshot_index;      /* Of the newest snapshot; 0: there is none. */
    uint64_t snapshots_taken, snapshots_sent, snapshots_installed, snapshots_refused;
    uint64_t snapshot_bytes_sent, snapshot_bytes_received;
    uint64_t fetches, fetches_missed; /* Reads of old entries for members far behind. */
    enum spate_durability durability;
    bool is_disk_low; /* Little free space: it refuses proposals while it leads. */
};

/* What the node last published about itself (at least once per heartbeat). Thread: any. */
void spate_node_status(const struct spate_node *node, struct spate_node_status *ret_status);

/* As spate_next_sample(). Thread: any, but always the same. */
bool spate_node_next_sample(struct spate_node *node, struct spate_sample *ret_sample);

/* For tests and status: the parts. Thread: see their headers. */
const struct spate_link *spate_node_link(const struct spate_node *node);

#endif
