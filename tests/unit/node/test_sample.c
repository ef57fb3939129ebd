/* Where the time goes: which commands are timed, by whom, and what becomes of those that fail. */
#include "support/test.h"

#include "node/node_internal.h"
#include "world.h"

/* Commits `count` commands, one after the other, through the leader. */
static void commit(struct world *world, uint32_t leader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_true(world_propose(world, leader, 16));
        world_submit(world, leader);
        assert_true(world_settle(world, leader, 100 * MSEC));
    }
    world_converge(world);
}

/* All samples of a core; the last is given back. */
static uint32_t drain(struct world *world, uint32_t i, struct spate_sample *ret_last)
{
    uint32_t count = 0;
    while (spate_node_next_sample(world->nodes[i].node, ret_last)) {
        for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
            if (ret_last->is_follower != (s == SPATE_STAGE_FOLLOW)) {
                assert_int_equal(ret_last->ns[s], 0);
            }
        }
        count++;
    }
    return count;
}

/* With one way of 5 us and more between the cores, most of the time of a commit is spent away; and
 * a follower's part of that is not more than that. */
static void every_command_is_timed_when_asked_for(void **state)
{
    (void)state;
    struct world *world = world_create(3, 1);
    struct spate_sample sample = {0};

    world->sample_every = 1;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    commit(world, leader, 20);
    assert_in_range(drain(world, leader, &sample), 19, 21);
    assert_false(sample.is_follower);
    assert_int_equal(sample.index, world->nodes[leader].client.last.index);
    uint64_t rest = 0;
    for (uint32_t s = 0; s < SPATE_STAGE_FOLLOW; s++) {
        rest += s != SPATE_STAGE_AWAY ? sample.ns[s] : 0;
    }
    assert_true(sample.ns[SPATE_STAGE_AWAY] > rest);
    const uint64_t away = sample.ns[SPATE_STAGE_AWAY];
    assert_true(drain(world, (leader + 1) % 3, &sample) >= 10);
    assert_true(sample.is_follower);
    assert_true(sample.ns[SPATE_STAGE_FOLLOW] <= away);
    world_destroy(world);
}

/* By default one in 256, so of 1,000 commands three. */
static void few_are_timed_by_default_and_none_when_not_wanted(void **state)
{
    (void)state;
    const struct {
        uint32_t every, expected;
    } cases[] = {{0, 3}, {100, 10}, {SPATE_SAMPLE_NEVER, 0}};

    for (uint32_t c = 0; c < 3; c++) {
        struct world *world = world_create(3, 2);
        struct spate_sample sample;

        world->sample_every = cases[c].every;
        world_start_all(world);
        const uint32_t leader = world_elect(world);
        commit(world, leader, 1000);
        assert_int_equal(drain(world, leader, &sample), cases[c].expected);
        if (cases[c].every == SPATE_SAMPLE_NEVER) {
            assert_int_equal(drain(world, (leader + 1) % 3, &sample), 0);
        }
        world_destroy(world);
    }
}

/* A cluster of one sends nothing: those stages take no time, the others are there. */
static void a_cluster_of_one_is_timed_too(void **state)
{
    (void)state;
    struct world *world = world_create(1, 3);
    struct spate_sample sample = {0};

    world->sample_every = 1;
    world_start_all(world);
    (void)world_elect(world);
    commit(world, 0, 5);
    assert_in_range(drain(world, 0, &sample), 4, 5);
    assert_int_equal(sample.ns[SPATE_STAGE_ENCODE], 0);
    assert_int_equal(sample.ns[SPATE_STAGE_SEND], 0);
    world_destroy(world);
}

/* Commands of a follower are the leader's business: there they come without a mark. Nobody reads
 * the samples here, so the ring fills up, and that is all that happens. */
static void what_is_passed_on_is_not_timed_and_a_full_ring_loses(void **state)
{
    (void)state;
    struct world *world = world_create(3, 4);
    struct spate_sample sample;

    world->sample_every = 1;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t other = (leader + 1) % 3;
    (void)drain(world, leader, &sample);
    commit(world, other, 20);
    assert_int_equal(drain(world, leader, &sample), 0);
    commit(world, leader, 500);
    assert_in_range(drain(world, leader, &sample), 40, 120);
    world_destroy(world);
}

/* What was on its way when the leader lost its place is forgotten; its successor times its own. */
static void a_new_leader_times_its_own_commands(void **state)
{
    (void)state;
    struct world *world = world_create(3, 5);
    struct spate_sample sample = {0};

    world->sample_every = 1;
    world_start_all(world);
    const uint32_t first = world_elect(world);
    commit(world, first, 5);
    assert_true(world_propose(world, first, 16));
    world_submit(world, first);
    world_stop(world, first);
    const uint32_t second = world_elect(world);
    assert_int_not_equal(second, first);
    (void)drain(world, second, &sample);
    commit(world, second, 20);
    assert_in_range(drain(world, second, &sample), 19, 21);
    assert_int_equal(sample.index, world->nodes[second].client.last.index);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_timed_when_asked_for),
        cmocka_unit_test(few_are_timed_by_default_and_none_when_not_wanted),
        cmocka_unit_test(a_cluster_of_one_is_timed_too),
        cmocka_unit_test(what_is_passed_on_is_not_timed_and_a_full_ring_loses),
        cmocka_unit_test(a_new_leader_times_its_own_commands),
    };
    return cmocka_run_group_tests_name("node/sample", tests, NULL, NULL);
}
