/*
 * What stands in the store at start becomes the log in memory: its newest part, up to a third
 * of the budget, so that there is room to work even when half of each segment is lost on entries
 * that do not fit behind each other. Older entries stay in the store for those who need them. What
 * is not known to be committed is all in memory, whatever its size: it may yet have to be taken
 * back (tests/track-record.md). It was in memory before, so it fits.
 */
#include "node_internal.h"

#include "base/assert.h"

/* Entries by which the search for the beginning of that part first steps back. */
#define STEP_FIRST 1024u

/* The bytes of the stored entries [first, last], or more than `bytes_max`. */
static spate_err measure(struct spate_store *store, spate_index first, spate_index last,
                         uint64_t bytes_max, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;

    while (first <= last && bytes <= bytes_max) {
        struct spate_log_span span;
        const spate_err err = store->ops->read(store, first, SPATE_NODE_READ_BYTES, &span);

        if (err != SPATE_OK) {
            return err;
        }
        spate_assert(span.first == first);
        spate_assert(span.count >= 1);
        bytes += span.bytes;
        first += span.count;
    }
    *ret_bytes = bytes;
    return SPATE_OK;
}

/* The lowest index from which on all entries together have at most `bytes_max` bytes, roughly. */
static spate_err find_first(struct spate_store *store, const struct spate_store_loaded *loaded,
                            uint64_t bytes_max, spate_index *ret_first)
{
    spate_index first = loaded->last + 1;
    uint64_t step = STEP_FIRST;
    uint64_t bytes = 0;

    while (first > loaded->base.index + 1 && step > 0) {
        const uint64_t left = first - 1 - loaded->base.index;
        const uint64_t back = step < left ? step : left;
        uint64_t more;
        const spate_err err = measure(store, first - back, first - 1, bytes_max - bytes, &more);

        if (err != SPATE_OK) {
            return err;
        }
        if (bytes + more > bytes_max) {
            /* Too far: only shorter steps from now on. */
            step = back / 2;
            continue;
        }
        bytes += more;
        first -= back;
        step = back == step ? step : left;
    }
    *ret_first = first;
    return SPATE_OK;
}

static spate_err read_base(struct spate_store *store, const struct spate_store_loaded *loaded,
                           spate_index index, struct spate_entry_id *ret_base)
{
    struct spate_log_span span;

    if (index == loaded->base.index) {
        *ret_base = loaded->base;
        return SPATE_OK;
    }
    const spate_err err = store->ops->read(store, index, 1, &span);
    if (err == SPATE_OK) {
        *ret_base = (struct spate_entry_id){.term = span.term, .index = index};
    }
    return err;
}

static spate_err read_back(struct spate_node *node, spate_index first, spate_index last)
{
    while (first <= last) {
        struct spate_log_span span;
        spate_err err = node->store->ops->read(node->store, first, SPATE_NODE_READ_BYTES, &span);

        if (err != SPATE_OK) {
            return err;
        }
        if (span.first != first || span.term < spate_log_last_term(node->log)) {
            return SPATE_ERR_CORRUPT;
        }
        err = spate_log_stage_encoded(node->log, span.term, span.data, span.bytes, span.count);
        if (err != SPATE_OK) {
            return err == SPATE_ERR_MALFORMED ? SPATE_ERR_CORRUPT : err;
        }
        spate_log_publish(node->log);
        first += span.count;
    }
    return SPATE_OK;
}

/*
 * A log that ends before the newest snapshot, or contradicts it, is what a crash leaves between a
 * snapshot's commit and the log's reset: the snapshot takes its place. A log that begins behind
 * the snapshot leaves a gap that nothing can fill.
 */
static spate_err compare_with_snapshot(struct spate_node *node, struct spate_store_loaded *loaded,
                                       bool *ret_store_is_behind)
{
    struct spate_entry_id snapshot;
    struct spate_entry_id there;

    *ret_store_is_behind = false;
    if (!spate_node_newest_snapshot(node, &snapshot)) {
        return SPATE_OK; /* Whether the log suffices is for the state machine to say. */
    }
    if (snapshot.index < loaded->base.index) {
        return SPATE_ERR_COMPACTED;
    }
    const spate_err bad = spate_node_snapshot_membership(node, &node->options.membership,
                                                         &node->options.membership_index);
    if (bad != SPATE_OK) {
        return bad;
    }
    if (snapshot.index <= loaded->last) {
        const spate_err err = read_base(node->store, loaded, snapshot.index, &there);
        if (err != SPATE_OK || there.term == snapshot.term) {
            return err;
        }
        if (loaded->hard_state.commit >= snapshot.index) {
            return SPATE_ERR_CORRUPT; /* What is committed does not change. */
        }
    }
    *ret_store_is_behind = true;
    loaded->base = snapshot;
    loaded->last = snapshot.index;
    loaded->hard_state.commit = snapshot.index;
    if (loaded->hard_state.term < snapshot.term) {
        /* We heard of that term, and nobody heard from us in it: no vote was durable. */
        loaded->hard_state.term = snapshot.term;
        loaded->hard_state.vote = 0;
    }
    return SPATE_OK;
}

/* Whether others have what is lost here. A core that joined knows that there are. */
static bool has_other_voters(const struct spate_node *node)
{
    const struct spate_membership *membership = &node->options.membership;

    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        if (member->id != node->options.self && (member->is_voter || member->is_voter_next)) {
            return true;
        }
    }
    return membership->count == 0;
}

/*
 * The log is damaged behind what load says. What is lost is with the other voters, if there are
 * any, and this core is mute until it has it again (docs/adr/0014). Who they are is for all that
 * is left of the log to say, and for the newest snapshot. A state machine that keeps its state by
 * itself must not be ahead of that.
 */
static spate_err repair(struct spate_node *node, struct spate_store_loaded *loaded)
{
    struct spate_store *store = node->store;
    const spate_index applied = node->options.fsm->applied(node->options.fsm);
    spate_index kept = loaded->last;
    struct spate_entry_id snapshot;
    spate_err err = SPATE_OK;

    spate_assert(loaded->is_damaged);
    if (spate_node_newest_snapshot(node, &snapshot)) {
        kept = snapshot.index > kept ? snapshot.index : kept;
        err = spate_node_snapshot_membership(node, &node->options.membership,
                                             &node->options.membership_index);
    }
    const spate_index known = node->options.membership_index > loaded->base.index
                                  ? node->options.membership_index
                                  : loaded->base.index;
    if (err == SPATE_OK) {
        err = spate_node_find_membership(node, known + 1, loaded->last + 1);
    }
    if (err == SPATE_OK && (!has_other_voters(node) || applied > kept)) {
        err = SPATE_ERR_CORRUPT;
    }
    if (err == SPATE_OK) {
        err = store->ops->repair(store);
    }
    return err == SPATE_OK ? store->ops->load(store, loaded) : err;
}

spate_err spate_node_recover(struct spate_node *node, struct spate_store_loaded *ret_loaded,
                             bool *ret_store_is_behind)
{
    struct spate_store *store = node->store;
    struct spate_entry_id base;
    spate_index first;

    spate_err err = store->ops->load(store, ret_loaded);
    if (err == SPATE_OK && ret_loaded->is_damaged) {
        err = repair(node, ret_loaded);
    }
    if (err != SPATE_OK) {
        return err;
    }
    if (ret_loaded->last < ret_loaded->base.index ||
        ret_loaded->hard_state.commit > ret_loaded->last) {
        return SPATE_ERR_CORRUPT;
    }
    err = compare_with_snapshot(node, ret_loaded, ret_store_is_behind);
    if (err != SPATE_OK) {
        return err;
    }
    node->stored_base = ret_loaded->base;
    err = find_first(store, ret_loaded, node->options.log_budget_bytes / 3, &first);
    if (err == SPATE_OK) {
        const spate_index commit = ret_loaded->hard_state.commit;
        const spate_index uncommitted =
            commit > ret_loaded->base.index ? commit + 1 : ret_loaded->base.index + 1;
        first = first < uncommitted ? first : uncommitted;
        err = read_base(store, ret_loaded, first - 1, &base);
    }
    if (err == SPATE_OK) {
        const spate_index known = node->options.membership_index > ret_loaded->base.index
                                      ? node->options.membership_index
                                      : ret_loaded->base.index;
        err = spate_node_find_membership(node, known + 1, first);
    }
    if (err != SPATE_OK) {
        return err == SPATE_ERR_NOT_FOUND ? SPATE_ERR_CORRUPT : err;
    }
    const struct spate_log_options options = {
        .budget_bytes = node->options.log_budget_bytes,
        .segment_bytes = node->options.log_segment_bytes,
        .reclaim = node->options.reclaim,
        .base = base,
    };
    err = spate_log_create(&options, &node->log);
    if (err == SPATE_OK) {
        err = read_back(node, first, ret_loaded->last);
    }
    if (err == SPATE_OK && ret_loaded->hard_state.term < spate_log_last_term(node->log)) {
        err = SPATE_ERR_CORRUPT;
    }
    return err == SPATE_ERR_NOT_FOUND ? SPATE_ERR_CORRUPT : err;
}
