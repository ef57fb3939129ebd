/* ICMP echo: answered in place, at a bounded rate; everything else of ICMP is dropped. */
#include "station.h"

/* An echo request of `data_bytes` behind the header. */
static uint32_t write_echo(uint8_t *frame, uint32_t data_bytes, uint32_t option_bytes)
{
    uint8_t icmp[ETHER_BYTES_MAX] = {8, 0, 0, 0, 0x12, 0x34, 0x00, 0x07};
    struct ether_packet packet = packet_to_us(icmp, 8 + data_bytes);

    for (uint32_t i = 0; i < data_bytes; i++) {
        icmp[8 + i] = (uint8_t)(i + 1);
    }
    ether_put16(icmp + 2, ether_checksum(icmp, 8 + data_bytes));
    packet.protocol = 1;
    packet.option_bytes = option_bytes;
    return ether_write_ip(frame, &packet);
}

static void an_echo_request_is_turned_into_its_reply(void **state)
{
    /* Written by hand: identifier 0x1234, sequence 7, four bytes. */
    static const uint8_t golden[] = {
        0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, /* */
        0x45, 0x00, 0x00, 0x20, 0xbe, 0xef, 0x40, 0x00, 0x40, 0x01, 0x67, 0x51,             /* */
        0x0a, 0x4d, 0x00, 0x01, 0x0a, 0x4d, 0x00, 0x02,                                     /* */
        0x00, 0x00, 0xe9, 0xbe, 0x12, 0x34, 0x00, 0x07, 0x01, 0x02, 0x03, 0x04,
    };
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    const uint32_t size = write_echo(frame, 4, 0);

    (void)state;
    assert_int_equal(receive_with(stack, 0, frame, size, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(received.size, sizeof golden);
    assert_memory_equal(frame, golden, sizeof golden);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->echo_replies), 1);
    assert_int_equal(all_drops(stack), 0);
    spate_stack_destroy(stack);
}

static void every_size_is_answered_with_its_data(void **state)
{
    uint8_t frame[ETHER_BYTES_MAX];
    uint8_t asked[ETHER_BYTES_MAX];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    uint64_t now = 0;

    (void)state;
    for (uint32_t data = 0; data <= 9000 - 28; data += data < 80 ? 1 : 811) {
        const uint32_t size = write_echo(frame, data, 0);
        memcpy(asked, frame, size);
        assert_int_equal(receive_with(stack, now += SEC, frame, size, 0, &received),
                         SPATE_STACK_ANSWERED);
        assert_int_equal(received.size, size);
        assert_true(ether_is_ip_right(frame + 14));
        assert_true(ether_is_icmp_right(frame + 14));
        assert_memory_equal(frame + 38, asked + 38, size - 38);
    }
    spate_stack_destroy(stack);
}

static void padding_is_not_echoed(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;

    (void)state;
    memset(frame, 0x77, sizeof frame);
    const uint32_t size = write_echo(frame, 1, 0);
    assert_int_equal(receive_with(stack, 0, frame, 60, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(received.size, 60);
    for (uint32_t i = size; i < 60; i++) {
        assert_int_equal(frame[i], 0);
    }
    assert_true(ether_is_icmp_right(frame + 14));
    spate_stack_destroy(stack);
}

static void replies_are_never_fragmented_and_live_as_long_as_others(void **state)
{
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();
    const uint32_t size = write_echo(frame, 4, 0);

    (void)state;
    frame[14 + 6] = 0; /* A sender that allows fragments, and came far. */
    frame[14 + 8] = 1;
    ether_fix_ip(frame + 14);
    assert_int_equal(receive(stack, 0, frame, size), SPATE_STACK_ANSWERED);
    assert_int_equal(ether_get16(frame + 14 + 6), 0x4000);
    assert_int_equal(frame[14 + 8], 64);
    assert_true(ether_is_ip_right(frame + 14));
    spate_stack_destroy(stack);
}

static void options_are_not_returned(void **state)
{
    uint8_t frame[256];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    const uint32_t size = write_echo(frame, 40, 12);

    (void)state;
    assert_int_equal(receive_with(stack, 0, frame, size, 0, &received), SPATE_STACK_ANSWERED);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(frame[34 + i], 0);
    }
    assert_true(ether_is_ip_right(frame + 14));
    assert_true(ether_is_icmp_right(frame + 14));
    spate_stack_destroy(stack);
}

static uint32_t replies_of(struct spate_stack *stack, uint64_t now, uint32_t requests)
{
    uint8_t frame[128];
    uint32_t replies = 0;

    for (uint32_t i = 0; i < requests; i++) {
        const uint32_t size = write_echo(frame, 4, 0);
        replies += receive(stack, now, frame, size) == SPATE_STACK_ANSWERED;
    }
    return replies;
}

static void replies_are_bounded_in_rate(void **state)
{
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();
    uint32_t replies = 0;

    (void)state;
    /* A hundred thousand in a second, after an idle hour. */
    for (uint32_t i = 0; i < 100000; i++) {
        const uint32_t size = write_echo(frame, 4, 0);
        replies +=
            receive(stack, 3600 * SEC + (uint64_t)i * 10000, frame, size) == SPATE_STACK_ANSWERED;
    }
    assert_in_range(replies, 1090, 1101);
    assert_int_equal(drops_of(stack, SPATE_STACK_DROP_ICMP), 100000 - replies);
    /* And a second later it is answered as before. */
    assert_int_equal(replies_of(stack, 3602 * SEC, 200), 100);
    /* What is left over does not add up beyond that. */
    assert_int_equal(replies_of(stack, 3603 * SEC, 50), 50);
    assert_int_equal(replies_of(stack, 3603 * SEC + 120 * MSEC, 200), 100);
    assert_int_equal(replies_of(stack, 3603 * SEC + 130 * MSEC, 200), 10);
    spate_stack_destroy(stack);
}

static void other_messages_and_damaged_ones_are_dropped(void **state)
{
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();
    const uint32_t size = write_echo(frame, 9, 0);

    (void)state;
    for (uint32_t bit = 34 * 8; bit < size * 8; bit++) {
        uint8_t copy[128];
        memcpy(copy, frame, size);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_dropped(stack, copy, size, SPATE_STACK_DROP_ICMP);
    }
    /* An echo reply, and "fragmentation needed". */
    frame[34] = 0;
    ether_put16(frame + 36, 0);
    ether_put16(frame + 36, ether_checksum(frame + 34, size - 34));
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_ICMP);
    frame[34] = 3;
    frame[35] = 4;
    ether_put16(frame + 36, 0);
    ether_put16(frame + 36, ether_checksum(frame + 34, size - 34));
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_ICMP);
    spate_stack_destroy(stack);
}

static void a_message_shorter_than_its_header_is_dropped(void **state)
{
    uint8_t frame[128];
    uint8_t icmp[8] = {8, 0, 0, 0, 0, 0, 0, 0};
    struct spate_stack *stack = plain_stack();

    (void)state;
    for (uint32_t bytes = 0; bytes < 8; bytes++) {
        struct ether_packet packet = packet_to_us(icmp, bytes);
        packet.protocol = 1;
        ether_put16(icmp + 2, 0);
        ether_put16(icmp + 2, ether_checksum(icmp, bytes));
        assert_dropped(stack, frame, ether_write_ip(frame, &packet), SPATE_STACK_DROP_ICMP);
    }
    spate_stack_destroy(stack);
}

static void no_group_of_stations_is_answered(void **state)
{
    uint8_t frame[128];
    struct spate_stack *stack = plain_stack();
    const uint32_t size = write_echo(frame, 4, 0);

    (void)state;
    frame[6] |= 1;
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_ICMP);
    memset(frame, 0xff, 6);
    frame[6] = 2;
    assert_dropped(stack, frame, size, SPATE_STACK_DROP_NOT_OUR_MAC);
    spate_stack_destroy(stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_echo_request_is_turned_into_its_reply),
        cmocka_unit_test(every_size_is_answered_with_its_data),
        cmocka_unit_test(padding_is_not_echoed),
        cmocka_unit_test(replies_are_never_fragmented_and_live_as_long_as_others),
        cmocka_unit_test(options_are_not_returned),
        cmocka_unit_test(replies_are_bounded_in_rate),
        cmocka_unit_test(other_messages_and_damaged_ones_are_dropped),
        cmocka_unit_test(a_message_shorter_than_its_header_is_dropped),
        cmocka_unit_test(no_group_of_stations_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
