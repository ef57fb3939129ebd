/*
 * The driver's counters by name. First those of the endpoint, then those of each port: ports are
 * only ever added behind, so a name's place never changes.
 */
#include <stdio.h>

#include "dpdk_internal.h"

enum endpoint_counter {
    POLLS,
    POLLS_EMPTY,
    MBUFS_FREE,
    MBUFS_USED,
    NOTICES_LOST,
    ENDPOINT_COUNTERS,
};

static const char *const endpoint_names[ENDPOINT_COUNTERS] = {
    [POLLS] = "polls",           [POLLS_EMPTY] = "polls_empty",   [MBUFS_FREE] = "mbufs_free",
    [MBUFS_USED] = "mbufs_used", [NOTICES_LOST] = "notices_lost",
};

enum port_counter {
    LINK_UP,
    LINKS_UP,
    LINKS_LOST,
    DEVICE_MISSED,
    DEVICE_ERRORS_RX,
    DEVICE_ERRORS_TX,
    DEVICE_NO_MBUF,
    ARP_REQUESTS,
    ARP_REPLIES,
    ARP_LEARNED,
    ECHO_REPLIES,
    CONFLICTS,
    TX_FULL,
    TX_DOWN,
    RX_SCATTERED,
    STACK_DROPS, /* The first of them. */
    PORT_COUNTERS = STACK_DROPS + SPATE_STACK_DROP_COUNT,
};

_Static_assert((int)PORT_COUNTERS <= (int)PORT_COUNTERS_MAX, "every counter has a name");

static const char *const port_names[STACK_DROPS] = {
    [LINK_UP] = "link_up",
    [LINKS_UP] = "links_up",
    [LINKS_LOST] = "links_lost",
    [DEVICE_MISSED] = "drop.device_missed",
    [DEVICE_ERRORS_RX] = "drop.device_rx_error",
    [DEVICE_ERRORS_TX] = "drop.device_tx_error",
    [DEVICE_NO_MBUF] = "drop.no_mbuf",
    [ARP_REQUESTS] = "arp_requests",
    [ARP_REPLIES] = "arp_replies",
    [ARP_LEARNED] = "arp_learned",
    [ECHO_REPLIES] = "echo_replies",
    [CONFLICTS] = "address_conflicts",
    [TX_FULL] = "drop.tx_queue_full",
    [TX_DOWN] = "drop.tx_link_down",
    [RX_SCATTERED] = "drop.rx_scattered",
};

static bool is_drop(uint32_t counter)
{
    return (counter >= DEVICE_MISSED && counter <= DEVICE_NO_MBUF) || counter >= TX_FULL;
}

void spate_dpdk_counters_name(struct port *port)
{
    for (uint32_t i = 0; i < PORT_COUNTERS; i++) {
        char *text = port->names.text[i];
        const size_t bytes = sizeof port->names.text[i];
        if (i < STACK_DROPS) {
            (void)snprintf(text, bytes, "%s.%s", port->label, port_names[i]);
        } else {
            (void)snprintf(text, bytes, "%s.drop.%s", port->label,
                           spate_stack_drop_text((enum spate_stack_drop)(i - STACK_DROPS)));
        }
    }
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t endpoint_value(struct endpoint *endpoint, uint32_t counter)
{
    switch ((enum endpoint_counter)counter) {
    case POLLS:
        return load(&endpoint->polls);
    case POLLS_EMPTY:
        return load(&endpoint->polls_empty);
    case MBUFS_FREE:
        return rte_mempool_avail_count(endpoint->pool);
    case MBUFS_USED:
        return rte_mempool_in_use_count(endpoint->pool);
    case NOTICES_LOST:
        return load(&endpoint->notices.lost);
    case ENDPOINT_COUNTERS:
        break;
    }
    return 0;
}

static uint64_t device_value(const struct port *port, uint32_t counter)
{
    struct rte_eth_stats stats;

    if (atomic_load_explicit(&port->state, memory_order_acquire) != PORT_UP ||
        rte_eth_stats_get(port->id, &stats) != 0) {
        return 0;
    }
    return counter == DEVICE_MISSED      ? stats.imissed
           : counter == DEVICE_ERRORS_RX ? stats.ierrors
           : counter == DEVICE_ERRORS_TX ? stats.oerrors
                                         : stats.rx_nombuf;
}

static uint64_t port_value(const struct port *port, uint32_t counter)
{
    const struct spate_stack_counters *stack = spate_stack_counters(port->stack);
    const _Atomic uint64_t *const own[STACK_DROPS] = {
        [LINKS_UP] = &port->counters.links_up,      [LINKS_LOST] = &port->counters.links_lost,
        [ARP_REQUESTS] = &stack->arp_requests_sent, [ARP_REPLIES] = &stack->arp_replies_sent,
        [ARP_LEARNED] = &stack->arp_learned,        [ECHO_REPLIES] = &stack->echo_replies,
        [CONFLICTS] = &stack->address_conflicts,    [TX_FULL] = &port->counters.tx_full,
        [TX_DOWN] = &port->counters.tx_down,        [RX_SCATTERED] = &port->counters.rx_scattered,
    };

    if (counter >= STACK_DROPS) {
        return load(&stack->drops[counter - STACK_DROPS]);
    }
    if (counter == LINK_UP) {
        return load(&port->counters.links_up) > load(&port->counters.links_lost);
    }
    return own[counter] != NULL ? load(own[counter]) : device_value(port, counter);
}

bool spate_dpdk_counter(struct spate_net *net, uint32_t place,
                        struct spate_net_counter *ret_counter)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (place < ENDPOINT_COUNTERS) {
        const bool is_level = place == MBUFS_FREE || place == MBUFS_USED;
        *ret_counter = (struct spate_net_counter){
            .name = endpoint_names[place],
            .value = endpoint_value(endpoint, place),
            .kind = is_level ? SPATE_NET_COUNTER_LEVEL : SPATE_NET_COUNTER_EVENTS,
        };
        return true;
    }
    const uint32_t at = (place - ENDPOINT_COUNTERS) / PORT_COUNTERS;
    const uint32_t counter = (place - ENDPOINT_COUNTERS) % PORT_COUNTERS;
    if (at >= atomic_load_explicit(&endpoint->port_count, memory_order_acquire)) {
        return false;
    }
    const struct port *port = endpoint->ports[at];
    *ret_counter = (struct spate_net_counter){
        .name = port->names.text[counter],
        .value = port_value(port, counter),
        .kind = counter == LINK_UP ? SPATE_NET_COUNTER_LEVEL : SPATE_NET_COUNTER_EVENTS,
        .is_drop = is_drop(counter),
    };
    return true;
}
