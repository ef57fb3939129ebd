/* The layout of an entry, and bytes from outside that are none. Guarantee E of lib/log/README.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "log/log.h"
#include "support/test.h"

#define COUNT 5u

static void the_layout_is_the_documented_one(void **state)
{
    (void)state;
    uint8_t bytes[24];
    const uint8_t expected[24] = {9,   0,   0,   0,   2,   0,   0,   0,  'a',
                                  'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'};

    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(spate_entry_stride(9), 24);
    assert_int_equal(spate_entry_encode(bytes, SPATE_ENTRY_NOOP, "abcdefghi", 9), 24);
    assert_memory_equal(bytes, expected, 24);
    assert_int_equal(spate_entry_stride(0), 8);
    assert_int_equal(spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, NULL, 0), 8);
    assert_int_equal(spate_entry_stride(SPATE_ENTRY_BYTES_MAX), SPATE_ENTRY_BYTES_MAX + 8);
}

/* Each decode reads a block of just so many bytes, so that a sanitizer sees any read beyond. */
static uint32_t decode_exactly(const uint8_t *bytes, uint32_t available, struct spate_entry *entry)
{
    uint8_t *copy = malloc(available + 1);
    assert_non_null(copy);
    memcpy(copy + 1, bytes, available);
    const uint32_t stride = spate_entry_decode(copy + 1, available, entry);
    free(copy);
    return stride;
}

static void a_shortened_entry_is_none(void **state)
{
    (void)state;
    uint8_t bytes[24];
    struct spate_entry entry = {.size = 77};

    (void)spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, "abcdefghi", 9);
    for (uint32_t available = 0; available < 24; available++) {
        assert_int_equal(decode_exactly(bytes, available, &entry), 0);
        assert_int_equal(entry.size, 77);
    }
    assert_int_equal(decode_exactly(bytes, 24, &entry), 24);
    assert_int_equal(entry.size, 9);
}

static bool header_is_good(const uint8_t *bytes, uint32_t available)
{
    const uint64_t stride = ((uint64_t)spate_get_u32(bytes) + 15) / 8 * 8;
    return bytes[4] >= 1 && bytes[4] <= 3 && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0 &&
           spate_get_u32(bytes) <= SPATE_ENTRY_BYTES_MAX && stride <= available;
}

static void every_value_of_every_header_byte_is_judged(void **state)
{
    (void)state;
    uint8_t bytes[24];
    struct spate_entry entry;

    for (uint32_t at = 0; at < SPATE_ENTRY_HEADER_BYTES; at++) {
        for (uint32_t value = 0; value < 256; value++) {
            (void)spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, "abcdefghi", 9);
            bytes[at] = (uint8_t)value;
            assert_int_equal(decode_exactly(bytes, sizeof bytes, &entry) != 0,
                             header_is_good(bytes, sizeof bytes));
        }
    }
}

static void sizes_near_the_end_of_32_bits_do_not_wrap(void **state)
{
    (void)state;
    uint8_t bytes[24] = {0};
    struct spate_entry entry;

    for (uint32_t back = 0; back < 64; back++) {
        spate_put_u64(bytes, (uint64_t)SPATE_ENTRY_COMMAND << 32 | (UINT32_MAX - back));
        assert_int_equal(decode_exactly(bytes, sizeof bytes, &entry), 0);
        spate_put_u64(bytes, (uint64_t)SPATE_ENTRY_COMMAND << 32 | (SPATE_ENTRY_BYTES_MAX + 1));
        assert_int_equal(spate_entry_decode(bytes, UINT32_MAX, &entry), 0);
    }
}

/* A log with one published entry, a block of five, and where the block's headers are. */
struct fixture {
    struct spate_log *log;
    uint8_t block[256];
    uint32_t bytes;
    uint32_t headers[COUNT];
};

static struct fixture create(void)
{
    struct fixture fixture = {0};
    const struct spate_log_options options = {.budget_bytes = 16u << 20,
                                              .reclaim = spate_reclaim_immediate()};

    assert_int_equal(spate_log_create(&options, &fixture.log), SPATE_OK);
    assert_int_equal(spate_log_stage(fixture.log, 1, SPATE_ENTRY_COMMAND, "x", 1), SPATE_OK);
    spate_log_publish(fixture.log);
    for (uint32_t i = 0; i < COUNT; i++) {
        fixture.headers[i] = fixture.bytes;
        fixture.bytes += spate_entry_encode(fixture.block + fixture.bytes, SPATE_ENTRY_COMMAND,
                                            "0123456789abcdefghijklmnopqrstu", 7 * i);
    }
    return fixture;
}

static void expect_refused(struct fixture *fixture, uint32_t bytes, uint32_t count)
{
    struct spate_log_view view;
    struct spate_log_span span;

    assert_int_equal(spate_log_stage_encoded(fixture->log, 2, fixture->block, bytes, count),
                     SPATE_ERR_MALFORMED);
    spate_log_publish(fixture->log);
    assert_int_equal(spate_log_last(fixture->log), 1);
    assert_int_equal(spate_log_last_term(fixture->log), 1);
    assert_true(spate_log_valid(fixture->log));
    spate_log_view(fixture->log, &view);
    spate_log_view_span(&view, 1, 1, 100, &span);
    assert_int_equal(span.bytes, 16);
    assert_int_equal(span.term, 1);
}

static void malformed_blocks_change_nothing(void **state)
{
    (void)state;
    struct fixture fixture = create();

    for (uint32_t bytes = 0; bytes < fixture.bytes; bytes++) {
        expect_refused(&fixture, bytes, COUNT);
    }
    expect_refused(&fixture, fixture.bytes, COUNT - 1);
    expect_refused(&fixture, fixture.bytes, COUNT + 1);
    expect_refused(&fixture, fixture.bytes, UINT32_MAX);
    for (uint32_t i = 0; i < COUNT; i++) {
        for (uint32_t at = 4; at < SPATE_ENTRY_HEADER_BYTES; at++) {
            uint8_t *byte = &fixture.block[fixture.headers[i] + at];
            const uint8_t was = *byte;
            *byte = (uint8_t)(was ^ 0x80);
            expect_refused(&fixture, fixture.bytes, COUNT);
            *byte = was;
        }
    }
    assert_int_equal(spate_log_stage_encoded(fixture.log, 2, fixture.block, fixture.bytes, COUNT),
                     SPATE_OK);
    spate_log_publish(fixture.log);
    assert_int_equal(spate_log_last(fixture.log), 1 + COUNT);
    spate_log_destroy(fixture.log);
}

/* Padding is nobody's: it is taken over as it is and disturbs nothing. */
static void padding_is_not_trusted(void **state)
{
    (void)state;
    struct fixture fixture = create();
    struct spate_log_view view;
    struct spate_log_span span;

    /* Entry 1 has seven bytes and one of padding. */
    memset(fixture.block + fixture.headers[2] - 1, 0xff, 1);
    assert_int_equal(spate_log_stage_encoded(fixture.log, 2, fixture.block, fixture.bytes, COUNT),
                     SPATE_OK);
    spate_log_publish(fixture.log);
    spate_log_view(fixture.log, &view);
    for (spate_index index = 2; index <= 1 + COUNT; index++) {
        struct spate_entry entry;
        spate_log_view_span(&view, index, 1, 1, &span);
        assert_int_equal(spate_entry_decode(span.data, span.bytes, &entry), span.bytes);
        assert_int_equal(entry.size, 7 * (index - 2));
        assert_memory_equal(entry.data, "0123456789abcdefghijklmnopqrstu", entry.size);
    }
    spate_log_destroy(fixture.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(a_shortened_entry_is_none),
        cmocka_unit_test(every_value_of_every_header_byte_is_judged),
        cmocka_unit_test(sizes_near_the_end_of_32_bits_do_not_wrap),
        cmocka_unit_test(malformed_blocks_change_nothing),
        cmocka_unit_test(padding_is_not_trusted),
    };
    return cmocka_run_group_tests_name("log/entry", tests, NULL, NULL);
}
