#include "client/client.h"
#include "support/test.h"

static void a_serving_core_is_kept(void **state)
{
    (void)state;
    struct spate_client client;
    spate_time_ns delay = 0;

    spate_client_init(&client, 3, 1);
    for (unsigned i = 0; i < 5; i++) {
        spate_client_begin(&client, 1000);
        assert_int_equal(spate_client_target(&client), 0);
        assert_int_equal(spate_client_answered(&client, SPATE_CLIENT_SERVED, 10, &delay),
                         SPATE_CLIENT_DONE);
        assert_int_equal(client.sequence, i + 1);
    }
}

/* Of three cores only the third is up: it is reached without waiting, and kept. */
static void unreachable_cores_are_passed_over_at_once(void **state)
{
    (void)state;
    struct spate_client client;
    spate_time_ns delay = 99;

    spate_client_init(&client, 3, 1);
    spate_client_begin(&client, 1000000000);
    for (unsigned core = 0; core < 2; core++) {
        assert_int_equal(spate_client_target(&client), core);
        assert_int_equal(spate_client_answered(&client, SPATE_CLIENT_UNREACHABLE, 10, &delay),
                         SPATE_CLIENT_RETRY);
        assert_int_equal(delay, 0);
    }
    assert_int_equal(spate_client_target(&client), 2);
    assert_int_equal(spate_client_answered(&client, SPATE_CLIENT_SERVED, 10, &delay),
                     SPATE_CLIENT_DONE);
    spate_client_begin(&client, 1000000000);
    assert_int_equal(spate_client_target(&client), 2);
}

static void repeats_keep_their_sequence_and_wait_longer_and_longer(void **state)
{
    (void)state;
    struct spate_client client;
    spate_time_ns now = 0;
    spate_time_ns longest = 0;

    spate_client_init(&client, 2, 1);
    spate_client_begin(&client, 20000000000u);
    for (unsigned i = 0; i < 20; i++) {
        spate_time_ns delay = 0;
        assert_int_equal(spate_client_answered(&client, SPATE_CLIENT_NOT_READY, now, &delay),
                         SPATE_CLIENT_RETRY);
        assert_int_equal(client.sequence, 1);
        assert_true(delay > 0);
        assert_true(delay <= 500000000u);
        longest = delay > longest ? delay : longest;
        now += delay;
    }
    assert_true(longest >= 250000000u);
}

static void the_deadline_ends_it(void **state)
{
    (void)state;
    struct spate_client client;
    spate_time_ns delay = 0;

    spate_client_init(&client, 1, 1);
    spate_client_begin(&client, 1000);
    assert_int_equal(spate_client_answered(&client, SPATE_CLIENT_UNKNOWN, 2000, &delay),
                     SPATE_CLIENT_GIVE_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_serving_core_is_kept),
        cmocka_unit_test(unreachable_cores_are_passed_over_at_once),
        cmocka_unit_test(repeats_keep_their_sequence_and_wait_longer_and_longer),
        cmocka_unit_test(the_deadline_ends_it),
    };
    return cmocka_run_group_tests_name("client/client", tests, NULL, NULL);
}
