/* The decorator ends the process the moment a frame is handled against the contract. */
#include "support/test.h"

#include <string.h>

#include "net/net.h"
#include "net/sim/sim.h"
#include "support/aborts.h"

struct fixture {
    struct spate_net_sim *network;
    struct spate_net *net;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct spate_net_sim_options options = {.seed = 1, .endpoints = 2};
    const struct spate_address address = spate_net_sim_address(1);

    assert_int_equal(spate_net_sim_create(&options, &fixture.network), SPATE_OK);
    struct spate_net *inner = spate_net_sim_open(fixture.network, 0);
    assert_int_equal(spate_net_checked_create(inner, &fixture.net), SPATE_OK);
    assert_int_equal(fixture.net->ops->set_peer(fixture.net, 1, &address), SPATE_OK);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fixture->net->ops->close(fixture->net);
    spate_net_sim_destroy(fixture->network);
    return 0;
}

static struct spate_frame reserve_one(struct spate_net *net)
{
    struct spate_frame frame;
    assert_int_equal(net->ops->reserve(net, 1, &frame, 1), SPATE_OK);
    return frame;
}

static void release_twice(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    struct spate_frame again = frame;
    net->ops->release(net, &frame, 1);
    net->ops->release(net, &again, 1);
}

static void release_after_sending(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.size = 8;
    memset(frame.data, 1, 8);
    struct spate_frame again = frame;
    net->ops->tx(net, &frame, 1);
    net->ops->release(net, &again, 1);
}

static void write_after_return(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    uint8_t *data = frame.data;
    net->ops->release(net, &frame, 1);
    data[100] = 1;
    (void)reserve_one(net);
}

static void write_behind_the_end(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.data[frame.capacity] ^= 1;
    net->ops->release(net, &frame, 1);
}

static void close_with_a_lent_frame(void *context)
{
    struct spate_net *net = context;
    (void)reserve_one(net);
    net->ops->close(net);
}

static void return_a_frame_of_nobody(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.owner = &frame;
    net->ops->release(net, &frame, 1);
}

static void send_more_than_fits(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.size = frame.capacity + 1;
    net->ops->tx(net, &frame, 1);
}

static void send_to_nobody(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.size = 1;
    frame.peer = SPATE_PEER_NONE;
    net->ops->tx(net, &frame, 1);
}

static void receive_more_than_a_burst(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frames[SPATE_BURST_MAX + 1];
    (void)net->ops->rx(net, frames, SPATE_BURST_MAX + 1);
}

static void use_correctly(void *context)
{
    struct spate_net *net = context;
    struct spate_frame frame = reserve_one(net);
    frame.size = 8;
    memset(frame.data, 1, 8);
    net->ops->tx(net, &frame, 1);
    frame = reserve_one(net);
    net->ops->release(net, &frame, 1);
}

#define MISUSE_TEST(misuse)                        \
    static void misuse##_aborts(void **state)      \
    {                                              \
        const struct fixture *fixture = *state;    \
        assert_true(aborts(misuse, fixture->net)); \
    }

MISUSE_TEST(release_twice)
MISUSE_TEST(release_after_sending)
MISUSE_TEST(write_after_return)
MISUSE_TEST(write_behind_the_end)
MISUSE_TEST(close_with_a_lent_frame)
MISUSE_TEST(return_a_frame_of_nobody)
MISUSE_TEST(send_more_than_fits)
MISUSE_TEST(send_to_nobody)
MISUSE_TEST(receive_more_than_a_burst)

/* Otherwise the tests above would prove nothing. */
static void correct_use_does_not_abort(void **state)
{
    const struct fixture *fixture = *state;
    assert_false(aborts(use_correctly, fixture->net));
    use_correctly(fixture->net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(release_twice_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(release_after_sending_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_after_return_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_behind_the_end_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(close_with_a_lent_frame_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(return_a_frame_of_nobody_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send_more_than_fits_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send_to_nobody_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(receive_more_than_a_burst_aborts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(correct_use_does_not_abort, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("net/checked", tests, NULL, NULL);
}
