/* What the store is given: one transaction for all that happened since the last one. */
#include "raft_internal.h"

/* How far the commit index moves on before a batch takes it along. */
#define HINT_ENTRIES 64u

static bool hard_state_is_due(const struct spate_raft *raft)
{
    spate_assert(raft->tickets.submitted.term <= raft->term);
    return raft->tickets.submitted.term != raft->term ||
           raft->tickets.submitted.vote != raft->vote ||
           raft->tickets.submitted.is_mute != raft->is_mute;
}

/* A hint that is far behind would make a start read all behind it into memory. */
static bool hint_is_due(const struct spate_raft *raft)
{
    spate_assert(raft->commit >= raft->commit_hinted);
    return raft->commit - raft->commit_hinted >= HINT_ENTRIES;
}

bool spate_batch_is_due(const struct spate_raft *raft)
{
    spate_assert(raft->tickets.submitted.last <= spate_log_last(raft->log));
    return hard_state_is_due(raft) || raft->tickets.has_reset || raft->tickets.has_truncate ||
           raft->tickets.submitted.last != spate_log_last(raft->log);
}

/* How many entries from `first` on fit; at least one, unless there is none. */
static uint64_t count_entries(const struct spate_raft *raft, spate_index first, uint64_t bytes_max)
{
    struct spate_log_view view;
    uint64_t bytes = 0;
    uint64_t count = 0;

    spate_log_view(raft->log, &view);
    spate_assert(first >= view.first);
    while (first + count <= view.last && (count == 0 || bytes < bytes_max)) {
        struct spate_log_span span;
        const uint64_t left = bytes_max > bytes ? bytes_max - bytes : 0;
        spate_log_view_span(&view, first + count, UINT32_MAX,
                            left < UINT32_MAX ? (uint32_t)left : UINT32_MAX, &span);
        if (count > 0 && span.bytes > left) {
            break; /* A single entry that is larger than what is left. */
        }
        spate_assert(span.count >= 1);
        bytes += span.bytes;
        count += span.count;
    }
    return count;
}

void spate_batch_make(struct spate_raft *raft, uint64_t bytes_max, struct spate_effects *effects)
{
    struct spate_effect_store *store = &effects->store;
    struct spate_tickets *tickets = &raft->tickets;

    spate_assert(!store->is_needed);
    spate_assert(spate_tickets_has_room(tickets));
    store->is_needed = true;
    /* A log that begins behind a snapshot of a later term than the stored one takes the term along:
     * a start finds them together. */
    store->has_hard_state = hard_state_is_due(raft) || hint_is_due(raft) || tickets->has_reset;
    store->term = raft->term;
    store->vote = raft->vote;
    store->is_mute = raft->is_mute;
    store->has_reset = tickets->has_reset;
    store->reset_base = tickets->reset_base;
    store->has_truncate = tickets->has_truncate;
    store->truncate_after = tickets->truncate_after;
    store->first = tickets->submitted.last + 1;
    store->count = 0;
    if (store->first <= spate_log_last(raft->log)) {
        store->count = count_entries(raft, store->first, bytes_max);
    }
    const spate_index last = tickets->submitted.last + store->count;
    /* A restart must find what it is told to be committed. */
    store->commit = raft->commit < last ? raft->commit : last;
    raft->commit_hinted = store->has_hard_state ? store->commit : raft->commit_hinted;
    const struct spate_ticket_record record = {
        .term = raft->term, .vote = raft->vote, .is_mute = raft->is_mute, .last = last};
    store->ticket = spate_tickets_issue(tickets, &record);
    spate_assert(store->has_hard_state || store->has_reset || store->has_truncate ||
                 store->count > 0);
}
