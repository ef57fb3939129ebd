/* Messages that name a range of the log: what is encoded is that range, or nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/rcu.h"
#include "support/test.h"
#include "wire/wire.h"

#define SEGMENT_BYTES (2u * SPATE_ENTRY_BYTES_MAX)

struct fixture {
    struct spate_log *log;
    struct spate_log_view view;
    uint8_t *to;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const struct spate_log_options options = {
        .budget_bytes = 16u * SEGMENT_BYTES,
        .segment_bytes = SEGMENT_BYTES,
        .reclaim = spate_reclaim_immediate(),
    };

    assert_int_equal(spate_log_create(&options, &fixture->log), SPATE_OK);
    fixture->to = malloc(SPATE_WIRE_MESSAGE_BYTES_MAX);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    spate_log_destroy(fixture->log);
    free(fixture->to);
    free(fixture);
    return 0;
}

static void append(struct fixture *fixture, spate_term term, const void *data, uint32_t size)
{
    assert_int_equal(spate_log_stage(fixture->log, term, SPATE_ENTRY_COMMAND, data, size),
                     SPATE_OK);
    spate_log_publish(fixture->log);
    spate_log_view(fixture->log, &fixture->view);
}

/* As the engine does: the range is what one span has. */
static struct spate_message name_range(const struct fixture *fixture, spate_index first,
                                       uint32_t count_max, uint32_t bytes_max)
{
    struct spate_message message = {.kind = SPATE_MESSAGE_APPEND, .term = 1000, .session = 1};
    struct spate_log_span span;

    spate_log_view_span(&fixture->view, first, count_max, bytes_max, &span);
    message.append.prev.index = first - 1;
    assert_int_equal(spate_log_view_term(&fixture->view, first - 1, &message.append.prev.term),
                     SPATE_OK);
    message.append.entries_term = span.term;
    message.append.count = span.count;
    message.append.bytes = span.bytes;
    return message;
}

static spate_err encode(struct fixture *fixture, const struct spate_message *message,
                        uint32_t *ret_bytes)
{
    spate_log_view(fixture->log, &fixture->view);
    return spate_wire_encode(message, &fixture->view, fixture->to, SPATE_WIRE_MESSAGE_BYTES_MAX,
                             ret_bytes);
}

/* The messages that carry a log, one after the other, are that log: at every limit of bytes and
 * count (bug class B7: entries skipped or doubled at the edge of a batch). */
static void batches_put_together_are_the_log_at_every_limit(void **state)
{
    struct fixture *fixture = *state;
    struct spate_prng prng;
    uint8_t data[300];
    const spate_index last = 60;

    spate_prng_seed(&prng, 1, 1);
    for (spate_index i = 1; i <= last; i++) {
        memset(data, (int)i, sizeof data);
        append(fixture, 1 + i / 25, data, (uint32_t)spate_prng_below(&prng, sizeof data));
    }
    for (uint32_t bytes_max = 8; bytes_max <= 2000; bytes_max += 8) {
        for (uint32_t count_max = 1; count_max <= 9; count_max += 4) {
            spate_index next = 1;

            while (next <= last) {
                const struct spate_message message =
                    name_range(fixture, next, count_max, bytes_max);
                struct spate_message decoded;
                uint32_t bytes;
                uint32_t at = 0;

                assert_int_equal(encode(fixture, &message, &bytes), SPATE_OK);
                assert_int_equal(spate_wire_decode(fixture->to, bytes, &decoded, &bytes), SPATE_OK);
                assert_true(decoded.append.count <= count_max);
                assert_true(decoded.append.bytes <= bytes_max || decoded.append.count == 1);
                for (uint32_t i = 0; i < decoded.append.count; i++, next++) {
                    struct spate_entry entry;
                    const uint32_t stride = spate_entry_decode(decoded.append.entries + at,
                                                               decoded.append.bytes - at, &entry);

                    assert_true(stride > 0);
                    assert_true(entry.size == 0 || entry.data[0] == next);
                    at += stride;
                }
                assert_int_equal(at, decoded.append.bytes);
            }
            assert_int_equal(next, last + 1);
        }
    }
}

static void the_largest_entry_is_the_largest_message(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *data = calloc(1, SPATE_ENTRY_BYTES_MAX);
    struct spate_message decoded;
    uint32_t bytes;

    data[SPATE_ENTRY_BYTES_MAX - 1] = 9;
    append(fixture, 1, data, SPATE_ENTRY_BYTES_MAX);
    const struct spate_message message = name_range(fixture, 1, 10, 100);

    assert_int_equal(spate_wire_message_bytes(&message), SPATE_WIRE_MESSAGE_BYTES_MAX);
    assert_int_equal(encode(fixture, &message, &bytes), SPATE_OK);
    assert_int_equal(bytes, SPATE_WIRE_MESSAGE_BYTES_MAX);
    assert_int_equal(spate_wire_decode(fixture->to, bytes, &decoded, &bytes), SPATE_OK);
    assert_memory_equal(decoded.append.entries + 8, data, SPATE_ENTRY_BYTES_MAX);
    free(data);
}

static void a_heartbeat_asks_nothing_of_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct spate_message message = {.kind = SPATE_MESSAGE_APPEND, .term = 3, .session = 1};
    struct spate_message decoded;
    uint32_t bytes;

    message.append.prev = (struct spate_entry_id){2, 500};
    assert_int_equal(encode(fixture, &message, &bytes), SPATE_OK);
    assert_int_equal(bytes, SPATE_WIRE_APPEND_BYTES);
    assert_int_equal(spate_wire_decode(fixture->to, bytes, &decoded, &bytes), SPATE_OK);
    assert_null(decoded.append.entries);
}

/* After each of these the message names what is no longer there: nothing is encoded. */
static void a_range_that_the_log_moved_away_from_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    uint32_t bytes = 77;

    for (uint32_t i = 0; i < 10; i++) {
        append(fixture, 1, "abcdefgh", 8);
    }
    const struct spate_message message = name_range(fixture, 6, 4, 1000);

    /* Truncated: the end is missing; then other entries of another term; then of another size. */
    assert_int_equal(spate_log_truncate(fixture->log, 7), SPATE_OK);
    assert_int_equal(encode(fixture, &message, &bytes), SPATE_ERR_COMPACTED);
    for (uint32_t i = 0; i < 5; i++) {
        append(fixture, 2, "abcdefgh", 8);
    }
    assert_int_equal(encode(fixture, &message, &bytes), SPATE_ERR_COMPACTED);
    assert_int_equal(spate_log_truncate(fixture->log, 4), SPATE_OK);
    for (uint32_t i = 0; i < 8; i++) {
        append(fixture, 2, "abcdefgh", 8);
    }
    struct spate_message other = name_range(fixture, 6, 4, 1000);

    other.append.prev.term = 1; /* As if prev had been another entry. */
    assert_int_equal(encode(fixture, &other, &bytes), SPATE_ERR_COMPACTED);
    other = name_range(fixture, 6, 4, 1000);
    other.append.bytes += 8;
    assert_int_equal(encode(fixture, &other, &bytes), SPATE_ERR_COMPACTED);
    other.append.bytes -= 16;
    assert_int_equal(encode(fixture, &other, &bytes), SPATE_ERR_COMPACTED);
    other = name_range(fixture, 6, 4, 1000);
    assert_int_equal(encode(fixture, &other, &bytes), SPATE_OK);
    assert_int_equal(spate_log_reset(fixture->log, (struct spate_entry_id){2, 100}), SPATE_OK);
    bytes = 77;
    assert_int_equal(encode(fixture, &other, &bytes), SPATE_ERR_COMPACTED);
    assert_int_equal(bytes, 77);
}

/* A truncation may lay the entries out anew; the same entries still travel. */
static void a_range_survives_the_truncation_of_what_is_behind_it(void **state)
{
    struct fixture *fixture = *state;
    uint32_t bytes;

    for (uint32_t i = 0; i < 10; i++) {
        append(fixture, 1, "abcdefgh", 8);
    }
    const struct spate_message message = name_range(fixture, 3, 4, 1000);

    assert_int_equal(spate_log_truncate(fixture->log, 8), SPATE_OK);
    assert_int_equal(encode(fixture, &message, &bytes), SPATE_OK);
    assert_int_equal(bytes, SPATE_WIRE_APPEND_BYTES + 4 * 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_put_together_are_the_log_at_every_limit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_largest_entry_is_the_largest_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_heartbeat_asks_nothing_of_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_range_that_the_log_moved_away_from_is_not_sent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_range_survives_the_truncation_of_what_is_behind_it, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("wire/range", tests, NULL, NULL);
}
