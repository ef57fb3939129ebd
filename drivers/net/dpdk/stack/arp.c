/*
 * Received ARP packets (RFC 826) and the cache of next hops. The cache holds only those that routes
 * lead to, so no stranger can fill it; whoever asks for us is answered without being remembered.
 */
#include "base/assert.h"
#include "stack_internal.h"

/* ARP_NEIGHBORS: no route leads over it. */
static uint32_t find(const struct spate_stack *stack, uint32_t address)
{
    uint32_t place = 0;

    while (place < ARP_NEIGHBORS &&
           (stack->neighbors[place].routes == 0 || stack->neighbors[place].address != address)) {
        place++;
    }
    return place;
}

static uint32_t take_up(struct spate_stack *stack, spate_time_ns now, uint32_t address)
{
    uint32_t place = 0;

    while (place < ARP_NEIGHBORS && stack->neighbors[place].routes > 0) {
        place++;
    }
    if (place < ARP_NEIGHBORS) {
        struct neighbor *neighbor = &stack->neighbors[place];

        neighbor->address = address;
        neighbor->is_resolved = false;
        neighbor->requests = 0;
        neighbor->next_at = now;
        spate_stack_due(stack, now);
    }
    return place;
}

uint32_t spate_stack_hold(struct spate_stack *stack, spate_time_ns now, uint32_t address)
{
    uint32_t place = find(stack, address);

    if (place == ARP_NEIGHBORS) {
        place = take_up(stack, now, address);
    }
    if (place < ARP_NEIGHBORS) {
        spate_assert(stack->neighbors[place].routes < UINT16_MAX);
        stack->neighbors[place].routes++;
    }
    return place;
}

bool spate_stack_learn(struct spate_stack *stack, spate_time_ns now, uint32_t address,
                       const uint8_t mac[MAC_BYTES])
{
    const uint32_t place = find(stack, address);

    if (place == ARP_NEIGHBORS) {
        return false;
    }
    struct neighbor *neighbor = &stack->neighbors[place];

    if (!neighbor->is_resolved || mac48(neighbor->mac.bytes) != mac48(mac)) {
        memcpy(neighbor->mac.bytes, mac, MAC_BYTES);
        neighbor->is_resolved = true;
        neighbor->generation++;
        count(&stack->counters.arp_learned);
    }
    neighbor->requests = 0;
    /* Not all at the same time. */
    neighbor->next_at = now + ARP_REFRESH_NS - spate_prng_below(&stack->prng, ARP_REFRESH_NS / 8);
    spate_stack_due(stack, neighbor->next_at);
    return true;
}

/* Requires: a request for us from a station. */
static enum spate_stack_verdict answer(struct spate_stack *stack, uint8_t *frame, uint32_t at,
                                       struct spate_stack_received *received)
{
    uint8_t *arp = frame + at;
    uint8_t asker[MAC_BYTES + 4];

    memcpy(asker, arp + ARP_SHA_AT, sizeof asker);
    memcpy(arp + ARP_THA_AT, asker, sizeof asker);
    memcpy(arp + ARP_SHA_AT, stack->mac.bytes, MAC_BYTES);
    put_be32(arp + ARP_SPA_AT, stack->address);
    put_be16(arp + ARP_OP_AT, ARP_REPLY);
    received->size = spate_stack_turn(stack, frame, received->size, asker, at + ARP_BYTES);
    count(&stack->counters.arp_replies_sent);
    return SPATE_STACK_ANSWERED;
}

enum spate_stack_verdict spate_stack_receive_arp(struct spate_stack *stack, spate_time_ns now,
                                                 uint8_t *frame, uint32_t at,
                                                 struct spate_stack_received *received)
{
    /* Ethernet and IPv4, and the lengths of their addresses. */
    static const uint8_t kind[ARP_OP_AT] = {0, 1, ETHERTYPE_IPV4 >> 8, 0, MAC_BYTES, 4};
    const uint8_t *arp = frame + at;
    const uint16_t op = get_be16(arp + ARP_OP_AT);
    const uint64_t sender_mac = mac48(arp + ARP_SHA_AT);
    const uint32_t sender = get_be32(arp + ARP_SPA_AT);
    const bool is_for_us = op == ARP_REQUEST && get_be32(arp + ARP_TPA_AT) == stack->address;

    if (memcmp(arp, kind, sizeof kind) != 0 || (op != ARP_REQUEST && op != ARP_REPLY) ||
        !is_station(sender_mac) || sender_mac == stack->mac48 ||
        (sender != 0 && !is_host(stack, sender))) {
        return drop(stack, SPATE_STACK_DROP_ARP);
    }
    if (sender == stack->address) {
        spate_stack_conflict(stack, now, arp + ARP_SHA_AT);
        return SPATE_STACK_TAKEN;
    }
    if (sender == 0 && is_for_us && spate_stack_is_probing(stack)) {
        /* Both of us are about to take the address. The answer tells the other one. */
        spate_stack_conflict(stack, now, arp + ARP_SHA_AT);
    }
    const bool is_news = spate_stack_learn(stack, now, sender, arp + ARP_SHA_AT);

    if (is_for_us) {
        return answer(stack, frame, at, received);
    }
    return is_news ? SPATE_STACK_TAKEN : drop(stack, SPATE_STACK_DROP_ARP);
}
