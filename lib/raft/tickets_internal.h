/*
 * What has been given to the store and what of it is durable. The engine's only source of the
 * durable index and of the durable (term, vote).
 *
 *   durable <= submitted <= the log's last
 *
 * Tickets complete in the order in which they were issued. A truncation caps what every outstanding
 * ticket promises, so a completion counts whatever became of the term meanwhile: entries that a
 * ticket wrote and that are still in the log are durable when it completes.
 */
#ifndef SPATE_RAFT_TICKETS_INTERNAL_H
#define SPATE_RAFT_TICKETS_INTERNAL_H

#include "base/types.h"
#include "raft/raft.h"

struct spate_ticket_record {
    spate_term term; /* The hard state in the store once this ticket is durable. */
    spate_node_id vote;
    bool is_mute;
    spate_index last; /* Entries up to here are durable then. */
};

struct spate_tickets {
    uint64_t issued;    /* The last ticket given out. */
    uint64_t completed; /* The last ticket known to be durable. */
    struct spate_ticket_record durable;
    struct spate_ticket_record submitted;
    bool has_reset; /* The next batch must first forget all entries and begin behind … */
    struct spate_entry_id reset_base;
    bool has_truncate; /* The next batch must first forget entries after `truncate_after`. */
    spate_index truncate_after;
    struct spate_ticket_record records[SPATE_TICKETS_MAX]; /* By ticket modulo the size. */
};

/* All that `durable` says is. */
void spate_tickets_init(struct spate_tickets *tickets, const struct spate_ticket_record *durable);

bool spate_tickets_has_room(const struct spate_tickets *tickets);

/* For a batch after which `record` holds. Requires: room; its last is not below what was submitted
 * (truncations are told beforehand). */
uint64_t spate_tickets_issue(struct spate_tickets *tickets,
                             const struct spate_ticket_record *record);

/* Returns whether anything became durable. Requires: ticket was issued. */
bool spate_tickets_complete(struct spate_tickets *tickets, uint64_t ticket);

/* The log now ends at `last_kept`. */
void spate_tickets_truncate(struct spate_tickets *tickets, spate_index last_kept);

/*
 * The log now begins behind `base`, the last entry of a snapshot that is durable. So all up to it
 * is durable at once, whatever becomes of the outstanding tickets: a start after a crash finds the
 * snapshot, and an old log that has to give way to it.
 */
void spate_tickets_reset(struct spate_tickets *tickets, struct spate_entry_id base);

bool spate_tickets_valid(const struct spate_tickets *tickets);

#endif
