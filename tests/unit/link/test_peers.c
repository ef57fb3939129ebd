/* Members that come, move and go while the link runs, and guests. */
#include "world.h"

#define NODE_ADDRESS(last) \
    ((struct spate_address){.family = 4, .port = 7209, .bytes = {127, 0, 0, (last)}})

/* Node 3, which knows nodes 1 and 2, runs beside them; they do not know it. */
static struct world *world_with_stranger(uint64_t seed, bool has_address)
{
    struct world *world = world_create(3, seed);
    struct spate_link_options options = {
        .self = 3,
        .session = world->session[2],
        .insecure_peers = SPATE_INSECURE_PEERS_LOCAL,
        .peer_count = 2,
        .peers = {{.id = 1}, {.id = 2}},
    };

    world->count = 2;
    world_start_all(world);
    memset(options.cluster_id, CLUSTER, sizeof options.cluster_id);
    if (has_address) {
        options.own_address = NODE_ADDRESS(3);
    }
    assert_int_equal(
        spate_net_checked_create(tiny_hub_open(world->hub, 2, SPATE_FRAME_BYTES_MIN), &options.net),
        SPATE_OK);
    assert_int_equal(spate_link_create(&options, &world->links[2]), SPATE_OK);
    world->count = 3;
    return world;
}

static void a_member_that_is_added_is_connected(void **state)
{
    (void)state;
    struct world *world = world_with_stranger(1, false);
    const struct spate_address address = NODE_ADDRESS(3);
    struct spate_link_peer_status status;

    world_run(world, 20 * MSEC);
    assert_false(spate_link_peer_status(world->links[0], 3, &status));
    assert_int_equal(spate_link_set_peer(world->links[0], 3, &address), SPATE_OK);
    world_run(world, 600 * MSEC);
    assert_true(world_is_connected(world, 0, 3));
    assert_true(world_is_connected(world, 2, 1));
    assert_false(world_status(world, 0, 3).is_guest);
    assert_int_equal(world_status(world, 0, 3).address.bytes[3], 3);
    assert_true(world_send(world, 0, 3, 7));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[2].count, 1);
    assert_int_equal(world->inbox[2].from, 1);
    world_destroy(world);
}

static void a_stranger_that_says_where_it_is_becomes_a_guest(void **state)
{
    (void)state;
    struct world *world = world_with_stranger(2, true);

    world_run(world, 20 * MSEC);
    assert_true(world_is_connected(world, 0, 3));
    assert_true(world_status(world, 0, 3).is_guest);
    assert_true(world_send(world, 2, 1, 5));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].from, 3);
    assert_true(world_send(world, 0, 3, 6));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[2].count, 1);
    /* Once it is a member nothing changes but that. */
    const struct spate_address address = NODE_ADDRESS(3);
    assert_int_equal(spate_link_set_peer(world->links[0], 3, &address), SPATE_OK);
    assert_true(world_is_connected(world, 0, 3));
    assert_false(world_status(world, 0, 3).is_guest);
    world_destroy(world);
}

static void a_stranger_that_does_not_say_where_it_is_stays_one(void **state)
{
    (void)state;
    struct world *world = world_with_stranger(3, false);
    struct spate_link_peer_status status;

    world_run(world, 20 * MSEC);
    assert_false(spate_link_peer_status(world->links[0], 3, &status));
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_STRANGER) > 0);
    world_destroy(world);
}

static void a_member_that_left_is_heard_until_it_is_silent(void **state)
{
    (void)state;
    struct world *world = world_create(2, 4);
    struct spate_link_peer_status status;

    world_start_all(world);
    world_run(world, 2 * MSEC);
    spate_link_dismiss_peer(world->links[0], 2);
    world_run(world, 2 * MSEC);
    assert_true(world_status(world, 0, 2).is_guest);
    assert_true(world_send(world, 1, 1, 5));
    assert_true(world_send(world, 0, 2, 6));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].count, 1);
    assert_int_equal(world->inbox[1].count, 1);
    world_stop(world, 1);
    for (uint32_t second = 0; second < 31; second++) {
        world->hub->now += 1000 * MSEC;
        world_run(world, MSEC);
    }
    assert_false(spate_link_peer_status(world->links[0], 2, &status));
    assert_int_equal(spate_link_payload_bytes_max(world->links[0], 2), 0);
    assert_false(world_send(world, 0, 2, 6));
    world_destroy(world);
}

static void a_member_that_comes_back_knowing_nobody_is_found(void **state)
{
    (void)state;
    struct world *world = world_create(2, 7);
    struct spate_link_options options = {
        .self = 2, .session = 0x2001, .insecure_peers = SPATE_INSECURE_PEERS_LOCAL};

    world->own_address = NODE_ADDRESS(1);
    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(world_is_connected(world, 0, 2));
    world_stop(world, 1);
    memset(options.cluster_id, CLUSTER, sizeof options.cluster_id);
    assert_int_equal(
        spate_net_checked_create(tiny_hub_open(world->hub, 1, SPATE_FRAME_BYTES_MIN), &options.net),
        SPATE_OK);
    assert_int_equal(spate_link_create(&options, &world->links[1]), SPATE_OK);
    world_run(world, 2500 * MSEC);
    assert_true(world_is_connected(world, 0, 2));
    assert_int_equal(world_status(world, 0, 2).session, 0x2001);
    assert_true(world_status(world, 1, 1).is_guest);
    world_destroy(world);
}

static void a_guest_makes_room_for_a_member(void **state)
{
    (void)state;
    struct world *world = world_with_stranger(5, true);
    const struct spate_address nowhere = {.family = 0};
    struct spate_link_peer_status status;

    world_run(world, 20 * MSEC);
    assert_true(world_is_connected(world, 0, 3));
    for (uint32_t id = 10; id < 10 + SPATE_PEERS_MAX - 3; id++) {
        assert_int_equal(spate_link_set_peer(world->links[0], id, &nowhere), SPATE_OK);
        assert_true(spate_link_peer_status(world->links[0], 3, &status));
    }
    /* Node 1's own place stands free: it is the last to be taken before the guest's. */
    assert_int_equal(spate_link_set_peer(world->links[0], 90, &nowhere), SPATE_OK);
    assert_true(spate_link_peer_status(world->links[0], 3, &status));
    assert_int_equal(spate_link_set_peer(world->links[0], 91, &nowhere), SPATE_OK);
    assert_false(spate_link_peer_status(world->links[0], 3, &status));
    assert_int_equal(spate_link_set_peer(world->links[0], 92, &nowhere), SPATE_ERR_BUSY);
    world_destroy(world);
}

static void a_member_that_moved_is_asked_anew(void **state)
{
    (void)state;
    struct world *world = world_with_stranger(6, false);
    const struct spate_address before = NODE_ADDRESS(3);
    const struct spate_address after = NODE_ADDRESS(4);
    const struct spate_address far = {.family = 4, .port = 7209, .bytes = {10, 0, 0, 3}};

    assert_int_equal(spate_link_set_peer(world->links[0], 3, &before), SPATE_OK);
    world_run(world, 600 * MSEC);
    assert_true(world_is_connected(world, 0, 3));
    assert_int_equal(spate_link_set_peer(world->links[0], 3, &far), SPATE_ERR_PERMISSION);
    assert_true(world_is_connected(world, 0, 3));
    assert_int_equal(spate_link_set_peer(world->links[0], 3, &after), SPATE_OK);
    assert_false(world_is_connected(world, 0, 3));
    assert_int_equal(world_status(world, 0, 3).address.bytes[3], 4);
    world_run(world, 5 * MSEC);
    assert_true(world_is_connected(world, 0, 3));
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_is_added_is_connected),
        cmocka_unit_test(a_stranger_that_says_where_it_is_becomes_a_guest),
        cmocka_unit_test(a_stranger_that_does_not_say_where_it_is_stays_one),
        cmocka_unit_test(a_member_that_left_is_heard_until_it_is_silent),
        cmocka_unit_test(a_member_that_comes_back_knowing_nobody_is_found),
        cmocka_unit_test(a_guest_makes_room_for_a_member),
        cmocka_unit_test(a_member_that_moved_is_asked_anew),
    };

    return cmocka_run_group_tests_name("link/peers", tests, NULL, NULL);
}
