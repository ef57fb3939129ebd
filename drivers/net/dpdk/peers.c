/* Peers: addresses, the ways to them, and whom a received datagram is from. */
#include <string.h>

#include "memif.h"

uint32_t spate_dpdk_ipv4(const struct spate_address *address)
{
    return (uint32_t)address->bytes[0] << 24 | (uint32_t)address->bytes[1] << 16 |
           (uint32_t)address->bytes[2] << 8 | address->bytes[3];
}

static bool is_from(const struct peer *peer, uint32_t address, uint16_t port)
{
    return peer->port != NULL && peer->route.address == address && peer->address.port == port;
}

spate_peer spate_dpdk_peer_of(struct endpoint *endpoint, uint32_t address, uint16_t port)
{
    if (is_from(&endpoint->peers[endpoint->peer_hint], address, port)) {
        return endpoint->peer_hint;
    }
    for (spate_peer peer = 0; peer < SPATE_PEERS_MAX; peer++) {
        if (is_from(&endpoint->peers[peer], address, port)) {
            endpoint->peer_hint = peer;
            return peer;
        }
    }
    return SPATE_PEER_NONE;
}

static void clear(struct endpoint *endpoint, struct peer *peer)
{
    if (peer->port != NULL) {
        spate_stack_route_clear(peer->port->stack, &peer->route);
        if (endpoint->memif != NULL) {
            spate_dpdk_memif_dismiss(endpoint->memif, peer->port);
        }
    }
    memset(peer, 0, sizeof *peer);
}

spate_err spate_dpdk_set_peer(struct spate_net *net, spate_peer place,
                              const struct spate_address *address)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (place >= SPATE_PEERS_MAX) {
        return SPATE_ERR_INVALID;
    }
    struct peer *peer = &endpoint->peers[place];
    clear(endpoint, peer);
    if (address->family == 0) {
        return SPATE_OK;
    }
    if (address->family != 4) {
        return SPATE_ERR_UNSUPPORTED;
    }
    const uint32_t ipv4 = spate_dpdk_ipv4(address);
    struct port *port = endpoint->ports[0];
    if (endpoint->memif != NULL) {
        const spate_err err = spate_dpdk_memif_want(endpoint->memif, ipv4, &port);
        if (err != SPATE_OK) {
            return err;
        }
    }
    endpoint->now = spate_clock_now(endpoint->options.clock);
    const spate_err err =
        spate_stack_route_set(port->stack, endpoint->now, &peer->route, ipv4, address->port);
    if (err != SPATE_OK) {
        return err;
    }
    peer->address = *address;
    peer->port = port;
    return SPATE_OK;
}
