/*
 * One producer, one consumer, a ring so small that it is always nearly full or nearly empty. Each
 * record carries its number and a checksum: a wrong memory order shows as a torn record here, and
 * as a report under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/ring.h"
#include "support/test.h"

#define RECORDS 300000u

static void *produce(void *argument)
{
    struct spate_ring *ring = argument;
    struct spate_prng prng;
    spate_prng_seed(&prng, 11, 0);

    for (uint64_t number = 0; number < RECORDS; number++) {
        const uint32_t size = 12 + (uint32_t)spate_prng_below(&prng, 300);
        uint8_t *record = NULL;
        while ((record = spate_ring_reserve(ring, size)) == NULL) {
            spate_ring_publish(ring);
            (void)sched_yield();
        }
        for (uint32_t i = 8; i < size - 4; i++) {
            record[i] = (uint8_t)(number + i);
        }
        spate_put_u64(record, number);
        spate_put_u32(record + size - 4, spate_crc32c(0, record, size - 4));
        if (spate_prng_below(&prng, 4) == 0) {
            spate_ring_publish(ring);
        }
    }
    spate_ring_publish(ring);
    return NULL;
}

/* The number of records that came in order and unharmed. Takes some of them twice. */
static uint64_t consume(struct spate_ring *ring)
{
    struct spate_prng prng;
    spate_prng_seed(&prng, 12, 0);

    for (uint64_t number = 0; number < RECORDS;) {
        uint32_t size = 0;
        const uint8_t *record = spate_ring_take(ring, &size);
        if (record == NULL) {
            spate_ring_release(ring);
            (void)sched_yield();
            continue;
        }
        if (spate_get_u64(record) != number ||
            spate_get_u32(record + size - 4) != spate_crc32c(0, record, size - 4)) {
            return number;
        }
        if (spate_prng_below(&prng, 16) == 0) {
            spate_ring_untake(ring);
        } else {
            number++;
        }
        if (spate_prng_below(&prng, 4) == 0) {
            spate_ring_release(ring);
        }
    }
    return RECORDS;
}

static void records_cross_threads_in_order_and_whole(void **state)
{
    (void)state;
    struct spate_ring *ring = NULL;
    pthread_t producer;

    assert_int_equal(spate_ring_create(4096, &ring), SPATE_OK);
    assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
    const uint64_t good = consume(ring);
    /* A consumer that stopped early would leave the producer waiting for ever: say so and end. */
    if (good != RECORDS) {
        fail_msg("record %llu is harmed", (unsigned long long)good);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_true(spate_ring_is_empty(ring));
    spate_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_cross_threads_in_order_and_whole),
    };
    return cmocka_run_group_tests_name("base/ring_threads", tests, NULL, NULL);
}
