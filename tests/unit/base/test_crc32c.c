#include "base/crc32c.h"
#include "base/prng.h"
#include "support/test.h"

/* RFC 3720, appendix B.4. */
static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(spate_crc32c(0, bytes, 32), 0x8a9136aa);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = 0xff;
    }
    assert_int_equal(spate_crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(spate_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(spate_crc32c_portable(0, bytes, 32), 0x46dd794e);
    assert_int_equal(spate_crc32c(0, "123456789", 9), 0xe3069283);
}

static void the_instruction_and_the_table_agree_on_any_piece(void **state)
{
    (void)state;
    struct spate_prng prng;
    uint8_t bytes[300];

    spate_prng_seed(&prng, 2, 1);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)spate_prng_next(&prng);
    }
    for (unsigned round = 0; round < 2000; round++) {
        const size_t first = spate_prng_below(&prng, sizeof bytes);
        const size_t size = spate_prng_below(&prng, sizeof bytes - first + 1);
        const size_t cut = spate_prng_below(&prng, size + 1);
        const uint32_t whole = spate_crc32c_portable(0, bytes + first, size);
        assert_int_equal(spate_crc32c(0, bytes + first, size), whole);
        assert_int_equal(
            spate_crc32c(spate_crc32c(0, bytes + first, cut), bytes + first + cut, size - cut),
            whole);
    }
}

/* The definition: one bit at a time, reflected polynomial 0x82f63b78. */
static uint32_t bit_by_bit(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

/* Every entry of every table: one byte, alone, at each place of eight. */
static void both_versions_agree_with_the_definition(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 17; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t bytes[17] = {0};
            bytes[place] = (uint8_t)value;
            const uint32_t expected = bit_by_bit(0, bytes, sizeof bytes);
            assert_int_equal(spate_crc32c_portable(0, bytes, sizeof bytes), expected);
            assert_int_equal(spate_crc32c(0, bytes, sizeof bytes), expected);
        }
    }
}

static void the_empty_extension_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(spate_crc32c(0, NULL, 0), 0);
    assert_int_equal(spate_crc32c(0x12345678, NULL, 0), 0x12345678);
    assert_int_equal(spate_crc32c_portable(0x12345678, NULL, 0), 0x12345678);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(both_versions_agree_with_the_definition),
        cmocka_unit_test(the_empty_extension_changes_nothing),
        cmocka_unit_test(the_instruction_and_the_table_agree_on_any_piece),
    };
    return cmocka_run_group_tests_name("base/crc32c", tests, NULL, NULL);
}
