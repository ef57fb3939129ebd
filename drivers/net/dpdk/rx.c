/* Receiving: bursts from the ports, through the stack, lent as they lie in their mbufs. */
#include "base/assert.h"
#include "memif.h"

/* A look at the clock and at the slow things, every so many turns. */
#define TURNS_BETWEEN_UPKEEP 64u

static void came_up(struct endpoint *endpoint, struct port *port)
{
    port->is_known_up = true;
    endpoint->now = spate_clock_now(endpoint->options.clock);
    spate_stack_link_up(port->stack, endpoint->now);
    endpoint->turns = 0; /* What the stack has to say is said in this turn. */
}

bool spate_dpdk_port_is_mine(struct endpoint *endpoint, struct port *port)
{
    const int state = atomic_load_explicit(&port->state, memory_order_acquire);

    if (__builtin_expect(state == PORT_UP, 1)) {
        if (__builtin_expect(!port->is_known_up, 0)) {
            came_up(endpoint, port);
        }
        return true;
    }
    port->is_known_up = false;
    if (state == PORT_LEAVING) {
        atomic_store_explicit(&port->state, PORT_DOWN, memory_order_release);
        spate_dpdk_memif_left(endpoint->memif);
    }
    return false;
}

static uint32_t checked_by_hardware(const struct rte_mbuf *mbuf)
{
    uint32_t good = 0;

    if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD) {
        good |= SPATE_STACK_IP_CHECKSUM_GOOD;
    }
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
        good |= SPATE_STACK_UDP_CHECKSUM_GOOD;
    }
    return good;
}

/* True: `frame` is lent. False: the mbuf is gone. */
static bool take(struct endpoint *endpoint, struct port *port, struct rte_mbuf *mbuf,
                 struct spate_frame *frame)
{
    struct spate_stack_received received;
    uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

    if (mbuf->nb_segs != 1) {
        count(&port->counters.rx_scattered, 1);
        rte_pktmbuf_free(mbuf);
        return false;
    }
    switch (spate_stack_receive(port->stack, endpoint->now, data, mbuf->data_len,
                                checked_by_hardware(mbuf), &received)) {
    case SPATE_STACK_DELIVERED:
        break;
    case SPATE_STACK_ANSWERED:
        mbuf->data_len = (uint16_t)received.size;
        mbuf->pkt_len = received.size;
        mbuf->ol_flags = 0;
        spate_dpdk_tx_own(endpoint, port, mbuf);
        return false;
    case SPATE_STACK_TAKEN:
        rte_pktmbuf_free(mbuf);
        return false;
    case SPATE_STACK_DROPPED:
        count(&endpoint->net.stats.rx_dropped, 1);
        rte_pktmbuf_free(mbuf);
        return false;
    }
    const uint8_t *end = (const uint8_t *)mbuf->buf_addr + mbuf->buf_len;
    const uint32_t room = (uint32_t)(end - received.payload);
    const uint32_t max = endpoint->net.frame_bytes_max;
    if (received.size > max) {
        count(&endpoint->net.stats.rx_dropped, 1);
        rte_pktmbuf_free(mbuf);
        return false;
    }
    *frame = (struct spate_frame){
        .peer = spate_dpdk_peer_of(endpoint, received.address, received.port),
        .size = received.size,
        .capacity = room < max ? room : max,
        .data = received.payload,
        .owner = mbuf,
    };
    return true;
}

static uint32_t rx_port(struct endpoint *endpoint, struct port *port, struct spate_frame frames[],
                        uint32_t room)
{
    uint32_t lent = 0;
    uint64_t bytes = 0;

    if (port->rx_count == 0) {
        port->rx_first = 0;
        port->rx_count = rte_eth_rx_burst(port->id, 0, port->rx, SPATE_BURST_MAX);
        if (port->rx_count == 0) {
            return 0;
        }
        count(&endpoint->net.stats.rx_bursts, 1);
    }
    while (port->rx_count > 0 && lent < room) {
        struct rte_mbuf *mbuf = port->rx[port->rx_first++];
        port->rx_count--;
        if (port->rx_count > 0) {
            rte_prefetch0(rte_pktmbuf_mtod(port->rx[port->rx_first], void *));
        }
        if (take(endpoint, port, mbuf, &frames[lent])) {
            bytes += frames[lent++].size;
        }
    }
    count(&endpoint->net.stats.rx_frames, lent);
    count(&endpoint->net.stats.rx_bytes, bytes);
    return lent;
}

uint32_t spate_dpdk_rx(struct spate_net *net, struct spate_frame frames[], uint32_t room)
{
    struct endpoint *endpoint = endpoint_of(net);
    const uint32_t ports = atomic_load_explicit(&endpoint->port_count, memory_order_relaxed);
    uint32_t lent = 0;

    spate_assert(room <= SPATE_BURST_MAX);
    for (uint32_t i = 0; i < ports && lent < room; i++) {
        endpoint->rx_first = endpoint->rx_first + 1 < ports ? endpoint->rx_first + 1 : 0;
        struct port *port = endpoint->ports[endpoint->rx_first];
        if (spate_dpdk_port_is_mine(endpoint, port)) {
            lent += rx_port(endpoint, port, frames + lent, room - lent);
        }
    }
    if (endpoint->turns++ % TURNS_BETWEEN_UPKEEP == 0) {
        spate_dpdk_upkeep(endpoint);
    }
    endpoint->lent += lent;
    count(&endpoint->polls, 1);
    if (lent == 0) {
        count(&endpoint->polls_empty, 1);
    } else {
        endpoint->sleep_ns = 0;
    }
    return lent;
}
