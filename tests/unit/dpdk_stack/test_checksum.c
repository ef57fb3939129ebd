/* The fast Internet checksum against RFC 1071 as it is told there. */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "net/dpdk/stack/checksum.h"
#include "net/dpdk/stack/checksum_internal.h"
#include "support/ether.h"
#include "support/test.h"

#define BYTES_MAX 9300u

/* In a block that ends where the bytes end: the sanitizers see one too many. With and without what
 * this processor can do beyond others. */
static uint16_t fast(const uint8_t *bytes, uint32_t size, uint32_t shift)
{
    uint8_t *block = malloc(size + shift + 1u);

    assert_non_null(block);
    memcpy(block + 1 + shift, bytes, size);
    const uint16_t checksum = spate_sum_checksum(spate_sum_bytes(0, block + 1 + shift, size));
    assert_int_equal(checksum,
                     spate_sum_checksum(spate_sum_bytes_portable(0, block + 1 + shift, size)));
    free(block);
    return __builtin_bswap16(checksum);
}

static void the_example_of_rfc_1071_comes_out(void **state)
{
    const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    (void)state;
    assert_int_equal(ether_checksum(example, sizeof example), (uint16_t)~0xddf2);
    assert_int_equal(fast(example, sizeof example, 0), (uint16_t)~0xddf2);
}

static void random_bytes_of_every_size_agree(void **state)
{
    uint8_t bytes[BYTES_MAX];
    struct spate_prng prng;

    (void)state;
    spate_prng_seed(&prng, 11, 0);
    for (uint32_t size = 0; size <= BYTES_MAX; size += size < 600 ? 1 : 97) {
        for (uint32_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)spate_prng_next(&prng);
        }
        assert_int_equal(fast(bytes, size, size % 9), ether_checksum(bytes, size));
    }
}

static void carries_are_never_lost(void **state)
{
    uint8_t bytes[BYTES_MAX];
    struct spate_prng prng;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    for (uint32_t size = 0; size <= BYTES_MAX; size += size < 600 ? 1 : 61) {
        assert_int_equal(fast(bytes, size, 0), ether_checksum(bytes, size));
    }
    /* Nearly all ones, so that most additions carry; and nearly all zeros. */
    spate_prng_seed(&prng, 12, 0);
    for (uint32_t round = 0; round < 2000; round++) {
        const uint32_t size = (uint32_t)spate_prng_below(&prng, BYTES_MAX + 1);
        memset(bytes, round % 2 == 0 ? 0xff : 0, size);
        for (uint32_t i = 0; i < 4 && size > 0; i++) {
            bytes[spate_prng_below(&prng, size)] = (uint8_t)spate_prng_next(&prng);
        }
        assert_int_equal(fast(bytes, size, 0), ether_checksum(bytes, size));
    }
}

static void a_sum_may_be_taken_in_parts(void **state)
{
    uint8_t bytes[512];
    struct spate_prng prng;

    (void)state;
    spate_prng_seed(&prng, 13, 0);
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)spate_prng_next(&prng);
    }
    for (uint32_t cut = 0; cut <= sizeof bytes; cut += 2) {
        uint64_t sum = spate_sum_bytes(UINT64_MAX, bytes, cut); /* All ones add nothing. */
        sum = spate_sum_bytes(sum, bytes + cut, (uint32_t)sizeof bytes - cut);
        assert_int_equal(__builtin_bswap16(spate_sum_checksum(sum)),
                         ether_checksum(bytes, sizeof bytes));
    }
}

static void a_message_with_its_checksum_sums_up_to_all_ones(void **state)
{
    uint8_t bytes[64];
    struct spate_prng prng;

    (void)state;
    spate_prng_seed(&prng, 14, 0);
    for (uint32_t round = 0; round < 1000; round++) {
        for (uint32_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)spate_prng_next(&prng);
        }
        spate_put_u16(bytes + 10, 0);
        spate_put_u16(bytes + 10, spate_sum_checksum(spate_sum_bytes(0, bytes, sizeof bytes)));
        assert_int_equal(spate_sum_fold(spate_sum_bytes(0, bytes, sizeof bytes)), 0xffff);
        assert_int_equal(spate_sum_fold(spate_sum_20(bytes)),
                         spate_sum_fold(spate_sum_bytes(0, bytes, 20)));
    }
}

static void folding_keeps_the_value(void **state)
{
    static const uint64_t sums[] = {0,          1,          0xffff,         0x10000,
                                    0xffffffff, UINT64_MAX, UINT64_MAX - 1, 0xffff0000ffff0000};

    (void)state;
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sums); i++) {
        const uint64_t expected = sums[i] == 0 ? 0 : (sums[i] - 1) % 0xffffu + 1;
        assert_int_equal(spate_sum_fold(sums[i]), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_1071_comes_out),
        cmocka_unit_test(random_bytes_of_every_size_agree),
        cmocka_unit_test(carries_are_never_lost),
        cmocka_unit_test(a_sum_may_be_taken_in_parts),
        cmocka_unit_test(a_message_with_its_checksum_sums_up_to_all_ones),
        cmocka_unit_test(folding_keeps_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
