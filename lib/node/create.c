/* A node comes and goes: all of its memory is allocated here. */
#include "node_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/wire.h"

/* Small, so that the few segments in use stay in the processor's cache. */
#define LOG_SEGMENT_BYTES_DEFAULT (2u << 20)
#define LOG_BUDGET_BYTES_DEFAULT  (256ull << 20)
#define WINDOW_BYTES_DEFAULT      (4ull << 20)
#define WINDOW_MESSAGES_DEFAULT   128u

static bool options_are_valid(const struct spate_node_options *options)
{
    return options->session != 0 && options->link != NULL && options->store != NULL &&
           options->clock != NULL && options->reclaim != NULL && options->fsm != NULL &&
           options->self != 0 &&
           (options->membership.count == 0 || spate_membership_is_valid(&options->membership)) &&
           options->election_timeout_ns_min > 0 &&
           options->election_timeout_ns_min <= options->election_timeout_ns_max &&
           options->heartbeat_ns > 0 && options->heartbeat_ns < options->election_timeout_ns_min;
}

static void set_defaults(struct spate_node_options *options)
{
    if (options->log_segment_bytes == 0) {
        options->log_segment_bytes = LOG_SEGMENT_BYTES_DEFAULT;
    }
    if (options->log_budget_bytes == 0) {
        options->log_budget_bytes = LOG_BUDGET_BYTES_DEFAULT;
    }
    if (options->window_bytes == 0) {
        options->window_bytes = WINDOW_BYTES_DEFAULT;
    }
    if (options->window_messages == 0) {
        options->window_messages = WINDOW_MESSAGES_DEFAULT;
    }
    if (options->sample_every == 0) {
        options->sample_every = SPATE_SAMPLE_EVERY_DEFAULT;
    }
}

static spate_err create_peers(struct spate_node *node)
{
    for (uint32_t i = 0; i < SPATE_MEMBERS_MAX; i++) {
        struct spate_node_peer *peer = &node->peers[i];

        peer->epoch = 1; /* 0 means a port. */
        peer->remembered = calloc(SPATE_REMEMBERED_MAX, sizeof peer->remembered[0]);
        if (peer->remembered == NULL) {
            return SPATE_ERR_NO_MEMORY;
        }
    }
    spate_node_follow_members(node);
    return SPATE_OK;
}

static spate_err create_queues(struct spate_node *node)
{
    node->forwards.head = 1; /* Cookie 0 is none. */
    node->forwards.tail = 1;
    node->forwards.deadline = SPATE_TIME_NEVER;
    node->forwards.arena = malloc(SPATE_FORWARD_ARENA_BYTES);
    if (node->forwards.arena == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    spate_err err = spate_ring_create(SPATE_PENDING_RING_BYTES, &node->pending);
    if (err == SPATE_OK) {
        err = spate_ring_create(SPATE_ANSWER_RING_BYTES, &node->answers);
    }
    if (err == SPATE_OK) {
        err = spate_ring_create(SPATE_SAMPLE_RING_BYTES, &node->samples);
    }
    return err;
}

/*
 * Whether promises may have been made that nobody here remembers. A snapshot without any hard state
 * beside it is what is left of a core that lost its log, unless nobody else is in that cluster.
 */
static bool has_forgotten(const struct spate_node *node, const struct spate_store_loaded *loaded)
{
    struct spate_entry_id snapshot;

    return loaded->hard_state.is_mute ||
           (loaded->is_new && spate_node_newest_snapshot(node, &snapshot) &&
            node->options.membership.count > 1);
}

static spate_err create_engine(struct spate_node *node, const struct spate_store_loaded *loaded,
                               bool store_is_behind)
{
    const struct spate_node_options *options = &node->options;
    /* The most that goes to anybody: what goes to each is known once it is connected. */
    const uint32_t frame_bytes = spate_link_net(node->link)->frame_bytes_max;
    const uint32_t overhead = SPATE_LINK_OVERHEAD_BYTES + SPATE_WIRE_APPEND_BYTES;

    if (frame_bytes <= overhead) {
        return SPATE_ERR_INVALID;
    }
    const struct spate_raft_options raft = {
        .self = options->self,
        .session = options->session,
        .seed = options->seed,
        .log = node->log,
        .incarnation = options->incarnation,
        .membership = options->membership,
        .membership_index = options->membership_index,
        .term = loaded->hard_state.term,
        .vote = loaded->hard_state.vote,
        .commit = atomic_load_explicit(&node->commit_shown, memory_order_relaxed),
        .first_stored = loaded->base.index + 1,
        .store_is_behind = store_is_behind,
        /* Who has voted was asked by a founder: that is in the store only since it last was empty.
         */
        .is_new = loaded->last == 0 && loaded->hard_state.vote == 0,
        .is_mute = has_forgotten(node, loaded),
        .may_forget = node->store->durability == SPATE_DURABILITY_MEMORY,
        .now = spate_clock_now(options->clock),
        .election_timeout_ns_min = options->election_timeout_ns_min,
        .election_timeout_ns_max = options->election_timeout_ns_max,
        .heartbeat_ns = options->heartbeat_ns,
        .append_bytes_max = frame_bytes - overhead,
        .append_large_bytes_max = SPATE_WIRE_MESSAGE_BYTES_MAX - SPATE_WIRE_APPEND_BYTES,
        .append_count_max = options->append_count_max,
        .window_bytes = options->window_bytes,
        .window_messages = options->window_messages,
        .pre_vote_enabled = true,
        .lease_enabled = options->lease_enabled,
        .check_quorum_enabled = true,
    };
    return spate_raft_create(&raft, &node->raft);
}

/* The state machine goes on where it stands, or from the beginning of what is stored. */
static spate_err place_state_machine(struct spate_node *node,
                                     const struct spate_store_loaded *loaded)
{
    spate_index applied = node->options.fsm->applied(node->options.fsm);
    struct spate_entry_id snapshot;

    if (spate_node_newest_snapshot(node, &snapshot) && snapshot.index > applied) {
        const spate_err err = spate_node_restore_at_start(node);
        if (err != SPATE_OK) {
            return err;
        }
        applied = snapshot.index;
    }
    if (applied < loaded->base.index) {
        return SPATE_ERR_COMPACTED;
    }
    if (applied > loaded->last) {
        return SPATE_ERR_MISMATCH;
    }
    node->apply.applied = applied;
    atomic_store_explicit(&node->applied_shown, applied, memory_order_relaxed);
    atomic_store_explicit(&node->commit_shown,
                          applied > loaded->hard_state.commit ? applied : loaded->hard_state.commit,
                          memory_order_relaxed);
    return SPATE_OK;
}

spate_err spate_node_create(const struct spate_node_options *options, struct spate_node **ret_node)
{
    struct spate_store_loaded loaded;
    bool store_is_behind = false;

    spate_assert(options != NULL);
    spate_assert(ret_node != NULL);
    struct spate_node *node = aligned_alloc(SPATE_CACHE_LINE_BYTES, sizeof *node);
    if (node == NULL) {
        spate_link_destroy(options->link);
        if (options->store != NULL) {
            options->store->ops->close(options->store);
        }
        if (options->snapshots != NULL) {
            options->snapshots->ops->close(options->snapshots);
        }
        return SPATE_ERR_NO_MEMORY;
    }
    memset(node, 0, sizeof *node);
    node->options = *options;
    node->link = options->link;
    node->store = options->store;
    set_defaults(&node->options);

    spate_err err = options_are_valid(&node->options) ? SPATE_OK : SPATE_ERR_INVALID;
    if (err == SPATE_OK) {
        err = spate_node_open_snapshots(node);
    }
    if (err == SPATE_OK) {
        err = spate_node_recover(node, &loaded, &store_is_behind);
    }
    if (err == SPATE_OK) {
        err = place_state_machine(node, &loaded);
    }
    if (err == SPATE_OK) {
        err = create_engine(node, &loaded, store_is_behind);
    }
    if (err == SPATE_OK) {
        err = create_peers(node);
    }
    if (err == SPATE_OK) {
        err = create_queues(node);
    }
    if (err != SPATE_OK) {
        spate_node_destroy(node);
        return err;
    }
    spate_effects_reset(&node->effects);
    node->term = loaded.hard_state.term;
    node->role = SPATE_ROLE_FOLLOWER;
    node->now = spate_clock_now(options->clock);
    node->engine_is_dirty = true;
    node->status_is_stale = true;
    node->status_term = UINT64_MAX;
    spate_node_publish_status(node);
    *ret_node = node;
    return SPATE_OK;
}

void spate_node_destroy(struct spate_node *node)
{
    if (node == NULL) {
        return;
    }
    for (uint32_t i = 0; i < node->port_count; i++) {
        spate_port_destroy(node->ports[i]);
    }
    for (uint32_t i = 0; i < SPATE_MEMBERS_MAX; i++) {
        free(node->peers[i].remembered);
    }
    free(node->forwards.arena);
    spate_ring_destroy(node->pending);
    spate_ring_destroy(node->answers);
    spate_ring_destroy(node->samples);
    spate_node_close_snapshots(node);
    spate_raft_destroy(node->raft);
    if (node->store != NULL) {
        node->store->ops->close(node->store);
    }
    spate_link_destroy(node->link);
    spate_log_destroy(node->log);
    free(node);
}
