/*
 * Keeps the log in memory small, and within its budget.
 *
 * What nobody will ask for goes at once, but for a short tail: the same few segments are then
 * written again and again and stay in the processor's cache, where a log that walks through its
 * whole budget misses it with every entry. Nobody will ask for entries that are applied here and
 * held by all members; with a store that keeps entries, for any that are applied and durable.
 *
 * While a member is behind or away, entries are kept for it as long as memory lasts; then it is fed
 * from the store, or, without one that keeps entries, has to wait for a snapshot.
 */
#include "node_internal.h"

#include "base/assert.h"

/* Whole segments that stay behind the newest entries: for members that are a little behind. */
#define TAIL_SEGMENTS 2u

static spate_index lower(spate_index a, spate_index b)
{
    return a < b ? a : b;
}

/*
 * Of the entries in memory a quarter goes at a time, half when it is urgent: whoever is a little
 * behind still finds its entries, and the work is spread.
 */
static spate_index part_after(const struct spate_log *log, bool is_urgent)
{
    const spate_index first = spate_log_first(log);
    const uint64_t count = spate_log_last(log) + 1 - first;

    return first + count / (is_urgent ? 2 : 4) + 1;
}

/* What nobody will ask this node's memory for. 0: nothing is known to be so. */
static spate_index unneeded(const struct spate_node *node)
{
    return node->store->durability == SPATE_DURABILITY_DISK
               ? lower(spate_raft_durable(node->raft), spate_raft_needed_first(node->raft) - 1)
               : spate_raft_held_by_all(node->raft);
}

/* Forgets entries before `first_kept`, of those that are applied. Whether that was any. */
static bool forget(struct spate_node *node, spate_index first_kept)
{
    const spate_index first = spate_log_first(node->log);

    if (first_kept <= first) {
        return false;
    }
    spate_log_compact(node->log, first_kept);
    spate_assert(spate_log_first(node->log) <= first_kept);
    return spate_log_first(node->log) > first;
}

/* Memory is short: forget a part of what is applied and durable, politely if there is still time.
 */
static bool relieve(struct spate_node *node, spate_index applied)
{
    struct spate_log *log = node->log;
    const uint64_t budget = spate_log_budget_bytes(log);
    const bool is_urgent = spate_log_used_bytes(log) >= budget - budget / 8;
    const spate_index allowed =
        lower(lower(applied, spate_raft_durable(node->raft)) + 1, part_after(log, is_urgent));
    const spate_index polite = lower(allowed, spate_raft_needed_first(node->raft));
    const bool has_freed = forget(node, is_urgent ? allowed : polite);

    node->compacted_past_members += has_freed && spate_log_first(log) > polite;
    if (applied < atomic_load_explicit(&node->commit_shown, memory_order_relaxed) &&
        !spate_node_applies_inline(node)) {
        (void)atomic_exchange_explicit(&node->is_waiting_for_apply, true, memory_order_acq_rel);
    }
    return has_freed;
}

uint32_t spate_node_compact(struct spate_node *node)
{
    struct spate_log *log = node->log;
    const uint64_t used = spate_log_used_bytes(log) - spate_log_retired_bytes(log);
    const uint64_t budget = spate_log_budget_bytes(log);

    if (used <= TAIL_SEGMENTS * (uint64_t)spate_log_segment_bytes(log) ||
        node->failure != SPATE_OK || node->batch_waits) {
        return 0;
    }
    const spate_index applied = atomic_load_explicit(&node->applied_shown, memory_order_acquire);
    bool has_freed = forget(node, lower(applied, unneeded(node)) + 1);
    if (!has_freed && spate_log_used_bytes(log) >= budget - budget / 4) {
        has_freed = relieve(node, applied);
    }
    if (has_freed && node->store->durability == SPATE_DURABILITY_MEMORY) {
        node->failure = node->store->ops->compact(node->store, spate_log_first(log));
        spate_raft_compacted(node->raft, spate_log_first(log));
    }
    return has_freed;
}
