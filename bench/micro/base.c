/* lib/base: ring, checksum, histogram, generator. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/histogram.h"
#include "base/prng.h"
#include "base/ring.h"
#include "base/types.h"
#include "bench/micro/micro.h"

#define RECORD_BYTES 88u
#define BATCH        16u

static void *ring_create(void)
{
    struct spate_ring *ring = NULL;
    micro_require(spate_ring_create(1u << 16, &ring) == SPATE_OK, "ring");
    return ring;
}

static void ring_destroy(void *context)
{
    spate_ring_destroy(context);
}

static double ring_one(void *context, uint64_t operations)
{
    struct spate_ring *ring = context;
    const uint64_t start = bench_thread_ns();
    uint32_t bytes = 0;

    for (uint64_t i = 0; i < operations; i++) {
        uint64_t *record = spate_ring_reserve(ring, RECORD_BYTES);
        *record = i;
        spate_ring_publish(ring);
        record = spate_ring_take(ring, &bytes);
        micro_keep(*record);
        spate_ring_release(ring);
    }
    return micro_per(start, operations);
}

static double ring_batch(void *context, uint64_t operations)
{
    struct spate_ring *ring = context;
    const uint64_t start = bench_thread_ns();
    uint32_t bytes = 0;

    for (uint64_t i = 0; i < operations; i += BATCH) {
        for (uint64_t b = 0; b < BATCH; b++) {
            uint64_t *record = spate_ring_reserve(ring, RECORD_BYTES);
            *record = i + b;
        }
        spate_ring_publish(ring);
        const uint64_t *record = NULL;
        while ((record = spate_ring_take(ring, &bytes)) != NULL) {
            micro_keep(*record);
        }
        spate_ring_release(ring);
    }
    return micro_per(start, operations);
}

struct producer {
    struct spate_ring *ring;
    uint64_t operations;
};

static void *produce(void *argument)
{
    const struct producer *producer = argument;
    for (uint64_t i = 0; i < producer->operations;) {
        uint64_t *record = spate_ring_reserve(producer->ring, RECORD_BYTES);
        if (record == NULL) {
            (void)sched_yield();
            continue;
        }
        *record = i++;
        spate_ring_publish(producer->ring);
    }
    return NULL;
}

static double ring_threads(void *context, uint64_t operations)
{
    struct producer producer = {.ring = context, .operations = operations};
    pthread_t thread;
    uint32_t bytes = 0;
    const uint64_t start = bench_now_ns();

    micro_require(pthread_create(&thread, NULL, produce, &producer) == 0, "thread");
    for (uint64_t i = 0; i < operations;) {
        const uint64_t *record = spate_ring_take(producer.ring, &bytes);
        if (record == NULL) {
            (void)sched_yield();
            continue;
        }
        micro_keep(*record);
        spate_ring_release(producer.ring);
        i++;
    }
    (void)pthread_join(thread, NULL);
    return micro_per_passed(start, operations);
}

static void *buffer_create(void)
{
    return micro_allocate(1u << 16);
}

static double crc_of(uint8_t *bytes, uint64_t operations, size_t size,
                     uint32_t (*crc32c)(uint32_t, const void *, size_t))
{
    const uint64_t start = bench_thread_ns();
    uint32_t crc = 0;

    for (uint64_t i = 0; i < operations; i++) {
        crc = crc32c(crc, bytes, size);
    }
    micro_keep(crc);
    return micro_per(start, operations);
}

static double crc_64(void *context, uint64_t operations)
{
    return crc_of(context, operations, 64, spate_crc32c);
}

static double crc_4096(void *context, uint64_t operations)
{
    return crc_of(context, operations, 4096, spate_crc32c);
}

static double crc_portable_4096(void *context, uint64_t operations)
{
    return crc_of(context, operations, 4096, spate_crc32c_portable);
}

static void *histogram_create(void)
{
    struct spate_histogram *histogram = NULL;
    micro_require(spate_histogram_create(&histogram) == SPATE_OK, "histogram");
    return histogram;
}

static void histogram_destroy(void *context)
{
    spate_histogram_destroy(context);
}

/* Values as latencies are: spread over two powers of ten. */
static double histogram_record(void *context, uint64_t operations)
{
    const uint64_t start = bench_thread_ns();
    uint64_t value = 1;

    for (uint64_t i = 0; i < operations; i++) {
        value = value * 6364136223846793005u + 1442695040888963407u;
        spate_histogram_record(context, 1000 + (value >> 47), 1);
    }
    return micro_per(start, operations);
}

static double histogram_percentile(void *context, uint64_t operations)
{
    (void)histogram_record(context, 1000);
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        micro_keep(spate_histogram_percentile(context, 99));
    }
    return micro_per(start, operations);
}

static void *prng_create(void)
{
    struct spate_prng *prng = micro_allocate(sizeof *prng);
    spate_prng_seed(prng, 1, 1);
    return prng;
}

static double prng_next(void *context, uint64_t operations)
{
    const uint64_t start = bench_thread_ns();
    for (uint64_t i = 0; i < operations; i++) {
        micro_keep(spate_prng_next(context));
    }
    return micro_per(start, operations);
}

static const struct micro_case cases[] = {
    {"ring: 88 bytes there and back, one thread", ring_create, ring_one, ring_destroy},
    {"ring: 88 bytes in batches of 16, one thread", ring_create, ring_batch, ring_destroy},
    {"ring: 88 bytes, two threads", ring_create, ring_threads, ring_destroy},
    {"crc32c: 64 bytes", buffer_create, crc_64, free},
    {"crc32c: 4096 bytes", buffer_create, crc_4096, free},
    {"crc32c: 4096 bytes, portable", buffer_create, crc_portable_4096, free},
    {"histogram: record", histogram_create, histogram_record, histogram_destroy},
    {"histogram: percentile", histogram_create, histogram_percentile, histogram_destroy},
    {"prng: next", prng_create, prng_next, free},
};
const struct micro_table micro_base = {cases, SPATE_ARRAY_COUNT(cases)};
