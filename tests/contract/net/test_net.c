/*
 * One suite for every network driver, run with each of them and with the checking decorator
 * around each. Two endpoints, 0 and 1; endpoint 1 is peer 1 of endpoint 0 and the reverse.
 */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "fixture.h"

/* More than any driver has. */
#define COUNTERS_MAX 1024u

static void a_frame_arrives_unaltered_with_its_sender(void **state)
{
    struct pair *pair = *state;
    struct spate_frame frame;

    send_pattern(pair, 0, 100, 1);
    assert_int_equal(receive(pair, 1, &frame, 1), 1);
    assert_int_equal(frame.peer, 0);
    assert_int_equal(frame.size, 100);
    assert_true(has_pattern(&frame, 1));
    pair->net[1]->ops->release(pair->net[1], &frame, 1);
}

static void every_size_to_the_largest_arrives(void **state)
{
    struct pair *pair = *state;
    const uint32_t max = pair->net[0]->frame_bytes_max;
    const uint32_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 1000, 1471, 1472, max - 1, max};

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sizes); i++) {
        struct spate_frame frame;
        send_pattern(pair, 0, sizes[i], i);
        assert_int_equal(receive(pair, 1, &frame, 1), 1);
        assert_int_equal(frame.size, sizes[i]);
        assert_true(has_pattern(&frame, i));
        pair->net[1]->ops->release(pair->net[1], &frame, 1);
    }
}

/* Odd sizes and a smaller last one: what a segmented send has to take apart and put together. */
static void a_full_burst_arrives_frame_by_frame(void **state)
{
    struct pair *pair = *state;
    static const uint32_t sizes[] = {128, 101, 1472, 8};

    for (uint32_t s = 0; s < SPATE_ARRAY_COUNT(sizes); s++) {
        struct spate_frame frames[SPATE_BURST_MAX];
        bool seen[SPATE_BURST_MAX] = {false};
        const uint32_t count = SPATE_BURST_MAX;
        assert_int_equal(pair->net[0]->ops->reserve(pair->net[0], 1, frames, count), SPATE_OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal((uintptr_t)frames[i].data % 8, 0);
            fill(&frames[i], i == count - 1 ? sizes[s] / 2 : sizes[s], i);
        }
        pair->net[0]->ops->tx(pair->net[0], frames, count);
        assert_int_equal(receive(pair, 1, frames, count), count);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t mark = frames[i].data[0];
            assert_true(mark < count);
            assert_false(seen[mark]);
            seen[mark] = true;
            assert_int_equal(frames[i].size, mark == count - 1 ? sizes[s] / 2 : sizes[s]);
            assert_true(has_pattern(&frames[i], mark));
        }
        pair->net[1]->ops->release(pair->net[1], frames, count);
    }
}

static void a_burst_is_taken_in_small_helpings(void **state)
{
    struct pair *pair = *state;
    struct spate_frame frames[16];

    assert_int_equal(pair->net[0]->ops->reserve(pair->net[0], 1, frames, 16), SPATE_OK);
    for (uint32_t i = 0; i < 16; i++) {
        fill(&frames[i], 64, i);
    }
    pair->net[0]->ops->tx(pair->net[0], frames, 16);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(receive(pair, 1, frames, 1), 1);
        assert_true(has_pattern(&frames[0], frames[0].data[0]));
        pair->net[1]->ops->release(pair->net[1], frames, 1);
    }
}

static void an_unknown_sender_is_nobody(void **state)
{
    struct pair *pair = *state;
    const struct spate_address none = {0};
    struct spate_frame frame;

    if (pair_is_point_to_point()) {
        return; /* A stranger has no port to be heard on. */
    }
    assert_int_equal(pair->net[1]->ops->set_peer(pair->net[1], 0, &none), SPATE_OK);
    send_pattern(pair, 0, 50, 3);
    assert_int_equal(receive(pair, 1, &frame, 1), 1);
    assert_int_equal(frame.peer, SPATE_PEER_NONE);
    assert_true(has_pattern(&frame, 3));
    pair->net[1]->ops->release(pair->net[1], &frame, 1);
}

static void a_frame_for_a_cleared_peer_is_dropped_and_counted(void **state)
{
    struct pair *pair = *state;
    const struct spate_address none = {0};
    const uint64_t dropped = atomic_load(&pair->net[0]->stats.tx_dropped);
    const uint64_t sent = atomic_load(&pair->net[0]->stats.tx_frames);

    assert_int_equal(pair->net[0]->ops->set_peer(pair->net[0], 1, &none), SPATE_OK);
    send_pattern(pair, 0, 50, 3);
    assert_int_equal(atomic_load(&pair->net[0]->stats.tx_dropped), dropped + 1);
    assert_int_equal(atomic_load(&pair->net[0]->stats.tx_frames), sent);
}

static void places_beyond_the_table_are_invalid(void **state)
{
    struct pair *pair = *state;
    const struct spate_address none = {0};

    assert_int_equal(pair->net[0]->ops->set_peer(pair->net[0], SPATE_PEERS_MAX, &none),
                     SPATE_ERR_INVALID);
}

static void reserve_lends_all_or_none_and_recovers(void **state)
{
    struct pair *pair = *state;
    static struct spate_frame frames[4096];
    uint32_t lent = 0;

    while (lent < 4096 &&
           pair->net[0]->ops->reserve(pair->net[0], 1, &frames[lent], 1) == SPATE_OK) {
        lent++;
    }
    assert_true(lent >= SPATE_BURST_MAX);
    assert_true(lent < 4096);
    pair->net[0]->ops->release(pair->net[0], &frames[--lent], 1);
    assert_int_equal(pair->net[0]->ops->reserve(pair->net[0], 1, &frames[lent], 2), SPATE_ERR_BUSY);
    assert_int_equal(pair->net[0]->ops->reserve(pair->net[0], 1, &frames[lent], 1), SPATE_OK);
    for (lent++; lent > 0; lent--) {
        pair->net[0]->ops->release(pair->net[0], &frames[lent - 1], 1);
    }
}

static void a_received_frame_can_be_sent_back(void **state)
{
    struct pair *pair = *state;
    struct spate_frame frame;

    send_pattern(pair, 0, 77, 9);
    assert_int_equal(receive(pair, 1, &frame, 1), 1);
    pair->net[1]->ops->tx(pair->net[1], &frame, 1);
    assert_int_equal(receive(pair, 0, &frame, 1), 1);
    assert_int_equal(frame.peer, 1);
    assert_true(has_pattern(&frame, 9));
    pair->net[0]->ops->release(pair->net[0], &frame, 1);
}

/* Without the wake this would sleep for ever, and the suite's time limit would say so. */
static void a_wake_before_the_wait_is_not_lost(void **state)
{
    struct pair *pair = *state;

    for (uint32_t i = 0; i < 100; i++) {
        pair->net[0]->ops->wake(pair->net[0]);
        pair->net[0]->ops->wait(pair->net[0], SPATE_TIME_NEVER);
    }
}

static void counters_tell_what_passed(void **state)
{
    struct pair *pair = *state;
    const struct spate_net_stats *sender = &pair->net[0]->stats;
    const struct spate_net_stats *receiver = &pair->net[1]->stats;
    const uint64_t before[4] = {atomic_load(&sender->tx_frames), atomic_load(&sender->tx_bytes),
                                atomic_load(&receiver->rx_frames),
                                atomic_load(&receiver->rx_bytes)};
    struct spate_frame frame;

    for (uint32_t i = 0; i < 10; i++) {
        send_pattern(pair, 0, 200, i);
        assert_int_equal(receive(pair, 1, &frame, 1), 1);
        pair->net[1]->ops->release(pair->net[1], &frame, 1);
    }
    assert_int_equal(atomic_load(&sender->tx_frames), before[0] + 10);
    assert_int_equal(atomic_load(&sender->tx_bytes), before[1] + 2000);
    assert_int_equal(atomic_load(&receiver->rx_frames), before[2] + 10);
    assert_int_equal(atomic_load(&receiver->rx_bytes), before[3] + 2000);
}

/* What a status page and a graph over time rely on. */
static void named_counters_keep_their_place_and_have_an_end(void **state)
{
    struct pair *pair = *state;
    struct spate_net *net = pair->net[0];
    static char names[COUNTERS_MAX][64];
    struct spate_net_counter counter;
    struct spate_frame frame;
    uint32_t known = 0;

    for (; spate_net_counter(net, known, &counter); known++) {
        assert_true(known < COUNTERS_MAX);
        assert_true(strlen(counter.name) < sizeof names[0]);
        assert_false(counter.is_drop && counter.kind == SPATE_NET_COUNTER_LEVEL);
        for (uint32_t other = 0; other < known; other++) {
            assert_string_not_equal(names[other], counter.name);
        }
        (void)snprintf(names[known], sizeof names[known], "%s", counter.name);
    }
    assert_false(spate_net_counter(net, known + 1000, &counter));
    send_pattern(pair, 0, 200, 1);
    assert_int_equal(receive(pair, 1, &frame, 1), 1);
    pair->net[1]->ops->release(pair->net[1], &frame, 1);
    for (uint32_t place = 0; place < known; place++) {
        assert_true(spate_net_counter(net, place, &counter));
        assert_string_equal(counter.name, names[place]);
    }
}

static int set_up(void **state)
{
    *state = pair_create();
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    pair_destroy(*state);
    return 0;
}

#define CONTRACT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(a_frame_arrives_unaltered_with_its_sender),
        CONTRACT_TEST(every_size_to_the_largest_arrives),
        CONTRACT_TEST(a_full_burst_arrives_frame_by_frame),
        CONTRACT_TEST(a_burst_is_taken_in_small_helpings),
        CONTRACT_TEST(an_unknown_sender_is_nobody),
        CONTRACT_TEST(a_frame_for_a_cleared_peer_is_dropped_and_counted),
        CONTRACT_TEST(places_beyond_the_table_are_invalid),
        CONTRACT_TEST(reserve_lends_all_or_none_and_recovers),
        CONTRACT_TEST(a_received_frame_can_be_sent_back),
        CONTRACT_TEST(a_wake_before_the_wait_is_not_lost),
        CONTRACT_TEST(counters_tell_what_passed),
        CONTRACT_TEST(named_counters_keep_their_place_and_have_an_end),
    };
    if (argc != 2 || !pair_choose(argv[1])) {
        return 2;
    }
    return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
