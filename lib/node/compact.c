/*
 * Keeps the log in memory within its budget: what is applied and durable may go from memory once
 * memory is short. Members that still need it are waited for as long as that is possible; then
 * they are fed from the store, or, without one that keeps entries, have to wait for a snapshot.
 */
#include "node_internal.h"

#include "base/assert.h"

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

uint32_t spate_node_compact(struct spate_node *node)
{
    struct spate_log *log = node->log;
    const uint64_t budget = spate_log_budget_bytes(log);
    const uint64_t used = spate_log_used_bytes(log);

    if (used < budget - budget / 4 || node->failure != SPATE_OK || node->batch_waits) {
        return 0;
    }
    const bool is_urgent = used >= budget - budget / 8;
    const spate_index applied = atomic_load_explicit(&node->applied_shown, memory_order_acquire);
    struct spate_raft_status raft;
    spate_raft_status(node->raft, node->now, &raft);
    const spate_index allowed = lower(lower(applied, raft.durable) + 1, part_after(log, is_urgent));
    const spate_index first = spate_log_first(log);
    const spate_index polite = lower(allowed, spate_raft_needed_first(node->raft));
    const spate_index target = is_urgent ? allowed : polite;
    uint32_t freed = 0;

    if (target > first) {
        spate_log_compact(log, target);
        const spate_index now_first = spate_log_first(log);
        spate_assert(now_first <= target);
        freed = now_first > first;
        node->compacted_past_members += freed > 0 && now_first > polite;
        if (freed > 0 && node->store->durability == SPATE_DURABILITY_MEMORY) {
            const spate_err err = node->store->ops->compact(node->store, now_first);
            node->failure = err;
        }
    }
    if (applied < raft.commit && !spate_node_applies_inline(node)) {
        (void)atomic_exchange_explicit(&node->is_waiting_for_apply, true, memory_order_acq_rel);
    }
    return freed;
}
