/*
 * A received frame on its way up: Ethernet, IPv4, UDP. Each layer trusts only what the one below
 * has found to be inside the frame.
 */
#include "base/assert.h"
#include "checksum.h"
#include "stack_internal.h"

static enum spate_stack_verdict receive_udp(struct spate_stack *stack, uint8_t *ip, uint8_t *udp,
                                            uint32_t available, uint32_t good,
                                            struct spate_stack_received *received)
{
    if (available < UDP_BYTES) {
        return drop(stack, SPATE_STACK_DROP_UDP_LENGTH);
    }
    const uint32_t size = get_be16(udp + UDP_LENGTH_AT);

    /* Less than the packet holds is allowed: the surplus (RFC 9868) is not ours to read. */
    if (size <= UDP_BYTES || size > available) {
        return drop(stack, SPATE_STACK_DROP_UDP_LENGTH);
    }
    if (get_be16(udp + UDP_TARGET_AT) != stack->port) {
        return drop(stack, SPATE_STACK_DROP_UDP_PORT);
    }
    if (spate_get_u16(udp + UDP_CHECKSUM_AT) == 0) {
        return drop(stack, SPATE_STACK_DROP_UDP_CHECKSUM_ABSENT);
    }
    if ((good & SPATE_STACK_UDP_CHECKSUM_GOOD) == 0) {
        /* Both addresses, the protocol, the length: the pseudo header. */
        uint64_t sum = spate_sum_add_u16(spate_get_u64(ip + IP_SOURCE_AT), IP_UDP);

        sum = spate_sum_add_u16(sum, (uint16_t)size);
        if (spate_sum_fold(spate_sum_bytes(sum, udp, size)) != 0xffff) {
            return drop(stack, SPATE_STACK_DROP_UDP_CHECKSUM);
        }
    }
    received->payload = udp + UDP_BYTES;
    received->size = size - UDP_BYTES;
    received->address = get_be32(ip + IP_SOURCE_AT);
    received->port = get_be16(udp);
    return SPATE_STACK_DELIVERED;
}

static bool is_ip_checksum_right(const uint8_t *ip, uint32_t header_bytes)
{
    const uint64_t sum =
        header_bytes == IP_BYTES ? spate_sum_20(ip) : spate_sum_bytes(0, ip, header_bytes);

    return spate_sum_fold(sum) == 0xffff;
}

static enum spate_stack_verdict receive_ip(struct spate_stack *stack, spate_time_ns now,
                                           uint8_t *frame, uint32_t at, uint32_t size,
                                           struct spate_stack_received *received, uint32_t good)
{
    uint8_t *ip = frame + at;

    if (size - at < IP_BYTES) {
        return drop(stack, SPATE_STACK_DROP_TRUNCATED);
    }
    const uint32_t header_bytes = (ip[0] & 0xfu) * 4;
    const uint32_t total = get_be16(ip + IP_LENGTH_AT);
    const uint32_t source = get_be32(ip + IP_SOURCE_AT);

    if (ip[0] >> 4 != 4 || header_bytes < IP_BYTES || header_bytes > total) {
        return drop(stack, SPATE_STACK_DROP_IP_HEADER);
    }
    if (total > size - at || total > stack->mtu) {
        return drop(stack, SPATE_STACK_DROP_TRUNCATED);
    }
    if ((good & SPATE_STACK_IP_CHECKSUM_GOOD) == 0 && !is_ip_checksum_right(ip, header_bytes)) {
        return drop(stack, SPATE_STACK_DROP_IP_CHECKSUM);
    }
    if (get_be32(ip + IP_TARGET_AT) != stack->address) {
        return drop(stack, SPATE_STACK_DROP_NOT_OUR_ADDRESS);
    }
    if (source == stack->address || !is_host(stack, source)) {
        return drop(stack, SPATE_STACK_DROP_IP_HEADER);
    }
    if ((get_be16(ip + IP_FLAGS_AT) & IP_FRAGMENT_MASK) != 0) {
        return drop(stack, SPATE_STACK_DROP_IP_FRAGMENT);
    }
    if (ip[IP_PROTOCOL_AT] == IP_UDP) {
        return receive_udp(stack, ip, ip + header_bytes, total - header_bytes, good, received);
    }
    if (ip[IP_PROTOCOL_AT] == IP_ICMP) {
        received->size = size;
        return spate_stack_receive_echo(stack, now, frame, at, received);
    }
    return drop(stack, SPATE_STACK_DROP_PROTOCOL);
}

enum spate_stack_verdict spate_stack_receive(struct spate_stack *stack, spate_time_ns now,
                                             uint8_t *frame, uint32_t size, uint32_t good,
                                             struct spate_stack_received *ret_received)
{
    uint32_t at = ETHERNET_BYTES;
    uint16_t vlan = 0;

    if (size < ETHERNET_BYTES) {
        return drop(stack, SPATE_STACK_DROP_TRUNCATED);
    }
    const uint64_t target = mac48(frame);
    uint16_t type = get_be16(frame + ETHERTYPE_AT);

    if (target != stack->mac48 && target != MAC48_BROADCAST) {
        return drop(stack, SPATE_STACK_DROP_NOT_OUR_MAC);
    }
    if (type == ETHERTYPE_TAG) {
        if (size < ETHERNET_BYTES + TAG_BYTES) {
            return drop(stack, SPATE_STACK_DROP_TRUNCATED);
        }
        /* Number 0 carries a priority and names no VLAN. */
        vlan = get_be16(frame + ETHERNET_BYTES) & TAG_VID_MASK;
        type = get_be16(frame + ETHERTYPE_AT + TAG_BYTES);
        at += TAG_BYTES;
    }
    if (vlan != stack->vlan) {
        return drop(stack, SPATE_STACK_DROP_VLAN);
    }
    if (type == ETHERTYPE_IPV4) {
        /* RFC 1122 section 3.3.6: what was sent to all stations is not for a host's address. */
        return target == stack->mac48 ? receive_ip(stack, now, frame, at, size, ret_received, good)
                                      : drop(stack, SPATE_STACK_DROP_NOT_OUR_MAC);
    }
    if (type != ETHERTYPE_ARP) {
        return drop(stack, SPATE_STACK_DROP_ETHERTYPE);
    }
    if (size - at < ARP_BYTES) {
        return drop(stack, SPATE_STACK_DROP_TRUNCATED);
    }
    ret_received->size = size;
    return spate_stack_receive_arp(stack, now, frame, at, ret_received);
}

uint32_t spate_stack_turn(const struct spate_stack *stack, uint8_t *frame, uint32_t size,
                          const uint8_t target[MAC_BYTES], uint32_t used)
{
    const uint32_t least = size < ETHERNET_MIN ? size : ETHERNET_MIN;

    spate_assert(used <= size);
    memcpy(frame, target, MAC_BYTES);
    memcpy(frame + MAC_BYTES, stack->mac.bytes, MAC_BYTES);
    if (used >= least) {
        return used;
    }
    memset(frame + used, 0, least - used);
    return least;
}
