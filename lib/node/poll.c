/* The turn of a node, and the wait between two turns. */
#include "node_internal.h"

#include "base/assert.h"
#include "wire/wire.h"

/* A batch that completes at once lets the engine go on in the same turn: vote, noop, answer. */
#define ROUNDS_MAX 4u

/* With a batch on its way to the disk a lost wake-up must not cost a heartbeat. */
#define STORE_WAIT_NS_MAX 10000000u

/* How soon to try again when the log has no room for a proposal. */
#define STALL_NS 1000000u

/* How often round trips and frames are compared with what the engine knows. */
#define PATHS_INTERVAL_NS 1000000u

void spate_node_step(struct spate_node *node, struct spate_event *event)
{
    event->now = node->now;
    spate_raft_step(node->raft, event, &node->effects);
    node->role = node->effects.role;
    node->term = node->effects.term;
    node->leader = node->effects.leader;
    node->reads.ready = node->effects.read_ready;
    node->reads.ready_index = node->effects.read_index;
    node->engine_is_dirty = true;
    if (node->effects.forgotten != 0 && node->failure == SPATE_OK) {
        node->failure = SPATE_ERR_FORGOTTEN;
    }
    if (node->effects.membership_index != node->members_followed) {
        node->members_followed = node->effects.membership_index;
        spate_node_follow_members(node);
    }
}

/* Small wobbles of a round trip are not worth a step. */
static bool is_new_round_trip(const struct spate_node_peer *peer, spate_time_ns rtt_ns)
{
    return rtt_ns < peer->rtt_ns - peer->rtt_ns / 8 || rtt_ns > peer->rtt_ns + peer->rtt_ns / 8;
}

/* The engine's retransmission and the size of its messages follow what the link found out. */
static void take_paths(struct spate_node *node)
{
    if (node->now < node->paths_deadline) {
        return;
    }
    node->paths_deadline = node->now + PATHS_INTERVAL_NS;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct spate_node_peer *peer = &node->peers[i];
        struct spate_link_peer_status status;

        if (peer->is_gone || !spate_link_peer_status(node->link, peer->id, &status) ||
            status.rtt_ns == 0) {
            continue;
        }
        const bool is_new_rtt = is_new_round_trip(peer, status.rtt_ns);

        if (!is_new_rtt && status.frame_bytes == peer->frame_bytes) {
            continue;
        }
        const uint32_t frame_bytes = spate_link_payload_bytes_max(node->link, peer->id);
        struct spate_event event = {
            .kind = SPATE_EVENT_PATH,
            .path = {.member = peer->id,
                     .rtt_ns = is_new_rtt ? status.rtt_ns : 0,
                     .append_bytes_max = frame_bytes > SPATE_WIRE_APPEND_BYTES
                                             ? frame_bytes - SPATE_WIRE_APPEND_BYTES
                                             : 0}};

        peer->rtt_ns = is_new_rtt ? status.rtt_ns : peer->rtt_ns;
        peer->frame_bytes = status.frame_bytes;
        spate_node_step(node, &event);
    }
}

/* The effects are carried out but for the fetch, whose answer is an event of the next round. True:
 * there is such an event, or the batch completed on the spot; flush again. */
static bool finish_flush(struct spate_node *node)
{
    const struct spate_effect_fetch fetch = node->effects.fetch;

    spate_effects_reset(&node->effects);
    const bool has_fetched = spate_node_give_fetch(node, &fetch);
    return spate_node_take_stored(node) > 0 || has_fetched;
}

/* One FLUSH and what follows from it. True: flush again. */
static bool flush_once(struct spate_node *node)
{
    spate_assert(!node->batch_waits);

    struct spate_event event = {
        .kind = SPATE_EVENT_FLUSH,
        .flush = {.store_is_ready = spate_node_store_is_ready(node),
                  .store_bytes_max = node->store->batch_bytes_max},
    };
    spate_node_step(node, &event);
    node->engine_is_dirty = false;
    node->engine_deadline = node->effects.deadline;
    spate_node_note_snapshots(node);

    /* Messages first: they may leave before the batch is durable, and the peers' work is the
     * longer part. */
    spate_node_give_messages(node);
    spate_node_give_batch(node);
    spate_node_show_commit(node);
    if (node->failure != SPATE_OK || node->batch_waits) {
        return false;
    }
    return finish_flush(node);
}

static void flush_engine(struct spate_node *node)
{
    if (!node->engine_is_dirty && node->now < node->engine_deadline) {
        return;
    }
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        if (!flush_once(node)) {
            return;
        }
    }
}

/* Something left over is work for the next turn, which must come at once. */
static uint32_t work_left(const struct spate_node *node)
{
    return node->engine_is_dirty || node->batch_waits ? 1 : 0;
}

static uint32_t gather(struct spate_node *node)
{
    uint32_t work = spate_node_take_stored(node);

    if (node->batch_waits) {
        /* The batch names a range of the log, which must not move before the store has it. */
        spate_node_give_batch(node);
        if (node->batch_waits || node->failure != SPATE_OK) {
            return work;
        }
        work += 1 + finish_flush(node);
    }
    work += spate_node_take_frames(node);
    work += spate_node_take_answers(node);
    work += spate_node_take_proposals(node);
    work += spate_node_take_orders(node);
    work += spate_node_take_reads(node);
    work += spate_node_snapshots_turn(node);
    take_paths(node);
    return work;
}

spate_err spate_node_poll(struct spate_node *node, uint32_t *ret_work)
{
    spate_assert(node != NULL);
    if (node->failure != SPATE_OK) {
        return node->failure;
    }
    node->now = spate_clock_now(node->options.clock);

    uint32_t work = gather(node);
    if (!node->batch_waits && node->failure == SPATE_OK) {
        flush_engine(node);
    }
    work += spate_node_tick_forwards(node);
    spate_node_send_snapshots(node);
    /* Always: what the link answers by itself (handshakes, pings, repairs) is no work of ours. */
    node->link_deadline = spate_link_tick(node->link, node->now);
    spate_link_flush(node->link, node->now);
    spate_node_sample_sent(node);
    if (spate_node_applies_inline(node)) {
        work += spate_node_apply_turn(node, SPATE_TURN_APPLY_MAX);
        if (spate_node_take_answers(node) > 0) {
            spate_link_flush(node->link, node->now);
        }
    }
    work += spate_node_answer_reads(node);
    spate_node_sample_finish(node);
    spate_node_publish_replies(node);
    work += spate_node_compact(node);

    work += work_left(node);
    node->turns++;
    node->turns_idle += work == 0;
    node->status_is_stale |= work > 0;
    spate_node_publish_status(node);
    if (node->failure != SPATE_OK) {
        return node->failure;
    }
    if (ret_work != NULL) {
        *ret_work = work;
    }
    return SPATE_OK;
}

static spate_time_ns earlier(spate_time_ns a, spate_time_ns b)
{
    return a < b ? a : b;
}

spate_time_ns spate_node_deadline(const struct spate_node *node)
{
    spate_assert(node != NULL);
    spate_time_ns deadline = earlier(node->engine_deadline, node->link_deadline);

    deadline = earlier(deadline, node->forwards.deadline);
    deadline = earlier(deadline, node->orders.look_at);
    deadline = earlier(deadline, spate_node_read_deadline(node));
    deadline = earlier(deadline, spate_node_snapshots_deadline(node));
    if (node->batch.next < node->batch.count) {
        /* The engine had no room: readers may have let some go. */
        deadline = earlier(deadline, node->now + STALL_NS);
    }
    if (node->status_is_stale) {
        deadline = earlier(deadline, node->status_at);
    }
    return deadline;
}

void spate_node_wait(struct spate_node *node)
{
    spate_assert(node != NULL);
    const spate_time_ns now = spate_clock_now(node->options.clock);
    const spate_time_ns deadline = spate_node_deadline(node);
    spate_time_ns timeout = deadline > now ? deadline - now : 0;

    if (node->tickets_submitted > node->tickets_completed || node->batch_waits) {
        timeout = earlier(timeout, STORE_WAIT_NS_MAX);
    }
    spate_link_wait(node->link, timeout);
}

void spate_node_wake(struct spate_node *node)
{
    spate_assert(node != NULL);
    spate_link_wake(node->link);
}
