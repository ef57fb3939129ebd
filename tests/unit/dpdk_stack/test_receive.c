/* Frames that come in: delivered when they are ours and right, else dropped for one reason. */
#include "station.h"

static const uint8_t hello[] = "a frame of the link layer";

static void a_datagram_for_our_service_is_delivered(void **state)
{
    /* Written by hand from the RFCs; checksums by the method of RFC 1071. */
    uint8_t frame[] = {
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, /* */
        0x45, 0x00, 0x00, 0x20, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0x31,             /* */
        0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d, 0x00, 0x01,                                     /* */
        0x1c, 0x2a, 0x1c, 0x29, 0x00, 0x0c, 0xfe, 0x01,                                     /* */
        0x53, 0x70, 0x61, 0x74,
    };
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;

    (void)state;
    assert_int_equal(receive_with(stack, 0, frame, sizeof frame, 0, &received),
                     SPATE_STACK_DELIVERED);
    assert_ptr_equal(received.payload, frame + 42);
    assert_int_equal(received.size, 4);
    assert_int_equal(received.address, PEER_ADDRESS);
    assert_int_equal(received.port, PEER_PORT);
    assert_int_equal(all_drops(stack), 0);
    spate_stack_destroy(stack);
}

static void every_size_up_to_jumbo_frames_is_delivered(void **state)
{
    uint8_t body[8972];
    uint8_t frame[ETHER_BYTES_MAX];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;

    (void)state;
    for (uint32_t i = 0; i < sizeof body; i++) {
        body[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (uint32_t size = 1; size <= sizeof body; size += size < 200 ? 1 : 431) {
        struct ether_packet packet = packet_to_us(body, size);
        const uint32_t bytes = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
        assert_int_equal(receive_with(stack, 0, frame, bytes, 0, &received), SPATE_STACK_DELIVERED);
        assert_int_equal(received.size, size);
        assert_memory_equal(received.payload, body, size);
    }
    struct ether_packet packet = packet_to_us(body, sizeof body);
    const uint32_t bytes = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    assert_int_equal(receive(stack, 0, frame, bytes), SPATE_STACK_DELIVERED);
    spate_stack_destroy(stack);
}

static void a_packet_above_the_mtu_is_dropped(void **state)
{
    uint8_t body[1473] = {1};
    uint8_t frame[ETHER_BYTES_MAX];
    struct spate_stack_options options = plain_options();

    (void)state;
    options.mtu = 1500;
    struct spate_stack *stack = stack_with(&options);
    struct ether_packet packet = packet_to_us(body, 1472);
    uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    assert_int_equal(receive(stack, 0, frame, size), SPATE_STACK_DELIVERED);
    packet.body_bytes = 1473;
    size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_TRUNCATED);
    spate_stack_destroy(stack);
}

static void padding_and_what_follows_the_datagram_are_not_payload(void **state)
{
    uint8_t frame[128] = {0};
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    struct ether_packet packet = packet_to_us(hello, 3);

    (void)state;
    (void)ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
    frame[45] = 0x77; /* Padding need not be zero. */
    assert_int_equal(receive_with(stack, 0, frame, 60, 0, &received), SPATE_STACK_DELIVERED);
    assert_int_equal(received.size, 3);

    /* A packet longer than its datagram (RFC 9868). */
    packet.body_bytes = 20;
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
    ether_put16(frame + 14 + 24, 8 + 12);
    ether_fix_udp(frame + 14);
    assert_int_equal(receive_with(stack, 0, frame, size, 0, &received), SPATE_STACK_DELIVERED);
    assert_int_equal(received.size, 12);
    spate_stack_destroy(stack);
}

static void options_of_the_ip_header_are_skipped(void **state)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;

    (void)state;
    for (uint32_t bytes = 4; bytes <= 40; bytes += 4) {
        struct ether_packet packet = packet_to_us(hello, sizeof hello);
        packet.option_bytes = bytes;
        const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
        assert_int_equal(receive_with(stack, 0, frame, size, 0, &received), SPATE_STACK_DELIVERED);
        assert_memory_equal(received.payload, hello, sizeof hello);
        frame[14 + 20] ^= 1; /* They are part of what the checksum protects. */
        assert_dropped(stack, frame, size, SPATE_STACK_DROP_IP_CHECKSUM);
    }
    spate_stack_destroy(stack);
}

/* A datagram for us of which one 16-bit or 8-bit field is changed, and checksums made right. */
static void assert_dropped_with(enum spate_stack_drop reason, uint32_t at, uint32_t bytes,
                                uint32_t value)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct ether_packet packet = packet_to_us(hello, sizeof hello);
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    if (bytes == 1) {
        frame[at] = (uint8_t)value;
    } else if (bytes == 2) {
        ether_put16(frame + at, value);
    } else {
        ether_put32(frame + at, value);
    }
    if (at >= 14 && at < 34 && at != 24) {
        ether_fix_ip(frame + 14);
    }
    assert_dropped(stack, frame, size, reason);
    spate_stack_destroy(stack);
}

static void what_is_not_ours_is_dropped_by_reason(void **state)
{
    (void)state;
    assert_dropped_with(SPATE_STACK_DROP_NOT_OUR_MAC, 5, 1, 9);
    assert_dropped_with(SPATE_STACK_DROP_NOT_OUR_MAC, 0, 1, 3);     /* A group. */
    assert_dropped_with(SPATE_STACK_DROP_ETHERTYPE, 12, 2, 0x86dd); /* IPv6. */
    assert_dropped_with(SPATE_STACK_DROP_ETHERTYPE, 12, 2, 0x0026); /* 802.3 with a length. */
    assert_dropped_with(SPATE_STACK_DROP_ETHERTYPE, 12, 2, 0x88a8); /* A tag of 802.1ad. */
    assert_dropped_with(SPATE_STACK_DROP_IP_HEADER, 14, 1, 0x65);   /* Version 6. */
    assert_dropped_with(SPATE_STACK_DROP_IP_HEADER, 14, 1, 0x44);   /* Header of 16 bytes. */
    assert_dropped_with(SPATE_STACK_DROP_IP_HEADER, 16, 2, 19);     /* Shorter than its header. */
    assert_dropped_with(SPATE_STACK_DROP_TRUNCATED, 16, 2, 200);    /* Longer than the frame. */
    assert_dropped_with(SPATE_STACK_DROP_IP_CHECKSUM, 24, 2, 0x1234);
    assert_dropped_with(SPATE_STACK_DROP_NOT_OUR_ADDRESS, 30, 4, PEER_ADDRESS);
    assert_dropped_with(SPATE_STACK_DROP_NOT_OUR_ADDRESS, 30, 4, 0xffffffff);
    assert_dropped_with(SPATE_STACK_DROP_PROTOCOL, 23, 1, 6);
    assert_dropped_with(SPATE_STACK_DROP_ICMP, 23, 1, 1);
    assert_dropped_with(SPATE_STACK_DROP_UDP_LENGTH, 38, 2, 7);
    assert_dropped_with(SPATE_STACK_DROP_UDP_LENGTH, 38, 2, 8); /* No payload: no frame. */
    assert_dropped_with(SPATE_STACK_DROP_UDP_LENGTH, 38, 2, 8 + sizeof hello + 1);
    assert_dropped_with(SPATE_STACK_DROP_UDP_PORT, 36, 2, 53);
    assert_dropped_with(SPATE_STACK_DROP_UDP_CHECKSUM_ABSENT, 40, 2, 0);
}

static void a_packet_without_room_for_a_udp_header_is_dropped(void **state)
{
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();

    (void)state;
    for (uint32_t bytes = 0; bytes <= 8; bytes++) {
        /* Ports and a length of eight, as far as they go. */
        static const uint8_t udp[8] = {0x1c, 0x2a, 0x1c, 0x29, 0, 8, 0x12, 0x34};
        struct ether_packet packet = packet_to_us(udp, bytes);
        assert_dropped(stack, frame, ether_write_ip(frame, &packet), SPATE_STACK_DROP_UDP_LENGTH);
    }
    spate_stack_destroy(stack);
}

static void fragments_are_dropped_whichever_they_are(void **state)
{
    (void)state;
    assert_dropped_with(SPATE_STACK_DROP_IP_FRAGMENT, 20, 2, 0x2000); /* The first one. */
    assert_dropped_with(SPATE_STACK_DROP_IP_FRAGMENT, 20, 2, 0x2001);
    assert_dropped_with(SPATE_STACK_DROP_IP_FRAGMENT, 20, 2, 0x1fff); /* The last one. */
    assert_dropped_with(SPATE_STACK_DROP_IP_FRAGMENT, 20, 2, 0x6000);
}

static void a_source_that_is_no_host_is_dropped(void **state)
{
    static const uint32_t sources[] = {
        0,          OUR_ADDRESS,    IP(127, 0, 0, 1), IP(224, 0, 0, 1),   IP(240, 0, 0, 1),
        0xffffffff, IP(0, 1, 2, 3), IP(10, 77, 0, 0), IP(10, 77, 0, 255),
    };

    (void)state;
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sources); i++) {
        assert_dropped_with(SPATE_STACK_DROP_IP_HEADER, 26, 4, sources[i]);
    }
}

static void any_flipped_bit_behind_ethernet_is_noticed(void **state)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct ether_packet packet = packet_to_us(hello, sizeof hello);
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    (void)state;
    for (uint32_t bit = 14 * 8; bit < size * 8; bit++) {
        uint8_t copy[256];
        memcpy(copy, frame, size);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(receive(stack, 0, copy, size), SPATE_STACK_DROPPED);
    }
    assert_int_equal(receive(stack, 0, frame, size), SPATE_STACK_DELIVERED);
    spate_stack_destroy(stack);
}

static void a_frame_cut_anywhere_is_dropped(void **state)
{
    uint8_t frame[256];

    (void)state;
    for (uint32_t tagged = 0; tagged < 2; tagged++) {
        struct spate_stack *stack = tagged != 0 ? tagged_stack(5) : plain_stack();
        struct ether_packet packet = packet_to_us(hello, sizeof hello);
        packet.tag = tagged != 0 ? 5 : ETHER_UNTAGGED;
        packet.option_bytes = 8;
        const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
        for (uint32_t cut = 0; cut < size; cut++) {
            assert_dropped(stack, frame, cut, SPATE_STACK_DROP_TRUNCATED);
        }
        spate_stack_destroy(stack);
    }
}

static void hardware_may_have_verified_the_checksums(void **state)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    struct ether_packet packet = packet_to_us(hello, sizeof hello);
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    (void)state;
    frame[40] ^= 0x55; /* As a port leaves it that reports and does not repair. */
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_UDP_CHECKSUM);
    assert_int_equal(receive_with(stack, 0, frame, size, SPATE_STACK_IP_CHECKSUM_GOOD, &received),
                     SPATE_STACK_DROPPED);
    assert_int_equal(receive_with(stack, 0, frame, size, SPATE_STACK_UDP_CHECKSUM_GOOD, &received),
                     SPATE_STACK_DELIVERED);
    frame[24] ^= 0x55;
    assert_int_equal(receive_with(stack, 0, frame, size, SPATE_STACK_UDP_CHECKSUM_GOOD, &received),
                     SPATE_STACK_DROPPED);
    assert_int_equal(receive_with(stack, 0, frame, size,
                                  SPATE_STACK_UDP_CHECKSUM_GOOD | SPATE_STACK_IP_CHECKSUM_GOOD,
                                  &received),
                     SPATE_STACK_DELIVERED);
    /* An absent checksum was verified by nobody, whatever the port says. */
    ether_put16(frame + 40, 0);
    assert_int_equal(receive_with(stack, 0, frame, size,
                                  SPATE_STACK_UDP_CHECKSUM_GOOD | SPATE_STACK_IP_CHECKSUM_GOOD,
                                  &received),
                     SPATE_STACK_DROPPED);
    assert_int_equal(drops_of(stack, SPATE_STACK_DROP_UDP_CHECKSUM_ABSENT), 1);
    spate_stack_destroy(stack);
}

static void tags_are_ours_or_dropped(void **state)
{
    static const struct {
        uint16_t ours, tag;
        bool is_delivered;
    } cases[] = {
        {0, ETHER_UNTAGGED, true},
        {0, 5, false},
        {0, 0, true}, /* A priority, no VLAN. */
        {0, 0xe000, true},
        {5, 5, true},
        {5, 0xa005, true},
        {5, 6, false},
        {5, 0, false},
        {5, ETHER_UNTAGGED, false},
        {4094, 4094, true},
        {4094, 94, false},
    };
    uint8_t frame[256];

    (void)state;
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(cases); i++) {
        struct spate_stack *stack = tagged_stack(cases[i].ours);
        struct ether_packet packet = packet_to_us(hello, sizeof hello);
        packet.tag = cases[i].tag;
        const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
        if (cases[i].is_delivered) {
            assert_int_equal(receive(stack, 0, frame, size), SPATE_STACK_DELIVERED);
        } else {
            assert_dropped(stack, frame, size, SPATE_STACK_DROP_VLAN);
        }
        spate_stack_destroy(stack);
    }
}

static void a_datagram_to_all_stations_is_not_for_us(void **state)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct ether_packet packet = packet_to_us(hello, sizeof hello);

    (void)state;
    packet.target_mac = all_mac;
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_NOT_OUR_MAC);
    spate_stack_destroy(stack);
}

static void frames_may_lie_at_any_address(void **state)
{
    uint8_t frame[256];
    uint8_t room[256 + 16];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    struct ether_packet packet = packet_to_us(hello, sizeof hello);
    const uint32_t size = ether_write_udp(frame, &packet, PEER_PORT, OUR_PORT);

    (void)state;
    for (uint32_t shift = 0; shift < 16; shift++) {
        memcpy(room + shift, frame, size);
        assert_int_equal(spate_stack_receive(stack, 0, room + shift, size, 0, &received),
                         SPATE_STACK_DELIVERED);
        assert_memory_equal(received.payload, hello, sizeof hello);
    }
    spate_stack_destroy(stack);
}

static void every_reason_has_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < SPATE_STACK_DROP_COUNT; i++) {
        const char *text = spate_stack_drop_text((enum spate_stack_drop)i);
        assert_true(strlen(text) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(text, spate_stack_drop_text((enum spate_stack_drop)j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_for_our_service_is_delivered),
        cmocka_unit_test(every_size_up_to_jumbo_frames_is_delivered),
        cmocka_unit_test(a_packet_above_the_mtu_is_dropped),
        cmocka_unit_test(padding_and_what_follows_the_datagram_are_not_payload),
        cmocka_unit_test(options_of_the_ip_header_are_skipped),
        cmocka_unit_test(what_is_not_ours_is_dropped_by_reason),
        cmocka_unit_test(a_packet_without_room_for_a_udp_header_is_dropped),
        cmocka_unit_test(fragments_are_dropped_whichever_they_are),
        cmocka_unit_test(a_source_that_is_no_host_is_dropped),
        cmocka_unit_test(any_flipped_bit_behind_ethernet_is_noticed),
        cmocka_unit_test(a_frame_cut_anywhere_is_dropped),
        cmocka_unit_test(hardware_may_have_verified_the_checksums),
        cmocka_unit_test(tags_are_ours_or_dropped),
        cmocka_unit_test(a_datagram_to_all_stations_is_not_for_us),
        cmocka_unit_test(frames_may_lie_at_any_address),
        cmocka_unit_test(every_reason_has_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
