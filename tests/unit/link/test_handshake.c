#include "world.h"

/* Offsets of the header, see docs/protocol.md. */
enum { OF_VERSION = 4, OF_TYPE = 5, OF_DESTINATION = 24, OF_SOURCE = 20 };
enum { HELLO = 1, HELLO_ACK = 2, DATA = 6 };

static void two_members_connect_and_measure_their_round_trip(void **state)
{
    (void)state;
    struct world *world = world_create(2, 1);

    world_start_all(world);
    assert_null(spate_link_reserve(world->links[0], 2, 8));
    assert_int_equal(spate_link_payload_bytes_max(world->links[0], 2), 0);
    world_run(world, 2 * MSEC);
    for (uint32_t i = 0; i < 2; i++) {
        const struct spate_link_peer_status status = world_status(world, i, 2 - i);
        assert_true(status.is_connected);
        assert_false(status.is_refused);
        assert_int_equal(status.session, 0x1000 + 1 - i);
        assert_int_equal(status.frame_bytes, SPATE_FRAME_BYTES_MIN);
        /* Ten microseconds each way, and up to ten until the other looks. */
        assert_in_range(status.rtt_ns, 20 * US, 60 * US);
        assert_true(status.heard_at > 0);
    }
    assert_int_equal(spate_link_payload_bytes_max(world->links[0], 2),
                     SPATE_FRAME_BYTES_MIN - OVERHEAD);
    assert_true(world_send(world, 0, 2, 77));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[1].count, 1);
    assert_int_equal(world->inbox[1].from, 1);
    assert_int_equal(world->inbox[1].session, 0x1000);
    assert_int_equal(spate_get_u64(world->inbox[1].data), 77);
    world_destroy(world);
}

static void a_member_that_starts_late_is_connected_at_once(void **state)
{
    (void)state;
    struct world *world = world_create(2, 2);

    world_start(world, 0);
    world_run(world, 3000 * MSEC);
    assert_false(world_is_connected(world, 0, 2));
    world_start(world, 1);
    world_run(world, MSEC);
    assert_true(world_is_connected(world, 0, 2));
    assert_true(world_is_connected(world, 1, 1));
    world_destroy(world);
}

static void three_members_connect_whatever_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world *world = world_create(3, seed);

        world->hub->loss_ppm = 300 * 1000;
        world->hub->duplicate_ppm = 100 * 1000;
        world->hub->delay_ns_max = 900 * US;
        world_start_all(world);
        world_run(world, 4000 * MSEC);
        for (uint32_t i = 0; i < 3; i++) {
            for (spate_node_id peer = 1; peer <= 3; peer++) {
                assert_true(peer == i + 1 || world_is_connected(world, i, peer));
            }
        }
        world_destroy(world);
    }
}

static void the_smaller_end_decides_the_frame_size(void **state)
{
    (void)state;
    struct world *world = world_create(2, 3);

    world->frame_bytes[0] = 9000;
    world->frame_bytes[1] = 4000;
    world_start_all(world);
    world_run(world, 20 * MSEC);
    assert_int_equal(world_status(world, 0, 2).frame_bytes, 4000);
    assert_int_equal(world_status(world, 1, 1).frame_bytes, 4000);
    assert_int_equal(spate_link_payload_bytes_max(world->links[0], 2), (4000 - OVERHEAD) & ~7u);
    world_destroy(world);
}

/* The ends take 9,000 bytes, the path 1,472: known before the first message is lost. */
static void a_narrow_path_is_found_out(void **state)
{
    (void)state;
    struct world *world = world_create(2, 4);

    world->frame_bytes[0] = 9000;
    world->frame_bytes[1] = 9000;
    world->hub->path_bytes_max = 2000;
    world_start_all(world);
    world_run(world, 5 * MSEC);
    assert_true(world_is_connected(world, 0, 2));
    assert_int_equal(world_status(world, 0, 2).frame_bytes, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(world_status(world, 1, 1).frame_bytes, SPATE_FRAME_BYTES_MIN);
    /* Once the path is wider a probe finds that out too. */
    world->hub->path_bytes_max = 0;
    world_run(world, 12000 * MSEC);
    assert_int_equal(world_status(world, 0, 2).frame_bytes, 9000);
    world_destroy(world);
}

static void a_restarted_peer_replaces_its_former_session(void **state)
{
    (void)state;
    struct world *world = world_create(2, 5);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_int_equal(world_status(world, 0, 2).session, 0x1001);
    world_stop(world, 1);
    world->session[1] = 0x2001;
    world_start(world, 1);
    world_run(world, MSEC);
    assert_int_equal(world_status(world, 0, 2).session, 0x2001);
    assert_true(world_is_connected(world, 1, 1));
    assert_true(world_send(world, 1, 1, 5));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].session, 0x2001);
    world_destroy(world);
}

/* As it stood on the wire, to be sent again later. */
struct capture {
    uint32_t size[16];
    uint8_t data[16][SPATE_FRAME_BYTES_MIN];
    uint32_t count;
};

static bool capture_from_place_one(void *context, uint32_t from, uint32_t to, uint8_t *data,
                                   uint32_t size)
{
    struct capture *capture = context;

    (void)to;
    if (from == 1 && capture->count < 16) {
        memcpy(capture->data[capture->count], data, size);
        capture->size[capture->count++] = size;
    }
    return true;
}

/* HELLO, HELLO_ACK, PING and DATA of a former life, delayed until after the restart. */
static void frames_of_a_former_life_do_not_bring_it_back(void **state)
{
    (void)state;
    struct world *world = world_create(2, 6);
    struct capture capture = {.count = 0};

    world->hub->tap = capture_from_place_one;
    world->hub->tap_context = &capture;
    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(world_send(world, 1, 1, 1));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].count, 1);
    world->hub->tap = NULL;
    world_stop(world, 1);
    world->session[1] = 0x2001;
    world_start(world, 1);
    world_run(world, 5 * MSEC);
    const uint64_t dropped = world_dropped(world, 0, SPATE_LINK_DROP_SESSION);

    assert_true(capture.count >= 4);
    for (uint32_t i = 0; i < capture.count; i++) {
        tiny_hub_inject(world->hub, 1, 0, capture.data[i], capture.size[i]);
    }
    world_run(world, 5 * MSEC);
    assert_int_equal(world_status(world, 0, 2).session, 0x2001);
    assert_int_equal(world->inbox[0].count, 1);
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_SESSION) > dropped);
    assert_true(world_send(world, 1, 1, 2));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].count, 2);
    world_destroy(world);
}

static void members_of_two_clusters_refuse_each_other_and_say_why(void **state)
{
    (void)state;
    struct world *world = world_create(2, 7);

    world->cluster[1] = 0x22;
    world_start_all(world);
    world_run(world, 300 * MSEC);
    for (uint32_t i = 0; i < 2; i++) {
        const struct spate_link_peer_status status = world_status(world, i, 2 - i);
        assert_false(status.is_connected);
        assert_true(status.is_refused);
        assert_int_equal(status.refusal, SPATE_LINK_DROP_CLUSTER);
        assert_true(world_dropped(world, i, SPATE_LINK_DROP_CLUSTER) > 0);
    }
    /* At most ten refusals a second to each. */
    assert_true(world->hub->sent_frames < 60);
    world_destroy(world);
}

static bool make_version_two(void *context, uint32_t from, uint32_t to, uint8_t *data,
                             uint32_t size)
{
    (void)context;
    (void)to;
    (void)size;
    if (from == 1 && data[OF_TYPE] != 3) {
        data[OF_VERSION] = 2;
    }
    return true;
}

static void a_peer_of_another_version_is_refused_and_told(void **state)
{
    (void)state;
    struct world *world = world_create(2, 8);

    world->hub->tap = make_version_two;
    world_start_all(world);
    world_run(world, 300 * MSEC);
    for (uint32_t i = 0; i < 2; i++) {
        assert_false(world_is_connected(world, i, 2 - i));
        assert_true(world_status(world, i, 2 - i).is_refused);
        assert_int_equal(world_status(world, i, 2 - i).refusal, SPATE_LINK_DROP_VERSION);
    }
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_VERSION) > 0);
    /* Upgraded meanwhile: connected, and no refusal is left. */
    world->hub->tap = NULL;
    world_run(world, 1100 * MSEC);
    assert_true(world_is_connected(world, 0, 2));
    assert_false(world_status(world, 0, 2).is_refused);
    world_destroy(world);
}

static bool alter_source(void *context, uint32_t from, uint32_t to, uint8_t *data, uint32_t size)
{
    (void)context;
    (void)to;
    (void)size;
    if (from == 1) {
        spate_put_u32(data + OF_SOURCE, 9);
    }
    return true;
}

static bool alter_destination(void *context, uint32_t from, uint32_t to, uint8_t *data,
                              uint32_t size)
{
    (void)context;
    (void)to;
    (void)size;
    if (from == 1) {
        spate_put_u32(data + OF_DESTINATION, 3);
    }
    return true;
}

static void strangers_and_misdirected_frames_are_counted_apart(void **state)
{
    (void)state;
    struct world *world = world_create(2, 9);

    world->hub->tap = alter_source;
    world_start_all(world);
    world_run(world, 20 * MSEC);
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_STRANGER) > 0);
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_MISDIRECTED), 0);
    world->hub->tap = alter_destination;
    world_run(world, 600 * MSEC);
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_MISDIRECTED) > 0);
    assert_false(world_is_connected(world, 0, 2));
    world_destroy(world);
}

static void frames_from_no_peer_get_no_answer(void **state)
{
    (void)state;
    struct world *world = world_create(2, 10);
    struct capture capture = {.count = 0};

    world->hub->tap = capture_from_place_one;
    world->hub->tap_context = &capture;
    world_start_all(world);
    world_run(world, MSEC);
    world_stop(world, 1);
    world_run(world, MSEC);
    const uint64_t sent = world->hub->sent_frames;

    for (uint32_t i = 0; i < capture.count; i++) {
        tiny_hub_inject(world->hub, SPATE_PEER_NONE, 0, capture.data[i], capture.size[i]);
    }
    world_run(world, MSEC);
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_STRANGER), capture.count);
    assert_int_equal(world->hub->sent_frames, sent);
    world_destroy(world);
}

/* A refusal could be sent by anybody: it does not disturb a peer that is there. */
static void a_refusal_does_not_disturb_a_connected_peer(void **state)
{
    (void)state;
    struct world *world = world_create(2, 11);
    uint8_t refusal[OVERHEAD + 16] = {'S', 'P', 'A', 'T', 1, 3, 16};

    spate_put_u32(refusal + HEADER, 2);
    spate_put_u64(refusal + HEADER + 8, 0x1000);
    world_start_all(world);
    world_run(world, 2 * MSEC);
    tiny_hub_inject(world->hub, 1, 0, refusal, sizeof refusal);
    world_run(world, MSEC);
    assert_true(world_is_connected(world, 0, 2));
    assert_false(world_status(world, 0, 2).is_refused);
    world_destroy(world);
}

static void a_cut_shows_as_not_connected_and_heals_without_a_handshake(void **state)
{
    (void)state;
    struct world *world = world_create(2, 12);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    world->hub->is_cut = true;
    world_run(world, 1300 * MSEC);
    assert_false(world_is_connected(world, 0, 2));
    world->hub->is_cut = false;
    assert_true(world_send(world, 0, 2, 8));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[1].count, 1);
    assert_true(world_is_connected(world, 1, 1));
    world_destroy(world);
}

static void creation_needs_the_permission_that_its_addresses_call_for(void **state)
{
    (void)state;
    struct tiny_hub *hub = tiny_hub_create(1);
    struct spate_link *link = NULL;
    struct spate_link_options options = {.self = 1, .session = 5, .peer_count = 2};

    options.peers[1].id = 2;
    options.peers[1].address =
        (struct spate_address){.family = 4, .port = 7209, .bytes = {127, 0, 0, 1}};
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_ERR_PERMISSION);
    options.insecure_peers = SPATE_INSECURE_PEERS_LOCAL;
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_OK);
    spate_link_destroy(link);
    options.peers[1].address.bytes[0] = 10;
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_ERR_PERMISSION);
    options.net_is_local = true; /* Shared memory: addresses say nothing. */
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_OK);
    spate_link_destroy(link);
    options.net_is_local = false;
    options.insecure_peers = SPATE_INSECURE_PEERS_ANY;
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_OK);
    spate_link_destroy(link);
    options.session = 0;
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_ERR_INVALID);
    options.session = 5;
    options.peers[0].id = 2;
    options.net = tiny_hub_open(hub, 0, SPATE_FRAME_BYTES_MIN);
    assert_int_equal(spate_link_create(&options, &link), SPATE_ERR_INVALID);
    tiny_hub_destroy(hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_members_connect_and_measure_their_round_trip),
        cmocka_unit_test(a_member_that_starts_late_is_connected_at_once),
        cmocka_unit_test(three_members_connect_whatever_is_lost),
        cmocka_unit_test(the_smaller_end_decides_the_frame_size),
        cmocka_unit_test(a_narrow_path_is_found_out),
        cmocka_unit_test(a_restarted_peer_replaces_its_former_session),
        cmocka_unit_test(frames_of_a_former_life_do_not_bring_it_back),
        cmocka_unit_test(members_of_two_clusters_refuse_each_other_and_say_why),
        cmocka_unit_test(a_peer_of_another_version_is_refused_and_told),
        cmocka_unit_test(strangers_and_misdirected_frames_are_counted_apart),
        cmocka_unit_test(frames_from_no_peer_get_no_answer),
        cmocka_unit_test(a_refusal_does_not_disturb_a_connected_peer),
        cmocka_unit_test(a_cut_shows_as_not_connected_and_heals_without_a_handshake),
        cmocka_unit_test(creation_needs_the_permission_that_its_addresses_call_for),
    };

    return cmocka_run_group_tests_name("link/handshake", tests, NULL, NULL);
}
