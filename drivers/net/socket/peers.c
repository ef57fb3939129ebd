/* Peers by place, and places by address. The table is rebuilt whenever a peer changes. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "socket_internal.h"

void spate_socket_address_to(const struct spate_address *address, struct sockaddr_storage *to,
                             socklen_t *ret_bytes)
{
    memset(to, 0, sizeof *to);
    if (address->family == 6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
        memcpy(&v6.sin6_addr, address->bytes, 16);
        memcpy(to, &v6, sizeof v6);
        *ret_bytes = sizeof v6;
    } else {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&v4.sin_addr, address->bytes, 4);
        memcpy(to, &v4, sizeof v4);
        *ret_bytes = sizeof v4;
    }
}

void spate_socket_address_from(const struct sockaddr_storage *from, struct spate_address *address)
{
    *address = (struct spate_address){0};
    if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        address->family = 6;
        address->port = ntohs(v6.sin6_port);
        memcpy(address->bytes, &v6.sin6_addr, 16);
    } else if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        address->family = 4;
        address->port = ntohs(v4.sin_port);
        memcpy(address->bytes, &v4.sin_addr, 4);
    }
}

static uint32_t place_of(const struct spate_address *address)
{
    uint64_t mixed = spate_get_u64(address->bytes) ^ spate_get_u64(address->bytes + 8) ^
                     ((uint64_t)address->port << 40);
    mixed *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 58) % PEER_TABLE_PLACES;
}

spate_peer spate_socket_peer_of(const struct socket_net *socket,
                                const struct sockaddr_storage *from)
{
    struct spate_address address;

    spate_socket_address_from(from, &address);
    for (uint32_t place = place_of(&address);; place = (place + 1) % PEER_TABLE_PLACES) {
        const uint8_t entry = socket->peer_table[place];
        if (entry == 0) {
            return SPATE_PEER_NONE;
        }
        if (spate_address_is_equal(&socket->peers[entry - 1].address, &address)) {
            return entry - 1u;
        }
    }
}

static void rebuild_table(struct socket_net *socket)
{
    memset(socket->peer_table, 0, sizeof socket->peer_table);
    for (spate_peer peer = 0; peer < SPATE_PEERS_MAX; peer++) {
        if (socket->peers[peer].address.family == 0) {
            continue;
        }
        uint32_t place = place_of(&socket->peers[peer].address);
        while (socket->peer_table[place] != 0) {
            place = (place + 1) % PEER_TABLE_PLACES;
        }
        socket->peer_table[place] = (uint8_t)(peer + 1);
    }
}

static bool is_reachable(const struct socket_net *socket, const struct spate_address *address)
{
    const bool is_v6 = address->family == 6;

    if ((address->family != 4 && !is_v6) || is_v6 != (socket->family == AF_INET6)) {
        return false;
    }
    /* A link-local address means nothing without an interface, which it has no room for. */
    const bool is_link_local = address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
    return address->port != 0 && !(is_v6 && is_link_local);
}

spate_err spate_socket_set_peer(struct spate_net *net, spate_peer peer,
                                const struct spate_address *address)
{
    struct socket_net *socket = socket_of(net);

    spate_assert(address != NULL);
    if (peer >= SPATE_PEERS_MAX) {
        return SPATE_ERR_INVALID;
    }
    if (address->family != 0 && !is_reachable(socket, address)) {
        return SPATE_ERR_UNSUPPORTED;
    }
    struct peer *entry = &socket->peers[peer];
    *entry = (struct peer){0};
    if (address->family != 0) {
        /* Copied field by field: bytes behind an IPv4 address would spoil the hash. */
        entry->address.family = address->family;
        entry->address.port = address->port;
        memcpy(entry->address.bytes, address->bytes, address->family == 6 ? 16 : 4);
        spate_socket_address_to(address, &entry->socket_address, &entry->socket_address_bytes);
    }
    rebuild_table(socket);
    return SPATE_OK;
}
