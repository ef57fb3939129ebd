/* drivers/net/dpdk/stack: one frame up, one frame down, and the checksum of a payload. */
#include <stdlib.h>
#include <string.h>

#include "bench/micro/micro.h"
#include "net/dpdk/stack/checksum.h"
#include "net/dpdk/stack/stack.h"

#define OUR_ADDRESS  0x0a4d0001u
#define PEER_ADDRESS 0x0a4d0002u
#define SMALL_BYTES  64u
#define PAGE_BYTES   1472u
#define JUMBO_BYTES  8000u
#define HEADER_BYTES SPATE_STACK_HEADER_BYTES_MAX

#define ALL_GOOD (SPATE_STACK_IP_CHECKSUM_GOOD | SPATE_STACK_UDP_CHECKSUM_GOOD)

/* Two hosts: `peer` writes a frame, `stack` takes it. */
struct context {
    struct spate_stack *stack, *peer, *offloaded;
    struct spate_stack_route to_stack, to_peer, offloaded_to_peer;
    uint8_t *payload; /* In `room`, aligned as in an mbuf. */
    uint8_t room[HEADER_BYTES + JUMBO_BYTES + 64] __attribute__((aligned(64)));
};

static struct spate_stack *host(uint32_t address, uint8_t last, bool is_offloaded)
{
    const struct spate_stack_options options = {.mac = {{2, 0, 0, 0, 0, last}},
                                                .address = address,
                                                .prefix_bits = 24,
                                                .port = 7209,
                                                .mtu = 9000,
                                                .tx_ip_checksum_offloaded = is_offloaded,
                                                .tx_udp_checksum_offloaded = is_offloaded};
    struct spate_stack *stack = NULL;

    micro_require(spate_stack_create(&options, &stack) == SPATE_OK, "stack");
    return stack;
}

/* The first asks, the other answers, the first has learned. */
static void resolve(struct spate_stack *from, struct spate_stack *to,
                    struct spate_stack_route *route, uint32_t address)
{
    uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX];
    struct spate_stack_received received;

    micro_require(spate_stack_route_set(from, 0, route, address, 7209) == SPATE_OK, "route");
    const uint32_t size = spate_stack_poll(from, 0, frame);
    micro_require(spate_stack_receive(to, 0, frame, size, 0, &received) == SPATE_STACK_ANSWERED,
                  "answer");
    micro_require(spate_stack_receive(from, 0, frame, received.size, 0, &received) ==
                      SPATE_STACK_TAKEN,
                  "learned");
}

static void *create(void)
{
    struct context *context = micro_allocate(sizeof *context);

    context->stack = host(OUR_ADDRESS, 1, false);
    context->peer = host(PEER_ADDRESS, 2, false);
    context->offloaded = host(OUR_ADDRESS, 1, true);
    resolve(context->stack, context->peer, &context->to_peer, PEER_ADDRESS);
    resolve(context->offloaded, context->peer, &context->offloaded_to_peer, PEER_ADDRESS);
    resolve(context->peer, context->stack, &context->to_stack, OUR_ADDRESS);
    context->payload = context->room + HEADER_BYTES + (64 - HEADER_BYTES % 64) % 8;
    for (uint32_t i = 0; i < JUMBO_BYTES; i++) {
        context->payload[i] = (uint8_t)(i * 31);
    }
    return context;
}

static void destroy(void *argument)
{
    struct context *context = argument;

    spate_stack_destroy(context->stack);
    spate_stack_destroy(context->peer);
    spate_stack_destroy(context->offloaded);
    free(context);
}

static double receive(struct context *context, uint64_t operations, uint32_t bytes, uint32_t good)
{
    const uint32_t header_bytes = spate_stack_header_bytes(context->stack);
    uint8_t *frame = context->payload - header_bytes;
    struct spate_stack_received received;

    micro_require(spate_stack_send(context->peer, &context->to_stack, context->payload, bytes),
                  "send");
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        micro_require(spate_stack_receive(context->stack, 0, frame, header_bytes + bytes, good,
                                          &received) == SPATE_STACK_DELIVERED,
                      "delivered");
        micro_keep(received.size);
    }
    return micro_per(start, operations);
}

static double send_with(struct context *context, uint64_t operations, struct spate_stack *stack,
                        struct spate_stack_route *route, uint32_t bytes)
{
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i++) {
        micro_require(spate_stack_send(stack, route, context->payload, bytes), "send");
        micro_keep(context->payload[-1]);
    }
    return micro_per(start, operations);
}

static double checksum(const struct context *context, uint64_t operations, uint32_t bytes)
{
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i++) {
        micro_keep(spate_sum_fold(spate_sum_bytes(0, context->payload, bytes)));
    }
    return micro_per(start, operations);
}

/* What each frame on a shared wire costs that is not for us. */
static double receive_strange(void *argument, uint64_t operations)
{
    struct context *context = argument;
    uint8_t frame[64] = {2, 0, 0, 0, 0, 9};
    struct spate_stack_received received;
    const uint64_t start = bench_thread_ns();

    for (uint64_t i = 0; i < operations; i++) {
        micro_keep(spate_stack_receive(context->stack, 0, frame, sizeof frame, 0, &received));
    }
    return micro_per(start, operations);
}

/* What each turn of the owner costs. */
static double poll_nothing(void *argument, uint64_t operations)
{
    struct context *context = argument;
    uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX];

    micro_require(spate_stack_poll(context->stack, 0, frame) == 0, "quiet");
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        micro_keep(spate_stack_poll(context->stack, 0, frame));
    }
    return micro_per(start, operations);
}

static double receive_good(void *context, uint64_t operations)
{
    return receive(context, operations, SMALL_BYTES, ALL_GOOD);
}

static double receive_small(void *context, uint64_t operations)
{
    return receive(context, operations, SMALL_BYTES, 0);
}

static double receive_page(void *context, uint64_t operations)
{
    return receive(context, operations, PAGE_BYTES, 0);
}

static double receive_jumbo(void *context, uint64_t operations)
{
    return receive(context, operations, JUMBO_BYTES, 0);
}

static double send_offloaded(void *argument, uint64_t operations)
{
    struct context *context = argument;
    return send_with(context, operations, context->offloaded, &context->offloaded_to_peer,
                     SMALL_BYTES);
}

static double send_bytes(struct context *context, uint64_t operations, uint32_t bytes)
{
    return send_with(context, operations, context->stack, &context->to_peer, bytes);
}

static double send_small(void *context, uint64_t operations)
{
    return send_bytes(context, operations, SMALL_BYTES);
}

static double send_page(void *context, uint64_t operations)
{
    return send_bytes(context, operations, PAGE_BYTES);
}

static double send_jumbo(void *context, uint64_t operations)
{
    return send_bytes(context, operations, JUMBO_BYTES);
}

static double checksum_small(void *context, uint64_t operations)
{
    return checksum(context, operations, SMALL_BYTES);
}

static double checksum_page(void *context, uint64_t operations)
{
    return checksum(context, operations, PAGE_BYTES);
}

static double checksum_jumbo(void *context, uint64_t operations)
{
    return checksum(context, operations, JUMBO_BYTES);
}

static const struct micro_case cases[] = {
    {"stack: poll with nothing due", create, poll_nothing, destroy},
    {"stack: drop a frame for another station", create, receive_strange, destroy},
    {"stack: receive, checksums done by the port", create, receive_good, destroy},
    {"stack: receive a frame of 64 bytes", create, receive_small, destroy},
    {"stack: receive a frame of 1,472 bytes", create, receive_page, destroy},
    {"stack: receive a frame of 8,000 bytes", create, receive_jumbo, destroy},
    {"stack: send, checksums left to the port", create, send_offloaded, destroy},
    {"stack: send a frame of 64 bytes", create, send_small, destroy},
    {"stack: send a frame of 1,472 bytes", create, send_page, destroy},
    {"stack: send a frame of 8,000 bytes", create, send_jumbo, destroy},
    {"stack: checksum of 64 bytes", create, checksum_small, destroy},
    {"stack: checksum of 1,472 bytes", create, checksum_page, destroy},
    {"stack: checksum of 8,000 bytes", create, checksum_jumbo, destroy},
};
const struct micro_table micro_stack = {cases, SPATE_ARRAY_COUNT(cases)};
