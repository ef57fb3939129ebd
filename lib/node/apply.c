/*
 * The apply stage: committed entries, in order, into the state machine; outcomes to who proposed.
 *
 * After a start the state machine may need entries that the log in memory no longer has. They are
 * read from the store, on the node's thread, whose the store is. Once the stage has reached the log
 * in memory it never needs the store again (compaction does not pass `applied`), and the apply
 * thread, if there is one, takes over.
 */
#include "node_internal.h"

#include "base/assert.h"

/* Read from the store in one turn while the state machine is rebuilt. */
#define CATCH_UP_BYTES_MAX (1u << 20)

bool spate_node_applies_inline(const struct spate_node *node)
{
    return !node->options.apply_is_threaded ||
           !atomic_load_explicit(&node->is_apply_handed_over, memory_order_relaxed);
}

/* Hands commands[0 … count) to the state machine and settles their proposals. */
static void apply_commands(struct spate_node *node, uint32_t count)
{
    if (count == 0) {
        return;
    }
    const struct spate_command *commands = node->apply.commands;
    struct spate_fsm *fsm = node->options.fsm;

    spate_assert(commands[0].index == node->apply.applied + 1);
    fsm->apply(fsm, commands, count, node->apply.values);
    node->apply.applied += count;
    node->apply.entries += count;
    spate_node_resolve(node, commands[0].index, commands[0].term, count, node->apply.values);
}

/* An entry that is not for the state machine still supersedes proposals of older terms. */
static void pass_over(struct spate_node *node, spate_term term)
{
    node->apply.applied++;
    spate_node_resolve(node, node->apply.applied, term, 0, NULL);
}

/* `span` begins behind what is applied and has one term. */
static void apply_span(struct spate_node *node, const struct spate_log_span *span, uint32_t count)
{
    const uint8_t *from = span->data;
    uint32_t left = span->bytes;
    uint32_t gathered = 0;

    spate_assert(span->first == node->apply.applied + 1);
    spate_assert(count <= span->count);
    spate_assert(count <= SPATE_PROPOSALS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct spate_entry entry;
        const uint32_t stride = spate_entry_decode(from, left, &entry);

        spate_assert(stride != 0);
        from += stride;
        left -= stride;
        node->apply.bytes += stride;
        if (entry.kind != SPATE_ENTRY_COMMAND) {
            apply_commands(node, gathered);
            gathered = 0;
            pass_over(node, span->term);
            continue;
        }
        node->apply.commands[gathered] = (struct spate_command){
            .index = span->first + i, .term = span->term, .size = entry.size, .data = entry.data};
        gathered++;
    }
    apply_commands(node, gathered);
}

/* Entries below the log in memory. Returns how many were applied. */
static uint32_t apply_from_store(struct spate_node *node, spate_index last)
{
    const spate_index before = node->apply.applied;
    struct spate_log_span span;

    spate_assert(spate_node_applies_inline(node));
    const spate_err err =
        node->store->ops->read(node->store, before + 1, CATCH_UP_BYTES_MAX, &span);
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_NOT_FOUND ? SPATE_ERR_CORRUPT : err;
        return 0;
    }
    while (span.count > 0 && node->apply.applied < last) {
        const uint64_t wanted = last - node->apply.applied;
        uint32_t count = span.count < SPATE_PROPOSALS_MAX ? span.count : SPATE_PROPOSALS_MAX;
        count = wanted < count ? (uint32_t)wanted : count;

        apply_span(node, &span, count);
        for (uint32_t i = 0; i < count; i++) {
            struct spate_entry entry;
            const uint32_t stride = spate_entry_decode(span.data, span.bytes, &entry);
            span.data += stride;
            span.bytes -= stride;
        }
        span.first += count;
        span.count -= count;
    }
    return (uint32_t)(node->apply.applied - before);
}

static uint32_t apply_from_log(struct spate_node *node, const struct spate_log_view *view,
                               spate_index commit, uint32_t entries_max)
{
    uint32_t done = 0;

    spate_assert(commit <= view->last);
    while (node->apply.applied < commit && done < entries_max) {
        const uint64_t left = commit - node->apply.applied;
        const uint32_t wanted = left < SPATE_PROPOSALS_MAX ? (uint32_t)left : SPATE_PROPOSALS_MAX;
        struct spate_log_span span;

        spate_log_view_span(view, node->apply.applied + 1, wanted, UINT32_MAX, &span);
        apply_span(node, &span, span.count);
        done += span.count;
    }
    return done;
}

uint32_t spate_node_apply_turn(struct spate_node *node, uint32_t entries_max)
{
    const spate_index commit = atomic_load_explicit(&node->commit_shown, memory_order_acquire);
    struct spate_log_view view;
    uint32_t done;

    done = spate_node_snapshots_apply(node);
    if (spate_node_snapshots_hold_apply(node) || node->apply.applied >= commit) {
        return done;
    }
    spate_log_view(node->log, &view);
    if (node->apply.applied + 1 < view.first) {
        done += apply_from_store(node, commit < view.first ? commit : view.first - 1);
    } else {
        done += apply_from_log(node, &view, commit, entries_max);
    }
    spate_node_publish_outcomes(node);
    spate_node_sample_applied(node);
    atomic_store_explicit(&node->entries_applied, node->apply.entries, memory_order_relaxed);
    atomic_store_explicit(&node->applied_bytes, node->apply.bytes, memory_order_relaxed);
    atomic_store_explicit(&node->applied_shown, node->apply.applied, memory_order_release);
    return done;
}

/*
 * Lets the apply stage see the commit index; entries up to it are in the log for good. The
 * hand-over to the apply thread happens here too, at a moment when the stage is not running.
 */
void spate_node_show_commit(struct spate_node *node)
{
    const spate_index commit = node->effects.commit;
    const spate_index shown = atomic_load_explicit(&node->commit_shown, memory_order_relaxed);

    spate_assert(commit >= shown);
    if (commit > shown) {
        spate_node_sample_committed(node, commit);
        atomic_store_explicit(&node->commit_shown, commit, memory_order_release);
    }
    if (!node->options.apply_is_threaded) {
        return;
    }
    if (spate_node_applies_inline(node)) {
        if (node->apply.applied + 1 < spate_log_first(node->log)) {
            return;
        }
        atomic_store_explicit(&node->is_apply_handed_over, true, memory_order_release);
    } else if (commit == shown) {
        return;
    }
    spate_node_wake_apply(node);
}

void spate_node_wake_apply(struct spate_node *node)
{
    struct spate_waker *waker = node->options.apply_waker;

    if (node->options.apply_is_threaded && waker != NULL &&
        atomic_exchange_explicit(&node->is_apply_waiting, false, memory_order_acq_rel)) {
        waker->wake(waker);
    }
}

uint32_t spate_node_apply(struct spate_node *node)
{
    spate_assert(node != NULL);
    spate_assert(node->options.apply_is_threaded);
    if (!atomic_load_explicit(&node->is_apply_handed_over, memory_order_acquire)) {
        return 0;
    }
    const uint32_t done = spate_node_apply_turn(node, SPATE_TURN_APPLY_MAX);

    if (done > 0 &&
        atomic_exchange_explicit(&node->is_waiting_for_apply, false, memory_order_acq_rel)) {
        spate_node_wake(node);
    }
    return done;
}

bool spate_node_apply_may_wait(struct spate_node *node)
{
    spate_assert(node != NULL);
    /* As in spate_port_results(): who shows a commit index exchanges the flag afterwards. */
    (void)atomic_exchange_explicit(&node->is_apply_waiting, true, memory_order_acq_rel);
    const bool is_applied = atomic_load_explicit(&node->commit_shown, memory_order_acquire) ==
                                atomic_load_explicit(&node->applied_shown, memory_order_relaxed) ||
                            spate_node_snapshots_hold_apply(node);
    return (is_applied && !spate_node_snapshots_need_apply(node)) ||
           !atomic_load_explicit(&node->is_apply_handed_over, memory_order_acquire);
}
