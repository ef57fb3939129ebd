/* Ports to engine: what the clients of this process want in the log. */
#include "node_internal.h"

#include "base/assert.h"

/*
 * A batch comes from one port. Its bytes stay in the port's ring until all of it is dealt with, so
 * an engine that has no room stops the intake, the rings fill up, and the clients are told BUSY.
 */
static bool gather_batch(struct spate_node *node, struct spate_port *port)
{
    struct spate_batch *batch = &node->batch;

    spate_assert(batch->next == batch->count);
    spate_node_sample_forget(node);
    batch->port = port;
    batch->count = 0;
    batch->next = 0;
    const uint32_t room = spate_ring_is_empty(port->proposals) ? 0 : spate_port_room(port);
    const uint32_t count_max = room < SPATE_PROPOSALS_MAX ? room : SPATE_PROPOSALS_MAX;
    while (batch->count < count_max) {
        uint32_t bytes;

        const struct spate_port_record *record = spate_ring_take(port->proposals, &bytes);
        if (record == NULL) {
            break;
        }
        spate_assert(bytes >= sizeof *record + record->size);
        batch->cookies[batch->count] = record->cookie;
        batch->items[batch->count] = (struct spate_proposal){
            .data = record->data, .size = record->size, .kind = SPATE_ENTRY_COMMAND};
        if (record->marked_at != 0) {
            spate_node_sample_taken(node, batch->count, record->marked_at);
        }
        batch->count++;
        port->proposals_taken++;
    }
    return batch->count > 0;
}

/* Ports take turns, a batch each. */
static bool gather_from_ports(struct spate_node *node)
{
    for (uint32_t i = 0; i < node->port_count; i++) {
        struct spate_port *port = node->ports[node->port_next];

        node->port_next = (node->port_next + 1) % node->port_count;
        if (gather_batch(node, port)) {
            return true;
        }
    }
    return false;
}

/* Remembers whose entries these are, until they are applied or superseded. */
static void note_pending(struct spate_node *node, struct spate_pending *pending,
                         const struct spate_batch *batch, struct spate_origin origin)
{
    const struct spate_effects *effects = &node->effects;

    pending->first = effects->proposed_first.index;
    pending->term = effects->proposed_first.term;
    pending->origin = origin;
    pending->count = effects->proposed_count;
    pending->zero = 0;
    for (uint32_t i = 0; i < pending->count; i++) {
        pending->cookies[i] = batch->cookies[batch->next + i];
    }
    spate_ring_publish(node->pending);
}

bool spate_node_propose(struct spate_node *node, struct spate_batch *batch,
                        struct spate_origin origin)
{
    const uint32_t count = batch->count - batch->next;

    spate_assert(count >= 1);
    spate_assert(count <= SPATE_PROPOSALS_MAX);
    struct spate_pending *pending = spate_ring_reserve(
        node->pending, (uint32_t)(sizeof *pending + count * sizeof pending->cookies[0]));
    if (pending == NULL) {
        return false;
    }
    struct spate_event event = {
        .kind = SPATE_EVENT_PROPOSE,
        .propose = {.items = &batch->items[batch->next], .count = count},
    };
    node->effects.proposed_count = 0;
    spate_node_step(node, &event);
    spate_assert(node->effects.proposed_count <= count);

    /* A run of none is passed over by the apply stage: a reservation cannot be taken back. */
    note_pending(node, pending, batch, origin);
    if (node->sample.state == SPATE_SAMPLE_TAKEN) {
        spate_node_sample_proposed(node, batch);
    }
    batch->next += node->effects.proposed_count;
    node->proposals += node->effects.proposed_count;
    return batch->next == batch->count;
}

/* Not the leader: to the one that is, or back to the client. */
static bool pass_on_batch(struct spate_node *node, struct spate_batch *batch)
{
    const spate_node_id leader = node->leader;

    while (batch->next < batch->count) {
        const uint64_t cookie = batch->cookies[batch->next];

        if (leader == 0 || leader == node->options.self) {
            const struct spate_result result = {.cookie = cookie, .status = SPATE_ERR_NOT_READY};
            spate_port_reply(batch->port, &result);
            node->proposals_refused++;
        } else if (!spate_node_forward(node, batch->port, cookie, &batch->items[batch->next])) {
            return false;
        }
        batch->next++;
    }
    return true;
}

/* A leader with little space on its disk takes nothing more, while it can still say so. */
static bool refuse_batch(struct spate_node *node, struct spate_batch *batch)
{
    spate_assert(node->role == SPATE_ROLE_LEADER);
    for (; batch->next < batch->count; batch->next++) {
        const struct spate_result result = {.cookie = batch->cookies[batch->next],
                                            .status = SPATE_ERR_NO_SPACE};
        spate_port_reply(batch->port, &result);
        node->proposals_refused++;
    }
    return true;
}

/* What becomes of a port's batch. False: not all of it could be dealt with now. */
static bool take_batch(struct spate_node *node, struct spate_batch *batch)
{
    const struct spate_origin origin = {.place = batch->port->place, .epoch = 0};

    if (node->role != SPATE_ROLE_LEADER) {
        return pass_on_batch(node, batch);
    }
    return spate_store_is_low(node->store) ? refuse_batch(node, batch)
                                           : spate_node_propose(node, batch, origin);
}

uint32_t spate_node_take_proposals(struct spate_node *node)
{
    struct spate_batch *batch = &node->batch;
    uint32_t taken = 0;

    for (uint32_t round = 0; round < SPATE_TURN_BATCHES_MAX; round++) {
        if (batch->next == batch->count && !gather_from_ports(node)) {
            break;
        }
        const uint32_t before = batch->next;
        const bool is_done = take_batch(node, batch);

        taken += batch->next - before;
        if (!is_done) {
            break;
        }
        spate_ring_release(batch->port->proposals);
    }
    return taken;
}
