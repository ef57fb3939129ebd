/*
 * The store driver table: what must outlive the process.
 *
 * The owner submits batches and polls for their completion; the driver's own thread (if it has
 * one) writes and syncs. A batch is one transaction: hard state, reset, truncation and append
 * take effect together or not at all. Everything that was submitted while the last sync ran goes
 * into the next one (group commit). Tickets complete in the order in which they were submitted.
 *
 * The driver copies what it needs inside submit, so it never reads the log, and a truncation of
 * the log cannot race it (docs/adr/0010).
 *
 * A failed write or sync is final: poll reports SPATE_ERR_IO for ever, and the host stops.
 *
 * Thread: all functions are called by one thread, the owner. `wake` (given at creation) is called
 * by the driver from any thread when poll has something new.
 */
#ifndef SPATE_STORE_STORE_H
#define SPATE_STORE_STORE_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/types.h"
#include "log/log.h"

/* What Raft must not forget about elections (Raft paper figure 2, "persistent state"). */
struct spate_hard_state {
    spate_term term;
    spate_node_id vote; /* In `term`; 0: none. */
    spate_index commit; /* A lower bound of the commit index: safe to apply up to at start. */
    bool is_mute;       /* Promises were made that the log may not hold (lib/raft/mute.c). */
};

/*
 * Whose data this is: written when a store is founded. Cluster and node are compared ever after;
 * the incarnation is only recorded, and data with another one is accepted.
 */
struct spate_store_identity {
    uint8_t cluster_id[16];
    spate_node_id node_id;
    uint64_t incarnation; /* Grows by one whenever the node comes back without its data. */
};

struct spate_store_batch {
    bool has_hard_state;
    struct spate_hard_state hard_state;

    bool is_binding; /* Other cores may come to rely on what this batch promises. */

    bool has_reset; /* First forget all entries: the log begins anew behind `reset_base`. */
    struct spate_entry_id reset_base;

    bool has_truncate; /* Forget all entries after `truncate_after`, then append. */
    spate_index truncate_after;

    /* Entries to append: spans that follow each other without a gap. The bytes are read during
     * submit only. */
    const struct spate_log_span *spans;
    uint32_t span_count;
};

/* Completions count tickets: the first submitted batch is ticket 1. */
typedef uint64_t spate_ticket;

/* What load found. Entries lie between base (exclusive) and last (inclusive). */
struct spate_store_loaded {
    bool is_new;     /* Nothing was ever stored here. */
    bool is_damaged; /* What stood behind `last` is lost: nothing is taken before `repair`. */
    struct spate_hard_state hard_state;
    struct spate_entry_id base;
    spate_index last;
};

struct spate_store;

struct spate_store_ops {
    const char *name; /* "mem", "lmdb", "fault" */

    /* What stands in the store, before the first submit. SPATE_ERR_CORRUPT, SPATE_ERR_IO. */
    spate_err (*load)(struct spate_store *store, struct spate_store_loaded *ret_loaded);

    /*
     * Gives up what is damaged, and all that stood behind it: first it is made durable that this
     * core is mute, for it has acknowledged what is now lost; then the log ends at `last`. Load
     * says so, and batches are taken. An opening after a crash in between goes on with it.
     *
     * Requires: load said is_damaged, and other voters have the entries. NULL: it never says so.
     * Errors:   SPATE_ERR_IO
     */
    spate_err (*repair)(struct spate_store *store);

    /*
     * Reads the span that begins at `first`, with at most `bytes_max` bytes (at least one entry),
     * into the driver's buffer, valid until the next call. Every record is checked.
     * Errors: SPATE_ERR_NOT_FOUND, SPATE_ERR_CORRUPT, SPATE_ERR_IO
     */
    spate_err (*read)(struct spate_store *store, spate_index first, uint32_t bytes_max,
                      struct spate_log_span *ret_span);

    /*
     * Takes a batch. *ret_ticket counts up by one. SPATE_ERR_BUSY: no room; nothing was taken; poll
     * and try again. Spans as large as the driver's `batch_bytes_max` are always taken in the end.
     */
    spate_err (*submit)(struct spate_store *store, const struct spate_store_batch *batch,
                        spate_ticket *ret_ticket);

    /*
     * *ret_completed: all tickets up to this one are durable. Never blocks.
     * Errors: SPATE_ERR_IO, SPATE_ERR_CORRUPT: final.
     */
    spate_err (*poll)(struct spate_store *store, spate_ticket *ret_completed);

    /*
     * Forgets entries before `first_kept`, sooner or later, a bounded part at a time beside what is
     * submitted. SPATE_ERR_BUSY: no room; ask again. What a damaged record stands in the way of
     * ends the store: poll reports SPATE_ERR_CORRUPT.
     */
    spate_err (*compact)(struct spate_store *store, spate_index first_kept);

    /* Finishes what was submitted, then closes. Accepts NULL. */
    void (*close)(struct spate_store *store);
};

/* Drivers embed this as their first member. */
struct spate_store {
    const struct spate_store_ops *ops;
    uint64_t batch_bytes_max; /* The largest batch that submit takes. */
    enum spate_durability durability;
    const _Atomic bool *is_low; /* Little free space: no more proposals, please. NULL: never. */
    const char *damage;         /* What was found damaged, in one line for people. NULL: nothing. */
};

/* Thread: the owner's. */
static inline bool spate_store_is_low(const struct spate_store *store)
{
    return store->is_low != NULL && atomic_load_explicit(store->is_low, memory_order_relaxed);
}

/* How a driver tells the owner that poll has news. May be NULL: the owner polls anyway. */
struct spate_waker {
    void (*wake)(struct spate_waker *waker); /* Thread: any. */
};

/*
 * A decorator that proves the contract at run time: tickets in order, spans without gaps,
 * truncations within what was submitted, nothing after a final error. Takes ownership of `inner`.
 */
spate_err spate_store_checked_create(struct spate_store *inner,
                                     struct spate_store **ret_store) SPATE_MUST_CHECK;

#endif
