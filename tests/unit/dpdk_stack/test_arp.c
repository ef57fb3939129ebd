/* Neighbors: answered, asked, learned, refreshed, moved and given up, in simulated time. */
#include "station.h"

static const uint8_t golden_reply[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, /* */
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, /* */
    0x0a, 0x4d, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x0a, 0x4d, 0x00, 0x02,
};

static const uint8_t golden_request[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, /* */
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, /* */
    0x0a, 0x4d, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x4d, 0x00, 0x02, /* */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
    0x00, 0x00, 0x00, 0x00,
};

static struct ether_arp request_for(uint32_t target)
{
    return (struct ether_arp){.op = 1, .sha = peer_mac, .spa = PEER_ADDRESS, .tpa = target};
}

static struct spate_stack_route set_route(struct spate_stack *stack, uint64_t now)
{
    struct spate_stack_route route = {0};

    assert_int_equal(spate_stack_route_set(stack, now, &route, PEER_ADDRESS, PEER_PORT), SPATE_OK);
    return route;
}

/* Whether a datagram can be sent, and to which station. */
static bool can_send(struct spate_stack *stack, struct spate_stack_route *route,
                     const uint8_t *station)
{
    uint8_t room[SPATE_STACK_HEADER_BYTES_MAX + 8] = {0};
    const uint64_t before = drops_of(stack, SPATE_STACK_DROP_UNRESOLVED);
    const bool is_sent = spate_stack_send(stack, route, room + SPATE_STACK_HEADER_BYTES_MAX, 8);

    assert_int_equal(drops_of(stack, SPATE_STACK_DROP_UNRESOLVED), before + (is_sent ? 0 : 1));
    assert_int_equal(route->is_resolved, is_sent);
    if (is_sent) {
        assert_memory_equal(room + SPATE_STACK_HEADER_BYTES_MAX - 42, station, 6);
    }
    return is_sent;
}

/* Goes on to when the next frame leaves, alone. */
static uint64_t next_frame(struct spate_stack *stack, uint8_t frame[64])
{
    for (;;) {
        const uint64_t now = spate_stack_deadline(stack);
        const uint32_t count = poll_all(stack, now, frame);
        if (count > 0) {
            assert_int_equal(count, 1);
            return now;
        }
        assert_true(spate_stack_deadline(stack) > now);
    }
}

static void a_request_for_us_is_turned_into_its_answer(void **state)
{
    uint8_t frame[64] = {0};
    struct spate_stack *stack = plain_stack();
    struct spate_stack_received received;
    struct ether_arp arp = request_for(OUR_ADDRESS);

    (void)state;
    arp.target_mac = all_mac;
    arp.source_mac = peer_mac;
    arp.tha = zero_mac;
    arp.tag = ETHER_UNTAGGED;
    assert_int_equal(ether_write_arp(frame, &arp), 42);
    assert_int_equal(receive_with(stack, 0, frame, 42, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(received.size, 42);
    assert_memory_equal(frame, golden_reply, 42);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_replies_sent), 1);

    /* Padded as cards do it, with bytes that must not go back out. */
    memset(frame, 0x77, sizeof frame);
    (void)ether_write_arp(frame, &arp);
    assert_int_equal(receive_with(stack, 0, frame, 60, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(received.size, 60);
    assert_memory_equal(frame, golden_reply, 42);
    for (uint32_t i = 42; i < 60; i++) {
        assert_int_equal(frame[i], 0);
    }
    assert_int_equal(all_drops(stack), 0);
    spate_stack_destroy(stack);
}

static void a_tagged_request_is_answered_with_the_tag(void **state)
{
    uint8_t frame[64] = {0};
    struct spate_stack *stack = tagged_stack(7);
    struct spate_stack_received received;
    struct ether_arp arp = request_for(OUR_ADDRESS);

    (void)state;
    arp.target_mac = all_mac;
    arp.source_mac = peer_mac;
    arp.tha = zero_mac;
    arp.tag = 0x6007;
    assert_int_equal(ether_write_arp(frame, &arp), 46);
    assert_int_equal(receive_with(stack, 0, frame, 46, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(received.size, 46);
    assert_int_equal(ether_get32(frame + 12), 0x81006007);
    assert_memory_equal(frame + 18, golden_reply + 14, 28);
    spate_stack_destroy(stack);
}

static void a_probe_for_our_address_is_answered(void **state)
{
    struct spate_stack *stack = plain_stack();

    (void)state;
    assert_int_equal(
        receive_arp(stack, 0, (struct ether_arp){.op = 1, .sha = other_mac, .tpa = OUR_ADDRESS}),
        SPATE_STACK_ANSWERED);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->address_conflicts), 0);
    spate_stack_destroy(stack);
}

static void what_concerns_other_hosts_is_dropped(void **state)
{
    struct spate_stack *stack = plain_stack();

    (void)state;
    assert_int_equal(receive_arp(stack, 0, request_for(GATEWAY)), SPATE_STACK_DROPPED);
    /* A neighbor that no route leads to, even when it answers us. */
    assert_int_equal(reply_from(stack, 0, PEER_ADDRESS, peer_mac), SPATE_STACK_DROPPED);
    assert_int_equal(drops_of(stack, SPATE_STACK_DROP_ARP), 2);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_learned), 0);
    spate_stack_destroy(stack);
}

static void malformed_packets_are_dropped(void **state)
{
    static const struct {
        uint32_t at;
        uint8_t value;
    } changes[] = {{1, 6}, {0, 1}, {2, 0x86}, {4, 8}, {5, 16}, {7, 3}, {7, 0}, {6, 1}, {8, 3}};
    static const uint32_t senders[] = {IP(224, 0, 0, 1), 0xffffffff, IP(127, 0, 0, 1),
                                       IP(10, 77, 0, 255)};
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct ether_arp arp = request_for(OUR_ADDRESS);

    (void)state;
    arp.target_mac = all_mac;
    arp.source_mac = peer_mac;
    arp.tha = zero_mac;
    arp.tag = ETHER_UNTAGGED;
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(changes); i++) {
        const uint32_t size = ether_write_arp(frame, &arp);
        frame[14 + changes[i].at] = changes[i].value;
        assert_dropped(stack, frame, size, SPATE_STACK_DROP_ARP);
    }
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(senders); i++) {
        arp.spa = senders[i];
        assert_dropped(stack, frame, ether_write_arp(frame, &arp), SPATE_STACK_DROP_ARP);
    }
    arp.spa = PEER_ADDRESS;
    arp.sha = zero_mac;
    assert_dropped(stack, frame, ether_write_arp(frame, &arp), SPATE_STACK_DROP_ARP);
    arp.sha = our_mac; /* A loop in the network. */
    assert_dropped(stack, frame, ether_write_arp(frame, &arp), SPATE_STACK_DROP_ARP);
    arp.sha = peer_mac;
    const uint32_t size = ether_write_arp(frame, &arp);

    for (uint32_t cut = 0; cut < size; cut++) {
        assert_dropped(stack, frame, cut, SPATE_STACK_DROP_TRUNCATED);
    }
    arp.target_mac = other_mac;
    assert_dropped(stack, frame, ether_write_arp(frame, &arp), SPATE_STACK_DROP_NOT_OUR_MAC);
    spate_stack_destroy(stack);
}

static void a_next_hop_is_asked_for_and_learned_from_its_answer(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 5 * SEC);

    (void)state;
    assert_int_equal(spate_stack_deadline(stack), 5 * SEC);
    assert_false(can_send(stack, &route, NULL));
    assert_int_equal(spate_stack_poll(stack, 5 * SEC, frame), sizeof golden_request);
    assert_memory_equal(frame, golden_request, sizeof golden_request);
    assert_int_equal(spate_stack_poll(stack, 5 * SEC, frame), 0);
    assert_false(can_send(stack, &route, NULL));
    assert_int_equal(reply_from(stack, 5 * SEC, PEER_ADDRESS, peer_mac), SPATE_STACK_TAKEN);
    assert_true(can_send(stack, &route, peer_mac));
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_learned), 1);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_requests_sent), 1);
    spate_stack_destroy(stack);
}

static void a_next_hop_is_learned_from_its_own_request_and_announcement(void **state)
{
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);

    (void)state;
    assert_int_equal(receive_arp(stack, 0, request_for(OUR_ADDRESS)), SPATE_STACK_ANSWERED);
    assert_true(can_send(stack, &route, peer_mac));
    spate_stack_route_clear(stack, &route);

    route = set_route(stack, 0);
    assert_false(can_send(stack, &route, NULL));
    assert_int_equal(receive_arp(stack, 0, request_for(PEER_ADDRESS)), SPATE_STACK_TAKEN);
    assert_true(can_send(stack, &route, peer_mac));
    spate_stack_destroy(stack);
}

static void a_silent_next_hop_is_asked_ever_less_and_never_forgotten(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);
    uint64_t now = 0;
    uint64_t waited = 0;

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(poll_all(stack, now, frame), 1);
        assert_memory_equal(frame, golden_request, sizeof golden_request);
        const uint64_t wait = spate_stack_deadline(stack) - now;
        const uint64_t most = i < 5 ? (50 * MSEC) << i : SEC;
        assert_in_range(wait, most - most / 8, most);
        assert_int_equal(poll_all(stack, spate_stack_deadline(stack) - 1, frame), 0);
        now = spate_stack_deadline(stack);
        waited += wait;
    }
    assert_false(can_send(stack, &route, NULL));
    assert_true(waited > 250 * SEC);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_lost), 0);
    assert_int_equal(reply_from(stack, now, PEER_ADDRESS, peer_mac), SPATE_STACK_TAKEN);
    assert_true(can_send(stack, &route, peer_mac));
    spate_stack_destroy(stack);
}

static void a_known_next_hop_is_asked_again_itself_and_stays_in_use(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);
    uint64_t now = 0;

    (void)state;
    (void)poll_all(stack, now, frame);
    (void)reply_from(stack, now, PEER_ADDRESS, peer_mac);
    assert_int_equal(poll_all(stack, now + SEC, frame), 0);
    for (uint32_t round = 0; round < 20; round++) {
        const uint64_t next = next_frame(stack, frame);
        assert_in_range(next - now, 13 * SEC, 15 * SEC);
        now = next;
        assert_memory_equal(frame, peer_mac, 6);
        assert_memory_equal(frame + 6, golden_request + 6, 54);
        assert_true(can_send(stack, &route, peer_mac));
        assert_int_equal(reply_from(stack, now, PEER_ADDRESS, peer_mac), SPATE_STACK_TAKEN);
    }
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_learned), 1);
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_lost), 0);
    spate_stack_destroy(stack);
}

static void one_that_no_longer_answers_is_given_up_and_found_again(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);

    (void)state;
    (void)poll_all(stack, 0, frame);
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    uint64_t now = 0;

    for (uint32_t i = 0; i < 6; i++) {
        const uint64_t next = next_frame(stack, frame);
        assert_memory_equal(frame, i < 3 ? peer_mac : all_mac, 6);
        assert_true(can_send(stack, &route, peer_mac));
        assert_true(i == 0 || next - now == SEC);
        now = next;
    }
    assert_int_equal(next_frame(stack, frame) - now, SEC);
    now += SEC;
    assert_memory_equal(frame, all_mac, 6);
    assert_false(can_send(stack, &route, NULL));
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_lost), 1);
    assert_in_range(spate_stack_deadline(stack) - now, 43 * MSEC, 50 * MSEC);

    assert_int_equal(reply_from(stack, now, PEER_ADDRESS, other_mac), SPATE_STACK_TAKEN);
    assert_true(can_send(stack, &route, other_mac));
    spate_stack_destroy(stack);
}

static void a_long_pause_of_our_own_gives_nobody_up(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);

    (void)state;
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    (void)poll_all(stack, 1, frame);
    /* An hour without a poll, as after SIGSTOP. */
    assert_int_equal(poll_all(stack, 3600 * SEC, frame), 1);
    assert_memory_equal(frame, peer_mac, 6);
    assert_true(can_send(stack, &route, peer_mac));
    spate_stack_destroy(stack);
}

static void a_station_that_moved_is_followed_by_all_its_routes(void **state)
{
    struct spate_stack_options options = plain_options();
    struct spate_stack_route far = {0};

    (void)state;
    options.gateway = PEER_ADDRESS;
    struct spate_stack *stack = stack_with(&options);
    struct spate_stack_route near = set_route(stack, 0);

    assert_int_equal(spate_stack_route_set(stack, 0, &far, FAR_ADDRESS, 1), SPATE_OK);
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    assert_true(can_send(stack, &near, peer_mac));
    assert_true(can_send(stack, &far, peer_mac));
    /* An announcement of its new card. */
    assert_int_equal(
        receive_arp(stack, 0,
                    (struct ether_arp){
                        .op = 1, .sha = other_mac, .spa = PEER_ADDRESS, .tpa = PEER_ADDRESS}),
        SPATE_STACK_TAKEN);
    assert_true(can_send(stack, &near, other_mac));
    assert_true(can_send(stack, &far, other_mac));
    assert_int_equal(atomic_load(&spate_stack_counters(stack)->arp_learned), 2);
    spate_stack_destroy(stack);
}

static void strangers_fill_no_cache(void **state)
{
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);
    struct spate_stack_route more = {0};

    (void)state;
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    for (uint32_t i = 0; i < 1000; i++) {
        struct ether_arp arp = request_for(OUR_ADDRESS);
        arp.spa = IP(10, 77, 0, 3) + i % 250;
        arp.sha = other_mac;
        assert_int_equal(receive_arp(stack, 0, arp), SPATE_STACK_ANSWERED);
    }
    assert_true(can_send(stack, &route, peer_mac));
    assert_int_equal(spate_stack_route_set(stack, 0, &more, IP(10, 77, 0, 3), 1), SPATE_OK);
    assert_false(can_send(stack, &more, NULL));
    spate_stack_destroy(stack);
}

static void a_place_that_another_address_takes_is_not_mistaken(void **state)
{
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);

    (void)state;
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    assert_true(can_send(stack, &route, peer_mac));
    spate_stack_route_clear(stack, &route);
    assert_int_equal(spate_stack_deadline(stack), 0);
    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS + 1, 1), SPATE_OK);
    assert_false(can_send(stack, &route, NULL));
    assert_int_equal(reply_from(stack, 0, PEER_ADDRESS, peer_mac), SPATE_STACK_DROPPED);
    assert_false(can_send(stack, &route, NULL));
    spate_stack_destroy(stack);
}

static void a_place_that_another_address_takes_begins_anew(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);
    uint64_t now = 0;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        now = next_frame(stack, frame);
    }
    spate_stack_route_clear(stack, &route);
    assert_int_equal(spate_stack_route_set(stack, ++now, &route, PEER_ADDRESS + 1, 1), SPATE_OK);
    assert_int_equal(next_frame(stack, frame), now);
    assert_int_equal(ether_get32(frame + 14 + 24), PEER_ADDRESS + 1);
    assert_in_range(next_frame(stack, frame) - now, 43 * MSEC, 50 * MSEC);
    spate_stack_destroy(stack);
}

static void nothing_is_due_once_the_last_route_is_gone(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = set_route(stack, 0);

    (void)state;
    (void)poll_all(stack, 0, frame);
    spate_stack_route_clear(stack, &route);
    assert_int_equal(poll_all(stack, 100 * SEC, frame), 0);
    assert_int_equal(spate_stack_deadline(stack), SPATE_TIME_NEVER);
    spate_stack_destroy(stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_for_us_is_turned_into_its_answer),
        cmocka_unit_test(a_tagged_request_is_answered_with_the_tag),
        cmocka_unit_test(a_probe_for_our_address_is_answered),
        cmocka_unit_test(what_concerns_other_hosts_is_dropped),
        cmocka_unit_test(malformed_packets_are_dropped),
        cmocka_unit_test(a_next_hop_is_asked_for_and_learned_from_its_answer),
        cmocka_unit_test(a_next_hop_is_learned_from_its_own_request_and_announcement),
        cmocka_unit_test(a_silent_next_hop_is_asked_ever_less_and_never_forgotten),
        cmocka_unit_test(a_known_next_hop_is_asked_again_itself_and_stays_in_use),
        cmocka_unit_test(one_that_no_longer_answers_is_given_up_and_found_again),
        cmocka_unit_test(a_long_pause_of_our_own_gives_nobody_up),
        cmocka_unit_test(a_station_that_moved_is_followed_by_all_its_routes),
        cmocka_unit_test(strangers_fill_no_cache),
        cmocka_unit_test(a_place_that_another_address_takes_is_not_mistaken),
        cmocka_unit_test(a_place_that_another_address_takes_begins_anew),
        cmocka_unit_test(nothing_is_due_once_the_last_route_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
