/* Three nodes in one process: elect, replicate, fail over, restart, catch up. */
#include "support/test.h"

#include "world.h"

static void proposals_of_a_leader_get_their_outcomes_in_order(void **state)
{
    (void)state;
    struct world *world = world_create(3, 1);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    for (uint32_t n = 0; n < 1000; n++) {
        assert_true(world_propose(world, leader, 64));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 1000 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 1000);
    assert_int_equal(world->nodes[leader].client.last.value, 1000);
    world_converge(world);
    assert_int_equal(spate_counting_count(&world->nodes[0].counting), 1000);
    world_destroy(world);
}

static void one_node_is_a_majority_of_one(void **state)
{
    (void)state;
    struct world *world = world_create(1, 2);

    world->store_delay_polls = 3;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    for (uint32_t n = 0; n < 100; n++) {
        assert_true(world_propose(world, leader, n));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 100 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 100);
    world_destroy(world);
}

static void without_a_leader_a_proposal_is_refused_at_once(void **state)
{
    (void)state;
    struct world *world = world_create(3, 3);

    world_start(world, 0);
    world_run(world, 50 * MSEC);
    assert_true(world_propose(world, 0, 8));
    world_submit(world, 0);
    assert_true(world_settle(world, 0, MSEC));
    assert_int_equal(world->nodes[0].client.not_ready, 1);
    world_destroy(world);
}

/* Its own proposals and those that are passed to it; it goes on leading, and takes them again. */
static void a_leader_with_little_space_refuses_until_there_is_more(void **state)
{
    (void)state;
    static _Atomic bool is_low;
    struct world *world = world_create(3, 30);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    world->nodes[leader].store->store.is_low = &is_low;
    for (uint32_t round = 0; round < 4; round++) {
        const uint32_t from = round < 2 ? leader : follower;
        const uint64_t ok = world->nodes[from].client.ok;
        atomic_store(&is_low, round % 2 == 0);
        for (uint32_t n = 0; n < 50; n++) {
            assert_true(world_propose(world, from, 64));
        }
        world_submit(world, from);
        assert_true(world_settle(world, from, 1000 * MSEC));
        const struct spate_result *last = &world->nodes[from].client.last;
        assert_int_equal(last->status, round % 2 == 0 ? SPATE_ERR_NO_SPACE : SPATE_OK);
        assert_int_equal(world->nodes[from].client.ok, round % 2 == 0 ? ok : ok + 50);
        world_run(world, MSEC);
        assert_int_equal(world_status(world, leader).is_disk_low, round % 2 == 0);
    }
    assert_int_equal(world_elect(world), leader);
    world_converge(world);
    assert_int_equal(spate_counting_count(&world->nodes[0].counting), 100);
    world_destroy(world);
}

/* 5,000 is more than a follower may have under way, so it has to wait for answers in between. */
static void a_follower_passes_proposals_on_once_each(void **state)
{
    (void)state;
    struct world *world = world_create(3, 4);

    world->hub->loss_ppm = 30000;
    world->hub->duplicate_ppm = 100000;
    world->hub->delay_ns_min = 20 * US;
    world->hub->delay_ns_max = 200 * US;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    for (uint32_t n = 0; n < 5000; n++) {
        assert_true(world_propose(world, follower, 40));
    }
    world_submit(world, follower);
    assert_true(world_settle(world, follower, 3000 * MSEC));
    const struct world_client *client = &world->nodes[follower].client;
    assert_int_equal(client->ok + client->not_ready + client->unknown, 5000);
    assert_int_equal(client->unknown, 0);
    assert_int_equal(client->ok, 5000);
    world_converge(world);
    assert_int_equal(spate_counting_count(&world->nodes[0].counting), 5000);
    world_destroy(world);
}

static void entries_of_a_mebibyte_travel_both_ways(void **state)
{
    (void)state;
    struct world *world = world_create(3, 5);

    world->hub->loss_ppm = 1000;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 2) % 3;
    for (uint32_t n = 0; n < 3; n++) {
        assert_true(world_propose(world, leader, SPATE_ENTRY_BYTES_MAX));
        assert_true(world_propose(world, follower, SPATE_ENTRY_BYTES_MAX));
    }
    world_submit(world, leader);
    world_submit(world, follower);
    assert_true(world_settle(world, leader, 2000 * MSEC));
    assert_true(world_settle(world, follower, 2000 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 3);
    assert_int_equal(world->nodes[follower].client.ok, 3);
    world_converge(world);
    world_destroy(world);
}

/* Many at once: what does not fit a frame goes together, one message behind the other. */
static void many_large_commands_do_not_wait_for_timers(void **state)
{
    (void)state;
    struct world *world = world_create(3, 23);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    world_run(world, 10 * MSEC);
    for (uint32_t n = 0; n < 64; n++) {
        assert_true(world_propose(world, leader, 20000));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, MSEC)); /* A heartbeat takes two. */
    world_converge(world);
    world_destroy(world);
}

/* Frames of 9,000 bytes at the ends and of 1,472 between them. */
static void a_narrow_path_gets_smaller_messages(void **state)
{
    (void)state;
    struct world *world = world_create(3, 24);

    world->hub->path_bytes_max = 2000;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    world_run(world, 10 * MSEC);
    for (uint32_t n = 0; n < 64; n++) {
        assert_true(world_propose(world, leader, 1000));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, MSEC));
    for (uint32_t i = 0; i < 3; i++) {
        struct spate_link_peer_status peer;

        if (i != leader) {
            assert_true(
                spate_link_peer_status(spate_node_link(world->nodes[leader].node), i + 1, &peer));
            assert_int_equal(peer.large_sent, 0);
        }
    }
    world_converge(world);
    world_destroy(world);
}

static void a_command_larger_than_an_entry_is_invalid(void **state)
{
    (void)state;
    struct world *world = world_create(1, 6);
    static const uint8_t bytes[SPATE_ENTRY_BYTES_MAX + 1];

    world_start_all(world);
    assert_int_equal(spate_port_propose(world->nodes[0].client.port, 1, bytes, sizeof bytes),
                     SPATE_ERR_INVALID);
    world_destroy(world);
}

/* Everything in flight when the leader dies has an outcome at the survivors, and OK is kept. */
static void losing_the_leader_loses_no_acknowledged_write(void **state)
{
    (void)state;
    struct world *world = world_create(3, 7);

    world_start_all(world);
    for (uint32_t kill = 0; kill < 5; kill++) {
        const uint32_t leader = world_elect(world);
        const uint32_t follower = (leader + 1) % 3;
        const uint64_t before = world->nodes[follower].client.ok;
        for (uint32_t n = 0; n < 200; n++) {
            assert_true(world_propose(world, leader, 16));
            assert_true(world_propose(world, follower, 16));
        }
        world_submit(world, leader);
        world_submit(world, follower);
        world_run(world, kill * 40 * US);
        const uint64_t acknowledged = world->nodes[leader].client.ok;
        world_stop(world, leader);
        assert_true(world_settle(world, follower, 3000 * MSEC));
        assert_in_range(world->nodes[follower].client.ok, before, before + 200);
        (void)world_elect(world);
        world_start(world, leader);
        world_converge(world);
        assert_true(spate_counting_count(&world->nodes[0].counting) >= acknowledged);
    }
    world_destroy(world);
}

static void a_leader_cut_off_answers_when_it_is_back(void **state)
{
    (void)state;
    struct world *world = world_create(3, 8);

    world_start_all(world);
    const uint32_t old = world_elect(world);
    world->hub->is_cut = true;
    for (uint32_t n = 0; n < 50; n++) {
        assert_true(world_propose(world, old, 16));
    }
    world_submit(world, old);
    world_run(world, 100 * MSEC);
    world->hub->is_cut = false;
    (void)world_elect(world);
    assert_true(world_settle(world, old, 1000 * MSEC));
    world_converge(world);
    assert_int_equal(spate_counting_count(&world->nodes[0].counting), world->nodes[old].client.ok);
    world_destroy(world);
}

/* More than a start reads back is not committed, and nobody is there to commit it. */
static void restarts_commit_nothing_by_themselves(void **state)
{
    (void)state;
    struct world *world = world_create(3, 21);

    world->log_budget_bytes = 16u << 20;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    world_run(world, 100 * MSEC);
    for (uint32_t i = 0; i < 3; i++) {
        if (i != leader) {
            world_stop(world, i);
        }
    }
    for (uint32_t n = 0; n < 11; n++) {
        (void)world_propose(world, leader, 900000);
        world_submit(world, leader);
        world_run(world, MSEC / 2);
    }
    const struct spate_node_status before = world_status(world, leader);
    assert_true(before.raft.durable > before.raft.commit + 7);
    world_stop(world, leader);
    world_start(world, leader);
    world_run(world, 100 * MSEC);
    const struct spate_node_status after = world_status(world, leader);
    assert_true(after.raft.received >= before.raft.durable);
    assert_true(after.raft.commit <= before.raft.commit);
    world_destroy(world);
}

static void all_nodes_restart_from_their_stores(void **state)
{
    (void)state;
    struct world *world = world_create(3, 9);

    world->store_delay_polls = 2;
    world_start_all(world);
    uint32_t leader = world_elect(world);
    for (uint32_t n = 0; n < 3000; n++) {
        assert_true(world_propose(world, leader, 100));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 1000 * MSEC));
    for (uint32_t i = 0; i < 3; i++) {
        world_stop(world, i);
    }
    world_start_all(world);
    leader = world_elect(world);
    assert_true(world_propose(world, leader, 100));
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 1000 * MSEC));
    assert_int_equal(world->nodes[leader].client.last.value, 3001);
    world_converge(world);
    world_destroy(world);
}

/* 16 MiB of log in memory, 40 MiB written: the state machine is rebuilt from the store, and a
 * member that slept through it is fed from the store. */
static void a_member_far_behind_is_fed_from_the_store(void **state)
{
    (void)state;
    struct world *world = world_create(3, 10);

    world->log_budget_bytes = 16u << 20;
    world_start_all(world);
    uint32_t leader = world_elect(world);
    const uint32_t sleeper = (leader + 1) % 3;
    world_stop(world, sleeper);
    for (uint32_t n = 0; n < 160; n++) {
        while (!world_propose(world, leader, 256u << 10)) {
            world_submit(world, leader);
            world_run(world, MSEC);
        }
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 5000 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 160);
    assert_true(world_status(world, leader).log_first > 1);
    world_start(world, sleeper);
    world_converge(world);
    assert_true(world_status(world, leader).fetches > 0);

    world_stop(world, leader);
    world_start(world, leader);
    assert_true(world_status(world, leader).log_first > 1);
    world_converge(world);
    assert_int_equal(spate_counting_count(&world->nodes[leader].counting), 160);
    world_destroy(world);
}

/* It has to wait for snapshots; the others go on, and do not spend their time on it. */
static void a_member_that_nobody_can_serve_disturbs_nobody(void **state)
{
    (void)state;
    struct world *world = world_create(3, 14);

    world->log_budget_bytes = 16u << 20;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t sleeper = (leader + 1) % 3;
    world_stop(world, sleeper);
    for (uint32_t i = 0; i < 3; i++) {
        if (i != sleeper) {
            world->nodes[i].store->is_forgetful = true;
        }
    }
    for (uint32_t n = 0; n < 160; n++) {
        while (!world_propose(world, leader, 256u << 10)) {
            world_submit(world, leader);
            world_run(world, MSEC);
        }
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 5000 * MSEC));
    world_start(world, sleeper);
    world_run(world, 100 * MSEC);
    const struct spate_node_status before = world_status(world, leader);
    world_run(world, 100 * MSEC);
    const struct spate_node_status after = world_status(world, leader);
    assert_true(after.fetches_missed > before.fetches_missed);
    assert_true(after.compacted_past_members > 0);
    const uint64_t busy = (after.turns - after.turns_idle) - (before.turns - before.turns_idle);
    assert_in_range(busy, 0, (after.turns - before.turns) / 4);
    assert_true(world_propose(world, leader, 8));
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 100 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 161);
    world_destroy(world);
}

static void the_apply_stage_may_be_a_thread_of_its_own(void **state)
{
    (void)state;
    struct world *world = world_create(3, 11);

    world->apply_is_threaded = true;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const uint32_t follower = (leader + 1) % 3;
    for (uint32_t n = 0; n < 1000; n++) {
        assert_true(world_propose(world, leader, 64));
        assert_true(world_propose(world, follower, 64));
    }
    world_submit(world, leader);
    world_submit(world, follower);
    assert_true(world_settle(world, leader, 1000 * MSEC));
    assert_true(world_settle(world, follower, 1000 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 1000);
    assert_int_equal(world->nodes[follower].client.ok, 1000);
    world_converge(world);
    world_destroy(world);
}

static void a_store_without_room_delays_but_loses_nothing(void **state)
{
    (void)state;
    struct world *world = world_create(3, 12);

    world->store_busy_ppm = 500000;
    world->store_delay_polls = 4;
    world->hub->loss_ppm = 20000;
    world_start_all(world);
    for (uint32_t round = 0; round < 20; round++) {
        const uint32_t leader = world_elect(world);
        for (uint32_t n = 0; n < 100; n++) {
            assert_true(world_propose(world, leader, 300));
        }
        world_submit(world, leader);
        assert_true(world_settle(world, leader, 1000 * MSEC));
    }
    world_converge(world);
    world_destroy(world);
}

static void a_failed_store_ends_the_node(void **state)
{
    (void)state;
    struct world *world = world_create(1, 13);
    uint32_t work;

    world_start_all(world);
    (void)world_elect(world);
    world->nodes[0].store->failure = SPATE_ERR_IO;
    assert_int_equal(spate_node_poll(world->nodes[0].node, &work), SPATE_ERR_IO);
    world->nodes[0].store->failure = SPATE_OK;
    assert_int_equal(spate_node_poll(world->nodes[0].node, &work), SPATE_ERR_IO);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proposals_of_a_leader_get_their_outcomes_in_order),
        cmocka_unit_test(one_node_is_a_majority_of_one),
        cmocka_unit_test(without_a_leader_a_proposal_is_refused_at_once),
        cmocka_unit_test(a_leader_with_little_space_refuses_until_there_is_more),
        cmocka_unit_test(a_follower_passes_proposals_on_once_each),
        cmocka_unit_test(entries_of_a_mebibyte_travel_both_ways),
        cmocka_unit_test(many_large_commands_do_not_wait_for_timers),
        cmocka_unit_test(a_narrow_path_gets_smaller_messages),
        cmocka_unit_test(a_command_larger_than_an_entry_is_invalid),
        cmocka_unit_test(losing_the_leader_loses_no_acknowledged_write),
        cmocka_unit_test(a_leader_cut_off_answers_when_it_is_back),
        cmocka_unit_test(all_nodes_restart_from_their_stores),
        cmocka_unit_test(restarts_commit_nothing_by_themselves),
        cmocka_unit_test(a_member_far_behind_is_fed_from_the_store),
        cmocka_unit_test(a_member_that_nobody_can_serve_disturbs_nobody),
        cmocka_unit_test(the_apply_stage_may_be_a_thread_of_its_own),
        cmocka_unit_test(a_store_without_room_delays_but_loses_nothing),
        cmocka_unit_test(a_failed_store_ends_the_node),
    };
    return cmocka_run_group_tests_name("node/cluster", tests, NULL, NULL);
}
