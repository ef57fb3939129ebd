#include "base/bytes.h"
#include "support/test.h"

/* Little-endian at every alignment: the bytes of the wire and of the records. */
static void integers_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 8; at++) {
        uint8_t bytes[16] = {0};
        spate_put_u64(bytes + at, 0x0102030405060708u);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(bytes[at + i], 8 - i);
        }
        assert_true(spate_get_u64(bytes + at) == 0x0102030405060708u);
        assert_int_equal(spate_get_u32(bytes + at), 0x05060708);
        assert_int_equal(spate_get_u16(bytes + at), 0x0708);
        spate_put_u32(bytes + at, 0xa1b2c3d4u);
        spate_put_u16(bytes + at + 4, 0xe5f6u);
        assert_int_equal(bytes[at], 0xd4);
        assert_int_equal(bytes[at + 3], 0xa1);
        assert_int_equal(bytes[at + 4], 0xf6);
        assert_int_equal(bytes[at + 6], 2);
    }
}

static void rounding_up_to_eight_is_exact(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 100; n++) {
        const uint32_t up = spate_round_up_8(n);
        assert_int_equal(up % 8, 0);
        assert_true(up >= n);
        assert_true(up < n + 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian_at_any_alignment),
        cmocka_unit_test(rounding_up_to_eight_is_exact),
    };
    return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
