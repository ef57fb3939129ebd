/* Ports: back-pressure, fairness, wake-ups, and what a client is told when it is not certain. */
#include "support/test.h"

#include "node/node_internal.h"
#include "world.h"

struct counting_waker {
    struct spate_waker waker;
    uint32_t calls;
};

static void count_call(struct spate_waker *waker)
{
    ((struct counting_waker *)waker)->calls++;
}

static void poll_node(struct world *world, uint32_t turns)
{
    for (uint32_t t = 0; t < turns; t++) {
        assert_int_equal(spate_node_poll(world->nodes[0].node, NULL), SPATE_OK);
    }
}

/* 4 MiB of ring and 64 KiB commands: about 63 fit, then the client is told to come back. */
static void a_full_ring_answers_busy_until_the_node_takes_from_it(void **state)
{
    (void)state;
    struct world *world = world_create(1, 1);
    uint32_t fitted = 0;

    world_start_all(world);
    (void)world_elect(world);
    while (world_propose(world, 0, 64u << 10)) {
        fitted++;
    }
    assert_in_range(fitted, 60, 64);
    world_submit(world, 0);
    assert_true(world_settle(world, 0, 10 * MSEC));
    assert_true(world_propose(world, 0, 64u << 10));
    world_submit(world, 0);
    assert_true(world_settle(world, 0, 10 * MSEC));
    assert_int_equal(world->nodes[0].client.ok, fitted + 1);
    world_destroy(world);
}

static void a_client_that_takes_no_results_stops_only_its_own_port(void **state)
{
    (void)state;
    struct world *world = world_create(1, 2);
    struct spate_port *idle;
    uint64_t accepted = 0;

    world_start_all(world);
    assert_int_equal(spate_node_open_port(world->nodes[0].node, 0, &idle), SPATE_OK);
    (void)world_elect(world);
    for (uint32_t round = 0; round < 200; round++) {
        while (spate_port_propose(idle, accepted, "x", 1) == SPATE_OK) {
            accepted++;
        }
        spate_port_submit(idle);
        poll_node(world, 8);
    }
    assert_true(accepted > SPATE_PORT_OUTCOMES_MAX);
    assert_int_equal(spate_counting_count(&world->nodes[0].counting), SPATE_PORT_OUTCOMES_MAX);

    assert_true(world_propose(world, 0, 8));
    world_submit(world, 0);
    assert_true(world_settle(world, 0, 10 * MSEC));

    struct spate_result results[256];
    uint64_t taken = 0;
    for (uint32_t round = 0; taken < accepted && round < 10000; round++) {
        const uint32_t count = spate_port_results(idle, results, 256);
        for (uint32_t r = 0; r < count; r++) {
            assert_int_equal(results[r].cookie, taken + r);
            assert_int_equal(results[r].status, SPATE_OK);
        }
        taken += count;
        poll_node(world, 1);
    }
    assert_int_equal(taken, accepted);
    world_destroy(world);
}

static void sixteen_ports_are_served_and_a_seventeenth_is_refused(void **state)
{
    (void)state;
    struct world *world = world_create(1, 3);
    struct spate_port *ports[SPATE_PORTS_MAX];
    struct spate_result result;

    world_start_all(world);
    for (uint32_t p = 1; p < SPATE_PORTS_MAX; p++) {
        assert_int_equal(spate_node_open_port(world->nodes[0].node, 4096, &ports[p]), SPATE_OK);
    }
    assert_int_equal(spate_node_open_port(world->nodes[0].node, 4096, &ports[0]), SPATE_ERR_BUSY);
    (void)world_elect(world);
    for (uint32_t p = 1; p < SPATE_PORTS_MAX; p++) {
        assert_int_equal(spate_port_propose(ports[p], p, "y", 1), SPATE_OK);
        spate_port_submit(ports[p]);
    }
    poll_node(world, 8);
    for (uint32_t p = 1; p < SPATE_PORTS_MAX; p++) {
        assert_int_equal(spate_port_results(ports[p], &result, 1), 1);
        assert_int_equal(result.cookie, p);
    }
    world_destroy(world);
}

static void a_command_too_large_for_its_ring_is_invalid(void **state)
{
    (void)state;
    struct world *world = world_create(1, 4);
    static const uint8_t bytes[4096];
    struct spate_port *port;

    world_start_all(world);
    assert_int_equal(spate_node_open_port(world->nodes[0].node, 4096, &port), SPATE_OK);
    assert_int_equal(spate_port_propose(port, 1, bytes, sizeof bytes), SPATE_ERR_INVALID);
    assert_int_equal(spate_port_propose(port, 1, bytes, 1000), SPATE_OK);
    world_destroy(world);
}

static void propose_and_poll(struct world *world, struct spate_port *port, uint64_t cookie)
{
    assert_int_equal(spate_port_propose(port, cookie, "a", 1), SPATE_OK);
    spate_port_submit(port);
    poll_node(world, 8);
}

static void a_client_is_woken_only_after_it_was_told_that_there_is_nothing(void **state)
{
    (void)state;
    struct world *world = world_create(1, 5);
    struct counting_waker waker = {.waker = {.wake = count_call}};
    struct spate_result results[2];
    struct spate_port *port;

    world_start_all(world);
    assert_int_equal(spate_node_open_port(world->nodes[0].node, 0, &port), SPATE_OK);
    spate_port_set_waker(port, &waker.waker);
    (void)world_elect(world);
    spate_port_may_block(port);
    propose_and_poll(world, port, 1);
    assert_int_equal(waker.calls, 1);
    propose_and_poll(world, port, 2);
    assert_int_equal(waker.calls, 1);
    assert_int_equal(spate_port_results(port, results, 2), 2);
    propose_and_poll(world, port, 3);
    assert_int_equal(waker.calls, 1);
    assert_int_equal(spate_port_results(port, results, 2), 1);
    assert_int_equal(spate_port_results(port, results, 2), 0);
    for (uint64_t cookie = 4; cookie < 14; cookie++) {
        propose_and_poll(world, port, cookie);
    }
    assert_int_equal(waker.calls, 2);
    world_destroy(world);
}

static void a_client_that_polls_is_never_woken_until_it_may_block(void **state)
{
    (void)state;
    struct world *world = world_create(1, 5);
    struct counting_waker waker = {.waker = {.wake = count_call}};
    struct spate_result result;
    struct spate_port *port;

    world_start_all(world);
    assert_int_equal(spate_node_open_port(world->nodes[0].node, 0, &port), SPATE_OK);
    spate_port_set_waker(port, &waker.waker);
    (void)world_elect(world);
    assert_int_equal(spate_port_results(port, &result, 1), 0);
    propose_and_poll(world, port, 1);
    assert_int_equal(waker.calls, 0);
    /* Its outcome came between its last look and its decision to block. */
    spate_port_may_block(port);
    assert_int_equal(waker.calls, 1);
    assert_int_equal(spate_port_results(port, &result, 1), 1);
    world_destroy(world);
}

/* The forward left, the leader died with it: nobody can tell. One that never left is certain. */
static void a_forward_whose_leader_died_is_unknown(void **state)
{
    (void)state;
    struct world *world = world_create(3, 6);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    assert_true(world_propose(world, follower, 8));
    world_submit(world, follower);
    assert_int_equal(spate_node_poll(world->nodes[follower].node, NULL), SPATE_OK);
    world_stop(world, leader);
    assert_true(world_settle(world, follower, 500 * MSEC));
    assert_int_equal(world->nodes[follower].client.unknown, 1);
    world_destroy(world);
}

static void a_repeated_forward_is_answered_again_but_proposed_once(void **state)
{
    (void)state;
    struct world *world = world_create(3, 7);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    struct spate_node *node = world->nodes[leader].node;
    struct spate_message message = {
        .kind = SPATE_MESSAGE_FORWARD,
        .from = follower + 1,
        .to = leader + 1,
        .term = node->term,
        .session = world->nodes[follower].node->options.session,
        .forward = {.cookie = 1, .data = (const uint8_t *)"once", .size = 4},
    };
    for (uint32_t n = 0; n < 5; n++) {
        spate_node_take_forward(node, &message);
        spate_node_propose_forwarded(node);
        world_run(world, 5 * MSEC);
    }
    assert_int_equal(spate_counting_count(&world->nodes[leader].counting), 1);

    /* Of an older term: the leader that it was meant for may have taken it. Silence. */
    message.term--;
    message.forward.cookie = 2;
    spate_node_take_forward(node, &message);
    spate_node_propose_forwarded(node);
    world_run(world, 5 * MSEC);
    assert_int_equal(spate_counting_count(&world->nodes[leader].counting), 1);

    /* A restarted member counts from the beginning. */
    message.term++;
    message.forward.cookie = 1;
    message.session += 1000;
    spate_node_take_forward(node, &message);
    spate_node_propose_forwarded(node);
    world_run(world, 5 * MSEC);
    assert_int_equal(spate_counting_count(&world->nodes[leader].counting), 2);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_answers_busy_until_the_node_takes_from_it),
        cmocka_unit_test(a_client_that_takes_no_results_stops_only_its_own_port),
        cmocka_unit_test(sixteen_ports_are_served_and_a_seventeenth_is_refused),
        cmocka_unit_test(a_command_too_large_for_its_ring_is_invalid),
        cmocka_unit_test(a_client_is_woken_only_after_it_was_told_that_there_is_nothing),
        cmocka_unit_test(a_client_that_polls_is_never_woken_until_it_may_block),
        cmocka_unit_test(a_forward_whose_leader_died_is_unknown),
        cmocka_unit_test(a_repeated_forward_is_answered_again_but_proposed_once),
    };
    return cmocka_run_group_tests_name("node/ports", tests, NULL, NULL);
}
