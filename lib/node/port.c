/* Ports: the client's side of the rings, and the node's answers through them. */
#include "node_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

spate_err spate_port_propose(struct spate_port *port, uint64_t cookie, const void *data,
                             uint32_t size)
{
    spate_assert(port != NULL);
    spate_assert(data != NULL || size == 0);
    const uint64_t bytes = sizeof(struct spate_port_record) + (uint64_t)size;

    if (size > SPATE_ENTRY_BYTES_MAX || bytes > spate_ring_record_bytes_max(port->proposals)) {
        return SPATE_ERR_INVALID;
    }
    struct spate_port_record *record = spate_ring_reserve(port->proposals, (uint32_t)bytes);
    if (record == NULL) {
        return SPATE_ERR_BUSY;
    }
    record->cookie = cookie;
    record->size = size;
    record->marked_at = spate_port_mark(port);
    if (size > 0) {
        memcpy(record->data, data, size);
    }
    return SPATE_OK;
}

spate_err spate_port_read(struct spate_port *port, uint64_t cookie)
{
    spate_assert(port != NULL);
    uint64_t *slot = spate_ring_reserve(port->reads, sizeof *slot);

    if (slot == NULL) {
        return SPATE_ERR_BUSY;
    }
    *slot = cookie;
    return SPATE_OK;
}

void spate_port_submit(struct spate_port *port)
{
    spate_assert(port != NULL);
    spate_ring_publish(port->proposals);
    spate_ring_publish(port->reads);
    spate_node_wake(port->node);
}

/* Takes the ring's next record. False: there is none. */
static bool take_record(struct spate_outcomes *outcomes)
{
    uint32_t bytes;
    const struct spate_result *record = spate_ring_take(outcomes->ring, &bytes);

    spate_assert(outcomes->left == 0);
    if (record == NULL) {
        return false;
    }
    spate_assert(bytes >= sizeof *record && bytes % sizeof *record == 0);
    outcomes->next = record;
    outcomes->left = bytes / (uint32_t)sizeof *record;
    return true;
}

static uint32_t take_from(struct spate_outcomes *outcomes, struct spate_result results[],
                          uint32_t count)
{
    uint32_t taken = 0;

    while (taken < count && (outcomes->left > 0 || take_record(outcomes))) {
        const uint32_t room = count - taken;
        const uint32_t some = outcomes->left < room ? outcomes->left : room;

        memcpy(&results[taken], outcomes->next, some * sizeof results[0]);
        outcomes->next += some;
        outcomes->left -= some;
        taken += some;
    }
    if (taken > 0 && outcomes->left == 0) {
        spate_ring_release(outcomes->ring);
    }
    return taken;
}

static uint32_t take_results(struct spate_port *port, struct spate_result results[], uint32_t count)
{
    const uint32_t applied = take_from(&port->applied, results, count);

    return applied + take_from(&port->replied, results + applied, count - applied);
}

uint32_t spate_port_results(struct spate_port *port, struct spate_result results[], uint32_t count)
{
    spate_assert(port != NULL);
    spate_assert(results != NULL || count == 0);
    uint32_t taken = take_results(port, results, count);

    if (taken == 0 && count > 0 && port->may_block) {
        /*
         * The client may go to sleep now. Who publishes exchanges the flag afterwards: either it
         * sees ours, and wakes the client, or we see its outcomes on this second look.
         */
        (void)atomic_exchange_explicit(&port->is_client_waiting, true, memory_order_acq_rel);
        taken = take_results(port, results, count);
    }
    if (taken > 0) {
        const uint64_t before =
            atomic_fetch_add_explicit(&port->outcomes_taken, taken, memory_order_acq_rel);
        if ((before & SPATE_PORT_STALLED) != 0) {
            (void)atomic_fetch_and_explicit(&port->outcomes_taken, ~SPATE_PORT_STALLED,
                                            memory_order_acq_rel);
            spate_node_wake(port->node);
        }
    }
    return taken;
}

static uint32_t room(const struct spate_port *port, uint64_t taken)
{
    const uint64_t owed = port->proposals_taken - (taken & ~SPATE_PORT_STALLED);

    spate_assert(owed <= SPATE_PORT_OUTCOMES_MAX);
    return SPATE_PORT_OUTCOMES_MAX - (uint32_t)owed;
}

/* How many more outcomes the port can be owed. When none, its client wakes the node once it took
 * some. */
uint32_t spate_port_room(struct spate_port *port)
{
    const uint32_t now =
        room(port, atomic_load_explicit(&port->outcomes_taken, memory_order_acquire));

    if (now > 0) {
        return now;
    }
    return room(port, atomic_fetch_or_explicit(&port->outcomes_taken, SPATE_PORT_STALLED,
                                               memory_order_acq_rel));
}

void spate_port_wake_client(struct spate_port *port)
{
    if (port->waker == NULL) {
        return;
    }
    if (atomic_exchange_explicit(&port->is_client_waiting, false, memory_order_acq_rel)) {
        port->waker->wake(port->waker);
    }
}

void spate_port_reply(struct spate_port *port, const struct spate_result *result)
{
    struct spate_result *slot = spate_ring_reserve(port->replied.ring, sizeof *slot);

    spate_assert(slot != NULL);
    *slot = *result;
    port->has_replied = true;
}

void spate_node_publish_replies(struct spate_node *node)
{
    for (uint32_t i = 0; i < node->port_count; i++) {
        struct spate_port *port = node->ports[i];

        if (port->has_replied) {
            port->has_replied = false;
            spate_ring_publish(port->replied.ring);
            spate_port_wake_client(port);
        }
    }
}

void spate_port_set_waker(struct spate_port *port, struct spate_waker *waker)
{
    spate_assert(port != NULL);
    port->waker = waker;
}

void spate_port_may_block(struct spate_port *port)
{
    spate_assert(port != NULL);
    spate_assert(port->waker != NULL);
    if (port->may_block) {
        return;
    }
    port->may_block = true;
    /* As above; its last look may have been before it was known that it would wait. */
    (void)atomic_exchange_explicit(&port->is_client_waiting, true, memory_order_acq_rel);
    if (!spate_ring_is_empty(port->applied.ring) || !spate_ring_is_empty(port->replied.ring)) {
        spate_port_wake_client(port);
    }
}

struct spate_waker *spate_port_waker(const struct spate_port *port)
{
    spate_assert(port != NULL);
    return port->waker;
}

void spate_port_destroy(struct spate_port *port)
{
    if (port == NULL) {
        return;
    }
    spate_ring_destroy(port->proposals);
    spate_ring_destroy(port->reads);
    spate_ring_destroy(port->applied.ring);
    spate_ring_destroy(port->replied.ring);
    free(port);
}

spate_err spate_node_open_port(struct spate_node *node, uint32_t ring_bytes,
                               struct spate_port **ret_port)
{
    spate_assert(node != NULL);
    spate_assert(ret_port != NULL);
    if (node->port_count == SPATE_PORTS_MAX) {
        return SPATE_ERR_BUSY;
    }
    struct spate_port *port = aligned_alloc(SPATE_CACHE_LINE_BYTES, sizeof *port);
    if (port == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    memset(port, 0, sizeof *port);
    port->node = node;
    port->place = node->port_count;
    const uint32_t bytes = ring_bytes > 0 ? ring_bytes : SPATE_PORT_RING_BYTES_DEFAULT;
    if (spate_ring_create(bytes, &port->proposals) ||
        spate_ring_create(SPATE_PORT_READ_RING_BYTES, &port->reads) ||
        spate_ring_create(SPATE_PORT_OUTCOME_RING_BYTES, &port->applied.ring) ||
        spate_ring_create(SPATE_PORT_OUTCOME_RING_BYTES, &port->replied.ring)) {
        spate_port_destroy(port);
        return SPATE_ERR_NO_MEMORY;
    }
    node->ports[node->port_count] = port;
    node->port_count++;
    *ret_port = port;
    return SPATE_OK;
}
