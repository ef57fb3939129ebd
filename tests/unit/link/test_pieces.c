#include "world.h"

#include "wire/wire.h"

_Static_assert(SPATE_LINK_LARGE_BYTES_MAX >= SPATE_WIRE_MESSAGE_BYTES_MAX,
               "the largest message travels");

static uint8_t byte_at(uint64_t message, uint32_t offset)
{
    return (uint8_t)((message * 131 + offset) ^ (offset >> 8) ^ (offset >> 16));
}

static bool send_large(struct world *world, uint32_t i, spate_node_id peer, uint64_t message,
                       uint32_t bytes)
{
    uint8_t *to = spate_link_large_reserve(world->links[i], peer, bytes);

    if (to == NULL) {
        return false;
    }
    for (uint32_t b = 0; b < bytes; b++) {
        to[b] = byte_at(message, b);
    }
    spate_link_large_wrote(world->links[i], peer, bytes, world->hub->now);
    spate_link_flush(world->links[i], world->hub->now);
    return true;
}

static void assert_large(const struct inbox *inbox, uint64_t message, uint32_t bytes)
{
    assert_int_equal(inbox->size, bytes);
    for (uint32_t b = 0; b < bytes; b++) {
        if (inbox->data[b] != byte_at(message, b)) {
            fail_msg("byte %u of message %llu", b, (unsigned long long)message);
        }
    }
}

/* Runs until endpoint i has `count` payloads, or fails after `limit`. Returns the time taken. */
static spate_time_ns run_until(struct world *world, uint32_t i, uint64_t count, spate_time_ns limit)
{
    const spate_time_ns start = world->hub->now;

    while (world->inbox[i].count < count) {
        assert_true(world->hub->now - start < limit);
        world_run(world, 10 * US);
    }
    return world->hub->now - start;
}

static void a_large_message_arrives_without_repeats(void **state)
{
    (void)state;
    struct world *world = world_create(2, 1);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    for (uint64_t message = 1; message <= 3; message++) {
        assert_true(send_large(world, 0, 2, message, SPATE_LINK_LARGE_BYTES_MAX));
        assert_false(send_large(world, 0, 2, message, 5000));
        run_until(world, 1, message, 100 * MSEC);
        assert_large(&world->inbox[1], message, SPATE_LINK_LARGE_BYTES_MAX);
        world_run(world, MSEC);
    }
    assert_int_equal(world_status(world, 0, 2).large_sent, 3);
    assert_int_equal(world_status(world, 1, 1).large_received, 3);
    assert_int_equal(world_status(world, 0, 2).pieces_repaired, 0);
    world_destroy(world);
}

static void every_size_around_a_piece_arrives(void **state)
{
    (void)state;
    struct world *world = world_create(2, 2);
    uint64_t message = 0;

    world_start_all(world);
    world_run(world, 2 * MSEC);
    const uint32_t step = spate_link_payload_bytes_max(world->links[0], 2) - 24;

    for (uint32_t pieces = 1; pieces <= 3; pieces++) {
        for (uint32_t bytes = pieces * step - 9; bytes <= pieces * step + 9; bytes++) {
            message++;
            assert_true(send_large(world, 0, 2, message, bytes));
            run_until(world, 1, message, 100 * MSEC);
            assert_large(&world->inbox[1], message, bytes);
            world_run(world, 100 * US);
        }
    }
    world_destroy(world);
}

/* Every twentieth frame lost, some twice, all in any order; both directions at once. */
static void large_messages_survive_loss_duplication_and_reordering(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world *world = world_create(2, seed);

        world->frame_bytes[0] = seed % 3 == 0 ? 9000 : SPATE_FRAME_BYTES_MIN;
        world->frame_bytes[1] = world->frame_bytes[0];
        world_start_all(world);
        world_run(world, 100 * MSEC);
        world->hub->loss_ppm = 50 * 1000;
        world->hub->duplicate_ppm = 20 * 1000;
        world->hub->delay_ns_max = 200 * US;
        for (uint64_t message = 1; message <= 2; message++) {
            while (!send_large(world, 0, 2, message, (1u << 20) + (uint32_t)seed * 8)) {
                world_run(world, MSEC);
            }
            while (!send_large(world, 1, 1, message, 100 * 1000)) {
                world_run(world, MSEC);
            }
            run_until(world, 1, message, 2000 * MSEC);
            run_until(world, 0, message, 2000 * MSEC);
            assert_large(&world->inbox[1], message, (1u << 20) + (uint32_t)seed * 8);
            assert_large(&world->inbox[0], message, 100 * 1000);
        }
        assert_int_equal(world->inbox[1].count, 2);
        /* Repeats fill holes: a tenth of the pieces at most is repeated needlessly. */
        const uint64_t pieces = 2 * ((1u << 20) / (world->frame_bytes[0] - OVERHEAD - 24));

        assert_in_range(world_status(world, 0, 2).pieces_repaired, 1, pieces / 5 + 12);
        world_destroy(world);
    }
}

static void a_long_cut_only_delays_a_large_message(void **state)
{
    (void)state;
    struct world *world = world_create(2, 3);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(send_large(world, 0, 2, 1, 1u << 20));
    world_run(world, 100 * US);
    world->hub->is_cut = true;
    world_run(world, 3000 * MSEC);
    assert_int_equal(world->inbox[1].count, 0);
    world->hub->is_cut = false;
    run_until(world, 1, 1, 1000 * MSEC);
    assert_large(&world->inbox[1], 1, 1u << 20);
    world_destroy(world);
}

static void a_restarted_receiver_frees_the_sender(void **state)
{
    (void)state;
    struct world *world = world_create(2, 4);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(send_large(world, 0, 2, 1, 1u << 20));
    world_run(world, 100 * US);
    world_stop(world, 1);
    world->session[1] = 0x2001;
    world_start(world, 1);
    world_run(world, 2 * MSEC);
    assert_int_equal(world->inbox[1].count, 0);
    assert_true(send_large(world, 0, 2, 2, 300000));
    run_until(world, 1, 1, 100 * MSEC);
    assert_large(&world->inbox[1], 2, 300000);
    world_destroy(world);
}

static void a_restarted_sender_abandons_what_was_half_done(void **state)
{
    (void)state;
    struct world *world = world_create(2, 5);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(send_large(world, 0, 2, 1, 1u << 20));
    world_run(world, 100 * US);
    world_stop(world, 0);
    world->session[0] = 0x2000;
    world_start(world, 0);
    world_run(world, 2 * MSEC);
    assert_true(send_large(world, 0, 2, 2, 300000));
    run_until(world, 1, 1, 100 * MSEC);
    assert_large(&world->inbox[1], 2, 300000);
    assert_int_equal(world->inbox[1].session, 0x2000);
    world_destroy(world);
}

static void a_large_message_goes_on_when_the_driver_has_few_frames(void **state)
{
    (void)state;
    struct world *world = world_create(2, 6);

    world_start_all(world);
    world_run(world, 2 * MSEC);
    world->hub->endpoints[0].lent_max = 3;
    assert_true(send_large(world, 0, 2, 1, 1u << 20));
    run_until(world, 1, 1, 1000 * MSEC);
    assert_large(&world->inbox[1], 1, 1u << 20);
    world_destroy(world);
}

/* The header of frames from place 1, to be put before payloads of the test's own. */
static bool keep_header(void *context, uint32_t from, uint32_t to, uint8_t *data, uint32_t size)
{
    (void)to;
    (void)size;
    if (from == 1) {
        memcpy(context, data, HEADER);
    }
    return true;
}

static void forge(struct world *world, const uint8_t header[HEADER], uint8_t type,
                  const uint8_t *payload, uint32_t size)
{
    uint8_t frame[SPATE_FRAME_BYTES_MIN] = {0};

    memcpy(frame, header, HEADER);
    frame[5] = type;
    spate_put_u16(frame + 6, (uint16_t)size);
    memcpy(frame + HEADER, payload, size);
    tiny_hub_inject(world->hub, 1, 0, frame, size + OVERHEAD);
    world_run(world, 20 * US);
}

/* What a member that is out of its mind might send: nothing is delivered, all is counted. */
static void impossible_pieces_are_dropped(void **state)
{
    (void)state;
    struct world *world = world_create(2, 7);
    uint8_t header[HEADER] = {0};
    uint8_t payload[1408] = {1};
    static const uint32_t fields[][4] = {
        /* total, offset, step, bytes */
        {0, 0, 1024, 8},       {UINT32_MAX, 0, 1024, 1024}, {5000, 8, 1024, 1024},
        {5000, 0, 8, 8},       {5000, 5120, 1024, 8},       {5000, 4096, 1024, 1024},
        {5000, 0, 1028, 1028}, {5000, 1024, 1024, 8},       {5000, 0, 0, 8},
    };
    const uint32_t count = sizeof fields / sizeof fields[0];

    world->hub->tap = keep_header;
    world->hub->tap_context = header;
    world_start_all(world);
    world_run(world, 2 * MSEC);
    for (uint32_t i = 0; i < count; i++) {
        spate_put_u32(payload + 8, fields[i][0]);
        spate_put_u32(payload + 12, fields[i][1]);
        spate_put_u32(payload + 16, fields[i][2]);
        forge(world, header, 7, payload, 24 + fields[i][3]);
    }
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_MALFORMED), count);
    /* Pieces of two sizes for one message: the second fits no message. */
    spate_put_u32(payload + 8, 5000);
    spate_put_u32(payload + 12, 0);
    spate_put_u32(payload + 16, 1024);
    forge(world, header, 7, payload, 24 + 1024);
    spate_put_u32(payload + 16, 1032);
    forge(world, header, 7, payload, 24 + 1032);
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_PIECES), 1);
    assert_int_equal(world->inbox[0].count, 0);
    world_destroy(world);
}

/* Reports about more than was sent, and of holes that overlap or lie outside. */
static void impossible_reports_are_dropped(void **state)
{
    (void)state;
    struct world *world = world_create(2, 8);
    uint8_t header[HEADER] = {0};
    static const uint32_t fields[][7] = {
        /* received, leading, count, offset, bytes, offset, bytes */
        {UINT32_MAX, 0, 0, 0, 0, 0, 0}, {1384, 2768, 0, 0, 0, 0, 0},
        {1384, 7, 0, 0, 0, 0, 0},       {0, 0, 1, 7, 1384, 0, 0},
        {0, 0, 1, 0, 0, 0, 0},          {0, 0, 1, 1u << 30, 1384, 0, 0},
        {0, 0, 2, 1384, 1384, 0, 1384}, {0, 0, 2, 0, 2768, 1384, 1384},
        {0, 0, 65, 0, 1384, 0, 0},      {0, 0, UINT32_MAX, 0, 1384, 0, 0},
    };
    const uint32_t count = sizeof fields / sizeof fields[0];

    world->hub->tap = keep_header;
    world->hub->tap_context = header;
    world_start_all(world);
    world_run(world, 2 * MSEC);
    assert_true(send_large(world, 0, 2, 1, 1u << 20));
    world_stop(world, 1);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t payload[24 + 65 * 8] = {1};
        const uint32_t ranges = fields[i][2] <= 65 ? fields[i][2] : 1;

        spate_put_u32(payload + 8, fields[i][0]);
        spate_put_u32(payload + 12, fields[i][1]);
        spate_put_u32(payload + 16, fields[i][2]);
        for (uint32_t f = 3; f < 7; f++) {
            spate_put_u32(payload + 24 + (f - 3) * 4, fields[i][f]);
        }
        forge(world, header, 8, payload, 24 + ranges * 8);
    }
    assert_int_equal(world_dropped(world, 0, SPATE_LINK_DROP_PIECES), count);
    assert_int_equal(world_status(world, 0, 2).pieces_repaired, 0);
    assert_null(spate_link_large_reserve(world->links[0], 2, 8));
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_message_arrives_without_repeats),
        cmocka_unit_test(every_size_around_a_piece_arrives),
        cmocka_unit_test(large_messages_survive_loss_duplication_and_reordering),
        cmocka_unit_test(a_long_cut_only_delays_a_large_message),
        cmocka_unit_test(a_restarted_receiver_frees_the_sender),
        cmocka_unit_test(a_restarted_sender_abandons_what_was_half_done),
        cmocka_unit_test(a_large_message_goes_on_when_the_driver_has_few_frames),
        cmocka_unit_test(impossible_pieces_are_dropped),
        cmocka_unit_test(impossible_reports_are_dropped),
    };

    return cmocka_run_group_tests_name("link/pieces", tests, NULL, NULL);
}
