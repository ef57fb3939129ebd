/*
 * What the node tells about itself: a copy that any thread can read, at most a millisecond old
 * while the node is at work. A sequence lock of atomic words: the writer never waits, a reader
 * retries.
 */
#include "node_internal.h"

#include <string.h>

#include "base/assert.h"

#define PUBLISH_INTERVAL_NS 1000000u

static void collect(struct spate_node *node, struct spate_node_status *status)
{
    memset(status, 0, sizeof *status);
    spate_raft_status(node->raft, node->now, &status->raft);
    status->applied = atomic_load_explicit(&node->applied_shown, memory_order_relaxed);
    status->log_first = spate_log_first(node->log);
    status->log_used_bytes = spate_log_used_bytes(node->log);
    status->log_budget_bytes = spate_log_budget_bytes(node->log);
    status->turns = node->turns;
    status->turns_idle = node->turns_idle;
    status->proposals = node->proposals;
    status->proposals_forwarded = node->proposals_forwarded;
    status->proposals_refused = node->proposals_refused;
    status->reads = node->reads.taken;
    status->reads_refused = node->reads.refused;
    status->entries_applied = atomic_load_explicit(&node->entries_applied, memory_order_relaxed);
    status->frames_malformed = node->frames_malformed;
    status->batches_stored = node->tickets_completed;
    status->compacted_past_members = node->compacted_past_members;
    status->fetches = node->fetches;
    status->fetches_missed = node->fetches_missed;
    status->members_unreachable = node->members_unreachable;
    status->durability = node->store->durability;
    status->is_disk_low = spate_store_is_low(node->store);
    spate_node_snapshot_status(node, status);
}

static void publish(struct spate_node *node)
{
    uint64_t words[SPATE_NODE_STATUS_WORDS] = {0};
    struct spate_node_status status;
    const uint64_t version = atomic_load_explicit(&node->status_version, memory_order_relaxed);

    collect(node, &status);
    memcpy(words, &status, sizeof status);
    spate_assert(version % 2 == 0);
    /* Odd while it is being written. The words are stored with release, so that a reader that sees
     * one of them sees the odd version too. */
    atomic_store_explicit(&node->status_version, version + 1, memory_order_relaxed);
    for (uint32_t i = 0; i < SPATE_NODE_STATUS_WORDS; i++) {
        atomic_store_explicit(&node->status_words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&node->status_version, version + 2, memory_order_release);
}

void spate_node_publish_status(struct spate_node *node)
{
    const bool is_news = node->term != node->status_term || node->role != node->status_role ||
                         node->leader != node->status_leader;

    /* Idle turns publish too (they are counted), but nobody wakes up for that: see the deadline. */
    if (!is_news && node->now < node->status_at) {
        return;
    }
    node->status_term = node->term;
    node->status_role = node->role;
    node->status_leader = node->leader;
    node->status_at = node->now + PUBLISH_INTERVAL_NS;
    node->status_is_stale = false;
    publish(node);
}

void spate_node_status(const struct spate_node *node, struct spate_node_status *ret_status)
{
    uint64_t words[SPATE_NODE_STATUS_WORDS];
    uint64_t before;
    uint64_t after;

    spate_assert(node != NULL);
    spate_assert(ret_status != NULL);
    do {
        before = atomic_load_explicit(&node->status_version, memory_order_acquire);
        for (uint32_t i = 0; i < SPATE_NODE_STATUS_WORDS; i++) {
            words[i] = atomic_load_explicit(&node->status_words[i], memory_order_acquire);
        }
        after = atomic_load_explicit(&node->status_version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    memcpy(ret_status, words, sizeof *ret_status);
}

const struct spate_link *spate_node_link(const struct spate_node *node)
{
    spate_assert(node != NULL);
    return node->link;
}
