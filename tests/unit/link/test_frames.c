#include "world.h"

/* The last frame of one type that was sent from one place. */
struct watch {
    uint32_t from;
    uint8_t type;
    uint32_t count;
    uint32_t size;
    uint8_t data[SPATE_FRAME_BYTES_MIN];
};

static bool watch_frames(void *context, uint32_t from, uint32_t to, uint8_t *data, uint32_t size)
{
    struct watch *watch = context;

    (void)to;
    if (from == watch->from && data[5] == watch->type) {
        watch->count++;
        watch->size = size;
        memcpy(watch->data, data, size);
    }
    return true;
}

static struct world *connected(uint32_t count, struct watch *watch)
{
    struct world *world = world_create(count, 1);

    world->hub->tap = watch_frames;
    world->hub->tap_context = watch;
    world_start_all(world);
    world_run(world, 2 * MSEC);
    return world;
}

/* Version 1 in bytes: whoever changes this has another protocol version. */
static void a_data_frame_has_exactly_these_bytes(void **state)
{
    (void)state;
    struct watch watch = {.from = 0, .type = 6};
    struct world *world = connected(2, &watch);
    static const uint8_t golden[] = {
        'S',  'P',  'A',  'T',  1,    6,    8,    0,    /* magic, version, type, length */
        0x14, 0xb2, 0x34, 0xc6, 0x1c, 0xe3, 0xae, 0x0a, /* cluster */
        0,    0,    0,    0,    1,    0,    0,    0,    /* group, source */
        2,    0,    0,    0,    0,    0,    0,    0,    /* destination, zero */
        0x00, 0x10, 0,    0,    0,    0,    0,    0,    /* session */
        0,    0,    0,    0,    0,    0,    0,    0,    /* counter: compared apart */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* payload */
        0,    0,    0,    0,    0,    0,    0,    0,    /* tag */
        0,    0,    0,    0,    0,    0,    0,    0,
    };

    assert_true(world_send(world, 0, 2, 0x1122334455667788));
    assert_int_equal(watch.count, 1);
    assert_int_equal(watch.size, sizeof golden);
    assert_memory_equal(watch.data, golden, 40);
    assert_memory_equal(watch.data + 48, golden + 48, sizeof golden - 48);
    const uint64_t counter = spate_get_u64(watch.data + 40);

    assert_true(world_send(world, 0, 2, 5));
    assert_int_equal(spate_get_u64(watch.data + 40), counter + 1);
    world_destroy(world);
}

static void a_hello_has_exactly_these_bytes(void **state)
{
    (void)state;
    struct watch watch = {.from = 0, .type = 1};
    struct world *world = world_create(2, 1);
    static const uint8_t golden[] = {
        'S',  'P',  'A',  'T',  1,    1,    0x80, 5,    /* 1,408 bytes of payload */
        0x14, 0xb2, 0x34, 0xc6, 0x1c, 0xe3, 0xae, 0x0a, /* cluster */
        0,    0,    0,    0,    1,    0,    0,    0,    /* group, source */
        2,    0,    0,    0,    0,    0,    0,    0,    /* destination, zero */
        0x00, 0x10, 0,    0,    0,    0,    0,    0,    /* session */
        1,    0,    0,    0,    0,    0,    0,    0,    /* counter */
        0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, /* cluster id */
        0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, /* */
        1,    0,    1,    0,    0xc0, 5,    0,    0,    /* versions, 1,472 bytes of frame */
        0,    0,    0,    0,    0,    0,    0,    0,    /* no session answered */
        0,    0,    0,    0,    0,    0,    0,    0,    /* no counter echoed */
    };

    world->hub->tap = watch_frames;
    world->hub->tap_context = &watch;
    world_start(world, 0);
    world_turn(world, 0);
    assert_int_equal(watch.count, 1);
    assert_int_equal(watch.size, SPATE_FRAME_BYTES_MIN);
    assert_memory_equal(watch.data, golden, sizeof golden);
    for (uint32_t i = sizeof golden; i < watch.size; i++) {
        assert_int_equal(watch.data[i], 0);
    }
    world_destroy(world);
}

static void messages_to_one_peer_share_a_frame_and_all_peers_a_burst(void **state)
{
    (void)state;
    struct watch watch = {.from = 0, .type = 6};
    struct world *world = connected(3, &watch);
    const uint64_t bursts = world->hub->sent_bursts;

    for (uint64_t i = 0; i < 20; i++) {
        uint8_t *to = spate_link_reserve(world->links[0], 2 + i % 2, 64);
        assert_non_null(to);
        memset(to, (int)i, 64);
        spate_link_wrote(world->links[0], 2 + i % 2, 64);
    }
    assert_int_equal(watch.count, 0);
    spate_link_flush(world->links[0], world->hub->now);
    assert_int_equal(watch.count, 2);
    assert_int_equal(watch.size, OVERHEAD + 10 * 64);
    assert_int_equal(world->hub->sent_bursts, bursts + 1);
    world_run(world, MSEC);
    assert_int_equal(world->inbox[1].size, 640);
    assert_int_equal(world->inbox[2].size, 640);
    world_destroy(world);
}

/* 1,408 bytes are left of 1,472; one message more than fits begins another frame. */
static void a_full_frame_makes_room_for_the_next(void **state)
{
    (void)state;
    struct watch watch = {.from = 0, .type = 6};
    struct world *world = connected(2, &watch);
    const uint32_t bytes_max = spate_link_payload_bytes_max(world->links[0], 2);

    assert_int_equal(bytes_max, 1408);
    assert_null(spate_link_reserve(world->links[0], 2, bytes_max + 8));
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t *to = spate_link_reserve(world->links[0], 2, bytes_max);
        assert_non_null(to);
        memset(to, 1, bytes_max);
        spate_link_wrote(world->links[0], 2, bytes_max);
    }
    uint8_t *to = spate_link_reserve(world->links[0], 2, 8);

    assert_non_null(to);
    memset(to, 2, 8);
    spate_link_wrote(world->links[0], 2, 8);
    spate_link_flush(world->links[0], world->hub->now);
    assert_int_equal(watch.count, 3);
    /* Reserved and never written: nothing is sent. */
    assert_non_null(spate_link_reserve(world->links[0], 2, 8));
    spate_link_flush(world->links[0], world->hub->now);
    assert_int_equal(watch.count, 3);
    world_run(world, MSEC);
    assert_int_equal(world->inbox[1].count, 3);
    world_destroy(world);
}

static void without_a_free_frame_the_message_is_dropped_and_counted(void **state)
{
    (void)state;
    struct watch watch = {.from = 0, .type = 6};
    struct world *world = connected(3, &watch);

    world->hub->endpoints[0].lent_max = 1;
    assert_non_null(spate_link_reserve(world->links[0], 2, 8));
    assert_null(spate_link_reserve(world->links[0], 3, 8));
    assert_true(world_dropped(world, 0, SPATE_LINK_DROP_NO_FRAME) > 0);
    spate_link_flush(world->links[0], world->hub->now);
    assert_non_null(spate_link_reserve(world->links[0], 3, 8));
    world_destroy(world);
}

/* Each byte of the header and the tag, each bit; and every length. Only the counter, which no one
 * checks until frames are sealed, may differ. */
static void no_altered_header_gets_through(void **state)
{
    (void)state;
    struct watch watch = {.from = 1, .type = 6};
    struct world *world = connected(2, &watch);
    uint64_t expected;

    assert_true(world_send(world, 1, 1, 3));
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].count, 1);
    for (uint32_t at = 0; at < watch.size; at++) {
        const bool is_free = (at >= 40 && at < 48) || (at >= HEADER && at < watch.size - 16);
        for (uint32_t bit = 0; bit < 8 && !is_free; bit++) {
            uint8_t frame[SPATE_FRAME_BYTES_MIN];

            memcpy(frame, watch.data, watch.size);
            frame[at] = (uint8_t)(frame[at] ^ 1u << bit);
            tiny_hub_inject(world->hub, 1, 0, frame, watch.size);
            world_run(world, 20 * US);
        }
    }
    for (uint32_t size = 0; size < watch.size; size++) {
        tiny_hub_inject(world->hub, 1, 0, watch.data, size);
        world_run(world, 20 * US);
    }
    assert_int_equal(world->inbox[0].count, 1);
    assert_true(world_is_connected(world, 0, 2));
    expected = world_dropped(world, 0, SPATE_LINK_DROP_MALFORMED);
    assert_true(expected > watch.size);
    tiny_hub_inject(world->hub, 1, 0, watch.data, watch.size);
    world_run(world, MSEC);
    assert_int_equal(world->inbox[0].count, 2);
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_MALFORMED), expected);
    world_destroy(world);
}

static void every_reason_has_a_text(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SPATE_LINK_DROP_COUNT; i++) {
        assert_non_null(spate_link_drop_text((enum spate_link_drop)i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_data_frame_has_exactly_these_bytes),
        cmocka_unit_test(a_hello_has_exactly_these_bytes),
        cmocka_unit_test(messages_to_one_peer_share_a_frame_and_all_peers_a_burst),
        cmocka_unit_test(a_full_frame_makes_room_for_the_next),
        cmocka_unit_test(without_a_free_frame_the_message_is_dropped_and_counted),
        cmocka_unit_test(no_altered_header_gets_through),
        cmocka_unit_test(every_reason_has_a_text),
    };

    return cmocka_run_group_tests_name("link/frames", tests, NULL, NULL);
}
