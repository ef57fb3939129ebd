/* Linearizable reads through a port: when their outcomes come, and what they promise. */
#include "support/test.h"

#include "node/node_internal.h"
#include "raft/raft_internal.h"
#include "world.h"

static uint32_t take(struct world *world, uint32_t i, struct spate_result results[], uint32_t count)
{
    return spate_port_results(world->nodes[i].client.port, results, count);
}

static void ask(struct world *world, uint32_t i, uint64_t cookie)
{
    assert_int_equal(spate_port_read(world->nodes[i].client.port, cookie), SPATE_OK);
    spate_port_submit(world->nodes[i].client.port);
}

static void any_node_reads_what_was_acknowledged_before(void **state)
{
    (void)state;
    struct world *world = world_create(3, 3);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    for (uint32_t round = 0; round < 20; round++) {
        assert_true(world_propose(world, leader, 16));
        world_submit(world, leader);
        assert_true(world_settle(world, leader, 100 * MSEC));
        const spate_index acknowledged = world->nodes[leader].client.last.index;
        const uint32_t reader = round % 3;
        struct world_client *client = &world->nodes[reader].client;
        const uint64_t cookie = client->proposed + 1;

        ask(world, reader, cookie);
        client->proposed++;
        assert_true(world_settle(world, reader, 100 * MSEC));
        const struct spate_result result = client->last;
        assert_int_equal(result.cookie, cookie);
        assert_int_equal(result.status, SPATE_OK);
        assert_true(result.index >= acknowledged);
        assert_true(world->nodes[reader].node->apply.applied >= acknowledged);
    }
    world_destroy(world);
}

static void a_read_without_a_leader_is_refused_in_time(void **state)
{
    (void)state;
    struct world *world = world_create(3, 4);
    world_start(world, 0);
    ask(world, 0, 1);
    world->nodes[0].client.proposed = 1;
    assert_true(world_settle(world, 0, 10000 * MSEC));
    assert_int_equal(world->nodes[0].client.last.cookie, 1);
    assert_int_equal(world->nodes[0].client.last.status, SPATE_ERR_NOT_READY);
    world_destroy(world);
}

static void reads_of_one_turn_are_one_question(void **state)
{
    (void)state;
    struct world *world = world_create(1, 5);
    struct spate_result results[100];

    world_start_all(world);
    (void)world_elect(world);
    const uint64_t before = world_status(world, 0).raft.reads_confirmed;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(spate_port_read(world->nodes[0].client.port, i), SPATE_OK);
    }
    world_submit(world, 0);
    assert_int_equal(spate_node_poll(world->nodes[0].node, NULL), SPATE_OK);
    assert_int_equal(take(world, 0, results, 100), 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(results[i].cookie, i);
    }
    world_run(world, 100 * MSEC); /* The status is published from time to time. */
    assert_int_equal(world_status(world, 0).raft.reads_confirmed, before + 1);
    assert_int_equal(world_status(world, 0).reads, 100);
    world_destroy(world);
}

/* More than the node keeps open: the ring holds them back, and nothing is lost. */
static void a_flood_of_reads_is_answered_to_the_last(void **state)
{
    (void)state;
    struct world *world = world_create(1, 6);
    uint64_t asked = 0;
    uint64_t answered = 0;

    world_start_all(world);
    (void)world_elect(world);
    for (uint32_t round = 0; round < 400; round++) {
        while (asked < 30000 && spate_port_read(world->nodes[0].client.port, asked) == SPATE_OK) {
            asked++;
        }
        world_submit(world, 0);
        assert_int_equal(spate_node_poll(world->nodes[0].node, NULL), SPATE_OK);
        struct spate_result results[256];
        const uint32_t count = take(world, 0, results, 256);
        for (uint32_t r = 0; r < count; r++) {
            assert_int_equal(results[r].cookie, answered + r);
            assert_int_equal(results[r].status, SPATE_OK);
        }
        answered += count;
    }
    assert_int_equal(answered, 30000);
    world_destroy(world);
}

/* A lease runs from when the leader sent; what it counts on must not end earlier (thesis 6.4.1). */
static void a_turn_that_stalls_heard_the_leader_when_it_went_on(void **state)
{
    (void)state;
    struct world *world = world_create(3, 7);

    world->lease_enabled = true;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    struct world_node *self = &world->nodes[follower];
    const spate_time_ns began = world->hub->now;

    self->is_up = false; /* It gets no time; the others do. */
    world_run(world, 8 * MSEC);
    self->is_up = true;
    world->stalled_at = began;
    assert_int_equal(spate_node_poll(self->node, NULL), SPATE_OK);
    assert_int_equal(self->node->raft->leader, leader + 1);
    assert_int_equal(self->node->raft->follower.heard_at, world->hub->now);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_node_reads_what_was_acknowledged_before),
        cmocka_unit_test(a_read_without_a_leader_is_refused_in_time),
        cmocka_unit_test(reads_of_one_turn_are_one_question),
        cmocka_unit_test(a_flood_of_reads_is_answered_to_the_last),
        cmocka_unit_test(a_turn_that_stalls_heard_the_leader_when_it_went_on),
    };
    return cmocka_run_group_tests_name("node/reads", tests, NULL, NULL);
}
