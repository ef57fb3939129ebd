/*
 * A host's IPv4 network stack for one Ethernet port and one UDP service: Ethernet II (with an
 * 802.1Q tag or without), ARP (RFC 826, duplicate address detection RFC 5227), IPv4 (RFC 791),
 * ICMP echo (RFC 792), UDP (RFC 768). Functions on bytes: the caller owns every frame, the clock
 * and the port; nothing here allocates after creation, blocks or calls the system.
 *
 * Received frames are answered in place where they want an answer. Frames of our own accord (ARP
 * requests, announcements) are handed out by spate_stack_poll(). What is not ours is dropped and
 * counted by reason.
 *
 * Thread: one owner; counters are read by any.
 */
#ifndef SPATE_NET_DPDK_STACK_STACK_H
#define SPATE_NET_DPDK_STACK_STACK_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/types.h"

/* Ethernet 14, tag 4, IPv4 20, UDP 8. */
#define SPATE_STACK_HEADER_BYTES_MAX 46u

/* IPv4 and UDP: what an MTU loses before the payload begins. */
#define SPATE_STACK_OVERHEAD_BYTES 28u

#define SPATE_STACK_MTU_MIN 1500u
#define SPATE_STACK_MTU_MAX 9000u

/* The largest frame that spate_stack_poll() makes (padded to Ethernet's minimum). */
#define SPATE_STACK_OWN_FRAME_BYTES_MAX 64u

struct spate_mac {
    uint8_t bytes[6];
};

/* Why a frame was dropped. */
#define SPATE_STACK_DROPS(X)                                                                  \
    X(TRUNCATED, "truncated")     /* Shorter than its headers say, or larger than the MTU. */ \
    X(NOT_OUR_MAC, "not_our_mac") /* For another station. */                                  \
    X(VLAN, "vlan")               /* Another tag than ours, or a tag where we have none. */   \
    X(ETHERTYPE, "ethertype")     /* Neither IPv4 nor ARP. */                                 \
    X(ARP, "arp")                 /* Malformed, or about other hosts. */                      \
    X(IP_HEADER, "ip_header")     /* Malformed, or a bad source address. */                   \
    X(IP_CHECKSUM, "ip_checksum")                                                             \
    X(IP_FRAGMENT, "ip_fragment") /* Fragments are never put together here. */                \
    X(NOT_OUR_ADDRESS, "not_our_address")                                                     \
    X(PROTOCOL, "protocol")     /* Neither UDP nor ICMP echo. */                              \
    X(ICMP, "icmp")             /* Malformed, other than echo, or too many a second. */       \
    X(UDP_LENGTH, "udp_length") /* Malformed, or without a payload. */                        \
    X(UDP_CHECKSUM, "udp_checksum")                                                           \
    X(UDP_CHECKSUM_ABSENT, "udp_checksum_absent")                                             \
    X(UDP_PORT, "udp_port")     /* Not our service. */                                        \
    X(UNRESOLVED, "unresolved") /* Sending: the next hop has not answered ARP yet. */

enum spate_stack_drop {
#define SPATE_STACK_DROP_ENUM(name, text) SPATE_STACK_DROP_##name,
    SPATE_STACK_DROPS(SPATE_STACK_DROP_ENUM)
#undef SPATE_STACK_DROP_ENUM
        SPATE_STACK_DROP_COUNT
};

/* "ip_checksum" */
const char *spate_stack_drop_text(enum spate_stack_drop drop);

struct spate_stack_options {
    struct spate_mac mac;
    uint32_t address;    /* IPv4, host order, as all addresses here. */
    uint8_t prefix_bits; /* 1 to 31. */
    uint32_t gateway;    /* On the subnet; 0: none, and only the subnet can be reached. */
    uint16_t port;       /* Of the UDP service, ours and the source of what we send. */
    uint16_t vlan;       /* 1 to 4094; 0: untagged. */
    uint16_t mtu;        /* Largest IPv4 packet. */
    uint64_t seed;       /* For what should differ between hosts (when to probe). */

    /*
     * The port fills in the checksums of what we send: then the IPv4 checksum is left zero and the
     * UDP checksum holds the sum of the pseudo header (what rte_ethdev asks for).
     */
    bool tx_ip_checksum_offloaded;
    bool tx_udp_checksum_offloaded;
};

struct spate_stack;

/* Memory: the caller destroys it. Errors: SPATE_ERR_INVALID (options), SPATE_ERR_NO_MEMORY */
spate_err spate_stack_create(const struct spate_stack_options *options,
                             struct spate_stack **ret_stack) SPATE_MUST_CHECK;
void spate_stack_destroy(struct spate_stack *stack);

/* 42, or 46 with a tag: what precedes the payload in every frame that is sent. */
uint32_t spate_stack_header_bytes(const struct spate_stack *stack);

/* What the port's hardware has verified already. */
#define SPATE_STACK_IP_CHECKSUM_GOOD  1u
#define SPATE_STACK_UDP_CHECKSUM_GOOD 2u

enum spate_stack_verdict {
    SPATE_STACK_DROPPED = 0,   /* Counted by reason. */
    SPATE_STACK_DELIVERED = 1, /* A datagram for our service. */
    SPATE_STACK_ANSWERED = 2,  /* The frame was turned into its answer: send its first `size` bytes.
                                  Checksums are complete. */
    SPATE_STACK_TAKEN = 3,     /* An ARP packet that told us something: nothing is left to do. */
};

struct spate_stack_received {
    uint8_t *payload; /* DELIVERED: inside the frame. */
    uint32_t size;    /* DELIVERED: of the payload, at least 1. ANSWERED: of the frame. */
    uint32_t address; /* DELIVERED: the sender. */
    uint16_t port;
};

/*
 * Takes one received frame, without its frame check sequence. `good`: SPATE_STACK_*_GOOD.
 * An answer is never longer than the frame it answers.
 */
enum spate_stack_verdict spate_stack_receive(struct spate_stack *stack, spate_time_ns now,
                                             uint8_t *frame, uint32_t size, uint32_t good,
                                             struct spate_stack_received *ret_received);

/* The way to one peer, with its headers prepared. The caller's memory, the stack's contents. */
struct spate_stack_route {
    uint8_t headers[SPATE_STACK_HEADER_BYTES_MAX];
    bool is_set;
    bool is_resolved; /* headers hold the next hop's MAC address. */
    uint8_t neighbor; /* Its place in the ARP cache. */
    uint32_t address;
    uint32_t partial_sum;    /* Of what does not change in the pseudo header and the UDP header. */
    uint32_t ip_partial_sum; /* And in the IPv4 header. */
    uint32_t generation;     /* Of the neighbor's entry when the headers were made. */
};

/*
 * Prepares the way to address:port, instead of what the route led to before, and begins to resolve
 * its next hop. Requires: the route is zeroed or was set before. An error leaves it as it was.
 * SPATE_ERR_INVALID: port 0, or not an address that can be a host's (multicast, ours, the
 * network's own). SPATE_ERR_UNSUPPORTED: off the subnet, and there is no gateway.
 * SPATE_ERR_BUSY: more than 32 next hops.
 */
spate_err spate_stack_route_set(struct spate_stack *stack, spate_time_ns now,
                                struct spate_stack_route *route, uint32_t address,
                                uint16_t port) SPATE_MUST_CHECK;

/* Forgets where it leads. A route that is not set stays so. */
void spate_stack_route_clear(struct spate_stack *stack, struct spate_stack_route *route);

/*
 * Writes the headers of one datagram in front of its payload, of which spate_stack_header_bytes()
 * are ours to write. False: the next hop is unknown; counted, and asked for.
 * Requires: 1 <= size <= mtu - SPATE_STACK_OVERHEAD_BYTES; the route is set.
 */
bool spate_stack_send(struct spate_stack *stack, struct spate_stack_route *route, uint8_t *payload,
                      uint32_t size);

/*
 * The next frame of our own accord (requests, refreshes, probes, announcements), complete, in
 * `frame`. Returns its size, or 0 when nothing is due. To be called until it returns 0, whenever
 * the deadline has passed and after route_set and a link's coming up.
 */
uint32_t spate_stack_poll(struct spate_stack *stack, spate_time_ns now,
                          uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX]);

/* When to call spate_stack_poll() again: never later than something is due, perhaps earlier. */
spate_time_ns spate_stack_deadline(const struct spate_stack *stack);

/*
 * The link came up (again): probe for our address and announce it, ask for every neighbor anew.
 * Nothing waits for that: what is sent meanwhile uses what is known. Before the first time nothing
 * is said of our own accord but requests for the next hops of routes.
 */
void spate_stack_link_up(struct spate_stack *stack, spate_time_ns now);

/* Counters, written by the owner and readable from any thread. They only grow. */
struct spate_stack_counters {
    _Atomic uint64_t drops[SPATE_STACK_DROP_COUNT];
    _Atomic uint64_t arp_requests_sent; /* Refreshes, probes and announcements too. */
    _Atomic uint64_t arp_replies_sent;
    _Atomic uint64_t arp_learned; /* A neighbor became known or has a new MAC address. */
    _Atomic uint64_t arp_lost;    /* A neighbor no longer answers. */
    _Atomic uint64_t echo_replies;
    _Atomic uint64_t address_conflicts; /* Another station claimed our address. */
};

const struct spate_stack_counters *spate_stack_counters(const struct spate_stack *stack);

/* The station that last claimed our address; meaningful while address_conflicts > 0. Thread: any.
 */
struct spate_mac spate_stack_conflicting_mac(const struct spate_stack *stack);

#endif
