/* Records: what was written is read; any changed byte is found out. */
#include "support/test.h"

#include <string.h>

#include "store/record.h"

#define ENTRIES 3u

struct fixture {
    uint8_t entries[256];
    uint8_t record[SPATE_RECORD_HEADER_BYTES + 256];
    struct spate_log_span span;
    size_t size;
};

/* Three entries of 1, 8 and 9 bytes: strides of 16, 16 and 24. */
static struct fixture make(void)
{
    struct fixture f = {0};
    const uint32_t sizes[ENTRIES] = {1, 8, 9};
    uint32_t at = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        at += spate_entry_encode(f.entries + at, 1, "abcdefghi", sizes[i]);
    }
    f.span = (struct spate_log_span){
        .data = f.entries, .bytes = at, .count = ENTRIES, .first = 7, .term = 4};
    (void)spate_record_encode(f.record, &f.span, 99);
    f.size = SPATE_RECORD_HEADER_BYTES + at;
    return f;
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    const struct fixture f = make();
    struct spate_record record;
    struct spate_log_span span;
    assert_int_equal(spate_record_decode(f.record, f.size, &record), SPATE_OK);
    assert_int_equal(record.first, 7);
    assert_int_equal(record.term, 4);
    assert_int_equal(record.count, ENTRIES);
    assert_int_equal(record.chain_prev, 99);
    assert_memory_equal(record.entries, f.entries, f.span.bytes);
    assert_int_equal(spate_record_span(&record, 8, 1, UINT32_MAX, &span), SPATE_OK);
    assert_int_equal(span.count, 1);
    assert_int_equal(span.bytes, 16);
    assert_ptr_equal(span.data, record.entries + 16);
}

/* At least one entry, even if it alone is larger than the bound. */
static void span_holds_at_least_one_entry(void **state)
{
    (void)state;
    const struct fixture f = make();
    struct spate_record record;
    struct spate_log_span span;
    assert_int_equal(spate_record_decode(f.record, f.size, &record), SPATE_OK);
    assert_int_equal(spate_record_span(&record, 9, 5, 1, &span), SPATE_OK);
    assert_int_equal(span.count, 1);
    assert_int_equal(span.bytes, 24);
}

static void every_flipped_bit_and_every_shorter_size_is_found_out(void **state)
{
    (void)state;
    struct fixture f = make();
    struct spate_record record;
    for (size_t bit = 0; bit < f.size * 8; bit++) {
        f.record[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(spate_record_decode(f.record, f.size, &record), SPATE_ERR_CORRUPT);
        f.record[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t size = 0; size < f.size; size++) {
        assert_int_equal(spate_record_decode(f.record, size, &record), SPATE_ERR_CORRUPT);
    }
}

static void every_flipped_bit_of_hard_state_is_found_out(void **state)
{
    (void)state;
    uint8_t bytes[SPATE_HARD_STATE_BYTES];
    const struct spate_hard_state written = {.term = 5, .vote = 2, .commit = 77};
    struct spate_hard_state read;
    spate_hard_state_encode(bytes, &written);
    assert_int_equal(spate_hard_state_decode(bytes, sizeof bytes, &read), SPATE_OK);
    assert_int_equal(read.term, 5);
    assert_int_equal(read.vote, 2);
    assert_int_equal(read.commit, 77);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(spate_hard_state_decode(bytes, sizeof bytes, &read), SPATE_ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(span_holds_at_least_one_entry),
        cmocka_unit_test(every_flipped_bit_and_every_shorter_size_is_found_out),
        cmocka_unit_test(every_flipped_bit_of_hard_state_is_found_out),
    };
    return cmocka_run_group_tests_name("store/record", tests, NULL, NULL);
}
