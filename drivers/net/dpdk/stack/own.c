/*
 * What we send of our own accord: requests for next hops and refreshes of what is known (RFC 1122
 * section 2.3.2.1), probes for our address, announcements and its defence (RFC 5227).
 */
#include "base/assert.h"
#include "stack_internal.h"

static const uint8_t broadcast[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* A whole ARP request from `sender` (0: a probe). Returns its size. */
static uint32_t write_request(struct spate_stack *stack, uint8_t *frame,
                              const uint8_t station[MAC_BYTES], uint32_t sender, uint32_t target)
{
    uint8_t *type = frame + ETHERTYPE_AT;
    uint32_t size = ETHERNET_MIN;

    memset(frame, 0, SPATE_STACK_OWN_FRAME_BYTES_MAX);
    memcpy(frame, station, MAC_BYTES);
    memcpy(frame + MAC_BYTES, stack->mac.bytes, MAC_BYTES);
    if (stack->vlan != 0) {
        put_be16(type, ETHERTYPE_TAG);
        put_be16(type + 2, stack->vlan);
        type += TAG_BYTES;
        size = ETHERNET_TAG_MIN;
    }
    put_be16(type, ETHERTYPE_ARP);
    uint8_t *arp = type + 2;

    put_be16(arp, 1);
    put_be16(arp + 2, ETHERTYPE_IPV4);
    arp[4] = MAC_BYTES;
    arp[5] = 4;
    put_be16(arp + ARP_OP_AT, ARP_REQUEST);
    memcpy(arp + ARP_SHA_AT, stack->mac.bytes, MAC_BYTES);
    put_be32(arp + ARP_SPA_AT, sender);
    put_be32(arp + ARP_TPA_AT, target);
    count(&stack->counters.arp_requests_sent);
    return size;
}

static uint32_t announce(struct spate_stack *stack, uint8_t *frame)
{
    return write_request(stack, frame, broadcast, stack->address, stack->address);
}

bool spate_stack_is_probing(const struct spate_stack *stack)
{
    return stack->own.announcements == ARP_ANNOUNCEMENTS;
}

void spate_stack_conflict(struct spate_stack *stack, spate_time_ns now,
                          const uint8_t mac[MAC_BYTES])
{
    struct own_address *own = &stack->own;

    count(&stack->counters.address_conflicts);
    atomic_store_explicit(&own->conflicting_mac, mac48(mac), memory_order_relaxed);
    if (now >= own->defend_from) {
        own->is_defending = true;
        own->defend_from = now + ARP_DEFEND_INTERVAL_NS;
        spate_stack_due(stack, now);
    }
}

static uint32_t poll_own(struct spate_stack *stack, spate_time_ns now, uint8_t *frame)
{
    struct own_address *own = &stack->own;

    if (own->is_defending) {
        own->is_defending = false;
        return announce(stack, frame);
    }
    if (now < own->next_at) {
        return 0;
    }
    if (own->probes > 0) {
        own->probes--;
        own->next_at = now + (own->probes > 0 ? spate_prng_between(&stack->prng, ARP_PROBE_MIN_NS,
                                                                   ARP_PROBE_MAX_NS)
                                              : ARP_ANNOUNCE_WAIT_NS);
        return write_request(stack, frame, broadcast, 0, stack->address);
    }
    spate_assert(own->announcements > 0);
    own->announcements--;
    own->next_at = own->announcements > 0 ? now + ARP_ANNOUNCE_INTERVAL_NS : SPATE_TIME_NEVER;
    return announce(stack, frame);
}

/* The longer nobody answers the longer we wait, and never quite as long as others do. */
static spate_time_ns retry_after(struct spate_stack *stack, uint8_t requests)
{
    spate_time_ns wait = ARP_RETRY_MIN_NS << (requests < 8 ? requests : 8);

    if (wait > ARP_RETRY_MAX_NS) {
        wait = ARP_RETRY_MAX_NS;
    }
    return wait - spate_prng_below(&stack->prng, wait / 8);
}

static uint32_t poll_neighbor(struct spate_stack *stack, spate_time_ns now,
                              struct neighbor *neighbor, uint8_t *frame)
{
    const uint8_t *station = broadcast;

    if (neighbor->routes == 0 || now < neighbor->next_at) {
        return 0;
    }
    if (neighbor->is_resolved && neighbor->requests == ARP_REFRESH_REQUESTS) {
        neighbor->is_resolved = false;
        neighbor->generation++;
        neighbor->requests = 0;
        count(&stack->counters.arp_lost);
    }
    if (neighbor->is_resolved) {
        station = neighbor->requests < ARP_REFRESH_UNICASTS ? neighbor->mac.bytes : broadcast;
        neighbor->next_at = now + ARP_REFRESH_RETRY_NS;
    } else {
        neighbor->next_at = now + retry_after(stack, neighbor->requests);
    }
    if (neighbor->requests < UINT8_MAX) {
        neighbor->requests++;
    }
    return write_request(stack, frame, station, stack->address, neighbor->address);
}

static spate_time_ns next_deadline(const struct spate_stack *stack)
{
    spate_time_ns next = stack->own.is_defending ? 0 : stack->own.next_at;

    for (uint32_t i = 0; i < ARP_NEIGHBORS; i++) {
        const struct neighbor *neighbor = &stack->neighbors[i];
        if (neighbor->routes > 0 && neighbor->next_at < next) {
            next = neighbor->next_at;
        }
    }
    return next;
}

uint32_t spate_stack_poll(struct spate_stack *stack, spate_time_ns now,
                          uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX])
{
    if (now < stack->deadline) {
        spate_assert_slow(stack->deadline <= next_deadline(stack));
        return 0;
    }
    uint32_t size = poll_own(stack, now, frame);

    for (uint32_t i = 0; i < ARP_NEIGHBORS && size == 0; i++) {
        size = poll_neighbor(stack, now, &stack->neighbors[i], frame);
    }
    if (size == 0) {
        stack->deadline = next_deadline(stack);
        spate_assert(stack->deadline > now);
    }
    return size;
}

void spate_stack_link_up(struct spate_stack *stack, spate_time_ns now)
{
    struct own_address *own = &stack->own;

    own->probes = ARP_PROBES;
    own->announcements = ARP_ANNOUNCEMENTS;
    own->next_at = now + spate_prng_below(&stack->prng, ARP_PROBE_WAIT_NS);
    for (uint32_t i = 0; i < ARP_NEIGHBORS; i++) {
        struct neighbor *neighbor = &stack->neighbors[i];
        /* What is known stays in use meanwhile, but it may have moved: everyone is asked. */
        neighbor->requests = neighbor->is_resolved ? ARP_REFRESH_UNICASTS : 0;
        neighbor->next_at = now;
    }
    spate_stack_due(stack, now);
}
