/*
 * What the files of the stack share: where each field lies, the ARP cache, the state of our own
 * address. Numbers are in host order unless they are bytes.
 */
#ifndef SPATE_NET_DPDK_STACK_STACK_INTERNAL_H
#define SPATE_NET_DPDK_STACK_STACK_INTERNAL_H

#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "stack.h"

#define NSEC_PER_MSEC 1000000u
#define NSEC_PER_SEC  1000000000u

/* Ethernet II (IEEE 802.3) with the tag of 802.1Q. */
#define ETHERNET_BYTES   14u
#define TAG_BYTES        4u
#define MAC_BYTES        6u
#define ETHERTYPE_AT     12u
#define ETHERTYPE_IPV4   0x0800u
#define ETHERTYPE_ARP    0x0806u
#define ETHERTYPE_TAG    0x8100u
#define TAG_VID_MASK     0x0fffu
#define ETHERNET_MIN     60u /* Without the frame check sequence. */
#define ETHERNET_TAG_MIN 64u

/* IPv4 (RFC 791 section 3.1). */
#define IP_BYTES         20u
#define IP_LENGTH_AT     2u
#define IP_FLAGS_AT      6u
#define IP_TTL_AT        8u
#define IP_PROTOCOL_AT   9u
#define IP_CHECKSUM_AT   10u
#define IP_SOURCE_AT     12u
#define IP_TARGET_AT     16u
#define IP_DONT_FRAGMENT 0x4000u
#define IP_FRAGMENT_MASK 0x3fffu /* "More fragments" and the offset. */
#define IP_TTL           64u
#define IP_ICMP          1u
#define IP_UDP           17u

/* UDP (RFC 768). */
#define UDP_BYTES       8u
#define UDP_TARGET_AT   2u
#define UDP_LENGTH_AT   4u
#define UDP_CHECKSUM_AT 6u

/* ICMP echo (RFC 792). */
#define ICMP_BYTES       8u
#define ICMP_CHECKSUM_AT 2u
#define ICMP_ECHO        8u
#define ICMP_ECHO_REPLY  0u
#define ICMP_BURST       100u
#define ICMP_INTERVAL_NS NSEC_PER_MSEC /* One more a millisecond. */

/* ARP for IPv4 over Ethernet (RFC 826). */
#define ARP_BYTES     28u
#define ARP_OP_AT     6u
#define ARP_SHA_AT    8u
#define ARP_SPA_AT    14u
#define ARP_THA_AT    18u
#define ARP_TPA_AT    24u
#define ARP_REQUEST   1u
#define ARP_REPLY     2u
#define ARP_NEIGHBORS 32u /* Next hops that routes use, so never more than peers and one. */

/* A neighbor that does not answer is asked again after 50 ms, 100 ms, ... at last each second. */
#define ARP_RETRY_MIN_NS (50u * NSEC_PER_MSEC)
#define ARP_RETRY_MAX_NS ((spate_time_ns)NSEC_PER_SEC)

/* One that answered is asked again every so often: itself first, then everyone, then given up. */
#define ARP_REFRESH_NS       (15u * (spate_time_ns)NSEC_PER_SEC)
#define ARP_REFRESH_RETRY_NS ((spate_time_ns)NSEC_PER_SEC)
#define ARP_REFRESH_UNICASTS 3u
#define ARP_REFRESH_REQUESTS 6u

/*
 * Duplicate address detection (RFC 5227 section 1.1) with times of a data centre: the RFC's are for
 * bridges that take seconds to learn, and they would keep us silent for nine.
 */
#define ARP_PROBE_WAIT_NS        (20u * (spate_time_ns)NSEC_PER_MSEC)
#define ARP_PROBES               3u
#define ARP_PROBE_MIN_NS         (30u * (spate_time_ns)NSEC_PER_MSEC)
#define ARP_PROBE_MAX_NS         (60u * (spate_time_ns)NSEC_PER_MSEC)
#define ARP_ANNOUNCE_WAIT_NS     (50u * (spate_time_ns)NSEC_PER_MSEC)
#define ARP_ANNOUNCEMENTS        2u
#define ARP_ANNOUNCE_INTERVAL_NS (200u * (spate_time_ns)NSEC_PER_MSEC)
#define ARP_DEFEND_INTERVAL_NS   ((spate_time_ns)NSEC_PER_SEC)

/* One next hop. It is unused while `routes` is zero. */
struct neighbor {
    uint32_t address;
    uint32_t generation; /* Grows whenever `mac` or `is_resolved` changes. */
    struct spate_mac mac;
    bool is_resolved;
    uint8_t requests; /* Without an answer. */
    uint16_t routes;  /* That use it. */
    spate_time_ns next_at;
};

/* What we say about our own address, and when. */
struct own_address {
    uint8_t probes, announcements; /* Left to send. */
    bool is_defending;             /* One more announcement is due. */
    spate_time_ns next_at;
    spate_time_ns defend_from;        /* No defence before. */
    _Atomic uint64_t conflicting_mac; /* As in mac48(). */
};

struct spate_stack {
    /* What every frame is compared with. */
    uint64_t mac48;
    uint32_t address;
    uint16_t port, vlan, mtu;
    uint8_t header_bytes;
    bool is_ip_checksum_offloaded, is_udp_checksum_offloaded;
    spate_time_ns deadline;
    struct spate_stack_counters counters;

    struct spate_mac mac;
    uint32_t mask, gateway;
    uint32_t echo_credit;
    spate_time_ns echo_at; /* When the credit was last counted. */
    struct spate_prng prng;
    struct own_address own;
    struct neighbor neighbors[ARP_NEIGHBORS];
};

static inline uint16_t get_be16(const uint8_t *from)
{
    return __builtin_bswap16(spate_get_u16(from));
}

static inline uint32_t get_be32(const uint8_t *from)
{
    return __builtin_bswap32(spate_get_u32(from));
}

static inline void put_be16(uint8_t *to, uint16_t value)
{
    spate_put_u16(to, __builtin_bswap16(value));
}

static inline void put_be32(uint8_t *to, uint32_t value)
{
    spate_put_u32(to, __builtin_bswap32(value));
}

/* A station's address as a number that compares fast; its lowest bit is the group bit. */
static inline uint64_t mac48(const uint8_t bytes[MAC_BYTES])
{
    return spate_get_u32(bytes) | (uint64_t)spate_get_u16(bytes + 4) << 32;
}

#define MAC48_BROADCAST 0xffffffffffffu
#define MAC48_GROUP     1u

/* One station's address: neither nobody's nor a group's. */
static inline bool is_station(uint64_t mac)
{
    return mac != 0 && (mac & MAC48_GROUP) == 0;
}

/* Only the owner writes, so an addition needs no lock. */
static inline void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline enum spate_stack_verdict drop(struct spate_stack *stack, enum spate_stack_drop reason)
{
    count(&stack->counters.drops[reason]);
    return SPATE_STACK_DROPPED;
}

static inline bool is_on_subnet(const struct spate_stack *stack, uint32_t address)
{
    return ((address ^ stack->address) & stack->mask) == 0;
}

/*
 * Whether an address can be one host's (RFC 1122 section 3.2.1.3): not in 0/8 and 127/8, below the
 * multicast ones, and neither our network's own nor its broadcast address. (Networks of two hosts
 * have neither, RFC 3021.)
 */
static inline bool is_host(const struct spate_stack *stack, uint32_t address)
{
    const uint32_t top = address >> 24;
    const uint32_t host_mask = ~stack->mask;
    const uint32_t host = address & host_mask;

    if (top == 0 || top == 127 || top >= 224) {
        return false;
    }
    return !is_on_subnet(stack, address) || host_mask == 1 || (host != 0 && host != host_mask);
}

/*
 * Turns the Ethernet header around: to `target`, from us. Returns the size to send: at least
 * Ethernet's minimum when the received frame had it, with zeros behind `used` bytes.
 */
uint32_t spate_stack_turn(const struct spate_stack *stack, uint8_t *frame, uint32_t size,
                          const uint8_t target[MAC_BYTES], uint32_t used);

/*
 * What stands behind the Ethernet header, at `at`, whole. `received->size` is the frame's on entry
 * and its answer's after ANSWERED.
 */
enum spate_stack_verdict spate_stack_receive_arp(struct spate_stack *stack, spate_time_ns now,
                                                 uint8_t *frame, uint32_t at,
                                                 struct spate_stack_received *received);
enum spate_stack_verdict spate_stack_receive_echo(struct spate_stack *stack, spate_time_ns now,
                                                  uint8_t *frame, uint32_t at,
                                                  struct spate_stack_received *received);

/* An ARP packet told that `address` is at `mac`: news for those that we send to. */
bool spate_stack_learn(struct spate_stack *stack, spate_time_ns now, uint32_t address,
                       const uint8_t mac[MAC_BYTES]);

/* The place of a next hop, held for one more route; ARP_NEIGHBORS: the cache is full. */
uint32_t spate_stack_hold(struct spate_stack *stack, spate_time_ns now, uint32_t address);

/* Another station said that our address is its own. */
void spate_stack_conflict(struct spate_stack *stack, spate_time_ns now,
                          const uint8_t mac[MAC_BYTES]);

/* Our address has not been announced since the link came up. */
bool spate_stack_is_probing(const struct spate_stack *stack);

/* Brings the deadline forward. */
static inline void spate_stack_due(struct spate_stack *stack, spate_time_ns at)
{
    if (at < stack->deadline) {
        stack->deadline = at;
    }
}

#endif
