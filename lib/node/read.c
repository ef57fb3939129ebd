/*
 * Linearizable reads of this node's clients. All reads of a turn are one question to the engine;
 * its answer is the index that the state machine has to reach before they may read it.
 *
 * A read asks for nothing that could happen twice, so one that gets no answer in time is simply
 * refused, and may be repeated.
 */
#include "node_internal.h"

#include "base/assert.h"

static struct spate_node_read *slot_of(struct spate_node_reads *reads, uint64_t number)
{
    spate_assert(number < reads->tail);
    return &reads->slots[number % SPATE_READS_OPEN_MAX];
}

static void note(struct spate_node *node, struct spate_port *port, uint64_t cookie)
{
    struct spate_node_reads *reads = &node->reads;

    spate_assert(reads->tail - reads->head < SPATE_READS_OPEN_MAX);
    reads->tail++;
    *slot_of(reads, reads->tail - 1) = (struct spate_node_read){
        .cookie = cookie,
        .id = reads->asked + 1,
        .expires_at = node->now + 2 * node->options.election_timeout_ns_max,
        .port = port,
    };
    reads->taken++;
    port->proposals_taken++;
}

static uint32_t take_from_port(struct spate_node *node, struct spate_port *port)
{
    if (spate_ring_is_empty(port->reads)) {
        return 0;
    }
    const uint64_t room = SPATE_READS_OPEN_MAX - (node->reads.tail - node->reads.head);
    const uint32_t owed = spate_port_room(port);
    const uint64_t count_max = owed < room ? owed : room;
    uint32_t taken = 0;

    while (taken < count_max) {
        uint32_t bytes;

        const uint64_t *cookie = spate_ring_take(port->reads, &bytes);
        if (cookie == NULL) {
            break;
        }
        spate_assert(bytes >= sizeof *cookie);
        note(node, port, *cookie);
        taken++;
    }
    spate_ring_release(port->reads);
    return taken;
}

uint32_t spate_node_take_reads(struct spate_node *node)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < node->port_count; i++) {
        taken += take_from_port(node, node->ports[i]);
    }
    if (taken == 0) {
        return 0;
    }
    if (node->options.lease_enabled) {
        /* A lease is held against the clock: as it is after the read was asked, not before. */
        node->now = spate_clock_now(node->options.clock);
    }
    node->reads.asked++;
    struct spate_event event = {.kind = SPATE_EVENT_READ, .read = {.id = node->reads.asked}};
    spate_node_step(node, &event);
    return taken;
}

static void finish(struct spate_node *node, struct spate_node_read *read, spate_err status)
{
    const struct spate_result result = {
        .cookie = read->cookie, .status = status, .index = status == SPATE_OK ? read->index : 0};

    node->reads.refused += status != SPATE_OK;
    spate_port_reply(read->port, &result);
    node->reads.head++;
}

/* Whether the state machine has come so far; if not, somebody tells when it has come further. */
static bool is_applied(struct spate_node *node, spate_index index)
{
    if (atomic_load_explicit(&node->applied_shown, memory_order_acquire) >= index) {
        return true;
    }
    if (spate_node_applies_inline(node)) {
        return false;
    }
    (void)atomic_exchange_explicit(&node->is_waiting_for_apply, true, memory_order_acq_rel);
    return atomic_load_explicit(&node->applied_shown, memory_order_acquire) >= index;
}

uint32_t spate_node_answer_reads(struct spate_node *node)
{
    struct spate_node_reads *reads = &node->reads;
    const uint64_t before = reads->head;

    spate_assert(reads->ready <= reads->asked);
    while (reads->confirmed < reads->tail && slot_of(reads, reads->confirmed)->id <= reads->ready) {
        slot_of(reads, reads->confirmed)->index = reads->ready_index;
        reads->confirmed++;
    }
    while (reads->head < reads->confirmed && is_applied(node, slot_of(reads, reads->head)->index)) {
        finish(node, slot_of(reads, reads->head), SPATE_OK);
    }
    while (reads->head < reads->tail && node->now >= slot_of(reads, reads->head)->expires_at) {
        finish(node, slot_of(reads, reads->head), SPATE_ERR_NOT_READY);
    }
    reads->confirmed = reads->confirmed > reads->head ? reads->confirmed : reads->head;
    return (uint32_t)(reads->head - before);
}

spate_time_ns spate_node_read_deadline(const struct spate_node *node)
{
    const struct spate_node_reads *reads = &node->reads;

    spate_assert(reads->head <= reads->tail);
    return reads->head == reads->tail ? SPATE_TIME_NEVER
                                      : reads->slots[reads->head % SPATE_READS_OPEN_MAX].expires_at;
}
