/*
 * What a follower passes on to the leader for its clients.
 *
 * A forward is kept, bytes and all, until its outcome is known, and repeated while the same leader
 * leads in the same term: that leader remembers the cookie and takes the proposal once (answer.c).
 * It is never sent to another leader, which could not know what became of the first copy. When the
 * leader changes we wait a little for a late answer (the old leader can often still tell), then
 * report UNKNOWN; a forward that never left this node is certain: NOT_READY.
 *
 * Slots form a queue by cookie, so those in use always lie within SPATE_FORWARDS_MAX of each other;
 * the leader's memory relies on that.
 */
#include "node_internal.h"

#include <string.h>

#include "base/assert.h"

/* Before a first round trip is known, and at the least: repeating early costs only bandwidth. */
#define RESEND_NS_MIN     2000000u
#define RESEND_NS_DEFAULT 20000000u
#define RESEND_DOUBLINGS  5u

static struct spate_forward *slot_of(struct spate_forwards *forwards, uint64_t cookie)
{
    return &forwards->slots[cookie % SPATE_FORWARDS_MAX];
}

/* Room for `size` contiguous bytes behind what is in use. False: full. */
static bool reserve_bytes(struct spate_forwards *forwards, uint32_t size, uint64_t *ret_first)
{
    uint64_t first = forwards->arena_after;
    const uint64_t to_edge = SPATE_FORWARD_ARENA_BYTES - first % SPATE_FORWARD_ARENA_BYTES;

    if (size > to_edge) {
        first += to_edge;
    }
    if (first + size - forwards->arena_first > SPATE_FORWARD_ARENA_BYTES) {
        return false;
    }
    *ret_first = first;
    return true;
}

static spate_time_ns resend_interval(struct spate_node *node, const struct spate_forward *forward)
{
    const struct spate_node_peer *peer = spate_node_peer_find(node, forward->leader);
    const uint32_t doublings =
        forward->tries < RESEND_DOUBLINGS ? forward->tries : RESEND_DOUBLINGS;
    spate_time_ns interval = RESEND_NS_DEFAULT;

    if (peer != NULL && peer->rtt_ns > 0) {
        interval = 4 * peer->rtt_ns;
        interval = interval > RESEND_NS_MIN ? interval : RESEND_NS_MIN;
    }
    return interval << doublings;
}

static void send_forward(struct spate_node *node, uint64_t cookie, struct spate_forward *forward)
{
    const uint8_t *bytes = node->forwards.arena + forward->arena_first % SPATE_FORWARD_ARENA_BYTES;
    const struct spate_message message = {
        .kind = SPATE_MESSAGE_FORWARD,
        .from = node->options.self,
        .to = forward->leader,
        .term = forward->term,
        .session = node->options.session,
        .forward = {.cookie = cookie, .data = bytes, .size = forward->size},
    };

    spate_assert(forward->is_open);
    if (spate_node_send(node, &message)) {
        forward->was_sent = true;
        forward->tries++;
        forward->resend_at = node->now + resend_interval(node, forward);
    } else {
        forward->resend_at = node->now + RESEND_NS_MIN;
    }
    if (forward->resend_at < node->forwards.deadline) {
        node->forwards.deadline = forward->resend_at;
    }
}

bool spate_node_forward(struct spate_node *node, struct spate_port *port, uint64_t cookie,
                        const struct spate_proposal *proposal)
{
    struct spate_forwards *forwards = &node->forwards;
    uint64_t arena_first;

    spate_assert(node->leader != 0);
    if (forwards->tail - forwards->head == SPATE_FORWARDS_MAX ||
        !reserve_bytes(forwards, proposal->size, &arena_first)) {
        return false;
    }
    struct spate_forward *forward = slot_of(forwards, forwards->tail);
    *forward = (struct spate_forward){
        .client_cookie = cookie,
        .port = port,
        .arena_first = arena_first,
        .arena_after = arena_first + ((proposal->size + 7u) & ~7u),
        .size = proposal->size,
        .leader = node->leader,
        .term = node->term,
        .give_up_at = node->now + 4 * node->options.election_timeout_ns_max,
        .is_open = true,
    };
    if (proposal->size > 0) {
        memcpy(forwards->arena + arena_first % SPATE_FORWARD_ARENA_BYTES, proposal->data,
               proposal->size);
    }
    forwards->arena_after = forward->arena_after;
    forwards->tail++;
    node->proposals_forwarded++;
    send_forward(node, forwards->tail - 1, forward);
    return true;
}

/* Ends a forward. Slots and bytes come free in the order of the queue. */
static void finish(struct spate_node *node, struct spate_forward *forward,
                   struct spate_result *result)
{
    struct spate_forwards *forwards = &node->forwards;

    spate_assert(forward->is_open);
    forward->is_open = false;
    result->cookie = forward->client_cookie;
    spate_port_reply(forward->port, result);
    while (forwards->head < forwards->tail && !slot_of(forwards, forwards->head)->is_open) {
        forwards->arena_first = slot_of(forwards, forwards->head)->arena_after;
        forwards->head++;
    }
    if (forwards->head == forwards->tail) {
        forwards->deadline = SPATE_TIME_NEVER;
    }
}

void spate_node_take_forward_result(struct spate_node *node, const struct spate_message *message)
{
    struct spate_forwards *forwards = &node->forwards;
    const struct spate_message_forward_result *answer = &message->forward_result;

    if (message->peer_session != node->options.session || answer->cookie < forwards->head ||
        answer->cookie >= forwards->tail || answer->status >= SPATE_ERR_COUNT) {
        return;
    }
    struct spate_forward *forward = slot_of(forwards, answer->cookie);
    if (!forward->is_open || !forward->was_sent || forward->leader != message->from) {
        return;
    }
    struct spate_result result = {
        .status = (spate_err)answer->status, .index = answer->index, .value = answer->value};
    node->proposals_refused += result.status != SPATE_OK;
    finish(node, forward, &result);
}

/* What is due for one forward. */
static void tick_forward(struct spate_node *node, uint64_t cookie, struct spate_forward *forward)
{
    const bool is_current = forward->leader == node->leader && forward->term == node->term;
    struct spate_result result = {.status = SPATE_ERR_UNKNOWN};

    if (!is_current && !forward->is_orphan) {
        const spate_time_ns patience = node->now + 2 * node->options.election_timeout_ns_max;
        forward->is_orphan = true;
        forward->give_up_at = patience < forward->give_up_at ? patience : forward->give_up_at;
    }
    if (node->now >= forward->give_up_at || (forward->is_orphan && !forward->was_sent)) {
        result.status = forward->was_sent ? SPATE_ERR_UNKNOWN : SPATE_ERR_NOT_READY;
        node->proposals_refused++;
        finish(node, forward, &result);
        return;
    }
    if (!forward->is_orphan && node->now >= forward->resend_at) {
        send_forward(node, cookie, forward);
    }
    const spate_time_ns due = forward->is_orphan || forward->give_up_at < forward->resend_at
                                  ? forward->give_up_at
                                  : forward->resend_at;
    if (due < node->forwards.deadline) {
        node->forwards.deadline = due;
    }
}

uint32_t spate_node_tick_forwards(struct spate_node *node)
{
    struct spate_forwards *forwards = &node->forwards;
    const bool is_changed = forwards->leader != node->leader || forwards->term != node->term;

    spate_assert(forwards->tail - forwards->head <= SPATE_FORWARDS_MAX);
    if (forwards->head == forwards->tail || (!is_changed && node->now < forwards->deadline)) {
        return 0;
    }
    forwards->leader = node->leader;
    forwards->term = node->term;
    forwards->deadline = SPATE_TIME_NEVER;
    const uint64_t tail = forwards->tail;
    for (uint64_t cookie = forwards->head; cookie < tail; cookie++) {
        struct spate_forward *forward = slot_of(forwards, cookie);
        if (forward->is_open) {
            tick_forward(node, cookie, forward);
        }
    }
    return 1;
}
