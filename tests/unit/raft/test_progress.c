/* What a leader believes of one member: the window, back-off, and timeouts. */
#include "support/test.h"

#include "raft/progress_internal.h"

#define WINDOW 4u
#define FRAME  1500u

struct fixture {
    struct spate_progress progress;
    struct spate_inflight ring[WINDOW];
};

static void setup_replicating(struct fixture *fixture)
{
    *fixture = (struct fixture){.progress = {.inflight_max = WINDOW}};
    fixture->progress.inflight = fixture->ring;
    spate_progress_reset(&fixture->progress, 1, 1, 1000);
    spate_progress_rewind(&fixture->progress, 1, 1, true);
}

static void send(struct fixture *fixture, uint32_t count, uint64_t round, spate_time_ns now)
{
    const struct spate_inflight message = {.first = fixture->progress.next,
                                           .last = fixture->progress.next + count - 1,
                                           .round = round,
                                           .sent_at = now,
                                           .bytes = 100 * count};
    spate_progress_sent(&fixture->progress, &message);
}

static void the_window_closes_by_messages_and_by_bytes(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    assert_true(
        spate_progress_has_room(&fixture.progress, 1000, UINT32_MAX, 5000)); /* Alone it may go. */
    send(&fixture, 1, 1, 0);
    assert_false(spate_progress_has_room(&fixture.progress, 1000, FRAME, 901));
    assert_true(spate_progress_has_room(&fixture.progress, 1000, FRAME, 900));
    send(&fixture, 1, 2, 0);
    send(&fixture, 1, 3, 0);
    send(&fixture, 1, 4, 0);
    assert_false(spate_progress_has_room(&fixture.progress, 1000, FRAME, 1));
    assert_true(spate_progress_valid(&fixture.progress, 4));
}

static void a_message_larger_than_a_frame_travels_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    assert_true(spate_progress_has_room(&fixture.progress, 100000, FRAME, FRAME + 1));
    send(&fixture, 1, 1, 0);
    assert_false(spate_progress_has_room(&fixture.progress, 100000, FRAME, FRAME + 1));
    assert_true(spate_progress_has_room(&fixture.progress, 100000, FRAME, FRAME));
    send(&fixture, 16, 2, 0);
    assert_false(spate_progress_has_room(&fixture.progress, 100000, FRAME, 1));
    spate_progress_accepted(&fixture.progress, 17, 17, 0);
    assert_true(spate_progress_has_room(&fixture.progress, 100000, FRAME, 1));
}

/* Round the ring many times: what is received leaves the window, what is durable counts. */
static void acceptance_frees_the_window_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    for (uint64_t round = 1; round < 100; round++) {
        send(&fixture, 2, round, round);
        if (fixture.progress.inflight_count == 3) {
            const spate_index received = fixture.progress.next - 3;
            spate_progress_accepted(&fixture.progress, received, received / 2, round);
            assert_int_equal(fixture.progress.inflight_count, 1);
            assert_int_equal(fixture.progress.inflight_bytes, 200);
            assert_int_equal(fixture.progress.match, received / 2);
        }
        assert_true(spate_progress_valid(&fixture.progress, fixture.progress.next - 1));
    }
}

static void late_and_partial_acceptances_change_nothing_known(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    send(&fixture, 10, 1, 0);
    spate_progress_accepted(&fixture.progress, 5, 4, 1);
    assert_int_equal(fixture.progress.inflight_count, 1);
    spate_progress_accepted(&fixture.progress, 3, 2, 2);
    assert_int_equal(fixture.progress.received, 5);
    assert_int_equal(fixture.progress.match, 4);
    assert_int_equal(fixture.progress.next, 11);
}

static void rewinding_never_goes_below_what_was_received(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    send(&fixture, 10, 1, 0);
    spate_progress_accepted(&fixture.progress, 5, 5, 1);
    spate_progress_rewind(&fixture.progress, 2, 2, false);
    assert_int_equal(fixture.progress.next, 6);
    assert_int_equal(fixture.progress.inflight_count, 0);
    assert_false(fixture.progress.is_replicating);
    assert_int_equal(fixture.progress.rewind_round, 2);
}

static void taking_back_removes_a_message_and_its_followers(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    send(&fixture, 1, 1, 0);
    send(&fixture, 1, 2, 0);
    send(&fixture, 1, 3, 0);
    assert_false(spate_progress_take_back(&fixture.progress, 9));
    assert_true(spate_progress_take_back(&fixture.progress, 2));
    assert_int_equal(fixture.progress.next, 2);
    assert_int_equal(fixture.progress.inflight_count, 1);
    assert_true(spate_progress_valid(&fixture.progress, 1));
}

static void timeouts_follow_the_round_trip_and_double(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    assert_int_equal(spate_progress_timeout_ns(&fixture.progress, 50000000), 50000000);
    spate_progress_measured(&fixture.progress, 4000000);
    /* RFC 6298: the first sample and four times half of it. */
    assert_int_equal(spate_progress_timeout_ns(&fixture.progress, 50000000), 12000000);
    fixture.progress.repeats = 2;
    assert_int_equal(spate_progress_timeout_ns(&fixture.progress, 50000000), 48000000);
    fixture.progress.repeats = 200;
    assert_int_equal(spate_progress_timeout_ns(&fixture.progress, 50000000), 50000000);
    spate_progress_measured(&fixture.progress, UINT64_MAX);
    assert_int_equal(spate_progress_timeout_ns(&fixture.progress, 50000000), 50000000);
    assert_int_equal(spate_progress_resend_at(&fixture.progress, 50000000), SPATE_TIME_NEVER);
}

static void resending_waits_while_answers_arrive(void **state)
{
    (void)state;
    struct fixture fixture;
    setup_replicating(&fixture);
    send(&fixture, 1, 1, 2000);
    send(&fixture, 1, 2, 2000);
    assert_int_equal(spate_progress_resend_at(&fixture.progress, 500), 2500);
    spate_progress_accepted(&fixture.progress, 1, 1, 2400);
    assert_int_equal(spate_progress_resend_at(&fixture.progress, 500), 2900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_closes_by_messages_and_by_bytes),
        cmocka_unit_test(a_message_larger_than_a_frame_travels_alone),
        cmocka_unit_test(acceptance_frees_the_window_in_order),
        cmocka_unit_test(late_and_partial_acceptances_change_nothing_known),
        cmocka_unit_test(rewinding_never_goes_below_what_was_received),
        cmocka_unit_test(taking_back_removes_a_message_and_its_followers),
        cmocka_unit_test(timeouts_follow_the_round_trip_and_double),
        cmocka_unit_test(resending_waits_while_answers_arrive),
    };
    return cmocka_run_group_tests_name("raft/progress", tests, NULL, NULL);
}
