/* Between engine and store: batches and their completion, and old entries for members far behind.
 */
#include "node_internal.h"

#include "base/assert.h"

/*
 * One batch on its way to the disk and one waiting behind it: enough to keep the disk busy, and
 * whatever else arrives meanwhile makes the next batch larger instead of the queue longer.
 */
#define TICKETS_OPEN_MAX 2u

uint32_t spate_node_take_stored(struct spate_node *node)
{
    spate_ticket completed = node->store_completed;
    const spate_err err = node->store->ops->poll(node->store, &completed);

    if (err != SPATE_OK) {
        node->failure = err;
        return 0;
    }
    spate_assert(completed >= node->store_completed);
    spate_assert(completed <= node->store_submitted);
    node->store_completed = completed;

    /* An engine's batch is durable when the last of its transactions is. */
    while (node->tickets_completed < node->tickets_submitted) {
        const uint64_t next = node->tickets_completed + 1;
        if (node->ticket_last[next % SPATE_TICKETS_MAX] > completed) {
            break;
        }
        node->tickets_completed = next;
    }
    if (node->batch_waits || node->tickets_completed == node->tickets_told) {
        return 0;
    }
    node->tickets_told = node->tickets_completed;
    struct spate_event event = {.kind = SPATE_EVENT_STORED,
                                .stored = {.ticket = node->tickets_completed}};
    spate_node_step(node, &event);
    return 1;
}

bool spate_node_store_is_ready(const struct spate_node *node)
{
    return node->tickets_submitted - node->tickets_completed < TICKETS_OPEN_MAX;
}

/* Cuts what is left of the range into at most SPATE_NODE_SPANS_MAX spans. */
static uint32_t cut_spans(struct spate_node *node, uint64_t *ret_entries)
{
    const struct spate_effect_store *effect = &node->effects.store;
    struct spate_log_view view;
    spate_index first = effect->first;
    uint64_t left = effect->count;
    uint32_t count = 0;

    spate_log_view(node->log, &view);
    while (left > 0 && count < SPATE_NODE_SPANS_MAX) {
        struct spate_log_span *span = &node->spans[count];
        const uint32_t wanted = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;

        spate_log_view_span(&view, first, wanted, UINT32_MAX, span);
        spate_assert(span->count >= 1);
        spate_assert(span->count <= left);
        first += span->count;
        left -= span->count;
        count++;
    }
    *ret_entries = effect->count - left;
    return count;
}

/*
 * Submits the batch, in one transaction unless it has more terms than spans. Then hard state and
 * truncation go with the first, and a crash in between leaves a prefix that nobody was told of.
 */
void spate_node_give_batch(struct spate_node *node)
{
    struct spate_effect_store *effect = &node->effects.store;

    node->batch_waits = false;
    while (effect->is_needed) {
        uint64_t entries;
        spate_ticket ticket;
        const struct spate_store_batch batch = {
            .has_hard_state = effect->has_hard_state,
            .hard_state = {.term = effect->term,
                           .vote = effect->vote,
                           .commit = effect->commit,
                           .is_mute = effect->is_mute},
            .is_binding = spate_raft_membership(node->raft)->count > 1,
            .has_reset = effect->has_reset,
            .reset_base = effect->reset_base,
            .has_truncate = effect->has_truncate,
            .truncate_after = effect->truncate_after,
            .spans = node->spans,
            .span_count = cut_spans(node, &entries),
        };
        const spate_err err = node->store->ops->submit(node->store, &batch, &ticket);

        if (err != SPATE_OK) {
            node->batch_waits = err == SPATE_ERR_BUSY;
            node->failure = err == SPATE_ERR_BUSY ? SPATE_OK : err;
            return;
        }
        spate_assert(ticket == node->store_submitted + 1);
        node->store_submitted = ticket;
        effect->has_hard_state = false;
        effect->has_reset = false;
        effect->has_truncate = false;
        effect->first += entries;
        effect->count -= entries;
        if (effect->count == 0) {
            spate_assert(effect->ticket == node->tickets_submitted + 1);
            node->tickets_submitted = effect->ticket;
            node->ticket_last[effect->ticket % SPATE_TICKETS_MAX] = ticket;
            effect->is_needed = false;
        }
    }
}

/* The term of the stored entry at `index`. */
static spate_err stored_term(struct spate_node *node, spate_index index, spate_term *ret_term)
{
    struct spate_log_span span;

    if (index == node->stored_base.index) {
        *ret_term = node->stored_base.term;
        return SPATE_OK;
    }
    if (index == node->fetched_last.index) {
        *ret_term = node->fetched_last.term;
        return SPATE_OK;
    }
    const spate_err err = node->store->ops->read(node->store, index, 1, &span);
    if (err == SPATE_OK) {
        *ret_term = span.term;
    }
    return err;
}

/* Reads what a member far behind needs. True: FETCHED was stepped, so there is news to flush. */
bool spate_node_give_fetch(struct spate_node *node, const struct spate_effect_fetch *fetch)
{
    struct spate_event event = {.kind = SPATE_EVENT_FETCHED, .fetched = {.member = fetch->member}};

    if (!fetch->is_needed) {
        return false;
    }
    spate_assert(fetch->first >= 1);
    spate_err err = SPATE_ERR_NOT_FOUND;
    if (fetch->first > node->stored_base.index) {
        event.fetched.prev.index = fetch->first - 1;
        err = stored_term(node, fetch->first - 1, &event.fetched.prev.term);
    }
    if (err == SPATE_OK) {
        err = node->store->ops->read(node->store, fetch->first, fetch->bytes_max,
                                     &event.fetched.span);
    }
    if (err == SPATE_OK) {
        const struct spate_log_span *span = &event.fetched.span;
        spate_assert(span->first == fetch->first);
        node->fetched_last.index = span->first + span->count - 1;
        node->fetched_last.term = span->term;
        node->fetches++;
    } else if (err != SPATE_ERR_NOT_FOUND) {
        /* A damaged record is never served, and a disk that cannot be read is no disk. */
        node->failure = err;
        return false;
    } else {
        node->fetches_missed++;
    }
    event.fetched.err = err;
    spate_node_step(node, &event);
    return err == SPATE_OK;
}
