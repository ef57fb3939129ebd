/* One stack under test, what surrounds it, and short words for both. */
#ifndef SPATE_UNIT_DPDK_STACK_STATION_H
#define SPATE_UNIT_DPDK_STACK_STATION_H

#include <stdlib.h>
#include <string.h>

#include "net/dpdk/stack/stack.h"
#include "support/ether.h"
#include "support/test.h"

#define MSEC 1000000u
#define SEC  (1000u * (uint64_t)MSEC)

#define IP(a, b, c, d) \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

#define OUR_ADDRESS  IP(10, 77, 0, 1)
#define PEER_ADDRESS IP(10, 77, 0, 2)
#define GATEWAY      IP(10, 77, 0, 254)
#define FAR_ADDRESS  IP(192, 168, 7, 9)
#define OUR_PORT     7209u
#define PEER_PORT    7210u

static const uint8_t our_mac[6] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
static const uint8_t peer_mac[6] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02};
static const uint8_t other_mac[6] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x03};
static const uint8_t zero_mac[6] = {0};
static const uint8_t all_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static inline struct spate_stack_options plain_options(void)
{
    struct spate_stack_options options = {
        .address = OUR_ADDRESS,
        .prefix_bits = 24,
        .port = OUR_PORT,
        .mtu = 9000,
        .seed = 1,
    };
    memcpy(options.mac.bytes, our_mac, 6);
    return options;
}

static inline struct spate_stack *stack_with(const struct spate_stack_options *options)
{
    struct spate_stack *stack = NULL;

    assert_int_equal(spate_stack_create(options, &stack), SPATE_OK);
    return stack;
}

static inline struct spate_stack *plain_stack(void)
{
    const struct spate_stack_options options = plain_options();
    return stack_with(&options);
}

static inline struct spate_stack *tagged_stack(uint16_t vlan)
{
    struct spate_stack_options options = plain_options();
    options.vlan = vlan;
    return stack_with(&options);
}

/* From the peer to us, with a payload of `size` bytes at `body`. */
static inline struct ether_packet packet_to_us(const uint8_t *body, uint32_t size)
{
    return (struct ether_packet){.target_mac = our_mac,
                                 .source_mac = peer_mac,
                                 .tag = ETHER_UNTAGGED,
                                 .source = PEER_ADDRESS,
                                 .target = OUR_ADDRESS,
                                 .protocol = 17,
                                 .body = body,
                                 .body_bytes = size};
}

static inline uint64_t drops_of(const struct spate_stack *stack, enum spate_stack_drop reason)
{
    return atomic_load(&spate_stack_counters(stack)->drops[reason]);
}

static inline uint64_t all_drops(const struct spate_stack *stack)
{
    uint64_t sum = 0;

    for (int i = 0; i < SPATE_STACK_DROP_COUNT; i++) {
        sum += drops_of(stack, (enum spate_stack_drop)i);
    }
    return sum;
}

/*
 * Gives a copy of the frame to the stack, in a block of exactly its size, so that the sanitizers
 * see a byte too many; and writes back what became of it.
 */
static inline enum spate_stack_verdict receive_with(struct spate_stack *stack, uint64_t now,
                                                    uint8_t *frame, uint32_t size, uint32_t good,
                                                    struct spate_stack_received *received)
{
    uint8_t *block = malloc(size + 1u);

    assert_non_null(block);
    memcpy(block + 1, frame, size);
    const enum spate_stack_verdict verdict =
        spate_stack_receive(stack, now, block + 1, size, good, received);
    memcpy(frame, block + 1, size);
    if (verdict == SPATE_STACK_DELIVERED) {
        received->payload = frame + (received->payload - (block + 1));
    }
    free(block);
    return verdict;
}

static inline enum spate_stack_verdict receive(struct spate_stack *stack, uint64_t now,
                                               uint8_t *frame, uint32_t size)
{
    struct spate_stack_received received;
    return receive_with(stack, now, frame, size, 0, &received);
}

/* The frame is dropped, for this reason and no other. */
static inline void assert_dropped(struct spate_stack *stack, const uint8_t *frame, uint32_t size,
                                  enum spate_stack_drop reason)
{
    uint8_t copy[ETHER_BYTES_MAX];
    const uint64_t before = all_drops(stack);
    const uint64_t before_reason = drops_of(stack, reason);

    memcpy(copy, frame, size);
    assert_int_equal(receive(stack, 0, copy, size), SPATE_STACK_DROPPED);
    assert_int_equal(all_drops(stack), before + 1);
    assert_int_equal(drops_of(stack, reason), before_reason + 1);
}

/* An ARP packet to all or to us, as its fields say; returns what became of it. */
static inline enum spate_stack_verdict receive_arp(struct spate_stack *stack, uint64_t now,
                                                   struct ether_arp arp)
{
    uint8_t frame[64];

    arp.target_mac = arp.target_mac != NULL ? arp.target_mac : all_mac;
    arp.source_mac = arp.source_mac != NULL ? arp.source_mac : arp.sha;
    arp.tha = arp.tha != NULL ? arp.tha : zero_mac;
    arp.tag = ETHER_UNTAGGED;
    return receive(stack, now, frame, ether_write_arp(frame, &arp));
}

/* An answer of `address`, which is at `mac`, to our request. */
static inline enum spate_stack_verdict reply_from(struct spate_stack *stack, uint64_t now,
                                                  uint32_t address, const uint8_t *mac)
{
    return receive_arp(stack, now,
                       (struct ether_arp){.target_mac = our_mac,
                                          .op = 2,
                                          .sha = mac,
                                          .tha = our_mac,
                                          .spa = address,
                                          .tpa = OUR_ADDRESS});
}

/* Polls until nothing is due; returns how many frames there were and keeps the last in `frame`. */
static inline uint32_t poll_all(struct spate_stack *stack, uint64_t now, uint8_t frame[64])
{
    uint8_t next[64];
    uint32_t count = 0;

    while (spate_stack_poll(stack, now, next) > 0) {
        memcpy(frame, next, 64);
        count++;
        assert_true(count < 1000);
    }
    return count;
}

#endif
