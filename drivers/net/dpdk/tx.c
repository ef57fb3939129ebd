/* Sending: frames become mbufs with their headers in front, collected per port. */
#include "base/assert.h"
#include "dpdk_internal.h"

#define IPV4_BYTES 20u

spate_err spate_dpdk_reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                             uint32_t frame_count)
{
    struct endpoint *endpoint = endpoint_of(net);
    struct rte_mbuf *mbufs[SPATE_BURST_MAX];

    spate_assert(frame_count <= SPATE_BURST_MAX);
    spate_assert(peer < SPATE_PEERS_MAX);
    if (endpoint->lent + frame_count > LENT_MAX ||
        rte_pktmbuf_alloc_bulk(endpoint->pool, mbufs, frame_count) != 0) {
        return SPATE_ERR_BUSY;
    }
    for (uint32_t i = 0; i < frame_count; i++) {
        frames[i] = (struct spate_frame){.peer = peer,
                                         .capacity = net->frame_bytes_max,
                                         .data = rte_pktmbuf_mtod(mbufs[i], uint8_t *),
                                         .owner = mbufs[i]};
    }
    endpoint->lent += frame_count;
    return SPATE_OK;
}

static struct rte_mbuf *take_back(struct endpoint *endpoint, const struct spate_frame *frame)
{
    spate_assert(endpoint->lent > 0);
    endpoint->lent--;
    return frame->owner;
}

void spate_dpdk_release(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    struct rte_mbuf *mbufs[SPATE_BURST_MAX];

    spate_assert(frame_count <= SPATE_BURST_MAX);
    for (uint32_t i = 0; i < frame_count; i++) {
        mbufs[i] = take_back(endpoint_of(net), &frames[i]);
    }
    rte_pktmbuf_free_bulk(mbufs, frame_count);
}

void spate_dpdk_tx_own(struct endpoint *endpoint, struct port *port, struct rte_mbuf *mbuf)
{
    (void)endpoint;
    if (rte_eth_tx_burst(port->id, 0, &mbuf, 1) != 1) {
        count(&port->counters.tx_full, 1);
        rte_pktmbuf_free(mbuf);
    }
}

/* The mbuf as a packet: headers, payload, and what the port is to fill in. */
static bool wrap(struct endpoint *endpoint, struct peer *peer, const struct spate_frame *frame,
                 struct rte_mbuf *mbuf)
{
    struct port *port = peer->port;
    const uint32_t header_bytes = endpoint->header_bytes;

    if (!spate_stack_send(port->stack, &peer->route, frame->data, frame->size)) {
        return false;
    }
    mbuf->data_off = (uint16_t)(frame->data - header_bytes - (const uint8_t *)mbuf->buf_addr);
    mbuf->data_len = (uint16_t)(frame->size + header_bytes);
    mbuf->pkt_len = mbuf->data_len;
    mbuf->ol_flags = port->tx_flags;
    mbuf->tx_offload =
        rte_mbuf_tx_offload(header_bytes - SPATE_STACK_OVERHEAD_BYTES, IPV4_BYTES, 0, 0, 0, 0, 0);
    return true;
}

/* Hands over what was collected; what the device has no room for is dropped. */
static void flush(struct endpoint *endpoint, struct port *port)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < port->tx_count; i++) {
        bytes += port->tx[i]->data_len - endpoint->header_bytes;
    }
    const uint16_t sent = rte_eth_tx_burst(port->id, 0, port->tx, port->tx_count);
    if (sent < port->tx_count) {
        const uint32_t left = port->tx_count - sent;
        for (uint32_t i = sent; i < port->tx_count; i++) {
            bytes -= port->tx[i]->data_len - endpoint->header_bytes;
        }
        rte_pktmbuf_free_bulk(&port->tx[sent], left);
        count(&port->counters.tx_full, left);
        count(&endpoint->net.stats.tx_dropped, left);
    }
    count(&endpoint->net.stats.tx_frames, sent);
    count(&endpoint->net.stats.tx_bytes, bytes);
    port->tx_count = 0;
}

static void drop(struct endpoint *endpoint, struct rte_mbuf *mbuf)
{
    rte_pktmbuf_free(mbuf);
    count(&endpoint->net.stats.tx_dropped, 1);
}

void spate_dpdk_tx(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    struct endpoint *endpoint = endpoint_of(net);
    struct port *port = NULL;

    spate_assert(frame_count <= SPATE_BURST_MAX);
    for (uint32_t i = 0; i < frame_count; i++) {
        struct rte_mbuf *mbuf = take_back(endpoint, &frames[i]);
        spate_assert(frames[i].peer < SPATE_PEERS_MAX);
        struct peer *peer = &endpoint->peers[frames[i].peer];

        if (peer->port != port && port != NULL && port->tx_count > 0) {
            flush(endpoint, port);
        }
        port = peer->port;
        if (port == NULL) {
            drop(endpoint, mbuf);
        } else if (!spate_dpdk_port_is_mine(endpoint, port)) {
            count(&port->counters.tx_down, 1);
            drop(endpoint, mbuf);
        } else if (!wrap(endpoint, peer, &frames[i], mbuf)) {
            drop(endpoint, mbuf);
        } else {
            port->tx[port->tx_count++] = mbuf;
        }
    }
    if (port != NULL && port->tx_count > 0) {
        flush(endpoint, port);
    }
    if (frame_count > 0) {
        count(&net->stats.tx_bursts, 1);
    }
}
