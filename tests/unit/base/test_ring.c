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

static void records_are_aligned_to_eight_and_may_be_empty(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    uint32_t bytes = 99;

    for (uint32_t size = 0; size < 40; size++) {
        assert_int_equal((uintptr_t)spate_ring_reserve(ring, size) % 8, 0);
    }
    spate_ring_publish(ring);
    for (uint32_t size = 0; size < 40; size++) {
        assert_int_equal((uintptr_t)spate_ring_take(ring, &bytes) % 8, 0);
        assert_int_equal(bytes, size);
    }
    assert_null(spate_ring_take(ring, &bytes));
    spate_ring_destroy(ring);
}

/* Wherever in the circle the ring stands, a drained ring takes a largest record: otherwise a
 * proposal of that size could wait for ever. */
static void an_empty_ring_takes_the_largest_record_at_every_position(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    const uint32_t largest = spate_ring_record_bytes_max(ring);
    uint32_t bytes = 0;

    for (unsigned step = 0; step < 1024; step++) {
        assert_non_null(spate_ring_reserve(ring, 0));
        spate_ring_publish(ring);
        assert_non_null(spate_ring_take(ring, &bytes));
        spate_ring_release(ring);
        assert_non_null(spate_ring_reserve(ring, largest));
        spate_ring_publish(ring);
        assert_non_null(spate_ring_take(ring, &bytes));
        assert_int_equal(bytes, largest);
        spate_ring_release(ring);
    }
    spate_ring_destroy(ring);
}

static void a_refused_reservation_leaves_no_trace(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    const uint32_t largest = spate_ring_record_bytes_max(ring);
    uint32_t bytes = 0;

    assert_non_null(spate_ring_reserve(ring, largest));
    assert_non_null(spate_ring_reserve(ring, largest));
    assert_null(spate_ring_reserve(ring, largest));
    assert_non_null(spate_ring_reserve(ring, 8)); /* 16 bytes are left, and still there. */
    spate_ring_publish(ring);
    assert_non_null(spate_ring_take(ring, &bytes));
    assert_non_null(spate_ring_take(ring, &bytes));
    assert_non_null(spate_ring_take(ring, &bytes));
    assert_int_equal(bytes, 8);
    assert_null(spate_ring_take(ring, &bytes));
    spate_ring_destroy(ring);
}

/* The record before a wrap is skipped padding for the consumer: untake must go back over it. */
static void a_record_behind_the_wrap_can_be_untaken(void **state)
{
    (void)state;
    struct spate_ring *ring = ring_of(4096);
    uint32_t bytes = 0;

    assert_non_null(spate_ring_reserve(ring, 2000));
    assert_non_null(spate_ring_reserve(ring, 2000));
    spate_ring_publish(ring);
    assert_non_null(spate_ring_take(ring, &bytes));
    assert_non_null(spate_ring_take(ring, &bytes));
    spate_ring_release(ring);
    memcpy(spate_ring_reserve(ring, 1000), "wrapped", 7);
    spate_ring_publish(ring);
    assert_memory_equal(spate_ring_take(ring, &bytes), "wrapped", 7);
    spate_ring_untake(ring);
    assert_false(spate_ring_is_empty(ring));
    assert_memory_equal(spate_ring_take(ring, &bytes), "wrapped", 7);
    assert_int_equal(bytes, 1000);
    spate_ring_destroy(ring);
}

static void destroying_nothing_is_allowed(void **state)
{
    (void)state;
    spate_ring_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_stay_invisible_until_published),
        cmocka_unit_test(a_full_ring_refuses_until_released),
        cmocka_unit_test(an_untaken_record_comes_again),
        cmocka_unit_test(records_are_aligned_to_eight_and_may_be_empty),
        cmocka_unit_test(an_empty_ring_takes_the_largest_record_at_every_position),
        cmocka_unit_test(a_refused_reservation_leaves_no_trace),
        cmocka_unit_test(a_record_behind_the_wrap_can_be_untaken),
        cmocka_unit_test(destroying_nothing_is_allowed),
        cmocka_unit_test(records_of_all_sizes_go_round_in_order),
    };
    return cmocka_run_group_tests_name("base/ring", tests, NULL, NULL);
}
