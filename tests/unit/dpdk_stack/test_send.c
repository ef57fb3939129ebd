/* Routes and what is sent along them: golden headers, checksums, subnets and gateways. */
#include "base/prng.h"
#include "station.h"
#include "support/aborts.h"

/* Sends `size` bytes and returns where the frame begins in `room`. */
static uint8_t *send_in(struct spate_stack *stack, struct spate_stack_route *route, uint8_t *room,
                        const uint8_t *body, uint32_t size)
{
    const uint32_t header = spate_stack_header_bytes(stack);

    memset(room, 0xee, SPATE_STACK_HEADER_BYTES_MAX);
    memcpy(room + SPATE_STACK_HEADER_BYTES_MAX, body, size);
    assert_true(spate_stack_send(stack, route, room + SPATE_STACK_HEADER_BYTES_MAX, size));
    assert_memory_equal(room + SPATE_STACK_HEADER_BYTES_MAX, body, size);
    for (uint32_t i = 0; i < SPATE_STACK_HEADER_BYTES_MAX - header; i++) {
        assert_int_equal(room[i], 0xee);
    }
    return room + SPATE_STACK_HEADER_BYTES_MAX - header;
}

static struct spate_stack_route route_to(struct spate_stack *stack, uint32_t address,
                                         uint32_t next_hop)
{
    struct spate_stack_route route = {0};

    assert_int_equal(spate_stack_route_set(stack, 0, &route, address, PEER_PORT), SPATE_OK);
    assert_int_equal(reply_from(stack, 0, next_hop, peer_mac), spate_stack_header_bytes(stack) == 42
                                                                   ? SPATE_STACK_TAKEN
                                                                   : SPATE_STACK_DROPPED);
    return route;
}

static void headers_are_as_the_rfcs_say(void **state)
{
    static const uint8_t golden[] = {
        0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, /* */
        0x45, 0x00, 0x00, 0x20, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0x31,             /* */
        0x0a, 0x4d, 0x00, 0x01, 0x0a, 0x4d, 0x00, 0x02,                                     /* */
        0x1c, 0x29, 0x1c, 0x2a, 0x00, 0x0c, 0xfe, 0x01,                                     /* */
        0x53, 0x70, 0x61, 0x74,
    };
    uint8_t room[128];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);

    (void)state;
    assert_int_equal(spate_stack_header_bytes(stack), 42);
    const uint8_t *frame = send_in(stack, &route, room, (const uint8_t *)"Spat", 4);

    assert_memory_equal(frame, golden, sizeof golden);
    spate_stack_route_clear(stack, &route);
    spate_stack_destroy(stack);
}

static void a_tag_is_written_where_we_have_one(void **state)
{
    uint8_t room[128];
    uint8_t arp[64];
    struct spate_stack *stack = tagged_stack(0x123);
    struct spate_stack_route route = {0};

    (void)state;
    assert_int_equal(spate_stack_header_bytes(stack), 46);
    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS, PEER_PORT), SPATE_OK);
    const uint32_t size = ether_write_arp(arp, &(struct ether_arp){.target_mac = our_mac,
                                                                   .source_mac = peer_mac,
                                                                   .tag = 0x123,
                                                                   .op = 2,
                                                                   .sha = peer_mac,
                                                                   .tha = our_mac,
                                                                   .spa = PEER_ADDRESS,
                                                                   .tpa = OUR_ADDRESS});
    assert_int_equal(receive(stack, 0, arp, size), SPATE_STACK_TAKEN);
    const uint8_t *frame = send_in(stack, &route, room, (const uint8_t *)"tagged", 6);

    assert_memory_equal(frame, peer_mac, 6);
    assert_memory_equal(frame + 6, our_mac, 6);
    assert_int_equal(ether_get32(frame + 12), 0x81000123);
    assert_int_equal(ether_get16(frame + 16), 0x0800);
    assert_true(ether_is_ip_right(frame + 18));
    assert_true(ether_is_udp_right(frame + 18));
    spate_stack_destroy(stack);
}

static void every_size_and_alignment_has_right_checksums(void **state)
{
    uint8_t room[ETHER_BYTES_MAX + 16];
    uint8_t body[8972];
    struct spate_prng prng;
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);

    (void)state;
    spate_prng_seed(&prng, 3, 0);
    for (uint32_t size = 1; size <= sizeof body; size += size < 150 ? 1 : 389) {
        for (uint32_t i = 0; i < size; i++) {
            body[i] = (uint8_t)spate_prng_next(&prng);
        }
        const uint8_t *frame = send_in(stack, &route, room + size % 16, body, size);
        assert_int_equal(ether_get16(frame + 16), 28 + size);
        assert_int_equal(ether_get16(frame + 38), 8 + size);
        assert_int_not_equal(ether_get16(frame + 40), 0);
        assert_true(ether_is_ip_right(frame + 14));
        assert_true(ether_is_udp_right(frame + 14));
    }
    spate_stack_destroy(stack);
}

static void a_checksum_of_zero_is_sent_as_all_ones(void **state)
{
    uint8_t room[128];
    uint8_t body[2] = {0, 0};
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);

    (void)state;
    /* What the checksum is without the two bytes makes it zero with them. */
    const uint8_t *frame = send_in(stack, &route, room, body, sizeof body);
    memcpy(body, frame + 40, sizeof body);
    frame = send_in(stack, &route, room, body, sizeof body);
    assert_int_equal(ether_get16(frame + 40), 0xffff);
    assert_true(ether_is_udp_right(frame + 14));
    spate_stack_destroy(stack);
}

static void offloaded_checksums_are_left_as_the_port_wants_them(void **state)
{
    uint8_t room[128];
    uint8_t pseudo[12];
    struct spate_stack_options options = plain_options();

    (void)state;
    options.tx_ip_checksum_offloaded = true;
    options.tx_udp_checksum_offloaded = true;
    struct spate_stack *stack = stack_with(&options);
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);
    uint8_t *frame = send_in(stack, &route, room, (const uint8_t *)"offload", 7);

    assert_int_equal(ether_get16(frame + 24), 0);
    memcpy(pseudo, frame + 26, 8);
    ether_put16(pseudo + 8, 17);
    ether_put16(pseudo + 10, 8 + 7);
    assert_int_equal(ether_get16(frame + 40), (uint16_t)~ether_checksum(pseudo, sizeof pseudo));

    /* The port adds up the datagram over that and complements: then it is right. */
    const uint16_t completed = ether_checksum(frame + 34, 8 + 7);
    ether_put16(frame + 40, completed);
    ether_fix_ip(frame + 14);
    assert_true(ether_is_udp_right(frame + 14));
    spate_stack_destroy(stack);
}

static void what_one_stack_sends_the_other_receives(void **state)
{
    uint8_t room[128];
    struct spate_stack_options options = plain_options();
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);
    struct spate_stack_received received;

    (void)state;
    memcpy(options.mac.bytes, peer_mac, 6);
    options.address = PEER_ADDRESS;
    options.port = PEER_PORT;
    struct spate_stack *peer = stack_with(&options);
    uint8_t *frame = send_in(stack, &route, room, (const uint8_t *)"between", 7);

    assert_int_equal(receive_with(peer, 0, frame, 42 + 7, 0, &received), SPATE_STACK_DELIVERED);
    assert_memory_equal(received.payload, "between", 7);
    assert_int_equal(received.address, OUR_ADDRESS);
    assert_int_equal(received.port, OUR_PORT);
    spate_stack_destroy(stack);
    spate_stack_destroy(peer);
}

static void what_is_off_the_subnet_goes_through_the_gateway(void **state)
{
    uint8_t room[128];
    uint8_t request[64];
    struct spate_stack_options options = plain_options();
    struct spate_stack_route far = {0};
    struct spate_stack_route near = {0};

    (void)state;
    options.gateway = GATEWAY;
    struct spate_stack *stack = stack_with(&options);

    assert_int_equal(spate_stack_route_set(stack, 0, &far, FAR_ADDRESS, PEER_PORT), SPATE_OK);
    assert_int_equal(poll_all(stack, 0, request), 1);
    assert_int_equal(ether_get32(request + 14 + 24), GATEWAY);
    assert_int_equal(spate_stack_route_set(stack, 0, &near, PEER_ADDRESS, PEER_PORT), SPATE_OK);
    assert_int_equal(poll_all(stack, 0, request), 1);
    assert_int_equal(ether_get32(request + 14 + 24), PEER_ADDRESS);

    assert_int_equal(reply_from(stack, 0, GATEWAY, other_mac), SPATE_STACK_TAKEN);
    assert_int_equal(reply_from(stack, 0, PEER_ADDRESS, peer_mac), SPATE_STACK_TAKEN);
    const uint8_t *frame = send_in(stack, &far, room, (const uint8_t *)"far", 3);

    assert_memory_equal(frame, other_mac, 6);
    assert_int_equal(ether_get32(frame + 30), FAR_ADDRESS);
    assert_true(ether_is_udp_right(frame + 14));
    frame = send_in(stack, &near, room, (const uint8_t *)"near", 4);
    assert_memory_equal(frame, peer_mac, 6);
    assert_int_equal(ether_get32(frame + 30), PEER_ADDRESS);
    spate_stack_destroy(stack);
}

static void without_a_gateway_only_the_subnet_is_reached(void **state)
{
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = {0};

    (void)state;
    assert_int_equal(spate_stack_route_set(stack, 0, &route, FAR_ADDRESS, PEER_PORT),
                     SPATE_ERR_UNSUPPORTED);
    assert_int_equal(spate_stack_route_set(stack, 0, &route, IP(10, 77, 1, 2), PEER_PORT),
                     SPATE_ERR_UNSUPPORTED);
    assert_false(route.is_set);
    spate_stack_destroy(stack);
}

static void an_address_that_is_no_host_is_refused(void **state)
{
    static const uint32_t addresses[] = {
        0,
        OUR_ADDRESS,
        IP(127, 0, 0, 1),
        IP(224, 0, 0, 251),
        IP(255, 255, 255, 255),
        IP(10, 77, 0, 0),
        IP(10, 77, 0, 255),
    };
    struct spate_stack_options options = plain_options();

    (void)state;
    options.gateway = GATEWAY;
    struct spate_stack *stack = stack_with(&options);
    struct spate_stack_route route = {0};

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(addresses); i++) {
        assert_int_equal(spate_stack_route_set(stack, 0, &route, addresses[i], PEER_PORT),
                         SPATE_ERR_INVALID);
    }
    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS, 0), SPATE_ERR_INVALID);
    assert_int_equal(spate_stack_deadline(stack), SPATE_TIME_NEVER);
    spate_stack_destroy(stack);
}

static void a_network_of_two_hosts_has_no_broadcast(void **state)
{
    struct spate_stack_options options = plain_options();
    struct spate_stack_route route = {0};

    (void)state;
    options.address = IP(10, 77, 0, 0);
    options.prefix_bits = 31;
    struct spate_stack *stack = stack_with(&options);

    assert_int_equal(spate_stack_route_set(stack, 0, &route, IP(10, 77, 0, 1), 1), SPATE_OK);
    spate_stack_destroy(stack);
}

static void routes_share_next_hops_and_their_number_is_bounded(void **state)
{
    struct spate_stack_options options = plain_options();
    struct spate_stack_route routes[64] = {0};
    uint8_t frame[64];

    (void)state;
    options.gateway = GATEWAY;
    struct spate_stack *stack = stack_with(&options);

    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(spate_stack_route_set(stack, 0, &routes[i], PEER_ADDRESS + i, 1),
                         SPATE_OK);
    }
    assert_int_equal(poll_all(stack, 0, frame), 32);
    assert_int_equal(spate_stack_route_set(stack, 0, &routes[32], PEER_ADDRESS + 32, 1),
                     SPATE_ERR_BUSY);
    /* Another port of a known host needs no place; one that is left makes room. */
    assert_int_equal(spate_stack_route_set(stack, 0, &routes[33], PEER_ADDRESS, 2), SPATE_OK);
    spate_stack_route_clear(stack, &routes[0]);
    assert_int_equal(spate_stack_route_set(stack, 0, &routes[32], PEER_ADDRESS + 32, 1),
                     SPATE_ERR_BUSY);
    spate_stack_route_clear(stack, &routes[33]);
    spate_stack_route_clear(stack, &routes[33]); /* Nothing more to forget. */
    assert_int_equal(spate_stack_route_set(stack, 0, &routes[32], PEER_ADDRESS + 32, 1), SPATE_OK);
    assert_int_equal(poll_all(stack, 0, frame), 1);
    assert_int_equal(ether_get32(frame + 14 + 24), PEER_ADDRESS + 32);

    /* A failure leaves a route as it was. */
    assert_int_equal(spate_stack_route_set(stack, 0, &routes[5], PEER_ADDRESS + 50, 1),
                     SPATE_ERR_BUSY);
    assert_true(routes[5].is_set);
    assert_int_equal(routes[5].address, PEER_ADDRESS + 5);
    spate_stack_destroy(stack);
}

static void a_route_can_be_turned_to_another_port_and_host(void **state)
{
    uint8_t room[128];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = route_to(stack, PEER_ADDRESS, PEER_ADDRESS);

    (void)state;
    const uint8_t *frame = send_in(stack, &route, room, (const uint8_t *)"x", 1);
    assert_int_equal(ether_get16(frame + 36), PEER_PORT);
    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS, 9), SPATE_OK);
    assert_true(route.is_resolved);
    frame = send_in(stack, &route, room, (const uint8_t *)"x", 1);
    assert_int_equal(ether_get16(frame + 36), 9);
    assert_true(ether_is_udp_right(frame + 14));

    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS + 1, 9), SPATE_OK);
    uint8_t nothing[128] = {0};
    assert_false(spate_stack_send(stack, &route, nothing + 46, 1));
    assert_int_equal(reply_from(stack, 0, PEER_ADDRESS + 1, other_mac), SPATE_STACK_TAKEN);
    frame = send_in(stack, &route, room, (const uint8_t *)"x", 1);
    assert_memory_equal(frame, other_mac, 6);
    assert_int_equal(ether_get32(frame + 30), PEER_ADDRESS + 1);
    assert_true(ether_is_udp_right(frame + 14));

    /* What it led to before is given back each time. */
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS + i % 100, 9),
                         SPATE_OK);
    }
    spate_stack_route_clear(stack, &route);
    assert_false(route.is_set);
    assert_false(route.is_resolved);
    spate_stack_destroy(stack);
}

static void send_too_large(void *context)
{
    static uint8_t room[ETHER_BYTES_MAX];
    (void)spate_stack_send(context, &(struct spate_stack_route){.is_set = true}, room + 46, 8973);
}

static void send_unset(void *context)
{
    static uint8_t room[128];
    (void)spate_stack_send(context, &(struct spate_stack_route){0}, room + 46, 1);
}

static void misuse_is_an_assertion(void **state)
{
    struct spate_stack *stack = plain_stack();

    (void)state;
    assert_true(aborts(send_too_large, stack));
    assert_true(aborts(send_unset, stack));
    spate_stack_destroy(stack);
}

static void assert_refused(struct spate_stack_options options)
{
    struct spate_stack *stack = NULL;
    assert_int_equal(spate_stack_create(&options, &stack), SPATE_ERR_INVALID);
    assert_null(stack);
}

static void wrong_options_are_refused(void **state)
{
    struct spate_stack_options options;

    (void)state;
#define REFUSED(field, value)  \
    options = plain_options(); \
    options.field = value;     \
    assert_refused(options)

    REFUSED(mac.bytes[0], 1); /* A group's address. */
    REFUSED(address, 0);
    REFUSED(address, IP(127, 0, 0, 1));
    REFUSED(address, IP(239, 0, 0, 1));
    REFUSED(address, IP(10, 77, 0, 255));
    REFUSED(address, IP(10, 77, 0, 0));
    REFUSED(prefix_bits, 0);
    REFUSED(prefix_bits, 32);
    REFUSED(prefix_bits, 200);
    REFUSED(gateway, OUR_ADDRESS);
    REFUSED(gateway, FAR_ADDRESS);
    REFUSED(gateway, IP(10, 77, 0, 255));
    REFUSED(port, 0);
    REFUSED(vlan, 4095);
    REFUSED(mtu, 1499);
    REFUSED(mtu, 9001);
#undef REFUSED
    options = plain_options();
    memset(options.mac.bytes, 0, 6);
    assert_refused(options);
    for (uint8_t bits = 1; bits <= 31; bits++) {
        options = plain_options();
        options.prefix_bits = bits;
        spate_stack_destroy(stack_with(&options));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_as_the_rfcs_say),
        cmocka_unit_test(a_tag_is_written_where_we_have_one),
        cmocka_unit_test(every_size_and_alignment_has_right_checksums),
        cmocka_unit_test(a_checksum_of_zero_is_sent_as_all_ones),
        cmocka_unit_test(offloaded_checksums_are_left_as_the_port_wants_them),
        cmocka_unit_test(what_one_stack_sends_the_other_receives),
        cmocka_unit_test(what_is_off_the_subnet_goes_through_the_gateway),
        cmocka_unit_test(without_a_gateway_only_the_subnet_is_reached),
        cmocka_unit_test(an_address_that_is_no_host_is_refused),
        cmocka_unit_test(a_network_of_two_hosts_has_no_broadcast),
        cmocka_unit_test(routes_share_next_hops_and_their_number_is_bounded),
        cmocka_unit_test(a_route_can_be_turned_to_another_port_and_host),
        cmocka_unit_test(misuse_is_an_assertion),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
