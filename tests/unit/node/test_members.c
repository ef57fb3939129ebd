/* What operators ask of a cluster, through the nodes that carry it out. */
#include "support/test.h"

#include "world.h"

static struct spate_order_answer ask(struct world *world, uint32_t i,
                                     const struct spate_order *order)
{
    struct spate_order_answer answer;
    uint64_t ticket = 0;

    assert_int_equal(spate_node_order(world->nodes[i].node, order, &ticket), SPATE_OK);
    for (uint32_t turn = 0; turn < 2000; turn++) {
        if (spate_node_order_answer(world->nodes[i].node, ticket, &answer)) {
            return answer;
        }
        world_run(world, MSEC / 2);
    }
    fail_msg("no answer within a second");
    return answer;
}

static struct spate_order removal(spate_node_id id, bool is_override)
{
    return (struct spate_order){.change = {.kind = SPATE_CHANGE_REMOVE,
                                           .count = 1,
                                           .members = {{.id = id}},
                                           .is_override = is_override}};
}

static void a_follower_names_the_leader(void **state)
{
    (void)state;
    struct world *world = world_create(3, 1);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const struct spate_order order = removal(leader + 1, false);
    const struct spate_order_answer answer = ask(world, (leader + 1) % 3, &order);

    assert_int_equal(answer.err, SPATE_ERR_NOT_READY);
    assert_int_equal(answer.verdict, SPATE_CHANGE_NOT_LEADER);
    assert_int_equal(answer.leader, leader + 1);
    world_destroy(world);
}

static void a_refusal_says_which_rule_it_is(void **state)
{
    (void)state;
    struct world *world = world_create(3, 2);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const struct spate_order order = removal((leader + 1) % 3 + 1, false);
    const struct spate_order_answer answer = ask(world, leader, &order);

    assert_int_equal(answer.err, SPATE_ERR_INVALID);
    assert_int_equal(answer.verdict, SPATE_CHANGE_EVEN_REMOVAL);
    assert_int_equal(world_status(world, leader).raft.membership.count, 3);
    world_destroy(world);
}

static void a_member_that_is_removed_becomes_a_guest_and_writes_go_on(void **state)
{
    (void)state;
    struct world *world = world_create(3, 3);
    struct spate_link_peer_status peer;

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const spate_node_id gone = (leader + 1) % 3 + 1;
    const struct spate_order order = removal(gone, true);
    const struct spate_order_answer answer = ask(world, leader, &order);

    assert_int_equal(answer.err, SPATE_OK);
    world_run(world, 20 * MSEC);
    const struct spate_node_status status = world_status(world, leader);
    assert_int_equal(status.raft.membership.count, 2);
    assert_true(status.raft.membership.is_overridden);
    assert_true(status.raft.membership_index >= answer.index);
    assert_true(status.raft.commit >= status.raft.membership_index);
    assert_true(spate_link_peer_status(spate_node_link(world->nodes[leader].node), gone, &peer));
    assert_true(peer.is_guest);
    assert_true(world_propose(world, leader, 8));
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 1000 * MSEC));
    assert_int_equal(world->nodes[leader].client.ok, 1);
    world_destroy(world);
}

/* Between frames of 9,000 bytes lies a path of 1,472: known of a member that comes back, too. */
static void a_member_that_comes_back_is_sent_what_fits_its_path(void **state)
{
    (void)state;
    struct world *world = world_create(3, 6);
    struct spate_link_peer_status before;
    struct spate_link_peer_status after;

    world->hub->path_bytes_max = 2000;
    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const struct spate_link *link = spate_node_link(world->nodes[leader].node);
    const spate_node_id gone = (leader + 1) % 3 + 1;
    const struct spate_order removed = removal(gone, true);
    const struct spate_order added = {
        .change = {.kind = SPATE_CHANGE_ADD, .count = 1, .members = {{.id = gone}}}};

    assert_int_equal(ask(world, leader, &removed).err, SPATE_OK);
    world_run(world, 20 * MSEC);
    assert_int_equal(ask(world, leader, &added).err, SPATE_OK);
    world_run(world, 20 * MSEC);
    assert_true(spate_link_peer_status(link, gone, &before));
    for (uint32_t n = 0; n < 64; n++) {
        assert_true(world_propose(world, leader, 1000));
    }
    world_submit(world, leader);
    assert_true(world_settle(world, leader, 100 * MSEC));
    world_run(world, 20 * MSEC);
    assert_true(spate_link_peer_status(link, gone, &after));
    assert_int_equal(after.large_sent, before.large_sent);
    world_destroy(world);
}

static void the_leadership_is_handed_over_when_asked(void **state)
{
    (void)state;
    struct world *world = world_create(3, 4);

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const spate_node_id wanted = (leader + 1) % 3 + 1;
    const struct spate_order order = {.is_transfer = true, .transfer_to = wanted};

    assert_int_equal(ask(world, leader, &order).err, SPATE_OK);
    assert_int_equal(world_elect(world) + 1, wanted);
    /* Nobody can take over from one who stands alone. */
    const struct spate_order self = {.is_transfer = true, .transfer_to = wanted};
    assert_int_equal(ask(world, wanted - 1, &self).err, SPATE_ERR_INVALID);
    world_destroy(world);
}

static void what_nobody_waits_for_gives_its_place_back(void **state)
{
    (void)state;
    struct world *world = world_create(3, 5);
    uint64_t tickets[SPATE_ORDERS_MAX];
    uint64_t more = 0;

    world_start_all(world);
    const uint32_t leader = world_elect(world);
    const struct spate_order order = removal(9, false);
    struct spate_node *node = world->nodes[leader].node;

    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < SPATE_ORDERS_MAX; i++) {
            assert_int_equal(spate_node_order(node, &order, &tickets[i]), SPATE_OK);
        }
        assert_int_equal(spate_node_order(node, &order, &more), SPATE_ERR_BUSY);
        if (round == 1) {
            world_run(world, 5 * MSEC); /* Answered, and not taken. */
        }
        for (uint32_t i = 0; i < SPATE_ORDERS_MAX; i++) {
            struct spate_order_answer answer;
            spate_node_order_abandon(node, tickets[i]);
            assert_false(spate_node_order_answer(node, tickets[i], &answer));
        }
        world_run(world, 5 * MSEC);
    }
    assert_int_equal(ask(world, leader, &order).verdict, SPATE_CHANGE_UNKNOWN);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_names_the_leader),
        cmocka_unit_test(a_refusal_says_which_rule_it_is),
        cmocka_unit_test(a_member_that_is_removed_becomes_a_guest_and_writes_go_on),
        cmocka_unit_test(a_member_that_comes_back_is_sent_what_fits_its_path),
        cmocka_unit_test(the_leadership_is_handed_over_when_asked),
        cmocka_unit_test(what_nobody_waits_for_gives_its_place_back),
    };

    return cmocka_run_group_tests_name("node/members", tests, NULL, NULL);
}
