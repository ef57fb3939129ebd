/* Routes, and the headers of what is sent along them. */
#include "base/assert.h"
#include "checksum.h"
#include "stack_internal.h"

/* Takes over what the cache knows of the next hop. */
static void renew(const struct neighbor *neighbor, struct spate_stack_route *route)
{
    route->generation = neighbor->generation;
    route->is_resolved = neighbor->is_resolved;
    memcpy(route->headers, neighbor->mac.bytes, MAC_BYTES);
}

/* All headers, with zeros for what the size decides; and the sums of the rest. */
static void prepare(const struct spate_stack *stack, struct spate_stack_route *route, uint16_t port)
{
    uint8_t *type = route->headers + ETHERTYPE_AT;

    memset(route->headers, 0, sizeof route->headers);
    memcpy(route->headers + MAC_BYTES, stack->mac.bytes, MAC_BYTES);
    if (stack->vlan != 0) {
        put_be16(type, ETHERTYPE_TAG);
        put_be16(type + 2, stack->vlan);
        type += TAG_BYTES;
    }
    put_be16(type, ETHERTYPE_IPV4);
    uint8_t *ip = type + 2;
    uint8_t *udp = ip + IP_BYTES;

    ip[0] = 0x45;
    /* Never fragmented, so the identification may stay zero (RFC 6864). */
    put_be16(ip + IP_FLAGS_AT, IP_DONT_FRAGMENT);
    ip[IP_TTL_AT] = IP_TTL;
    ip[IP_PROTOCOL_AT] = IP_UDP;
    put_be32(ip + IP_SOURCE_AT, stack->address);
    put_be32(ip + IP_TARGET_AT, route->address);
    put_be16(udp, stack->port);
    put_be16(udp + UDP_TARGET_AT, port);

    uint64_t sum = spate_sum_add_u16(spate_get_u64(ip + IP_SOURCE_AT), IP_UDP);

    /* The port sums up its own part of the frame. */
    if (!stack->is_udp_checksum_offloaded) {
        sum = spate_sum_add(sum, spate_get_u32(udp));
    }
    route->partial_sum = spate_sum_fold(sum);
    route->ip_partial_sum = spate_sum_fold(spate_sum_20(ip));
}

spate_err spate_stack_route_set(struct spate_stack *stack, spate_time_ns now,
                                struct spate_stack_route *route, uint32_t address, uint16_t port)
{
    if (port == 0 || address == stack->address || !is_host(stack, address)) {
        return SPATE_ERR_INVALID;
    }
    const uint32_t next_hop = is_on_subnet(stack, address) ? address : stack->gateway;

    if (next_hop == 0) {
        return SPATE_ERR_UNSUPPORTED;
    }
    const uint32_t place = spate_stack_hold(stack, now, next_hop);

    if (place == ARP_NEIGHBORS) {
        return SPATE_ERR_BUSY;
    }
    spate_stack_route_clear(stack, route);
    route->is_set = true;
    route->neighbor = (uint8_t)place;
    route->address = address;
    prepare(stack, route, port);
    renew(&stack->neighbors[place], route);
    return SPATE_OK;
}

void spate_stack_route_clear(struct spate_stack *stack, struct spate_stack_route *route)
{
    if (route->is_set) {
        spate_assert(route->neighbor < ARP_NEIGHBORS);
        spate_assert(stack->neighbors[route->neighbor].routes > 0);
        stack->neighbors[route->neighbor].routes--;
        route->is_set = false;
        route->is_resolved = false;
    }
}

/* Two constant sizes are a few moves each; a variable one would be a call. */
static void copy_headers(const struct spate_stack *stack, const struct spate_stack_route *route,
                         uint8_t *payload)
{
    if (stack->vlan == 0) {
        memcpy(payload - (SPATE_STACK_HEADER_BYTES_MAX - TAG_BYTES), route->headers,
               SPATE_STACK_HEADER_BYTES_MAX - TAG_BYTES);
    } else {
        memcpy(payload - SPATE_STACK_HEADER_BYTES_MAX, route->headers,
               SPATE_STACK_HEADER_BYTES_MAX);
    }
}

bool spate_stack_send(struct spate_stack *stack, struct spate_stack_route *route, uint8_t *payload,
                      uint32_t size)
{
    spate_assert(route->is_set && route->neighbor < ARP_NEIGHBORS);
    spate_assert(size >= 1 && size <= stack->mtu - SPATE_STACK_OVERHEAD_BYTES);
    const struct neighbor *neighbor = &stack->neighbors[route->neighbor];

    if (route->generation != neighbor->generation) {
        renew(neighbor, route);
    }
    if (!route->is_resolved) {
        (void)drop(stack, SPATE_STACK_DROP_UNRESOLVED);
        return false;
    }
    uint8_t *udp = payload - UDP_BYTES;
    uint8_t *ip = udp - IP_BYTES;
    const uint16_t total = __builtin_bswap16((uint16_t)(size + IP_BYTES + UDP_BYTES));
    const uint16_t length = __builtin_bswap16((uint16_t)(size + UDP_BYTES));

    copy_headers(stack, route, payload);
    spate_put_u16(ip + IP_LENGTH_AT, total);
    spate_put_u16(udp + UDP_LENGTH_AT, length);
    if (!stack->is_ip_checksum_offloaded) {
        spate_put_u16(ip + IP_CHECKSUM_AT,
                      spate_sum_checksum((uint64_t)route->ip_partial_sum + total));
    }
    const uint64_t sum = (uint64_t)route->partial_sum + length;

    if (stack->is_udp_checksum_offloaded) {
        spate_put_u16(udp + UDP_CHECKSUM_AT, spate_sum_fold(sum));
    } else {
        /* The length counts twice: in the pseudo header and in the UDP header. */
        const uint16_t checksum = spate_sum_checksum(spate_sum_bytes(sum + length, payload, size));
        /* Zero would mean that there is none. */
        spate_put_u16(udp + UDP_CHECKSUM_AT, checksum != 0 ? checksum : 0xffff);
    }
    return true;
}
