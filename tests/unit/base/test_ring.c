#include <string.h>

#include "base/prng.h"
#include "base/ring.h"
#include "support/test.h"

static struct spate_ring *ring_of(uint32_t capacity)
{
    struct spate_ring *ring = NULL;
    assert_int_equal(spate_ring_create(capacity, &ring), SPATE_OK);
    return ring;
}

static void records_stay_invisible_until_published(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    uint32_t bytes = 0;

    memcpy(spate_ring_reserve(ring, 5), "hello", 5);
    assert_null(spate_ring_take(ring, &bytes));
    assert_true(spate_ring_is_empty(ring));
    spate_ring_publish(ring);
    assert_false(spate_ring_is_empty(ring));
    assert_memory_equal(spate_ring_take(ring, &bytes), "hello", 5);
    assert_int_equal(bytes, 5);
    spate_ring_destroy(ring);
}

static void a_full_ring_refuses_until_released(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    uint32_t count = 0;
    uint32_t bytes = 0;

    while (spate_ring_reserve(ring, 56) != NULL) {
        count++;
    }
    assert_int_equal(count, 64); /* 4,096 bytes hold 64 records of 56 + 8. */
    spate_ring_publish(ring);
    assert_non_null(spate_ring_take(ring, &bytes));
    assert_null(spate_ring_reserve(ring, 56)); /* Taken is not yet released. */
    spate_ring_release(ring);
    assert_non_null(spate_ring_reserve(ring, 56));
    spate_ring_destroy(ring);
}

static void an_untaken_record_comes_again(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    uint32_t bytes = 0;

    memcpy(spate_ring_reserve(ring, 3), "one", 3);
    memcpy(spate_ring_reserve(ring, 3), "two", 3);
    spate_ring_publish(ring);
    assert_memory_equal(spate_ring_take(ring, &bytes), "one", 3);
    assert_memory_equal(spate_ring_take(ring, &bytes), "two", 3);
    spate_ring_untake(ring);
    assert_memory_equal(spate_ring_take(ring, &bytes), "two", 3);
    spate_ring_destroy(ring);
}

/* Records of random sizes go round a small ring in order and unharmed. */
static void records_of_all_sizes_go_round_in_order(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    struct spate_prng prng;
    uint64_t sent = 0;
    uint64_t seen = 0;

    spate_prng_seed(&prng, 1, 1);
    while (seen < 200000) {
        const uint32_t size =
            8 + (uint32_t)spate_prng_below(&prng, spate_ring_record_bytes_max(ring) - 7);
        uint8_t *record = spate_ring_reserve(ring, size);
        if (record != NULL) {
            memset(record, (int)(sent & 0xff), size);
            memcpy(record, &sent, sizeof sent);
            sent++;
        }
        if (spate_prng_below(&prng, 3) == 0 || record == NULL) {
            spate_ring_publish(ring);
            uint32_t bytes = 0;
            const uint8_t *taken = NULL;
            while ((taken = spate_ring_take(ring, &bytes)) != NULL) {
                assert_memory_equal(taken, &seen, sizeof seen);
                assert_true(bytes == 8 || taken[bytes - 1] == (uint8_t)seen);
                seen++;
            }
            spate_ring_release(ring);
        }
    }
    assert_true(sent >= seen);
    spate_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_stay_invisible_until_published),
        cmocka_unit_test(a_full_ring_refuses_until_released),
        cmocka_unit_test(an_untaken_record_comes_again),
        cmocka_unit_test(records_of_all_sizes_go_round_in_order),
    };
    return cmocka_run_group_tests_name("base/ring", tests, NULL, NULL);
}
