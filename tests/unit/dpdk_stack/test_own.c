/* Our own address: probed for, announced, claimed by others and defended (RFC 5227). */
#include "station.h"

static uint64_t conflicts_of(const struct spate_stack *stack)
{
    return atomic_load(&spate_stack_counters(stack)->address_conflicts);
}

/* Runs until `end` and notes when each frame of our own accord left. */
static uint32_t run(struct spate_stack *stack, uint64_t end, uint64_t at[], uint8_t frames[][64])
{
    uint32_t count = 0;

    while (spate_stack_deadline(stack) <= end) {
        const uint64_t now = spate_stack_deadline(stack);
        while (spate_stack_poll(stack, now, frames[count]) > 0) {
            at[count++] = now;
            assert_true(count < 60);
        }
    }
    return count;
}

static bool is_probe(const uint8_t *frame)
{
    return memcmp(frame, all_mac, 6) == 0 && ether_get16(frame + 20) == 1 &&
           ether_get32(frame + 28) == 0 && ether_get32(frame + 38) == OUR_ADDRESS &&
           memcmp(frame + 22, our_mac, 6) == 0;
}

static bool is_announcement(const uint8_t *frame)
{
    return memcmp(frame, all_mac, 6) == 0 && ether_get16(frame + 20) == 1 &&
           ether_get32(frame + 28) == OUR_ADDRESS && ether_get32(frame + 38) == OUR_ADDRESS &&
           memcmp(frame + 22, our_mac, 6) == 0 && memcmp(frame + 32, zero_mac, 6) == 0;
}

/* A station behind a proxy says in an answer to a third one that our address is its own. */
static void claim(struct spate_stack *stack, uint64_t now)
{
    assert_int_equal(receive_arp(stack, now,
                                 (struct ether_arp){.op = 2,
                                                    .source_mac = peer_mac,
                                                    .sha = other_mac,
                                                    .spa = OUR_ADDRESS,
                                                    .tha = peer_mac,
                                                    .tpa = PEER_ADDRESS}),
                     SPATE_STACK_TAKEN);
}

static void nothing_is_said_before_the_link_is_up(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();

    (void)state;
    assert_int_equal(spate_stack_deadline(stack), SPATE_TIME_NEVER);
    assert_int_equal(spate_stack_poll(stack, 1000 * SEC, frame), 0);
    spate_stack_destroy(stack);
}

static void three_probes_and_two_announcements_follow_the_link(void **state)
{
    uint64_t at[64];
    uint8_t frames[64][64];

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct spate_stack_options options = plain_options();
        options.seed = seed;
        struct spate_stack *stack = stack_with(&options);
        spate_stack_link_up(stack, 7 * SEC);
        assert_int_equal(run(stack, 100 * SEC, at, frames), 5);
        for (uint32_t i = 0; i < 5; i++) {
            assert_true(i < 3 ? is_probe(frames[i]) : is_announcement(frames[i]));
        }
        assert_in_range(at[0] - 7 * SEC, 0, 20 * MSEC);
        assert_in_range(at[1] - at[0], 30 * MSEC, 60 * MSEC);
        assert_in_range(at[2] - at[1], 30 * MSEC, 60 * MSEC);
        assert_int_equal(at[3] - at[2], 50 * MSEC);
        assert_int_equal(at[4] - at[3], 200 * MSEC);
        assert_int_equal(spate_stack_deadline(stack), SPATE_TIME_NEVER);
        spate_stack_destroy(stack);
    }
}

static void frames_of_our_own_are_padded_to_the_minimum(void **state)
{
    uint8_t frame[64];

    (void)state;
    for (uint16_t vlan = 0; vlan < 2; vlan++) {
        struct spate_stack *stack = tagged_stack(vlan);
        spate_stack_link_up(stack, 0);
        memset(frame, 0x77, sizeof frame);
        const uint32_t size = spate_stack_poll(stack, SEC, frame);
        const uint32_t used = vlan == 0 ? 42 : 46;
        assert_int_equal(size, vlan == 0 ? 60 : 64);
        if (vlan != 0) {
            assert_int_equal(ether_get32(frame + 12), 0x81000001);
        }
        for (uint32_t i = used; i < size; i++) {
            assert_int_equal(frame[i], 0);
        }
        spate_stack_destroy(stack);
    }
}

static void we_send_while_we_probe(void **state)
{
    uint8_t room[64] = {0};
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route route = {0};

    (void)state;
    spate_stack_link_up(stack, 0);
    assert_int_equal(spate_stack_route_set(stack, 0, &route, PEER_ADDRESS, 1), SPATE_OK);
    assert_int_equal(reply_from(stack, 0, PEER_ADDRESS, peer_mac), SPATE_STACK_TAKEN);
    assert_true(spate_stack_send(stack, &route, room + 46, 1));
    spate_stack_destroy(stack);
}

static void a_claim_is_counted_and_its_station_named(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();

    (void)state;
    claim(stack, 50 * SEC);
    assert_int_equal(conflicts_of(stack), 1);
    const struct spate_mac mac = spate_stack_conflicting_mac(stack);
    assert_memory_equal(mac.bytes, other_mac, 6);
    assert_int_equal(spate_stack_deadline(stack), 50 * SEC);
    assert_int_equal(poll_all(stack, 50 * SEC, frame), 1);
    assert_true(is_announcement(frame));
    assert_int_equal(all_drops(stack), 0);

    /* A request and an announcement claim just as much. */
    assert_int_equal(
        receive_arp(
            stack, 0,
            (struct ether_arp){.op = 1, .sha = peer_mac, .spa = OUR_ADDRESS, .tpa = OUR_ADDRESS}),
        SPATE_STACK_TAKEN);
    assert_int_equal(conflicts_of(stack), 2);
    assert_memory_equal(spate_stack_conflicting_mac(stack).bytes, peer_mac, 6);
    spate_stack_destroy(stack);
}

static void the_address_is_defended_at_most_once_a_second(void **state)
{
    uint8_t frame[64];
    struct spate_stack *stack = plain_stack();
    uint32_t defences = 0;

    (void)state;
    for (uint64_t now = 100 * SEC; now < 110 * SEC; now += MSEC) {
        claim(stack, now);
        defences += poll_all(stack, now, frame);
    }
    assert_int_equal(conflicts_of(stack), 10000);
    assert_int_equal(defences, 10);
    assert_int_equal(all_drops(stack), 0);
    assert_int_equal(spate_stack_deadline(stack), SPATE_TIME_NEVER);
    spate_stack_destroy(stack);
}

static void two_defenders_do_not_feed_each_other(void **state)
{
    uint8_t frame[64];
    struct spate_stack_options options = plain_options();
    struct spate_stack *stacks[2];
    uint32_t frames = 0;

    (void)state;
    stacks[0] = stack_with(&options);
    memcpy(options.mac.bytes, other_mac, 6);
    stacks[1] = stack_with(&options);
    spate_stack_link_up(stacks[0], 0);
    for (uint64_t now = 0; now < 20 * SEC; now += MSEC) {
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t size;
            while ((size = spate_stack_poll(stacks[i], now, frame)) > 0) {
                frames++;
                (void)receive(stacks[1 - i], now, frame, size);
            }
        }
    }
    assert_true(conflicts_of(stacks[0]) > 0);
    assert_true(conflicts_of(stacks[1]) > 0);
    assert_in_range(frames, 5, 50);
    spate_stack_destroy(stacks[0]);
    spate_stack_destroy(stacks[1]);
}

static void the_same_address_started_later_sees_the_conflict_at_its_first_probe(void **state)
{
    uint8_t frame[64];
    struct spate_stack_options options = plain_options();
    struct spate_stack *settled = stack_with(&options);
    struct spate_stack_received received;

    (void)state;
    memcpy(options.mac.bytes, other_mac, 6);
    struct spate_stack *late = stack_with(&options);

    spate_stack_link_up(late, 0);
    const uint64_t now = spate_stack_deadline(late) + 20 * MSEC;
    const uint32_t size = spate_stack_poll(late, now, frame);

    assert_int_equal(receive_with(settled, now, frame, size, 0, &received), SPATE_STACK_ANSWERED);
    assert_int_equal(conflicts_of(settled), 0); /* A probe claims nothing. */
    assert_int_equal(receive(late, now, frame, received.size), SPATE_STACK_TAKEN);
    assert_int_equal(conflicts_of(late), 1);
    assert_memory_equal(spate_stack_conflicting_mac(late).bytes, our_mac, 6);
    spate_stack_destroy(settled);
    spate_stack_destroy(late);
}

static void two_that_probe_at_once_both_see_it(void **state)
{
    struct spate_stack *stack = plain_stack();
    const struct ether_arp probe = {
        .op = 1, .source_mac = peer_mac, .sha = other_mac, .tpa = OUR_ADDRESS};
    uint64_t at[64];
    uint8_t frames[64][64];

    (void)state;
    spate_stack_link_up(stack, 0);
    assert_int_equal(receive_arp(stack, 1, probe), SPATE_STACK_ANSWERED);
    assert_int_equal(conflicts_of(stack), 1);
    assert_memory_equal(spate_stack_conflicting_mac(stack).bytes, other_mac, 6);
    (void)run(stack, 10 * SEC, at, frames);
    /* Once it is ours a probe is only answered. */
    assert_int_equal(receive_arp(stack, 10 * SEC, probe), SPATE_STACK_ANSWERED);
    assert_int_equal(conflicts_of(stack), 1);
    spate_stack_destroy(stack);
}

static void our_own_frames_that_come_back_are_no_conflict(void **state)
{
    uint64_t at[64];
    uint8_t frames[64][64];
    struct spate_stack *stack = plain_stack();

    (void)state;
    spate_stack_link_up(stack, 0);
    const uint32_t count = run(stack, SEC, at, frames);

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(receive(stack, SEC, frames[i], 60), SPATE_STACK_DROPPED);
    }
    assert_int_equal(conflicts_of(stack), 0);
    assert_int_equal(drops_of(stack, SPATE_STACK_DROP_ARP), count);
    spate_stack_destroy(stack);
}

static void a_link_that_comes_back_asks_everyone_and_forgets_nobody(void **state)
{
    uint8_t room[64] = {0};
    uint64_t at[64];
    uint8_t frames[64][64];
    struct spate_stack *stack = plain_stack();
    struct spate_stack_route known = {0};
    struct spate_stack_route unknown = {0};
    uint32_t requests = 0;

    (void)state;
    spate_stack_link_up(stack, 0);
    assert_int_equal(spate_stack_route_set(stack, 0, &known, PEER_ADDRESS, 1), SPATE_OK);
    assert_int_equal(spate_stack_route_set(stack, 0, &unknown, PEER_ADDRESS + 1, 1), SPATE_OK);
    (void)reply_from(stack, 0, PEER_ADDRESS, peer_mac);
    (void)run(stack, 5 * SEC, at, frames);

    spate_stack_link_up(stack, 5 * SEC);
    assert_true(spate_stack_send(stack, &known, room + 46, 1));
    const uint32_t count = run(stack, 5 * SEC + 49 * MSEC / 2, at, frames);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_probe(frames[i])) {
            assert_memory_equal(frames[i], all_mac, 6);
            assert_int_equal(at[i], 5 * SEC);
            requests++;
        }
    }
    assert_int_equal(requests, 2);
    /* It answers nobody any more: after three requests it is given up. */
    (void)run(stack, 9 * SEC, at, frames);
    assert_false(spate_stack_send(stack, &known, room + 46, 1));
    spate_stack_destroy(stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_before_the_link_is_up),
        cmocka_unit_test(three_probes_and_two_announcements_follow_the_link),
        cmocka_unit_test(frames_of_our_own_are_padded_to_the_minimum),
        cmocka_unit_test(we_send_while_we_probe),
        cmocka_unit_test(a_claim_is_counted_and_its_station_named),
        cmocka_unit_test(the_address_is_defended_at_most_once_a_second),
        cmocka_unit_test(two_defenders_do_not_feed_each_other),
        cmocka_unit_test(the_same_address_started_later_sees_the_conflict_at_its_first_probe),
        cmocka_unit_test(two_that_probe_at_once_both_see_it),
        cmocka_unit_test(our_own_frames_that_come_back_are_no_conflict),
        cmocka_unit_test(a_link_that_comes_back_asks_everyone_and_forgets_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
